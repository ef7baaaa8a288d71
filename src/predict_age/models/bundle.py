"""The trained models together: one matrix in, one prediction a row out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predict_age.errors import IntegrityError
from predict_age.features.encode import Encoders, Matrix
from predict_age.features.spec import FeatureSet
from predict_age.models.age_distribution import Probabilities, quantiles
from predict_age.models.conformal import Calibration
from predict_age.models.density_network import DensityNetwork
from predict_age.models.ensemble import mix_distributions
from predict_age.models.lgbm_model import LightGBMModel
from predict_age.models.quantile_forest import QuantileForest
from predict_age.models.ridge import RidgeModel
from predict_age.models.xgb_model import XGBoostModel

YEARS_PER_PERCENT = 3.33
MEMBERS = ("xgboost", "lightgbm", "network")
ROUNDING_STEPS_PER_YEAR = 100  # of a year, in which ends of intervals are given


@dataclass(frozen=True)
class Predictions:
    """For n rows: ``age`` (whole years, inside the window), ``lower`` <= age <= ``upper`` (years); width = upper - lower.

    Ends and width are whole hundredths of a year: finer ones would say nothing, and fill most of the disk.
    """

    age: NDArray[np.int32]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]

    @property
    def width(self) -> NDArray[np.float64]:
        """The document's confidence_score: the length of the interval in years; larger is less certain."""
        result: NDArray[np.float64] = np.round(self.upper - self.lower, 2)
        return result


def confidence_pct(width: NDArray[np.float64]) -> NDArray[np.float64]:
    """The document's percentage: 100 - 3.33 for each year of interval, inside 0..100."""
    result: NDArray[np.float64] = np.clip(100 - YEARS_PER_PERCENT * np.abs(width), 0, 100)
    return result


def with_point_prediction(matrix: Matrix, raw: NDArray[np.float32]) -> Matrix:
    """The forest's matrix: all features and, as the last column, the boosted trees' unrounded prediction."""
    return np.column_stack([matrix, raw])


@dataclass(frozen=True)
class MemberOutputs:
    """What the models say about n rows, years: ``points`` (n, 3) in the order of MEMBERS; ``ends`` (n, 3), the lower end,
    median and upper end of the distribution, not calibrated; and ``unknown`` (n,), the number of features without a value.
    """

    points: NDArray[np.float64]
    ends: NDArray[np.float64]
    unknown: NDArray[np.int64]


@dataclass(frozen=True)
class EnsembleWeights:
    """How what the models say becomes a prediction.

    ``weights`` are those of MEMBERS, ``share`` the network's in the distribution that the interval is read from.
    """

    weights: tuple[float, ...]
    share: float
    calibration: Calibration
    coverage: float
    youngest: int
    oldest: int

    def levels(self) -> tuple[float, float, float]:
        """Of the interval's ends and the median between them."""
        tail = (1 - self.coverage) / 2
        return tail, 0.5, 1 - tail

    def point(self, seen: MemberOutputs) -> NDArray[np.float64]:
        """The ensemble's unrounded age (n,)."""
        return seen.points @ np.array(self.weights)

    def whole(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        """Whole years inside the age window."""
        return np.clip(np.floor(point + 0.5), self.youngest, self.oldest)

    def interval(self, seen: MemberOutputs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The calibrated interval alone, never crossed, inside the age window."""
        widen = self.calibration.widen(seen.unknown, self.point(seen))
        middle = seen.ends[:, 1]
        lower = np.clip(np.minimum(seen.ends[:, 0] - widen, middle), self.youngest, self.oldest)
        upper = np.clip(np.maximum(seen.ends[:, 2] + widen, middle), self.youngest, self.oldest)
        return lower, upper

    def predict(self, seen: MemberOutputs) -> Predictions:
        """Point by the ensemble, interval by the calibrated distribution, widened where needed to contain the point.

        Ends are rounded outwards, so that rounding takes no coverage away.
        """
        age = self.whole(self.point(seen))
        lower, upper = self.interval(seen)
        lower, upper = (
            np.floor(np.minimum(lower, age) * ROUNDING_STEPS_PER_YEAR) / ROUNDING_STEPS_PER_YEAR,
            np.ceil(np.maximum(upper, age) * ROUNDING_STEPS_PER_YEAR) / ROUNDING_STEPS_PER_YEAR,
        )
        return Predictions(age.astype(np.int32), lower, upper)


@dataclass(frozen=True)
class Bundle:
    """Everything that prediction needs."""

    features: FeatureSet
    encoders: Encoders
    ridge: RidgeModel
    boosted: XGBoostModel
    light: LightGBMModel
    network: DensityNetwork
    forest: QuantileForest
    blend: EnsembleWeights

    def predict(self, matrix: Matrix) -> Predictions:
        """Predict (n_rows, n_features), NaN = unknown. Raises IntegrityError when a model gives NaN or infinity."""
        return self.blend.predict(self.see(matrix))

    def see(self, matrix: Matrix, everything: bool = False) -> MemberOutputs:
        """What the models say; those without weight are only asked for ``everything``."""
        points, network, forest, ends = self.evaluated(matrix, everything)
        if ends is None or forest is not None:
            ends = quantiles(mix_distributions(network, forest, self.blend.share), self.blend.youngest, self.blend.levels())
        return MemberOutputs(points, ends, np.isnan(matrix).sum(axis=1))

    def evaluated(
        self, matrix: Matrix, everything: bool
    ) -> tuple[NDArray[np.float64], Probabilities | None, Probabilities | None, NDArray[np.float64] | None]:
        """The members' points (n, 3), 0 where a member was not asked, and the distributions (n, ages) of network and forest.

        Last the ``levels`` of the network's (n, 3).
        """
        weights = self.blend.weights
        points = np.zeros((len(matrix), len(MEMBERS)))
        network = forest = ends = None
        if everything or weights[2] or self.blend.share > 0:
            network = self.network.distribution(matrix)
            _check_finite(network)
            ends = quantiles(network, self.blend.youngest, self.blend.levels())
            points[:, 2] = ends[:, 1]
        needs_forest = everything or self.blend.share < 1
        if needs_forest or weights[0]:
            points[:, 0] = self.boosted.predict(matrix)
        if everything or weights[1]:
            points[:, 1] = self.light.predict(matrix)
        _check_finite(points)
        if needs_forest:
            forest = self.forest.distribution(with_point_prediction(matrix, points[:, 0].astype(np.float32)))
            _check_finite(forest)
        return points, network, forest, ends


def _check_finite(*predicted: NDArray[Any]) -> None:
    if not all(np.isfinite(p).all() for p in predicted):
        raise IntegrityError(
            "the model predicts something that is no number",
            expected="finite ages",
            found="NaN or infinity",
            fix="train a new model: run without --base",
        )
