"""Other readings of ages that cannot be used: as what else such a value would be a plausible age, to name the likely mistake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from predict_age.records.age_reading import ANY_FORMAT, OTHER_FORMAT, AgeReading
from predict_age.source.row_rules import RowRules, connect, register
from predict_age.source.value_sql import given_and_read, trimmed
from predict_age.sql import literal

LONGEST_AGE = 100  # characters; a cell may have megabytes, but an age, a year or a date that long is none
REPEATED_SHARE, REPEATED_ROWS = 0.9, 20  # from which on a value that repeats is taken for a code of "not known"

_DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y-%d-%m", "%m.%d.%Y", "%Y/%d/%m")
_COMPACT = ("%d%m%Y", "%m%d%Y")
_NAMED_MONTHS = ("%d %B %Y", "%d %b %Y", "%d-%b-%Y", "%d%b%Y", "%d%b%Y:%H:%M:%S", "%B %d, %Y", "%b %d, %Y", "%B %d %Y", "%b %d %Y")
_TIMES = (" %H:%M", " %H:%M:%S")
_FORMATS = ("%Y-%m-%d", "%Y%m%d", *_DAYS, *_COMPACT, *_NAMED_MONTHS, *(day + time for time in _TIMES for day in _DAYS))
_SHORT_FORMATS = tuple(f.replace("%Y", "%y") for f in ("%Y-%m-%d", "%Y%m%d", *_DAYS, *_COMPACT, *_NAMED_MONTHS))
_DATES = {pattern: f"date_{n}" for n, pattern in enumerate((*_FORMATS, *_SHORT_FORMATS))}
_FEWEST_SECONDS = 10**8  # a smaller number is a date without signs
_DAY_ZERO = "DATE '1899-12-30'"  # of the serial numbers that spreadsheets keep for dates


def fitting_readings(rules: RowRules, column: str, texts: Sequence[str]) -> dict[str, int]:
    """Number of ``texts``, unusable values of an age ``column``, that fit each other reading; those of none are left out."""
    connection = connect()
    register(connection, "texts", pa.table({"text": pa.array((text[:LONGEST_AGE] for text in texts), pa.string())}))
    conditions = _conditions(rules, column)
    dates = ", ".join(f"TRY_CAST(TRY_STRPTIME(text, {literal(p)}) AS DATE) AS {name}" for p, name in _DATES.items())
    ways = dict.fromkeys((rules.birth_date_format, "")) if column == "birth_date" else ("",)
    read = (given_and_read(column, pa.string(), pattern)[1].replace(trimmed(column), "text") for pattern in ways)
    columns = f"SELECT {trimmed('text')} AS text, text AS {column} FROM texts"
    values = f"SELECT text, coalesce({', '.join(read)}, NULL) AS value FROM ({columns})"
    counts = ", ".join(f"count_if({c})" for c in conditions.values())
    [row] = connection.execute(f"SELECT {counts} FROM (SELECT text, value, {dates} FROM ({values}))").fetchall()
    found = {name: fit for name, fit in zip(conditions, row, strict=True) if fit}
    same = max(Counter(texts).values())
    repeats = len(texts) >= REPEATED_ROWS and same >= REPEATED_SHARE * len(texts)
    return {AgeReading.ONE_VALUE: same, **found} if repeats else found


def _conditions(rules: RowRules, column: str) -> dict[str, str]:
    """SQL conditions about ``text``, its ``value`` (NULL where it cannot be read) and dates, by reading of an age ``column``."""
    year = rules.as_of.year

    def usable(kind: str, expression: str) -> str:
        return f"{rules.known(kind, expression)} IS NOT NULL"

    dates = {OTHER_FORMAT + pattern: usable("birth_date", _DATES[pattern]) for pattern in _FORMATS}
    with_point = "TRY_CAST(floor(TRY_CAST(replace(text, ',', '.') AS DOUBLE)) AS BIGINT)"
    comma = "regexp_full_match(text, '[0-9]+,[0-9]*')"
    if column == "birth_date":
        serial = "CASE WHEN TRY_CAST(text AS DOUBLE) BETWEEN 1 AND 100000 THEN CAST(floor(TRY_CAST(text AS DOUBLE)) AS INTEGER) END"
        short = [
            usable("birth_date", d) for p in _SHORT_FORMATS for d in (_DATES[p], f"CAST({_DATES[p]} - INTERVAL 100 YEAR AS DATE)")
        ]
        number = "TRY_CAST(TRY_CAST(text AS DECIMAL(38, 6)) AS BIGINT)"
        seconds = (
            f"CASE WHEN abs({number}) >= 10 ** 11 THEN {number} // 1000 WHEN abs({number}) >= {_FEWEST_SECONDS} THEN {number} END"
        )
        since_1970 = f"CASE WHEN abs({seconds}) < 10 ** 10 THEN DATE '1970-01-01' + CAST(({seconds}) // 86400 AS INTEGER) END"
        return {
            **dates,
            ANY_FORMAT: " OR ".join(dates.values()),
            AgeReading.TWO_DIGIT_YEARS: " OR ".join(short),
            AgeReading.SECONDS: usable("birth_date", f"({since_1970})"),
            AgeReading.SERIAL_NUMBERS: usable("birth_date", f"({_DAY_ZERO} + ({serial}))"),
            AgeReading.AFTER_AS_OF: f"year(value) >= {year}",
            AgeReading.TOO_OLD: f"year(value) < {year - rules.ages.max}",
        }
    if column == "birth_year":
        without = "TRY_CAST(regexp_replace(text, '[,.]', '') AS BIGINT)"
        return {
            AgeReading.TWO_DIGIT_YEARS: "value BETWEEN 0 AND 99",
            AgeReading.THOUSANDS: f"(regexp_full_match(text, '[0-9][,.][0-9]{{3}}') AND {usable(column, without)})",
            AgeReading.DECIMAL_COMMA: f"({comma} AND {usable(column, with_point)})",
            AgeReading.BIRTH_DATES: " OR ".join(dates.values()),
            AgeReading.AFTER_AS_OF: f"value > {year}",
            AgeReading.TOO_OLD: f"value BETWEEN 100 AND {year - rules.ages.max - 1}",
        }
    compact = "TRY_CAST(TRY_STRPTIME(CASE WHEN length(text) = 8 THEN text END, '%Y%m%d') AS DATE)"
    iso = "TRY_CAST(TRY_STRPTIME(substr(text, 1, 10), '%Y-%m-%d') AS DATE)"
    return {
        AgeReading.BIRTH_YEARS: usable("birth_year", "value"),
        AgeReading.BIRTH_DATES: " OR ".join([usable("birth_date", compact), usable("birth_date", iso), *dates.values()]),
        AgeReading.BANDS: "regexp_matches(text, '^[^0-9-]*[0-9]{1,3} ?(\\+|[-\N{EN DASH}] ?[0-9]{1,3}|to |or |years)')",
        AgeReading.MONTHS: usable(column, "(value // 12)"),
    }
