"""The tables of a workspace, read-only: what ``predict-age sql`` sees.

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

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from predict_age.errors import ConfigError
from predict_age.files import receipt_of
from predict_age.sql import statement
from predict_age.workspace import RunFolder, Workspace

VIEW = "predict_age_final_results_with_confidence"
_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN, duckdb.StatementType.RELATION}


def _named(folder: RunFolder, kind: str) -> list[str]:
    """Data files of a run that have a receipt: a file nobody vouches for is not read."""
    return [str(p) for p in sorted((folder.path / kind).glob("*_*.parquet")) if receipt_of(p).exists()]


def _list(paths: list[str]) -> str:
    return "[" + ", ".join("'" + p.replace("'", "''") + "'" for p in paths) + "]"


def connect_tables(workspace: Workspace) -> duckdb.DuckDBPyConnection:
    """A connection whose views are the published tables. It can read files of the workspace only, and write none."""
    published = workspace.published
    connection = duckdb.connect()
    if published.current:
        current = workspace.run(published.current)
        _view(connection, "predict_age_final_results", _named(current, "results"))
        _view(connection, "predict_age_human_qa", _named(current, "qa"))
        schema = current.path / "predictions" / "schema.parquet"
        _view(connection, "predict_age_predictions", [str(schema)] * schema.exists() + _named(current, "predictions"))
        aside = [str(p) for p in sorted((current.path / "set_aside").glob("*.parquet"))]
        empty = (
            "SELECT CAST(NULL AS VARCHAR) AS file, CAST(NULL AS BIGINT) AS position, CAST(NULL AS VARCHAR) AS reason WHERE FALSE"
        )
        _view(connection, "predict_age_set_aside", aside, empty)
        for quarter, run_id in published.quarters.items():
            _view(connection, f"predict_age_final_results_{quarter}", _named(workspace.run(run_id), "results"))
        connection.execute(f"CREATE VIEW {VIEW} AS {statement('final_view', 'duckdb')}")
    root = str(workspace.root.resolve()).replace("'", "''")
    connection.execute(f"SET allowed_directories = ['{root}/']")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _view(connection: duckdb.DuckDBPyConnection, name: str, paths: list[str], empty: str | None = None) -> None:
    if paths:
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({_list(paths)})")
    elif empty:
        connection.execute(f"CREATE VIEW {name} AS {empty}")


def query(workspace: Workspace, text: str) -> duckdb.DuckDBPyRelation:
    """Run one reading statement. Raises ConfigError for anything else, and for what DuckDB refuses."""
    connection = connect_tables(workspace)
    try:
        statements = connection.extract_statements(text)
        if len(statements) != 1 or statements[0].type not in _READING:
            kinds = ", ".join(s.type.name for s in statements) or "nothing"
            raise ConfigError("only one reading statement is possible", expected="SELECT ...", found=kinds)
        return connection.sql(text)
    except duckdb.Error as error:
        hint = "" if workspace.published.current else "; no run has been published in this workspace yet"
        raise ConfigError(f"the query failed: {str(error).splitlines()[0]}{hint}") from None


def rows_of(relation: duckdb.DuckDBPyRelation) -> Iterator[tuple[Any, ...]]:
    """The rows as Python values, streamed."""
    for batch in relation.to_arrow_reader(10_000):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def write_csv(relation: duckdb.DuckDBPyRelation, stream: object) -> None:
    """Stream the rows as CSV, RFC 4180, NULL as nothing."""
    import csv

    writer = csv.writer(stream, lineterminator="\n")  # type: ignore[arg-type]
    writer.writerow(relation.columns)
    writer.writerows(["" if v is None else v for v in row] for row in rows_of(relation))


def write_jsonl(relation: duckdb.DuckDBPyRelation, stream: object) -> None:
    """Stream the rows as JSON lines."""
    import json

    for row in rows_of(relation):
        stream.write(json.dumps(dict(zip(relation.columns, row, strict=True)), default=str, ensure_ascii=False) + "\n")  # type: ignore[attr-defined]


def write_parquet(relation: duckdb.DuckDBPyRelation, path: Path) -> None:
    """Write the rows to a new Parquet file."""
    import pyarrow.parquet as pq

    reader = relation.to_arrow_reader(100_000)
    with pq.ParquetWriter(path, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
