"""Step 1: make sure that the run can be done, and remove what no reader needs any more."""

from __future__ import annotations

import shutil

from predict_age.errors import ResourceError
from predict_age.files import TEMPORARY
from predict_age.run import Run, StepResult
from predict_age.workspace import DONE


def pre_cleanup(run: Run) -> StepResult:
    """Remove leftover temporary files and runs beyond the retention, and check that the disk has room.

    Nothing that is published, and nothing that a resume could finish for the newest unfinished run, is touched.
    """
    removed = _apply_retention(run)
    leftovers = [p for p in run.workspace.root.rglob(f"*{TEMPORARY}") if p.is_file()]
    for path in leftovers:
        path.unlink(missing_ok=True)
    needed = sum(f.size * (1 if f.format == "parquet" else 3) for f in run.plan.files) // 4 + (64 << 20)
    free = shutil.disk_usage(run.workspace.root).free
    if free < needed:
        raise ResourceError(
            f"too little disk space under {run.workspace.root}", expected=f"about {needed >> 20:,} MiB",
            found=f"{free >> 20:,} MiB free", fix="free some, or choose another workspace",
        )  # fmt: skip
    facts = {
        "workers": run.workers,
        "removed_runs": removed,
        "removed_files": len(leftovers),
        "free_bytes": free,
        "needed_bytes": needed,
    }
    return StepResult(len(removed), facts)


def _apply_retention(run: Run) -> list[str]:
    published = run.workspace.published
    others = [r for r in run.workspace.runs() if r.id != run.folder.id]
    finished = [r for r in others if r.status == DONE]
    unfinished = [r for r in others if r.status != DONE]
    keep = run.plan.config.running.keep_runs
    old = [r for r in finished[: max(0, len(finished) - keep)] if r.id != published.current]
    for folder in old + unfinished[:-1]:
        run.workspace.remove(folder)
    run.workspace.unpublish_missing()
    return [r.id for r in old + unfinished[:-1]]
