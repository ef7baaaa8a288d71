"""Files of true ages: read by the readers of the source, so that encodings, dialects, compression and damage are the same there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from predict_age.config import SourceConfig
from predict_age.errors import ConfigError, InputError
from predict_age.source.column_names import did_you_mean
from predict_age.source.csv_header import FirstLine, no_header
from predict_age.source.csv_reader import classified_header
from predict_age.source.discovery import list_source
from predict_age.source.json_members import outer_members
from predict_age.source.parquet_file import open_parquet
from predict_age.source.source_file import SourceFile
from predict_age.source.text_readers import read_text
from predict_age.source.value_form import shown_names
from predict_age.source.value_sql import trimmed
from predict_age.source.whole_records import sample_records

_FILES = "a CSV, JSON lines or Parquet file, or a folder of them,"
_ROWS = pa.schema([("pid", pa.string()), ("true_age", pa.string())])
_AGE = "true_age"
RECORDS_TRIED = 20_000  # of JSON, for the names of their keys
_USUAL_NAMES = {
    "pid": ("id", "person_id", "personid", "key"),
    "source_id": ("id", "person_id", "personid", "key"),
    _AGE: ("age", "ages", "known_age", "approximate_age"),
}
_UNUSED = "\0unused"  # no column of a file has this name


@dataclass(frozen=True)
class TruthColumns:
    """Names of the columns of ids and of ages in a file; empty: ``pid`` (or ``source_id``) and ``true_age`` in any case."""

    pid: str = ""
    age: str = ""


def register_truth_rows(connection: duckdb.DuckDBPyConnection, truth: str, columns: TruthColumns) -> None:
    """Make the rows of a file, folder or glob the table ``truth_rows(pid, true_age)``, texts without spaces around them.

    Raises ConfigError when nothing is there, when a column is missing, or when a record cannot be read.
    """
    if not any(c in truth for c in "*?[") and "://" not in truth and not Path(truth).exists():
        raise ConfigError(f"there is no file {truth}", expected=f"{_FILES} with pid and true_age")
    try:
        files = list_source(truth, _settings("pid", _AGE)).files
        json_names = _names_in_json(files)
        tables = [
            table
            for file in files
            for table in _tables(file, _columns(json_names if file.format == "jsonl" else _names(file), truth, columns))
        ]
    except InputError as error:
        raise _unreadable(truth, error) from None
    rows = pa.concat_tables(tables) if tables else _ROWS.empty_table()
    if not len(rows):
        raise ConfigError(
            f"{truth} holds no true age",
            expected="the columns pid and true_age, and a row for each person",
            found="no rows" if any(file.size for file in files) else "no bytes",
            fix="write the file again",
        )
    connection.register("given_rows", rows)
    columns_read = ", ".join(f"{trimmed(name)} AS {name}" for name in _ROWS.names)
    connection.execute(f"CREATE TEMP TABLE truth_rows AS SELECT {columns_read} FROM given_rows")
    connection.unregister("given_rows")


def _unreadable(truth: str, error: InputError) -> ConfigError:
    return ConfigError(
        f"the true ages in {truth} cannot be read: {error.message}",
        expected=error.expected or f"{_FILES} with the columns pid and true_age",
        found=error.found,
        fix="write the ages again as CSV in UTF-8, or as Parquet, with the columns pid and true_age",
    )


def _names_in_json(files: Sequence[SourceFile]) -> list[str]:
    """Keys of the records in the JSON ``files``: writers leave keys without a value out."""
    texts = (piece.texts for piece in sample_records([file for file in files if file.format == "jsonl"], RECORDS_TRIED))
    return list(dict.fromkeys(name for chunk in texts for text in chunk.to_pylist() for name, _ in outer_members(text)))


def _tables(file: SourceFile, found: tuple[str, str] | None) -> Iterator[pa.Table]:
    """Rows of one file, some at a time; ``found``: its columns of ids and of ages, None where it has no columns."""
    if found is None:
        return
    key, age = found
    if file.format == "parquet":
        for batch in open_parquet(file.path).iter_batches(columns=[key, age], use_threads=False):
            table = pa.Table.from_batches([batch])
            yield pa.table([_texts(table[key], file.path), _texts(table[age], file.path)], schema=_ROWS)
        return
    for chunk in read_text(file, _settings(key, age)):
        if chunk.broken:
            position, reason = chunk.broken[0]
            raise InputError(
                f"a record of {file.path} is damaged",
                expected="every record readable, so that no true age is lost",
                found=f"record {position + 1:,}: {reason.replace('_', ' ')}",
            )
        yield pa.table([chunk.rows["pid"], chunk.rows["approximate_age"]], schema=_ROWS)


def _settings(key: str, age: str) -> SourceConfig:
    """Settings of a source with these columns of ids and ages."""
    return SourceConfig(pid=key, birth_year=_UNUSED, approximate_age=age, birth_date=_UNUSED + "2", profile_json="*")


def _texts(column: pa.ChunkedArray, path: str) -> pa.ChunkedArray:
    """The values as texts; whole numbers that a library wrote as floats are whole numbers."""
    try:
        if pa.types.is_floating(column.type):
            with suppress(pa.ArrowInvalid):
                column = column.cast(pa.int64())
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InputError(f"a column of {path} holds no ids or ages", expected="numbers or texts", found=str(column.type)) from None


def _names(file: SourceFile) -> list[str]:
    """Names of the columns of a Parquet or CSV file; none where it is empty."""
    if file.format == "parquet":
        names: list[str] = open_parquet(file.path).schema_arrow.names
        return names
    header, first_line = classified_header(file)
    if first_line is FirstLine.RECORD:
        raise no_header(file.path)
    return header


def _columns(names: Sequence[str], truth: str, given: TruthColumns) -> tuple[str, str] | None:
    """The columns of ids and of ages among ``names``; the usual ones whatever their case. None where there are no columns.

    Raises ConfigError when one is missing.
    """
    if not names:
        return None
    by_name = {name.strip().lower(): name for name in reversed(names)}
    usual = "source_id" if "pid" not in by_name and "source_id" in by_name else "pid"
    wanted = {given.pid or usual: given.pid, given.age or _AGE: given.age}
    missing = [name for name, exact in wanted.items() if name not in (names if exact else by_name)]
    if missing:
        raise ConfigError(
            f"the true ages in {truth} cannot be read: there is no column {' and no column '.join(missing)}",
            expected=f"columns of the ids of the source and of years at the date of the run{_hints(missing, names)}",
            found="columns " + shown_names(names),
            fix="name the columns pid and true_age, or say their names: --pid COLUMN, --age COLUMN",
        )
    found = given.pid or by_name[usual], given.age or by_name[_AGE]
    if twice := [name for name in found if list(names).count(name) > 1]:
        raise ConfigError(
            f"the true ages in {truth} cannot be read: a column name appears twice",
            expected="every name once",
            found=shown_names(twice),
            fix="rename one",
        )
    return found


def _hints(missing: list[str], names: Sequence[str]) -> str:
    """A hint for each of the ``missing`` columns that another of the ``names`` may stand for."""
    hints = []
    for wanted in missing:
        near = next((f" (did you mean {name!r}?)" for name in names if name.lower() in _USUAL_NAMES.get(wanted, ())), "")
        if near := near or did_you_mean(wanted, names):
            hints.append(f"; {wanted}{near}")
    return "".join(hints)
