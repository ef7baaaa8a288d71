"""Several processes of one server: they answer from one socket, are started anew, add up their counters, and leave nobody behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from conftest import cli
from predict_age.errors import ConfigError, ResourceError
from predict_age.serving import workers as leading
from predict_age.serving.metrics import ServerMetrics
from predict_age.serving.server import ServerSettings, serve
from predict_age.storage.workspace import Workspace

pytest.importorskip("uvicorn", reason="the extra serve is not installed")


def children(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def soon(condition: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def killed_at_the_end(process: subprocess.Popen[str]) -> Iterator[None]:
    """Kill the ``process`` where the test fails, which would wait for it otherwise."""
    try:
        yield
    finally:
        process.kill()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_workers_of_one_server(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """Two answer; one is killed and replaced; counters never fall; SIGTERM ends all with 0, and a killed leader leaves nobody."""
    command = [sys.executable, "-m", "predict_age", "serve", "--workspace", str(finished[0]), "--port", "0", "--workers", "2"]
    for ending in (signal.SIGTERM, signal.SIGKILL):
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as leader, killed_at_the_end(leader):
            assert leader.stderr is not None
            first = leader.stderr.readline()
            found = re.search(r"serving run \S+ on http://127\.0\.0\.1:(\d+) by 2 workers", first)
            assert found, first
            url = f"http://127.0.0.1:{found.group(1)}"
            workers = children(leader.pid)
            assert len(workers) == 2
            if ending == signal.SIGTERM:
                for _ in range(10):
                    with urllib.request.urlopen(f"{url}/v1/model") as answer:
                        assert answer.status == 200
                counted = lambda: requests_of(url)  # noqa: B023, E731
                assert soon(lambda: all(counted() == 10 for _ in range(12))), counted()  # noqa: B023 - whichever worker is asked
                assert soon(lambda: written(tmp_path) == 10), written(
                    tmp_path
                )  # by those who answered: a worker writes once a second
                os.kill(workers[0], signal.SIGKILL)
                assert "a worker died (-9)" in leader.stderr.readline()
                with urllib.request.urlopen(f"{url}/v1/model") as answer:
                    assert "run_id" in json.loads(answer.read())
                assert soon(lambda: counted() == 11), counted()  # noqa: B023
                assert soon(lambda: len(children(leader.pid)) == 2)
                workers = children(leader.pid)
            os.kill(leader.pid, ending)
            assert leader.wait(20) == (0 if ending == signal.SIGTERM else -9)
            assert soon(lambda: not any(lives(pid) for pid in workers), 20)  # noqa: B023


def written(folder: Path) -> int:
    """Requests of one route that the workers have written to the files that they share below ``folder``."""
    states = [json.loads(path.read_text()) for path in folder.rglob("*.json")]
    return sum(n for state in states for route, _, n in state.get("requests", ()) if route == "/v1/model")


def requests_of(url: str) -> int:
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        found = re.search(r'requests_total\{route="/v1/model",status="200"\} (\d+)', answer.read().decode())
    return int(found.group(1)) if found else 0


def test_an_empty_workspace_needs_no_worker_to_be_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    with pytest.raises(ConfigError, match="nothing is published"):
        serve(Workspace.existing(tmp_path), ServerSettings(port=0, workers=2), lambda _: None)


def test_counters_add_up() -> None:
    mine, other = ServerMetrics(), ServerMetrics()
    for metrics, times in ((mine, 2), (other, 3)):
        for _ in range(times):
            metrics.count("/v1/predict", 200, 0.003)
        metrics.profiles["DEFAULT"] += times
    other.count("/health", 503, 9.0)
    text = mine.with_others([other.state()]).text({"up": 1.0})
    for line in (
        'predict_age_requests_total{route="/v1/predict",status="200"} 5',
        'predict_age_requests_total{route="/health",status="503"} 1',
        'predict_age_request_seconds_count{route="/v1/predict"} 5',
        'predict_age_request_seconds_bucket{route="/v1/predict",le="0.005"} 5',
        'predict_age_profiles_total{source="DEFAULT"} 5',
    ):
        assert line in text
    assert mine.requests["/v1/predict", 200] == 2


@pytest.mark.parametrize("text", ["{}", "[]", "5", "{", '{"workspace": "w", "port": 1}'])
def test_a_worker_started_by_hand_is_refused(text: str) -> None:
    assert "--workers" in cli("serve", "--workspace", "nowhere", "--worker", text, check=2).stderr


def leader_of(commands: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[leading.Workers, list[str], list[int]]:
    """A leading process whose workers are these shell commands, one after the other; what it says; its workers' ids."""
    left, said, started = iter(commands), list[str](), list[int]()
    made = Workspace(tmp_path)
    popen = subprocess.Popen

    def start(_: object, **options: Any) -> subprocess.Popen[bytes]:
        process = popen(["sh", "-c", next(left)], **options)
        started.append(process.pid)
        return process

    monkeypatch.setattr(leading.subprocess, "Popen", start)
    monkeypatch.setattr(leading, "LONGEST_PAUSE_SECONDS", 0.1)
    return leading.Workers(made, None, socket.create_server(("127.0.0.1", 0)), said.append), said, started


SERVES, FAILS = "echo serving run x; exec sleep 60", "exit 4"


def test_survivors_serve_on_while_a_replacement_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A worker dies, its replacements end with 4 eight times, then one is ready: said once, and nobody else is touched."""
    leader, said, started = leader_of([SERVES, SERVES, *[FAILS] * 8, SERVES], monkeypatch, tmp_path)

    def trouble() -> None:
        soon(lambda: any("by 2 workers" in sentence for sentence in said), 10)
        os.kill(started[0], signal.SIGKILL)
        soon(lambda: len(started) == 11, 10)
        said.append(f"survivor lives: {lives(started[1])}")
        time.sleep(0.2)
        leader._stop()

    thread = threading.Thread(target=trouble)
    monkeypatch.setattr(leading.signal, "signal", lambda *_: signal.SIG_DFL)
    thread.start()
    leader.run(2)
    thread.join()
    assert len(started) == 11 and "survivor lives: True" in said
    assert len([sentence for sentence in said if "cannot be replaced now (4)" in sentence]) == 1


def test_the_server_goes_on_trying_while_nobody_serves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both workers die, and their replacements end with 4 again and again, as for a refused run: it is said, and both come back."""
    leader, said, started = leader_of([SERVES, SERVES, *[FAILS] * 8, SERVES, SERVES], monkeypatch, tmp_path)

    def trouble() -> None:
        soon(lambda: any("by 2 workers" in sentence for sentence in said), 10)
        for process in started[:2]:
            os.kill(process, signal.SIGKILL)
        soon(lambda: sum("serves again" in sentence for sentence in said) == 2, 10)
        leader._stop()

    thread = threading.Thread(target=trouble)
    monkeypatch.setattr(leading.signal, "signal", lambda *_: signal.SIG_DFL)
    thread.start()
    leader.run(2)
    thread.join()
    assert len(started) == 12 and said[-1] == "stopped"
    assert len([sentence for sentence in said if "no worker serves now (4)" in sentence]) == 1


@pytest.mark.parametrize("commands", [[FAILS, FAILS], [SERVES, FAILS]])
def test_a_failure_at_the_start_ends_the_server(commands: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    leader, _, _ = leader_of(commands, monkeypatch, tmp_path)
    with pytest.raises(ResourceError, match="cannot go on"):
        leader.run(2)
