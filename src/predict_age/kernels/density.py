"""Bins, sums and quantiles of the density networks: the same operations in the same order as in ``models.density_network``."""

from __future__ import annotations

from typing import Any

import numpy as np

from predict_age.kernels.jit import inline, kernel, power_of_two
from predict_age.kernels.kinds import EXP_COEFFICIENTS, HALF, LN2_HIGH, LN2_LOW, LOG2_E, MIN_EXPONENT, ONE

ROWS_PER_BLOCK = 64  # rows processed together
TERMS_PER_PASS = 8  # terms of a sum that are added while it is in a register


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
    """Fill ``out`` (n, s, h) with the first layers of n rows.

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


@inline
def _add_products(values: Any, weights: Any, column: Any, terms: Any, total: Any) -> None:
    """Fill ``total`` (ROWS_PER_BLOCK,) with the sum over ``terms`` t of ``values[t]`` times ``weights[t, column]``.

    ``values`` (terms ROWS_PER_BLOCK,) holds the rows of a term side by side. Every sum begins at 0 and runs from the first term on.
    """
    wide = np.uint64(ROWS_PER_BLOCK)
    total[:] = 0
    whole = terms - terms % TERMS_PER_PASS
    for t in range(0, whole, TERMS_PER_PASS):
        w0, w1, w2, w3 = weights[t, column], weights[t + 1, column], weights[t + 2, column], weights[t + 3, column]
        w4, w5, w6, w7 = weights[t + 4, column], weights[t + 5, column], weights[t + 6, column], weights[t + 7, column]
        a0 = np.uint64(t) * wide
        a1, a2, a3, a4 = a0 + wide, a0 + wide * np.uint64(2), a0 + wide * np.uint64(3), a0 + wide * np.uint64(4)
        a5, a6, a7 = a0 + wide * np.uint64(5), a0 + wide * np.uint64(6), a0 + wide * np.uint64(7)
        for i in range(wide):
            x = total[i] + values[a0 + i] * w0 + values[a1 + i] * w1 + values[a2 + i] * w2 + values[a3 + i] * w3
            total[i] = x + values[a4 + i] * w4 + values[a5 + i] * w5 + values[a6 + i] * w6 + values[a7 + i] * w7
    for t in range(whole, terms):
        weight, at = weights[t, column], np.uint64(t) * wide
        for i in range(wide):
            total[i] += values[at + i] * weight


@kernel
def later_layers(layers: Any, hidden: Any, shift: Any, last: Any, out: Any) -> None:
    """Fill ``out`` (s, k, m) with the weights of the basis functions for n of m rows, from their first layers ``layers`` (n, s, h).

    ``hidden`` (s, h, h) and ``shift`` (s, h) lead to the second layers, ``last`` (s, 2h, k) from both layers to the weights. m is a
    multiple of ROWS_PER_BLOCK. No sum depends on other rows: a library of linear algebra sums a single row in another order.
    """
    rows, networks, width = layers.shape
    functions, wide = last.shape[2], np.uint64(ROWS_PER_BLOCK)
    values, total = np.zeros(2 * width * ROWS_PER_BLOCK, np.float32), np.empty(ROWS_PER_BLOCK, np.float32)
    for start in range(0, rows, ROWS_PER_BLOCK):
        here = min(ROWS_PER_BLOCK, rows - start)
        for s in range(networks):
            for n in range(here):
                for i in range(width):
                    values[i * ROWS_PER_BLOCK + n] = layers[start + n, s, i]
            for j in range(width):
                _add_products(values, hidden[s], j, width, total)
                at, moved = np.uint64(width + j) * wide, shift[s, j]
                for i in range(wide):
                    values[at + i] = max(total[i] + moved, np.float32(0))
            for j in range(functions):
                _add_products(values, last[s], j, 2 * width, total)
                weights = out[s, j, start : start + ROWS_PER_BLOCK]
                for i in range(wide):
                    weights[i] = total[i]


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
