"""SQL that reads one value of an id or age column of any type."""

from __future__ import annotations

import pyarrow as pa

from predict_age.source.column_types import WHITE_SPACE, is_text
from predict_age.sql import literal

SINGLE_EXACT, DOUBLE_EXACT = 2**24, 2**53  # floats hold every whole number below; above, neighbours become one
WHOLE = "[+-]?[0-9]+([.]0*)?"
PLAIN_DIGITS = "[0-9]{1,18}"  # nearly all texts that are whole numbers: read without looking for white space and signs
_NUMBER = "[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,3})?"
BEHIND_ISO_DATE = "([Tt ].*|[Zz]|[+-](0[0-9]|1[0-4]):?[0-5][0-9])?"  # a time, or a zone alone
_ISO_DATE = f"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}{BEHIND_ISO_DATE}"
_COMPACT_DATE = "[0-9]{8}([.]0*)?"


def trimmed(column: str) -> str:
    """SQL for text without white space around it, of any kind that Unicode knows."""
    return f"trim(CAST({column} AS VARCHAR), '{WHITE_SPACE}')"


def whole_number(column: str, kind: pa.DataType) -> str:
    """SQL for ``column`` as BIGINT, NULL where it is no whole number, is not exact, or does not fit. 12.0 is whole, 12.7 is not."""
    if pa.types.is_integer(kind):
        return f"TRY_CAST({column} AS BIGINT)"
    if pa.types.is_floating(kind):
        exact = SINGLE_EXACT if kind.bit_width == 32 else DOUBLE_EXACT
        return f"CASE WHEN {column} = floor({column}) AND abs({column}) < {exact} THEN CAST({column} AS BIGINT) END"
    if is_text(kind) or pa.types.is_decimal(kind):
        text = trimmed(column)
        plain = f"WHEN regexp_full_match({column}, '{PLAIN_DIGITS}') THEN CAST({column} AS BIGINT)" if is_text(kind) else ""
        return f"CASE {plain} WHEN regexp_full_match({text}, '{WHOLE}') THEN TRY_CAST(split_part({text}, '.', 1) AS BIGINT) END"
    return "CAST(NULL AS BIGINT)"


def _age(column: str, kind: pa.DataType) -> str:
    """SQL for completed years as BIGINT: 34.7 and 34,7 are 34. NULL where there is no number."""
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return f"TRY_CAST(floor({column}) AS BIGINT)"
    if is_text(kind):
        text = trimmed(column)
        rounded = f"TRY_CAST(floor(TRY_CAST({text} AS DOUBLE)) AS BIGINT)"
        exact = f"WHEN regexp_full_match({text}, '[+]?[0-9]+[.]?[0-9]*') THEN TRY_CAST(split_part({text}, '.', 1) AS BIGINT)"
        comma = f"WHEN regexp_full_match({text}, '[+]?[0-9]{{1,3}},[0-9]+') THEN TRY_CAST(split_part({text}, ',', 1) AS BIGINT)"
        return f"CASE {exact} WHEN regexp_full_match({text}, '{_NUMBER}') THEN {rounded} {comma} END"
    return whole_number(column, kind)


def _year(column: str, kind: pa.DataType) -> str:
    """SQL for a year as BIGINT; a whole date counts by its year."""
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return f"CAST(year({column}) AS BIGINT)"
    number = whole_number(column, kind)
    if is_text(kind):
        number = f"coalesce({number}, CAST(year({_iso_date(trimmed(column))}) AS BIGINT))"
    return (
        f"CASE WHEN {number} BETWEEN 10000101 AND 99991231 THEN coalesce(year({_compact_date(number)}), {number}) ELSE {number} END"
    )


def _date(column: str, kind: pa.DataType, pattern: str) -> str:
    """SQL for a DATE: ISO, YYYYMMDD as a number or text, or text by a strptime ``pattern``; NULL where it is none."""
    if pa.types.is_date(kind):
        return column
    if pa.types.is_timestamp(kind):
        return f"TRY_CAST({column} AS DATE)"
    if is_text(kind):
        text = trimmed(column)
        compact = f"CASE WHEN regexp_full_match({text}, '{_COMPACT_DATE}') THEN {_compact_date(f'substr({text}, 1, 8)')} END"
        ways = [_iso_date(text), compact]
        if pattern:
            declared = f"TRY_CAST(TRY_STRPTIME({text}, {literal(pattern)}) AS DATE)"
            ways = [declared] if pattern.startswith("%Y") else [declared, *ways]
        return f"coalesce({', '.join(ways)})"
    number = whole_number(column, kind)
    return f"CASE WHEN {number} BETWEEN 10000101 AND 99991231 THEN {_compact_date(number)} END"


def _iso_date(text: str) -> str:
    return f"CASE WHEN regexp_full_match({text}, '{_ISO_DATE}') THEN TRY_CAST(substr({text}, 1, 10) AS DATE) END"


def _compact_date(digits: str) -> str:
    """SQL for the DATE that eight digits are, NULL where they are none."""
    return f"TRY_CAST(TRY_STRPTIME(CAST({digits} AS VARCHAR), '%Y%m%d') AS DATE)"


def was_given(column: str, kind: pa.DataType) -> str:
    """SQL for whether ``column`` holds anything: neither NULL nor NaN nor white space alone."""
    if pa.types.is_null(kind):
        return "FALSE"
    if is_text(kind):
        visible = f"ascii({column}) BETWEEN 33 AND 126"  # most values begin so, or are empty: no look at their white space
        return f"CASE WHEN {column} <> '' THEN {visible} OR {trimmed(column)} <> '' ELSE FALSE END"
    if pa.types.is_floating(kind):
        return f"({column} IS NOT NULL AND NOT isnan({column}))"
    return f"({column} IS NOT NULL)"


def given_and_read(column: str, kind: pa.DataType, pattern: str = "") -> tuple[str, str]:
    """SQL for whether an age ``column`` of a type holds something, and for what it means there; NULL where that cannot be read."""
    if pa.types.is_null(kind):
        return "FALSE", "NULL"
    readers = {"approximate_age": _age, "birth_year": _year}
    value = _date(column, kind, pattern) if column == "birth_date" else readers[column](column, kind)
    return was_given(column, kind), f"CASE WHEN {column} <> '' THEN {value} END" if is_text(kind) else value
