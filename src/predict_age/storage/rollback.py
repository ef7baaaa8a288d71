"""Rollback: switch readers to an earlier run by one conditional replacement, after all its files were verified."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from predict_age.errors import ConfigError, IntegrityError
from predict_age.records.step_facts import FinalResultsFacts
from predict_age.storage.lease import current_holder
from predict_age.storage.manifest import VerifiedRun, verified_run
from predict_age.storage.publication import POINTER, Published, update_pointer
from predict_age.storage.suppression_list import read_suppression_list
from predict_age.storage.workspace import DONE, PREVIOUS_RUN, RunFolder, Workspace


def roll_back(workspace: Workspace, to: str) -> tuple[Published, RunFolder]:
    """Make ``to`` current: a run id, a published quarter, or "previous". Returns the pointer and the run.

    Takes no lease, so that it works while a run is going on (which will publish its own result when it is done). A
    damaged pointer is moved away and rebuilt from the finished runs. Raises ConfigError for a run that is not there,
    IntegrityError for one with a file problem; then nothing has changed.
    """
    if _pointer_is_damaged(workspace):
        _rebuild(workspace)
    workspace.suppression  # noqa: B018 - no run is shown while it is not known whom to hide
    if to == PREVIOUS_RUN and not workspace.published.previous:
        raise ConfigError("there is no previous run to go back to", fix="name one: `predict-age runs` lists them")
    folder = workspace.resolve(to)
    run = verified_run(workspace, folder)
    if problems := run.problems():
        raise IntegrityError(
            f"run {folder.id} is not valid and was not published",
            expected="every file as it was written",
            found="; ".join(problems[:5]),
            fix="choose another run: `predict-age runs`",
        )
    content_hash = run.folder.facts(FinalResultsFacts).manifest
    return update_pointer(workspace.documents, lambda now: now.rolled_back(folder.id, run.manifest.quarter, content_hash)), folder


def _pointer_is_damaged(workspace: Workspace) -> bool:
    try:
        workspace.published  # noqa: B018 - reading it is the check
    except IntegrityError:
        return True
    return False


def _rebuild(workspace: Workspace) -> None:
    """Move a damaged pointer away and write one that names the newest valid run of each quarter."""
    pointer = workspace.root / f"{POINTER}.json"
    if pointer.exists():
        pointer.replace(pointer.with_suffix(".damaged"))
    generation, content_hash = _newest_suppression(workspace)
    fence = holder.token if (holder := current_holder(workspace.documents)) else 0
    published = Published(fence=fence, suppression=generation, suppression_list=content_hash)
    for folder in workspace.runs():
        run = _valid_run(workspace, folder)
        if run is not None:
            content_hash = folder.facts(FinalResultsFacts).manifest
            published = published.with_current(folder.id, run.manifest.quarter, content_hash, "found again")
    workspace.documents.put(POINTER, replace(published, removing=[]).as_json(), None)


def _newest_suppression(workspace: Workspace) -> tuple[int, str]:
    """Generation and content hash of the newest suppression list that lies there or that a run was made with."""
    listed = read_suppression_list(workspace.root, Published())
    known = [(listed.generation, listed.content_hash)] if listed else [(0, "")]
    for folder in workspace.runs():
        with suppress(IntegrityError):
            record = folder.record
            known.append((int(record.get("suppression", 0)), str(record.get("suppression_list", ""))))
    return max(known, key=lambda entry: entry[0])


def _valid_run(workspace: Workspace, folder: RunFolder) -> VerifiedRun | None:
    if folder.status != DONE:
        return None
    try:
        run = verified_run(workspace, folder)
        return None if run.problems() else run
    except IntegrityError:
        return None
