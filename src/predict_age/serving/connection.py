"""One connection of the server: reads requests within limits of time and memory, hands them on, writes the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Protocol, cast

from predict_age.serving.http_parser import MAX_HEAD_BYTES, ChunkedBody, Head, parse_head, too_large
from predict_age.serving.messages import TITLES, Answered, ProblemError, Request, Response

MAX_BODY_BYTES = 16_000_000
MAX_BUFFERED_BYTES = 200_000_000  # of the bodies of all connections together
MAX_CONNECTIONS = 4000
LINGER_SECONDS = 1.0


@dataclass
class Limits:
    """Limits of time, seconds: for a head, for a body, for a reader of answers, and between two requests."""

    head: float = 10.0
    body: float = 10.0
    write: float = 30.0
    idle: float = 75.0


class Application(Protocol):
    """The part of the server that knows what requests mean."""

    def before_body(self, request: Request) -> Response | None:
        """A refusal that needs no body, or None."""

    def answer(self, request: Request) -> Answered:
        """The answer to a request with its body."""

    def failed(self, error: BaseException) -> Response:
        """The answer where :meth:`answer` raised ``error``."""

    def refused(self, response: Response) -> None:
        """Count a request that was refused before it was understood."""


@dataclass
class Connections:
    """All open connections, the bytes of bodies that they hold, and whether the server drains."""

    application: Application
    limits: Limits = field(default_factory=Limits)
    open: set[Connection] = field(default_factory=set)
    buffered: int = 0
    draining: bool = False

    def protocol(self) -> Connection:
        return Connection(self)

    def drain(self) -> None:
        """Close idle connections now and the others after the request that they are at."""
        self.draining = True
        for connection in list(self.open):
            connection.close_if_idle()


class Connection(asyncio.Protocol):
    """A connection: head, body, answer, and again."""

    def __init__(self, all_of: Connections) -> None:
        self._all, self._buffer = all_of, bytearray()
        self._head: Head | None = None
        self._chunked: ChunkedBody | None = None
        self._task: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._held, self._lingers, self._paused, self._begun = 0, False, False, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()
        crowded = len(self._all.open) >= MAX_CONNECTIONS
        self._all.open.add(self)
        if crowded or self._all.draining:
            self._refuse(ProblemError(503, "too many connections", headers={"Retry-After": "1"}))
        else:
            self._wait(self._all.limits.head)

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.open.discard(self)
        self._hold(0)
        for timer in (self._timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._lingers:
            return
        if not self._begun:
            self._begun = True
            self._wait(self._all.limits.head)
        self._buffer += data
        if self._task is None:
            self._read()
        elif len(self._buffer) > MAX_HEAD_BYTES:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        return self._task is not None  # an answer that is being made is still written

    def pause_writing(self) -> None:
        self._paused = True
        self._write_timer = self._loop.call_later(self._all.limits.write, self._transport.abort)

    def resume_writing(self) -> None:
        self._paused = False
        if self._write_timer is not None:
            self._write_timer.cancel()
        if self._task is None and not self._lingers:
            self._read()

    def close_if_idle(self) -> None:
        """Close the connection unless a request was begun."""
        if self._task is None and not self._begun:
            self._transport.close()

    def _read(self) -> None:
        """Handle the requests that are complete in the buffer."""
        try:
            while self._task is None and not self._lingers and not self._paused and self._next():
                pass
        except ProblemError as problem:
            self._refuse(problem)

    def _next(self) -> bool:
        """Handle one request; False when it is not complete yet."""
        if self._head is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end > MAX_HEAD_BYTES or (end < 0 and len(self._buffer) > MAX_HEAD_BYTES):
                raise ProblemError(431, f"the head is longer than {MAX_HEAD_BYTES:,} bytes")
            if end < 0:
                return False
            content = bytes(self._buffer[:end]).lstrip(b"\r\n")
            del self._buffer[: end + 4]
            self._head = head = parse_head(content)
            if head.length is not None and head.length > MAX_BODY_BYTES:
                raise too_large(MAX_BODY_BYTES)
            refusal = self._all.application.before_body(head.request)
            if refusal is not None:
                has_body = head.chunked or bool(head.length)
                self._write(refusal, close=has_body or not head.keep_alive)
                return not self._lingers
            if head.chunked:
                self._chunked = ChunkedBody(MAX_BODY_BYTES)
            if head.chunked or head.length:
                self._wait(self._all.limits.body)
                if head.waits:
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self._body(self._head)
        if body is None:
            return False
        self._answer(self._head, body)
        return True

    def _body(self, head: Head) -> bytes | None:
        """The body once it is all there."""
        if self._chunked is not None:
            body = self._chunked.feed(self._buffer)
            self._hold(self._chunked.size)
            return body
        length = head.length or 0
        if len(self._buffer) < length:
            self._hold(len(self._buffer))
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body

    def _hold(self, size: int) -> None:
        """Count ``size`` bytes of this connection's body among those of all."""
        self._all.buffered += size - self._held
        self._held = size
        if self._all.buffered > MAX_BUFFERED_BYTES and size:
            raise ProblemError(503, "too many large bodies at once", headers={"Retry-After": "1"})

    def _answer(self, head: Head, body: bytes) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._chunked = None
        application = self._all.application
        try:
            answered = application.answer(head.request.with_body(body))
        except Exception as error:  # the last line of defence: one request must not end the server
            answered = application.failed(error)
        if isinstance(answered, Response):
            self._write(answered, close=not head.keep_alive)
        else:
            self._task = asyncio.ensure_future(self._later(answered, not head.keep_alive))

    async def _later(self, answered: Awaitable[Response], close: bool) -> None:
        try:
            response = await answered
        except Exception as error:
            response = self._all.application.failed(error)
        self._task = None
        if self._transport.is_closing():
            return
        self._write(response, close)
        self._transport.resume_reading()
        if not self._lingers:
            self._read()

    def _write(self, response: Response, close: bool) -> None:
        """Write ``response``, and wait for the next request or close."""
        without_body = self._head is not None and self._head.request.method == "HEAD"
        self._head, self._begun = None, bool(self._buffer)
        self._hold(0)
        close = close or response.close or self._all.draining
        lines = [f"HTTP/1.1 {response.status} {TITLES[response.status]}"]
        if response.status != 304:
            lines += [f"Content-Type: {response.content_type}", f"Content-Length: {len(response.body)}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        lines += ["Cache-Control: no-store", "X-Content-Type-Options: nosniff", f"Connection: {'close' if close else 'keep-alive'}"]
        self._transport.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (b"" if without_body else response.body))
        if close:
            self._linger()
        else:
            self._wait(self._all.limits.head if self._begun else self._all.limits.idle)

    def _refuse(self, problem: ProblemError) -> None:
        """Answer a request that is not read to its end, and close."""
        response = problem.response("refused", close=True)
        self._all.application.refused(response)
        self._write(response, close=True)

    def _linger(self) -> None:
        """Stop sending, and read on for a moment: closing with bytes unread could take the answer away from the client."""
        self._lingers = True
        self._buffer.clear()
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
        self._wait(LINGER_SECONDS)

    def _wait(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._late)

    def _late(self) -> None:
        """The time for a head, a body or the next request is over."""
        if self._lingers and self._transport.get_write_buffer_size():
            self._wait(LINGER_SECONDS)  # a slow reader has a limit of its own
        elif self._lingers:
            self._transport.abort()
        elif not self._begun:
            self._transport.close()
        if self._lingers or not self._begun:
            return
        self._refuse(ProblemError(408, "the request took too long to arrive"))
