"""Target leakage: features that are the age itself in another form, such as a copied birth year.

Whatever its form - off by a year, with a little noise, encoded, in bands, inside an id - a copy leaves nobody far from the best
prediction of the age that can be made from it. Life courses do: however strongly the start of a career tells the age, some people
start late. So the share of people who are far off tells both apart, and the mean error does not.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.arrays import Float64Array, Int64Array
from predict_age.evaluation.model_card.age_maps import best_map
from predict_age.evaluation.model_card.closeness import closeness, evenly_aged
from predict_age.evaluation.model_card.readings import Reading, partial_readings, read_part
from predict_age.records.closeness import Closeness

MAX_LEAKAGE_ROWS = 5_000  # thousands show a share of one in twenty; more would only cost time
MAX_PART_ROWS = 2_000  # parts of values are read of so many people
MIN_LEAKAGE_ROWS = 100  # features with fewer values get no score
MIN_EVEN_ROWS = 30
MIN_READ_SHARE = 0.5  # of the people must have the part of a value


@dataclass(frozen=True)
class LeakageScore:
    """Univariate leakage score of a feature: how well it alone predicts the ages of ``rows`` people, each from the others.

    ``error`` and ``constant_error``: mean absolute errors in years of the best map from values to ages and of the overall median;
    ``exact``: share of people whose age in whole years the map hits; ``constant_exact``: share of people who have the commonest
    age, which no feature is needed to hit. ``part``: the part of the value that was read, such as "the first year", or "".
    ``closeness`` is measured on people among whom no age dominates.
    """

    feature: str
    rows: int
    error: float
    constant_error: float
    exact: float
    constant_exact: float
    part: str
    closeness: Closeness | None

    @property
    def share(self) -> float:
        """Share of the constant's error that remains: 0 predicts the age exactly, 1 predicts nothing."""
        return self.error / self.constant_error if self.constant_error else 1.0

    @property
    def sentence(self) -> str:
        """Sentence on how near the feature alone comes to the ages."""
        what = f"{self.feature} ({self.part})" if self.part else self.feature
        return f"{what}: {self.closeness.sentence if self.closeness else 'too few people'}"

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "share": self.share}


def univariate_leakage(columns: pa.Table, age: NDArray[np.float32]) -> list[LeakageScore]:
    """Leakage score of each feature of (n, n_features), by the part of its values that tells most; the strongest first."""
    scores = []
    for name in columns.column_names:
        column = columns[name]
        rows = np.flatnonzero(column.is_valid().to_numpy())
        if len(rows) < MIN_LEAKAGE_ROWS:
            continue
        even = rows[evenly_aged(age[rows].astype(np.float64))]
        score = _leakage_score(name, column, age.astype(np.float64), rows[:MAX_LEAKAGE_ROWS], even[:MAX_LEAKAGE_ROWS])
        scores += [score] if score else []
    return sorted(scores, key=lambda t: (t.share, t.feature))


def _leakage_score(
    name: str, column: pa.ChunkedArray, age: Float64Array, rows: Int64Array, even: Int64Array
) -> LeakageScore | None:
    """Score of a feature among ``rows``; its closeness among ``even`` rows, where no age dominates."""
    few = even[:MAX_PART_ROWS]
    parts = [(r.part, _error(r, age[few])) for r in partial_readings(column.take(pa.array(few)))]
    best_part, least = min(parts, key=lambda p: p[1], default=("", np.inf))
    plain = read_part(column.take(pa.array(few)), "")
    if plain is None:
        return None
    part = best_part if least < _error(plain, age[few]) else ""
    whole, spread = (read_part(column.take(pa.array(r)), part) for r in (rows, even))
    if whole is None or spread is None:
        return None
    predicted, near = best_map(whole, age[rows]), best_map(spread, age[even])
    known, near_known = ~np.isnan(predicted), ~np.isnan(near)
    if known.sum() < MIN_LEAKAGE_ROWS * MIN_READ_SHARE:
        return LeakageScore(name, len(rows), 0.0, 0.0, 0.0, 0.0, "", None)
    truth = age[rows][known]
    return LeakageScore(
        name,
        len(truth),
        float(np.abs(predicted[known] - truth).mean()),
        float(np.abs(np.median(truth) - truth).mean()),
        float((np.floor(predicted[known] + 0.5) == truth).mean()),
        float(np.bincount(truth.astype(np.int64)).max() / len(truth)),
        part,
        closeness(age[even][near_known], near[near_known]) if near_known.sum() >= MIN_EVEN_ROWS else None,
    )


def _error(reading: Reading, age: Float64Array) -> float:
    """Mean error of the reading's best map, relative to the constant's among the same people; infinite where it reads too few."""
    predicted = best_map(reading, age)
    known = ~np.isnan(predicted)
    if known.mean() < MIN_READ_SHARE or known.sum() < MIN_EVEN_ROWS:
        return float("inf")
    constant = np.abs(np.median(age[known]) - age[known]).mean()
    return float(np.abs(predicted[known] - age[known]).mean() / constant) if constant else float("inf")


def leaking_features(
    scores: list[LeakageScore], error_share: float, exact_share: float, allowed: tuple[str, ...]
) -> list[LeakageScore]:
    """Scores of features that can only be the age itself, see :class:`Closeness`; 0 disables a criterion."""
    return [t for t in scores if t.feature not in allowed and t.closeness and t.closeness.is_the_age(error_share, exact_share)]
