"""Ridge regression, the honest baseline: standardised features, domain defaults for missing values, missing indicators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predict_age.features.encode import Matrix

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RidgeModel:
    """``intercept + ((filled - centre) / spread, missing) @ weights``, years."""

    fill: Floats
    centre: Floats
    spread: Floats
    weights: Floats
    intercept: float

    def predict(self, matrix: Matrix) -> Floats:
        """Ages (n_rows,), years, unbounded."""
        result: Floats = _design(matrix, self.fill, self.centre, self.spread) @ self.weights + self.intercept
        return result


def _design(matrix: Matrix, fill: Floats, centre: Floats, spread: Floats) -> Floats:
    missing = np.isnan(matrix)
    filled = (np.where(missing, fill, matrix) - centre) / spread
    return np.concatenate([filled, missing], axis=1)


def train_ridge(matrix: Matrix, age: NDArray[np.float32], fill: Floats, alpha: float = 1.0) -> RidgeModel:
    """Fit on (n_rows, n_features) and ages (n_rows,); ``fill`` (n_features,) replaces missing values."""
    from sklearn.linear_model import Ridge  # takes most of a second: workers never need it

    filled = np.where(np.isnan(matrix), fill, matrix)
    centre = filled.mean(axis=0)
    spread = filled.std(axis=0)
    spread[spread < 1e-9] = 1.0
    fitted = Ridge(alpha=alpha).fit(_design(matrix, fill, centre, spread), age)
    return RidgeModel(fill, centre, spread, np.asarray(fitted.coef_, float), float(fitted.intercept_))
