"""Target leakage: features that alone predict the age too well, such as a copied birth year."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

MAX_LEAKAGE_BINS = 256
MAX_LEAKAGE_ROWS = 200_000
MIN_LEAKAGE_ROWS = 100  # features with fewer values get no score


@dataclass(frozen=True)
class LeakageScore:
    """Univariate leakage score of a feature, measured on ``rows`` people it was not fitted on.

    ``error`` and ``constant_error``: mean absolute errors in years when predicting the median age of the feature's bin and the
    overall median; ``exact``: share of people whose age in whole years the bin's median hits; ``constant_exact``: share of people
    who have the commonest age, which no feature is needed to hit.
    """

    feature: str
    rows: int
    error: float
    constant_error: float
    exact: float
    constant_exact: float = 0.0

    @property
    def share(self) -> float:
        """Share of the constant's error that remains: 0 predicts the age exactly, 1 predicts nothing."""
        return self.error / self.constant_error if self.constant_error else 1.0

    @property
    def exact_skill(self) -> float:
        """Share of the ages hit among those that the commonest age does not hit: 0 for a constant, 1 for a copy of the age."""
        return (self.exact - self.constant_exact) / (1 - self.constant_exact) if self.constant_exact < 1 else 0.0

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "share": self.share}


def univariate_leakage(columns: pa.Table, age: NDArray[np.float32]) -> list[LeakageScore]:
    """Leakage score of each feature of (n, n_features), fitted on even rows and measured on odd rows; the strongest first."""
    columns, age = columns.slice(0, MAX_LEAKAGE_ROWS), age[:MAX_LEAKAGE_ROWS]
    scores = []
    for name in columns.column_names:
        column = columns[name]
        present = column.is_valid().to_numpy()
        if present.sum() < MIN_LEAKAGE_ROWS:
            continue
        truth = age[present].astype(np.float64)
        scores.append(_leakage_score(name, _bins(column.filter(pa.array(present))), truth))
    return sorted(scores, key=lambda t: (t.share, t.feature))


def _leakage_score(name: str, bins: NDArray[np.int64], age: NDArray[np.float64]) -> LeakageScore:
    fitted = np.arange(len(age)) % 2 == 0
    median = np.full(bins.max() + 1, np.median(age[fitted]))
    order = np.lexsort((age[fitted], bins[fitted]))
    sorted_bins, sorted_age = bins[fitted][order], age[fitted][order]
    starts = np.flatnonzero(np.concatenate([[True], sorted_bins[1:] != sorted_bins[:-1]]))
    sizes = np.diff(np.append(starts, len(sorted_bins)))
    median[sorted_bins[starts]] = (sorted_age[starts + (sizes - 1) // 2] + sorted_age[starts + sizes // 2]) / 2
    truth = age[~fitted]
    predicted = median[bins[~fitted]]
    constant = float(np.abs(truth - np.median(age[fitted])).mean())
    commonest = np.bincount(age[fitted].astype(np.int64)).argmax()
    return LeakageScore(
        name,
        len(age),
        float(np.abs(truth - predicted).mean()),
        constant,
        float((np.round(predicted) == truth).mean()),
        float((truth == commonest).mean()),
    )


def _bins(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Bin numbers (n,): one a value when there are few; else 256 quantile bins, or the 255 commonest texts and the rest."""
    if pa.types.is_floating(column.type):
        values = column.to_numpy()
        distinct, code = np.unique(values, return_inverse=True)
        if len(distinct) <= MAX_LEAKAGE_BINS:
            return code.astype(np.int64)
        edges = np.unique(np.quantile(values, np.arange(1, MAX_LEAKAGE_BINS) / MAX_LEAKAGE_BINS))
        return np.searchsorted(edges, values, side="right").astype(np.int64)
    codes = column.combine_chunks().dictionary_encode().indices.to_numpy()
    rank = np.empty(codes.max() + 1, np.int64)
    rank[np.argsort(-np.bincount(codes), kind="stable")] = np.arange(len(rank))
    return np.minimum(rank[codes], MAX_LEAKAGE_BINS - 1)


def leaking_features(
    scores: list[LeakageScore], error_share: float, exact_share: float, allowed: tuple[str, ...]
) -> list[LeakageScore]:
    """Scores with at most ``error_share`` of the error left or ``exact_share`` of the rarer ages hit; 0 disables a criterion."""

    def tells(t: LeakageScore) -> bool:
        near = bool(error_share) and t.share <= error_share
        return t.constant_error > 0 and (near or (bool(exact_share) and t.exact_skill >= exact_share))

    return [t for t in scores if t.feature not in allowed and tells(t)]
