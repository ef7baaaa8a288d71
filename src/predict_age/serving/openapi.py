"""The OpenAPI 3.1 document of the server."""

from __future__ import annotations

from dataclasses import dataclass, field

from predict_age.serving.messages import ARROW, HTML, JSON, NDJSON, PROBLEM

Schema = dict[str, object]


def _or_null(kind: str, **more: object) -> Schema:
    return {"type": [kind, "null"], **more}


def _object(properties: dict[str, Schema], required: list[str] | None = None, **more: object) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties) if required is None else required, **more}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_PID: Schema = {"anyOf": [{"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}, {"type": "string"}]}
_ANSWER: dict[str, Schema] = {
    "predicted_age": _or_null("integer", description="age in whole years; null for withheld people"),
    "age_lower": _or_null("integer", description="lower end of the interval, included; null for defaults"),
    "age_upper": _or_null("integer", description="upper end of the interval, included"),
    "confidence_pct": _or_null("number", minimum=0, maximum=100, description="100 less 3.33 for each year of the interval"),
    "usable": {"type": "boolean", "description": "whether the confidence reaches the limit that the run was configured with"},
    "prediction_source": _or_null("string", description="ML_PREDICTION, DEFAULT, WITHHELD, or where a known age comes from"),
}
_FACTS: dict[str, Schema] = {
    "model_version": {"type": "string", "description": "fingerprint of the model's files"},
    "run_id": {"type": "string", "description": "the published run that answers"},
    "as_of": {"type": "string", "format": "date", "description": "the date at which ages hold"},
}
_MODEL: dict[str, Schema] = {**_FACTS, "purpose": {"type": "string", "description": "what the run's ages may be used for"}}
_MADE_BY: dict[str, Schema] = {"model_version": _or_null("string", description="the model of the age; null where none made it")}
_ROW: dict[str, Schema] = {"pid": _PID, **_ANSWER, **_MADE_BY}
_REASONED: dict[str, Schema] = {**_ANSWER, "reason": _or_null("string", description="why there is no prediction")}
_REASON: dict[str, Schema] = {
    "feature": {"type": "string"},
    "meaning": {"type": "string", "description": "the feature in words, from the feature file"},
    "years": {"type": "number", "description": "years that the model adds for it"},
    "standard_error": {"type": "number", "minimum": 0, "description": "of years"},
    "width_years": {"type": "number", "description": "years that it adds to the interval's width"},
    "sentence": {"type": "string"},
}
SCHEMAS: dict[str, Schema] = {
    "Item": _object(
        {
            "profile": {"type": ["object", "null"], "description": "the profile as the source has it"},
            "pid": {**_PID, "description": "the person's id, which comes back; withheld people get no number"},
            "explain": {"type": "boolean", "description": "whether the answer says what made it"},
        },
        ["profile"],
        additionalProperties=False,
    ),
    "Explanation": {
        **_object(
            {
                "base_age": {"type": "number", "description": "the age of somebody of whom nothing is known"},
                "base_width": {"type": "number", "description": "the width of that person's interval"},
                "reasons": {"type": "array", "items": _ref("Reason"), "description": "the known features, the strongest first"},
                "rounding": {"type": "number", "description": "from the sum to the whole predicted age"},
                "width_rounding": {"type": "number", "description": "from the sum to the published width"},
                "sets": {"type": "integer", "description": "sets of features that were evaluated"},
            }
        ),
        "type": ["object", "null"],
    },
    "Reason": _object(_REASON),
    "Answer": _object({"pid": _PID, **_REASONED, "explanation": _ref("Explanation")}, list(_REASONED)),
    "Failed": _object({"problem": _ref("Problem")}),
    "SingleAnswer": _object({**_FACTS, "pid": _PID, **_REASONED, "explanation": _ref("Explanation")}, [*_FACTS, *_REASONED]),
    "Answers": _object({**_FACTS, "answers": {"type": "array", "items": {"anyOf": [_ref("Answer"), _ref("Failed")]}}}),
    "Person": _object({**_MODEL, **_ROW}),
    "People": _object({**_MODEL, "people": {"type": "array", "items": {"anyOf": [_object(_ROW), {"type": "null"}]}}}),
    "Pids": _object({"pids": {"type": "array", "items": _PID, "maxItems": 10_000}}),
    "Model": _object(
        {
            **_MODEL,
            "quarter": {"type": "string"},
            "features": {"type": "array", "items": {"type": "string"}, "description": "names of the features"},
            "paths": {"type": "object", "description": "where in a profile each feature is read, but for SQL expressions"},
        }
    ),
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


@dataclass(frozen=True)
class Examples:
    """Examples of requests to this server: a ``profile``, and ids as the source has them."""

    profile: dict[str, object] = field(default_factory=dict)
    text_ids: bool = False

    def pid(self, number: int) -> int | str:
        """An id."""
        return str(number) if self.text_ids else number


def _paths(examples: Examples) -> Schema:
    several: Schema = {"type": "array", "items": _ref("Item"), "maxItems": 10_000}
    lines: Schema = {"type": "string", "description": "one item, or answer, a line"}
    binary: Schema = {"type": "string", "contentMediaType": ARROW, "description": "columns profile and pid, or those of an answer"}
    predict = _operation(
        "predict",
        "Predict one profile, or up to 10,000",
        _answers(
            {"anyOf": [_ref("SingleAnswer"), _ref("Answers")]},
            *_BODY_PROBLEMS,
            more={NDJSON: {"schema": lines}, ARROW: {"schema": binary}},
        ),
        requestBody={
            "required": True,
            "content": {
                JSON: {
                    "schema": {"anyOf": [_ref("Item"), several]},
                    "example": {"profile": examples.profile, "pid": examples.pid(5)},
                },
                NDJSON: {"schema": lines},
                ARROW: {"schema": binary},
            },
        },
    )
    lookup = _operation(
        "lookupPeople",
        "Published rows of up to 10,000 people; null for those without one",
        _answers(_ref("People"), *_BODY_PROBLEMS),
        requestBody={
            "required": True,
            "content": {JSON: {"schema": _ref("Pids"), "example": {"pids": [examples.pid(1), examples.pid(2)]}}},
        },
    )
    pid = {"name": "pid", "in": "path", "required": True, "schema": {"type": "string"}, "example": "1"}
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}, "example": "predict-age"}
    person = _operation("person", "Published row of a person", _answers(_ref("Person"), 401, 403, 404, 422, 503), parameters=[pid])
    status = _answers(_ref("Status"), 401, 403)
    page = [
        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000}},
        {"name": "after", "in": "query", "schema": {"type": "string", "pattern": "^([0-9]{4}q[1-4])?$"}},
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
        "/": {"get": _operation("page", "This document as a page", _answers(None, kind=HTML), key=False)},
    }


def openapi_document(version: str, examples: Examples) -> dict[str, object]:
    """The document that ``/openapi.json`` answers with."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "predict-age",
            "version": version,
            "description": "Predictions on demand that equal the published table, and published people.",
        },
        "paths": _paths(examples),
        "components": {"schemas": SCHEMAS, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }
