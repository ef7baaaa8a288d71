"""Functions that are an image: the container's command as a process that asks for events as Lambda has them asked for."""

from __future__ import annotations

import http.server
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

SECONDS = 120  # for a first answer, kernels compiled before it


class _Handler(http.server.BaseHTTPRequestHandler):
    """Lambda's side of the loop: an event from a queue, an answer into another."""

    def do_GET(self) -> None:
        waiting = self.server.events.get()  # type: ignore[attr-defined]
        self._send(200, json.dumps(waiting).encode())

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.replies.put((self.path.rpartition("/")[2], said))  # type: ignore[attr-defined]
        self._send(202, b"")

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "request")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Instance:
    """A running function: answers one event after another until it is ended."""

    def __init__(self, command: list[str], env: Mapping[str, str]) -> None:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.events, self._server.replies = queue.Queue(), queue.Queue()  # type: ignore[attr-defined]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{self._server.server_port}"
        program = [sys.executable, "-m", "predict_age", *command]
        self._process = subprocess.Popen(program, env={**env, "AWS_LAMBDA_RUNTIME_API": address}, stdout=subprocess.DEVNULL)

    def invoke(self, event: Any) -> tuple[bool, Any]:
        """Whether the event was answered, and the reply or the error."""
        self._server.events.put(event)  # type: ignore[attr-defined]
        kind, said = self._server.replies.get(timeout=SECONDS)  # type: ignore[attr-defined]
        return kind == "response", said

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._server.shutdown()
        self._server.server_close()
