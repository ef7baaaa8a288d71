"""Profiles of columnar sources as JSON text, written by DuckDB."""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from predict_age.source.calendar_range import without_times_beyond_calendar
from predict_age.source.column_types import UNREADABLE_TEXT, has_maps, json_ready, python_values, repeats_key
from predict_age.source.row_rules import connect, register
from predict_age.sql import literal


def profile_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The profile column as JSON text: text stays, structs, maps and lists are written as JSON."""
    column = without_times_beyond_calendar(json_ready(column))
    kind = column.type
    if pa.types.is_string(kind):
        return column
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    empty = column.is_null()
    text = _as_json([_without_repeated_keys(column)], "CASE WHEN c0 IS NOT NULL THEN to_json(c0) END")
    if text.null_count == empty.to_numpy().sum():
        return text
    return pc.if_else(pc.and_(pc.is_null(text), pc.invert(empty)), UNREADABLE_TEXT, text)


def flat_profile(table: pa.Table) -> pa.ChunkedArray:
    """One JSON object a row from the columns of a flat file; empty text counts as missing.

    A column that cannot be written as JSON is left out, and so are single such values and a map that has a key twice.
    """
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        ready = without_times_beyond_calendar(json_ready(column))
        if pa.types.is_string(ready.type):
            ready = pc.if_else(pc.equal(ready, ""), None, ready)
        if _is_written(ready.type):
            columns.append((name, _without_repeated_keys(ready)))
    if not columns:
        return pa.chunked_array([pa.repeat(pa.scalar("{}"), table.num_rows)])
    return _objects(columns)


def _objects(columns: list[tuple[str, pa.ChunkedArray]]) -> pa.ChunkedArray:
    """One JSON object a row with the named ``columns``; some columns at a time where all together do not fit into memory."""
    import duckdb

    fields = ", ".join(f"{literal(name)}, c{number}" for number, (name, _) in enumerate(columns))
    try:
        return _as_json([column for _, column in columns], f"json_object({fields})")
    except duckdb.OutOfMemoryException:
        if len(columns) == 1:
            raise
    half = len(columns) // 2
    first, second = _objects(columns[:half]), _objects(columns[half:])
    return pc.binary_join_element_wise(pc.utf8_slice_codeunits(first, 0, -1), pc.utf8_slice_codeunits(second, 1), ",")


@lru_cache(maxsize=256)
def _is_written(kind: pa.DataType) -> bool:
    """Whether DuckDB writes the type as JSON."""
    import duckdb

    try:
        _write_json([pa.chunked_array([], kind)], "to_json(c0)")
    except (duckdb.Error, pa.ArrowException):
        return False
    return True


def _without_repeated_keys(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """``column``, NULL where a map has a key twice, which DuckDB refuses, or a date or time is beyond those that Python has."""
    if not has_maps(column.type):
        return column
    repeated = [value is None or repeats_key(value, column.type) for value in python_values(column)]
    return pc.if_else(pa.array(repeated), pa.scalar(None, column.type), column) if any(repeated) else column


def _without_unwritable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """``column``, NULL where DuckDB cannot write a value as JSON, such as a duration beyond its longest one."""
    import duckdb

    try:
        _write_json([column], "to_json(c0)")
    except duckdb.Error:
        if len(column) <= 1:
            return pa.chunked_array([pa.nulls(len(column), column.type)])
        halves = [_without_unwritable(column.slice(0, len(column) // 2)), _without_unwritable(column.slice(len(column) // 2))]
        return pa.chunked_array([chunk for half in halves for chunk in half.chunks], column.type)
    return column


@lru_cache(maxsize=256)
def _may_be_unwritable(kind: pa.DataType) -> bool:
    """Whether DuckDB fails at some values of the type: at none of numbers, booleans and text, also inside structs."""
    if pa.types.is_struct(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return any(_may_be_unwritable(kind.field(i).type) for i in range(kind.num_fields))
    plain = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return not (plain or pa.types.is_string(kind) or pa.types.is_null(kind))


def _as_json(columns: list[pa.ChunkedArray], expression: str) -> pa.ChunkedArray:
    """``expression`` over columns c0, c1 ..., NULL for single values that cannot be written."""
    import duckdb

    try:
        return _write_json(columns, expression)
    except duckdb.OutOfMemoryException:  # no value is at fault
        raise
    except duckdb.Error:
        return _write_json([_without_unwritable(c) if _may_be_unwritable(c.type) else c for c in columns], expression)


def _write_json(columns: list[pa.ChunkedArray], expression: str) -> pa.ChunkedArray:
    """``expression`` over columns c0, c1 ...: their own names may differ in case only, which SQL does not tell apart."""
    connection = connect()
    register(connection, "columns_of_profile", pa.table({f"c{n}": column for n, column in enumerate(columns)}))
    result = connection.sql(f"SELECT CAST({expression} AS VARCHAR) AS profile FROM columns_of_profile").to_arrow_table()
    return pc.cast(result["profile"], pa.string())
