"""Latency of single profiles beside large requests, in processor time: ``python benchmarks/serve_turns.py WORKSPACE PEOPLE``.

Server and clients share one thread and one event loop; a connection is the server's own, without a socket. The clock is the
processor time of that thread, so that other programs on the machine do not count: what is missing are system calls of sockets.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from uvicorn.server import ServerState

from predict_age.serving.application import Service
from predict_age.serving.asgi import AsgiApplication, TimeLimits
from predict_age.serving.served_model import Watch
from predict_age.serving.uvicorn_server import LimitedProtocol, quiet_server
from predict_age.storage.workspace import Workspace
from serve import arrow, new_profile, percentiles, post, profiles_of

CLOCK = time.thread_time
RECEIVED = 256 * 1024  # bytes that arrive together
Done = Callable[[], None]


class Pipe(asyncio.Transport):
    """The server's side of a connection: it calls ``done`` when an answer has been written."""

    def __init__(self) -> None:
        super().__init__()
        self.done: Done = lambda: None
        self.written, self.paused = b"", False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def close(self) -> None:
        """Nothing is left to be closed."""

    def write(self, data: Any) -> None:
        self.written += bytes(data)
        head, _, body = self.written.partition(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        if len(body) >= length:
            assert head.startswith(b"HTTP/1.1 200"), head
            self.written = b""
            self.done()


class Clients:
    """Clients of an ``application``."""

    def __init__(self, application: AsgiApplication) -> None:
        self.config, self.state = quiet_server(application).config, ServerState()
        self.config.load()

    def connected(self) -> tuple[LimitedProtocol, Pipe]:
        protocol, pipe = LimitedProtocol(self.config, self.state, {}), Pipe()
        protocol.connection_made(pipe)
        return protocol, pipe

    async def batches(self, content: bytes, stop: asyncio.Event, times: list[float]) -> None:
        """Send ``content`` again and again, as one client that waits for each answer."""
        protocol, pipe = self.connected()
        while not stop.is_set():
            began, answered = CLOCK(), asyncio.Event()
            pipe.done = answered.set
            for first in range(0, len(content), RECEIVED):
                while pipe.paused:
                    await asyncio.sleep(0)
                protocol.data_received(content[first : first + RECEIVED])
                await asyncio.sleep(0)
            while not answered.is_set():
                await asyncio.sleep(0)
            times.append(CLOCK() - began)

    async def singles(self, request: Callable[[], bytes], rate: float, seconds: float) -> list[float]:
        """Processor time from when each of ``rate`` requests a second was due to its answer."""
        prepared = [request() for _ in range(int(rate * seconds))]
        free, times = [self.connected() for _ in range(64)], list[float]()
        start, number = CLOCK(), 0
        while len(times) < len(prepared):
            while number < len(prepared) and free and start + number / rate <= CLOCK():
                protocol, pipe = free.pop()

                def done(due: float = start + number / rate, connection: tuple[LimitedProtocol, Pipe] = (protocol, pipe)) -> None:
                    times.append(CLOCK() - due)
                    free.append(connection)

                pipe.done = done
                protocol.data_received(prepared[number])
                number += 1
            await asyncio.sleep(0)
        return times


async def measure(watch: Watch, people: Path, seconds: float, kinds: int) -> None:
    """Print the latency of single profiles alone and beside large requests."""
    profiles = profiles_of(people)
    single = lambda: post(b'{"profile": ' + new_profile(profiles) + b"}")  # noqa: E731
    odd = lambda: post(b'{"profile": ' + new_profile(profiles).replace(b'"current_title"', b'"\\u0063urrent_title"') + b"}")  # noqa: E731
    items = lambda n: b"[" + b",".join(b'{"profile": ' + new_profile(profiles) + b"}" for _ in range(n)) + b"]"  # noqa: E731
    many = lambda n: post(items(n))  # noqa: E731
    stream = lambda n: post(arrow([new_profile(profiles) for _ in range(n)]), "application/vnd.apache.arrow.stream")  # noqa: E731
    explained = lambda n: post(  # noqa: E731
        b"[" + b",".join(b'{"explain": true, "profile": ' + new_profile(profiles) + b"}" for _ in range(n)) + b"]"
    )
    mixed = lambda n: post(items(n).replace(b'"current_title": "Senior Engineer 1', b'"\\u0063urrent_title": "Senior Engineer 1'))  # noqa: E731
    clients = Clients(AsgiApplication(Service(watch, None), TimeLimits(head=1e6, idle=1e6)))
    await clients.singles(single, 500, 1)
    gc.collect()
    gc.freeze()
    for rate in (250.0, 1000.0):
        print(f"{rate:.0f} a second, alone:", percentiles(await clients.singles(single, rate, seconds)), flush=True)
    print("100 a second that are not plain, alone:", percentiles(await clients.singles(odd, 100, seconds)), flush=True)
    beside: dict[str, tuple[Callable[[], bytes], int]] = {
        "JSON of 1,000": (lambda: many(1000), 1000),
        "Arrow of 1,000": (lambda: stream(1000), 1000),
        "JSON of 9,000": (lambda: many(9_000), 9_000),
        "Arrow of 9,000": (lambda: stream(9_000), 9_000),
        "JSON of 1,000, some of them not plain": (lambda: mixed(1000), 1000),
        "20 profiles with reasons": (lambda: explained(20), 20),
    }
    for name, (made, size) in list(beside.items())[:kinds]:
        content = made()
        for rate in (0.0, 250.0, 1000.0):
            stop, times = asyncio.Event(), list[float]()
            client = asyncio.create_task(clients.batches(content, stop, times))
            if rate:
                print(f"{rate:.0f} a second, beside {name}:", percentiles(await clients.singles(single, rate, seconds)), end="; ")
            else:
                print(f"{name} alone", end="; ")
                while sum(times) < seconds:
                    await asyncio.sleep(0)
            stop.set()
            await client
            print(f"profiles a second of the batches: {len(times) * size / sum(times):,.0f}", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("workspace", type=Path)
    arguments.add_argument("people", type=Path)
    arguments.add_argument("--seconds", type=float, default=3)
    arguments.add_argument("--beside", type=int, default=6, help="number of kinds of large requests")
    given = arguments.parse_args()
    watch = Watch(Workspace.existing(given.workspace), lambda sentence: print(sentence, file=sys.stderr))
    watch.load()
    asyncio.run(measure(watch, given.people, given.seconds, given.beside))


if __name__ == "__main__":
    main()
