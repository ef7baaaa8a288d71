"""Commands for models: models, promote, card, ab."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from predict_age.cli.app import JsonOption, WorkspaceOption, app, open_people, open_workspace
from predict_age.cli.output import completed, print_json, print_line
from predict_age.errors import ConfigError, IntegrityError
from predict_age.runtime.command_log import stage

if TYPE_CHECKING:
    from predict_age.storage.workspace import RunFolder, Workspace


TruthPidOption = Annotated[
    str, typer.Option("--pid", help="Column of ids in the file of --truth; default: pid, or source_id.", metavar="COLUMN")
]
TruthAgeOption = Annotated[
    str, typer.Option("--age", help="Column of true ages in the file of --truth; default: true_age.", metavar="COLUMN")
]


@app.command("models", epilog="Example: predict-age models --workspace work")
def models_command(workspace: WorkspaceOption, as_json: JsonOption = False) -> None:
    """List the models of all finished runs with error, coverage and gate, and mark the champion."""
    from predict_age.cli.render_models import show_models
    from predict_age.query.model_registry import model_versions

    with stage("read the models of all runs"):
        versions = model_versions(open_workspace(workspace))
    print_json([v.as_json() for v in versions]) if as_json else show_models(versions)


@app.command("promote", epilog="Example: predict-age promote age-3f2a91c07b5e --workspace work")
def promote_command(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A model's version, or previous.")],
    workspace: WorkspaceOption,
    as_json: JsonOption = False,
) -> None:
    """Make a model the champion: `run --model champion` uses it. Published results stay; `rollback` switches both."""
    from predict_age.query.model_registry import promote_model

    with stage("check the model and make it the champion"):
        name, folder = promote_model(open_workspace(workspace), version)
    text = f"the champion is now {name} of run {folder.id}; use it: predict-age run --model champion ..."
    completed(f"the champion is now {name}", "`predict-age models`")
    print_json({"champion": name, "run_id": folder.id}) if as_json else print_line(text)


@app.command("card", epilog="Example: predict-age card --workspace work")
def card_command(
    workspace: WorkspaceOption,
    run_id: Annotated[
        str | None, typer.Option("--run", help="Run id, published quarter, or current; default: the published run.", metavar="RUN")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the findings of the model card, by groups of people, and the path of the card.

    Where nothing is published, the card is that of the newest run that has one.
    """
    from predict_age.cli.render_models import show_card
    from predict_age.storage.durable_files import check_hash

    space = open_workspace(workspace)
    if run_id is None:
        folder = space.resolve("current") if space.published.current else _newest_with_card(space)
    else:
        folder = space.resolve(run_id)
    try:
        with stage("compare the card with its hash"):
            outputs = folder.step("training").outputs
            for name in ("model/card.json", "model/card.html"):
                check_hash(folder.path / name, outputs[name])
    except KeyError:
        raise IntegrityError(f"run {folder.id} has no model card", expected="a run of this version") from None
    content = (folder.model / "card.json").read_text(encoding="utf-8")
    if not as_json and folder.id != space.published.current:
        quarters = [quarter for quarter, run in space.published.quarters.items() if run == folder.id]
        state = f"is the result of {quarters[0]}, not the current one" if quarters else f"is not published ({folder.status})"
        print_line(f"run {folder.id} {state}; this is its model's card")
    print_json(json.loads(content)) if as_json else show_card(json.loads(content), folder.model / "card.html")


def _newest_with_card(space: Workspace) -> RunFolder:
    """The newest run that has trained a model; ConfigError where none has."""
    for folder in reversed(space.runs()):
        with suppress(IntegrityError, KeyError):
            if "model/card.json" in folder.step("training").outputs:
                return folder
    raise ConfigError(
        "no run of this workspace has a model card", expected="a run that has trained a model", fix="`predict-age run`"
    )


@app.command("ab", epilog="Example: predict-age ab 2025q4 20260112T060000Z-1f00ba54 --truth 2026q1 --workspace work")
def ab_command(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="One run with challengers, or several runs, champion first.")],
    workspace: WorkspaceOption,
    truth: Annotated[
        str,
        typer.Option(
            "--truth",
            help="A later run, whose known ages are taken as true, or a file with columns pid and true_age.",
            metavar="RUN|FILE",
        ),
    ],
    pid: TruthPidOption = "",
    age: TruthAgeOption = "",
    least: Annotated[
        float, typer.Option(help="Minimum effect: the smallest gain that matters, as a share of the champion's error.", min=0.0001)
    ] = 0.01,
    chance: Annotated[float, typer.Option(help="Alpha: probability of a decision when there is no difference.", min=0.0001)] = 0.05,
    power: Annotated[
        float,
        typer.Option(
            help="Power: probability of detecting the minimum effect; decides the required number of people.", min=0.01, max=0.9999
        ),
    ] = 0.80,
    as_json: JsonOption = False,
) -> None:
    """Compare models on people whose age became known later: confidence intervals, required number of people, decision."""
    from predict_age.cli.render_models import show_read_out
    from predict_age.evaluation.ab_test.arms import evaluate_ab_test
    from predict_age.evaluation.ab_test.read_out import DecisionRules
    from predict_age.evaluation.ab_test.truth_files import TruthColumns
    from predict_age.runs.summary import without_nan

    if not (chance < 1 and 0 < power < 1 and least < 1):
        raise ConfigError("--least, --chance and --power are shares", expected="between 0 and 1")
    result = evaluate_ab_test(open_people(workspace), runs, truth, DecisionRules(chance, power, least), TruthColumns(pid, age))
    print_json(without_nan(result.as_json())) if as_json else show_read_out(result)


@app.command("score", epilog="Example: predict-age score 2025q3 --truth ages.csv --workspace work")
def score_command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run id, a published quarter, or current.")],
    workspace: WorkspaceOption,
    truth: Annotated[
        str,
        typer.Option(
            "--truth",
            help="A later run, whose known ages are taken as true, or a file with columns pid and true_age.",
            metavar="RUN|FILE",
        ),
    ],
    pid: TruthPidOption = "",
    age: TruthAgeOption = "",
    as_json: JsonOption = False,
) -> None:
    """Evaluate the predictions of one run on people whose age became known later: error, bias, coverage, with 95 % intervals."""
    from predict_age.cli.render_models import show_score
    from predict_age.evaluation.ab_test.score import score_run
    from predict_age.evaluation.ab_test.truth_files import TruthColumns
    from predict_age.runs.summary import without_nan

    found = score_run(open_people(workspace), run, truth, TruthColumns(pid, age))
    print_json(without_nan(found.as_json())) if as_json else show_score(found)
