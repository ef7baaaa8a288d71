"""Failure of a command for programs: the object that ``--json`` prints instead of the result, and the end of the JSON log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from predict_age.cli.output import has_written, write_after_failure
from predict_age.errors import IntegrityError, PredictAgeError
from predict_age.runtime.command_log import LOG, Level
from predict_age.runtime.named_commands import given_workspace, with_workspace
from predict_age.runtime.signals import STOPPED

if TYPE_CHECKING:
    from predict_age.storage.workspace import RunFolder

_begun: list[RunFolder] = []  # the run that the command works on
_usage: list[str] = []  # what is wrong with its options

WITH_NOTIFICATION = ("run", "resume")
EXIT_CODES = {1: "internal error", 2: "usage", 130: "stopped", 143: "stopped"}


def note_run(folder: RunFolder) -> None:
    """Note the run that the command works on: its failure is told together with it."""
    _begun[:] = [folder]
    LOG.run = folder.id
    LOG.event("run.begun")


def note_usage_error(message: str) -> None:
    """Note what is wrong with the options of the command."""
    _usage[:] = [message]


def tell_failure(arguments: Sequence[str], code: int, error: PredictAgeError | None = None) -> None:
    """Tell programs how the command with these ``arguments`` ended: the JSON log, and whoever reads ``--json``."""
    message = error.message if error else next(iter(_usage), "") or f"{EXIT_CODES.get(code, 'error')}; stderr says more"
    folder, workspace = next(iter(_begun), None), given_workspace(arguments)
    if code:
        _log_failure(code, message, error, workspace)
    _print_failure(arguments, code, message, error)
    if arguments[:1] and arguments[0] in WITH_NOTIFICATION:
        from predict_age.cli.notify import notify

        with suppress(IntegrityError, KeyError, OSError):
            notify(folder, workspace, code, error, _failed_gate(folder) if folder and code else None)
    LOG.event("command.finished", exit_code=code, seconds=round(LOG.seconds, 3))


def _log_failure(code: int, message: str, error: PredictAgeError | None, workspace: Path | None) -> None:
    from predict_age.storage.workspace import DONE, INTERRUPTED

    kind = type(error).__name__ if error else EXIT_CODES.get(code, "error")
    event, level, gate = "command.failed", "error", None
    if _begun:
        status = ""
        with suppress(IntegrityError, KeyError, OSError):
            status, gate = _begun[0].status, _failed_gate(_begun[0])
        if status == INTERRUPTED or code in STOPPED:
            event, level, gate = "run.interrupted", "warning", None
        elif status != DONE:
            event = "run.stopped" if gate else "run.failed"
    fix = _named(error.fix, workspace) if error else ""
    LOG.event(event, cast(Level, level), exit_code=code, kind=kind, message=message, gate=gate, fix=fix)


def _print_failure(arguments: Sequence[str], code: int, message: str, error: PredictAgeError | None) -> None:
    """Print the failure as JSON when ``arguments`` ask for JSON, unless the command has printed already.

    The object has the keys "error" and, where a run had begun, those of ``run --json``, "gate" (the failed one) and "reason".
    """
    begun, written = list(_begun), has_written()
    _begun.clear()
    _usage.clear()
    if "--json" not in arguments or written or not code:
        return
    workspace = given_workspace(arguments)
    failure = {
        "exit_code": code,
        "kind": type(error).__name__ if error else EXIT_CODES.get(code, "error"),
        "message": message,
        "expected": error.expected if error else "",
        "found": error.found if error else "",
        "fix": _named(error.fix, workspace) if error else "",
    }
    described = _run(begun[0], str(failure["message"])) if begun else {}
    write_after_failure(json.dumps({**described, "error": failure}) + "\n")


def _named(text: str, workspace: Path | None) -> str:
    return with_workspace(text, workspace) if workspace else text


def _failed_gate(folder: RunFolder) -> str | None:
    """Name of the quality gate that stopped the run, if one did."""
    from predict_age.runs.quality_gates import GATE_NAMES, outcome

    decided = {name: found for name in GATE_NAMES if (found := outcome(folder, name))}
    return next((name for name, found in decided.items() if not found.passed and not found.accepted), None)


def _run(folder: RunFolder, reason: str) -> dict[str, object]:
    from predict_age.runs.summary import run_summary

    failed = _failed_gate(folder)
    with suppress(IntegrityError, KeyError, OSError):
        return {**run_summary(folder), "gate": failed, "reason": reason}
    return {"run_id": folder.id, "gate": failed, "reason": reason}
