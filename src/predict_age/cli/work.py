"""Commands that work: generate, plan, run, resume."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from predict_age.cli.app import (
    AsJson,
    AsOf,
    ConfigFile,
    Features,
    Quiet,
    Source,
    Space,
    Workers,
    app,
    existing,
    out,
    parse_date,
    stoppable,
)
from predict_age.errors import ConfigError

if TYPE_CHECKING:
    from predict_age.run import RunPlan
    from predict_age.workspace import RunFolder

Base = Annotated[
    str, typer.Option("--base", help="Build on this finished run (run id, quarter, or current): no training.", metavar="RUN")
]
MaxMinutes = Annotated[
    float | None, typer.Option("--max-minutes", help="Stop cleanly when the run, all its attempts together, took this long.", min=0)
]
Timestamp = Annotated[
    str,
    typer.Option(
        "--timestamp", help="The time to write into the run; default: now. The same event twice is one run.", metavar="TIME"
    ),
]


def _plan(
    source: str, as_of: str, features: Path | None, config: Path | None, workers: int | None, *,
    max_minutes: float | None = None, timestamp: str = "", base: tuple[Path, str] | None = None,
) -> RunPlan:  # fmt: skip
    """Check everything that can be checked before a run: configuration, feature file, source, and the run to build on."""
    from predict_age.config import load_config
    from predict_age.features.extract import check_compiles
    from predict_age.features.spec import load_features
    from predict_age.pipeline import new_plan

    settings = load_config(config, {
        "running": {"workers": workers} if workers else {},
        "limits": {} if max_minutes is None else {"max_minutes": max_minutes},
    })  # fmt: skip
    columns = (settings.source.birth_year, settings.source.approximate_age)
    declared = load_features(features, columns)
    name = str(features) if features else "built in"
    check_compiles(declared, parse_date(as_of), name)
    when = _timestamp(timestamp) if timestamp else None
    built_on = _base(*base, declared.text) if base else ("", "")
    return new_plan(source, parse_date(as_of), settings, declared.text, name, timestamp=when, base=built_on)


def _timestamp(text: str) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ConfigError("--timestamp is not a time with a zone", expected="such as 2025-10-23T06:00:00Z", found=text) from None
    return found


def _base(workspace: Path, name: str, features: str) -> tuple[str, str]:
    """The run to build on and the SHA-256 of its model's manifest. Raises ConfigError when its model knows other features."""
    from predict_age.manifest import vouched

    space = existing(workspace)
    run = vouched(space, space.resolve(name))
    run.checked("model/")
    if (run.folder.model / "features.toml").read_text(encoding="utf-8") != features:
        raise ConfigError(
            f"run {run.folder.id} cannot be built on: its model was trained on another feature file",
            expected="the same --features", found="other features", fix="run without --base, which trains a new model",
        )  # fmt: skip
    return run.folder.id, run.files["model/manifest.json"]


@app.command(epilog="Example: predict-age generate --rows 1000000 --out people --seed 7")
def generate(
    rows: Annotated[int, typer.Option(help="How many people.", min=0)],
    folder: Annotated[Path, typer.Option("--out", help="Folder for people/*.parquet and truth.parquet.", metavar="DIR")],
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
    with stoppable(f"remove {folder} before you generate again"):
        make(folder, rows, seed, parse_date(as_of), workers or available_cores(), lambda done: console.update(done, rows, "people"))
    console.end(time.perf_counter() - began, rows)
    out(f"{rows:,} people in {folder / 'people'}, their true ages in {folder / 'truth.parquet'}")


@app.command(epilog="Example: predict-age plan --source people/people")
def plan(
    source: Source, as_of: AsOf = "", features: Features = None, config: ConfigFile = None, workers: Workers = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Say what a run would take - rows, batches, minutes, memory, disk - and check configuration and features."""
    from predict_age.estimate import estimate
    from predict_age.show import show_estimate

    found = estimate(_plan(source, as_of or dt.date.today().isoformat(), features, config, workers))
    out(json.dumps(found.as_json())) if as_json else show_estimate(found)


@app.command(epilog="Example: predict-age run --source people/people --workspace work --as-of 2025-10-23")
def run(
    source: Source, workspace: Space, as_of: AsOf, features: Features = None, config: ConfigFile = None, workers: Workers = None,
    base: Base = "", max_minutes: MaxMinutes = None, timestamp: Timestamp = "", as_json: AsJson = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Run all steps: train, predict, merge, check the books, publish. An unfinished equal run is continued.

    With --base no model is trained: the base run's model is used, and only new or changed profiles are predicted.
    """
    from predict_age.estimate import estimate
    from predict_age.limits import check_affordable
    from predict_age.pipeline import start
    from predict_age.workspace import Workspace

    made = _plan(
        source,
        as_of,
        features,
        config,
        workers,
        max_minutes=max_minutes,
        timestamp=timestamp,
        base=(workspace, base) if base else None,
    )
    if made.config.limits.max_minutes or made.config.limits.max_cost_usd:
        check_affordable(estimate(made).minutes, made.config.limits)
    _go(lambda console: start(Workspace(workspace), made, console), as_json, quiet)


@app.command(epilog="Example: predict-age resume --workspace work")
def resume(
    workspace: Space, workers: Workers = None, max_minutes: MaxMinutes = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Finish the newest unfinished run: says what is whole and kept and what is made again, then makes it."""
    from predict_age.pipeline import Overrides
    from predict_age.pipeline import resume as again

    space = existing(workspace)
    _go(lambda console: again(space, console, Overrides(workers, max_minutes)), as_json, quiet)


def _go(work: Callable[[Any], RunFolder], as_json: bool, quiet: bool) -> None:
    from predict_age.progress import Console
    from predict_age.show import run_summary, show_run

    console = Console(quiet=quiet)
    try:
        with stoppable("`predict-age resume` goes on from here"):
            folder = work(console)
    finally:
        console.close()
    out(json.dumps(run_summary(folder))) if as_json else show_run(folder)
