"""Numbers of a sample as they may be shown: none is that of a single person."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import numpy as np

from predict_age.tally import MIN_SHOWN_PEOPLE

_MOST_DIGITS = 6


def inner_ends(numbers: Sequence[float]) -> tuple[float, float]:
    """The values that 19 of the ``numbers`` are below and above; of fewer than 40, the median twice."""
    ordered = sorted(numbers)
    if len(ordered) < 2 * MIN_SHOWN_PEOPLE:
        return median(ordered), median(ordered)
    return ordered[MIN_SHOWN_PEOPLE - 1], ordered[-MIN_SHOWN_PEOPLE]


def shared_number(value: float, numbers: Sequence[float]) -> float | None:
    """``value`` with so many digits that at least 20 of the ``numbers`` have the same; None where not even one digit is shared."""
    found = np.asarray(numbers, np.float64)
    for digits in range(_MOST_DIGITS, 0, -1):
        rounded = float(f"{value:.{digits}g}")
        unit = 10.0 ** (np.floor(np.log10(abs(rounded))) - digits + 1) if rounded else 0.5
        if np.count_nonzero(np.abs(found - rounded) <= unit / 2) >= MIN_SHOWN_PEOPLE:
            return rounded
    return None


def shared_or_magnitude(value: float, numbers: Sequence[float]) -> float:
    """``value`` as :func:`shared_number` gives it, or, where 20 of the ``numbers`` share no digit, the power of ten around it."""
    found = shared_number(value, numbers)
    if found is not None or not value:
        return found or 0.0
    return math.copysign(10.0 ** math.ceil(math.log10(abs(value))), value)


def shared_ends(numbers: Sequence[float]) -> tuple[float, float]:
    """Inner ends of the ``numbers`` for a file, with digits that 20 of them share."""
    low, high = inner_ends(numbers)
    return shared_or_magnitude(low, numbers), shared_or_magnitude(high, numbers)


def shared_median(numbers: Sequence[float]) -> float:
    """The median of the ``numbers`` for a file, with digits that 20 of them share."""
    return shared_or_magnitude(median(numbers), numbers)


def number_in_words(value: float | None) -> str:
    """A shared number: with commas from 10,000 on, so that years have none; empty for None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:g}"


def range_in_words(numbers: Sequence[float]) -> str:
    """Inner ends and median of the ``numbers``; empty where no digit of them is shared."""
    low, high = (shared_number(end, numbers) for end in inner_ends(numbers))
    middle = shared_number(median(numbers), numbers)
    if low is None or high is None or middle is None:
        return ""
    ends = f"nearly all {number_in_words(low)} to {number_in_words(high)}, " if low < high else ""
    return f"{ends}median {number_in_words(middle)}"
