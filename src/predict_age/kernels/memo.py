"""What a text means, looked up by its bytes: most values of most fields have been seen before.

A table from texts to numbers, filled by whoever knows the meaning. Texts are compared byte by byte, so two of the same hash
are no matter. Plain numbers are not looked up but read: a whole number below 2^53 divided by a power of ten up to 10^22 is
correctly rounded (Clinger 1990, "How to read floating point numbers accurately").
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from predict_age.kernels.compile import byte, eight, inline, kernel
from predict_age.kernels.tokens import DOT, MINUS, NINE, ZERO

EXACT_DIGITS = 15
TEXT, NUMBER, ITEMS = 0, 1, 2  # what a value may be besides a text to look up
POWERS = 10.0 ** np.arange(23)


@inline
def _hash(data: Any, begin: Any, end: Any) -> Any:
    mixed = np.uint64(end - begin) * np.uint64(0x9E3779B97F4A7C15)
    at = begin
    while at + 8 <= end:
        mixed = (mixed ^ eight(data, at)) * np.uint64(0xD1B54A32D192ED03)
        mixed ^= mixed >> np.uint64(29)
        at += 8
    if at < end:
        rest = np.uint64(0)
        if at + 8 <= len(data):
            rest = eight(data, at) & ((np.uint64(1) << np.uint64(8 * (end - at))) - np.uint64(1))
        else:
            for i in range(end - at):
                rest |= np.uint64(byte(data, at + i)) << np.uint64(8 * i)
        mixed = (mixed ^ rest) * np.uint64(0xD1B54A32D192ED03)
    return mixed ^ (mixed >> np.uint64(32))


@inline
def _number(data: Any, begin: Any, end: Any) -> Any:
    """The plain number ``data[begin:end]``; NaN when it is none, or one of more than 15 digits."""
    code = byte(data, begin)
    if code != MINUS and not ZERO <= code <= NINE:
        return np.nan
    at = begin + 1 if code == MINUS else begin
    whole, digits, fraction, pointed = 0, 0, 0, False
    while at < end:
        code = byte(data, at)
        if code == DOT:
            pointed = True
        else:
            whole = whole * 10 + (code - ZERO)
            digits += 1
            fraction += pointed
        at += 1
    if digits > EXACT_DIGITS:
        return np.nan
    value = whole / POWERS[fraction]
    return -value if byte(data, begin) == MINUS else value


@inline
def _same(data: Any, begin: Any, texts: Any, first: Any, length: Any) -> Any:
    """Whether ``length`` bytes are the same; behind ``texts`` there are eight more."""
    at = 0
    while at < length and begin + at + 8 <= len(data):
        different = eight(data, begin + at) ^ eight(texts, first + at)
        if length - at < 8:
            different &= (np.uint64(1) << np.uint64(8 * (length - at))) - np.uint64(1)
        if different:
            return False
        at += 8
    while at < length:
        if byte(texts, first + at) != byte(data, begin + at):
            return False
        at += 1
    return True


@inline
def _place(data: Any, begin: Any, end: Any, table: Any, texts: Any) -> Any:
    """Where ``table`` holds the text ``data[begin:end]``; -1 when it does not."""
    mixed = np.int64(_hash(data, begin, end))
    mask = len(table) - 1
    place = mixed & mask
    while table[place, 2] != 0:
        if table[place, 0] == mixed and table[place, 2] == end - begin and _same(data, begin, texts, table[place, 1], end - begin):
            return place
        place = (place + 1) & mask
    return -1


@kernel
def read_values(
    data: Any, starts: Any, ends: Any, counts: Any, plain: Any, kind: Any, limits: Any, table: Any, texts: Any, means: Any,
    out: Any, missed: Any,
) -> Any:  # fmt: skip
    """Write what ``data[starts[n] : ends[n]]`` means to ``out`` (n,), NaN where there is nothing or not ``plain`` (n,).

    ``kind``: NUMBER reads plain numbers, ITEMS takes ``counts`` (n,) from 0 on, both by ``limits``: a factor, the lowest and the
    highest value, and 1 to move what lies outside to them, 0 to leave it out. Everything else is looked up; returns how many texts
    are not known, their rows in ``missed`` (n,).
    """
    factor, low, high, clip = limits[0], limits[1], limits[2], limits[3] != 0
    misses = 0
    for n in range(len(starts)):
        out[n] = np.nan
        if not plain[n] or starts[n] < 0:
            continue
        begin, end = np.int64(starts[n]), np.int64(ends[n])
        value = np.nan
        if kind == NUMBER:
            value = _number(data, begin, end) * factor
        elif kind == ITEMS and counts[n] >= 0:
            value = np.float64(counts[n])
        if not np.isnan(value):
            if clip:
                out[n] = min(max(value, low), high)
            elif low <= value <= high:
                out[n] = value
            continue
        place = _place(data, begin, end, table, texts)
        if place >= 0:
            out[n] = means[place]
        else:
            missed[misses] = n
            misses += 1
    return misses


@kernel
def _insert(table: Any, means: Any, texts: Any, bounds: Any, values: Any) -> None:
    """Fill an empty table with texts ``texts[bounds[i] : bounds[i + 1]]``, all different, and what they mean."""
    mask = len(table) - 1
    for i in range(len(values)):
        mixed = np.int64(_hash(texts, bounds[i], bounds[i + 1]))
        place = mixed & mask
        while table[place, 2] != 0:
            place = (place + 1) & mask
        table[place, 0], table[place, 1], table[place, 2] = mixed, bounds[i], bounds[i + 1] - bounds[i]
        means[place] = values[i]


class Memo:
    """Texts that have been met and the numbers they mean. It forgets everything rather than grow beyond ``most`` texts or bytes."""

    def __init__(self, most: int = 50_000, most_bytes: int = 1 << 23) -> None:
        self._most, self._most_bytes = most, most_bytes
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.known: dict[bytes, float] = {}
        self._bytes = 0
        self._fill()

    def full(self) -> bool:
        """Whether it is time to begin anew."""
        return len(self.known) > self._most or self._bytes > self._most_bytes

    def learn(self, meanings: dict[bytes, float]) -> None:
        """Add texts, none of them empty."""
        self.known |= meanings
        self._bytes += sum(map(len, meanings))
        self._fill()

    def _fill(self) -> None:
        texts = list(self.known)
        size = 1 << max(6, (4 * len(texts)).bit_length())
        self.table = np.zeros((size, 3), np.int64)
        self.means = np.zeros(size)
        self.texts = np.frombuffer(b"".join(texts) + bytes(8), np.uint8)
        bounds = np.cumsum([0, *map(len, texts)], dtype=np.int64)
        _insert(self.table, self.means, self.texts, bounds, np.array(list(self.known.values()), np.float64))

    def read(
        self, data: NDArray[np.uint8], starts: NDArray[np.int32], ends: NDArray[np.int32], counts: NDArray[np.int32],
        plain: NDArray[np.bool_], kind: int, limits: NDArray[np.float64], out: NDArray[np.float64],
    ) -> NDArray[np.int64]:  # fmt: skip
        """Fill ``out`` (n,) by :func:`read_values`; returns the rows whose text is new."""
        missed = np.empty(len(starts), np.int64)
        return missed[
            : read_values(data, starts, ends, counts, plain, kind, limits, self.table, self.texts, self.means, out, missed)
        ]
