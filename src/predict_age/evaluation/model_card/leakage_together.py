"""Target leakage by several features together: how near predictions of all features, or of some, come to the age."""

from __future__ import annotations

import numpy as np

from predict_age.arrays import Float64Array
from predict_age.config import Config
from predict_age.evaluation.model_card.card_sample import TrainingSample
from predict_age.evaluation.model_card.closeness import closeness, evenly_aged
from predict_age.evaluation.model_card.half_by_half import predict_by_other_half
from predict_age.models.bundle import Bundle
from predict_age.models.held_out import HeldOutPredictions
from predict_age.records.closeness import Closeness

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
    matrix = bundle.encoders.encode(columns)[:, others]
    predicted = predict_by_other_half(matrix, age, "regression_l1", 31, 5, ROUNDS, config.training.seed, threads)
    return _closeness(age, predicted), allowed


def _closeness(age: Float64Array, predicted: Float64Array) -> Closeness | None:
    rows = evenly_aged(age)
    return closeness(age[rows], predicted[rows]) if rows.sum() >= MIN_ROWS else None
