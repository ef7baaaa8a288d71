"""Best prediction of the age from one column of numbers or codes, each person predicted from others (five folds).

Three maps are tried: the median age of people with the same value, and the median of a few or of more neighbours in the order of
the values. Together they follow any function of the age: rising, falling, encoded value by value, or numbers in order of birth.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from predict_age.arrays import Float64Array, Int64Array
from predict_age.evaluation.model_card.readings import Reading

FOLDS = 5
FEW_NEIGHBOURS = 5
MAX_NEIGHBOURS = 41
ROWS_PER_NEIGHBOUR = 80  # neighbours in the wider map: one of so many people
MIN_ROWS_PER_VALUE = 2  # below, on average, a value says nothing about other people
MIN_KNOWN_SHARE = 0.5  # of the people must have a value that others have, too
MIN_ORDERED_VALUES = 5


def best_map(reading: Reading, ages: Float64Array) -> Float64Array:
    """Predicted age (n,) by the map with the least error; NaN for people whom it cannot predict."""
    predicted = np.full(len(ages), np.nan)
    read = np.flatnonzero(~np.isnan(reading.values))
    least = np.inf
    for made in _maps(reading.values[read], ages[read], reading.ordered):
        known = ~np.isnan(made)
        if known.mean() < MIN_KNOWN_SHARE:
            continue
        error = float(np.abs(made[known] - ages[read][known]).mean())
        if error < least:
            predicted[read], least = made, error
    return predicted


def _maps(values: Float64Array, ages: Float64Array, ordered: bool) -> Iterator[Float64Array]:
    if not len(values):
        return
    folds = [np.arange(len(ages)) % FOLDS == number for number in range(FOLDS)]
    distinct, codes = np.unique(values, return_inverse=True)
    if len(distinct) * MIN_ROWS_PER_VALUE <= len(ages):
        made = np.empty(len(ages))
        for test in folds:
            made[test] = _median_of_value(codes[~test], ages[~test], codes[test], len(distinct))
        yield made
    if not ordered or len(distinct) < MIN_ORDERED_VALUES:
        return
    for neighbours in {FEW_NEIGHBOURS, min(max(len(ages) // ROWS_PER_NEIGHBOUR, FEW_NEIGHBOURS), MAX_NEIGHBOURS)}:
        made = np.empty(len(ages))
        for test in folds:
            made[test] = _median_of_neighbours(values[~test], ages[~test], values[test], neighbours)
        yield made


def _median_of_value(codes: Int64Array, ages: Float64Array, wanted: Int64Array, distinct: int) -> Float64Array:
    """Median age of each of the ``wanted`` codes; NaN where nobody has it."""
    order = np.lexsort((ages, codes))
    codes, ages = codes[order], ages[order]
    start = np.searchsorted(codes, np.arange(distinct), side="left")
    size = np.searchsorted(codes, np.arange(distinct), side="right") - start
    some = np.maximum(size, 1)
    middle = ages[np.minimum(start + (some - 1) // 2, len(ages) - 1)] + ages[np.minimum(start + some // 2, len(ages) - 1)]
    return np.where(size > 0, middle / 2, np.nan)[wanted]


def _median_of_neighbours(values: Float64Array, ages: Float64Array, wanted: Float64Array, neighbours: int) -> Float64Array:
    """Median age of as many people below as above each of the ``wanted`` values; near the ends of fewer."""
    order = np.argsort(values, kind="stable")
    values, ages = values[order], ages[order]
    middle = (np.searchsorted(values, wanted, side="left") + np.searchsorted(values, wanted, side="right")) // 2
    half = np.minimum(neighbours // 2 + 1, np.minimum(middle, len(ages) - middle))
    half = np.maximum(half, 1)
    offset = np.arange(-(neighbours // 2 + 1), neighbours // 2 + 1)
    window = np.clip(middle[:, None] + offset, 0, len(ages) - 1)
    inside = (offset >= -half[:, None]) & (offset < half[:, None])
    found = np.sort(np.where(inside, ages[window], np.inf), axis=1)
    rows = np.arange(len(wanted))
    return (found[rows, half - 1] + found[rows, half]) / 2
