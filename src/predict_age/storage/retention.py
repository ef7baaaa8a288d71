"""Which runs are kept, and how the others are removed: never what a reader may be reading, never half."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from predict_age.storage.durable_files import TEMPORARY, folder_bytes
from predict_age.storage.publication import Published, update_pointer
from predict_age.storage.workspace import DAMAGED, DONE, RunFolder, Workspace, delete_run

RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
LEFTOVER_AGE_SECONDS = 3600
TEMPORARY_FILE = re.compile(rf".+\.[0-9a-f]{{8}}{re.escape(TEMPORARY)}")


@dataclass(frozen=True)
class Removal:
    """A run that retention gives up, and why."""

    run: RunFolder
    reason: str

    @property
    def bytes(self) -> int:
        return folder_bytes(self.run.path)


def removable(workspace: Workspace, keep: int, working_on: str = "") -> list[Removal]:
    """Runs beyond retention: all but the newest ``keep`` finished ones, the current one, the champion's, and the newest
    unfinished one.

    ``working_on`` is a run that is never removed. The result of an older quarter goes with its run.
    """
    published = workspace.published
    others = [r for r in workspace.runs() if r.id != working_on]
    status = {r.id: r.status for r in others}
    finished = [r for r in others if status[r.id] == DONE]
    unfinished = [r for r in others if status[r.id] not in (DONE, DAMAGED)]
    old = finished[: max(0, len(finished) - keep)]
    found = [Removal(r, f"older than the newest {keep} finished runs") for r in old if r.id not in published.kept]
    found += [Removal(r, "unfinished, and a newer unfinished run exists") for r in unfinished[:-1] if r.id not in published.run_ids]
    halves = [p for p in (workspace.root / "runs").iterdir() if RUN_ID.fullmatch(p.name) and not (p / "run.json").exists()]
    found += [Removal(RunFolder(p), "half deleted") for p in sorted(halves) if p.name != working_on]
    return found


def remove_runs(workspace: Workspace, removals: Iterable[Removal]) -> list[str]:
    """Delete runs: first the pointer forgets them and forbids to publish them again, then the files go. Returns their ids.

    A run that has become current, or the champion's, since the removal was planned is left alone.
    """
    runs = {r.run.id: r.run for r in removals}
    if not runs:
        return []

    def forgotten(now: Published) -> Published:
        gone = set(runs) - now.kept
        return replace(
            now,
            quarters={q: r for q, r in now.quarters.items() if r not in gone},
            manifests={r: s for r, s in now.manifests.items() if r not in gone},
            removing=sorted(gone | set(now.removing)),
        )

    after = update_pointer(workspace.documents, forgotten)
    gone = [i for i in runs if i in after.removing]
    for run_id in gone:
        delete_run(runs[run_id])
    update_pointer(workspace.documents, lambda now: replace(now, removing=[i for i in now.removing if i not in gone]))
    return gone


def remove_leftovers(workspace: Workspace) -> int:
    """Delete temporary files that killed processes left; returns their number.

    Beside the pointer only old ones: a rollback, which needs no lease, may be writing there at this moment.
    """
    old = time.time() - LEFTOVER_AGE_SECONDS
    found = [p for p in (workspace.root / "runs").rglob(f"*{TEMPORARY}") if TEMPORARY_FILE.fullmatch(p.name) and p.is_file()]
    found += [p for p in workspace.root.glob(f"*{TEMPORARY}") if TEMPORARY_FILE.fullmatch(p.name) and p.stat().st_mtime < old]
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)
