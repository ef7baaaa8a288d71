"""Training of the delivered models: in folds or by roles, so that weights, calibration and metrics rest on unseen people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.config import Config, TrainingConfig
from predict_age.features.spec import FeatureSet
from predict_age.models.age_weights import AgeWeights
from predict_age.models.booster_sizes import chosen_boosters, cut_folds, try_boosters, with_rounds
from predict_age.models.bundle import Bundle, EnsembleWeights
from predict_age.models.delivery import Calibrator, TrainedModels
from predict_age.models.held_out import HeldOutPredictions, UnseenMembers, UnseenOutputs
from predict_age.models.size_presets import for_people, tree_sizes
from predict_age.models.training import (
    CALIBRATE,
    FIT,
    HELD_OUT,
    VALIDATE,
    TrainingPeople,
    assign_roles,
    weighed_ensemble,
)
from predict_age.records.model_quality import Metrics, TrainingRows

FEWEST_FOLDS, MORE_FOLDS, MORE_FOLDS_BELOW_ROWS = 10, 20, 2_000  # with fewer people, more folds
MEASURED_ROWS = 12_000  # people after whom no further fold is trained
STOPPING_ROWS = 5_000  # people after whom the numbers of trees are settled
CLAIM_PARTS = 5  # what is claimed for a fifth of the people rests on weights and a calibration from the others
TaskRunner = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]], str], list[Any]]  # calls a function for tasks of a name


def run_in_turn(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], _name: str) -> list[Any]:
    """The results of ``function`` for the ``tasks``, one after another in this process."""
    return [function(*task) for task in tasks]


def train_models(
    features: FeatureSet,
    columns: pa.Table,
    age: NDArray[np.float32],
    sampling_hashes: NDArray[np.float64],
    config: Config,
    threads: int,
    run_tasks: TaskRunner = run_in_turn,
    age_weights: AgeWeights | None = None,
) -> TrainedModels:
    """Train and weigh the members, with all that calibrates the interval and measures the result on held-out people.

    ``columns``: feature table (n rows); ``age`` (n,): whole years; ``sampling_hashes`` (n,): in [0, 1). Fewer than
    ``cross_fit_below_rows`` people are held out in folds (:func:`_train_in_folds`), more are given roles once
    (:func:`_train_by_roles`). With ``age_weights`` all of this is for people whose ages are distributed as those
    of the people to predict.
    """
    settings = for_people(config.training, len(age))
    people = TrainingPeople(features, columns, age, config.model_copy(update={"training": settings}), age_weights)
    if len(age) < config.training.cross_fit_below_rows:
        return _train_in_folds(people, tree_sizes(config.training, settings, len(age)), sampling_hashes, threads, run_tasks)
    return _train_by_roles(people, sampling_hashes, threads)


def train_bundle(
    features: FeatureSet,
    columns: pa.Table,
    age: NDArray[np.float32],
    sampling_hashes: NDArray[np.float64],
    config: Config,
    threads: int,
    run_tasks: TaskRunner = run_in_turn,
    age_weights: AgeWeights | None = None,
    minors: float = 1.0,
) -> tuple[Bundle, Metrics, HeldOutPredictions]:
    """Models by :func:`train_models`, their metrics and the predictions that these measure, at this rate of ``minors``."""
    trained = train_models(features, columns, age, sampling_hashes, config, threads, run_tasks, age_weights)
    return trained.bundle(minors), *trained.measured(minors)


def _train_in_folds(
    people: TrainingPeople,
    sizes: list[TrainingConfig],
    sampling_hashes: NDArray[np.float64],
    threads: int,
    run_tasks: TaskRunner,
) -> TrainedModels:
    """Train on all people but one fold, for several folds; weigh, calibrate and measure on those left out; then train on all.

    The delivered models are made as those of the folds are: the same settings, the same numbers of trees, nearly as many people.
    Results about the folds' predictions therefore hold for theirs, which is what cross-conformal prediction rests on (Vovk 2015;
    Barber, Candès, Ramdas and Tibshirani 2021). One of the ``sizes`` and the numbers of trees are chosen first, by boosters
    that stop early. Weights and calibration of the measured predictions come from other people than those whom they are applied to.
    With many people not every fold is trained: MEASURED_ROWS suffice. ``run_tasks`` runs folds side by side; few rows keep few
    threads busy.
    """
    settings, n = people.config.training, len(people.age)

    def of_each(function: Callable[..., Any], folds: list[NDArray[np.bool_]], name: str) -> list[Any]:
        return run_tasks(function, [(people, fold, max(1, threads // len(folds))) for fold in folds], name)

    stopping_folds = cut_folds(sampling_hashes, max(2, round(1 / settings.test_share)), STOPPING_ROWS)
    tried = of_each(partial(try_boosters, sizes=sizes), stopping_folds, "folds that choose boosters")
    people = people.with_settings(chosen_boosters(tried, sizes))
    folds = cut_folds(sampling_hashes, MORE_FOLDS if n < MORE_FOLDS_BELOW_ROWS else FEWEST_FOLDS, MEASURED_ROWS)
    completed: list[_Fold] = of_each(_train_fold, folds, "folds")
    unseen, unweighed = UnseenMembers.all_of([fold.unseen for fold in completed]), completed[-1].bundle.ensemble
    calibrator = _weighed(unweighed, _typical(people, unseen), settings)
    part_of = np.arange(len(unseen.age)) % CLAIM_PARTS
    calibrators, parts = [], []
    for part in range(CLAIM_PARTS):
        mine = unseen.only(part_of == part)
        calibrators.append(_weighed(unweighed, _typical(people, unseen.only(part_of != part)), settings))
        parts.append(UnseenOutputs(mine.outputs(calibrators[-1].ensemble), mine.age, mine.ridge))
    refit = n < settings.refit_below_rows
    bundle = run_tasks(_train_on_all, [(people, threads)], "training on all people")[0] if refit else completed[-1].bundle
    return TrainedModels(
        people,
        replace(bundle, ensemble=calibrator.ensemble),
        calibrator,
        tuple(calibrators),
        tuple(parts),
        part_of,
        UnseenOutputs(unseen.outputs(calibrator.ensemble), unseen.age, unseen.ridge),
        unseen.rows,
        TrainingRows(n - int(folds[-1].sum()), len(unseen.age), len(folds)),
        completed[-1].missing,
        n if refit else 0,
    )


def _typical(people: TrainingPeople, unseen: UnseenMembers) -> UnseenMembers:
    """Outputs for people whose ages are distributed as those of the people to predict; all where these are not known."""
    if people.age_weights is None:
        return unseen
    places = np.argsort(unseen.rows, kind="stable")
    drawn = people.typical(unseen.rows[places])
    return unseen.only(places[np.searchsorted(unseen.rows[places], drawn)])


def _weighed(ensemble: EnsembleWeights, unseen: UnseenMembers, settings: TrainingConfig) -> Calibrator:
    """The ``ensemble`` with weights from people whom no member was trained on, who calibrate it, too."""
    weighed = weighed_ensemble(ensemble, unseen.points, unseen.network, unseen.forest, unseen.age, settings)
    return Calibrator(weighed, UnseenOutputs(unseen.outputs(weighed), unseen.age, unseen.ridge))


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


def _train_by_roles(people: TrainingPeople, sampling_hashes: NDArray[np.float64], threads: int) -> TrainedModels:
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
    calibrator, models, refit = Calibrator(bundle.ensemble, calibration), bundle, n < settings.refit_below_rows
    if refit:
        again = people.with_settings(with_rounds(settings, bundle.xgboost.rounds, bundle.lightgbm.rounds))
        models = replace(again.train_on_all(threads), ensemble=bundle.ensemble)
    return TrainedModels(
        people,
        models,
        calibrator,
        (calibrator,),
        (held_out,),
        np.zeros(len(numbers), np.int64),
        held_out,
        numbers,
        TrainingRows(int((roles == FIT).sum()), len(numbers), 1),
        np.isnan(matrix[:, : len(people.features)]).mean(axis=0),
        n if refit else 0,
    )
