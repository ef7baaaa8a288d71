"""The modules applied to a mocked provider: every resource with every value, in seconds, without AWS, emulator or network.

Terraform's own test command applies the example with ``mock_provider``. Answers of AWS (ARNs, ids) are given here, different for
each resource, so that a policy that names another resource can be told from one that names its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloud.terraform import EXAMPLE, PROTECTED, REMOVABLE, UnavailableError, all_resources, cli_configuration
from predict_age.aws.state_machine import LAMBDAS, TASKS

Resource = dict[str, Any]
ACCOUNT, REGION, BUCKET = "123456789012", "us-east-1", "company-predict-age"
DIGEST = "@sha256:" + "0123456789abcdef" * 4
INVENTED = re.compile(r"[a-z0-9]{8}")
FUNCTIONS = tuple(LAMBDAS.values())
CONTAINERS = ("prediction", *(family for family, _ in TASKS.values()))


def arn(service: str, rest: str, region: str = REGION) -> str:
    """An ARN of the test's account."""
    return f"arn:aws:{service}:{region}:{ACCOUNT}:{rest}"


def _answers() -> dict[str, dict[str, str]]:
    """Answers of AWS, by the resource's address."""
    log = {f"/aws/lambda/predict-age-{f.replace('_', '-')}": "functions" for f in FUNCTIONS}
    log |= {f"/ecs/predict-age-{name}": "tasks" for name in ("training", "prediction")}
    roles = {f'work["{n}"]': n.replace("_", "-") for n in dict.fromkeys((*FUNCTIONS, *CONTAINERS))}
    roles |= {"start_tasks": "start-tasks", "machine": "machine", "scheduler": "scheduler", "reader[0]": "reader", "api[0]": "api"}
    subnets = ("public[0]", "private[0]", "private[1]")
    pipeline = {
        **{
            f"aws_iam_role.{a}": {"arn": arn("iam", f"role/predict-age-{n}", ""), "id": f"predict-age-{n}"}
            for a, n in roles.items()
        },
        **{
            f'aws_lambda_function.main["{f}"]': {"arn": arn("lambda", f"function:predict-age-{f.replace('_', '-')}")}
            for f in FUNCTIONS
        },
        **{f'aws_ecs_task_definition.main["{c}"]': {"arn": arn("ecs", f"task-definition/predict-age-{c}:1")} for c in CONTAINERS},
        "aws_ecs_cluster.main": {"arn": arn("ecs", "cluster/predict-age")},
        "aws_athena_workgroup.main": {"arn": arn("athena", "workgroup/predict-age")},
        "aws_sfn_state_machine.main": {"arn": arn("states", "stateMachine:predict-age-pipeline")},
        "aws_sns_topic.alerts": {"arn": arn("sns", "predict-age-alerts")},
        "aws_sqs_queue.not_started": {"arn": arn("sqs", "predict-age-not-started"), "url": "https://queue/predict-age-not-started"},
        "aws_kms_key.alerts": {"arn": arn("kms", "key/alerts")},
        "aws_ecr_repository.main": {"arn": arn("ecr", "repository/predict-age"), "repository_url": f"{ACCOUNT}.ecr/predict-age"},
        **{
            f'aws_cloudwatch_log_group.{kind}["{g if kind == "tasks" else _function(g)}"]': {"arn": arn("logs", f"log-group:{g}")}
            for g, kind in log.items()
        },
        "aws_cloudwatch_log_group.tasks_failed": {"arn": arn("logs", "log-group:/aws/events/predict-age-tasks-failed")},
        "aws_cloudwatch_event_rule.tasks_failed": {"arn": arn("events", "rule/predict-age-tasks-failed")},
        "aws_lambda_function.api[0]": {"arn": arn("lambda", "function:predict-age-api"), "invoke_arn": "invoke:predict-age-api"},
        "aws_apigatewayv2_api.api[0]": {"id": "gateway", "execution_arn": arn("execute-api", "gateway")},
        "aws_apigatewayv2_authorizer.tokens[0]": {"id": "tokens"},
        "aws_apigatewayv2_integration.api[0]": {"id": "function"},
        "aws_cloudwatch_log_group.api[0]": {"arn": arn("logs", "log-group:/aws/lambda/predict-age-api")},
        "aws_cloudwatch_log_group.api_access[0]": {"arn": arn("logs", "log-group:/aws/apigateway/predict-age-api")},
        "aws_cloudwatch_log_group.machine": {"arn": arn("logs", "log-group:/aws/states/predict-age-pipeline")},
        **{
            f"aws_{kind}.{name}": {"id": f"{kind}-{name}".replace("[0]", "")}
            for kind, name in (
                ("vpc", "main[0]"),
                ("internet_gateway", "main[0]"),
                ("nat_gateway", "main[0]"),
                ("eip", "nat[0]"),
                ("route_table", "public[0]"),
                ("route_table", "private[0]"),
                ("security_group", "tasks"),
            )
        },
        **{f"aws_subnet.{s}": {"id": f"subnet-{s}"} for s in subnets},
    }
    storage = {
        "aws_s3_bucket.data": {"arn": f"arn:aws:s3:::{BUCKET}", "id": BUCKET},
        "aws_kms_key.suppression": {"arn": arn("kms", "key/suppression"), "key_id": "suppression"},
    }
    return {f"module.pipeline.{a}": v for a, v in pipeline.items()} | {f"module.storage.{a}": v for a, v in storage.items()}


def _function(group: str) -> str:
    return group.removeprefix("/aws/lambda/predict-age-").replace("-", "_")


def _test_file(variables: dict[str, Any]) -> str:
    """The test that Terraform runs: apply everything, with these answers."""
    data = {
        "aws_caller_identity": {"account_id": ACCOUNT},
        "aws_partition": {"partition": "aws"},
        "aws_region": {"id": REGION},
    }
    lines = ['mock_provider "aws" {']
    lines += [f'  mock_data "{kind}" {{\n    defaults = {json.dumps(v)}\n  }}' for kind, v in data.items()]
    lines += [f"  override_resource {{\n    target = {a}\n    values = {json.dumps(v)}\n  }}" for a, v in _answers().items()]
    given = "\n".join(f"  {k} = {json.dumps(v)}" for k, v in variables.items())
    return "\n".join([*lines, "}", f"variables {{\n{given}\n}}", 'run "everything" {\n  command = apply\n}', ""])


def applied(source: Path, scratch: Path, **variables: Any) -> list[Resource]:
    """Every resource of the modules in ``source`` (a terraform/ folder) as its mocked application leaves it.

    The answer is kept in ``scratch``, for the other processes of a test session. Raises UnavailableError without Terraform or
    provider, AssertionError with Terraform's words when the configuration is refused.
    """
    if shutil.which("terraform") is None:
        raise UnavailableError("terraform is not installed")
    scratch.mkdir(parents=True, exist_ok=True)
    test = _test_file(
        {"bucket": BUCKET, "functions_zip": "functions.zip", "image": f"{ACCOUNT}.ecr/predict-age{DIGEST}", **variables}
    )
    files = {
        p.relative_to(source).as_posix(): p.read_bytes()
        for p in sorted(source.rglob("*"))
        if p.is_file() and ".terraform/" not in p.as_posix()
    }
    key = hashlib.sha256(repr((sorted(files.items()), test)).encode()).hexdigest()[:16]
    with (scratch / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        answer = scratch / f"{key}.json"
        if not answer.exists():
            answer.write_text(json.dumps(_apply(files, scratch, test)))
    return json.loads(answer.read_text())


def _apply(files: dict[str, bytes], scratch: Path, test: str) -> list[Resource]:
    folder = scratch / "terraform"
    root = folder / EXAMPLE
    for path in folder.rglob("*.tf"):
        path.unlink()
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data.replace(PROTECTED.encode(), REMOVABLE.encode()))  # the test removes what it applied
    (root / "functions.zip").write_bytes(b"")
    (root / "tests").mkdir(exist_ok=True)
    (root / "tests" / "rules.tftest.hcl").write_text(test)
    env = {**os.environ, "TF_CLI_CONFIG_FILE": str(cli_configuration(scratch)), "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["terraform", *arguments], cwd=root, env=env, capture_output=True, text=True, timeout=300)

    if not (root / ".terraform").exists() and (done := run("init", "-backend=false", "-input=false", "-no-color")).returncode:
        raise UnavailableError(f"the AWS provider cannot be had: {done.stderr[-300:]}")
    said = [json.loads(line) for line in run("test", "-json", "-verbose").stdout.splitlines()]
    errors = [m for m in said if m["type"] == "diagnostic" and m["@level"] == "error"]
    problems = [f"{e['@message']}: {e['diagnostic']['detail']}" for e in errors]
    state = next((m["test_state"] for m in said if m["type"] == "test_state"), None)
    assert state is not None and not problems, "\n".join(problems)
    written = b"\n".join(files.values()).decode()
    return [{**r, "values": _without_inventions(r["values"], written)} for r in all_resources(state["root_module"])]


def _without_inventions(value: Any, written: str) -> Any:
    """The value without what the mocked provider invents for attributes that nobody sets: eight random letters and digits."""
    if isinstance(value, dict):
        return {k: _without_inventions(v, written) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_inventions(v, written) for v in value]
    return None if isinstance(value, str) and INVENTED.fullmatch(value) and value not in written else value


def readable(resources: list[Resource]) -> str:
    """A plan as sorted lines "address attribute = value", with policies and definitions taken apart: a difference is a few lines."""
    lines: list[str] = []
    for resource in sorted(resources, key=lambda r: r["address"]):
        lines.append(resource["address"].removeprefix("module."))
        lines += [f"  {path} = {json.dumps(value)}" for path, value in _leaves("", resource["values"])]
    return "\n".join(lines) + "\n"


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, str) and value.startswith(("{", "[")) and value[-1:] in "}]":
        value = json.loads(value)
    if isinstance(value, dict):
        for name in sorted(value):
            yield from _leaves(f"{path}.{name}" if path else name, value[name])
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(f"{path}[{number}]", inner)
    elif value is not None and value != "":
        yield path, value


if __name__ == "__main__":
    import sys
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        Path(sys.argv[1]).write_text(readable(applied(Path(__file__).parents[2] / "terraform", Path(scratch))))
