"""Training: fit all members on people of known age, weigh them, calibrate the interval, and measure on held-out people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.config import Config, TrainingConfig
from predict_age.features.encode import Matrix, default_values, fit_encoders
from predict_age.features.spec import FeatureSet
from predict_age.hashing import uniform_hash
from predict_age.models.age_distribution import Probabilities
from predict_age.models.bundle import (
    MEMBERS,
    Bundle,
    EnsembleWeights,
    with_point_prediction,
)
from predict_age.models.conformal import NO_CALIBRATION, calibrate
from predict_age.models.density_network_training import network_training_data, train_one_network
from predict_age.models.ensemble import (
    choose_network_share,
    choose_point_weights,
    choose_residual_share,
    mix_distributions,
    residual_quantiles,
)
from predict_age.models.held_out import HeldOutPredictions, UnseenOutputs, held_out_metrics
from predict_age.models.lgbm_model import train_lightgbm
from predict_age.models.quantile_forest import train_forest
from predict_age.models.ridge import train_ridge
from predict_age.models.training_threads import CancelEvent, TrainingThreads
from predict_age.models.xgb_model import gain_importance, train_xgboost
from predict_age.records.model_quality import Metrics, TrainingRows

FIT, CALIBRATE, HELD_OUT, VALIDATE = 0, 1, 2, 3
MEMBER_COSTS = (5.0, 8.0, 1.0, 0.1)  # relative cost of predicting a row, in the order of MEMBERS
MAX_EVALUATION_ROWS = (
    20_000  # rows that calibrate or validate, at most: more would gain little, and fewer would be left to train on
)
TaskRunner = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], list[Any]]  # calls a function for several tasks


def run_in_turn(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> list[Any]:
    """The results of ``function`` for the ``tasks``, one after another in this process."""
    return [function(*task) for task in tasks]


@dataclass(frozen=True)
class _CrossFitTurn:
    """Models trained on some of the people, and their outputs for the others.

    ``missing`` (n_features,): share of people without a value; ``importance``: share of the gain by feature.
    """

    bundle: Bundle
    calibration: UnseenOutputs
    held_out: UnseenOutputs
    missing: NDArray[np.float64]
    importance: dict[str, float]


def _train_turn(
    features: FeatureSet, columns: pa.Table, age: NDArray[np.float32], roles: NDArray[np.int8], config: Config, threads: int
) -> _CrossFitTurn:
    """Train on the rows whose ``roles`` (n,) are FIT or VALIDATE, and predict the others."""
    bundle, matrix = _train_members(features, columns, age, roles == FIT, roles == VALIDATE, config, threads)
    calibration, held_out = (
        UnseenOutputs.of(bundle, matrix[roles == role], age[roles == role], threads) for role in (CALIBRATE, HELD_OUT)
    )
    return _CrossFitTurn(bundle, calibration, held_out, np.isnan(matrix).mean(axis=0), gain_importance(bundle.xgboost))


def _train_on_all_rows(features: FeatureSet, columns: pa.Table, age: NDArray[np.float32], config: Config, threads: int) -> Bundle:
    """Train on every row."""
    nobody = np.zeros(len(age), np.bool_)
    return _train_members(features, columns, age, ~nobody, nobody, config, threads)[0]


def train_bundle(
    features: FeatureSet,
    columns: pa.Table,
    age: NDArray[np.float32],
    sampling_hashes: NDArray[np.float64],
    config: Config,
    threads: int,
    run_tasks: TaskRunner = run_in_turn,
) -> tuple[Bundle, Metrics, HeldOutPredictions]:
    """Train and weigh the members, calibrate the interval, and measure the result on held-out people.

    ``columns``: feature table (n rows); ``age`` (n,): whole years; ``sampling_hashes`` (n,): in [0, 1). :func:`assign_roles` gives
    each row a role. With fewer than ``cross_fit_below_rows`` rows the training is repeated in turns (cross-fitting) until each row
    was held out once, because few held-out rows would measure badly. ``run_tasks`` runs turns side by side, each in one thread:
    few rows keep few threads busy. With fewer than ``refit_below_rows`` rows the models are then trained again on all rows, with
    the number of trees, the weights and the calibration of the turns. Returns the bundle, the metrics, and the held-out
    predictions that the metrics measure.
    """
    settings = config.training
    turns = round(1 / settings.test_share) if len(age) < settings.cross_fit_below_rows else 1
    run, threads = (run_tasks, 1) if turns > 1 else (run_in_turn, threads)
    all_roles = [assign_roles(sampling_hashes, settings, turn / turns) for turn in range(turns)]
    completed: list[_CrossFitTurn] = run(_train_turn, [(features, columns, age, roles, config, threads) for roles in all_roles])
    last = completed[-1]
    ensemble = replace(
        last.bundle.ensemble,
        weights=tuple(np.mean([t.bundle.ensemble.weights for t in completed], axis=0).tolist()),
        network_share=float(np.mean([t.bundle.ensemble.network_share for t in completed])),
    )
    unseen_outputs = UnseenOutputs.all_of([t.calibration for t in completed])
    interval_quantiles = unseen_outputs.outputs.interval_quantiles
    calibration = calibrate(
        unseen_outputs.outputs.missing_count,
        ensemble.point_age(unseen_outputs.outputs),
        interval_quantiles[:, 0],
        interval_quantiles[:, 2],
        unseen_outputs.age,
        settings.coverage,
    )
    bundle = replace(last.bundle, ensemble=replace(ensemble, calibration=calibration))
    held_out = UnseenOutputs.all_of([t.held_out for t in completed])
    predictions = bundle.ensemble.predict(held_out.outputs)
    rows = np.concatenate([np.flatnonzero(roles == HELD_OUT) for roles in all_roles])
    ridge, median = bundle.ensemble.whole_years(held_out.ridge), float(np.median(age))
    held_out_predictions = HeldOutPredictions(rows, held_out.age, predictions, held_out.outputs.missing_count, ridge, median)
    metrics = held_out_metrics(
        bundle.ensemble,
        held_out,
        predictions,
        float(np.median(age)),
        importance=last.importance,
        missing=dict(zip(features.names, last.missing.tolist(), strict=True)),
        rows=TrainingRows(int((all_roles[-1] == FIT).sum()), len(rows), turns),
        refit_rows=len(age) if len(age) < settings.refit_below_rows else 0,
    )
    if metrics.refit_rows:
        rounds = [(t.bundle.xgboost.rounds, t.bundle.lightgbm.rounds) for t in completed]
        xgboost, lightgbm = (max(1, int(n)) for n in np.median(rounds, axis=0))
        refit_config = config.model_copy(
            update={"training": settings.model_copy(update={"rounds": xgboost, "light_rounds": lightgbm})}
        )
        (full,) = run(_train_on_all_rows, [(features, columns, age, refit_config, threads)])
        bundle = replace(full, ensemble=bundle.ensemble)
    return bundle, metrics, held_out_predictions


def assign_roles(sampling_hashes: NDArray[np.float64], settings: TrainingConfig, turn: float = 0.0) -> NDArray[np.int8]:
    """The role of each sampled row (n,), from further bits of its sampling hash, so independent of the other rows.

    FIT: train; VALIDATE: stop boosting and weigh the members; CALIBRATE: correct the interval; HELD_OUT: measure the result.
    ``turn`` in [0, 1) shifts all roles: over 1 / test_share evenly spaced turns each row is held out once.
    """
    position = (uniform_hash((sampling_hashes * 2.0**53).astype(np.int64) ^ np.int64(0x5DEECE66D)) + turn) % 1.0
    max_share = MAX_EVALUATION_ROWS / max(len(sampling_hashes), 1)
    calibrated = settings.test_share + min(settings.calibration_share, max_share)
    result = np.full(len(sampling_hashes), FIT, np.int8)
    result[position < calibrated + min(settings.validation_share, max_share)] = VALIDATE
    result[position < calibrated] = CALIBRATE
    result[position < settings.test_share] = HELD_OUT
    return result


def _train_members(
    features: FeatureSet,
    columns: pa.Table,
    age: NDArray[np.float32],
    fit: NDArray[np.bool_],
    validate: NDArray[np.bool_],
    config: Config,
    threads: int,
) -> tuple[Bundle, Matrix]:
    """Train all models on the rows ``fit`` (n,); rows ``validate`` (n,) stop boosting and weigh members. No calibration yet.

    XGBoost's prediction is one more feature of the forest. For the training rows, that prediction comes from two boosters that were
    not trained on them (two folds, a third of the rounds). Also returns the matrix of all rows.
    """
    settings = config.training
    encoders = fit_encoders(features, columns.filter(pa.array(fit)), age[fit])
    matrix = encoders.encode(columns)
    fit_matrix, ages, names = matrix[fit], age[fit], features.names
    validation = (matrix[validate], age[validate])
    youngest, oldest = config.ages.min, config.ages.max
    with TrainingThreads(threads) as pool:  # the longest tasks first
        lightgbm = pool.submit(train_lightgbm, fit_matrix, ages, names, settings, 1, validation, pool.cancelled)
        xgboost = pool.submit(train_xgboost, fit_matrix, ages, names, settings, max(1, threads // 2), validation, pool.cancelled)
        folds = np.arange(len(ages)) % 2 == 0
        others = [
            pool.submit(_out_of_fold_predictions, fit_matrix, ages, names, settings, rows, pool.cancelled)
            for rows in (folds, ~folds)
        ]
        network_data = network_training_data(fit_matrix, ages, youngest, oldest, settings)
        networks = [
            pool.submit(train_one_network, network_data, settings, number, pool.cancelled) for number in range(settings.networks)
        ]
        ridge = train_ridge(fit_matrix, ages, default_values(features, encoders))
        point = np.empty(len(ages), np.float32)
        point[~folds], point[folds] = (other.result() for other in others)
        forest = pool.submit(train_forest, with_point_prediction(fit_matrix, point), ages, youngest, oldest, settings, 1)
        bundle = Bundle(
            features,
            encoders,
            ridge,
            xgboost.result(),
            lightgbm.result(),
            network_data.network([n.result() for n in networks]),
            forest.result(),
            EnsembleWeights((1 / len(MEMBERS),) * len(MEMBERS), 0.5, NO_CALIBRATION, settings.coverage, youngest, oldest),
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
    part together with Ridge, which has no other.
    """
    (low, _, high), youngest, worth = ensemble.levels(), ensemble.youngest, settings.worth
    allowed = np.array([name in settings.members for name in MEMBERS])
    weights = choose_point_weights(points, age, MEMBER_COSTS, worth, allowed)
    share = choose_network_share(network, forest, youngest, (low, high), age, worth) if "network" in settings.members else 0.0
    residuals = residual_quantiles(age - points @ weights)
    weighed = replace(ensemble, weights=tuple(weights.tolist()), network_share=share, residuals=residuals)
    if "ridge" not in settings.members or not len(age):
        return weighed
    mixture = mix_distributions(network, forest, share)
    residual_share = choose_residual_share(mixture, weighed.around_point(points), youngest, (low, high), age, worth)
    return replace(weighed, residual_share=residual_share)


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
