"""Parser of XGBoost's trees, from the model that :mod:`predict_age.models.tree_ensembles.ubjson` has read."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from predict_age.models.tree_ensembles.tree import Tree, UnsupportedTreeError, next_smaller


def parse_xgboost_trees(model: dict[str, Any]) -> tuple[list[Tree], np.float32]:
    """The trees of ``model`` and the base score that their values are added to, years.

    XGBoost sends values *below* a limit left, so the limit of :class:`Tree` is the next smaller float32. Raises
    UnsupportedTreeError for categorical splits.
    """
    trees = []
    for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
        if any(tree["split_type"]):
            raise UnsupportedTreeError("splits by category")
        conditions = np.asarray(tree["split_conditions"], np.float32)
        left, right, feature = (np.asarray(tree[name]).tolist() for name in ("left_children", "right_children", "split_indices"))
        trees.append(Tree(left, right, feature, next_smaller(conditions).tolist(), conditions.tolist()))
    base = json.loads(model["learner"]["learner_model_param"]["base_score"])
    return trees, np.float32(base[0] if isinstance(base, list) else base)
