"""Features that read values of a protected attribute, whatever their kind: categories, ranks, words, flags, expressions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow as pa

from predict_age.features.protected_categories import attribute_of_values
from predict_age.features.spec import Feature, FeatureSet, ListFlags, Ratio, Sql, parse_path
from predict_age.features.values_at_paths import values_at

if TYPE_CHECKING:
    import duckdb

_POINTER = re.compile(r"'\$\.([^']+)'|->>?\s*'([^'$/][^']*)'")  # a path, or a key, in an SQL expression


def protected_by_values(connection: duckdb.DuckDBPyConnection, features: FeatureSet) -> dict[str, str]:
    """Protected attribute and some values of each feature of the registered ``profiles``, by name; empty for others."""
    paths = {name: _paths_of(feature) for name, feature in features.features.items()}
    found = values_at(connection, {path for several in paths.values() for path in several})
    attributes = {path: _attribute(values, path) for path, values in found.items()}
    return {name: next((attributes[path] for path in several if attributes[path]), "") for name, several in paths.items()}


def _paths_of(feature: Feature) -> list[str]:
    """Paths of the texts that a feature reads; those of an expression as far as they are written out in it."""
    if isinstance(feature, Sql):
        return [path for found in _POINTER.findall(feature.expression) if _is_path(path := found[0] or found[1])]
    if isinstance(feature, Ratio):
        return []
    if isinstance(feature, ListFlags) and "*" not in parse_path(feature.path):
        return [f"{feature.path}[*]"]
    return [feature.path]


def _is_path(text: str) -> bool:
    try:
        parse_path(text)
    except ValueError:
        return False
    return True


def _attribute(values: pa.ChunkedArray, path: str) -> str:
    """Protected attribute that the ``values`` (n,) tell, with the values that 20 people have; empty for others."""
    counts = {pair["values"]: pair["counts"] for pair in values.drop_null().value_counts().to_pylist()}
    name = next((step for step in reversed(parse_path(path)) if isinstance(step, str) and step != "*"), "")
    found = attribute_of_values(counts, name)
    return "" if found is None else f"{found[0]}: {', '.join(found[1])}" if found[1] else found[0]
