"""Ages of a sample: how many are given, how many a run would know, and why the others are not used."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.config import Config
from predict_age.proposal.sample import Record
from predict_age.records.given_ages import AGE_OF_MINOR, GivenAges
from predict_age.runs.age_gate import AgeFindings
from predict_age.source.age_states import count_states, sum_unusable, with_readings
from predict_age.source.row_rules import AgeState, RowRules, UnusableAges, connect
from predict_age.tally import MIN_SHOWN_PEOPLE, shown_parts

KNOWN_TO_OTHERS = 4  # known ages for each other value without use, from which on repeated texts are codes for a missing date
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")


@dataclass(frozen=True)
class SampleAges:
    """Age of each record that a run would know; ``withheld`` (n,): records of people known to be younger than ``ages.min_age``.

    ``given`` counts records by the rules of a run. ``unused``: sentences about values that are not used; ``likely``: the reason
    where one is apparent. ``missing``: texts in the column of dates of birth that stand for no value, such as ``01.01.1900``.
    """

    ages: list[int | None] = field(repr=False)
    withheld: NDArray[np.bool_] = field(repr=False)
    given: GivenAges
    unused: list[str]
    likely: str
    missing: tuple[str, ...] = ()


def ages_of_sample(
    records: Sequence[Record], columns: Mapping[str, str], as_of: dt.date, date_format: str, missing: tuple[str, ...] = ()
) -> SampleAges:
    """Read the age ``columns`` of ``records``, name by role, by the rules of a run with the default settings.

    Texts that are found to stand for no date of birth are read again as ``missing``.
    """
    texts = {role: [_as_text(record.get(name), missing) for record in records] for role, name in columns.items()}
    raw = pa.table({"pid": range(len(records)), **{role: pa.array(values, pa.string()) for role, values in texts.items()}})
    config = Config()
    rules = RowRules(config.ages, as_of, date_format)
    canonical = rules.canonical(connect(), raw, ("known_age", "age_state"))
    states = canonical["age_state"].to_numpy()
    young = states == AgeState.WITHHELD
    pairs = zip(canonical["known_age"].to_pylist(), states == AgeState.KNOWN, strict=True)
    ages = [age if known else None for age, known in pairs]
    found = sum_unusable(rules.unused(connect(), raw, pa.array(~young), pa.array(young)))
    given = count_states(states.astype(np.uint8))
    if not missing and (codes := _codes_for_missing(found, texts.get("birth_date", []), given)):
        return ages_of_sample(records, columns, as_of, date_format, codes)
    unused = [with_readings(values, columns[values.column], rules) for values in found]
    minors = young | (states == AgeState.MINOR)
    if any(values.reason == AGE_OF_MINOR and values.readings for values in unused):
        minors[:] = False  # ages in another unit, which make nobody a minor
    sentences = [values.shared_sentence for values in unused]
    return SampleAges(ages, minors, given, sentences, AgeFindings(given, unused, config, as_of).likely, missing)


def _as_text(value: object, missing: Collection[str]) -> str | None:
    return None if value is None or str(value) in missing else str(value)


def _codes_for_missing(found: Sequence[UnusableAges], dates: Sequence[str | None], given: GivenAges) -> tuple[str, ...]:
    """Texts that stand for no date of birth: 20 people share each, and no known age comes of it.

    None where other values cannot be used either: then the format may be the mistake. Numbers are none: they mean something in
    other columns.
    """
    unusable = {
        text for values in found if values.column == "birth_date" and values.reason != AGE_OF_MINOR for text in values.first
    }
    shared = Counter(text for text in dates if text in unusable and not _NUMBER.fullmatch(text))
    codes = {text: rows for text, rows in shared.items() if rows >= MIN_SHOWN_PEOPLE}
    others = given.unusable - sum(codes.values())
    return tuple(sorted(codes)) if given.known and given.known >= KNOWN_TO_OTHERS * others else ()


@dataclass(frozen=True)
class Described:
    """Records that a description or a proposal rests on, their known ages, and ``withheld`` people who are left out."""

    records: list[Record]
    ages: list[int | None]
    withheld: int


def without_minors(records: Sequence[Record], ages: SampleAges, pid: str) -> Described:
    """Leave out each person of whom a record has an age below ``ages.min_age``, with all their records.

    A run neither trains on these people nor predicts for them. Their number alone is told, see :func:`shown_given`.
    """
    young = {_person(record, pid, at) for at, record in enumerate(records) if ages.withheld[at]}
    kept = [at for at, record in enumerate(records) if _person(record, pid, at) not in young]
    return Described([records[at] for at in kept], [ages.ages[at] for at in kept], len(young))


def _person(record: Record, pid: str, at: int) -> object:
    """Id of the record's person; the record's number where it has none."""
    value = record.get(pid)
    return at if value is None else str(value)


def first_records(records: Sequence[Record], pid: str) -> list[Record]:
    """The first record of each person; every record where ids are not known (``pid`` is empty)."""
    kept: dict[object, Record] = {}
    for at, record in enumerate(records):
        kept.setdefault(_person(record, pid, at), record)
    return list(kept.values())


def shown_given(given: GivenAges, people: int) -> GivenAges:
    """Given ages of ``people`` as they may be shown: 10 stands for 1 to 19 people."""
    parts = {"known": given.known, "unusable": given.unusable, "minor": given.minor, "none": people - given.given}
    shown = shown_parts(parts)
    return GivenAges(shown["known"], shown["unusable"], shown["minor"])
