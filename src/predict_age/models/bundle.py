"""The trained models of one version, and their combination into predictions."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predict_age.arrays import BoolArray
from predict_age.errors import IntegrityError
from predict_age.features.encode import Encoders, Matrix
from predict_age.features.spec import FeatureSet
from predict_age.models.age_distribution import Probabilities, quantiles
from predict_age.models.conformal import Calibration, RawIntervals
from predict_age.models.density_network import DensityNetwork
from predict_age.models.ensemble import distribution_around, mix_distributions, residual_scale
from predict_age.models.lgbm_model import LightGBMModel
from predict_age.models.quantile_forest import QuantileForest
from predict_age.models.ridge import RidgeModel
from predict_age.models.tree_ensembles.program import MOST_ROWS_IN_PIECES
from predict_age.models.withholding import NOBODY_WITHHELD, WithholdingRule, at_rate
from predict_age.models.xgb_model import XGBoostModel
from predict_age.pieces import finished

YEARS_PER_PERCENT = 3.33
MEMBERS = ("xgboost", "lightgbm", "network", "ridge")
NETWORK_PIECE_ROWS, FOREST_PIECE_ROWS = 256, 128  # rows for which a network, or a forest, is asked before a pause
MemberValues = tuple[NDArray[np.float64], Probabilities | None, Probabilities | None, NDArray[np.float64] | None]


@dataclass(frozen=True)
class Predictions:
    """Predictions for n rows: ``age`` and the interval ``lower`` <= age <= ``upper``, all whole years inside the age window.

    Both ends belong to the interval: "from 23 to 34". Ages are whole, so an end between two ages would say nothing more. People
    who are ``withheld`` (n,) have the age 0 and NaN as ends.
    """

    age: NDArray[np.int32]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    withheld: BoolArray

    @property
    def width(self) -> NDArray[np.float64]:
        """Upper end - lower end in years (n,), the published confidence_score: larger is less certain; 0 names one age."""
        return self.upper - self.lower

    def only(self, chosen: BoolArray | NDArray[np.int64]) -> Predictions:
        """Predictions of the ``chosen`` rows alone: a mask (n,), or their places (m,)."""
        return Predictions(*(getattr(self, f.name)[chosen] for f in fields(self)))

    def among_withheld(self, predicted: BoolArray) -> Predictions:
        """Predictions of n rows: these where somebody is ``predicted`` (n,); the others are withheld."""
        n = len(predicted)
        made = Predictions(np.zeros(n, np.int32), np.full(n, np.nan), np.full(n, np.nan), ~predicted)
        for f in fields(self):
            getattr(made, f.name)[predicted] = getattr(self, f.name)
        return made


def confidence_pct(width: NDArray[np.float64]) -> NDArray[np.float64]:
    """The published confidence percentage (n,): 100 - 3.33 for each year of ``width`` (n,), at least 0, in hundredths."""
    exact: NDArray[np.float64] = np.maximum(100 - YEARS_PER_PERCENT * np.abs(width), 0)
    return exact.round(2)


def with_point_prediction(matrix: Matrix, raw: NDArray[np.float32]) -> Matrix:
    """The forest's matrix: all features (n, f) and, as the last column, XGBoost's unrounded prediction ``raw`` (n,)."""
    return np.column_stack([matrix, raw])


@dataclass(frozen=True)
class MemberOutputs:
    """Outputs of the members for n rows, before they are combined.

    ``points`` (n, 4): predicted ages in years, in the order of MEMBERS; ``interval_quantiles`` (n, 3): lower end, median and upper
    end of the age distribution in years, not calibrated; ``missing_count`` (n,): number of features without a value; ``younger``
    (n,): probability of being below the limit of the withholding rule, above which the distribution is.
    """

    points: NDArray[np.float64]
    interval_quantiles: NDArray[np.float64]
    missing_count: NDArray[np.int64]
    younger: NDArray[np.float64]

    def only(self, chosen: BoolArray | NDArray[np.int64]) -> MemberOutputs:
        """Outputs for the ``chosen`` people alone: a mask (n,), or their places (m,)."""
        return MemberOutputs(*(getattr(self, f.name)[chosen] for f in fields(self)))

    def with_minors(self, rate: float) -> MemberOutputs:
        """Outputs, made at the rate 1 by models without minors, if minors are ``rate`` times as frequent."""
        return replace(self, younger=at_rate(self.younger, rate))


@dataclass(frozen=True)
class EnsembleWeights:
    """Combination of member outputs into a prediction.

    ``weights``: of MEMBERS, at least 0, sum 1; ``network_share`` in [0, 1]: weight of the network, against the forest, in the
    distribution that gives the interval; ``coverage``: target share of ages inside the interval; ages in whole years.
    ``residual_share`` in [0, 1]: weight, against both, of the distribution around the ensemble's point; ``residuals``: evenly
    spaced quantiles of age - point of people whom no member was trained on, in years or, if ``scaled_residuals``, as multiples of
    :func:`residual_scale` of network and forest. ``rule`` is the run's, not the model's: whom to withhold.
    """

    weights: tuple[float, ...]
    network_share: float
    calibration: Calibration
    coverage: float
    youngest: int
    oldest: int
    residual_share: float = 0.0
    residuals: tuple[float, ...] = ()
    scaled_residuals: bool = False
    rule: WithholdingRule = NOBODY_WITHHELD

    def levels(self) -> tuple[float, float, float]:
        """Quantile levels of the lower end, the median and the upper end."""
        tail = (1 - self.coverage) / 2
        return tail, 0.5, 1 - tail

    def point_age(self, outputs: MemberOutputs) -> NDArray[np.float64]:
        """The ensemble's unrounded age (n,), years."""
        return self._weighted(outputs.points)

    def _weighted(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weighted sums (n,) of the members' ``points`` (n, 4), in the order of MEMBERS whatever n is."""
        return sum((points[:, i] * weight for i, weight in enumerate(self.weights) if weight), np.zeros(len(points)))

    @property
    def residuals_alone(self) -> bool:
        """Whether the distribution around the point needs no other beside it."""
        return self.residual_share == 1 and not self.scaled_residuals

    def around_point(self, points: NDArray[np.float64], mixture: Probabilities | None) -> Probabilities:
        """Distributions (n, n_ages) around the ensemble's point, from the members' ``points`` (n, 4).

        ``mixture`` (n, n_ages) of network and forest gives their scale, if residuals are scaled.
        """
        scale = None if mixture is None or not self.scaled_residuals else residual_scale(mixture, self.youngest, self.levels())
        return distribution_around(self._weighted(points), np.array(self.residuals), self.youngest, self.oldest, scale)

    def outputs(
        self,
        points: NDArray[np.float64],
        network: Probabilities | None,
        forest: Probabilities | None,
        missing_count: NDArray[np.int64],
        network_quantiles: NDArray[np.float64] | None = None,
    ) -> MemberOutputs:
        """Member outputs with the mixture of all distributions, above the limit; None for one without weight.

        ``network_quantiles`` (n, 3) are those of the network's distribution, where they are known already.
        """
        mixture = None if self.residuals_alone else mix_distributions(network, forest, self.network_share)
        if self.residual_share > 0:
            mixture = mix_distributions(self.around_point(points, mixture), mixture, self.residual_share)
        assert mixture is not None
        above, youngest = self.rule.above(mixture, self.youngest)
        known = network_quantiles if above is network else None
        interval_quantiles = quantiles(above, youngest, self.levels()) if known is None else known
        return MemberOutputs(points, interval_quantiles, missing_count, self.rule.younger(mixture, self.youngest))

    def with_minors(self, rate: float) -> EnsembleWeights:
        """Return the weights with a rule for minors who are ``rate`` times as frequent as the youngest adults suggest."""
        return replace(self, rule=replace(self.rule, rate=rate))

    def whole_years(self, point_age: NDArray[np.float64]) -> NDArray[np.float64]:
        """Ages rounded to whole years inside the age window."""
        return np.minimum(np.maximum(np.floor(point_age + 0.5), self.youngest), self.oldest)

    def raw_intervals(self, outputs: MemberOutputs) -> RawIntervals:
        """Intervals before calibration."""
        lower, _, upper = outputs.interval_quantiles.T
        return RawIntervals(outputs.missing_count, self.point_age(outputs), lower, upper)

    def withheld(self, outputs: MemberOutputs) -> BoolArray:
        """Who of n people is withheld."""
        return self.rule.withheld(np.floor(self.point_age(outputs) + 0.5), outputs.younger)

    def predict(self, outputs: MemberOutputs) -> Predictions:
        """Point by the ensemble, interval by the calibrated distribution, for everybody who is not withheld.

        Ends are whole years inside the age window (:meth:`RawIntervals.ends`).
        """
        raw = self.raw_intervals(outputs)
        age = self.whole_years(raw.point_age)
        first, last = raw.ends(self.calibration.widen(raw), age)
        youngest = max(self.youngest, self.rule.min_age)
        lower = np.minimum(np.maximum(first, youngest), age)
        upper = np.maximum(np.minimum(last, self.oldest), age)
        withheld = self.withheld(outputs)
        age[withheld] = 0
        lower[withheld] = upper[withheld] = np.nan
        return Predictions(age.astype(np.int32), lower, upper, withheld)


@dataclass(frozen=True)
class Bundle:
    """A feature set, its encoders and all models trained on them."""

    features: FeatureSet
    encoders: Encoders
    ridge: RidgeModel
    xgboost: XGBoostModel
    lightgbm: LightGBMModel
    network: DensityNetwork
    forest: QuantileForest
    ensemble: EnsembleWeights

    @cached_property
    def columns(self) -> int:
        """Number of columns of the matrix that the models read: features, then columns of 0 and 1."""
        return len(self.encoders.column_names(self.features.names))

    def withholding(self, rule: WithholdingRule) -> Bundle:
        """Return a bundle of the same models that withholds people by ``rule``."""
        return replace(self, ensemble=replace(self.ensemble, rule=rule))

    def predict(self, matrix: Matrix) -> Predictions:
        """Predict (n_rows, n_columns), NaN = missing. Raises IntegrityError when a model returns NaN or infinity."""
        return finished(self.predict_in_pieces(matrix))

    def predict_in_pieces(self, matrix: Matrix) -> Generator[None, None, Predictions]:
        """Predict as :meth:`predict`, with a pause after each member."""
        outputs = yield from self._outputs_in_pieces(matrix, all_members=False)
        yield
        return self.ensemble.predict(outputs)

    def member_outputs(self, matrix: Matrix, all_members: bool = False) -> MemberOutputs:
        """Outputs of the members that have weight, or of ``all_members``."""
        return finished(self._outputs_in_pieces(matrix, all_members))

    def _outputs_in_pieces(self, matrix: Matrix, all_members: bool) -> Generator[None, None, MemberOutputs]:
        points, network, forest, network_quantiles = yield from self._members_in_pieces(matrix, all_members)
        return self.ensemble.outputs(points, network, forest, np.isnan(matrix).sum(axis=1), network_quantiles)

    def evaluate_members(self, matrix: Matrix, all_members: bool) -> MemberValues:
        """Points (n, 4) of the members, network and forest distributions (n, n_ages), and the network's quantiles (n, 3).

        Members without weight are skipped unless ``all_members``: their points mean nothing, their distributions are None.
        """
        return finished(self._members_in_pieces(matrix, all_members))

    def _members_in_pieces(self, matrix: Matrix, all_members: bool) -> Generator[None, None, MemberValues]:
        if matrix.shape[1] != self.columns:  # kernels do not check bounds
            raise ValueError(f"the models read {self.columns} columns, not {matrix.shape[1]}")
        weights, residuals_alone = self.ensemble.weights, self.ensemble.residuals_alone
        points = np.zeros((len(matrix), len(MEMBERS)))
        network = forest = interval_quantiles = None
        if all_members or weights[2] or (self.ensemble.network_share > 0 and not residuals_alone):
            network = yield from _by_rows(self.network.distribution, matrix[:, : self.network.columns], NETWORK_PIECE_ROWS)
            _check_finite(network)
            interval_quantiles = quantiles(network, self.ensemble.youngest, self.ensemble.levels())
            points[:, 2] = interval_quantiles[:, 1]
            yield
        needs_forest = all_members or (self.ensemble.network_share < 1 and not residuals_alone)
        if needs_forest or weights[0]:
            points[:, 0] = yield from self.xgboost.predict_in_pieces(matrix)
            yield
        if all_members or weights[1]:
            points[:, 1] = yield from self.lightgbm.predict_in_pieces(matrix)
            yield
        if all_members or weights[3]:
            points[:, 3] = self.ridge.predict(matrix)
        _check_finite(points)
        points[:, 3] = np.minimum(np.maximum(points[:, 3], self.ensemble.youngest), self.ensemble.oldest)  # a line has no bounds
        if needs_forest:
            whole = with_point_prediction(matrix, points[:, 0].astype(np.float32))
            forest = yield from _by_rows(self.forest.distribution, whole, FOREST_PIECE_ROWS)
            _check_finite(forest)
        return points, network, forest, interval_quantiles


def _by_rows(
    distribution: Callable[[Matrix], Probabilities], matrix: Matrix, together: int
) -> Generator[None, None, Probabilities]:
    """Distributions (n_rows, n_ages) for (n_rows, n_columns), with a pause after so many rows ``together`` where there are few."""
    if len(matrix) > MOST_ROWS_IN_PIECES:
        together = len(matrix)
    found = []
    for first in range(0, max(len(matrix), 1), together):
        found.append(distribution(matrix[first : first + together]))
        yield
    return found[0] if len(found) == 1 else np.concatenate(found)


def _check_finite(*predictions: NDArray[Any]) -> None:
    if not all(np.isfinite(p).all() for p in predictions):
        raise IntegrityError(
            "the model predicts something that is no number",
            expected="finite ages",
            found="NaN or infinity",
            fix="train a new model: run without --base",
        )
