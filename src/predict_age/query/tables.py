"""Tables of a workspace, read-only, for ``predict-age sql``.

==============================================  ==========================================================
predict_age_final_results_with_confidence        the view for users, over the current run
predict_age_final_results_<quarter>              the published result of a quarter
predict_age_final_results                        the current run's result
predict_age_predictions                          raw predictions of the current run
predict_age_human_qa                             source and prediction side by side, with review_reason
predict_age_set_aside                            records that could not be used: file, position, reason
==============================================  ==========================================================
"""

from __future__ import annotations

import io
import json
import math
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from threading import Timer
from typing import IO, TYPE_CHECKING, Any

import duckdb

from predict_age.errors import ConfigError, IntegrityError, LimitError, PredictAgeError, memory_error
from predict_age.query.hidden_files import check_reads_tables_only
from predict_age.query.row_text import finite_json, inexact_columns, with_json_columns, with_text_columns
from predict_age.runs.visible_people import visible_rows_sql
from predict_age.runtime.command_log import stage
from predict_age.source.value_form import without_values
from predict_age.sql import VIEW, for_duckdb, literal
from predict_age.storage.manifest import verified_run
from predict_age.storage.spill import of_this_command
from predict_age.storage.suppression_list import SuppressionList
from predict_age.storage.workspace import RunFolder, Workspace

if TYPE_CHECKING:
    import pyarrow as pa

NOTHING_SET_ASIDE = (
    "SELECT CAST(NULL AS VARCHAR) AS file, CAST(NULL AS BIGINT) AS position, CAST(NULL AS VARCHAR) AS reason WHERE FALSE"
)
_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.RELATION}
_EXPLAIN = re.compile(r"^\s*EXPLAIN(\s+ANALYZE)?(\s*\([^)]*\))?(?=\W)", re.IGNORECASE)
_UNKNOWN_TABLE = re.compile(r"^Catalog Error: Table with name .* does not exist")
_CSV = {None: "", True: "true", False: "false"}
CANDIDATES = 5  # functions that a message proposes at most


def _sources(workspace: Workspace) -> dict[str, tuple[RunFolder, tuple[str, ...]]]:
    """Run of each table, and the folders inside the run whose files the manifest must name."""
    published = workspace.published
    tables: dict[str, tuple[RunFolder, tuple[str, ...]]] = {}
    if published.current:
        current = workspace.run(published.current)
        tables = {
            "predict_age_final_results": (current, ("results/",)),
            "predict_age_human_qa": (current, ("qa/",)),
            "predict_age_predictions": (current, ("predictions/",)),
            "predict_age_set_aside": (current, ("set_aside/",)),
        }
    return tables | {f"predict_age_final_results_{q}": (workspace.run(r), ("results/",)) for q, r in published.quarters.items()}


@stage("compare the files of the queried tables with their hashes")
def connect_tables(workspace: Workspace, text: str, suppression: SuppressionList | None = None) -> duckdb.DuckDBPyConnection:
    """Connection with the published tables as views. It can only read, and only files of the workspace.

    With a ``suppression`` list, the views leave out people whom it hides, and no other file can be read.

    First, every file of a table that the query ``text`` mentions is compared with the hash in its run's manifest.
    Raises IntegrityError when one differs. A file that no manifest names is not read.
    """
    connection = duckdb.connect(config={"temp_directory": str(of_this_command(workspace.root))})
    wanted = set(re.findall(r"\w+", text.lower()))
    files: list[str] = []
    sources = _sources(workspace)
    for name, (folder, prefixes) in sources.items():
        used = name in wanted or (name == "predict_age_final_results" and VIEW in wanted)
        try:
            run = verified_run(workspace, folder)
            paths = run.checked(*prefixes) if used else [str(folder.path / n) for n in run.named(*prefixes)]
        except IntegrityError:
            if used:
                raise
            continue
        files += paths
        with nullcontext() if used else suppress(duckdb.Error):  # a damaged table that the query does not mention is left out
            _view(connection, name, folder, paths, suppression)
    if "predict_age_final_results" in sources:
        with suppress(duckdb.CatalogException):  # missing when its run is damaged and the query does not mention it
            names = connection.table("predict_age_final_results").columns
            connection.execute(f"CREATE VIEW {VIEW} AS {for_duckdb('final_view', source_ids='source_id' in names)}")
    if suppression:
        connection.execute(f"SET allowed_paths = [{', '.join(map(literal, files))}]")
    else:
        connection.execute(f"SET allowed_directories = [{literal(str(workspace.root.resolve()) + '/')}]")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _view(
    connection: duckdb.DuckDBPyConnection, name: str, folder: RunFolder, paths: list[str], suppression: SuppressionList | None
) -> None:
    if paths:
        listed = None if name == "predict_age_set_aside" else suppression  # which has no ids
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {visible_rows_sql(connection, folder, paths, listed)}")
    elif name == "predict_age_set_aside":
        connection.execute(f"CREATE VIEW {name} AS {NOTHING_SET_ASIDE}")


@contextmanager
def query(workspace: Workspace, text: str, timeout: float = 0) -> Iterator[duckdb.DuckDBPyRelation]:
    """Run one statement that only reads, and stop it after ``timeout`` seconds (0: never), reading of the rows included.

    Raises ConfigError for any other statement and for errors of DuckDB, also those in the block, where rows are read;
    ResourceError when the memory is used up; LimitError after the timeout.
    """
    hint = "" if workspace.published.current else "; no run has been published in this workspace yet"
    suppression = workspace.suppression
    connection = connect_tables(workspace, text, suppression)
    timer = Timer(timeout, connection.interrupt)
    timer.daemon = True
    try:
        if timeout:
            timer.start()
        with _errors():
            explained = _check_reads_only(connection, text)
            if suppression:
                check_reads_tables_only(connection, explained)
            relation = connection.sql(text)
        yield relation
    except QueryError as error:
        names = _table_names(connection) if _UNKNOWN_TABLE.search(str(error)) else None
        raise _explained(str(error), text, hint, timeout, names) from None
    finally:
        timer.cancel()
        shutil.rmtree(of_this_command(workspace.root), ignore_errors=True)
        if timer.ident is not None:
            timer.join()  # a thread that still runs when the program ends makes DuckDB complain


class QueryError(Exception):
    """A sentence of DuckDB about a statement or about the rows that it was computing."""


@contextmanager
def _errors() -> Iterator[None]:
    """Turn errors of DuckDB into a QueryError. Arrow wraps those that occur while rows are fetched into an OSError."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        raise QueryError(str(error)) from None


def _table_names(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [name for (name,) in connection.execute("SHOW TABLES").fetchall()]


def _explained(said: str, text: str, hint: str, timeout: float, tables: list[str] | None) -> PredictAgeError:
    """Error for what DuckDB ``said`` about the query ``text``; ``tables`` are those that exist, where the query names another.

    It repeats no value of the rows.
    """
    if said.startswith("INTERRUPT Error"):
        return LimitError(
            "the query was stopped by its time limit",
            expected=f"all rows within {timeout:g} s",
            found="no end",
            fix="ask for less, or give a higher --timeout (0: no limit); a recursive query needs a condition that ends it",
        )
    if said.startswith("Out of Memory Error"):
        return memory_error(QueryError(said), "ask for fewer rows or groups, or use a machine with more memory")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    advice = [line for line in lines[1:] if line.startswith(("Did you mean", "Candidate"))]
    if advice and advice[0] == "Candidate functions:":
        advice += lines[lines.index(advice[0]) + 1 :][:CANDIDATES]
    if tables is not None:  # DuckDB may propose one of its own catalogue
        advice = [line for line in advice if any(f'"{name}"' in line for name in tables)]
        advice += [f"tables: {', '.join(tables)}"] if tables else []
    return ConfigError("\n  ".join([f"the query failed: {without_values(said, text)}{hint}", *advice]))


def _check_reads_only(connection: duckdb.DuckDBPyConnection, text: str) -> str:
    """Raise ConfigError unless ``text`` is one statement that only reads; EXPLAIN ANALYZE would run what it explains.

    Returns the statement, without EXPLAIN.
    """
    statements = connection.extract_statements(text)
    if len(statements) == 1 and statements[0].type == duckdb.StatementType.EXPLAIN:
        explained = _EXPLAIN.sub("", text, count=1)
        statements, text = connection.extract_statements(explained) if explained != text else [], explained
    if len(statements) != 1 or statements[0].type not in _READING:
        kinds = ", ".join(s.type.name for s in statements) or "nothing"
        raise ConfigError("sql runs exactly one statement that only reads", expected="SELECT ...", found=kinds)
    return text


def row_batches(relation: duckdb.DuckDBPyRelation, rows: int) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Schema of the result, and its batches of up to ``rows`` rows, streamed. Raises QueryError."""
    with _errors():
        reader = relation.to_arrow_reader(rows)

    def batches() -> Iterator[pa.RecordBatch]:
        while True:
            with _errors():
                batch = next(reader, None)
            if batch is None:
                return
            yield batch

    return reader.schema, batches()


def rows_of(relation: duckdb.DuckDBPyRelation) -> Iterator[tuple[Any, ...]]:
    """The rows as Python values, streamed: truth values, numbers, and text for all others."""
    yield from _python_rows(with_text_columns(relation))


def _python_rows(relation: duckdb.DuckDBPyRelation) -> Iterator[tuple[Any, ...]]:
    for batch in row_batches(relation, 10_000)[1]:
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def write_csv(relation: duckdb.DuckDBPyRelation, stream: IO[str]) -> int:
    """Stream the rows as CSV, RFC 4180, NULL as an empty field, truth values as true and false; returns their number."""
    import csv

    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(relation.columns)
    number = 0
    for number, row in enumerate(rows_of(relation), 1):  # noqa: B007 - the last number is the answer
        writer.writerow([_CSV.get(v, v) if v is None or isinstance(v, bool) else v for v in row])
    return number


def write_csv_bytes(relation: duckdb.DuckDBPyRelation, stream: IO[bytes]) -> int:
    """Stream the rows as CSV in UTF-8; returns their number."""
    with text_of(stream) as text:
        return write_csv(relation, text)


@contextmanager
def text_of(stream: IO[bytes]) -> Iterator[IO[str]]:
    """Text stream, UTF-8, whose content goes to ``stream``, which stays open."""
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    try:
        yield text
    finally:
        text.detach()  # which writes what is buffered


def write_jsonl(relation: duckdb.DuckDBPyRelation, stream: IO[str]) -> None:
    """Stream the rows as JSON lines, NaN and infinity as null. Raises ConfigError for two columns of one name."""
    names = relation.columns
    if len(set(names)) < len(names):
        raise ConfigError(
            "a column name appears twice in the result",
            expected="each name once, as a JSON object needs it",
            found=", ".join(names),
            fix="name one of them with AS",
        )
    texts, is_json = with_json_columns(relation)
    keys = [json.dumps(name, ensure_ascii=False) for name in names]
    for row in _python_rows(texts):
        values = (_json(value, given) for value, given in zip(row, is_json, strict=True))
        stream.write("{" + ", ".join(f"{key}: {value}" for key, value in zip(keys, values, strict=True)) + "}\n")


def _json(value: object, is_json: bool) -> str:
    """JSON of a value: of plain Python, or text that ``is_json`` already."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "null"
    return finite_json(str(value)) if is_json else json.dumps(value, ensure_ascii=False)


def write_parquet(relation: duckdb.DuckDBPyRelation, stream: IO[bytes]) -> None:
    """Write the rows as a Parquet file. Raises ConfigError for columns of types that it cannot hold as they are."""
    import pyarrow.parquet as pq

    if inexact := inexact_columns(relation):
        raise ConfigError(
            "a Parquet file cannot hold this type as it is",
            expected="numbers, text, dates, times and timestamps, and lists, structs and maps of them",
            found=", ".join(inexact),
            fix="CAST(... AS VARCHAR) in the query, or --format csv",
        )
    schema, batches = row_batches(relation, 100_000)
    try:
        with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
    except NotImplementedError as error:  # of Arrow, such as for a struct without fields
        raise ConfigError(
            "a Parquet file cannot hold this type", expected="types that Parquet has", found=str(error), fix="--format csv or jsonl"
        ) from None
