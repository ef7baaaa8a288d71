"""Turn text sources into Parquet working files (once, streamed), and route rows for the modulo partition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from predict_age.config import SourceConfig
from predict_age.source.row_group_reader import Split, read_split
from predict_age.source.row_rules import RowRules, connect
from predict_age.source.source_file import SourceFile
from predict_age.source.suppressed_records import Hiding, leave_out, none_left_out
from predict_age.source.suppression import hidden_people
from predict_age.source.text_readers import read_text
from predict_age.source.working_rows import WORKING
from predict_age.storage.durable_files import creating
from predict_age.storage.parquet_writer import RowGroupWriter
from predict_age.storage.suppression_list import SuppressionList

ROWS_PER_GROUP = 50_000
SMALL_FILE, BYTES_TOGETHER, FILES_TOGETHER = 256 << 10, 8 << 20, 200  # of files as they are stored, perhaps compressed
SET_ASIDE = pa.schema([("file", pa.string()), ("position", pa.int64()), ("reason", pa.string())])


@dataclass(frozen=True)
class Conversion:
    """Outcome of converting one text file: its rows are the row ``groups`` of the Parquet file ``path``."""

    file: int
    path: str
    groups: range
    broken: dict[str, int]  # reason -> records
    written: dict[str, str]  # path -> SHA-256 of the files written
    records: int  # in the bytes of the file
    left_out: np.ndarray = field(default_factory=none_left_out)  # records of suppressed people


def write_set_aside(path: Path, file: str, positions: list[int], reasons: list[str]) -> str:
    """Keep unusable records: their file, their position (records count from 1; for JSON lines the line), and why.

    Returns the SHA-256 of the new file.
    """
    table = pa.table([[file] * len(positions), [p + 1 for p in positions], reasons], schema=SET_ASIDE)
    with creating(path) as stream:
        pq.write_table(table, stream, compression="zstd")
    return stream.sha256


@dataclass(frozen=True)
class TextFile:
    """A text file of the source, its number, and whether it must have a column of ages."""

    number: int
    file: SourceFile
    ages_needed: bool = True


def converted_together(files: Sequence[TextFile]) -> list[list[TextFile]]:
    """Neighbours among ``files`` that are converted by one task into one Parquet file: many small ones, or one."""
    groups: list[list[TextFile]] = []
    size = 0
    for text in files:
        if groups and text.file.size <= SMALL_FILE and size + text.file.size <= BYTES_TOGETHER and len(groups[-1]) < FILES_TOGETHER:
            groups[-1].append(text)
            size += text.file.size
        else:
            groups.append([text])
            size = text.file.size
    return groups


def convert(
    files: list[TextFile], source: SourceConfig, folder: Path, set_aside: Path, hiding: Hiding | None = None
) -> list[Conversion]:
    """Write ``folder/<number of the first>.parquet`` with the usable records of JSON and CSV ``files``, and set the others aside.

    Each file begins a row group. Records of people who are suppressed are left out: nothing of them is written.
    """
    path = folder / f"{files[0].number:05d}.parquet"
    made = []
    with creating(path) as stream, RowGroupWriter(stream, WORKING, ROWS_PER_GROUP) as writer:
        first = 0
        for text in files:
            read = _write_file(text, source, writer, hiding)
            end = writer.end_group()
            made.append((text, range(first, end), read))
            first = end
    written = {str(path): stream.sha256}
    conversions = []
    for text, groups, read in made:
        aside = _set_aside(text, read.broken, set_aside)
        counts = dict(Counter(reason for _, reason in read.broken))
        conversions.append(Conversion(text.number, str(path), groups, counts, written | aside, read.records, read.left_out))
        text.file.check_unchanged()
    return conversions


@dataclass(frozen=True)
class _Read:
    """Records of one file: the ``broken`` ones with position and reason, how many there are, and those of suppressed people."""

    broken: list[tuple[int, str]]
    records: int
    left_out: np.ndarray


def _write_file(text: TextFile, source: SourceConfig, writer: RowGroupWriter, hiding: Hiding | None) -> _Read:
    broken: list[tuple[int, str]] = []
    left_out = [none_left_out()]
    records = 0
    for piece in read_text(text.file, source, ages_needed=text.ages_needed):
        rows = piece.rows
        if hiding is not None:
            rows, hidden, rejected = leave_out(rows, hiding)
            left_out.append(hidden)
            broken += rejected
        writer.write(rows)
        broken += piece.broken
        records += piece.records
    return _Read(broken, records, np.concatenate(left_out))


def _set_aside(text: TextFile, broken: list[tuple[int, str]], folder: Path) -> dict[str, str]:
    """Keep the ``broken`` records of a file; the path and SHA-256 of what was written, if anything."""
    if not broken:
        return {}
    path = folder / f"read-{text.number:05d}.parquet"
    return {str(path): write_set_aside(path, text.file.path, [p for p, _ in broken], [r for _, r in broken])}


def floor_mod(pids: np.ndarray, batches: int) -> np.ndarray:
    """The batch 0..batches-1 of each pid by *floor* modulo: -1 mod 4 is 3, so negative pids have a batch too."""
    result: np.ndarray = np.mod(pids, batches)
    return result


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as text; NaN, which is no value as a number, is none as text either."""
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return column.cast(pa.string())


def route(
    number: int,
    splits: list[Split],
    source: SourceConfig,
    rules: RowRules,
    batches: int,
    folder: Path,
    suppression: SuppressionList | None = None,
) -> tuple[str, list[int], str]:
    """Write the rows of ``splits`` (one source file) sorted by ``floor_mod(pid, batches)``, one row group a batch.

    Returns the path, the batch of each row group, and the file's SHA-256. Rows without a usable pid are left out: they are
    set aside already. So are those of suppressed people.
    """
    connection = connect()
    tables, mods = [], []
    for split in splits:
        for piece in read_split(split, source, with_profile=True):
            judged = rules.canonical(connection, piece.raw)
            hidden, _ = hidden_people(judged["pid"].fill_null(0).to_numpy(), suppression, rules.ids)
            usable = pa.array(judged["pid"].is_valid().to_numpy() & ~hidden)
            columns = [_as_text(piece.raw[c]) for c in ("birth_year", "approximate_age", "birth_date", "profile")]
            table = pa.table(
                [pa.array(piece.positions), judged["source_id" if rules.ids == "text" else "pid"].cast(pa.string()), *columns],
                schema=WORKING,
            )
            tables.append(table.filter(usable))
            mods.append(floor_mod(judged["pid"].filter(usable).to_numpy(), batches))
    path = folder / f"routed-{number:05d}.parquet"
    mod = np.concatenate(mods)
    order = np.argsort(mod, kind="stable")
    table = pa.concat_tables(tables).take(pa.array(order))
    bounds = np.searchsorted(mod[order], np.arange(batches + 1))
    groups = [b for b in range(batches) if bounds[b] < bounds[b + 1]]
    with creating(path) as stream, pq.ParquetWriter(stream, WORKING, compression="zstd", compression_level=1) as writer:
        for batch in groups:
            writer.write_table(table.slice(bounds[batch], bounds[batch + 1] - bounds[batch]), row_group_size=1 << 30)
    return str(path), groups, stream.sha256
