"""Command that hands the published result on: export."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from predict_age.cli.app import JsonOption, WorkspaceOption, app, open_people
from predict_age.cli.output import completed, print_json, print_line
from predict_age.errors import ConfigError


class ExportChoice(StrEnum):
    """Values of ``--format``; auto: by the ending of the file."""

    auto = "auto"
    parquet = "parquet"
    csv = "csv"


@app.command("export", epilog="Example: predict-age export --workspace work --to ages.parquet --columns pid,predicted_age,usable")
def export_command(
    workspace: WorkspaceOption,
    to: Annotated[Path, typer.Option("--to", help="File for the rows.", metavar="FILE")],
    kind: Annotated[
        ExportChoice, typer.Option("--format", help="Format of the file; auto: by the ending .csv or .parquet.")
    ] = ExportChoice.auto,
    columns: Annotated[
        str, typer.Option("--columns", help="Columns of the view, separated by commas; default: all.", metavar="NAMES")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists, once the new one is complete.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the published result into one file, without people on the suppression list."""
    from predict_age.query.export import ExportFormat, export_result

    people = open_people(workspace)
    ending = to.suffix.lower()
    if kind is ExportChoice.auto and ending not in (".csv", ".parquet", ".pq"):
        raise ConfigError(
            f"the format of {to} is not known",
            expected="a name that ends with .parquet or .csv, or --format",
            found=ending or "no ending",
        )
    chosen = kind.value if kind is not ExportChoice.auto else "csv" if ending == ".csv" else "parquet"
    names = [name.strip() for name in columns.split(",") if name.strip()]
    made = export_result(people, to, ExportFormat(chosen), names, replace=force)
    completed(f"{made.rows:,} people were written to {to}", "")
    if as_json:
        print_json(asdict(made))
    else:
        print_line(f"{made.rows:,} people in {to}: run {made.run_id}, ages on {made.as_of}, purpose: {made.purpose}")
