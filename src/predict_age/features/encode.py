"""Encoding of feature columns to the (n_rows, n_features) float32 matrix of all models. NaN = missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from predict_age.features.spec import Category, FeatureSet

Matrix = NDArray[np.float32]
PRIOR_ROWS = 20
MIN_CATEGORY_ROWS = 10


@dataclass(frozen=True)
class Encoders:
    """Target encoders of the categories: value -> smoothed mean age of its training rows, years; ``mean`` for unseen values.

    Smoothing after Micci-Barreca (2001): (sum of ages + 20 x mean) / (rows + 20).
    """

    mean: float
    categories: dict[str, dict[str, float]]

    def encode(self, columns: pa.Table) -> Matrix:
        """Matrix (n_rows, n_features) in column order. Missing stays NaN, an unseen category becomes the training mean."""
        matrix = np.empty((columns.num_rows, columns.num_columns), np.float32)
        for i, name in enumerate(columns.column_names):
            column = columns[name]
            if name in self.categories:
                codes = column.combine_chunks().dictionary_encode()
                known = self.categories[name]
                table = np.array([known.get(v, self.mean) for v in codes.dictionary.to_pylist()] + [np.nan], np.float32)
                indices = pc.fill_null(codes.indices, len(table) - 1).to_numpy(zero_copy_only=False)
                matrix[:, i] = table[indices]
            else:
                matrix[:, i] = column.to_numpy(zero_copy_only=False)
        return matrix

    def unseen_counts(self, columns: pa.Table) -> dict[str, int]:
        """Number of rows with a category unseen in training, by feature."""
        counts = {}
        for name, known in self.categories.items():
            values = pc.value_counts(columns[name].drop_null())
            counts[name] = sum(v["counts"] for v in values.to_pylist() if v["values"] not in known)
        return counts


def fit_encoders(features: FeatureSet, columns: pa.Table, age: NDArray[np.float32]) -> Encoders:
    """Fit the encoders on training rows. Values with fewer than 10 rows count as unseen."""
    mean = float(age.mean(dtype=np.float64))
    categories = {}
    for name, feature in features.features.items():
        if not isinstance(feature, Category):
            continue
        table = pa.table({"value": columns[name].cast(pa.string()), "age": age.astype(np.float64)}).drop_null()
        grouped = (
            table.group_by("value")
            .aggregate([("age", "sum"), ("age", "count")])
            .sort_by([("age_count", "descending"), ("value", "ascending")])
        )
        kept = [r for r in grouped.slice(0, feature.max_values).to_pylist() if r["age_count"] >= MIN_CATEGORY_ROWS]
        categories[name] = {
            r["value"]: float(np.float32((r["age_sum"] + PRIOR_ROWS * mean) / (r["age_count"] + PRIOR_ROWS))) for r in kept
        }
    return Encoders(mean, categories)


def default_values(features: FeatureSet, encoders: Encoders) -> NDArray[np.float64]:
    """Default value of every feature (n_features,), in its own unit; the mean age for categories."""
    return np.array(
        [encoders.mean if isinstance(f, Category) else float(getattr(f, "default", 0.0)) for f in features.features.values()]
    )
