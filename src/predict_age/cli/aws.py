"""Command of the containers: runs inside a task of the state machine, not by hand."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from predict_age.cli.app import app, stop_message
from predict_age.errors import ConfigError

ScratchOption = Annotated[str, typer.Option(envvar="PREDICT_AGE_SCRATCH", help="Folder on the task's own disk.", metavar="DIR")]


@app.command("aws-task", hidden=True, epilog="Example: predict-age aws-task train")
def aws_task_command(
    what: Annotated[str, typer.Argument(help="train, predict, collect or report", metavar="WHAT")],
    scratch: ScratchOption = "",
) -> None:
    """Run one task of the state machine, for the run that the environment names: fetch inputs, compute, store outputs in S3."""
    from predict_age.aws.run_mirror import Job
    from predict_age.aws.tasks import COMMANDS, recorded_cost
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
