"""The AWS of the tests: one test for each place where moto says success without having done the work, or cannot do it at all."""

import io
import json
import os
import platform
import signal
import subprocess
import sys
import time
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.ecs.exceptions import EcsClientException as ClientException
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl

from cloud import compute, iam, image, server
from predict_age.aws import state_machine

pytestmark = [pytest.mark.xdist_group("cloud"), pytest.mark.filterwarnings("default")]
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


class Small:
    """A cluster with one task, a role without rights, and state machines made of single states."""

    def __init__(self) -> None:
        self.name = f"e{uuid.uuid4().hex[:8]}"
        role = boto3.client("iam").create_role(RoleName=self.name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        self.role, self.ecs, self.states = role, boto3.client("ecs"), boto3.client("stepfunctions")
        boto3.client("logs").create_log_group(logGroupName=self.name)
        self.ecs.create_cluster(clusterName=self.name)
        log = {"logDriver": "awslogs", "options": {"awslogs-group": self.name, "awslogs-stream-prefix": "t"}}
        self.task = self.ecs.register_task_definition(
            family=self.name,
            cpu="256",
            memory="512",
            taskRoleArn=role,
            containerDefinitions=[{"name": "work", "image": "none", "command": ["x"], "logConfiguration": log}],
        )["taskDefinition"]["taskDefinitionArn"]

    def run_task(self, *environment: dict[str, str]) -> dict[str, Any]:
        """The state that starts the task and waits for its end."""
        return {
            "Type": "Task",
            "Resource": "arn:aws:states:::ecs:runTask.sync",
            "End": True,
            "Parameters": {
                "Cluster": self.name,
                "TaskDefinition": self.task,
                "CapacityProviderStrategy": [{"CapacityProvider": "FARGATE", "Weight": 1}],
                "Overrides": {"ContainerOverrides": [{"Name": "work", "Environment": list(environment)}]},
            },
        }

    def machine(self, state: dict[str, Any]) -> str:
        """A state machine of one state; its address."""
        text = json.dumps({"StartAt": "Only", "States": {"Only": state}})
        return self.states.create_state_machine(name=f"m{uuid.uuid4().hex[:8]}", definition=text, roleArn=self.role)[
            "stateMachineArn"
        ]

    def execute(self, machine: str, given: dict[str, Any] | None = None) -> dict[str, Any]:
        """Start it and wait for its end."""
        execution = self.states.start_execution(stateMachineArn=machine, input=json.dumps(given or {}))["executionArn"]
        wait_for(lambda: self.states.describe_execution(executionArn=execution)["status"] != "RUNNING")
        return self.states.describe_execution(executionArn=execution)


def wait_for(condition: Any) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def small() -> Iterator[Small]:
    """All of it on loopback."""
    before = dict(os.environ)
    with server.running() as _:
        yield Small()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(autouse=True)
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """A task is a Python one-liner in this module: SCRIPT of its environment. Returns what was started."""
    script = "import os; exec(os.environ.get('SCRIPT', ''))"
    monkeypatch.setattr(compute.Settings, "command", staticmethod(lambda command, env, scratch: [sys.executable, "-c", script]))
    monkeypatch.setattr(compute.Settings, "started", [])
    return compute.Settings.started


def test_failed_container_fails_its_state(small: Small) -> None:
    """... and the state's output is what the container did, not null."""
    well = small.execute(small.machine(small.run_task()))
    assert well["status"] == "SUCCEEDED"
    assert json.loads(well["output"])["Containers"][0]["ExitCode"] == 0
    ill = small.execute(small.machine(small.run_task({"Name": "SCRIPT", "Value": "raise SystemExit(3)"})))
    assert (ill["status"], ill["error"]) == ("FAILED", "States.TaskFailed")
    assert json.loads(ill["cause"])["Containers"][0]["ExitCode"] == 3


def test_retry_after_a_failed_task(small: Small, tasks: list[dict[str, str]], tmp_path: Path) -> None:
    """The second try is a real one, and its wait does not take a minute of the test's time."""
    script = f"p = {str(tmp_path / 'tried')!r}; new = not os.path.exists(p); open(p, 'w').close(); raise SystemExit(int(new))"
    state = small.run_task({"Name": "SCRIPT", "Value": script})
    state["Retry"] = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 100, "MaxAttempts": 2}]
    assert small.execute(small.machine(state))["status"] == "SUCCEEDED"
    assert len(tasks) == 2


class Told:
    """The states of one container as they are generated, with the notification; who subscribes to it gets a queue."""

    def __init__(self, small: Small, script: str) -> None:
        self.small, self.bucket = small, f"b{uuid.uuid4().hex[:8]}"
        boto3.client("s3").create_bucket(Bucket=self.bucket)
        topic = boto3.client("sns").create_topic(Name=self.bucket)["TopicArn"]
        self.queue = boto3.client("sqs").create_queue(QueueName=self.bucket)["QueueUrl"]
        arn = boto3.client("sqs").get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        boto3.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        names = (
            "Training",
            "TrainingJudged",
            "TrainingAgain",
            "TrainingFailed",
            "ReadReason",
            "ReasonRead",
            "NotifyFailure",
            "Failed",
        )
        states = {name: state_machine.definition()["States"][name] for name in (*names, "Done")}
        for name in ("Training", "TrainingAgain"):
            states[name] = {**states[name], "Next": "Done"}
            (override,) = states[name]["Parameters"]["Overrides"]["ContainerOverrides"]
            override |= {"Name": "work", "Environment": [*override["Environment"], {"Name": "SCRIPT", "Value": script}]}
            del states[name]["Parameters"]["NetworkConfiguration"]
        text = json.dumps({"StartAt": "Training", "States": states})
        places = {
            "cluster": small.name,
            "training_task": small.task,
            "bucket": self.bucket,
            "prefix": "predict-age",
            "topic": topic,
        }
        for place, value in {**places, "partition": "aws"}.items():
            text = text.replace(f"${{{place}}}", value)
        self.machine = small.states.create_state_machine(name=self.bucket, definition=text, roleArn=small.role)["stateMachineArn"]

    def leave(self, text: str) -> None:
        """Write the object that a container would leave."""
        boto3.client("s3").put_object(Bucket=self.bucket, Key="predict-age/runs/r/failures/7.txt", Body=text.encode())

    def execute(self) -> dict[str, Any]:
        """Execute it to its end."""
        return self.small.execute(self.machine, {"run_id": "r", "token": "7", "accept": ""})

    def mail(self) -> dict[str, str]:
        """The notification that was sent."""
        (message,) = boto3.client("sqs").receive_message(QueueUrl=self.queue)["Messages"]
        return json.loads(message["Body"])


@pytest.mark.parametrize(("code", "tries"), [(3, 1), (1, 4)])
def test_errors_that_another_try_cannot_change_end_at_once(
    small: Small, tasks: list[dict[str, str]], code: int, tries: int
) -> None:
    """... others are tried four times; the notification names the state and gives the container's own words."""
    told = Told(small, f"raise SystemExit({code})")
    told.leave("the source cannot be read\n  to fix: write 'it' anew")
    execution = told.execute()
    assert (execution["status"], execution["error"]) == ("FAILED", "RunFailed")
    assert execution["cause"].startswith("the source cannot be read")
    assert len(tasks) == tries
    mail = told.mail()
    assert mail["Subject"] == "predict-age: Training failed"
    for said in ("The state Training failed: States.TaskFailed", "to fix: write 'it' anew", execution["executionArn"]):
        assert said in mail["Message"]


def test_a_container_that_left_no_words_is_told_by_its_exit(small: Small) -> None:
    """Killed, it could write nothing: people still hear of it."""
    told = Told(small, "raise SystemExit(137)")
    assert told.execute()["status"] == "FAILED"
    assert "137" in told.mail()["Message"]


@pytest.mark.parametrize("refusals", [5, 10_000])
def test_missing_capacity_is_waited_for(
    small: Small, tasks: list[dict[str, str]], refusals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RunTask that refuses for minutes is no failed run; one that refuses for ever ends with the reason in the notification."""
    asked: list[float] = []
    run_task = compute.RunningEcs.run_task

    def refusing(self: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(time.monotonic())
        if len(asked) <= refusals:
            raise ClientException(
                "Capacity is unavailable at this time. Please try again later or in a different availability zone"
            )
        return run_task(self, *args, **kwargs)

    monkeypatch.setattr(compute.RunningEcs, "run_task", refusing)
    monkeypatch.setattr(retrier_decl, "time", SimpleNamespace(sleep=lambda seconds: None))
    told = Told(small, "")
    execution = told.execute()
    if refusals < 20:
        assert (execution["status"], len(asked), len(tasks)) == ("SUCCEEDED", refusals + 1, 1)
    else:
        assert execution["status"] == "FAILED"
        assert "Capacity is unavailable" in told.mail()["Message"]
        assert len(asked) > state_machine.ON_DEMAND_STARTS * 2


MINUTES_WITHOUT_CAPACITY, MINUTES_OF_QUOTA = 20, 5


def test_a_prediction_task_waits_for_capacity_then_without_spot_then_for_the_quota(
    small: Small, tasks: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The states of a batch, executed, on a clock that the waits between tries move: nothing for 20 minutes, then a quota that is
    used up for 5, then On-Demand capacity alone. The task starts there, and the first tries had asked for Spot.
    """
    clock, asked = [0.0], list[tuple[float, tuple[str, ...]]]()
    run_task = compute.RunningEcs.run_task

    def market(self: Any, *args: Any, **kwargs: Any) -> Any:
        kinds = tuple(p["capacityProvider"] for p in next(a for a in args if isinstance(a, list) and "capacityProvider" in str(a)))
        asked.append((clock[0] / 60, kinds))
        if clock[0] < MINUTES_WITHOUT_CAPACITY * 60:
            raise ClientException("Capacity is unavailable at this time. Please try again later or in a different zone")
        if clock[0] < (MINUTES_WITHOUT_CAPACITY + MINUTES_OF_QUOTA) * 60:
            raise ClientException("You've reached the limit on the number of vCPUs you can run concurrently")
        if "FARGATE_SPOT" in kinds:
            raise ClientException("Capacity is unavailable at this time")
        return run_task(self, *args, **kwargs)

    def wait(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(compute.RunningEcs, "run_task", market)
    monkeypatch.setattr(retrier_decl, "time", SimpleNamespace(sleep=wait))
    item = state_machine.definition()["States"]["ParallelPrediction"]["ItemProcessor"]
    for name in ("PredictBatches", "PredictBatchesAgain"):
        del item["States"][name]["Parameters"]["NetworkConfiguration"]
        item["States"][name]["Parameters"]["Overrides"]["ContainerOverrides"][0]["Name"] = "work"
    text = json.dumps({"StartAt": item["StartAt"], "States": item["States"]})
    for place, value in {"cluster": small.name, "prediction_task": small.task, "partition": "aws"}.items():
        text = text.replace(f"${{{place}}}", value)
    name = f"m{uuid.uuid4().hex[:8]}"
    machine = small.states.create_state_machine(name=name, definition=text, roleArn=small.role)["stateMachineArn"]
    execution = small.execute(machine, {"run_id": "r", "token": "7", "accept": "", "task": "0"})
    assert (execution["status"], len(tasks)) == ("SUCCEEDED", 1)
    assert asked[0] == (0.0, ("FARGATE_SPOT", "FARGATE"))
    (at, kinds) = asked[-1]
    assert at > MINUTES_WITHOUT_CAPACITY + MINUTES_OF_QUOTA and kinds == ("FARGATE",)
    assert any(MINUTES_WITHOUT_CAPACITY < minute < at for minute, _ in asked), "the quota refused a start"


def map_over(small: Small, script: str, **settings: Any) -> dict[str, Any]:
    """A distributed map over three numbers, a task each."""
    task = small.run_task({"Name": "PREDICT_AGE_TASK", "Value.$": "States.Format('{}', $)"}, {"Name": "SCRIPT", "Value": script})
    return {
        "Type": "Map",
        "End": True,
        "ItemsPath": "$.items",
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "One",
            "States": {"One": task},
        },
        **settings,
    }


def execute_map(small: Small, state: dict[str, Any]) -> dict[str, Any]:
    text = {"Type": "Pass", "Result": {"items": [1, 2, 3]}, "Next": "Map"}
    definition = json.dumps({"StartAt": "Items", "States": {"Items": text, "Map": state}})
    name = f"m{uuid.uuid4().hex[:8]}"
    return small.execute(small.states.create_state_machine(name=name, definition=definition, roleArn=small.role)["stateMachineArn"])


def test_tasks_of_a_map_get_their_item(small: Small, tasks: list[dict[str, str]]) -> None:
    """Parameters as they are written for AWS reach ECS; every item is a task, every output is there."""
    done = execute_map(small, map_over(small, ""))
    assert done["status"] == "SUCCEEDED"
    assert sorted(t["task"] for t in tasks) == ["1", "2", "3"]
    assert [o["Containers"][0]["ExitCode"] for o in json.loads(done["output"])] == [0, 0, 0]


def test_map_with_a_failed_item_fails(small: Small) -> None:
    """A share that is tolerated may be written as a whole number."""
    script = "raise SystemExit(os.environ['PREDICT_AGE_TASK'] == '2')"
    done = execute_map(small, map_over(small, script, ToleratedFailurePercentage=0))
    assert (done["status"], done["error"]) == ("FAILED", "States.ExceedToleratedFailureThreshold")


def test_stopped_task_is_told(small: Small, tmp_path: Path) -> None:
    """StopTask sends SIGTERM to the process, whose exit code is the container's; nobody has to ask for it to end."""
    ready = tmp_path / "ready"
    script = f"import signal, time; signal.signal(15, lambda *a: os._exit(143)); open({str(ready)!r}, 'w').close(); time.sleep(60)"
    overrides = {"containerOverrides": [{"name": "work", "environment": [{"name": "SCRIPT", "value": script}]}]}
    started = small.ecs.run_task(cluster=small.name, taskDefinition=small.task, launchType="FARGATE", overrides=overrides)["tasks"][
        0
    ]["taskArn"]
    wait_for(ready.exists)

    def found() -> dict[str, Any]:
        return small.ecs.describe_tasks(cluster=small.name, tasks=[started])["tasks"][0]

    assert [found()["lastStatus"] for _ in range(5)] == ["RUNNING"] * 5
    small.ecs.stop_task(cluster=small.name, task=started, reason="taken away")
    wait_for(lambda: found()["lastStatus"] == "STOPPED")
    assert found()["containers"][0]["exitCode"] == 128 + signal.SIGTERM
    assert found()["stoppedReason"] == "taken away"


def test_what_a_task_says_is_logged(small: Small) -> None:
    """In the group and under the name that its definition gives."""
    assert small.execute(small.machine(small.run_task({"Name": "SCRIPT", "Value": "print('hello')"})))["status"] == "SUCCEEDED"
    found = boto3.client("logs").filter_log_events(logGroupName=small.name)["events"]
    assert "hello" in [e["message"] for e in found]
    assert {e["logStreamName"].rpartition("/")[0] for e in found} == {"t/work"}


def test_task_computes_with_this_machines_instructions(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its linear algebra is that of a process beside it; how many threads a task uses remains the program's choice."""
    found = tmp_path / "found"
    script = (
        "import json, numpy, threadpoolctl; names = [n for n in os.environ if n.startswith(('OPENBLAS_', 'NPY_', 'OMP_'))];"
        f"libraries = [i.get('architecture') for i in threadpoolctl.threadpool_info()]; open({str(found)!r}, 'w').write("
        "json.dumps([libraries, sorted(names)]))"
    )
    for name in [n for n in os.environ if n.startswith(("OPENBLAS_", "NPY_", "OMP_"))]:
        monkeypatch.delenv(name)
    kinds = []
    for kind in ("Nehalem", "Haswell"):
        monkeypatch.setenv("OPENBLAS_CORETYPE", kind)
        subprocess.run([sys.executable, "-c", f"import os; {script}"], check=True)
        beside, _ = json.loads(found.read_text())
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
        state = small.run_task({"Name": "SCRIPT", "Value": script})
        assert small.execute(small.machine(state))["status"] == "SUCCEEDED"
        assert json.loads(found.read_text()) == [beside, ["OPENBLAS_CORETYPE"]]
        monkeypatch.delenv("OPENBLAS_NUM_THREADS")
        kinds.append(beside)
    assert platform.machine() != "x86_64" or kinds[0] != kinds[1], "the variable has no effect here"


def test_image_gets_this_machines_instructions(tmp_path: Path) -> None:
    """... as the task's process gets them without an image; other variables of the process stay outside."""
    container = object.__new__(image.Container)
    container.name = "c"
    given = {"OPENBLAS_CORETYPE": "Haswell", "PREDICT_AGE_TASK": "1", "PATH": "/bin", "OPENBLAS_NUM_THREADS": "1"}
    names = {a.split("=")[1] for a in container.command(["aws-task"], given, tmp_path) if a.startswith("--env=")}
    assert names == {"OPENBLAS_CORETYPE", "PREDICT_AGE_TASK", "PREDICT_AGE_SCRATCH", "TMPDIR"}


def test_execution_has_a_name(small: Small) -> None:
    """... also when nobody gave it one."""
    machine = small.machine({"Type": "Pass", "Parameters": {"name.$": "$$.Execution.Name"}, "End": True})
    names = [json.loads(small.execute(machine)["output"])["name"] for _ in range(2)]
    assert None not in names
    assert names[0] != names[1]


def test_machine_is_executed_twice(small: Small, tasks: list[dict[str, str]]) -> None:
    """... and does its work again."""
    machine = small.machine(small.run_task())
    assert [small.execute(machine)["status"] for _ in range(2)] == ["SUCCEEDED"] * 2
    assert len(tasks) == 2


def test_definition_is_validated(small: Small) -> None:
    """The provider asks for it while it plans, and for versions after creation."""
    whole = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    assert small.states.validate_state_machine_definition(definition=whole)["result"] == "OK"
    found = small.states.validate_state_machine_definition(definition='{"StartAt": "A"')
    assert (found["result"], len(found["diagnostics"])) == ("FAIL", 1)
    machine = small.machine({"Type": "Succeed"})
    assert small.states.list_state_machine_versions(stateMachineArn=machine)["stateMachineVersions"] == []


def test_function_has_boto3_and_nothing_else(small: Small) -> None:
    """Other imports fail as on AWS; an exception is an unhandled error with its name; its log is there."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr(
            "f.py",
            "import boto3, os\ndef a(event, context):\n    print('said'); return {'got': event, 'is': os.environ['A']}\n"
            "def b(event, context):\n    import pyarrow\n",
        )
    functions = boto3.client("lambda")
    for name in ("a", "b"):
        functions.create_function(
            FunctionName=f"{small.name}-{name}",
            Runtime="python3.11",
            Role=small.role,
            Handler=f"f.{name}",
            Code={"ZipFile": code.getvalue()},
            Timeout=30,
            Environment={"Variables": {"A": "1"}},
        )
    boto3.client("logs").create_log_group(logGroupName=f"/aws/lambda/{small.name}-a")
    well = functions.invoke(FunctionName=f"{small.name}-a", Payload='{"x": 1}')
    assert json.loads(well["Payload"].read()) == {"got": {"x": 1}, "is": "1"}
    assert "FunctionError" not in well
    ill = functions.invoke(FunctionName=f"{small.name}-b", Payload="{}")
    assert (ill["FunctionError"], json.loads(ill["Payload"].read())["errorType"]) == ("Unhandled", "ModuleNotFoundError")
    found = boto3.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{small.name}-a")["events"]
    assert "said" in [e["message"] for e in found]


def test_a_function_whose_time_is_over_is_told(small: Small) -> None:
    """A time-out of its state has no cause, which the error of a function has."""
    name = f"f{uuid.uuid4().hex[:8]}"
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("f.py", "import time\ndef a(event, context):\n    time.sleep(2)\n")
    settings = {"Runtime": "python3.11", "Role": small.role, "Handler": "f.a", "Timeout": 30}
    made = boto3.client("lambda").create_function(FunctionName=name, Code={"ZipFile": code.getvalue()}, **settings)
    topic = boto3.client("sns").create_topic(Name=name)["TopicArn"]
    queue = boto3.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    arn = boto3.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    boto3.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    names = ("HumanQA", "HumanQAFailed", "CauseGiven", "CauseRead", "NotifyFailure", "Failed", "Done")
    states = {n: state_machine.definition()["States"][n] for n in names}
    states["HumanQA"] |= {"Next": "Done", "TimeoutSeconds": 1, "Retry": []}
    text = json.dumps({"StartAt": "HumanQA", "States": states})
    for place, value in {"human_qa_function": made["FunctionArn"], "topic": topic, "partition": "aws"}.items():
        text = text.replace(f"${{{place}}}", value)
    machine = small.states.create_state_machine(name=name, definition=text, roleArn=small.role)["stateMachineArn"]
    execution = small.execute(machine)
    assert (execution["status"], execution["error"]) == ("FAILED", "RunFailed")
    assert "States.Timeout" in execution["cause"]
    (message,) = boto3.client("sqs").receive_message(QueueUrl=queue)["Messages"]
    assert "The state HumanQA failed: States.Timeout" in json.loads(message["Body"])["Message"]


def test_rights_are_those_of_the_role(small: Small) -> None:
    """A statement whose condition is not met does not apply, which is not a denial; what was refused is noted."""
    s3, bucket = boto3.client("s3"), f"b-{small.name}"
    s3.create_bucket(Bucket=bucket)
    deny = {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    allow = {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": f"arn:aws:s3:::{bucket}/mine/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny, allow]})
    boto3.client("iam").put_role_policy(RoleName=small.name, PolicyName="p", PolicyDocument=policy)
    keys = iam.credentials(small.role)
    mine = boto3.client(
        "s3",
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=keys["AWS_SESSION_TOKEN"],
    )
    mine.put_object(Bucket=bucket, Key="mine/x", Body=b"")
    mine.put_object(Bucket=bucket, Key="mine/a b+c.txt", Body=b"x", IfNoneMatch="*", Metadata={"sha256": "0"})
    mine.upload_fileobj(io.BytesIO(b"streamed"), bucket, "mine/large")
    assert mine.head_object(Bucket=bucket, Key="mine/large")["ContentLength"] == 8
    refused = len(iam.REFUSED)
    for call in (lambda: mine.put_object(Bucket=bucket, Key="other", Body=b""), lambda: mine.list_objects_v2(Bucket=bucket)):
        with pytest.raises(ClientError, match=r"AccessDenied|403|Forbidden"):
            call()
    assert len(iam.REFUSED) == refused + 2
    del iam.REFUSED[refused:]


def test_rights_are_checked_while_the_server_runs_only() -> None:
    """Tests that follow in the process use moto without rights."""
    script = (
        "import os, boto3\nfrom moto import mock_aws\nfrom cloud import server\nwith server.running(): pass\n"
        "del os.environ['AWS_ENDPOINT_URL']\nwith mock_aws(): boto3.client('s3').create_bucket(Bucket='people')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_versioned_bucket_can_be_emptied(small: Small) -> None:
    """Also after its versioning has ended, with delete markers in it: so does ``terraform destroy`` find it."""
    s3, bucket = boto3.client("s3"), f"v-{small.name}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key="x", Body=b"")
    s3.delete_object(Bucket=bucket, Key="x")
    found = s3.list_object_versions(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    gone = [{"Key": "x", "VersionId": v["VersionId"]} for v in found["Versions"] + found["DeleteMarkers"]]
    assert len(gone) == 2
    s3.delete_objects(Bucket=bucket, Delete={"Objects": gone})
    s3.delete_bucket(Bucket=bucket)


def test_workgroup_can_be_changed(small: Small) -> None:
    """A lower cut-off is in force afterwards; why a statement failed, and what it scanned, is told."""
    athena, bucket = boto3.client("athena"), f"a-{small.name}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    boto3.client("glue").create_database(DatabaseInput={"Name": small.name})
    settings = {"ResultConfiguration": {"OutputLocation": f"s3://{bucket}/"}, "EnforceWorkGroupConfiguration": True}
    athena.create_work_group(Name=small.name, Configuration={**settings, "BytesScannedCutoffPerQuery": 20_000_000})
    athena.update_work_group(WorkGroup=small.name, ConfigurationUpdates={"BytesScannedCutoffPerQuery": 10_000_000})
    found = athena.get_work_group(WorkGroup=small.name)["WorkGroup"]["Configuration"]
    assert (found["BytesScannedCutoffPerQuery"], found["EnforceWorkGroupConfiguration"]) == (10_000_000, True)
    started = athena.start_query_execution(
        QueryString="SELECT * FROM nothing", WorkGroup=small.name, QueryExecutionContext={"Database": small.name}
    )
    query = athena.get_query_execution(QueryExecutionId=started["QueryExecutionId"])["QueryExecution"]
    assert query["Status"]["State"] == "FAILED"
    assert "nothing" in query["Status"]["StateChangeReason"]
    assert query["Statistics"]["DataScannedInBytes"] == 0
