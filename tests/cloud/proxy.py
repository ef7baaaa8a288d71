"""A proxy in front of the small S3 that does to calls what networks do: 503, no reply, half a reply, a reply that is lost."""

from __future__ import annotations

import http.client
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
EXPIRED = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class Faults:
    """Faults of the next calls: their names, used up one by one, for calls that ``concerns`` says yes to."""

    def __init__(self) -> None:
        self.next: list[str] = []
        self.for_ever = ""
        self.concerns: Callable[[str, str], bool] = lambda method, path: True
        self.seen: list[tuple[str, str, str]] = []

    def take(self, method: str, path: str) -> str:
        fault = self.for_ever or (self.next.pop(0) if self.next and self.concerns(method, path) else "")
        self.seen.append((method, path, fault))
        return fault


@contextmanager
def between(upstream: str) -> Iterator[tuple[str, Faults]]:
    """Yields the proxy's address and its faults."""
    faults = Faults()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            """Quiet."""

        def _cut(self) -> None:
            self.close_connection = True
            self.connection.close()

        def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, half: bool = False) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            length = next((v for n, v in headers if n.lower() == "content-length"), str(len(body)))
            self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[: len(body) // 2] if half else body)
            if half:
                self._cut()

        def handle_any(self) -> None:
            if self.headers.get("Expect", "").lower() == "100-continue":
                pass  # http.server has sent the 100 itself
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = faults.take(self.command, self.path)
            if fault == "busy":
                self._answer(503, [], BUSY)
            elif fault == "expired":
                self._answer(400, [], EXPIRED)
            elif fault == "denied":
                self._answer(403, [], DENIED)
            elif fault == "reset":
                self._cut()
            elif fault == "stall":
                time.sleep(3)
                self._cut()
            else:
                connection = http.client.HTTPConnection(upstream.removeprefix("http://"))
                connection.request(self.command, self.path, body, dict(self.headers))
                reply = connection.getresponse()
                data = reply.read()
                if fault == "lost":
                    self._cut()
                else:
                    self._answer(reply.status, reply.getheaders(), data, half=fault == "half")

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", faults
    finally:
        server.shutdown()
        server.server_close()
