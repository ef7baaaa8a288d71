"""Parser of LightGBM's trees, from its text format."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predict_age.models.structure import StructureError
from predict_age.models.tree_ensembles.tree import NO_CHILD, Tree, TreeArrays, UnsupportedTreeError, next_smaller

LIGHTGBM_ZERO_THRESHOLD = np.float32(1e-35)  # LightGBM treats numbers of at most this size as 0
_LINE = re.compile(
    "^(num_leaves|num_cat|is_linear|leaf_value|threshold|split_feature|decision_type|left_child|right_child)=(.*)$", re.MULTILINE
)
ZERO_IS_MISSING, NAN_IS_MISSING = 1, 2  # LightGBM's missing types; with type 0, NaN counts as 0


def parse_lightgbm_trees(text: str, features: int) -> list[Tree]:
    """The trees of :func:`lightgbm_tree_arrays` one by one."""
    return lightgbm_tree_arrays(text, features).trees()


def lightgbm_tree_arrays(text: str, features: int) -> TreeArrays:
    """The trees of the model file ``text``, over two banks of ``features`` columns.

    A split with its own direction for missing values (LightGBM's ``missing_type``) sends NaN left or right; other splits treat NaN
    as 0. Splits that send NaN left read the second bank of columns, where NaN is minus infinity. Raises UnsupportedTreeError for
    categorical splits, linear leaves and zeros that stand for missing values; StructureError for trees that are no trees.
    """
    trees = [dict(_LINE.findall(section)) for section in _sections(text)]
    if not trees:
        raise StructureError("trees", expected="at least one", found="none")
    if any(tree["num_cat"] != "0" or tree.get("is_linear", "0") != "0" for tree in trees):
        raise UnsupportedTreeError("splits by category, or linear leaves")
    leaves = [int(tree["num_leaves"]) for tree in trees]
    splits = [n - 1 for n in leaves]
    value, threshold = _numbers(trees, "leaf_value", np.float64, leaves), _numbers(trees, "threshold", np.float64, splits)
    column, decision, left, right = (
        _numbers(trees, name, np.int64, splits) for name in ("split_feature", "decision_type", "left_child", "right_child")
    )
    if len(column) and not 0 <= column.min() <= column.max() < features:
        raise StructureError("split_feature", expected=f"0 to {features - 1}", found=f"{column.min()} to {column.max()}")
    missing_type = decision >> 2
    if (missing_type == ZERO_IS_MISSING).any():
        raise UnsupportedTreeError("zeros that stand for missing values")
    missing_left = np.where(missing_type == NAN_IS_MISSING, (decision & 2) > 0, threshold >= 0)
    is_split = np.repeat(np.tile([True, False], len(trees)), np.column_stack([splits, leaves]).ravel())  # splits, then leaves
    first_leaf = np.repeat(splits, splits)
    arrays = TreeArrays(
        np.array([n + n - 1 for n in leaves], np.int64),
        _spread(np.where(left < 0, first_leaf - 1 - left, left), is_split, NO_CHILD),
        _spread(np.where(right < 0, first_leaf - 1 - right, right), is_split, NO_CHILD),
        _spread(column + features * missing_left, is_split, 0),
        _spread(_float32_not_above(threshold), is_split, 0),
        _spread(value, ~is_split, 0),
    )
    arrays.check(2 * features)
    return arrays


def _spread(numbers: NDArray[Any], where: NDArray[np.bool_], other: float) -> NDArray[Any]:
    """An array as long as ``where`` with ``numbers`` where it is True, and ``other`` elsewhere."""
    result = np.full(len(where), other, numbers.dtype)
    result[where] = numbers
    return result


def _sections(text: str) -> list[str]:
    return text.split("\nend of trees", maxsplit=1)[0].split("\nTree=")[1:]


def _numbers(trees: list[dict[str, str]], name: str, dtype: type, counts: list[int]) -> NDArray[Any]:
    """The numbers of the line ``name`` of all trees, one after the other; ``counts`` (n_trees,) says how many each has."""
    lines = [tree[name] if count else "" for tree, count in zip(trees, counts, strict=True)]
    for number, (line, count) in enumerate(zip(lines, counts, strict=True)):
        if (line.count(" ") + 1 if line else 0) != count:
            raise StructureError(f"tree {number}, {name}", expected=f"{count} numbers", found=str(len(line.split())))
    numbers: NDArray[Any] = np.fromstring(" ".join(lines), dtype, sep=" ")  # far faster than words one by one
    if len(numbers) != sum(counts):
        raise StructureError(name, expected=f"{sum(counts)} numbers", found=str(len(numbers)))
    return numbers


def check_layout(text: str, columns: int) -> None:
    """Raise StructureError when the header disagrees with the trees: LightGBM itself finds them by ``tree_sizes``."""
    content = text.encode()
    header, _, _ = content.partition(b"\n\nTree=0\n")
    lines = dict(line.split("=", 1) for line in header.decode().splitlines() if "=" in line)
    wanted = {"num_class": "1", "num_tree_per_iteration": "1", "max_feature_idx": str(columns - 1)}
    for name, value in wanted.items():
        if lines[name] != value:
            raise StructureError(name, expected=value, found=lines[name][:80])
    sizes = [int(size) for size in lines["tree_sizes"].split()]
    at = len(header) + 2
    for number, size in enumerate(sizes):
        if size <= 0 or not content.startswith(b"Tree=%d\n" % number, at):
            raise StructureError("tree_sizes", expected=f"tree {number} at byte {at}", found=f"{size} bytes")
        at += size
    if not content.startswith(b"end of trees", at) or len(sizes) != len(_sections(text)):
        raise StructureError("tree_sizes", expected=f"{len(_sections(text))} trees", found=f"{len(sizes)} sizes up to byte {at}")


def _float32_not_above(limit: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 not above each ``limit`` (n,): float32 values are up to either limit alike."""
    rounded = np.clip(limit, -np.finfo(np.float32).max, np.finfo(np.float32).max).astype(np.float32)
    return np.where(np.isposinf(limit), np.float32(np.inf), np.where(rounded > limit, next_smaller(rounded), rounded))
