"""Clean-up on AWS: which runs PreCleanup removes, and that PostCleanup leaves every file that the manifest names."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from conftest import tiny_run, write_jsonl
from predict_age.aws.execution_lease import acquire_execution_lease, current_execution_lease
from predict_age.aws.lambdas import final_results, post_cleanup, pre_cleanup
from predict_age.aws.lambdas.runtime import Call, call_of, object_tags
from predict_age.aws.object_names import run_folder, run_id_of
from predict_age.aws.s3_documents import S3Documents
from predict_age.aws.s3_store import Store
from predict_age.errors import ConfigError, InputError, IntegrityError, QualityError
from predict_age.records.json_fields import from_json
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.storage.durable_files import hashed_json, read_json
from predict_age.storage.publication import publish, raise_fence, read_published
from predict_age.storage.result_files import is_temporary_file
from predict_age.storage.row_accounting import RowAccounting
from predict_age.storage.workspace import RunFolder, Workspace
from predict_age.tally import Tally

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
        boto3.client("s3").create_bucket(Bucket="source")
        boto3.client("s3").put_object(Bucket="source", Key="people/0.jsonl", Body=b"{}")
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


DEEP = "x = " + "[" * 5_000 + "]" * 5_000
WRONG_CONFIGURATIONS = [
    "[running]\nkeep_runs = 0",
    "[running]\nkeep_runs = true",
    "running = 3",
    "keep_runs =",
    DEEP,
    "x = " + "9" * 5_000,
    "x = 9999-99-99",
    b"\xff\xfe[running]",
    None,
]


@pytest.mark.parametrize("text", WRONG_CONFIGURATIONS, ids=lambda text: str(text)[:12])
def test_wrong_keep_runs_removes_nothing(store: Store, text: str | bytes | None) -> None:
    """A configuration that cannot be read is an error of the configuration; no run is removed."""
    finished = {finished_run(store, day) for day in (1, 2, 3, 4, 5, 6)}
    if text is not None:
        store.put("config.toml", text if isinstance(text, bytes) else text.encode(), None)
    with pytest.raises(ConfigError, match=r"config\.toml"):
        clean(7, config="config.toml")
    assert finished <= runs_in(store)


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


def test_what_the_event_names_is_part_of_the_run(store: Store) -> None:
    """A source, configuration or feature file that was mended, or joined by another file, is another run; touched by nobody, the same."""
    s3 = boto3.client("s3")
    named = {"config": "c.toml", "features": "f.toml"}
    store.put("c.toml", b"", None)
    store.put("f.toml", b"# one", None)
    ids = [clean(1, **named)]
    for bucket, key, body in (
        ("source", "people/0.jsonl", b"[]"),
        ("source", "people/1.jsonl", b"{}"),
        (BUCKET, "predict-age/c.toml", b"# new"),
        (BUCKET, "predict-age/f.toml", b"# two"),
    ):
        s3.put_object(Bucket=bucket, Key=key, Body=body)
        ids.append(clean(1, **named))
    assert len(set(ids)) == 5
    s3.put_object(Bucket="source", Key="elsewhere/2.jsonl", Body=b"{}")
    assert clean(1, **named) == clean(1, accept=True, **named) == ids[-1]


def test_a_table_of_the_catalogue_is_known_by_its_files(store: Store) -> None:
    """The event may name a Glue table: a new file, or another location, is another run; the workspace's own objects do not matter."""
    glue, s3 = boto3.client("glue"), boto3.client("s3")
    glue.create_database(DatabaseInput={"Name": "raw"})
    serde = {"SerializationLibrary": "org.apache.hive.hcatalog.data.JsonSerDe"}
    table = {"Name": "people", "StorageDescriptor": {"Location": "s3://source/people", "SerdeInfo": serde}}
    glue.create_table(DatabaseName="raw", TableInput=table)
    ids = [clean(1, source="glue://raw/people")]
    assert clean(1, source="glue://raw/people") == ids[0]
    s3.put_object(Bucket="source", Key="people2/0", Body=b"{}")
    assert clean(1, source="glue://raw/people") == ids[0]
    s3.put_object(Bucket="source", Key="people/1", Body=b"{}")
    ids.append(clean(1, source="glue://raw/people"))
    table["StorageDescriptor"]["Location"] = "s3://source/people2"
    glue.update_table(DatabaseName="raw", TableInput=table)
    ids.append(clean(1, source="glue://raw/people"))
    assert len(set(ids)) == 3
    with pytest.raises(InputError, match="EntityNotFoundException"):
        clean(1, source="glue://raw/nothing")


def test_a_training_source_is_part_of_the_run(store: Store) -> None:
    """Its address and its files; an event that names one that cannot be read is refused."""
    s3 = boto3.client("s3")
    s3.put_object(Bucket="source", Key="training/0.jsonl", Body=b"{}")
    alone, with_it = clean(1), clean(1, training_source="s3://source/training/")
    assert clean(1, training_source="") == alone
    assert clean(1, training_source="s3://source/training/") == with_it
    assert json.loads(store.get(f"{run_folder(with_it)}/request.json")[0])["training_source"] == "s3://source/training/"
    assert clean(1, source="s3://source/training/", training_source="s3://source/people/") not in (alone, with_it)
    s3.put_object(Bucket="source", Key="training/0.jsonl", Body=b"{} ")
    assert len({alone, with_it, clean(1, training_source="s3://source/training/")}) == 3
    with pytest.raises(ConfigError, match="names no training source"):
        clean(1, training_source="people/")
    with pytest.raises(InputError, match="the training source is empty"):
        clean(1, training_source="s3://source/nothing/")


def test_a_quarter_without_a_result_is_an_error(store: Store) -> None:
    """The scheduled question begins no run: it fails until the quarter has a published result."""

    def asked(**more: Any) -> dict[str, Any]:
        request = {"expect_published": True, "time": "2026-01-12T06:00:00Z", **more}
        return dict(pre_cleanup.handle({"request": request, "execution": "e"}, None))

    with pytest.raises(QualityError, match="no result was published for 2025q4"):
        asked()
    raise_fence(S3Documents(store), 1)
    publish(S3Documents(store), 1, "20251023T080000Z-00000000", "2025q3", "x")
    with pytest.raises(QualityError, match="results of 2025q3"):
        asked()
    publish(S3Documents(store), 1, "20260105T080000Z-00000000", "2025q4", "y")
    assert (asked()["next"], asked()["why"]) == ("Done", "2025q4 is published")
    assert not [name for name, _ in store.names("runs/")]
    for wrong, said in (({"source": "s3://source/people/"}, "unknown keys"), ({"time": "soon"}, "times are wrong")):
        with pytest.raises(ConfigError, match=said):
            asked(**wrong)


def test_a_source_that_cannot_be_listed_begins_no_run(store: Store) -> None:
    for source, said in (("s3://source/nobody/", "is empty"), ("s3://no-such-bucket/people/", "NoSuchBucket")):
        with pytest.raises(InputError, match=said):
            clean(1, source=source)
    assert runs_in(store) == set()


OUTPUTS = {
    "read_source": ["source/splits.json", "source/duplicates.npy", "source/working/0.parquet", "source/routed/0.parquet"],
    "training": ["model/manifest.json", "model/ridge.npz"],
    "batch_generator": ["batches.json"],
    "create_predictions_table": [],
    "parallel_prediction": ["predictions/batch_0.parquet", "people/batch_0.parquet"],
    "human_qa": [],
    "final_results": [],
}
UNLOADED = {"human_qa": "qa", "final_results": "results"}


@pytest.fixture(scope="module")
def local_run(people_rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run on this machine: its records are the records of the run on AWS."""
    folder = tmp_path_factory.mktemp("local")
    outcome = tiny_run(write_jsonl(folder / "s.jsonl", people_rows[:100]), folder / "w")
    return Workspace(folder / "w").run(outcome.run["run_id"])


def merged_run(store: Store, local_run: RunFolder, keep_predictions: bool) -> Call:
    """A run up to FinalResults, with all kinds of objects that the states before it write; as the functions see it."""
    token = acquire_execution_lease(S3Documents(store), "arn:1", "run", lambda execution: True).token
    call = call_of({"run_id": run_id_of(request_at(1)), "token": str(token)}, SimpleNamespace(aws_request_id="two"))
    run = local_run.record | {"run_id": call.run_id}
    run["config"]["running"]["keep_predictions"] = keep_predictions
    store.put(call.name("run.json"), hashed_json(run).encode(), None)
    put(store, call.run_id, "request.json", "steps/pre_cleanup.json", "tasks.json", "tasks/0.json", "map/0/manifest.json")
    put(store, call.run_id, "receipts/batch_0.json", "qa/one/0", "qa/two/0", "results/one/0", "results/two/0", "costs/0.json")
    for step, names in OUTPUTS.items():
        put(store, call.run_id, *names)
        record = read_json(local_run.step_file(step))
        record["outputs"] = {name: store.head(call.name(name)).sha256 for name in names}
        if step in UNLOADED:
            record["facts"]["location"] = store.url(call.name(f"{UNLOADED[step]}/two")) + "/"
        if step != "final_results":
            store.put(call.name(f"steps/{step}.json"), hashed_json(record).encode(), None)
    store.put(call.name("manifest.json"), manifest_of(call, record).encode(), None)
    store.put(call.name("steps/final_results.json"), hashed_json(record).encode(), None)
    return call


def manifest_of(call: Call, final_record: dict[str, Any]) -> str:
    """The manifest that FinalResults writes for this result."""
    tally = from_json(Tally, final_record["facts"]["tally"])
    accounting = RowAccounting.of(call.facts(ReadSourceFacts), tally)
    return final_results.manifest_text(call, accounting, tally, final_record["facts"]["location"])


@pytest.mark.parametrize("keep_predictions", [True, False])
def test_every_file_of_the_manifest_is_there_after_post_cleanup(store: Store, local_run: RunFolder, keep_predictions: bool) -> None:
    """With the hash or the tag that the manifest names; temporary files are gone; predictions stay only when configured."""
    call = merged_run(store, local_run, keep_predictions)
    post_cleanup.handle(call.event, SimpleNamespace(aws_request_id="three"))
    manifest = store.document(call.name("manifest.json"))
    for name, digest in manifest["files"].items():
        stored = store.head(call.name(name))
        assert stored is not None, name
        assert stored.sha256 == digest
    assert manifest["athena"] == object_tags(call, store.url(call.name("results/two/")))
    assert len(manifest["athena"]) == 1
    left = {name.removeprefix(call.name("")) for name, _ in store.names(call.name(""))}
    assert {n for n in left if is_temporary_file(n, keep_predictions)} == set()
    assert ("predictions/batch_0.parquet" in left, "predictions/batch_0.parquet" in manifest["files"]) == (keep_predictions,) * 2
    assert {"run.json", "steps/pre_cleanup.json", "steps/human_qa.json", "people/batch_0.parquet"} <= set(manifest["files"])
    assert {"qa/one/0", "results/one/0", "tasks/0.json", "map/0/manifest.json", "source/working/0.parquet"} & left == set()
    assert {"qa/two/0", "results/two/0", "tasks.json", "receipts/batch_0.json", "costs/0.json"} < left
    lease = current_execution_lease(S3Documents(store))
    assert lease is not None
    assert lease.released


def test_manifest_names_no_record_that_is_missing(store: Store, local_run: RunFolder) -> None:
    """A record that is not there, or that nobody can vouch for, stops the run before it is published."""
    call = merged_run(store, local_run, keep_predictions=True)
    final_record = call.document("steps/final_results.json")
    assert manifest_of(call, final_record).encode() == store.get(call.name("manifest.json"))[0]
    store.s3.put_object(Bucket=BUCKET, Key=store.key(call.name("steps/pre_cleanup.json")), Body=b"{}")
    with pytest.raises(IntegrityError, match="without SHA-256"):
        manifest_of(call, final_record)
    store.delete([call.name("steps/pre_cleanup.json")])
    with pytest.raises(IntegrityError, match="no object"):
        manifest_of(call, final_record)
