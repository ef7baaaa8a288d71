"""Commands that compute: generate, plan, run, resume."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import asdict
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
from predict_age.errors import ConfigError
from predict_age.pipeline.run_plan import checked_plan, parse_date
from predict_age.purposes import NOTE
from predict_age.runtime.command_log import LOG, whole_numbers
from predict_age.terminal_text import say, shell_word

if TYPE_CHECKING:
    from predict_age.storage.workspace import RunFolder

BaseOption = Annotated[
    str, typer.Option("--base", help="Build on this finished run (run id, quarter, or current): no training.", metavar="RUN")
]
ModelOption = Annotated[
    str, typer.Option("--model", help='Use this model instead of training: a version, or "champion".', metavar="VERSION")
]
TuneOption = Annotated[
    float | None, typer.Option("--tune", help="Minutes of hyperparameter search before training.", min=0, max=1440)
]
PurposeOption = Annotated[
    str,
    typer.Option(
        "--purpose",
        help="Purpose of the ages: aggregate_statistics, data_quality, research or service_eligibility_review.",
        metavar="NAME",
    ),
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


@app.command("plan", epilog="Example: predict-age plan --source people/people; predict-age plan --platform aws --rows 378024173")
def plan_command(
    source: Annotated[
        str, typer.Option("--source", help="A file, a folder, a glob, s3://..., or glue://DATABASE/TABLE.", metavar="PATH")
    ] = "",
    as_of: AsOfOption = "",
    features: FeaturesOption = None,
    config: ConfigOption = None,
    workers: WorkersOption = None,
    platform: Annotated[str, typer.Option(help="local or aws.")] = "local",
    rows: Annotated[int, typer.Option(help="With --platform aws: number of people, instead of a source.", min=0)] = 0,
    api_requests: Annotated[
        int | None,
        typer.Option(help="With --platform aws: requests a month to the prediction API, where it is on.", min=0),
    ] = None,
    purpose: PurposeOption = "",
    training_source: TrainingSourceOption = "",
    as_json: JsonOption = False,
) -> None:
    """Estimate a run - rows, batches, minutes, memory, disk, dollars - and check configuration and features."""
    from predict_age.cli.render_plans import show_estimate, show_features
    from predict_age.pipeline.estimate import estimate
    from predict_age.pipeline.feature_check import check_features

    if platform not in ("local", "aws"):
        raise ConfigError("--platform names none", expected="local or aws", found=platform)
    if platform == "aws":
        _plan_aws(source, as_of, features, config, rows, training_source, as_json, api_requests)
        return
    if not source:
        raise ConfigError("a source is missing", expected="--source PATH", fix="or --platform aws --rows N")
    when = as_of or dt.date.today().isoformat()
    plan = checked_plan(source, when, features, config, workers, purpose=purpose, training_source=training_source)
    notes = unread_proposal(config, features)
    coverage = check_features(plan, notes)  # in the order of `run`, so that both refuse a source with the same sentence
    estimated = estimate(plan, gates=True)
    if as_json:
        found = {**estimated.as_json(), "purpose": plan.purpose, "features": [asdict(c) for c in coverage], "notes": notes}
        print_json(found)
    else:
        show_estimate(estimated)
        print_line(f"purpose: {plan.purpose}" if plan.config.run.purpose else NOTE)
        show_features(coverage)
        for note in notes:
            print_line(f"note: {note}")


def unread_proposal(config: Path | None, features: Path | None) -> list[str]:
    """Sentence that files of ``init`` lie in the current folder and are not read, because no option names them."""
    options = {"--config": (config, "predict-age.toml"), "--features": (features, "features.toml")}
    unread = [f"{option} {name}" for option, (given, name) in options.items() if given is None and Path(name).is_file()]
    if not Path("predict-age.toml").is_file() or not unread:
        return []
    return [f"files in this folder are read only when an option names them: {' '.join(unread)}"]


def _plan_aws(
    source: str,
    as_of: str,
    features: Path | None,
    config: Path | None,
    rows: int,
    training_source: str,
    as_json: bool,
    api_requests: int | None,
) -> None:
    from predict_age.aws.cost_plan import estimate_cost, estimate_run_cost
    from predict_age.cli.render_plans import show_aws_plans
    from predict_age.config import load_config
    from predict_age.runs.budget import check_cost

    if not rows and not source:
        raise ConfigError("neither people nor a source are given", expected="--rows N or --source PATH")
    if rows:  # nobody knows the format: both are priced, and the dearer one must fit
        plans = [estimate_cost(rows, text=text, api_requests=api_requests) for text in (False, True)]
    else:
        when = as_of or dt.date.today().isoformat()
        checked = checked_plan(source, when, features, config, None, training_source=training_source)
        plans = [estimate_run_cost(checked, api_requests)]
    if as_json:
        print_json({**plans[0].as_json(), **({"as_text": plans[1].as_json()} if rows else {})})
    else:
        show_aws_plans(plans)
    check_cost(max(plan.total for plan in plans), load_config(config, {}).limits, " on AWS")


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
        say(f"  {useless.sentence}")
    for note in notes:
        say(f"  note: {note}")
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
