"""Commands that inspect runs and results: status, runs, diff, sql, report."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from predict_age.cli.app import JsonOption, WorkspaceOption, app, open_people, open_workspace
from predict_age.cli.output import completed, print_json, print_line
from predict_age.cli.s3_workspace import diff_there, show_runs_there, workspace_in_s3
from predict_age.errors import ConfigError
from predict_age.runtime.command_log import stage

if TYPE_CHECKING:
    import duckdb


class OutputFormat(StrEnum):
    """Output formats of ``sql``."""

    table = "table"
    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"


@app.command("status", epilog="Example: predict-age status --workspace work")
def status_command(workspace: WorkspaceOption, as_json: JsonOption = False) -> None:
    """Show the newest run: status, results, quality, steps."""
    from predict_age.cli.render_runs import show_run
    from predict_age.runs.summary import run_summary

    with stage("read the records of the newest run"):
        runs = open_workspace(workspace).runs()
        if not runs:
            raise ConfigError("there are no runs in this workspace", fix="start one with `predict-age run`")
        summary = run_summary(runs[-1])
    print_json(summary) if as_json else show_run(runs[-1])


@app.command("runs", epilog="Example: predict-age runs --workspace work")
def runs_command(workspace: WorkspaceOption, as_json: JsonOption = False) -> None:
    """List all runs and those that are published."""
    if workspace_in_s3(workspace):
        show_runs_there(workspace, as_json)
        return
    from predict_age.cli.render_runs import run_rows, show_runs

    with stage("read the records of all runs"):
        rows = run_rows(open_workspace(workspace))
    print_json([asdict(row) for row in rows]) if as_json else show_runs(rows)


@app.command("diff", epilog="Example: predict-age diff 2025q2 2025q3 --workspace work")
def diff_command(
    before: Annotated[str, typer.Argument(metavar="EARLIER", help="Run id, published quarter, current or previous.")],
    after: Annotated[str, typer.Argument(metavar="LATER", help="The later run.")],
    workspace: WorkspaceOption,
    jump: Annotated[
        float, typer.Option(help="Years by which a change may differ from the expected one before it counts as a jump.", min=0)
    ] = 5.0,
    to: Annotated[
        Path | None, typer.Option("--out", help="Write all jumps to this new .csv or .parquet file.", metavar="FILE")
    ] = None,
    people: Annotated[bool, typer.Option("--people", help="Print the people with the largest jumps, by pid.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare two finished runs person by person: new people, missing people, changed ages, and jumps."""
    if workspace_in_s3(workspace):
        if to is not None:
            raise ConfigError(
                "--out writes a file of this machine", expected="no --out with s3://", fix="leave it out; --people prints 20 people"
            )
        diff_there(workspace, (before, after), jump, people, as_json)
        return
    from predict_age.cli.render_runs import show_diff
    from predict_age.query.run_diff import diff_runs
    from predict_age.storage.manifest import verified_run

    space = open_people(workspace)
    folders = [space.resolve(name) for name in (before, after)]
    if folders[0].id == folders[1].id:
        raise ConfigError(
            "nothing to compare: both names mean the same run",
            expected="two different runs",
            found=f"{before} and {after} are run {folders[0].id}",
            fix="name the earlier run by its id; `predict-age runs` lists them",
        )
    earlier, later = (verified_run(space, folder) for folder in folders)
    comparison = diff_runs(earlier, later, jump, to, space.suppression)
    if not people:  # what is printed ends up in logs
        comparison = replace(comparison, jumps=[])
    print_json(comparison.as_json()) if as_json else show_diff(comparison)


@app.command(
    "sql",
    epilog='Example: predict-age sql --workspace work --format csv "SELECT * FROM predict_age_final_results_with_confidence"',
)
def sql_command(
    query: Annotated[str, typer.Argument(help="One SELECT statement.")],
    workspace: WorkspaceOption,
    output: Annotated[OutputFormat, typer.Option("--format", help="How to print the rows.")] = OutputFormat.table,
    to: Annotated[Path | None, typer.Option("--out", help="Write to this new file (needed for parquet).", metavar="FILE")] = None,
    timeout: Annotated[
        float,
        typer.Option(
            help="Stop the query after so many seconds, printing included; 0: no limit.", min=0, max=604_800, metavar="SECONDS"
        ),
    ] = 3600,
) -> None:
    """Query the published tables, read-only; the query "SHOW TABLES" lists them."""
    from predict_age.query import tables
    from predict_age.storage.output_file import OutputFile

    if output is OutputFormat.parquet and to is None:
        raise ConfigError("--format parquet needs --out FILE")
    space = open_people(workspace)
    file = OutputFile(to, "--out", space.root) if to is not None else None
    if file:
        file.check()
    with tables.query(space, query, timeout) as relation:
        if file is None:
            _write(relation, output, sys.stdout)
            return
        with file.writing() as stream:
            if output is OutputFormat.parquet:
                tables.write_parquet(relation, stream)
                return
            with tables.text_of(stream) as text:
                _write(relation, output, text)


def _write(relation: duckdb.DuckDBPyRelation, output: OutputFormat, stream: IO[str]) -> None:
    from predict_age.cli.render_rows import show_rows
    from predict_age.query import tables

    if output is OutputFormat.csv:
        tables.write_csv(relation, stream)
    elif output is OutputFormat.jsonl:
        tables.write_jsonl(relation, stream)
    else:
        show_rows(relation, stream)


@app.command("report", epilog="Example: predict-age report --workspace work")
def report_command(
    workspace: WorkspaceOption,
    run_id: Annotated[
        str,
        typer.Option("--run", help="Run id, published quarter, or current; default: the newest finished one.", metavar="RUN"),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Write the report of a finished run again and print its path."""
    from predict_age.report import write_report
    from predict_age.storage.workspace import DONE

    space = open_workspace(workspace)
    finished = [run for run in space.runs() if run.status == DONE]
    if not run_id and not finished:
        raise ConfigError("there is no finished run in this workspace", fix="list its runs with `predict-age runs`")
    folder = space.resolve(run_id) if run_id else finished[-1]
    if folder.status != DONE:
        raise ConfigError(f"run {folder.id} is not finished", expected="a finished run", found=folder.status)
    with stage("write the report"):
        write_report(folder)
    completed(f"the report {folder.report} was written", "")
    path = str(folder.report.resolve())
    print_json({"run_id": folder.id, "report": path}) if as_json else print_line(path)
