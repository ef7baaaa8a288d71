"""Values of a query as text: DuckDB writes what Arrow and Python hold otherwise, less exactly or not at all.

Python has no years above 9999, no infinite dates, no 24:00 and no times with a zone; Arrow has no integers of 128 bits without a
sign, no intervals with days, and no bit strings.
"""

from __future__ import annotations

import re

import duckdb

# Ids of types.
INTEGERS = ("tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint")
PLAIN_TYPES = frozenset([*INTEGERS, "boolean", "double", "varchar"])
NESTED_TYPES = ("list", "array", "struct", "map", "union")
INEXACT_TYPES = re.compile(r"\b(UHUGEINT|BIGNUM|BIT|INTERVAL|TIME WITH TIME ZONE|UNION)\b")  # types that Parquet files do not get
_JSON = "CASE WHEN {0} IS NOT NULL THEN CAST(to_json({0}) AS VARCHAR) END"
_DIGITS = "CAST(CAST({0} AS VARCHAR) AS DOUBLE)"  # those that tell numbers of single precision apart, no more
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|-?NaN')


def with_text_columns(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The ``relation`` with text in place of all but plain values: nested ones as JSON, others as DuckDB prints them."""
    return _projected(relation, dict.fromkeys(NESTED_TYPES, _JSON), "CAST({0} AS VARCHAR)")


def with_json_columns(relation: duckdb.DuckDBPyRelation) -> tuple[duckdb.DuckDBPyRelation, list[bool]]:
    """The ``relation`` with JSON text in place of all but plain values, and for each column whether it holds JSON text now."""
    return _projected(relation, {}, _JSON), [
        str(kind.id) not in {*PLAIN_TYPES, "float"} or str(kind) == "JSON" for kind in relation.types
    ]


def finite_json(text: str) -> str:
    """JSON ``text`` of DuckDB with null in place of NaN and infinity."""
    if "N" not in text and "I" not in text:
        return text
    return _TOKEN.sub(lambda token: token[0] if token[0].startswith('"') else "null", text)


def inexact_columns(relation: duckdb.DuckDBPyRelation) -> list[str]:
    """Columns whose type a Parquet file cannot hold as it is, as ``name (TYPE)``."""
    listed = zip(relation.columns, map(str, relation.types), strict=True)
    return [f"{name} ({kind})" for name, kind in listed if INEXACT_TYPES.search(_QUOTED.sub("", kind))]


def _projected(relation: duckdb.DuckDBPyRelation, by_kind: dict[str, str], others: str) -> duckdb.DuckDBPyRelation:
    """Each column by the expression for the id of its type; ``{0}`` stands for its position, since names may be equal."""
    if all(str(kind.id) in PLAIN_TYPES for kind in relation.types):
        return relation
    chosen = []
    for number, (name, kind) in enumerate(zip(relation.columns, relation.types, strict=True), 1):
        form = "{0}" if str(kind.id) in PLAIN_TYPES else _DIGITS if str(kind.id) == "float" else by_kind.get(str(kind.id), others)
        chosen.append(f"{form.format(f'#{number}')} AS " + '"' + name.replace('"', '""') + '"')
    return relation.project(", ".join(chosen))
