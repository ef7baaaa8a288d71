"""From raw columns of any type to canonical rows: the one place that decides which pid and which age counts."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import pyarrow as pa

from predict_age.config import AgesConfig

if TYPE_CHECKING:
    import duckdb

INT64_DIGITS = 19
EXISTING = {"approximate_age": "EXISTING_APPROX_AGE", "birth_year": "EXISTING_BIRTH_YEAR"}


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


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _whole_number(column: str, kind: pa.DataType) -> str:
    """SQL for ``column`` as BIGINT, NULL where it is no whole number or does not fit. 12.0 is whole, 12.7 and true are not."""
    name = f'"{column}"'
    if pa.types.is_integer(kind):
        return f"TRY_CAST({name} AS BIGINT)"
    if pa.types.is_floating(kind):
        return f"CASE WHEN {name} = floor({name}) AND abs({name}) < 9007199254740992 THEN CAST({name} AS BIGINT) END"
    if _is_text(kind) or pa.types.is_decimal(kind):
        text = f"trim(CAST({name} AS VARCHAR))"
        return f"CASE WHEN regexp_full_match({text}, '[+-]?[0-9]+([.]0*)?') THEN TRY_CAST(split_part({text}, '.', 1) AS BIGINT) END"
    return "CAST(NULL AS BIGINT)"


def _given(column: str, kind: pa.DataType) -> str:
    if pa.types.is_null(kind):
        return "FALSE"
    if _is_text(kind):
        return f'("{column}" IS NOT NULL AND trim("{column}") <> \'\')'
    if pa.types.is_floating(kind):
        return f'("{column}" IS NOT NULL AND NOT isnan("{column}"))'
    return f'("{column}" IS NOT NULL)'


@dataclass(frozen=True)
class RowRules:
    """What decides about a row: the age window and precedence, and the date at which people have that age."""

    ages: AgesConfig
    as_of: dt.date

    def canonical(self, connection: duckdb.DuckDBPyConnection, raw: pa.Table, only: tuple[str, ...] = ("*",)) -> pa.Table:
        """Judge ``raw`` (columns pid, birth_year, approximate_age of any type), keeping order and number of rows.

        ``only`` these columns of the result are made; all by default.

        Returns: ``pid`` BIGINT (NULL when unusable) and ``problem`` (why); ``birth_year``, ``approximate_age`` INT as given;
        ``known_age`` INT years inside the window or NULL, ``known_source``; ``needs_prediction`` BOOL; and the counted
        oddities ``unreadable_age``, ``implausible_age``, ``conflicting_age`` BOOL.
        """
        kinds = {name: raw.schema.field(name).type for name in ("pid", "birth_year", "approximate_age")}
        window = f"BETWEEN {self.ages.min} AND {self.ages.max}"
        ages = {
            "approximate_age": f"CASE WHEN given_age {window} THEN given_age END",
            "birth_year": f"CASE WHEN {self.as_of.year} - year {window} THEN {self.as_of.year} - year END",
        }
        chosen = ", ".join(f"{column}_known" for column in self.ages.precedence)
        sources = " ".join(f"WHEN {c}_known IS NOT NULL THEN '{EXISTING[c]}'" for c in self.ages.precedence)
        query = f"""
            WITH numbers AS (
                SELECT {_whole_number("pid", kinds["pid"])} AS pid, {_given("pid", kinds["pid"])} AS pid_given,
                       {self._digits(kinds["pid"])} AS pid_numeric,
                       {_whole_number("birth_year", kinds["birth_year"])} AS year,
                       {_whole_number("approximate_age", kinds["approximate_age"])} AS given_age,
                       {_given("birth_year", kinds["birth_year"])} AS year_given,
                       {_given("approximate_age", kinds["approximate_age"])} AS age_given
                FROM raw
            ), judged AS (
                SELECT *, {ages["approximate_age"]} AS approximate_age_known, {ages["birth_year"]} AS birth_year_known FROM numbers
            )
            SELECT pid,
                   CASE WHEN pid IS NOT NULL THEN NULL WHEN NOT pid_given THEN 'pid_missing'
                        WHEN pid_numeric THEN 'pid_out_of_range' ELSE 'pid_not_an_integer' END AS problem,
                   TRY_CAST(year AS INTEGER) AS birth_year, TRY_CAST(given_age AS INTEGER) AS approximate_age,
                   CAST(coalesce({chosen}) AS INTEGER) AS known_age,
                   CASE {sources} END AS known_source,
                   pid IS NOT NULL AND coalesce({chosen}) IS NULL AS needs_prediction,
                   pid IS NOT NULL AND ((year_given AND year IS NULL) OR (age_given AND given_age IS NULL)) AS unreadable_age,
                   pid IS NOT NULL AND ((year IS NOT NULL AND birth_year_known IS NULL)
                        OR (given_age IS NOT NULL AND approximate_age_known IS NULL)) AS implausible_age,
                   pid IS NOT NULL AND coalesce(abs(birth_year_known - approximate_age_known) > {self.ages.conflict_years}, FALSE)
                        AS conflicting_age
            FROM judged"""
        register(connection, "raw", raw)
        return connection.sql(f"SELECT {', '.join(only)} FROM ({query})").to_arrow_table()

    @staticmethod
    def _digits(kind: pa.DataType) -> str:
        if _is_text(kind):
            return "coalesce(regexp_full_match(trim(\"pid\"), '[+-]?[0-9]+([.]0*)?'), FALSE)"
        return "TRUE" if pa.types.is_integer(kind) else "FALSE"
