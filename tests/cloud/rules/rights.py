"""Each role may do its work and nothing else.

A role's rights to write, delete and read are compared with the tables below, object by object: a prefix that is wider or narrower by one
kind of object is found, whatever it is called.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import predict_age.sql
from cloud.rules.plan import Plan, as_list
from predict_age.aws.object_names import STAGING_FOLDERS, reader_tables, staging_table
from predict_age.sql import VIEW

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
RUN = (  # one object of each kind that a run's folder may hold
    "request.json",
    "run.json",
    "source/splits.json",
    "set_aside/part_0.parquet",
    "model/manifest.json",
    "gates/training.json",
    "batches.json",
    "tasks/0.json",
    "tasks.json",
    "map/x",
    "predictions/batch_0.parquet",
    "people/batch_0.parquet",
    "receipts/batch_0.json",
    "costs/x.json",
    "failures/1.txt",
    "qa/a/part",
    "results/a/part",
    "lookup/index.bin",
    "manifest.json",
    "report.html",
    "cost.json",
    "attempts.json",
    "steps/pre_cleanup.json",
    "steps/read_source.json",
    "steps/training.json",
    "steps/batch_generator.json",
    "steps/create_predictions_table.json",
    "steps/parallel_prediction.json",
    "steps/human_qa.json",
    "steps/final_results.json",
    "steps/post_cleanup.json",
    "steps/x.json",
)
RUN_ID = "20251023T080000Z-1f00ba54"
WORKSPACE = ("hidden/people.parquet", "published.json", "lease.json", "config.toml", "suppression/key", "else.json")
OUTSIDE = ("source/part-0.parquet", "athena/x", "else/x", "predict-age-else/x")
WRITES = {
    "pre-cleanup": {"published.json", "lease.json", "request.json", "steps/pre_cleanup.json"},
    "training": {
        "run.json",
        "source/splits.json",
        "set_aside/part_0.parquet",
        "model/manifest.json",
        "gates/training.json",
        "steps/read_source.json",
        "steps/training.json",
        "costs/x.json",
        "failures/1.txt",
    },
    "batch-generator": {"batches.json", "tasks/0.json", "tasks.json", "steps/batch_generator.json"},
    "create-predictions-table": {"steps/create_predictions_table.json", "athena/x"},
    "prediction": {
        "predictions/batch_0.parquet",
        "people/batch_0.parquet",
        "receipts/batch_0.json",
        "costs/x.json",
        "failures/1.txt",
    },
    "collect": {"gates/training.json", "steps/parallel_prediction.json", "costs/x.json", "failures/1.txt"},
    "human-qa": {"qa/a/part", "steps/human_qa.json", "athena/x"},
    "final-results": {"published.json", "results/a/part", "manifest.json", "steps/final_results.json", "athena/x"},
    "report": {"report.html", "cost.json", "costs/x.json", "failures/1.txt"},
    "post-cleanup": {"lease.json", "steps/post_cleanup.json"},
    "reader": {"athena/x"},
}
DELETES = {
    "pre-cleanup": set(RUN),
    "post-cleanup": {
        "source/splits.json",
        "tasks/0.json",
        "map/x",
        "qa/a/part",
        "results/a/part",
        "predictions/batch_0.parquet",
    },
}
BASE = {"published.json", "lease.json", *RUN}
READS = {
    **dict.fromkeys(WRITES, BASE),
    "pre-cleanup": {*BASE, "config.toml"},
    "training": {*BASE, "config.toml", "suppression/key", "source/part-0.parquet"},
    "prediction": {*BASE, "source/part-0.parquet"},
    "collect": {*BASE, "source/part-0.parquet"},
    **{role: {*BASE, "athena/x"} for role in ("create-predictions-table", "human-qa")},
    "final-results": {*BASE, "athena/x", "hidden/people.parquet"},
    "reader": {"results/a/part", "hidden/people.parquet", "athena/x"},
    "machine": {"tasks.json", "failures/1.txt"},
    "api": {
        "published.json",
        "suppression/key",
        "run.json",
        "manifest.json",
        "model/manifest.json",
        "lookup/index.bin",
        "steps/read_source.json",
        "steps/training.json",
        "steps/final_results.json",
    },
}
QUERIES = {"athena:StartQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults"}
CATALOGUE = {"glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:GetPartitions"}
FUNCTION = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"}
ACTIONS = {  # everything but S3 and the keys of objects
    "pre-cleanup": {*FUNCTION, "states:DescribeExecution"},
    "training": {"kms:Decrypt"},
    "batch-generator": FUNCTION,
    "create-predictions-table": {*FUNCTION, *QUERIES, *CATALOGUE, "glue:CreateTable"},
    "prediction": set(),
    "collect": set(),
    "human-qa": {*FUNCTION, *QUERIES, *CATALOGUE, "glue:CreateTable", "glue:DeleteTable"},
    "final-results": {*FUNCTION, *QUERIES, *CATALOGUE, "glue:CreateTable", "glue:UpdateTable", "glue:DeleteTable"},
    "report": set(),
    "post-cleanup": {*FUNCTION, *CATALOGUE, "glue:DeleteTable"},
    "start-tasks": {
        "ecr:GetAuthorizationToken",
        "ecr:BatchCheckLayerAvailability",
        "ecr:GetDownloadUrlForLayer",
        "ecr:BatchGetImage",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    },
    "machine": {
        "lambda:InvokeFunction",
        "ecs:RunTask",
        "ecs:StopTask",
        "ecs:DescribeTasks",
        "ecs:TagResource",
        "events:PutTargets",
        "events:PutRule",
        "events:DescribeRule",
        "iam:PassRole",
        "states:StartExecution",
        "states:DescribeExecution",
        "states:StopExecution",
        "states:RedriveExecution",
        "sns:Publish",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        *(WITHOUT_RESOURCE - {"ecr:GetAuthorizationToken"}),
    },
    "scheduler": {"states:StartExecution", "sqs:SendMessage"},
    "reader": {*QUERIES, *CATALOGUE, "athena:StopQueryExecution", "athena:GetWorkGroup"},
    "api": {"kms:Decrypt", "logs:CreateLogStream", "logs:PutLogEvents"},
}
OPTIONAL_ROLES = {"reader", "api"}
S3_ACTIONS = {  # actions on S3 that follow from the tables above
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:ListBucket",
    "s3:GetBucketLocation",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
}
TRUSTED = {"machine": "states", "scheduler": "scheduler", "start-tasks": "ecs-tasks", "api": "lambda"}
STATEMENTS = "".join(path.read_text() for path in sorted(Path(predict_age.sql.__file__).parent.glob("*.sql")))
CREATED = set(re.findall(r"^CREATE EXTERNAL TABLE IF NOT EXISTS (\w+)", STATEMENTS, re.M))
OWN_TABLES = {VIEW, *reader_tables("2025q3"), *CREATED, *(staging_table(table, RUN_ID) for table in STAGING_FOLDERS)}
SOURCE_ROLES = ("pre-cleanup", "training")
FOREIGN_TABLES = ("predict_age_full_evaluation_raw_378m", "predict_age_training_raw_14m", "customers")


def _key(name: str) -> str:
    """Where an object of the tables lies in the bucket."""
    if name in OUTSIDE:
        return name
    return f"predict-age/{name}" if name in WORKSPACE else f"predict-age/runs/{RUN_ID}/{name}"


def objects(plan: Plan) -> Iterator[str]:
    """Each role reads, writes and deletes the kinds of objects in its row of the tables, and no other kind."""
    universe = (*RUN, *WORKSPACE, *OUTSIDE)
    for action, table in (("s3:PutObject", WRITES), ("s3:DeleteObject", DELETES), ("s3:GetObject", READS)):
        for role in plan.roles:
            allowed = {n for n in universe if plan.may(role, action, f"{plan.bucket['arn']}/{_key(n)}")}
            for name in sorted(allowed ^ table.get(role, set())):
                yield f"{role} may{'' if name in allowed else ' not'} {action} {name}"
            if plan.may(role, action, "arn:aws:s3:::another-bucket/predict-age/runs/r/results/x"):
                yield f"{role} may {action} in another bucket"


def actions(plan: Plan) -> Iterator[str]:
    """Each role has exactly the actions of its row; none has a wildcard, or any resource where AWS knows narrower ones."""
    if unknown := set(plan.roles) ^ set(ACTIONS) - (OPTIONAL_ROLES - set(plan.roles)):
        yield f"roles without a row in the table, or without a role: {sorted(unknown)}"
    for role in set(plan.roles) & set(ACTIONS):
        have: set[str] = set()
        for statement in plan.statements(role):
            if statement["Effect"] != "Allow":
                continue
            if "NotAction" in statement or "NotResource" in statement:
                yield f"{role} has everything but something"
                continue
            mine = set(as_list(statement["Action"]))
            if any("*" in a for a in mine):
                yield f"wildcard action of {role}"
            if "*" in as_list(statement["Resource"]) and not mine <= WITHOUT_RESOURCE:
                yield f"any resource in a statement of {role}"
            if statement.get("Sid") not in {"ObjectKey", "SourceKey", "SourceTables"}:
                have |= mine
        for action in sorted((have - S3_ACTIONS) ^ ACTIONS[role]):
            yield f"{role} {'has' if action in have else 'lacks'} {action}"


def reach(plan: Plan) -> Iterator[str]:
    """Each resource that a policy names belongs to this installation: its bucket, database and tables, or its name is in it."""
    account = "123456789012"
    (database,) = {f["environment"][0]["variables"]["PREDICT_AGE_DATABASE"] for f in plan.functions.values()}
    glue = f"arn:aws:glue:us-east-1:{account}:"
    own = [r["values"]["arn"] for r in plan.resources if r["values"].get("arn")]
    others = (
        f"arn:aws:lambda:us-east-1:{account}:function:another",
        f"arn:aws:ecs:us-east-1:{account}:task-definition/another:1",
        f"arn:aws:ecs:us-east-1:{account}:task/another/x",
        f"arn:aws:states:us-east-1:{account}:stateMachine:another",
        f"arn:aws:states:us-east-1:{account}:execution:another:x",
        f"arn:aws:athena:us-east-1:{account}:workgroup/primary",
        f"arn:aws:iam::{account}:role/admin",
        f"arn:aws:kms:us-east-1:{account}:key/another",
        f"arn:aws:sns:us-east-1:{account}:another",
        f"arn:aws:sqs:us-east-1:{account}:another",
        f"arn:aws:events:us-east-1:{account}:rule/another",
        f"arn:aws:logs:us-east-1:{account}:log-group:/aws/lambda/another:x",
        f"arn:aws:ecr:us-east-1:{account}:repository/another",
        f"{glue}database/another",
        f"{glue}table/another/predict_age_people",
        *(f"{glue}table/{database}/{t}" for t in FOREIGN_TABLES),
    )
    assert len(own) > 20, "the rule has something to compare"
    context = {
        "ecs:cluster": plan.one("aws_ecs_cluster")["arn"],
        "iam:PassedToService": "ecs-tasks.amazonaws.com",
        "ecs:CreateAction": "RunTask",
    }
    for role in plan.roles:
        for action in {a for s in plan.statements(role) for a in as_list(s.get("Action", []))} - WITHOUT_RESOURCE:
            for resource in others:
                if (
                    role in SOURCE_ROLES
                    and action in {"glue:GetTable", "glue:GetPartitions"}
                    and resource.endswith(FOREIGN_TABLES[:2])
                ):
                    continue  # source_tables may name them
                if plan.may(role, action, resource, **context):
                    yield f"{role} may {action} on {resource}"
        for action in ("glue:CreateTable", "glue:GetTable"):
            if role != "reader" and action in ACTIONS.get(role, set()):
                for table in OWN_TABLES:
                    if database and not plan.may(role, action, f"{glue}table/{database}/{table}"):
                        yield f"{role} may not {action} {table}"


def trust(plan: Plan) -> Iterator[str]:
    """A role is assumed by the one service that works with it, for this account; a reader by the principals that were named."""
    for role in plan.roles:
        statement = plan.trust(role)
        principal = statement["Principal"]
        if principal == "*" or "*" in as_list(principal.get("AWS", [])) if isinstance(principal, dict) else True:
            yield f"anybody may assume {role}"
            continue
        if role == "reader":
            continue
        service = TRUSTED.get(role) or ("lambda" if role.replace("-", "_") in plan.functions else "ecs-tasks")
        if principal != {"Service": f"{service}.amazonaws.com"}:
            yield f"{role} is assumed by {principal}"
        account = statement.get("Condition", {}).get("StringEquals", {}).get("aws:SourceAccount")
        if service != "lambda" and account != "123456789012":  # Lambda sends no source account when it assumes a role
            yield f"another account's {service} may assume {role}"
    boundaries = {r["permissions_boundary"] for r in plan.roles.values()}
    if len(boundaries) != 1:
        yield "some roles have a permissions boundary and some have not"


def hand_over(plan: Plan) -> Iterator[str]:
    """Functions, tasks, machine and schedule work with their own role; the machine may pass on the tasks' roles and no other."""
    for name, function in plan.functions.items():
        if function["role"] != plan.roles.get(name.replace("_", "-"), {}).get("arn"):
            yield f"the function {name} works with another's role"
    for name, task in plan.tasks.items():
        if task["task_role_arn"] != plan.roles.get(name, {}).get("arn"):
            yield f"the task {name} works with another's role"
        if task["execution_role_arn"] != plan.roles["start-tasks"]["arn"]:
            yield f"the task {name} is started with another's role"
    if plan.one("aws_sfn_state_machine")["role_arn"] != plan.roles["machine"]["arn"]:
        yield "the machine works with another's role"
    for schedule in plan.of("aws_scheduler_schedule"):
        if schedule["target"][0]["role_arn"] != plan.roles["scheduler"]["arn"]:
            yield "the schedule works with another's role"
    passed = {t[k] for t in plan.tasks.values() for k in ("task_role_arn", "execution_role_arn")}
    for name, role in plan.roles.items():
        for service, wanted in (("ecs-tasks.amazonaws.com", role["arn"] in passed), ("ec2.amazonaws.com", False)):
            if plan.may("machine", "iam:PassRole", role["arn"], **{"iam:PassedToService": service}) != wanted:
                yield f"the machine may{' not' if wanted else ''} hand {name} to {service}"


def keys(plan: Plan) -> Iterator[str]:
    """The suppression list's key opens for the training task and the API, the alerts' key for the machine, and for no other role."""
    stated = {
        sid: {r for r in plan.roles if any(s.get("Sid") == sid for s in plan.statements(r))} for sid in ("Source", "SourceKey")
    }
    if not stated["SourceKey"] <= stated["Source"]:
        yield "the key of the source opens for roles that do not read it"
    for name, holders in (("suppression", {"training", "api"}), ("alerts", {"machine"})):
        key = plan.one("aws_kms_key", name)["arn"]
        for role in plan.roles:
            if plan.may(role, "kms:Decrypt", key) != (role in holders):
                yield f"{role} may{'' if role not in holders else ' not'} use the key of {name}"


def logs(plan: Plan) -> Iterator[str]:
    """Whoever logs may write to its own log group."""
    for name, function in plan.functions.items():
        group = f"arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/{function['function_name']}:x"
        if not plan.may(name.replace("_", "-"), "logs:PutLogEvents", group):
            yield f"{name} cannot log"
    for name in plan.tasks:
        options = plan.container(name)["logConfiguration"]["options"]
        group = f"arn:aws:logs:us-east-1:123456789012:log-group:{options['awslogs-group']}:x"
        if not plan.may("start-tasks", "logs:PutLogEvents", group):
            yield f"{name} cannot log"


def machine(plan: Plan) -> Iterator[str]:
    """The machine may do what its own definition asks for; the scheduler may start it and keep what it could not start."""
    context = {"ecs:cluster": plan.one("aws_ecs_cluster")["arn"]}
    wanted: list[tuple[str, str]] = []
    for _, state in plan.states():
        parameters = state.get("Parameters", {})
        resource = state.get("Resource", "")
        if resource.endswith(":lambda:invoke"):
            wanted.append(("lambda:InvokeFunction", parameters["FunctionName"]))
        elif resource.endswith(":sns:publish"):
            wanted.append(("sns:Publish", parameters["TopicArn"]))
        elif ":ecs:runTask" in resource:
            wanted.append(("ecs:RunTask", parameters["TaskDefinition"]))
    wanted += [(f"ecs:{a}", "arn:aws:ecs:us-east-1:123456789012:task/predict-age/x") for a in ("StopTask", "DescribeTasks")]
    rule = "arn:aws:events:us-east-1:123456789012:rule/StepFunctionsGetEventsForECSTaskRule"
    wanted += [(f"events:{a}", rule) for a in ("PutTargets", "PutRule", "DescribeRule")]
    own = plan.one("aws_sfn_state_machine")["arn"]
    execution = own.replace(":stateMachine:", ":execution:")
    wanted += [
        ("states:StartExecution", own),
        ("states:StopExecution", f"{execution}:x"),
        ("states:RedriveExecution", f"{execution}/m:x"),
    ]
    for action, resource in wanted:
        if not plan.may("machine", action, resource, **context):
            yield f"the machine may not {action} {resource}"
        elsewhere = {"ecs:cluster": "arn:aws:ecs:us-east-1:123456789012:cluster/another"}
        if action.startswith("ecs:") and plan.may("machine", action, resource, **elsewhere):
            yield f"the machine may {action} in another cluster"
    for action, resource in wanted_by_maps(plan):
        if not plan.may("machine", action, resource):
            yield f"the machine may not {action} {resource}, which a map reads"
    task = "arn:aws:ecs:us-east-1:123456789012:task/predict-age/x"
    for created, may in (("RunTask", True), ("", False)):
        if plan.may("machine", "ecs:TagResource", task, **({"ecs:CreateAction": created} if created else {})) != may:
            yield f"the machine may{'' if not may else ' not'} tag tasks that it {'starts' if may else 'has not started'}"
    queue = plan.one("aws_sqs_queue")["arn"]
    for action, resource in (("states:StartExecution", own), ("sqs:SendMessage", queue)):
        if not plan.may("scheduler", action, resource):
            yield f"the scheduler may not {action}"


def wanted_by_maps(plan: Plan) -> Iterator[tuple[str, str]]:
    """Action and object of each list of items that a map reads."""
    for _, state in plan.states():
        if state["Type"] == "Map" and "ItemReader" in state:
            parameters = state["ItemReader"]["Parameters"]
            (text,) = re.findall(r"States\.Format\('([^']*)', \$\.run_id\)", parameters["Key.$"])
            yield "s3:GetObject", f"arn:aws:s3:::{parameters['Bucket']}/{text.format(RUN_ID)}"


def statements_are_json(plan: Plan) -> Iterator[str]:
    """Every policy parses, names its statements uniquely, and every statement allows something."""
    for policy in plan.of("aws_iam_role_policy"):
        names = [s["Sid"] for s in json.loads(policy["policy"])["Statement"] if "Sid" in s]
        if len(set(names)) < len(names) or not all(re.fullmatch(r"[A-Za-z0-9]+", name) for name in names):
            yield f"{policy['address']} is refused: names of its statements {names}"
        for statement in json.loads(policy["policy"])["Statement"]:
            if statement["Effect"] != "Allow" or not as_list(statement.get("Resource", [])):
                yield f"{policy['address']} has a statement without effect"


RULES = (objects, actions, reach, trust, hand_over, keys, logs, machine, statements_are_json)
