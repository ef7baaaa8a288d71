"""Features that read values of a protected attribute, whatever their kind: categories, ranks, words, flags, expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from predict_age.features.expression_paths import paths_in
from predict_age.features.protected_categories import attribute_of_values
from predict_age.features.spec import Feature, FeatureSet, ListFlags, Ratio, Sql, parse_path
from predict_age.features.values_at_paths import items_at, values_at

if TYPE_CHECKING:
    import duckdb


def protected_by_values(connection: duckdb.DuckDBPyConnection, features: FeatureSet) -> dict[str, str]:
    """Protected attribute and some values of each feature of the registered ``profiles``, by name; empty for others."""
    paths = {name: _paths_of(feature) for name, feature in features.features.items()}
    asked = {path for several in paths.values() for path in several}
    lists = {path for path in asked if "*" in parse_path(path)}
    found = values_at(connection, asked - lists) | {path: items_at(connection, path) for path in lists}
    attributes = {path: _attribute(values, path) for path, values in found.items()}
    return {name: next((attributes[path] for path in several if attributes[path]), "") for name, several in paths.items()}


def _paths_of(feature: Feature) -> list[str]:
    """Paths of the texts that a feature reads; those of an expression as far as they are written out in it, and their items."""
    if isinstance(feature, Sql):
        return paths_in(feature.expression)
    if isinstance(feature, Ratio):
        return []
    if isinstance(feature, ListFlags) and "*" not in parse_path(feature.path):
        return [f"{feature.path}[*]"]
    return [feature.path]


def _attribute(values: pa.ChunkedArray, path: str) -> str:
    """Protected attribute that the ``values`` (n,) tell, with the values that 20 people have; empty for others."""
    counts = {pair["values"]: pair["counts"] for pair in values.drop_null().value_counts().to_pylist()}
    name = next((step for step in reversed(parse_path(path)) if isinstance(step, str) and step != "*"), "")
    found = attribute_of_values(counts, name)
    return "" if found is None else f"{found[0]}: {', '.join(found[1])}" if found[1] else found[0]
