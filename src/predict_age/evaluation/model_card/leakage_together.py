"""Target leakage by several features together: how near predictions of all features, or of some, come to the age."""

from __future__ import annotations

import numpy as np

from predict_age.arrays import Float64Array
from predict_age.config import Config
from predict_age.evaluation.model_card.card_sample import TrainingSample
from predict_age.evaluation.model_card.closeness import closeness, evenly_aged
from predict_age.features.encode import Matrix
from predict_age.models.bundle import Bundle
from predict_age.models.held_out import HeldOutPredictions
from predict_age.records.model_quality import Closeness

MIN_ROWS = 40
MAX_TOGETHER_ROWS = 20_000
ROUNDS = 300


def closeness_that_counts(
    sample: TrainingSample, bundle: Bundle, held_out: HeldOutPredictions, config: Config, threads: int
) -> tuple[Closeness | None, tuple[str, ...] | None]:
    """Closeness of the held-out predictions, and None.

    Where these are too close and ``gates.not_leaks`` names features: closeness of predictions without them, and their names.
    """
    limits = config.gates
    near = _closeness(held_out.age, held_out.predictions.age.astype(np.float64))
    allowed = tuple(name for name in bundle.features.names if name in limits.not_leaks)
    if near is None or not allowed or not near.is_the_age(limits.leak_error_share, limits.leak_exact_share):
        return near, None
    columns = sample.columns.slice(0, MAX_TOGETHER_ROWS)
    age = sample.age[:MAX_TOGETHER_ROWS].astype(np.float64)
    names = bundle.encoders.column_names(bundle.features.names)
    others = [i for i, name in enumerate(names) if name.partition(".")[0] not in allowed]
    if not others:
        return _closeness(age, np.full(len(age), np.median(age))), allowed
    predicted = _cross_fitted(bundle.encoders.encode(columns)[:, others], age, config.training.seed, threads)
    return _closeness(age, predicted), allowed


def _closeness(age: Float64Array, predicted: Float64Array) -> Closeness | None:
    rows = evenly_aged(age)
    return closeness(age[rows], predicted[rows]) if rows.sum() >= MIN_ROWS else None


def _cross_fitted(matrix: Matrix, age: Float64Array, seed: int, threads: int) -> Float64Array:
    """Ages (n,) predicted by boosted trees, each half by trees of the other half."""
    import lightgbm

    parameters = {
        "objective": "regression_l1",
        "num_leaves": 31,
        "learning_rate": 0.1,
        "min_data_in_leaf": 5,
        "seed": seed,
        "num_threads": threads,
        "deterministic": True,
        "force_col_wise": True,
        "verbose": -1,
    }
    half = np.random.default_rng(seed).permutation(len(matrix)) % 2 == 0
    predicted = np.empty(len(matrix))
    for rows in (half, ~half):
        booster = lightgbm.train(parameters, lightgbm.Dataset(matrix[rows], age[rows], params=parameters), ROUNDS)
        predicted[~rows] = booster.predict(matrix[~rows], num_threads=threads)
    return predicted
