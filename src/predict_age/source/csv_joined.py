"""Two records of CSV on one line, because a file that was put before another one ended without a line end."""

from __future__ import annotations

import re
from collections.abc import Sequence

from predict_age.source.csv_dialect import CR, Dialect
from predict_age.source.csv_records import looks_like_id
from predict_age.source.text_stream import MARK

FEWEST_COLUMNS = 3  # of records that a quote alone divides where the line is well quoted: of two, it may be a value with a quote


def without_line_end(record: bytes, dialect: Dialect, columns: int, pid: int, headers: Sequence[bytes]) -> tuple[int, int] | None:
    """Where the first of two whole records in ``record`` ends, and the second begins; None where it is not surely two.

    The header line, a byte order mark or a quote shows where. Without any of these nobody can say where the last value of the one
    ends and the first value of the other begins.
    """
    text = record.rstrip(CR)
    if columns == 1 or dialect.line_end in text:
        return None
    for header in headers:
        begin = len(text) - len(header)
        if (
            begin > 0
            and text[begin:].lower() == header.lower()
            and _is_whole(first := text[:begin].removesuffix(MARK), dialect, columns)
        ):
            return len(first), begin
    if not (last := _begin_of_last(text, dialect, columns)):
        return None
    quote = re.escape(dialect.quote.encode())
    own = dialect.fields(text)[pid] if pid < columns - 1 else b""
    divided = columns >= FEWEST_COLUMNS or not _is_whole(text, dialect)
    quotes = [at for found in re.finditer(quote, text[last:]) for at in found.span()] if quote and divided else []
    marks = [found.start() for found in re.finditer(MARK, text[last:])]
    found = {}
    for at in dict.fromkeys(last + place for place in (*marks, *quotes) if place):
        begin = at + len(MARK) * text.startswith(MARK, at)
        if dialect.field.fullmatch(text, last, at) and _is_whole(text[begin:], dialect, columns):
            value = dialect.fields(text[begin:])[pid]
            mine = own or dialect.fields(text[:at])[pid]
            if not (quote and dialect.quote.encode() in value) and looks_like_id(value, mine, dialect):
                found[at] = begin
    return next(iter(found.items())) if len(found) == 1 else None


def _is_whole(text: bytes, dialect: Dialect, columns: int = 0) -> bool:
    """Whether ``text`` is a well quoted record, of so many ``columns`` where they are given."""
    return bool(dialect.record.fullmatch(text)) and columns in (0, len(dialect.fields(text)))


def _begin_of_last(text: bytes, dialect: Dialect, columns: int) -> int:
    """Where the last of so many ``columns`` begins; 0 where a field before it is wrongly quoted, or there are fewer."""
    at = 0
    for _ in range(columns - 1):
        match = dialect.field.match(text, at)
        if match is None or match.end() >= len(text):
            return 0
        at = match.end() + 1
    return at
