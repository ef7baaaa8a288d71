"""Source of people as an object: looked at in a notebook, and given to ``run``, ``init``, ``profile`` and ``predict``."""

from __future__ import annotations

import datetime as dt
import html
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

from predict_age.api.arguments import checks_arguments
from predict_age.api.column_union import batch_of_records, conformed, keeps, keeps_all, kind_of_value, type_of_kinds, united_schema
from predict_age.api.frames import PandasFrame, PolarsFrame
from predict_age.config import SourceConfig
from predict_age.errors import ConfigError, InputError
from predict_age.pipeline.run_plan import date_or_today
from predict_age.proposal.profile_contents import KnownAges
from predict_age.proposal.sample import Record, json_object
from predict_age.proposal.source_profile import SourceProfile, profile_of
from predict_age.runtime.progress import size
from predict_age.source.column_names import with_folders
from predict_age.source.csv_reader import header_of
from predict_age.source.discovery import list_source
from predict_age.source.json_members import object_with_all_digits
from predict_age.source.parquet_file import open_parquet
from predict_age.source.row_group_reader import LIGHT, merged
from predict_age.source.row_walk import RowWalk
from predict_age.source.source_file import SourceFile, SourceListing
from predict_age.source.whole_records import BY_POSITION, parquet_tables, record_texts, sample_records
from predict_age.tally import counted

ROWS_PREVIEWED = 10
RECORDS_OF_PREVIEW = 1_000  # of JSON, whose keys are its columns


@dataclass(frozen=True)
class PeopleSource:
    """A file, folder, glob, ``s3://`` or ``glue://`` address with people. Made by :func:`open_source`.

    Arrow, pandas, polars and DuckDB read all records of it through ``__arrow_c_stream__``: columns of Parquet as they are, those of
    CSV as text, those of JSON lines as numbers, text or truth values, and nested ones as JSON text.
    """

    path: str
    as_of: dt.date

    @cached_property
    def listing(self) -> SourceListing:
        """Files that are used, and those that are passed over with a reason."""
        return list_source(self.path, SourceConfig())

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """The files of the source."""
        return self.listing.files

    @cached_property
    def schema(self) -> pa.Schema:
        """Columns and their types, as Arrow reads them: those of all files, of JSON those of all records.

        Values that no common type keeps to the digit are text.
        """
        if self._is_parquet:
            return _lossless(united_schema([_parquet_schema(file) for file in self.files]), self.files)
        if all(file.format == "csv" for file in self.files):
            names = dict.fromkeys(name for file in self.files for name in _csv_columns(file))
            return pa.schema([pa.field(name, pa.string()) for name in names])
        return _schema_of(record for file in self.files for texts in record_texts(file) for record in self._records(texts, file))

    @property
    def _is_parquet(self) -> bool:
        return all(file.format == "parquet" for file in self.files)

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in order."""
        return list(self.schema.names)

    @cached_property
    def _profile(self) -> SourceProfile:
        return profile_of(self.path, self.as_of, {})

    @property
    def rows(self) -> int | None:
        """Number of rows, an estimate for large text; None for large text that is packed, or JSON that is not in lines."""
        return self._profile.rows

    @property
    def known_ages(self) -> KnownAges | None:
        """Ages in a sample: given, known to a run, and why others are not used; None where no age column is recognised."""
        return self._profile.ages

    def profile(self) -> SourceProfile:
        """Describe the source as :func:`profile_source` does."""
        return self._profile

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream all records. Raises InputError for a value that does not fit the type of its column."""
        for file in self.files:
            if self._is_parquet:
                for table in parquet_tables(file):
                    yield from conformed(table, self.schema, file.path).to_batches()
            else:
                for texts in record_texts(file):
                    if records := list(self._records(texts, file)):
                        yield batch_of_records(records, self.schema, file.path)

    @checks_arguments
    def preview(self, rows: int = ROWS_PREVIEWED) -> pa.Table:
        """Read the first ``rows`` records. Raises ConfigError for a number below 0."""
        if rows < 0:
            raise ConfigError("rows is no number of records", expected="0 or more", found=str(rows))
        if not self._is_parquet and any(file.format != "csv" for file in self.files):
            return self._preview_of_records(rows)
        found: list[pa.RecordBatch] = []
        for batch in self.batches():
            missing = rows - sum(b.num_rows for b in found)
            found.append(batch.slice(0, min(missing, batch.num_rows)))
            if missing <= batch.num_rows:
                break
        return pa.Table.from_batches(found, self.schema)

    def _preview_of_records(self, rows: int) -> pa.Table:
        """The first ``rows`` records, with the columns that a sample of all has."""
        every = (
            (record, file.path) for file in self.files for texts in record_texts(file) for record in self._records(texts, file)
        )
        first = list(islice(every, min(rows, sys.maxsize)))
        pieces = sample_records(self.files, RECORDS_OF_PREVIEW)
        some = (record for piece in pieces for record in self._records(piece.texts, self.files[piece.place[0]]))
        schema = _schema_of(chain((record for record, _ in first), some))
        return pa.Table.from_batches([batch_of_records([record], schema, path) for record, path in first], schema)

    def to_arrow(self) -> pa.Table:
        """Read all records as a table."""
        return pa.Table.from_batches(self.batches(), self.schema)

    def to_pandas(self) -> PandasFrame:
        """Read all records as a pandas data frame; pandas must be installed."""
        return self.to_arrow().to_pandas()

    def to_polars(self) -> PolarsFrame:
        """Read all records as a polars data frame; polars must be installed."""
        import polars

        return polars.DataFrame(self.to_arrow())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        reader = pa.RecordBatchReader.from_batches(self.schema, self.batches())
        return reader.__arrow_c_stream__(requested_schema)

    def __fspath__(self) -> str:
        return self.path

    def __str__(self) -> str:
        return self.path

    def __repr__(self) -> str:
        return f"<PeopleSource {self.path}: {counted(len(self.files), 'file')}, {size(sum(file.size for file in self.files))}>"

    def _repr_html_(self) -> str:
        """The first records as a table, and a line about the whole."""
        table = self.preview()
        rows = (
            "rows not counted" if self.rows is None else ("" if self._profile.exact_rows else "about ") + counted(self.rows, "row")
        )
        ages = self.known_ages
        known = f"; {ages.known:,} of {self._profile.people:,} people looked at have a known age" if ages else ""
        head = "".join(f"<th>{html.escape(name)}</th>" for name in table.column_names)
        lines = zip(*(column.to_pylist() for column in table.columns), strict=True)
        body = "".join("<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in line) + "</tr>" for line in lines)
        about = f"{self.path}: {counted(len(self.files), 'file')}, {rows}{known}"
        return f"<p>{html.escape(about)}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _records(self, texts: pa.ChunkedArray, file: SourceFile) -> Iterator[Record]:
        """The JSON objects in ``texts``, with the columns that the folders of their file add."""
        for text in texts.to_pylist():
            if (record := object_with_all_digits(text) or json_object(text)) is not None:
                yield {**record, **{k: v for k, v in file.partition if k not in record}}


AnySource: TypeAlias = str | Path | PeopleSource


@checks_arguments
def open_source(source: AnySource, *, as_of: dt.date | str | None = None) -> PeopleSource:
    """Open ``source``: a file, folder, glob, ``s3://`` or ``glue://`` address. ``as_of``: date of its ages, today by default.

    Raises InputError when there are no people files. Records are read when they are asked for.
    """
    when = date_or_today(as_of)
    opened = PeopleSource(str(source), when)
    if not opened.files:
        raise InputError(f"{source} has no file of people", expected="Parquet, JSON lines or CSV", found="none")
    return opened


def source_people(source: PeopleSource, settings: SourceConfig) -> list[pa.Table]:
    """All records that a run would read with the ``settings``, some together: ids, ages and profiles by the names of row rules.

    Columns may have another type in each table.
    """
    walk = RowWalk(list_source(source.path, settings).files, settings, with_profile=True)
    tables = list(merged((piece.rows for piece in walk.all() if len(piece)), sys.maxsize))
    return tables or [pa.table({name: pa.array([], pa.string()) for name in (*LIGHT, "profile")})]


def _parquet_schema(file: SourceFile) -> pa.Schema:
    own = open_parquet(file.path).schema_arrow.remove_metadata()
    return pa.schema([*own, *(pa.field(name, pa.string()) for name, _ in file.partition if name not in own.names)])


def _schema_of(records: Iterable[Record]) -> pa.Schema:
    """Columns of ``records``, each with the type that all of its values have in common."""
    columns: dict[str, set[str]] = {}
    for record in records:
        for name, value in record.items():
            columns.setdefault(name, set()).add(kind_of_value(value))
    return pa.schema([pa.field(name, type_of_kinds(kinds)) for name, kinds in columns.items()])


def _lossless(schema: pa.Schema, files: Sequence[SourceFile]) -> pa.Schema:
    """The ``schema``, with text where the type of a column does not keep its values in all ``files``."""
    for file in files:
        own = open_parquet(file.path).schema_arrow
        narrow = [f.name for f in own if own.names.count(f.name) == 1 and not keeps_all(f.type, schema.field(f.name).type)]
        if narrow:
            table = open_parquet(file.path).read(columns=narrow)
            for name in narrow:
                if not keeps(table[name], schema.field(name).type):
                    schema = schema.set(schema.get_field_index(name), pa.field(name, pa.string()))
    return schema


def _csv_columns(file: SourceFile) -> list[str]:
    header = header_of(file)
    names = [name or BY_POSITION if at == 0 else name for at, name in enumerate(header)]
    return [name for name in with_folders(names, file.partition) if name] if header else []


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return html.escape(text if len(text) <= 80 else text[:79] + "…")
