"""Reasons of a predicted age: how many years each feature of a profile adds to what the model says about nobody in particular.

Shapley values (Shapley 1953) of the whole ensemble: a feature is taken out by making it unknown, which the models were trained on.
Up to EXACT_FEATURES known features all their sets are evaluated; beyond, permutations and their reverses are drawn (antithetic
sampling, Mitchell et al. 2022), whose standard error is given. Reasons say what the model used, not why a person has an age.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import factorial, sqrt

import numpy as np
from numpy.typing import NDArray

from predict_age.arrays import Float64Array
from predict_age.features.encode import Matrix
from predict_age.models.bundle import Bundle

EXACT_FEATURES = 12
PERMUTATIONS, PERMUTATIONS_OF_TREES = 32, 64  # trees jump, so that means of few permutations scatter more
DECIMALS = 3
SEED = 20_261_129
BASE, ROUNDING = "(base)", "(rounding)"


@dataclass(frozen=True)
class Reason:
    """One feature: the ``years`` that it adds to the age, with a standard error, and to the width of the interval."""

    feature: str
    meaning: str
    years: float
    standard_error: float
    width_years: float

    def sentence(self) -> str:
        """The reason in words, as what the model used."""
        direction = "older" if self.years > 0 else "younger"
        return f"The model used {self.feature} ({self.meaning}): {abs(self.years):.1f} years {direction}."

    def as_json(self) -> dict[str, object]:
        return {**vars(self), "sentence": self.sentence()}


@dataclass(frozen=True)
class Reasons:
    """All reasons of one prediction, the strongest first.

    ``base_age`` + years + ``rounding`` is the predicted age, ``base_width`` + years of width + ``width_rounding`` the width:
    exactly, in thousandths. ``permutations`` is 0 where all sets of features were evaluated.
    """

    base_age: float
    base_width: float
    reasons: tuple[Reason, ...]
    rounding: float
    width_rounding: float
    permutations: int

    def as_json(self) -> dict[str, object]:
        """The reasons by name."""
        return {
            "base_age": self.base_age,
            "base_width": self.base_width,
            "reasons": [reason.as_json() for reason in self.reasons],
            "rounding": self.rounding,
            "width_rounding": self.width_rounding,
            "permutations": self.permutations,
        }


@dataclass(frozen=True)
class Shares:
    """Shapley values of k features: ``base`` (2,) and ``values`` (k, 2) of age and width, and ``standard_errors`` (k,) of ages."""

    base: Float64Array
    values: Float64Array
    standard_errors: Float64Array
    permutations: int


def reasons_of(bundle: Bundle, row: Matrix, age: int, width: float) -> Reasons:
    """Reasons for the published ``age`` and ``width`` of the person with this ``row`` (n_columns,), who shows some feature."""
    names = bundle.features.names
    known = [i for i in range(len(names)) if not np.isnan(row[i])]
    shares = feature_shares(bundle, row, known)
    made = []
    for i, (years, of_width), error in zip(known, shares.values.tolist(), shares.standard_errors.tolist(), strict=True):
        meaning = bundle.features.features[names[i]].meaning.rstrip(".")
        made.append(Reason(names[i], meaning, _rounded(years), _rounded(error), _rounded(of_width)))
    base_age, base_width = map(_rounded, shares.base.tolist())
    rounding = _rounded(age - base_age - sum(r.years for r in made))
    width_rounding = _rounded(width - base_width - sum(r.width_years for r in made))
    made.sort(key=lambda reason: -abs(reason.years))
    return Reasons(base_age, base_width, tuple(made), rounding, width_rounding, shares.permutations)


def feature_shares(bundle: Bundle, row: Matrix, known: list[int], exact_features: int = EXACT_FEATURES) -> Shares:
    """Shapley values of the ``known`` features of a ``row`` (n_columns,); by enumeration up to ``exact_features`` of them."""
    k = len(known)
    if k <= exact_features:
        sets = np.arange(1 << k, dtype=np.int64)
        found = _of_sets(bundle, row, known, sets)
        return Shares(found[0], _enumerated(found, k), np.zeros(k), 0)
    has_trees = bool(bundle.ensemble.weights[0] or bundle.ensemble.weights[1] or bundle.ensemble.network_share < 1)
    orders = _orders(k, PERMUTATIONS_OF_TREES if has_trees else PERMUTATIONS)
    chains = np.concatenate([np.zeros((len(orders), 1), np.int64), np.cumsum(np.int64(1) << orders, axis=1)], axis=1)
    sets, places = np.unique(chains, return_inverse=True)
    found = _of_sets(bundle, row, known, sets)[places.reshape(chains.shape)]
    steps = np.empty((len(orders), k, 2))
    np.put_along_axis(steps, orders[:, :, np.newaxis], np.diff(found, axis=1), axis=1)
    pairs = (steps[0::2] + steps[1::2]) / 2
    errors = pairs[:, :, 0].std(axis=0, ddof=1) / sqrt(len(pairs))
    return Shares(found[0, 0], pairs.mean(axis=0), errors, len(orders))


@lru_cache(maxsize=64)
def _orders(k: int, permutations: int) -> NDArray[np.int64]:
    """Permutations (p, k) of ``k`` features, each followed by its reverse; the same in every process."""
    drawn = np.random.default_rng([SEED, k])
    orders = [drawn.permutation(k) for _ in range(permutations // 2)]
    return np.array([way for order in orders for way in (order, order[::-1])], np.int64)


def _enumerated(found: Float64Array, k: int) -> Float64Array:
    """Shapley values (k, 2) from the values ``found`` (2^k, 2) of all sets, by the bits of their numbers."""
    sets = np.arange(1 << k)
    sizes = np.array([int(number).bit_count() for number in sets])
    weights = np.array([factorial(s) * factorial(k - s - 1) / factorial(k) if s < k else 0.0 for s in range(k + 1)])
    values = np.empty((k, 2))
    for i in range(k):
        without = sets[(sets >> i & 1) == 0]
        values[i] = (weights[sizes[without], np.newaxis] * (found[without | 1 << i] - found[without])).sum(axis=0)
    return values


def _of_sets(bundle: Bundle, row: Matrix, known: list[int], sets: NDArray[np.int64]) -> Float64Array:
    """Age and width (n, 2), not rounded, of a person of whom only the features in a set are known; ``sets`` (n,) by bits."""
    rows = np.repeat(row[np.newaxis], len(sets), axis=0)
    names = bundle.features.names
    owner = [name.rpartition(".")[0] for name in bundle.encoders.column_names(names)[len(names) :]]
    for bit, i in enumerate(known):
        unknown = (sets >> bit & 1) == 0
        rows[unknown, i] = np.nan
        for column, name in enumerate(owner, start=len(names)):
            if name == names[i]:
                rows[unknown, column] = 0
    outputs = bundle.member_outputs(rows)
    raw = bundle.ensemble.raw_intervals(outputs)
    width = np.maximum(raw.width + 2 * bundle.ensemble.calibration.widen(raw), 0.0)
    return np.column_stack([raw.point_age, width])


def _rounded(years: float) -> float:
    return round(years, DECIMALS) + 0.0  # without a negative zero
