"""Dates and times outside the years 1 to 9999: DuckDB ends its whole process when it writes some of them as text."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_EPOCH = dt.datetime(1970, 1, 1)
FIRST_SECOND = int((dt.datetime(1, 1, 1) - _EPOCH).total_seconds())
LAST_SECOND = int((dt.datetime(9999, 12, 31, 23, 59, 59) - _EPOCH).total_seconds())
TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}  # in a second
DAY_SECONDS = 86_400


def without_times_beyond_calendar(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """``column`` (n,), NULL where it holds a date or time outside the years 1 to 9999, also in structs and lists."""
    if not _has_times(column.type):
        return column
    beyond = np.concatenate([np.zeros(0, np.bool_), *(_beyond(chunk) for chunk in column.chunks)])
    return pc.if_else(pa.array(beyond), pa.scalar(None, column.type), column) if beyond.any() else column


def within_calendar(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """``column`` (n,) of dates or times as DATE or microseconds; those outside the years 1 to 9999 become the nearest of these.

    Other units would overflow in microseconds and stand for another time.
    """
    kind, made = column.type, pa.timestamp("us")
    if pa.types.is_date(kind):
        made = pa.date32()
    chunks = []
    for chunk in column.chunks:
        numbers, (low, high) = _numbers(chunk), _limits(kind)
        inside = np.clip(numbers, max(low, 1 - 2**63), min(high, 2**63 - 2))
        days = pa.types.is_date64(kind)
        if days:
            inside //= DAY_SECONDS * TICKS["ms"]
        stored = pa.array(inside, mask=chunk.is_null().to_numpy(zero_copy_only=False))
        if pa.types.is_date(kind):
            chunks.append(stored.cast(pa.int32()).view(made))
        else:
            chunks.append(stored.view(pa.timestamp(kind.unit)).cast(made, safe=False))
    return pa.chunked_array(chunks, made)


def _numbers(array: pa.Array) -> NDArray[np.int64]:
    """Days, or ticks of the unit, of an array of dates or times (n,) since 1970; 0 where it is NULL."""
    numbers = array.cast(pa.int32()).cast(pa.int64()) if pa.types.is_date32(array.type) else array.cast(pa.int64())
    return numbers.fill_null(0).to_numpy(zero_copy_only=False)


def _limits(kind: pa.DataType) -> tuple[int, int]:
    """First and last number of the calendar's range in days, or in ticks of the unit, since 1970."""
    if pa.types.is_date32(kind):
        return FIRST_SECOND // DAY_SECONDS, LAST_SECOND // DAY_SECONDS
    ticks = TICKS["ms"] if pa.types.is_date64(kind) else TICKS[kind.unit]
    return FIRST_SECOND * ticks, LAST_SECOND * ticks


def _has_times(kind: pa.DataType) -> bool:
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return True
    if pa.types.is_map(kind):
        return False  # their values are read by Python, which refuses such times itself
    return any(_has_times(kind.field(i).type) for i in range(kind.num_fields))


def _beyond(array: pa.Array) -> NDArray[np.bool_]:
    kind = array.type
    if not _has_times(kind):
        return np.zeros(len(array), np.bool_)
    if pa.types.is_struct(kind):
        masks = [_beyond(array.field(i)) for i in range(kind.num_fields)]
        return np.logical_or.reduce(masks) & array.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        result = np.zeros(len(array), np.bool_)
        parents = pc.list_parent_indices(array).to_numpy(zero_copy_only=False)
        np.logical_or.at(result, parents, _beyond(pc.list_flatten(array)))
        return result
    low, high = _limits(kind)
    largest, values = 2**63 - 1, _numbers(array)
    return (values < max(low, -largest)) | (values > min(high, largest))
