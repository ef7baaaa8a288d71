"""Conformal calibration of an interval (conformalised quantile regression, Romano, Patterson and Candès 2019), by group.

One correction for everybody reaches the target coverage on average, but may leave a group below it. Groups that are known before
the age is - the band of the predicted age, few or many missing features - get corrections of their own where they have enough
calibration rows ("Mondrian" conformal prediction, Vovk, Gammerman and Shafer 2005, chapter 4).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from predict_age.arrays import Float64Array, Int64Array

BAND_STARTS = (25, 30, 35, 40, 45, 55)  # predicted age, years
MIN_CELL_ROWS = 150  # with 150 rows, the coverage of a cell has a standard error of 2.4 points


def conformal_correction(lower: Float64Array, upper: Float64Array, age: Float64Array, coverage: float) -> float:
    """Years to move both ends outwards (negative: inwards) so that at least ``coverage`` of new people are inside.

    The ceil((n + 1) x coverage)-th smallest of max(lower - age, age - upper); with too few rows the largest, with none 0.
    """
    scores = np.sort(np.maximum(lower - age, age - upper))
    if not len(scores):
        return 0.0
    return float(scores[min(ceil((len(scores) + 1) * coverage), len(scores)) - 1])


@dataclass(frozen=True)
class Calibration:
    """Corrections ``years`` (14,) of the cells 2 x age band + (more than ``missing_threshold`` features are missing)."""

    missing_threshold: float
    years: tuple[float, ...]

    def cells(self, missing_count: Int64Array, point_age: Float64Array) -> Int64Array:
        """The cell of each row (n,), from its number of missing features and its predicted age in years."""
        return 2 * np.searchsorted(BAND_STARTS, point_age, side="right") + (missing_count > self.missing_threshold)

    def widen(self, missing_count: Int64Array, point_age: Float64Array) -> Float64Array:
        """Years (n,) by which to move both ends outwards."""
        return np.array(self.years)[self.cells(missing_count, point_age)]


NO_CALIBRATION = Calibration(0.0, (0.0,) * (2 * len(BAND_STARTS) + 2))


def calibrate(
    missing_count: Int64Array, point_age: Float64Array, lower: Float64Array, upper: Float64Array, age: Float64Array, coverage: float
) -> Calibration:
    """Corrections from n rows that took no part in training: those of the cell, else of its age band, else of all rows."""
    missing_threshold = 0.0
    if len(missing_count):
        median = float(np.median(missing_count))  # of the two thresholds, the one that splits the rows more evenly
        missing_threshold = min((median, median - 1), key=lambda threshold: abs(float((missing_count > threshold).mean()) - 0.5))
    uncalibrated = replace(NO_CALIBRATION, missing_threshold=missing_threshold)
    cells = uncalibrated.cells(missing_count, point_age)
    years = []
    for cell in range(len(uncalibrated.years)):
        for rows in (cells == cell, cells // 2 == cell // 2, np.ones(len(cells), bool)):
            if rows.sum() >= MIN_CELL_ROWS or rows.all():
                years.append(conformal_correction(lower[rows], upper[rows], age[rows], coverage))
                break
    return Calibration(uncalibrated.missing_threshold, tuple(years))
