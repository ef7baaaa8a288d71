"""Ridge regression, the baseline: standardised features, default values for missing ones, and missing indicators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predict_age.arrays import Float64Array
from predict_age.features.encode import Matrix


@dataclass(frozen=True)
class RidgeModel:
    """Coefficients of ``intercept + ((filled - centre) / spread, missing) @ weights``, years."""

    fill: Float64Array
    centre: Float64Array
    spread: Float64Array
    weights: Float64Array
    intercept: float

    def predict(self, matrix: Matrix) -> Float64Array:
        """Ages (n_rows,), years, unbounded."""
        design = _design(matrix, self.fill, self.centre, self.spread)
        ages = np.full(len(matrix), self.intercept)
        for column, weight in enumerate(self.weights.tolist()):  # one after another: a row's sum does not depend on other rows
            ages += design[:, column] * weight
        return ages


def _design(matrix: Matrix, fill: Float64Array, centre: Float64Array, spread: Float64Array) -> Float64Array:
    missing = np.isnan(matrix)
    filled = (np.where(missing, fill, matrix) - centre) / spread
    return np.concatenate([filled, missing], axis=1)


PENALTIES = np.logspace(-1, 4, 21)
MAX_PENALTY_ROWS = 30_000  # with more rows, the penalty hardly matters


def best_penalty(matrix: Matrix, age: NDArray[np.float32], fill: Float64Array) -> float:
    """The penalty ``alpha`` of :func:`train_ridge` with the least absolute error of each row by a model of all others.

    That error follows from one decomposition, without training again: residual / (1 - leverage) (Golub, Heath and Wahba 1979).
    1 for more than MAX_PENALTY_ROWS rows.
    """
    if len(age) > MAX_PENALTY_ROWS or len(age) < 2:
        return 1.0
    filled = np.where(np.isnan(matrix), fill, matrix)
    spread = filled.std(axis=0)
    spread[spread < 1e-9] = 1.0
    design = _design(matrix, fill, filled.mean(axis=0), spread)
    design -= design.mean(axis=0)
    values, vectors = np.linalg.eigh(design.T @ design)
    rotated, centred = design @ vectors, age - age.mean(dtype=np.float64)
    projected = rotated.T @ centred
    errors = []
    for alpha in PENALTIES:
        shrunk = np.maximum(values, 0) + alpha
        leverage = np.square(rotated) @ (1 / shrunk) + 1 / len(age)
        errors.append(np.abs((centred - rotated @ (projected / shrunk)) / np.maximum(1 - leverage, 1e-9)).mean())
    return float(PENALTIES[int(np.argmin(errors))])


def train_ridge(matrix: Matrix, age: NDArray[np.float32], fill: Float64Array, alpha: float = 1.0) -> RidgeModel:
    """Fit on (n_rows, n_features), NaN = missing, and ages (n_rows,), years; ``fill`` (n_features,) replaces missing values.

    Least squares with the penalty ``alpha`` on squared weights, not on the intercept (Hoerl and Kennard 1970), by the normal
    equations of centred columns: ``alpha`` > 0 keeps them solvable.
    """
    filled = np.where(np.isnan(matrix), fill, matrix)
    centre = filled.mean(axis=0)
    spread = filled.std(axis=0)
    spread[spread < 1e-9] = 1.0
    design = _design(matrix, fill, centre, spread)
    means, mean_age = design.mean(axis=0), age.mean(dtype=np.float64)
    design -= means
    weights: Float64Array = np.linalg.solve(design.T @ design + alpha * np.eye(design.shape[1]), design.T @ (age - mean_age))
    return RidgeModel(fill, centre, spread, weights, float(mean_age - means @ weights))
