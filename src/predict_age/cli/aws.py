"""Commands of the containers: run inside a task of the state machine or inside a function, not by hand."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from predict_age.cli.app import app, stop_message
from predict_age.cli.output import print_line
from predict_age.errors import ConfigError

ScratchOption = Annotated[str, typer.Option(envvar="PREDICT_AGE_SCRATCH", help="Folder on the task's own disk.", metavar="DIR")]


@app.command("aws-task", hidden=True, epilog="Example: predict-age aws-task train")
def aws_task_command(
    what: Annotated[str, typer.Argument(help="train, predict, collect or report", metavar="WHAT")],
    scratch: ScratchOption = "",
) -> None:
    """Run one task of the state machine, for the run that the environment names: fetch inputs, compute, store outputs in S3."""
    from predict_age.aws.run_mirror import Job
    from predict_age.aws.task_costs import recorded_cost
    from predict_age.aws.tasks import COMMANDS
    from predict_age.runtime.temporary_folder import temporary_folder
    from predict_age.storage.spill import spilling_into

    job = Job.from_environment()
    if what not in COMMANDS:
        raise ConfigError("there is no such work", expected=", ".join(COMMANDS), found=what)
    with (
        recorded_cost(job, what),
        stop_message("finished batches are kept; the state machine tries again"),
        tempfile.TemporaryDirectory(dir=scratch or temporary_folder(), prefix="predict-age-") as folder,
        spilling_into(Path(folder) / "spill"),
    ):
        COMMANDS[what](job, Path(folder))


@app.command("aws-api", hidden=True, epilog="Example: predict-age aws-api")
def aws_api_command(scratch: ScratchOption = "") -> None:
    """Answer events of the prediction API, inside a Lambda function whose image this is. Ends when Lambda ends it."""
    from predict_age.aws.built_kernels import use_built_kernels
    from predict_age.runtime.temporary_folder import temporary_folder

    place = Path(tempfile.mkdtemp(dir=scratch or temporary_folder(), prefix="predict-age-api-"))
    use_built_kernels(place)  # before anything that imports Numba

    from predict_age.aws.lambda_runtime import RuntimeApi, answer_events
    from predict_age.aws.prediction_api import PredictionApi
    from predict_age.aws.s3_store import Store

    try:
        api = RuntimeApi(os.environ["AWS_LAMBDA_RUNTIME_API"])
        store = Store(os.environ["PREDICT_AGE_BUCKET"], os.environ.get("PREDICT_AGE_PREFIX", "predict-age"))
    except KeyError as error:
        raise ConfigError(
            "this command runs inside a Lambda function",
            expected="its environment variables",
            found=str(error),
            fix="on one machine use `predict-age serve`",
        ) from None
    try:
        service = PredictionApi(store, place / "workspace", print_line)
        service.follow()
    except Exception as error:
        api.failed(error)
        raise
    answer_events(api, service.handle)
