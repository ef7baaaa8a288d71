"""Training: fit all members on people of known age, weigh them, calibrate the interval, and measure on held-out people."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.config import Config, TrainingConfig
from predict_age.features.encode import Matrix, default_values, fit_encoders
from predict_age.features.spec import FeatureSet
from predict_age.hashing import uniform_hash
from predict_age.models.age_distribution import Probabilities
from predict_age.models.age_weights import TRAINING_TIMES, AgeWeights, drawn_rows, thinned_rows, typical_rows
from predict_age.models.bundle import (
    MEMBERS,
    Bundle,
    EnsembleWeights,
    with_point_prediction,
)
from predict_age.models.conformal import NO_CALIBRATION
from predict_age.models.density_network_training import network_groups, train_networks
from predict_age.models.ensemble import (
    choose_network_share,
    choose_point_weights,
    choose_residual_share,
    mix_distributions,
    residual_quantiles,
    residual_scale,
)
from predict_age.models.lgbm_model import train_lightgbm
from predict_age.models.network_data import network_training_data
from predict_age.models.quantile_forest import train_forest
from predict_age.models.ridge import best_penalty, train_ridge
from predict_age.models.training_threads import CancelEvent, TrainingThreads
from predict_age.models.withholding import withholding_rule
from predict_age.models.xgb_model import train_xgboost

FIT, CALIBRATE, HELD_OUT, VALIDATE = 0, 1, 2, 3
MEMBER_COSTS = (5.0, 8.0, 1.0, 0.1)  # relative cost of predicting a row, in the order of MEMBERS
DISTRIBUTION_WORTH = 4  # times training.worth
MAX_EVALUATION_ROWS = (
    20_000  # rows that calibrate or validate, at most: more would gain little, and fewer would be left to train on
)


@dataclass(frozen=True)
class TrainingPeople:
    """The people of known ``age`` (n,) with their feature ``columns`` (n rows), and the settings of the training.

    ``age_weights``: how many people to predict each stands for, by age; None: as many.
    """

    features: FeatureSet
    columns: pa.Table
    age: NDArray[np.float32]
    config: Config
    age_weights: AgeWeights | None = None

    def with_settings(self, settings: TrainingConfig) -> TrainingPeople:
        """Return the people with these ``settings`` of the training."""
        return replace(self, config=self.config.model_copy(update={"training": settings}))

    def train(self, fit: NDArray[np.bool_], validate: NDArray[np.bool_], threads: int) -> tuple[Bundle, Matrix]:
        """Train all members on the people ``fit`` (n,); ``validate`` (n,) stops boosting and weighs the members."""
        drawn, typical = self.training_rows(np.flatnonzero(fit)), self.typical(np.flatnonzero(validate))
        return _train_members(self.features, self.columns, self.age, drawn, typical, self.config, threads)

    def training_rows(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The ``rows`` (m,) to train on: all, or each as often as its weight says."""
        weights = self._weights(rows)
        return rows if weights is None else drawn_rows(rows, weights, TRAINING_TIMES * len(rows))

    def typical(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The ``rows`` (m,) to weigh members with and to calibrate: all, or as many by weight as they are worth."""
        return rows[typical_rows(self.age_weights, self.age[rows])]

    def measured(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The ``rows`` (m,) to measure on: all, or some by weight, none twice, because they are counted as people."""
        weights = self._weights(rows)
        return rows if weights is None else thinned_rows(rows, weights)

    def _weights(self, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
        return None if self.age_weights is None else self.age_weights.of(self.age[rows])

    def train_on_all(self, threads: int) -> Bundle:
        """Train all members on everybody, with the configured numbers of trees."""
        everybody = np.ones(len(self.age), np.bool_)
        return self.train(everybody, ~everybody, threads)[0]


def assign_roles(sampling_hashes: NDArray[np.float64], settings: TrainingConfig, turn: float = 0.0) -> NDArray[np.int8]:
    """The role of each sampled row (n,), from further bits of its sampling hash, so independent of the other rows.

    FIT: train; VALIDATE: stop boosting and weigh the members; CALIBRATE: correct the interval; HELD_OUT: measure the result.
    ``turn`` in [0, 1) shifts all roles: over 1 / test_share evenly spaced turns each row is held out once.
    """
    position = (second_hash(sampling_hashes) + turn) % 1.0
    max_share = MAX_EVALUATION_ROWS / max(len(sampling_hashes), 1)
    calibrated = settings.test_share + min(settings.calibration_share, max_share)
    result = np.full(len(sampling_hashes), FIT, np.int8)
    result[position < calibrated + min(settings.validation_share, max_share)] = VALIDATE
    result[position < calibrated] = CALIBRATE
    result[position < settings.test_share] = HELD_OUT
    return result


def second_hash(sampling_hashes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hashes (n,) in [0, 1) from further bits of the sampling hashes, so that they do not follow the sample."""
    return uniform_hash((sampling_hashes * 2.0**53).astype(np.int64) ^ np.int64(0x5DEECE66D))


def _train_members(
    features: FeatureSet,
    columns: pa.Table,
    age: NDArray[np.float32],
    fit: NDArray[np.int64],
    validate: NDArray[np.int64],
    config: Config,
    threads: int,
) -> tuple[Bundle, Matrix]:
    """Train all models on the rows ``fit`` (m,); rows ``validate`` (k,) stop boosting and weigh members. No calibration yet.

    XGBoost's prediction is one more feature of the forest. For the training rows, that prediction comes from two boosters that were
    not trained on them (two folds, a third of the rounds). Also returns the matrix of all rows.
    """
    settings = config.training
    encoders = fit_encoders(features, columns.take(pa.array(fit)), age[fit])
    matrix = encoders.encode(columns)
    fit_matrix, ages, names = matrix[fit], age[fit], encoders.column_names(features.names)
    validation = (matrix[validate], age[validate])
    youngest, oldest = config.ages.youngest, config.ages.max
    with TrainingThreads(threads) as pool:  # the longest tasks first
        lightgbm = pool.submit(train_lightgbm, fit_matrix, ages, names, settings, 1, validation, pool.cancelled)
        xgboost = pool.submit(train_xgboost, fit_matrix, ages, names, settings, max(1, threads // 2), validation, pool.cancelled)
        folds = np.unique(fit, return_inverse=True)[1] % 2 == 0  # a person that is drawn twice is in one fold
        others = [
            pool.submit(_out_of_fold_predictions, fit_matrix, ages, names, settings, rows, pool.cancelled)
            for rows in (folds, ~folds)
        ]
        for_network = fit_matrix[:, : len(features) + encoders.list_columns]  # its bins are sets of a category's values already
        network_data = network_training_data(for_network, ages, youngest, oldest, settings)
        networks = [
            pool.submit(train_networks, network_data, settings, group, pool.cancelled) for group in network_groups(settings)
        ]
        fill = default_values(features, encoders)
        ridge = train_ridge(fit_matrix, ages, fill, best_penalty(fit_matrix, ages, fill))
        point = np.empty(len(ages), np.float32)
        point[~folds], point[folds] = (other.result() for other in others)
        forest = pool.submit(train_forest, with_point_prediction(fit_matrix, point), ages, youngest, oldest, settings, 1)
        bundle = Bundle(
            features,
            encoders,
            ridge,
            xgboost.result(),
            lightgbm.result(),
            network_data.network([weights for trained in networks for weights in trained.result()]),
            forest.result(),
            EnsembleWeights(
                (1 / len(MEMBERS),) * len(MEMBERS),
                0.5,
                NO_CALIBRATION,
                settings.coverage,
                youngest,
                oldest,
                rule=withholding_rule(config.ages),
            ),
        )
    points, network, by_forest, _ = bundle.evaluate_members(validation[0], all_members=True)
    assert network is not None and by_forest is not None
    weighed = weighed_ensemble(bundle.ensemble, points, network, by_forest, validation[1], settings)
    return replace(bundle, ensemble=weighed), matrix


def weighed_ensemble(
    ensemble: EnsembleWeights,
    points: NDArray[np.float64],
    network: Probabilities,
    forest: Probabilities,
    age: NDArray[np.floating],
    settings: TrainingConfig,
) -> EnsembleWeights:
    """The ``ensemble`` with weights from outputs of all members for people whom none was trained on.

    ``points`` (n, n_members); ``network`` and ``forest`` (n, n_ages); ``age`` (n,): years. The distribution around the point takes
    part together with Ridge, which has no other; its residuals are in years or scaled by the others' width, whichever loses less.
    A further distribution must gain more than a member: it takes longest.
    """
    (low, _, high), youngest, worth = ensemble.levels(), ensemble.youngest, DISTRIBUTION_WORTH * settings.worth
    allowed = np.array([name in settings.members for name in MEMBERS])
    weights = choose_point_weights(points, age, MEMBER_COSTS, settings.worth, allowed)
    share = choose_network_share(network, forest, youngest, (low, high), age, worth) if "network" in settings.members else 0.0
    errors = age - points @ weights
    weighed = replace(ensemble, weights=tuple(weights.tolist()), network_share=share, residuals=residual_quantiles(errors))
    if "ridge" not in settings.members or not len(age):
        return weighed
    mixture = mix_distributions(network, forest, share)
    scaled = replace(
        weighed, residuals=residual_quantiles(errors / residual_scale(mixture, youngest, (low, high))), scaled_residuals=True
    )
    chosen, least = weighed, inf
    for kind in (weighed, scaled):
        around_point = kind.around_point(points, mixture)
        residual_share, loss = choose_residual_share(mixture, around_point, youngest, (low, high), age, worth)
        if loss < least * (1 - settings.worth):
            chosen, least = replace(kind, residual_share=residual_share), loss
    return chosen


def _out_of_fold_predictions(
    matrix: Matrix,
    age: NDArray[np.float32],
    names: list[str],
    settings: TrainingConfig,
    rows: NDArray[np.bool_],
    cancelled: CancelEvent,
) -> NDArray[np.float32]:
    """Predictions for the rows outside ``rows`` (n,) by a quickly trained booster that was fitted to ``rows``."""
    quick = settings.model_copy(
        update={"rounds": max(1, settings.rounds // 3), "learning_rate": min(1.0, settings.learning_rate * 2.5)}
    )
    return train_xgboost(matrix[rows], age[rows], names, quick, 1, None, cancelled).predict(matrix[~rows])
