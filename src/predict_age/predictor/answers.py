"""Answers about profiles, with the columns and the rules of the published table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from predict_age.arrays import BoolArray, Float64Array, Int64Array
from predict_age.models.bundle import Predictions, confidence_pct
from predict_age.storage.row_accounting import DEFAULT, ML_PREDICTION, WITHHELD_MINOR

SOURCES = (ML_PREDICTION, DEFAULT, WITHHELD_MINOR)
PREDICTION_KIND, DEFAULT_KIND, WITHHELD_KIND = range(len(SOURCES))
_SOURCE_TEXTS = pa.array(SOURCES, pa.string())
_KEY_BASE = 1 << 12  # more than any age


@dataclass(frozen=True)
class PersonAge:
    """Age of one person as it is published or answered; a withheld person has no number."""

    predicted_age: int | None
    age_lower: int | None
    age_upper: int | None
    confidence_pct: float | None
    usable: bool
    prediction_source: str


@dataclass(frozen=True)
class Answer(PersonAge):
    """Answer about one profile; ``reason`` says why a profile is not predicted."""

    reason: str | None

    def as_json(self) -> dict[str, object]:
        """The answer by name; the source null where there is none."""
        return {
            "predicted_age": self.predicted_age,
            "age_lower": self.age_lower,
            "age_upper": self.age_upper,
            "confidence_pct": self.confidence_pct,
            "usable": self.usable,
            "prediction_source": self.prediction_source or None,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Answers:
    """Answers about n profiles, by column, as the published table has them.

    ``age`` (n,) int64, ``lower`` and ``upper`` (n,) in whole years, NaN where there is none; ``usable`` (n,). ``kind`` (n,) is the
    place of the source in SOURCES, and ``reasons`` are those of the default ages, in their order.
    """

    age: Int64Array
    lower: Float64Array
    upper: Float64Array
    usable: BoolArray
    kind: Int64Array
    reasons: list[str]

    def __len__(self) -> int:
        return len(self.age)

    @property
    def has_age(self) -> BoolArray:
        """Who of n people has an age."""
        return self.kind != WITHHELD_KIND

    @property
    def pct(self) -> Float64Array:
        """Percentages (n,): 0 of default ages, NaN where there is none."""
        return np.where(self.kind == DEFAULT_KIND, 0.0, confidence_pct(self.upper - self.lower))

    @property
    def source(self) -> list[str]:
        """The source (n,) of each answer."""
        return [SOURCES[kind] for kind in self.kind.tolist()]

    @property
    def reason(self) -> list[str | None]:
        """The reason (n,) of each default age, None for other answers."""
        reason: list[str | None] = [None] * len(self)
        for row, text in zip(self.default_rows, self.reasons, strict=True):
            reason[row] = text
        return reason

    @property
    def default_rows(self) -> list[int]:
        """Numbers of the answers that are the default age."""
        return np.flatnonzero(self.kind == DEFAULT_KIND).tolist() if self.reasons else []

    def table(self) -> pa.Table:
        """The answers as an Arrow table, with the names of the published table."""
        numbers = {"age_lower": self.lower, "age_upper": self.upper, "confidence_pct": self.pct}
        return pa.table(
            {
                "predicted_age": pa.array(self.age.astype(np.int32), mask=~self.has_age),
                **{name: pa.array(values, mask=np.isnan(values)) for name, values in numbers.items()},
                "usable": pa.array(self.usable),
                "prediction_source": _SOURCE_TEXTS.take(pa.array(self.kind)),
                "reason": pa.array(self.reason, pa.string()) if self.reasons else pa.nulls(len(self), pa.string()),
            }
        )

    def keys(self) -> list[int | tuple[int, str]]:
        """A key (n,) of each answer: equal answers have equal keys, and others do not. The percentage follows from the ends."""
        numbers = self.kind
        ends = (np.where(np.isnan(end), 0, end + 1) for end in (self.lower, self.upper))
        for column in (self.usable, self.has_age * self.age, *ends):
            numbers = numbers * _KEY_BASE + column.astype(np.int64)
        keys: list[int | tuple[int, str]] = numbers.tolist()
        for row, reason in zip(self.default_rows, self.reasons, strict=True):
            keys[row] = numbers.item(row), reason
        return keys

    def each(self) -> Iterator[Answer]:
        """The answers one after another."""
        columns = (self.age, self.lower, self.upper, self.pct, self.usable, self.kind)
        for (age, lower, upper, pct, usable, kind), reason in zip(
            zip(*(column.tolist() for column in columns), strict=True), self.reason, strict=True
        ):
            predicted = kind == PREDICTION_KIND
            yield Answer(
                None if kind == WITHHELD_KIND else age,
                int(lower) if predicted else None,
                int(upper) if predicted else None,
                None if kind == WITHHELD_KIND else pct,
                usable,
                SOURCES[kind],
                reason,
            )

    def only(self, rows: list[int]) -> Answers:
        """The answers ``rows`` alone."""
        reasons = [reason for reason in map(self.reason.__getitem__, rows) if reason is not None]
        return Answers(self.age[rows], self.lower[rows], self.upper[rows], self.usable[rows], self.kind[rows], reasons)

    def sources(self) -> dict[str, int]:
        """Number of answers by source."""
        counts = np.bincount(self.kind, minlength=len(SOURCES)).tolist()
        return {source: count for source, count in zip(SOURCES, counts, strict=True) if count}


def answers(usable: BoolArray, reasons: list[str], made: Predictions, default_age: int, usable_from_pct: float) -> Answers:
    """Answers about n profiles: ``made`` for those that are ``usable`` (n,), the default age, with its reason, for the others.

    The percentage, ``usable`` and what a withheld person keeps follow ``sql/final_results.sql``.
    """
    age, lower, upper = made.age.astype(np.int64), made.lower, made.upper
    kind = np.where(made.withheld, WITHHELD_KIND, PREDICTION_KIND)
    good = ~made.withheld & (confidence_pct(made.width) >= usable_from_pct)
    if not reasons:
        return Answers(age, lower, upper, good, kind, reasons)
    n = len(usable)
    whole = Answers(
        np.full(n, default_age), np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, np.bool_), np.full(n, DEFAULT_KIND), reasons
    )
    for column, values in ((whole.age, age), (whole.lower, lower), (whole.upper, upper), (whole.usable, good), (whole.kind, kind)):
        column[usable] = values
    return whole
