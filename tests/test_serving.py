"""The server's answers: equal to the published table, bad input by its place, nobody who is hidden, one model at a time."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import errno
import hashlib
import json
import os
import re
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from conftest import TINY, cli, result_rows, tiny_run
from predict_age.errors import ConfigError, IntegrityError
from predict_age.kernels import request_scanner
from predict_age.pieces import finished as all_of
from predict_age.serving import asgi, uvicorn_server
from predict_age.serving.api_page import _command
from predict_age.serving.application import Service
from predict_age.serving.asgi import TimeLimits
from predict_age.serving.examples import document_of
from predict_age.serving.keys import read_keys
from predict_age.serving.messages import ARROW, NDJSON, Request
from predict_age.serving.openapi import Examples, openapi_document
from predict_age.serving.routes import RoutedCall
from predict_age.serving.served_model import load_served
from predict_age.serving.server import ServerSettings, _follow, _unfailing, most_connections, serve
from predict_age.source.suppression import _table
from predict_age.storage.publication import update_pointer
from predict_age.storage.workspace import Workspace
from served import JSON, Served, server

pytest.importorskip("uvicorn", reason="the extra serve is not installed")

CANARY = "Qanari7731"
GOOD = b'{"profile": {"years_experience": 12, "job_level": "Senior"}}'


@pytest.fixture(scope="module")
def served(finished: tuple[Path, dict[str, Any]]) -> Iterator[Served]:
    with server(finished[0]) as running:
        yield running


@pytest.fixture(scope="module")
def profiles(people: Path) -> dict[int, str]:
    return {r["pid"]: r["profile_json"] for r in pq.read_table(people / "people", columns=["pid", "profile_json"]).to_pylist()}


def numbers(answer: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(answer[k] for k in ("predicted_age", "confidence_pct", "prediction_source", "age_lower", "age_upper"))


def published(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same five of a published row."""
    return row[1], *row[3:7]


def test_answers_are_the_published_ones_in_every_format(
    served: Served, finished: tuple[Path, dict[str, Any]], profiles: dict[int, str]
) -> None:
    """Single profiles, an array longer than a slice, lines, and an Arrow stream; and the published rows by pid."""
    rows = {r[0]: published(r) for r in result_rows(finished[0])}
    pids = [
        pid for pid, row in sorted(rows.items()) if not str(row[2]).startswith("EXISTING") and (profiles[pid] or "").startswith("{")
    ][:260]
    expected = [rows[pid] for pid in pids]
    items = [b'{"pid": %d, "profile": %s}' % (pid, profiles[pid].encode()) for pid in pids]
    array = served.post(b"[" + b",".join(items) + b"]")[1]["answers"]
    assert [a["pid"] for a in array] == pids
    assert [numbers(a) for a in array] == expected
    assert [numbers(served.post(item)[1]) for item in items[:25]] == expected[:25]
    status, _, lines = served.ask("POST", "/v1/predict", b"\n".join(items) + b"\n", {"Content-Type": NDJSON})
    assert (status, [numbers(json.loads(line)) for line in lines.splitlines()]) == (200, expected)
    table = pa.table({"pid": pa.array(pids, pa.int64()), "profile": [profiles[pid] for pid in pids]})
    answer = pa.ipc.open_stream(served.ask("POST", "/v1/predict", stream_of(table), {"Content-Type": ARROW})[2]).read_all()
    assert [numbers(r) for r in answer.to_pylist()] == expected
    everybody = sorted(rows)
    found = served.post({"pids": everybody}, path="/v1/people:lookup")[1]["people"]
    assert [numbers(f) for f in found] == [rows[pid] for pid in everybody]
    assert numbers(served.get(f"/v1/people/{pids[3]}")[1]) == expected[3]


def stream_of(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def deep(levels: int) -> bytes:
    return b'{"profile": {"a": ' + b"[" * levels + b"]" * levels + b"}}"


NOT_JSON = {
    "nothing": b"",
    "white space": b" \r\n",
    "a word": b"hello",
    "cut short": GOOD[:-1],
    "trailing bytes": GOOD + b"x",
    "two values": GOOD + GOOD,
    "trailing comma": b'{"profile": {},}',
    "single quotes": b"{'profile': {}}",
    "a comment": b'{"profile": {} /* x */}',
    "byte-order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "Latin-1": b'{"profile": {"a": "\xe9"}}',
    "overlong UTF-8": b'{"profile": {"a": "\xc0\xaf"}}',
    "surrogate in UTF-8": b'{"profile": {"a": "\xed\xa0\x80"}}',
    "control character": b'{"profile": {"a": "\x01"}}',
    "NUL behind": GOOD + b"\0",
    "NaN": b'{"profile": {"a": NaN}}',
    "Infinity": b'{"profile": {"a": -Infinity}}',
    "leading zero": b'{"profile": {"a": 01}}',
    "plus": b'{"profile": {"a": +1}}',
    "bad escape": b'{"profile": {"a": "\\x41"}}',
    "half an escape": b'{"profile": {"a": "\\u12"}}',
    "key twice": b'{"profile": {}, "profile": {}}',
    "key twice inside": b'{"profile": {"a": 1, "b": {"c": 1, "c": 2}}}',
    "key twice by escape": b'{"profile": {"a": 1, "\\u0061": 2}}',
    "pid twice": b'{"pid": 1, "pid": 1, "profile": {}}',
    "65 levels": deep(63),
    "100,000 levels": deep(100_000),
    "never closed": b"[" * 200_000,
    "array cut short": b"[" + GOOD + b",",
    "array with a hole": b"[" + GOOD + b",," + GOOD + b"]",
    "array and more": b"[" + GOOD + b"] 1",
}


@pytest.mark.parametrize("name", NOT_JSON)
def test_what_is_no_json_is_400(served: Served, name: str) -> None:
    """For predictions and for the lookup alike; the answer is a problem document."""
    for path in ("/v1/predict", "/v1/people:lookup"):
        status, headers, body = served.ask("POST", path, NOT_JSON[name], {"Content-Type": JSON})
        assert (status, headers["content-type"], json.loads(body)["status"]) == (400, "application/problem+json", 400)


def test_64_levels_are_read(served: Served) -> None:
    assert served.post(deep(62))[0] == 200


@pytest.mark.parametrize(
    "body", [b"5", b"null", b'"x"', b"true", b"1e999", b"-0.0", b'"' + b"9" * 5000 + b'"', b"9" * 5000, b"{}", b'{"a": 1}']
)
def test_json_that_is_no_item_is_422(served: Served, body: bytes) -> None:
    assert served.post(body)[0] == 422


IDS: list[tuple[bytes, bool]] = [
    (b"0", True),
    (b"-5", True),
    (b"9223372036854775807", True),
    (b"-9223372036854775808", True),
    (b"9223372036854775808", False),
    (b"18446744073709551617", False),
    (b"1" + b"0" * 5000, False),
    (b"true", False),
    (b"false", False),
    (b"1.0", False),
    (b"1e3", False),
    (b"1e999", False),
    (b'"5"', False),
    (b"[5]", False),
    (b"{}", False),
]


@pytest.mark.parametrize(("pid", "is_id"), IDS)
def test_ids_are_whole_numbers_of_63_bits(served: Served, pid: bytes, is_id: bool) -> None:
    status, answer = served.post(b'{"pid": %s, "profile": {}}' % pid)
    assert status == (200 if is_id else 422)
    assert is_id or [e["pointer"] for e in answer["errors"]] == ["/pid"]
    assert served.post(b'{"pids": [1, %s]}' % pid, path="/v1/people:lookup")[0] == (200 if is_id else 422)
    listed = served.post(b'[{"pid": %s, "profile": {}}, %s]' % (pid, GOOD))[1]["answers"]
    assert ("problem" in listed[0], "problem" in listed[1]) == (not is_id, False)


def test_one_bad_profile_among_a_thousand_has_its_own_problem(served: Served) -> None:
    bad = {3: b'{"profile": "%s"}' % CANARY.encode(), 500: b'{"profile": {}, "%s": 1}' % CANARY.encode(), 999: b"[]"}
    answers = served.post(b"[" + b",".join(bad.get(n, GOOD) for n in range(1000)) + b"]")[1]["answers"]
    assert {n for n, a in enumerate(answers) if "problem" in a} == set(bad)
    assert [answers[n]["problem"]["errors"][0]["pointer"] for n in bad] == ["/3/profile", "/500", "/999"]
    assert CANARY not in json.dumps(answers)
    status, _, lines = served.ask("POST", "/v1/predict", GOOD + b"\n{\n\n" + GOOD, {"Content-Type": NDJSON})
    found = [json.loads(line) for line in lines.splitlines()]
    assert (status, ["problem" in f for f in found], found[1]["problem"]["status"]) == (200, [False, True, False], 400)


LONG = b"0" + b",0" * 600_000
LONG_VALUES = {
    "an array in a profile": (JSON, b'{"profile": {"a": [%b]}}' % LONG),
    "of a key with an escape": (JSON, b'{"profile": {"\\u0061": [%b]}}' % LONG),
    "in an array": (JSON, b'[%b, {"profile": {"a": [%b]}}]' % (GOOD, LONG)),
    "no profile": (JSON, b"[[%b]]" % LONG),
    "a text": (JSON, b'{"profile": {"a": "%b"}}' % LONG),
    "Arrow": (ARROW, b""),
}


@pytest.mark.parametrize("name", LONG_VALUES)
def test_a_value_is_not_as_long_as_a_body_may_be(served: Served, name: str) -> None:
    """Millions of objects could be made of it, in one step."""
    kind, body = LONG_VALUES[name]
    body = body or stream_of(pa.table({"profile": [f'{{"a": [{LONG.decode()}]}}']}))
    assert served.ask("POST", "/v1/predict", body, {"Content-Type": kind})[0] == 413
    lines = b'%b\n{"profile": {"a": [%b]}}\n%b' % (GOOD, LONG, GOOD)
    found = served.ask("POST", "/v1/predict", lines, {"Content-Type": NDJSON})[2].splitlines()
    assert [json.loads(line).get("problem", {}).get("status") for line in found] == [None, 413, None]
    assert served.post(b'{"pids": [%b]}' % LONG, path="/v1/people:lookup")[0] == 413


def test_empty_arrays_and_limits(served: Served) -> None:
    assert served.post(b"[]")[1]["answers"] == []
    assert served.post(b" [ ] ")[1]["answers"] == []
    assert served.post({"pids": []}, path="/v1/people:lookup")[1]["people"] == []
    assert served.post(b"[" + b",".join([b'{"profile":null}'] * 10_001) + b"]")[0] == 413
    assert served.post({"pids": [1] * 10_001}, path="/v1/people:lookup")[0] == 413
    problem = served.post({"pids": [True] * 50}, path="/v1/people:lookup")[1]
    assert len(problem["errors"]) == 20


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(b'{"profile": {"a": "\\ud800"}}', JSON)
@example(b'{"profile": {"\\ud800": 1}}', NDJSON)
@example(b'{"\\ud800": 1}', JSON)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda v: (
                st.lists(v, max_size=3)
                | st.dictionaries(st.sampled_from(["pid", "profile", "years_experience", "skills"]), v, max_size=3)
            ),
            max_leaves=12,
        ).map(lambda v: json.dumps(v).encode()),
        st.tuples(st.integers(0, len(GOOD)), st.binary(min_size=1, max_size=3)).map(
            lambda cut: GOOD[: cut[0]] + cut[1] + GOOD[cut[0] + 1 :]
        ),
    ),
    st.sampled_from([JSON, NDJSON, ARROW, "application/json; charset=utf-8"]),
)
def test_no_body_is_a_500(served: Served, body: bytes, content_type: str) -> None:
    """Anything at all, as any type: an answer or a problem."""
    status, _, found = served.ask("POST", "/v1/predict", body, {"Content-Type": content_type})
    assert status in {200, 400, 415, 422}
    assert status == 200 or json.loads(found)["status"] == status


def arrow_bodies() -> dict[str, tuple[bytes, int]]:
    good = pa.table({"profile": ["{}"] * 3})
    whole = stream_of(good)
    return {
        "compressed": (stream_of(pa.table({"profile": ["{}" + " " * 5000] * 50}), compression="zstd"), 415),
        "cut": (whole[: len(whole) // 2], 400),
        "other column": (stream_of(pa.table({"x": ["{}"]})), 422),
        "number": (stream_of(pa.table({"profile": [1]})), 422),
        "pid as text": (stream_of(pa.table({"pid": ["1"], "profile": ["{}"]})), 422),
        "column twice": (stream_of(pa.table([pa.array(["{}"]), pa.array(["{}"])], ["profile", "profile"])), 422),
        "dictionary": (stream_of(pa.table({"profile": pa.array(["{}"]).dictionary_encode()})), 415),
        "too many": (stream_of(pa.table({"profile": ["{}"] * 10_001})), 413),
        "many nulls": (stream_of(pa.table({"profile": pa.nulls(20_000, pa.string())})), 413),
        "no UTF-8": (stream_of(pa.table({"profile": pa.array([b"\xff"]).view(pa.string())})), 400),
        "nobody": (stream_of(good.slice(0, 0)), 200),
        "large strings": (stream_of(pa.table({"profile": pa.array(["{}", None], pa.large_string())})), 200),
        "JSON": (GOOD, 400),
        "nothing": (b"", 400),
    }


@pytest.mark.parametrize("name", arrow_bodies())
def test_arrow_bodies(served: Served, name: str) -> None:
    body, expected = arrow_bodies()[name]
    assert served.ask("POST", "/v1/predict", body, {"Content-Type": ARROW})[0] == expected


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.integers(0, 255))
def test_a_changed_byte_of_an_arrow_stream_ends_nothing(served: Served, at: int, value: int) -> None:
    body = bytearray(stream_of(pa.table({"pid": [1, 2, 3], "profile": ['{"years_experience": 12}', None, "{}"]})))
    body[at % len(body)] = value
    assert served.ask("POST", "/v1/predict", bytes(body), {"Content-Type": ARROW})[0] in {200, 400, 413, 415, 422}


def head(*lines: str, method: str = "POST", path: str = "/v1/predict") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines]).encode("latin-1") + b"\r\n\r\n"


TYPED = f"Content-Type: {JSON}"
RAW: dict[str, tuple[list[bytes], int]] = {  # what is 400 may be refused by uvicorn, before the application sees it
    "no length": ([head(TYPED)], 411),
    "150 MB by length": ([head(TYPED, "Content-Length: 150000000")], 413),
    "a length of 20 digits": ([head(TYPED, "Content-Length: 99999999999999999999")], 400),
    "a negative length": ([head(TYPED, "Content-Length: -1")], 400),
    "two lengths": ([head(TYPED, "Content-Length: 5", "Content-Length: 6")], 400),
    "a list of lengths": ([head(TYPED, "Content-Length: 5, 5")], 400),
    "length and chunks": ([head(TYPED, "Content-Length: 5", "Transfer-Encoding: chunked")], 400),
    "gzip as transfer coding": ([head(TYPED, "Transfer-Encoding: gzip, chunked")], 501),
    "chunks in HTTP/1.0": ([b"POST /v1/predict HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"], 415),
    "no content type": ([head("Content-Length: 2")], 415),
    "text": ([head("Content-Type: text/plain", "Content-Length: 2")], 415),
    "a form": ([head("Content-Type: application/x-www-form-urlencoded", "Content-Length: 2")], 415),
    "multipart": ([head("Content-Type: multipart/form-data; boundary=x", "Content-Length: 2")], 415),
    "JSON with a prefix": ([head("Content-Type: application/jsonp", "Content-Length: 2")], 415),
    "gzip": ([head(TYPED, "Content-Encoding: gzip", "Content-Length: 20")], 415),
    "deflate in chunks": ([head(TYPED, "Content-Encoding: deflate", "Transfer-Encoding: chunked")], 415),
    "a chunk without size": ([head(TYPED, "Transfer-Encoding: chunked"), b"zz\r\n"], 400),
    "a chunk of negative size": ([head(TYPED, "Transfer-Encoding: chunked"), b"-5\r\n"], 400),
    "a chunk that is too long": ([head(TYPED, "Transfer-Encoding: chunked"), b"2\r\n{}x\r\n"], 400),
    "17 MB in chunks": ([head(TYPED, "Transfer-Encoding: chunked"), *[b"f4240\r\n" + b" " * 1_000_000 + b"\r\n"] * 17], 413),
    "endless trailers": ([head(TYPED, "Transfer-Encoding: chunked"), b"0\r\n", *[b"a: " + b"b" * 200 + b"\r\n"] * 300], 431),
    "no host": ([b"GET /health HTTP/1.1\r\n\r\n"], 400),
    "two hosts": ([head("Host: localhost", method="GET", path="/health")], 400),
    "another host": ([b"GET /health HTTP/1.1\r\nHost: rebound.example\r\n\r\n"], 403),
    "a folded header": ([head("X: a", " b", method="GET", path="/health")], 400),
    "a blank before the colon": ([head("X : a", method="GET", path="/health")], 400),
    "a header without colon": ([head("X", method="GET", path="/health")], 400),
    "a bare line feed": ([b"GET /health HTTP/1.1\nHost: localhost\n\n\r\n\r\n"], 400),
    "HTTP/2": ([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], 400),
    "HTTP/0.9": ([b"GET /health\r\n\r\n"], 505),
    "TLS": ([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"], 400),
    "a long head": ([b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n"], 431),
    "many headers": ([head(*[f"a{n}: b" for n in range(120)], method="GET", path="/health")], 431),
    "an unknown expectation": ([head(TYPED, "Content-Length: 2", "Expect: 200-maybe")], 417),
    "an absolute target": ([head(method="GET", path="http://localhost/health")], 200),
    "no such path": ([head(method="GET", path="/v1/secret")], 404),
    "dots": ([head(method="GET", path="/v1/people/../../etc/passwd")], 404),
    "a method that is not possible": ([head("Content-Length: 0", method="DELETE")], 405),
    "a method that is none": ([head("Content-Length: 0", method="FETCH")], 400),
}  # fmt: skip


@pytest.mark.parametrize("name", RAW)
def test_odd_requests(served: Served, name: str) -> None:
    """Each gets its status at once, before a body is read."""
    parts, expected = RAW[name]
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as client:
        try:
            for part in parts:
                client.sendall(part)
        except OSError:
            pass  # the server has answered and closed already
        found = client.recv(65536)
    assert re.match(rb"HTTP/1.1 %d " % expected, found), found[:200]
    assert time.monotonic() - began < 5


def test_chunks_and_pipelines_are_read(served: Served) -> None:
    """A body in chunks of one byte, with an extension and a trailer; 100 Continue; two requests in one packet; HEAD; close."""
    chunks = b"".join(b"1;x=y\r\n%c\r\n" % byte for byte in GOOD) + b"0\r\nTrailer: x\r\n\r\n"
    last = head("Connection: close", method="GET", path="/health")
    found = served.raw(head(TYPED, "Transfer-Encoding: chunked", "Expect: 100-continue"), chunks + last)
    assert found.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    assert found.count(b"HTTP/1.1 200 OK") == 2
    answer = served.raw(head("Connection: close", method="HEAD", path="/health"))
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\r\n\r\n")
    assert served.raw(b"GET /health HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")  # and the server closes


H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")
SIZED, CHUNKED = f"Content-Length: {len(GOOD)}", "Transfer-Encoding: chunked"


@pytest.mark.parametrize("parts", [1, 2, 50])
@pytest.mark.parametrize(("framing", "body"), [(SIZED, GOOD), (CHUNKED, b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD))])
def test_another_protocol_that_is_offered_is_not_taken(served: Served, framing: str, body: bytes, parts: int) -> None:
    """Java's client offers HTTP/2 in each request: its body is read, and so is the next request, in whatever packets they come."""
    sent = head(TYPED, framing, *H2C) + body + head(TYPED, framing, *H2C) + body + head(*H2C, method="GET", path="/health")
    sent += head("Connection: close", method="GET", path="/health")
    size = -(-len(sent) // parts)
    found = served.raw(*(sent[first : first + size] for first in range(0, len(sent), size)))
    assert found.count(b"HTTP/1.1 200 OK") == 4 and found.count(b'"predicted_age"') == 2


def test_bodies_of_another_protocol_are_refused_as_others_are(served: Served) -> None:
    assert served.raw(head(TYPED, "Content-Length: 150000000", *H2C)).startswith(b"HTTP/1.1 413")
    assert served.raw(head(TYPED, CHUNKED, *H2C), b"zz\r\n").startswith(b"HTTP/1.1 400")
    empty = served.raw(head(TYPED, "Content-Length: 0", *H2C) + head("Connection: close", method="GET", path="/health"))
    assert empty.startswith(b"HTTP/1.1 400") and empty.count(b"HTTP/1.1 200 OK") == 1


def test_one_connection_too_many(finished: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told so, and when to come again; those beyond the ones that are told are closed. Others are answered as before."""
    monkeypatch.setattr(uvicorn_server, "REFUSED_CONNECTIONS", 1)
    with server(finished[0]) as served, contextlib.ExitStack() as stack:
        served.application.most_connections = 2
        connected = [stack.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=20)) for _ in range(4)]
        assert connected[3].recv(100) == b""
        connected[2].sendall(head(method="GET", path="/health"))
        refused = connected[2].recv(1000)
        assert refused.startswith(b"HTTP/1.1 503") and b"retry-after: 1" in refused.lower()
        connected[2].close()
        connected[0].close()
        time.sleep(0.2)
        connected[1].sendall(head(method="GET", path="/health"))
        assert connected[1].recv(1000).startswith(b"HTTP/1.1 200")
        assert served.application.connections == 1


@pytest.mark.parametrize(
    ("soft", "hard", "most", "raised"),
    [(1024, 20_000, 4000, 4250), (1024, 1024, 774, 1024), (300, 2000, 1750, 2000), (9000, -1, 4000, 9000)],
)
def test_connections_leave_room_for_files(soft: int, hard: int, most: int, raised: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of open files is raised where it may be; else fewer connections are taken. A list must still be read then."""
    limits = [soft, hard]
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: limits.__setitem__(slice(None), list(wanted)))
    assert (most_connections(4000, 250), limits[0]) == (most, raised)


def test_no_request_waits_for_a_kernel(finished: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel that reads bodies is loaded with the model: compiling it takes seconds."""
    read, scan_items = list[object](), request_scanner.scan_items
    monkeypatch.setattr(request_scanner, "scan_items", lambda *given: read.append(given) or scan_items(*given))
    load_served(Workspace.existing(finished[0]))
    assert read


def test_slow_senders_are_told_and_closed(finished: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A head, a body and chunks that do not go on; a connection that says nothing is closed."""
    with server(finished[0], limits=TimeLimits(head=0.3, body=0.3, linger=0.3)) as served:
        for parts in (
            [b"GET /heal"],
            [head(TYPED, "Content-Length: 50"), b"{"],
            [head(TYPED, "Transfer-Encoding: chunked"), b"5\r\nab"],
        ):
            assert served.raw(*parts).startswith(b"HTTP/1.1 408")
        assert served.raw() == b""
        monkeypatch.setattr(asgi, "MAX_BUFFERED_BYTES", 1000)
        assert served.raw(head(TYPED, "Content-Length: 5000"), b"x" * 2000).startswith(b"HTTP/1.1 503")
        time.sleep(0.1)
        assert served.application.buffered == 0


def keys_file(path: Path) -> Path:
    def entry(name: str, scopes: str, expires: str) -> str:
        digest = hashlib.sha256(f"secret-{name}".encode()).hexdigest()
        return f'[[keys]]\nname = "{name}"\nsha256 = "{digest}"\nscopes = {scopes}\nexpires = {expires}\n'

    path.write_text(
        entry("all", '["predict", "people", "metrics"]', "2099-01-01")
        + entry("one", '["predict"]', "2099-01-01")
        + entry("old", '["predict"]', "2020-01-01")
    )
    return path


def test_keys(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """Missing, wrong, expired: 401; without the scope: 403; both before a body is read. Health needs none."""
    with server(finished[0], keys=read_keys(keys_file(tmp_path / "keys.toml"))) as served:
        for name, predicts, looks_up in (
            ("all", 200, 404),
            ("one", 200, 403),
            ("old", 401, 401),
            ("none", 401, 401),
            ("", 401, 401),
        ):
            key = {"Authorization": f"Bearer secret-{name}"} if name else {}
            assert served.post(GOOD, **key)[0] == predicts, name
            assert served.get("/v1/people/1", **key)[0] == looks_up, name
            assert served.get("/metrics" if looks_up == 403 else "/health", **key)[0] == (403 if looks_up == 403 else 200)
        assert served.get("/v1/model", Authorization="Basic secret-all")[0] == 401
        assert served.raw(head(TYPED, "Content-Length: 1000")).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    "text",
    ["", "keys = 1", "[[keys]]\nname = 'a'", "[[keys]]\nname='a'\nsha256='00'\nscopes=['predict']\nexpires=2030-01-01", "keys = ["],
)
def test_a_file_of_keys_that_cannot_be_used(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.toml").write_text(text)
    with pytest.raises(ConfigError):
        read_keys(tmp_path / "keys.toml")


def test_missing_packages_are_named(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra: one sentence, exit code 2, and what to install."""
    monkeypatch.setattr("predict_age.serving.server.PACKAGES", ("asyncio", "not_installed_here"))
    said = cli("serve", "--workspace", tiny / "w", check=2).stderr
    assert "not_installed_here" in said and "asyncio" not in said and "predict-age[serve]" in said and "uv tool" in said


def test_other_addresses_need_keys(finished: tuple[Path, dict[str, Any]]) -> None:
    for host in ("0.0.0.0", "192.0.2.1", "::", "example.org"):
        with pytest.raises(ConfigError):
            serve(Workspace.existing(finished[0]), ServerSettings(host, 0), print)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, people_rows: list[dict[str, Any]]) -> Path:
    """A workspace with one published run of 300 people; tests copy it."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "people.jsonl").write_text("\n".join(json.dumps(r) for r in people_rows[:300]))
    assert tiny_run(folder / "people.jsonl", folder / "w").code == 0
    return folder


@pytest.fixture
def copied(tiny: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny, tmp_path / "tiny")
    return tmp_path / "tiny" / "w"


def test_hidden_people_have_no_number_at_once(copied: Path) -> None:
    """Suppressed while the server runs: no row, no prediction, and the same answer as for somebody unknown. A lost list: 503."""
    rows = {r[0]: r for r in result_rows(copied)}
    pid = next(p for p, r in rows.items() if r[4] == "ML_PREDICTION")
    with server(copied) as served:
        item = {"pid": pid, "profile": {"years_experience": 12}}
        assert served.get(f"/v1/people/{pid}")[0] == 200
        assert served.post(item)[1]["predicted_age"] is not None
        pids = copied.parent / "pids"
        pids.write_text(f"{pid}\n")
        cli("suppress", "--workspace", copied, "--pid-file", pids)
        assert served.service.watch.list_changed()
        served.service.watch.read_list()
        unknown = served.ask("GET", "/v1/people/987654321")
        assert served.ask("GET", f"/v1/people/{pid}") == unknown and unknown[0] == 404
        assert served.post({"pids": [pid, 987654321]}, path="/v1/people:lookup")[1]["people"] == [None, None]
        assert served.post(item | {"explain": True})[1]["explanation"] is None
        for answer in (served.post(item)[1], served.post([item])[1]["answers"][0]):
            assert numbers(answer) == (None,) * 5
            assert (answer["usable"], answer["reason"]) == (False, "not_available")
        table = pa.table({"pid": [pid, 5], "profile": ['{"years_experience": 12}'] * 2})
        found = (
            pa.ipc.open_stream(served.ask("POST", "/v1/predict", stream_of(table), {"Content-Type": ARROW})[2])
            .read_all()
            .to_pylist()
        )
        assert numbers(found[0]) == (None,) * 5 and found[1]["predicted_age"]
        (copied / "suppression" / "key").unlink()
        served.service.watch.read_list()
        assert [
            served.post(item)[0],
            served.get("/v1/people/5")[0],
            served.get("/health")[0],
            served.get("/v2/health/ready")[0],
        ] == [503] * 4
        assert any("nothing about people" in sentence for sentence in served.said)


def test_a_list_that_is_replaced_twice_within_a_second(copied: Path) -> None:
    """The hashes of a list are read when the list is: the file is removed by the next generation, before anybody was asked about."""
    pids = [r[0] for r in result_rows(copied) if r[4] == "ML_PREDICTION"][:2]
    with server(copied) as served:
        for pid in pids:
            (copied.parent / "pids").write_text(f"{pid}\n")
            cli("suppress", "--workspace", copied, "--pid-file", copied.parent / "pids")
            if pid == pids[0]:
                served.service.watch.read_list()
        assert [served.get(f"/v1/people/{pid}")[0] for pid in pids] == [404, 200]
        served.service.watch.read_list()
        assert [served.get(f"/v1/people/{pid}")[0] for pid in pids] == [404, 404]


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), ValueError("no list")])
def test_a_list_that_cannot_be_read_for_a_moment(copied: Path, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing about people is answered meanwhile, whatever the error; the list is read again although no file has changed."""
    with server(copied) as served:
        watch = served.service.watch
        with monkeypatch.context() as patch:
            patch.setattr("predict_age.serving.served_model.read_suppression_list", Mock(side_effect=error))
            watch.read_list()
            assert (served.post(GOOD)[0], served.get("/health")[1]["status"]) == (503, "failing")
        assert watch.list_changed()
        watch.read_list()
        assert (served.post(GOOD)[0], watch.list_changed()) == (200, False)
        assert served.said[-1] == "the suppression list can be used again"


def test_a_run_is_taken_up_while_the_list_is_replaced(copied: Path) -> None:
    """The hashes that the server uses are gone, and were never needed for the new run: the newer list is read, nothing is refused."""
    pids = [r[0] for r in result_rows(copied) if r[4] == "ML_PREDICTION"][:2]

    def suppress(pid: int) -> None:
        (copied.parent / "pids").write_text(f"{pid}\n")
        cli("suppress", "--workspace", copied, "--pid-file", copied.parent / "pids")

    with server(copied) as served:
        suppress(pids[0])
        served.service.watch.read_list()
        made = tiny_run(copied.parent / "people.jsonl", copied, "--timestamp", "2026-10-24T10:00:00Z", "--model", "champion")
        suppress(pids[1])
        _table.cache_clear()  # the run of this process has read the hashes, that of another process has not
        served.service.watch.follow_pointer()
        assert (served.post(GOOD)[1]["run_id"], served.service.watch.refusals) == (made.run["run_id"], 0)
        assert [served.get(f"/v1/people/{pid}")[0] for pid in pids] == [404, 404]


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/people:lookup"])
def test_a_list_that_changes_during_a_large_request(copied: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is by the newer list, also about people who were looked at before it came."""
    pids = [r[0] for r in result_rows(copied) if r[4] == "ML_PREDICTION"][:20]
    (copied.parent / "pids").write_text(f"{pids[0]}\n")
    with server(copied) as served:
        watch, large = served.service.watch, served.service.large

        async def changing(work: Generator[None, None, Any]) -> Any:
            for _ in range(10):
                next(work)
            watch.read_list()
            return all_of(work)

        cli("suppress", "--workspace", copied, "--pid-file", copied.parent / "pids")
        monkeypatch.setattr(large, "result", changing)
        profile = {"years_experience": 12}
        body = [{"pid": pid, "profile": profile} for pid in pids * 50] if path == "/v1/predict" else {"pids": pids}
        answer = served.post(body, path=path)[1]
        if path == "/v1/predict":
            ages = [a["predicted_age"] for a in answer["answers"][:20]]
            assert answer["answers"][0]["reason"] == "not_available"
        else:
            ages = [p and p["predicted_age"] for p in answer["people"]]
        assert ages[0] is None and None not in ages[1:]


def test_the_workspace_is_followed_whatever_else_fails(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full for counters, and a stderr that nobody reads: a change of the list counts all the same."""
    monkeypatch.setattr("predict_age.serving.server.POLL_SECONDS", 0.01)
    gone = Mock(side_effect=BrokenPipeError)
    with server(copied) as served:
        service = served.service
        service.watch.notice = _unfailing(gone)
        service.others = Mock(write=Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
        (copied / "published.json").write_text("{")

        async def follow() -> None:
            following = asyncio.ensure_future(_follow(service))
            await asyncio.sleep(0.3)
            assert not following.done()
            following.cancel()

        asyncio.run(follow())
        assert gone.called and service.watch.refusals == 1


def test_an_unknown_error_of_a_new_run_ends_nothing(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong while a new run is loaded, the one before is served on, and the new one is tried again."""
    with server(copied) as served:
        watch = served.service.watch
        update_pointer(Workspace(copied).documents, lambda now: replace(now, champion="somewhere-else"))
        monkeypatch.setattr("predict_age.serving.served_model.load_served", lambda *_: 1 / 0)
        watch.follow_pointer()
        assert (served.post(GOOD)[0], watch.refusals, watch.model_problem) == (200, 1, "ZeroDivisionError")
        assert not watch.pointer_changed()
        monkeypatch.setattr("predict_age.serving.served_model.RETRY_SECONDS", 0)
        assert watch.pointer_changed()


def test_reasons_come_when_they_are_asked_for(served: Served) -> None:
    """They come for one profile, in arrays and in lines, and add up to the answer. Nobody without a number has any."""
    asked = json.loads(GOOD) | {"explain": True}
    answer = served.post(asked)[1]
    told = answer["explanation"]
    assert sum(r["years"] for r in told["reasons"]) + told["base_age"] + told["rounding"] == pytest.approx(answer["predicted_age"])
    assert {r["feature"] for r in told["reasons"]} == {"years_experience", "job_level"} and told["sets"] == 4
    nobody = {"profile": {}, "explain": True}
    items = [json.loads(GOOD), asked, nobody, {"profile": {}, "explain": 1}, asked | {"explain": False}]
    answers = served.post(items)[1]["answers"]
    assert ["explanation" in a for a in answers] == [False, True, True, False, False]
    assert answers[1]["explanation"] == told and answers[2]["explanation"] is None
    assert answers[3]["problem"]["errors"] == [{"pointer": "/3/explain", "expected": "true or false"}]
    lines = served.ask("POST", "/v1/predict", b"\n".join(json.dumps(i).encode() for i in items), {"Content-Type": NDJSON})[2]
    assert json.loads(lines.splitlines()[1])["explanation"] == told
    assert served.post([asked] * 201)[0] == 413


def test_withheld_people_have_no_number(served: Served, finished: tuple[Path, dict[str, Any]]) -> None:
    pid = next(r[0] for r in result_rows(finished[0]) if r[4] == "WITHHELD")
    answer = served.get(f"/v1/people/{pid}")[1]
    assert (answer["predicted_age"], answer["age_lower"], answer["age_upper"], answer["confidence_pct"], answer["usable"]) == (
        None,
    ) * 4 + (False,)


def test_a_published_run_is_served_and_a_damaged_one_is_not(copied: Path) -> None:
    """Requests of one moment see one model. The new model is checked first; when it is damaged the old one serves on."""
    with server(copied) as served:
        first = served.post(GOOD)[1]["run_id"]
        watch = served.service.watch
        assert not watch.pointer_changed()
        tiny_run(
            copied.parent / "people.jsonl",
            copied,
            "--timestamp",
            "2026-10-24T10:00:00Z",
            config=TINY.replace("rounds = 3", "rounds = 4", 1),
        )
        assert watch.pointer_changed()
        watch.follow_pointer()
        second = served.post(GOOD)[1]["run_id"]
        assert second != first and watch.swaps == 1 and not watch.pointer_changed()
        runs = served.get("/v1/runs")[1]["runs"]
        assert [r["run_id"] for r in runs if r["current"]] == [second]
        cli("rollback", "--workspace", copied, "--to", first)
        watch.follow_pointer()
        assert served.post(GOOD)[1]["run_id"] == first
        model = copied / "runs" / second / "model" / "boosted.ubj"
        model.write_bytes(model.read_bytes()[:-1] + b"x")
        update_pointer(Workspace(copied).documents, lambda now: replace(now, current=second, champion=second))
        watch.follow_pointer()
        assert served.post(GOOD)[1]["run_id"] == first
        assert (watch.refusals, served.get("/health")[1]["status"]) == (1, "refused a model")
        (copied / "published.json").write_text("{")
        watch.read_list()
        watch.follow_pointer()
        assert served.post(GOOD)[1]["run_id"] == first
        assert any("refused" in sentence for sentence in served.said)
        assert b"predict_age_model_refused 1" in served.ask("GET", "/metrics")[2]


def test_a_model_that_does_not_repeat_known_answers_is_not_served(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules that are not those of the run give published people other answers: the server does not start."""
    from predict_age.predictor import loading

    honest = loading.DeliveryRules
    monkeypatch.setattr(loading, "DeliveryRules", lambda run, as_of, *more: honest(run, as_of.replace(year=as_of.year + 3), *more))
    with pytest.raises(IntegrityError, match="another answer"), server(copied):
        pass


def test_entity_tags(served: Served) -> None:
    status, headers, body = served.ask("GET", "/v1/model")
    assert status == 200
    model = json.loads(body)
    assert (model["paths"]["tenure_years"], model["paths"]["years_since_graduation"]) == ("tenure_months", "education[0].end_year")
    assert set(model["paths"]) <= set(model["features"])
    row = next(r for r in result_rows(served.service.watch.workspace.root) if r[4] == "ML_PREDICTION")
    assert served.ask("GET", f"/v1/people/{row[0]}", None, {"If-None-Match": headers["etag"]})[0] == 304
    assert served.ask("GET", f"/v1/people/{row[0]}", None, {"If-None-Match": '"other"'})[0] == 200


def test_every_route_is_in_the_document(served: Served) -> None:
    """The OpenAPI document lists the routes that there are, and every reference leads somewhere."""
    status, document = served.get("/openapi.json")
    assert (status, document["openapi"]) == (200, "3.1.0")
    listed = {re.sub(r"\{.*", "", path) for path in document["paths"]}
    assert listed == {route.path for route in served.service.routes}
    names = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(openapi_document("1", Examples()))))
    assert names <= set(document["components"]["schemas"])
    for path, operations in document["paths"].items():
        if "get" in operations and "{" not in path:
            assert served.ask("GET", path)[0] == 200


def test_a_command_of_the_page_can_be_pasted() -> None:
    """Letters of all alphabets as they are, and quotes for a shell."""
    call = openapi_document("1", Examples({"Antigüedad d'hier": 12}))["paths"]["/v1/predict"]["post"]  # type: ignore[index]
    words = shlex.split(_command("/v1/predict", call, "localhost:8080", False))
    assert json.loads(words[-1]) == call["requestBody"]["content"][JSON]["example"]
    assert "Antigüedad d'hier" in words[-1]


def test_answers_about_people_have_the_form_that_the_document_says(served: Served, finished: tuple[Path, dict[str, Any]]) -> None:
    """One person of each source of ages, known and withheld included, alone and with others; and an empty cursor."""
    document = served.get("/openapi.json")[1]
    people = {row[4]: row[0] for row in result_rows(finished[0])}
    assert {"ML_PREDICTION", "WITHHELD", "EXISTING_BIRTH_YEAR"} <= set(people)

    def check(answer: Any, name: str) -> None:
        jsonschema.validate(answer, {"$ref": f"#/components/schemas/{name}", "components": document["components"]})

    for pid in people.values():
        check(served.get(f"/v1/people/{pid}")[1], "Person")
    check(served.post({"pids": [*people.values(), 987654321]}, path="/v1/people:lookup")[1], "People")
    after = next(one for one in document["paths"]["/v1/runs"]["get"]["parameters"] if one["name"] == "after")
    assert re.search(after["schema"]["pattern"], "") and served.get("/v1/runs?after=")[0] == 200


def test_the_page_of_the_api(served: Served) -> None:
    """Every operation and object of the document, links that lead somewhere, commands with the host that was asked; no script."""
    status, headers, body = served.ask("GET", "/", None, {"Host": "127.0.0.1:9000"})
    text = body.decode()
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert headers["content-security-policy"].startswith("default-src 'none'")
    document = openapi_document("1", Examples())
    for path, operations in document["paths"].items():  # type: ignore[attr-defined]
        for operation in operations.values():
            assert f'id="{operation["operationId"]}"' in text
            assert f"<code>{path}</code>" in text
    targets = set(re.findall(r'id="(\w+)"', text))
    assert set(re.findall(r'href="#(\w+)"', text)) <= targets
    assert set(document["components"]["schemas"]) <= targets  # type: ignore[index]
    assert "curl -s 127.0.0.1:9000/v1/people/1<" in text and "$KEY" not in text
    example = document_of(served.service.watch.served, False)["paths"]["/v1/predict"]["post"]["requestBody"]["content"][JSON][
        "example"
    ]  # type: ignore[index]
    answer = served.post(json.dumps(example).encode())[1]
    assert example["profile"] and answer["pid"] == example["pid"] and answer["prediction_source"] != "DEFAULT"
    others = Service(served.service.watch, None, behind_gateway=True)
    assert '"profile": {}' in json.dumps(document_of(served.service.watch.served, others.wants_key))
    call = RoutedCall(Request("GET", "/", "", {}), None, "")
    assert "$KEY" in others._page(call).body.decode()
    assert "<script" not in text
    assert "src=" not in text
    assert not re.search(r"//(?!www.w3.org)", re.sub(r"<code>.*?</code>", "", text)), "an address elsewhere"
    odd = served.ask("GET", "/", None, {"Host": "localhost:80$(x)<b>"})
    assert odd[0] in (400, 403) or b"$(x)" not in odd[2]
    assert served.ask("GET", "/v1/people/", None)[0] == 404
    assert served.ask("GET", "/abc", None)[0] == 404
    assert served.ask("POST", "/", b"x", {"Content-Type": "application/json"})[0] == 405


def test_runs_come_in_pages(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Newest first, by the cursor that the page before named; queries that are none are refused; an unchanged page is 304."""
    quarters = {f"{year}q{n}": f"run-{year}{n}" for year in (2024, 2025) for n in (1, 2, 3)}
    published = replace(served.service.watch.workspace.published, quarters=quarters, current="run-20253")
    monkeypatch.setattr(Workspace, "published", property(lambda _: published))
    shown, path = [], "/v1/runs?limit=4"
    for _ in range(2):
        page = served.get(path)[1]
        shown += [run["quarter"] for run in page["runs"]]
        path = f"/v1/runs?limit=4&after={page['next']}"
    assert shown == sorted(quarters, reverse=True) and page["next"] is None and page["runs"][0]["current"] is False
    for query in (
        "limit=0",
        "limit=1001",
        "limit=x",
        "after=5",
        "other=1",
        "limit",
        "limit=1&limit=2",
        "%",
        "&&",
        "limit=1&after=2024q1&x=1",
    ):
        assert served.get(f"/v1/runs?{query}")[0] == 422, query
    status, headers, _ = served.ask("GET", "/v1/runs")
    assert status == 200 and served.ask("GET", "/v1/runs", None, {"If-None-Match": headers["etag"]})[0] == 304


def test_large_requests_say_how_many_more_are_taken(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    large = b"[" + b",".join([GOOD] * 300) + b"]"
    kind = {"Content-Type": JSON}
    headers = served.ask("POST", "/v1/predict", large, kind)[1]
    assert (headers["ratelimit"], headers["ratelimit-policy"]) == ('"large";r=32;t=1', '"large";q=32;qu="concurrent-requests"')
    monkeypatch.setattr(served.service.large, "pending", 32)
    status, headers, _ = served.ask("POST", "/v1/predict", large, kind)
    assert (status, headers["retry-after"], headers["ratelimit"]) == (429, "1", '"large";r=0;t=1')
    assert served.post(GOOD)[0] == 200


def test_open_inference_protocol(served: Served) -> None:
    assert served.get("/v2/health/live")[1] == {"live": True}
    assert served.get("/v2/health/ready")[1] == {"ready": True}
    assert served.get("/v2/models/predict-age/ready")[1]["ready"] is True
    assert served.get("/v2/models/other/ready")[0] == 404


def test_nothing_of_a_request_is_in_logs_and_metrics(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    """Texts of profiles, keys of objects, ids and paths, in good and in bad requests."""
    bodies = [
        json.dumps({"pid": 777000111, "profile": {"current_title": CANARY}}),
        f'{{"{CANARY}": 1}}',
        f'{{"profile": "{CANARY}"',
        f"{CANARY}",
    ]
    problems = b""
    for body in bodies:
        problems += served.ask("POST", "/v1/predict", body.encode(), {"Content-Type": JSON, "X-Trace": CANARY})[2]
    problems += (
        served.ask("GET", f"/v1/people/{CANARY}")[2]
        + served.ask("GET", f"/{CANARY}")[2]
        + served.ask("GET", "/v1/people/777000111")[2]
    )
    metrics = served.ask("GET", "/metrics")[2]
    heard = capfd.readouterr()
    shown = problems.replace(b'"pid": 777000111', b"") + metrics + (heard.out + heard.err + "".join(served.said)).encode()
    assert CANARY.encode() not in shown and b"777000111" not in shown
    assert b'predict_age_requests_total{route="/v1/predict",status="422"}' in metrics


def test_a_failure_is_told_without_the_request(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error inside the server is a 500 without details, and the server goes on."""
    monkeypatch.setattr("predict_age.serving.prediction.Prediction.answers", lambda *_: 1 / 0)
    status, problem = served.post(GOOD)
    assert (status, CANARY in json.dumps(problem)) == (500, False)
    monkeypatch.undo()
    assert served.post(GOOD)[0] == 200
    assert "a request failed: ZeroDivisionError" in served.said


def test_the_command_serves_and_drains(tiny: Path) -> None:
    """Port 0, a request, then SIGTERM in the middle of one: it is answered, and the process ends with 0."""
    command = [sys.executable, "-m", "predict_age", "serve", "--workspace", str(tiny / "w"), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ}) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        port = int(re.search(r":(\d+) ", said).group(1))  # type: ignore[union-attr]
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client, socket.create_connection(("127.0.0.1", port)):
            client.sendall(head(TYPED, f"Content-Length: {len(GOOD)}") + GOOD[:10])
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            client.sendall(GOOD[10:])
            found = b""
            while part := client.recv(65536):
                found += part
        assert process.wait(10) == 0
        assert found.startswith(b"HTTP/1.1 200") and b"connection: close" in found.lower()
        assert process.stderr.read() == "predict-age: stopped\n", "and nothing of libraries"


def test_a_port_in_use_and_an_empty_workspace(tiny: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = cli("serve", "--workspace", tiny / "w", "--port", taken.getsockname()[1], check=6)
    assert "port" in done.stderr
    (tmp_path / "runs").mkdir()
    assert "nothing is published" in cli("serve", "--workspace", tmp_path, check=2).stderr


def test_many_profiles_do_not_make_single_ones_wait(served: Served) -> None:
    """While 10,000 profiles are predicted, a single one is answered; a 33rd such request at once is refused."""
    many = b"[" + b",".join([GOOD] * 10_000) + b"]"
    done: list[int] = []
    worker = threading.Thread(target=lambda: done.append(served.post(many)[0]))
    worker.start()
    while not served.service.large.pending and worker.is_alive():
        time.sleep(0.001)
    answered = 0
    while worker.is_alive():
        assert served.post(GOOD)[0] == 200
        answered += 1
    assert done == [200] and answered >= 3
    served.service.large.pending += 32
    try:
        status, headers, _ = served.ask("POST", "/v1/predict", many, {"Content-Type": JSON})
        assert (status, headers["retry-after"]) == (429, "1")
    finally:
        served.service.large.pending -= 32


def test_dates_of_keys_are_days(tmp_path: Path) -> None:
    """A key is valid on its last day and not on the next."""
    keys = read_keys(keys_file(tmp_path / "keys.toml"))
    keys.check("Bearer secret-old", "predict", dt.date(2020, 1, 1))
    with pytest.raises(Exception, match="valid key"):
        keys.check("Bearer secret-old", "predict", dt.date(2020, 1, 2))
