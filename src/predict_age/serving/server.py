"""The server's process: listens, follows the workspace once a second, and ends when it is asked to, after the requests in hand."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from predict_age.errors import ConfigError, ResourceError
from predict_age.serving.application import Service
from predict_age.serving.connection import Connections, Limits
from predict_age.serving.keys import Keys, read_keys
from predict_age.serving.served_model import Watch
from predict_age.storage.workspace import Workspace

POLL_SECONDS = 1.0
DRAIN_SECONDS = 9.0
BACKLOG = 1024


@dataclass(frozen=True)
class ServerSettings:
    """Address, port (0: any free one), file of keys, and limits of time."""

    host: str = "127.0.0.1"
    port: int = 8080
    keys: Path | None = None
    limits: Limits = field(default_factory=Limits)


def serve(workspace: Workspace, settings: ServerSettings, notice: Callable[[str], None]) -> None:
    """Serve ``workspace`` until SIGTERM or SIGINT; ``notice`` is called with each sentence for the operator.

    Raises ConfigError where nothing is published, or an address beyond this machine has no keys; ResourceError for a port in use.
    """
    keys = read_keys(settings.keys) if settings.keys else None
    if keys is None and not _is_loopback(settings.host):
        raise ConfigError(
            f"without keys the server listens on this machine alone, not on {settings.host}",
            expected="--host 127.0.0.1, or a file of keys",
            fix="--keys FILE (docs/serving.md)",
        )
    watch = Watch(workspace, notice)
    watch.load()
    asyncio.run(_serve(watch, keys, settings, notice))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _serve(watch: Watch, keys: Keys | None, settings: ServerSettings, notice: Callable[[str], None]) -> None:
    service = Service(watch, keys)
    connections = Connections(service, settings.limits)
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        server = await loop.create_server(connections.protocol, settings.host, settings.port, backlog=BACKLOG)
    except OSError as error:
        raise ResourceError(f"port {settings.port} of {settings.host} cannot be used", found=error.strerror or str(error)) from None
    address = server.sockets[0].getsockname()
    assert watch.served is not None
    notice(f"serving run {watch.served.run_id} on http://{_shown(server.sockets[0], address)} (API: /openapi.json)")
    follower = asyncio.create_task(_follow(watch))
    await stopped.wait()
    service.draining = True
    server.close()
    connections.drain()
    deadline = loop.time() + DRAIN_SECONDS
    while connections.open and loop.time() < deadline:
        await asyncio.sleep(0.02)
    follower.cancel()
    notice("stopped" if not connections.open else f"stopped with {len(connections.open)} connections open")


def _shown(listening: socket.socket, address: tuple[object, ...]) -> str:
    return f"[{address[0]}]:{address[1]}" if listening.family == socket.AF_INET6 else f"{address[0]}:{address[1]}"


async def _follow(watch: Watch) -> None:
    """Look at the workspace every second; loading happens beside the requests."""
    while True:
        await asyncio.sleep(POLL_SECONDS)
        if watch.changed():
            await asyncio.to_thread(watch.look_again)
