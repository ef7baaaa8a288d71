"""The command line. Heavy imports happen inside commands, so that ``--help`` is quick."""

from __future__ import annotations

import datetime as dt
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from predict_age import __version__
from predict_age.errors import ConfigError, PredictAgeError, Terminated

if TYPE_CHECKING:
    from predict_age.run import RunPlan
    from predict_age.workspace import RunFolder, Workspace

app = typer.Typer(
    name="predict-age", no_args_is_help=True, rich_markup_mode="rich", add_completion=False, pretty_exceptions_enable=False,
    help="Train on the people whose age is known, predict the others with an interval, publish one table with everybody once.",
)  # fmt: skip


class Format(StrEnum):
    """Output formats of ``sql``."""

    table = "table"
    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ConfigError("--as-of is not a date", expected="YYYY-MM-DD, such as 2025-10-23", found=text) from None


AsOf = Annotated[str, typer.Option("--as-of", help="The date at which people have the age: YYYY-MM-DD.", metavar="DATE")]
Source = Annotated[str, typer.Option("--source", help="A file, a folder or a glob: Parquet, JSON lines, CSV.", metavar="PATH")]
Space = Annotated[Path, typer.Option("--workspace", help="The folder that holds runs and results.", metavar="DIR")]
Features = Annotated[
    Path | None, typer.Option("--features", help="Feature file; without it, the document's profile.", metavar="FILE")
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).", metavar="FILE")]
Workers = Annotated[int | None, typer.Option("--workers", help="Worker processes; default: one for each core.", min=1)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout, and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


def _plan(source: str, as_of: str, features: Path | None, config: Path | None, workers: int | None) -> RunPlan:
    """Check everything that can be checked before a run: configuration, feature file, source."""
    from predict_age.config import load_config
    from predict_age.features.extract import check_compiles
    from predict_age.features.spec import load_features
    from predict_age.pipeline import new_plan

    settings = load_config(config, {"running": {"workers": workers} if workers else {}})
    columns = (settings.source.birth_year, settings.source.approximate_age)
    declared = load_features(features, columns)
    name = str(features) if features else "built in"
    check_compiles(declared, _date(as_of), name)
    return new_plan(source, _date(as_of), settings, declared.text, name)


def _workspace(path: Path) -> Workspace:
    from predict_age.workspace import Workspace

    return Workspace.existing(path)


@contextmanager
def _stoppable(advice: str) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the command with one sentence and their usual exit codes."""
    try:
        yield
    except KeyboardInterrupt as stop:
        sys.stderr.write(f"predict-age: stopped; {advice}\n")
        raise typer.Exit(143 if isinstance(stop, Terminated) else 130) from None


def _out(text: str) -> None:
    sys.stdout.write(text + "\n")


@app.command(epilog="Example: predict-age generate --rows 1000000 --out people --seed 7")
def generate(
    rows: Annotated[int, typer.Option(help="How many people.", min=0)],
    out: Annotated[Path, typer.Option(help="Folder for people/*.parquet and truth.parquet.", metavar="DIR")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same people.", min=0)] = 7,
    as_of: AsOf = "2025-10-23",
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Make people who never lived: 50 and more fields, 37.5 % with a known age, and a truth file."""
    import time

    from predict_age.generator.write import generate as make
    from predict_age.pool import available_cores
    from predict_age.progress import Console

    console = Console(quiet=quiet)
    console.begin(1, 1, "Generate")
    began = time.perf_counter()
    with _stoppable(f"remove {out} before you generate again"):
        make(out, rows, seed, _date(as_of), workers or available_cores(), lambda done: console.update(done, rows, "people"))
    console.end(time.perf_counter() - began, rows)
    _out(f"{rows:,} people in {out / 'people'}, their true ages in {out / 'truth.parquet'}")


@app.command(epilog="Example: predict-age plan --source people/people")
def plan(
    source: Source, as_of: AsOf = "", features: Features = None, config: ConfigFile = None, workers: Workers = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Say what a run would take - rows, batches, minutes, memory, disk - and check configuration and features."""
    from predict_age.estimate import estimate
    from predict_age.show import show_estimate

    found = estimate(_plan(source, as_of or dt.date.today().isoformat(), features, config, workers))
    _out(json.dumps(found.as_json())) if as_json else show_estimate(found)


@app.command(epilog="Example: predict-age run --source people/people --workspace work --as-of 2025-10-23")
def run(
    source: Source, workspace: Space, as_of: AsOf, features: Features = None, config: ConfigFile = None, workers: Workers = None,
    as_json: AsJson = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Run all steps: train, predict, merge, check the books, publish. An unfinished equal run is continued."""
    from predict_age.pipeline import start
    from predict_age.workspace import Workspace

    made = _plan(source, as_of, features, config, workers)
    _go(lambda console: start(Workspace(workspace), made, console), as_json, quiet)


@app.command(epilog="Example: predict-age resume --workspace work")
def resume(workspace: Space, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Finish the newest unfinished run; finished steps and batches are kept."""
    from predict_age.pipeline import resume as again

    space = _workspace(workspace)
    _go(lambda console: again(space, console), as_json, quiet)


def _go(work: Callable[[Any], RunFolder], as_json: bool, quiet: bool) -> None:
    from predict_age.progress import Console
    from predict_age.show import run_summary, show_run

    console = Console(quiet=quiet)
    try:
        with _stoppable("`predict-age resume` goes on from here"):
            folder = work(console)
    finally:
        console.close()
    _out(json.dumps(run_summary(folder))) if as_json else show_run(folder)


@app.command(epilog="Example: predict-age status --workspace work")
def status(workspace: Space, as_json: AsJson = False) -> None:
    """Say how the newest run stands, step by step."""
    from predict_age.show import run_summary, show_run

    runs = _workspace(workspace).runs()
    if not runs:
        raise ConfigError("there are no runs in this workspace", fix="start one with `predict-age run`")
    _out(json.dumps(run_summary(runs[-1]))) if as_json else show_run(runs[-1])


@app.command(epilog="Example: predict-age runs --workspace work")
def runs(workspace: Space, as_json: AsJson = False) -> None:
    """List all runs, and which of them is published."""
    from predict_age.show import run_rows, show_runs

    space = _workspace(workspace)
    _out(json.dumps(run_rows(space))) if as_json else show_runs(space)


@app.command(
    epilog='Example: predict-age sql --workspace work --format csv "SELECT count(*) FROM predict_age_final_results_with_confidence"'
)
def sql(
    query: Annotated[str, typer.Argument(help="One SELECT statement.")],
    workspace: Space,
    output: Annotated[Format, typer.Option("--format", help="How to print the rows.")] = Format.table,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this new file (needed for parquet).", metavar="FILE")] = None,
) -> None:
    """Query the published tables, read-only; the query "SHOW TABLES" lists them."""
    from predict_age import tables
    from predict_age.show import show_rows

    relation = tables.query(_workspace(workspace), query)
    if out is not None and out.exists():
        raise ConfigError(f"{out} exists already", fix="choose another --out")
    if output is Format.parquet:
        if out is None:
            raise ConfigError("--format parquet needs --out FILE")
        tables.write_parquet(relation, out)
        return
    with _stream(out) as stream:
        if output is Format.csv:
            tables.write_csv(relation, stream)
        elif output is Format.jsonl:
            tables.write_jsonl(relation, stream)
        else:
            show_rows(relation, stream)


@contextmanager
def _stream(out: Path | None) -> Iterator[Any]:
    if out is None:
        yield sys.stdout
    else:
        with out.open("w", encoding="utf-8", newline="") as stream:
            yield stream


@app.command(epilog="Example: predict-age report --workspace work")
def report(
    workspace: Space,
    run_id: Annotated[str, typer.Option("--run", help="Which run; default: the newest finished one.", metavar="RUN")] = "",
) -> None:
    """Write the report of a run again and print its path."""
    from predict_age.report import write_report
    from predict_age.workspace import DONE

    space = _workspace(workspace)
    done = [r for r in space.runs() if r.status == DONE and run_id in ("", r.id)]
    if not done:
        raise ConfigError(f"no finished run {run_id}".rstrip(), fix="list them with `predict-age runs`")
    write_report(done[-1])
    _out(str(done[-1].report.resolve()))


def _version(wanted: bool) -> None:
    if wanted:
        _out(f"predict-age {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    """Exit codes: 0 done, 2 configuration, 3 input, 4 integrity, 5 quality gate, 6 resources, 75 busy, 130 or 143 stopped."""


def _on_sigterm(_signal: int, _frame: object) -> None:
    raise Terminated


def main() -> None:
    """Entry point: every error is one clear message and its exit code; never a traceback for a known cause."""
    signal.signal(signal.SIGTERM, _on_sigterm)
    try:
        app()
    except PredictAgeError as error:
        sys.stderr.write(f"predict-age: {error}\n")
        raise SystemExit(error.exit_code) from None
    except BrokenPipeError:
        raise SystemExit(141) from None
    except Exception as error:  # the last line of defence: a bug must not show a stranger a stack of our files
        _crash(error)


def _crash(error: Exception) -> None:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="predict-age-", suffix=".txt", delete=False, encoding="utf-8") as stream:
        traceback.print_exception(error, file=stream)
    sys.stderr.write(
        f"predict-age: an error that should not happen: {type(error).__name__}\n"
        f"  nothing new was published; details for the developers are in {stream.name}\n"
    )
    raise SystemExit(1) from None
