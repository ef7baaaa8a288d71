"""Boosted trees compiled to branch-free programs, for :func:`predict_age.kernels.tree_inference.add_tree_sums`."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predict_age.features.encode import Matrix
from predict_age.kernels.kinds import FOUR_LEAVES, LEFT_LEAF, NO_LEAF, RIGHT_LEAF, TWO_LEAVES
from predict_age.models.tree_ensembles.tree import Tree

MAX_PROGRAM_SPLITS = 255  # a program evaluates every split of a tree; walking down is faster for larger trees
NO_ZERO_THRESHOLD = np.float32(-1)
MOST_ROWS_IN_PIECES = 1024  # many rows are asked about at once: nobody waits for their pauses


@dataclass(frozen=True)
class TreeProgram:
    """Trees of up to MAX_PROGRAM_SPLITS splits as arrays of steps; ``add_tree_sums`` documents the arrays."""

    missing_values: NDArray[np.float32]
    zero_threshold: np.float32
    starts: NDArray[np.int64]
    kinds: NDArray[np.int8]
    slots: NDArray[np.int16]
    features: NDArray[np.int16]
    limits: NDArray[np.float32]
    values: NDArray[Any]

    def add_in_pieces(self, matrix: Matrix, out: NDArray[Any]) -> Generator[None, None, None]:
        """Add the trees' values for ``matrix`` (n_rows, n_features) to ``out`` (n_rows,), which has the dtype of ``values``.

        Trees are added one after another. With few rows there is a pause after half of them.
        """
        from predict_age.kernels.tree_inference import ROWS_PER_PROGRAM, add_tree_sums

        vectors = np.empty((int(self.slots[:, 0].max(initial=0)) + 2) * ROWS_PER_PROGRAM, out.dtype)
        trees = len(self.starts) - 1
        together = -(-trees // 2) if len(matrix) <= MOST_ROWS_IN_PIECES else trees
        for first in range(0, trees, together or 1):
            add_tree_sums(
                np.ascontiguousarray(matrix),
                self.missing_values,
                self.zero_threshold,
                self.starts[first : first + together + 1],
                self.kinds,
                self.slots,
                self.features,
                self.limits,
                self.values,
                vectors,
                out,
            )
            yield


def compile_trees(
    trees: list[Tree], missing_values: Iterable[float], dtype: type, zero_threshold: np.float32 = NO_ZERO_THRESHOLD
) -> TreeProgram | None:
    """Compile ``trees`` to a program that adds them up in ``dtype``; None when a tree has more than MAX_PROGRAM_SPLITS splits.

    ``missing_values``: the number that replaces NaN in each bank of columns that the trees' features count through. Numbers whose
    absolute value is at most ``zero_threshold`` count as 0.
    """
    if any(tree.splits() > MAX_PROGRAM_SPLITS for tree in trees):
        return None
    builder, starts = _ProgramBuilder(), [0]
    for tree in trees:
        builder.compile_node(tree, 0, [])
        starts.append(len(builder.kinds))
    return TreeProgram(
        np.array(list(missing_values), np.float32),
        zero_threshold,
        np.array(starts, np.int64),
        np.array(builder.kinds, np.int8),
        np.array(builder.slots, np.int16).reshape(-1, 3),
        np.array(builder.features, np.int16).reshape(-1, 3),
        np.array(builder.limits, np.float32).reshape(-1, 3),
        np.array(builder.values, dtype).reshape(-1, 4),
    )


class _ProgramBuilder:
    """Steps of a program in the order of evaluation, children before parents."""

    def __init__(self) -> None:
        self.kinds: list[int] = []
        self.slots: list[tuple[int, int, int]] = []
        self.features: list[tuple[int, ...]] = []
        self.limits: list[tuple[float, ...]] = []
        self.values: list[tuple[float, ...]] = []

    def compile_node(self, tree: Tree, node: int, used_vectors: list[int]) -> int:
        """Append the steps that compute ``node``'s vector without overwriting ``used_vectors``; return the vector's number."""
        left, right = tree.left[node], tree.right[node]
        if tree.is_leaf(node):  # a tree of one leaf: both sides are that leaf
            return self._split(TWO_LEAVES, used_vectors, (0, 0), tree, node, tree.value[node], tree.value[node])
        left_is_leaf, right_is_leaf = tree.is_leaf(left), tree.is_leaf(right)
        if not left_is_leaf and not right_is_leaf:
            grandchildren = tree.left[left], tree.right[left], tree.left[right], tree.right[right]
            if all(tree.is_leaf(n) for n in grandchildren):
                return self._three_splits(used_vectors, tree, (node, left, right), grandchildren)
        left_vector = right_vector = 0
        used = list(used_vectors)
        if not left_is_leaf:
            used.append(left_vector := self.compile_node(tree, left, used))
        if not right_is_leaf:
            used.append(right_vector := self.compile_node(tree, right, used))
        kind = (TWO_LEAVES if right_is_leaf else LEFT_LEAF) if left_is_leaf else RIGHT_LEAF if right_is_leaf else NO_LEAF
        return self._split(kind, used, (left_vector, right_vector), tree, node, tree.value[left], tree.value[right])

    def _split(
        self, kind: int, used: list[int], operands: tuple[int, int], tree: Tree, node: int, left: float, right: float
    ) -> int:
        """Append one split between the leaf values ``left`` and ``right`` or the vectors ``operands``, by ``kind``."""
        feature, limit = tree.feature[node], tree.limit[node]
        return self._append(kind, used, operands, (feature, feature, feature), (limit, limit, limit), (left, right, 0.0, 0.0))

    def _three_splits(self, used: list[int], tree: Tree, splits: tuple[int, int, int], leaves: tuple[int, int, int, int]) -> int:
        """Append a split whose two children are splits of leaves, as one step."""
        features, limits = tuple(tree.feature[n] for n in splits), tuple(tree.limit[n] for n in splits)
        return self._append(FOUR_LEAVES, used, (0, 0), features, limits, tuple(tree.value[n] for n in leaves))

    def _append(
        self,
        kind: int,
        used: list[int],
        operands: tuple[int, int],
        features: tuple[int, ...],
        limits: tuple[float, ...],
        values: tuple[float, ...],
    ) -> int:
        """Append a step that writes to a free vector: overwriting an operand would rule out vector instructions."""
        target = 0
        while target in used:
            target += 1
        self.kinds.append(kind)
        self.slots.append((target, *operands))
        self.features.append(features)
        self.limits.append(limits)
        self.values.append(values)
        return target
