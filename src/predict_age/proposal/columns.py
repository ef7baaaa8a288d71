"""Columns of ids, ages and profiles, guessed by name and content."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from predict_age.errors import ConfigError
from predict_age.letters import nearest
from predict_age.proposal.fields import Field, FieldPath, collect_fields, json_column, shared_fields
from predict_age.proposal.given_ages import ages_of_sample
from predict_age.proposal.identifiers import RepeatedId, counts_rows, is_of_others, person_id, repeated_id
from predict_age.proposal.sample import Record, SourceSample, json_object
from predict_age.proposal.written_dates import COMPACT
from predict_age.source.usual_names import AGE_NAMES, DATE_NAMES, YEAR_NAMES, words_of
from predict_age.source.value_form import shown_names
from predict_age.source.whole_records import BY_POSITION
from predict_age.tally import part_in_words, percent

Role = Literal["pid", "approximate_age", "birth_year", "birth_date"]
AGE_ROLES: tuple[Role, ...] = ("approximate_age", "birth_year", "birth_date")
OLDEST_AGE = 120  # years
NESTED_FIX = (
    "write ids and ages beside the rest, as docs/data-contract.md shows, and name them: --pid, --age, --birth-year, --birth-date"
)
UNIQUE_SHARE = 0.98  # of the ids that differ; some rows may be duplicates
READABLE_SHARE = 0.8  # of the values of an age column that can be ages
_ID_NAMES = ("pid", "person_id", "personid", "id", "uuid", "guid", "key")
_ID_WORDS = frozenset(
    [
        "id",
        "pid",
        "uuid",
        "guid",
        "key",
        "no",
        "nr",
        "num",
        "number",
        "code",
        "index",
        "idx",
        "seq",
        "serial",
        "respondent",
        "person",
    ]
)
_NO_AGE_WORDS = frozenset(
    ["group", "band", "range", "cat", "category", "class", "bracket", "first", "start", "end", "days", "months"]
)


@dataclass(frozen=True)
class ColumnGuess:
    """Column for a ``role``: its name, the evidence in words, and whether a person should be asked."""

    role: Role
    name: str
    evidence: str
    sure: bool


@dataclass(frozen=True)
class Columns:
    """Columns of a source. ``profile``: the column of JSON profiles, or "*" for all columns together.

    ``repeated``: the ids, where several rows have the same. ``other_id``: a column with another value in each row, which may be the
    id instead.
    """

    pid: ColumnGuess
    ages: tuple[ColumnGuess, ...]
    birth_date_format: str
    profile: str
    repeated: RepeatedId | None = None
    other_id: str = ""

    @property
    def taken(self) -> list[str]:
        """Names of the columns of ids and ages."""
        return [self.pid.name, *(age.name for age in self.ages)]


def guess_columns(sample: SourceSample, as_of: dt.date, given: dict[Role, str], ask: Callable[[ColumnGuess], str]) -> Columns:
    """Guess the columns of ``sample``. ``given`` are known already; ``ask`` returns the column to take where a guess is unsure.

    Raises ConfigError when no column can be the id or none the age, or when a given one does not exist.
    """
    fields = collect_fields(sample.records)
    top = {path[0]: field for path, field in fields.items() if len(path) == 1}
    for role, name in given.items():
        if name not in top:
            raise _no_column(role, name, sample.columns, fields)
    rows = len(sample.records)
    ages = [ColumnGuess(role, given[role], _evidence(top[given[role]], rows), True) for role in AGE_ROLES if role in given]
    if not ages:
        ages = _guess_ages(top, rows, as_of)
        ages = [_confirmed(guess, ask, top) if not guess.sure else guess for guess in ages]
    if not ages:
        raise _no_age(top, sample.columns, as_of, shared_fields(sample.records).fields)
    others = [name for name in sample.columns if name not in {a.name for a in ages}]
    pid = _id_column(top, others, _ages_by_row(top, ages, rows), given.get("pid", ""), ask)
    date = next((a.name for a in ages if a.role == "birth_date"), "")
    pattern = "" if not date or top[date].date_format == COMPACT else top[date].date_format
    rest = [name for name in others if name != pid.name]
    repeated = repeated_id(pid.name, top[pid.name])
    other = max(_unique_ids(top, rest, rows), default=None) if repeated and "pid" in given else None
    return Columns(pid, tuple(ages), pattern, _profile_column(sample, fields, rest), repeated, other[-1] if other else "")


def guess_ages(records: Sequence[Record], as_of: dt.date) -> tuple[ColumnGuess, ...]:
    """Columns of ages of a source whose ids are not known; none where no column looks like one."""
    top = {path[0]: field for path, field in collect_fields(records).items() if len(path) == 1}
    return tuple(_guess_ages(top, len(records), as_of))


def _ages_by_row(top: dict[str, Field], ages: Sequence[ColumnGuess], rows: int) -> list[float | None]:
    """Years that tell neighbouring rows of one person: ages, or years of birth, of the first column that a row has."""
    years: list[float | None] = [None] * rows
    for guess in reversed(ages):
        field = top[guess.name]
        for row, text in zip(field.rows, field.texts, strict=True):
            pattern = r"(?:18|19|20)\d\d" if guess.role == "birth_date" else r"[+-]?\d+(?:\.\d+)?"
            if number := re.search(pattern, text):
                years[row] = float(number[0])
    return years


def _profile_column(sample: SourceSample, fields: dict[FieldPath, Field], rest: Sequence[str]) -> str:
    text = json_column(sample.records, rest)
    if text and _most_keys(sample.records, text) >= len(rest) - 1:  # else it is one of many columns, which would all be left out
        return text
    if len(rest) == 1 and any(len(path) > 1 and path[0] == rest[0] and path[1] != "*" for path in fields):
        return rest[0]
    return "*"


def _most_keys(records: Sequence[Record], column: str) -> int:
    """Most keys that an object of a text column has."""
    return max((len(found) for record in records if (found := json_object(record.get(column)))), default=0)


def _guess_ages(top: dict[str, Field], rows: int, as_of: dt.date) -> list[ColumnGuess]:
    """Best column of each age role. Names decide, and the values must fit."""
    found: list[ColumnGuess] = []
    for role in AGE_ROLES:
        fitting = [(score, name) for name, f in top.items() if (score := _age_score(role, name, f, as_of))]
        if fitting:
            score, name = max(fitting, key=lambda pair: (pair[0], len(top[pair[1]].values)))
            if name not in {guess.name for guess in found}:
                found.append(ColumnGuess(role, name, _evidence(top[name], rows), score >= 2))
    sure = [guess for guess in found if guess.sure]
    return sure or found[:1]


def _named_as(role: Role, name: str) -> int:
    """2 when a column's name says that it has this role, 1 when a part of the name does, 0 otherwise."""
    letters, words = "".join(words_of(name)), words_of(name)
    if role == "birth_date":
        return 2 if letters in DATE_NAMES else int("birth" in letters)
    if role == "birth_year":
        return 2 if letters in YEAR_NAMES else int("birth" in letters or "born" in words)
    if letters in AGE_NAMES:
        return 2
    return int(any((w.startswith("age") and len(w) <= 4) or w in AGE_NAMES for w in words) and not _NO_AGE_WORDS & set(words))


def _age_score(role: Role, name: str, field: Field, as_of: dt.date) -> int:
    """As :func:`_named_as`, and 0 where the values do not fit."""
    if role == "birth_date":
        return _named_as(role, name) if field.is_iso_date or field.date_formats else 0
    low, high = (as_of.year - OLDEST_AGE, as_of.year) if role == "birth_year" else (0, OLDEST_AGE)
    readable = sum(low <= n <= high for n in field.numbers)
    if not field.texts or readable < READABLE_SHARE * len(field.texts) or len(field.counts) < 3:
        return 0
    return _named_as(role, name)


def _no_column(role: Role, name: str, columns: Sequence[str], fields: dict[FieldPath, Field]) -> ConfigError:
    """The error of a column that was given by name and is none: perhaps a value lies deeper in the records."""
    inside = next((path for path in fields if len(path) > 1 and name in (path[0], ".".join(path))), None)
    if inside is None:
        near = nearest(name, columns)
        fix = f"did you mean {near!r}?" if near else ""
        return ConfigError(
            f"there is no column {name!r} for {role}", expected="one of " + shown_names(columns), found=name, fix=fix
        )
    return ConfigError(
        f"{name!r} cannot be {role}: it lies inside {inside[0]}" if name != inside[0] else f"{name!r} cannot be {role}",
        expected="ids and ages at the top of each record; only features may lie deeper",
        found=f"objects or lists in {inside[0]}",
        fix=NESTED_FIX,
    )


def _nested_ages(fields: dict[FieldPath, Field]) -> list[str]:
    """Paths below the top of the records whose names are those of ages."""
    nested = [path for path in fields if len(path) > 1 and "*" not in path]
    return [".".join(path) for path in nested if any(_named_as(role, path[-1]) == 2 for role in AGE_ROLES)]


def _no_age(top: dict[str, Field], columns: Sequence[str], as_of: dt.date, fields: dict[FieldPath, Field]) -> ConfigError:
    """The error of a source without a column of ages; columns that are named like one are listed with the likely unit."""
    candidates, named = [], []
    for name, field in top.items():
        role = max(AGE_ROLES, key=lambda role: _named_as(role, name))
        if not _named_as(role, name) or not field.texts:
            continue
        named.append(name)
        found = ages_of_sample([{name: text} for text in field.texts], {role: name}, as_of, "")
        candidates.append("; ".join(filter(None, [f"{name}: {found.given.sentence}", *found.unused, found.likely])))
    if (nested := _nested_ages(fields)) and not candidates:
        return ConfigError(
            "no column at the top of the records looks like an age",
            expected="ids and ages at the top of each record; only features may lie deeper",
            found=f"{', '.join(nested[:3])} inside other values",
            fix=NESTED_FIX,
        )
    return ConfigError(
        f"too few values of {shown_names(named)} can be read as ages" if named else "no column looks like an age",
        expected="a column named age, birth_year, date_of_birth or the like, "
        f"{percent(READABLE_SHARE, 0)} of whose values are such",
        found="; ".join(candidates) or "columns " + shown_names(columns),
        fix=("correct the values; to use the readable ones alone, or another column, " if named else "")
        + "name it: --age COLUMN, --birth-year COLUMN or --birth-date COLUMN; ages in another unit have to be converted first",
    )


def _id_column(
    top: dict[str, Field], names: Sequence[str], ages: Sequence[float | None], given: str, ask: Callable[[ColumnGuess], str]
) -> ColumnGuess:
    rows = len(ages)
    if given:
        return ColumnGuess("pid", given, _evidence(top[given], rows), True)
    scored = _unique_ids(top, names, rows)
    named, _, _, _, name = max(scored, default=(0, False, False, 0, ""))
    is_of_rows = not name or not named or counts_rows(top[name]) or is_of_others(name)
    if is_of_rows and (repeated := person_id(top, names, ages)):
        return _confirmed(ColumnGuess("pid", repeated.name, _evidence(top[repeated.name], rows), False), ask, top)
    if not scored:
        raise ConfigError(
            "no column looks like an identifier of people",
            expected="a column with another value in each row: whole numbers, or texts such as UUIDs",
            found="columns " + ", ".join(names),
            fix="name it: --pid COLUMN; a source without one needs a column with a number for each row",
        )
    each = ", a number for each row: each record is taken for a person" if counts_rows(top[name]) else ""
    guess = ColumnGuess("pid", name, _evidence(top[name], rows) + each, named >= 2)
    return guess if guess.sure else _confirmed(guess, ask, top)


def _unique_ids(top: dict[str, Field], names: Sequence[str], rows: int) -> list[tuple[int, bool, bool, int, str]]:
    """Columns with another value in each of ``rows``, each with what speaks for it as an id; the largest is the likeliest."""
    scored = []
    for position, name in enumerate(names):
        field = top.get(name)
        if field is None or len(field.values) < rows * UNIQUE_SHARE or len(field.counts) < len(field.values) * UNIQUE_SHARE:
            continue
        words = set(words_of(name))
        named = (
            3
            if "".join(words_of(name)) in {"".join(words_of(n)) for n in _ID_NAMES}
            else 2
            if words & _ID_WORDS or name == BY_POSITION
            else 0
        )
        whole = all(re.fullmatch(r"\d{1,19}", t) for t in field.texts[:1000])
        short = all(len(t) <= 64 and " " not in t for t in field.texts[:1000])
        if named or whole or (short and position == 0):
            scored.append((named, position == 0, whole, -position, name))
    return scored


def _confirmed(guess: ColumnGuess, ask: Callable[[ColumnGuess], str], top: dict[str, Field]) -> ColumnGuess:
    """The guess after somebody was asked; ConfigError when the answer is no column."""
    name = ask(guess)
    if name not in top:
        raise ConfigError(f"there is no column {name!r}", expected="a column of the source", found=name)
    return replace(guess, name=name, sure=True)


def _evidence(field: Field, rows: int) -> str:
    """Contents of the column in words: how many values, how many different ones; nothing of the ages of single people."""
    return f"{part_in_words(len(field.values), rows)} rows, {len(field.counts):,} different values"
