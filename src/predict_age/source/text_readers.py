"""Readers of text files: each yields working rows, and broken records with position and reason."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import pyarrow as pa

from predict_age.config import SourceConfig
from predict_age.source.column_types import without_missing
from predict_age.source.csv_reader import read_csv
from predict_age.source.json_reader import read_jsonl
from predict_age.source.row_group_reader import LIGHT
from predict_age.source.source_file import SourceFile
from predict_age.source.working_rows import TextChunk

__all__ = ["read_csv", "read_jsonl", "read_text"]


def read_text(
    file: SourceFile, source: SourceConfig, *, ages_needed: bool = True, profile_columns: Collection[str] | None = None
) -> Iterator[TextChunk]:
    """Stream a text file of any format. ``ages_needed = False`` takes a CSV file without an age column.

    Profiles of a flat CSV file are made of the ``profile_columns`` alone, where these are given.
    """
    if file.format == "csv":
        chunks = read_csv(file, source, ages_needed=ages_needed, profile_columns=profile_columns)
    else:
        chunks = read_jsonl(file, source)
    return (replace(chunk, rows=_without_missing(chunk.rows, source.missing_values)) for chunk in chunks)


def _without_missing(rows: pa.Table, missing: Sequence[str]) -> pa.Table:
    """Working rows without the ids and ages that are one of the ``missing`` texts."""
    for name in LIGHT:
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, name, without_missing(rows[name], missing))
    return rows
