"""Metrics of predictions, in years, for all rows and by age band."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predict_age.models.bundle import Predictions, confidence_pct
from predict_age.records.model_quality import BandQuality, ConfidenceStep, IntervalQuality, PairedGain, PointErrors, Quality
from predict_age.tally import MIN_SHOWN_PEOPLE, fold_small_counts

NumberArray = NDArray[np.floating] | NDArray[np.integer]
AGE_BANDS = ((0, 24), (25, 34), (35, 44), (45, 54), (55, 64), (65, 120))


def band_name(band: tuple[int, int]) -> str:
    """The band's name for people: "under 25", "25-34", ..., "65 and over"."""
    low, high = band
    if (low, high) == (0, 120):
        return "all ages"
    return f"under {high + 1}" if low == 0 else f"{low} and over" if high == 120 else f"{low}\N{EN DASH}{high}"


def point_errors(age: NumberArray, predicted: NumberArray) -> PointErrors:
    """Errors: mae, rmse, bias (predicted - true: positive = too old), years, and r2. Empty input gives NaN."""
    if not len(age):
        return PointErrors(*[float("nan")] * 4)
    error = np.asarray(predicted, float) - age
    total_variation = float(np.sum((age - np.mean(age, dtype=float)) ** 2))
    return PointErrors(
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt((error**2).mean())),
        bias=float(error.mean()),
        r2=1 - float(np.sum(error**2)) / total_variation if total_variation else float("nan"),
    )


def paired_gain(age: NumberArray, predicted: NumberArray, baseline: NumberArray) -> PairedGain:
    """Gain of ``predicted`` (n,) over ``baseline`` (n,) on the same people: positive where the model errs less, in years.

    The standard error is that of the mean of n differences; 0 with fewer than two people.
    """
    gains = np.abs(np.asarray(baseline, float) - age) - np.abs(np.asarray(predicted, float) - age)
    if not len(gains):
        return PairedGain(0.0, 0.0, 0)
    error = float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else 0.0
    return PairedGain(float(gains.mean()), error, len(gains))


def interval_quality(age: NumberArray, lower: NumberArray, upper: NumberArray) -> IntervalQuality:
    """Coverage (share of ages inside, ends included) and mean width in years. Empty input gives NaN."""
    if not len(age):
        return IntervalQuality(float("nan"), float("nan"))
    inside = (lower <= age) & (age <= upper)
    return IntervalQuality(float(inside.mean()), float(np.mean(upper - lower)))


def evaluate(age: NumberArray, predicted: NumberArray, lower: NumberArray, upper: NumberArray) -> Quality:
    """Number of rows, point errors and interval quality."""
    return Quality(len(age), **vars(point_errors(age, predicted)), **vars(interval_quality(age, lower, upper)))


def weighted_metrics(
    age: NumberArray, predicted: NumberArray, lower: NumberArray, upper: NumberArray, weights: NDArray[np.float64]
) -> dict[str, float]:
    """Metrics mae, rmse, bias, coverage and width of n rows with ``weights`` (n,)."""
    error = np.asarray(predicted, float) - age
    inside = (lower <= age) & (age <= upper)

    def mean(values: NDArray[Any]) -> float:
        return float(np.average(values, weights=weights))

    return {
        "mae": mean(np.abs(error)),
        "rmse": float(np.sqrt(mean(error**2))),
        "bias": mean(error),
        "coverage": mean(inside),
        "width": mean(np.asarray(upper - lower)),
    }


def metrics_by_band(
    age: NumberArray, predicted: NumberArray, lower: NumberArray, upper: NumberArray, of: NumberArray | None = None
) -> list[BandQuality]:
    """:func:`evaluate` for each band of *true* age, or of the age ``of``, such as the predicted one.

    A band of fewer than 20 people is joined with a neighbour, since a mean of few tells of each of them; with fewer in all, there
    is no band.
    """
    rows = []
    for name, chosen in _people_by_band(age if of is None else of):
        quality = evaluate(age[chosen], predicted[chosen], lower[chosen], upper[chosen])
        rows.append(BandQuality(name, **vars(quality)))
    return rows


def gain_by_band(age: NumberArray, predicted: NumberArray, baseline: NumberArray) -> dict[str, PairedGain]:
    """:func:`paired_gain` in each band of true age, by the name that :func:`metrics_by_band` gives it."""
    return {name: paired_gain(age[chosen], predicted[chosen], baseline[chosen]) for name, chosen in _people_by_band(age)}


def _people_by_band(ages: NumberArray) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Name of each band, and who of ``ages`` (n,) is in it."""
    for low, high in _bands_of_enough(ages):
        yield band_name((low, high)), (ages >= low) & (ages <= high)


def _bands_of_enough(ages: NumberArray) -> list[tuple[int, int]]:
    """AGE_BANDS with ``ages`` (n,), neighbours joined until each holds at least 20 people."""
    bands: list[tuple[int, int]] = []
    sizes: list[int] = []
    for low, high in AGE_BANDS:
        people = int(((ages >= low) & (ages <= high)).sum())
        if people and sizes and sizes[-1] < MIN_SHOWN_PEOPLE:
            bands[-1], sizes[-1] = (bands[-1][0], high), sizes[-1] + people
        elif people:
            bands.append((low, high))
            sizes.append(people)
    if len(bands) > 1 and sizes[-1] < MIN_SHOWN_PEOPLE:
        bands[-2:] = [(bands[-2][0], bands[-1][1])]
        sizes[-2:] = [sum(sizes[-2:])]
    return bands if sum(sizes) >= MIN_SHOWN_PEOPLE else []


MIN_COVERAGE_ROWS = 20  # with fewer people, a share inside the interval says little
MIN_COVERAGE_GAP = 0.03  # below the target coverage


def is_short_of_coverage(rows: int, coverage: float, target: float) -> bool:
    """Whether at least 20 people are covered more than 3 points below the ``target``: what the pages print in red."""
    return rows >= MIN_COVERAGE_ROWS and coverage < target - MIN_COVERAGE_GAP


def errors_by_confidence(predictions: Predictions, truth: NDArray[np.float64]) -> list[ConfidenceStep]:
    """Error by confidence_pct in steps of 10: what the percentage means in years. Steps of fewer than 20 people are left out."""
    step = np.clip(confidence_pct(predictions.width) // 10, 0, 9).astype(int)
    shown = fold_small_counts({str(low): n for low, n in enumerate(np.bincount(step, minlength=10).tolist()) if n}, "others")
    rows = []
    for low in range(0, 100, 10):
        chosen = step == low // 10
        if str(low // 10) in shown:
            errors = np.abs(predictions.age[chosen] - truth[chosen])
            rows.append(
                ConfidenceStep(
                    low,
                    int(chosen.sum()),
                    float(errors.mean()),
                    float(np.quantile(errors, 0.9)),
                    float(errors.std() / np.sqrt(len(errors))),
                )
            )
    return rows


def confidence_sentence(steps: list[ConfidenceStep]) -> str:
    """The relation of confidence and error in words: it falls, it falls but for differences within chance, or it does not."""
    if len(steps) < 2:
        return "Too few people of different confidence were held out to say whether error falls with it."
    rises = [(a, b) for a, b in pairwise(steps) if b.mae > a.mae]
    if not rises:
        return "Error falls with confidence: no step errs more than the one before."
    before, after = max(rises, key=lambda pair: pair[1].mae - pair[0].mae)
    where = f"{after.low} to {after.low + 10} %: {after.mae:.2f} years, the step before {before.mae:.2f}"
    if errors_fall_with_confidence(steps):
        return f"Error falls with confidence within chance (two standard errors); largest rise at {where}."
    return f"Error does not fall with confidence everywhere: {where}."


def errors_fall_with_confidence(steps: list[ConfidenceStep]) -> bool:
    """Return True when no step of confidence has a larger error than the step before, by more than two standard errors of both."""
    return all(
        later.mae <= earlier.mae + 2 * float(np.hypot(later.standard_error, earlier.standard_error))
        for earlier, later in pairwise(steps)
    )
