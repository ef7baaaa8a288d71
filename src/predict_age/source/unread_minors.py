"""Values of age columns that cannot be read, and are a minor's all the same: ages in words, and dates of birth in other forms."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING

import pyarrow as pa

from predict_age.config import AgesConfig
from predict_age.source.column_types import is_text
from predict_age.source.minors_in_dates import is_date_of_minor
from predict_age.source.minors_in_words import is_age_of_minor
from predict_age.source.value_sql import trimmed, whole_number

if TYPE_CHECKING:
    import duckdb

_FIRST_YEAR = 1300  # the format "%d%m%Y" reads 20120305 as a day of the year 305, and 20121203 as one of 1203
_LAST_YEAR = 9999  # a number beyond is none of a year, but perhaps one of a month (201305) or a day
_LONGEST = 80  # characters; a longer text is neither a date nor an age
_DATE, _AGE = "date_of_minor", "age_of_minor"


def add_unread_minors(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the functions that :func:`unread_minor` calls known to the engine of ``connection``."""
    from duckdb.func import FunctionNullHandling, PythonUDFType

    for name, function, kinds in ((_DATE, _are_dates, ["date", "integer", "integer"]), (_AGE, _are_ages, ["integer"])):
        connection.create_function(
            name,
            function,
            ["varchar", *kinds],
            "boolean",
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
        )


def _are_dates(texts: pa.ChunkedArray, as_of: pa.ChunkedArray, below: pa.ChunkedArray, oldest: pa.ChunkedArray) -> pa.Array:
    """Answers (n,) about ``texts`` (n,); the other columns are constant."""
    return _answers(is_date_of_minor, texts, as_of, below, oldest)


def _are_ages(texts: pa.ChunkedArray, below: pa.ChunkedArray) -> pa.Array:
    """Answers (n,) about ``texts`` (n,); the other column is constant."""
    return _answers(is_age_of_minor, texts, below)


def _answers(function: Callable[..., bool], texts: pa.ChunkedArray, *constants: pa.ChunkedArray) -> pa.Array:
    if not len(texts):
        return pa.array([], pa.bool_())
    values = [column[0].as_py() for column in constants]
    return pa.array([text is not None and function(text, *values) for text in texts.to_pylist()], pa.bool_())


def unread_minor(column: str, kind: pa.DataType, ages: AgesConfig, as_of: dt.date, given: str, value: str) -> str:
    """SQL for whether an age column that cannot be read says an age below ``ages.min_age`` all the same.

    ``given`` and ``value`` are SQL for whether the column holds something, and for what that was read as.
    """
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind) or (column == "approximate_age" and not is_text(kind)):
        return "FALSE"
    text = f"CASE WHEN length({column}) <= {_LONGEST} THEN {trimmed(column)} END"
    if not is_text(kind):
        text = f"CAST({whole_number(column, kind)} AS VARCHAR)"
    if column == "approximate_age":
        minor = f"{_AGE}({text}, {ages.min_age})"
    else:
        minor = f"{_DATE}({text}, DATE '{as_of}', {ages.min_age}, {ages.max})"
    misread = {"birth_date": f" OR year({value}) < {_FIRST_YEAR}", "birth_year": f" OR {value} > {_LAST_YEAR}"}
    return f"CASE WHEN {given} AND ({value} IS NULL{misread.get(column, '')}) THEN {minor} ELSE FALSE END"
