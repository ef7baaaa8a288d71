"""Sample of a source whose columns are not configured yet: whole records, as JSON has them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from predict_age.config import SourceConfig
from predict_age.source.csv_reader import header_of, read_csv
from predict_age.source.discovery import SourceFile, list_source
from predict_age.source.json_reader import read_jsonl
from predict_age.source.parquet_file import open_parquet
from predict_age.source.profile_json import flat_profile
from predict_age.source.row_group_reader import repeated_text

ROWS_SAMPLED = 20_000
SAMPLE_PLACES = 8  # files, or row groups of a file, that the sample is taken from
BY_POSITION = "#1"  # the first column of a CSV file, where it has no name
UNUSED = "\0unused"  # no column of a source has this name

Record = dict[str, object]


@dataclass(frozen=True)
class SourceSample:
    """Records of a source. ``columns``: names of the top level, in order; ``texts_only``: every value is text (CSV)."""

    files: tuple[SourceFile, ...]
    records: list[Record]
    columns: list[str]
    texts_only: bool


def sample_source(source: str, most: int = ROWS_SAMPLED) -> SourceSample:
    """Read up to ``most`` records from the beginning of several files. Raises InputError for a source that cannot be read."""
    files = list_source(source, SourceConfig()).files
    chosen = files[:: max(1, len(files) // SAMPLE_PLACES)]
    share = max(1, -(-most // min(len(chosen), SAMPLE_PLACES)))
    records: list[Record] = []
    for file in chosen:
        if len(records) >= most:
            break
        records += _records(file, min(share, most - len(records)))
    columns = dict.fromkeys(name for record in records for name in record)
    return SourceSample(files, records, list(columns), all(file.format == "csv" for file in files))


def _records(file: SourceFile, most: int) -> list[Record]:
    records: list[Record] = []
    for texts in record_texts(file, most):
        for text in texts.slice(0, most - len(records)).to_pylist():
            value = json_object(text)
            if value is not None:
                records.append(value)
        if len(records) >= most:
            break
    return records


def record_texts(file: SourceFile, most: int) -> Iterator[pa.ChunkedArray]:
    """Stream records of one file as JSON objects: of Parquet about ``most``, of text all."""
    if file.format == "parquet":
        yield from _parquet_texts(file, most)
        return
    if file.format == "jsonl":
        settings = _settings(UNUSED)
        for chunk in read_jsonl(file, settings):
            yield chunk.rows["profile_json"]
        return
    header = header_of(file)
    if not header:
        return
    name = header[0] or BY_POSITION  # an index as pandas and R write it
    first = json.dumps(name, ensure_ascii=False)
    for chunk in read_csv(file, _settings(name), ages_needed=False):
        ids, rest = chunk.rows["pid"].to_pylist(), chunk.rows["profile_json"].to_pylist()
        yield pa.chunked_array([[_with_first(first, pid, text) for pid, text in zip(ids, rest, strict=True)]], pa.string())


def _with_first(name: str, value: str | None, text: str) -> str:
    """The JSON object ``text`` with one more member in front; ``name`` is written as JSON already."""
    member = f"{name}:{json.dumps(value, ensure_ascii=False)}"
    return "{" + member + (text[1:] if text == "{}" else "," + text[1:])


def _parquet_texts(file: SourceFile, most: int) -> Iterator[pa.ChunkedArray]:
    parquet = open_parquet(file.path)
    groups = range(parquet.metadata.num_row_groups)
    chosen = list(groups[:: max(1, len(groups) // SAMPLE_PLACES)])
    for number in chosen:
        share = -(-most // len(chosen))
        for batch in parquet.iter_batches(share, row_groups=[number], use_threads=False):
            table = pa.Table.from_batches([batch])
            for name, value in file.partition:
                if name not in table.column_names:
                    table = table.append_column(name, repeated_text(value, table.num_rows))
            yield flat_profile(table)
            break


def _settings(pid: str) -> SourceConfig:
    """Settings that make every column but ``pid`` part of the profile."""
    return SourceConfig(pid=pid, birth_year=UNUSED, approximate_age=UNUSED + "2", birth_date=UNUSED + "3", profile_json="*")


def json_object(value: object) -> Record | None:
    """The JSON object that ``value`` is or, as text, holds; None where it is none."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, dict) else None
