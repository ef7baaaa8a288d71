"""The OpenAPI 3.1 document of the server."""

from __future__ import annotations

from predict_age.serving.messages import ARROW, JSON, NDJSON, PROBLEM

Schema = dict[str, object]


def _or_null(kind: str, **more: object) -> Schema:
    return {"type": [kind, "null"], **more}


def _object(properties: dict[str, Schema], required: list[str] | None = None, **more: object) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties) if required is None else required, **more}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_PID: Schema = {"anyOf": [{"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}, {"type": "string"}]}
_ANSWER: dict[str, Schema] = {
    "predicted_age": _or_null("integer"),
    "age_lower": _or_null("integer"),
    "age_upper": _or_null("integer"),
    "confidence_pct": _or_null("number", minimum=0, maximum=100),
    "usable": {"type": "boolean"},
    "prediction_source": _or_null("string"),
}
_FACTS: dict[str, Schema] = {
    "model_version": {"type": "string"},
    "run_id": {"type": "string"},
    "as_of": {"type": "string", "format": "date"},
}
_MODEL: dict[str, Schema] = {**_FACTS, "purpose": {"type": "string"}}
_REASONED: dict[str, Schema] = {**_ANSWER, "reason": _or_null("string")}
_REASON: dict[str, Schema] = {
    "feature": {"type": "string"},
    "meaning": {"type": "string"},
    "years": {"type": "number"},
    "standard_error": {"type": "number", "minimum": 0},
    "width_years": {"type": "number"},
    "sentence": {"type": "string"},
}
SCHEMAS: dict[str, Schema] = {
    "Item": _object(
        {"profile": {"type": ["object", "null"]}, "pid": _PID, "explain": {"type": "boolean"}},
        ["profile"],
        additionalProperties=False,
    ),
    "Explanation": {
        **_object(
            {
                "base_age": {"type": "number"},
                "base_width": {"type": "number"},
                "reasons": {"type": "array", "items": _object(_REASON)},
                "rounding": {"type": "number"},
                "width_rounding": {"type": "number"},
                "sets": {"type": "integer"},
            }
        ),
        "type": ["object", "null"],
    },
    "Answer": _object({"pid": _PID, **_REASONED, "explanation": _ref("Explanation")}, list(_REASONED)),
    "Failed": _object({"problem": _ref("Problem")}),
    "SingleAnswer": _object({**_FACTS, "pid": _PID, **_REASONED, "explanation": _ref("Explanation")}, [*_FACTS, *_REASONED]),
    "Answers": _object({**_FACTS, "answers": {"type": "array", "items": {"anyOf": [_ref("Answer"), _ref("Failed")]}}}),
    "Person": _object({**_MODEL, "pid": _PID, **_ANSWER}),
    "People": _object(
        {**_MODEL, "people": {"type": "array", "items": {"anyOf": [_object({"pid": _PID, **_ANSWER}), {"type": "null"}]}}}
    ),
    "Pids": _object({"pids": {"type": "array", "items": _PID, "maxItems": 10_000}}),
    "Model": _object({**_MODEL, "quarter": {"type": "string"}, "features": {"type": "array", "items": {"type": "string"}}}),
    "Runs": _object({"runs": {"type": "array", "items": {"type": "object"}}, "next": _or_null("string")}),
    "Problem": _object(
        {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": {
                "type": "array",
                "maxItems": 20,
                "items": _object({"pointer": {"type": "string"}, "expected": {"type": "string"}}),
            },
        },
        ["type", "title", "status", "detail"],
    ),
    "Status": {"type": "object"},
}


def _answers(schema: Schema | None, *statuses: int, kind: str = JSON, more: dict[str, Schema] | None = None) -> Schema:
    """Responses of an operation: 200 with ``schema``, and problems with these ``statuses``."""
    content: Schema = {kind: {"schema": schema or {"type": "string"}}, **(more or {})}
    problem = {PROBLEM: {"schema": _ref("Problem")}}
    made: Schema = {"200": {"description": "done", "content": content}}
    return made | {str(status): {"description": "a problem", "content": problem} for status in statuses}


def _operation(name: str, summary: str, responses: Schema, key: bool = True, **more: object) -> Schema:
    return {"operationId": name, "summary": summary, "responses": responses, "security": [{"key": []}, {}] if key else [], **more}


_BODY_PROBLEMS = (400, 401, 403, 408, 411, 413, 415, 422, 429, 503)


def _paths() -> Schema:
    several: Schema = {"type": "array", "items": _ref("Item"), "maxItems": 10_000}
    binary: Schema = {"type": "string", "contentMediaType": ARROW}
    predict = _operation(
        "predict",
        "Predict one profile, or up to 10,000",
        _answers(
            {"anyOf": [_ref("SingleAnswer"), _ref("Answers")]},
            *_BODY_PROBLEMS,
            more={NDJSON: {"schema": {"type": "string"}}, ARROW: {"schema": binary}},
        ),
        requestBody={
            "required": True,
            "content": {
                JSON: {"schema": {"anyOf": [_ref("Item"), several]}},
                NDJSON: {"schema": {"type": "string"}},
                ARROW: {"schema": binary},
            },
        },
    )
    lookup = _operation(
        "lookupPeople",
        "Published rows of up to 10,000 people; null for those without one",
        _answers(_ref("People"), *_BODY_PROBLEMS),
        requestBody={"required": True, "content": {JSON: {"schema": _ref("Pids")}}},
    )
    pid = {"name": "pid", "in": "path", "required": True, "schema": {"type": "string"}}
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    person = _operation("person", "Published row of a person", _answers(_ref("Person"), 401, 403, 404, 422, 503), parameters=[pid])
    status = _answers(_ref("Status"), 401, 403)
    page = [
        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000}},
        {"name": "after", "in": "query", "schema": {"type": "string", "pattern": "^[0-9]{4}q[1-4]$"}},
    ]
    return {
        "/v1/predict": {"post": predict},
        "/v1/people/{pid}": {"get": person},
        "/v1/people:lookup": {"post": lookup},
        "/v1/model": {"get": _operation("model", "The model that is served", _answers(_ref("Model"), 401, 403, 503))},
        "/v1/runs": {
            "get": _operation(
                "runs", "Published runs by quarter, newest first", _answers(_ref("Runs"), 401, 403, 422, 503), parameters=page
            )
        },
        "/health": {"get": _operation("health", "Whether the server answers", _answers(_ref("Status"), 503), key=False)},
        "/v2": {"get": _operation("server", "Name and version (Open Inference Protocol)", status, key=False)},
        "/v2/health/live": {"get": _operation("live", "Whether the process lives", status, key=False)},
        "/v2/health/ready": {"get": _operation("ready", "Whether a model is ready", _answers(_ref("Status"), 503), key=False)},
        "/v2/models/{name}": {
            "get": _operation("oneModel", "Metadata of the model", _answers(_ref("Status"), 401, 403, 404), parameters=[name])
        },
        "/v2/models/{name}/ready": {
            "get": _operation("oneModelReady", "Whether it is ready", _answers(_ref("Status"), 401, 403, 404), parameters=[name])
        },
        "/metrics": {"get": _operation("metrics", "Metrics for Prometheus", _answers(None, 401, 403, kind="text/plain"))},
        "/openapi.json": {"get": _operation("openapi", "This document", status, key=False)},
    }


def openapi_document(version: str) -> dict[str, object]:
    """The document that ``/openapi.json`` answers with."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "predict-age",
            "version": version,
            "description": "Predictions on demand that equal the published table, and published people.",
        },
        "paths": _paths(),
        "components": {"schemas": SCHEMAS, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }
