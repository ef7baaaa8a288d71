"""One type for a column whose values have several: of Parquet files, and of the records of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import reduce
from types import NoneType

import pyarrow as pa

from predict_age.errors import InputError
from predict_age.source.column_types import is_bytes, storage_type
from predict_age.source.profile_json import profile_text
from predict_age.source.value_sql import DOUBLE_EXACT

INT64 = 2**63  # whole numbers from it on fit no column
_PYTHON_TYPES: dict[pa.DataType, set[type]] = {
    pa.string(): {str, NoneType},
    pa.bool_(): {bool, NoneType},
    pa.int64(): {int, NoneType},
    pa.float64(): {int, float, NoneType},
}


def united_schema(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Columns of all ``schemas``, in the order in which they come first. Types that have none in common become text."""
    types: dict[str, list[pa.DataType]] = {}
    for schema in schemas:
        for field in schema:
            kinds = types.setdefault(field.name, [])
            if field.type not in kinds:
                kinds.append(field.type)
    return pa.schema([pa.field(name, reduce(_common_type, kinds)) for name, kinds in types.items()])


def _common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """A type that holds the values of both: the wider number, else text."""
    one, other = storage_type(one), storage_type(other)
    try:
        fields = [pa.schema([pa.field("", kind)]) for kind in (one, other)]
        common = pa.unify_schemas(fields, promote_options="permissive").field(0).type
        for kind in (one, other):
            pa.array([], kind).cast(common)
    except pa.ArrowException:
        return pa.string()
    return pa.string() if is_bytes(common) and one != other else common


def keeps_all(kind: pa.DataType, target: pa.DataType) -> bool:
    """Whether every value of the type ``kind`` is the same in a column of the type ``target``."""
    kind = storage_type(kind)
    if kind == target or pa.types.is_string(target) or pa.types.is_null(kind):
        return True
    small = pa.types.is_integer(kind) and kind.bit_width <= 32
    return (small and target in (pa.int64(), pa.float64())) or (pa.types.is_floating(kind) and target == pa.float64())


def keeps(column: pa.ChunkedArray, target: pa.DataType) -> bool:
    """Whether the values of ``column`` are the same in a column of the type ``target``: no digit is rounded away."""
    kind = storage_type(column.type)
    try:
        return bool(column.cast(target).cast(kind).equals(column.cast(kind)))
    except (pa.ArrowException, OverflowError):
        return False


def conformed(table: pa.Table, schema: pa.Schema, path: str) -> pa.Table:
    """``table`` of the file ``path`` with the columns of the ``schema``; a column that the file does not have is NULL."""
    names = set(table.column_names)
    columns = [
        _cast(table[field.name], field, path) if field.name in names else pa.nulls(table.num_rows, field.type) for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _cast(column: pa.ChunkedArray, field: pa.Field, path: str) -> pa.ChunkedArray:
    kind = storage_type(column.type)
    if column.type == field.type:
        return column
    try:
        if pa.types.is_string(field.type) and (pa.types.is_nested(kind) or is_bytes(kind)):
            return profile_text(column)
        return column.cast(field.type)
    except (pa.ArrowException, OverflowError):
        raise _changes_type(field, path) from None


def kind_of_value(value: object) -> str:
    """Kind of a JSON value: "int", "wide" (no double holds it), "huge" (nor 64 bits), "float", "bool", "none" or "text"."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if abs(value) <= DOUBLE_EXACT else "wide" if -INT64 <= value < INT64 else "huge"
    return "float" if isinstance(value, float) else "text"


def type_of_kinds(kinds: set[str]) -> pa.DataType:
    """Arrow type for values of these kinds: text for all that have no other in common."""
    kinds = kinds - {"none"}
    if kinds == {"bool"}:
        return pa.bool_()
    if kinds and kinds <= {"int", "wide"}:
        return pa.int64()
    return pa.float64() if kinds and kinds <= {"int", "float"} else pa.string()


def batch_of_records(records: Sequence[Mapping[str, object]], schema: pa.Schema, path: str) -> pa.RecordBatch:
    """``records`` of the file ``path`` with the columns of the ``schema``; in a column of text other values are JSON.

    Raises InputError for a value that does not fit, and for a key without a column: nothing is left out in silence.
    """
    if further := {name for record in records for name in record} - set(schema.names):
        raise InputError(
            f"records of {path} have {len(further)} keys that no record had when the columns were found",
            expected="files that nobody writes while they are read",
            found="further keys",
            fix="read the source again",
        )
    arrays = []
    for field in schema:
        values = [record.get(field.name) for record in records]
        if pa.types.is_string(field.type):
            values = [v if v is None or isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values]
        if not set(map(type, values)) <= _PYTHON_TYPES[field.type]:
            raise _changes_type(field, path)  # Arrow would cut fractions off
        try:
            arrays.append(pa.array(values, field.type))
        except (pa.ArrowException, OverflowError, UnicodeError):
            raise _changes_type(field, path) from None
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _changes_type(field: pa.Field, path: str) -> InputError:
    return InputError(
        f"column {field.name} of {path} changes its type",
        expected=f"{field.type}, as in the other records",
        found="a value that is none: the file was written meanwhile",
        fix="read the source again",
    )
