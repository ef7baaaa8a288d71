"""Boosting for absolute error, with XGBoost's trees and our medians.

A tree is grown by the signs of what is left to explain, then each of its leaves is given the median of what is left there (Friedman
2001, "Greedy function approximation: a gradient boosting machine", algorithm 3). XGBoost's ``reg:absoluteerror`` is the same to the
last bit, but spends three quarters of its time on those medians, mostly in one thread.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from predict_age.features.encode import Matrix
from predict_age.kernels import use_kernels
from predict_age.models.age_distribution import Floats
from predict_age.models.training_threads import CancelEvent, check_cancelled
from predict_age.models.tree_ensembles import ubjson
from predict_age.models.tree_ensembles.nodes import TreeNodes, flatten_trees
from predict_age.models.tree_ensembles.xgboost_trees import parse_xgboost_trees

if TYPE_CHECKING:
    import xgboost

ROWS_PER_WALK = 4096  # rows that NumPy walks down a tree together


def train_l1_booster(
    known: tuple[Matrix, Floats],
    unseen: tuple[Matrix, Floats] | None,
    parameters: dict[str, Any],
    rounds: int,
    patience: int,
    names: list[str],
    drawn: float,
    cancelled: CancelEvent = None,
) -> xgboost.Booster:
    """Up to ``rounds`` trees, from (n_rows, n_features) without NaN and ages (n_rows,); each learns from a share ``drawn`` of them.

    ``parameters`` are XGBoost's. With ``unseen`` rows, some at least, it stops ``patience`` rounds after their mean absolute error
    was lowest, and keeps the trees up to there. Deterministic for a seed: signs add up to the same in any number of threads.
    """
    import xgboost

    matrix, age = known
    base, rate = np.float32(np.median(age)), np.float32(parameters["learning_rate"])
    data = xgboost.QuantileDMatrix(matrix, age, feature_names=names, max_bin=parameters["max_bin"], nthread=parameters["nthread"])
    booster = xgboost.Booster({**parameters, "objective": "reg:squarederror", "base_score": float(base)}, [data])
    rng = np.random.default_rng(parameters["seed"])
    predicted = np.full(len(age), base)
    judged = np.full(len(unseen[1]) if unseen else 0, base)
    values: list[Floats] = []
    best, lowest = 0, np.inf
    for number in range(rounds):
        check_cancelled(cancelled)
        some = rng.random(len(age), np.float32) < drawn
        left = age - predicted
        booster.boost(data, number, grad=np.where(some, -np.sign(left), np.float32(0)), hess=some.astype(np.float32))
        tree, nodes = _newest_tree(booster, number)
        leaf = _leaf_of_rows(tree, matrix, nodes)
        values.append(leaf_medians(leaf, left, some, nodes) * rate)
        predicted += values[-1][leaf]
        if unseen is not None:
            judged += values[-1][_leaf_of_rows(tree, unseen[0], nodes)]
            error = float(np.abs(judged - unseen[1]).mean(dtype=np.float64))
            if error < lowest:
                best, lowest = number, error
            elif number - best >= patience:
                break
    kept = rounds if unseen is None else best + 1
    return _with_leaf_values(booster[:kept], values)


def _newest_tree(booster: xgboost.Booster, number: int) -> tuple[TreeNodes, int]:
    """The tree of a round, whose leaves are its nodes' numbers, and how many nodes it has."""
    (tree,), _ = parse_xgboost_trees(ubjson.read(bytes(booster[number : number + 1].save_raw("ubj"))))
    nodes = len(tree.left)
    return flatten_trees([tree], np.float32(np.nan), np.arange(nodes, dtype=np.int32)[np.newaxis]), nodes


def _leaf_of_rows(tree: TreeNodes, matrix: Matrix, nodes: int) -> NDArray[np.uint16]:
    """The leaf (n_rows,) of one tree of ``nodes`` nodes that each row falls into."""
    result = np.empty(len(matrix), np.uint16)
    if use_kernels(len(matrix)):
        from predict_age.kernels.leaf_medians import leaf_of_rows

        leaf_of_rows(matrix, tree.features, tree.limits, tree.children, tree.leaves, int(tree.depths[0]), result)
        return result
    for start in range(0, len(matrix), ROWS_PER_WALK):
        result[start : start + ROWS_PER_WALK] = tree.walk(matrix[start : start + ROWS_PER_WALK])[:, 0]
    return result


def leaf_medians(leaf: NDArray[np.uint16], values: Floats, drawn: NDArray[np.bool_], nodes: int) -> Floats:
    """The median (nodes,) of those ``values`` (n,) of each ``leaf`` (n,) that are ``drawn`` (n,); 0 of none."""
    result = np.zeros(nodes, np.float32)
    if use_kernels(len(values)):
        from predict_age.kernels.leaf_medians import medians_by_leaf as by_kernel

        by_kernel(leaf, values, drawn, result)
        return result
    leaf, values = leaf[drawn], values[drawn]
    values = values[np.lexsort((values, leaf))]
    count = np.bincount(leaf, minlength=nodes)
    there, first = count > 0, np.cumsum(count) - count
    low, high = (values[(first + half)[there]] for half in (np.maximum(count - 1, 0) // 2, count // 2))
    result[there] = low + 0.5 * (high - low).astype(np.float64)
    return result


def _with_leaf_values(booster: xgboost.Booster, values: list[Floats]) -> xgboost.Booster:
    """``booster`` with the leaves' values of each tree, which XGBoost keeps where splits have their limit."""
    import xgboost

    model = json.loads(booster.save_raw("json"))
    trees = model["learner"]["gradient_booster"]["model"]["trees"]
    for tree, mine in zip(trees, values, strict=False):
        tree["split_conditions"] = [
            float(str(value)) if left < 0 else limit  # in as few digits as tell 32 bits apart: XGBoost reads no more
            for left, limit, value in zip(tree["left_children"], tree["split_conditions"], mine, strict=True)
        ]
    return xgboost.Booster(model_file=bytearray(json.dumps(model).encode()))
