"""Weights of people with a known age, by age, so that together they are as old as the people to predict (post-stratification)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predict_age.age_bands import LAST_AGE, parse_band
from predict_age.arrays import Float64Array, Int64Array
from predict_age.errors import ConfigError
from predict_age.tally import percent

MAX_EXCESS = 0.01  # of all people: so many more than its share may a band have with a known age, because shares are rounded
MIN_RELATIVE_WEIGHT = 0.05  # people of ages that hardly anybody to predict has still show where the other ages end
MAX_RELATIVE_WEIGHT = 20.0
TRAINING_TIMES = 2.0  # rows that training draws, as a multiple of the people: fewer would leave out many of low weight


@dataclass(frozen=True)
class BandWeight:
    """A band with its ``share`` of all people, its ``labelled`` people, those to predict, and the ``weight`` of a labelled one."""

    band: str
    share: float
    labelled: int
    to_predict: float
    weight: float


@dataclass(frozen=True)
class AgeWeights:
    """Weight by whole year of age (121,), relative to a mean of 1, and the bands that it comes from."""

    by_age: tuple[float, ...]
    bands: tuple[BandWeight, ...]

    def of(self, age: NDArray[np.floating]) -> Float64Array:
        """Weights (n,) of people of ``age`` (n,)."""
        return np.array(self.by_age)[age.astype(np.int64)]


def age_weights(
    shares: Mapping[str, float], known_ages: Float64Array, to_predict: int, age: NDArray[np.floating]
) -> AgeWeights | None:
    """Weights of people of ``age`` (n,) from the ``shares`` of all people by age band; None without shares or people.

    ``known_ages`` (121,): number of people with a known age, by year. The people to predict are those of the whole population
    without them. Raises ConfigError where a band has more people with a known age than its share allows.
    """
    if not shares or not to_predict or not len(age):
        return None
    known, total = float(known_ages.sum()), sum(shares.values())
    everybody, by_year = known + to_predict, np.bincount(age.astype(np.int64), minlength=LAST_AGE + 1)
    weights, bands, left = np.ones(LAST_AGE + 1), [], {}
    for name, share in shares.items():
        labelled = _people_of(name, known_ages)
        left[name] = share / total * everybody - labelled
        if left[name] < -MAX_EXCESS * everybody:
            raise ConfigError(
                f"population.ages: more people of {name} have a known age than there can be",
                expected=f"at most {percent(share / total)} of {everybody:,.0f} people",
                found=percent(labelled / everybody),
                fix="give shares of all people of the source, with and without a known age",
            )
    scale = to_predict / sum(max(n, 0.0) for n in left.values())
    for name in shares:
        low, high = parse_band(name)
        people, mine = max(left[name], 0.0) * scale, _people_of(name, by_year)
        relative = people / to_predict / (mine / len(age)) if mine else 0.0
        weight = float(np.clip(relative, MIN_RELATIVE_WEIGHT, MAX_RELATIVE_WEIGHT))
        weights[low : high + 1] = weight
        bands.append(BandWeight(name, shares[name] / total, round(_people_of(name, known_ages)), people, weight))
    return AgeWeights(tuple(weights.tolist()), tuple(bands))


def known_by_age(age: NDArray[np.floating], known: int) -> Float64Array:
    """People by year of age (121,), together ``known``, from the ages (n,) of a random sample of them."""
    counts = np.bincount(age.astype(np.int64), minlength=LAST_AGE + 1)
    return counts.astype(np.float64) * (known / max(len(age), 1))


def _people_of(band: str, by_year: NDArray[np.number]) -> float:
    low, high = parse_band(band)
    return float(by_year[low : high + 1].sum())


def typical_rows(weights: AgeWeights | None, age: NDArray[np.floating]) -> Int64Array:
    """Places of people of ``age`` (n,): all, or as many by weight as the weighted people are worth."""
    rows = np.arange(len(age))
    return rows if weights is None else drawn_rows(rows, weights.of(age), effective_count(weights.of(age)))


def drawn_rows(rows: Int64Array, weights: Float64Array, count: float) -> Int64Array:
    """About ``count`` of the ``rows`` (n,), each as often as its ``weights`` (n,) says, in order (systematic sampling)."""
    if not len(rows):
        return rows
    marks = np.floor(np.cumsum(weights / weights.sum() * count) + 0.5).astype(np.int64)
    return np.repeat(rows, np.diff(marks, prepend=0))


def effective_count(weights: Float64Array) -> float:
    """Effective sample size: people of equal weight that are as informative (Kish 1965)."""
    return float(weights.sum() ** 2 / (weights**2).sum()) if len(weights) else 0.0


def thinned_rows(rows: Int64Array, weights: Float64Array) -> Int64Array:
    """Those of the ``rows`` (n,) that remain when each is kept at most once, with a probability proportional to its weight."""
    return drawn_rows(rows, weights, weights.sum() / weights.max()) if len(rows) else rows
