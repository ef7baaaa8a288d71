"""S3 that misbehaves: nothing is lost, nothing is doubled, and what cannot be mended is said in one sentence."""

import gzip
import hashlib
import random
import time
import types
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from cloud.proxy import Faults, between
from predict_age.aws import s3_store as module
from predict_age.aws.execution_lease import HeldLease, acquire_execution_lease, current_execution_lease, release_execution_lease
from predict_age.aws.s3_documents import S3Documents
from predict_age.aws.s3_store import Store
from predict_age.errors import BusyError, InputError, IntegrityError, LeaseLostError, ResourceError
from predict_age.source import filesystem, iceberg_table
from predict_age.source.discovery import discover
from predict_age.source.parquet_file import damaged_parquet, open_parquet
from predict_age.source.text_stream import utf8_blocks
from predict_age.storage.documents import ConflictError
from predict_age.storage.publication import publish, read_published

pytestmark = [pytest.mark.xdist_group("cloud"), pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of an S3 that does not misbehave; each test has a bucket of its own."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Store, Faults]]:
    """A store behind a faulty network, without the waits between tries."""
    for name, value in {"AWS_ACCESS_KEY_ID": "root", "AWS_SECRET_ACCESS_KEY": "root", "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("botocore.endpoint.time", types.SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr(module, "READ_SECONDS", 1)
    with between(server) as (address, faults):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        made = Store(f"bucket-{time.time_ns()}", "predict-age")
        made.s3.create_bucket(Bucket=made.bucket)
        yield made, faults


@pytest.mark.parametrize(
    "burst", [["busy"] * 4, ["busy"] * 6, ["reset"] * 3, ["stall"], ["lost"], ["lost", "busy", "lost"], ["reset", "stall", "busy"]]
)
def test_a_put_survives(s3: tuple[Store, Faults], burst: list[str]) -> None:
    """After every burst the object is there, once, with its content; a put that was repeated is no conflict with itself."""
    store, faults = s3
    faults.next = list(burst)
    store.put("a", b"first", None)
    assert faults.next == []
    assert store.get("a") is not None
    assert [n for n, _ in store.names("")] == ["a"]
    with pytest.raises(ConflictError):
        store.put("a", b"other", None)
    faults.next = list(burst)
    store.put("a", b"second", store.head("a").tag)
    assert store.get("a")[0] == b"second"


def test_an_object_that_stays_when_it_is_deleted_is_said(s3: tuple[Store, Faults], monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 answers a deletion of many objects with the ones that it refused, and without an error."""
    store, _ = s3
    refused = {"Errors": [{"Key": "predict-age/a", "Code": "AccessDenied"}]}
    monkeypatch.setattr(store, "s3", types.SimpleNamespace(delete_objects=lambda **_: refused))
    with pytest.raises(ResourceError, match="1 objects could not be deleted"):
        store.delete(["a", "b"])


@pytest.mark.parametrize("burst", [["busy"] * 6, ["reset"] * 2, ["half"], ["stall", "half"], ["lost"]])
def test_a_fetch_survives(s3: tuple[Store, Faults], burst: list[str], tmp_path: Path) -> None:
    """The file is whole or not there; half a reply is never taken for the object."""
    store, faults = s3
    data = bytes(range(256)) * 400
    store.put("a", data, None)
    faults.next = list(burst)
    faults.concerns = lambda method, path: method == "GET"
    digest = store.head("a").sha256
    for _ in range(3):  # the body breaks off after boto has handed it over: the caller asks again
        try:
            store.fetch("a", tmp_path / "a", digest)
            break
        except ResourceError:
            assert not (tmp_path / "a").exists()
    assert (tmp_path / "a").read_bytes() == data


def test_damage_is_found(s3: tuple[Store, Faults], tmp_path: Path) -> None:
    """Another content under the same name is never used, a missing one is said to be missing."""
    store, _ = s3
    store.put("a", b"content", None)
    digest = store.head("a").sha256
    store.s3.put_object(Bucket=store.bucket, Key=store.key("a"), Body=b"changed")
    with pytest.raises(IntegrityError, match="damaged"):
        store.fetch("a", tmp_path / "a", digest)
    with pytest.raises(IntegrityError, match="missing"):
        store.fetch("b", tmp_path / "b", digest)
    assert not list(tmp_path.iterdir())
    store.put_part("a", b"content")
    assert store.get("a")[0] == b"content"


@pytest.mark.parametrize(
    ("fault", "said"),
    [("busy", "SlowDown"), ("expired", "sign in again"), ("denied", "give this role the right"), ("reset", "try again")],
)
def test_for_ever_is_one_sentence(s3: tuple[Store, Faults], fault: str, said: str) -> None:
    """A fault that does not go away ends with what was tried, what came back, and what to do."""
    store, faults = s3
    faults.for_ever = fault
    for call in (lambda: store.get("a"), lambda: store.put("a", b"x", None), lambda: list(store.names("")), store.check_reachable):
        with pytest.raises(ResourceError) as caught:
            call()
        text = str(caught.value)
        assert said in text or "403" in text or "400" in text or "503" in text, text  # HEAD has no body to say more
        assert store.bucket in text
    assert len(faults.seen) < 60


@pytest.mark.parametrize("fault", ["busy", "reset"])
def test_a_source_that_s3_does_not_hand_out_is_not_damaged(
    s3: tuple[Store, Faults], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str
) -> None:
    """Nobody is told to replace a file because S3 gave no answer, and the state machine tries again (6, not 3)."""
    store, faults = s3
    monkeypatch.setattr(filesystem, "ATTEMPTS", 1)
    filesystem._s3.cache_clear()
    pq.write_table(pa.table({"pid": [1], "profile_json": ["{}"]}), tmp_path / "a.parquet")
    contents = {"a.parquet": (tmp_path / "a.parquet").read_bytes(), "b.jsonl": b"{}\n", "c.jsonl.gz": gzip.compress(b"{}\n")}
    for name, content in contents.items():
        store.put(name, content, None)
    files = discover(store.url(""))
    assert [Path(file.path).name for file in files] == list(contents)
    opened = open_parquet(files[0].path)
    faults.for_ever = fault
    asked: list[Callable[[], object]] = [
        lambda: discover(store.url("")),
        *(file.check_unchanged for file in files),
        *(partial(filesystem.head, file.path, 10, file.compression) for file in files),
        *(partial(list, utf8_blocks(file)) for file in files[1:]),
        lambda: open_parquet(files[0].path),
        lambda: iceberg_table._bytes("t", files[1].path),
    ]
    for ask in asked:
        with pytest.raises(ResourceError, match="S3 does not hand out"):
            ask()
    with pytest.raises(OSError) as caught:
        opened.read()
    assert isinstance(damaged_parquet(files[0].path, 0, caught.value), ResourceError)
    faults.for_ever = ""
    store.delete([*contents])  # between two looks at the source
    for file in files[1:]:
        for ask in (file.check_unchanged, partial(list, utf8_blocks(file))):
            with pytest.raises(InputError, match="cannot be read any more"):
                ask()
    filesystem._s3.cache_clear()


def test_wrong_endpoint_is_found_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens there: an error in less than ten seconds, before any work."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    began = time.monotonic()
    with pytest.raises(ResourceError, match="check endpoint, region and network"):
        Store("some-bucket", "p").check_reachable()
    assert time.monotonic() - began < 10


def test_records_and_lease(s3: tuple[Store, Faults]) -> None:
    """A lost reply to a conditional put is no conflict; one holder at a time; who comes late publishes nothing."""
    store, faults = s3
    documents = S3Documents(store)
    faults.next = ["lost"]
    faults.concerns = lambda method, path: method == "PUT"
    documents.put("x", {"a": 1}, None)
    with pytest.raises(ConflictError):
        documents.put("x", {"a": 2}, None)
    running = {"arn:1"}
    first = acquire_execution_lease(documents, "arn:1", "r1", running.__contains__)
    assert acquire_execution_lease(documents, "arn:1", "r1", running.__contains__) == first, "the same execution keeps its claim"
    with pytest.raises(BusyError, match="one execution at a time"):
        acquire_execution_lease(documents, "arn:2", "r2", running.__contains__)
    running.clear()
    faults.next = ["lost", "busy", "lost"]
    second = acquire_execution_lease(documents, "arn:2", "r2", running.__contains__)
    assert second.token == first.token + 1
    with pytest.raises(LeaseLostError):
        HeldLease(documents, first.token).check()
    with pytest.raises(LeaseLostError):
        publish(documents, first.token, "r1", "2025q3", "hash")
    assert read_published(documents).current == ""
    publish(documents, second.token, "r2", "2025q3", "hash")
    release_execution_lease(documents, first.token)
    assert not current_execution_lease(documents).released
    release_execution_lease(documents, second.token)
    assert current_execution_lease(documents).released


@pytest.fixture
def large(s3: tuple[Store, Faults], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file that is stored in three parts: 5 MiB are the least that S3 takes."""
    monkeypatch.setattr(module, "LARGE_BYTES", 1 << 20)
    monkeypatch.setattr(module, "PART_BYTES", 5 << 20)
    monkeypatch.setattr(module, "READ_SECONDS", 5)
    path = tmp_path / "large"
    path.write_bytes(random.Random(1).randbytes((11 << 20) + 7))
    return path


def unfinished(store: Store) -> list[object]:
    return store.s3.list_multipart_uploads(Bucket=store.bucket).get("Uploads", [])


def test_a_large_file_is_stored_in_parts(s3: tuple[Store, Faults], large: Path, tmp_path: Path) -> None:
    """... whole, with its hash, under the same conditions, and once; nothing unfinished stays behind."""
    store, _ = s3
    store.put("a", large, None)
    assert store.head("a").tag.rstrip('"').endswith("-3")
    assert store.head("a").sha256 == hashlib.sha256(large.read_bytes()).hexdigest()
    store.fetch("a", tmp_path / "back", hashlib.sha256(large.read_bytes()).hexdigest())
    store.put("a", large, None)  # itself is no conflict
    tag = store.head("a").tag
    other = tmp_path / "other"
    other.write_bytes(large.read_bytes()[::-1])
    with pytest.raises(ConflictError):
        store.put("a", other, None)
    assert (store.head("a").tag, unfinished(store)) == (tag, [])
    store.put_part("a", other)
    assert store.get("a")[0] == other.read_bytes()


@pytest.mark.parametrize("burst", [["busy"] * 4, ["reset"] * 3, ["lost"], [*[""] * 4, "lost"], [*[""] * 4, "busy", "lost"]])
def test_a_large_file_survives(s3: tuple[Store, Faults], large: Path, burst: list[str]) -> None:
    """A burst at any request: the beginning, a part, or the end, whose reply may be lost."""
    store, faults = s3
    faults.next = list(burst)
    store.put("a", large, None)
    assert store.get("a")[0] == large.read_bytes()


@pytest.mark.parametrize("name", ["suppression/list.json", "published.json"])
def test_a_missing_object_may_look_refused(s3: tuple[Store, Faults], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Where a role may list some names only. An object that is there and refused stays an error, also when nothing may be listed."""
    store, _ = s3

    def refused(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject")

    monkeypatch.setattr(store.s3, "head_object", refused)
    monkeypatch.setattr(store.s3, "get_object", refused)
    store.put_part(f"{name}.other", b"x")
    assert store.head(name) is None and store.get(name) is None
    store.put_part(name, b"x")
    for read in (store.head, store.get):
        with pytest.raises(ResourceError, match="refused"):
            read(name)
    store.delete([name])
    monkeypatch.setattr(store.s3, "get_paginator", lambda _: refused())
    with pytest.raises(ResourceError, match="refused"):
        store.get(name)
