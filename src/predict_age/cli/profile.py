"""Command that describes a source: its files, fields, ages, ids and protected fields."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from predict_age.cli.app import JsonOption, SourceOption, app
from predict_age.cli.output import completed, print_json, print_line
from predict_age.pipeline.run_plan import parse_date

if TYPE_CHECKING:
    from predict_age.proposal.columns import Role


@app.command("profile", epilog="Example: predict-age profile --source people.csv --html people.html")
def profile_command(
    source: SourceOption,
    to: Annotated[Path | None, typer.Option("--html", help="Write the profile to this new HTML file.", metavar="FILE")] = None,
    as_of: Annotated[str, typer.Option("--as-of", help="Date of the ages, YYYY-MM-DD; default: today.", metavar="DATE")] = "",
    pid: Annotated[str, typer.Option("--pid", help="Column of ids; default: guessed.", metavar="COLUMN")] = "",
    age: Annotated[str, typer.Option("--age", help="Column of ages in years.", metavar="COLUMN")] = "",
    birth_year: Annotated[str, typer.Option("--birth-year", help="Column of birth years.", metavar="COLUMN")] = "",
    birth_date: Annotated[str, typer.Option("--birth-date", help="Column of dates of birth.", metavar="COLUMN")] = "",
    as_json: JsonOption = False,
) -> None:
    """Describe a source: rows, files, columns and nested fields, shares missing, shapes, known ages, ids, protected fields.

    It reads a sample of 20,000 records. A value is shown only where at least 20 people share it.
    """
    from predict_age.cli.render_profile import show_profile
    from predict_age.proposal.source_profile import profile_of
    from predict_age.storage.output_file import OutputFile

    if to is not None:
        OutputFile(to, "--html").check()
    roles = (("pid", pid), ("approximate_age", age), ("birth_year", birth_year), ("birth_date", birth_date))
    given: dict[Role, str] = {role: name for role, name in roles if name}  # type: ignore[misc]
    found = profile_of(source, parse_date(as_of) if as_of else dt.date.today(), given)
    if to is not None:
        from predict_age.proposal.profile_page import profile_page

        with OutputFile(to, "--html").writing() as stream:
            stream.write(profile_page(found))
        completed(f"the profile was written to {to}", "")
    if as_json:
        print_json(found.as_json())
        return
    show_profile(found)
    if to is not None:
        print_line(f"Page    {to.resolve()}")
