"""Values of age columns that cannot be read, and are a minor's all the same: ages in words, and dates of birth in other forms."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa

from predict_age.config import AgesConfig
from predict_age.source.column_types import is_text
from predict_age.source.minors_in_dates import date_of_minor
from predict_age.source.minors_in_words import minor_in_words

_FIRST_YEAR = 1300  # the format "%d%m%Y" reads 20120305 as a day of the year 305, and 20121203 as one of 1203


def unread_minor(column: str, kind: pa.DataType, ages: AgesConfig, as_of: dt.date, given: str, value: str) -> str:
    """SQL for whether an age column that cannot be read says an age below ``ages.min_age`` all the same.

    ``given`` and ``value`` are SQL for whether the column holds something, and for what that was read as.
    """
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind) or not (is_text(kind) or column == "birth_date"):
        return "FALSE"
    if column == "approximate_age":
        minor = minor_in_words(column, ages.min_age)
    else:
        minor = date_of_minor(column, kind, as_of, ages.min_age, ages.max)
    unread = f"{value} IS NULL" + (f" OR year({value}) < {_FIRST_YEAR}" if column == "birth_date" else "")
    return f"CASE WHEN {given} AND ({unread}) THEN {minor} ELSE FALSE END"
