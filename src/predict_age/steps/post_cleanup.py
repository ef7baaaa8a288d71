"""Step 9: remove temporary files of the run; what is published stays."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from predict_age.records.step_facts import PostCleanupFacts
from predict_age.step import StepResult
from predict_age.storage.durable_files import TEMPORARY, folder_bytes
from predict_age.storage.result_files import temporary_folders
from predict_age.storage.retention import TEMPORARY_FILE


@dataclass(frozen=True)
class PostCleanupInputs:
    """Inputs of post-cleanup: the run's folder, and whether the raw predictions stay.

    ``follow_published`` leads the workspace's folder ``current`` to the published run.
    """

    folder: Path
    keep_predictions: bool
    follow_published: Callable[[], object] = lambda: None


def post_cleanup(inputs: PostCleanupInputs) -> StepResult[PostCleanupFacts]:
    """Remove temporary folders (raw predictions too, when so configured) and temporary files of killed processes.

    Before, ``current`` is led to the published run: a run that was killed between both is continued with this step.
    """
    inputs.follow_published()
    folder = inputs.folder
    patterns = temporary_folders(inputs.keep_predictions)
    removable = [path for pattern in patterns for path in folder.glob(pattern.rstrip("/"))]
    removable += [p for p in folder.rglob(f"*{TEMPORARY}") if TEMPORARY_FILE.fullmatch(p.name)]
    freed = sum(folder_bytes(p) if p.is_dir() else p.stat().st_size for p in removable if p.exists())
    for path in removable:
        if path.is_file():
            path.unlink(missing_ok=True)
        shutil.rmtree(path, ignore_errors=True)
    return StepResult(0, PostCleanupFacts(freed_bytes=freed, run_bytes=folder_bytes(folder)))
