"""The prediction API as a Lambda function: events of an HTTP API get the answers of the local server, from a workspace in S3."""

from __future__ import annotations

import asyncio
import base64
import http.client
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import cli, result_rows
from predict_age.aws import http_events
from predict_age.aws.built_kernels import event, use_built_kernels
from predict_age.aws.http_events import CollectedAnswer, answer_event, reply_of, scope_of
from predict_age.aws.lambda_runtime import VERSION, RuntimeApi, answer_events
from predict_age.aws.prediction_api import PredictionApi
from predict_age.aws.s3_store import Store
from predict_age.serving.application import Service
from predict_age.serving.asgi import AsgiApplication
from predict_age.serving.messages import ARROW, JSON, NDJSON, PROBLEM, Request
from predict_age.serving.openapi import Examples, openapi_document
from predict_age.serving.served_model import Watch
from predict_age.storage.publication import update_pointer
from predict_age.storage.workspace import Workspace
from predict_age.version import __version__
from test_aws_cleanup import store  # noqa: F401 - a fixture

pytestmark = pytest.mark.filterwarnings("default")  # moto's own
CANARY = "Qanari7731"
PROFILE = '{"years_experience": 12, "job_level": "Senior"}'
GOOD = f'{{"profile": {PROFILE}}}'


def upload(workspace: Path, store: Store) -> None:  # noqa: F811
    """The workspace as it is, in S3."""
    for path in sorted(workspace.rglob("*")):
        if path.is_file() and path.name != "guard":
            store.put_part(path.relative_to(workspace).as_posix(), path)


@pytest.fixture
def api(store: Store, finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> Iterator[PredictionApi]:  # noqa: F811
    """A function that asks S3 before every event."""
    upload(finished[0], store)
    with closing(PredictionApi(store, tmp_path / "function", print, seconds=0.0)) as made:
        made.follow()
        yield made


@pytest.fixture(scope="module")
def local(finished: tuple[Path, dict[str, Any]]) -> AsgiApplication:
    """The application of `predict-age serve` over the folder."""
    watch = Watch(Workspace.existing(finished[0]), print)
    watch.load()
    return AsgiApplication(Service(watch, None))


def asked(application: AsgiApplication, method: str, path: str, body: bytes, kind: str) -> CollectedAnswer:
    """The answer to a request that no gateway has seen."""
    found = CollectedAnswer()
    route, _, query = path.partition("?")
    headers = [(b"host", b"localhost"), (b"content-length", str(len(body)).encode())]
    headers += [(b"content-type", kind.encode())] if kind else []
    scope = {"type": "http", "http_version": "1.1", "method": method, "raw_path": route.encode()}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    asyncio.run(application({**scope, "query_string": query.encode(), "headers": headers}, receive, found.send))
    return found


def http_event(method: str, path: str, body: bytes = b"", kind: str = "", **changes: Any) -> dict[str, Any]:
    """The event that the gateway makes of a request; it decodes the path."""
    route, _, query = path.partition("?")
    is_text = kind != ARROW
    made = event(method, unquote(route), body.decode() if is_text else base64.b64encode(body).decode(), kind, not is_text)
    name = route.rpartition("/")[2]
    parameters = {"pathParameters": {"pid": unquote(name)}} if route.startswith("/v1/people/") else {}
    return {**made, "rawQueryString": query, **parameters, **changes}


def body_of(reply: dict[str, Any]) -> bytes:
    return base64.b64decode(reply["body"]) if reply["isBase64Encoded"] else reply["body"].encode()


def arrow(profiles: list[str]) -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.table({"profile": profiles})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def test_events_get_the_answers_of_the_local_server(
    api: PredictionApi, local: AsgiApplication, finished: tuple[Path, dict[str, Any]], people: Path
) -> None:
    """Every route, format and kind of error: status, body to the last byte, and headers but those of the connection."""
    profiles = [p for p in pq.read_table(people / "people", columns=["profile_json"])["profile_json"].to_pylist()[:600] if p]
    profiles = [p for p in profiles if p.startswith("{")]
    pids = [r[0] for r in result_rows(finished[0])][:300]
    lines = "".join(f'{{"profile": {p}}}\n' for p in profiles).encode()
    withheld = [r[0] for r in result_rows(finished[0]) if r[4] == "WITHHELD"]
    named = [f'{{"pid": {pid}, "profile": {p}}}' for pid, p in zip([*withheld, *pids][:250], profiles, strict=False)]
    array, many = f"[{','.join(named)}]", "[" + ",".join(f'{{"profile": {p}}}' for p in profiles) + "]"
    assert withheld
    requests = [
        ("POST", "/v1/predict", GOOD.encode(), JSON),
        ("POST", "/v1/predict", array.encode(), JSON),
        ("POST", "/v1/predict", many.encode(), JSON),
        ("POST", "/v1/predict", (GOOD[:-1] + ', "explain": true}').encode(), JSON),
        ("POST", "/v1/predict", lines, NDJSON),
        ("POST", "/v1/predict", arrow(profiles), ARROW),
        ("POST", "/v1/predict", b"{", JSON),
        ("POST", "/v1/predict", b'{"profile": {"a": NaN}}', JSON),
        ("POST", "/v1/predict", GOOD.encode(), "text/plain"),
        ("POST", "/v1/predict", b"no arrow", ARROW),
        ("POST", "/v1/people:lookup", json.dumps({"pids": [*pids[:299], -5]}).encode(), JSON),
        ("POST", "/v1/people:lookup", b'{"pids": ["x"]}', JSON),
        *(("GET", f"/v1/people/{pid}", b"", "") for pid in (*pids[:5], -5, "x", "1%202", "caf%C3%A9", "50%2541")),
        ("GET", "/v1/model", b"", ""),
        ("GET", "/v1/runs?limit=1", b"", ""),
        ("GET", "/v1/runs?limit=x", b"", ""),
        ("GET", "/v2/models/predict-age/ready", b"", ""),
        ("GET", "/health", b"", ""),
        ("GET", "/nothing", b"", ""),
        ("DELETE", "/v1/model", b"", ""),
    ]
    statuses = set()
    for method, path, body, kind in requests:
        expected = asked(local, method, path, body, kind)
        reply = api.handle(http_event(method, path, body, kind))
        assert (reply["statusCode"], body_of(reply)) == (expected.status, expected.body), (method, path)
        headers = {k.decode().lower(): v.decode() for k, v in expected.headers}
        assert reply["headers"] == {k: v for k, v in headers.items() if k not in ("content-length", "connection")}, (method, path)
        statuses.add(reply["statusCode"])
    assert statuses == {200, 400, 404, 405, 415, 422}
    described = json.loads(body_of(api.handle(http_event("GET", "/openapi.json"))))
    assert described == openapi_document(__version__, Examples()), "to whoever has no key yet: nothing about the workspace"
    assert api.handle(http_event("POST", "/v1/predict", arrow(profiles), ARROW))["isBase64Encoded"]


def test_a_request_is_put_together_from_its_event() -> None:
    """Stage, cookies, repeated headers, query, encoded and decoded paths; what belongs to the client's connection is left out."""
    made = event("GET", "/prod/v1/people/50%41")
    made |= {"rawQueryString": "a=1&a=2&b=%20", "cookies": ["a=1", "b=2"], "pathParameters": {"pid": "50%41"}}
    made["requestContext"] = {"http": {"method": "GET"}, "stage": "prod", "domainName": "x.example"}
    made["headers"] = {"Accept": "a,b", "Transfer-Encoding": "chunked", "Content-Length": "7"}
    scope = scope_of(made)
    assert (scope["raw_path"], scope["query_string"]) == (b"/v1/people/50%2541", b"a=1&a=2&b=%20")
    assert scope["headers"] == [(b"accept", b"a,b"), (b"cookie", b"a=1; b=2"), (b"host", b"x.example")]


@pytest.mark.parametrize(
    ("raw", "parameters", "stage", "path"),
    [
        ("/v1/people/café", {"pid": "café"}, "$default", b"/v1/people/caf%C3%A9"),
        ("/v1/people/caf%C3%A9", {"pid": "café"}, "$default", b"/v1/people/caf%C3%A9"),
        ("/v1/people/caf%C3%A9", None, "$default", b"/v1/people/caf%C3%A9"),
        ("/v1/people/100%", {"pid": "100%"}, "$default", b"/v1/people/100%25"),
        ("/v1/people/a?b#c", {"pid": "a?b#c"}, "$default", b"/v1/people/a%3Fb%23c"),
        ("/v1/people/a b", None, "$default", b"/v1/people/a%20b"),
        ("/prod", None, "prod", b"/"),
        ("/production/v1/model", None, "prod", b"/production/v1/model"),
        ("/v1/people:lookup", None, "$default", b"/v1/people:lookup"),
    ],
)
def test_a_path_is_read_as_it_was_sent(raw: str, parameters: dict[str, str] | None, stage: str, path: bytes) -> None:
    made = event("GET", raw) | {"pathParameters": parameters}
    made["requestContext"] = {"http": {"method": "GET"}, "stage": stage}
    assert scope_of(made)["raw_path"] == path


def test_an_answer_is_written_as_the_gateway_wants_it() -> None:
    headers = [(b"content-type", b"image/png"), (b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"vary", b"a"), (b"vary", b"b")]
    reply = reply_of(CollectedAnswer(200, [*headers, (b"content-length", b"2")], b"\xff\x00"))
    assert reply == {
        "statusCode": 200,
        "headers": {"content-type": "image/png", "vary": "a, b"},
        "cookies": ["a=1", "b=2"],
        "isBase64Encoded": True,
        "body": "/wA=",
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": "1.0"},
        {"body": 7},
        {"body": "no base64!", "isBase64Encoded": True},
        {"requestContext": {}},
        {"rawPath": None, "requestContext": None},
        {"headers": ["a"]},
    ],
)
def test_what_is_no_event_is_a_problem(local: AsgiApplication, wrong: dict[str, Any]) -> None:
    reply = asyncio.run(answer_event(local, event("POST", "/v1/predict", GOOD, JSON) | wrong))
    assert (reply["statusCode"], reply["headers"]["content-type"]) == (400, PROBLEM)


def test_what_is_too_large_for_the_gateway_is_a_problem(
    api: PredictionApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bodies beyond ten million bytes, and answers beyond what a function may return, said before Lambda fails at them."""
    large = json.dumps({"profile": {"a": CANARY + "x" * http_events.MAX_PAYLOAD_BYTES}})
    reply = api.handle(event("POST", "/v1/predict", large, JSON))
    assert reply["statusCode"] == 413 and "10,000,000 bytes" in json.loads(reply["body"])["detail"]
    many = f"[{','.join([GOOD] * 40)}]"
    assert api.handle(event("POST", "/v1/predict", many, JSON))["statusCode"] == 200
    named = ",".join(f'{{"pid": {n}, "profile": {PROFILE}}}' for n in range(400))
    reply = api.handle(event("POST", "/v1/predict", f"[{named}]", JSON))
    assert reply["statusCode"] == 413 and "300 different ids" in json.loads(reply["body"])["detail"]
    monkeypatch.setattr(http_events, "MAX_REPLY_BYTES", 6000)
    reply = api.handle(event("POST", "/v1/predict", many, JSON))
    assert reply["statusCode"] == 413 and "a function may return" in json.loads(reply["body"])["detail"]
    assert api.handle(event("POST", "/v1/predict", GOOD, JSON))["statusCode"] == 200
    assert CANARY not in capsys.readouterr().out


def test_another_published_run_is_served_from_the_next_event_on(
    api: PredictionApi,
    store: Store,  # noqa: F811
    finished: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A damaged one is refused and the one before serves on; a rollback is followed, and the disk keeps what is served alone."""

    def run() -> str:
        return json.loads(api.handle(http_event("GET", "/v1/model"))["body"])["run_id"]

    first = run()
    other = tmp_path / "other"
    shutil.copytree(finished[0], other)
    second = f"{first[:-8]}0000abcd"
    folder = other / "runs" / second
    shutil.copytree(other / "runs" / first, folder)
    rename_run(folder, first, second)
    manifest = json.loads((folder / "manifest.json").read_text())["sha256"]
    update_pointer(Workspace(other).documents, lambda p: p.with_current(second, "2025q4", manifest, "published"))
    model = next(n for n in sorted(p.name for p in (folder / "model").iterdir()) if n != "manifest.json")
    whole = (folder / "model" / model).read_bytes()
    (folder / "model" / model).write_bytes(whole[:-1] + b"?")
    upload(other, store)
    assert run() == first and "refused" in capsys.readouterr().out
    store.put_part(f"runs/{second}/model/{model}", whole)
    api.watch._refused_at -= 1000
    assert run() == second
    assert [p.name for p in (tmp_path / "function" / "runs").iterdir()] == [second]
    store.put_part("published.json", finished[0] / "published.json")
    assert run() == first


def rename_run(folder: Path, before: str, after: str) -> None:
    """Give the records of a copied run its own id, with content hashes that are right again."""
    from predict_age.storage.durable_files import file_sha256, read_json, write_json

    record = read_json(folder / "run.json")
    write_json(folder / "run.json", {**record, "run_id": after})
    manifest = read_json(folder / "manifest.json")
    files = {**manifest["files"], "run.json": file_sha256(folder / "run.json")}
    write_json(folder / "manifest.json", {**manifest, "run_id": after, "files": files})


def test_suppressed_people_are_hidden_from_the_next_event_on(
    api: PredictionApi,
    store: Store,  # noqa: F811
    finished: tuple[Path, dict[str, Any]],
    tmp_path: Path,
) -> None:
    """A list that cannot be used, or asked about, stops answers about people until it can."""
    pid = result_rows(finished[0])[0][0]

    def status() -> int:
        return api.handle(http_event("GET", f"/v1/people/{pid}"))["statusCode"]

    assert status() == 200
    other = tmp_path / "other"
    shutil.copytree(finished[0], other)
    (tmp_path / "ids").write_text(f"{pid}\n")
    cli("suppress", "--workspace", other, "--pid-file", tmp_path / "ids")
    upload(other, store)
    assert status() == 404
    listed = (other / "suppression" / "list.json").read_bytes()
    store.put_part("suppression/list.json", listed[:-3])
    assert status() == 503
    store.put_part("suppression/list.json", listed)
    assert status() == 404
    head = store.s3.head_object
    store.s3.head_object = lambda **_: (_ for _ in ()).throw(OSError("no network"))
    assert status() == 503
    store.s3.head_object = head
    assert status() == 404
    store.delete(["suppression/list.json"])
    assert status() == 503, "the pointer knows that there was one"


def test_a_person_costs_one_ranged_read(api: PredictionApi, finished: tuple[Path, dict[str, Any]]) -> None:
    """The read is of one block; asking again reads nothing."""
    pid, ranges = result_rows(finished[0])[0][0], list[str]()
    read = api.copy.workspace.store.s3.get_object

    def noted(**arguments: Any) -> Any:
        ranges.append(arguments.get("Range", "everything"))
        return read(**arguments)

    api.copy.workspace.store.s3.get_object = noted
    for _ in range(2):
        assert api.handle(http_event("GET", f"/v1/people/{pid}"))["statusCode"] == 200
    assert len(ranges) == 1 and ranges[0].startswith("bytes=")


def test_damage_in_the_bucket_counts_until_the_block_is_whole(
    api: PredictionApi,
    finished: tuple[Path, dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Looked at each half minute beside requests: not called whole while it is not, nor damaged when it is again."""
    pid, seconds, bucket = result_rows(finished[0])[0][0], [0.0], api.copy.workspace.store
    monkeypatch.setattr(api.watch.damage, "clock", lambda: seconds[0])
    run = Workspace(finished[0]).published.current
    path = min((finished[0] / "runs" / run / "lookup").glob("*.blocks"))
    name = f"runs/{run}/lookup/{path.name}"

    def statuses(times: int) -> set[tuple[int, int]]:
        found = set()
        for _ in range(times):
            seconds[0] += 7
            found.add(tuple(api.handle(http_event("GET", p))["statusCode"] for p in (f"/v1/people/{pid}", "/health")))
        return found

    bucket.put_part(name, bytes(path.stat().st_size))
    assert statuses(20) == {(503, 503)}
    bucket.put_part(name, path)
    (api.copy.workspace.root / "runs" / run / "model" / "manifest.json").write_bytes(b"damaged")  # the copy of the function
    statuses(10)
    assert statuses(5) == {(200, 200)}
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2 and "503" in said[0] and "should be again" in said[1], said


def test_a_run_without_lookup_files_says_where_its_people_are(
    store: Store,  # noqa: F811
    finished: tuple[Path, dict[str, Any]],
    tmp_path: Path,
) -> None:
    """Executions on AWS have their people in a table of Athena; predictions need none of them."""
    from predict_age.storage.durable_files import read_json, write_json

    other = tmp_path / "other"
    shutil.copytree(finished[0], other)
    published = Workspace(other).published
    path = other / "runs" / published.current / "manifest.json"
    manifest = read_json(path)
    digest = write_json(path, {**manifest, "files": {n: d for n, d in manifest["files"].items() if not n.startswith("lookup/")}})
    update_pointer(Workspace(other).documents, lambda p: p.with_current(p.current, "2025q3", "", "x"))
    pointer = read_json(other / "published.json")
    write_json(other / "published.json", {**pointer, "manifests": {published.current: digest}})
    upload(other, store)
    with closing(PredictionApi(store, tmp_path / "function", print)) as api:
        with_id = event("POST", "/v1/predict", f'{{"pid": 1, "profile": {PROFILE}}}', JSON)
        for asked_for in (http_event("GET", "/v1/people/1"), with_id):  # the run withheld people: this could be one
            reply = api.handle(asked_for)
            assert (reply["statusCode"], "Athena" in reply["body"]) == (501, True)
        assert api.handle(event("POST", "/v1/predict", GOOD, JSON))["statusCode"] == 200


def test_before_the_first_run_nothing_is_answered(store: Store, tmp_path: Path) -> None:  # noqa: F811
    with closing(PredictionApi(store, tmp_path / "function", print)) as api:
        assert api.handle(event("POST", "/v1/predict", GOOD, JSON))["statusCode"] == 503
        assert api.handle(event("GET", "/health"))["statusCode"] == 503


def test_the_function_answers_what_lambda_hands_out(local: AsgiApplication) -> None:
    """Lambda's own protocol: two events, one of which the handler fails at; the type of the error alone is told."""
    events = [event("GET", "/health"), event("GET", f"/{CANARY}")]
    posted: list[tuple[str, Any]] = []

    class Lambda(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            number = len(posted)
            if number == len(events):
                self.close_connection = True
                return
            body = json.dumps(events[number]).encode()
            self.send_response(200)
            self.send_header("Lambda-Runtime-Aws-Request-Id", f"r{number}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            posted.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    def handle(sent: Any) -> dict[str, Any]:
        if CANARY in sent["rawPath"]:
            raise ValueError(CANARY)
        return asyncio.run(answer_event(local, sent))

    server = http.server.HTTPServer(("127.0.0.1", 0), Lambda)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.raises(http.client.RemoteDisconnected):
        answer_events(RuntimeApi(f"127.0.0.1:{server.server_port}"), handle)
    server.shutdown()
    server.server_close()
    (first, reply), (second, error) = posted
    assert (first, second) == (f"{VERSION}/invocation/r0/response", f"{VERSION}/invocation/r1/error")
    assert json.loads(reply["body"]) == {"status": "ok"}
    assert error == {"errorType": "ValueError", "errorMessage": "", "stackTrace": []}


def test_only_a_gateway_stands_for_any_host(local: AsgiApplication) -> None:
    """Without one, a name that leads here from outside is refused."""
    request = Request("GET", "/health", "", {"host": "x.example"})
    refused = Service(local.service.watch, None).before_body(request)
    assert refused is not None and refused.status == 403
    assert Service(local.service.watch, None, behind_gateway=True).before_body(request) is None


def test_the_command_says_where_it_belongs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_LAMBDA_RUNTIME_API", raising=False)
    assert "predict-age serve" in cli("aws-api", check=2).stderr


def test_built_kernels_are_copied_to_where_they_may_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "built").mkdir()
    (tmp_path / "built" / "x.nbi").write_bytes(b"1")
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    monkeypatch.setenv("PREDICT_AGE_KERNELS", str(tmp_path / "built"))
    use_built_kernels(tmp_path / "scratch")
    assert (tmp_path / "scratch" / "kernels" / "x.nbi").read_bytes() == b"1"


@pytest.fixture(autouse=True)
def _no_real_lambda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("AWS_LAMBDA_RUNTIME_API", raising=False)
    yield
