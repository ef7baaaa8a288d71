"""Streaming readers of JSON lines and CSV: working rows as text, and broken records with position and reason.

A working row is (position, pid, birth_year, approximate_age, birth_date, profile), all text but the position. A broken record is
(position, reason). Positions count records from 0; for JSON lines they are line numbers from 0.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from predict_age.config import SourceConfig
from predict_age.errors import InputError
from predict_age.source.column_types import valid_text
from predict_age.source.discovery import SourceFile
from predict_age.source.filesystem import stream
from predict_age.source.row_group_reader import check_columns, flat_profile
from predict_age.source.row_rules import connect

BLOCK_BYTES = 8 << 20
LONGEST_LINE = 64 << 20
WORKING = pa.schema(
    [
        ("position", pa.int64()),
        ("pid", pa.string()),
        ("birth_year", pa.string()),
        ("approximate_age", pa.string()),
        ("birth_date", pa.string()),
        ("profile_json", pa.string()),
    ]
)


@dataclass
class TextChunk:
    """Some working rows (schema ``WORKING``) and the broken records found among them."""

    rows: pa.Table
    broken: list[tuple[int, str]] = field(default_factory=list)


def open_bytes(file: SourceFile) -> IO[bytes]:
    """The decompressed content as a binary stream."""
    raw = stream(file.path)
    return pa.CompressedInputStream(raw, file.compression) if file.compression else raw


def _blocks(file: SourceFile) -> Iterator[bytes]:
    """Decompressed content in blocks that end at a line end; a cut-off compressed stream raises InputError."""
    kept: list[bytes] = []
    kept_bytes = 0
    with open_bytes(file) as stream:
        while True:
            try:
                block = stream.read(BLOCK_BYTES)
            except (OSError, pa.ArrowInvalid, EOFError) as error:
                raise InputError(
                    f"{file.path} cannot be decompressed to its end",
                    expected=f"a complete {file.compression or 'plain'} file",
                    found=str(error).splitlines()[0],
                    fix="copy the file again; it was probably cut short",
                ) from None
            if not block:
                break
            end = block.rfind(b"\n") + 1
            if end == 0:
                kept.append(block)
                kept_bytes += len(block)
                if kept_bytes > LONGEST_LINE:
                    raise InputError(
                        f"a line of {file.path} is longer than {LONGEST_LINE >> 20} MiB",
                        expected="one JSON object a line",
                        fix="write the file as JSON lines (one record a line)",
                    )
                continue
            yield b"".join([*kept, block[:end]])
            kept, kept_bytes = ([block[end:]], len(block) - end) if end < len(block) else ([], 0)
    if kept:
        yield b"".join(kept)


def _lines(block: bytes) -> pa.Array:
    """The lines of ``block`` as an Arrow binary array without copying the text."""
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == 10).astype(np.int64) + 1
    if not block.endswith(b"\n"):
        ends = np.append(ends, len(block))
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(block)])


def read_jsonl(file: SourceFile, source: SourceConfig) -> Iterator[TextChunk]:
    """JSON lines, one object a line. Empty lines are no records."""
    connection = connect()
    flat = source.profile_json == "*"
    keys = list(source.light_columns)
    paths = [_json_path(k) for k in (keys if flat else [*keys, source.profile_json])]
    first = 0
    for block in _blocks(file):
        lines = _lines(block.removeprefix(b"\xef\xbb\xbf") if first == 0 else block)
        text = valid_text(pa.chunked_array([lines]))
        connection.register("lines", pa.table({"position": np.arange(first, first + len(text)), "line": text}))
        first += len(text)
        judged = connection.sql(
            f"""SELECT position, v[1] AS pid, v[2] AS birth_year, v[3] AS approximate_age, v[4] AS birth_date,
                       {"line" if flat else "v[5]"} AS profile_json,
                       CASE WHEN line = chr(0) THEN 'invalid_utf8' WHEN v IS NULL THEN 'malformed_json'
                            WHEN NOT starts_with(ltrim(line, ' \t'), '{{') THEN 'not_an_object' END AS problem
                FROM (SELECT position, line, try(json_extract_string(line, {paths!r})) AS v FROM lines
                      WHERE trim(line, E' \\t\\r\\n') <> '')"""
        ).to_arrow_table()
        yield _piece(judged)


def _json_path(key: str) -> str:
    return '$."' + key.replace('"', '\\"') + '"'


def _piece(judged: pa.Table) -> TextChunk:
    bad = judged.filter(pc.is_valid(judged["problem"]))
    broken = list(zip(bad["position"].to_pylist(), bad["problem"].to_pylist(), strict=True))
    good = judged.filter(pc.is_null(judged["problem"])) if broken else judged
    return TextChunk(good.select(WORKING.names).cast(WORKING), broken)


class _QuoteCounter(io.RawIOBase):
    """A stream that counts the double quotes passing through: an odd number at the end means that one was never closed."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._stream = stream
        self.quotes = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        block = self._stream.read(size)
        self.quotes += block.count(b'"')
        return block


def read_csv(file: SourceFile, source: SourceConfig, *, ages_needed: bool = True) -> Iterator[TextChunk]:
    """CSV with a header line, quoted by double quotes, line breaks allowed inside quotes; .tsv is tab-separated."""
    with open_bytes(file) as stream:
        head = stream.read(1 << 20)
    names = _header(head, file)
    check_columns(names, source, file.path, ages_needed=ages_needed)
    skipped: list[int] = []

    def skip(row: pacsv.InvalidRow) -> str:
        skipped.append(row.number if row.number is not None else -1)
        return "skip"

    delimiter = _delimiter(file)
    seen = 0
    last = ""
    with open_bytes(file) as raw:
        counter = _QuoteCounter(raw)
        try:
            reader = pacsv.open_csv(
                counter,
                read_options=pacsv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
                parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip),
                convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.binary()), strings_can_be_null=False),
            )
            for batch in reader:
                table = pa.Table.from_batches([batch])
                table = pa.table({n: valid_text(table[n]) for n in table.column_names})
                broken = [(max(number - 2, 0), "wrong_number_of_columns") for number in skipped]
                skipped.clear()
                positions = _positions(seen, table.num_rows, [p for p, _ in broken])
                seen += table.num_rows + len(broken)
                last = "".join(str(table[n][-1]) for n in table.column_names) if table.num_rows else last
                yield _csv_piece(table, positions, broken, source)
        except pa.ArrowInvalid as error:
            raise InputError(
                f"{file.path} is not valid CSV",
                expected="a header line, comma-separated, quotes closed",
                found=str(error).splitlines()[0],
                fix="mend the file, or write it as JSON lines or Parquet",
            ) from None
        if counter.quotes % 2 and "\n" in last:
            raise InputError(
                f"a quote is never closed in {file.path}: everything after it became part of one field",
                expected="every quoted field closed by a quote",
                found=f"{counter.quotes:,} quotes, an odd number",
                fix="mend the file; quotes inside a quoted field are written twice",
            )
        if skipped:
            empty = pa.table({n: pa.array([], pa.string()) for n in names})
            broken = [(max(number - 2, 0), "wrong_number_of_columns") for number in skipped]
            yield _csv_piece(empty, np.array([], np.int64), broken, source)


def _delimiter(file: SourceFile) -> str:
    return "\t" if ".tsv" in file.path.lower() else ","


def _header(head: bytes, file: SourceFile) -> list[str]:
    import csv

    try:
        text = head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="strict" if b"\n" not in head else "replace")
    except UnicodeDecodeError:
        text = ""
    names = next(csv.reader(io.StringIO(text), delimiter=_delimiter(file)), [])
    if len(set(names)) != len(names):
        raise InputError(f"a column name appears twice in the header of {file.path}", found=", ".join(names), fix="rename one")
    return names


def _positions(seen: int, rows: int, broken: list[int]) -> np.ndarray:
    """Record numbers of ``rows`` good rows that start at record ``seen``, with the broken ones left out."""
    numbers = np.arange(seen, seen + rows + len(broken), dtype=np.int64)
    positions: np.ndarray = np.setdiff1d(numbers, np.array(broken, dtype=np.int64))[:rows]
    return positions


def _csv_piece(table: pa.Table, positions: np.ndarray, broken: list[tuple[int, str]], source: SourceConfig) -> TextChunk:
    names = table.column_names
    absent = pa.nulls(table.num_rows, pa.string())
    light = [table[c] if c in names else absent for c in source.light_columns]
    if source.profile_json == "*":
        own = set(source.light_columns)
        profile = flat_profile(table.select([n for n in names if n not in own]))
    else:
        profile = table[source.profile_json]
    return TextChunk(pa.table([pa.array(positions), *light, profile], schema=WORKING), broken)
