"""Kernels of boosting for absolute error: the leaf that each row reaches, and the median of the residuals in each leaf."""

from __future__ import annotations

from typing import Any

import numpy as np

from predict_age.kernels.jit import kernel
from predict_age.kernels.kinds import KERNEL_WALK_ROWS

MIN_PARTITIONED_VALUES = 64  # fewer values are sorted faster than partitioned


@kernel
def leaf_of_rows(known: Any, features: Any, limits: Any, below: Any, leaves: Any, depth: Any, out: Any) -> None:
    """Fill ``out`` (n,) with ``leaves`` of the node that ``known`` (n, f), without NaN, reaches in one tree of ``depth`` levels.

    Nodes are those of :func:`predict_age.kernels.tree_inference.add_leaf_probabilities`.
    """
    rows = known.shape[0]
    at = np.zeros(KERNEL_WALK_ROWS, np.uint32)
    for first in range(0, rows, KERNEL_WALK_ROWS):
        count_here = min(KERNEL_WALK_ROWS, rows - first)
        at[:] = 0
        for _ in range(depth):
            for n in range(np.uint64(count_here)):
                node = np.uint64(at[n])
                right = known[np.uint64(first) + n, np.uint64(features[node])] > limits[node]
                at[n] = below[node] + np.uint32(right)
        for n in range(count_here):
            out[first + n] = leaves[at[n]]


@kernel
def medians_by_leaf(leaf: Any, values: Any, drawn: Any, out: Any) -> None:
    """Fill ``out`` (k,) with the median of the ``values`` (n,) in each ``leaf`` (n,), of rows ``drawn`` (n,) only; 0 for none.

    Equal to ``models.l1_boosting.leaf_medians`` by NumPy.
    """
    ends = np.zeros(len(out) + 1, np.int64)
    for n in range(len(leaf)):
        ends[leaf[n] + 1] += drawn[n]
    for k in range(len(out)):
        ends[k + 1] += ends[k]
    place = ends[:-1].copy()
    by_leaf = np.empty(ends[-1] + 1, np.float32)  # one more slot, for rows not drawn: writing them is cheaper than a branch
    for n in range(len(leaf)):
        by_leaf[place[leaf[n]] if drawn[n] else ends[-1]] = values[n]
        place[leaf[n]] += drawn[n]
    for k in range(len(out)):
        count = ends[k + 1] - ends[k]
        out[k] = np.float32(0)
        if count:
            in_leaf = by_leaf[ends[k] : ends[k + 1]]
            middle = count // 2
            halved = np.sort(in_leaf) if count < MIN_PARTITIONED_VALUES else np.partition(in_leaf, middle)
            high = halved[middle]
            low = high if count % 2 else halved[:middle].max()
            out[k] = np.float32(low + 0.5 * np.float64(high - low))
