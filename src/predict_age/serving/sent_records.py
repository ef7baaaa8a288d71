"""Ids and ages that stand inside sent profiles: whoever sends all of a record gets the answer that a run would give."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from predict_age.arrays import BoolArray, Int64Array
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.runs.run import RunPlan
from predict_age.runs.step_outputs import rules_of
from predict_age.runs.withheld_people import minors_by_profile, pids_in
from predict_age.source.flat_records import ids_in
from predict_age.source.row_rules import RowRules
from predict_age.source_config import SourceConfig
from predict_age.storage.workspace import RunFolder


@dataclass(frozen=True)
class SentRecords:
    """Names and rules by which the published run reads ids and ages."""

    source: SourceConfig
    rules: RowRules

    @classmethod
    def of(cls, run: RunFolder) -> SentRecords:
        """As ``run`` read its source."""
        plan = RunPlan.from_json(run.record)
        return cls(plan.config.source, rules_of(plan, run.facts(ReadSourceFacts)))

    def minors(self, profiles: pa.ChunkedArray | pa.StringArray) -> BoolArray:
        """Who of n people is a minor by an age inside the profile."""
        return minors_by_profile(profiles, self.source, self.rules)

    def ids(self, profiles: pa.ChunkedArray | pa.StringArray) -> list[str]:
        """The ids inside the profiles of a flat source."""
        return [text for _, text in ids_in(profiles, self.source)]

    def pids(self, profiles: pa.ChunkedArray | pa.StringArray) -> tuple[Int64Array, Int64Array]:
        """Numbers of the profiles of a flat source that have ids inside, and the pids of these ids."""
        return pids_in(profiles, self.source, self.rules)
