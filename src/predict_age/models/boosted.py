"""The primary predictor: XGBoost with absolute error, so that it predicts the median age."""

from __future__ import annotations

import numpy as np
import xgboost
from numpy.typing import NDArray

from predict_age.config import Training
from predict_age.features.encode import Matrix

UNKNOWN = np.float32(-1e30)


def filled(matrix: Matrix) -> Matrix:
    """``matrix`` with unknown values moved below every real one.

    A split can still tell unknown from known, and XGBoost evaluates a matrix without gaps three times as fast (ADR 3).
    """
    return np.where(np.isnan(matrix), UNKNOWN, matrix)


def train_boosted(
    matrix: Matrix,
    age: NDArray[np.float32],
    names: list[str],
    settings: Training,
    threads: int,
    unseen: tuple[Matrix, NDArray[np.float32]] | None = None,
) -> xgboost.Booster:
    """Fit on (n_rows, n_features), NaN = unknown, and ages (n_rows,) in years. Deterministic for a seed and number of threads.

    With ``unseen`` rows it stops when their error no longer falls, and keeps the trees up to the best.
    """
    data = xgboost.QuantileDMatrix(filled(matrix), age, feature_names=names, max_bin=128, nthread=threads)
    parameters = {
        "objective": "reg:absoluteerror",
        "eval_metric": "mae",
        "tree_method": "hist",
        "max_bin": 128,
        "max_depth": settings.max_depth,
        "learning_rate": settings.learning_rate,
        "min_child_weight": settings.min_leaf_rows,
        "subsample": 0.8,
        "colsample_bytree": 0.8,
        "seed": settings.seed,
        "nthread": threads,
    }
    if unseen is None or not len(unseen[1]):
        return xgboost.train(parameters, data, settings.rounds)
    judge = xgboost.QuantileDMatrix(filled(unseen[0]), unseen[1], feature_names=names, max_bin=128, nthread=threads, ref=data)
    booster = xgboost.train(
        parameters, data, settings.rounds, evals=[(judge, "unseen")], early_stopping_rounds=settings.stop_after_rounds,
        verbose_eval=False,
    )  # fmt: skip
    kept: xgboost.Booster = booster[: booster.best_iteration + 1]
    return kept


def predict_boosted(model: xgboost.Booster, matrix: Matrix) -> NDArray[np.float32]:
    """Ages (n_rows,), years, unbounded."""
    if not len(matrix):
        return np.empty(0, np.float32)
    result: NDArray[np.float32] = model.inplace_predict(filled(matrix), validate_features=False)
    return result


def importance(model: xgboost.Booster) -> dict[str, float]:
    """Share of the total gain by feature, 0..1; features that are never used are missing."""
    gains = {str(k): float(np.sum(v)) for k, v in model.get_score(importance_type="total_gain").items()}
    total = sum(gains.values()) or 1.0
    return {name: gain / total for name, gain in sorted(gains.items(), key=lambda item: -item[1])}
