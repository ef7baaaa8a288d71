"""Events of an API Gateway HTTP API (payload format 2.0) as ASGI requests, and ASGI answers as what the gateway expects."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from predict_age.serving.asgi import AsgiApplication, Message
from predict_age.serving.messages import PROBLEM, ProblemError

HttpEvent = Mapping[str, Any]
Reply = dict[str, object]
MAX_PAYLOAD_BYTES = 10_000_000  # of a request, by the quotas of HTTP APIs
MAX_REPLY_BYTES = 6 * 1024 * 1024  # of what a function returns, as JSON; Lambda's own words would be an error 500
ONE_LINE = "$default"  # name of the stage that adds nothing to the path
_AS_SENT = "/%:@!$&'()*+,;=~-._"  # may stand in a path; "%" where two hexadecimal digits follow
_TEXT = ("application/json", PROBLEM, "application/x-ndjson", "text/plain")


@dataclass
class CollectedAnswer:
    """The answer that an ASGI application sends, put together."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    async def send(self, message: Message) -> None:
        """Take one message of the application."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        else:
            self.body += message.get("body", b"")


async def answer_event(application: AsgiApplication, event: HttpEvent) -> Reply:
    """The reply of ``application`` to one event, whatever it is. An event that is too large or no request gets a problem."""
    try:
        scope, body = scope_of(event), body_of(event)
        if len(body) > MAX_PAYLOAD_BYTES:
            raise ProblemError(413, f"the body is larger than {MAX_PAYLOAD_BYTES:,} bytes: send several requests")
        if body:
            scope["headers"].append((b"content-length", b"%d" % len(body)))
        answer = await _asked(application, scope, body)
        reply = reply_of(answer)
        if len(answer.body) > MAX_REPLY_BYTES // 3 and len(json.dumps(reply, ensure_ascii=False).encode()) > MAX_REPLY_BYTES:
            raise ProblemError(
                413, f"the answer is larger than the {MAX_REPLY_BYTES:,} bytes that a function may return: ask for less"
            )
    except ProblemError as problem:
        response = problem.response("refused")
        application.service.refused(response)
    except Exception as error:  # the last line of defence, as in the application: the client gets a problem
        response = application.service.failed(error)
    else:
        return reply
    headers = [(b"content-type", response.content_type.encode()), (b"cache-control", b"no-store")]
    return reply_of(CollectedAnswer(response.status, headers, response.body))


async def _asked(application: AsgiApplication, scope: Message, body: bytes) -> CollectedAnswer:
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    answer = CollectedAnswer()

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    await application(scope, receive, answer.send)
    return answer


def scope_of(event: HttpEvent) -> Message:
    """The ASGI scope of an event, without the length of a body. Raises ProblemError 400 for what is no event of an HTTP API."""
    try:
        context = event["requestContext"]
        http, stage = context["http"], _text(context.get("stage", ONE_LINE))
        if event["version"] != "2.0":
            raise ProblemError(400, "the event has another payload format than 2.0")
        path = _path(_text(event["rawPath"]), stage, _texts(event.get("pathParameters")))
        headers = {name.lower(): value for name, value in _texts(event.get("headers")).items()}
        host = _text(context.get("domainName") or "localhost")
        query, method = quote(_text(event.get("rawQueryString") or ""), safe="%?" + _AS_SENT), _text(http["method"])
        cookies = [_text(cookie) for cookie in event.get("cookies") or []]
    except (KeyError, TypeError, AttributeError, UnicodeEncodeError):  # halves of a UTF-16 pair stand for no bytes
        raise ProblemError(400, "the event is none of an HTTP API") from None
    if cookies:
        headers["cookie"] = "; ".join(cookies)
    for name in ("content-length", "transfer-encoding", "expect", "connection"):  # of the connection that ends at the gateway
        headers.pop(name, None)
    headers.setdefault("host", host)
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": unquote(path),
        "raw_path": path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "root_path": "",
        "headers": [(name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in headers.items()],
    }


def _text(value: object) -> str:
    """``value``, which is a text. Raises TypeError, or UnicodeEncodeError where no bytes are such a text."""
    if not isinstance(value, str):
        raise TypeError
    value.encode()
    return value


def _texts(value: Mapping[object, object] | None) -> dict[str, str]:
    """Texts by name, none for None."""
    return {_text(name): _text(text) for name, text in (value or {}).items()}


def _path(raw: str, stage: str, parameters: Mapping[str, str]) -> str:
    """The percent-encoded path without the name of the stage.

    HTTP APIs decode ``rawPath``, other sources of such events do not. Where the path could be either, the path's parameters tell,
    which are always decoded: without that, an id with a percent sign would be read as somebody else's.
    """
    if stage != ONE_LINE and (raw + "/").startswith(f"/{stage}/"):
        raw = raw[len(stage) + 1 :] or "/"
    decoded = any(raw.endswith(f"/{value}") for value in parameters.values())
    if decoded or unquote(raw) == raw:
        return quote(raw, safe=_AS_SENT.replace("%", ""))
    return quote(raw, safe=_AS_SENT)


def body_of(event: HttpEvent) -> bytes:
    """The body of an event. Raises ProblemError 400 where it is not what the event says that it is."""
    body = event.get("body") or ""
    if not isinstance(body, str):
        raise ProblemError(400, "the body of the event is no text")
    if not event.get("isBase64Encoded"):
        return body.encode("utf-8", "surrogatepass")  # which is no UTF-8: the reader of the body says so
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:  # also where a character is beyond ASCII
        raise ProblemError(400, "the body of the event is no base64") from None


def reply_of(answer: CollectedAnswer) -> Reply:
    """Reply from which the gateway makes the response: text as it is, everything else in base64."""
    headers, cookies = dict[str, str](), list[str]()
    for name, value in answer.headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if key == "set-cookie":
            cookies.append(text)
        elif key not in ("connection", "content-length"):  # the gateway's own
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
    reply: Reply = {"statusCode": answer.status, "headers": headers, "isBase64Encoded": False, "body": ""}
    if cookies:
        reply["cookies"] = cookies
    if headers.get("content-type", "").partition(";")[0] in _TEXT:
        try:
            return {**reply, "body": answer.body.decode("utf-8")}
        except UnicodeDecodeError:
            pass
    return {**reply, "isBase64Encoded": True, "body": base64.b64encode(answer.body).decode()} if answer.body else reply
