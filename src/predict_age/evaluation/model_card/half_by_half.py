"""Two-fold cross-fitting: each half of the people is predicted by boosted trees of the other half."""

from __future__ import annotations

import numpy as np

from predict_age.arrays import Float64Array
from predict_age.features.encode import Matrix


def predict_by_other_half(
    matrix: Matrix, target: Float64Array, objective: str, leaves: int, leaf_rows: int, rounds: int, seed: int, threads: int
) -> Float64Array:
    """Predictions (n,) of ``target`` (n,) from ``matrix`` (n, f) by LightGBM, for an ``objective`` of that library.

    ``leaves`` at most and ``leaf_rows`` people at least a leaf; ``rounds`` trees. ``seed`` draws the halves.
    """
    import lightgbm

    parameters = {
        "objective": objective,
        "num_leaves": leaves,
        "learning_rate": 0.1,
        "min_data_in_leaf": leaf_rows,
        "seed": seed,
        "num_threads": threads,
        "deterministic": True,
        "force_col_wise": True,
        "verbose": -1,
    }
    half = np.random.default_rng(seed).permutation(len(matrix)) % 2 == 0
    predicted = np.empty(len(matrix))
    for rows in (half, ~half):
        booster = lightgbm.train(parameters, lightgbm.Dataset(matrix[rows], target[rows], params=parameters), rounds)
        predicted[~rows] = booster.predict(matrix[~rows], num_threads=threads)
    return predicted
