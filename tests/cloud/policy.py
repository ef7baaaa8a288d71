"""What must hold for the applied module, whatever it looks like: rules that scanners of single resources do not know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from cloud.iam import ALLOWED, decision

Resource = dict[str, Any]
WITHOUT_RESOURCE = {  # actions for which AWS knows no narrower resource
    "ecr:GetAuthorizationToken",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _of(resources: list[Resource], kind: str) -> list[dict[str, Any]]:
    return [{**r["values"], "address": r["address"]} for r in resources if r["type"] == kind]


def statements(resources: list[Resource], role: str) -> list[dict[str, Any]]:
    """All statements of the inline policies of a role."""
    found = [p for p in _of(resources, "aws_iam_role_policy") if p["role"] == role]
    return [s for p in found for s in json.loads(p["policy"])["Statement"]]


def problems(resources: list[Resource]) -> list[str]:
    """What is wrong, one line each."""
    return sorted({line for check in CHECKS for line in check(resources)})


def _rights(resources: list[Resource]) -> Iterator[str]:
    for policy in _of(resources, "aws_iam_role_policy"):
        for statement in json.loads(policy["policy"])["Statement"]:
            if statement["Effect"] != "Allow":
                continue
            actions, resource = _list(statement["Action"]), _list(statement["Resource"])
            if any("*" in a for a in actions):
                yield f"wildcard action in {policy['address']}"
            if "*" in resource and not set(actions) <= WITHOUT_RESOURCE:
                yield f"any resource in {policy['address']}"
            if "iam:PassRole" in actions and (
                any("*" in r for r in resource) or "iam:PassedToService" not in json.dumps(statement)
            ):
                yield "roles are handed over too freely"
    for role in _of(resources, "aws_iam_role"):
        if '"*"' in json.dumps(json.loads(role["assume_role_policy"])["Statement"][0]["Principal"]):
            yield f"anybody may assume {role['address']}"


def _separation(resources: list[Resource]) -> Iterator[str]:
    bucket = _of(resources, "aws_s3_bucket")[0]["arn"]
    forbidden = {
        "prediction": ["runs/r/model/x", "published.json", "runs/r/steps/training.json", "runs/r/results/x"],
        "training": ["published.json", "runs/r/predictions/x", "runs/r/results/x"],
        "human-qa": ["published.json", "runs/r/model/x", "runs/r/predictions/x"],
        "report": ["published.json", "runs/r/model/x", "runs/r/results/x"],
    }
    names = [r["name"] for r in _of(resources, "aws_iam_role")]
    for role, keys in forbidden.items():
        name = next(n for n in names if n.endswith(f"-{role}"))
        for key in keys:
            if decision(statements(resources, name), "s3:PutObject", f"{bucket}/predict-age/{key}") == ALLOWED:
                yield f"{role} may write {key}"
    machine = next(n for n in names if n.endswith("-machine"))
    rule = "arn:aws:events:us-east-1:123456789012:rule/StepFunctionsGetEventsForECSTaskRule"
    if decision(statements(resources, machine), "events:PutRule", rule) != ALLOWED:
        yield "the machine would wait for its tasks for ever: no right to events"


def _containers(resources: list[Resource]) -> Iterator[str]:
    for task in _of(resources, "aws_ecs_task_definition"):
        for container in json.loads(task["container_definitions"]):
            if "@sha256:" not in container["image"]:
                yield "an image is not named by its digest"
            if container.get("user", "0").split(":")[0] in ("", "0", "root"):
                yield "a container runs as root"
            if not container.get("readonlyRootFilesystem"):
                yield "a container may write its own file system"
            if container.get("privileged"):
                yield "a container is privileged"


def _network(resources: list[Resource]) -> Iterator[str]:
    for rule in _of(resources, "aws_vpc_security_group_egress_rule"):
        if rule["ip_protocol"] != "tcp" or (rule["from_port"], rule["to_port"]) != (443, 443):
            yield "tasks may talk to more than HTTPS"
    if _of(resources, "aws_vpc_security_group_ingress_rule"):
        yield "something may connect to the tasks"
    if any(s["map_public_ip_on_launch"] for s in _of(resources, "aws_subnet")):
        yield "a subnet hands out public addresses"
    if not any(e["vpc_endpoint_type"] == "Gateway" for e in _of(resources, "aws_vpc_endpoint")):
        yield "S3 is reached through the NAT gateway, which costs by the byte"


def _machine(resources: list[Resource]) -> Iterator[str]:
    for machine in _of(resources, "aws_sfn_state_machine"):
        made = json.loads(machine["definition"])
        states = made["States"]
        if machine["logging_configuration"][0]["include_execution_data"]:
            yield "the machine logs what its states get"
        for state in states.values():
            if state["Type"] == "Map":
                if state.get("ItemProcessor", {}).get("ProcessorConfig", {}).get("Mode") != "DISTRIBUTED":
                    yield "the map is inline"
                if state.get("ToleratedFailurePercentage", 0) or state.get("ToleratedFailureCount", 0):
                    yield "the map tolerates lost batches"
            if state["Type"] in ("Task", "Map"):
                target = next((c["Next"] for c in state.get("Catch", []) if c["ErrorEquals"] == ["States.ALL"]), "")
                if not target:
                    yield "a state's failure is not caught"
        if states[states["NotifyFailure"]["Next"]]["Type"] != "Fail":
            yield "a failed run ends as a success"
        if '"ENABLED"' in json.dumps(states):
            yield "tasks get public addresses"


def _storage(resources: list[Resource]) -> Iterator[str]:
    for block in _of(resources, "aws_s3_bucket_public_access_block"):
        if not all(block[k] for k in ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")):
            yield "the bucket could be made public"
    for versioning in _of(resources, "aws_s3_bucket_versioning"):
        if versioning["versioning_configuration"][0]["status"] != "Enabled":
            yield "the bucket keeps no versions"
    policies = [json.loads(p["policy"]) for p in _of(resources, "aws_s3_bucket_policy")]
    if not any(s["Effect"] == "Deny" and "aws:SecureTransport" in json.dumps(s) for p in policies for s in p["Statement"]):
        yield "the bucket takes calls without TLS"
    rules = [r for c in _of(resources, "aws_s3_bucket_lifecycle_configuration") for r in c["rule"] if r["status"] == "Enabled"]
    if not any(r["abort_incomplete_multipart_upload"] for r in rules):
        yield "unfinished uploads stay for ever"
    for group in _of(resources, "aws_athena_workgroup"):
        settings = group["configuration"][0]
        if not settings["bytes_scanned_cutoff_per_query"]:
            yield "a statement may read without limit"
        if not settings["enforce_workgroup_configuration"]:
            yield "a statement may choose its own settings"
    for repository in _of(resources, "aws_ecr_repository"):
        if repository["image_tag_mutability"] != "IMMUTABLE":
            yield "images may be replaced"
        if not repository["image_scanning_configuration"][0]["scan_on_push"]:
            yield "images are not scanned"


def _watching(resources: list[Resource]) -> Iterator[str]:
    for group in _of(resources, "aws_cloudwatch_log_group"):
        if not group["retention_in_days"]:
            yield "a log is kept for ever"
    for alarm in _of(resources, "aws_cloudwatch_metric_alarm"):
        if not alarm["alarm_actions"]:
            yield "an alarm tells nobody"
    if not all(t["kms_master_key_id"] for t in _of(resources, "aws_sns_topic")):
        yield "alerts are stored unencrypted"
    if any(t["kms_master_key_id"] == "alias/aws/sns" for t in _of(resources, "aws_sns_topic")):
        yield "alarms may not publish to a topic under SNS's own key"
    for schedule in _of(resources, "aws_scheduler_schedule"):
        if not schedule["target"][0]["dead_letter_config"]:
            yield "a run that does not start is lost silently"


CHECKS = (_rights, _separation, _containers, _network, _machine, _storage, _watching)

SABOTAGES = (  # file, what it says, what it would say, what must be found
    (
        "iam.tf",
        'Action = ["s3:GetObject"], Resource = [for k in right.read',
        'Action = ["s3:*"], Resource = [for k in right.read',
        "wildcard action",
    ),
    ("iam.tf", "Resource = [for f in aws_lambda_function.main : f.arn] }", 'Resource = "*" }', "any resource in"),
    (
        "iam.tf",
        "concat([aws_iam_role.start_tasks.arn], [for name in keys(local.tasks) : aws_iam_role.work[name].arn])",
        '["*"]',
        "roles are handed over too freely",
    ),
    (
        "iam.tf",
        '["${local.runs}/predictions/*", ',
        '["${local.runs}/model/*", "${local.runs}/predictions/*", ',
        "prediction may write runs/r/model/x",
    ),
    ("iam.tf", 'Principal = { Service = "scheduler.amazonaws.com" }', 'Principal = "*"', "anybody may assume"),
    ("iam.tf", '"events:PutRule", ', "", "no right to events"),
    ("fargate.tf", '@sha256:${sha256("no image has been pushed yet")}', ":latest", "not named by its digest"),
    ("fargate.tf", '"10001:10001"', '"0:0"', "runs as root"),
    ("fargate.tf", "readonlyRootFilesystem = true", "readonlyRootFilesystem = false", "its own file system"),
    ("network.tf", "from_port         = 443", "from_port         = 1", "more than HTTPS"),
    (
        "network.tf",
        "availability_zone = var.availability_zones[0]",
        "availability_zone = var.availability_zones[0]\n  map_public_ip_on_launch = true",
        "public addresses",
    ),
    ("step_functions.tf", "include_execution_data = false", "include_execution_data = true", "logs what its states get"),
    ("state_machine.json", '"ToleratedFailurePercentage": 0', '"ToleratedFailurePercentage": 5', "tolerates lost batches"),
    ("state_machine.json", '"Mode": "DISTRIBUTED"', '"Mode": "INLINE"', "the map is inline"),
    (
        "state_machine.json",
        '      "Next": "Failed"\n    },\n    "Failed"',
        '      "Next": "Done"\n    },\n    "Failed"',
        "ends as a success",
    ),
    ("state_machine.json", '"DISABLED"', '"ENABLED"', "tasks get public addresses"),
    ("s3.tf", "restrict_public_buckets = true", "restrict_public_buckets = false", "could be made public"),
    ("s3.tf", 'status = "Enabled"\n  }\n}', 'status = "Suspended"\n  }\n}', "keeps no versions"),
    ("s3.tf", '"aws:SecureTransport" = "false"', '"aws:PrincipalAccount" = "0"', "without TLS"),
    (
        "s3.tf",
        "abort_incomplete_multipart_upload {\n      days_after_initiation = 3\n    }",
        "expiration {\n      expired_object_delete_marker = true\n    }",
        "unfinished uploads",
    ),
    ("athena.tf", "bytes_scanned_cutoff_per_query     = var.scan_cutoff_bytes", "", "read without limit"),
    (
        "athena.tf",
        "enforce_workgroup_configuration    = true",
        "enforce_workgroup_configuration    = false",
        "choose its own settings",
    ),
    ("ecr.tf", '"IMMUTABLE"', '"MUTABLE"', "may be replaced"),
    ("monitoring.tf", "retention_in_days = var.log_days", "", "kept for ever"),
    (
        "monitoring.tf",
        '  threshold           = var.athena_alarm_bytes\n  treat_missing_data  = "notBreaching"\n  alarm_actions       = [aws_sns_topic.alerts.arn]',
        "  threshold           = var.athena_alarm_bytes",
        "tells nobody",
    ),
    ("monitoring.tf", "kms_master_key_id = aws_kms_key.alerts.arn", "", "unencrypted"),
    ("schedule.tf", "dead_letter_config {\n      arn = aws_sqs_queue.not_started.arn\n    }", "", "lost silently"),
)
