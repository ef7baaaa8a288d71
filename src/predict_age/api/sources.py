"""Source of people as an object: looked at in a notebook, and given to ``run``, ``init``, ``profile`` and ``predict``."""

from __future__ import annotations

import datetime as dt
import html
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

from predict_age.api.frames import PandasFrame, PolarsFrame
from predict_age.config import SourceConfig
from predict_age.errors import InputError
from predict_age.pipeline.run_plan import date_or_today
from predict_age.proposal.columns import AGE_ROLES
from predict_age.proposal.sample import Record, json_object, record_texts
from predict_age.proposal.source_profile import KnownAges, SourceProfile, profile_of
from predict_age.source.column_types import plain_values
from predict_age.source.discovery import SourceFile, SourceListing, list_source
from predict_age.source.parquet_file import open_parquet
from predict_age.source.row_group_reader import read_split, repeated_text, splits_of_file
from predict_age.source.text_readers import read_text

ROWS_PREVIEWED = 10
TYPED_ROWS = 20_000  # of JSON lines, that decide the types of the columns
ROWS_OF_A_BATCH = 50_000


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
        """Columns and their types, as Arrow reads them."""
        first = self.files[0]
        folders = [pa.field(name, pa.string()) for name, _ in first.partition]
        if all(file.format == "parquet" for file in self.files):
            own = open_parquet(first.path).schema_arrow.remove_metadata()
            return pa.schema([*own, *(field for field in folders if field.name not in own.names)])
        if all(file.format == "csv" for file in self.files):
            record = next(self._records(first), {})
            return pa.schema([pa.field(name, pa.string()) for name in record])
        columns: dict[str, set[str]] = {}
        for number, record in enumerate(record for file in self.files for record in self._records(file)):
            if number == TYPED_ROWS:
                break
            for name, value in record.items():
                columns.setdefault(name, set()).add(type(value).__name__)
        return pa.schema([pa.field(name, _type_of(kinds)) for name, kinds in columns.items()])

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in order."""
        return list(self.schema.names)

    @cached_property
    def _profile(self) -> SourceProfile:
        return profile_of(self.path, self.as_of, {})

    @property
    def rows(self) -> int | None:
        """Number of rows: counted in Parquet, lines of other text, None for packed text."""
        return self._profile.rows

    @property
    def known_ages(self) -> KnownAges | None:
        """Ages in a sample: given, known to a run, and why others are not used; None where no age column is recognised."""
        return self._profile.ages

    def profile(self) -> SourceProfile:
        """Describe the source as :func:`profile_source` does."""
        return self._profile

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream all records. Raises InputError for a JSON value that is of another type than those before."""
        for file in self.files:
            if file.format == "parquet":
                for batch in open_parquet(file.path).iter_batches(ROWS_OF_A_BATCH):
                    yield _conformed(batch, file, self.schema)
            else:
                yield from self._text_batches(file)

    def preview(self, rows: int = ROWS_PREVIEWED) -> pa.Table:
        """Read the first ``rows`` records."""
        found: list[pa.RecordBatch] = []
        for batch in self.batches():
            found.append(batch.slice(0, rows - sum(b.num_rows for b in found)))
            if sum(b.num_rows for b in found) >= rows:
                break
        return pa.Table.from_batches(found, self.schema)

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
        return f"<PeopleSource {self.path}: {len(self.files):,} files, {len(self.columns):,} columns>"

    def _repr_html_(self) -> str:
        """The first records as a table, and a line about the whole."""
        table = self.preview()
        rows = "unknown" if self.rows is None else f"{'' if self._profile.exact_rows else 'about '}{self.rows:,}"
        ages = self.known_ages
        known = f"; {ages.known:,} of {self._profile.people:,} people looked at have a known age" if ages else ""
        head = "".join(f"<th>{html.escape(name)}</th>" for name in table.column_names)
        lines = zip(*(column.to_pylist() for column in table.columns), strict=True)
        body = "".join("<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in line) + "</tr>" for line in lines)
        about = f"{self.path}: {len(self.files):,} files, {rows} rows{known}"
        return f"<p>{html.escape(about)}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _records(self, file: SourceFile) -> Iterator[Record]:
        """Records of a text file, or some of a Parquet file."""
        for texts in record_texts(file, TYPED_ROWS):
            for text in texts.to_pylist():
                if (record := json_object(text)) is not None:
                    yield {**record, **{k: v for k, v in file.partition if k not in record}}

    def _text_batches(self, file: SourceFile) -> Iterator[pa.RecordBatch]:
        waiting: list[Record] = []
        for record in self._records(file):
            waiting.append(record)
            if len(waiting) == ROWS_OF_A_BATCH:
                yield self._batch(waiting, file)
                waiting = []
        if waiting:
            yield self._batch(waiting, file)

    def _batch(self, records: Sequence[Record], file: SourceFile) -> pa.RecordBatch:
        arrays = []
        for field in self.schema:
            values = [record.get(field.name) for record in records]
            if pa.types.is_string(field.type):
                values = [v if v is None or isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values]
            try:
                arrays.append(pa.array(values, field.type))
            except (pa.ArrowInvalid, pa.ArrowTypeError):
                raise InputError(
                    f"column {field.name} of {file.path} changes its type",
                    expected=f"{field.type}, as in the first {TYPED_ROWS:,} records",
                    found="a value of another type",
                    fix="a run reads such a source; as a table, read it with another library",
                ) from None
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


AnySource: TypeAlias = str | Path | PeopleSource


def open_source(source: AnySource, *, as_of: dt.date | str | None = None) -> PeopleSource:
    """Open ``source``: a file, folder, glob, ``s3://`` or ``glue://`` address. ``as_of``: date of its ages, today by default.

    Raises InputError when there are no people files. Records are read when they are asked for.
    """
    when = date_or_today(as_of)
    opened = PeopleSource(str(source), when)
    if not opened.files:
        raise InputError(f"{source} has no file of people", expected="Parquet, JSON lines or CSV", found="none")
    return opened


def source_people(source: PeopleSource, settings: SourceConfig) -> pa.Table:
    """All records that a run would read with the ``settings``: ids, ages and profiles in the columns that these name.

    Columns whose type differs between files are text.
    """
    named = {"pid": settings.pid, "profile": settings.profile_json}
    named |= {name: written for name in AGE_ROLES if (written := getattr(settings, name))}
    files = list_source(source.path, settings).files
    rows = [piece for number, file in enumerate(files) for piece in _rows_of(file, number, settings)]
    pieces = [pa.table({named[n]: plain_values(t[n]) for n in named if n in t.column_names}) for t in rows]
    if not pieces:
        return pa.table({settings.profile_json: pa.array([], pa.string())})
    try:
        return pa.concat_tables(pieces, promote_options="default")
    except pa.ArrowInvalid:
        texts = [pa.table({name: t[name].cast(pa.string()) for name in t.column_names}) for t in pieces]
        return pa.concat_tables(texts, promote_options="default")


def _rows_of(file: SourceFile, number: int, settings: SourceConfig) -> Iterator[pa.Table]:
    """Rows of a file with the names that row rules know, and the profile as text."""
    if file.format != "parquet":
        for chunk in read_text(file, settings, ages_needed=False):
            yield chunk.rows.rename_columns([{"profile_json": "profile"}.get(name, name) for name in chunk.rows.column_names])
        return
    for split in splits_of_file(open_parquet(file.path).metadata, 0, number, file.path, working=False, partition=file.partition):
        for piece in read_split(split, settings, with_profile=True):
            yield piece.raw


def _type_of(kinds: set[str]) -> pa.DataType:
    """Arrow type for values of these Python types: text for all that are not of one kind."""
    kinds = kinds - {"NoneType"}
    if kinds == {"bool"}:
        return pa.bool_()
    if kinds == {"int"}:
        return pa.int64()
    return pa.float64() if kinds and kinds <= {"int", "float"} else pa.string()


def _conformed(batch: pa.RecordBatch, file: SourceFile, schema: pa.Schema) -> pa.RecordBatch:
    """``batch`` of a Parquet file with the columns of the ``schema``; what a file does not have is NULL."""
    names, folders = batch.schema.names, dict(file.partition)
    arrays = []
    for field in schema:
        if field.name in names:
            arrays.append(batch.column(field.name).cast(field.type))
        elif field.name in folders:
            arrays.append(repeated_text(folders[field.name], batch.num_rows).cast(field.type))
        else:
            arrays.append(pa.nulls(batch.num_rows, field.type))
    return pa.RecordBatch.from_arrays([a.combine_chunks() if isinstance(a, pa.ChunkedArray) else a for a in arrays], schema=schema)


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return html.escape(text if len(text) <= 80 else text[:79] + "…")
