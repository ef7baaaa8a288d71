"""Whole numbers that stand for kinds: decided by what they say about the known ages, since neither name nor gaps tell for sure.

An amount tells the age smoothly: its neighbours are alike. A code does not. So two simple predictions of the age, each of people
whom it has not seen, are compared: one that only knows the order of the values, and one that knows each value's own mean age.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from predict_age.arrays import Float64Array, Int64Array
from predict_age.features.encode import PRIOR_ROWS
from predict_age.proposal.fields import Field

_FEWEST_PEOPLE = 200  # of known age, for a decision
_FEWEST_LEVELS, _MOST_LEVELS = 3, 1000
_MIN_LEVEL_PEOPLE = 5  # on average, for means of levels to be worth a look
_FOLDS = 5
_BINS = 32  # of neighbouring values with one mean, where there are more levels than that
_DEGREE = 3  # of the polynomial in the rank of the value, where there are not
_SURE = 3.0  # standard errors
_LEAST_GAIN = 0.01  # of the error of the ordered prediction


def levels_tell_more(field: Field, ages: Sequence[int | None]) -> bool | None:
    """Whether whole numbers tell more about ``ages`` (n_rows,), years or None, than their order does; None: too few people.

    Neither the rows nor the folds depend on anything but the order of the records.
    """
    if len(field.numbers) < len(field.values) or not all(n.is_integer() for n in field.numbers):
        return None
    known = [(number, age) for row, number in zip(field.rows, field.numbers, strict=True) if (age := ages[row]) is not None]
    if len(known) < _FEWEST_PEOPLE:
        return None
    values, age = np.array(known, np.float64).T
    levels, codes = np.unique(values, return_inverse=True)
    if not _FEWEST_LEVELS <= len(levels) <= min(_MOST_LEVELS, len(age) // _MIN_LEVEL_PEOPLE):
        return None
    fold = np.random.default_rng(len(age)).permutation(len(age)) % _FOLDS
    ordered, own = np.empty(len(age)), np.empty(len(age))
    order = _by_neighbours if len(levels) > _BINS else _by_polynomial
    for number in range(_FOLDS):
        rest, mine = fold != number, fold == number
        ordered[mine] = order(codes[rest], age[rest], codes[mine])
        own[mine] = _means(codes[rest], age[rest], len(levels))[codes[mine]]
    gain = (ordered - age) ** 2 - (own - age) ** 2
    least = max(_LEAST_GAIN * float(((ordered - age) ** 2).mean()), _SURE * float(gain.std()) / np.sqrt(len(gain)))
    return bool(gain.mean() > least)


def _means(codes: Int64Array, age: Float64Array, levels: int) -> Float64Array:
    """Mean age (levels,) of the people with each code, drawn towards the mean of all as the encoder of categories does it."""
    rows = np.bincount(codes, minlength=levels)
    return np.asarray((np.bincount(codes, age, levels) + PRIOR_ROWS * age.mean()) / (rows + PRIOR_ROWS))


def _by_polynomial(codes: Int64Array, age: Float64Array, new: Int64Array) -> Float64Array:
    """Ages for ``new`` codes by a polynomial in the codes, which are ranks."""
    top = max(int(codes.max()), int(new.max()), 1)
    fitted = np.polynomial.Polynomial.fit(codes, age, min(_DEGREE, len(np.unique(codes)) - 1), domain=[0, top])
    return np.asarray(fitted(new), np.float64)


def _by_neighbours(codes: Int64Array, age: Float64Array, new: Int64Array) -> Float64Array:
    """Ages for ``new`` codes by the mean of all people in the same of ``_BINS`` ranges with equally many people."""
    edges = np.unique(np.quantile(codes, np.linspace(0, 1, _BINS + 1)[1:-1]))
    return _means(np.searchsorted(edges, codes, side="right"), age, len(edges) + 1)[np.searchsorted(edges, new, side="right")]
