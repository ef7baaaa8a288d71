"""The server's ASGI application: reads bodies within limits of size and time, hands requests on, and writes the answers."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from predict_age.serving.application import Service
from predict_age.serving.messages import ProblemError, Request, Response

MAX_BODY_BYTES = 16_000_000
MAX_HEADERS = 100
MAX_CONNECTIONS = 4000
MAX_BUFFERED_BYTES = 200_000_000  # of the bodies of all requests together
Message = MutableMapping[str, Any]  # as ASGI has it
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
_ONCE = (b"host", b"content-length", b"content-type", b"content-encoding", b"authorization")


@dataclass
class TimeLimits:
    """Limits of time, seconds: for a head, for a body, for a reader of an answer, and between two requests of a connection.

    ``linger``: how long a refused body is read on, because closing with bytes unread could take the answer away.
    """

    head: float = 10.0
    body: float = 10.0
    write: float = 30.0
    idle: float = 75.0
    linger: float = 1.0


class _DisconnectedError(Exception):
    """The client has gone."""


@dataclass
class AsgiApplication:
    """``service`` as an ASGI application. ``buffered`` are the bytes of bodies that it holds, of ``connections`` at a time."""

    service: Service
    limits: TimeLimits = field(default_factory=TimeLimits)
    most_connections: int = MAX_CONNECTIONS
    connections: int = 0
    buffered: int = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; other kinds of connections are none of the server's."""
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        with suppress(_DisconnectedError, TimeoutError):
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        length, unread = 0, False
        try:
            request = request_of(scope)
            length = int(request.headers.get("content-length", "0"))
            unread = bool(length) or "transfer-encoding" in request.headers
            if self.connections > self.most_connections:
                raise ProblemError(503, "too many connections", headers={"Retry-After": "1"})
            if length > MAX_BODY_BYTES:
                raise too_large()
            response = self.service.before_body(request)
            if response is None:
                body = await self._body(receive) if unread else b""
                unread = False
                response = await self._answered(request.with_body(body))
        except ProblemError as problem:
            response = problem.response("refused", close=True)
            self.service.refused(response)
        await self._write(response, scope["method"] == "HEAD", receive if unread else None, send)

    async def _answered(self, request: Request) -> Response:
        try:
            answered = self.service.answer(request)
            return answered if isinstance(answered, Response) else await answered
        except Exception as error:  # the last line of defence: the client gets a problem, the operator the type of the error
            return self.service.failed(error)

    async def _body(self, receive: Receive) -> bytes:
        """The whole body. Raises ProblemError when it is too large, too slow, or too much with the others."""
        content, size = BytesIO(), 0  # it grows as parts arrive: joining them would be one long piece of work
        try:
            async with asyncio.timeout(self.limits.body):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _DisconnectedError
                    part = message.get("body", b"")
                    size += len(part)
                    self.buffered += len(part)
                    content.write(part)
                    if size > MAX_BODY_BYTES:
                        raise too_large()
                    if self.buffered > MAX_BUFFERED_BYTES:
                        raise ProblemError(503, "too many large bodies at once", headers={"Retry-After": "1"})
                    if not message.get("more_body", False):
                        return content.getvalue()
        except TimeoutError:
            raise ProblemError(408, "the request took too long to arrive") from None
        finally:
            self.buffered -= size

    async def _write(self, response: Response, without_body: bool, unread: Receive | None, send: Send) -> None:
        """Write ``response``. Where the body of the request is ``unread``, read on for a moment, and close."""
        headers = {
            **(
                {} if response.status == 304 else {"content-type": response.content_type, "content-length": str(len(response.body))}
            ),
            **response.headers,
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
            **({"connection": "close"} if response.close or unread is not None else {}),
        }
        encoded = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
        body = b"" if without_body else response.body
        async with asyncio.timeout(self.limits.write):
            await send({"type": "http.response.start", "status": response.status, "headers": encoded})
            await send({"type": "http.response.body", "body": body, "more_body": unread is not None})
        if unread is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.limits.linger):
                    while (await unread()).get("more_body", False):
                        pass
            await send({"type": "http.response.body", "body": b""})


def request_of(scope: Message) -> Request:
    """The request of an ASGI ``scope``. Raises ProblemError for a head that can be read in two ways."""
    pairs = scope["headers"]
    counts = Counter(name for name, _ in pairs)
    if scope["http_version"] not in ("1.0", "1.1"):
        raise ProblemError(505, "the version of HTTP is not 1.1 or 1.0")
    if len(pairs) > MAX_HEADERS:
        raise ProblemError(431, f"more than {MAX_HEADERS} headers")
    if any(counts[name] > 1 for name in _ONCE):
        raise ProblemError(400, "a header that may occur once occurs twice")
    if scope["http_version"] == "1.1" and not counts[b"host"]:
        raise ProblemError(400, "the header Host is missing")
    headers: dict[str, str] = {}
    for name, value in pairs:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    if not re.fullmatch("[0-9]{1,18}", headers.get("content-length", "0")):
        raise ProblemError(400, "Content-Length is no number")
    if headers.get("transfer-encoding", "chunked").strip().lower() != "chunked":
        raise ProblemError(501, "the transfer coding is not chunked")
    if headers.get("expect", "100-continue").lower() != "100-continue":
        raise ProblemError(417, "the header Expect asks for something unknown")
    path = scope.get("raw_path") or b""
    return Request(scope["method"], path.decode("ascii"), scope["query_string"].decode("latin-1"), headers)


def too_large() -> ProblemError:
    """The problem of a body that is too large."""
    return ProblemError(413, f"the body is larger than {MAX_BODY_BYTES:,} bytes: send several requests")
