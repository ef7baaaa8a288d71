"""Rows of a source, counted from its files."""

from __future__ import annotations

from pathlib import Path

from predict_age.proposal.sample import SourceSample
from predict_age.source.filesystem import in_s3
from predict_age.source.json_layout import CR_LINES, LINES
from predict_age.source.parquet_file import open_parquet
from predict_age.source.source_file import SourceFile

COUNTED_BYTES = 2**30  # of text whose lines are counted
LINE_BLOCK = 2**24


def count_rows(sample: SourceSample) -> tuple[int | None, bool]:
    """Rows of the source that can be read, and whether they are counted: those of a sample that is the whole, and of Parquet.

    Lines of larger text may be parts of a record. None for larger text that is packed, or JSON that is not in lines.
    """
    if sample.whole:
        return sample.read, True
    texts = [file for file in sample.files if file.format != "parquet"]
    if not all(map(_has_lines, texts)) or sum(file.size for file in texts) > COUNTED_BYTES:
        return None, False
    rows = sum(open_parquet(file.path).metadata.num_rows for file in sample.files if file.format == "parquet")
    rows += sum(max(0, _lines(file) - (file.format == "csv")) for file in texts)
    return max(sample.read, rows), not texts


def _has_lines(file: SourceFile) -> bool:
    return not file.compression and not in_s3(file.path) and (file.format == "csv" or file.layout in ("", LINES, CR_LINES))


def _lines(file: SourceFile) -> int:
    """Lines of a text, whatever ends them."""
    count, last, end = 0, b"\n", b"\r" if file.layout in ("CR", CR_LINES) else b"\n"
    with Path(file.path).open("rb") as stream:
        while block := stream.read(LINE_BLOCK):
            count, last = count + block.count(end), block[-1:]
    return count + (last not in (end, b"\n"))
