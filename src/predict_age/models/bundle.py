"""The trained models together: one matrix in, one prediction a row out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import xgboost
from numpy.typing import NDArray

from predict_age.config import Config, Training
from predict_age.errors import IntegrityError
from predict_age.features.encode import Encoders, Matrix, defaults, learn_encoders
from predict_age.features.spec import FeatureSet
from predict_age.models.boosted import importance, predict_boosted, train_boosted
from predict_age.models.conformal import correction
from predict_age.models.evaluate import by_band, evaluate, interval_quality, point_errors
from predict_age.models.forest import QuantileForest, train_forest
from predict_age.models.ridge import RidgeModel, train_ridge

YEARS_PER_PERCENT = 3.33


@dataclass(frozen=True)
class Predictions:
    """For n rows: ``age`` (whole years, inside the window), ``lower`` <= age <= ``upper`` (years); width = upper - lower."""

    age: NDArray[np.int32]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]

    @property
    def width(self) -> NDArray[np.float64]:
        """The document's confidence_score: the length of the interval in years; larger is less certain."""
        result: NDArray[np.float64] = self.upper - self.lower
        return result


def confidence_pct(width: NDArray[np.float64]) -> NDArray[np.float64]:
    """The document's percentage: 100 - 3.33 for each year of interval, inside 0..100."""
    result: NDArray[np.float64] = np.clip(100 - YEARS_PER_PERCENT * np.abs(width), 0, 100)
    return result


def with_point(matrix: Matrix, raw: NDArray[np.float32]) -> Matrix:
    """The forest's matrix: all features and, as the last column, the boosted trees' unrounded prediction."""
    return np.column_stack([matrix, raw])


@dataclass(frozen=True)
class Bundle:
    """Everything that prediction needs. ``widen`` is the conformal correction in years."""

    features: FeatureSet
    encoders: Encoders
    ridge: RidgeModel
    boosted: xgboost.Booster
    forest: QuantileForest
    widen: float
    coverage: float
    youngest: int
    oldest: int

    def predict(self, matrix: Matrix) -> Predictions:
        """Point by the boosted trees, interval by the calibrated forest, widened where needed to contain the point.

        Raises IntegrityError when a model gives NaN or infinity.
        """
        raw = predict_boosted(self.boosted, matrix)
        _check_finite(raw)
        age = np.clip(np.floor(raw.astype(np.float64) + 0.5), self.youngest, self.oldest)
        lower, upper = self.interval(matrix, raw)
        _check_finite(lower, upper)
        return Predictions(age.astype(np.int32), np.minimum(lower, age), np.maximum(upper, age))

    def interval(self, matrix: Matrix, raw: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The calibrated interval alone, never crossed, inside the age window; ``raw`` is the unrounded point."""
        tail = (1 - self.coverage) / 2
        ends = self.forest.quantiles(with_point(matrix, raw), (tail, 0.5, 1 - tail))
        middle = ends[:, 1]
        lower = np.clip(np.minimum(ends[:, 0] - self.widen, middle), self.youngest, self.oldest)
        upper = np.clip(np.maximum(ends[:, 2] + self.widen, middle), self.youngest, self.oldest)
        return lower, upper


def _check_finite(*predicted: NDArray[Any]) -> None:
    if not all(np.isfinite(p).all() for p in predicted):
        raise IntegrityError(
            "the model predicts something that is no number", expected="finite ages", found="NaN or infinity",
            fix="train a new model: run without --base",
        )  # fmt: skip


def train(
    features: FeatureSet, columns: pa.Table, age: NDArray[np.float32], part: NDArray[np.int8], config: Config, threads: int
) -> tuple[Bundle, dict[str, object]]:
    """Train on the rows with ``part`` 0 (fit) and 1 (calibrate), judge on part 2 (held out).

    ``columns`` is the extracted feature table (n rows), ``age`` (n,) whole years. Ridge, boosted trees and forest learn
    from part 0 only, because part 1 calibrates the interval. The forest sees the boosted prediction as one more feature:
    for its training rows that prediction comes from two boosters that did not see them (two folds, a third
    of the rounds). Returns the bundle and all metrics.
    """
    settings = config.training
    fit, calibrate, held = part == 0, part == 1, part == 2
    encoders = learn_encoders(features, columns.filter(pa.array(fit)), age[fit])
    matrix = encoders.encode(columns)
    known, ages = matrix[fit], age[fit]
    ridge = train_ridge(known, ages, defaults(features, encoders))
    boosted = train_boosted(known, ages, features.names, settings, threads)
    unseen = _cross_fitted(known, ages, features.names, settings, threads)
    forest = train_forest(with_point(known, unseen), ages, config.ages.min, config.ages.max, settings, threads)
    bundle = Bundle(features, encoders, ridge, boosted, forest, 0.0, settings.coverage, config.ages.min, config.ages.max)
    tail = (1 - settings.coverage) / 2
    ends = forest.quantiles(with_point(matrix[calibrate], predict_boosted(boosted, matrix[calibrate])), (tail, 1 - tail))
    widen = correction(ends[:, 0], ends[:, 1], age[calibrate].astype(float), settings.coverage)
    bundle = replace(bundle, widen=widen)
    return bundle, _judge(bundle, matrix, age, fit, held)


def _cross_fitted(
    matrix: Matrix, age: NDArray[np.float32], names: list[str], settings: Training, threads: int
) -> NDArray[np.float32]:
    """Boosted predictions (n,) for rows that the predicting booster has not seen: two folds, even and odd rows."""
    result = np.empty(len(age), np.float32)
    quick = settings.model_copy(
        update={"rounds": max(1, settings.rounds // 3), "learning_rate": min(1.0, settings.learning_rate * 2.5)}
    )
    fold = np.arange(len(age)) % 2 == 0
    for rows in (fold, ~fold):
        result[~rows] = predict_boosted(train_boosted(matrix[rows], age[rows], names, quick, threads), matrix[~rows])
    return result


def _judge(
    bundle: Bundle, matrix: Matrix, age: NDArray[np.float32], learn: NDArray[np.bool_], held: NDArray[np.bool_]
) -> dict[str, object]:
    test, truth = matrix[held], age[held].astype(np.float64)
    made = bundle.predict(test)
    median = float(np.median(age[learn]))
    ridge = np.clip(np.floor(bundle.ridge.predict(test) + 0.5), bundle.youngest, bundle.oldest)
    tail = (1 - bundle.coverage) / 2
    raw = bundle.forest.quantiles(with_point(test, predict_boosted(bundle.boosted, test)), (tail, 0.5, 1 - tail))
    shown = np.sort(np.random.default_rng(0).permutation(len(truth))[:3000])
    missing = np.isnan(matrix).mean(axis=0)
    return {
        "held_out": evaluate(truth, made.age, made.lower, made.upper),
        "by_band": by_band(truth, made.age, made.lower, made.upper),
        "ridge": point_errors(truth, ridge),
        "median": point_errors(truth, np.full(len(truth), median)),
        "forest_median": point_errors(truth, raw[:, 1]),
        "uncalibrated": interval_quality(truth, raw[:, 0], raw[:, 2]),
        "widen_years": bundle.widen,
        "by_confidence": _by_confidence(made, truth),
        "importance": importance(bundle.boosted),
        "missing": dict(zip(bundle.features.names, missing.tolist(), strict=True)),
        "rows": {"learned_from": int(learn.sum()), "held_out": int(held.sum())},
        "sample": {"true": truth[shown].astype(int).tolist(), "predicted": made.age[shown].tolist()},
    }


def _by_confidence(made: Predictions, truth: NDArray[np.float64]) -> list[dict[str, float]]:
    """Error by confidence_pct in steps of 10: what the percentage means in years."""
    pct = confidence_pct(made.width)
    rows = []
    for low in range(0, 100, 10):
        chosen = (pct >= low) & ((pct < low + 10) | (low == 90))
        if chosen.any():
            errors = np.abs(made.age[chosen] - truth[chosen])
            rows.append(
                {"from": low, "rows": int(chosen.sum()), "mae": float(errors.mean()), "p90": float(np.quantile(errors, 0.9))}
            )
    return rows
