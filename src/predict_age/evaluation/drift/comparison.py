"""Drift tests: a change counts when it is statistically significant and large enough to matter.

Without a change, the population stability index of k cells is distributed as chi-squared with k - 1 degrees of freedom times (1/n +
1/m) for samples of n and m people (Yurdakul 2018), and the Kolmogorov-Smirnov distance exceeds sqrt(-ln(alpha/2)/2 (1/n + 1/m))
with probability alpha at most. Both limits are widened by the over-dispersion of either run: the variance between its batches in
excess of random sampling. The allowed share of false alarms is divided among all tests of a run (Bonferroni). With many people any
change becomes significant, so a change must also move a minimum share of the people.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from predict_age.arrays import Float64Array
from predict_age.config import DriftConfig
from predict_age.distributions import chi_squared_upper_quantile, f_upper_quantile, normal_upper_quantile, student_t_upper_quantile
from predict_age.evaluation.drift.sketch import MISSING, OTHER, SPECIAL, UNSEEN, Sketch
from predict_age.records.drift_state import Dispersion, DriftFinding
from predict_age.tally import percent

MAX_PSI_CELLS = 20
MIN_CELL_PEOPLE = 10  # in the smaller sample
MIN_DRIFT_ROWS = 100
MIN_DRIFT_BATCHES = 8
TESTS_PER_FEATURE = 4  # stability index, distance, missing, unseen


def align_counts(before: dict[str, int], now: dict[str, int]) -> tuple[Float64Array, Float64Array, bool]:
    """Float64Array (k,) before and now on the same keys, numbers in ascending order; and True when the keys are numbers."""
    keys = sorted({*before, *now} - SPECIAL)
    numeric = bool(keys) and all(k.startswith("#") for k in keys)
    if numeric:
        keys.sort(key=lambda k: int(k[1:]))
    else:  # a text that only one of the models has seen cannot be compared by name
        common = {OTHER, *(k for k in keys if k in before and k in now)}
        before, now = _rest_together(before, common), _rest_together(now, common)
        keys = sorted(common)
    return np.array([before.get(k, 0) for k in keys], float), np.array([now.get(k, 0) for k in keys], float), numeric


def _rest_together(counts: dict[str, int], common: set[str]) -> dict[str, int]:
    rest = sum(n for k, n in counts.items() if k not in common and k not in SPECIAL)
    return {**{k: counts.get(k, 0) for k in common}, OTHER: counts.get(OTHER, 0) + rest}


def assign_cells(before: Float64Array, now: Float64Array, numeric: bool) -> NDArray[np.int64]:
    """The cell of each key, of at most 20 cells that each hold enough people of both runs to compare."""
    both = before + now
    smaller = min(before.sum(), now.sum())
    if not smaller:
        return np.zeros(len(both), np.int64)
    share = both / both.sum()
    minimum = max(1 / MAX_PSI_CELLS, MIN_CELL_PEOPLE / smaller)
    cell = np.zeros(len(both), np.int64)
    order = range(len(both)) if numeric else np.argsort(-both, kind="stable")
    filled, number = 0.0, 0
    for key in order:
        if filled >= minimum:
            number, filled = number + 1, 0.0
        cell[key] = number
        filled += share[key]
    if filled < minimum and number:
        cell[cell == number] = number - 1
    return cell


def psi(before: Float64Array, now: Float64Array) -> float:
    """Population stability index of counts (k,); half a person is added to each cell, so that no cell is empty."""
    p, q = ((c + 0.5) / (c.sum() + 0.5 * len(c)) for c in (before, now))
    return float(((p - q) * np.log(p / q)).sum())


@dataclass(frozen=True)
class OverDispersion(Dispersion):
    """Dispersion between the batches of a run, with the limits that follow from it."""

    def __or__(self, other: OverDispersion) -> OverDispersion:
        """The wider of both in everything."""
        pairs = {n: max(v, getattr(other, n)) for n, v in asdict(self).items() if n != "freedom"}
        measured = [f for f in (self.freedom, other.freedom) if f]
        return OverDispersion(**pairs, freedom=min(measured, default=0))

    def index_limit(self, chance: float, cells: int) -> float:
        """Below which the index of ``cells`` cells, divided by (1/n + 1/m), stays but for ``chance``.

        Rao and Scott's second-order correction: the sum of unequally varying squares is a scaled chi-squared with fewer degrees of
        freedom (Satterthwaite). The variance being an estimate, Fisher's F takes the place of chi-squared.
        """
        degrees = max(cells - 1, 1) / (1 + self.unevenness)
        if self.freedom:
            limit = f_upper_quantile(chance, degrees, self.freedom * degrees) * degrees
        else:
            limit = chi_squared_upper_quantile(chance, degrees)
        return float(self.variance * (1 + self.unevenness) * limit)

    def factor(self, variance: float, chance: float) -> float:
        """Standard errors of a share or a distance times this: 1 where nothing varies, with Student's t for the estimate."""
        if variance <= 1:
            return 1.0
        return float(np.sqrt(variance) * student_t_upper_quantile(chance / 2, self.freedom) / normal_upper_quantile(chance / 2))


def over_dispersion(batches: list[Sketch]) -> dict[str, OverDispersion]:
    """Over-dispersion of a run's batches, by feature; fewer than eight batches count as random samples."""
    names = dict.fromkeys(n for p in batches for n in p.counts)
    return {n: _feature_over_dispersion([p.counts.get(n, {}) for p in batches]) for n in names}


def _feature_over_dispersion(counts: list[dict[str, int]]) -> OverDispersion:
    counts = [c for c in counts if sum(c.values()) >= MIN_DRIFT_ROWS]
    if len(counts) < MIN_DRIFT_BATCHES:
        return OverDispersion()
    freedom = len(counts) - 1
    keys = sorted({k for c in counts for k in c} - SPECIAL)
    numeric = bool(keys) and all(k.startswith("#") for k in keys)
    if numeric:
        keys.sort(key=lambda k: int(k[1:]))
    rows = np.array([sum(c.values()) for c in counts], float)
    missing, unseen = (_variance_ratio(np.array([[c.get(k, 0)] for c in counts], float), rows) for k in (MISSING, UNSEEN))
    fine = np.array([[c.get(k, 0) for k in keys] for c in counts], float).reshape(len(counts), len(keys))
    fine = fine[fine.sum(axis=1) >= MIN_DRIFT_ROWS]
    if len(fine) < MIN_DRIFT_BATCHES:
        return OverDispersion(missing=missing, unseen=unseen, freedom=freedom)
    cell = assign_cells(fine.sum(axis=0), fine.sum(axis=0), numeric)
    table = np.stack([np.bincount(cell, row) for row in fine]).astype(np.float64)
    known = table.sum(axis=1, keepdims=True)
    expected = known * table.sum(axis=0) / table.sum()
    residual = (table - expected) / np.sqrt(expected)
    directions = table.shape[1] - 1
    order = _variance_ratio(np.cumsum(table, axis=1, dtype=np.float64)[:, :-1], known[:, 0]) if numeric else 1.0
    if not directions:
        return OverDispersion(order=order, missing=missing, unseen=unseen, freedom=freedom)
    inner = residual @ residual.T / (len(table) - 1)  # has the eigenvalues of the cells' covariance
    variance = float(np.trace(inner) / directions)
    chance_alone = directions / (
        len(table) - 1
    )  # sampling error: eigenvalues of few batches differ even when the true ones are equal
    unevenness = float((inner**2).sum() / directions / variance**2 - 1 - chance_alone) if variance else 0.0
    return OverDispersion(max(1.0, variance), max(0.0, unevenness), order, missing, unseen, freedom)


def _variance_ratio(counts: Float64Array, rows: Float64Array) -> float:
    """Variance of shares between batches, relative to random sampling, of (b, k) ``counts`` out of (b,) ``rows``; at least 1."""
    share = counts.sum(axis=0) / rows.sum()
    lot = (share * (1 - share)).sum() * (len(rows) - 1)
    return max(1.0, float(((counts / rows[:, None] - share) ** 2 * rows[:, None]).sum() / lot)) if lot > 0 else 1.0


def compare_counts(
    before: dict[str, dict[str, int]],
    now: dict[str, dict[str, int]],
    spread: dict[str, OverDispersion],
    settings: DriftConfig,
    kinds: Callable[[str], str] = lambda _: "feature",
) -> list[DriftFinding]:
    """Compare the counts of all features that both runs have.

    ``spread``: over-dispersion by feature; ``kinds`` maps a name to feature, prediction or label.
    """
    names = [n for n in before if n in now]
    chance = settings.false_alarms / max(1, TESTS_PER_FEATURE * len(names))
    return [
        _compare_feature(kinds(n), n, before[n], now[n], spread.get(n, OverDispersion()), chance, settings.least_moved)
        for n in names
    ]


def _compare_feature(
    kind: str, name: str, before: dict[str, int], now: dict[str, int], spread: OverDispersion, chance: float, minimum: float
) -> DriftFinding:
    first, second, numeric = align_counts(before, now)
    n, m = first.sum(), second.sum()
    rows, rows_now = max(sum(before.values()), 1), max(sum(now.values()), 1)
    missing = (before.get(MISSING, 0) / rows, now.get(MISSING, 0) / rows_now)
    unseen = (before.get(UNSEEN, 0) / rows, now.get(UNSEEN, 0) / rows_now)
    index = index_limit = moved = 0.0
    distance = distance_limit = None
    if min(n, m) >= MIN_DRIFT_ROWS:
        scale = 1 / n + 1 / m
        cell = assign_cells(first, second, numeric)
        k = int(cell.max()) + 1
        a, b = (np.bincount(cell, c, k).astype(np.float64) for c in (first, second))
        index, index_limit = psi(a, b), spread.index_limit(chance, k) * scale
        moved = float(np.abs(a / n - b / m).sum() / 2)
        if numeric:
            distance = float(np.abs(np.cumsum(first) / n - np.cumsum(second) / m).max())
            distance_limit = float(np.sqrt(-np.log(chance / 2) / 2 * scale)) * spread.factor(spread.order, chance)
    reasons = []
    if index > index_limit and moved >= minimum:
        reasons.append(
            f"{percent(moved)} of the people have other values (stability index {index:.3f}; up to {index_limit:.3f} by chance)"
        )
    elif distance is not None and distance_limit is not None and distance > distance_limit and distance >= minimum:
        reasons.append(f"values have moved (distance {distance:.3f}; up to {distance_limit:.3f} by chance)")
    shares = (("missing", missing, spread.missing), ("new to the model", unseen, spread.unseen))
    for description, (old, new), variance in shares:
        limit = normal_upper_quantile(chance / 2) * spread.factor(variance, chance)
        if abs(new - old) >= minimum and _standard_errors_apart(old, rows, new, rows_now) > limit:
            reasons.append(f"{percent(new)} {description}, {percent(old)} before")
    sentence = f"{name}: {'; '.join(reasons)}" if reasons else ""
    return DriftFinding(kind, name, index, index_limit, distance, distance_limit, moved, missing, unseen, bool(reasons), sentence)


def _standard_errors_apart(old: float, rows: int, new: float, rows_now: int) -> float:
    """Difference of two shares in standard errors."""
    both = (old * rows + new * rows_now) / (rows + rows_now)
    error = np.sqrt(both * (1 - both) * (1 / rows + 1 / rows_now))
    return float(abs(new - old) / error) if error else 0.0
