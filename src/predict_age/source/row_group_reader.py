"""The unit of reading: a row group of a Parquet file, or several small ones, in slices of bounded size."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from predict_age.config import SourceConfig
from predict_age.errors import InputError
from predict_age.source.column_names import check_columns, with_folders
from predict_age.source.column_types import has_nested_dictionary, plain_values, without_missing
from predict_age.source.filesystem import in_s3
from predict_age.source.parquet_file import PARQUET_ERRORS, damaged_parquet, open_parquet
from predict_age.source.path_partition import PathPartition
from predict_age.source.profile_json import flat_profile, profile_text
from predict_age.source.source_file import SourceFile

SLICE_ROWS, SLICE_BYTES = 25_000, 24_000_000  # at most, of a slice: what is read together is in memory several times over
CACHE_CHUNK_BYTES = 4_000_000  # at most, of a slice that is looked through at once: it stays in the processor's cache
LIGHT_ROWS = 1_000_000  # at most, without profiles
LIGHT = ("pid", "birth_year", "approximate_age", "birth_date")  # names of ``SourceConfig.light_columns`` in a slice


@dataclass(frozen=True)
class Split:
    """A row group, or several small ones in a row: ``row_group`` is the first of ``row_groups``.

    ``file`` indexes the source files; ``first_row`` is the number of its first record in that file (from 0).
    ``working`` marks a converted file: its columns have canonical names, all text, and records carry their own numbers.
    ``partition`` are columns that the folders of the file add.
    """

    id: int
    file: int
    path: str
    row_group: int
    rows: int
    first_row: int
    working: bool
    row_groups: int = 1
    partition: PathPartition = ()

    @property
    def numbers(self) -> list[int]:
        """Numbers of its row groups."""
        return list(range(self.row_group, self.row_group + self.row_groups))


@dataclass(frozen=True)
class Slice:
    """Some consecutive rows. ``raw`` has the columns ``LIGHT`` as found, and profile as text when asked."""

    first: int  # position of the first row inside the split
    raw: pa.Table
    positions: NDArray[np.int64]  # record numbers inside the original file, from 0


def splits_of_file(
    metadata: pq.FileMetaData,
    first_id: int,
    file: int,
    path: str,
    *,
    working: bool,
    partition: PathPartition = (),
    most_rows: int = SLICE_ROWS,
    groups: range | None = None,
) -> list[Split]:
    """Splits of a Parquet file, in order: row groups that together fit into one slice are one split; empty ones are left out.

    ``most_rows`` bounds the rows of several groups together: a batch holds whole splits. ``groups``: only these row groups.
    """
    splits: list[Split] = []
    first_row = size = 0
    for number in range(metadata.num_row_groups) if groups is None else groups:
        group = metadata.row_group(number)
        rows, size = group.num_rows, size + group.total_byte_size
        if not rows:
            continue
        last = splits[-1] if splits else None
        if last is not None and last.rows + rows <= min(SLICE_ROWS, most_rows) and size <= SLICE_BYTES:
            splits[-1] = replace(last, rows=last.rows + rows, row_groups=number - last.row_group + 1)
        else:
            splits.append(Split(first_id + len(splits), file, path, number, rows, first_row, working, partition=partition))
            size = group.total_byte_size
        first_row += rows
    return splits


def source_splits(file: SourceFile, number: int, opened: pq.ParquetFile | None = None) -> list[Split]:
    """Splits of a Parquet file of a source, in which it has the ``number``; it may be ``opened`` already."""
    metadata = (opened or open_parquet(file.path)).metadata
    return splits_of_file(metadata, 0, number, file.path, working=False, partition=file.partition)


def repeated_text(value: str | None, rows: int) -> pa.ChunkedArray:
    """A column of ``rows`` times the same text."""
    return pa.chunked_array([pa.nulls(rows, pa.string()) if value is None else pa.repeat(pa.scalar(value, pa.string()), rows)])


def with_folder_columns(table: pa.Table, partition: PathPartition, names: Collection[str] | None = None) -> pa.Table:
    """``table`` with the columns that folders add, but those that the file has itself: ``names``, or all of the table."""
    for name, value in partition:
        if name not in (table.column_names if names is None else names):
            table = table.append_column(name, repeated_text(value, table.num_rows))
    return table


@lru_cache(maxsize=8)
def _cached_file(path: str, whole: bool, state: tuple[int, ...]) -> pq.ParquetFile:
    return open_parquet(path, whole=whole)


def _state(path: str) -> tuple[int, ...]:
    """Device, number, size and time of the file at ``path``, which change with its contents; nothing for an object of S3."""
    if in_s3(path):
        return ()
    try:
        found = Path(path).stat()
    except OSError:
        return ()  # opening the file says so
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def read_split(
    split: Split,
    source: SourceConfig,
    *,
    with_profile: bool,
    with_ids: bool = True,
    only: NDArray[np.bool_] | None = None,
    most_bytes: int = SLICE_BYTES,
    most_rows: int | None = None,
    whole: bool = True,
    profile_columns: Collection[str] | None = None,
) -> Iterator[Slice]:
    """Stream the rows of ``split``. ``with_profile=False`` leaves the profile column unread, ``with_ids=False`` ids and ages: NULL.

    ``only`` (rows of the split,) keeps the marked rows; a slice without any is not yielded. ``most_bytes`` and ``most_rows`` bound
    a slice. ``whole=False``: the caller stops after the first rows. Flat profiles are made of the ``profile_columns`` alone, where
    these are given.
    """
    file = _cached_file(split.path, whole, _state(split.path))
    names = file.schema_arrow.names
    if split.working:
        source = SourceConfig(missing_values=())  # whoever wrote the file has left them out
    else:
        check_columns(with_folders(names, split.partition), source, split.path, ages_needed=False)
    every = with_folders(names, split.partition)
    aged = list(dict.fromkeys(c for c in source.light_columns if c in every))
    flat = source.profile_json == "*"
    rest = [source.profile_json]
    if flat:
        rest = [n for n in every if n not in aged and (profile_columns is None or n in profile_columns)]
    numbered = split.working and with_ids
    columns = (aged if with_ids else []) + (rest if with_profile else []) + (["position"] if numbered else [])
    there = set(names)
    columns = [c for c in columns if c in there] or names[:1]  # rows are counted by some column
    first = 0
    try:
        most = SLICE_ROWS if with_profile else LIGHT_ROWS
        together = _rows_together(file, split, columns, min(most_rows or most, most), most_bytes)
        for read in _tables(file, split, columns, together):
            table = read
            rows = table.num_rows
            if first + rows > split.rows:  # said below, before anybody counts on the split's rows
                first += rows
                break
            positions = table["position"].to_numpy() if numbered else np.arange(rows, dtype=np.int64) + split.first_row + first
            if only is not None:
                keep = only[first : first + rows]
                table, positions = _kept(table, keep), positions[keep]
            if table.num_rows:
                raw = _rename(
                    with_folder_columns(table, split.partition, names),
                    source,
                    aged if with_ids else [],
                    rest if with_profile else None,
                    flat,
                )
                yield Slice(first, raw, positions)
            first += rows
    except PARQUET_ERRORS as error:
        raise damaged_parquet(split.path, split.row_group, error) from None
    if first != split.rows:
        raise InputError(
            f"a source file changed during the run, or is damaged: {split.path}",
            expected=f"{split.rows:,} rows in row group {split.row_group}",
            found=f"{first:,}",
            fix="start a new run on a source that nobody writes to, or replace the file",
        )


def merged(tables: Iterable[pa.Table], most_rows: int, most_bytes: int = sys.maxsize) -> Iterator[pa.Table]:
    """The rows of ``tables``, in order: neighbours with equal schemas are one table, up to so many rows and bytes.

    A statement of SQL takes as long for one row as for a thousand.
    """
    kept: list[pa.Table] = []
    rows = size = 0
    for table in tables:
        too_much = rows + table.num_rows > most_rows or size + table.nbytes > most_bytes
        if kept and (too_much or not table.schema.equals(kept[0].schema)):
            yield pa.concat_tables(kept)
            kept, rows, size = [], 0, 0
        kept.append(table)
        rows, size = rows + table.num_rows, size + table.nbytes
    if kept:
        yield pa.concat_tables(kept)


def _tables(file: pq.ParquetFile, split: Split, columns: list[str], together: int) -> Iterator[pa.Table]:
    """The ``columns`` of ``split``, ``together`` rows at a time: also where Arrow gives them row group by row group."""
    wanted = set(columns)
    alone = any(has_nested_dictionary(field.type) for field in file.schema_arrow if field.name in wanted)
    waiting, rows = list[pa.RecordBatch](), 0
    for groups in [[number] for number in split.numbers] if alone else [split.numbers]:
        for batch in file.iter_batches(together, row_groups=groups, columns=columns, use_threads=False):
            if waiting and rows + batch.num_rows > together:
                yield pa.Table.from_batches(waiting)
                waiting, rows = [], 0
            waiting.append(batch)
            rows += batch.num_rows
    if waiting:
        yield pa.Table.from_batches(waiting)


def _kept(table: pa.Table, keep: NDArray[np.bool_]) -> pa.Table:
    """The rows of ``table`` (n,) that ``keep`` (n,) marks, also of types that Arrow does not filter, such as views."""
    try:
        return table.filter(pa.array(keep))
    except pa.ArrowNotImplementedError:
        ends = np.flatnonzero(np.diff(np.concatenate([[False], keep, [False]])))
        return pa.concat_tables([table.slice(0, 0), *(table.slice(a, b - a) for a, b in ends.reshape(-1, 2).tolist())])


def _rows_together(file: pq.ParquetFile, split: Split, columns: list[str], most: int, most_bytes: int) -> int:
    """Rows of a slice of ``columns``, at most ``most``: as few slices as the limits allow, of equal size."""
    wanted, schema = set(columns), file.metadata.schema
    read = [i for i in range(file.metadata.num_columns) if schema.column(i).path.split(".")[0] in wanted]
    groups = [file.metadata.row_group(number) for number in split.numbers]
    size = sum(group.column(i).total_uncompressed_size for group in groups for i in read)
    slices = max(-(-split.rows // most), -(-size // most_bytes), 1)
    return max(-(-split.rows // slices), 1)


def _rename(table: pa.Table, source: SourceConfig, aged: list[str], profile: list[str] | None, flat: bool) -> pa.Table:
    absent = pa.nulls(table.num_rows)
    columns = {}
    for name, column in zip(LIGHT, source.light_columns, strict=True):
        columns[name] = without_missing(plain_values(table[column]), source.missing_values) if column in aged else absent
    if profile is not None:
        columns["profile"] = flat_profile(table.select(profile)) if flat else profile_text(table[profile[0]])
    return pa.table(columns)


def text_buffers(text: pa.StringArray) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The bytes of ``text`` (n,), and bounds (n + 1,): those of text i are from ``bounds[i]`` to ``bounds[i + 1]``."""
    _, offsets, content = text.buffers()
    bounds = np.frombuffer(offsets, np.int32)[text.offset : text.offset + len(text) + 1] if len(text) else np.zeros(1, np.int32)
    return np.frombuffer(content if content is not None else b"\0", np.uint8), bounds
