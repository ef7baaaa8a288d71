"""Boosting for absolute error, with XGBoost's trees and medians of our own.

A tree is grown on the signs of the residuals; then each leaf is given the median of its residuals (Friedman 2001, "Greedy function
approximation: a gradient boosting machine", algorithm 3). XGBoost's ``reg:absoluteerror`` gives the same to the last bit, but
spends three quarters of its time on these medians, mostly in one thread.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from predict_age.arrays import Float32Array
from predict_age.features.encode import Matrix
from predict_age.kernels import use_kernels
from predict_age.models.training_threads import CancelEvent, check_cancelled
from predict_age.models.tree_ensembles import ubjson
from predict_age.models.tree_ensembles.nodes import TreeNodes, flatten_trees
from predict_age.models.tree_ensembles.xgboost_trees import xgboost_tree_arrays

if TYPE_CHECKING:
    import xgboost

ROWS_PER_WALK = 4096  # rows that NumPy walks down a tree together


def train_l1_booster(
    training: tuple[Matrix, Float32Array],
    validation: tuple[Matrix, Float32Array] | None,
    parameters: dict[str, Any],
    rounds: int,
    patience: int,
    names: list[str],
    sample_share: float,
    cancelled: CancelEvent = None,
) -> xgboost.Booster:
    """Grow up to ``rounds`` trees, each on a random ``sample_share`` of the rows.

    ``training``: (n_rows, n_features) without NaN and ages (n_rows,), years. ``parameters`` are XGBoost's. With ``validation``
    rows, at least one, growing stops ``patience`` rounds after their mean absolute error was lowest, and the trees up to there are
    kept. Deterministic for a seed: sums of signs are exact in any number of threads.
    """
    import xgboost

    matrix, age = training
    base, rate = np.float32(np.median(age)), np.float32(parameters["learning_rate"])
    data = xgboost.QuantileDMatrix(matrix, age, feature_names=names, max_bin=parameters["max_bin"], nthread=parameters["nthread"])
    booster = xgboost.Booster({**parameters, "objective": "reg:squarederror", "base_score": float(base)}, [data])
    rng = np.random.default_rng(parameters["seed"])
    predicted = np.full(len(age), base)
    validation_predicted = np.full(len(validation[1]) if validation else 0, base)
    values: list[Float32Array] = []
    best_round, lowest_error = 0, np.inf
    for number in range(rounds):
        check_cancelled(cancelled)
        sampled = rng.random(len(age), np.float32) < sample_share
        residual = age - predicted
        booster.boost(data, number, grad=np.where(sampled, -np.sign(residual), np.float32(0)), hess=sampled.astype(np.float32))
        tree, nodes = _newest_tree(booster, number)
        leaf = _leaf_of_rows(tree, matrix, nodes)
        values.append(leaf_medians(leaf, residual, sampled, nodes) * rate)
        predicted += values[-1][leaf]
        if validation is not None:
            validation_predicted += values[-1][_leaf_of_rows(tree, validation[0], nodes)]
            error = float(np.abs(validation_predicted - validation[1]).mean(dtype=np.float64))
            if error < lowest_error:
                best_round, lowest_error = number, error
            elif number - best_round >= patience:
                break
    kept = rounds if validation is None else best_round + 1
    return _with_leaf_values(booster[:kept], values)


def _newest_tree(booster: xgboost.Booster, number: int) -> tuple[TreeNodes, int]:
    """The tree of round ``number``, with node numbers as its leaves, and its number of nodes."""
    arrays, _ = xgboost_tree_arrays(ubjson.read(bytes(booster[number : number + 1].save_raw("ubj"))))
    nodes = len(arrays.left)
    return flatten_trees(arrays, np.float32(np.nan), np.arange(nodes, dtype=np.int32)[np.newaxis]), nodes


def _leaf_of_rows(tree: TreeNodes, matrix: Matrix, nodes: int) -> NDArray[np.uint16]:
    """The leaf (n_rows,), as a node number, that each row reaches in one tree of ``nodes`` nodes."""
    result = np.empty(len(matrix), np.uint16)
    if use_kernels(len(matrix)):
        from predict_age.kernels.leaf_medians import leaf_of_rows

        leaf_of_rows(matrix, tree.features, tree.limits, tree.children, tree.leaves, int(tree.depths[0]), result)
        return result
    for start in range(0, len(matrix), ROWS_PER_WALK):
        result[start : start + ROWS_PER_WALK] = tree.walk(matrix[start : start + ROWS_PER_WALK])[:, 0]
    return result


def leaf_medians(leaf: NDArray[np.uint16], values: Float32Array, in_sample: NDArray[np.bool_], nodes: int) -> Float32Array:
    """Median (nodes,) of the ``values`` (n,) in each ``leaf`` (n,), of rows ``in_sample`` (n,) only; 0 where there are none."""
    result = np.zeros(nodes, np.float32)
    if use_kernels(len(values)):
        from predict_age.kernels.leaf_medians import medians_by_leaf as by_kernel

        by_kernel(leaf, values, in_sample, result)
        return result
    leaf, values = leaf[in_sample], values[in_sample]
    values = values[np.lexsort((values, leaf))]
    count = np.bincount(leaf, minlength=nodes)
    nonempty, first = count > 0, np.cumsum(count) - count
    low, high = (values[(first + half)[nonempty]] for half in (np.maximum(count - 1, 0) // 2, count // 2))
    result[nonempty] = low + 0.5 * (high - low).astype(np.float64)
    return result


def _with_leaf_values(booster: xgboost.Booster, values: list[Float32Array]) -> xgboost.Booster:
    """``booster`` with new leaf values of each tree, which XGBoost stores in the place of the splits' limits."""
    import xgboost

    model = json.loads(booster.save_raw("json"))
    trees = model["learner"]["gradient_booster"]["model"]["trees"]
    for tree, leaf_values in zip(trees, values, strict=False):
        tree["split_conditions"] = [
            float(str(value)) if left < 0 else limit  # in the fewest digits that identify a float32: XGBoost reads no more
            for left, limit, value in zip(tree["left_children"], tree["split_conditions"], leaf_values, strict=True)
        ]
    return xgboost.Booster(model_file=bytearray(json.dumps(model).encode()))
