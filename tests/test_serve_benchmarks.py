"""The server of the benchmarks is ended however its block is left; otherwise the command would wait for it without end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import serve

# stands for a server: says a port, and ends by itself after five seconds, so that a test of it ends, too
STANDING_IN = """#!/bin/sh
trap 'echo terminated > "{ended}"; exit 0' TERM
echo "listens on http://127.0.0.1:9 now" >&2
for _ in $(seq 50); do sleep 0.1; done
"""


def to_the_end(workspace: Path) -> None:
    with serve.served(workspace, 0) as running:
        assert running.port == 9


def by_return(workspace: Path) -> int:
    with serve.served(workspace, 0) as running:
        return running.port


def by_an_error(workspace: Path) -> None:
    with pytest.raises(ZeroDivisionError), serve.served(workspace, 0) as running:
        running.port /= 0


@pytest.mark.parametrize("leave", [to_the_end, by_return, by_an_error])
def test_the_server_is_ended(leave: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, ended = tmp_path / "server", tmp_path / "ended"
    program.write_text(STANDING_IN.format(ended=ended))
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    leave(tmp_path)
    assert ended.read_text() == "terminated\n"
