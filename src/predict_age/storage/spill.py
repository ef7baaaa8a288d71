"""Folder for what DuckDB moves from memory to disk: inside the workspace, because it holds rows of people, and gone afterwards.

Without a folder of this module DuckDB would use ``.tmp`` in the current folder.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from predict_age.runtime.temporary_folder import is_dead_owner

VARIABLE = "PREDICT_AGE_SPILL"  # handed to worker processes
_OF_A_COMMAND = re.compile(r"spill-(?P<machine>.+)-(?P<process>\d+)")


def spill_folder() -> str:
    """Folder that DuckDB may use at this moment; empty: none, then it runs out of memory instead."""
    return os.environ.get(VARIABLE, "")


@contextmanager
def spilling_into(folder: Path) -> Iterator[None]:
    """Let DuckDB use ``folder`` in this process and in processes started inside; it is created when needed, and removed."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before
        shutil.rmtree(folder, ignore_errors=True)


def of_this_command(root: Path) -> Path:
    """Folder below the workspace ``root`` for a command that holds no lease."""
    return root / f"spill-{_machine()}-{os.getpid()}"


def remove_dead_spills(root: Path) -> int:
    """Remove folders of commands that have ended, whatever killed them; returns their number."""
    dead = [path for path in root.glob("spill-*") if (found := _OF_A_COMMAND.fullmatch(path.name)) and _is_dead(path, found)]
    for path in dead:
        shutil.rmtree(path, ignore_errors=True)
    return len(dead)


def _is_dead(path: Path, found: re.Match[str]) -> bool:
    return is_dead_owner(path, found["machine"] == _machine(), int(found["process"]))


def _machine() -> str:
    return re.sub(r"[^A-Za-z0-9.]", "_", platform.node())[:40] or "machine"
