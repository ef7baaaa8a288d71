"""Arrow columns of any type, drawn at random: the given values where the type holds them, else values of its own."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Callable
from decimal import Decimal, DecimalException
from typing import Any

import pyarrow as pa

SIMPLE: tuple[Callable[[], pa.DataType], ...] = (
    pa.null,
    pa.bool_,
    pa.int8,
    pa.int16,
    pa.int32,
    pa.int64,
    pa.uint8,
    pa.uint16,
    pa.uint32,
    pa.uint64,
    pa.float16,
    pa.float32,
    pa.float64,
    pa.string,
    pa.large_string,
    pa.string_view,
    pa.binary,
    pa.large_binary,
    pa.binary_view,
    lambda: pa.binary(16),
    lambda: pa.binary(3),
    pa.date32,
    pa.date64,
    lambda: pa.time32("s"),
    lambda: pa.time64("ns"),
    lambda: pa.timestamp("s"),
    lambda: pa.timestamp("ms"),
    lambda: pa.timestamp("us"),
    lambda: pa.timestamp("ns"),
    lambda: pa.timestamp("us", "UTC"),
    lambda: pa.timestamp("ns", "Asia/Tokyo"),
    lambda: pa.timestamp("us", "+05:30"),
    lambda: pa.timestamp("us", "Nowhere/None"),
    lambda: pa.duration("s"),
    lambda: pa.duration("ns"),
    lambda: pa.decimal128(38, 0),
    lambda: pa.decimal128(10, 2),
    lambda: pa.decimal128(38, 38),
    lambda: pa.decimal256(76, 0),
    lambda: pa.decimal256(76, 40),
    lambda: pa.decimal256(50, 2),
    lambda: pa.decimal32(9, 2),
    lambda: pa.decimal64(18, 3),
    pa.uuid,
    pa.json_,
)
REFUSED = (pa.ArrowException, TypeError, ValueError, OverflowError, AttributeError, NotImplementedError, DecimalException)
TEXTS = ("", "x", "1", "ü", "\x00", "a\nb", '{"a": 1}', "{", "[]", "null", "1980-01-01", "\U0001f600", "9" * 60, "NaN")
BYTES = (b"", b"\xff\xfe", b"x", b"1", b"{}", b"\x00", "ü".encode("latin-1"))
NUMBERS = (0, 1, -1, 35, 1980, 127, 255, 2**15, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1)


def kind(draw: random.Random, depth: int = 0) -> pa.DataType:
    """Any type, three levels deep at most."""
    if depth >= 3 or draw.random() < 0.6:
        return draw.choice(SIMPLE)()
    inner = lambda: kind(draw, depth + 1)  # noqa: E731
    key = draw.choice([pa.string, pa.int32, pa.int64, pa.binary, pa.date32, pa.bool_])()
    shapes: tuple[Callable[[], pa.DataType], ...] = (
        lambda: pa.list_(inner()),
        lambda: pa.large_list(inner()),
        lambda: pa.list_(inner(), draw.choice([1, 3])),
        lambda: pa.struct([]),
        lambda: pa.struct(
            [
                pa.field(draw.choice(["a", "a", "b", "", "ü", 'q"q', "q'q", "x.y", "tenure_months", "A"]), inner())
                for _ in range(draw.randint(1, 3))
            ]
        ),
        lambda: pa.map_(key, inner()),
        lambda: pa.dictionary(pa.int8(), draw.choice([pa.string, pa.int64, pa.binary, pa.float64, pa.date32])()),
        lambda: pa.dictionary(pa.int32(), pa.string(), ordered=True),
        lambda: pa.list_(pa.dictionary(pa.int8(), pa.string())),
    )
    return draw.choice(shapes)()


def column(draw: random.Random, values: list[Any], oddness: float) -> pa.Array:
    """``values`` in the type that fits, or with the probability ``oddness`` in any type."""
    if draw.random() < oddness:
        wanted = kind(draw)
        for made in (lambda: pa.array(values, wanted), lambda: pa.array([as_kind(v, wanted) for v in values], wanted)):
            try:
                if any(v is not None for v in values):
                    return made()
            except REFUSED:
                continue
        for chosen in (wanted, pa.string()):
            try:
                return pa.array([None if draw.random() < 0.3 else value_of(draw, chosen) for _ in values], chosen)
            except REFUSED:
                continue
    try:
        return pa.array(values)
    except REFUSED:
        return pa.array([None if v is None else v if isinstance(v, str) else json.dumps(v) for v in values], pa.string())


def as_kind(value: Any, wanted: pa.DataType) -> Any:
    """``value`` as something that the type may take."""
    if value is None:
        return None
    if pa.types.is_decimal(wanted):
        return Decimal(str(value))
    if pa.types.is_floating(wanted):
        return float(value)
    if pa.types.is_timestamp(wanted) or pa.types.is_date(wanted):
        return dt.datetime(int(str(value)[:4]), 3, 5)
    if pa.types.is_dictionary(wanted):
        return str(value)
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode() if "binary" in str(wanted) else text


def value_of(draw: random.Random, wanted: pa.DataType) -> Any:
    """A value of the type, often an extreme one."""
    types = pa.types
    if types.is_struct(wanted):
        return {f.name: None if draw.random() < 0.2 else value_of(draw, f.type) for f in wanted}
    if types.is_map(wanted):
        return [(value_of(draw, wanted.key_type), value_of(draw, wanted.item_type)) for _ in range(draw.randint(0, 3))]
    if types.is_fixed_size_list(wanted):
        return [value_of(draw, wanted.value_type) for _ in range(wanted.list_size)]
    if types.is_list(wanted) or types.is_large_list(wanted):
        return [value_of(draw, wanted.value_type) for _ in range(draw.randint(0, 3))]
    if types.is_dictionary(wanted):
        return value_of(draw, wanted.value_type)
    if types.is_null(wanted):
        return None
    if types.is_boolean(wanted):
        return draw.random() < 0.5
    if types.is_integer(wanted):
        bits, signed = wanted.bit_width, types.is_signed_integer(wanted)
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        return draw.choice([n for n in (*NUMBERS, low, high) if low <= n <= high])
    if types.is_float16(wanted) or types.is_floating(wanted):
        return draw.choice(
            [0.0, -0.0, 1.5, float("nan"), float("inf"), float("-inf"), 65504.0, 1e-7, *([1e308] if wanted.bit_width == 64 else [])]
        )
    if types.is_decimal(wanted):
        digits = wanted.precision
        return draw.choice(
            [
                Decimal(0),
                Decimal(35 if digits - wanted.scale > 1 else 0),
                (Decimal(10) ** digits - 1).scaleb(-wanted.scale),
                Decimal(-1).scaleb(-wanted.scale),
            ]
        )
    if types.is_date(wanted):
        return draw.choice(
            [
                dt.date(1980, 1, 1),
                dt.date(1, 1, 1),
                dt.date(9999, 12, 31),
                2**31 - 1 if types.is_date32(wanted) else 86_400_000 * 10**9,
                -(10**5) * (86_400_000 if types.is_date64(wanted) else 1),
            ]
        )
    if types.is_timestamp(wanted):
        return draw.choice([0, 1, -1, 10**9, 2**63 - 1, -(2**63) + 1, 2**62])
    if types.is_time(wanted):
        return draw.choice([0, 1, 86_399])
    if types.is_duration(wanted):
        return draw.choice([0, 1, -1, 2**62])
    if types.is_fixed_size_binary(wanted):
        return bytes(draw.randrange(256) for _ in range(wanted.byte_width))
    if isinstance(wanted, pa.UuidType):
        return bytes(draw.randrange(256) for _ in range(16))
    return draw.choice(BYTES) if "binary" in str(wanted) else draw.choice(TEXTS)
