"""Sizes and numbers of the boosters' trees, chosen in folds before anything else is trained."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.arrays import Float64Array
from predict_age.config import TrainingConfig
from predict_age.features.encode import fit_encoders
from predict_age.models.lgbm_model import train_lightgbm
from predict_age.models.training import TrainingPeople, second_hash
from predict_age.models.xgb_model import train_xgboost


def try_boosters(people: TrainingPeople, fold: NDArray[np.bool_], threads: int, sizes: Sequence[TrainingConfig]) -> Float64Array:
    """Train XGBoost and LightGBM outside ``fold`` (n,) with the settings of each of the ``sizes`` (s); people inside stop them.

    Returns (s, 3): the mean of both boosters' absolute errors inside, years, and the number of trees of each.
    """
    encoders = fit_encoders(people.features, people.columns.filter(pa.array(~fold)), people.age[~fold])
    matrix, names = encoders.encode(people.columns), encoders.column_names(people.features.names)
    fit, stop = people.training_rows(np.flatnonzero(~fold)), people.typical(np.flatnonzero(fold))
    known, ages, validation = matrix[fit], people.age[fit], (matrix[stop], people.age[stop])
    tried = []
    for settings in sizes:
        xgboost = train_xgboost(known, ages, names, settings, threads, validation)
        lightgbm = train_lightgbm(known, ages, names, settings, threads, validation)
        errors = sum(float(np.abs(model.predict(validation[0]) - validation[1]).sum()) for model in (xgboost, lightgbm))
        tried.append((errors / (2 * max(1, len(stop))), xgboost.rounds, lightgbm.rounds))
    return np.array(tried, np.float64)


def chosen_boosters(tried: Sequence[Float64Array], sizes: Sequence[TrainingConfig]) -> TrainingConfig:
    """Settings among the ``sizes`` with the least mean error over the folds ``tried``, with the median numbers of trees."""
    by_fold = np.array(tried)
    best = int(by_fold[:, :, 0].mean(axis=0).argmin())
    rounds, light_rounds = np.median(by_fold[:, best, 1:], axis=0).astype(int)
    return with_rounds(sizes[best], int(rounds), int(light_rounds))


def with_rounds(settings: TrainingConfig, xgboost: int, lightgbm: int) -> TrainingConfig:
    """The ``settings`` for boosters of so many trees, at least one."""
    return settings.model_copy(update={"rounds": max(1, xgboost), "light_rounds": max(1, lightgbm)})


def cut_folds(sampling_hashes: NDArray[np.float64], count: int, enough: int) -> list[NDArray[np.bool_]]:
    """Masks (n,) of the first of ``count`` equally large folds that hold ``enough`` people, two at least; else of all.

    The folds are drawn by further bits of the sampling hashes.
    """
    order = np.argsort(np.argsort(second_hash(sampling_hashes), kind="stable"), kind="stable")
    needed = max(2, ceil(enough * count / max(len(order), 1)))
    return [order % count == number for number in range(min(count, needed))]
