"""Working rows: what every text reader yields, whatever the format."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.config import SourceConfig
from predict_age.errors import IntegrityError
from predict_age.source.row_group_reader import LIGHT
from predict_age.source.source_file import SourceFile

LONGEST_RECORD = 64 << 20  # bytes
NOT_UTF8 = "invalid_utf8"
WORKING = pa.schema([("position", pa.int64()), *((name, pa.string()) for name in LIGHT), ("profile_json", pa.string())])


@dataclass
class TextChunk:
    """Some working rows (schema ``WORKING``), and the broken records among them as (position, reason).

    Positions count records from 0; for JSON lines they are line numbers from 0.
    """

    rows: pa.Table
    broken: list[tuple[int, str]] = field(default_factory=list)
    records: int = 0  # that the bytes have, as they were counted before anything read them


def chunk_of(
    positions: NDArray[np.int64],
    light: dict[str, pa.ChunkedArray],
    profile: pa.ChunkedArray,
    broken: list[tuple[int, str]],
    source: SourceConfig,
    records: int,
) -> TextChunk:
    """A chunk from columns of text: ``light`` are those of ids and ages that the file has, by its own names for them."""
    absent = pa.nulls(len(positions), pa.string())
    columns = [light.get(name, absent) for name in source.light_columns]
    return TextChunk(pa.table([pa.array(positions), *columns, profile], schema=WORKING), broken, records)


def partition_columns(file: SourceFile, names: list[str]) -> dict[str, str | None]:
    """Columns that the folders of ``file`` add; a column that the file has itself counts instead."""
    return {name: value for name, value in file.partition if name not in names}


def check_count(path: str, expected: int, found: int) -> None:
    """Raise IntegrityError when a reader gives other rows than the bytes have records."""
    if expected != found:
        raise records_lost(path, expected, f"{found:,}")


def records_lost(path: str, expected: int, found: str) -> IntegrityError:
    """The error of a reader that gives other rows than the bytes have records."""
    return IntegrityError(
        f"records of {path} were lost while they were read",
        expected=f"{expected:,} records, as the bytes have",
        found=found,
        fix="report it with the first lines of the file; until then write the file as Parquet",
    )
