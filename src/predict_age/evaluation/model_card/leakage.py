"""Does a feature give the age away? A copied birth year makes every number about a model meaningless."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

MAX_LEAKAGE_BINS = 256
MAX_LEAKAGE_ROWS = 200_000
MIN_LEAKAGE_ROWS = 100  # with fewer values of a feature nothing is said about it


@dataclass(frozen=True)
class LeakageScore:
    """What a feature alone tells about the age of the ``rows`` people that have it, on people it did not learn from.

    ``error`` and ``constant_error`` are mean absolute errors in years, of the median age of the feature's bin and of the median
    age of all; ``exact`` is the share of people whose age in whole years the bin's median names.
    """

    feature: str
    rows: int
    error: float
    constant_error: float
    exact: float

    @property
    def share(self) -> float:
        """Of the constant's error that is left; 0 gives the age away, 1 tells nothing."""
        return self.error / self.constant_error if self.constant_error else 1.0

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "share": self.share}


def univariate_leakage(columns: pa.Table, age: NDArray[np.float32]) -> list[LeakageScore]:
    """For each feature of (n, n_features), learned on the even rows and judged on the odd ones; the most telling first."""
    columns, age = columns.slice(0, MAX_LEAKAGE_ROWS), age[:MAX_LEAKAGE_ROWS]
    found = []
    for name in columns.column_names:
        column = columns[name]
        has = column.is_valid().to_numpy()
        if has.sum() < MIN_LEAKAGE_ROWS:
            continue
        truth = age[has].astype(np.float64)
        found.append(_leakage_score(name, _bins(column.filter(pa.array(has))), truth))
    return sorted(found, key=lambda t: (t.share, t.feature))


def _leakage_score(name: str, bins: NDArray[np.int64], age: NDArray[np.float64]) -> LeakageScore:
    learn = np.arange(len(age)) % 2 == 0
    median = np.full(bins.max() + 1, np.median(age[learn]))
    order = np.lexsort((age[learn], bins[learn]))
    sorted_bins, sorted_age = bins[learn][order], age[learn][order]
    starts = np.flatnonzero(np.concatenate([[True], sorted_bins[1:] != sorted_bins[:-1]]))
    sizes = np.diff(np.append(starts, len(sorted_bins)))
    median[sorted_bins[starts]] = (sorted_age[starts + (sizes - 1) // 2] + sorted_age[starts + sizes // 2]) / 2
    truth = age[~learn]
    said = median[bins[~learn]]
    constant = float(np.abs(truth - np.median(age[learn])).mean())
    return LeakageScore(name, len(age), float(np.abs(truth - said).mean()), constant, float((np.round(said) == truth).mean()))


def _bins(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Bin numbers (n,): each value its own when there are few; else 256 quantile bins, or the 255 commonest texts and the rest."""
    if pa.types.is_floating(column.type):
        values = column.to_numpy()
        distinct, place = np.unique(values, return_inverse=True)
        if len(distinct) <= MAX_LEAKAGE_BINS:
            return place.astype(np.int64)
        edges = np.unique(np.quantile(values, np.arange(1, MAX_LEAKAGE_BINS) / MAX_LEAKAGE_BINS))
        return np.searchsorted(edges, values, side="right").astype(np.int64)
    codes = column.combine_chunks().dictionary_encode().indices.to_numpy()
    rank = np.empty(codes.max() + 1, np.int64)
    rank[np.argsort(-np.bincount(codes), kind="stable")] = np.arange(len(rank))
    return np.minimum(rank[codes], MAX_LEAKAGE_BINS - 1)


def leaking_features(
    found: list[LeakageScore], error_share: float, exact_share: float, allowed: tuple[str, ...]
) -> list[LeakageScore]:
    """Features that leave at most ``error_share`` of the error or name at least ``exact_share`` of the ages; 0 switches one off."""

    def tells(t: LeakageScore) -> bool:
        near = bool(error_share) and t.share <= error_share
        return t.constant_error > 0 and (near or (bool(exact_share) and t.exact >= exact_share))

    return [t for t in found if t.feature not in allowed and tells(t)]
