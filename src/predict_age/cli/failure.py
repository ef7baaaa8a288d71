"""JSON object of a command that failed: what ``--json`` prints instead of its result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from predict_age.cli.output import has_written, write_after_failure
from predict_age.errors import IntegrityError, PredictAgeError
from predict_age.runtime.named_commands import given_workspace, with_workspace

if TYPE_CHECKING:
    from predict_age.storage.workspace import RunFolder

_begun: list[RunFolder] = []  # the run that the command works on

EXIT_CODES = {1: "internal error", 2: "usage", 130: "stopped", 143: "stopped"}


def note_run(folder: RunFolder) -> None:
    """Note the run that the command works on: its failure is told together with it."""
    _begun[:] = [folder]


def print_failure(arguments: Sequence[str], code: int, error: PredictAgeError | None = None) -> None:
    """Print the failure as JSON when ``arguments`` ask for JSON, unless the command has printed already.

    The object has the keys "error" and, where a run had begun, those of ``run --json``, "gate" (the failed one) and "reason".
    """
    begun, written = list(_begun), has_written()
    _begun.clear()
    if "--json" not in arguments or written or not code:
        return
    workspace = given_workspace(arguments)
    failure = {
        "exit_code": code,
        "kind": type(error).__name__ if error else EXIT_CODES.get(code, "error"),
        "message": error.message if error else f"{EXIT_CODES.get(code, 'error')}; stderr says more",
        "expected": error.expected if error else "",
        "found": error.found if error else "",
        "fix": _named(error.fix, workspace) if error else "",
    }
    described = _run(begun[0], str(failure["message"])) if begun else {}
    write_after_failure(json.dumps({**described, "error": failure}) + "\n")


def _named(text: str, workspace: Path | None) -> str:
    return with_workspace(text, workspace) if workspace else text


def _run(folder: RunFolder, reason: str) -> dict[str, object]:
    from predict_age.runs.quality_gates import GATE_NAMES, outcome
    from predict_age.runs.summary import run_summary

    decided = {name: found for name in GATE_NAMES if (found := outcome(folder, name))}
    failed = next((name for name, found in decided.items() if not found.passed and not found.accepted), None)
    with suppress(IntegrityError, KeyError, OSError):
        return {**run_summary(folder), "gate": failed, "reason": reason}
    return {"run_id": folder.id, "gate": failed, "reason": reason}
