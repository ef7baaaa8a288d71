"""uvicorn with limits for heads: those that arrive too slowly or are too long are refused."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from predict_age.serving.asgi import AsgiApplication

MAX_HEAD_BYTES = 16_384
MAX_CONNECTIONS = 4000
DRAIN_SECONDS = 9
_REFUSED = b"HTTP/1.1 %d %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class LimitedProtocol(HttpToolsProtocol):
    """A connection whose heads have limits of time and size."""

    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = _trailer_bytes = 0
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_read()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_timer is None:
                self._await_head()
        application: AsgiApplication = self.config.app  # type: ignore[assignment]
        application.service.large.heard = True
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, b"Request Header Fields Too Large")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:  # a trailer: uvicorn keeps them without a limit
            self._trailer_bytes += len(name) + len(value)
            if self._trailer_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self._refuse(431, b"Request Header Fields Too Large")
            return
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_read()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head, self._head_bytes, self._trailer_bytes = True, 0, 0

    def _await_head(self) -> None:
        application: AsgiApplication = self.config.app  # type: ignore[assignment]
        self._head_timer = self.loop.call_later(application.limits.head, self._late)

    def _head_read(self) -> None:
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _late(self) -> None:
        """The time for the head is over; who has sent nothing gets no answer."""
        if self._head_bytes:
            self._refuse(408, b"Request Timeout")
        else:
            self.transport.close()

    def _refuse(self, status: int, title: bytes) -> None:
        self.transport.write(_REFUSED % (status, title))
        self.transport.close()


class QuietServer(uvicorn.Server):
    """uvicorn's server without handlers of signals: the command has its own, and ends with 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's handlers of signals as they are."""
        yield


def quiet_server(application: AsgiApplication) -> QuietServer:
    """A server for ``application``; it writes no log: an access log has paths, and paths have ids."""
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    settings: dict[str, Any] = {
        "http": LimitedProtocol,
        "ws": "none",
        "loop": "auto",  # uvloop where it is installed
        "lifespan": "off",
        "access_log": False,
        "log_config": None,
        "proxy_headers": False,
        "server_header": False,
        "limit_concurrency": MAX_CONNECTIONS,
        "timeout_keep_alive": int(application.limits.idle),
        "timeout_graceful_shutdown": DRAIN_SECONDS,
    }
    return QuietServer(uvicorn.Config(application, **settings))


def run_until_stopped(server: QuietServer, listening: socket.socket, main: Any) -> None:
    """Run ``main(server, listening)``, a coroutine function, in uvicorn's event loop."""
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(main(server, listening))
