"""Proxy features: features that are associated with a group although the group is not a feature."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.evaluation.model_card.contents import Association

STRONG_ASSOCIATION = 0.3
MAX_PROXY_VALUES = 200
CHANCE_STANDARD_DEVIATIONS = 6.0  # of dozens of features none is that far from nothing by chance
MIN_PROXY_ROWS = 100  # people with a value; fewer say nothing about an association


def correlation_ratio(values: NDArray[np.float64], group: NDArray[np.int64]) -> float:
    """Association of ``values`` (n,) with the ``group`` (n,), numbered from 0: square root of the explained variance, 0..1.

    Pearson's eta, corrected for chance as epsilon squared (Kelley 1935), so that many small groups do not look associated;
    0 where it is not beyond chance.
    """
    counts = np.bincount(group)
    used = counts > 0
    groups, rows = int(used.sum()), len(values)
    total = float(((values - values.mean()) ** 2).sum())
    if groups < 2 or rows <= groups or not total:
        return 0.0
    means = np.bincount(group, values)[used] / counts[used]
    between = float((counts[used] * (means - values.mean()) ** 2).sum())
    explained = 1 - (total - between) / total * (rows - 1) / (rows - groups)
    chance = np.sqrt(2 * (groups - 1) * (1 + (groups - 1) / (rows - groups))) / rows  # standard deviation without any association
    if explained <= CHANCE_STANDARD_DEVIATIONS * chance:
        return 0.0
    return float(np.sqrt(max(explained, 0.0)))


def cramers_v(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """Association of two categories (n,), numbered from 0; 0..1. Corrected for chance (Bergsma 2013); 0 where not beyond it."""
    table = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(table, (first, second), 1)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    rows, columns = table.shape
    n = table.sum()
    if min(rows, columns) < 2:
        return 0.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / n
    phi = float(((table - expected) ** 2 / expected).sum() / n) - (rows - 1) * (columns - 1) / (n - 1)
    if phi <= CHANCE_STANDARD_DEVIATIONS * np.sqrt(2 * (rows - 1) * (columns - 1)) / n:
        return 0.0  # chi-squared without any association
    largest_possible = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(max(phi, 0.0) / largest_possible)) if largest_possible > 0 else 0.0


def category_codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Numbers (n,) of texts, from 0 for the commonest; all beyond the 200 commonest share the last number."""
    codes = column.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
    rank = np.empty(codes.max() + 1, np.int64)
    rank[np.argsort(-np.bincount(codes), kind="stable")] = np.arange(len(rank))
    return np.minimum(rank[codes], MAX_PROXY_VALUES)


def proxy_features(columns: pa.Table, groups: pa.Table, excluded: Collection[tuple[str, str]] = ()) -> dict[str, list[Association]]:
    """Association of each feature with each group field, among people with a value, the strongest first.

    ``excluded`` pairs of feature and field are left out: a feature that is the field itself is no proxy of it.
    """
    associations: dict[str, list[Association]] = {}
    for field in groups.column_names:
        rows = []
        for name in columns.column_names:
            present = columns[name].is_valid()
            column, group = columns[name].filter(present), groups[field].filter(present)
            if len(column) < MIN_PROXY_ROWS or (name, field) in excluded:
                continue
            numeric = pa.types.is_floating(column.type)
            strength = (
                correlation_ratio(column.to_numpy(), category_codes(group))
                if numeric
                else cramers_v(category_codes(column), category_codes(group))
            )
            rows.append(Association(name, strength, "correlation ratio" if numeric else "Cramér's V", len(column)))
        associations[field] = sorted(rows, key=lambda r: (-r.strength, r.feature))
    return associations
