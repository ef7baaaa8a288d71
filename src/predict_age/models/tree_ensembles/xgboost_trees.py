"""Parser of XGBoost's trees, from the model that :mod:`predict_age.models.tree_ensembles.ubjson` has read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predict_age.models.structure import StructureError
from predict_age.models.tree_ensembles.tree import Tree, TreeArrays, UnsupportedTreeError, next_smaller

NODE_ARRAYS = {  # dtype kinds of the arrays of one value a node; XGBoost itself reads all of them
    "left_children": "iu",
    "right_children": "iu",
    "split_indices": "iu",
    "split_conditions": "f",
    "split_type": "iu",
    "default_left": "iu",
    "parents": "iu",
    "base_weights": "f",
    "loss_changes": "f",
    "sum_hessian": "f",
}
CATEGORY_ARRAYS = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
ROOT_PARENT = 2**31 - 1


def parse_xgboost_trees(model: Mapping[str, Any]) -> tuple[list[Tree], np.float32]:
    """The trees of :func:`xgboost_tree_arrays` one by one, and their base score."""
    arrays, base_score = xgboost_tree_arrays(model)
    return arrays.trees(), base_score


def xgboost_tree_arrays(model: Mapping[str, Any]) -> tuple[TreeArrays, np.float32]:
    """The trees of ``model`` and the base score that their values are added to, years.

    XGBoost sends values *below* a limit left, so the limit of :class:`TreeArrays` is the next smaller float32. Raises
    UnsupportedTreeError for categorical splits, StructureError for trees that are no trees.
    """
    learner = model["learner"]
    trees = learner["gradient_booster"]["model"]["trees"]
    if not trees:
        raise StructureError("trees", expected="at least one", found="none")
    joined = {name: _joined(trees, name, kinds) for name, kinds in NODE_ARRAYS.items()}
    if joined["split_type"].any():
        raise UnsupportedTreeError("splits by category")
    conditions = joined["split_conditions"].astype(np.float32, copy=False)
    sizes = np.array([len(tree["left_children"]) for tree in trees], np.int64)
    arrays = TreeArrays(
        sizes, joined["left_children"], joined["right_children"], joined["split_indices"], next_smaller(conditions), conditions
    )
    arrays.check(int(learner["learner_model_param"]["num_feature"]))
    parents = arrays.parents()
    if not np.array_equal(np.where(parents < 0, ROOT_PARENT, parents), joined["parents"]):
        raise StructureError("parents", expected="of every node, the one whose child it is", found="others")
    base = json.loads(learner["learner_model_param"]["base_score"])
    base_score = np.float32(base[0] if isinstance(base, list) else base)
    if not np.isfinite(base_score):
        raise StructureError("base_score", expected="a finite number", found=str(base))
    return arrays, base_score


def _joined(trees: list[Mapping[str, Any]], name: str, kinds: str) -> NDArray[Any]:
    """The arrays ``name`` of all trees, one after the other; each as long as its tree."""
    for number, tree in enumerate(trees):
        array, nodes = tree[name], tree["left_children"]
        if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds or len(array) != len(nodes):
            found = f"{len(array)} of {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
            raise StructureError(f"tree {number}, {name}", expected=f"{len(nodes)} numbers", found=found)
    return np.concatenate([tree[name] for tree in trees])


def check_library_fields(model: Mapping[str, Any], columns: int) -> None:
    """Raise StructureError when numbers that only XGBoost itself reads disagree with the trees: it trusts them."""
    learner = model["learner"]
    booster = learner["gradient_booster"]["model"]
    trees = booster["trees"]
    parameters = {**learner["learner_model_param"], **booster["gbtree_model_param"], "name": learner["gradient_booster"]["name"]}
    wanted = {"name": "gbtree", "num_feature": str(columns), "num_class": "0", "num_target": "1", "num_trees": str(len(trees))}
    for name, value in wanted.items():
        if parameters[name] != value:
            raise StructureError(name, expected=value, found=str(parameters[name])[:80])
    rounds = [int(n) for n in booster["iteration_indptr"]]
    if rounds[0] != 0 or rounds[-1] != len(trees) or any(b <= a for a, b in pairwise(rounds)):
        raise StructureError("iteration_indptr", expected=f"rising numbers from 0 to {len(trees)}", found=str(rounds)[:80])
    if [int(n) for n in booster["tree_info"]] != [0] * len(trees):
        raise StructureError("tree_info", expected=f"{len(trees)} times 0", found=str(booster["tree_info"])[:80])
    for number, tree in enumerate(trees):
        nodes = len(tree["left_children"])
        own = {"num_nodes": str(nodes), "num_feature": str(columns), "num_deleted": "0"}
        vector = tree["tree_param"]["size_leaf_vector"]
        if tree["id"] != number or vector not in ("0", "1") or any(tree["tree_param"][k] != v for k, v in own.items()):
            raise StructureError(f"tree {number}, tree_param", expected=str(own), found=str(tree["tree_param"])[:200])
        if any(len(tree[name]) for name in CATEGORY_ARRAYS):
            raise StructureError(f"tree {number}, categories", expected="none", found="some")
