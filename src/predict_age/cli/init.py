"""The command that proposes a configuration and a feature file for a source."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from predict_age.cli.app import JsonOption, SourceOption, app
from predict_age.cli.output import print_json, print_line
from predict_age.pipeline.run_plan import parse_date
from predict_age.tally import MIN_SHOWN_PEOPLE, counted
from predict_age.terminal_text import shell_word

if TYPE_CHECKING:
    from predict_age.proposal.columns import ColumnGuess, Role
    from predict_age.proposal.proposal import Proposal

LEFT_OUT_SHOWN = 12


@app.command("init", epilog="Example: predict-age init --source people.csv")
def init_command(
    source: SourceOption,
    folder: Annotated[Path, typer.Option("--out", help="Folder for the two files.", metavar="DIR")] = Path(),
    pid: Annotated[str, typer.Option("--pid", help="Column of ids; default: guessed.", metavar="COLUMN")] = "",
    age: Annotated[str, typer.Option("--age", help="Column of ages in years.", metavar="COLUMN")] = "",
    birth_year: Annotated[str, typer.Option("--birth-year", help="Column of birth years.", metavar="COLUMN")] = "",
    birth_date: Annotated[str, typer.Option("--birth-date", help="Column of dates of birth.", metavar="COLUMN")] = "",
    as_of: Annotated[str, typer.Option("--as-of", help="Date of the ages, YYYY-MM-DD; default: today.", metavar="DATE")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take the best guess.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the two files where they exist.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Propose a configuration and a feature file for a source: read a sample, guess columns and features, write two TOML files."""
    from predict_age.proposal.writing import check_free, write_proposal

    check_free(folder, force=force)
    given: dict[Role, str] = {}
    for role, name in (("pid", pid), ("approximate_age", age), ("birth_year", birth_year), ("birth_date", birth_date)):
        if name:
            given[role] = name  # type: ignore[index]
    interactive = not yes and not as_json and sys.stdin.isatty() and sys.stderr.isatty()
    when = parse_date(as_of) if as_of else dt.date.today()
    written = write_proposal(source, when, folder, given, _ask if interactive else lambda guess: guess.name)
    proposal, config, features = written.proposal, written.config, written.features
    if as_json:
        print_json(written.as_json())
        return
    for line in _summary(proposal, config, features):
        print_line(line)


def _ask(guess: ColumnGuess) -> str:
    """Ask on the terminal which column has the role; the guess is the default."""
    question = {
        "pid": "Which column identifies a person?",
        "approximate_age": "Which column is the age in years?",
        "birth_year": "Which column is the year of birth?",
        "birth_date": "Which column is the date of birth?",
    }[guess.role]
    return str(typer.prompt(f"{question} ({guess.evidence})", default=guess.name, err=True))


def _summary(proposal: Proposal, config: Path, features: Path) -> list[str]:
    columns, rows = proposal.columns, len(proposal.sample.records)
    files = counted(len(proposal.sample.files), "file")
    lines = [f"{proposal.source}: {counted(rows, 'record')} read, of {files}", ""]
    for guess in (columns.pid, *columns.ages):
        lines.append(f"  {guess.role:<16} {guess.name:<24} {guess.evidence}" + ("" if guess.sure else "  (a guess: check it)"))
    lines.append(f"  {'profile_json':<16} {columns.profile:<24} " + ("all other columns" if columns.profile == "*" else "JSON"))
    if columns.repeated:
        lines.append(f"  {'people':<16} {columns.repeated.sentence}")
        if columns.other_id:
            lines.append(
                f"  {'':<16} is {columns.other_id} the id? It differs in each record: --pid {shell_word(columns.other_id)}"
            )
    lines += [f"  {'files':<16} {sentence}" for sentence in proposal.stray]
    ages, shown = proposal.ages, proposal.shown_ages
    known = f"{shown.known:,} of {shown.given:,} given"
    if shown != ages.given:  # a number of fewer people is not shown
        known = f"about {shown.known:,}; fewer than {MIN_SHOWN_PEOPLE} given ages are not used"
    lines.append(f"  {'known ages':<16} {known}, at {proposal.as_of.isoformat()}")
    if ages.missing:
        lines.append(f"    no date of birth: {', '.join(ages.missing)} (missing_values in {config})")
    lines += [f"    not used: {sentence}" for sentence in ages.unused]
    lines += [f"    likely: {ages.likely}"] if ages.likely else []
    kinds: dict[str, int] = {}
    for feature in proposal.features:
        kinds[str(feature.settings["kind"])] = kinds.get(str(feature.settings["kind"]), 0) + 1
    lines += ["", f"{counted(len(proposal.features), 'feature')}: " + ", ".join(f"{n} {kind}" for kind, n in kinds.items())]
    if proposal.left_out:
        lines.append(f"{counted(len(proposal.left_out), 'field')} left out:")
        lines += [f"  {left.field}: {left.reason}" for left in proposal.left_out[:LEFT_OUT_SHOWN]]
        if len(proposal.left_out) > LEFT_OUT_SHOWN:
            lines.append(f"  and {len(proposal.left_out) - LEFT_OUT_SHOWN} more, all of them at the end of {features}")
    options = f"--source {shell_word(proposal.source)} --config {shell_word(config)} --features {shell_word(features)}"
    when = f"--as-of {proposal.as_of.isoformat()}"
    return [
        *lines,
        "",
        f"Written: {config}, {features}. Look through both, then:",
        f"  predict-age plan {options} {when}",
        f"  predict-age run {options} {when} --workspace work",
    ]
