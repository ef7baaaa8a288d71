"""Lambda functions and Fargate tasks that really run: the deployed package in a process that sees boto3 and nothing else of this
environment, the container's command as a process with the variables of its task definition and of the call, and with those that say
which instructions this machine's numerical libraries use.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from moto.awslambda_simple.models import LambdaSimpleBackend, lambda_simple_backends
from moto.ecs.models import EC2ContainerServiceBackend, Task, ecs_backends
from moto.logs.models import logs_backends

from cloud.image_functions import Instance

RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
BOOTSTRAP = """
import importlib, json, sys, traceback
sys.path[:0] = sys.argv[1:3]
class Context:
    aws_request_id = sys.argv[4]
try:
    module, _, name = sys.argv[3].rpartition(".")
    reply = {"ok": getattr(importlib.import_module(module), name)(json.load(sys.stdin), Context())}
except BaseException as error:
    traceback.print_exc()
    reply = {"errorType": type(error).__name__, "errorMessage": str(error)}
print("\\n" + json.dumps(reply))
"""
INTERRUPTED = 143
PROCESSOR = (  # which instructions numerical libraries use: a property of the machine, on which the last digits of a model depend
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES",
)


OURS = ("PYTHONPATH", "NUMBA_CACHE_DIR")  # where this environment has the code under test, and its compiled kernels


def here(command: list[str], env: dict[str, str], scratch: Path) -> list[str]:
    """How to start the image's entry point with this environment's interpreter."""
    return [sys.executable, "-m", "predict_age", *command]


class Settings:
    """Settings that the test gives the backends it uses."""

    endpoint = ""
    credentials: Callable[[str], dict[str, str]] = staticmethod(lambda role: {})
    fail: Callable[[list[str], dict[str, str]], bool] = staticmethod(lambda command, env: False)
    started: ClassVar[list[dict[str, str]]] = []
    invoked: ClassVar[list[tuple[str, float, bool]]] = []  # function, time, whether it failed
    stopped: ClassVar[list[tuple[float, dict[str, Any]]]] = []  # time, and detail of the event that ECS sends
    command: Callable[[list[str], dict[str, str], Path], list[str]] = staticmethod(here)
    slots = threading.Semaphore(2)
    instances: ClassVar[dict[str, Instance]] = {}  # of functions that are an image


def _environment(region: str, role: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL": Settings.endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        **Settings.credentials(role),
    }


def _log(backend: Any, group: str, stream: str, text: str) -> None:
    logs = logs_backends[backend.account_id][backend.region_name]
    if group not in logs.groups:
        return  # as on AWS: Terraform makes the groups
    logs.ensure_log_stream(group, stream)
    lines = [{"timestamp": int(time.time() * 1000), "message": line} for line in text.splitlines()]
    if lines:
        logs.put_log_events(group, stream, lines)


class RunningLambda(LambdaSimpleBackend):
    """Invokes the deployed package."""

    packages: ClassVar[dict[str, str]] = {}

    def invoke(self, function_name: str, qualifier: Any, body: Any, headers: Any, response_headers: Any) -> bytes:
        function = self.get_function(function_name, qualifier)
        if function.package_type == "Image":
            return self._invoke_image(function, body, response_headers)
        code = self.packages.setdefault(function.code_sha_256, "") or self._unpacked(function)
        request = str(uuid.uuid4())
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", BOOTSTRAP, code, _runtime(), function.handler, request],
            input=body.encode() if isinstance(body, str) else body or b"{}",
            capture_output=True,
            timeout=function.timeout,
            env=_environment(self.region_name, function.role) | function.environment_vars,
        )
        text = (done.stderr + done.stdout).decode()
        _log(self, f"/aws/lambda/{function_name.rpartition(':')[2]}", request, text)
        reply = json.loads(done.stdout.decode().strip().splitlines()[-1])
        Settings.invoked.append((function_name.rpartition(":")[2], time.time(), "ok" not in reply))
        if "ok" not in reply:
            response_headers["x-amz-function-error"] = "Unhandled"
            return json.dumps(reply).encode()
        return json.dumps(reply["ok"]).encode()

    def _invoke_image(self, function: Any, body: Any, response_headers: Any) -> bytes:
        """Ask the function's only instance, which is started at its first event."""
        instance = Settings.instances.get(function.function_name)
        if instance is None:
            env = _environment(self.region_name, function.role) | function.environment_vars
            env |= {name: os.environ[name] for name in OURS if name in os.environ}
            instance = Settings.instances[function.function_name] = Instance(function.image_config.cmd, env)
        answered, said = instance.invoke(json.loads(body or b"{}"))
        Settings.invoked.append((function.function_name, time.time(), not answered))
        if not answered:
            response_headers["x-amz-function-error"] = "Unhandled"
        return json.dumps(said).encode()

    def _unpacked(self, function: Any) -> str:
        folder = tempfile.mkdtemp(prefix="lambda-")
        zipfile.ZipFile(io.BytesIO(function.code_bytes)).extractall(folder)
        self.packages[function.code_sha_256] = folder
        return folder


def _runtime(made: list[str] = []) -> str:  # noqa: B006 - made once
    """A folder that holds boto3 and what it needs, and nothing else: Lambda's own environment."""
    if not made:
        folder = Path(tempfile.mkdtemp(prefix="runtime-"))
        for name in RUNTIME:
            found = Path(importlib.util.find_spec(name).origin)
            source = found.parent if found.name == "__init__.py" else found
            (folder / source.name).symlink_to(source)
        made.append(str(folder))
    return made[0]


class RunningTask(Task):
    """A task whose state follows a process instead of the number of times that somebody asked."""

    @property
    def last_status(self) -> str:
        return self.real

    @last_status.setter
    def last_status(self, value: str) -> None:
        self.real = value

    def advance(self) -> None:
        """Nothing: the process decides."""


class RunningEcs(EC2ContainerServiceBackend):
    """Runs the command of the first container."""

    @staticmethod
    def _calculate_task_resource_requirements(task_definition: Any) -> dict[str, Any]:
        return {"CPU": int(task_definition.cpu or 0), "MEMORY": int(task_definition.memory or 0), "PORTS": [], "PORTS_UDP": []}

    def run_task(self, *args: Any, **kwargs: Any) -> list[Task]:
        tasks = super().run_task(*args, **kwargs)
        for task in tasks:
            task.__class__ = RunningTask
            task.real, task.done, task.process = "PENDING", threading.Event(), None
            task.containers[0].exitCode = None
            threading.Thread(target=self._live, args=(task,), daemon=True).start()
        return tasks

    def describe_tasks(self, cluster_str: str, tasks: list[str]) -> list[Task]:
        ids = {t.split("/")[-1] for t in tasks or []}
        return [t for found in list(self.tasks.values()) for t in list(found.values()) if t.id in ids]

    def stop_task(self, cluster_str: str, task_str: str, reason: str) -> Task:
        task = next(t for found in self.tasks.values() for t in found.values() if t.id == task_str.rsplit("/", maxsplit=1)[-1])
        task.desired_status, task.stopped_reason = "STOPPED", reason
        if task.process:
            task.process.send_signal(signal.SIGTERM)
        return task

    def _live(self, task: Any) -> None:
        with Settings.slots:
            code = self._process(task) if task.desired_status != "STOPPED" else INTERRUPTED
        container = task.containers[0]
        container.exitCode, container.last_status = code, "STOPPED"
        task.stop_code = "EssentialContainerExited"
        task.stopped_reason = task.stopped_reason or "Essential container in task exited"
        detail = {"clusterArn": task.cluster_arn, "lastStatus": "STOPPED", "stopCode": task.stop_code}
        Settings.stopped.append((time.time(), {**detail, "containers": [{"exitCode": code}]}))
        task.desired_status = task.real = "STOPPED"
        task.done.set()

    def _process(self, task: Any) -> int:
        definition = self.describe_task_definition(task.task_definition_arn)
        container = definition.container_definitions[0]
        override = next((o for o in task.overrides.get("containerOverrides", []) if o["name"] == container["name"]), {})
        env = _environment(self.region_name, definition.task_role_arn)
        env |= {name: os.environ[name] for name in (*PROCESSOR, *OURS) if name in os.environ}
        for given in (container.get("environment", []), override.get("environment", [])):
            env |= {e["name"]: str(e["value"]) for e in given}
        scratch = tempfile.mkdtemp(prefix="scratch-")
        env |= {"PREDICT_AGE_SCRATCH": scratch, "TMPDIR": scratch}
        command = override.get("command") or container.get("command") or []
        Settings.started.append(
            {"command": " ".join(command), "task": env.get("PREDICT_AGE_TASK", ""), "role": definition.task_role_arn}
        )
        if Settings.fail(command, env):
            return 1
        task.real = "RUNNING"
        task.process = subprocess.Popen(
            Settings.command(command, env, Path(scratch)), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said, _ = task.process.communicate()
        options = container["logConfiguration"]["options"]
        _log(self, options["awslogs-group"], f"{options['awslogs-stream-prefix']}/{container['name']}/{task.id}", said.decode())
        return task.process.returncode if task.process.returncode >= 0 else 128 - task.process.returncode


def install() -> None:
    """Put these backends in the place of moto's."""
    RunningLambda.__module__ = LambdaSimpleBackend.__module__
    RunningEcs.__module__ = EC2ContainerServiceBackend.__module__
    lambda_simple_backends.backend = RunningLambda
    ecs_backends.backend = RunningEcs
