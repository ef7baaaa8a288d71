"""Export of the published result into one file, with the suppression list obeyed, complete or not there at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from predict_age.errors import ConfigError
from predict_age.letters import nearest
from predict_age.purposes import NOT_STATED
from predict_age.query import tables
from predict_age.runtime.command_log import stage
from predict_age.sql import VIEW
from predict_age.storage.durable_files import NewFile
from predict_age.storage.output_file import OutputFile
from predict_age.storage.parquet_writer import parquet_options, with_purpose
from predict_age.storage.workspace import Workspace

EXPORT_ROWS = 100_000
METADATA = "predict_age."


class ExportFormat(StrEnum):
    """Formats of ``export``."""

    parquet = "parquet"
    csv = "csv"


@dataclass(frozen=True)
class Exported:
    """A file that was written: its rows and columns, and the run, date and purpose of the ages in it."""

    path: str
    rows: int
    columns: list[str]
    run_id: str
    as_of: str
    purpose: str


@stage("write the published rows")
def export_result(
    workspace: Workspace, to: Path, kind: ExportFormat, columns: Sequence[str] = (), *, replace: bool = False
) -> Exported:
    """Write the users' view, or these ``columns`` of it, to the file ``to``: a new one, or with ``replace`` instead of an old one.

    People on the suppression list have no row, withheld people no number: they have none in the result either. Parquet carries
    run, date and purpose in its metadata. Raises ConfigError when nothing is published, the file exists, or a column does not.
    """
    file = OutputFile(to, "--to", workspace.root, replace)
    file.check()
    if not (run_id := workspace.published.current):
        raise ConfigError("no run has been published in this workspace yet", fix="`predict-age run` publishes one")
    record = workspace.run(run_id).record
    purpose = str(record.get("purpose", NOT_STATED))
    chosen = _columns(workspace, columns)
    with (
        tables.query(workspace, f"SELECT {', '.join(map(_quoted, chosen))} FROM {VIEW}") as relation,
        file.writing() as stream,
    ):
        if kind is ExportFormat.csv:
            rows = tables.write_csv_bytes(relation, stream)
        else:
            facts = {f"{METADATA}run_id": run_id, f"{METADATA}as_of": str(record["as_of"])}
            rows = _write_parquet(relation, stream, facts, purpose)
    return Exported(str(to), rows, chosen, run_id, str(record["as_of"]), purpose)


def _write_parquet(relation: duckdb.DuckDBPyRelation, stream: NewFile, facts: dict[str, str], purpose: str) -> int:
    schema, batches = tables.row_batches(relation, EXPORT_ROWS)
    named = with_purpose(schema.with_metadata(facts), purpose)
    rows = 0
    with pq.ParquetWriter(stream, named, **parquet_options(named)) as writer:
        for batch in batches:
            writer.write_table(pa.Table.from_batches([batch]).cast(named), row_group_size=EXPORT_ROWS)
            rows += batch.num_rows
    return rows


def _columns(workspace: Workspace, wanted: Sequence[str]) -> list[str]:
    with tables.query(workspace, f"SELECT * FROM {VIEW} LIMIT 0") as relation:
        known = relation.columns
    for name in wanted:
        if name not in known:
            close = nearest(name.lower(), known, 0.5)
            raise ConfigError(
                f"the result has no column {name!r}",
                expected=", ".join(known),
                found=", ".join(wanted),
                fix=f"did you mean {close!r}?" if close else "",
            )
    if len(set(wanted)) < len(wanted):
        raise ConfigError("a column is named twice", expected="each column once", found=", ".join(wanted))
    return list(wanted) or known


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
