"""Requests, responses, and problems as RFC 9457 has them: what was expected and where, never a value of the request."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace

JSON, NDJSON, ARROW, PROBLEM, HTML = (
    "application/json",
    "application/x-ndjson",
    "application/vnd.apache.arrow.stream",
    "application/problem+json",
    "text/html",
)
MOST_PROBLEMS = 20
TITLES = {
    200: "OK",
    304: "Not Modified",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    411: "Length Required",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    417: "Expectation Failed",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}


@dataclass(frozen=True)
class Request:
    """A request. Names of ``headers`` are in lower case; ``body`` is empty until it was read."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = b""

    def with_body(self, body: bytes) -> Request:
        return replace(self, body=body)

    @property
    def content_type(self) -> str:
        """Media type of the body, in lower case and without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def entity_tags(self) -> set[str]:
        """Entity tags of If-None-Match."""
        return {tag.strip().removeprefix("W/") for tag in self.headers.get("if-none-match", "").split(",")}


@dataclass(frozen=True)
class Response:
    """A response. ``close`` ends the connection after it; ``route`` is what metrics call the request."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    close: bool = False
    route: str = ""


Answered = Response | Awaitable[Response]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a request: ``pointer`` (RFC 6901) to the place, ``expected`` there. It holds no value."""

    expected: str
    pointer: str = ""

    def as_json(self) -> dict[str, str]:
        return {"pointer": self.pointer, "expected": self.expected}


class ProblemError(Exception):
    """A request that is answered with a problem: ``status``, a sentence, and what was found at which places."""

    def __init__(self, status: int, detail: str, *findings: Finding, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.findings, self.headers = status, detail, findings, headers or {}

    def as_json(self) -> dict[str, object]:
        """The problem document; at most MOST_PROBLEMS findings."""
        document: dict[str, object] = {
            "type": "about:blank",
            "title": TITLES[self.status],
            "status": self.status,
            "detail": self.detail,
        }
        if self.findings:
            document["errors"] = [finding.as_json() for finding in self.findings[:MOST_PROBLEMS]]
        return document

    def response(self, route: str = "", close: bool = False) -> Response:
        return Response(self.status, json.dumps(self.as_json()).encode(), PROBLEM, self.headers, close, route)
