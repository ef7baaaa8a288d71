"""Distributions of the age over whole years: arrays of one probability for each age, whose rows sum to 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predict_age.arrays import Float32Array
from predict_age.kernels import use_kernels
from predict_age.kernels.kinds import EXP_COEFFICIENTS, HALF, LN2_HIGH, LN2_LOW, LOG2_E, MIN_EXPONENT, ONE

Probabilities = NDArray[np.float32]
CUMULATIVE_TOLERANCE = 1e-5  # float32 sums of a few dozen histograms are exact to about 1e-6


def quantiles(probabilities: Probabilities, youngest: int, levels: tuple[float, ...]) -> NDArray[np.float64]:
    """Quantiles (n_rows, n_levels), years, of ``probabilities`` (n_rows, n_ages), whose first column is the age ``youngest``.

    The probability of a whole age a is spread evenly over a - 0.5 .. a + 0.5, so that quantiles are continuous. They rise with the
    level.
    """
    result = np.empty((len(probabilities), len(levels)))
    if use_kernels(len(probabilities)):
        from predict_age.kernels.density import distribution_quantiles

        level_array = np.array(levels)
        distribution_quantiles(
            np.ascontiguousarray(probabilities),
            level_array,
            (level_array - CUMULATIVE_TOLERANCE).astype(np.float32),
            youngest - 0.5,
            result,
        )
        return result
    cumulative = np.cumsum(probabilities, axis=1, dtype=np.float32)
    rows = np.arange(len(probabilities))
    for i, level in enumerate(levels):
        age_index = (cumulative >= level - CUMULATIVE_TOLERANCE).argmax(axis=1)
        probability = probabilities[rows, age_index].astype(np.float64)
        below = cumulative[rows, age_index] - probability
        within = np.clip((level - below) / np.where(probability > 0, probability, 1.0), 0.0, 1.0)
        result[:, i] = youngest - 0.5 + age_index + within
    return result


def exponential(x: Float32Array) -> Float32Array:
    """Exponentials of ``x`` (any shape), values up to 0, within two units in the last place; 1.6e-38 below -87, NaN stays NaN.

    Kernels and NumPy take the same steps, so that both agree to the last bit: a power of 2 times a polynomial between -ln 2 / 2 and
    ln 2 / 2 (Moshier 1989, Cephes, ``expf``).
    """
    x = np.maximum(x, MIN_EXPONENT)
    whole, y, product = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    np.floor(np.add(np.multiply(x, LOG2_E, out=y), HALF, out=y), out=whole)
    x -= np.multiply(whole, LN2_HIGH, out=product)
    x -= np.multiply(whole, LN2_LOW, out=product)
    np.multiply(x, EXP_COEFFICIENTS[0], out=y)
    for term in EXP_COEFFICIENTS[1:-1]:
        y += term
        y *= x
    y += EXP_COEFFICIENTS[-1]
    y *= np.multiply(x, x, out=product)
    y += x
    y += ONE
    with np.errstate(invalid="ignore"):  # NaN is no power of 2, and the product stays NaN
        power = product.view(np.int32)
        power[...] = whole
        power += 127
        power <<= 23
        y *= product
    return y


@dataclass(frozen=True)
class BandedBasis:
    """A basis (k, a) of k functions of the age, of which few are nonzero at any one age.

    ``first`` (a,): index of the first nonzero function; ``values`` (w, a): values of the w functions from nonzero on.
    """

    first: NDArray[np.int64]
    values: Float32Array

    @classmethod
    def from_dense(cls, basis: Float32Array, min_width: int) -> BandedBasis:
        """The narrowest band that holds ``basis`` (k, a), but at least ``min_width`` functions wide where there are as many."""
        functions, ages = basis.shape
        nonzero = basis != 0
        first = np.where(nonzero.any(axis=0), nonzero.argmax(axis=0), 0)
        last = np.where(nonzero.any(axis=0), functions - 1 - nonzero[::-1].argmax(axis=0), 0)
        width = min(functions, max(min_width, int((last - first).max()) + 1))
        first = np.minimum(first, functions - width)
        return cls(first, basis[first + np.arange(width)[:, np.newaxis], np.arange(ages)])

    def probabilities(self, weights: Float32Array, prior: Float32Array) -> Float32Array:
        """Distributions (a, n) by function ``weights`` (k, n) and log-probabilities ``prior`` (a,): the softmax of their sum."""
        logits = weights[self.first] * self.values[0][:, np.newaxis]
        next_term = np.empty_like(logits)
        for offset, values in enumerate(self.values[1:], start=1):
            np.take(weights, self.first + offset, axis=0, out=next_term, mode="clip")
            next_term *= values[:, np.newaxis]
            logits += next_term
        logits += prior[:, np.newaxis]
        logits -= logits.max(axis=0)
        exponentials = exponential(logits)
        total = exponentials[0].copy()
        for exponentials_of_age in exponentials[1:]:  # one after another, as kernels do: NumPy sums in another order
            total += exponentials_of_age
        exponentials *= ONE / total
        return exponentials
