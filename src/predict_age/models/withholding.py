"""Withholding of minors: who is too probably younger than the limit for a prediction to be published, and the ages of the others.

Models are trained on people above the limit alone, so their distributions say nothing about younger ages. The density below the
limit is therefore extrapolated from the three ages above it: it goes on as it is or falls as it fell, and never rises. That takes
people below the limit for as frequent, year for year, as people just above it who look the same. How frequent they really are, the
known minors of the run say by their number: the odds are multiplied by a rate (label shift, Saerens et al. 2002). See ADR 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from predict_age.arrays import BoolArray, Float64Array
from predict_age.config import AgesConfig
from predict_age.models.age_distribution import Probabilities
from predict_age.records.model_quality import BEYOND_DOUBT, MinorsRate
from predict_age.source.row_rules import YEARS_BELOW

POOLED_YEARS = 3  # ages that are pooled: single ages are noise in a forest's histograms
PRIOR_MINORS = 1.0  # the rate begins at 1, as if so many minors were known where so many were to be expected
PRIOR_MINORS_UNSEEN = 20.0  # so many more where no minor is known: perhaps their ages were left out of the source
_TINY = np.finfo(np.float32).tiny
HALVING = 2  # known minors that halve this doubt: one may be a mistyped year


@dataclass(frozen=True)
class WithholdingRule:
    """Nobody younger than ``min_age`` is published, nor anybody who is so with at least ``probability``; 0 withholds nobody.

    ``rate``: minors as a multiple of those whom the youngest adults suggest.
    """

    min_age: int = 0
    probability: float = 1.0
    rate: float = 1.0

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
        below = distribution[:, :first].sum(axis=1, dtype=np.float64) if first else 0.0
        near = distribution[:, first : first + POOLED_YEARS].sum(axis=1, dtype=np.float64)
        next_ = distribution[:, first + POOLED_YEARS : first + 2 * POOLED_YEARS].sum(axis=1, dtype=np.float64)
        falls = near / np.maximum(np.maximum(near, next_), _TINY)
        gap = max(youngest - self.min_age, 0)  # ages between the limit and the model's youngest
        steps = (np.arange(gap, gap + YEARS_BELOW) // POOLED_YEARS) + 1
        missing = self.rate * near / POOLED_YEARS * (falls[:, np.newaxis] ** steps).sum(axis=1)
        total = np.maximum(distribution.sum(axis=1, dtype=np.float64) - below, _TINY)
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
        empty = total[:, 0] <= _TINY
        kept[empty, 0] = total[empty] = 1.0
        return kept / total, self.min_age


NOBODY_WITHHELD = WithholdingRule()


def withholding_rule(ages: AgesConfig, minors: MinorsRate | None = None) -> WithholdingRule:
    """The rule that ``ages`` configure, for minors as frequent as ``minors`` says where that is about the same limit."""
    rate = minors.rate if minors and minors.min_age == ages.min_age else 1.0
    return WithholdingRule(ages.min_age, ages.withhold_probability, rate)


def at_rate(younger: Float64Array, rate: float) -> Float64Array:
    """Probabilities (n,) of being ``younger`` (n,) by models of older people alone, if minors are ``rate`` times as frequent."""
    odds = rate * younger / (1 - younger)
    return odds / (1 + odds)


def suggested_minors(younger: Float64Array, weights: Float64Array, weight_at_limit: float) -> float:
    """Minors to be expected for each adult of known age, from probabilities ``younger`` (n,) of adults at the rate 1.

    The odds of being younger sum up to the number of younger people who look like somebody. ``weights`` (n,) of the adults by age
    are those that the models were trained with; minors are taken for as often without an age as adults at the limit.
    """
    odds = younger / (1 - younger)
    return float((weights * odds).mean() / weight_at_limit) if len(odds) else 0.0


def minors_by_ages(min_age: int, youngest: int, known_ages: Sequence[int]) -> float:
    """Minors to be expected if the histogram of known ages, from 0 on, went on below ``min_age`` as densities of the rule do.

    ``youngest``: the youngest age that counts as known (``ages.youngest``), from which the histogram is carried on.
    """
    first = max(min_age, youngest)
    adults = np.array(known_ages[first:], np.float32)[np.newaxis]
    younger = float(WithholdingRule(min_age).younger(adults, first)[0]) if adults.any() else 0.0
    return round(float(adults.sum()) * younger / (1 - younger), 1)


def minors_rate(min_age: int, suggested: float, adults: int, known: int, by_ages: float) -> MinorsRate:
    """The rate by the number of ``known`` minors among ``adults`` of known age, of each of whom ``suggested`` minors are expected.

    The posterior mean of a Poisson rate with a gamma prior around 1. Where no minor is known, perhaps their ages were left out of
    the source: in their place count those ``by_ages``, whom the known ages lead to expect (:func:`minors_by_ages`), and the prior
    counts for more. HALVING known minors halve this doubt; a run passes 5 for 5 to 19, 0 for fewer. Two digits: more would follow
    single people.
    """
    doubt: float = 0.5 ** (known / HALVING)
    prior = PRIOR_MINORS + doubt * PRIOR_MINORS_UNSEEN
    counted = known if by_ages <= known else doubt * by_ages + (1 - doubt) * known
    rate = (counted + prior) / (adults * suggested + prior)
    return MinorsRate(min_age, suggested, adults, known, by_ages, float(f"{rate:.2g}"))


def rate_of_reused(before: MinorsRate | None, min_age: int, adults: int, known: int, by_ages: float) -> MinorsRate | None:
    """The rate in a run that uses the model of another, whose rate was ``before``; None where the model cannot tell.

    It stays as it was unless that lets expect another number of known minors, beyond doubt (square roots of Poisson counts have the
    variance 1/4), so that predictions stay equal as long as nothing has changed.
    """
    if before is None or before.min_age != min_age:
        return None
    now = minors_rate(min_age, before.suggested, adults, known, by_ages)
    doubt = sqrt((1 + now.expected / max(before.expected, 1.0)) / 4)
    numbers = (sqrt(rate * now.expected + 3 / 8) for rate in (before.rate, now.rate))
    return replace(now, rate=before.rate) if abs(next(numbers) - next(numbers)) <= BEYOND_DOUBT * doubt else now
