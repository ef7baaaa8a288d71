"""Speed of the server on a busy machine, in bursts: ``python benchmarks/serve_bursts.py WORKSPACE PEOPLE [--tree OLDER_CHECKOUT]``.

In a burst, which takes less than a second, the server and its clients have real-time priority (root alone may set it), so that
other programs do not interrupt them, and Linux does not interrupt a burst either. Between bursts the others have their turn. With
``--tree``, the server of another checkout takes turns with this one.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from serve import CONNECTIONS, arrow, asked, at_rate, connected, ending, most, new_profile, percentiles, pinned, post, profiles_of

BURST_SECONDS = 0.85  # Linux lets real-time programs run for 0.95 s of each second
PAUSE_SECONDS = 1.5
Made = Callable[[], bytes]


@contextmanager
def burst(pid: int) -> Iterator[None]:
    """Give the main threads of the server and of this process real-time priority."""
    try:
        for process in (pid, 0):
            os.sched_setscheduler(process, os.SCHED_FIFO, os.sched_param(1))
        yield
    finally:
        for process in (0, pid):
            os.sched_setscheduler(process, os.SCHED_OTHER, os.sched_param(0))
        time.sleep(PAUSE_SECONDS)


@contextmanager
def served_by(tree: Path, workspace: Path) -> Iterator[tuple[int, int]]:
    """Port and process of a server of the checkout ``tree``, on the first core."""
    command = [sys.executable, "-m", "predict_age", "serve", "--workspace", str(workspace), "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    with subprocess.Popen(pinned(0, command), stderr=subprocess.PIPE, text=True, env=environment) as process, ending(process):
        assert process.stderr is not None
        found = re.search(r":(\d+) ", process.stderr.readline())
        assert found
        yield int(found.group(1)), process.pid


def processor_seconds(pid: int) -> float:
    """Processor time of all threads, which Linux counts in nanoseconds."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def throughput(port: int, pid: int, request: Made, requests: int, people: int) -> tuple[float, float]:
    """Profiles answered in a second, and seconds of processor time of each, by clients that ask one after the other."""
    clients = [connected(port) for _ in range(CONNECTIONS)]
    prepared = [[request() for _ in range(requests // CONNECTIONS)] for _ in clients]
    workers = [
        threading.Thread(target=lambda client, contents: [asked(client, content) for content in contents], args=pair)
        for pair in zip(clients, prepared, strict=True)
    ]
    with burst(pid):
        used, began = processor_seconds(pid), time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        seconds, used = time.perf_counter() - began, processor_seconds(pid) - used
    for client in clients:
        client.close()
    return requests * people / seconds, used / (requests * people)


def latency(port: int, pid: int, request: Made, rate: float, beside: bytes | None) -> list[float]:
    """Seconds from when each of ``rate`` requests a second was due to its answer, perhaps beside a client of batches."""
    prepared = iter([request() for _ in range(int(rate * BURST_SECONDS))])
    stop = threading.Event()

    def batches() -> None:
        with connected(port) as client:
            while beside and not stop.is_set():
                asked(client, beside)

    other = threading.Thread(target=batches)
    with burst(pid):
        other.start()
        times = at_rate(port, lambda: next(prepared), rate, BURST_SECONDS)
        stop.set()
        other.join()
    return times


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("workspace", type=Path)
    arguments.add_argument("people", type=Path)
    arguments.add_argument("--tree", type=Path, default=None, help="another checkout, for comparison")
    arguments.add_argument("--bursts", type=int, default=4)
    given = arguments.parse_args()
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {1})  # the core that is not the server's
    profiles = profiles_of(given.people)
    single = lambda: post(b'{"profile": ' + new_profile(profiles) + b"}")  # noqa: E731
    odd = lambda: post(b'{"profile": ' + new_profile(profiles).replace(b'"current_title"', b'"\\u0063urrent_title"') + b"}")  # noqa: E731
    many = lambda: post(b"[" + b",".join(b'{"profile": ' + new_profile(profiles) + b"}" for _ in range(1000)) + b"]")  # noqa: E731
    stream = lambda: post(arrow([new_profile(profiles) for _ in range(1000)]), "application/vnd.apache.arrow.stream")  # noqa: E731
    amounts: dict[str, tuple[Made, int, int]] = {
        "single profiles": (single, 1600, 1),
        "profiles in JSON of 1,000": (many, 48, 1000),
        "profiles in Arrow of 1,000": (stream, 48, 1000),
    }
    rates: dict[str, tuple[Made, float, bytes | None]] = {
        "1,000 a second": (single, 1000, None),
        "250 a second": (single, 250, None),
        "1,000 a second, beside JSON of 1,000": (single, 1000, many()),
        "250 a second, beside JSON of 1,000": (single, 250, many()),
        "250 a second, beside Arrow of 1,000": (single, 250, stream()),
        "100 a second that are not plain": (odd, 100, None),
    }
    trees = [Path(__file__).parents[1], *([given.tree] if given.tree else [])]
    answered: dict[tuple[str, Path], list[tuple[float, float]]] = {}
    waited: dict[tuple[str, Path], list[float]] = {}
    for _ in range(given.bursts):
        for tree in trees:
            with served_by(tree, given.workspace) as (port, pid):
                for request, requests in ((single, 640), (many, 16), (stream, 8)):
                    most(port, request, requests, 1)
                for name, amount in amounts.items():
                    answered.setdefault((name, tree), []).append(throughput(port, pid, *amount))
                for name, rate in rates.items():
                    waited.setdefault((name, tree), []).extend(latency(port, pid, *rate))
    for name in amounts:
        for tree in trees:
            found = answered[name, tree]
            shown = ", ".join(f"{each:,.0f}" for each, _ in found), ", ".join(f"{1e6 * used:.1f}" for _, used in found)
            print(f"{name} ({tree}): {shown[0]} a second; {shown[1]} us of the server's processor time each")
    for name in rates:
        for tree in trees:
            print(f"{name} ({tree}):", percentiles(waited[name, tree]))


if __name__ == "__main__":
    main()
