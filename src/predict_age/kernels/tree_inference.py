"""Branch-free boosted trees, and forests with leaf histograms: the libraries' sums, in their order.

A boosted tree becomes a program over a few vectors: a split whose children are computed selects, for many rows at once, one of the
two. Without lookups and jumps, one instruction processes 8 or 16 rows, and the time does not depend on the data. A program
evaluates every split, which pays for trees of up to some hundred splits; the deep trees of a forest are walked down instead, many
rows side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from predict_age.kernels.jit import inline, kernel
from predict_age.kernels.kinds import FOUR_LEAVES, KERNEL_WALK_ROWS, LEFT_LEAF, NO_LEAF, RIGHT_LEAF

ROWS_PER_PROGRAM = 512  # rows of one program pass: their columns and vectors stay in the first-level cache
UNSIGNED_ROWS = np.uint64(ROWS_PER_PROGRAM)  # unsigned, because checks of negative indices rule out vector instructions


@inline
def _split_value(value: Any, unknown: Any, tiny: Any) -> Any:
    """The value that a split compares: ``unknown`` for NaN, 0 when its size is at most ``tiny``."""
    if np.isnan(value):
        return unknown
    return np.float32(0) if abs(value) <= tiny else value


@kernel
def add_tree_sums(
    matrix: Any,
    unknown: Any,
    tiny: Any,
    starts: Any,
    kinds: Any,
    slots: Any,
    features: Any,
    limits: Any,
    values: Any,
    vectors: Any,
    out: Any,
) -> None:
    """Add the values of all trees for ``matrix`` (n, f) to ``out`` (n,), tree after tree; values up to a limit go left.

    The steps of tree t are ``starts[t]`` to ``starts[t + 1]``. Step s computes vector ``slots[s, 0]`` from the vectors ``slots[s,
    1]`` and ``slots[s, 2]``, or from the leaf ``values[s]``, as ``kinds[s]`` says. Column ``features[s]`` = b f + i is feature i
    with ``unknown[b]`` for NaN. ``vectors`` ((slots + 1) ROWS_PER_PROGRAM,) is scratch memory with the dtype of the sums.
    """
    rows, width = matrix.shape
    columns = np.zeros(len(unknown) * width * ROWS_PER_PROGRAM, np.float32)
    total = np.uint64(len(vectors) - ROWS_PER_PROGRAM)
    for first in range(0, rows, ROWS_PER_PROGRAM):
        chunk_rows = min(ROWS_PER_PROGRAM, rows - first)
        for n in range(chunk_rows):
            for feature in range(width):
                for bank in range(len(unknown)):
                    columns[(bank * width + feature) * ROWS_PER_PROGRAM + n] = _split_value(
                        matrix[first + n, feature], unknown[bank], tiny
                    )
            vectors[total + np.uint64(n)] = out[first + n]
        for tree in range(len(starts) - 1):
            for s in range(starts[tree], starts[tree + 1]):
                target, x, y = (
                    np.uint64(slots[s, 0]) * UNSIGNED_ROWS,
                    np.uint64(slots[s, 1]) * UNSIGNED_ROWS,
                    np.uint64(slots[s, 2]) * UNSIGNED_ROWS,
                )
                column, limit, kind = np.uint64(features[s, 0]) * UNSIGNED_ROWS, limits[s, 0], kinds[s]
                a, b = values[s, 0], values[s, 1]
                if kind == FOUR_LEAVES:
                    c, d, limit2, limit3 = values[s, 2], values[s, 3], limits[s, 1], limits[s, 2]
                    column2, column3 = np.uint64(features[s, 1]) * UNSIGNED_ROWS, np.uint64(features[s, 2]) * UNSIGNED_ROWS
                    for n in range(UNSIGNED_ROWS):
                        left = a if columns[column2 + n] <= limit2 else b
                        right = c if columns[column3 + n] <= limit3 else d
                        vectors[target + n] = left if columns[column + n] <= limit else right
                elif kind == NO_LEAF:
                    for n in range(UNSIGNED_ROWS):
                        left, right = vectors[x + n], vectors[y + n]
                        vectors[target + n] = left if columns[column + n] <= limit else right
                elif kind == LEFT_LEAF:
                    for n in range(UNSIGNED_ROWS):
                        right = vectors[y + n]
                        vectors[target + n] = a if columns[column + n] <= limit else right
                elif kind == RIGHT_LEAF:
                    for n in range(UNSIGNED_ROWS):
                        left = vectors[x + n]
                        vectors[target + n] = left if columns[column + n] <= limit else b
                else:
                    for n in range(UNSIGNED_ROWS):
                        vectors[target + n] = a if columns[column + n] <= limit else b
            target = np.uint64(slots[starts[tree + 1] - 1, 0]) * UNSIGNED_ROWS
            for n in range(UNSIGNED_ROWS):
                vectors[total + n] += vectors[target + n]
        for n in range(chunk_rows):
            out[first + n] = vectors[total + np.uint64(n)]


@kernel
def add_walked_sums(columns: Any, roots: Any, features: Any, limits: Any, below: Any, leaves: Any, values: Any, out: Any) -> None:
    """Add the values of all trees for ``columns`` (n, f) to ``out`` (n,), tree after tree, by walking down: quicker for few rows.

    Nodes are those of :func:`add_leaf_probabilities`; values above a limit, and NaN, go to the second child. Leaf i has the value
    ``values[leaves[i]]``.
    """
    for n in range(columns.shape[0]):
        row, total = columns[n], out[n]
        for tree in range(len(roots)):
            node = np.uint64(roots[tree])
            child = np.uint64(below[node])
            while child != node:
                at_most = row[np.uint64(features[node])] <= limits[node]
                node = child if at_most else child + np.uint64(1)
                child = np.uint64(below[node])
            total += values[np.uint64(leaves[node])]
        out[n] = total


@kernel
def add_leaf_probabilities(
    matrix: Any,
    unknown: Any,
    roots: Any,
    depths: Any,
    features: Any,
    limits: Any,
    below: Any,
    leaves: Any,
    shares: Any,
    places: Any,
    out: Any,
) -> None:
    """Add the leaf probabilities that ``matrix`` (n, f) reaches in each tree to ``out`` (n, a), tree after tree.

    Node i sends values of feature ``features[i]`` up to ``limits[i]`` to node ``below[i]``, others to the next one. A leaf sends
    all values to itself: its limit is infinite and ``below`` its own number; its row is ``leaves[i]``. Tree t begins at
    ``roots[t]`` and has ``depths[t]`` levels of splits. ``shares`` and ``places``: see
    ``models.tree_ensembles.nodes.LeafAgeRanges``.
    """
    rows, width = matrix.shape
    known = np.zeros(KERNEL_WALK_ROWS * width, np.float32)
    at = np.zeros(KERNEL_WALK_ROWS, np.uint32)
    for first in range(0, rows, KERNEL_WALK_ROWS):
        chunk_rows = min(KERNEL_WALK_ROWS, rows - first)
        for n in range(chunk_rows):
            for feature in range(width):
                known[n * width + feature] = _split_value(matrix[first + n, feature], unknown, np.float32(-1))
        for tree in range(len(roots)):
            at[:] = roots[tree]
            for _ in range(depths[tree]):
                for n in range(np.uint64(chunk_rows)):
                    node = np.uint64(at[n])
                    right = known[n * np.uint64(width) + np.uint64(features[node])] > limits[node]
                    at[n] = below[node] + np.uint32(right)
            for n in range(chunk_rows):
                leaf = np.uint64(leaves[np.uint64(at[n])])
                begin, age, length = np.uint64(places[leaf, 0]), np.uint64(places[leaf, 1]), np.uint64(places[leaf, 2])
                sums = out[first + n]
                for i in range(length):
                    sums[age + i] += shares[begin + i]
