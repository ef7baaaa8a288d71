"""The API's documentation as one HTML page without scripts, made from the OpenAPI document."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from markupsafe import Markup, escape

from predict_age.html import page
from predict_age.serving.messages import HTML, JSON, Response

_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]+)?|\[[0-9a-f:]+\](:[0-9]+)?")
_LOCAL = "localhost:8080"
Node = Mapping[str, Any]


@dataclass(frozen=True)
class _Call:
    """An operation as the page shows it: ``parameters`` with their place and type, content types ``sent`` and ``answered``."""

    id: str
    method: str
    path: str
    summary: str
    key: bool
    parameters: list[tuple[str, str, Markup]]
    sent: list[tuple[str, Markup]]
    answered: list[tuple[str, Markup]]
    problems: str
    command: str


def _type(schema: Node) -> Markup:
    """A schema in words, as HTML; named schemas are links to their tables."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#{0}">{0}</a>').format(name)
    if "anyOf" in schema:
        return Markup(" or ").join(_type(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        most = f"up to {schema['maxItems']:,} of " if "maxItems" in schema else ""
        return Markup("array of {}{}").format(most, _type(schema.get("items", {})))
    if schema.get("type") == "object" and "properties" in schema:
        members = [Markup("{} {}").format(name, _type(one)) for name, one in schema["properties"].items()]
        return Markup("object ({})").format(Markup(", ").join(members))
    kinds = schema.get("type", "any")
    return escape(" or ".join(kinds) if isinstance(kinds, list) else kinds)


def _described(content: Node) -> list[tuple[str, Markup]]:
    """Each content type with its schema in words, or the schema's own description."""
    return [(kind, escape(one["schema"].get("description") or _type(one["schema"]))) for kind, one in content.items()]


def _command(path: str, operation: Node, host: str, keys: bool) -> str:
    """A call of the operation with curl."""
    for one in operation.get("parameters", []):
        path = path.replace(f"{{{one['name']}}}", one.get("example", ""))
    parts = [f"curl -s {host}{path}"]
    if keys and operation["security"]:
        parts.append('-H "Authorization: Bearer $KEY"')
    sent = operation.get("requestBody", {}).get("content", {}).get(JSON)
    if sent:
        parts += [f"-H 'Content-Type: {JSON}'", f"-d {shlex.quote(json.dumps(sent['example'], ensure_ascii=False))}"]
    return " ".join(parts)


def _call(method: str, path: str, operation: Node, host: str, keys: bool) -> _Call:
    """An operation as the page shows it."""
    return _Call(
        operation["operationId"],
        method.upper(),
        path,
        operation["summary"],
        keys and bool(operation["security"]),
        [(one["name"], one["in"], _type(one["schema"])) for one in operation.get("parameters", [])],
        _described(operation.get("requestBody", {}).get("content", {})),
        _described(operation["responses"]["200"]["content"]),
        ", ".join(status for status in operation["responses"] if status != "200"),
        _command(path, operation, host, keys),
    )


def api_page(document: dict[str, object], host: str, keys: bool) -> Response:
    """The page of an OpenAPI ``document``; ``host``, which the request names, stands in the examples. ``keys``: they are wanted."""
    paths, components = cast("Node", document["paths"]), cast("Node", document["components"])
    operations = [
        _call(method, path, operation, host if _HOST.fullmatch(host) else _LOCAL, keys)
        for path, methods in paths.items()
        for method, operation in methods.items()
    ]
    schemas = {
        name: [
            (field, _type(one), field in schema.get("required", []), one.get("description", ""))
            for field, one in schema["properties"].items()
        ]
        for name, schema in components["schemas"].items()
        if "properties" in schema
    }
    others = {name for name, schema in components["schemas"].items() if "properties" not in schema}
    body = page("api.html", info=document["info"], operations=operations, schemas=schemas, others=sorted(others))
    safe = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "X-Content-Type-Options": "nosniff"}
    return Response(200, body, f"{HTML}; charset=utf-8", safe)
