"""The modules planned with a mocked provider: every resource with every value, in seconds, without AWS, emulator or network.

Terraform's own test command plans the example with ``mock_provider``, which answers in the plan from Terraform 1.11 on. Answers of AWS (ARNs, ids) are given here, different for
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
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cloud.terraform import EXAMPLE, UnavailableError, cli_configuration
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


def _mocked_provider() -> str:
    """The provider of all runs, with AWS's answers."""
    data = {
        "aws_caller_identity": {"account_id": ACCOUNT},
        "aws_partition": {"partition": "aws"},
        "aws_region": {"id": REGION},
        "aws_availability_zones": {"names": [f"{REGION}{zone}" for zone in "dac"]},
    }
    lines = ['mock_provider "aws" {', "  override_during = plan"]
    lines += [f'  mock_data "{kind}" {{\n    defaults = {json.dumps(v)}\n  }}' for kind, v in data.items()]
    lines += [f"  override_resource {{\n    target = {a}\n    values = {json.dumps(v)}\n  }}" for a, v in _answers().items()]
    return "\n".join([*lines, "}"])


@dataclass(frozen=True)
class Variant:
    """The modules in ``source`` (a terraform/ folder) with the variables of one application."""

    source: Path
    variables: dict[str, Any]

    @cached_property
    def files(self) -> dict[str, bytes]:
        """Every file of the modules."""
        paths = sorted(p for p in self.source.rglob("*") if p.is_file() and ".terraform/" not in p.as_posix())
        return {p.relative_to(self.source).as_posix(): p.read_bytes() for p in paths}

    @cached_property
    def given(self) -> dict[str, Any]:
        """All variables that the example is given."""
        return {"bucket": BUCKET, "functions_zip": "functions.zip", "image": f"{ACCOUNT}.ecr/predict-age{DIGEST}", **self.variables}

    @cached_property
    def key(self) -> str:
        """The name of the answer: equal for equal files, variables and answers of AWS."""
        return hashlib.sha256(repr((sorted(self.files.items()), self.given, _mocked_provider())).encode()).hexdigest()[:16]

    def run(self, number: int) -> str:
        """The run block that applies it."""
        given = "\n".join(f"    {k} = {json.dumps(v)}" for k, v in self.given.items())
        module = f'  module {{\n    source = "./{number}/{EXAMPLE.as_posix()}"\n  }}'
        return f'run "run_{number}" {{\n  command = plan\n{module}\n  variables {{\n{given}\n  }}\n}}'


def applied(source: Path, scratch: Path, **variables: Any) -> list[Resource]:
    """Every resource of the modules in ``source`` (a terraform/ folder) as its mocked application leaves it.

    Raises UnavailableError without Terraform or provider, AssertionError with Terraform's words when the configuration is refused.
    """
    (answer,) = applied_all([Variant(source, variables)], scratch)
    if isinstance(answer, str):
        raise AssertionError(answer)
    return answer


def applied_all(variants: list[Variant], scratch: Path) -> list[list[Resource] | str]:
    """The resources of each variant, or Terraform's words where it refuses one; many variants take one start of Terraform.

    Answers are kept in ``scratch``, for the other processes of a test session. Raises UnavailableError without Terraform or provider.
    """
    if shutil.which("terraform") is None:
        raise UnavailableError("terraform is not installed")
    scratch.mkdir(parents=True, exist_ok=True)
    with (scratch / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = {v.key: v for v in variants if not (scratch / f"{v.key}.json").exists()}
        while missing:
            answers = _apply(list(missing.values()), scratch)
            for key, answer in answers.items():
                (scratch / f"{key}.json").write_text(json.dumps(answer))
            missing = {k: v for k, v in missing.items() if k not in answers}
    return [json.loads((scratch / f"{v.key}.json").read_text()) for v in variants]


def _apply(variants: list[Variant], scratch: Path) -> dict[str, list[Resource] | str]:
    """Answers by key. Terraform stops at the first variant that it refuses: those after it have no answer yet."""
    folder = scratch / "terraform"
    for path in (*folder.glob("[0-9]*"), *folder.glob(".terraform/modules")):
        shutil.rmtree(path)
    for number, variant in enumerate(variants):
        for name, data in variant.files.items():
            path = folder / str(number) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "functions.zip").write_bytes(b"")
    (folder / "main.tf").write_text(
        'terraform {\n  required_providers {\n    aws = {\n      source = "hashicorp/aws"\n    }\n  }\n}\n'
    )
    runs = [variant.run(number) for number, variant in enumerate(variants)]
    (folder / "tests" / "rules.tftest.hcl").write_text("\n".join([_mocked_provider(), *runs, ""]))
    env = {
        "GOGC": "800",  # a third less processor time
        **os.environ,
        "TF_CLI_CONFIG_FILE": str(cli_configuration(scratch)),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["terraform", *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=3600)

    if (done := run("init", "-backend=false", "-input=false", "-no-color")).returncode:
        if not (folder / ".terraform" / "providers").exists():
            raise UnavailableError(f"the AWS provider cannot be had: {done.stderr[-300:]}")
        if len(variants) == 1:
            return {variants[0].key: done.stderr}
        return _apply(variants[:1], scratch)  # some variant is no Terraform: one at a time
    said = [json.loads(line) for line in run("test", "-json", "-verbose").stdout.splitlines()]
    answers: dict[str, list[Resource] | str] = {}
    for number, variant in enumerate(variants):
        mine = [m for m in said if m.get("@testrun") == f"run_{number}"]
        errors = [m["diagnostic"] for m in mine if m["type"] == "diagnostic" and m["@level"] == "error"]
        plan = next((m["test_plan"] for m in mine if m["type"] == "test_plan"), None)
        if errors:
            answers[variant.key] = "\n".join(f"{e['summary']}: {e['detail']}" for e in errors)
        elif plan is not None:
            written = b"\n".join(variant.files.values()).decode()
            answers[variant.key] = _planned(plan["resource_changes"], written) + _outputs(plan["output_changes"])
        else:
            break
    general = [
        m["diagnostic"]["detail"] for m in said if m["type"] == "diagnostic" and m["@level"] == "error" and "@testrun" not in m
    ]
    if not answers and len(variants) > 1:
        return _apply(variants[:1], scratch)
    if not answers and "override_during" in "\n".join(general):
        raise UnavailableError("Terraform is older than 1.11")
    assert answers, "\n".join(general)
    return answers


def _planned(changes: list[dict[str, Any]], written: str) -> list[Resource]:
    """Resources as they will be; None for what only AWS can say."""
    managed = [c for c in changes if c["mode"] == "managed"]
    return [
        {
            "address": c["address"],
            "type": c["type"],
            "values": _without_inventions(_with_unknown(c["change"]["after"], c["change"]["after_unknown"]), written),
        }
        for c in managed
    ]


def _outputs(changes: dict[str, Any]) -> list[Resource]:
    """Outputs of the example, as resources of the type "output"."""
    return [
        {"address": f"output.{name}", "type": "output", "values": {"name": name, "value": change.get("after")}}
        for name, change in changes.items()
    ]


def _with_unknown(value: Any, unknown: Any) -> Any:
    """The value with None for each attribute that is ``unknown``."""
    if isinstance(unknown, dict) and isinstance(value, dict):
        return {name: _with_unknown(value.get(name), unknown.get(name)) for name in {**value, **unknown}}
    if isinstance(unknown, list) and isinstance(value, list) and unknown:
        return [_with_unknown(*pair) for pair in zip(value, unknown, strict=True)]
    return value


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
