"""The loop of a Lambda function in a container: ask for an event, answer it, ask for the next. HTTP, as Lambda documents it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any

from predict_age.aws.http_events import HttpEvent, Reply

VERSION = "/2018-06-01/runtime"
REQUEST_ID = "Lambda-Runtime-Aws-Request-Id"


class RuntimeApi:
    """The address at which Lambda hands out events, ``host:port`` in AWS_LAMBDA_RUNTIME_API."""

    def __init__(self, address: str) -> None:
        self._address = address

    def events(self) -> Iterator[tuple[str, HttpEvent]]:
        """Events with the id of their request, each when it has come."""
        while True:
            found = self._ask("GET", f"{VERSION}/invocation/next", None)
            try:
                event = json.loads(found[1])
            except (ValueError, RecursionError) as error:
                self.failed(error, found[0])
                continue
            yield found[0], event

    def reply(self, request: str, reply: Reply) -> None:
        """Hand over the answer to an event."""
        self._ask(
            "POST", f"{VERSION}/invocation/{request}/response", json.dumps(reply, ensure_ascii=False).encode("utf-8", "replace")
        )

    def failed(self, error: BaseException, request: str = "") -> None:
        """Report that an event could not be answered, or without a request that the function could not begin; the type alone."""
        path = f"{VERSION}/invocation/{request}/error" if request else f"{VERSION}/init/error"
        self._ask("POST", path, json.dumps({"errorType": type(error).__name__, "errorMessage": "", "stackTrace": []}).encode())

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[str, bytes]:
        connection = http.client.HTTPConnection(self._address)  # without a time limit: the next event may be hours away
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
            return answer.getheader(REQUEST_ID, ""), answer.read()
        finally:
            connection.close()


def answer_events(api: RuntimeApi, handle: Callable[[HttpEvent], Reply]) -> None:
    """Answer events until the process is ended."""
    for request, event in api.events():
        try:
            reply: Any = handle(event)
        except Exception as error:
            api.failed(error, request)
            continue
        api.reply(request, reply)
