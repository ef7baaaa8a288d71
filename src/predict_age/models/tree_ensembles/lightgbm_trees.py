"""Parser of LightGBM's trees, from its text format."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predict_age.models.tree_ensembles.tree import NO_CHILD, Tree, UnsupportedTreeError, next_smaller

LIGHTGBM_ZERO_THRESHOLD = np.float32(1e-35)  # LightGBM treats numbers of at most this size as 0
ZERO_IS_MISSING, NAN_IS_MISSING = 1, 2  # LightGBM's missing types; with type 0, NaN counts as 0


def parse_lightgbm_trees(text: str, features: int) -> list[Tree]:
    """The trees of the model file ``text``, over two banks of ``features`` columns.

    A split with its own direction for missing values (LightGBM's ``missing_type``) sends NaN left or right; other splits treat NaN
    as 0. Splits that send NaN left read the second bank of columns, where NaN is minus infinity. Raises UnsupportedTreeError for
    categorical splits, linear leaves and zeros that stand for missing values.
    """
    trees = []
    for section in text.split("\nend of trees", maxsplit=1)[0].split("\nTree=")[1:]:
        lines = dict(line.split("=", 1) for line in section.splitlines() if "=" in line)
        if lines["num_cat"] != "0" or lines.get("is_linear", "0") != "0":
            raise UnsupportedTreeError("splits by category, or linear leaves")
        leaves = np.array(lines["leaf_value"].split(), np.float64)
        splits = len(leaves) - 1
        limit = np.array(lines["threshold"].split() if splits else [], np.float64)
        column, decision, left, right = (
            np.array(lines[name].split() if splits else [], np.int64)
            for name in ("split_feature", "decision_type", "left_child", "right_child")
        )
        missing_type = decision >> 2
        if (missing_type == ZERO_IS_MISSING).any():
            raise UnsupportedTreeError("zeros that stand for missing values")
        missing_left = np.where(missing_type == NAN_IS_MISSING, (decision & 2) > 0, limit >= 0)
        zeros = [0] * (splits + 1)
        to_left, to_right = (
            np.where(child < 0, splits - 1 - child, child).tolist() + [NO_CHILD] * (splits + 1) for child in (left, right)
        )
        banked = (column + features * missing_left).tolist() + zeros
        trees.append(Tree(to_left, to_right, banked, _float32_not_above(limit).tolist() + zeros, [0.0] * splits + leaves.tolist()))
    return trees


def _float32_not_above(limit: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 not above each ``limit`` (n,): float32 values are up to either limit alike."""
    rounded = np.clip(limit, -np.finfo(np.float32).max, np.finfo(np.float32).max).astype(np.float32)
    return np.where(np.isposinf(limit), np.float32(np.inf), np.where(rounded > limit, next_smaller(rounded), rounded))
