"""Step 1: make sure that the run can be done, and remove what no reader needs any more."""

from __future__ import annotations

import shutil

from predict_age.errors import ResourceError
from predict_age.records.step_facts import PreCleanupFacts
from predict_age.run.run import Run
from predict_age.step import StepResult
from predict_age.storage.retention import removable, remove_leftovers, remove_runs


def pre_cleanup(run: Run) -> StepResult:
    """Remove leftover temporary files and runs beyond the retention, and check that the disk has room.

    Nothing that is published, and nothing that a resume could finish for the newest unfinished run, is touched.
    """
    removed = remove_runs(run.workspace, removable(run.workspace, run.plan.config.running.keep_runs, run.folder.id))
    leftovers = remove_leftovers(run.workspace)
    needed = sum(f.size * (1 if f.format == "parquet" else 3) for f in run.plan.files) // 4 + (64 << 20)
    free = shutil.disk_usage(run.workspace.root).free
    if free < needed:
        raise ResourceError(
            f"too little disk space under {run.workspace.root}",
            expected=f"about {needed >> 20:,} MiB",
            found=f"{free >> 20:,} MiB free",
            fix="free some, or choose another workspace",
        )
    facts = PreCleanupFacts(removed_runs=removed, removed_files=leftovers, free_bytes=free, needed_bytes=needed)
    return StepResult(len(removed), facts)
