"""Ids and ages that stand inside sent profiles: whoever sends all of a record gets the answer that a run would give."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa

from predict_age.arrays import BoolArray, Int64Array
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.runs.run import RunPlan
from predict_age.runs.step_outputs import rules_of
from predict_age.runs.withheld_people import minors_by_records, pids_of_records
from predict_age.source.flat_records import NumberedRecords, ids_of_records, records_in
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

    def find(self, profiles: pa.StringArray, candidates: Collection[int]) -> NumberedRecords:
        """The records among those of the ``profiles`` whose numbers are ``candidates``: others are known to be none."""
        return records_in(profiles, self.source, candidates)

    def minors(self, records: NumberedRecords, people: int) -> BoolArray:
        """Who of n ``people`` is a minor by an age in one of the ``records`` inside their profiles."""
        return minors_by_records(records, people, self.source, self.rules)

    def ids(self, records: NumberedRecords) -> list[str]:
        """The ids in the ``records`` of a flat source."""
        return [text for _, text in ids_of_records(records, self.source)]

    def pids(self, records: NumberedRecords) -> tuple[Int64Array, Int64Array]:
        """Numbers of the ``records`` of a flat source that have ids, and the pids of these ids."""
        return pids_of_records(records, self.source, self.rules)
