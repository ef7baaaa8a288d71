"""Footers of Parquet files as structures that a test can change: Thrift's compact protocol, read and written."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

STOP, TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 12
NUM_ROWS, ROW_GROUPS, SCHEMA = 3, 4, 2  # fields of FileMetaData
COLUMNS, TOTAL_SIZE, GROUP_ROWS = 1, 2, 3  # fields of RowGroup
COLUMN_META = 3  # of ColumnChunk
NUM_VALUES, UNCOMPRESSED, COMPRESSED, DATA_OFFSET = 5, 6, 7, 9  # of ColumnMetaData
Struct = dict[int, list[Any]]  # field -> [type, value]; a list's value is [type of elements, elements]


def change_footer(path: Path, change: Callable[[Struct], None]) -> None:
    """Change the footer of the Parquet file ``path`` in place."""
    data = path.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    footer = _read_struct(io.BytesIO(data[-8 - length : -8]))
    change(footer)
    written = bytearray()
    _write_struct(written, footer)
    path.write_bytes(data[: -8 - length] + bytes(written) + len(written).to_bytes(4, "little") + b"PAR1")


def groups(footer: Struct) -> list[Struct]:
    """The row groups, which may be changed."""
    found: list[Struct] = footer[ROW_GROUPS][1][1]
    return found


def _varint(stream: io.BytesIO) -> int:
    value = shift = 0
    while True:
        (byte,) = stream.read(1)
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value


def _read(stream: io.BytesIO, kind: int) -> Any:
    if kind in (TRUE, FALSE):
        return None
    if kind == BYTE:
        return stream.read(1)
    if kind == DOUBLE:
        return stream.read(8)
    if kind == BINARY:
        return stream.read(_varint(stream))
    if kind in (LIST, SET):
        (head,) = stream.read(1)
        size = head >> 4 if head >> 4 < 15 else _varint(stream)
        inner = head & 15
        return [inner, [stream.read(1) if inner in (TRUE, FALSE) else _read(stream, inner) for _ in range(size)]]
    if kind == STRUCT:
        return _read_struct(stream)
    value = _varint(stream)
    return (value >> 1) ^ -(value & 1)


def _read_struct(stream: io.BytesIO) -> Struct:
    fields: Struct = {}
    field = 0
    while (head := stream.read(1)[0]) != STOP:
        kind = head & 15
        field = field + (head >> 4) if head >> 4 else _read(stream, 4)
        fields[field] = [kind, _read(stream, kind)]
    return fields


def _write_varint(out: bytearray, value: int) -> None:
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


def _write(out: bytearray, kind: int, value: Any) -> None:
    if kind in (TRUE, FALSE):
        return
    if kind in (BYTE, DOUBLE):
        out += value
    elif kind == BINARY:
        _write_varint(out, len(value))
        out += value
    elif kind in (LIST, SET):
        inner, elements = value
        out.append(min(len(elements), 15) << 4 | inner)
        if len(elements) >= 15:
            _write_varint(out, len(elements))
        for element in elements:
            if inner in (TRUE, FALSE):
                out += element
            else:
                _write(out, inner, element)
    elif kind == STRUCT:
        _write_struct(out, value)
    else:
        _write_varint(out, (value << 1) ^ (value >> 63))


def _write_struct(out: bytearray, fields: Struct) -> None:
    before = 0
    for field, (kind, value) in sorted(fields.items()):
        if 0 < field - before < 16:
            out.append((field - before) << 4 | kind)
        else:
            out.append(kind)
            _write(out, 4, field)
        _write(out, kind, value)
        before = field
    out.append(STOP)
