"""Whatever event one of the six functions gets, its answer is a result or an error in words; a refused event leaves nothing."""

import copy
import json
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from predict_age.aws.execution_lease import acquire_execution_lease
from predict_age.aws.lambdas import (
    batch_generator,
    final_results,
    old_runs,
    post_cleanup,
    pre_cleanup,
    runtime,
)
from predict_age.aws.s3_documents import S3Documents
from predict_age.aws.s3_store import Store
from predict_age.errors import BusyError, ConfigError, InputError, IntegrityError, PredictAgeError, ResourceError
from predict_age.storage.durable_files import hashed_json
from test_aws_cleanup import clean, request_at, runs_in, store  # noqa: F401 - a fixture

pytestmark = pytest.mark.filterwarnings("default")  # moto's own
STATE_INPUT = {"run_id": "20251001T080000Z-00000000", "token": "1", "accept": "", "next": "Training", "why": ""}
NOTHING = object()
WRONG = [NOTHING, None, "", "x", "false", "\ud800", "x" * 3000, 5, -1, 10**30, 0.5, float("nan"), True, [], ["x"], {}, {"a": 1}]
FULL_REQUEST = {**request_at(1), "training_source": "s3://source/people/", "config": "", "features": "", "purpose": "research"}
SHAPES: list[tuple[ModuleType, dict[str, Any]]] = [
    (pre_cleanup, {"execution": "arn:1", "request": {**FULL_REQUEST, "accept": False, "shadow": False, "model": ""}}),
    (pre_cleanup, {"execution": "arn:1", "request": {"expect_published": True, "time": "2026-01-12T06:00:00Z"}}),
    (pre_cleanup, {"prune": {"keep": 4, "dry_run": True}}),
    (final_results, {"diff": {"before": "2025q2", "after": "2025q3", "jump_years": 5.0, "people": True}}),
    (final_results, {"verify": "current"}),
    (final_results, {"rollback_to": "2025q2"}),
    *((function, STATE_INPUT) for function in (batch_generator, post_cleanup)),  # the others read it in the same way
]


def wrong_events(event: dict[str, Any]) -> Iterator[Any]:
    """The event without, or with another value of, each of its members; and other things in its place."""
    yield from (wrong for wrong in WRONG if wrong is not NOTHING)
    for place in ((), *((name,) for name, value in event.items() if isinstance(value, dict))):
        for name in [*(event if not place else event[place[0]]), "unknown"]:
            for wrong in WRONG:
                made = copy.deepcopy(event)
                inside = made if not place else made[place[0]]
                inside.pop(name, None)
                if wrong is not NOTHING:
                    inside[name] = wrong
                yield made


@pytest.mark.parametrize(("function", "event"), SHAPES)
def test_every_event_has_an_answer_or_an_error_in_words(
    store: Store,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    function: ModuleType,
    event: dict[str, Any],
) -> None:
    monkeypatch.setattr(runtime, "Store", lambda *_: store)
    monkeypatch.setattr(pre_cleanup, "execution_is_running", lambda _: False)
    for wrong in wrong_events(event):
        before = sorted(store.names(""))
        try:
            json.dumps(function.handle(wrong, None))
        except PredictAgeError as error:
            assert not isinstance(error, ResourceError), wrong  # another try would not help
            assert sorted(store.names("")) == before, wrong
            assert len(str(error)) < 1000 or "x" * 3000 in str(error), wrong


@pytest.mark.parametrize("name", ["accept", "shadow"])
def test_what_somebody_switched_off_is_not_on(store: Store, name: str) -> None:  # noqa: F811
    """In JSON that a script put together, a switch is easily a text; no text is a switch."""
    for text in ("false", "no", "", "true"):
        with pytest.raises(ConfigError, match=f"wrong {name}.*\n.*true or false"):
            clean(1, **{name: text})
    assert runs_in(store) == set()


@pytest.mark.parametrize("name", ["config", "features"])
def test_a_file_that_is_not_there_begins_no_run(store: Store, name: str) -> None:  # noqa: F811
    with pytest.raises(ConfigError, match=r"predict-age/c\.toml is missing"):
        clean(1, **{name: "c.toml"})
    assert runs_in(store) == set()


@pytest.mark.parametrize("key", ["my people/0.jsonl", "a+b/%20/0.jsonl", "Zürich/day=1/日.jsonl", "a'b/0.jsonl", "0.jsonl"])
def test_sources_have_every_name_that_s3_allows(store: Store, key: str) -> None:  # noqa: F811
    """Spaces, signs, letters of all languages, and a bucket that holds nothing but people."""
    store.s3.create_bucket(Bucket="odd-names")
    store.s3.put_object(Bucket="odd-names", Key=key, Body=b"{}")
    folder = key.rpartition("/")[0]
    ids = {clean(1, source=source) for source in (f"s3://odd-names/{folder}{'/' if folder else ''}", "s3://odd-names")}
    assert runs_in(store) == ids


def failing(error: Exception) -> Callable[..., Any]:
    def call(*_: object, **__: object) -> Any:
        raise error

    return call


def refusal(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Operation")  # type: ignore[typeddict-item]


UNANSWERED = [
    refusal("SlowDown", 503),
    refusal("ThrottlingException", 400),
    refusal("InternalError", 500),
    EndpointConnectionError(endpoint_url="https://s3"),
]
REFUSED = [refusal("AccessDenied", 403), refusal("NoSuchBucket", 404)]


@pytest.mark.parametrize("error", [*UNANSWERED, *REFUSED], ids=str)
@pytest.mark.parametrize("source", ["s3://source/people/", "glue://raw/people"])
def test_an_answer_that_did_not_come_is_asked_for_again(
    store: Store,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    error: Exception,
) -> None:
    """S3 or Glue without an answer says nothing about the source: the state machine tries again, which it does not after InputError."""
    broken = SimpleNamespace(get_paginator=failing(error), get_table=failing(error))
    monkeypatch.setattr("predict_age.source.glue_table._client", lambda: broken)
    call = runtime.call_of({"execution": "arn:1", "request": request_at(1, source=source)}, None)
    monkeypatch.setattr(call.store.s3, "get_paginator", failing(error))
    monkeypatch.setattr(runtime, "call_of", lambda event, context: call)
    with pytest.raises(ResourceError if error in UNANSWERED else InputError):
        pre_cleanup.handle(call.event, None)
    assert runs_in(store) == set()


@pytest.mark.parametrize(
    "error", [refusal("TooManyRequestsException", 400), EndpointConnectionError(endpoint_url="https://a")], ids=str
)
def test_an_error_of_any_service_is_said_in_words(store: Store, error: Exception, caplog: pytest.LogCaptureFixture) -> None:  # noqa: F811
    """Also in the log; an error of the program itself is named there."""
    for raised, known in ((error, ResourceError), (KeyError("x"), KeyError)):
        with pytest.raises(known):
            runtime.handler(failing(raised))({"run_id": "r"}, None)
        assert json.loads(caplog.messages[-1])["outcome"] == known.__name__


@pytest.mark.parametrize("code", ["AccessDeniedException", "InvalidArn"])
def test_a_lease_of_another_installation_is_explained(store: Store, monkeypatch: pytest.MonkeyPatch, code: str) -> None:  # noqa: F811
    """The bucket came from another account, region or name: whether its execution runs cannot be asked. The advice works."""
    documents = S3Documents(store)
    acquire_execution_lease(documents, "arn:aws:states:eu-west-1:2:execution:old:1", "r", lambda _: True)
    monkeypatch.setattr(old_runs, "client", lambda _: SimpleNamespace(describe_execution=failing(refusal(code, 400))))
    for ask in (lambda: clean(1), lambda: pre_cleanup.handle({"prune": {}}, None)):
        with pytest.raises(BusyError, match=r"eu-west-1(.|\n)*delete lease\.json"):
            ask()
    store.delete(["lease.json"])
    assert clean(1) in runs_in(store)


def test_a_lease_of_one_machine_is_explained(store: Store) -> None:  # noqa: F811
    """A workspace that somebody copied from a disk has one."""
    store.put("lease.json", hashed_json({"token": 3, "purpose": "run", "beat": 1.0}).encode(), None)
    with pytest.raises(IntegrityError, match=r"delete lease\.json"):
        clean(1)
