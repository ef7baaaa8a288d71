"""From raw columns of any type to canonical rows: the one place that decides which pid and which age counts."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.compute as pc

from predict_age.config import AgesConfig
from predict_age.records.given_ages import AGE_OF_MINOR, IMPLAUSIBLE, UNREADABLE
from predict_age.source.column_types import is_text
from predict_age.source.text_ids import NOT_AN_INTEGER, OUT_OF_RANGE, read_text_ids
from predict_age.source.unread_minors import add_unread_minors, unread_minor
from predict_age.source.value_form import form_of
from predict_age.source.value_sql import WHOLE, given_and_read, trimmed, was_given, whole_number
from predict_age.storage.spill import spill_folder
from predict_age.tally import MIN_SHOWN_PEOPLE

if TYPE_CHECKING:
    import duckdb

EXISTING = {
    "approximate_age": "EXISTING_APPROX_AGE",
    "birth_date": "EXISTING_BIRTH_DATE",
    "birth_year": "EXISTING_BIRTH_YEAR",
}
YEARS_BELOW = 4  # known minors so far below the limit show how frequent those of unknown age are: 14 to 17
KEPT_ENDS = MIN_SHOWN_PEOPLE  # smallest and largest numbers of each piece: the last of them is the first that may be shown
KEPT_VALUES = 50  # of a column and reason in each piece of the source, to find out what is wrong with them; never written
IdType = Literal["integer", "text"]


def id_type_named(name: str) -> IdType:
    """Type of the ids of a source as its record names it."""
    return "text" if name == "text" else "integer"


class AgeState(IntEnum):
    """State of a row's age: nothing is given, it is known, of no use, readable but below the window, or withheld."""

    ABSENT = 0
    KNOWN = 1
    UNUSABLE = 2
    MINOR = 3
    WITHHELD = 4


def connect() -> duckdb.DuckDBPyConnection:
    """A single-threaded in-memory connection that reads no file: parallelism comes from processes.

    All of a process share one engine, whose start takes twenty times as long as a connection to it.
    """
    return _engine(os.getpid(), spill_folder()).cursor()


@lru_cache(maxsize=1)
def _engine(_process: int, spill: str) -> duckdb.DuckDBPyConnection:
    import duckdb  # a tenth of a second, and the process that leads a run needs no engine

    alone: dict[str, str | int | float | list[str]] = {"threads": 1, "memory_limit": "2GB", "temp_directory": spill}
    connection = duckdb.connect(config={**alone, "python_enable_replacements": False})
    add_unread_minors(connection)
    connection.execute("SET enable_external_access = false")  # afterwards the folder could not be set
    return connection


def register(connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    """Make ``table`` known to ``connection``, in one chunk: the few rows of a small one may come last in what DuckDB answers."""
    connection.register(name, table.combine_chunks())


def read_ids(connection: duckdb.DuckDBPyConnection, ids: pa.ChunkedArray, reading: IdType) -> pa.ChunkedArray:
    """The pids, BIGINT, that ``ids`` (n,) of any type stand for in a source of this type of ids; NULL where there is none."""
    if reading == "text":
        return read_text_ids(ids)["pid"]
    register(connection, "raw", pa.table({"pid": ids}))
    return connection.sql(f"SELECT {whole_number('pid', ids.type)} AS pid FROM raw").to_arrow_table()["pid"]


@dataclass(frozen=True)
class UnusableAges:
    """Values of an age column that stand for no known age: why, how many, the form of the first, and some others.

    Where some of them are of people who are not only too young, ``first`` has these alone. ``lowest`` and ``highest`` are the
    smallest and largest numbers, the outermost first.
    """

    column: str
    reason: str
    rows: int
    form: str
    first: tuple[str, ...] = ()
    lowest: tuple[float, ...] = ()
    highest: tuple[float, ...] = ()


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
        """SQL for whether ``value`` of an age column stands for an age from 0 to below ``ages.min_age``.

        A birth year of two digits does where the year 100 years before would make the person older than ``ages.max``; so does the
        year of a birth date, such as 0012-03-05. The year 1 is no date.
        """
        if not self.ages.min_age:
            return "FALSE"
        minor = self._between(column, value, 0, self.ages.min_age - 1)
        if column == "approximate_age":
            return minor
        if column == "birth_date":
            century = self.as_of.year // 100 * 100
            low, high = century + max(self.ages.max - 99, 0), century + self.ages.min_age - 1
            return f"({minor} OR {self._years(column, value)} BETWEEN {low} AND {high} AND year({value}) > 1)"
        since = self.as_of.year % 100  # "12" is 2012 where nobody born in 1912 can be meant
        low, high = max(since - self.ages.min_age + 1, 0), min(since, since + 99 - self.ages.max)
        return f"({minor} OR {value} BETWEEN {low} AND {high})"

    def unread_minor(self, column: str, kind: pa.DataType, given: str, value: str) -> str:
        """SQL as of :func:`unread_minor`. ``given`` and ``value`` are SQL for what :meth:`given_and_read` has for the column."""
        return unread_minor(column, kind, self.ages, self.as_of, given, value) if self.ages.min_age else "FALSE"

    def is_near_limit(self, column: str, value: str) -> str:
        """SQL for whether ``value`` of an age column stands for one of the YEARS_BELOW ages below ``ages.min_age``."""
        return f"coalesce({self._between(column, value, max(self.ages.min_age - YEARS_BELOW, 0), self.ages.min_age - 1)}, FALSE)"

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

    def is_too_young(self, column: str, value: str) -> str:
        """SQL for whether ``value`` of an age column stands for an age from 0 to below the window: correct, only not used."""
        return f"coalesce({self._between(column, value, 0, self.ages.youngest - 1)}, FALSE)" if self.ages.youngest else "FALSE"

    def unused(
        self, connection: duckdb.DuckDBPyConnection, raw: pa.Table, odd: pa.ChunkedArray, withheld: pa.ChunkedArray
    ) -> list[UnusableAges]:
        """Ages in ``raw`` (n rows) that are not used: those of no use in ``odd`` rows, those of minors in ``withheld`` rows.

        Both are booleans (n,); a withheld row is not odd.
        """
        found = self.unusable(connection, raw.filter(odd)) if pc.any(odd).as_py() else []
        young = self.unusable(connection, raw.filter(withheld)) if pc.any(withheld).as_py() else []
        return found + [ages for ages in young if ages.reason == AGE_OF_MINOR]

    def unusable(self, connection: duckdb.DuckDBPyConnection, raw: pa.Table) -> list[UnusableAges]:
        """Count the values of age columns in ``raw`` that stand for no known age, by column and reason.

        A row that is withheld counts as one of somebody too young for each column that makes it so.
        """
        found = []
        for column in (c for c in EXISTING if c in raw.column_names and not pa.types.is_null(raw[c].type)):
            given, value = self.given_and_read(column, raw[column].type)
            register(connection, "raw", raw)
            unread = self.unread_minor(column, raw[column].type, given, value)
            read = f"row_number() OVER () AS row, CAST({column} AS VARCHAR) AS text, {given} AS given, {value} AS value"
            some = "array_agg(text ORDER BY row * 7919 % 10007)"  # spread over the piece, because sources are often sorted
            older = f"{some} FILTER (NOT {self.is_too_young(column, 'value')})"
            minor = f"(unread_minor OR coalesce({self.is_minor(column, 'value')}, FALSE))"
            number = "TRY_CAST(text AS DOUBLE)"
            query = f"""
                SELECT CASE WHEN {minor} THEN '{AGE_OF_MINOR}' WHEN value IS NULL THEN '{UNREADABLE}'
                            ELSE '{IMPLAUSIBLE}' END AS reason,
                       count(*), first(text ORDER BY row),
                       list_slice(coalesce({older}, {some}), 1, {KEPT_VALUES}),
                       min({number}, {KEPT_ENDS}) FILTER (isfinite({number})),
                       max({number}, {KEPT_ENDS}) FILTER (isfinite({number}))
                FROM (SELECT {read}, {unread} AS unread_minor FROM raw)
                WHERE given AND {self.known(column, "value")} IS NULL GROUP BY reason ORDER BY reason"""
            for reason, rows, text, first, low, high in connection.execute(query).fetchall():
                form = "" if reason == AGE_OF_MINOR else form_of(text)
                found.append(UnusableAges(column, reason, rows, form, tuple(first), tuple(low or ()), tuple(high or ())))
        return found

    def canonical(self, connection: duckdb.DuckDBPyConnection, raw: pa.Table, only: tuple[str, ...] = ("*",)) -> pa.Table:
        """Judge ``raw`` (columns pid and those of ages, of any type), keeping order and number of rows.

        ``only`` these columns of the result are made; all by default.

        Returns: ``pid`` BIGINT (NULL when unusable) and ``problem`` (why); ``birth_year``, ``approximate_age`` INT as given;
        ``known_age`` INT years inside the window or NULL, ``known_source``; ``needs_prediction`` BOOL; ``withheld`` BOOL, somebody
        whom any age column makes younger than ``ages.min_age``, ``zero_age`` BOOL, where nothing but an approximate age of 0 does,
        and ``near_limit`` BOOL, where an age at most YEARS_BELOW years too low does; and the counted oddities ``unreadable_age``,
        ``implausible_age``, ``conflicting_age`` BOOL. A withheld row has neither ages nor oddities. ``age_state`` UTINYINT is an
        AgeState by the columns that count. Where ids are text, also ``source_id`` and ``id_check``, a second hash of it.
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
        columns = [c for c in EXISTING if c in kinds and raw[c].null_count < raw.num_rows]  # working copies have all of them
        read = {c: self.given_and_read(c, kinds[c]) for c in columns}
        values = "".join(f", {value} AS {c}_value, {given} AS {c}_given, {c}" for c, (given, value) in read.items())
        unread = "".join(f", {self.unread_minor(c, kinds[c], f'{c}_given', f'{c}_value')} AS {c}_unread_minor" for c in columns)
        known = "".join(f", {self.known(c, f'{c}_value')} AS {c}_known" for c in columns)
        chosen = [f"{c}_known" for c in self.ages.precedence if c in columns]
        age = f"CASE WHEN NOT withheld THEN coalesce({', '.join(chosen)}) END" if chosen else "NULL"
        minor = {c: f"({c}_unread_minor OR coalesce({self.is_minor(c, f'{c}_value')}, FALSE))" for c in columns}
        withheld = f"pid IS NOT NULL AND ({' OR '.join(minor.values())})" if minor else "FALSE"
        older = "".join(f" AND NOT {sql}" for c, sql in minor.items() if c != "approximate_age")
        zero = f"withheld AND coalesce(approximate_age_value = 0, FALSE){older}" if "approximate_age" in minor else "FALSE"
        near = " OR ".join(self.is_near_limit(c, f"{c}_value") for c in minor) or "FALSE"
        sources = " ".join(f"WHEN {c}_known IS NOT NULL THEN '{EXISTING[c]}'" for c in self.ages.precedence if c in columns)

        def any_of(condition: str) -> str:
            several = " OR ".join(f"({condition.format(c)})" for c in columns)
            return f"pid IS NOT NULL AND NOT withheld AND ({several})" if several else "FALSE"

        def as_given(column: str) -> str:
            return f"CASE WHEN NOT withheld THEN TRY_CAST({column}_value AS INTEGER) END" if column in columns else "NULL::INTEGER"

        counting = [c for c in self.ages.precedence if c in columns]
        young = " OR ".join(self.is_too_young(c, f"{c}_value") for c in counting) or "FALSE"
        given_any = " OR ".join(f"{c}_given" for c in counting) or "FALSE"
        apart = ", ".join(f"{c}_known" for c in columns)
        conflict = f"greatest({apart}) - least({apart}) > {self.ages.conflict_years}" if len(columns) > 1 else "FALSE"
        pid = whole_number("pid", kinds["pid"])  # why there is none is looked at only where there is none
        query = f"""
            WITH numbers AS (
                SELECT {pid} AS pid, CASE WHEN {pid} IS NULL THEN {was_given("pid", kinds["pid"])} END AS pid_given,
                       CASE WHEN {pid} IS NULL THEN {self._digits(kinds["pid"])} END AS pid_numeric{values}
                FROM raw
            ), judged AS (SELECT *{known}, {withheld} AS withheld FROM (SELECT *{unread} FROM numbers))
            SELECT pid,
                   CASE WHEN pid IS NOT NULL THEN NULL WHEN NOT pid_given THEN 'pid_missing'
                        WHEN pid_numeric THEN '{OUT_OF_RANGE}' ELSE '{NOT_AN_INTEGER}' END AS problem,
                   {as_given("birth_year")} AS birth_year,
                   {as_given("approximate_age")} AS approximate_age,
                   CAST({age} AS INTEGER) AS known_age,
                   {f"CASE WHEN withheld THEN NULL {sources} END" if sources else "CAST(NULL AS VARCHAR)"} AS known_source,
                   pid IS NOT NULL AND NOT withheld AND {age} IS NULL AS needs_prediction,
                   withheld, {zero} AS zero_age, withheld AND ({near}) AS near_limit,
                   {any_of("{0}_given AND {0}_value IS NULL")} AS unreadable_age,
                   {any_of("{0}_value IS NOT NULL AND {0}_known IS NULL")} AS implausible_age,
                   pid IS NOT NULL AND NOT withheld AND coalesce({conflict}, FALSE) AS conflicting_age,
                   CAST(CASE WHEN pid IS NULL THEN {AgeState.ABSENT} WHEN withheld THEN {AgeState.WITHHELD}
                             WHEN {age} IS NOT NULL THEN {AgeState.KNOWN} WHEN {young} THEN {AgeState.MINOR}
                             WHEN {given_any} THEN {AgeState.UNUSABLE} ELSE {AgeState.ABSENT} END AS UTINYINT) AS age_state
            FROM judged"""
        register(connection, "raw", raw)
        return connection.sql(f"SELECT {', '.join(only)} FROM ({query})").to_arrow_table()

    @staticmethod
    def _digits(kind: pa.DataType) -> str:
        if is_text(kind) or pa.types.is_decimal(kind):
            return f"coalesce(regexp_full_match({trimmed('pid')}, '{WHOLE}'), FALSE)"
        return "TRUE" if pa.types.is_integer(kind) else "FALSE"
