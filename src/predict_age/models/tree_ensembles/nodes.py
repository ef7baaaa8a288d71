"""Trees of any depth as flat node arrays, walked down row by row, and compact age histograms of their leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predict_age.features.encode import Matrix
from predict_age.models.tree_ensembles.tree import Tree

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


def flatten_trees(trees: list[Tree], missing_value: np.float32, leaf_of: NDArray[np.int32]) -> TreeNodes:
    """Number the nodes level by level, the children of one node side by side.

    ``leaf_of`` (n_trees, n_nodes): what ``leaves`` holds for a leaf, such as its row in a table of histograms.
    """
    roots, depths = [], []
    features: list[int] = []
    limits: list[float] = []
    children: list[int] = []
    leaves: list[int] = []
    for number, tree in enumerate(trees):
        roots.append(len(features))
        level, depth = [0], 0
        while level:
            next_level: list[int] = []
            end = len(features) + len(level)
            for node in level:
                if tree.is_leaf(node):
                    features.append(0)
                    limits.append(np.inf)
                    children.append(len(children))
                    leaves.append(int(leaf_of[number, node]))
                    continue
                features.append(tree.feature[node])
                limits.append(tree.limit[node])
                children.append(end + len(next_level))
                leaves.append(0)
                next_level += [tree.left[node], tree.right[node]]
            depth += bool(next_level)
            level = next_level
        depths.append(depth)
    return TreeNodes(
        missing_value,
        np.array(roots, np.int64),
        np.array(depths, np.int64),
        np.array(features, np.uint32),
        np.array(limits, np.float32),
        np.array(children, np.uint32),
        np.array(leaves, np.uint32),
    )
