"""Training: learn all models from people of known age, choose among them, calibrate the interval, judge on people held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.config import Config, TrainingConfig
from predict_age.features.encode import Matrix, default_values, fit_encoders
from predict_age.features.spec import FeatureSet
from predict_age.hashing import uniform_hash
from predict_age.models.bundle import (
    MEMBERS,
    Bundle,
    EnsembleWeights,
    MemberOutputs,
    Predictions,
    with_point_prediction,
)
from predict_age.models.conformal import NO_CALIBRATION, calibrate
from predict_age.models.density_network_training import network_training_data, train_one_network
from predict_age.models.ensemble import choose_network_share, choose_point_weights
from predict_age.models.lgbm_model import train_lightgbm
from predict_age.models.metrics import (
    errors_by_confidence,
    errors_fall_with_confidence,
    evaluate,
    interval_quality,
    metrics_by_band,
    point_errors,
)
from predict_age.models.quantile_forest import train_forest
from predict_age.models.ridge import train_ridge
from predict_age.models.training_threads import CancelEvent, TrainingThreads
from predict_age.models.xgb_model import gain_importance, train_xgboost
from predict_age.records.model_quality import AgePairs, MemberQuality, Metrics, TrainingRows

FIT, CALIBRATE, HELD_OUT, VALIDATE = 0, 1, 2, 3
MEMBER_COSTS = (5.0, 8.0, 1.0)  # of evaluating a member for a row, roughly
MAX_EVALUATION_ROWS = 20_000  # more rows to calibrate or to validate would decide nothing better; fewer to learn from would
PREDICTION_CHUNK_ROWS = 16_384  # rows
TaskRunner = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], list[Any]]  # a function's results for several tasks


@dataclass(frozen=True)
class HeldOutPredictions:
    """Predictions for m people of known ``age`` (m,) by models that did not learn from them; ``rows`` (m,) of the sample.

    ``unknown`` (m,) counts their features without a value.
    """

    rows: NDArray[np.int64]
    age: NDArray[np.float64]
    made: Predictions
    unknown: NDArray[np.int64]


@dataclass(frozen=True)
class _UnseenOutputs:
    """What models say about people whom they did not learn from."""

    seen: MemberOutputs
    age: NDArray[np.float64]
    ridge: NDArray[np.float64]

    @classmethod
    def of(cls, bundle: Bundle, matrix: Matrix, age: NDArray[np.float32], threads: int) -> _UnseenOutputs:
        """What all models of ``bundle`` say, asked by several threads for some of the people each."""

        def ask(some: slice) -> _UnseenOutputs:
            return cls(bundle.see(matrix[some], everything=True), age[some].astype(np.float64), bundle.ridge.predict(matrix[some]))

        pieces = [slice(n, n + PREDICTION_CHUNK_ROWS) for n in range(0, max(1, len(matrix)), PREDICTION_CHUNK_ROWS)]
        with ThreadPoolExecutor(threads) as pool:
            try:
                return cls.all_of(list(pool.map(ask, pieces)))
            except BaseException:  # Ctrl-C, a time limit: nobody wants the rest
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    @classmethod
    def all_of(cls, some: list[_UnseenOutputs]) -> _UnseenOutputs:
        seen = MemberOutputs(*(np.concatenate([getattr(o.seen, f.name) for o in some]) for f in fields(MemberOutputs)))
        return cls(seen, np.concatenate([o.age for o in some]), np.concatenate([o.ridge for o in some]))


def run_in_turn(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> list[Any]:
    """The results of ``function`` for the ``tasks``, made in this process."""
    return [function(*task) for task in tasks]


@dataclass(frozen=True)
class _CrossFitTurn:
    """Models that learned from some of the people, and what they say about those whom they did not learn from.

    ``missing`` (features,): the share of people without a value; ``importance`` by feature.
    """

    bundle: Bundle
    calibrating: _UnseenOutputs
    judging: _UnseenOutputs
    missing: NDArray[np.float64]
    importance: dict[str, float]


def _train_turn(
    features: FeatureSet, columns: pa.Table, age: NDArray[np.float32], part: NDArray[np.int8], config: Config, threads: int
) -> _CrossFitTurn:
    """Learn from those whose ``part`` (n,) is FIT or VALIDATE, and ask about the others."""
    bundle, matrix = _train_members(features, columns, age, part == FIT, part == VALIDATE, config, threads)
    calibrating, judging = (_UnseenOutputs.of(bundle, matrix[part == p], age[part == p], threads) for p in (CALIBRATE, HELD_OUT))
    return _CrossFitTurn(bundle, calibrating, judging, np.isnan(matrix).mean(axis=0), gain_importance(bundle.boosted))


def _train_on_all_rows(features: FeatureSet, columns: pa.Table, age: NDArray[np.float32], config: Config, threads: int) -> Bundle:
    """Learn from everybody."""
    nobody = np.zeros(len(age), np.bool_)
    return _train_members(features, columns, age, ~nobody, nobody, config, threads)[0]


def train_bundle(
    features: FeatureSet,
    columns: pa.Table,
    age: NDArray[np.float32],
    lucky: NDArray[np.float64],
    config: Config,
    threads: int,
    side_by_side: TaskRunner = run_in_turn,
) -> tuple[Bundle, Metrics, HeldOutPredictions]:
    """Train, choose, calibrate, judge. ``columns``: feature table (n rows), ``age`` (n,) whole years, ``lucky`` (n,) in [0, 1).

    By luck each row is one of FIT (learned from), VALIDATE (decides when boosting stops and how members are weighted), CALIBRATE
    (corrects the interval) or HELD_OUT (judges). With fewer than ``cross_fit_below_rows`` rows this is done in turns until
    everybody was held out once, since few judges would judge badly; turns are made ``side_by_side``, each by one thread, because
    threads have little to share in so few rows. With fewer than ``refit_below_rows`` the models are trained
    again on all rows, with what was chosen: they know more than the models that were judged. Returns the bundle,
    all metrics, and the predictions that they were taken from.
    """
    settings = config.training
    turns = round(1 / settings.test_share) if len(age) < settings.cross_fit_below_rows else 1
    by, threads = (side_by_side, 1) if turns > 1 else (run_in_turn, threads)
    part = [assign_roles(lucky, settings, turn / turns) for turn in range(turns)]
    made: list[_CrossFitTurn] = by(_train_turn, [(features, columns, age, mine, config, threads) for mine in part])
    last = made[-1]
    blend = replace(
        last.bundle.blend,
        weights=tuple(np.mean([t.bundle.blend.weights for t in made], axis=0).tolist()),
        share=float(np.mean([t.bundle.blend.share for t in made])),
    )
    outside = _UnseenOutputs.all_of([t.calibrating for t in made])
    ends = outside.seen.ends
    calibration = calibrate(outside.seen.unknown, blend.point(outside.seen), ends[:, 0], ends[:, 2], outside.age, settings.coverage)
    bundle = replace(last.bundle, blend=replace(blend, calibration=calibration))
    held_out = _UnseenOutputs.all_of([t.judging for t in made])
    predictions = bundle.blend.predict(held_out.seen)
    rows = np.concatenate([np.flatnonzero(mine == HELD_OUT) for mine in part])
    judged = HeldOutPredictions(rows, held_out.age, predictions, held_out.seen.unknown)
    metrics = _held_out_metrics(
        bundle.blend,
        held_out,
        predictions,
        float(np.median(age)),
        importance=last.importance,
        missing=dict(zip(features.names, last.missing.tolist(), strict=True)),
        rows=TrainingRows(int((part[-1] == FIT).sum()), len(rows), turns),
        refit_rows=len(age) if len(age) < settings.refit_below_rows else 0,
    )
    if metrics.refit_rows:
        rounds = [(t.bundle.boosted.rounds, t.bundle.light.rounds) for t in made]
        boosted, light = (max(1, int(n)) for n in np.median(rounds, axis=0))
        again = config.model_copy(update={"training": settings.model_copy(update={"rounds": boosted, "light_rounds": light})})
        (full,) = by(_train_on_all_rows, [(features, columns, age, again, threads)])
        bundle = replace(full, blend=bundle.blend)
    return bundle, metrics, judged


def assign_roles(lucky: NDArray[np.float64], settings: TrainingConfig, turn: float = 0.0) -> NDArray[np.int8]:
    """FIT, CALIBRATE, HELD_OUT or VALIDATE for each sampled row (n,), by further bits of its luck: independent of other rows.

    ``turn`` (0..1) turns the wheel: over 1 / test_share even turns everybody is held out once.
    """
    place = (uniform_hash((lucky * 2.0**53).astype(np.int64) ^ np.int64(0x5DEECE66D)) + turn) % 1.0
    most = MAX_EVALUATION_ROWS / max(len(lucky), 1)
    calibrated = settings.test_share + min(settings.calibration_share, most)
    result = np.full(len(lucky), FIT, np.int8)
    result[place < calibrated + min(settings.validation_share, most)] = VALIDATE
    result[place < calibrated] = CALIBRATE
    result[place < settings.test_share] = HELD_OUT
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
    """All models, from the rows ``fit``; stopping and weights by the rows ``validate``. The interval is not calibrated yet.

    The forest sees XGBoost's prediction as one more feature: for its training rows that prediction comes from two boosters
    that did not see them (two folds, a third of the rounds). Returns the matrix of all rows, too.
    """
    settings = config.training
    encoders = fit_encoders(features, columns.filter(pa.array(fit)), age[fit])
    matrix = encoders.encode(columns)
    known, ages, names = matrix[fit], age[fit], features.names
    unseen = (matrix[validate], age[validate])
    youngest, oldest = config.ages.min, config.ages.max
    with TrainingThreads(threads) as lanes:  # what takes longest first
        light = lanes.begin(train_lightgbm, known, ages, names, settings, 1, unseen, lanes.stopped)
        boosted = lanes.begin(train_xgboost, known, ages, names, settings, max(1, threads // 2), unseen, lanes.stopped)
        folds = np.arange(len(ages)) % 2 == 0
        others = [
            lanes.begin(_out_of_fold_predictions, known, ages, names, settings, rows, lanes.stopped) for rows in (folds, ~folds)
        ]
        given = network_training_data(known, ages, youngest, oldest, settings)
        networks = [lanes.begin(train_one_network, given, settings, number, lanes.stopped) for number in range(settings.networks)]
        ridge = train_ridge(known, ages, default_values(features, encoders))
        point = np.empty(len(ages), np.float32)
        point[~folds], point[folds] = (other.result() for other in others)
        forest = lanes.begin(train_forest, with_point_prediction(known, point), ages, youngest, oldest, settings, 1)
        bundle = Bundle(
            features,
            encoders,
            ridge,
            boosted.result(),
            light.result(),
            given.network([n.result() for n in networks]),
            forest.result(),
            EnsembleWeights((1 / len(MEMBERS),) * len(MEMBERS), 0.5, NO_CALIBRATION, settings.coverage, youngest, oldest),
        )
    points, network, by_forest, _ = bundle.evaluated(unseen[0], everything=True)
    assert network is not None and by_forest is not None
    low, _, high = bundle.blend.levels()
    allowed = np.array([name in settings.members for name in MEMBERS])
    blend = replace(
        bundle.blend,
        weights=tuple(choose_point_weights(points, unseen[1], MEMBER_COSTS, settings.worth, allowed).tolist()),
        share=choose_network_share(network, by_forest, youngest, (low, high), unseen[1], settings.worth) if allowed[2] else 0.0,
    )
    return replace(bundle, blend=blend), matrix


def _out_of_fold_predictions(
    matrix: Matrix,
    age: NDArray[np.float32],
    names: list[str],
    settings: TrainingConfig,
    rows: NDArray[np.bool_],
    stopped: CancelEvent,
) -> NDArray[np.float32]:
    """What a quicker booster that has learned from ``rows`` (n,) predicts for the others."""
    quick = settings.model_copy(
        update={"rounds": max(1, settings.rounds // 3), "learning_rate": min(1.0, settings.learning_rate * 2.5)}
    )
    return train_xgboost(matrix[rows], age[rows], names, quick, 1, None, stopped).predict(matrix[~rows])


def _held_out_metrics(
    blend: EnsembleWeights,
    outside: _UnseenOutputs,
    made: Predictions,
    median: float,
    *,
    importance: dict[str, float],
    missing: dict[str, float],
    rows: TrainingRows,
    refit_rows: int,
) -> Metrics:
    """Metrics of predictions for people with a known age whom no model saw; ``median`` of the known ages."""
    seen, truth = outside.seen, outside.age
    shown = np.sort(np.random.default_rng(0).permutation(len(truth))[:3000])
    steps = errors_by_confidence(made, truth)
    members = [
        MemberQuality(name, weight, **vars(point_errors(truth, blend.whole(seen.points[:, i]))))
        for i, (name, weight) in enumerate(zip(MEMBERS, blend.weights, strict=True))
    ]
    return Metrics(
        held_out=evaluate(truth, made.age, made.lower, made.upper),
        by_band=metrics_by_band(truth, made.age, made.lower, made.upper),
        by_predicted_band=metrics_by_band(truth, made.age, made.lower, made.upper, of=made.age),
        members=members,
        ridge=point_errors(truth, blend.whole(outside.ridge)),
        median=point_errors(truth, np.full(len(truth), median)),
        uncalibrated=interval_quality(truth, seen.ends[:, 0], seen.ends[:, 2]),
        network_share=blend.share,
        widen_years=list(blend.calibration.years),
        by_confidence=steps,
        confidence_is_monotone=errors_fall_with_confidence(steps),
        sample=AgePairs(truth[shown].astype(int).tolist(), made.age[shown].tolist()),
        importance=importance,
        missing=missing,
        rows=rows,
        refit_rows=refit_rows,
    )
