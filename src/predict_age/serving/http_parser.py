"""Heads of HTTP/1.1 requests and chunked bodies, strictly: what two programs could read differently is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass

from predict_age.serving.messages import ProblemError, Request

MAX_HEAD_BYTES = 16_384
MAX_HEADERS = 100
MAX_CHUNK_LINE = 256
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([!-~]{1,8000}) HTTP/([0-9])\.([0-9])")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_SINGLE = {"host", "content-length", "transfer-encoding", "content-type", "content-encoding", "authorization", "expect"}


@dataclass(frozen=True)
class Head:
    """Head of a request: the request without its body, whether the connection stays, and how the body is sent.

    ``length`` of the body in bytes, None where it is ``chunked``; ``waits`` for 100 Continue before it sends the body.
    """

    request: Request
    keep_alive: bool
    length: int | None
    chunked: bool
    waits: bool


def parse_head(content: bytes) -> Head:
    """Parse a head without the empty line at its end. Raises ProblemError."""
    lines = content.split(b"\r\n")
    found = _REQUEST_LINE.fullmatch(lines[0])
    if not found:
        raise ProblemError(414 if len(lines[0]) > MAX_HEAD_BYTES // 2 else 400, "the first line is no request of HTTP/1.1")
    method, target, major, minor = found.groups()
    if (major, minor) not in ((b"1", b"1"), (b"1", b"0")):
        raise ProblemError(505, "the version of HTTP is not 1.1 or 1.0")
    headers = _headers(lines[1:])
    old = minor == b"0"
    if not old and "host" not in headers:
        raise ProblemError(400, "the header Host is missing")
    path, _, query = target.decode("ascii").partition("?")
    if not path.startswith("/") and path != "*":
        raise ProblemError(400, "the target is no path")
    length, chunked = _framing(headers, old)
    connection = headers.get("connection", "").lower()
    keep_alive = ("keep-alive" in connection) if old else ("close" not in connection)
    expect = headers.get("expect", "").lower()
    if expect not in ("", "100-continue"):
        raise ProblemError(417, "the header Expect asks for something unknown")
    return Head(Request(method.decode("ascii"), path, query, headers), keep_alive, length, chunked, bool(expect) and not old)


def _headers(lines: list[bytes]) -> dict[str, str]:
    if len(lines) > MAX_HEADERS:
        raise ProblemError(431, f"more than {MAX_HEADERS} headers")
    headers: dict[str, str] = {}
    for line in lines:
        found = _HEADER.fullmatch(line)
        if not found:
            raise ProblemError(400, "a line of the head is no header")
        name, value = found.group(1).decode("ascii").lower(), found.group(2).decode("latin-1").strip(" \t")
        if name in headers and name in _SINGLE:
            raise ProblemError(400, "a header that may occur once occurs twice")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _framing(headers: dict[str, str], old: bool) -> tuple[int | None, bool]:
    """Length of the body, and whether it is chunked. Raises ProblemError where that is not certain."""
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is not None:
        if length is not None or old:
            raise ProblemError(400, "both Content-Length and Transfer-Encoding tell the length of the body")
        if coding.strip().lower() != "chunked":
            raise ProblemError(501, "the transfer coding is not chunked")
        return None, True
    if length is None:
        return 0, False
    if not re.fullmatch("[0-9]{1,15}", length):
        raise ProblemError(400, "Content-Length is no number")
    return int(length), False


class ChunkedBody:
    """Reader of a chunked body of at most ``most`` bytes."""

    def __init__(self, most: int) -> None:
        self._most, self._parts, self._size, self._left, self._trailer = most, list[bytes](), 0, 0, 0
        self._state = "size"

    @property
    def size(self) -> int:
        """Bytes that were read."""
        return self._size

    def feed(self, buffer: bytearray) -> bytes | None:
        """Take what is complete from ``buffer``; the body once it is all there. Raises ProblemError 400 or 413."""
        while True:
            if self._state == "data":
                part = bytes(buffer[: self._left])
                del buffer[: len(part)]
                self._parts.append(part)
                self._left -= len(part)
                if self._left:
                    return None
                self._state = "end of data"
            line = self._line(buffer)
            if line is None:
                return None
            if self._state == "end of data":
                if line:
                    raise ProblemError(400, "a chunk is longer than its size says")
                self._state = "size"
            elif self._state == "size":
                found = _CHUNK.fullmatch(line)
                if not found:
                    raise ProblemError(400, "a chunk has no size")
                self._left = int(found.group(1), 16)
                self._size += self._left
                if self._size > self._most:
                    raise too_large(self._most)
                self._state = "data" if self._left else "trailer"
            else:
                if not line:
                    return b"".join(self._parts)
                self._trailer += len(line)
                if self._trailer > MAX_HEAD_BYTES:
                    raise ProblemError(431, "the trailer of the body is too long")

    def _line(self, buffer: bytearray) -> bytes | None:
        end = buffer.find(b"\r\n", 0, MAX_CHUNK_LINE)
        if end < 0:
            if len(buffer) >= MAX_CHUNK_LINE:
                raise ProblemError(400, "a line of the chunked body is too long")
            return None
        line = bytes(buffer[:end])
        del buffer[: end + 2]
        return line


def too_large(most: int) -> ProblemError:
    """The problem of a body beyond ``most`` bytes."""
    return ProblemError(413, f"the body is larger than {most:,} bytes: send several requests")
