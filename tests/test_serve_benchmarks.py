"""The benchmarks of the server end when something goes wrong: they neither leave it behind nor wait for it without end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

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


class Closed:
    """A connection that the server closes after some bytes; it is not asked for more again and again."""

    def __init__(self, sent: bytes) -> None:
        self.parts = [sent, b""] if sent else [b""]

    def recv(self, most: int) -> bytes:
        return self.parts.pop(0)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"])
def test_a_connection_that_is_closed_within_an_answer_is_an_error(sent: bytes) -> None:
    with pytest.raises(ConnectionResetError, match="closed the connection"):
        serve.answered(Closed(sent))


def test_a_rate_is_that_of_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of one client is that of the measurement: requests that were never answered are not counted."""
    clients = iter(range(4))

    class Client:
        def __enter__(self) -> int:
            return next(clients)

        def __exit__(self, *_: object) -> None:
            """Nothing is left to be closed."""

    def asked(client: int, _: bytes) -> bytes:
        if client == 2:
            raise ConnectionResetError("the server closed the connection")
        return b"{}"

    monkeypatch.setattr(serve, "connected", lambda _: Client())
    monkeypatch.setattr(serve, "asked", asked)
    with pytest.raises(ConnectionResetError):
        serve.most(9, lambda: b"{}", 8, connections=4)
