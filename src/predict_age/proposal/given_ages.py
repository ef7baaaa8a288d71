"""Ages of a sample: how many are given, how many a run would know, and why the others are not used."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from predict_age.config import Config
from predict_age.proposal.sample import Record
from predict_age.records.given_ages import GivenAges
from predict_age.runs.age_gate import AgeFindings
from predict_age.source.age_states import count_states, sum_unusable, with_readings
from predict_age.source.row_rules import AgeState, RowRules, connect


@dataclass(frozen=True)
class SampleAges:
    """Age of each record, those of young people included; ``given`` counts records by the rules of a run.

    ``unused``: sentences about values that are not used; ``likely``: the reason where one is apparent.
    """

    ages: list[int | None]
    given: GivenAges
    unused: list[str]
    likely: str


def ages_of_sample(records: Sequence[Record], columns: Mapping[str, str], as_of: dt.date, date_format: str) -> SampleAges:
    """Read the age ``columns`` of ``records``, name by role, by the rules of a run with the default settings."""
    texts = {role: [_as_text(record.get(name)) for record in records] for role, name in columns.items()}
    raw = pa.table({"pid": range(len(records)), **{role: pa.array(values, pa.string()) for role, values in texts.items()}})
    config = Config()
    rules = RowRules(config.ages, as_of, date_format)
    all_ages = replace(rules, ages=config.ages.model_copy(update={"min_age": 0}))
    ages: list[int | None] = all_ages.canonical(connect(), raw, ("known_age",))["known_age"].to_pylist()
    states = rules.canonical(connect(), raw, ("age_state",))["age_state"].to_numpy()
    young = states == AgeState.WITHHELD
    found = sum_unusable(rules.unused(connect(), raw, pa.array(~young), pa.array(young)))
    unused = [with_readings(values, columns[values.column], rules) for values in found]
    given = count_states(states.astype(np.uint8))
    return SampleAges(ages, given, [u.sentence for u in unused], AgeFindings(given, unused, config, as_of).likely)


def _as_text(value: object) -> str | None:
    return None if value is None else str(value)
