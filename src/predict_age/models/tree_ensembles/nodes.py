"""Trees of any depth as flat node arrays, walked down row by row, and compact age histograms of their leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predict_age.features.encode import Matrix
from predict_age.models.tree_ensembles.tree import NO_CHILD, TreeArrays

VECTOR_FLOATS = 8  # float32 numbers that most machines add with one instruction


@dataclass(frozen=True)
class TreeNodes:
    """Node arrays of trees; :func:`predict_age.kernels.tree_inference.add_leaf_probabilities` documents them."""

    missing_value: np.float32
    roots: NDArray[np.int64]
    depths: NDArray[np.int64]
    features: NDArray[np.uint32]
    limits: NDArray[np.float32]
    children: NDArray[np.uint32]
    leaves: NDArray[np.uint32]

    def walk(self, known: Matrix) -> NDArray[np.uint32]:
        """Entries of ``leaves`` (n_rows, n_trees) of the leaf that each row reaches in each tree, by NumPy; NaN goes right."""
        node = np.repeat(self.roots[np.newaxis].astype(np.uint32), len(known), axis=0)
        row = np.arange(len(known))[:, np.newaxis]
        is_split = self.children != np.arange(len(self.children))
        for _ in range(self.depths.max(initial=0)):
            node = self.children[node] + (~(known[row, self.features[node]] <= self.limits[node]) & is_split[node])
        return self.leaves[node]

    def add_values(self, columns: Matrix, values: NDArray[Any], out: NDArray[Any]) -> None:
        """Add the ``values`` of the leaves that ``columns`` (n_rows, n_columns) reach to ``out`` (n_rows,); NaN goes right."""
        from predict_age.kernels.tree_inference import add_walked_sums

        add_walked_sums(columns, self.roots, self.features, self.limits, self.children, self.leaves, values, out)

    def add_probabilities(self, matrix: Matrix, ranges: LeafAgeRanges, out: NDArray[np.float32]) -> None:
        """Add the leaves' probabilities for ``matrix`` (n_rows, n_features) to ``out`` (n_rows, n_ages), tree by tree."""
        from predict_age.kernels.tree_inference import add_leaf_probabilities

        add_leaf_probabilities(
            np.ascontiguousarray(matrix),
            self.missing_value,
            self.roots,
            self.depths,
            self.features,
            self.limits,
            self.children,
            self.leaves,
            ranges.probabilities,
            ranges.positions,
            out,
        )


@dataclass(frozen=True)
class LeafAgeRanges:
    """Age histograms of leaves without their zeros on both sides: a third of the full table, which would not fit into a cache.

    ``probabilities``: those of all leaves, one leaf after the other; ``positions`` (n_leaves, 3): a leaf's offset in
    ``probabilities``, the index of its first age, its number of ages.
    """

    probabilities: NDArray[np.float32]
    positions: NDArray[np.uint32]

    @classmethod
    def from_table(cls, table: NDArray[np.float32]) -> LeafAgeRanges:
        """Compact the ``table`` (n_leaves, n_ages); ranges are padded to a multiple of VECTOR_FLOATS ages, n_ages at most."""
        leaves, ages = table.shape
        nonzero = table != 0
        first = nonzero.argmax(axis=1)
        end = np.where(nonzero.any(axis=1), ages - nonzero[:, ::-1].argmax(axis=1), 0)
        length = np.minimum(-(-(end - first) // VECTOR_FLOATS) * VECTOR_FLOATS, ages)
        first = np.minimum(first, ages - length)
        begin = np.cumsum(length) - length
        row = np.repeat(np.arange(leaves), length)
        age = np.arange(len(row)) - begin[row] + first[row]
        return cls(table[row, age], np.column_stack([begin, first, length]).astype(np.uint32))


def flatten_trees(trees: TreeArrays, missing_value: np.float32, leaf_of: NDArray[np.int32]) -> TreeNodes:
    """Number the nodes of each tree level by level, the children of one node side by side.

    ``leaf_of`` (n_trees, n_nodes): what ``leaves`` holds for a leaf, such as its row in a table of histograms.
    """
    first = np.cumsum(trees.sizes) - trees.sizes
    tree_of = np.repeat(np.arange(len(trees.sizes)), trees.sizes)
    depths = np.zeros(len(trees.sizes), np.int64)
    levels, level = [first], first
    while True:
        splits = level[trees.left[level] != NO_CHILD]
        if not len(splits):
            break
        children = np.column_stack([trees.left[splits], trees.right[splits]]) + first[tree_of[splits]][:, np.newaxis]
        level = children.ravel()
        levels.append(level)
        depths[tree_of[level]] = len(levels) - 1
    order = np.concatenate(levels)
    order = order[np.argsort(tree_of[order], kind="stable")]
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    is_leaf = trees.left[order] == NO_CHILD
    left = np.where(is_leaf, 0, trees.left[order] + first[tree_of[order]])
    node = order - first[tree_of[order]]
    return TreeNodes(
        missing_value,
        position[first],
        depths,
        np.where(is_leaf, 0, trees.feature[order]).astype(np.uint32),
        np.where(is_leaf, np.float32(np.inf), trees.limit[order]).astype(np.float32),
        np.where(is_leaf, np.arange(len(order)), position[left]).astype(np.uint32),
        np.where(is_leaf, leaf_of[tree_of[order], np.where(is_leaf, node, 0)], 0).astype(np.uint32),
    )
