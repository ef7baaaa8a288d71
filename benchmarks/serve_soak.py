"""The server at about half load for an hour: ``python benchmarks/serve_soak.py WORKSPACE PEOPLE [--minutes 60]``.

Single profiles, profiles that are not plain, lookups and requests of 100 profiles, each at its own rate; one core for the server.
Prints a line for each minute. Ends with 1 where an answer was not 200, or memory grew by over 5 % after the first tenth.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pyarrow.parquet as pq

from serve import Running, asked, connected, new_profile, percentiles, post, profiles_of, served

SINGLES = 3  # clients of single profiles
MOST_GROWTH = 0.05


def resident(running: Running) -> float:
    """Resident memory now, MiB."""
    status = Path(f"/proc/{running.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


class Client(threading.Thread):
    """Sends ``request`` at ``rate`` a second, one after the other, until it is stopped; ``failed`` says why it ended before."""

    def __init__(self, port: int, request: Callable[[], bytes], rate: float) -> None:
        super().__init__(daemon=True)
        self.port, self.request, self.rate = port, request, rate
        self.stopped, self.answered, self.failed = threading.Event(), 0, ""
        self.times: deque[float] = deque(maxlen=5000)

    def run(self) -> None:
        due = time.perf_counter()
        try:
            with connected(self.port) as connection:
                while not self.stopped.is_set():
                    content = self.request()
                    time.sleep(max(due - time.perf_counter(), 0))
                    began = time.perf_counter()
                    asked(connection, content)  # every answer must be 200
                    self.times.append(time.perf_counter() - began)
                    self.answered += 1
                    due = max(due + 1 / self.rate, began)
        except (AssertionError, OSError) as error:
            self.failed = f"{type(error).__name__}: {error}"


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("workspace", type=Path)
    arguments.add_argument("people", type=Path)
    arguments.add_argument("--minutes", type=int, default=60)
    arguments.add_argument("--singles", type=float, default=600)
    given = arguments.parse_args()
    pids = pq.read_table(given.people, columns=["pid"]).slice(0, 5000)["pid"].to_pylist()
    profiles, number = profiles_of(given.people), count()
    single = lambda: post(b'{"profile": ' + new_profile(profiles) + b"}")  # noqa: E731
    odd = lambda: post(b'{"profile": ' + new_profile(profiles).replace(b'"current_title"', b'"\\u0063urrent_title"') + b"}")  # noqa: E731
    lookup = lambda: post(json.dumps({"pids": [pids[next(number) % len(pids)]]}).encode(), path="/v1/people:lookup")  # noqa: E731
    many = lambda: post(b"[" + b",".join(b'{"profile": ' + new_profile(profiles) + b"}" for _ in range(100)) + b"]")  # noqa: E731
    with served(given.workspace, 0) as running:
        clients = [
            Client(running.port, *kind)
            for kind in [(single, given.singles / SINGLES)] * SINGLES + [(odd, 20.0), (lookup, 100.0), (many, 20.0)]
        ]
        for client in clients:
            client.start()
        memory, before = [], running.processor_seconds()
        for minute in range(1, given.minutes + 1):
            time.sleep(60)
            memory.append(resident(running))
            now = running.processor_seconds()
            load, before = (now - before) / 60, now
            answers = sum(client.answered for client in clients)
            print(f"minute {minute}: {memory[-1]:.0f} MiB, {load:.0%} of a core, {answers:,} answers; singles", end=" ")
            print(percentiles(list(clients[0].times) or [0.0]), flush=True)
        for client in clients:
            client.stopped.set()
        for client in clients:
            client.join(10)
        errors = [client.failed for client in clients if client.failed]
        growth = memory[-1] / memory[max(given.minutes // 10 - 1, 0)] - 1
        answers = sum(client.answered for client in clients)
        print(f"{answers:,} answers, {len(errors)} clients that failed {errors}; memory {growth:+.1%}")
        return int(bool(errors) or growth > MOST_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
