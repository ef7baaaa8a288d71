"""How good predictions are, all in years, and by age band."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

NumberArray = NDArray[np.floating] | NDArray[np.integer]
AGE_BANDS = ((0, 24), (25, 34), (35, 44), (45, 54), (55, 64), (65, 120))


def band_name(band: tuple[int, int]) -> str:
    """For people: "under 25", "25-34", ..., "65 and over"."""
    low, high = band
    return f"under {high + 1}" if low == 0 else f"{low} and over" if high == 120 else f"{low}\N{EN DASH}{high}"


def point_errors(age: NumberArray, predicted: NumberArray) -> dict[str, float]:
    """mae, rmse, bias (predicted - true: positive = too old), years, and r2. Empty input gives NaN."""
    if not len(age):
        return dict.fromkeys(("mae", "rmse", "bias", "r2"), float("nan"))
    error = np.asarray(predicted, float) - age
    spread = float(np.sum((age - np.mean(age, dtype=float)) ** 2))
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "bias": float(error.mean()),
        "r2": 1 - float(np.sum(error**2)) / spread if spread else float("nan"),
    }


def interval_quality(age: NumberArray, lower: NumberArray, upper: NumberArray) -> dict[str, float]:
    """Coverage (share inside, ends included) and mean width in years."""
    if not len(age):
        return {"coverage": float("nan"), "width": float("nan")}
    inside = (lower <= age) & (age <= upper)
    return {"coverage": float(inside.mean()), "width": float(np.mean(upper - lower))}


def evaluate(age: NumberArray, predicted: NumberArray, lower: NumberArray, upper: NumberArray) -> dict[str, float]:
    """All of the above and the number of rows."""
    return {"rows": len(age), **point_errors(age, predicted), **interval_quality(age, lower, upper)}


def weighted_metrics(
    age: NumberArray, predicted: NumberArray, lower: NumberArray, upper: NumberArray, weights: NDArray[np.float64]
) -> dict[str, float]:
    """mae, rmse, bias, coverage and width of n rows with ``weights`` (n,)."""
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
) -> list[dict[str, object]]:
    """:func:`evaluate` for each band of *true* age that occurs, or of the age ``of``, such as the predicted one."""
    rows: list[dict[str, object]] = []
    place = age if of is None else of
    for low, high in AGE_BANDS:
        chosen = (place >= low) & (place <= high)
        if chosen.any():
            quality = evaluate(age[chosen], predicted[chosen], lower[chosen], upper[chosen])
            rows.append({"band": band_name((low, high)), **quality})
    return rows
