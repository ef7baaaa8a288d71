"""Retention in a local workspace: the facts for the retention rule, and the deletion of runs and of leftover temporary files."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from predict_age.storage.durable_files import TEMPORARY, folder_bytes
from predict_age.storage.retention_rule import KEEP_UNFINISHED_HOURS, RUN_ID, RunFacts, RunState, forget_and_delete, removable_runs
from predict_age.storage.workspace import DAMAGED, DONE, RunFolder, Workspace, delete_run

LEFTOVER_AGE_SECONDS = 3600
TEMPORARY_FILE = re.compile(rf".+\.[0-9a-f]{{8}}{re.escape(TEMPORARY)}")


@dataclass(frozen=True)
class Removal:
    """A run that may be removed, and the reason."""

    run: RunFolder
    reason: str

    @property
    def bytes(self) -> int:
        return folder_bytes(self.run.path)


def removable(workspace: Workspace, keep_runs: int, working_on: str = "") -> list[Removal]:
    """Runs of the workspace that the retention rule gives up. ``working_on`` is a run in use, which stays.

    The result of an older quarter goes with its run.
    """
    published = workspace.published
    facts = [RunFacts(r.id, _state(r)) for r in workspace.runs() if r.id != working_on]
    folders = (p for p in (workspace.root / "runs").iterdir() if RUN_ID.fullmatch(p.name) and not (p / "run.json").exists())
    facts += [RunFacts(p.name, RunState.PARTLY_DELETED) for p in folders]
    removals = removable_runs(facts, published, keep_runs, {working_on})
    return [Removal(workspace.run(r.run_id), r.reason) for r in removals]


def _state(run: RunFolder) -> RunState:
    state = {DONE: RunState.FINISHED, DAMAGED: RunState.DAMAGED}.get(run.status, RunState.UNFINISHED)
    return RunState.EXPIRED if state is RunState.UNFINISHED and _is_expired(run) else state


def _is_expired(run: RunFolder) -> bool:
    """Whether nothing was recorded in an unfinished run for as long as its plan says."""
    hours = float(run.record["config"]["running"].get("keep_unfinished_hours", KEEP_UNFINISHED_HOURS))
    records = [p for p in (run.path / "run.json", run.path / "status.json", run.path / "steps") if p.exists()]
    return bool(records) and time.time() - max(p.stat().st_mtime for p in records) > hours * 3600


def remove_runs(workspace: Workspace, removals: Iterable[Removal], leave: Callable[[Workspace], object]) -> list[str]:
    """Remove runs, their pointer entries first. Returns the removed ids.

    ``leave`` leads the folder ``current`` away first, where it still shows one of them because a publishing process was killed.
    """
    runs = {r.run.id: r.run for r in removals}
    shown = workspace.root / "current"
    if shown.is_symlink() and not runs.keys().isdisjoint(shown.readlink().parts[1:2]):
        leave(workspace)
    return forget_and_delete(workspace.documents, list(runs), lambda run_id: delete_run(runs[run_id]))


def remove_leftovers(workspace: Workspace) -> int:
    """Delete temporary files that killed processes left; returns their number.

    Temporary files beside the pointer must be an hour old: a rollback, which needs no lease, may be writing there now.
    """
    oldest_in_use = time.time() - LEFTOVER_AGE_SECONDS
    leftovers = [p for p in (workspace.root / "runs").rglob(f"*{TEMPORARY}") if TEMPORARY_FILE.fullmatch(p.name) and p.is_file()]
    leftovers += [
        p for p in workspace.root.glob(f"*{TEMPORARY}") if TEMPORARY_FILE.fullmatch(p.name) and p.stat().st_mtime < oldest_in_use
    ]
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)
