"""Runs as processes that tests watch, stop and kill."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import forked
from conftest import AS_OF

Process = subprocess.Popen[str] | forked.Forked


def start(
    source: Path, workspace: Path, config: Path, *more: object, env: dict[str, str] | None = None, fresh: bool = False
) -> Process:
    """``predict-age run`` in a process group of its own, forked; ``fresh``: by a Python of its own, which first imports the program."""
    command = ["run", "--source", source, "--workspace", workspace, "--as-of", AS_OF, "--config", config, *more]
    if not fresh and forked.can_fork({**os.environ, **(env or {})}):
        return forked.launch(command, env=env)
    return subprocess.Popen(
        [sys.executable, "-m", "predict_age", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **(env or {})},
    )


def wait_for(workspace: Path, pattern: str, process: Process) -> list[Path]:
    """Until a file of a run appears."""
    for _ in range(6000):
        if found := sorted(workspace.glob(f"runs/*/{pattern}")):
            return found
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    raise AssertionError(f"{pattern} did not appear")


def _children(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _forked(pid: int) -> bool:
    """Whether the process is the server that forks workers, or one of them."""
    with suppress(FileNotFoundError, ProcessLookupError):
        if b"multiprocessing.forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return True
        status = Path(f"/proc/{pid}/status").read_text()
        return status.startswith(f"Name:\t{forked.SERVER_NAME}\n") and "State:\tZ" not in status
    return False


def server_of(process: Process) -> int:
    """Process number of the server that forks a run's workers."""
    (server,) = filter(_forked, _children(process.pid))
    return server


def workers_of(process: Process) -> list[int]:
    """Process numbers of a run's workers."""
    return [worker for server in filter(_forked, _children(process.pid)) for worker in _children(server)]


def alive(workers: list[int]) -> list[int]:
    """Those that are still there."""
    return [w for w in workers if _forked(w)]


def writer_of(process: Process, name: str) -> int | None:
    """The worker that has a temporary file of ``name`` open at this moment."""
    for worker in workers_of(process):
        try:
            for link in Path(f"/proc/{worker}/fd").iterdir():
                target = str(link.readlink())
                if f"/{name}." in target and target.endswith(".tmp"):
                    return worker
        except (FileNotFoundError, ProcessLookupError):
            continue
    return None
