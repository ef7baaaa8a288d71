"""Row accounting of a training source, whose people the model is trained on."""

from __future__ import annotations

from dataclasses import dataclass, field

from predict_age.records.json_fields import stored_as


@dataclass(frozen=True)
class TrainingSourceRows:
    """Row accounting of a training source: read = usable + rejected, usable = distinct + duplicate,
    distinct = in_source + not_in_source + suppressed.

    People ``in_source`` are in the results once, ``ages_taken`` of them with the age that the training source knows; those
    ``not_in_source`` are not in the results. ``known`` people have a known age, which the model is trained on; ``withheld`` ones
    are known minors, in either source. None of both is suppressed.
    """

    read: int
    rejected: int = field(metadata=stored_as("set_aside"))
    usable: int
    distinct: int
    duplicate: int
    in_source: int
    not_in_source: int
    ages_taken: int
    known: int
    withheld: int
    suppressed: int

    def unbalanced(self) -> list[tuple[str, int, int]]:
        """Equations that do not hold, with their sides."""
        equations = (
            ("read = usable + set aside, in the training source", self.read, self.usable + self.rejected),
            ("usable = distinct + duplicate, in the training source", self.usable, self.distinct + self.duplicate),
            (
                "distinct = in source + not in source + suppressed, in the training source",
                self.distinct,
                self.in_source + self.not_in_source + self.suppressed,
            ),
        )
        return [e for e in equations if e[1] != e[2]]
