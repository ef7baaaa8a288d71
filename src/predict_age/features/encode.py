"""Encoding of feature columns to the (n_rows, n_features) float32 matrix of all models. NaN = missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from predict_age.features.spec import Category, FeatureSet
from predict_age.features.value_hashes import salt_of, value_hashes
from predict_age.tally import MIN_SHOWN_PEOPLE

Matrix = NDArray[np.float32]
PRIOR_ROWS = 20
MIN_CATEGORY_ROWS = MIN_SHOWN_PEOPLE


@dataclass(frozen=True)
class Encoders:
    """Target encoders of the categories: key -> smoothed mean age of the value's training rows, years; ``mean`` for unseen values.

    The key of a value is its hash under ``salt``, hexadecimal; in models of earlier versions, which have no salt, the value itself.
    Smoothing after Micci-Barreca (2001): (sum of ages + 20 x mean) / (rows + 20).
    """

    mean: float
    categories: dict[str, dict[str, float]]
    salt: str = ""

    def keys(self, name: str) -> Mapping[str, str] | None:
        """Key of each value of the feature ``name``; None where values are their own keys."""
        return value_hashes(self.salt, name) if self.salt else None

    def known(self, name: str, values: list[str]) -> dict[str, float]:
        """Mean age of those ``values`` of the feature ``name`` that training knew, in their order."""
        means, keys = self.categories[name], self.keys(name)
        return {v: means[k] for v in values if (k := v if keys is None else keys[v]) in means}

    def encode(self, columns: pa.Table) -> Matrix:
        """Matrix (n_rows, n_features) in column order. Missing stays NaN, an unseen category becomes the training mean."""
        matrix = np.empty((columns.num_rows, columns.num_columns), np.float32)
        for i, name in enumerate(columns.column_names):
            column = columns[name]
            if name in self.categories:
                codes = column.combine_chunks().dictionary_encode()
                values = codes.dictionary.to_pylist()
                known = self.known(name, values)
                table = np.array([known.get(v, self.mean) for v in values] + [np.nan], np.float32)
                indices = pc.fill_null(codes.indices, len(table) - 1).to_numpy(zero_copy_only=False)
                matrix[:, i] = table[indices]
            else:
                matrix[:, i] = column.to_numpy(zero_copy_only=False)
        return matrix

    def unseen_counts(self, columns: pa.Table) -> dict[str, int]:
        """Number of rows with a category unseen in training, by feature."""
        counts = {}
        for name in self.categories:
            people = {v["values"]: v["counts"] for v in pc.value_counts(columns[name].drop_null()).to_pylist()}
            known = self.known(name, list(people))
            counts[name] = sum(n for value, n in people.items() if value not in known)
        return counts


def fit_encoders(features: FeatureSet, columns: pa.Table, age: NDArray[np.float32]) -> Encoders:
    """Fit the encoders on training rows. Values with fewer than 20 rows count as unseen."""
    mean = float(age.mean(dtype=np.float64))
    by_value: dict[str, dict[str, float]] = {}
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
        by_value[name] = {
            r["value"]: float(np.float32((r["age_sum"] + PRIOR_ROWS * mean) / (r["age_count"] + PRIOR_ROWS))) for r in kept
        }
    salt = salt_of(json.dumps([mean, by_value]))
    hashed = {name: {value_hashes(salt, name)[v]: m for v, m in means.items()} for name, means in by_value.items()}
    return Encoders(mean, hashed, salt)


def default_values(features: FeatureSet, encoders: Encoders) -> NDArray[np.float64]:
    """Default value of every feature (n_features,), in its own unit; the mean age for categories."""
    return np.array(
        [encoders.mean if isinstance(f, Category) else float(getattr(f, "default", 0.0)) for f in features.features.values()]
    )
