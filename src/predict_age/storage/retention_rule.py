"""Retention rule: which runs may be removed. Local runs and runs on AWS are judged by the same function; it reads no files."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from enum import Enum

from predict_age.storage.documents import DocumentStore
from predict_age.storage.publication import Published, update_pointer

RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
DEFAULT_KEEP_RUNS = 4  # running.keep_runs where the configuration does not set it
KEEP_UNFINISHED_HOURS = 72  # running.keep_unfinished_hours likewise


class RunState(Enum):
    """State of a run as far as retention is concerned."""

    FINISHED = "finished"
    UNFINISHED = "unfinished"
    EXPIRED = "expired"  # unfinished, and not continued for running.keep_unfinished_hours
    DAMAGED = "damaged"
    PARTLY_DELETED = "partly deleted"


@dataclass(frozen=True)
class RunFacts:
    """A run that retention decides about."""

    run_id: str
    state: RunState


@dataclass(frozen=True)
class RemovableRun:
    """A run that may be removed, and the reason."""

    run_id: str
    reason: str


def removable_runs(
    runs: Iterable[RunFacts], published: Published, keep_runs: int, in_use: Collection[str] = ()
) -> list[RemovableRun]:
    """Runs beyond retention, oldest first within each reason.

    Kept are the current run, the champion's run, the runs ``in_use``, the newest ``keep_runs`` finished runs (the rollback
    targets) and the newest unfinished run, which can be resumed until it expires. Unfinished runs do not count as finished
    ones. A damaged run is kept for inspection.
    """
    ordered = sorted(runs, key=lambda run: run.run_id)  # run ids begin with their time
    protected = {*published.kept, *in_use}

    def in_state(state: RunState) -> list[str]:
        return [run.run_id for run in ordered if run.state is state and run.run_id not in published.removing]

    finished = in_state(RunState.FINISHED)
    unfinished = [i for i in in_state(RunState.UNFINISHED) if i not in protected | published.run_ids]
    candidates = {
        f"older than the newest {keep_runs} finished runs": finished[: max(0, len(finished) - keep_runs)],
        "unfinished, and a newer unfinished run exists": unfinished[:-1],
        "unfinished, and not continued in time": [i for i in in_state(RunState.EXPIRED) if i not in published.run_ids],
        "half deleted": [r.run_id for r in ordered if r.state is RunState.PARTLY_DELETED or r.run_id in published.removing],
    }
    return [RemovableRun(i, reason) for reason, ids in candidates.items() for i in ids if i not in protected]


def forget_and_delete(documents: DocumentStore, run_ids: Collection[str], delete: Callable[[str], None]) -> list[str]:
    """Remove runs: the pointer forgets them and forbids publishing them again, then ``delete`` removes their files.

    A run that has become current, or the champion's, since the removal was planned is left alone. Returns the removed ids.
    """
    if not run_ids:
        return []

    def forgotten(now: Published) -> Published:
        forgotten_ids = set(run_ids) - now.kept
        return replace(
            now,
            quarters={q: r for q, r in now.quarters.items() if r not in forgotten_ids},
            manifests={r: s for r, s in now.manifests.items() if r not in forgotten_ids},
            removing=sorted(forgotten_ids | set(now.removing)),
        )

    after = update_pointer(documents, forgotten)
    removed = [i for i in run_ids if i in after.removing]
    for run_id in removed:
        delete(run_id)
    update_pointer(documents, lambda now: replace(now, removing=[i for i in now.removing if i not in removed]))
    return removed
