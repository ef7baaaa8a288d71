"""Numbers of a sample as they may be shown: none is that of a single person."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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


def _shared_or_power(value: float, numbers: Sequence[float], whole: Callable[[float], int]) -> float:
    """``value`` as :func:`shared_number` gives it, or, where 20 of the ``numbers`` share no digit, a power of ten.

    ``whole`` makes an exponent of the logarithm: a lower, a higher, or the nearest one.
    """
    found = shared_number(value, numbers)
    if found is not None or not value:
        return found or 0.0
    return math.copysign(10.0 ** whole(math.log10(abs(value))), value)


def shared_ends(numbers: Sequence[float]) -> tuple[float, float]:
    """Inner ends of the ``numbers`` for a file, with digits that 20 of them share, or the powers of ten beyond them."""
    low, high = inner_ends(numbers)
    below = _shared_or_power(low, numbers, math.floor if low > 0 else math.ceil)
    return below, _shared_or_power(high, numbers, math.ceil if high > 0 else math.floor)


def shared_median(numbers: Sequence[float]) -> float:
    """The median of the ``numbers`` for a file, with digits that 20 of them share, or the nearest power of ten."""
    return _shared_or_power(median(numbers), numbers, round)


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
