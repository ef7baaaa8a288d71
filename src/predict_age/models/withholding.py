"""Withholding of minors: who is too probably younger than the limit for a prediction to be published, and the ages of the others.

Models are trained on people above the limit alone, so their distributions say nothing about younger ages. The density below the
limit is therefore extrapolated from the three ages above it: it goes on as it is or falls as it fell, and never rises. That takes
people below the limit for as frequent, year for year, as people just above it who look the same. See ADR 16.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from predict_age.arrays import BoolArray, Float64Array
from predict_age.config import AgesConfig
from predict_age.models.age_distribution import Probabilities

POOLED_YEARS = 3  # ages that are pooled: single ages are noise in a forest's histograms
YEARS_BELOW = 4  # the density is extrapolated to ages so far below the limit, 14 to 17: who has a profile is hardly younger


@dataclass(frozen=True)
class WithholdingRule:
    """Nobody younger than ``min_age`` is published, nor anybody who is so with at least ``probability``; 0 withholds nobody."""

    min_age: int = 0
    probability: float = 1.0

    def withheld(self, whole_years: Float64Array, younger: Float64Array) -> BoolArray:
        """Who of n people is withheld, by the age to be published and the probability of being ``younger``, both (n,)."""
        if not self.min_age:
            return np.zeros(len(whole_years), np.bool_)
        return (whole_years < self.min_age) | (younger >= self.probability)

    def younger(self, distribution: Probabilities, youngest: int) -> Float64Array:
        """Probability (n,) of being younger than the limit, by a ``distribution`` (n, n_ages) that begins at ``youngest``.

        The larger one of the share below the limit, none where the model was trained above it, and of the extrapolated one.
        """
        if not self.min_age:
            return np.zeros(len(distribution))
        first = max(self.min_age - youngest, 0)
        below = distribution[:, :first].sum(axis=1, dtype=np.float64)
        near = distribution[:, first : first + POOLED_YEARS].sum(axis=1, dtype=np.float64)
        next_ = distribution[:, first + POOLED_YEARS : first + 2 * POOLED_YEARS].sum(axis=1, dtype=np.float64)
        falls = near / np.maximum(np.maximum(near, next_), np.finfo(np.float32).tiny)
        gap = max(youngest - self.min_age, 0)  # ages between the limit and the model's youngest
        steps = (np.arange(gap, gap + YEARS_BELOW) // POOLED_YEARS) + 1
        missing = near / POOLED_YEARS * (falls[:, np.newaxis] ** steps).sum(axis=1)
        total = np.maximum(distribution.sum(axis=1, dtype=np.float64) - below, np.finfo(np.float32).tiny)
        return np.maximum(below, missing / (total + missing))

    def above(self, distribution: Probabilities, youngest: int) -> tuple[Probabilities, int]:
        """The ``distribution`` (n, n_ages) given that a person is not below the limit, and the age it begins at.

        A row without any probability there, which is withheld, gets the whole of it at the limit.
        """
        first = self.min_age - youngest
        if first <= 0:
            return distribution, youngest
        kept = distribution[:, first:].copy()
        total = kept.sum(axis=1, keepdims=True)
        empty = total[:, 0] <= np.finfo(np.float32).tiny
        kept[empty, 0] = total[empty] = 1.0
        return kept / total, self.min_age


NOBODY_WITHHELD = WithholdingRule()


def withholding_rule(ages: AgesConfig) -> WithholdingRule:
    """The rule that ``ages`` configure."""
    return WithholdingRule(ages.min_age, ages.withhold_probability)
