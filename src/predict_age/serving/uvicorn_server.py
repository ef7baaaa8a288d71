"""uvicorn with limits for heads: those that arrive too slowly or are too long are refused."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from predict_age.serving.asgi import AsgiApplication

MAX_HEAD_BYTES = 16_384
REFUSED_CONNECTIONS = 100  # beyond the most, which get an answer that says so
DRAIN_SECONDS = 9
_FRAMING = (b"content-length", b"transfer-encoding")
_REFUSED = b"HTTP/1.1 %d %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class LimitedProtocol(HttpToolsProtocol):
    """A connection whose heads have limits of time and size."""

    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = _trailer_bytes = 0
    _in_head = True
    _repeating = False  # a head to a new parser, which then reads the body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        application: AsgiApplication = self.config.app  # type: ignore[assignment]
        application.connections += 1
        if application.connections > application.most_connections + REFUSED_CONNECTIONS:
            self.transport.close()  # there is no file left to read its head
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_read()
        application: AsgiApplication = self.config.app  # type: ignore[assignment]
        application.connections -= 1
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
        self._received = data
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, b"Request Header Fields Too Large")

    def _unsupported_upgrade_warning(self) -> None:
        """Read on after a head that offers another protocol, such as h2c: its parser leaves the rest to that protocol.

        uvicorn calls this while it handles the parser's exception, which says where the rest begins.
        """
        upgrade = sys.exception()
        rest = self._received[upgrade.args[0] :] if isinstance(upgrade, httptools.HttpParserUpgrade) else b""
        self.parser = httptools.HttpRequestParser(self)
        if self._body_follows():
            framing = b"".join(b"%b: %b\r\n" % pair for pair in self.headers if pair[0] in _FRAMING)
            self._repeating = True
            self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % framing)
            self._repeating = False
        if rest:
            self._received = rest
            super().data_received(rest)

    def _body_follows(self) -> bool:
        """Whether the head that was read says that a body comes."""
        return any(name in _FRAMING and value.strip(b" 0") for name, value in self.headers)

    def on_message_begin(self) -> None:
        if not self._repeating:
            super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._repeating:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._repeating:
            return
        if not self._in_head:  # a trailer: uvicorn keeps them without a limit
            self._trailer_bytes += len(name) + len(value)
            if self._trailer_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self._refuse(431, b"Request Header Fields Too Large")
            return
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if not self._repeating:
            self._head_read()
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade() and self._body_follows():
            return  # it comes to another parser
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
        "timeout_keep_alive": int(application.limits.idle),
        "timeout_graceful_shutdown": DRAIN_SECONDS,
    }
    return QuietServer(uvicorn.Config(application, **settings))


def run_until_stopped(server: QuietServer, listening: socket.socket, main: Any) -> None:
    """Run ``main(server, listening)``, a coroutine function, in uvicorn's event loop."""
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(main(server, listening))
