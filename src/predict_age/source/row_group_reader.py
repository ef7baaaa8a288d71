"""The unit of reading: one row group of a Parquet file, in slices of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from predict_age.config import SourceConfig
from predict_age.errors import InputError
from predict_age.source.filesystem import in_s3, random_access
from predict_age.source.row_rules import connect, register

SLICE_ROWS, SLICE_BYTES = 25_000, 24_000_000  # at most, of a slice: what is read together is in memory several times over
CACHE_CHUNK_BYTES = 4_000_000  # at most, of a slice that is looked through at once: it stays in the processor's cache
LIGHT_ROWS = 1_000_000  # at most, without profiles
LIGHT = ("pid", "birth_year", "approximate_age")


@dataclass(frozen=True)
class Split:
    """One row group. ``file`` indexes the source files; ``first_row`` is its first record's number in that file (from 0).

    ``working`` marks a converted file: its columns have canonical names, all text, and records carry their own numbers.
    """

    id: int
    file: int
    path: str
    row_group: int
    rows: int
    first_row: int
    working: bool


@dataclass(frozen=True)
class Slice:
    """Some consecutive rows. ``raw`` has the columns pid, birth_year, approximate_age as found, and profile as text when asked."""

    first: int  # position of the first row inside the split
    raw: pa.Table
    positions: NDArray[np.int64]  # record numbers inside the original file, from 0


def open_parquet(path: str) -> pq.ParquetFile:
    """Open a Parquet file or raise InputError saying why it is none."""
    try:
        return pq.ParquetFile(random_access(path), pre_buffer=in_s3(path))
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"not a readable Parquet file: {path}",
            expected="Parquet with a valid footer",
            found=reason,
            fix="replace or remove the file",
        ) from None


def check_columns(names: Sequence[str], source: SourceConfig, path: str) -> None:
    """Raise InputError unless the file has a pid, an age and a profile column under the configured names."""
    found = "columns " + ", ".join(names) if names else "no columns"
    if source.pid not in names:
        raise InputError(
            f"no person identifier in {path}",
            expected=f'a column "{source.pid}"',
            found=found,
            fix='name your column under [source] in the configuration: pid = "..."',
        )
    if source.birth_year not in names and source.approximate_age not in names:
        raise InputError(
            f"no age in {path}",
            expected=f'a column "{source.birth_year}" or "{source.approximate_age}"',
            found=found,
            fix='name your column under [source]: approximate_age = "..." or birth_year = "..."',
        )
    if source.profile_json != "*" and source.profile_json not in names:
        raise InputError(
            f"no profile in {path}",
            expected=f'a column "{source.profile_json}"',
            found=found,
            fix='name your column under [source], or set profile_json = "*" to use all other columns as the profile',
        )


@lru_cache(maxsize=8)
def _cached_file(path: str) -> pq.ParquetFile:
    return open_parquet(path)


def read_split(
    split: Split,
    source: SourceConfig,
    *,
    with_profile: bool,
    with_ids: bool = True,
    only: NDArray[np.bool_] | None = None,
    most_bytes: int = SLICE_BYTES,
) -> Iterator[Slice]:
    """Stream the rows of ``split``. ``with_profile=False`` leaves the profile column unread, ``with_ids=False`` ids and ages: NULL.

    ``only`` (rows of the split,) keeps the marked rows; a slice without any is not yielded. ``most_bytes`` bounds a slice.
    """
    file = _cached_file(split.path)
    names = file.schema_arrow.names
    if split.working:
        source = SourceConfig()
    else:
        check_columns(names, source, split.path)
    aged = [c for c in (source.pid, source.birth_year, source.approximate_age) if c in names]
    flat = source.profile_json == "*"
    rest = [n for n in names if n not in aged] if flat else [source.profile_json]
    numbered = split.working and with_ids
    columns = (aged if with_ids else []) + (rest if with_profile else []) + (["position"] if numbered else [])
    columns = columns or aged[:1]  # rows are counted by some column
    first = 0
    try:
        together = _rows_together(file, split.row_group, columns, SLICE_ROWS if with_profile else LIGHT_ROWS, most_bytes)
        for batch in file.iter_batches(together, row_groups=[split.row_group], columns=columns, use_threads=False):
            table = pa.Table.from_batches([batch])
            rows = table.num_rows
            if first + rows > split.rows:  # said below, before anybody counts on the split's rows
                first += rows
                break
            positions = table["position"].to_numpy() if numbered else np.arange(rows, dtype=np.int64) + split.first_row + first
            if only is not None:
                keep = only[first : first + rows]
                table, positions = table.filter(pa.array(keep)), positions[keep]
            if table.num_rows:
                raw = _rename(table, source, aged if with_ids else [], rest if with_profile else None, flat)
                yield Slice(first, raw, positions)
            first += rows
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"a Parquet file is damaged: {split.path}, row group {split.row_group}",
            found=str(error).splitlines()[0],
            fix="replace the file and start a new run",
        ) from None
    if first != split.rows:
        raise InputError(
            f"a source file changed during the run: {split.path}",
            expected=f"{split.rows:,} rows in row group {split.row_group}",
            found=f"{first:,}",
            fix="start a new run on a source that nobody writes to",
        )


def _rows_together(file: pq.ParquetFile, row_group: int, columns: list[str], most: int, most_bytes: int) -> int:
    """How many rows make a slice of ``columns``, ``most`` of them: as few slices as the limits allow, of the same size."""
    group = file.metadata.row_group(row_group)
    chunks = [group.column(i) for i in range(group.num_columns)]
    size = sum(c.total_uncompressed_size for c in chunks if c.path_in_schema.split(".")[0] in columns)
    slices = max(-(-group.num_rows // most), -(-size // most_bytes), 1)
    return max(-(-group.num_rows // slices), 1)


def _rename(table: pa.Table, source: SourceConfig, aged: list[str], profile: list[str] | None, flat: bool) -> pa.Table:
    absent = pa.nulls(table.num_rows)
    columns = {}
    for name, column in zip(LIGHT, (source.pid, source.birth_year, source.approximate_age), strict=True):
        columns[name] = _plain(table[column]) if column in aged else absent
    if profile is not None:
        columns["profile"] = flat_profile(table.select(profile)) if flat else profile_text(table[profile[0]])
    return pa.table(columns)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Dictionary and binary columns become what they stand for."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return valid_text(column)
    return column


def valid_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """``column`` as text; a value that is not valid UTF-8 becomes one NUL character, which no JSON and no number is."""
    try:
        text = column.cast(pa.string())
        text.validate(full=True)
        return text
    except pa.ArrowInvalid:
        values = column.cast(pa.binary(), safe=False).to_pylist()
        return pa.chunked_array([pa.array([_decode(v) for v in values], pa.string())])


def text_buffers(text: pa.StringArray) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The bytes of ``text`` (n,), and bounds (n + 1,): those of text i are from ``bounds[i]`` to ``bounds[i + 1]``."""
    _, offsets, content = text.buffers()
    bounds = np.frombuffer(offsets, np.int32)[text.offset : text.offset + len(text) + 1] if len(text) else np.zeros(1, np.int32)
    return np.frombuffer(content if content is not None else b"\0", np.uint8), bounds


def _decode(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return "\x00"


def profile_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The profile column as JSON text: text stays, structs, maps and lists are written as JSON."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        column = pa.chunked_array([c.storage for c in column.chunks], kind.storage_type)
        kind = column.type
    if pa.types.is_dictionary(kind):
        column = _plain(column)
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return valid_text(column)
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    return _to_json(pa.table({"profile": column}), 'CASE WHEN "profile" IS NULL THEN NULL ELSE to_json("profile") END')


def flat_profile(table: pa.Table) -> pa.ChunkedArray:
    """One JSON object a row from the columns of a flat file; empty text counts as missing."""
    if not table.num_columns:
        return pa.chunked_array([pa.repeat(pa.scalar("{}"), table.num_rows)])
    fields = []
    for name in table.column_names:
        quoted = '"' + name.replace('"', '""') + '"'
        value = f"nullif({quoted}, '')" if pa.types.is_string(table.schema.field(name).type) else quoted
        fields.append(f"{quoted} := {value}")
    table = pa.table({n: _plain(table[n]) for n in table.column_names})
    return _to_json(table, f"to_json(struct_pack({', '.join(fields)}))")


def _to_json(table: pa.Table, expression: str) -> pa.ChunkedArray:
    connection = connect()
    register(connection, "columns_of_profile", table)
    result = connection.sql(f"SELECT CAST({expression} AS VARCHAR) AS profile FROM columns_of_profile").to_arrow_table()
    return pc.cast(result["profile"], pa.string())
