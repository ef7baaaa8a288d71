"""Bins, sums and quantiles of the density networks, row by row: the same operations in the same order as in ``models/``."""

from __future__ import annotations

from typing import Any

import numpy as np

from predict_age.kernels.compile import kernel


@kernel
def bins_of(matrix: Any, edges: Any, starts: Any, out: Any) -> None:
    """Fill ``out`` (n, f) with the rows of a network's ``bins`` for ``matrix`` (n, f): see ``models.network.binned``.

    All edges are counted that a value has reached: eight values take one instruction, which is less than a search for each.
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
def first_layer(at: Any, bins: Any, shift: Any, out: Any) -> None:
    """Fill the first h columns of ``out`` (n, 2h): rows ``at`` (n, f) of ``bins`` (m, h) and ``shift`` (h,), none below 0."""
    width = bins.shape[1]
    total = np.empty(width, np.float32)
    for n in range(at.shape[0]):
        for i in range(width):
            total[i] = np.float32(0)
        for feature in range(at.shape[1]):
            row = bins[at[n, feature]]
            for i in range(width):
                total[i] += row[i]
        for i in range(width):
            out[n, i] = max(total[i] + shift[i], np.float32(0))


@kernel
def second_layer(values: Any, shift: Any, out: Any) -> None:
    """Fill the last h columns of ``out`` (n, 2h): ``values`` (n, h) and ``shift`` (h,), none below 0."""
    width = values.shape[1]
    for n in range(values.shape[0]):
        row, made = values[n], out[n, width:]
        for i in range(width):
            made[i] = max(row[i] + shift[i], np.float32(0))


@kernel
def below_highest(values: Any, prior: Any) -> None:
    """Add ``prior`` (a,) to ``values`` (n, a) and take the highest of each row from it, in place."""
    ages = values.shape[1]
    for n in range(values.shape[0]):
        row = values[n]
        for age in range(ages):
            row[age] += prior[age]
        highest = row[0]
        for age in range(ages):
            highest = max(highest, row[age])
        for age in range(ages):
            row[age] -= highest


@kernel
def add_shares(values: Any, out: Any) -> None:
    """Add to ``out`` (n, a) the rows of ``values`` (n, a), each divided by its sum; a is from 8 to 128.

    The sum is NumPy's: eight partial sums, so that eight numbers are added at once, and then the rest.
    """
    ages = values.shape[1]
    whole = ages - ages % 8
    part = np.empty(8, np.float32)
    for n in range(values.shape[0]):
        row, made = values[n], out[n]
        for i in range(8):
            part[i] = row[i]
        for age in range(8, whole, 8):
            for i in range(8):
                part[i] += row[age + i]
        total = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]))
        for age in range(whole, ages):
            total += row[age]
        for age in range(ages):
            made[age] += row[age] / total


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
