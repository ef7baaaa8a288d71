"""The server's process: listens, follows the workspace once a second, and ends when it is asked to, after the requests in hand."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from predict_age.errors import ConfigError, ResourceError, install_extra
from predict_age.serving.application import Service
from predict_age.serving.asgi import MAX_CONNECTIONS, AsgiApplication, TimeLimits
from predict_age.serving.keys import read_keys
from predict_age.serving.served_model import Watch, nothing_published
from predict_age.serving.workers import SharedCounters, Workers, WorkerTask
from predict_age.storage.workspace import Workspace

if TYPE_CHECKING:
    from predict_age.serving.uvicorn_server import QuietServer

POLL_SECONDS = 1.0
BACKLOG = 1024
OTHER_FILES = 150  # of libraries, lookup files, and a run that is loaded
SWITCH_SECONDS = 0.001  # in which requests get their turn beside the loading of another run, which is a thread of its own
PACKAGES = ("uvicorn", "httptools")


@dataclass(frozen=True)
class ServerSettings:
    """Address, port (0: any free one), file of keys, number of processes, and limits of time."""

    host: str = "127.0.0.1"
    port: int = 8080
    keys: Path | None = None
    workers: int = 1
    limits: TimeLimits = field(default_factory=TimeLimits)


def serve(workspace: Workspace, settings: ServerSettings, notice: Callable[[str], None]) -> None:
    """Serve ``workspace`` until SIGTERM or SIGINT; ``notice`` is called with each sentence for the operator.

    Raises ConfigError where packages are missing, nothing is published, or an address beyond this machine has no keys, and
    ResourceError for a port in use.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the server needs packages that are not installed: {', '.join(missing)}",
            fix=install_extra("serve"),
        )
    keys = read_keys(settings.keys) if settings.keys else None
    notice = _unfailing(notice)
    if keys is None and not _is_loopback(settings.host):
        raise ConfigError(
            f"without keys the server listens on this machine alone, not on {settings.host}",
            expected="--host 127.0.0.1, or a file of keys",
            fix="--keys FILE (docs/serving.md)",
        )
    if settings.workers > 1:
        if not workspace.published.current:
            raise nothing_published()
        with _listening(settings) as listening:
            Workers(workspace, settings.keys, listening, notice).run(settings.workers)
        return
    loaded = _loaded(workspace, notice)
    with _listening(settings) as listening:
        _serve(Service(loaded, keys), settings, listening, notice, None)


def serve_as_worker(task: WorkerTask) -> None:
    """Serve as one of several workers, whose counters are added up, until a signal, or until the leader's pipe ends."""

    def say(sentence: str) -> None:
        sys.stdout.write(f"{sentence}\n")
        sys.stdout.flush()

    notice = _unfailing(say)
    settings = ServerSettings(keys=Path(task.keys) if task.keys else None)
    keys = read_keys(settings.keys) if settings.keys else None
    loaded = _loaded(Workspace.existing(Path(task.workspace)), notice)
    with socket.socket(fileno=os.dup(task.socket)) as listening:
        service = Service(loaded, keys, others=SharedCounters(Path(task.counters)))
        _serve(service, settings, listening, notice, sys.stdin.fileno())


def _unfailing(notice: Callable[[str], None]) -> Callable[[str], None]:
    """``notice``, which ends nothing where nobody hears it: stderr is closed, or its reader has gone."""

    def said(sentence: str) -> None:
        with suppress(OSError, ValueError):
            notice(sentence)

    return said


def _loaded(workspace: Workspace, notice: Callable[[str], None]) -> Watch:
    watch = Watch(workspace, notice)
    watch.load()
    return watch


def _serve(
    service: Service, settings: ServerSettings, listening: socket.socket, notice: Callable[[str], None], until_end_of: int | None
) -> None:
    from predict_age.serving.uvicorn_server import REFUSED_CONNECTIONS, quiet_server, run_until_stopped

    application = AsgiApplication(service, settings.limits, most_connections(MAX_CONNECTIONS, REFUSED_CONNECTIONS + OTHER_FILES))
    gc.collect()
    gc.freeze()  # a full collection would visit all modules and models again and again, for a tenth of a second
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        run_until_stopped(quiet_server(application), listening, _main_of(service, notice, until_end_of))
    finally:
        gc.unfreeze()  # at its end Python collects modules; DuckDB's reports on stderr those that stay


def most_connections(wanted: int, others: int) -> int:
    """Connections that the limit of open files, raised where it may be, has room for beside ``others``; at most ``wanted``.

    The usual soft limit of 1,024 files is less: without room, no list of hidden people could be read.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + others
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - others))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listening(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ResourceError(f"port {settings.port} of {settings.host} cannot be used", found=error.strerror or str(error)) from None


def _main_of(
    service: Service, notice: Callable[[str], None], until_end_of: int | None
) -> Callable[[QuietServer, socket.socket], object]:
    """The coroutine function that serves until a signal comes."""

    async def main(server: QuietServer, listening: socket.socket) -> None:
        def stop() -> None:
            service.draining = server.should_exit = True

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        if until_end_of is not None:
            asyncio.get_running_loop().add_reader(until_end_of, stop)
        follower = asyncio.create_task(_follow(service))
        assert service.watch.served is not None
        notice(f"serving run {service.watch.served.run_id} on http://{_shown(listening)} (API: /)")
        await server.serve(sockets=[listening])
        follower.cancel()
        notice("stopped")

    return main


def _shown(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if listening.family == socket.AF_INET6 else f"{host}:{port}"


async def _follow(service: Service) -> None:
    """Look at the workspace every second, beside the requests. A list of hidden people does not wait until a model is loaded."""
    loading: asyncio.Task[None] | None = None
    watch = service.watch
    while True:
        await asyncio.sleep(POLL_SECONDS)
        if service.others is not None:
            with suppress(OSError):  # where the disk is full, the others read older counters; what is watched matters more
                service.others.write(service.metrics.state())
        if watch.list_changed():
            await asyncio.to_thread(watch.read_list)
        if loading is None or loading.done():
            if watch.pointer_changed():
                loading = asyncio.create_task(asyncio.to_thread(watch.follow_pointer))
            elif watch.damage.due():
                loading = asyncio.create_task(asyncio.to_thread(watch.recheck_damage))
