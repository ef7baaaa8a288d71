"""How kernels are compiled, and the few machine instructions that Python has no word for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])
WIDE = 32  # bytes that are looked at together


def kernel(function: F) -> F:
    """Compile ``function`` at its first call; the machine code is kept beside the module, or in the user's cache folder.

    Where neither can be written to (a read-only container), it is compiled anew by each process.
    """
    made: Any
    try:
        made = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:
        made = numba.njit(nogil=True)(function)
    return cast(F, made)


def inline(function: F) -> F:
    """A part of kernels: compiled into each of them."""
    return cast(F, numba.njit(nogil=True, forceinline=True)(function))


def _instruction(build: Any) -> Any:
    """Numba's ``intrinsic`` without its type, which asks callers for the context that the compiler gives."""
    return intrinsic(build)


def _place(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """The address of ``data[at]``."""
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.gep(array.data, [arguments[1]])


@_instruction
def special(_context: Any, data: Any, at: Any) -> Any:
    """A bit for each of the 32 bytes from ``at`` on that is a quote, a backslash or a control character: what ends plain text."""
    signature = types.uint32(data, types.int64)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.VectorType(ir.IntType(8), WIDE)
        place = builder.bitcast(_place(context, builder, signature, arguments), wide.as_pointer())
        found = builder.load(place, align=1)
        quote, backslash, blank = (ir.Constant(wide, [code] * WIDE) for code in (0x22, 0x5C, 0x20))
        ends = builder.or_(builder.icmp_unsigned("==", found, quote), builder.icmp_unsigned("==", found, backslash))
        return builder.bitcast(builder.or_(ends, builder.icmp_unsigned("<", found, blank)), ir.IntType(WIDE))

    return signature, build


@_instruction
def byte(_context: Any, data: Any, at: Any) -> Any:
    """``data[at]`` as a whole number, for ``at`` inside the array: indexing would look for a negative ``at`` first."""
    signature = types.int64(data, types.int64)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.zext(builder.load(_place(context, builder, signature, arguments)), ir.IntType(64))

    return signature, build


@_instruction
def eight(_context: Any, data: Any, at: Any) -> Any:
    """The eight bytes from ``at`` on as one number, the first one lowest."""
    signature = types.uint64(data, types.int64)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.bitcast(_place(context, builder, signature, arguments), ir.IntType(64).as_pointer())
        return builder.load(place, align=1)

    return signature, build


@inline
def first_eight(data: Any, begin: Any, length: Any) -> Any:
    """The first eight bytes of the text of ``length`` at ``begin`` as one number, the first one lowest, 0 behind its end."""
    if length <= 0:
        return np.uint64(0)
    if begin + 8 <= len(data):
        word = eight(data, begin)
        return word if length >= 8 else word & ((np.uint64(1) << np.uint64(8 * length)) - np.uint64(1))
    word = np.uint64(0)
    for i in range(min(length, 8)):
        word |= np.uint64(byte(data, begin + i)) << np.uint64(8 * i)
    return word


@_instruction
def lowest_bit(_context: Any, bits: Any) -> Any:
    """The place of the lowest bit that is set in ``bits``, which is not 0."""
    signature = types.int64(types.uint32)

    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.zext(builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1)), ir.IntType(64))

    return signature, build


@_instruction
def power_of_two(_context: Any, exponent: Any) -> Any:
    """2 to the power ``exponent``, a whole number of float32 from -126 to 127."""
    signature = types.float32(types.float32)

    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        bits = ir.IntType(32)
        biased = builder.add(builder.fptosi(arguments[0], bits), ir.Constant(bits, 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(bits, 23)), ir.FloatType())

    return signature, build


@kernel
def _probe(data: Any) -> Any:
    return lowest_bit(special(data, 0)), eight(data, 0)


def works() -> bool:
    """Compile and run the smallest kernel; False where that is impossible, or the machine orders bytes the other way round."""
    text = np.frombuffer(b'abcdefgh"' + b"x" * WIDE, np.uint8)
    try:
        found = _probe(text)
    except Exception:  # whatever a compiler says that does not fit this machine
        return False
    return tuple(found) == (8, int.from_bytes(b"abcdefgh", "little"))
