"""Sentences about the published state of a workspace, for those who have just finished or asked about a run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from predict_age.errors import PredictAgeError
from predict_age.runs.current_folder import CURRENT_FOLDER, current_folder, is_in_the_way
from predict_age.runtime.named_commands import with_workspace
from predict_age.storage.workspace import Workspace


def is_published(workspace: Path, run_id: str) -> bool:
    """Whether the run is the current one or that of a quarter; False also where the published state cannot be read."""
    with suppress(PredictAgeError):
        published = Workspace(workspace).published
        return run_id in (published.current, *published.quarters.values())
    return False


def readable_files(workspace: Path, run_id: str) -> str:
    """Where other programs read the rows of the run, if it is the published one."""
    space = Workspace(workspace)
    with suppress(PredictAgeError):
        if space.published.current == run_id and is_in_the_way(space):
            return f"{space.root / CURRENT_FOLDER} is not predict-age's and stays; move it away to have the published rows there"
        if space.published.current == run_id and (files := current_folder(space)):
            return f"{files}/*.parquet, for other programs; it follows what is published"
    return ""


def later_result(workspace: Path, run_id: str) -> str:
    """Sentence about the newest result of a later date than that of the current run ``run_id``; empty where there is none."""
    space = Workspace(workspace)
    with suppress(PredictAgeError):
        published = space.published
        if published.current != run_id:
            return ""
        dates = {quarter: str(space.run(run).record["as_of"]) for quarter, run in published.quarters.items()}
        newest = max(dates, key=lambda quarter: dates[quarter], default="")
        if newest and dates[newest] > str(space.run(run_id).record["as_of"]):
            back = with_workspace(f"`predict-age rollback --to {newest}`", workspace)
            return f"readers see ages of an earlier date than those of {newest}; {back} makes that result the current one again"
    return ""
