"""The trees of XGBoost and LightGBM, taken apart into arrays: the same sums, several times as fast by kernels.

NumPy adds them up where there are few rows: slower than the libraries, but their import alone takes over a second.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predict_age.features.encode import Matrix
from predict_age.kernels import MIN_KERNEL_ROWS, use_kernels
from predict_age.kernels.kinds import FOUR_LEAVES, LEFT_LEAF, NO_LEAF, RIGHT_LEAF, TWO_LEAVES

NO_CHILD = -1
MAX_PROGRAM_SPLITS = 255  # of a tree whose splits are all evaluated; deeper ones are faster walked down
NO_ZERO_THRESHOLD = np.float32(-1)
LIGHTGBM_ZERO_THRESHOLD = np.float32(1e-35)  # LightGBM takes numbers up to this for 0
ZERO_IS_MISSING, NAN_IS_MISSING = 1, 2  # LightGBM's missing types; 0: NaN counts as 0
WALK_CHUNK_ROWS = 256  # rows that NumPy walks down all trees together
VECTOR_FLOATS = 8  # numbers of 32 bits that most machines add with one instruction


@dataclass(frozen=True)
class Tree:
    """By node, the root first: children (NO_CHILD at leaves), the ``feature`` whose values up to ``limit`` go left, ``value``."""

    left: list[int]
    right: list[int]
    feature: list[int]
    limit: list[float]
    value: list[float]

    def is_leaf(self, node: int) -> bool:
        """Whether ``node`` has no children."""
        return self.left[node] == NO_CHILD

    def splits(self) -> int:
        """How many nodes have children."""
        return len(self.left) - self.left.count(NO_CHILD)


class UnsupportedTreeError(ValueError):
    """A tree has a kind of split that kernels do not know; its library evaluates it."""


def parse_xgboost_trees(model: dict[str, Any]) -> tuple[list[Tree], np.float32]:
    """The trees of XGBoost's ``model`` and what they are added to.

    Values *below* its limits go left: those up to the number before.
    """
    made = []
    for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
        if any(tree["split_type"]):
            raise UnsupportedTreeError("splits by category")
        conditions = np.asarray(tree["split_conditions"], np.float32)
        left, right, feature = (np.asarray(tree[name]).tolist() for name in ("left_children", "right_children", "split_indices"))
        made.append(Tree(left, right, feature, _next_smaller(conditions).tolist(), conditions.tolist()))
    base = json.loads(model["learner"]["learner_model_param"]["base_score"])
    return made, np.float32(base[0] if isinstance(base, list) else base)


def parse_lightgbm_trees(text: str, features: int) -> list[Tree]:
    """LightGBM's trees, from its model file. Splits that send unknown values left look at a second bank of ``features`` columns.

    A split either knows unknown values and sends them one way, or takes them for 0 (LightGBM's ``missing_type``).
    """
    made = []
    for part in text.split("\nend of trees", maxsplit=1)[0].split("\nTree=")[1:]:
        lines = dict(line.split("=", 1) for line in part.splitlines() if "=" in line)
        if lines["num_cat"] != "0" or lines.get("is_linear", "0") != "0":
            raise UnsupportedTreeError("splits by category, or linear leaves")
        leaves = np.array(lines["leaf_value"].split(), np.float64)
        splits = len(leaves) - 1
        limit = np.array(lines["threshold"].split() if splits else [], np.float64)
        column, decision, left, right = (
            np.array(lines[name].split() if splits else [], np.int64)
            for name in ("split_feature", "decision_type", "left_child", "right_child")
        )
        missing = decision >> 2
        if (missing == ZERO_IS_MISSING).any():
            raise UnsupportedTreeError("zeros that stand for unknown values")
        goes_left = np.where(missing == NAN_IS_MISSING, (decision & 2) > 0, limit >= 0)
        zeros = [0] * (splits + 1)
        to_left, to_right = (
            np.where(child < 0, splits - 1 - child, child).tolist() + [NO_CHILD] * (splits + 1) for child in (left, right)
        )
        banked = (column + features * goes_left).tolist() + zeros
        made.append(Tree(to_left, to_right, banked, _float32_not_above(limit).tolist() + zeros, [0.0] * splits + leaves.tolist()))
    return made


def _float32_not_above(limit: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest numbers of 32 bits that are not above ``limit``: the same values of 32 bits are up to either."""
    rounded = np.clip(limit, -np.finfo(np.float32).max, np.finfo(np.float32).max).astype(np.float32)
    return np.where(np.isposinf(limit), np.float32(np.inf), np.where(rounded > limit, _next_smaller(rounded), rounded))


def _next_smaller(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """The next smaller numbers of 32 bits."""
    with np.errstate(over="ignore"):  # before the smallest lies minus infinity
        return np.nextafter(numbers, np.float32(-np.inf))


@dataclass(frozen=True)
class TreeProgram:
    """Trees of up to MOST_SPLITS splits as steps for :func:`predict_age.kernels.tree_inference.add_tree_sums`; see there."""

    unknown: NDArray[np.float32]
    tiny: np.float32
    starts: NDArray[np.int64]
    kinds: NDArray[np.int8]
    slots: NDArray[np.int16]
    features: NDArray[np.int16]
    limits: NDArray[np.float32]
    values: NDArray[Any]

    def add(self, matrix: Matrix, out: NDArray[Any]) -> None:
        """Add to ``out`` (n_rows,), of the type of ``values``, what the trees say about (n_rows, n_features)."""
        from predict_age.kernels.tree_inference import ROWS_PER_PROGRAM, add_tree_sums

        vectors = np.empty((int(self.slots[:, 0].max(initial=0)) + 2) * ROWS_PER_PROGRAM, out.dtype)
        add_tree_sums(
            np.ascontiguousarray(matrix),
            self.unknown,
            self.tiny,
            self.starts,
            self.kinds,
            self.slots,
            self.features,
            self.limits,
            self.values,
            vectors,
            out,
        )


def compile_trees(
    trees: list[Tree], unknown: Iterable[float], dtype: type, tiny: np.float32 = NO_ZERO_THRESHOLD
) -> TreeProgram | None:
    """Steps that add up ``trees`` in ``dtype``. None when a tree has too many splits for that to be worth it.

    ``unknown`` stands for NaN: a number for each bank of columns that the trees' features count through.
    """
    if any(tree.splits() > MAX_PROGRAM_SPLITS for tree in trees):
        return None
    steps, starts = _ProgramBuilder(), [0]
    for tree in trees:
        steps.of(tree, 0, [])
        starts.append(len(steps.kinds))
    return TreeProgram(
        np.array(list(unknown), np.float32),
        tiny,
        np.array(starts, np.int64),
        np.array(steps.kinds, np.int8),
        np.array(steps.slots, np.int16).reshape(-1, 3),
        np.array(steps.features, np.int16).reshape(-1, 3),
        np.array(steps.limits, np.float32).reshape(-1, 3),
        np.array(steps.values, dtype).reshape(-1, 4),
    )


class _ProgramBuilder:
    """Steps of a program as they are made, children before parents."""

    def __init__(self) -> None:
        self.kinds: list[int] = []
        self.slots: list[tuple[int, int, int]] = []
        self.features: list[tuple[int, ...]] = []
        self.limits: list[tuple[float, ...]] = []
        self.values: list[tuple[float, ...]] = []

    def of(self, tree: Tree, node: int, taken: list[int]) -> int:
        """Add the steps that make ``node``'s vector while the vectors ``taken`` are in use; returns the vector's number."""
        left, right = tree.left[node], tree.right[node]
        if tree.is_leaf(node):  # a tree of one leaf: both sides are that leaf
            return self._step(TWO_LEAVES, taken, (0, 0), tree, node, tree.value[node], tree.value[node])
        to_left, to_right = tree.is_leaf(left), tree.is_leaf(right)
        if not to_left and not to_right:
            below = tree.left[left], tree.right[left], tree.left[right], tree.right[right]
            if all(tree.is_leaf(n) for n in below):
                return self._four(taken, tree, (node, left, right), below)
        x = y = 0
        used = list(taken)
        if not to_left:
            used.append(x := self.of(tree, left, used))
        if not to_right:
            used.append(y := self.of(tree, right, used))
        kind = (TWO_LEAVES if to_right else LEFT_LEAF) if to_left else RIGHT_LEAF if to_right else NO_LEAF
        return self._step(kind, used, (x, y), tree, node, tree.value[left], tree.value[right])

    def _step(
        self, kind: int, taken: list[int], operands: tuple[int, int], tree: Tree, node: int, left: float, right: float
    ) -> int:
        """One split, of leaves of these values or of the vectors ``operands``."""
        feature, limit = tree.feature[node], tree.limit[node]
        return self._add(kind, taken, operands, (feature, feature, feature), (limit, limit, limit), (left, right, 0.0, 0.0))

    def _four(self, taken: list[int], tree: Tree, splits: tuple[int, int, int], leaves: tuple[int, int, int, int]) -> int:
        """A split of two splits of leaves."""
        features, limits = tuple(tree.feature[n] for n in splits), tuple(tree.limit[n] for n in splits)
        return self._add(FOUR_LEAVES, taken, (0, 0), features, limits, tuple(tree.value[n] for n in leaves))

    def _add(
        self,
        kind: int,
        taken: list[int],
        operands: tuple[int, int],
        features: tuple[int, ...],
        limits: tuple[float, ...],
        values: tuple[float, ...],
    ) -> int:
        """Into a vector that is not in use: writing over an operand would keep the compiler from doing 8 rows at a time."""
        made = 0
        while made in taken:
            made += 1
        self.kinds.append(kind)
        self.slots.append((made, *operands))
        self.features.append(features)
        self.limits.append(limits)
        self.values.append(values)
        return made


@dataclass(frozen=True)
class TreeNodes:
    """Trees of any depth as nodes for :func:`predict_age.kernels.tree_inference.add_leaf_probabilities`; see there."""

    unknown: np.float32
    roots: NDArray[np.int64]
    depths: NDArray[np.int64]
    features: NDArray[np.uint32]
    limits: NDArray[np.float32]
    below: NDArray[np.uint32]
    leaves: NDArray[np.uint32]

    def walk(self, known: Matrix) -> NDArray[np.uint32]:
        """``leaves`` of the leaf of each tree (n_rows, n_trees) that rows fall into, by NumPy; NaN is up to no limit."""
        at = np.repeat(self.roots[np.newaxis].astype(np.uint32), len(known), axis=0)
        row = np.arange(len(known))[:, np.newaxis]
        splits = self.below != np.arange(len(self.below))
        for _ in range(self.depths.max(initial=0)):
            at = self.below[at] + (~(known[row, self.features[at]] <= self.limits[at]) & splits[at])
        return self.leaves[at]

    def add(self, matrix: Matrix, ranges: LeafAgeRanges, out: NDArray[np.float32]) -> None:
        """Add to ``out`` (n_rows, a) the shares of the leaves of (n_rows, n_features), tree by tree."""
        from predict_age.kernels.tree_inference import add_leaf_probabilities

        add_leaf_probabilities(
            np.ascontiguousarray(matrix),
            self.unknown,
            self.roots,
            self.depths,
            self.features,
            self.limits,
            self.below,
            self.leaves,
            ranges.shares,
            ranges.places,
            out,
        )


@dataclass(frozen=True)
class LeafAgeRanges:
    """The ages that a leaf knows, which lie side by side: a third of a table of all ages, which no cache would hold.

    ``shares``: those of all leaves in a row; ``places`` (n_leaves, 3): where a leaf's begin, the first age, how many there are.
    """

    shares: NDArray[np.float32]
    places: NDArray[np.uint32]

    @classmethod
    def of(cls, table: NDArray[np.float32]) -> LeafAgeRanges:
        """From the ``table`` (n_leaves, n_ages); ranges are made longer to be a multiple of EIGHT ages, where there are as many."""
        leaves, ages = table.shape
        there = table != 0
        first = there.argmax(axis=1)
        behind = np.where(there.any(axis=1), ages - there[:, ::-1].argmax(axis=1), 0)
        length = np.minimum(-(-(behind - first) // VECTOR_FLOATS) * VECTOR_FLOATS, ages)
        first = np.minimum(first, ages - length)
        begin = np.cumsum(length) - length
        row = np.repeat(np.arange(leaves), length)
        place = np.arange(len(row)) - begin[row] + first[row]
        return cls(table[row, place], np.column_stack([begin, first, length]).astype(np.uint32))


def flatten_trees(trees: list[Tree], unknown: np.float32, leaf_of: NDArray[np.int32]) -> TreeNodes:
    """Nodes level by level, the children of one beside each other. ``leaf_of`` (n_trees, nodes): the leaf's row of ``shares``."""
    roots, depths = [], []
    features: list[int] = []
    limits: list[float] = []
    below: list[int] = []
    leaves: list[int] = []
    for number, tree in enumerate(trees):
        roots.append(len(features))
        level, depth = [0], 0
        while level:
            following: list[int] = []
            end = len(features) + len(level)
            for node in level:
                if tree.is_leaf(node):
                    features.append(0)
                    limits.append(np.inf)
                    below.append(len(below))
                    leaves.append(int(leaf_of[number, node]))
                    continue
                features.append(tree.feature[node])
                limits.append(tree.limit[node])
                below.append(end + len(following))
                leaves.append(0)
                following += [tree.left[node], tree.right[node]]
            depth += bool(following)
            level = following
        depths.append(depth)
    return TreeNodes(
        unknown,
        np.array(roots, np.int64),
        np.array(depths, np.int64),
        np.array(features, np.uint32),
        np.array(limits, np.float32),
        np.array(below, np.uint32),
        np.array(leaves, np.uint32),
    )


class TreeSum:
    """``trees`` that are added up in ``dtype``. ``unknown``: see :func:`compile_trees`; numbers up to ``tiny`` count as 0."""

    def __init__(self, trees: list[Tree], unknown: Iterable[float], dtype: type, tiny: np.float32 = NO_ZERO_THRESHOLD) -> None:
        self._trees, self._unknown, self._dtype, self._tiny = trees, list(unknown), dtype, tiny

    def add(self, matrix: Matrix, out: NDArray[Any]) -> bool:
        """Add to ``out`` (n_rows,) what the trees say about (n_rows, n_features): by kernels, or by NumPy if there are few rows.

        Where both are slower than the trees' library nothing is done, and the answer is False.
        """
        if use_kernels(len(matrix)):
            if self._program is None:
                return False
            self._program.add(matrix, out)
            return True
        if len(matrix) >= MIN_KERNEL_ROWS:
            return False
        paths, values = self._paths
        for first in range(0, len(matrix), WALK_CHUNK_ROWS):
            block = slice(first, first + WALK_CHUNK_ROWS)
            said = values[paths.walk(self._known(matrix[block]))]
            out[block] = np.add.accumulate(np.column_stack([out[block], said]), axis=1)[:, -1]  # one after the other: no pairs
        return True

    @cached_property
    def _program(self) -> TreeProgram | None:
        return compile_trees(self._trees, self._unknown, self._dtype, self._tiny)

    @cached_property
    def _paths(self) -> tuple[TreeNodes, NDArray[Any]]:
        """The trees, and the values of all of their nodes, which leaves count through."""
        most = max((len(tree.value) for tree in self._trees), default=0)
        values: NDArray[Any] = np.zeros((len(self._trees), most), self._dtype)
        for number, tree in enumerate(self._trees):
            values[number, : len(tree.value)] = tree.value
        return flatten_trees(
            self._trees, np.float32(0), np.arange(values.size, dtype=np.int32).reshape(values.shape)
        ), values.ravel()

    def _known(self, matrix: Matrix) -> Matrix:
        """What trees see of (n_rows, n_features): one bank of columns for each number that stands for NaN."""
        seen = np.where(np.abs(matrix) <= self._tiny, np.float32(0), matrix)
        return np.concatenate([np.where(np.isnan(matrix), np.float32(unknown), seen) for unknown in self._unknown], axis=1)
