"""Training of the delivered models: in folds or by roles, so that weights, calibration and metrics rest on unseen people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.config import Config, TrainingConfig
from predict_age.errors import QualityError
from predict_age.features.encode import fit_encoders
from predict_age.features.spec import FeatureSet
from predict_age.models.age_weights import AgeWeights
from predict_age.models.bundle import Bundle, EnsembleWeights, MemberOutputs, Predictions
from predict_age.models.conformal import calibrate
from predict_age.models.held_out import HeldOutPredictions, UnseenMembers, UnseenOutputs, held_out_metrics
from predict_age.models.lgbm_model import train_lightgbm
from predict_age.models.reuse import in_order
from predict_age.models.size_presets import for_people
from predict_age.models.training import (
    CALIBRATE,
    FIT,
    HELD_OUT,
    VALIDATE,
    TrainingPeople,
    assign_roles,
    second_hash,
    weighed_ensemble,
)
from predict_age.models.xgb_model import gain_importance, train_xgboost
from predict_age.records.model_quality import Metrics, TrainingRows

FEWEST_FOLDS, MORE_FOLDS, MORE_FOLDS_BELOW_ROWS = 10, 20, 2_000  # with fewer people, more folds
MEASURED_ROWS = 12_000  # people after whom no further fold is trained
STOPPING_ROWS = 5_000  # people after whom the numbers of trees are settled
CLAIM_PARTS = 5  # what is claimed for a fifth of the people rests on weights and a calibration from the others
TaskRunner = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], list[Any]]  # calls a function for several tasks


def run_in_turn(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> list[Any]:
    """The results of ``function`` for the ``tasks``, one after another in this process."""
    return [function(*task) for task in tasks]


def train_bundle(
    features: FeatureSet,
    columns: pa.Table,
    age: NDArray[np.float32],
    sampling_hashes: NDArray[np.float64],
    config: Config,
    threads: int,
    run_tasks: TaskRunner = run_in_turn,
    age_weights: AgeWeights | None = None,
) -> tuple[Bundle, Metrics, HeldOutPredictions]:
    """Train and weigh the members, calibrate the interval, and measure the result on held-out people.

    ``columns``: feature table (n rows); ``age`` (n,): whole years; ``sampling_hashes`` (n,): in [0, 1). Fewer than
    ``cross_fit_below_rows`` people are held out in folds (:func:`_train_in_folds`), more are given roles once
    (:func:`_train_by_roles`). With ``age_weights`` all of this is for people whose ages are distributed as those
    of the people to predict. Returns the bundle, the metrics, and the held-out predictions that the metrics measure.
    """
    settings = for_people(config.training, len(age))
    people = TrainingPeople(features, columns, age, config.model_copy(update={"training": settings}), age_weights)
    if len(age) < config.training.cross_fit_below_rows:
        return _train_in_folds(people, sampling_hashes, threads, run_tasks)
    return _train_by_roles(people, sampling_hashes, threads)


def _train_in_folds(
    people: TrainingPeople, sampling_hashes: NDArray[np.float64], threads: int, run_tasks: TaskRunner
) -> tuple[Bundle, Metrics, HeldOutPredictions]:
    """Train on all people but one fold, for several folds; weigh, calibrate and measure on those left out; then train on all.

    The delivered models are made as those of the folds are: the same settings, the same numbers of trees, nearly as many people.
    What holds for the folds' predictions therefore holds for theirs, which is what cross-conformal prediction rests on (Vovk 2015;
    Barber, Candès, Ramdas and Tibshirani 2021). The numbers of trees are chosen first, by boosters that stop early. Weights and
    calibration of the measured predictions come from other people than those whom they are applied to. Of many people
    not every fold is trained: MEASURED_ROWS suffice. ``run_tasks`` runs folds side by side; few rows keep few threads busy.
    """
    settings, n = people.config.training, len(people.age)

    def of_each(function: Callable[..., Any], folds: list[NDArray[np.bool_]]) -> list[Any]:
        return run_tasks(function, [(people, fold, max(1, threads // len(folds))) for fold in folds])

    stops = of_each(_best_rounds, _folds(sampling_hashes, max(2, round(1 / settings.test_share)), STOPPING_ROWS))
    people = people.with_rounds(*(int(rounds) for rounds in np.median(stops, axis=0)))
    folds = _folds(sampling_hashes, MORE_FOLDS if n < MORE_FOLDS_BELOW_ROWS else FEWEST_FOLDS, MEASURED_ROWS)
    completed: list[_Fold] = of_each(_train_fold, folds)
    unseen, unweighed = UnseenMembers.all_of([fold.unseen for fold in completed]), completed[-1].bundle.ensemble
    ensemble = _fitted(unweighed, _typical(people, unseen), settings)
    part_of = np.arange(len(unseen.age)) % CLAIM_PARTS
    claimed = []
    for part in range(CLAIM_PARTS):
        mine = unseen.only(part_of == part)
        by_others = _fitted(unweighed, _typical(people, unseen.only(part_of != part)), settings)
        claimed.append(by_others.predict(mine.outputs(by_others)))
    predictions = in_order(claimed, part_of)
    refit = n < settings.refit_below_rows
    bundle = run_tasks(_train_on_all, [(people, threads)])[0] if refit else completed[-1].bundle
    bundle = replace(bundle, ensemble=ensemble)
    held_out = UnseenOutputs(unseen.outputs(ensemble), unseen.age, unseen.ridge)
    rows = TrainingRows(n - int(folds[-1].sum()), len(unseen.age), len(folds))
    return bundle, *_measured(people, bundle, held_out, predictions, unseen.rows, rows, completed[-1].missing, n if refit else 0)


def _measured(
    people: TrainingPeople,
    bundle: Bundle,
    held_out: UnseenOutputs,
    predictions: Predictions,
    numbers: NDArray[np.int64],
    rows: TrainingRows,
    missing: NDArray[np.float64],
    refit_rows: int,
) -> tuple[Metrics, HeldOutPredictions]:
    """Metrics of ``predictions`` for ``held_out`` people, who have these ``numbers`` (m,) in the sample.

    They are those of what is delivered: people who are withheld are counted and left out.
    With weights by age, groups are measured on people of whom none counts twice, so that they are groups of people; what is said of
    everybody rests on as many people as the weighted ones are worth.
    """
    published = ~predictions.withheld
    if not published.any():
        raise _nobody_to_measure(len(published))
    withheld_age = held_out.age[~published]
    held_out, predictions, numbers = held_out.only(published), predictions.only(published), numbers[published]
    importance, of_features = gain_importance(bundle.xgboost), dict(zip(people.features.names, missing.tolist(), strict=True))

    def measured(chosen: NDArray[np.int64]) -> tuple[Metrics, HeldOutPredictions]:
        some, made = held_out.only(chosen), predictions.only(chosen)
        ridge = bundle.ensemble.whole_years(some.ridge)
        median = float(np.median(some.age if people.age_weights else people.age))
        metrics = held_out_metrics(
            bundle.ensemble,
            some,
            made,
            median,
            importance=importance,
            missing=of_features,
            rows=rows,
            refit_rows=refit_rows,
        )
        missing_count = some.outputs.missing_count
        return metrics, HeldOutPredictions(numbers[chosen], some.age, made, missing_count, ridge, median, withheld_age)

    places = np.argsort(numbers, kind="stable")
    if people.age_weights is None:
        return measured(np.arange(len(numbers)))
    ordered = numbers[places]
    everybody = measured(places[np.searchsorted(ordered, people.typical(ordered))])[0]
    metrics, kept = measured(places[np.searchsorted(ordered, people.measured(ordered))])
    of_all = ("held_out", "members", "ridge", "median", "uncalibrated")
    return replace(metrics, **{name: getattr(everybody, name) for name in of_all}), kept


def _nobody_to_measure(people: int) -> QualityError:
    return QualityError(
        "the model withholds everybody whom it was tried on",
        expected="held-out people who get a prediction: without them nothing is known about the model",
        found=f"all {people:,} are withheld: the model takes them for minors, or too probably so",
        fix="lower ages.min_age or raise ages.withhold_probability, or give features that tell the age better; start a new run",
    )


def _typical(people: TrainingPeople, unseen: UnseenMembers) -> UnseenMembers:
    """Outputs for people whose ages are distributed as those of the people to predict; all where these are not known."""
    if people.age_weights is None:
        return unseen
    places = np.argsort(unseen.rows, kind="stable")
    drawn = people.typical(unseen.rows[places])
    return unseen.only(places[np.searchsorted(unseen.rows[places], drawn)])


def _fitted(ensemble: EnsembleWeights, unseen: UnseenMembers, settings: TrainingConfig) -> EnsembleWeights:
    """The ``ensemble`` with weights and calibration from people whom no member was trained on."""
    weighed = weighed_ensemble(ensemble, unseen.points, unseen.network, unseen.forest, unseen.age, settings)
    return _calibrated(weighed, unseen.outputs(weighed), unseen.age)


def _calibrated(ensemble: EnsembleWeights, outputs: MemberOutputs, age: NDArray[np.float64]) -> EnsembleWeights:
    """The ``ensemble`` with a calibration from the ``outputs`` for people of known ``age`` (n,), withheld ones left out."""
    published = ~ensemble.withheld(outputs)
    raw = ensemble.raw_intervals(outputs.only(published))
    calibration = calibrate(raw, age[published], ensemble.whole_years(raw.point_age), ensemble.coverage)
    return replace(ensemble, calibration=calibration)


@dataclass(frozen=True)
class _Fold:
    """Models trained on all people but those of one fold, and their outputs for these.

    ``missing`` (n_features,): share of people without a value.
    """

    bundle: Bundle
    unseen: UnseenMembers
    missing: NDArray[np.float64]


def _train_fold(people: TrainingPeople, fold: NDArray[np.bool_], threads: int) -> _Fold:
    """Train on the people outside ``fold`` (n,), with the configured numbers of trees, and predict those in it."""
    bundle, matrix = people.train(~fold, np.zeros_like(fold), threads)
    unseen = UnseenMembers.of(bundle, matrix, np.flatnonzero(fold), people.age)
    return _Fold(bundle, unseen, np.isnan(matrix[:, : len(people.features)]).mean(axis=0))


def _train_on_all(people: TrainingPeople, threads: int) -> Bundle:
    return people.train_on_all(threads)


def _best_rounds(people: TrainingPeople, fold: NDArray[np.bool_], threads: int) -> tuple[int, int]:
    """Numbers of trees of XGBoost and LightGBM, trained outside ``fold`` (n,), with the least error inside."""
    settings = people.config.training
    encoders = fit_encoders(people.features, people.columns.filter(pa.array(~fold)), people.age[~fold])
    matrix, names = encoders.encode(people.columns), encoders.column_names(people.features.names)
    fit, stop = people.training_rows(np.flatnonzero(~fold)), people.typical(np.flatnonzero(fold))
    ages, validation = people.age[fit], (matrix[stop], people.age[stop])
    xgboost = train_xgboost(matrix[fit], ages, names, settings, threads, validation)
    return xgboost.rounds, train_lightgbm(matrix[fit], ages, names, settings, threads, validation).rounds


def _folds(sampling_hashes: NDArray[np.float64], count: int, enough: int) -> list[NDArray[np.bool_]]:
    """Masks (n,) of the first of ``count`` equally large folds that hold ``enough`` people, two at least; else of all.

    The folds are drawn by further bits of the sampling hashes.
    """
    order = np.argsort(np.argsort(second_hash(sampling_hashes), kind="stable"), kind="stable")
    needed = max(2, ceil(enough * count / max(len(order), 1)))
    return [order % count == number for number in range(min(count, needed))]


def _train_by_roles(
    people: TrainingPeople, sampling_hashes: NDArray[np.float64], threads: int
) -> tuple[Bundle, Metrics, HeldOutPredictions]:
    """Give each person a role (:func:`assign_roles`): train, stop boosting and weigh, calibrate, or measure.

    With fewer than ``refit_below_rows`` people the models are then trained again on all, with the same number of trees.
    """
    settings, n = people.config.training, len(people.age)
    roles = assign_roles(sampling_hashes, settings)
    bundle, matrix = people.train(roles == FIT, roles == VALIDATE, threads)
    numbers = np.flatnonzero(roles == HELD_OUT)
    calibration, held_out = (
        UnseenOutputs.of(bundle, matrix[some], people.age[some], threads)
        for some in (people.typical(np.flatnonzero(roles == CALIBRATE)), numbers)
    )
    bundle = replace(bundle, ensemble=_calibrated(bundle.ensemble, calibration.outputs, calibration.age))
    rows = TrainingRows(int((roles == FIT).sum()), len(numbers), 1)
    missing, refit_rows = np.isnan(matrix[:, : len(people.features)]).mean(axis=0), n if n < settings.refit_below_rows else 0
    predictions = bundle.ensemble.predict(held_out.outputs)
    measured = _measured(people, bundle, held_out, predictions, numbers, rows, missing, refit_rows)
    if refit_rows:
        again = people.with_rounds(bundle.xgboost.rounds, bundle.lightgbm.rounds)
        bundle = replace(again.train_on_all(threads), ensemble=bundle.ensemble)
    return bundle, *measured
