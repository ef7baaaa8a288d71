"""Cold start of the prediction API: ``python benchmarks/aws_api_start.py WORKSPACE KERNELS|image [STARTS]``.

A fresh process of `predict-age aws-api` each time, which takes its events from a stand-in for Lambda and the workspace from an
emulated S3, both on loopback. KERNELS: what ``python -m predict_age.aws.built_kernels KERNELS`` made, for the tree of this
checkout. With ``image`` it runs in the image built from the Dockerfile (root and buildah are needed), with the kernels of that; its
time includes the start of the container. Neither the pull nor Lambda's own start is in these times.
"""

from __future__ import annotations

import http.server
import json
import logging
import os
import queue
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from cloud import image
from predict_age.aws.built_kernels import event
from predict_age.aws.s3_store import Store

BUCKET = "people"
KEYS = {"AWS_ACCESS_KEY_ID": "root", "AWS_SECRET_ACCESS_KEY": "root", "AWS_DEFAULT_REGION": "us-east-1"}
PROCESSOR = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx2",
    "OPENBLAS_CORETYPE": "Haswell",
    "OPENBLAS_NUM_THREADS": "1",
}
BODY = '{"profile": {"years_experience": 12, "job_level": "Senior", "current_title": "Head of Starts %d"}}'


class Lambda(http.server.BaseHTTPRequestHandler):
    """Hands out events from a queue; notes when it was asked and answered."""

    protocol_version = "HTTP/1.1"
    events: queue.Queue[dict[str, object] | None] = queue.Queue()
    noted: queue.Queue[tuple[str, float, Any]] = queue.Queue()

    def do_GET(self) -> None:
        """The next event."""
        self.noted.put(("asked", time.perf_counter(), None))
        event = self.events.get()
        if event is not None:
            self._send(200, json.dumps(event).encode())

    def do_POST(self) -> None:
        """An answer."""
        reply = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.noted.put(("answered", time.perf_counter(), reply))
        self._send(202, b"")

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "r")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def of_the_function() -> int:
    """Id of the process that answers, also where it runs in a container."""
    for folder in Path("/proc").glob("[0-9]*"):
        words = (folder / "cmdline").read_bytes().split(b"\0")
        if words[-4:-1] == [b"-m", b"predict_age", b"aws-api"] and b"python" in words[0]:
            return int(folder.name)
    raise SystemExit("the function does not run")


def in_image(container: image.Container, env: dict[str, str]) -> list[str]:
    """How to start the function in the image, with the processor that its kernels are for."""
    words = container.command(["aws-api"], env, Path(tempfile.mkdtemp()))
    at = words.index("run") + 1
    return [*words[:at], *(f"--env={name}={value}" for name, value in PROCESSOR.items()), *words[at:]]


def one_start(command: Callable[[], list[str]], env: dict[str, str], number: int) -> tuple[float, float, float, float]:
    """Seconds until the function asks for an event, of that event, of the next one; processor seconds until it asks."""
    began = time.perf_counter()
    process = subprocess.Popen(command(), env=env)
    try:
        _, ready, _ = Lambda.noted.get(timeout=120)
        stat = Path(f"/proc/{of_the_function()}/stat").read_text()
        used = sum(float(n) for n in stat.rpartition(")")[2].split()[11:13])
        times = []
        for n in range(2):
            sent = time.perf_counter()
            Lambda.events.put(event("POST", "/v1/predict", BODY % (number * 2 + n), "application/json"))
            what, answered, reply = Lambda.noted.get(timeout=60)
            assert what == "answered" and reply["statusCode"] == 200, reply
            Lambda.noted.get(timeout=60)
            times.append(answered - sent)
    finally:
        os.kill(of_the_function(), signal.SIGKILL)
        process.wait()
        Lambda.events.put(None)  # the dead process still waits for one
    return ready - began, times[0], times[1], used / os.sysconf("SC_CLK_TCK")


def main(workspace: Path, kernels: str, starts: int) -> None:
    """Print one line a start, and the medians."""
    os.environ |= KEYS
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    s3 = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    s3.start()
    os.environ["AWS_ENDPOINT_URL"] = "http://{}:{}".format(*s3.get_host_and_port())
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    store = Store(BUCKET, "predict-age")
    for path in sorted(workspace.rglob("*")):
        if path.is_file() and path.name != "guard":
            store.put_part(path.relative_to(workspace).as_posix(), path)
    runtime = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Lambda)
    threading.Thread(target=runtime.serve_forever, daemon=True).start()
    env = {**os.environ, **PROCESSOR, "PREDICT_AGE_BUCKET": BUCKET, "PREDICT_AGE_KERNELS": kernels}
    env["AWS_LAMBDA_RUNTIME_API"] = f"127.0.0.1:{runtime.server_port}"
    command: Callable[[], list[str]] = lambda: [sys.executable, "-m", "predict_age", "aws-api"]  # noqa: E731
    if kernels == "image":
        env["PREDICT_AGE_KERNELS"] = "/app/kernels"  # as terraform/api.tf says
        container = image.Container(image.build(Path(__file__).parents[1], Path(tempfile.mkdtemp())))
        command = lambda: in_image(container, env)  # noqa: E731
    found = []
    for number in range(starts):
        found.append(one_start(command, env, number))
        print(_shown(found[-1]), flush=True)
    print("median:", _shown(tuple(map(statistics.median, zip(*found, strict=True)))))
    runtime.shutdown()
    s3.stop()


def _shown(seconds: tuple[float, ...]) -> str:
    start, first, second, used = seconds
    return f"start {start:.2f} s ({used:.2f} s of a processor), first answer {1000 * first:.0f} ms, second {1000 * second:.0f} ms"


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 5)
