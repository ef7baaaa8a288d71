"""Whole records of a source, whose columns need not be configured: Parquet as tables, every format as JSON objects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from predict_age.config import SourceConfig
from predict_age.source.csv_header import FirstLine, no_header
from predict_age.source.csv_reader import classified_header, read_csv
from predict_age.source.json_reader import read_jsonl
from predict_age.source.parquet_file import PARQUET_ERRORS, damaged_parquet, open_parquet
from predict_age.source.profile_json import flat_profile
from predict_age.source.row_group_reader import SLICE_ROWS, Split, source_splits, with_folder_columns
from predict_age.source.source_file import SourceFile
from predict_age.source.spread import in_turn, spread_sample

BY_POSITION = "#1"  # the first column of a CSV file, where it has no name
UNUSED = "\0unused"  # no column of a source has this name


@dataclass(frozen=True)
class RecordPiece:
    """Some consecutive records of one file: ``texts`` (n,) VARCHAR are JSON objects. ``place``: the file, and the first record."""

    place: tuple[int, int]
    texts: pa.ChunkedArray

    def __len__(self) -> int:
        return len(self.texts)

    def part(self, first: int, records: int) -> RecordPiece:
        """At most ``records`` of its records from ``first`` on."""
        return RecordPiece((self.place[0], self.place[1] + first), self.texts.slice(first, records))


def sample_records(files: Sequence[SourceFile], most: int) -> list[RecordPiece]:
    """Up to ``most`` records spread over ``files``, in the order of the source. Raises InputError for a file that is unreadable."""
    return spread_sample([partial(_records, file, number) for number, file in enumerate(files)], most)


def record_texts(file: SourceFile) -> Iterator[pa.ChunkedArray]:
    """All records of one file, in order, as JSON objects."""
    return _texts(file) if file.format != "parquet" else map(flat_profile, parquet_tables(file))


def parquet_tables(file: SourceFile) -> Iterator[pa.Table]:
    """All rows of a Parquet file, in order, with all columns, those of folders included."""
    opened = open_parquet(file.path)
    for split in source_splits(file, 0, opened):
        yield from _tables_of_split(opened, split, SLICE_ROWS)


def _tables_of_split(opened: pq.ParquetFile, split: Split, most_rows: int) -> Iterator[pa.Table]:
    """All columns of some row groups of an ``opened`` file, at most ``most_rows`` rows together."""
    try:
        for batch in opened.iter_batches(min(most_rows, SLICE_ROWS), row_groups=split.numbers, use_threads=False):
            yield with_folder_columns(pa.Table.from_batches([batch]), split.partition)
    except PARQUET_ERRORS as error:
        raise damaged_parquet(split.path, split.row_group, error) from None


def _records(file: SourceFile, number: int, most: int) -> Iterator[RecordPiece]:
    """The records of a file, beginning with ``most`` that are spread over its row groups."""
    if file.format == "parquet":
        opened = open_parquet(file.path, whole=False)
        yield from in_turn([partial(_records_of_split, opened, split) for split in source_splits(file, number, opened)], most)
        return
    first = 0
    for texts in _texts(file):
        yield RecordPiece((number, first), texts)
        first += len(texts)


def _records_of_split(opened: pq.ParquetFile, split: Split, most: int) -> Iterator[RecordPiece]:
    first = split.first_row
    for table in _tables_of_split(opened, split, most):
        yield RecordPiece((split.file, first), flat_profile(table))
        first += table.num_rows


def _texts(file: SourceFile) -> Iterator[pa.ChunkedArray]:
    """Records of a text file as JSON objects."""
    if file.format == "jsonl":
        for chunk in read_jsonl(file, _settings(UNUSED)):
            yield chunk.rows["profile_json"]
        return
    header, first_line = classified_header(file)
    if not header:
        return
    if first_line is FirstLine.RECORD:
        raise no_header(file.path)
    name = header[0] or BY_POSITION  # an index as pandas and R write it
    first = json.dumps(name, ensure_ascii=False)
    for chunk in read_csv(file, _settings(name), ages_needed=False):
        ids, rest = chunk.rows["pid"].to_pylist(), chunk.rows["profile_json"].to_pylist()
        yield pa.chunked_array([[_with_first(first, pid, text) for pid, text in zip(ids, rest, strict=True)]], pa.string())


def _with_first(name: str, value: str | None, text: str) -> str:
    """The JSON object ``text`` with one more member in front; ``name`` is written as JSON already."""
    member = f"{name}:{json.dumps(value, ensure_ascii=False)}"
    return "{" + member + (text[1:] if text == "{}" else "," + text[1:])


def _settings(pid: str) -> SourceConfig:
    """Settings that make every column but ``pid`` part of the profile."""
    return SourceConfig(pid=pid, birth_year=UNUSED, approximate_age=UNUSED + "2", birth_date=UNUSED + "3", profile_json="*")
