"""Records of a block of CSV found all at once, where no quote is doubtful: one bit for each byte, 64 bytes to a word."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predict_age.source.csv_dialect import CR, LF, Dialect

Bounds = NDArray[np.int64]
Bits = NDArray[np.uint64]
_ONE, _LAST = np.uint64(1), np.uint64(63)


@dataclass(frozen=True)
class RecordBounds:
    """Records inside a block of CSV: first byte, byte after the last, number of fields; ``rest`` is where the next one begins."""

    starts: Bounds
    ends: Bounds
    fields: Bounds
    problems: dict[int, str]
    many_lines: list[int]
    rest: int
    lines: int  # line ends before ``rest``


def find_together(data: bytes, dialect: Dialect, *, final: bool) -> RecordBounds | None:
    """The records of ``data`` where quotes stand only where the grammar has them, else None."""
    if dialect.line_end == CR and LF in data:
        return None
    if dialect.escape and dialect.escape.encode() in data and dialect.quote and dialect.quote.encode() in data:
        return None
    codes, length = np.frombuffer(data, np.uint8), len(data)
    line_ends, delimiters = _bits(codes, dialect.line_end[0]), _bits(codes, ord(dialect.delimiter))
    returns = _bits(codes, CR[0]) if dialect.line_end == LF and CR in data else None
    broken = inside = np.zeros_like(line_ends)
    if dialect.quote and dialect.quote.encode() in data:
        quotes = _bits(codes, ord(dialect.quote))
        inside = _odd(quotes)  # from an opening quote to the byte before the closing one
        around = line_ends | delimiters | quotes
        if (quotes & inside & ~_from_before(around, first=True)).any():
            return None  # a quote is opened inside a field
        if (quotes & ~inside & ~_from_behind(around if returns is None else around | returns, length)).any():
            return None  # text follows a closing quote
        broken = line_ends & inside
        line_ends &= ~inside
        delimiters &= ~inside
    if returns is not None and (returns & ~inside & ~_from_behind(line_ends | returns, length)).any():
        return None  # a carriage return ends no line
    ends, many_lines = _places(line_ends), _places(broken)
    lines = len(ends)
    if final and data and (not lines or ends[-1] < length - 1):
        if _is_set(inside, length - 1):
            return None  # a quote that is never closed
        ends = np.append(ends, length)
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])[: len(ends)]
    fields = np.diff(_before(delimiters, np.append(starts, ends[-1:]))) + 1
    rest = min(int(ends[-1]) + 1, length) if len(ends) else 0
    many_lines = many_lines[many_lines < rest]
    several = np.unique(np.searchsorted(starts, many_lines, "right") - 1)
    return RecordBounds(starts, ends, fields, {}, several.tolist(), rest, lines + len(many_lines))


def _bits(codes: NDArray[np.uint8], code: int) -> Bits:
    """A bit for each byte that is ``code``: byte i is bit i % 64 of word i // 64. At least one bit follows the last byte's."""
    words = np.zeros(len(codes) // 64 + 1, "<u8")
    packed = np.packbits(codes == code, bitorder="little")
    words.view(np.uint8)[: len(packed)] = packed
    return words


def _odd(bits: Bits) -> Bits:
    """Where the number of set bits up to and including this one is odd."""
    odd = bits.copy()
    for distance in (1, 2, 4, 8, 16, 32):
        odd ^= odd << np.uint64(distance)
    before = np.zeros_like(odd)
    np.bitwise_xor.accumulate(odd[:-1] >> _LAST, out=before[1:])
    odd ^= np.uint64(0) - before  # all bits of a word turn over when an odd number of bits is set before it
    return odd


def _from_before(bits: Bits, *, first: bool) -> Bits:
    """The bit of the byte before, for each byte; ``first`` for the first one."""
    moved = bits << _ONE
    moved[1:] |= bits[:-1] >> _LAST
    moved[0] |= np.uint64(first)
    return moved


def _from_behind(bits: Bits, length: int) -> Bits:
    """The bit of the byte behind, for each of ``length`` bytes; the last one's is set."""
    moved = bits >> _ONE
    moved[:-1] |= bits[1:] << _LAST
    if length:
        moved[(length - 1) // 64] |= _ONE << np.uint64((length - 1) % 64)
    return moved


def _is_set(bits: Bits, place: int) -> bool:
    return bool(bits[place // 64] >> np.uint64(place % 64) & _ONE)


def _places(bits: Bits) -> Bounds:
    """The places of all set bits."""
    words = np.flatnonzero(bits)
    inner = np.flatnonzero(np.unpackbits(bits[words].view(np.uint8), bitorder="little").view(np.bool_))
    return words[inner // 64] * 64 + inner % 64


def _before(bits: Bits, places: Bounds) -> Bounds:
    """The number of set bits before each of ``places``."""
    upto = np.zeros(len(bits), np.int64)
    np.cumsum(np.bitwise_count(bits[:-1]), dtype=np.int64, out=upto[1:])
    words, inner = places // 64, (places % 64).astype(np.uint64)
    counted: Bounds = upto[words] + np.bitwise_count(bits[words] & ((_ONE << inner) - _ONE))
    return counted
