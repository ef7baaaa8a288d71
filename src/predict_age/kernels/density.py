"""Bins, sums and quantiles of the density networks, row by row: the same operations in the same order as in ``models/``."""

from __future__ import annotations

from typing import Any

import numpy as np

from predict_age.kernels.compile import kernel


@kernel
def bins_of(matrix: Any, edges: Any, starts: Any, out: Any) -> None:
    """Fill ``out`` (n, f) with the rows of a network's ``bins`` for ``matrix`` (n, f): see ``models.network.binned``."""
    for n in range(matrix.shape[0]):
        for feature in range(matrix.shape[1]):
            value = matrix[n, feature]
            first, last = starts[feature], starts[feature + 1]
            base = first + 2 * feature
            if np.isnan(value):
                out[n, feature] = base + (last - first) + 1
                continue
            low, size = first, last - first
            while size > 0:  # halves without a branch that depends on the data
                half = (size + 1) >> 1
                low += half if edges[low + half - 1] <= value else 0
                size -= half
            out[n, feature] = base + (low - first)


@kernel
def add_up(at: Any, bins: Any, out: Any) -> None:
    """Fill ``out`` (n, h) with the sums of the rows ``at`` (n, f) of ``bins`` (m, h), from the first feature to the last."""
    width = bins.shape[1]
    for n in range(at.shape[0]):
        for i in range(width):
            out[n, i] = np.float32(0)
        for feature in range(at.shape[1]):
            row = at[n, feature]
            for i in range(width):
                out[n, i] += bins[row, i]


@kernel
def quantiles_of(shares: Any, levels: Any, limits: Any, before: Any, out: Any) -> None:
    """Fill ``out`` (n, k) with the ``levels`` (k,) of ``shares`` (n, a): see ``models.density.quantiles``.

    ``limits`` (k,) of float32: the cumulative share at which a level counts as reached; ``before``: where the first age begins.
    """
    ages = shares.shape[1]
    cumulative = np.empty(ages, np.float32)
    for n in range(shares.shape[0]):
        total = np.float32(0)
        for age in range(ages):
            total += shares[n, age]
            cumulative[age] = total
        for k in range(len(levels)):
            found = 0
            for age in range(ages):
                if cumulative[age] >= limits[k]:
                    found = age
                    break
            share = np.float64(shares[n, found])
            below = np.float64(cumulative[found]) - share
            within = (levels[k] - below) / (share if share > 0 else 1.0)
            out[n, k] = before + found + min(max(within, 0.0), 1.0)
