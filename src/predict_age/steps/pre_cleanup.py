"""Step 1: make sure that the run can be done, and remove what no reader needs any more."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

from predict_age.errors import ResourceError
from predict_age.records.step_facts import PreCleanupFacts
from predict_age.runs.run import RunPlan
from predict_age.step import StepResult
from predict_age.storage.retention import removable, remove_leftovers, remove_runs
from predict_age.storage.workspace import Workspace


@dataclass(frozen=True)
class PreCleanupInputs:
    """Inputs of pre-cleanup. ``leave`` leads the folder ``current`` away from a run that will be removed."""

    plan: RunPlan
    workspace: Workspace
    leave: Callable[[Workspace], object]


def pre_cleanup(inputs: PreCleanupInputs) -> StepResult[PreCleanupFacts]:
    """Remove leftover temporary files and runs beyond the retention, and check that the disk has room.

    The current run, the champion's run and the newest unfinished run always stay.
    """
    plan, workspace = inputs.plan, inputs.workspace
    removed = remove_runs(workspace, removable(workspace, plan.config.running.keep_runs, plan.run_id), inputs.leave)
    leftovers = remove_leftovers(workspace)
    needed = sum(f.size * (1 if f.format == "parquet" else 3) for f in plan.all_files) // 4 + (64 << 20)
    free = shutil.disk_usage(workspace.root).free
    if free < needed:
        raise ResourceError(
            f"too little disk space under {workspace.root}",
            expected=f"about {needed >> 20:,} MiB",
            found=f"{free >> 20:,} MiB free",
            fix="free some, or choose another workspace",
        )
    facts = PreCleanupFacts(removed_runs=removed, removed_files=leftovers, free_bytes=free, needed_bytes=needed)
    return StepResult(len(removed), facts)
