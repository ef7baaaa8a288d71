"""Reasons of a predicted age: how many years each feature of a profile adds to what the model says about nobody in particular.

Shapley values (Shapley 1953) of the whole ensemble: a feature is taken out by making it unknown, which the models were trained on.
Up to EXACT_FEATURES known features all their sets are evaluated. Beyond, small and large sets are, and of the others some are
drawn, each with its complement; the values are the weighted regression of Lundberg and Lee (2017, "Kernel SHAP"; pairs: Covert and
Lee 2021), which adds up exactly and errs half as much as as many permutations. Reasons say what the model used, not why a person
has an age.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb, factorial

import numpy as np
from numpy.typing import NDArray

from predict_age.arrays import Float64Array
from predict_age.features.encode import Matrix
from predict_age.models.bundle import Bundle
from predict_age.pieces import finished

EXACT_FEATURES = 12
MOST_SETS, MOST_SETS_OF_TREES = 450, 850  # trees jump, so that few sets tell less about the others
JACKKNIFE_GROUPS = 10
DECIMALS = 3
SEED = 20_261_129
SETS_TOGETHER = 256  # sets that are evaluated before a pause
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
    exactly, in thousandths. ``sets`` of features were evaluated: all there are, or some.
    """

    base_age: float
    base_width: float
    reasons: tuple[Reason, ...]
    rounding: float
    width_rounding: float
    sets: int

    def as_json(self) -> dict[str, object]:
        """The reasons by name."""
        return {
            "base_age": self.base_age,
            "base_width": self.base_width,
            "reasons": [reason.as_json() for reason in self.reasons],
            "rounding": self.rounding,
            "width_rounding": self.width_rounding,
            "sets": self.sets,
        }


@dataclass(frozen=True)
class Shares:
    """Shapley values of k features: ``base`` (2,) and ``values`` (k, 2) of age and width, and ``standard_errors`` (k,) of ages."""

    base: Float64Array
    values: Float64Array
    standard_errors: Float64Array
    sets: int


def reasons_in_pieces(bundle: Bundle, row: Matrix, age: int, width: float) -> Generator[None, None, Reasons]:
    """Reasons for the published ``age`` and ``width`` of the person with this ``row`` (n_columns,), who shows some feature."""
    names = bundle.features.names
    known = [i for i in range(len(names)) if not np.isnan(row[i])]
    shares = yield from _shares_in_pieces(bundle, row, known, EXACT_FEATURES)
    made = []
    for i, (years, of_width), error in zip(known, shares.values.tolist(), shares.standard_errors.tolist(), strict=True):
        meaning = bundle.features.features[names[i]].meaning.rstrip(".")
        made.append(Reason(names[i], meaning, _rounded(years), _rounded(error), _rounded(of_width)))
    base_age, base_width = map(_rounded, shares.base.tolist())
    rounding = _rounded(age - base_age - sum(r.years for r in made))
    width_rounding = _rounded(width - base_width - sum(r.width_years for r in made))
    made.sort(key=lambda reason: -abs(reason.years))
    return Reasons(base_age, base_width, tuple(made), rounding, width_rounding, shares.sets)


def feature_shares(bundle: Bundle, row: Matrix, known: list[int], exact_features: int = EXACT_FEATURES) -> Shares:
    """Shapley values of the ``known`` features of a ``row`` (n_columns,); by enumeration up to ``exact_features`` of them."""
    return finished(_shares_in_pieces(bundle, row, known, exact_features))


def _shares_in_pieces(bundle: Bundle, row: Matrix, known: list[int], exact_features: int) -> Generator[None, None, Shares]:
    k = len(known)
    if k <= exact_features:
        sets = np.arange(1 << k, dtype=np.int64)
        found = yield from _of_sets(bundle, row, known, sets)
        return Shares(found[0], _enumerated(found, k), np.zeros(k), len(sets))
    has_trees = bool(bundle.ensemble.weights[0] or bundle.ensemble.weights[1] or bundle.ensemble.network_share < 1)
    drawn = _drawn_sets(k, MOST_SETS_OF_TREES if has_trees else MOST_SETS)
    found = yield from _of_sets(bundle, row, known, drawn.sets)
    base, change = found[0], found[-1] - found[0]
    values = _regression(drawn, found - base, change, drawn.weights)
    without = [_regression(drawn, found - base, change, drawn.weights_without(group)) for group in range(JACKKNIFE_GROUPS)]
    spread = np.array(without)[:, :, 0] - values[:, 0]
    errors = np.sqrt((JACKKNIFE_GROUPS - 1) / JACKKNIFE_GROUPS * (spread**2).sum(axis=0))
    return Shares(base, values, errors, len(drawn.sets))


@dataclass(frozen=True)
class DrawnSets:
    """Sets (n,) of k features, by bits: the empty one first, the whole one last; ``members`` (n, k) of 0 and 1, ``weights`` (n,).

    ``groups`` (n,): of those drawn, for the standard error; -1 for sets of a size of which all are evaluated.
    """

    sets: NDArray[np.int64]
    members: Float64Array
    weights: Float64Array
    groups: NDArray[np.int64]

    def weights_without(self, group: int) -> Float64Array:
        """The weights where the drawn sets of one ``group`` are left out; the others stand for them."""
        kept = np.where(self.groups == group, 0.0, self.weights)
        drawn = self.groups >= 0
        total = kept[drawn].sum()
        return np.where(drawn, kept * (self.weights[drawn].sum() / total if total else 0.0), kept)


@lru_cache(maxsize=64)
def _drawn_sets(k: int, most: int) -> DrawnSets:
    """Sets of ``k`` features, about ``most``; the same in every process.

    All sets of a size, and their complements, while they take at most half of what is left; others are drawn by weight.
    """
    whole, left, chosen = (1 << k) - 1, most, dict[int, tuple[float, int]]()
    weights = {size: (k - 1) / (size * (k - size)) for size in range(1, k)}
    for size in range(1, k // 2 + 1):
        if 4 * comb(k, size) > left:
            break
        for some in combinations(range(k), size):
            number = sum(1 << i for i in some)
            chosen[number] = chosen[whole ^ number] = weights[size] / comb(k, size), -1
        left -= 2 * comb(k, size)
        weights.pop(size)
        weights.pop(k - size, None)
    draw = np.random.default_rng([SEED, k])
    sizes = list(weights)
    shares = np.array([weights[size] for size in sizes])
    each = shares.sum() / max(left // 2 * 2, 1)
    for pair, size in enumerate(draw.choice(sizes, left // 2, p=shares / shares.sum()).tolist() if sizes else []):
        number = sum(1 << int(i) for i in draw.choice(k, size, replace=False))
        for either in (number, whole ^ number):
            chosen[either] = chosen.get(either, (0.0, 0))[0] + each, pair % JACKKNIFE_GROUPS
    sets = np.array([0, *chosen, whole], np.int64)
    members = (sets[:, np.newaxis] >> np.arange(k) & 1).astype(np.float64)
    return DrawnSets(
        sets,
        members,
        np.array([0.0, *(weight for weight, _ in chosen.values()), 0.0]),
        np.array([-1, *(group for _, group in chosen.values()), -1], np.int64),
    )


def _regression(drawn: DrawnSets, found: Float64Array, change: Float64Array, weights: Float64Array) -> Float64Array:
    """Shapley values (k, 2), which add up to ``change`` (2,), from the values ``found`` (n, 2) of the sets, less the base."""
    members = drawn.members
    terms = members[:, :-1] - members[:, -1:]
    weighted = (terms * weights[:, np.newaxis]).T
    values = np.linalg.solve(weighted @ terms, weighted @ (found - members[:, -1:] * change))
    return np.vstack([values, change - values.sum(axis=0)])


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


def _of_sets(bundle: Bundle, row: Matrix, known: list[int], sets: NDArray[np.int64]) -> Generator[None, None, Float64Array]:
    """Age and width (n, 2), not rounded, of a person of whom only the features in a set are known; ``sets`` (n,) by bits."""
    found = []
    for first in range(0, len(sets), SETS_TOGETHER):
        found.append(_of_few_sets(bundle, row, known, sets[first : first + SETS_TOGETHER]))
        yield
    return np.concatenate(found)


def _of_few_sets(bundle: Bundle, row: Matrix, known: list[int], sets: NDArray[np.int64]) -> Float64Array:
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
