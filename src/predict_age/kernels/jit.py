"""Compilation of kernels, and the machine instructions that Numba does not offer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])
MASK_BYTES = 64  # bytes compared with one instruction


def kernel(function: F) -> F:
    """Compile ``function`` at its first call; the machine code is cached beside the module, or in the user's cache folder.

    Where neither is writable (a read-only container), each process compiles again.
    """
    compiled: Any
    try:
        compiled = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:
        compiled = numba.njit(nogil=True)(function)
    return cast(F, compiled)


def inline(function: F) -> F:
    """Mark a function to be inlined into kernels."""
    return cast(F, numba.njit(nogil=True, forceinline=True)(function))


def _instruction(build: Any) -> Any:
    """Numba's ``intrinsic`` without its type, which would ask callers for the context that the compiler supplies."""
    return intrinsic(build)


@_instruction
def address(_context: Any, array: Any) -> Any:
    """The array's address in memory. Helpers take addresses, because an array argument costs two reference counts a call.

    The array must be an argument of the kernel: an array of its own may be freed after its last use by name.
    """
    signature = types.int64(array)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return signature, build


def _load(builder: Any, arguments: Any, kind: Any) -> Any:
    """Load a value of ``kind`` from an address plus an offset in bytes."""
    return builder.load(builder.inttoptr(builder.add(*arguments), kind.as_pointer()), align=1)


def _byte_mask(builder: Any, arguments: Any, marked: Callable[[Any, Callable[[int], Any]], Any]) -> Any:
    """A bit mask of 64 bytes, from ``marked``, which is given the bytes and a function that repeats one byte."""
    wide = ir.VectorType(ir.IntType(8), MASK_BYTES)
    loaded = marked(_load(builder, arguments, wide), lambda code: ir.Constant(wide, [code] * MASK_BYTES))
    return builder.bitcast(loaded, ir.IntType(MASK_BYTES))


@_instruction
def quote_mask(_context: Any, text: Any, at: Any) -> Any:
    """A bit for each of the 64 bytes from ``at`` on that is a quote. Here and below, ``text`` is an address."""

    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return _byte_mask(builder, arguments, lambda loaded, all_of: builder.icmp_unsigned("==", loaded, all_of(0x22)))

    return types.uint64(types.int64, types.int64), build


@_instruction
def special_mask(_context: Any, text: Any, at: Any) -> Any:
    """A bit for each of the 64 bytes from ``at`` on that is a backslash or a control character."""

    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        def marked(loaded: Any, all_of: Any) -> Any:
            return builder.or_(builder.icmp_unsigned("==", loaded, all_of(0x5C)), builder.icmp_unsigned("<", loaded, all_of(0x20)))

        return _byte_mask(builder, arguments, marked)

    return types.uint64(types.int64, types.int64), build


@_instruction
def stop_mask(_context: Any, text: Any, at: Any) -> Any:
    """A bit for each of the 64 bytes from ``at`` on that may end a string: a quote, a backslash or a control character."""

    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        def marked(loaded: Any, all_of: Any) -> Any:
            quote, backslash = (builder.icmp_unsigned("==", loaded, all_of(code)) for code in (0x22, 0x5C))
            return builder.or_(builder.or_(quote, backslash), builder.icmp_unsigned("<", loaded, all_of(0x20)))

        return _byte_mask(builder, arguments, marked)

    return types.uint64(types.int64, types.int64), build


@_instruction
def load_byte(_context: Any, text: Any, at: Any) -> Any:
    """The byte at ``at`` as an int64."""

    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.zext(_load(builder, arguments, ir.IntType(8)), ir.IntType(64))

    return types.int64(types.int64, types.int64), build


@_instruction
def load_8_bytes(_context: Any, text: Any, at: Any) -> Any:
    """The eight bytes from ``at`` on as one number, little-endian."""

    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return _load(builder, arguments, ir.IntType(64))

    return types.uint64(types.int64, types.int64), build


@_instruction
def load_int32(_context: Any, notes: Any, at: Any) -> Any:
    """The int32 number ``at`` of the array at the address ``notes``, as an int64."""

    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        notes, at = arguments
        loaded = _load(builder, (notes, builder.shl(at, ir.Constant(ir.IntType(64), 2))), ir.IntType(32))
        return builder.sext(loaded, ir.IntType(64))

    return types.int64(types.int64, types.int64), build


@_instruction
def store_int32(_context: Any, notes: Any, at: Any, value: Any) -> Any:
    """Store ``value`` as the int32 number ``at`` of the array at the address ``notes``."""

    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        notes, at, value = arguments
        place = builder.add(notes, builder.shl(at, ir.Constant(ir.IntType(64), 2)))
        builder.store(builder.trunc(value, ir.IntType(32)), builder.inttoptr(place, ir.IntType(32).as_pointer()), align=4)

    return types.void(types.int64, types.int64, types.int64), build


@inline
def load_prefix(text: Any, begin: Any, length: Any, end: Any) -> Any:
    """The first eight of ``length`` bytes at ``begin``, little-endian, padded with 0. Reads nothing from ``end`` on."""
    if length <= 0:
        return np.uint64(0)
    if begin + 8 <= end:
        word = load_8_bytes(text, begin)
        return word if length >= 8 else word & ((np.uint64(1) << np.uint64(8 * length)) - np.uint64(1))
    word = np.uint64(0)
    for i in range(min(length, 8)):
        word |= np.uint64(load_byte(text, begin + i)) << np.uint64(8 * i)
    return word


@_instruction
def lowest_bit(_context: Any, bits: Any) -> Any:
    """Index of the lowest set bit of ``bits``; 64 when no bit is set."""
    signature = types.int64(types.uint64)

    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return signature, build


@_instruction
def count_bits(_context: Any, bits: Any) -> Any:
    """The number of set bits of ``bits``."""
    signature = types.int64(types.uint64)

    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return signature, build


@_instruction
def power_of_two(_context: Any, exponent: Any) -> Any:
    """2 to the power ``exponent``, a whole float32 from -126 to 127."""
    signature = types.float32(types.float32)

    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        bits = ir.IntType(32)
        biased = builder.add(builder.fptosi(arguments[0], bits), ir.Constant(bits, 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(bits, 23)), ir.FloatType())

    return signature, build


@kernel
def _probe(data: Any) -> Any:
    text = address(data)
    return lowest_bit(quote_mask(text, 0) | special_mask(text, 0)), load_8_bytes(text, 0)


def kernels_work() -> bool:
    """Compile and run the smallest kernel; False when that fails or the machine is big-endian."""
    text = np.frombuffer(b'abcdefgh"' + b"x" * MASK_BYTES, np.uint8)
    try:
        loaded = _probe(text)
    except Exception:  # a compiler that does not support this machine may raise anything
        return False
    return tuple(loaded) == (8, int.from_bytes(b"abcdefgh", "little"))
