"""Answers about profiles, with the columns and the rules of the published table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.models.bundle import Predictions, confidence_pct
from predict_age.storage.row_accounting import DEFAULT, ML_PREDICTION, WITHHELD_MINOR


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
        """The answer by name; the percentage in hundredths, the source null where there is none."""
        return {
            "predicted_age": self.predicted_age,
            "age_lower": self.age_lower,
            "age_upper": self.age_upper,
            "confidence_pct": None if self.confidence_pct is None else round(self.confidence_pct, 2),
            "usable": self.usable,
            "prediction_source": self.prediction_source or None,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Answers:
    """Answers about n profiles, by column, as the published table has them.

    ``age`` (n,) int64, ``lower``, ``upper`` and ``pct`` (n,), NaN where there is none; ``has_age`` (n,). ``source`` and ``reason``
    (n,) are texts, the reason None for a prediction.
    """

    age: NDArray[np.int64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    pct: NDArray[np.float64]
    has_age: NDArray[np.bool_]
    usable: NDArray[np.bool_]
    source: list[str]
    reason: list[str | None]

    def __len__(self) -> int:
        return len(self.source)

    def table(self) -> pa.Table:
        """The answers as an Arrow table, with the names of the published table."""
        numbers = {"age_lower": self.lower, "age_upper": self.upper, "confidence_pct": self.pct}
        return pa.table(
            {
                "predicted_age": pa.array(self.age.astype(np.int32), mask=~self.has_age),
                **{name: pa.array(values, mask=np.isnan(values)) for name, values in numbers.items()},
                "usable": pa.array(self.usable),
                "prediction_source": pa.array(self.source, pa.string()),
                "reason": pa.array(self.reason, pa.string()),
            }
        )

    def rows(self) -> Iterator[AnswerRow]:
        """The values of the answers one after another, numbers as they are; -1 stands for NaN, so that equal rows are equal."""
        columns = (
            np.where(self.has_age, self.age, -1),
            *(np.where(np.isnan(v), -1, v) for v in (self.lower, self.upper, self.pct)),
        )
        return zip(*(column.tolist() for column in columns), self.usable.tolist(), self.source, self.reason, strict=True)

    def each(self) -> Iterator[Answer]:
        """The answers one after another."""
        return map(answer_of, self.rows())


AnswerRow = tuple[int, float, float, float, bool, str, str | None]


def answer_of(row: AnswerRow) -> Answer:
    """The answer with the values of a ``row``."""
    age, lower, upper, pct, usable, source, reason = row
    low, high = (None if end < 0 else int(end) for end in (lower, upper))
    return Answer(None if age < 0 else age, low, high, None if pct < 0 else pct, usable, source, reason)


def answers(usable: NDArray[np.bool_], reasons: list[str], made: Predictions, default_age: int, usable_from_pct: float) -> Answers:
    """Answers about n profiles: ``made`` for those that are ``usable`` (n,), the default age, with its reason, for the others.

    The percentage, ``usable`` and what a withheld person keeps follow ``sql/final_results.sql``.
    """
    n = len(usable)
    age, has_age = np.full(n, default_age, np.int64), np.ones(n, np.bool_)
    lower, upper, pct = np.full(n, np.nan), np.full(n, np.nan), np.zeros(n)
    age[usable], lower[usable], upper[usable] = made.age, made.lower, made.upper
    pct[usable] = confidence_pct(made.width)
    good = np.zeros(n, np.bool_)
    good[usable] = ~made.withheld & (pct[usable] >= usable_from_pct)
    withheld = np.zeros(n, np.bool_)
    withheld[usable] = made.withheld
    has_age[withheld], pct[withheld] = False, np.nan
    source = np.where(withheld, WITHHELD_MINOR, np.where(usable, ML_PREDICTION, DEFAULT)).tolist()
    reason: list[str | None] = [None] * n
    for row, text in zip(np.flatnonzero(~usable).tolist(), reasons, strict=True):
        reason[row] = text
    return Answers(age, lower, upper, pct, has_age, good, source, reason)
