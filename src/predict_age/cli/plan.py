"""The command that estimates a run and checks everything that can be checked before it: plan."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from predict_age.cli.app import (
    AsOfOption,
    ConfigOption,
    FeaturesOption,
    JsonOption,
    TrainingSourceOption,
    WorkersOption,
    app,
)
from predict_age.cli.console import print_sentence, stdout_console
from predict_age.cli.output import print_json
from predict_age.errors import ConfigError
from predict_age.pipeline.run_plan import checked_plan
from predict_age.purposes import NOTE

BaseOption = Annotated[
    str, typer.Option("--base", help="Build on this finished run (run id, quarter, or current): no training.", metavar="RUN")
]
ModelOption = Annotated[
    str, typer.Option("--model", help='Use this model instead of training: a version, or "champion".', metavar="VERSION")
]
PurposeOption = Annotated[
    str,
    typer.Option(
        "--purpose",
        help="Purpose of the ages: aggregate_statistics, data_quality, research or service_eligibility_review.",
        metavar="NAME",
    ),
]
PlannedWorkspaceOption = Annotated[
    Path | None,
    typer.Option("--workspace", help="Workspace of the run, whose suppression list and models are checked, too.", metavar="DIR"),
]


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
    workspace: PlannedWorkspaceOption = None,
    base: BaseOption = "",
    model: ModelOption = "",
    as_json: JsonOption = False,
) -> None:
    """Estimate a run - rows, batches, minutes, memory, disk, dollars - and check configuration and features.

    With --workspace, also check what a run finds there: the models that options and configuration name, and the suppression list.
    """
    from predict_age.cli.render_plans import show_estimate, show_features
    from predict_age.pipeline.estimate import estimate
    from predict_age.pipeline.feature_check import check_features
    from predict_age.runs.budget import check_affordable
    from predict_age.storage.workspace import Workspace, check_on_this_machine

    if platform not in ("local", "aws"):
        raise ConfigError("--platform names none", expected="local or aws", found=platform)
    if platform == "aws":
        _plan_aws(source, as_of, features, config, rows, training_source, as_json, api_requests)
        return
    if not source:
        raise ConfigError("a source is missing", expected="--source PATH", fix="or --platform aws --rows N")
    if (base or model) and workspace is None:
        raise ConfigError("--base and --model name a model of a workspace", expected="--workspace DIR", found="none")
    if workspace is not None:
        check_on_this_machine(workspace)
        Workspace(workspace).suppression  # noqa: B018 - as a run does, which reads nothing while it is not known whom to leave out
    when = as_of or dt.date.today().isoformat()
    plan = checked_plan(
        source,
        when,
        features,
        config,
        workers,
        purpose=purpose,
        training_source=training_source,
        workspace=workspace,
        base=base,
        model=model,
    )
    notes = unread_proposal(config, features)
    if workspace is None and plan.config.prediction.challengers:
        notes.append("prediction.challengers name models of the run's workspace: plan --workspace DIR looks for them")
    coverage = check_features(plan, notes)  # in the order of `run`, so that both refuse a source with the same sentence
    estimated = estimate(plan, gates=True)
    if as_json:
        found = {**estimated.as_json(), "purpose": plan.purpose, "features": [asdict(c) for c in coverage], "notes": notes}
        print_json(found)
    else:
        show_estimate(estimated)
        console = stdout_console()
        print_sentence(console, "", f"purpose: {plan.purpose}" if plan.config.run.purpose else NOTE)
        show_features(coverage)
        for note in notes:
            print_sentence(console, "note: ", note)
    check_affordable(estimated.minutes, plan.config.limits)


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
