"""Units other than years that the numbers in an age column fit: decades, months, days, logarithms, codes of age bands and others.

A unit is named only where nearly all numbers fit it, so that ages in years, of children too, fit none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from predict_age.arrays import Float64Array
from predict_age.records.age_reading import AgeReading

FEWEST_NUMBERS = 20
FITTING = 0.9  # share of the numbers that must fit
MOSTLY = 0.6
MOST_CODES = 12
FEWEST_VALUES = 5  # different ones of months, weeks and days
WEEKS, DAYS = 365.25 / 7, 365.25  # of a year
_TINY = 1e-6


def numbers_of(texts: Sequence[str]) -> Float64Array:
    """Finite numbers among ``texts``, in order."""
    found = []
    for text in texts:
        try:
            found.append(float(text))
        except ValueError:
            continue
    numbers = np.array(found, np.float64)
    return numbers[np.isfinite(numbers)]


def unit_of(numbers: Float64Array, youngest: int, oldest: int) -> AgeReading | None:
    """Unit of ``numbers`` (n,) as whose values they would be ages from ``youngest`` to ``oldest``; None where no unit fits.

    The narrowest unit counts: whole years before logarithms, these before decades.
    """
    counts = np.unique(numbers, return_counts=True)[1]
    if len(numbers) < FEWEST_NUMBERS or counts.max() >= FITTING * len(numbers):
        return None  # one value is a code for a missing one rather than an age

    def fit(values: Float64Array, *, exact: float | None = None) -> bool:
        inside = (values >= youngest) & (values < oldest + 1)
        if exact is not None:  # whole years tell enough for children to be among them
            inside = (values > 0.5) & (values < oldest + 1) & (np.abs(values - np.round(values)) <= exact)
        return float(inside.mean()) >= FITTING

    def adults(values: Float64Array) -> bool:
        return float((values >= youngest).mean()) >= MOSTLY

    fractions = float((np.abs(numbers - np.round(numbers)) > _TINY).mean())
    if fit(numbers):
        return None  # they are ages in years
    if not fractions:
        return _unit_of_whole_numbers(numbers, fit)
    small = np.minimum(numbers, 10.0)  # exp overflows for others
    if fractions > 0.5 and fit(np.exp(small), exact=0.02):
        return AgeReading.LOGARITHMS
    if fractions > 0.5 and fit(np.power(10.0, small), exact=0.02):
        return AgeReading.LOGARITHMS_TO_10
    if fractions > 0.2 and (fit(numbers * 10) or (numbers.max() < 10 and adults(numbers * 10) and fit(numbers * 10, exact=_TINY))):
        return AgeReading.DECADES
    if fractions > 0.2 and (fit(numbers * 100) or (numbers.max() <= 1.2 and fit(numbers * 100, exact=_TINY))):
        return AgeReading.CENTURIES
    if fractions > 0.2 and numbers.max() - numbers.min() < 15 and np.abs(numbers).max() < 10:
        return AgeReading.SCALED
    return _unit_of_many(fit, numbers)


def _unit_of_whole_numbers(numbers: Float64Array, fit: Callable[..., bool]) -> AgeReading | None:
    different = np.unique(numbers)
    if numbers.min() in (0, 1, 2) and len(different) <= MOST_CODES and numbers.max() <= 2 * MOST_CODES:
        return AgeReading.BAND_CODES
    if fit(np.sqrt(np.maximum(numbers, 0.0)), exact=_TINY):
        return AgeReading.SQUARES
    return _unit_of_many(fit, numbers)


def _unit_of_many(fit: Callable[..., bool], numbers: Float64Array) -> AgeReading | None:
    """Months, weeks or days. Few values are codes; birth years would be weeks, too, of people who are all about 38."""
    if len(np.unique(numbers)) < FEWEST_VALUES:
        return None
    if fit(numbers / 12):
        return AgeReading.MONTHS
    if fit(numbers / WEEKS) and np.quantile(numbers, 0.95) - np.quantile(numbers, 0.05) > 100:
        return AgeReading.WEEKS
    return AgeReading.DAYS if fit(numbers / DAYS) else None
