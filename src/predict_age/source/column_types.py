"""Column types of Parquet files: which can hold an id, an age or a profile, and how each is handed to DuckDB.

DuckDB writes a time with a zone in the machine's local time and cannot read half-precision numbers or decimals of more than 38
digits. Everything here is made plain before: zones become UTC, wide numbers become ones that DuckDB knows.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from predict_age.config import SourceConfig
from predict_age.errors import InputError
from predict_age.source.calendar_range import within_calendar

WHITE_SPACE = (  # as Unicode has it
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
HALF_EXACT = 2**11  # half-precision numbers hold every whole number below it
UNREADABLE_TEXT = "\x00"  # no JSON, no number and no id
UUID_BYTES = 16


def is_text(kind: pa.DataType) -> bool:
    """Whether values are text, whatever the layout."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def is_bytes(kind: pa.DataType) -> bool:
    """Whether values are bytes, of any or of one length."""
    return (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def storage_type(kind: pa.DataType) -> pa.DataType:
    """The type below dictionaries, run ends and extensions: that of the values themselves."""
    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
            kind = kind.value_type
        else:
            return kind


def stored_values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """``column`` without dictionaries, run ends and extensions."""
    kind = column.type
    while kind != storage_type(kind):
        if isinstance(kind, pa.BaseExtensionType):
            column = pa.chunked_array([c.storage for c in column.chunks], kind.storage_type)
        elif pa.types.is_dictionary(kind):
            chunks = [_plain_dictionary(chunk.dictionary).take(chunk.indices) for chunk in column.chunks]
            column = pa.chunked_array(chunks, None if chunks else storage_type(kind))
        else:
            column = pa.chunked_array([pc.run_end_decode(c) for c in column.chunks], kind.value_type)
        kind = column.type
    return column


def _plain_dictionary(words: pa.Array) -> pa.Array:
    """The values of a dictionary, in types of which Arrow can take some."""
    plain = stored_values(pa.chunked_array([words])).combine_chunks()
    return plain.cast(pa.large_string()) if pa.types.is_string_view(plain.type) else plain


def check_types(schema: pa.Schema, source: SourceConfig, path: str) -> None:
    """Raise InputError naming file, column and type when an id, age or profile column has a type that holds none."""
    tests = [(name, holds_value, "whole numbers or text") for name in source.light_columns]
    if source.profile_json != "*":
        tests.append((source.profile_json, _holds_profile, "JSON text, a struct or a map"))
    for name, test, expected in tests:
        index = schema.get_field_index(name)
        if index >= 0 and not test(storage_type(schema.field(index).type)):
            raise InputError(
                f'the column "{name}" of {path} has a type that cannot be read',
                expected=expected,
                found=str(schema.field(index).type),
                fix="name another column under [source], or write this one with another type",
            )


def holds_value(kind: pa.DataType) -> bool:
    """Whether a column of this type can hold an id or an age."""
    plain = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_boolean(kind)
    return (
        plain or is_text(kind) or is_bytes(kind) or pa.types.is_date(kind) or pa.types.is_timestamp(kind) or pa.types.is_null(kind)
    )


def _holds_profile(kind: pa.DataType) -> bool:
    return is_text(kind) or is_bytes(kind) or pa.types.is_nested(kind) or pa.types.is_null(kind)


def plain_values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """An id or age column as whole numbers, floats, decimals, text, dates, times without a zone, booleans or nothing.

    Bytes with a NUL are no text, but numbers or hashes: trimmed, those that end with the code of a blank would be equal.
    """
    column = stored_values(column)
    kind = column.type
    if is_text(kind):
        return valid_text(column)
    if is_bytes(kind):
        text = valid_text(column)
        return pc.if_else(pc.match_substring(text, UNREADABLE_TEXT), UNREADABLE_TEXT, text)
    if pa.types.is_float16(kind):
        return _single_precision(column)
    if pa.types.is_decimal256(kind) or (pa.types.is_decimal(kind) and kind.scale < 0):
        return _text([None if v is None else format(v, "f") for v in column.to_pylist()])
    if pa.types.is_decimal(kind):
        return column.cast(pa.decimal128(kind.precision, kind.scale))
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return within_calendar(column)
    return column


def without_missing(column: pa.ChunkedArray, missing: Sequence[str]) -> pa.ChunkedArray:
    """A column of ids or ages, NULL where it is one of the ``missing`` texts: else strangers would share the id ``nan``."""
    if not missing or not is_text(column.type):
        return column
    absent = pc.is_in(column, pa.array(missing, column.type))
    return pc.if_else(absent, pa.scalar(None, column.type), column) if pc.any(absent).as_py() else column


def _single_precision(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Half-precision numbers, those that do not hold every whole number as infinity."""
    chunks = []
    for chunk in column.chunks:
        numbers = chunk.to_numpy(zero_copy_only=False).astype(np.float32)
        inexact = np.abs(numbers) >= HALF_EXACT
        empty = chunk.is_null().to_numpy(zero_copy_only=False)
        chunks.append(pa.array(np.where(inexact, np.copysign(np.inf, numbers), numbers), pa.float32(), mask=empty))
    return pa.chunked_array(chunks, pa.float32())


def _text(values: list[str | None]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.string())])


def valid_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """``column`` as text; what is no UTF-8 becomes one NUL character, which no JSON and no number is. Sixteen bytes are a UUID."""
    if pa.types.is_fixed_size_binary(column.type):
        width, column = column.type.byte_width, column.cast(pa.binary())
        if width == UUID_BYTES:
            return _text([None if v is None else str(uuid.UUID(bytes=v)) for v in column.to_pylist()])
    try:
        text = column.cast(pa.string())
        text.validate(full=True)
        return text
    except pa.ArrowInvalid:
        return _text([_decode(v) for v in column.cast(pa.binary(), safe=False).to_pylist()])


def _decode(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return UNREADABLE_TEXT


def json_ready(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """``column`` in a type that DuckDB writes as JSON, the same on every machine: times in UTC, no half-precision numbers."""
    column = stored_values(column)
    wanted = _json_type(column.type)
    if is_text(wanted) or is_bytes(wanted):
        return valid_text(column)
    if wanted == column.type:
        return column
    for kind in (wanted, _json_type(column.type, decoded=False)):  # the latter where bytes inside are no UTF-8
        try:
            made = column.cast(kind, safe=False)
            made.validate(full=True)
            return made
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue
    wide = _json_type(column.type, pa.float64(), decoded=False)  # a decimal of more digits, or nested where Arrow casts nothing
    return pa.chunked_array([pa.array([_with_floats(value) for value in python_values(column)], wide)])


def python_values(column: pa.ChunkedArray) -> list[Any]:
    """Values of ``column`` in Python; None also for one with a date or time beyond those that Python has."""
    try:
        return list(column.to_pylist())
    except (OverflowError, ValueError):
        return [_python_value(value) for value in column]


def _python_value(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except (OverflowError, ValueError):
        return None


def _with_floats(value: Any) -> Any:
    """A Python value, decimals in it as floats."""
    if isinstance(value, dict):
        return {name: _with_floats(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_with_floats(inner) for inner in value)
    return float(value) if isinstance(value, Decimal) else value


def _json_type(kind: pa.DataType, wide: pa.DataType | None = None, *, decoded: bool = True) -> pa.DataType:
    """The type to hand to DuckDB, bytes ``decoded``. ``wide`` replaces decimals of more than 38 digits; by default what fits."""
    kind = storage_type(kind)
    below: Callable[[pa.DataType], pa.DataType] = lambda inner: _json_type(inner, wide, decoded=decoded)  # noqa: E731
    if decoded and is_bytes(kind):
        return pa.string()
    if pa.types.is_timestamp(kind) and kind.tz:
        return pa.timestamp("us")
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_decimal256(kind):
        return wide or pa.decimal128(38, min(max(kind.scale, 0), 38))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, below(f.type)) for f in kind])
    if pa.types.is_map(kind):
        return pa.map_(below(kind.key_type), below(kind.item_type))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(below(kind.value_type), kind.list_size)
    if pa.types.is_large_list(kind) or pa.types.is_large_list_view(kind):
        return pa.large_list(below(kind.value_type))
    if pa.types.is_list(kind) or pa.types.is_list_view(kind):
        return pa.list_(below(kind.value_type))
    return kind


@lru_cache(maxsize=256)
def has_nested_dictionary(kind: pa.DataType) -> bool:
    """Whether a dictionary-encoded column is inside a nested one: Arrow reads those one row group at a time."""
    if not pa.types.is_nested(kind):
        return False
    inner = [kind.field(i).type for i in range(kind.num_fields)]
    return any(pa.types.is_dictionary(t) or has_nested_dictionary(t) for t in inner)


@lru_cache(maxsize=256)
def has_maps(kind: pa.DataType) -> bool:
    """Whether a map is somewhere inside: its keys may be repeated, which DuckDB refuses."""
    if pa.types.is_map(kind):
        return True
    return any(has_maps(storage_type(kind.field(i).type)) for i in range(kind.num_fields)) if pa.types.is_nested(kind) else False


def repeats_key(value: Any, kind: pa.DataType) -> bool:
    """Whether a map inside a Python ``value`` of type ``kind`` has a key twice."""
    kind = storage_type(kind)
    if value is None or not has_maps(kind):
        return False
    if pa.types.is_map(kind):
        keys = [str(key) for key, _ in value]
        return len(set(keys)) < len(keys) or any(repeats_key(item, kind.item_type) for _, item in value)
    if pa.types.is_struct(kind):
        return any(repeats_key(value.get(f.name), f.type) for f in kind)
    return any(repeats_key(item, kind.value_type) for item in value) if isinstance(value, list) else False
