"""Parquet options of tables about people, and a writer that cuts many tables into row groups of one size."""

from __future__ import annotations

from types import TracebackType
from typing import IO, Self

import pyarrow as pa
import pyarrow.parquet as pq

WITHOUT_DICTIONARY = ("pid", "source_id", "profile_key")  # nearly every row has its own: a dictionary of them takes time and space

PURPOSE_KEY = "predict_age.purpose"


def parquet_options(schema: pa.Schema) -> dict[str, object]:
    """PyArrow's options for writing a table of ``schema``."""
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": [n for n in schema.names if n not in WITHOUT_DICTIONARY],
    }


def with_purpose(schema: pa.Schema, purpose: str) -> pa.Schema:
    """``schema`` with the run's purpose in the metadata that every file of it carries."""
    return schema.with_metadata({**(schema.metadata or {}), PURPOSE_KEY: purpose})


class RowGroupWriter:
    """Writer of a file of ``schema`` to ``stream`` in groups of ``rows`` rows; the last group may be smaller."""

    def __init__(self, stream: IO[bytes], schema: pa.Schema, rows: int) -> None:
        self._writer = pq.ParquetWriter(stream, schema, **parquet_options(schema))
        self._rows = rows
        self._groups = 0
        self._waiting: list[pa.Table] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None and self._waiting:
            self._write(pa.concat_tables(self._waiting))
        self._writer.close()

    def end_group(self) -> int:
        """Write what waits as a row group, so that the next table begins another one. Returns how many there are now."""
        waiting, self._waiting = pa.concat_tables(self._waiting) if self._waiting else None, []
        if waiting is not None and len(waiting):
            self._write(waiting)
        return self._groups

    def _write(self, table: pa.Table) -> None:
        self._writer.write_table(table, row_group_size=self._rows)
        self._groups += -(-len(table) // self._rows)

    def write(self, table: pa.Table) -> None:
        """Write ``table``, now or together with later tables."""
        self._waiting.append(table)
        rows = sum(t.num_rows for t in self._waiting)
        full = rows // self._rows * self._rows
        if full:
            table = pa.concat_tables(self._waiting)
            self._write(table.slice(0, full))
            self._waiting = [table.slice(full)] if full < rows else []
