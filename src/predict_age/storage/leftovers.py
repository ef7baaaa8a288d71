"""Leftovers of dead runs: what a killed attempt left in the workspace goes at the next command that holds the lease.

An attempt's scratch folders are of no use to anybody else. Working copies of the source are read by the steps of an unfinished run;
when another command comes first, they go, too, and ``resume`` makes them again from the source.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from predict_age.runtime.temporary_folder import remove_dead_temporary_folders
from predict_age.storage.result_files import SCRATCH_FOLDERS, WORKING_COPIES
from predict_age.storage.spill import remove_dead_spills
from predict_age.storage.workspace import RunFolder, Workspace


def remove_dead_attempts(workspace: Workspace, continued: str = "") -> int:
    """Remove scratch folders of all attempts, working copies of all runs but the ``continued`` one, and what lies in TMPDIR.

    Returns the number of folders and files. Only for a holder of the lease that has not begun to work: nobody else may be
    writing. A former holder that wakes up late fails, and finds that it has lost the lease.
    """
    removed = remove_dead_spills(workspace.root) + remove_dead_temporary_folders()
    for folder in sorted((workspace.root / "runs").glob("*/")):
        patterns = SCRATCH_FOLDERS if folder.name == continued else (*SCRATCH_FOLDERS, *WORKING_COPIES)
        removed += _remove(folder, patterns)
    return removed


def remove_scratch(run: RunFolder) -> int:
    """Remove the scratch folders of the run's attempts, however the current one has ended; returns their number."""
    return _remove(run.path, SCRATCH_FOLDERS)


def _remove(run: Path, patterns: tuple[str, ...]) -> int:
    found = [path for pattern in patterns for path in run.glob(pattern.rstrip("/")) if path.is_dir()]
    for path in found:
        shutil.rmtree(path, ignore_errors=True)
    return len(found)
