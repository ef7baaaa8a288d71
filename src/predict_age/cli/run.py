"""Commands that compute: generate, run, resume."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from predict_age.cli.app import (
    AsOfOption,
    ConfigOption,
    FeaturesOption,
    JsonOption,
    QuietOption,
    SourceOption,
    TrainingSourceOption,
    WorkersOption,
    WorkspaceOption,
    app,
    open_people,
    stop_message,
)
from predict_age.cli.failure import note_run
from predict_age.cli.output import completed, print_json, print_line
from predict_age.cli.plan import BaseOption, ModelOption, PurposeOption, unread_proposal
from predict_age.errors import ConfigError
from predict_age.pipeline.run_plan import checked_plan, parse_date
from predict_age.runtime.command_log import LOG, whole_numbers
from predict_age.terminal_text import say_sentence, shell_word

if TYPE_CHECKING:
    from predict_age.storage.workspace import RunFolder

TuneOption = Annotated[
    float | None, typer.Option("--tune", help="Minutes of hyperparameter search before training.", min=0, max=1440)
]
ShadowOption = Annotated[bool, typer.Option("--shadow", help="Finish and check the run without publishing it.")]
AcceptOption = Annotated[bool, typer.Option("--accept", help="Override the quality gate that stopped the run.")]
MaxMinutesOption = Annotated[
    float | None,
    typer.Option("--max-minutes", help="Stop cleanly after so many minutes, all attempts together.", min=0, max=525_600),
]
TimestampOption = Annotated[
    str,
    typer.Option("--timestamp", help="Time of the run; default: now. The same plan at the same time is one run.", metavar="TIME"),
]


@app.command("generate", epilog="Example: predict-age generate --rows 1000000 --out people --seed 7")
def generate_command(
    rows: Annotated[int, typer.Option(help="How many people.", min=0)],
    folder: Annotated[Path, typer.Option("--out", help="Folder for people/*.parquet and truth.parquet.", metavar="DIR")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same people.", min=0)] = 7,
    as_of: AsOfOption = "2025-10-23",
    workers: WorkersOption = None,
    shift: Annotated[
        list[str] | None,
        typer.Option(
            "--shift",
            help="Simulate drift in 15 % of the people: missing (no job level), longer (8 more years of tenure), "
            "unseen (new mail provider), older (over 50); or unstated (the older, the fewer state their age); may be repeated.",
        ),
    ] = None,
    level: Annotated[
        int, typer.Option("--level", help="zstd compression level of the files: higher is smaller and slower.", min=1, max=19)
    ] = 3,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Generate synthetic people: profiles with more than 50 fields, 37.5 % with a known age, and a file of true ages."""
    from predict_age.runtime.progress import Console
    from predict_age.runtime.worker_pool import available_cores
    from predict_age.synthetic.shifts import Shift
    from predict_age.synthetic.write import generate

    try:
        shifts = tuple(Shift(s) for s in shift or ())
    except ValueError:
        raise ConfigError("--shift names no change", expected=", ".join(Shift), found=", ".join(shift or ())) from None
    console = Console(quiet=quiet)
    console.begin(1, 1, "Generate")
    began = time.perf_counter()
    with stop_message(f"remove {folder} before you generate again"):
        advance = lambda done: console.update(done, rows, "people")  # noqa: E731
        generate(folder, rows, seed, parse_date(as_of), workers or available_cores(), advance, shifts, level)
    console.end(time.perf_counter() - began, rows)
    completed(f"{rows:,} people were written to {folder}", "")
    people, truth = folder / "people", folder / "truth.parquet"
    if as_json:
        print_json({"rows": rows, "people": str(people), "truth": str(truth)})
    else:
        print_line(f"{rows:,} people in {people}, their true ages in {truth}")


@app.command("run", epilog="Example: predict-age run --source people/people --workspace work --as-of 2025-10-23")
def run_command(
    source: SourceOption,
    workspace: WorkspaceOption,
    as_of: AsOfOption,
    features: FeaturesOption = None,
    config: ConfigOption = None,
    workers: WorkersOption = None,
    base: BaseOption = "",
    model: ModelOption = "",
    tune: TuneOption = None,
    shadow: ShadowOption = False,
    purpose: PurposeOption = "",
    training_source: TrainingSourceOption = "",
    max_minutes: MaxMinutesOption = None,
    timestamp: TimestampOption = "",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run all steps: train, predict, merge, reconcile, publish. An unfinished run with the same inputs is continued.

    With --base or --model, no model is trained: that run's model is used, and only new or changed profiles are predicted.
    """
    from predict_age.cli.notify import notify_with
    from predict_age.config import load_config
    from predict_age.pipeline.feature_check import check_features
    from predict_age.pipeline.runner import start_run
    from predict_age.storage.workspace import Workspace, check_on_this_machine

    check_on_this_machine(workspace)
    notify_with(load_config(config).notify)
    Workspace(workspace).suppression  # noqa: B018 - nothing is read while it is not known whom to leave out
    plan = checked_plan(
        source,
        as_of,
        features,
        config,
        workers,
        max_minutes=max_minutes,
        timestamp=timestamp,
        tune=tune,
        workspace=workspace,
        base=base,
        model=model,
        shadow=shadow,
        purpose=purpose,
        training_source=training_source,
    )
    notes = unread_proposal(config, features)
    for useless in (c for c in check_features(plan, notes) if c.sentence):
        say_sentence("  ", useless.sentence)
    for note in notes:
        say_sentence("  note: ", note)
    if plan.config.limits.max_minutes or plan.config.limits.max_cost_usd:
        from predict_age.pipeline.estimate import estimate
        from predict_age.runs.budget import check_affordable

        check_affordable(estimate(plan).minutes, plan.config.limits)
    _go(lambda console: start_run(Workspace(workspace), plan, console, note_run), workspace, as_json, quiet)


@app.command("resume", epilog="Example: predict-age resume --workspace work")
def resume_command(
    workspace: WorkspaceOption,
    workers: WorkersOption = None,
    max_minutes: MaxMinutesOption = None,
    accept: AcceptOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Finish the newest unfinished run. Valid steps are kept, damaged and missing ones are computed."""
    from predict_age.pipeline.runner import Overrides, resume_run

    space = open_people(workspace)
    _go(lambda console: resume_run(space, console, Overrides(workers, max_minutes, accept), note_run), workspace, as_json, quiet)


def _go(work: Callable[[Any], RunFolder], workspace: Path, as_json: bool, quiet: bool) -> None:
    from predict_age.cli.render_runs import show_run
    from predict_age.runs.summary import run_summary
    from predict_age.runtime.progress import Console
    from predict_age.storage.workspace import Workspace

    console = Console(quiet=quiet)
    began = time.monotonic()
    try:
        with stop_message(f"`predict-age resume --workspace {shell_word(workspace)}` continues from here"):
            folder = work(console)
    finally:
        console.close()
    summary = run_summary(folder)
    is_published = Workspace(workspace).published.current == folder.id
    counts, seconds = whole_numbers(summary["rows"] or {}), round(time.monotonic() - began, 3)
    LOG.event("run.done", run=folder.id, counts=counts, published=is_published, seconds=seconds)
    state = "published" if is_published else "finished; it is not the current result"
    completed(f"run {folder.id} is {state}", f"`predict-age status --workspace {shell_word(workspace)}`")
    print_json(summary) if as_json else show_run(folder)
