"""Conformal calibration of an interval (conformalised quantile regression, Romano, Patterson and Candès 2019), by group.

One correction for everybody reaches the target coverage on average, but may leave a group below it. Groups that are known before
the age is - narrow or wide raw intervals, the band of the predicted age, few or many missing features - get corrections of their
own where they have enough calibration rows ("Mondrian" conformal prediction, Vovk, Gammerman and Shafer 2005, chapter 4). A person
belongs to several groups, so the corrections are added up, each fitted to what the others leave over (Jung et al. 2023, "Batch
multivalid conformal prediction"). Corrections are shares of the raw width, because uncertain predictions err by more years.

The corrections of many groups differ by chance, too, and following chance makes intervals wider and groups no better covered. So
they are shrunk towards the correction of everybody, as James and Stein (1961) shrink means: the less the coverages of the groups
differ beyond chance, the more. No group is moved by more than one standard error of its coverage ("limited translation", Efron and
Morris 1972), so that a single group that differs keeps its correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, sqrt

import numpy as np

from predict_age.arrays import BoolArray, Float64Array, Int64Array

BAND_STARTS = (25, 30, 35, 40, 45, 55)  # predicted age, years
_BANDS = np.array(BAND_STARTS)
CELLS = 2 * len(BAND_STARTS) + 2
MIN_CELL_ROWS = 150  # with 150 rows, the coverage of a cell has a standard error of 2.4 points
MIN_WIDTH_ROWS = 60  # wide intervals are few, and their errors the largest; chance is shrunk away
MAX_WIDTH_GROUPS = 10
GROUP_SHARE = 0.7  # of an equal share of the rows, for the smallest group: few widths are cut unevenly
FITTING_PASSES = 3
UNSHRUNK_GROUPS = 3  # as many means are never improved by shrinking them towards their own mean
MOST_MOVED = 1.0  # standard errors of its coverage by which shrinking moves a group
UNIT_YEARS = 1.0  # added to the raw width, so that an interval without width can be widened, too
MOST_INWARDS = -1.0  # moves each end beyond the other: only the predicted age is left


def conformal_correction(scores: Float64Array, coverage: float) -> float:
    """Smallest correction that covers at least ``coverage`` of new people: the ceil((n + 1) x coverage)-th smallest score.

    ``scores`` (n,): the correction that each person needs to be inside. With too few rows the largest, with none 0.
    """
    if not len(scores):
        return 0.0
    return float(np.sort(scores)[min(ceil((len(scores) + 1) * coverage), len(scores)) - 1])


@dataclass(frozen=True)
class RawIntervals:
    """Intervals of n people before calibration: ends ``lower`` and ``upper`` and the unrounded ``point_age``, years (n,).

    ``missing_count`` (n,): number of features without a value.
    """

    missing_count: Int64Array
    point_age: Float64Array
    lower: Float64Array
    upper: Float64Array

    @property
    def width(self) -> Float64Array:
        """Raw width, years (n,)."""
        return self.upper - self.lower

    @property
    def unit(self) -> Float64Array:
        """Years (n,) by which a correction of 1 moves each end."""
        return np.maximum(self.width, 0.0) + UNIT_YEARS

    @property
    def whole_width(self) -> Float64Array:
        """Width in whole years (n,): one less than the ages that the interval names; -1 where it names none."""
        return self._ages(0.0) - 1

    def ends(self, widen: Float64Array, predicted: Float64Array) -> tuple[Float64Array, Float64Array]:
        """First and last age (n,) of the intervals whose ends moved outwards by ``widen`` (n,), years.

        An interval names as many ages as it has years, rounded: those nearest to its middle, and all up to the ``predicted`` age.
        """
        ages = self._ages(widen)
        first = np.where(ages > 0, np.ceil(self._middle - ages / 2), predicted)
        last = first + np.maximum(ages, 1) - 1
        return np.minimum(first, predicted), np.maximum(last, predicted)

    def needed(self, age: Float64Array, predicted: Float64Array) -> Float64Array:
        """Corrections (n,) with which the :meth:`ends` just hold ``age`` (n,); ``predicted`` (n,) is always inside."""
        ages = np.where(age < predicted, np.ceil(2 * (self._middle - age)), np.floor(2 * (age - self._middle)) + 1)
        correction = (np.maximum(ages, 1) - 0.5 - self.width) / (2 * self.unit)
        return np.where(age == predicted, MOST_INWARDS, np.maximum(correction, MOST_INWARDS))

    @property
    def _middle(self) -> Float64Array:
        return (self.lower + self.upper) / 2

    def _ages(self, widen: Float64Array | float) -> Float64Array:
        return np.maximum(np.floor(self.width + 2 * widen + 0.5), 0.0)


@dataclass(frozen=True)
class _Arrays:
    """The numbers of a calibration as arrays."""

    years: Float64Array
    by_cell: Float64Array
    width_edges: Float64Array
    by_width: Float64Array


@dataclass(frozen=True)
class Calibration:
    """Corrections, as shares of the raw width and a year: the sum of two, by cell and by raw width.

    ``by_cell`` (14,): of the cells 2 x age band + (more than ``missing_threshold`` features are missing); ``by_width`` (k,): of the
    groups of whole raw width between the ``width_edges`` (k - 1,), years. Models of format 2 have corrections in ``years`` (14,) by
    cell instead.
    """

    missing_threshold: float
    years: tuple[float, ...]
    by_cell: tuple[float, ...]
    width_edges: tuple[float, ...]
    by_width: tuple[float, ...]

    def cells(self, raw: RawIntervals) -> Int64Array:
        """The cell of each row (n,), from its number of missing features and its predicted age in years."""
        bands = _BANDS.searchsorted(raw.point_age, side="right")
        return 2 * bands + (raw.missing_count > self.missing_threshold)

    def widths(self, raw: RawIntervals) -> Int64Array:
        """The group of whole raw width of each row (n,)."""
        return self._arrays.width_edges.searchsorted(raw.whole_width, side="right")

    def shares(self, raw: RawIntervals) -> Float64Array:
        """Corrections (n,)."""
        return self._arrays.by_cell[self.cells(raw)] + self._arrays.by_width[self.widths(raw)]

    def widen(self, raw: RawIntervals) -> Float64Array:
        """Years (n,) by which to move both ends outwards."""
        return np.maximum(self.shares(raw), MOST_INWARDS) * raw.unit + self._arrays.years[self.cells(raw)]

    @cached_property
    def _arrays(self) -> _Arrays:
        return _Arrays(*(np.array(values, np.float64) for values in (self.years, self.by_cell, self.width_edges, self.by_width)))

    def mean_years(self, raw: RawIntervals) -> list[float]:
        """Mean years of widening in each cell (14,); 0 where there is nobody."""
        rows = np.bincount(self.cells(raw), minlength=CELLS)
        years = np.bincount(self.cells(raw), self.widen(raw), minlength=CELLS)
        return (years / np.maximum(rows, 1)).tolist()


NO_CALIBRATION = Calibration(0.0, (0.0,) * CELLS, (0.0,) * CELLS, (), (0.0,))


def calibrate(raw: RawIntervals, age: Float64Array, predicted: Float64Array, coverage: float) -> Calibration:
    """Corrections from n people who took no part in training, of whole ``age`` (n,), predicted to be ``predicted`` (n,) years old.

    A cell with few rows gets the correction of its age band, else that of all rows. Groups of raw width are about equally large and
    never small. They are made of the widths in whole years, which are those that are published before the correction.
    """
    needed = raw.needed(age, predicted)
    missing_threshold = 0.0
    if len(age):
        median = float(np.median(raw.missing_count))  # of the two thresholds, the one that splits the rows more evenly
        missing_threshold = min((median, median - 1), key=lambda limit: abs(float((raw.missing_count > limit).mean()) - 0.5))
    edges = _width_edges(raw.whole_width)
    blank = replace(
        NO_CALIBRATION,
        missing_threshold=missing_threshold,
        width_edges=edges,
        by_width=(0.0,) * (len(edges) + 1),
    )
    cells, widths = blank.cells(raw), blank.widths(raw)
    by_cell: Float64Array = np.zeros(CELLS)
    by_width: Float64Array = np.zeros(len(edges) + 1)
    of_cells = [_first_large([cells == c, cells // 2 == c // 2], MIN_CELL_ROWS) for c in range(CELLS)]
    of_widths = [_first_large([widths == w], MIN_WIDTH_ROWS) for w in range(len(by_width))]
    for _ in range(FITTING_PASSES):
        by_cell = _shrunk_corrections(of_cells, needed - by_width[widths], coverage)
        by_width = _shrunk_corrections(of_widths, needed - by_cell[cells], coverage)
    return replace(blank, by_cell=tuple(by_cell.tolist()), by_width=tuple(by_width.tolist()))


def _width_edges(whole_width: Float64Array) -> tuple[float, ...]:
    """Edges, ascending, that cut rows of ``whole_width`` (n,) into groups of MIN_WIDTH_ROWS and more."""
    groups = int(np.clip(len(whole_width) // MIN_WIDTH_ROWS, 1, MAX_WIDTH_GROUPS))
    wanted = max(MIN_WIDTH_ROWS, GROUP_SHARE * len(whole_width) / groups)
    edges: list[float] = []
    here, left = 0, len(whole_width)
    for width, rows in zip(*np.unique(whole_width, return_counts=True), strict=True):
        if here >= wanted and left >= wanted:
            edges.append(float(width))
            here = 0
        here, left = here + int(rows), left - int(rows)
    return tuple(edges[: MAX_WIDTH_GROUPS - 1])


def _first_large(sets: Sequence[BoolArray], least: int) -> BoolArray | None:
    """The first of ever larger ``sets`` of rows (n,) that has so many rows, at ``least``."""
    return next((rows for rows in sets if rows.sum() >= least), None)


def _shrunk_corrections(groups: Sequence[BoolArray | None], scores: Float64Array, coverage: float) -> Float64Array:
    """Conformal corrections (k,) of the ``groups`` of rows (n,), from ``scores`` (n,), shrunk towards that of everybody.

    A group without rows of its own (None) gets the correction of everybody.
    """
    of_all = conformal_correction(scores, coverage)
    covered = scores <= of_all
    share = float(covered.mean()) if len(covered) else coverage  # above the coverage where many scores are equal
    own, deviation = np.full(len(groups), of_all), np.zeros(len(groups))  # of the coverage, in standard errors
    distinct: dict[bytes, float] = {}
    for number, rows in enumerate(groups):
        if rows is not None:
            own[number] = conformal_correction(scores[rows], coverage)
            deviation[number] = (covered[rows].mean() - share) / sqrt(max(share * (1 - share), 1e-9) / rows.sum())
            distinct[rows.tobytes()] = float(deviation[number])
    return of_all + _kept_shares(deviation, list(distinct.values())) * (own - of_all)


def _kept_shares(deviation: Float64Array, distinct: list[float]) -> Float64Array:
    """Shares (k,) of its difference from everybody that a group keeps whose coverage is off by ``deviation`` (k,), standard errors.

    ``distinct``: the deviations, each once, of the groups that have rows of their own.
    """
    by_chance, found = len(distinct) - UNSHRUNK_GROUPS, sum(z * z for z in distinct)
    if by_chance <= 0:
        return np.ones(len(deviation))
    least = max(0.0, 1 - by_chance / found) if found else 0.0
    far = np.abs(deviation) > MOST_MOVED
    kept: Float64Array = np.where(far, np.maximum(least, 1 - MOST_MOVED / np.where(far, np.abs(deviation), 1.0)), least)
    return kept
