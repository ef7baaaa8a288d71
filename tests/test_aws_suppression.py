"""The suppression list of a workspace in S3: the same command, the same list, and the task that reads the source obeys it."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import boto3
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import TINY, cli
from faults import InlinePool
from personal_traces import traces
from planted_people import plant
from predict_age.aws import tasks
from predict_age.aws.execution_lease import acquire_execution_lease
from predict_age.aws.hidden_people import hide_from_view
from predict_age.aws.lambdas import old_runs
from predict_age.aws.lambdas.rollback import roll_back_tables
from predict_age.aws.object_names import HIDDEN_PEOPLE_FILE, hidden_people_salt
from predict_age.aws.run_mirror import Job
from predict_age.aws.s3_documents import S3Documents
from predict_age.aws.s3_store import Store
from predict_age.errors import ConfigError
from predict_age.pipeline.suppress import changed_entries, parse_ids
from predict_age.source.id_hashes import keyed_hashes
from predict_age.source.suppression import Entries
from predict_age.storage.durable_files import hashed_json
from predict_age.storage.publication import note_suppression_list, read_published
from predict_age.storage.workspace import RunFolder
from test_aws_cleanup import BUCKET, local_run, merged_run, store  # noqa: F401 - fixtures
from test_suppression import GIVEN, GIVEN_PIDS, KEY

pytestmark = pytest.mark.filterwarnings("default")
WORKSPACE = f"s3://{BUCKET}/predict-age"


@pytest.fixture
def space(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:  # noqa: F811
    """The store of a workspace whose executions have all ended."""
    monkeypatch.setattr(old_runs, "execution_is_running", lambda _: False)
    yield store


def suppress(folder: Path, ids: list[Any], *more: object, check: int = 0) -> Any:
    (folder / "ids").write_text("".join(f"{i}\n" for i in ids))
    done = cli("suppress", "--workspace", WORKSPACE, "--pid-file", folder / "ids", "--json", *more, check=check)
    return json.loads(done.stdout) if check == 0 else done.stderr


def train(store: Store, source: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, run_id: str) -> Job:  # noqa: F811
    """The task that reads the source and trains, in this process."""
    monkeypatch.setattr(tasks, "Pool", InlinePool)
    token = acquire_execution_lease(S3Documents(store), run_id, run_id, lambda _: False).token
    job = Job(store, run_id, token)
    request = {
        "source": str(source),
        "as_of": "2025-10-23",
        "time": "2025-10-23T06:00:00+00:00",
        "config": "c.toml",
        "run_id": run_id,
    }
    store.put_part(job.name("request.json"), hashed_json(request).encode())
    store.put_part("c.toml", TINY.encode())
    tasks.train(job, scratch)
    return job


def test_the_command_changes_the_list_in_the_bucket(space: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Added, released, checked; the key is encrypted with KMS; old hashes go; the pointer names the newest list; busy: 75."""
    assert suppress(tmp_path, [5, 6, 7])["generation"] == 1
    assert suppress(tmp_path, [7, 8])["changed"] == 1
    assert suppress(tmp_path, [5], "--remove") == {
        "generation": 3, "listed": 3, "given": 1, "changed": 1, "unchanged": 0, "in_result": None, "hidden": None, "released": 0,
    }  # fmt: skip
    checked = suppress(tmp_path, [5, 6, 9], "--check")
    assert [checked[name] for name in ("unchanged", "changed", "released")] == [1, 2, 1]
    assert suppress(tmp_path, [6])["generation"] == 3, "nothing to do"
    assert _hidden_from_view(space) == {5: 3, 6: 0, 7: 0, 8: 0}
    space.delete([HIDDEN_PEOPLE_FILE])  # a list of an earlier version has none
    assert suppress(tmp_path, [6, 7, 8])["generation"] == 3
    assert _hidden_from_view(space) == {6: 0, 7: 0, 8: 0}, "the same ids once more hide them from the view"
    names = [name for name, _ in space.names("suppression/")]
    assert [name.partition("-")[0] for name in names] == ["suppression/ids", "suppression/key", "suppression/list.json"]
    head = boto3.client("s3").head_object(Bucket=BUCKET, Key=space.key("suppression/key"))
    assert head["ServerSideEncryption"] == "aws:kms"
    assert read_published(S3Documents(space)).suppression == 3
    acquire_execution_lease(S3Documents(space), "arn:1", "run", lambda _: False)
    monkeypatch.setattr(old_runs, "execution_is_running", lambda _: True)
    assert "in use" in suppress(tmp_path, [10], check=75)


def _hidden_from_view(space: Store) -> dict[int, int]:
    """Generation in which each of the ids 1 to 9 was released, 0 for those who are hidden, by the table that Athena's view reads."""
    stored = space.get(HIDDEN_PEOPLE_FILE)
    assert stored
    rows = pq.read_table(io.BytesIO(stored[0])).to_pylist()
    salt = hidden_people_salt(space.url(""))
    digests = {hashlib.sha256(f"{salt}{n}".encode()).hexdigest()[:32].upper(): n for n in range(1, 10)}
    return {digests[row["digest"]]: row["released_in"] for row in rows if row["ids"] == "integer"}


class Bucket:
    """One object of a bucket, in memory."""

    stored: tuple[bytes, str] | None = None

    def url(self, _: str) -> str:
        return "s3://one/predict-age/"

    def get(self, _: str) -> tuple[bytes, str] | None:
        return self.stored

    def put(self, _: str, data: bytes, tag: str | None) -> None:
        assert tag == (self.stored[1] if self.stored else None)
        self.stored = data, hashlib.sha256(data).hexdigest()


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(["integer", "text", None]), st.lists(st.tuples(st.booleans(), GIVEN), min_size=1, max_size=6))
def test_the_view_hides_whom_the_list_hides(rule: Any, changes: list[tuple[bool, set[str]]]) -> None:
    """Whatever ids are spelt alike, in whatever order people are suppressed and released: the same people, for every run."""
    bucket, entries, everybody = Bucket(), Entries.none(), [int(text) for text in GIVEN_PIDS]
    salt = hidden_people_salt(bucket.url(""))
    for generation, (release, chosen) in enumerate(changes, start=1):
        texts = sorted(text for text in chosen if rule != "integer" or text != "A-17")
        ids = parse_ids("".join(f"{text}\n" for text in texts).encode(), "f", rule)
        entries, _ = changed_entries(entries, ids, KEY, generation if release else 0)
        hide_from_view(cast("Store", bucket), ids, generation, release=release, rebuild=False)
        rows = pq.read_table(io.BytesIO(bucket.stored[0])).to_pylist() if bucket.stored else []
        for reading in ("integer", "text"):
            for made_with in range(generation + 1):
                hiding = {
                    r["digest"] for r in rows if r["ids"] == reading and (not r["released_in"] or r["released_in"] > made_with)
                }
                digests = {pid: hashlib.sha256(f"{salt}{pid}".encode()).hexdigest()[:32].upper() for pid in everybody}
                hashes = keyed_hashes(np.array(everybody, np.int64), KEY)
                listed = set(np.array(everybody)[np.isin(hashes, entries.hiding(reading, made_with))].tolist())  # type: ignore[arg-type]
                assert {pid for pid in everybody if digests[pid] in hiding} == listed


@pytest.mark.parametrize("lost", ["list.json", "key", "ids-"])
def test_a_lost_list_stops_the_task_before_the_source_is_read(
    lost: str, space: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suppress(tmp_path, [5, 6, 7])
    space.delete([name for name, _ in space.names("suppression/") if name.startswith(f"suppression/{lost}")])
    with pytest.raises(ConfigError, match="nothing about people was read"):
        train(space, tmp_path / "not-there", tmp_path / "scratch", monkeypatch, "20251023T060000Z-0a0a0a0a")
    assert "nothing about people was read" in suppress(tmp_path, [8], check=2)
    assert suppress(tmp_path, [8], "--rebuild")["generation"] == 2


def test_the_task_leaves_suppressed_people_out(space: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of theirs in any object of the bucket, nor on the task's disk; a list that changes stops the tasks that follow."""
    planted = plant(tmp_path, "csv", people=240, planted=12)
    suppress(tmp_path, [*planted.ids, *(text for text in planted.texts if text.startswith("noid-"))])
    (tmp_path / "ids").unlink()
    job = train(space, planted.source, tmp_path / "scratch", monkeypatch, "20251023T060000Z-0b0b0b0b")
    assert space.document(job.name("steps/read_source.json"))["facts"]["suppressed"] == 12
    bucket = tmp_path / "bucket"
    for name, _ in space.names(""):
        space.fetch(name, bucket / name, "")
    assert len(list(bucket.rglob("*.parquet"))) > 1, "copies of the source"
    assert traces(planted.needles, [bucket, tmp_path / "scratch"]) == []
    suppress(tmp_path, [99])
    for task in (tasks.train, tasks.collect, tasks.report):
        with pytest.raises(ConfigError, match="suppression list has changed"):
            task(job, tmp_path / f"again-{task.__name__}")


def test_without_a_list_the_search_finds_them(space: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = plant(tmp_path, "csv", people=240, planted=12)
    job = train(space, planted.source, tmp_path / "scratch", monkeypatch, "20251023T060000Z-0c0c0c0c")
    assert "suppressed" not in space.document(job.name("steps/read_source.json"))["facts"]
    assert len({trace.value for trace in traces(planted.needles, [tmp_path / "scratch"])}) > 100


def test_a_rollback_to_a_run_with_another_list_is_refused(space: Store, local_run: RunFolder) -> None:  # noqa: F811
    """Its tables show everybody, and Athena's tables cannot leave people out."""
    call = merged_run(space, local_run, keep_predictions=True)
    note_suppression_list(call.documents, 1, "a list")
    before = read_published(call.documents)
    with pytest.raises(ConfigError, match="another suppression list"):
        roll_back_tables(call, call.run_id)
    assert read_published(call.documents) == before
    assert SimpleNamespace(**before.as_json()).suppression == 1
