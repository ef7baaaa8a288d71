"""Cold start of the prediction API: ``python benchmarks/aws_api_start.py WORKSPACE KERNELS [STARTS]``.

A fresh process of `predict-age aws-api` each time, which takes its events from a stand-in for Lambda and the workspace from an
emulated S3, both on loopback. KERNELS: what ``python -m predict_age.aws.built_kernels KERNELS`` made. It is the tree of this
checkout, not the built image: neither the pull nor Lambda's own start is in these times.
"""

from __future__ import annotations

import http.server
import json
import logging
import os
import queue
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

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


def one_start(env: dict[str, str], number: int) -> tuple[float, float, float, float]:
    """Seconds until the function asks for an event, of that event, of the next one; processor seconds until it asks."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "predict_age", "aws-api"], env=env)
    try:
        _, ready, _ = Lambda.noted.get(timeout=120)
        used = sum(float(n) for n in Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13])
        times = []
        for n in range(2):
            sent = time.perf_counter()
            Lambda.events.put(event("POST", "/v1/predict", BODY % (number * 2 + n), "application/json"))
            what, answered, reply = Lambda.noted.get(timeout=60)
            assert what == "answered" and reply["statusCode"] == 200, reply
            Lambda.noted.get(timeout=60)
            times.append(answered - sent)
    finally:
        process.kill()
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
    found = []
    for number in range(starts):
        found.append(one_start(env, number))
        print(_shown(found[-1]), flush=True)
    print("median:", _shown(tuple(map(statistics.median, zip(*found, strict=True)))))
    runtime.shutdown()
    s3.stop()


def _shown(seconds: tuple[float, ...]) -> str:
    start, first, second, used = seconds
    return f"start {start:.2f} s ({used:.2f} s of a processor), first answer {1000 * first:.0f} ms, second {1000 * second:.0f} ms"


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 5)
