"""Records of a block of CSV found all at once, by arrays of bytes, where no quote is doubtful."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predict_age.source.csv_dialect import CR, LF, Dialect

Bounds = NDArray[np.int64]


@dataclass(frozen=True)
class RecordBounds:
    """Records inside a block of CSV: first byte, byte after the last, number of fields; ``rest`` is where the next one begins."""

    starts: Bounds
    ends: Bounds
    fields: Bounds
    problems: dict[int, str]
    many_lines: list[int]
    rest: int


def find_together(data: bytes, dialect: Dialect, *, final: bool) -> RecordBounds | None:
    """The records of ``data`` where quotes stand only where the grammar has them, else None."""
    codes = np.frombuffer(data, np.uint8)
    end_of_line, delimiter = dialect.line_end[0], ord(dialect.delimiter)
    line_ends, delimiters = codes == end_of_line, codes == delimiter
    if dialect.line_end == CR and LF in data:
        return None
    many_lines = np.empty(0, np.int64)
    inside: NDArray[np.bool_] | None = None
    if dialect.quote and dialect.quote.encode() in data:
        if dialect.escape and dialect.escape.encode() in data:
            return None
        quotes = codes == ord(dialect.quote)
        inside = np.bitwise_xor.accumulate(quotes.view(np.uint8)).view(np.bool_)
        neighbours = line_ends | delimiters | quotes
        if (quotes[1:] & inside[1:] & ~neighbours[:-1]).any():
            return None  # a quote is opened inside a field
        if CR in data:
            neighbours |= codes == CR[0]
        if (quotes[:-1] & ~inside[:-1] & ~neighbours[1:]).any():
            return None  # text follows a closing quote
        many_lines = np.flatnonzero(line_ends & inside)
        line_ends &= ~inside
        delimiters &= ~inside
    if dialect.line_end == LF and CR in data and _has_lone_return(codes, inside):
        return None
    ends = np.flatnonzero(line_ends)
    if final and data and (not len(ends) or ends[-1] < len(data) - 1):
        if inside is not None and inside[-1]:
            return None  # a quote that is never closed
        ends = np.append(ends, len(data))
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])[: len(ends)]
    fields = np.diff(np.searchsorted(np.flatnonzero(delimiters), np.append(starts, ends[-1:]))) + 1
    rest = min(int(ends[-1]) + 1, len(data)) if len(ends) else 0
    several = np.unique(np.searchsorted(starts, many_lines[many_lines < rest], "right") - 1)
    return RecordBounds(starts, ends, fields, {}, several.tolist(), rest)


def _has_lone_return(codes: NDArray[np.uint8], inside: NDArray[np.bool_] | None) -> bool:
    """Whether a carriage return that ends no line stands outside quotes."""
    places = np.flatnonzero(codes == CR[0])
    places = places[places < len(codes) - 1]
    lone = (codes[places + 1] != LF[0]) & (codes[places + 1] != CR[0])
    return bool((lone if inside is None else lone & ~inside[places]).any())
