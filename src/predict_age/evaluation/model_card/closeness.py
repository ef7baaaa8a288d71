"""Closeness of predicted to true ages: whether a prediction can only be the age itself."""

from __future__ import annotations

import numpy as np

from predict_age.arrays import BoolArray, Float64Array, Int64Array
from predict_age.records.closeness import Closeness

WINDOWS = (2, 1, 0)  # years on either side, the widest that tells something about the people is used
MAX_CONSTANT_NEAR = 0.75  # share of the people that the best constant may have inside a window
MIN_ROWS_PER_AGE = 20
MAX_TIMES_MEDIAN = 3


def evenly_aged(age: Float64Array) -> BoolArray:
    """Rows (n,), true or false, among which no age dominates: of each at most three times as many people as of the median age.

    In a cohort in which 98 % are 21, whoever says "21" is nearly always right; only the others show what a feature knows.
    """
    whole = age.astype(np.int64)
    counts = np.bincount(whole)
    present = np.sort(counts[counts > 0])
    most = max(MIN_ROWS_PER_AGE, MAX_TIMES_MEDIAN * int(present[(len(present) - 1) // 2]))
    order = np.argsort(whole, kind="stable")
    rank = np.empty(len(whole), np.int64)
    rank[order] = np.arange(len(whole)) - np.searchsorted(whole[order], whole[order])
    return rank < most


def closeness(age: Float64Array, predicted: Float64Array) -> Closeness | None:
    """Compare ``predicted`` (n,) with ``age`` (n,), whole years, of evenly aged people; None where all have one age."""
    counts = np.bincount(age.astype(np.int64))
    exact = _largest_share(counts, 0)
    if exact == 1:
        return None
    years = next((w for w in WINDOWS if _largest_share(counts, w) <= MAX_CONSTANT_NEAR), 0)
    error = np.abs(predicted - age)
    beyond = np.maximum(error - years, 0).mean()
    constant_beyond = np.maximum(np.abs(np.median(age) - age) - years, 0).mean()
    return Closeness(
        rows=len(age),
        years=years,
        near=float((error < years + 1).mean()),
        constant_near=_largest_share(counts, years),
        beyond=float(beyond / constant_beyond) if constant_beyond else 1.0,
        exact=float((np.floor(predicted + 0.5) == age).mean()),
        constant_exact=exact,
    )


def _largest_share(counts: Int64Array, years: int) -> float:
    """Largest share of the people whose ages lie in a window of ``years`` on either side."""
    return float(np.convolve(counts, np.ones(2 * years + 1)).max() / counts.sum())
