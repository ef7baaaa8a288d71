"""True against predicted ages as a histogram of unequal cells, none of which shows fewer than 20 people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from predict_age.models.metrics import AGE_BANDS, NumberArray
from predict_age.records.model_quality import AgeCell, Metrics
from predict_age.tally import MIN_SHOWN_PEOPLE

STEP_YEARS = 5
_OLDEST = AGE_BANDS[-1][1]
_BAND_STARTS = tuple(low for low, _ in AGE_BANDS[1:])


def age_cells(true: NumberArray, predicted: NumberArray) -> list[AgeCell]:
    """Cells that hold every person of true age (n,) and predicted age (n,) once; empty for fewer than 20 people.

    A cell is cut as long as both halves have at least 20 people: first at the age bands of the metrics, then in steps of five
    years, the longer side first. So no count is hidden, and none can be found by subtracting those of other cells.
    """
    if len(true) < MIN_SHOWN_PEOPLE:
        return []
    ages = np.clip(np.stack([np.asarray(true), np.asarray(predicted)]), 0, _OLDEST).astype(np.int64)
    return _cells(ages, (0, _OLDEST), (0, _OLDEST))


def without_single_ages(metrics: Metrics) -> Metrics:
    """Metrics with the ages of single people, which earlier versions recorded, turned into cells."""
    if metrics.sample is None:
        return metrics
    return replace(metrics, sample=None, age_cells=age_cells(np.array(metrics.sample.true), np.array(metrics.sample.predicted)))


def _cells(ages: NDArray[np.int64], true: tuple[int, int], predicted: tuple[int, int]) -> list[AgeCell]:
    """Cells of ``ages`` (2, n), which lie in the ranges ``true`` and ``predicted``."""
    sides = (true, predicted)
    for side, cut in _cuts(true, predicted):
        below = ages[side] < cut
        if MIN_SHOWN_PEOPLE <= int(below.sum()) <= len(below) - MIN_SHOWN_PEOPLE:
            low, high = sides[side]
            halves = ((ages[:, below], (low, cut - 1)), (ages[:, ~below], (cut, high)))
            return [
                cell
                for half, reach in halves
                for cell in _cells(half, reach if side == 0 else true, predicted if side == 0 else reach)
            ]
    return [AgeCell(list(true), list(predicted), ages.shape[1])]


def _cuts(true: tuple[int, int], predicted: tuple[int, int]) -> list[tuple[int, int]]:
    """(0 for true, 1 for predicted age, first age of the upper half), in the order in which cuts are tried."""
    sides = (true, predicted)
    bands = [(side, start) for side in (0, 1) for start in _BAND_STARTS if sides[side][0] < start <= sides[side][1]]
    fine = [
        (side, cut)
        for side, (low, high) in enumerate(sides)
        for cut in range(STEP_YEARS, _OLDEST, STEP_YEARS)
        if low < cut <= high and cut not in _BAND_STARTS
    ]
    fine.sort(key=lambda c: (abs(c[1] - sum(sides[c[0]]) / 2) - (sides[c[0]][1] - sides[c[0]][0]), c))
    return bands + fine
