"""Distributions of the age over whole years, as every interval model gives them: one share for each age, rows sum to 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predict_age.kernels import use_kernels
from predict_age.kernels.kinds import EXP_COEFFICIENTS, HALF, LN2_HIGH, LN2_LOW, LOG2_E, MIN_EXPONENT, ONE

Floats = NDArray[np.float32]
Probabilities = NDArray[np.float32]
CUMULATIVE_TOLERANCE = 1e-5  # float32 sums of some dozen histograms are exact to about 1e-6


def quantiles(shares: Probabilities, youngest: int, levels: tuple[float, ...]) -> NDArray[np.float64]:
    """(n_rows, n_levels) quantiles, years, of ``shares`` (n_rows, n_ages), whose first column is the age ``youngest``.

    The share of a whole age a is spread evenly over a - 0.5 .. a + 0.5, so quantiles are continuous. They rise with the level.
    """
    result = np.empty((len(shares), len(levels)))
    if use_kernels(len(shares)):
        from predict_age.kernels.density import distribution_quantiles

        those = np.array(levels)
        distribution_quantiles(
            np.ascontiguousarray(shares), those, (those - CUMULATIVE_TOLERANCE).astype(np.float32), youngest - 0.5, result
        )
        return result
    cumulative = np.cumsum(shares, axis=1, dtype=np.float32)
    rows = np.arange(len(shares))
    for i, level in enumerate(levels):
        bin_ = (cumulative >= level - CUMULATIVE_TOLERANCE).argmax(axis=1)
        share = shares[rows, bin_].astype(np.float64)
        below = cumulative[rows, bin_] - share
        within = np.clip((level - below) / np.where(share > 0, share, 1.0), 0.0, 1.0)
        result[:, i] = youngest - 0.5 + bin_ + within
    return result


def exponential(x: Floats) -> Floats:
    """The exponentials of ``x``, numbers up to 0; 1.6e-38 below -87. Within two units of the last place.

    By steps that kernels and NumPy do alike, to the last bit: 2 to a whole power times a polynomial between -ln 2 / 2 and ln 2 / 2
    (Moshier 1989, Cephes, ``expf``).
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
    """A basis (k, a) of functions of the age, few of which are not 0 at any one age.

    ``first`` (a,): the first of them; ``values`` (w, a): of the w functions from there on.
    """

    first: NDArray[np.int64]
    values: Floats

    @classmethod
    def of(cls, basis: Floats, least: int) -> BandedBasis:
        """The narrowest band that holds ``basis``, but at least ``least`` functions wide, where there are as many."""
        functions, ages = basis.shape
        there = basis != 0
        first = np.where(there.any(axis=0), there.argmax(axis=0), 0)
        last = np.where(there.any(axis=0), functions - 1 - there[::-1].argmax(axis=0), 0)
        width = min(functions, max(least, int((last - first).max()) + 1))
        first = np.minimum(first, functions - width)
        return cls(first, basis[first + np.arange(width)[:, np.newaxis], np.arange(ages)])

    def shares(self, weights: Floats, prior: Floats) -> Floats:
        """The distributions (a, n) with ``weights`` (k, n) of the functions and logarithms ``prior`` (a,)."""
        logits = weights[self.first] * self.values[0][:, np.newaxis]
        of_next = np.empty_like(logits)
        for place, values in enumerate(self.values[1:], start=1):
            np.take(weights, self.first + place, axis=0, out=of_next, mode="clip")
            of_next *= values[:, np.newaxis]
            logits += of_next
        logits += prior[:, np.newaxis]
        logits -= logits.max(axis=0)
        made = exponential(logits)
        total = made[0].copy()
        for shares in made[1:]:  # one after the other, as kernels do: NumPy's sums have an order of their own
            total += shares
        made *= ONE / total
        return made
