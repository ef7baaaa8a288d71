"""Rows of a source, counted from its files."""

from __future__ import annotations

from pathlib import Path

from predict_age.proposal.sample import SourceSample
from predict_age.source.discovery import SourceFile
from predict_age.source.filesystem import in_s3
from predict_age.source.parquet_file import open_parquet

COUNTED_BYTES = 2**30  # of text whose lines are counted
LINE_BLOCK = 2**24


def count_rows(sample: SourceSample) -> tuple[int | None, bool]:
    """Rows of the source and whether they are counted: those of Parquet are, lines of text may be parts of a record."""
    rows, exact = 0, True
    text_bytes = sum(file.size for file in sample.files if file.format != "parquet")
    for file in sample.files:
        if file.format == "parquet":
            rows += open_parquet(file.path).metadata.num_rows
            continue
        if file.compression or in_s3(file.path) or text_bytes > COUNTED_BYTES:
            return None, False
        rows, exact = rows + max(0, _lines(file) - (file.format == "csv")), False
    return rows, exact or rows == len(sample.records)


def _lines(file: SourceFile) -> int:
    count, last = 0, b"\n"
    with Path(file.path).open("rb") as stream:
        while block := stream.read(LINE_BLOCK):
            count, last = count + block.count(b"\n"), block[-1:]
    return count + (last != b"\n")
