"""The modules applied beside a database and a network that were there before, a table of labelled people to train on, and two quarters
between which everything that computes was destroyed; and the alarms, over the metrics that all of it writes.
"""

import asyncio
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cloud import athena, compute, iam, metrics
from cloud.alarms import Alarm
from cloud.deployed import BUCKET, Cloud, deployed, same
from cloud.rules.plan import Plan
from conftest import AS_OF, QUICK, cli_process, result_rows, run_json
from predict_age.aws.built_kernels import event
from predict_age.aws.http_events import answer_event
from predict_age.aws.object_names import step_record
from predict_age.serving.application import Service
from predict_age.serving.asgi import AsgiApplication
from predict_age.serving.served_model import Watch
from predict_age.storage.workspace import Workspace
from predict_age.synthetic.write import generate

pytestmark = [
    pytest.mark.soak,
    pytest.mark.xdist_group("cloud"),
    pytest.mark.filterwarnings("default"),  # moto's and Flask's own
]
DATABASE, PEOPLE = "company_lake", 4000
PARQUET = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
FIRST, SECOND = "2025-10-23T08:00:00Z", "2026-01-05T08:00:00Z"
HOUR = 3600.0
FILTER = "aws_cloudwatch_log_metric_filter"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/predict-age@sha256:" + "0123456789abcdef" * 4


class Quarters(Cloud):
    """The deployed stack, the people of both sources, and the metrics so far."""

    points: list[metrics.Point]

    def event(self, **changes: Any) -> dict[str, Any]:
        return super().event(training_source=f"glue://{DATABASE}/labelled", **changes)

    def note_metrics(self, since: float = 0.0) -> None:
        """Keep what the services would have written about the executions that began after ``since`` (seconds), until now."""
        plan, machine = Plan(self.stack.resources()), self.outputs["state_machine"]
        begun = [e for e in self.executions() if e["startDate"].timestamp() >= since]
        found = [self.states.describe_execution(executionArn=e["executionArn"]) for e in begun]
        ends = [(e["startDate"].timestamp(), e["stopDate"].timestamp(), e["status"]) for e in found]
        self.points += metrics.of_executions(machine, ends)
        self.points += metrics.of_functions(compute.Settings.invoked)
        self.points += metrics.of_tasks(plan, compute.Settings.stopped)
        self.points += metrics.of_statements(self.outputs["workgroup"], athena.RunningAthena.scanned)
        self.points += metrics.of_queue("predict-age-not-started", [(time.time(), self.waiting_events())])
        self.points += metrics.of_logs(g["name"] for g in plan.of("aws_cloudwatch_log_group") if "/ecs/" in g["name"])
        for done in (compute.Settings.invoked, compute.Settings.stopped, athena.RunningAthena.scanned):
            done.clear()

    def waiting_events(self) -> int:
        """Events that could not start an execution."""
        sqs = boto3.client("sqs")
        queue = sqs.get_queue_url(QueueName="predict-age-not-started")["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
        return int(found["ApproximateNumberOfMessages"])

    def said(self) -> str:
        """Last words of the tasks, for a failed test."""
        logs = boto3.client("logs")
        groups = [g["logGroupName"] for g in logs.describe_log_groups(logGroupNamePrefix="/ecs/")["logGroups"]]
        return "\n".join(e["message"] for g in groups for e in logs.filter_log_events(logGroupName=g)["events"][-20:])

    def executions(self) -> list[dict[str, Any]]:
        return self.states.list_executions(stateMachineArn=self.outputs["state_machine"])["executions"]

    def ringing(self) -> set[str]:
        """Names of the alarms that rang in the hour before now, or will in the next two if nothing else happens."""
        written = metrics.series(self.points)
        alarms = [Alarm(a) for a in Plan(self.stack.resources()).of("aws_cloudwatch_metric_alarm")]
        now = time.time()
        return {a.name.removeprefix("predict-age-") for a in alarms if a.rings(written, now - HOUR, now + 2 * HOUR)}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quarters]:
    """Everything deployed into the company's network and database; people without an age in the source, the others in a table."""
    folder = tmp_path_factory.mktemp("quarters")
    chosen = {"source_tables": [f"{DATABASE}/labelled"], "training_source_prefix": "training/", "api_enabled": True, "image": IMAGE}
    with deployed(folder, "quarters on AWS were", _company, **chosen) as stack:
        made = Quarters(stack, folder)
        made.points = []
        _write_people(folder)
        for name in ("source", "training"):
            made.s3.upload_file(str(folder / name / "part-0.parquet"), BUCKET, f"{name}/part-0.parquet")
        made.s3.put_object(Bucket=BUCKET, Key="predict-age/config.toml", Body=QUICK.encode())
        yield made


def _company() -> dict[str, Any]:
    """Make the database with its tables and the network that were there before; the variables that name them."""
    glue, ec2 = boto3.client("glue"), boto3.client("ec2")
    glue.create_database(DatabaseInput={"Name": DATABASE})
    for name, prefix in (("labelled", "training/"), ("theirs", "theirs/")):
        storage = {"Location": f"s3://{BUCKET}/{prefix}", "SerdeInfo": {"SerializationLibrary": PARQUET}}
        glue.create_table(DatabaseName=DATABASE, TableInput={"Name": name, "StorageDescriptor": storage})
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})  # as tasks need it, and moto
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    return {"existing_database": DATABASE, "vpc_id": vpc, "subnet_ids": [subnet]}


def _write_people(folder: Path) -> None:
    generate(folder / "all", PEOPLE, 3, AS_OF, 1)
    table = pq.read_table(folder / "all" / "people")
    known = pc.or_(table["birth_year"].is_valid(), table["approximate_age"].is_valid())
    for name, rows in (("source", pc.invert(known)), ("training", known)):
        (folder / name).mkdir()
        pq.write_table(table.filter(rows), folder / name / "part-0.parquet", row_group_size=500)


def test_labelled_people_of_a_table_train_and_are_in_no_result(cloud: Quarters) -> None:
    """The rows are those of a run on one machine with both sources; its accounts too."""
    execution = cloud.finish(cloud.start(cloud.event(time=FIRST)))
    assert iam.REFUSED == []
    assert (execution["status"], execution.get("cause")) == ("SUCCEEDED", None), cloud.said()
    run_id = execution["output"]["run_id"]
    (cloud.folder / "c.toml").write_text(QUICK)
    training = ("--training-source", cloud.folder / "training", "--config", cloud.folder / "c.toml")
    local = run_json(cloud.folder / "source", cloud.folder / "w", *training, run=with_kernels)
    found = cloud.results()
    rows = result_rows(cloud.folder / "w")
    assert found.keys() == {str(r[0]) for r in rows}
    assert len(found) == local["rows"]["distinct"] < PEOPLE
    assert all(same(row[1], found[str(row[0])]["predicted_age"]) for row in rows)
    manifest = json.loads(cloud.s3.get_object(Bucket=BUCKET, Key=f"predict-age/runs/{run_id}/manifest.json")["Body"].read())
    assert manifest["model"] == local["model_version"]
    assert manifest["books"]["training"] == local["rows"]["training"]
    assert manifest["books"]["training"]["not_in_source"] > 1000


def with_kernels(*arguments: object, check: int | None = 0) -> Any:
    return cli_process(*arguments, check=check, env={"OPENBLAS_CORETYPE": "Haswell"})  # those of the task definition


def test_the_prediction_api_answers_from_the_published_run(cloud: Quarters) -> None:
    """The deployed function, with the rights of its own role, says what the run on one machine says about the same profiles."""
    watch = Watch(Workspace.existing(cloud.folder / "w"), print)
    watch.load()
    local = AsgiApplication(Service(watch, None, behind_gateway=True))
    profiles = [p for p in pq.read_table(cloud.folder / "source")["profile_json"].to_pylist() if p and p.startswith("{")][:100]
    body = "[" + ",".join(f'{{"profile": {p}}}' for p in profiles) + "]"
    sent = event("POST", "/v1/predict", body, "application/json")
    expected = json.loads(str(asyncio.run(answer_event(local, sent))["body"]))
    called = boto3.client("lambda").invoke(FunctionName="predict-age-api", Payload=json.dumps(sent))
    reply = json.loads(called["Payload"].read())
    assert (reply["statusCode"], iam.REFUSED) == (200, [])
    found = json.loads(reply["body"])
    assert found["answers"] == expected["answers"] and len(found["answers"]) == len(profiles) > 50
    pointer = json.loads(cloud.s3.get_object(Bucket=BUCKET, Key="predict-age/published.json")["Body"].read())
    assert (found["run_id"], found["model_version"]) == (pointer["current"], expected["model_version"])
    gateway = boto3.client("apigatewayv2")
    (api,) = gateway.get_apis()["Items"]
    routes = gateway.get_routes(ApiId=api["ApiId"])["Items"]
    assert {r["AuthorizationType"] for r in routes} == {"AWS_IAM"} and len(routes) > 10


def test_objects_are_verified_and_a_shadow_run_is_shown_to_nobody(cloud: Quarters) -> None:
    """By the function that an operator calls; the shadow run's result can be verified and compared, and readers see the published one.

    It uses the champion's model, so its rows are the published ones.
    """

    def verified(which: str) -> dict[str, Any]:
        called = boto3.client("lambda").invoke(FunctionName="predict-age-final-results", Payload=json.dumps({"verify": which}))
        return json.loads(called["Payload"].read())

    published = verified("current")
    assert (published["published"], published["quarter"], published["people"]) == (True, "2025q3", len(cloud.results()))
    before = cloud.results()
    execution = cloud.finish(cloud.start(cloud.event(time="2025-10-24T08:00:00Z", shadow=True, model="champion")))
    assert (execution["status"], execution.get("cause")) == ("SUCCEEDED", None)
    shadow = verified(execution["output"]["run_id"])
    assert (shadow["published"], shadow["people"]) == (False, published["people"])
    assert verified("current") == published
    assert cloud.results() == before
    run_id = execution["output"]["run_id"]
    again: dict[str, dict[str, Any]] = {}
    for name in cloud.names(run_id, "results/"):
        content = cloud.s3.get_object(Bucket=BUCKET, Key=name)["Body"].read()
        again |= {str(row["pid"]): row for row in pq.read_table(io.BytesIO(content)).to_pylist()}
    assert again.keys() == before.keys()
    ages = ("predicted_age", "age_lower", "age_upper", "prediction_source")
    assert all(same(row[age], before[pid][age]) for pid, row in again.items() for age in ages)
    facts = json.loads(cloud.s3.get_object(Bucket=BUCKET, Key=f"predict-age/{step_record(run_id, 'training')}")["Body"].read())[
        "facts"
    ]
    assert facts["base"] != run_id and facts["base"] == next(iter(before.values()))["run_id"], "the champion's model was used"


def test_nothing_rings_while_all_is_well(cloud: Quarters) -> None:
    cloud.note_metrics()
    names = {name for (_, name, _), _, _ in cloud.points}
    assert {"ExecutionsSucceeded", "Errors", "ProcessedBytes", "TasksBegun", "TasksDone"} <= names
    assert cloud.ringing() == set()


def test_nothing_rings_in_twenty_runs_in_a_row(cloud: Quarters) -> None:
    """The metrics of the executions so far, one after another until there are twenty, ten minutes apart; one failed task a run rings."""
    machine, plan = cloud.outputs["state_machine"], Plan(cloud.stack.resources())
    ended = metrics.metric_name("AWS/States", "ExecutionsSucceeded", StateMachineArn=machine)
    times = [at for _, at, _ in cloud.points]
    first, length = min(times), max(times) - min(times) + 600
    one_after_another = len([1 for name, _, _ in cloud.points if name == ended])
    rounds = 20 // one_after_another
    moved = [(name, at + n * length, value) for n in range(rounds) for name, at, value in cloud.points]
    assert sum(name == ended for name, _, _ in moved) == 20
    alarms = [Alarm(a) for a in plan.of("aws_cloudwatch_metric_alarm")]

    def ringing(points: list[metrics.Point]) -> set[str]:
        written = metrics.series(points)
        end = first + rounds * length + HOUR
        return {a.name.removeprefix("predict-age-") for a in alarms if a.rings(written, first - HOUR, end)}

    assert ringing(moved) == set()
    (failed,) = {metrics.metric_name(t["namespace"], t["name"]) for f in plan.of(FILTER) for t in f["metric_transformation"]}
    assert ringing(moved + [(failed, first + n * length + m, 1.0) for n in range(rounds) for m in (1, 2)]) == {"tasks-failed"}


class Protection(threading.Thread):
    """Looks again and again at what protects the bucket, and remembers when something was off."""

    def __init__(self, s3: Any) -> None:
        super().__init__(daemon=True)
        self.s3, self.off, self.looks, self.over = s3, list[str](), 0, threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.05):
            try:
                block = self.s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
                assert all(block.values()), block
                assert self.s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
                assert "SecureTransport" in self.s3.get_bucket_policy(Bucket=BUCKET)["Policy"]
                assert self.s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
                assert self.s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
            except Exception as error:
                self.off.append(repr(error))
            self.looks += 1


def tables() -> dict[str, str]:
    """Where each table of the company's database reads."""
    found = boto3.client("glue").get_tables(DatabaseName=DATABASE)["TableList"]
    return {t["Name"]: t.get("StorageDescriptor", {}).get("Location", "") for t in found}


def test_destroyed_between_two_quarters_and_applied_again(cloud: Quarters) -> None:
    """All that computes is gone and comes back; results, tables, pointer and the company's own things stay, and protection is never off."""
    rows, there = cloud.results(), tables()
    assert {"labelled", "theirs", "predict_age_final_results_2025q3"} <= set(there)
    pointer = cloud.s3.get_object(Bucket=BUCKET, Key="predict-age/published.json")["Body"].read()
    networks = {v["VpcId"] for v in boto3.client("ec2").describe_vpcs()["Vpcs"]}
    addresses = {r["address"] for r in cloud.stack.resources()}
    assert not [a for a in addresses if "aws_vpc.main" in a or "aws_subnet" in a or "glue_catalog_database" in a]
    watch = Protection(cloud.s3)
    watch.start()
    refused = cloud.stack.run("destroy", "-auto-approve", "-input=false", check=False)
    assert refused.returncode
    assert "prevent_destroy" in refused.stderr
    cloud.stack.run("destroy", "-auto-approve", "-input=false", "-parallelism=20", "-target=module.pipeline")
    assert all(".storage." in r["address"] for r in cloud.stack.resources())
    assert tables() == there
    assert cloud.s3.get_object(Bucket=BUCKET, Key="predict-age/published.json")["Body"].read() == pointer
    cloud.stack.apply()
    watch.over.set()
    watch.join()
    assert watch.off == []
    assert watch.looks > 20
    assert {r["address"] for r in cloud.stack.resources()} == addresses
    assert {v["VpcId"] for v in boto3.client("ec2").describe_vpcs()["Vpcs"]} == networks
    assert tables() == there
    assert cloud.results() == rows


def test_the_next_quarter_runs(cloud: Quarters) -> None:
    """Both quarters have their tables; the drift is counted against the quarter before."""
    before = cloud.results()
    execution = cloud.finish(cloud.start(cloud.event(time=SECOND, as_of="2026-01-05")))
    assert iam.REFUSED == []
    assert (execution["status"], execution.get("cause")) == ("SUCCEEDED", None), cloud.said()
    published = json.loads(cloud.s3.get_object(Bucket=BUCKET, Key="predict-age/published.json")["Body"].read())
    assert sorted(published["quarters"]) == ["2025q3", "2025q4"]
    assert cloud.results().keys() == before.keys()
    old = cloud.athena.rows("SELECT pid FROM predict_age_final_results_2025q3")
    assert {str(r["pid"]) for r in old} == before.keys()
    for asked, status in (("2026-01-12T06:00:00Z", "SUCCEEDED"), ("2026-04-12T06:00:00Z", "FAILED")):
        said = cloud.finish(cloud.start({"expect_published": True, "time": asked}))
        assert said["status"] == status
    assert "no result was published for 2026q1" in said["cause"]


def test_faults_ring(cloud: Quarters) -> None:
    """The quarter without a result rang; so do tasks that fail, and an execution that was stopped."""
    cloud.note_metrics()
    assert cloud.ringing() == {"execution-failed"}
    cloud.points.clear()
    compute.Settings.fail = staticmethod(lambda command, env: env.get("PREDICT_AGE_TASK") == "1")
    try:
        failed = cloud.finish(cloud.start(cloud.event(time="2026-01-06T08:00:00Z")))
    finally:
        compute.Settings.fail = staticmethod(lambda command, env: False)
    assert failed["status"] == "FAILED"
    cloud.note_metrics()
    assert cloud.ringing() == {"execution-failed", "tasks-failed"}


def test_each_of_three_faults_rings_for_itself(cloud: Quarters) -> None:
    """An execution that is stopped, a function that fails eleven times, an event that could not be delivered."""

    def rung_by(fault: Callable[[], object]) -> set[str]:
        cloud.note_metrics()
        cloud.points.clear()
        began = time.time()
        fault()
        cloud.note_metrics(began)
        return cloud.ringing()

    def stop_an_execution() -> None:
        ecs, slots = boto3.client("ecs"), compute.Settings.slots
        (cluster,) = ecs.list_clusters()["clusterArns"]
        slots.acquire()
        slots.acquire()  # its task waits
        try:
            execution = cloud.start(cloud.event(time="2026-01-07T08:00:00Z"))
            end = time.monotonic() + 60
            while not (waiting := ecs.list_tasks(cluster=cluster, desiredStatus="RUNNING")["taskArns"]):
                assert time.monotonic() < end
                time.sleep(0.1)
            cloud.states.stop_execution(executionArn=execution)
            assert cloud.finish(execution)["status"] == "ABORTED"
            for task in waiting:
                ecs.stop_task(cluster=cluster, task=task)
        finally:
            slots.release()
            slots.release()

    def fail_a_function() -> None:
        for _ in range(11):
            asked = boto3.client("lambda").invoke(FunctionName="predict-age-final-results", Payload=b'{"verify": "2020q1"}')
            assert asked["FunctionError"] == "Unhandled"

    def lose_an_event() -> None:
        queue = boto3.client("sqs").get_queue_url(QueueName="predict-age-not-started")["QueueUrl"]
        boto3.client("sqs").send_message(QueueUrl=queue, MessageBody="{}")

    assert rung_by(lambda: None) == set()
    assert rung_by(stop_an_execution) == {"not-finished"}
    assert rung_by(fail_a_function) == {"function-errors"}
    assert rung_by(lose_an_event) == {"not-started"}


def test_only_the_company_s_things_are_left(cloud: Quarters) -> None:
    cloud.stack.destroy()
    assert cloud.stack.run("state", "list").stdout == ""
    assert {"labelled", "theirs"} <= set(tables())
