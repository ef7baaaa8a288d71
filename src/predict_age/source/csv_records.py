"""Records of a block of CSV whose bounds are known: the text that is parsed, further header lines, and records inside a record."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np

from predict_age.source.csv_blocks import RecordBounds
from predict_age.source.csv_dialect import CR, Dialect

ASCII_CASE = 0x20  # the bit in which a letter differs from its capital
MOST_RETURNS = 2  # carriage returns at the end of a line
_WHOLE_NUMBER = re.compile(rb"[+-]?[0-9]+(?:[.]0*)?")
_OTHER_ENDS = re.compile(rb"\r|[\x0b\x0c\x1e\0]|\xc2\x85|\xe2\x80[\xa8\xa9]|\\[rn]")  # of lines, in other files or by mistake


def text_of_records(data: bytes, found: RecordBounds, without: Collection[int], dialect: Dialect) -> bytes | memoryview:
    """The records ``found`` in ``data`` but those numbered in ``without``, quotes in them written twice and not escaped."""
    changed = dict.fromkeys(without, b"")
    if escape := dialect.escape.encode():
        records = zip(found.starts.tolist(), found.ends.tolist(), strict=True)
        escaped = {i: data[start:end] for i, (start, end) in enumerate(records) if escape in data[start:end]}
        changed = {i: dialect.without_escapes(raw) for i, raw in escaped.items()} | changed
    if not changed:
        return memoryview(data)[: found.rest]
    pieces, first = [], 0
    for number in sorted(changed):
        behind = int(found.starts[number + 1]) if number + 1 < len(found.starts) else found.rest
        pieces += [data[first : found.starts[number]], changed[number]]
        first = behind if number in without else int(found.ends[number])
    return b"".join([*pieces, data[first : found.rest]])


def records_equal_to(line: bytes, data: bytes, found: RecordBounds) -> list[int]:
    """Numbers of the records ``found`` in ``data`` that are this ``line``, such as the header once more; none of an empty line.

    Letters of ASCII count in either case: another writer may have begun names with capitals.
    """
    if not line:
        return []
    line = line.lower()
    codes, lengths = np.frombuffer(data, np.uint8), found.ends - found.starts
    like = np.flatnonzero((lengths >= len(line)) & (lengths <= len(line) + MOST_RETURNS))
    for place in (0, len(line) // 2, len(line) - 1):  # a few bytes tell nearly all others
        like = like[(codes[found.starts[like] + place] | ASCII_CASE) == (line[place] | ASCII_CASE)]
    return [i for i in like.tolist() if data[found.starts[i] : found.ends[i]].rstrip(CR).lower() == line]


def spellings_of(header: bytes, names: Sequence[str], dialect: Dialect) -> list[bytes]:
    """The line ``header`` as it is written, with all its ``names`` in quotes, and with none where they need none.

    The last two also with a space behind each delimiter, as people write them.
    """
    quote, delimiter = dialect.quote, dialect.delimiter
    several = []
    if quote:
        several.append([quote + name.replace(quote, quote + quote) + quote for name in names])
    if not any(sign in name for name in names for sign in (quote or delimiter, delimiter, "\n", "\r")):
        several.append(list(names))
    lines = [between.join(written).encode() for written in several for between in (delimiter, delimiter + " ")]
    return list(dict.fromkeys([header, *lines]))


def records_inside(record: bytes, dialect: Dialect, columns: int, pid: int) -> list[bytes]:
    """Parts of a ``record`` between line ends of other files that look like records: so many ``columns``, and an id in ``pid``."""
    parts = _parts(record, dialect)
    if len(parts) == 1 or columns == 1:
        return []
    records = [(part, fields[pid]) for part in parts if len(fields := dialect.fields(part)) == columns]
    return [part for part, value in records if looks_like_id(value, records[0][1], dialect)]


def _parts(record: bytes, dialect: Dialect) -> list[bytes]:
    """Parts of a ``record`` between line ends of other files. Those inside a quoted field that is closed are part of its value."""
    outside, ends = record, _OTHER_ENDS.pattern
    if dialect.quote and dialect.quote.encode() in record:
        quote, around = re.escape(dialect.quote.encode()), re.escape(dialect.delimiter.encode()) + b"|" + ends
        field = rb"(\A|%s)(%s%s)(?=%s|\Z)" % (around, dialect.quoted.pattern, quote, around)
        outside = re.sub(field, lambda found: found[1] + b"x" * len(found[2]), record, flags=re.DOTALL)
    bounds = [0, *(place for found in _OTHER_ENDS.finditer(outside) for place in found.span()), len(record)]
    return [record[begin:end] for begin, end in zip(bounds[::2], bounds[1::2], strict=True)]


def looks_like_id(value: bytes, own: bytes, dialect: Dialect) -> bool:
    """Whether ``value`` looks like the identifiers of a file, of which ``own`` is one."""
    value = value.strip(dialect.quote.encode() + b" ") if dialect.quote else value
    if _WHOLE_NUMBER.fullmatch(own.strip()):
        return _WHOLE_NUMBER.fullmatch(value.strip()) is not None
    return bool(value) and not re.search(rb"\s", value)
