"""Quality by group, with confidence intervals for small groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.distributions import normal_upper_quantile, student_t_upper_quantile
from predict_age.models.held_out import HeldOutPredictions
from predict_age.models.metrics import evaluate
from predict_age.records.model_quality import NORMAL_95, GroupQuality
from predict_age.tally import MIN_SHOWN_PEOPLE

MAX_GROUPS = 15
OTHER_GROUPS = "all others"


@dataclass(frozen=True)
class ThresholdErrors:
    """Shares of people predicted on the wrong side of an age: of those at or above it and of those below it, with their numbers."""

    above: int
    made_younger: float
    below: int
    made_older: float


def threshold_errors(age: NDArray[np.float64], predicted: NDArray[np.int32], around: int) -> ThresholdErrors:
    """Compare true ages (n,) and predictions (n,) with the age ``around``, years. Shares are NaN where a side has nobody."""
    above = age >= around
    young, old = predicted[above] < around, predicted[~above] >= around
    return ThresholdErrors(
        len(young), float(young.mean()) if len(young) else float("nan"), len(old), float(old.mean()) if len(old) else float("nan")
    )


def metrics_by_group(held_out: HeldOutPredictions, groups: pa.Table, around: int, fewest: int) -> dict[str, list[GroupQuality]]:
    """Quality of each value of each group field: the 15 commonest with ``fewest`` people, then all others, largest first.

    No group has fewer than 20 people, not even all others: where fewer are left over, the smallest group joins them.
    ``bias_interval``: 95 % interval of the bias, years; ``apart``: bias minus everybody else's; ``apart_z``: the same in standard
    errors; ``median_apart``, ``ridge_apart``: those of a constant and of Ridge; ``same_age``: mean error minus that of others of
    the same true age in five-year bands, years.
    """
    tables = {}
    for field in groups.column_names:
        values = groups[field].take(pa.array(held_out.rows)).to_numpy(zero_copy_only=False).astype(object)
        names, counts = np.unique(values.astype(str), return_counts=True)
        shown = [
            n for n, c in sorted(zip(names, counts, strict=True), key=lambda p: (-p[1], p[0])) if c >= max(fewest, MIN_SHOWN_PEOPLE)
        ]
        shown = shown[:MAX_GROUPS]
        while shown and 0 < int((~np.isin(values.astype(str), shown)).sum()) < MIN_SHOWN_PEOPLE:
            shown.pop()
        rows = [_group_metrics(held_out, values == name, str(name), around) for name in shown]
        rest = ~np.isin(values.astype(str), shown)
        if rest.any() and shown:
            rows.append(_group_metrics(held_out, rest, OTHER_GROUPS, around))
        if rows:
            tables[field] = rows
    return tables


def _group_metrics(held_out: HeldOutPredictions, chosen: NDArray[np.bool_], name: str, around: int) -> GroupQuality:
    predictions = held_out.predictions
    error = predictions.age - held_out.age
    chosen_error, others = error[chosen], error[~chosen]
    standard_error = float(chosen_error.std(ddof=1) / np.sqrt(len(chosen_error))) if len(chosen_error) > 1 else float("nan")
    apart = float(chosen_error.mean() - others.mean()) if len(others) else 0.0
    both = float(np.hypot(standard_error, others.std(ddof=1) / np.sqrt(len(others)))) if len(others) > 1 else float("nan")
    ridge_error = held_out.ridge - held_out.age
    side = threshold_errors(held_out.age[chosen], predictions.age[chosen], around)
    return GroupQuality(
        group=name,
        **vars(evaluate(held_out.age[chosen], predictions.age[chosen], predictions.lower[chosen], predictions.upper[chosen])),
        bias_interval=[
            float(chosen_error.mean() - NORMAL_95 * standard_error),
            float(chosen_error.mean() + NORMAL_95 * standard_error),
        ],
        apart=apart,
        apart_z=apart / both if both and np.isfinite(both) else 0.0,
        same_age=_bias_at_same_age(held_out.age, error, chosen),
        made_younger=side.made_younger,
        made_older=side.made_older,
        median_apart=float(held_out.age[~chosen].mean() - held_out.age[chosen].mean()) if len(others) else None,
        ridge_apart=float(ridge_error[chosen].mean() - ridge_error[~chosen].mean()) if len(others) else None,
    )


def _bias_at_same_age(age: NDArray[np.float64], error: NDArray[np.float64], chosen: NDArray[np.bool_]) -> float:
    """Mean error of the ``chosen`` minus that of others of the same five-year band of true age, years; 0 without others."""
    band = (age // 5).astype(np.int64)
    size = int(band.max()) + 1
    others = np.bincount(band[~chosen], minlength=size)
    mean = np.bincount(band[~chosen], error[~chosen], minlength=size) / np.maximum(others, 1)
    chosen_error = chosen & (others[band] > 0)
    return float((error[chosen_error] - mean[band[chosen_error]]).mean()) if chosen_error.any() else 0.0


def critical_group_z(rows: int, people: int = 0) -> float:
    """Critical value of ``apart_z`` for ``rows`` groups: 1 % false positives for all together (Bonferroni).

    For a group of few ``people`` that of Student's t, because the spread of few errors is not known exactly.
    """
    alpha = 0.005 / max(rows, 1)
    return student_t_upper_quantile(alpha, people - 1) if people > 1 else normal_upper_quantile(alpha)
