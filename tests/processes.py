"""Runs as processes that tests watch, stop and kill."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from conftest import AS_OF


def start(source: Path, workspace: Path, config: Path, *more: object, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """``predict-age run`` in a process group of its own."""
    command = ["run", "--source", source, "--workspace", workspace, "--as-of", AS_OF, "--config", config, *more]
    return subprocess.Popen(
        [sys.executable, "-m", "predict_age", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **(env or {})},
    )


def wait_for(workspace: Path, pattern: str, process: subprocess.Popen[str]) -> list[Path]:
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
    try:
        return b"multiprocessing.forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def server_of(process: subprocess.Popen[str]) -> int:
    """Process number of the server that forks a run's workers."""
    (server,) = filter(_forked, _children(process.pid))
    return server


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Process numbers of a run's workers."""
    return [worker for server in filter(_forked, _children(process.pid)) for worker in _children(server)]


def alive(workers: list[int]) -> list[int]:
    """Those that are still there."""
    return [w for w in workers if _forked(w)]


def writer_of(process: subprocess.Popen[str], name: str) -> int | None:
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
