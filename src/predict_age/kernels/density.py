"""Bins, sums and quantiles of the density networks: the same operations in the same order as in ``models.density_network``."""

from __future__ import annotations

from typing import Any

import numpy as np

from predict_age.kernels.jit import inline, kernel, power_of_two
from predict_age.kernels.kinds import EXP_COEFFICIENTS, HALF, LN2_HIGH, LN2_LOW, LOG2_E, MIN_EXPONENT, ONE

ROWS_PER_BLOCK = 64  # rows processed together


@kernel
def feature_bins(matrix: Any, edges: Any, starts: Any, out: Any) -> None:
    """Fill ``out`` (n, f) with the rows of a network's ``bins`` for ``matrix`` (n, f): see ``models.density_network.bin_features``.

    Counts all edges that a value has reached: vector instructions make that cheaper than a binary search for each value.
    """
    rows = matrix.shape[0]
    values, reached = np.empty(rows, np.float32), np.empty(rows, np.int32)
    for feature in range(matrix.shape[1]):
        first, last = starts[feature], starts[feature + 1]
        base = np.int32(first + 2 * feature)
        for n in range(rows):
            values[n] = matrix[n, feature]
            reached[n] = base
        for edge in edges[first:last]:
            for n in range(rows):
                reached[n] += np.int32(1) if values[n] >= edge else np.int32(0)
        unknown = np.int32(base + (last - first) + 1)
        for n in range(rows):
            out[n, feature] = unknown if np.isnan(values[n]) else reached[n]


@kernel
def first_layers(at: Any, bins: Any, shift: Any, out: Any) -> None:
    """Fill ``out`` (n, s, 2h), up to h, with the first layers of n rows.

    Sums of the rows ``at`` (n, f) of ``bins`` (m, s h), plus ``shift`` (s, h), at least 0.
    """
    networks, width = shift.shape
    total = np.empty(networks * width, np.float32)
    for n in range(at.shape[0]):
        total[:] = 0
        for feature in range(at.shape[1]):
            row = bins[at[n, feature]]
            for i in range(len(total)):
                total[i] += row[i]
        for s in range(networks):
            sums, layer = total[s * width : (s + 1) * width], out[n, s]
            for i in range(width):
                layer[i] = max(sums[i] + shift[s, i], np.float32(0))


@kernel
def second_layer(values: Any, shift: Any, s: Any, out: Any) -> None:
    """Fill ``out`` (n, s, 2h) of network s, from h on, with its second layer: ``values`` (n, h) plus ``shift`` (h,), at least 0."""
    width = values.shape[1]
    for n in range(values.shape[0]):
        row, layer = values[n], out[n, s, width:]
        for i in range(width):
            layer[i] = max(row[i] + shift[i], np.float32(0))


@inline
def _exponential(x: Any) -> Any:
    """Exponential of a float32 up to 0: see ``models.age_distribution.exponential``."""
    x = MIN_EXPONENT if x < MIN_EXPONENT else x  # NaN stays what it is
    whole = np.floor(x * LOG2_E + HALF)
    x -= whole * LN2_HIGH
    x -= whole * LN2_LOW
    y = x * EXP_COEFFICIENTS[0] + EXP_COEFFICIENTS[1]
    for term in EXP_COEFFICIENTS[2:]:
        y = y * x + term
    return (y * (x * x) + x + ONE) * power_of_two(whole)


@kernel
def network_probabilities(weights: Any, first: Any, band: Any, prior: Any, out: Any) -> None:
    """Fill ``out`` (n, a) with the mean of the distributions that s networks give by ``weights`` (s, k, m) for n of m rows.

    m is a multiple of ROWS_PER_BLOCK. ``first`` (a,), ``band`` (4, a), ``prior`` (a,): see ``models.age_distribution.BandedBasis``.
    Neighbours in memory are the same age of different rows, so that no sum runs inside a vector register.
    """
    networks, functions, capacity = weights.shape
    ages, rows = out.shape[1], out.shape[0]
    values = weights.reshape(-1)
    logits, total = np.empty(ages * ROWS_PER_BLOCK, np.float32), np.empty(ages * ROWS_PER_BLOCK, np.float32)
    highest, sums = np.empty(ROWS_PER_BLOCK, np.float32), np.empty(ROWS_PER_BLOCK, np.float32)
    mean, wide, following = np.float32(1 / networks), np.uint64(ROWS_PER_BLOCK), np.uint64(capacity)
    for start in range(0, rows, ROWS_PER_BLOCK):
        total[:] = 0
        for s in range(networks):
            highest[:] = -np.inf
            sums[:] = 0
            begin = np.uint64(s * functions * capacity + start)
            for age in range(ages):
                w0 = begin + np.uint64(first[age]) * following
                w1, w2, w3 = w0 + following, w0 + following + following, w0 + following + following + following
                b0, b1, b2, b3, p = band[0, age], band[1, age], band[2, age], band[3, age], prior[age]
                at = np.uint64(age) * wide
                for i in range(wide):
                    x = values[w0 + i] * b0 + values[w1 + i] * b1 + values[w2 + i] * b2 + values[w3 + i] * b3 + p
                    logits[at + i] = x
                    highest[i] = x if x > highest[i] else highest[i]
            for age in range(ages):
                at = np.uint64(age) * wide
                for i in range(wide):
                    e = _exponential(logits[at + i] - highest[i])
                    logits[at + i] = e
                    sums[i] += e
            for i in range(wide):
                sums[i] = ONE / sums[i]
            for age in range(ages):
                at = np.uint64(age) * wide
                for i in range(wide):
                    total[at + i] += logits[at + i] * sums[i]
        for n in range(min(ROWS_PER_BLOCK, rows - start)):
            for age in range(ages):
                out[start + n, age] = total[age * ROWS_PER_BLOCK + n] * mean


@kernel
def distribution_quantiles(shares: Any, levels: Any, limits: Any, before: Any, out: Any) -> None:
    """Fill ``out`` (n, k) with the quantiles ``levels`` (k,) of distributions (n, a): see ``models.age_distribution.quantiles``.

    ``limits`` (k,) float32: cumulative probability at which a level counts as reached; ``before``: start of the first age, years.
    """
    ages = shares.shape[1]
    cumulative = np.empty(ages, np.float32)
    for n in range(shares.shape[0]):
        total = np.float32(0)
        for age in range(ages):
            total += shares[n, age]
            cumulative[age] = total
        for k in range(len(levels)):
            age_index = 0
            for age in range(ages):
                if cumulative[age] >= limits[k]:
                    age_index = age
                    break
            share = np.float64(shares[n, age_index])
            below = np.float64(cumulative[age_index]) - share
            within = (levels[k] - below) / (share if share > 0 else 1.0)
            out[n, k] = before + age_index + min(max(within, 0.0), 1.0)
