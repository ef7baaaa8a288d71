"""The server in trouble: ``python benchmarks/serve_trouble.py WORKSPACE``, with two finished runs, between which it is rolled back.

Prints what happened: rollbacks under load, bodies of 150 MB, compressed bombs, 1,000 slow connections, memory, kill -9, SIGTERM.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from serve import Running, asked, connected, post, served

ROLLBACKS, SLOW = 120, 1000
SINGLE = post(b'{"profile": {"years_experience": 12, "job_level": "Senior"}}')


def status_of(port: int, parts: list[bytes]) -> str:
    """Status of the answer to ``parts``, which are sent until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        with suppress(OSError):
            for part in parts:
                client.sendall(part)
        try:
            return client.recv(4096)[9:12].decode() or "closed"
        except OSError:
            return "reset"


def large_bodies(port: int) -> list[str]:
    """150 MB by length and in chunks, and a gzip bomb."""
    mb = b" " * 1_000_000
    head = "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    by_length = [f"{head}Content-Length: 150000000\r\n\r\n".encode(), *[mb] * 150]
    chunked = [f"{head}Transfer-Encoding: chunked\r\n\r\n".encode(), *[b"f4240\r\n" + mb + b"\r\n"] * 150]
    bomb = gzip.compress(b" " * 150_000_000)
    packed = [f"{head}Content-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode() + bomb]
    return [status_of(port, parts) for parts in (by_length, chunked, packed)]


def rollbacks(workspace: Path, running: Running) -> None:
    """Roll back and forth while two clients ask; every answer must be of one run and its model."""
    answers: dict[str, int] = {}
    failed: list[str] = []
    stop = threading.Event()

    def client_of() -> None:
        with connected(running.port) as client:
            while not stop.is_set():
                try:
                    answer = json.loads(asked(client, SINGLE))
                    answers[answer["run_id"]] = answers.get(answer["run_id"], 0) + 1
                except Exception as error:
                    failed.append(type(error).__name__)
                    return

    clients = [threading.Thread(target=client_of) for _ in range(2)]
    for client in clients:
        client.start()
    runs = sorted(p.parent.name for p in (workspace / "runs").glob("*/manifest.json"))[-2:]
    for number in range(ROLLBACKS):
        command = [sys.executable, "-m", "predict_age", "rollback", "--workspace", str(workspace), "--to", runs[number % 2]]
        subprocess.run(command, check=True, capture_output=True)
    time.sleep(5)
    stop.set()
    for client in clients:
        client.join()
    total = sum(answers.values())
    print(f"{ROLLBACKS} rollbacks: {total:,} answers of {len(answers)} runs, {len(failed)} failed {failed[:3]}")


def main() -> None:
    workspace = Path(sys.argv[1])
    with served(workspace, 0) as running:
        rollbacks(workspace, running)
        print("150 MB by length, in chunks, gzip bomb:", large_bodies(running.port))
        many = [threading.Thread(target=large_bodies, args=(running.port,)) for _ in range(8)]
        for worker in many:
            worker.start()
        for worker in many:
            worker.join()
        slow = [socket.create_connection(("127.0.0.1", running.port), timeout=60) for _ in range(SLOW)]
        for number, client in enumerate(slow):
            client.sendall(b"POST /v1/predict HT" if number % 2 else SINGLE[:-20])
        began = time.perf_counter()
        with connected(running.port) as client:
            asked(client, SINGLE)
        print(f"beside {SLOW} slow connections an answer took {1000 * (time.perf_counter() - began):.0f} ms")
        told = [client.recv(100)[9:12].decode() for client in slow]
        print(f"slow connections after {time.perf_counter() - began:.1f} s:", {status: told.count(status) for status in set(told)})
        print(f"memory at most {running.most_memory()} MiB")
        began = time.perf_counter()
        os.kill(running.pid, signal.SIGKILL)
    with served(workspace, 0) as running:
        with connected(running.port) as client:
            asked(client, SINGLE)
        print(f"after kill -9, first answer of the next server after {time.perf_counter() - began:.1f} s")
        began = time.perf_counter()
        os.kill(running.pid, signal.SIGTERM)
        with suppress(OSError):
            while True:
                socket.create_connection(("127.0.0.1", running.port), timeout=1).close()
                time.sleep(0.02)
        print(f"SIGTERM: closed after {time.perf_counter() - began:.2f} s")


if __name__ == "__main__":
    main()
