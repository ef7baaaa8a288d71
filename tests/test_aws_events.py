"""Whatever event a function of the prediction API gets, it answers as HTTP does, and requests for many people have one limit."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import result_rows
from predict_age.aws.built_kernels import event
from predict_age.aws.http_events import answer_event
from predict_age.aws.prediction_api import PredictionApi
from predict_age.aws.s3_store import Store
from predict_age.aws.served_workspace import MOST_ASKED
from predict_age.serving.application import Service
from predict_age.serving.asgi import AsgiApplication
from predict_age.serving.messages import ARROW, JSON, NDJSON, PROBLEM
from predict_age.serving.served_model import Watch
from predict_age.storage.workspace import Workspace
from test_aws_api import GOOD, PROFILE, body_of, http_event, upload
from test_aws_cleanup import store  # noqa: F401 - a fixture

pytestmark = pytest.mark.filterwarnings("default")  # moto's own
HALF = "\ud800"  # of a UTF-16 pair
TEXT = st.text(st.characters(exclude_categories=()), max_size=12) | st.sampled_from(
    [HALF, f"a{HALF}b", "é", "€", "\0", "%", "\r\n"]
)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.just("x" * 70_000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
REST_V1 = {
    "resource": "/v1/predict",
    "path": "/v1/predict",
    "httpMethod": "POST",
    "headers": {"Content-Type": JSON},
    "multiValueHeaders": {"Content-Type": [JSON]},
    "queryStringParameters": None,
    "requestContext": {"stage": "prod", "httpMethod": "POST", "identity": {"sourceIp": "192.0.2.1"}},
    "body": GOOD,
    "isBase64Encoded": False,
}
BEGINNINGS: list[dict[str, Any]] = [
    event("POST", "/v1/predict", GOOD, JSON),
    event("POST", "/v1/predict", f"[{GOOD}, {GOOD}]", JSON) | {"cookies": ["a=1"], "rawQueryString": "a=1&b=%20"},
    event("POST", "/v1/predict", base64.b64encode(GOOD.encode()).decode(), NDJSON, binary=True),
    event("POST", "/v1/people:lookup", '{"pids": [1, 2]}', JSON),
    http_event("GET", "/v1/people/5"),
    event("GET", "/v1/runs") | {"rawQueryString": "limit=1&after=2025q3"},
    event("GET", "/health") | {"headers": {"if-none-match": '"a"'}},
    event("GET", "/v2/models/predict-age/ready"),
    REST_V1,
    {**REST_V1, "version": "1.0"},
    {"Records": [{"eventSource": "aws:sqs", "body": GOOD}]},
    {"requestContext": {"elb": {"targetGroupArn": "a"}}, "httpMethod": "GET", "path": "/health", "headers": {}, "body": ""},
]


@st.composite
def changed_events(draw: st.DrawFn) -> Any:
    """An event of a known shape of which members, at any depth, are missing, of another type, or other texts."""
    made = copy.deepcopy(draw(st.sampled_from(BEGINNINGS)))
    for _ in range(draw(st.integers(0, 3))):
        place: Any = made
        while place:
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            kind = draw(st.sampled_from(["without", "value", "text", "more"]))
            if kind == "without":
                del place[key]
            elif kind == "text" and isinstance(place[key], str):
                place[key] = place[key][: draw(st.integers(0, 12))] + draw(TEXT) + place[key][draw(st.integers(0, 12)) :]
            elif kind == "more" and isinstance(place, dict):
                place[draw(TEXT)] = draw(VALUE)
            else:
                place[key] = draw(VALUE)
            break
    return made


@pytest.fixture(scope="module")
def function(finished: tuple[Path, dict[str, Any]]) -> Iterator[Any]:
    """Answers an event by the application over the folder, in one loop."""
    watch = Watch(Workspace.existing(finished[0]), print)
    watch.load()
    application = AsgiApplication(Service(watch, None, behind_gateway=True))
    with asyncio.Runner() as loop:
        yield lambda sent: loop.run(answer_event(application, sent))


def check_reply(reply: dict[str, Any]) -> None:
    """It is what a gateway makes a response of, and no failure of the server; a refusal is a problem."""
    assert reply.keys() <= {"statusCode", "headers", "isBase64Encoded", "body", "cookies"}
    assert reply["statusCode"] in {200, 304, 400, 403, 404, 405, 411, 413, 415, 417, 422, 431, 501, 503}, reply
    assert isinstance(reply["isBase64Encoded"], bool) and isinstance(reply["body"], str)
    assert all(isinstance(k, str) and isinstance(v, str) and "\n" not in v for k, v in reply["headers"].items())
    json.dumps(reply, ensure_ascii=False).encode()
    body = body_of(reply)
    if reply["statusCode"] >= 400 and body and not body.startswith(b'{"status"'):
        assert reply["headers"]["content-type"] == PROBLEM and json.loads(body)["status"] == reply["statusCode"]


@given(sent=changed_events() | VALUE)
@settings(max_examples=1000)
def test_every_event_has_an_answer(function: Any, sent: Any) -> None:
    """Events come from the gateway and other services, lack members, have them of another type, or are none at all."""
    check_reply(function(sent))


@pytest.mark.parametrize(
    "wrong",
    [
        {"body": "é", "isBase64Encoded": True},
        {"body": "QUJD€", "isBase64Encoded": True},
        {"rawPath": f"/v1/people/{HALF}"},
        {"rawPath": "/v1/people/5", "pathParameters": {"pid": HALF}},
        {"rawQueryString": f"a={HALF}"},
        {"headers": {"content-type": HALF}},
        {"headers": {HALF: "a"}},
        {"headers": {"content-type": [JSON]}},
        {"headers": {"content-type": None}},
        {"cookies": [HALF]},
        {"cookies": [7]},
        {"body": f'{{"profile": {{"a": "{HALF}"}}}}'},
        {"requestContext": {"http": {"method": HALF}}},
        {"requestContext": {"http": {"method": None}}},
        {"requestContext": {"http": {"method": "GET"}, "domainName": HALF}},
        {"requestContext": {"http": {"method": "GET"}, "stage": 7}},
        {"body": "[" * 1_000_000},
        {"body": '{"profile": ' * 200_000},
    ],
    ids="-".join,
)
def test_what_is_no_text_is_a_bad_request(function: Any, wrong: dict[str, Any]) -> None:
    reply = function(event("POST", "/v1/predict", GOOD, JSON) | wrong)
    check_reply(reply)
    assert reply["statusCode"] == 400


def test_a_failure_of_the_code_around_the_application_is_a_problem(function: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predict_age.aws.http_events.scope_of", lambda _: 1 / 0)
    reply = function(event("GET", "/health"))
    assert (reply["statusCode"], reply["headers"]["content-type"]) == (500, PROBLEM)


def test_a_workspace_that_fails_in_any_way_is_a_problem(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Also with an error that no code expects."""
    with closing(PredictionApi(store, tmp_path / "function", print, seconds=0.0)) as api:
        monkeypatch.setattr(api.copy, "bring_pointer", lambda: {}["no such key"])
        assert api.handle(event("POST", "/v1/predict", GOOD, JSON))["statusCode"] == 503


def request_for(kind: str, ids: list[int], profile: str = PROFILE) -> dict[str, Any]:
    """An event that asks for ``ids``."""
    if kind == "lookup":
        return http_event("POST", "/v1/people:lookup", json.dumps({"pids": ids}).encode(), JSON)
    items = [f'{{"pid": {pid}, "profile": {profile}}}' for pid in ids]
    if kind == NDJSON:
        return http_event("POST", "/v1/predict", "\n".join(items).encode(), NDJSON)
    if kind == JSON:
        return http_event("POST", "/v1/predict", f"[{','.join(items)}]".encode(), JSON)
    sink = pa.BufferOutputStream()
    table = pa.table({"profile": [profile] * len(ids), "pid": pa.array(ids, pa.int64())})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return http_event("POST", "/v1/predict", sink.getvalue().to_pybytes(), ARROW)


@pytest.mark.parametrize(("kind", "profile"), [(JSON, PROFILE), (JSON, "{}"), (NDJSON, PROFILE), (ARROW, PROFILE), ("lookup", "")])
def test_the_limit_of_ids_is_that_of_a_request(
    store: Store,  # noqa: F811
    finished: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    kind: str,
    profile: str,
) -> None:
    """However the server cuts it into pieces; ids that occur again count once. Beyond the limit nothing is read."""
    upload(finished[0], store)
    known = [row[0] for row in result_rows(finished[0])]
    many = [*known, *range(10_000_000, 10_002_000)][:2000]
    with closing(PredictionApi(store, tmp_path / "function", print)) as api:
        taken = api.handle(request_for(kind, many[:MOST_ASKED] * 3, profile))
        assert taken["statusCode"] == 200, taken["body"]
        api.copy.workspace.store.get_range = None  # type: ignore[assignment,method-assign]
        spread = many[: MOST_ASKED // 2] * 4 + many[MOST_ASKED // 2 : MOST_ASKED + 1]
        for ids in (many[: MOST_ASKED + 1], spread, many):
            reply = api.handle(request_for(kind, ids, profile))
            assert reply["statusCode"] == 413 and f"{MOST_ASKED} different ids" in json.loads(reply["body"])["detail"]
