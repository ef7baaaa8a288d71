"""A server in this process for tests, and a client that sends any bytes."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from predict_age.serving.application import Service
from predict_age.serving.asgi import AsgiApplication, TimeLimits
from predict_age.serving.keys import Keys
from predict_age.serving.served_model import Watch
from predict_age.storage.workspace import Workspace

JSON = "application/json"


@dataclass
class Served:
    """A server that runs in a thread: its port, application, and what it told the operator."""

    port: int
    service: Service
    application: AsgiApplication
    said: list[str] = field(default_factory=list)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case, and body of a well-formed request."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            client.request(method, path, body, headers or {})
            answer = client.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            client.close()

    def post(self, body: object, content_type: str = JSON, path: str = "/v1/predict", **headers: str) -> tuple[int, Any]:
        """Status and parsed JSON of a POST; ``body`` is bytes, or written as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, _, found = self.ask("POST", path, content, {"Content-Type": content_type, **headers})
        return status, json.loads(found) if found else None

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        status, _, found = self.ask("GET", path, None, headers)
        return status, json.loads(found) if found else None

    def raw(self, *parts: bytes, end: bool = False) -> bytes:
        """Everything that comes back when these bytes are sent, until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as client:
            for part in parts:
                client.sendall(part)
            if end:
                client.shutdown(socket.SHUT_WR)
            found = b""
            while part := client.recv(65536):
                found += part
            return found


@contextmanager
def server(workspace: Path, keys: Keys | None = None, limits: TimeLimits | None = None) -> Iterator[Served]:
    """Serve ``workspace`` in a thread of this process; without the loop that follows publications."""
    from predict_age.serving.uvicorn_server import quiet_server

    said: list[str] = []
    watch = Watch(Workspace.existing(workspace), said.append)
    watch.load()
    application = AsgiApplication(Service(watch, keys), limits or TimeLimits())
    listening = socket.create_server(("127.0.0.1", 0), backlog=100)
    running = quiet_server(application)
    running.config.timeout_graceful_shutdown = 1
    worker = threading.Thread(target=lambda: asyncio.run(running.serve(sockets=[listening])), daemon=True)
    worker.start()
    try:
        yield Served(listening.getsockname()[1], application.service, application, said)
    finally:
        running.should_exit = True
        worker.join(10)
        listening.close()
