"""Speed of the server: single profiles, batches and the lookup, over HTTP: ``python benchmarks/serve.py WORKSPACE PEOPLE``.

The server runs in a process of its own. Every profile has a title and a date that no request had before. Latency is measured at a
given rate of arrivals, from the moment at which a request should have been sent, so that a server that falls behind shows it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

NUMBERS = count()
CONNECTIONS = 16
SHORTEST_SLEEP = 0.003  # a selector sleeps in whole milliseconds: for less, the client asks again and again


def connected(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=60)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def asked(client: socket.socket, request: bytes) -> bytes:
    """The body of the answer, which must have status 200."""
    client.sendall(request)
    return answered(client)


def received(client: socket.socket, most: int = 1 << 20) -> bytes:
    """The next bytes of an answer; an error where the server has closed the connection."""
    part = client.recv(most)
    if not part:
        raise ConnectionResetError("the server closed the connection before the end of its answer")
    return part


def answered(client: socket.socket) -> bytes:
    """The body of the answer that comes next, which must have status 200."""
    found = received(client)
    while b"\r\n\r\n" not in found:
        found += received(client)
    head, _, body = found.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head[:200]
    parts, length = [body], int(re.search(rb"(?i)content-length: (\d+)", head).group(1)) - len(body)  # type: ignore[union-attr]
    while length:
        part = received(client, min(length, 1 << 20))
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def post(body: bytes, kind: str = "application/json", path: str = "/v1/predict") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def new_profile(profiles: list[dict[str, object]]) -> bytes:
    """One of the profiles, with a title and a date of its own."""
    n = next(NUMBERS)
    career = {"start": f"{1975 + n % 45}-{1 + n % 12:02}-{1 + n % 28:02}T{n:08}"}
    return json.dumps(
        {**profiles[n % len(profiles)], "current_title": f"Senior Engineer {n * 7919 % 10**7}", "career": career}
    ).encode()


def profiles_of(people: Path) -> list[dict[str, object]]:
    """Some profiles of generated ``people``."""
    texts = pq.read_table(people, columns=["profile_json"]).slice(0, 5000)["profile_json"].to_pylist()
    return [json.loads(text) for text in texts if (text or "").startswith("{")]


def percentiles(times: list[float]) -> str:
    ordered = sorted(times)
    at = [ordered[min(int(len(ordered) * q), len(ordered) - 1)] * 1000 for q in (0.5, 0.9, 0.99, 1)]
    return "p50 {:.2f}  p90 {:.2f}  p99 {:.2f}  max {:.1f} ms".format(*at)


def at_rate(port: int, request: Callable[[], bytes], rate: float, seconds: float) -> list[float]:
    """Seconds from when each request was due to its answer; requests are due ``rate`` a second, on CONNECTIONS in turn."""
    prepared = [request() for _ in range(int(rate * seconds))]
    times = []
    selector = selectors.DefaultSelector()
    clients = [connected(port) for _ in range(CONNECTIONS)]
    for client in clients:
        selector.register(client, selectors.EVENT_READ)
    free, due_of = clients.copy(), dict[socket.socket, float]()
    start, number = time.perf_counter(), 0
    while number < len(prepared) or due_of:
        now = time.perf_counter()
        while number < len(prepared) and start + number / rate <= now and free:
            client = free.pop()
            due_of[client] = start + number / rate
            client.sendall(prepared[number])
            number += 1
        wait = start + number / rate - time.perf_counter() if number < len(prepared) and free else 0.05
        for key, _ in selector.select(wait - SHORTEST_SLEEP if wait > SHORTEST_SLEEP else 0):
            client = key.fileobj  # type: ignore[assignment]
            answered(client)
            times.append(time.perf_counter() - due_of.pop(client))
            free.append(client)
    for client in clients:
        client.close()
    return times


def most(port: int, request: Callable[[], bytes], requests: int, connections: int = CONNECTIONS) -> float:
    """Requests answered in a second, by ``connections`` that ask one after the other. Raises the error of the first that failed."""
    prepared = [[request() for _ in range(requests // connections)] for _ in range(connections)]

    def client_of(contents: list[bytes]) -> None:
        with connected(port) as client:
            for content in contents:
                asked(client, content)

    with ThreadPoolExecutor(connections) as clients:
        began = time.perf_counter()
        for asking in [clients.submit(client_of, contents) for contents in prepared]:
            asking.result()
        return sum(map(len, prepared)) / (time.perf_counter() - began)


def arrow(profiles: list[bytes]) -> bytes:
    table = pa.table({"profile": [p.decode() for p in profiles]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


class Running:
    """A server: its ``port`` and process."""

    def __init__(self, port: int, pid: int) -> None:
        self.port, self.pid = port, pid

    def processor_seconds(self) -> float:
        """Processor time that it and its children have taken: it does not depend on what else the machine does, waiting does."""
        ticks = 0
        for pid in family(self.pid):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def most_memory(self) -> int:
        """Largest resident memory, MiB."""
        return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text()).group(1)) // 1024  # type: ignore[union-attr]


def family(pid: int) -> Iterator[int]:
    """A process and the processes that it started, and so on."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from family(int(child))


@contextmanager
def ending(process: subprocess.Popen[str]) -> Iterator[None]:
    """End the process however the block is left: at its end, by return or by an error."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def pinned(core: int, command: list[str]) -> list[str]:
    """The command on one core, where there are several."""
    return ["taskset", "-c", str(core), *command] if (os.cpu_count() or 1) > 1 else command


@contextmanager
def served(workspace: Path, core: int) -> Iterator[Running]:
    """A server on one core, ended with the block."""
    command = [sys.executable, "-m", "predict_age", "serve", "--workspace", str(workspace), "--port", "0"]
    began = time.perf_counter()
    with subprocess.Popen(pinned(core, command), stderr=subprocess.PIPE, text=True) as process, ending(process):
        assert process.stderr is not None
        found = re.search(r":(\d+) ", process.stderr.readline())
        assert found
        print(f"ready after {time.perf_counter() - began:.1f} s")
        running = Running(int(found.group(1)), process.pid)
        print(f"processor time of the start: {running.processor_seconds():.1f} s")
        yield running
        with suppress(OSError, AttributeError):  # it may have been killed
            print(f"most memory: {running.most_memory()} MiB")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("workspace", type=Path)
    arguments.add_argument("people", type=Path)
    arguments.add_argument("--seconds", type=float, default=5)
    arguments.add_argument("--rate", type=float, default=1000)
    arguments.add_argument("--core", type=int, default=0)
    given = arguments.parse_args()
    pids = pq.read_table(given.people, columns=["pid"]).slice(0, 5000)["pid"].to_pylist()
    profiles = profiles_of(given.people)
    single = lambda: post(b'{"profile": ' + new_profile(profiles) + b"}")  # noqa: E731
    many = lambda n: post(b"[" + b",".join(b'{"profile": ' + new_profile(profiles) + b"}" for _ in range(n)) + b"]")  # noqa: E731
    odd = lambda: post(b'{"profile": ' + new_profile(profiles).replace(b'"current_title"', b'"\\u0063urrent_title"') + b"}")  # noqa: E731
    lookup = lambda: post(json.dumps({"pids": [pids[next(NUMBERS) % len(pids)]]}).encode(), path="/v1/people:lookup")  # noqa: E731
    stream = lambda: post(arrow([new_profile(profiles) for _ in range(1000)]), "application/vnd.apache.arrow.stream")  # noqa: E731
    with served(given.workspace, given.core) as running:
        port = running.port

        def costs(name: str, request: Callable[[], bytes], requests: int, people: int) -> None:
            began = running.processor_seconds()
            rate = most(running.port, request, requests)
            each = (running.processor_seconds() - began) / (requests * people)
            print(f"{name}: {rate * people:,.0f} a second, {each * 1e6:.0f} us of the server's processor time each")

        at_rate(port, single, given.rate / 4, 1)
        print(f"single profiles, {given.rate:.0f} a second:", percentiles(at_rate(port, single, given.rate, given.seconds)))
        stop = threading.Event()

        def batches() -> None:
            with connected(port) as client:
                content = many(1000)
                while not stop.is_set():
                    asked(client, content)

        beside = threading.Thread(target=batches)
        beside.start()
        times = at_rate(port, single, given.rate / 4, given.seconds)
        stop.set()
        beside.join()
        print(f"single profiles, {given.rate / 4:.0f} a second, beside a client of batches:", percentiles(times))
        print("profiles that are not plain, 100 a second:", percentiles(at_rate(port, odd, 100, given.seconds / 2)))
        print(f"lookups, {given.rate:.0f} a second:", percentiles(at_rate(port, lookup, given.rate, given.seconds / 2)))
        costs("single profiles", single, 8000, 1)
        costs("single profiles that are not plain", odd, 400, 1)
        costs("lookups of one", lookup, 2000, 1)
        costs("profiles in JSON of 1,000", lambda: many(1000), 32, 1000)
        costs("profiles in Arrow of 1,000", stream, 32, 1000)


if __name__ == "__main__":
    main()
