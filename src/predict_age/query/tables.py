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

import re
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import duckdb

from predict_age.errors import ConfigError, IntegrityError
from predict_age.sql import VIEW, for_duckdb
from predict_age.storage.manifest import verified_run
from predict_age.storage.workspace import RunFolder, Workspace

NOTHING_SET_ASIDE = (
    "SELECT CAST(NULL AS VARCHAR) AS file, CAST(NULL AS BIGINT) AS position, CAST(NULL AS VARCHAR) AS reason WHERE FALSE"
)
_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN, duckdb.StatementType.RELATION}


def _list(paths: list[str]) -> str:
    return "[" + ", ".join("'" + p.replace("'", "''") + "'" for p in paths) + "]"


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


def connect_tables(workspace: Workspace, text: str) -> duckdb.DuckDBPyConnection:
    """Connection with the published tables as views. It can only read, and only files of the workspace.

    First, every file of a table that the query ``text`` mentions is compared with the hash in its run's manifest.
    Raises IntegrityError when one differs. A file that no manifest names is not read.
    """
    connection = duckdb.connect()
    wanted = set(re.findall(r"\w+", text.lower()))
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
        with nullcontext() if used else suppress(duckdb.Error):  # a damaged table that the query does not mention is left out
            _view(connection, name, paths)
    if "predict_age_final_results" in sources:
        with suppress(duckdb.CatalogException):  # missing when its run is damaged and the query does not mention it
            names = connection.table("predict_age_final_results").columns
            connection.execute(f"CREATE VIEW {VIEW} AS {for_duckdb('final_view', source_ids='source_id' in names)}")
    root = str(workspace.root.resolve()).replace("'", "''")
    connection.execute(f"SET allowed_directories = ['{root}/']")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _view(connection: duckdb.DuckDBPyConnection, name: str, paths: list[str]) -> None:
    if paths:
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({_list(paths)})")
    elif name == "predict_age_set_aside":
        connection.execute(f"CREATE VIEW {name} AS {NOTHING_SET_ASIDE}")


def query(workspace: Workspace, text: str) -> duckdb.DuckDBPyRelation:
    """Run one statement that only reads. Raises ConfigError for any other, and for errors of DuckDB."""
    connection = connect_tables(workspace, text)
    try:
        statements = connection.extract_statements(text)
        if len(statements) != 1 or statements[0].type not in _READING:
            kinds = ", ".join(s.type.name for s in statements) or "nothing"
            raise ConfigError("sql runs exactly one statement that only reads", expected="SELECT ...", found=kinds)
        return connection.sql(text)
    except duckdb.Error as error:
        hint = "" if workspace.published.current else "; no run has been published in this workspace yet"
        raise ConfigError(f"the query failed: {str(error).splitlines()[0]}{hint}") from None


def rows_of(relation: duckdb.DuckDBPyRelation) -> Iterator[tuple[Any, ...]]:
    """The rows as Python values, streamed."""
    for batch in relation.to_arrow_reader(10_000):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def write_csv(relation: duckdb.DuckDBPyRelation, stream: object) -> None:
    """Stream the rows as CSV, RFC 4180, NULL as an empty field."""
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
