"""The key ``model`` of an event: the model of a finished run instead of training, as `run --model` and `--base` on one machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import tiny_run, write_jsonl
from faults import InlinePool
from predict_age.aws import tasks
from predict_age.aws.execution_lease import acquire_execution_lease
from predict_age.aws.lambdas import pre_cleanup
from predict_age.aws.object_names import run_folder
from predict_age.aws.run_mirror import Job
from predict_age.aws.s3_documents import S3Documents
from predict_age.aws.s3_store import Store
from predict_age.errors import ConfigError, IntegrityError
from predict_age.storage.durable_files import hashed_json, read_json
from predict_age.storage.publication import publish, raise_fence
from predict_age.storage.workspace import Workspace
from test_aws_api import upload
from test_aws_cleanup import clean, failed_run, finished_run, runs_in, store  # noqa: F401 - a fixture

pytestmark = pytest.mark.filterwarnings("default")
NEW_RUN = "20251105T080000Z-1f00ba54"


@pytest.fixture(autouse=True)
def _ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pre_cleanup, "execution_is_running", lambda _: False)


def request_of(store: Store, run_id: str) -> dict[str, Any]:  # noqa: F811
    return json.loads(store.get(f"{run_folder(run_id)}/request.json")[0])


def test_a_name_means_the_run_that_it_meant_first(store: Store) -> None:  # noqa: F811
    """Champion, quarter or run; another publication changes nothing for an event that was understood before, and keeps its run."""
    old, now = finished_run(store, 1, "2025q2"), finished_run(store, 2, "2025q3")
    for day, (name, run) in enumerate({"champion": now, "2025q2": old, "2025q3": now, old: old}.items(), 3):
        assert request_of(store, clean(day, model=name))["model_run"] == run
    store.delete([f"{run_folder(clean(9))}/request.json"])
    begun = clean(10, model="champion")
    publish(S3Documents(store), raise_fence(S3Documents(store), 0), finished_run(store, 11), "2025q3", "0" * 64)
    assert clean(10, model="champion") == begun
    assert request_of(store, begun)["model_run"] == now
    assert clean(10) != begun
    assert "model_run" not in request_of(store, clean(10))


def test_the_run_of_the_model_is_not_removed(store: Store) -> None:  # noqa: F811
    """However old it is: training copies its model later."""
    old, *others = [finished_run(store, day) for day in range(1, 8)]
    clean(9, model=old)
    assert old in runs_in(store) and others[0] not in runs_in(store)
    clean(10)
    assert old not in runs_in(store)


@pytest.mark.parametrize("name", ["age-015e70bea3d8", "current", "2031q1", "../published", "20251105T080000Z-00000000", "failed"])
def test_what_is_no_finished_run_is_refused(store: Store, name: str) -> None:  # noqa: F811
    finished_run(store, 1, "2025q3")
    failed = failed_run(store, 2)
    with pytest.raises(ConfigError, match="there is no model"):
        clean(3, model=failed if name == "failed" else name)


def test_nothing_was_published_yet(store: Store) -> None:  # noqa: F811
    with pytest.raises(ConfigError, match="there is no model 'champion'"):
        clean(1, model="champion")


def begun(store: Store, source: Path, model_run: str, features: str = "") -> Job:  # noqa: F811
    """The job of a training task of an event that named a model."""
    job = Job(store, NEW_RUN, acquire_execution_lease(S3Documents(store), NEW_RUN, NEW_RUN, lambda _: False).token)
    request = {"source": str(source), "as_of": "2025-10-23", "time": "2025-11-05T08:00:00+00:00", "config": "c.toml"}
    request |= {"run_id": NEW_RUN, "model": "champion", "model_run": model_run, "features": features}
    store.put_part(job.name("request.json"), hashed_json(request).encode())
    return job


def test_training_takes_the_model_as_on_one_machine(
    store: Store,  # noqa: F811
    people_rows: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Files of the model and facts of the step are those of `run --model champion`; other features and a damaged file are refused."""
    monkeypatch.setattr(tasks, "Pool", InlinePool)
    source = write_jsonl(tmp_path / "people.jsonl", people_rows[:240])
    first = tiny_run(source, tmp_path / "w").run["run_id"]
    upload(tmp_path / "w", store)
    store.delete(["lease.json"])
    store.put_part("c.toml", tmp_path / "w.toml")
    job = begun(store, source, first)
    tasks.train(job, tmp_path / "scratch")
    local = tiny_run(source, tmp_path / "w", "--model", "champion", "--timestamp", "2025-11-05T08:00:00Z")
    there = Workspace(tmp_path / "w").run(local.run["run_id"])
    record, expected = store.document(job.name("steps/training.json")), read_json(there.step_file("training"))
    plan = store.document(job.name("run.json"))
    assert (plan["base"], plan["base_model"]) == (first, there.record["base_model"])
    assert record["facts"] == expected["facts"] and record["facts"]["base"] == first
    models = {n: d for n, d in record["outputs"].items() if not n.startswith("model/card")}  # the card names its run
    assert models == {n: d for n, d in expected["outputs"].items() if not n.startswith("model/card")}

    store.put_part("f.toml", (there.model / "features.toml").read_bytes() + b"\n# mine\n")
    store.delete([job.name("run.json")])
    with pytest.raises(ConfigError, match="another feature file"):
        tasks.train(begun(store, source, first, "f.toml"), tmp_path / "other")
    store.put_part(f"{run_folder(first)}/model/network.npz", b"damaged")
    with pytest.raises(IntegrityError, match="is damaged"):
        tasks.train(begun(store, source, first), tmp_path / "third")
