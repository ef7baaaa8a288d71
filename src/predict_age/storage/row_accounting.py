"""Row accounting: every source row is somewhere, every person is exactly once in the result, or nothing is published."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from predict_age.errors import IntegrityError
from predict_age.records.json_fields import as_json
from predict_age.records.step_facts import ReadSourceFacts, RowCounts
from predict_age.records.training_source import TrainingSourceRows
from predict_age.tally import Tally

ML_PREDICTION = "ML_PREDICTION"
DEFAULT = "DEFAULT"
WITHHELD_MINOR = "WITHHELD"
NOT_IN_RUN = "(not there)"  # where two runs are compared: a person whom only one of them has


@dataclass(frozen=True)
class RowAccounting:
    """Row counts of a run. ``checksum`` is the order-free sum of hashed pids that the result must reproduce."""

    read: int
    set_aside: int
    usable: int
    distinct: int
    duplicate: int
    checksum: int
    existing_by_source: dict[str, int] = field(default_factory=dict)
    predicted: int = 0
    default: int = 0
    suppressed: int | None = None
    withheld: int | None = None
    training: TrainingSourceRows | None = None

    @classmethod
    def of(cls, source: ReadSourceFacts, tally: Tally) -> Self:
        """From the row counts of the ``source`` and the ``tally`` of the result, checked: raises IntegrityError."""
        rows = tally.group("rows")
        books = cls(
            read=source.read,
            set_aside=sum(source.rejected.values()),
            usable=source.usable,
            distinct=source.distinct,
            duplicate=source.duplicate,
            checksum=source.checksum,
            existing_by_source={k: n for k, n in rows.items() if k.startswith("EXISTING")},
            predicted=rows.get(ML_PREDICTION, 0),
            default=rows.get(DEFAULT, 0),
            suppressed=source.suppressed,
            withheld=rows.get(WITHHELD_MINOR) if source.withheld is None else rows.get(WITHHELD_MINOR, 0),
            training=source.training,
        )
        books.check()
        return books

    @property
    def existing(self) -> int:
        """People whose age was known."""
        return sum(self.existing_by_source.values())

    @property
    def people(self) -> int:
        """Distinct people who are in the result."""
        return self.distinct - (self.suppressed or 0)

    def check(self) -> None:
        """Raise IntegrityError unless all three equations hold, and those of the training source."""
        shown = self.existing + self.predicted + self.default + (self.withheld or 0)
        equations = (
            ("read = usable + set aside", self.read, self.usable + self.set_aside),
            ("usable = distinct + duplicate", self.usable, self.distinct + self.duplicate),
            (
                "distinct = existing + predicted + default + withheld + suppressed",
                self.distinct,
                shown + (self.suppressed or 0),
            ),
        )
        for name, left, right in (*equations, *(self.training.unbalanced() if self.training else ())):
            if left != right:
                raise IntegrityError(
                    "the books do not balance, nothing was published",
                    expected=name,
                    found=f"{left:,} against {right:,}",
                    fix="run again; if it happens twice, report it with the run folder's run.json",
                )

    def quality(self, tally: Tally) -> dict[str, float]:
        """Shares (0..1) of people with high confidence and of predictions that are usable; NaN where there is nobody.

        Withheld people have no age, so they are in no share.
        """
        high = tally.group("high")
        predicted = self.predicted or float("nan")
        with_age = self.people - (self.withheld or 0) or float("nan")
        return {
            "high_quality_share": sum(high.values()) / with_age,
            "usable_share_predicted": tally.count(f"usable:{ML_PREDICTION}") / predicted,
            "high_quality_share_predicted": high.get(ML_PREDICTION, 0) / predicted,
        }

    def counts(self) -> RowCounts:
        """The counts as the record of the step final_results keeps them."""
        return RowCounts(
            self.read,
            self.set_aside,
            self.usable,
            self.distinct,
            self.duplicate,
            self.existing_by_source,
            self.predicted,
            self.default,
            self.existing,
            self.suppressed,
            self.withheld,
            self.training,
        )

    def as_rows(self) -> dict[str, object]:
        """The ``rows`` object of ``--json``."""
        return as_json(self.counts())
