"""Turn text sources into Parquet working files (once, streamed), and route rows for the modulo partition."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from predict_age.config import SourceConfig
from predict_age.source.discovery import SourceFile
from predict_age.source.row_group_reader import Split, read_split
from predict_age.source.row_rules import RowRules, connect
from predict_age.source.suppressed_records import Hiding, leave_out, none_left_out
from predict_age.source.suppression import hidden_people
from predict_age.source.text_readers import read_text
from predict_age.source.working_rows import WORKING
from predict_age.storage.durable_files import creating
from predict_age.storage.parquet_writer import RowGroupWriter
from predict_age.storage.suppression_list import SuppressionList

ROWS_PER_GROUP = 50_000
SET_ASIDE = pa.schema([("file", pa.string()), ("position", pa.int64()), ("reason", pa.string())])


@dataclass(frozen=True)
class Conversion:
    """Outcome of converting one text file."""

    file: int
    path: str
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


def convert(
    number: int,
    file: SourceFile,
    source: SourceConfig,
    folder: Path,
    set_aside: Path,
    ages_needed: bool = True,
    hiding: Hiding | None = None,
) -> Conversion:
    """Write ``folder/<number>.parquet`` with the usable records of a JSON lines or CSV file, and set the others aside.

    Records of people who are suppressed are left out: nothing of them is written.
    """
    pieces = read_text(file, source, ages_needed=ages_needed)
    path = folder / f"{number:05d}.parquet"
    broken: list[tuple[int, str]] = []
    records = 0
    left_out = [none_left_out()]
    with creating(path) as stream, RowGroupWriter(stream, WORKING, ROWS_PER_GROUP) as writer:
        for piece in pieces:
            rows = piece.rows
            if hiding is not None:
                rows, hidden, rejected = leave_out(rows, hiding)
                left_out.append(hidden)
                broken += rejected
            writer.write(rows)
            broken += piece.broken
            records += piece.records
    counts: dict[str, int] = {}
    written = {str(path): stream.sha256}
    for _, reason in broken:
        counts[reason] = counts.get(reason, 0) + 1
    if broken:
        aside = set_aside / f"read-{number:05d}.parquet"
        written[str(aside)] = write_set_aside(aside, file.path, [p for p, _ in broken], [r for _, r in broken])
    file.check_unchanged()
    return Conversion(number, str(path), counts, written, records, np.concatenate(left_out))


def floor_mod(pids: np.ndarray, batches: int) -> np.ndarray:
    """The batch 0..batches-1 of each pid by *floor* modulo: -1 mod 4 is 3, so negative pids have a batch too."""
    result: np.ndarray = np.mod(pids, batches)
    return result


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
            columns = [piece.raw[c].cast(pa.string()) for c in ("birth_year", "approximate_age", "birth_date", "profile")]
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
