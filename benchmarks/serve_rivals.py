"""Requests answered by predict-age and by others, in one run: ``RIVALS=PYTHON python benchmarks/serve_rivals.py WORKSPACE PEOPLE``.

PYTHON is an interpreter whose environment has xgboost, uvicorn, uvloop, httptools and the rivals: fastapi, mlserver, bentoml. One
that is not there is left out, loudly. All rivals call the function of ``rival_servers/ages.py``, and answers are compared with it.
Every server has one core and one process that predicts, and logs no request. Processor time is that of all its processes.
"Batching" is the rival's own: requests that arrive together are predicted together, as by predict-age.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from serve import (
    CONNECTIONS,
    Running,
    asked,
    at_rate,
    connected,
    ending,
    most,
    new_profile,
    percentiles,
    pinned,
    post,
    profiles_of,
    served,
)

FOLDER = Path(__file__).parent / "rival_servers"
RATE, SECONDS = 100, 5  # of single profiles whose times are measured
SINGLES, BATCHES, SIZE = 2000, 32, 1000
LONGEST_START = 60  # seconds
VARIABLES = {
    "PYTHONPATH": str(FOLDER),
    "BENTOML_DO_NOT_TRACK": "true",
    "MLSERVER_HOST": "127.0.0.1",
    "MLSERVER_DEBUG": "false",
    "MLSERVER_PARALLEL_WORKERS": "0",  # predicts in the process that answers: a second one would share its core
    "MLSERVER_MODEL_NAME": "ages",
    "MLSERVER_MODEL_IMPLEMENTATION": "mlserver_runtime.Ages",
}


@dataclass(frozen=True)
class Rival:
    """A server: its command, the variables that name its ports, the form of its requests and answers, and variables of its own."""

    name: str
    command: str
    ports: tuple[str, ...]
    path: str
    body: Callable[[list[bytes]], bytes]
    ages: Callable[[Any], list[float]]
    variables: Mapping[str, str] = field(default_factory=dict)


def items(profiles: list[bytes]) -> bytes:
    return b"[" + b",".join(b'{"profile": ' + profile + b"}" for profile in profiles) + b"]"


def tensor(profiles: list[bytes]) -> bytes:
    head = b'{"inputs": [{"name": "profile", "shape": [%d], "datatype": "BYTES", "data": [' % len(profiles)
    return head + b",".join(profiles) + b"]}]}"


def named(profiles: list[bytes]) -> bytes:
    return b'{"profiles": [' + b",".join(profiles) + b"]}"


FASTAPI = Rival(
    "FastAPI",
    "uvicorn fastapi_app:app --no-access-log --log-level error --loop uvloop --http httptools",
    ("UVICORN_PORT",),
    "/predict",
    items,
    lambda answer: [item["predicted_age"] for item in answer["answers"]],
)
MLSERVER = Rival(
    "MLServer",
    "mlserver start .",
    ("MLSERVER_HTTP_PORT", "MLSERVER_GRPC_PORT", "MLSERVER_METRICS_PORT"),
    "/v2/models/ages/infer",
    tensor,
    lambda answer: answer["outputs"][0]["data"],
)
BENTOML = Rival(
    "BentoML", "bentoml serve bentoml_service:Ages --host 127.0.0.1", ("BENTOML_PORT",), "/predict", named, lambda answer: answer
)
MLSERVER_BATCHING = {"MLSERVER_MODEL_MAX_BATCH_SIZE": str(CONNECTIONS), "MLSERVER_MODEL_MAX_BATCH_TIME": "0.001"}
RIVALS = [
    FASTAPI,
    MLSERVER,
    replace(MLSERVER, name="MLServer, batching", variables=MLSERVER_BATCHING),
    BENTOML,
    replace(BENTOML, name="BentoML, batching", variables={"BATCHING": "1"}),
]


def figures(name: str, running: Running, request: Callable[[int], bytes]) -> None:
    """Print times of single profiles at a low rate, and the costs of a profile alone and among others."""
    most(running.port, partial(request, 1), 10 * CONNECTIONS)
    times = at_rate(running.port, partial(request, 1), RATE, SECONDS)
    print(f"{name}: single profiles, {RATE} a second: {percentiles(times)}")
    for size, requests in ((1, SINGLES), (SIZE, BATCHES)):
        began = running.processor_seconds()
        rate = size * most(running.port, partial(request, size), requests)
        each = (running.processor_seconds() - began) / (requests * size) * 1e6
        print(f"{name}: requests of {size:,}: {rate:,.0f} profiles a second, {each:.0f} us of the server's processor time each")


def first_answer(port: int, request: bytes, process: subprocess.Popen[str]) -> bytes | None:
    """The answer to ``request`` once the server is ready; None where it ends or gives none in time."""
    until = time.monotonic() + LONGEST_START
    while process.poll() is None and time.monotonic() < until:
        try:
            with connected(port) as client:
                return asked(client, request)
        except (OSError, AssertionError):
            time.sleep(0.1)
    return None


def free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        return [stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(number)]


def measure(rival: Rival, python: Path, core: int, profiles: list[dict[str, object]]) -> None:
    """Start a rival, compare its ages with those of ``ages.py``, print its figures, and end it."""
    program, *arguments = rival.command.split()
    command = pinned(core, [str(python.parent / program), *arguments])
    ports = free_ports(len(rival.ports))
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        own = {"BENTOML_HOME": folder, **dict(zip(rival.ports, map(str, ports), strict=True))}
        env = {**os.environ, **VARIABLES, **rival.variables, **own}
        with subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=env, text=True) as process, ending(process):
            known = [json.dumps(profile).encode() for profile in profiles[:SIZE]]
            answer = first_answer(ports[0], post(rival.body(known), path=rival.path), process)
            if answer is None:
                log.seek(0)
                print(f"{rival.name} did not answer:\n{log.read()[-2000:]}")
                return
            assert rival.ages(json.loads(answer)) == directly(python, env, profiles[:SIZE]), rival.name

            def request(size: int) -> bytes:
                return post(rival.body([new_profile(profiles) for _ in range(size)]), path=rival.path)

            figures(rival.name, Running(ports[0], process.pid), request)


def directly(python: Path, env: dict[str, str], profiles: list[dict[str, object]]) -> list[float]:
    """Ages that ``ages.py`` gives without a server."""
    code = "import json, sys, ages; print(json.dumps(ages.ages(json.load(sys.stdin))))"
    done = subprocess.run([python, "-c", code], input=json.dumps(profiles), env=env, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("workspace", type=Path)
    arguments.add_argument("people", type=Path)
    given = arguments.parse_args()
    python = Path(os.environ.get("RIVALS", sys.executable)).absolute()
    profiles, core = profiles_of(given.people), min(os.sched_getaffinity(0))
    with served(given.workspace, core) as running:
        figures("predict-age", running, lambda size: post(items([new_profile(profiles) for _ in range(size)])))
    for rival in RIVALS:
        if (python.parent / rival.command.split()[0]).exists():
            measure(rival, python, core, profiles)
        else:
            print(f"{rival.name} is not installed beside {python}: left out")


if __name__ == "__main__":
    main()
