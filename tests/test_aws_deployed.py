"""The Terraform module, applied to a small AWS on loopback with IAM enforced, and the deployed state machine executed: the same rows
as on one machine, a failing batch, a resumed run, two executions at once, the same event twice, a changed variable, nothing left.
"""

import json
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pyarrow.parquet as pq
import pytest

from cloud import compute, iam, image, rules
from cloud.deployed import BUCKET, Cloud, deployed, same
from conftest import AS_OF, QUICK, cli_process, run_json
from predict_age.source.id_hashes import key_of_run, people_checksum
from predict_age.synthetic.write import generate

pytestmark = [
    pytest.mark.soak,
    pytest.mark.xdist_group("cloud"),
    pytest.mark.filterwarnings("default"),  # moto's and Flask's own
]
RUN = "predict-age/runs/20251023T080000Z-1f00ba54"
PEOPLE, BATCHES = 20_000, 8
SETTINGS = QUICK.replace("batch_rows = 700", "batch_rows = 1600")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Everything deployed, 20,000 people in the source."""
    folder = tmp_path_factory.mktemp("cloud")
    with deployed(folder, "the deployed pipeline was") as stack:
        generate(folder / "people", PEOPLE, 3, AS_OF, 1)
        (file,) = (folder / "people" / "people").glob("*.parquet")
        pq.write_table(pq.read_table(file), file, row_group_size=PEOPLE // BATCHES)
        made = Cloud(stack, folder)
        made.s3.upload_file(str(file), BUCKET, "source/part-0.parquet")
        made.s3.put_object(Bucket=BUCKET, Key="predict-age/config.toml", Body=SETTINGS.encode())
        yield made


def test_second_plan_is_empty(cloud: Cloud) -> None:
    """The applied state is the described one."""
    assert cloud.stack.run("validate").returncode == 0
    assert cloud.stack.run("fmt", "-check", "-recursive", str(cloud.stack.folder)).returncode == 0
    assert cloud.stack.pending() == 0


def test_same_rows_as_on_one_machine(cloud: Cloud) -> None:
    """P9: the execution succeeds with every role's rights enforced; its 20,000 rows equal the embedded run's, nulls included."""
    execution = cloud.finish(cloud.start(cloud.event()))
    assert iam.REFUSED == []
    assert (execution["status"], execution.get("cause")) == ("SUCCEEDED", None)
    run_id = execution["output"]["run_id"]
    assert len(cloud.names(run_id, "receipts/")) == BATCHES
    assert len([t for t in compute.Settings.started if t["command"] == "aws-task predict"]) == BATCHES // 2
    (cloud.folder / "c.toml").write_text(SETTINGS)
    with_kernels = partial(cli_process, env={"OPENBLAS_CORETYPE": "Haswell"})  # those of the task definition
    run = run_json(cloud.folder / "people" / "people", cloud.folder / "w", "--config", cloud.folder / "c.toml", run=with_kernels)
    parts = sorted((cloud.folder / "w" / "runs" / run["run_id"] / "results").glob("part_*.parquet"))
    found = cloud.results()
    assert len(found) == PEOPLE
    renamed = {"confidence_score": "confidence_score_original"}
    for part in parts:
        for row in pq.read_table(part).drop_columns(["run_id", "qa_timestamp"]).to_pylist():
            other = found[str(row["pid"])]
            for name, value in row.items():
                assert same(value, other[renamed.get(name, name)]), (row, other)
    manifest = json.loads(cloud.s3.get_object(Bucket=BUCKET, Key=f"predict-age/runs/{run_id}/manifest.json")["Body"].read())
    for name in [*manifest["files"], *manifest["athena"]]:
        cloud.s3.head_object(Bucket=BUCKET, Key=f"predict-age/runs/{run_id}/{name}")  # raises for a file that is not there
    assert manifest["model"] == run["model_version"]
    pids = np.concatenate([pq.read_table(part, columns=["pid"])["pid"].to_numpy() for part in parts])
    assert manifest["checksum"] == str(people_checksum(pids, key_of_run(run_id, "checksum")))
    cost = json.loads(cloud.s3.get_object(Bucket=BUCKET, Key=f"predict-age/runs/{run_id}/cost.json")["Body"].read())
    assert len(cost["tasks"]) == 1 + BATCHES // 2 + 1 + 1, "the task that writes the report counts itself"
    assert 0 < cost["total_usd"] < 0.5
    assert b"What to know first" in cloud.s3.get_object(Bucket=BUCKET, Key=f"predict-age/runs/{run_id}/report.html")["Body"].read()


def test_same_event_twice_is_one_run(cloud: Cloud) -> None:
    """The event of a finished run starts no task and changes nothing."""
    tasks = len(compute.Settings.started)
    before = cloud.s3.get_object(Bucket=BUCKET, Key="predict-age/published.json")["Body"].read()
    execution = cloud.finish(cloud.start(cloud.event()))
    assert (execution["status"], execution["output"]["next"]) == ("SUCCEEDED", "Done")
    assert "is finished" in execution["output"]["why"]
    assert len(compute.Settings.started) == tasks
    assert cloud.s3.get_object(Bucket=BUCKET, Key="predict-age/published.json")["Body"].read() == before


def test_failing_batch_then_resumed(cloud: Cloud) -> None:
    """A task that fails is tried four times, then people are told and the execution fails; started again, it does the rest."""
    queue = boto3.client("sqs").create_queue(QueueName="alerts")["QueueUrl"]
    arn = boto3.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    boto3.client("sns").subscribe(TopicArn=cloud.outputs["alerts"], Protocol="sqs", Endpoint=arn)
    event = cloud.event(time="2026-01-23T08:00:00Z")
    published = cloud.s3.get_object(Bucket=BUCKET, Key="predict-age/published.json")["Body"].read()
    began = len(compute.Settings.started)
    compute.Settings.fail = staticmethod(lambda command, env: env.get("PREDICT_AGE_TASK") == "2")
    try:
        failed = cloud.finish(cloud.start(event))
    finally:
        compute.Settings.fail = staticmethod(lambda command, env: False)
    assert (failed["status"], failed["error"]) == ("FAILED", "RunFailed")
    tries = [t["task"] for t in compute.Settings.started[began:] if t["command"] == "aws-task predict"]
    assert tries.count("2") == 4
    told = boto3.client("sqs").receive_message(QueueUrl=queue).get("Messages", [])
    assert json.loads(told[0]["Body"])["Subject"] == "predict-age: ParallelPrediction failed"
    now = json.loads(cloud.s3.get_object(Bucket=BUCKET, Key="predict-age/published.json")["Body"].read())
    assert now["current"] == json.loads(published)["current"], "readers see the old run"
    lease = json.loads(cloud.s3.get_object(Bucket=BUCKET, Key="predict-age/lease.json")["Body"].read())
    receipts = {k: cloud.s3.head_object(Bucket=BUCKET, Key=k)["LastModified"] for k in cloud.names(lease["run_id"], "receipts/")}
    assert len(receipts) == BATCHES - 2
    began = len(compute.Settings.started)
    resumed = cloud.finish(cloud.start(event))
    assert (resumed["status"], resumed["output"]["run_id"]) == ("SUCCEEDED", lease["run_id"])
    commands = [t["command"] for t in compute.Settings.started[began:]]
    assert "aws-task train" not in commands, "what is finished is not even started"
    assert all(cloud.s3.head_object(Bucket=BUCKET, Key=k)["LastModified"] == at for k, at in receipts.items())
    assert len(cloud.names(lease["run_id"], "receipts/")) == BATCHES
    assert len(cloud.results()) == PEOPLE


def test_results_are_rolled_back(cloud: Cloud) -> None:
    """Wrong results: one call switches readers to an earlier run, whole; a run that is not whole, or not there, changes nothing."""

    def published() -> dict[str, Any]:
        return json.loads(cloud.s3.get_object(Bucket=BUCKET, Key="predict-age/published.json")["Body"].read())

    def roll_back(to: str) -> tuple[str, dict[str, Any]]:
        done = boto3.client("lambda").invoke(FunctionName="predict-age-final-results", Payload=json.dumps({"rollback_to": to}))
        return done.get("FunctionError", ""), json.loads(done["Payload"].read())

    def seen() -> set[tuple[str | None, str | None]]:
        quarter = cloud.athena.rows("SELECT DISTINCT run_id FROM predict_age_final_results_2025q3")
        return {(r["run_id"], q["run_id"]) for r in cloud.results().values() for q in quarter}

    newest = published()["current"]
    first = published()["history"][0]["run"]
    assert first != newest
    assert seen() == {(newest, newest)}
    planted = f"{cloud.names(first, 'results/')[0]}-planted"
    cloud.s3.put_object(Bucket=BUCKET, Key=planted, Body=b"")
    error, said = roll_back(first)
    assert (error, said["errorType"]) == ("Unhandled", "IntegrityError")
    assert "is foreign" in said["errorMessage"]
    error, said = roll_back("2024q1")
    assert (error, said["errorType"]) == ("Unhandled", "ConfigError")
    assert "2025q3" in said["errorMessage"]
    assert published()["current"] == newest
    assert seen() == {(newest, newest)}
    cloud.s3.delete_object(Bucket=BUCKET, Key=planted)
    for to, run in ((first, first), (first, first), (newest, newest), ("2025q3", newest)):
        error, said = roll_back(to)
        assert (error, said["run_id"]) == ("", run)
        assert (published()["current"], published()["quarters"]) == (run, {"2025q3": run})
        assert seen() == {(run, run)}
        assert len(cloud.results()) == PEOPLE
    assert [e["event"] for e in published()["history"][-2:]] == ["rolled back", "rolled back"]
    assert iam.REFUSED == []


def test_spot_takes_a_task_away(cloud: Cloud) -> None:
    """SIGTERM in the middle of a task: it ends with 143, what it had finished stays, and the next try does only the rest."""
    ecs = boto3.client("ecs")
    (cluster,) = ecs.list_clusters()["clusterArns"]
    began = len(compute.Settings.started)
    execution = cloud.start(cloud.event(time="2026-07-23T08:00:00Z"))

    def names() -> list[str]:
        lease = json.loads(cloud.s3.get_object(Bucket=BUCKET, Key="predict-age/lease.json")["Body"].read())
        return cloud.names(lease["run_id"], "receipts/")

    def receipts() -> dict[str, Any]:
        return {k: cloud.s3.head_object(Bucket=BUCKET, Key=k)["LastModified"] for k in names()}

    before = len(names())
    wait_for(lambda: len(names()) not in (0, before), every=0.02)  # a batch takes some tenths of a second
    running = [t for t in ecs.list_tasks(cluster=cluster)["taskArns"] if _running(ecs, cluster, t)]
    ecs.stop_task(cluster=cluster, task=running[-1], reason="Your Spot Task was interrupted.")
    kept = receipts()
    wait_for(lambda: not _running(ecs, cluster, running[-1]))
    (stopped,) = ecs.describe_tasks(cluster=cluster, tasks=[running[-1]])["tasks"]
    assert stopped["containers"][0]["exitCode"] == 143
    assert cloud.finish(execution)["status"] == "SUCCEEDED"
    tries = [t["task"] for t in compute.Settings.started[began:] if t["command"] == "aws-task predict"]
    assert len(tries) == BATCHES // 2 + 1, "the task that was stopped is tried once more, no other"
    now = receipts()
    assert len(now) == BATCHES
    assert all(now[k] == at for k, at in kept.items()), "a finished batch is not made again"
    assert len(cloud.results()) == PEOPLE


def _running(ecs: Any, cluster: str, task: str) -> bool:
    (found,) = ecs.describe_tasks(cluster=cluster, tasks=[task])["tasks"]
    return found["lastStatus"] == "RUNNING"


def test_same_rows_from_the_image(cloud: Cloud) -> None:
    """The image is built from its Dockerfile, and every task of an execution runs in it, as its user: the rows are the same."""
    before = cloud.results()
    try:
        container = image.Container(image.build(Path(__file__).parents[1], cloud.folder))
    except image.UnavailableError as error:
        if os.environ.get("REQUIRE_IMAGE"):
            raise
        pytest.skip(f"the image was NOT built: {error}")
    began = len(compute.Settings.started)
    compute.Settings.command = staticmethod(container.command)
    try:
        assert container.says("id -u; touch /app/x 2>/dev/null || echo no") == "10001\nno"
        assert container.says("python -c 'from predict_age.kernels import kernels_usable; print(kernels_usable())'") == "True"
        execution = cloud.finish(cloud.start(cloud.event(time="2026-10-23T08:00:00Z")))
    finally:
        compute.Settings.command = staticmethod(compute.here)
        container.remove()
    assert (execution["status"], execution.get("cause")) == ("SUCCEEDED", None)
    commands = {t["command"] for t in compute.Settings.started[began:]}
    assert commands == {f"aws-task {name}" for name in ("train", "predict", "collect", "report")}
    after = cloud.results()
    assert len(after) == PEOPLE
    for pid, row in after.items():
        assert row["run_id"] != before[pid]["run_id"]
        assert row | {"run_id": "", "qa_timestamp": ""} == before[pid] | {"run_id": "", "qa_timestamp": ""}


def test_two_executions_at_once(cloud: Cloud) -> None:
    """One wins; the other is refused, naming it. The very same event at once: the second leaves it to the first."""
    compute.Settings.slots.acquire()
    compute.Settings.slots.acquire()  # tasks wait: the first execution stays in Training
    try:
        first = cloud.start(cloud.event(time="2026-04-23T08:00:00Z"))
        wait_for(lambda: any(e["type"] == "TaskSubmitted" for e in history(cloud, first)[-3:]))
        other = cloud.finish(cloud.start(cloud.event(time="2026-04-24T08:00:00Z")))
        twin = cloud.finish(cloud.start(cloud.event(time="2026-04-23T08:00:00Z")))
    finally:
        compute.Settings.slots.release()
        compute.Settings.slots.release()
    assert other["status"] == "FAILED"
    assert "the workspace is in use" in other["cause"]
    assert (twin["status"], twin["output"]["next"]) == ("SUCCEEDED", "Done")
    assert "is being done by" in twin["output"]["why"]
    assert cloud.finish(first)["status"] == "SUCCEEDED"


def history(cloud: Cloud, execution: str) -> list[dict[str, Any]]:
    return cloud.states.get_execution_history(executionArn=execution, maxResults=1000)["events"]


def wait_for(condition: Any, every: float = 0.2) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(every)


def test_bad_event_is_one_sentence(cloud: Cloud) -> None:
    """Unknown keys, no source, no time: refused at once, not tried again, no task started."""
    began = len(compute.Settings.started)
    for event, said in (
        ({**cloud.event(), "sauce": 1}, "unknown keys"),
        ({"time": "2026-01-01T00:00:00Z"}, "names no source"),
        ({"source": f"s3://{BUCKET}/source/", "time": "yesterday"}, "times are wrong"),
    ):
        execution = cloud.finish(cloud.start(event))
        assert execution["status"] == "FAILED"
        assert said in execution["cause"]
        assert (
            sum(e["type"] == "LambdaFunctionFailed" or e["type"] == "TaskFailed" for e in history(cloud, execution["executionArn"]))
            == 1
        )
    assert len(compute.Settings.started) == began


def test_rights_are_really_enforced(cloud: Cloud) -> None:
    """The check can fail: with the credentials of the prediction role nobody writes a model or another run's result."""
    role = next(t["role"] for t in compute.Settings.started if t["command"] == "aws-task predict")
    keys = iam.credentials(role)
    mine = boto3.client(
        "s3",
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=keys["AWS_SESSION_TOKEN"],
    )
    mine.put_object(Bucket=BUCKET, Key=f"{RUN}/predictions/x", Body=b"")
    for key in (f"{RUN}/model/manifest.json", "predict-age/published.json", "source/x"):
        with pytest.raises(Exception, match=r"AccessDenied|403|Forbidden"):
            mine.put_object(Bucket=BUCKET, Key=key, Body=b"")
    assert iam.REFUSED
    iam.REFUSED.clear()
    cloud.s3.delete_object(Bucket=BUCKET, Key=f"{RUN}/predictions/x")


def test_the_deployed_plan_breaks_no_rule(cloud: Cloud) -> None:
    """The rules that `make test` checks on the mocked application hold for this one, but for what this test chose otherwise."""
    chosen = {"tasks do not do as many batches as the cost plan counts with"}
    chosen |= {f"aws_{kind} is destroyed with what it holds" for kind in ("s3_bucket", "ecr_repository", "athena_workgroup")}
    assert set(rules.problems(cloud.stack.resources())) == chosen


def test_changed_variable_is_applied(cloud: Cloud) -> None:
    """... and leaves an empty plan."""
    cloud.stack.apply(log_days=14)
    groups = boto3.client("logs").describe_log_groups()["logGroups"]
    assert {g["retentionInDays"] for g in groups if "predict-age" in g["logGroupName"]} == {14}
    assert cloud.stack.pending() == 0


def test_between_two_quarters(cloud: Cloud) -> None:
    """NAT off and on again, a refused destroy, what computes destroyed and applied again: protection, tables and rows stay."""
    protection = [r for r in cloud.stack.resources() if ".storage." in r["address"]]
    assert len(protection) == 9
    rows, tables = cloud.results(), table_locations()
    pointer = cloud.s3.get_object(Bucket=BUCKET, Key="predict-age/published.json")["Body"].read()

    def unchanged() -> None:
        assert [r for r in cloud.stack.resources() if ".storage." in r["address"]] == protection
        assert cloud.s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]["RestrictPublicBuckets"]
        assert "SecureTransport" in cloud.s3.get_bucket_policy(Bucket=BUCKET)["Policy"]
        assert cloud.s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
        assert cloud.s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
        assert cloud.s3.get_object(Bucket=BUCKET, Key="predict-age/published.json")["Body"].read() == pointer
        assert table_locations() == tables

    before = {r["address"] for r in cloud.stack.resources()}
    cloud.stack.apply(nat_enabled=False)
    assert {a.rpartition(".")[2] for a in before - {r["address"] for r in cloud.stack.resources()}} == {"nat[0]", "main[0]"}
    unchanged()
    refused = cloud.stack.run("destroy", "-auto-approve", "-input=false", check=False)
    assert refused.returncode
    assert "prevent_destroy" in refused.stderr
    assert {r["address"] for r in cloud.stack.resources()} < before, "nothing was destroyed"
    unchanged()
    cloud.stack.run("destroy", "-auto-approve", "-input=false", "-parallelism=20", "-target=module.pipeline")
    assert {r["address"] for r in cloud.stack.resources()} == {r["address"] for r in protection}
    unchanged()
    cloud.stack.apply(nat_enabled=True)
    assert {r["address"] for r in cloud.stack.resources()} == before
    assert cloud.stack.pending() == 0
    unchanged()
    assert cloud.results() == rows


def table_locations() -> dict[str, str]:
    """Where each table of the database reads."""
    found = boto3.client("glue").get_tables(DatabaseName="predict_age")["TableList"]
    return {t["Name"]: t.get("StorageDescriptor", {}).get("Location", "") for t in found}


def test_nothing_is_left(cloud: Cloud) -> None:
    """Destroy removes everything, the filled bucket included."""
    cloud.stack.destroy()
    assert cloud.stack.run("state", "list").stdout == ""
    assert BUCKET not in [b["Name"] for b in cloud.s3.list_buckets()["Buckets"]]
