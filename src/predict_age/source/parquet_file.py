"""Opening of a Parquet file, and what its footer must not say: Arrow ends the process at some footers, and loses rows at others."""

from __future__ import annotations

import mmap
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from predict_age.errors import InputError, PredictAgeError
from predict_age.source.filesystem import in_s3, random_access, unanswered
from predict_age.source.value_form import without_values

MAGIC = b"PAR1"  # at both ends of a file
COLUMNS_TRIED = 1_000  # of all row groups of a file, whose entries in the footer are tried when it is opened
COLUMN_BUFFER_BYTES = 1 << 18  # that are read at a time
PARQUET_ERRORS = (pa.ArrowException, OSError, UnicodeDecodeError)  # raised for bytes that are not what a Parquet file has there


def open_parquet(path: str, *, whole: bool = True) -> pq.ParquetFile:
    """Open a Parquet file or raise InputError saying why it is none.

    Columns are read as far as rows are asked for. On S3, where a request takes longer than its bytes, the columns of all row groups
    that are asked for are requested together, unless ``whole`` says that their first rows suffice.
    """
    together = whole and in_s3(path)
    try:
        file = pq.ParquetFile(random_access(path), pre_buffer=together, buffer_size=0 if together else COLUMN_BUFFER_BYTES)
        _check_counts(file.metadata, path)
        if not in_s3(path):
            _check_columns(file)
            _check_alone(file.metadata, path)
        return file
    except PARQUET_ERRORS as error:
        reason = str(error).splitlines()[0] if isinstance(error, OSError) else without_values(str(error), path)
        raise unanswered(path, error) or InputError(
            f"not a readable Parquet file: {path}",
            expected="Parquet with a valid footer",
            found=reason,
            fix="replace or remove the file",
        ) from None


def _check_counts(metadata: pq.FileMetaData, path: str) -> None:
    """Raise InputError for a file without columns, of which Arrow cannot read rows, and for numbers of rows that disagree.

    Arrow reads as many rows of a row group as the footer says: a number too small would lose people.
    """
    if not metadata.num_columns:
        raise InputError(
            f"a Parquet file has no columns: {path}",
            expected="columns of ids, ages and profiles",
            found=f"no column, {metadata.num_rows:,} rows",
            fix="write the file again with its columns, or remove it",
        )
    groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    if sum(groups) != metadata.num_rows or min(groups, default=0) < 0:
        raise InputError(
            f"the footer of a Parquet file contradicts itself: {path}",
            expected="as many rows as its row groups have together",
            found=f"{metadata.num_rows:,} rows, and {sum(groups):,} in {len(groups):,} row groups",
            fix="replace the file: rows of it would be lost",
        )


def _check_alone(metadata: pq.FileMetaData, path: str) -> None:
    """Raise InputError for a file behind another one (``cat a.parquet b.parquet``).

    Its footer gives places inside the first one: where both have equal sizes, the people of the second would be lost.
    """
    end, size = len(MAGIC), Path(path).stat().st_size
    if metadata.num_row_groups:
        last = metadata.row_group(metadata.num_row_groups - 1)
        for number in range(last.num_columns):
            column = last.column(number)
            begin = column.data_page_offset
            if column.has_dictionary_page and column.dictionary_page_offset:
                begin = min(begin, column.dictionary_page_offset)
            end = max(end, begin + column.total_compressed_size)
    footer = size - metadata.serialized_size - 2 * len(MAGIC)
    if footer - end < 2 * len(MAGIC):
        return
    with Path(path).open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(2 * MAGIC, end, footer) < 0:
            return
    raise InputError(
        f"several Parquet files were put together: {path}",
        expected="one Parquet file: its footer names the places of its rows",
        found="the end of one file and the beginning of another",
        fix="put each into the source as a file of its own, or read them and write one",
    )


def _check_columns(file: pq.ParquetFile) -> None:
    """Raise one of PARQUET_ERRORS for names that are no text, and for columns that do not fit the schema.

    Arrow ends the whole process when it is asked for the sizes of such columns; when it begins to read them it raises an error. The
    first of the row groups is tried.
    """
    metadata = file.metadata
    for field in file.schema_arrow:
        str(field.type)
    columns = list(range(metadata.num_columns))
    few = metadata.num_row_groups * len(columns) <= COLUMNS_TRIED
    for group in range(metadata.num_row_groups if few else min(metadata.num_row_groups, 1)):
        with suppress(NotImplementedError):  # of a type that Arrow does not read: such columns are left out
            next(file.reader.iter_batches(0, row_groups=[group], column_indices=columns, use_threads=False), None)


def damaged_parquet(path: str, row_group: int, error: Exception) -> PredictAgeError:
    """The error for rows that cannot be read."""
    return unanswered(path, error) or InputError(
        f"a Parquet file is damaged: {path}, row group {row_group}",
        found=without_values(str(error), path),
        fix="replace the file and start a new run",
    )
