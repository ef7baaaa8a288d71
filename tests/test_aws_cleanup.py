"""Clean-up on AWS: which runs PreCleanup removes, and that PostCleanup leaves every file that the manifest names."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from predict_age.aws.lambdas import pre_cleanup
from predict_age.aws.object_names import run_folder, run_id_of
from predict_age.aws.s3_documents import S3Documents
from predict_age.aws.s3_store import Store
from predict_age.errors import ConfigError
from predict_age.storage.durable_files import hashed_json
from predict_age.storage.publication import publish, raise_fence, read_published

pytestmark = pytest.mark.filterwarnings("default")
BUCKET = "company-predict-age"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty workspace in a bucket, and the environment of the functions."""
    for name in ("AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "root",
        "AWS_SECRET_ACCESS_KEY": "root",
        "AWS_DEFAULT_REGION": "us-east-1",
        "PREDICT_AGE_BUCKET": BUCKET,
        "PREDICT_AGE_PREFIX": "predict-age",
        "PREDICT_AGE_DATABASE": "people",
        "PREDICT_AGE_WORKGROUP": "people",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield Store(BUCKET, "predict-age")


def request_at(day: int, **changes: Any) -> dict[str, Any]:
    """The request of the run of a day of October 2025."""
    return {"source": "s3://source/people/", "as_of": "2025-10-23", "time": f"2025-10-{day:02}T08:00:00+00:00", **changes}


def put(store: Store, run_id: str, *names: str) -> None:
    for name in names:
        store.put(f"{run_folder(run_id)}/{name}", hashed_json({"name": name}).encode(), None)


def finished_run(store: Store, day: int, quarter: str = "") -> str:
    """A run with results; published as the result of ``quarter``, if one is named."""
    run_id = run_id_of(request_at(day))
    put(store, run_id, "request.json", "results/a/part", "steps/pre_cleanup.json", "steps/final_results.json")
    if quarter:
        publish(S3Documents(store), raise_fence(S3Documents(store), 0), run_id, quarter, "0" * 64)
    return run_id


def failed_run(store: Store, day: int) -> str:
    """A run whose execution ended before it had results."""
    run_id = run_id_of(request_at(day))
    put(store, run_id, "request.json", "source/splits.json", "steps/pre_cleanup.json")
    return run_id


def clean(day: int, **changes: Any) -> str:
    """Let PreCleanup begin the run of a day; returns its id."""
    event = {"execution": f"arn:aws:states:us-east-1:1:execution:pipeline:{day}", "request": request_at(day, **changes)}
    return str(pre_cleanup.handle(event, SimpleNamespace(aws_request_id="one"))["run_id"])


def runs_in(store: Store) -> set[str]:
    return {name.split("/")[1] for name, _ in store.names("runs/")}


def test_failed_executions_do_not_displace_the_rollback_target(store: Store) -> None:
    """Two runs of one quarter, then four failed executions: the run before the current one can still be rolled back to."""
    before, current = finished_run(store, 1, "2025q3"), finished_run(store, 2, "2025q3")
    failed = [failed_run(store, day) for day in (3, 4, 5, 6)]
    begun = clean(7)
    assert runs_in(store) == {before, current, failed[-1], begun}


def test_keep_runs_of_the_configuration_counts(store: Store) -> None:
    """The newest finished runs of that number stay, the current one and those of published quarters besides."""
    first_quarter = finished_run(store, 1, "2025q1")
    finished = [finished_run(store, day, "2025q3") for day in (2, 3, 4, 5, 6)]
    begun = clean(7)
    assert runs_in(store) == {first_quarter, *finished[1:], begun}
    store.put("config.toml", b"[running]\nkeep_runs = 2\n", None)
    second = clean(7, config="config.toml")
    assert runs_in(store) == {first_quarter, *finished[-2:], begun, second}
    published = read_published(S3Documents(store))
    assert (published.quarters, published.removing) == ({"2025q1": first_quarter, "2025q3": finished[-1]}, [])


@pytest.mark.parametrize("text", ["[running]\nkeep_runs = 0", "[running]\nkeep_runs = true", "running = 3", "keep_runs =", None])
def test_wrong_keep_runs_removes_nothing(store: Store, text: str | None) -> None:
    """A configuration that cannot be read is an error of the configuration; no run is removed."""
    finished = {finished_run(store, day) for day in (1, 2, 3, 4, 5, 6)}
    if text is not None:
        store.put("config.toml", text.encode(), None)
    with pytest.raises(ConfigError, match=r"config\.toml"):
        clean(7, config="config.toml")
    assert finished < runs_in(store)


def test_interrupted_removal_is_finished(store: Store) -> None:
    """A run whose deletion had begun is no rollback target any more: it does not count as kept, and the next run removes the rest."""
    finished = [finished_run(store, day) for day in (1, 2, 3, 4)]
    half = run_id_of(request_at(5))
    put(store, half, "results/a/part", "steps/training.json")
    put(store, "notes", "mine.txt")
    begun = clean(6)
    assert runs_in(store) == {*finished, begun, "notes"}


def test_request_is_written_once(store: Store) -> None:
    """The same event begins the same run again, under its execution's lease."""
    assert clean(1) == clean(1)
    request = json.loads(store.get(f"{run_folder(clean(1))}/request.json")[0])
    assert request["run_id"] == clean(1)
