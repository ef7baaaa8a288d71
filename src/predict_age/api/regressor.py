"""The pipeline's models as a scikit-learn estimator, for matrices of numbers. It needs scikit-learn (extra ``sklearn``)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from predict_age.api.given_tables import ArrowTable
from predict_age.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from predict_age.config import AgesConfig, Config, TrainingConfig
from predict_age.features.spec import Feature, FeatureSet, Number
from predict_age.models.bundle import Bundle, MemberOutputs
from predict_age.models.delivery import calibrated
from predict_age.models.size_presets import for_people
from predict_age.models.training import TrainingPeople

NumberLike: TypeAlias = np.number | np.bool_ | float
GivenNumbers: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.generic]] | Sequence[NumberLike] | ArrowTable  # (n,)
GivenRows: TypeAlias = GivenNumbers | Sequence[Sequence[NumberLike]]  # (n, m)
_OLDEST = 120  # whole years that the models know: 0..120
_STEPS = 100  # of a target that is no age, between its smallest and its largest value
CALIBRATION_SHARE, VALIDATION_SHARE = 0.2, 0.15
_MIN_ROWS = 2
_QUOTED_ARRAY = re.compile(r"\narray=.*?\n(?=Reshape)", re.DOTALL)
_BEFORE_VALUES = ("could not convert string to float", "Complex data not supported")  # messages whose rest is a value
_LARGEST = 1e30  # beyond it, float32 numbers would overflow in sums of squares


@dataclass(frozen=True)
class TargetScale:
    """The whole numbers 0..120 that the models predict, as the target: ``start`` + ``unit`` times the number.

    ``half``: how far a target may lie from its whole number, in units: 0 where all targets of the training were whole ages.
    """

    start: float
    unit: float
    half: float

    @classmethod
    def of(cls, y: Float64Array) -> TargetScale:
        """The scale of targets (n,): years as they are, if all lie within 0..120; else steps of their range."""
        low, high = float(y.min()), float(y.max())
        if low >= 0 and high <= _OLDEST and high - low >= 1:
            return cls(0.0, 1.0, 0.0 if bool((y == np.round(y)).all()) else 0.5)
        return cls(low, (high - low) / _STEPS or 1.0, 0.5)

    def whole(self, y: Float64Array) -> Float64Array:
        """The whole numbers (n,) of targets (n,)."""
        return np.clip(np.floor((y - self.start) / self.unit + 0.5), 0, _OLDEST)

    def targets(self, numbers: Float64Array) -> Float64Array:
        """Targets (n,) of numbers (n,)."""
        return self.start + self.unit * numbers


class AgeRegressor(RegressorMixin, BaseEstimator):
    """Regression with calibrated intervals: the networks, boosted trees, Ridge and forest of a run, and its conformal correction.

    It is fitted to any matrix of numbers, NaN = missing, and answers in the unit of ``y``. Ages, 0 to 120 years, are taken as whole
    years; any other target is cut into 100 steps between its smallest and largest value, and no answer lies outside that range.

    ``coverage``: share of new rows whose target lies inside the interval. ``rounds``: trees of each boosted member at most;
    ``networks`` and ``passes``: how many networks there are, and how often each sees all rows; None: what a run takes for as many
    people. ``n_jobs``: threads of the fit; None: one. ``random_state``: seed. Equal rows, parameters and threads give equal
    answers, in whatever order the rows come.

    A third of the rows trains nothing: 20 % calibrate the interval, 15 % weigh the members. Below some 500 rows the interval is
    rough. A run measures its own quality and withholds minors; this estimator does neither.
    """

    def __init__(
        self,
        *,
        coverage: float = 0.9,
        rounds: int | None = None,
        networks: int | None = None,
        passes: int | None = None,
        random_state: int | np.random.RandomState | None = 7,
        n_jobs: int | None = None,
    ) -> None:
        self.coverage = coverage
        self.rounds = rounds
        self.networks = networks
        self.passes = passes
        self.random_state = random_state
        self.n_jobs = n_jobs

    def __sklearn_tags__(self) -> object:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: GivenRows, y: GivenNumbers, sample_weight: GivenNumbers | None = None) -> AgeRegressor:
        """Fit to ``X`` (n, m), NaN = missing, and ``y`` (n,).

        ``sample_weight`` (n,), not negative: whole numbers count as so many equal rows; with others, n rows are drawn by weight.
        Raises ValueError for values that are no finite numbers, but NaN in ``X``.
        """
        with _errors_without_values():
            known, targets = validate_data(
                self, X, y, ensure_all_finite="allow-nan", ensure_min_samples=_MIN_ROWS, y_numeric=True, dtype=np.float64
            )
            targets = np.asarray(targets, np.float64)
        if np.isnan(targets).any():  # None among objects
            raise ValueError("Input y contains NaN.")
        seed = _seed(self.random_state)
        order = _ordered_rows(known, targets)
        rows: Float64Array = known[order]
        target: Float64Array = targets[order]
        if sample_weight is not None:
            with _errors_without_values():
                weights = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
            chosen = _weighted_rows(weights[order])
            rows, target = rows[chosen], target[chosen]
        scale = TargetScale.of(target)
        self.scale_ = scale
        self.bundle_ = _trained(rows, scale.whole(target), self._settings(len(target), seed), seed, self.n_jobs or 1)
        return self

    def predict(self, X: GivenRows) -> Float64Array:
        """Predict the target (n,) of ``X`` (n, m), in its unit and not rounded."""
        outputs = self._members(X)
        ensemble = self.bundle_.ensemble
        return self.scale_.targets(np.clip(ensemble.point_age(outputs), 0, _OLDEST))

    def predict_interval(self, X: GivenRows) -> Float64Array:
        """Predict the interval (n, 2) of ``X`` (n, m): lower and upper end, both included, in the unit of the target."""
        outputs, scale = self._members(X), self.scale_
        made = self.bundle_.ensemble.predict(outputs)
        return np.column_stack([scale.targets(made.lower - scale.half), scale.targets(made.upper + scale.half)])

    def score(self, X: GivenRows, y: GivenNumbers, sample_weight: GivenNumbers | None = None) -> float:
        """The coefficient of determination (R^2) of the predictions of ``X`` (n, m) against ``y`` (n,)."""
        with _errors_without_values():
            return float(super().score(X, y, sample_weight))

    def _members(self, X: GivenRows) -> MemberOutputs:
        check_is_fitted(self)
        with _errors_without_values():
            rows = validate_data(self, X, reset=False, ensure_all_finite="allow-nan", dtype=np.float64)
        return self.bundle_.member_outputs(_bounded(rows))

    def _settings(self, rows: int, seed: int) -> TrainingConfig:
        given = {"rounds": self.rounds, "light_rounds": self.rounds, "networks": self.networks, "network_passes": self.passes}
        chosen = {name: value for name, value in given.items() if value is not None}
        leaf_rows = max(1, min(20, rows // 20))
        settings = TrainingConfig(coverage=self.coverage, seed=seed, min_leaf_rows=leaf_rows, forest_leaf_rows=leaf_rows)
        return TrainingConfig.model_validate({**for_people(settings, rows).model_dump(), **chosen})


@contextmanager
def _errors_without_values() -> Iterator[None]:
    """Raise the errors of scikit-learn and NumPy without the values of people that they quote: single texts and whole arrays."""
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        text = _QUOTED_ARRAY.sub(" ", str(error))
        text = next((beginning for beginning in _BEFORE_VALUES if beginning in text), text)
        raise (TypeError if isinstance(error, TypeError) else ValueError)(text) from None


def _seed(state: int | np.random.RandomState | None) -> int:
    return int(state) if isinstance(state, (int, np.integer)) else int(check_random_state(state).randint(2**31 - 1))


def _ordered_rows(X: Float64Array, y: Float64Array) -> Int64Array:
    """Order (n,) of the rows by their values, so that a fit does not depend on the order in which they come."""
    return np.lexsort((*X.T[::-1], y))


def _weighted_rows(weights: Float64Array) -> Int64Array:
    """Rows (k,) to fit to: each as often as its whole weight says, or as many as there are, drawn by weight, in order."""
    if not weights.sum() > 0:
        raise ValueError("the sample weights are all 0")
    if bool((weights == np.round(weights)).all()):
        return np.repeat(np.arange(len(weights)), weights.astype(np.int64))
    drawn = (np.arange(len(weights)) + 0.5) / len(weights)  # systematic: no chance takes part
    return np.searchsorted(np.cumsum(weights) / weights.sum(), drawn).astype(np.int64)


def _bounded(X: Float64Array) -> Float32Array:
    return np.clip(X, -_LARGEST, _LARGEST).astype(np.float32)


def _roles(X: Float64Array, y: Float64Array, seed: int) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Who of n rows trains, weighs the members, and calibrates; equal rows have one role, so that none calibrates its own copy."""
    equal = np.unique(np.column_stack([np.nan_to_num(X, nan=np.pi * 1e9), y]), axis=0, return_inverse=True)[1].reshape(-1)
    count = int(equal.max()) + 1
    place = np.random.default_rng(seed).permutation(count)[equal]
    calibrating, weighing = max(1, round(CALIBRATION_SHARE * count)), max(1, round(VALIDATION_SHARE * count))
    if count < calibrating + weighing + 1:  # too few for roles of their own
        everybody = np.ones(len(y), np.bool_)
        return everybody, everybody, everybody
    return place >= calibrating + weighing, (place >= calibrating) & (place < calibrating + weighing), place < calibrating


def _features(X: Float64Array) -> FeatureSet:
    middles = [float(np.median(known)) if len(known := column[~np.isnan(column)]) else 0.0 for column in X.T]
    made: dict[str, Feature] = {
        f"x{i}": Number(kind="number", path=f"x{i}", min=-2 * _LARGEST, max=2 * _LARGEST, default=middle, meaning=f"column {i}")
        for i, middle in enumerate(middles)
    }
    return FeatureSet(made, "")


def _trained(X: Float64Array, whole: Float64Array, settings: TrainingConfig, seed: int, threads: int) -> Bundle:
    """The members, weighed and calibrated on rows (n, m) and whole numbers (n,)."""
    config = Config(ages=AgesConfig(min=0, max=_OLDEST, min_age=0), training=settings)
    fit, validate, held = _roles(X, whole, seed)
    matrix = _bounded(X)
    features = _features(matrix.astype(np.float64))
    columns = pa.table({f"x{i}": column for i, column in enumerate(matrix.T)})
    bundle, encoded = TrainingPeople(features, columns, whole.astype(np.float32), config).train(fit, validate, threads)
    outputs = bundle.member_outputs(encoded[held])
    return replace(bundle, ensemble=calibrated(bundle.ensemble, outputs, whole[held]))
