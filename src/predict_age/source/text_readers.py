"""Readers of text files: each yields working rows, and broken records with position and reason."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from predict_age.config import SourceConfig
from predict_age.source.csv_reader import read_csv
from predict_age.source.json_reader import read_jsonl
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
        return read_csv(file, source, ages_needed=ages_needed, profile_columns=profile_columns)
    return read_jsonl(file, source)
