"""Commands that look: status, runs, diff, sql, report."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from predict_age.cli.app import AsJson, Space, app, existing, out
from predict_age.errors import ConfigError


class Format(StrEnum):
    """Output formats of ``sql``."""

    table = "table"
    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"


@app.command(epilog="Example: predict-age status --workspace work")
def status(workspace: Space, as_json: AsJson = False) -> None:
    """Say how the newest run stands, step by step."""
    from predict_age.cli.render import show_run
    from predict_age.run.summary import run_summary

    runs = existing(workspace).runs()
    if not runs:
        raise ConfigError("there are no runs in this workspace", fix="start one with `predict-age run`")
    out(json.dumps(run_summary(runs[-1]))) if as_json else show_run(runs[-1])


@app.command(epilog="Example: predict-age runs --workspace work")
def runs(workspace: Space, as_json: AsJson = False) -> None:
    """List all runs, and which of them is published."""
    from predict_age.cli.render import run_rows, show_runs

    space = existing(workspace)
    out(json.dumps(run_rows(space))) if as_json else show_runs(space)


@app.command(epilog="Example: predict-age diff 2025q2 2025q3 --workspace work")
def diff(
    before: Annotated[str, typer.Argument(metavar="RUN", help="Run id, published quarter, or current.")],
    after: Annotated[str, typer.Argument(metavar="RUN", help="The later one.")],
    workspace: Space,
    jump: Annotated[float, typer.Option(help="A change further than this from the expected one is a jump, years.", min=0)] = 5.0,
    to: Annotated[
        Path | None, typer.Option("--out", help="Write everybody who jumped to this new .csv or .parquet.", metavar="FILE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two finished runs person by person: who came, who went, whose age changed, and whose changed too much."""
    from predict_age.cli.render import show_diff
    from predict_age.query.run_diff import diff as compare
    from predict_age.storage.manifest import verified_run

    space = existing(workspace)
    runs = [verified_run(space, space.resolve(name)) for name in (before, after)]
    found = compare(runs[0], runs[1], jump, to)
    out(json.dumps(found.as_json())) if as_json else show_diff(found)


@app.command(
    epilog='Example: predict-age sql --workspace work --format csv "SELECT count(*) FROM predict_age_final_results_with_confidence"'
)
def sql(
    query: Annotated[str, typer.Argument(help="One SELECT statement.")],
    workspace: Space,
    output: Annotated[Format, typer.Option("--format", help="How to print the rows.")] = Format.table,
    to: Annotated[Path | None, typer.Option("--out", help="Write to this new file (needed for parquet).", metavar="FILE")] = None,
) -> None:
    """Query the published tables, read-only; the query "SHOW TABLES" lists them."""
    from predict_age.cli.render import show_rows
    from predict_age.query import tables

    relation = tables.query(existing(workspace), query)
    if to is not None and to.exists():
        raise ConfigError(f"{to} exists already", fix="choose another --out")
    if output is Format.parquet:
        if to is None:
            raise ConfigError("--format parquet needs --out FILE")
        tables.write_parquet(relation, to)
        return
    with _stream(to) as stream:
        if output is Format.csv:
            tables.write_csv(relation, stream)
        elif output is Format.jsonl:
            tables.write_jsonl(relation, stream)
        else:
            show_rows(relation, stream)


@contextmanager
def _stream(to: Path | None) -> Iterator[Any]:
    if to is None:
        yield sys.stdout
    else:
        with to.open("w", encoding="utf-8", newline="") as stream:
            yield stream


@app.command(epilog="Example: predict-age report --workspace work")
def report(
    workspace: Space,
    run_id: Annotated[str, typer.Option("--run", help="Which run; default: the newest finished one.", metavar="RUN")] = "",
) -> None:
    """Write the report of a run again and print its path."""
    from predict_age.report import write_report
    from predict_age.storage.workspace import DONE

    space = existing(workspace)
    done = [r for r in space.runs() if r.status == DONE and run_id in ("", r.id)]
    if not done:
        raise ConfigError(f"no finished run {run_id}".rstrip(), fix="list them with `predict-age runs`")
    write_report(done[-1])
    out(str(done[-1].report.resolve()))
