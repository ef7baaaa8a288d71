"""From raw columns of any type to canonical rows: the one place that decides which pid and which age counts."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from predict_age.config import AgesConfig
from predict_age.source.column_types import WHITE_SPACE, is_text
from predict_age.source.text_ids import NOT_AN_INTEGER, OUT_OF_RANGE, read_text_ids
from predict_age.source.value_form import form_of
from predict_age.sql import literal

if TYPE_CHECKING:
    import duckdb

EXISTING = {
    "approximate_age": "EXISTING_APPROX_AGE",
    "birth_date": "EXISTING_BIRTH_DATE",
    "birth_year": "EXISTING_BIRTH_YEAR",
}
SINGLE_EXACT, DOUBLE_EXACT = 2**24, 2**53  # floats hold every whole number below; above, neighbours become one
_WHOLE = "[+-]?[0-9]+([.]0*)?"
_NUMBER = "[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,3})?"
_ISO_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].*)?"
_COMPACT_DATE = "[0-9]{8}([.]0*)?"
UNREADABLE, IMPLAUSIBLE = "unreadable", "implausible"
IdType = Literal["integer", "text"]


def id_type_named(name: str) -> IdType:
    """Type of the ids of a source as its record names it."""
    return "text" if name == "text" else "integer"


def connect() -> duckdb.DuckDBPyConnection:
    """A single-threaded in-memory connection that touches no file: parallelism comes from processes.

    All of a process share one engine, whose start takes twenty times as long as a connection to it.
    """
    return _engine(os.getpid()).cursor()


@lru_cache(maxsize=1)
def _engine(_process: int) -> duckdb.DuckDBPyConnection:
    import duckdb  # a tenth of a second, and the process that leads a run needs no engine

    return duckdb.connect(
        config={"threads": 1, "enable_external_access": False, "python_enable_replacements": False, "memory_limit": "2GB"}
    )


def register(connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    """Make ``table`` known to ``connection``, in one chunk: the few rows of a small one may come last in what DuckDB answers."""
    connection.register(name, table.combine_chunks())


def trimmed(column: str) -> str:
    """SQL for text without white space around it, of any kind that Unicode knows."""
    return f"trim(CAST({column} AS VARCHAR), '{WHITE_SPACE}')"


def _whole_number(column: str, kind: pa.DataType) -> str:
    """SQL for ``column`` as BIGINT, NULL where it is no whole number, is not exact, or does not fit. 12.0 is whole, 12.7 is not."""
    if pa.types.is_integer(kind):
        return f"TRY_CAST({column} AS BIGINT)"
    if pa.types.is_floating(kind):
        exact = SINGLE_EXACT if kind.bit_width == 32 else DOUBLE_EXACT
        return f"CASE WHEN {column} = floor({column}) AND abs({column}) < {exact} THEN CAST({column} AS BIGINT) END"
    if is_text(kind) or pa.types.is_decimal(kind):
        text = trimmed(column)
        return f"CASE WHEN regexp_full_match({text}, '{_WHOLE}') THEN TRY_CAST(split_part({text}, '.', 1) AS BIGINT) END"
    return "CAST(NULL AS BIGINT)"


def read_ids(connection: duckdb.DuckDBPyConnection, ids: pa.ChunkedArray, reading: IdType) -> pa.ChunkedArray:
    """The pids, BIGINT, that ``ids`` (n,) of any type stand for in a source of this type of ids; NULL where there is none."""
    if reading == "text":
        return read_text_ids(ids)["pid"]
    register(connection, "raw", pa.table({"pid": ids}))
    return connection.sql(f"SELECT {_whole_number('pid', ids.type)} AS pid FROM raw").to_arrow_table()["pid"]


def _age(column: str, kind: pa.DataType) -> str:
    """SQL for completed years as BIGINT: 34.7 is 34. NULL where there is no number."""
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return f"TRY_CAST(floor({column}) AS BIGINT)"
    if is_text(kind):
        text = trimmed(column)
        rounded = f"TRY_CAST(floor(TRY_CAST({text} AS DOUBLE)) AS BIGINT)"
        exact = f"WHEN regexp_full_match({text}, '[+]?[0-9]+[.]?[0-9]*') THEN TRY_CAST(split_part({text}, '.', 1) AS BIGINT)"
        return f"CASE {exact} WHEN regexp_full_match({text}, '{_NUMBER}') THEN {rounded} END"
    return _whole_number(column, kind)


def _year(column: str, kind: pa.DataType) -> str:
    """SQL for a year as BIGINT; a whole date counts by its year."""
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return f"CAST(year({column}) AS BIGINT)"
    number = _whole_number(column, kind)
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
    number = _whole_number(column, kind)
    return f"CASE WHEN {number} BETWEEN 10000101 AND 99991231 THEN {_compact_date(number)} END"


def _iso_date(text: str) -> str:
    return f"CASE WHEN regexp_full_match({text}, '{_ISO_DATE}') THEN TRY_CAST(substr({text}, 1, 10) AS DATE) END"


def _compact_date(digits: str) -> str:
    """SQL for the DATE that eight digits are, NULL where they are none."""
    return f"TRY_CAST(TRY_STRPTIME(CAST({digits} AS VARCHAR), '%Y%m%d') AS DATE)"


def _given(column: str, kind: pa.DataType) -> str:
    if pa.types.is_null(kind):
        return "FALSE"
    if is_text(kind):
        return f"({column} IS NOT NULL AND {trimmed(column)} <> '')"
    if pa.types.is_floating(kind):
        return f"({column} IS NOT NULL AND NOT isnan({column}))"
    return f"({column} IS NOT NULL)"


def given_and_read(column: str, kind: pa.DataType, pattern: str = "") -> tuple[str, str]:
    """SQL for whether an age ``column`` of a type holds something, and for what it means there; NULL where that cannot be read."""
    if pa.types.is_null(kind):
        return "FALSE", "NULL"
    readers = {"approximate_age": _age, "birth_year": _year}
    return _given(column, kind), _date(column, kind, pattern) if column == "birth_date" else readers[column](column, kind)


@dataclass(frozen=True)
class UnusableAges:
    """Values of an age column that stand for no known age: why, how many, and the form of the first."""

    column: str
    reason: str
    rows: int
    form: str


@dataclass(frozen=True)
class RowRules:
    """Rules that decide about a row: age window and precedence, the date at which people have that age, how dates are written."""

    ages: AgesConfig
    as_of: dt.date
    birth_date_format: str = ""
    ids: IdType = "integer"

    def known(self, column: str, value: str) -> str:
        """SQL for the age that ``value`` of an age column stands for, NULL outside the window."""
        return f"CASE WHEN {self._between(column, value, self.ages.youngest, self.ages.max)} THEN {self._years(column, value)} END"

    def is_minor(self, column: str, value: str) -> str:
        """SQL for whether ``value`` of an age column stands for an age from 0 to below ``ages.min_age``."""
        return self._between(column, value, 0, self.ages.min_age - 1) if self.ages.min_age else "FALSE"

    def _years(self, column: str, value: str) -> str:
        """SQL for the age that ``value`` stands for. Somebody born on 29 February has their birthday on 1 March in other years."""
        if column == "approximate_age":
            return value
        if column == "birth_year":
            return f"{self.as_of.year} - {value}"
        later = f"CAST(month({value}) * 100 + day({value}) > {self.as_of.month * 100 + self.as_of.day} AS BIGINT)"
        return f"{self.as_of.year} - year({value}) - {later}"

    def _between(self, column: str, value: str, low: int, high: int) -> str:
        """SQL for whether ``value`` stands for an age from ``low`` to ``high``. Years are compared as they are: none overflows."""
        if column == "birth_year":
            return f"{value} BETWEEN {self.as_of.year - high} AND {self.as_of.year - low}"
        return f"{self._years(column, value)} BETWEEN {low} AND {high}"

    def given_and_read(self, column: str, kind: pa.DataType) -> tuple[str, str]:
        """As :func:`given_and_read`; an approximate age of 0 is none where ``ages.zero`` says so."""
        given, value = given_and_read(column, kind, self.birth_date_format)
        if column == "approximate_age" and self.ages.zero == "missing":
            return f"({given} AND coalesce({value} <> 0, TRUE))", f"nullif({value}, 0)"
        return given, value

    def unusable(self, connection: duckdb.DuckDBPyConnection, raw: pa.Table) -> list[UnusableAges]:
        """Count the values of age columns in ``raw`` that stand for no known age, by column and reason."""
        found = []
        for column in (c for c in EXISTING if c in raw.column_names and not pa.types.is_null(raw[c].type)):
            given, value = self.given_and_read(column, raw[column].type)
            register(connection, "raw", raw)
            read = f"row_number() OVER () AS row, CAST({column} AS VARCHAR) AS text, {given} AS given, {value} AS value"
            query = f"""
                SELECT CASE WHEN value IS NULL THEN '{UNREADABLE}' ELSE '{IMPLAUSIBLE}' END AS reason,
                       count(*), first(text ORDER BY row)
                FROM (SELECT {read} FROM raw)
                WHERE given AND {self.known(column, "value")} IS NULL GROUP BY reason ORDER BY reason"""
            found += [UnusableAges(column, reason, rows, form_of(text)) for reason, rows, text in connection.sql(query).fetchall()]
        return found

    def canonical(self, connection: duckdb.DuckDBPyConnection, raw: pa.Table, only: tuple[str, ...] = ("*",)) -> pa.Table:
        """Judge ``raw`` (columns pid and those of ages, of any type), keeping order and number of rows.

        ``only`` these columns of the result are made; all by default.

        Returns: ``pid`` BIGINT (NULL when unusable) and ``problem`` (why); ``birth_year``, ``approximate_age`` INT as given;
        ``known_age`` INT years inside the window or NULL, ``known_source``; ``needs_prediction`` BOOL; ``withheld`` BOOL, somebody
        whom any age column makes younger than ``ages.min_age``, and ``zero_age`` BOOL, where nothing but an approximate age of 0
        does; and the counted oddities ``unreadable_age``, ``implausible_age``, ``conflicting_age`` BOOL. A withheld row has neither
        ages nor oddities. Where ids are text, also ``source_id`` and ``id_check``, a second hash of it.
        """
        if self.ids == "text":
            return self._with_text_ids(connection, raw, only)
        return self._canonical(connection, raw, only)

    def _with_text_ids(self, connection: duckdb.DuckDBPyConnection, raw: pa.Table, only: tuple[str, ...]) -> pa.Table:
        ids = read_text_ids(raw["pid"])
        mine = [name for name in ids.column_names if name != "pid"]
        others = tuple(name for name in only if name not in mine) or ("pid",)
        made = self._canonical(connection, raw.set_column(raw.schema.get_field_index("pid"), "pid", ids["pid"]), others)
        for name in mine:
            if name in made.column_names:
                made = made.set_column(made.schema.get_field_index(name), name, ids[name])
            else:
                made = made.append_column(name, ids[name])
        return made if only == ("*",) else made.select(list(only))

    def _canonical(self, connection: duckdb.DuckDBPyConnection, raw: pa.Table, only: tuple[str, ...]) -> pa.Table:
        kinds = {f.name: f.type for f in raw.schema}
        columns = [c for c in EXISTING if c in kinds and not pa.types.is_null(kinds[c])]
        read = {c: self.given_and_read(c, kinds[c]) for c in columns}
        values = "".join(f", {value} AS {c}_value, {given} AS {c}_given" for c, (given, value) in read.items())
        known = "".join(f", {self.known(c, f'{c}_value')} AS {c}_known" for c in columns)
        chosen = [f"{c}_known" for c in self.ages.precedence if c in columns]
        age = f"CASE WHEN NOT withheld THEN coalesce({', '.join(chosen)}) END" if chosen else "NULL"
        minor = {c: f"coalesce({self.is_minor(c, f'{c}_value')}, FALSE)" for c in columns}
        withheld = f"pid IS NOT NULL AND ({' OR '.join(minor.values())})" if minor else "FALSE"
        older = "".join(f" AND NOT {sql}" for c, sql in minor.items() if c != "approximate_age")
        zero = f"withheld AND coalesce(approximate_age_value = 0, FALSE){older}" if "approximate_age" in minor else "FALSE"
        sources = " ".join(f"WHEN {c}_known IS NOT NULL THEN '{EXISTING[c]}'" for c in self.ages.precedence if c in columns)

        def any_of(condition: str) -> str:
            several = " OR ".join(f"({condition.format(c)})" for c in columns)
            return f"pid IS NOT NULL AND NOT withheld AND ({several})" if several else "FALSE"

        def as_given(column: str) -> str:
            return f"CASE WHEN NOT withheld THEN TRY_CAST({column}_value AS INTEGER) END" if column in columns else "NULL::INTEGER"

        apart = ", ".join(f"{c}_known" for c in columns)
        conflict = f"greatest({apart}) - least({apart}) > {self.ages.conflict_years}" if len(columns) > 1 else "FALSE"
        query = f"""
            WITH numbers AS (
                SELECT {_whole_number("pid", kinds["pid"])} AS pid, {_given("pid", kinds["pid"])} AS pid_given,
                       {self._digits(kinds["pid"])} AS pid_numeric{values}
                FROM raw
            ), judged AS (SELECT *{known}, {withheld} AS withheld FROM numbers)
            SELECT pid,
                   CASE WHEN pid IS NOT NULL THEN NULL WHEN NOT pid_given THEN 'pid_missing'
                        WHEN pid_numeric THEN '{OUT_OF_RANGE}' ELSE '{NOT_AN_INTEGER}' END AS problem,
                   {as_given("birth_year")} AS birth_year,
                   {as_given("approximate_age")} AS approximate_age,
                   CAST({age} AS INTEGER) AS known_age,
                   {f"CASE WHEN withheld THEN NULL {sources} END" if sources else "CAST(NULL AS VARCHAR)"} AS known_source,
                   pid IS NOT NULL AND NOT withheld AND {age} IS NULL AS needs_prediction,
                   withheld, {zero} AS zero_age,
                   {any_of("{0}_given AND {0}_value IS NULL")} AS unreadable_age,
                   {any_of("{0}_value IS NOT NULL AND {0}_known IS NULL")} AS implausible_age,
                   pid IS NOT NULL AND NOT withheld AND coalesce({conflict}, FALSE) AS conflicting_age
            FROM judged"""
        register(connection, "raw", raw)
        return connection.sql(f"SELECT {', '.join(only)} FROM ({query})").to_arrow_table()

    @staticmethod
    def _digits(kind: pa.DataType) -> str:
        if is_text(kind) or pa.types.is_decimal(kind):
            return f"coalesce(regexp_full_match({trimmed('pid')}, '{_WHOLE}'), FALSE)"
        return "TRUE" if pa.types.is_integer(kind) else "FALSE"
