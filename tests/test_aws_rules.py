"""Rules for the Terraform modules, the state machine, the rights and the image: on a mocked application, in seconds.

Terraform's own test command applies the example with a mocked provider; no AWS, no emulator. Without Terraform or its AWS provider
these tests are skipped, and with REQUIRE_TERRAFORM=1 they fail. `python benchmarks/aws_mutations.py` measures what they catch.
"""

import base64
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from cloud import mocked, terraform
from cloud.rules import compute, problems, text, watching
from cloud.rules.plan import Plan, Resource

pytestmark = [pytest.mark.xdist_group("terraform"), pytest.mark.filterwarnings("default")]  # moto's own warnings
ROOT = Path(__file__).parent.parent
MODULES = ROOT / "terraform"
BY_DEFAULT = "rule.0.apply_server_side_encryption_by_default.0"
OUTPUT_KEY = "configuration.0.result_configuration.0.encryption_configuration.0"
REVIEWED = ROOT / "tests" / "golden" / "aws_plan.txt"
OWN = {
    "existing_database": "ai_agent_kb_predict_age",
    "vpc_id": "vpc-theirs",
    "subnet_ids": ["subnet-theirs-a", "subnet-theirs-b"],
    "kms_key_arn": mocked.arn("kms", "key/theirs"),
    "source_kms_key_arns": [mocked.arn("kms", "key/source")],
    "config": "company.toml",
    "features": "company-features.toml",
    "log_days": 14,
    "api_memory": 3072,
    "api_concurrency": 7,
    "api_requests_per_second": 33,
    "api_burst": 66,
    "access_log_bucket": "company-logs",
    "permissions_boundary": mocked.arn("iam", "policy/boundary", ""),
    "reader_principals": [mocked.arn("iam", "role/analysts", "")],
    "source_tables": ["ai_agent_kb_predict_age/predict_age_full_evaluation_raw_378m"],
    "source_bucket": "company-profiles",
    "source_prefix": "people/",
    "schedule_enabled": True,
    "alert_email": "data@company.example",
    "monthly_budget_usd": 50,
    "api_enabled": True,
    "api_authorization": "JWT",
    "api_jwt": {"issuer": "https://login.company.example", "audience": ["ages"]},
}


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where applications are kept for the session, or longer where AWS_RULES_SCRATCH says so."""
    if kept := os.environ.get("AWS_RULES_SCRATCH"):
        return Path(kept)
    root = tmp_path_factory.getbasetemp()
    return (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "mocked-terraform"


VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},  # the variables that must be given, and no other
    "own": OWN,  # an existing VPC and database, with a key, a boundary, readers, a budget and the schedule on
    "api": {  # the prediction API, whose requests are signed, and a training source
        "training_source": "glue://raw/training",
        "training_source_bucket": "company-labels",
        "training_source_prefix": "labelled/",
        "source_tables": ["raw/training"],
        "api_enabled": True,
    },
    "without NAT": {"nat_enabled": False},
    "ARM": {"cpu_architecture": "ARM64"},
}


@contextmanager
def terraform_or_skip() -> Iterator[None]:
    try:
        yield
    except terraform.UnavailableError as error:
        if os.environ.get("REQUIRE_TERRAFORM"):
            raise
        pytest.skip(f"the rules of the Terraform modules were NOT tried: {error}")


@pytest.fixture(scope="session")
def applications(scratch: Path) -> dict[str, list[Resource]]:
    """The resources of each variant; Terraform is started once for all of them."""
    with terraform_or_skip():
        answers = mocked.applied_all([mocked.Variant(MODULES, variables) for variables in VARIANTS.values()], scratch)
    for name, answer in zip(VARIANTS, answers, strict=True):
        assert not isinstance(answer, str), f"{name}: {answer}"
    return dict(zip(VARIANTS, answers, strict=True))


@pytest.fixture
def default(applications: dict[str, list[Resource]]) -> list[Resource]:
    return applications["default"]


@pytest.fixture
def own(applications: dict[str, list[Resource]]) -> list[Resource]:
    return applications["own"]


@pytest.fixture
def api(applications: dict[str, list[Resource]]) -> list[Resource]:
    return applications["api"]


def test_the_default_plan_breaks_no_rule(default: list[Resource]) -> None:
    assert problems(default) == []
    assert list(watching.quiet_by_default(Plan(default))) == []


def test_the_plan_in_an_existing_network_and_database_breaks_no_rule(own: list[Resource]) -> None:
    """The source is another bucket: the rules of the roles' objects know the source of the default plan, so they are left out."""
    plan = Plan(own)
    found = [p for p in problems(own) if "s3:GetObject source/part-0.parquet" not in p]
    assert found == []
    kinds = {r["type"] for r in own}
    assert not kinds & {"aws_glue_catalog_database", "aws_vpc", "aws_subnet", "aws_nat_gateway", "aws_eip", "aws_vpc_endpoint"}
    assert {"aws_s3_bucket_logging", "aws_budgets_budget", "aws_sns_topic_subscription"} <= kinds
    for _, state in plan.containers_of_states():
        assert state["Parameters"]["NetworkConfiguration"]["AwsvpcConfiguration"]["Subnets"] == OWN["subnet_ids"]
    assert {r["permissions_boundary"] for r in plan.roles.values()} == {OWN["permissions_boundary"]}
    assert plan.trust("reader")["Principal"] == {"AWS": OWN["reader_principals"]}
    (budget,) = plan.of("aws_budgets_budget")
    assert float(budget["limit_amount"]) == OWN["monthly_budget_usd"]
    written = mocked.readable(own)
    for name, value in OWN.items():
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]:
            assert isinstance(part, bool) or str(part).strip("[']") in written, f"nothing in the plan has {name} = {part}"
    assert {r for r in plan.roles if plan.may(r, "kms:Decrypt", OWN["source_kms_key_arns"][0])} == {
        "training",
        "prediction",
        "collect",
    }
    key = OWN["kms_key_arn"]
    assert {r for r in plan.roles if plan.may(r, "kms:Decrypt", key)} == set(plan.roles) - {"scheduler", "start-tasks"}
    for role, reads in (("training", True), ("prediction", True), ("collect", True), ("report", False), ("human-qa", False)):
        assert plan.may(role, "s3:GetObject", "arn:aws:s3:::company-profiles/people/x") == reads
        assert not plan.may(role, "s3:GetObject", "arn:aws:s3:::company-profiles/else/x")
    assert {f["environment"][0]["variables"]["PREDICT_AGE_DATABASE"] for f in plan.functions.values()} == {OWN["existing_database"]}
    table = mocked.arn("glue", f"table/{OWN['source_tables'][0]}")
    for action, roles in (
        ("GetTable", {"pre-cleanup", "training"}),
        ("DeleteTable", set()),
        ("UpdateTable", set()),
        ("CreateTable", set()),
    ):
        assert {r for r in plan.roles if plan.may(r, f"glue:{action}", table)} == roles, action
    assert not any(plan.may(r, "glue:GetTable", mocked.arn("glue", "table/another/t")) for r in plan.roles)


def test_roles_that_read_the_source_read_the_training_source(api: list[Resource]) -> None:
    """Its files below their prefix and nothing beside them; scheduled events name it."""
    plan = Plan(api)
    bucket = "arn:aws:s3:::company-labels"
    reading = {"training", "prediction", "collect"}
    assert {r for r in plan.roles if plan.may(r, "s3:GetObject", f"{bucket}/labelled/x")} == reading
    assert {r for r in plan.roles if plan.may(r, "s3:ListBucket", bucket)} == reading | {"pre-cleanup"}
    assert not any(plan.may(r, a, f"{bucket}/labelled/x") for r in plan.roles for a in ("s3:PutObject", "s3:DeleteObject"))
    assert not any(plan.may(r, "s3:GetObject", f"{bucket}/else/x") for r in plan.roles)
    (target,) = next(s["target"] for s in plan.of("aws_scheduler_schedule") if s["name"].endswith("quarterly"))
    assert json.loads(target["input"])["training_source"] == "glue://raw/training"
    assert problems(plan.resources) == []


def test_the_prediction_api_breaks_no_rule(api: list[Resource], own: list[Resource], default: list[Resource]) -> None:
    """It adds resources of its own and no other."""
    assert problems(api) == []
    for plan, authorization in ((Plan(api), "AWS_IAM"), (Plan(own), "JWT")):
        assert {r["authorization_type"] for r in plan.of("aws_apigatewayv2_route")} == {authorization}
    (authorizer,) = Plan(own).of("aws_apigatewayv2_authorizer")
    (jwt,) = authorizer["jwt_configuration"]
    assert {"issuer": jwt["issuer"], "audience": jwt["audience"]} == OWN["api_jwt"]
    added = {r["address"] for r in api} - {r["address"] for r in default}
    assert len(added) > 20 and all(".api" in address for address in added)


@pytest.mark.parametrize(
    ("address", "path", "old", "new", "said"),
    [
        ('apigatewayv2_route.api["GET /v1/people/{pid}"]', "authorization_type", "AWS_IAM", "NONE", "open to everybody"),
        ('apigatewayv2_route.api["GET /v1/people/{pid}"]', "route_key", "GET", "ANY", "of the server differ"),
        ("apigatewayv2_stage.api[0]", "access_log_settings.0.format", "$context.routeKey", "$context.path", "may name people"),
        ("apigatewayv2_stage.api[0]", "access_log_settings.0.format", "responseLength", "identity.sourceIp", "may name people"),
        ("apigatewayv2_stage.api[0]", "default_route_settings.0.throttling_rate_limit", 50, None, "not limited"),
        ("apigatewayv2_stage.api[0]", "access_log_settings.0.destination_arn", "apigateway", "else", "no access log"),
        ("apigatewayv2_integration.api[0]", "payload_format_version", "2.0", "1.0", "events that it does not read"),
        ("lambda_permission.api[0]", "source_arn", "gateway", "*", "others than the API"),
        ("lambda_function.api[0]", "image_uri", "@sha256:", ":", "the image of the tasks"),
        ("lambda_function.api[0]", "reserved_concurrent_executions", 10, -1, "all functions of the account"),
        ("lambda_function.api[0]", "timeout", 29, 60, "nobody waits"),
        ("lambda_function.api[0]", "environment.0.variables.OPENBLAS_NUM_THREADS", "1", "8", "other last digits"),
        ("lambda_function.api[0]", "ephemeral_storage.0.size", 1024, 512, "too little disk"),
        ("lambda_function.api[0]", "role", "predict-age-api", "predict-age-training", "another's role"),
        ("lambda_function.api[0]", "environment.0.variables.TMPDIR", "/tmp", "/scratch", "TMPDIR = /scratch"),
        ("lambda_function.api[0]", "environment.0.variables.NUMBA_CPU_NAME", "haswell", "znver3", "compiles its kernels"),
        ("iam_role_policy.api[0]", "policy", "/lookup/*", "/results/*", "api may s3:GetObject results"),
        ("iam_role_policy.api[0]", "policy", "s3:GetObject", "s3:PutObject", "api may s3:PutObject run.json"),
        ("iam_role_policy.api[0]", "policy", "/published.json", "/*", "api may s3:GetObject lease.json"),
        ("ecr_repository_policy.api[0]", "policy", "lambda.amazonaws.com", "ec2.amazonaws.com", "may pull the image"),
        ('cloudwatch_metric_alarm.api["errors"]', "threshold", 5, 50, "does not ring when 5xx"),
        ('cloudwatch_metric_alarm.api["errors"]', "dimensions.ApiId", "gateway", "x", "nothing of ours"),
        ('cloudwatch_metric_alarm.api["throttles"]', "metric_name", "Throttles", "Errors", "nothing rings for Throttles"),
        ("cloudwatch_log_group.api_access[0]", "retention_in_days", 7, 0, "kept for ever"),
        ("apigatewayv2_stage.api[0]", "access_log_settings.0.format", "$context.identity.userArn", "-", "who asked"),
        ("apigatewayv2_stage.api[0]", "auto_deploy", True, False, "are not served"),
        ("apigatewayv2_integration.api[0]", "timeout_milliseconds", 30000, 3000, "gives up before"),
        ("lambda_permission.api[0]", "action", "InvokeFunction", "GetFunction", "may not call"),
        ("lambda_function.api[0]", "timeout", 29, 3, "too early"),
        ("iam_role_policy.api[0]", "policy", '"predict-age/*"', '"*"', "may list source/"),
        ("iam_role_policy.api[0]", "policy", "s3:prefix", "s3:delimiter", "may not list"),
        ("ecr_repository_policy.api[0]", "policy", "function:predict-age-api", "function:*", "may pull the image"),
        ("ecr_repository_policy.api[0]", "policy", "ecr:BatchGetImage", "ecr:PutImage", "more with images"),
    ],
)
def test_every_rule_of_the_api_can_fail(api: list[Resource], address: str, path: str, old: Any, new: Any, said: str) -> None:
    found = problems(changed(api, address, path, old, new))
    assert any(said in line for line in found), found


@pytest.mark.parametrize(
    ("address", "path", "old", "new", "said"),
    [
        ('apigatewayv2_route.api["GET /v1/people/{pid}"]', "authorization_scopes", ["predict-age/people"], [], "another scope"),
        ('apigatewayv2_route.api["GET /v1/model"]', "authorizer_id", "tokens", "else", "looked at by nobody"),
        ("apigatewayv2_authorizer.tokens[0]", "jwt_configuration.0.audience", ["ages"], [], "for anybody"),
        ("apigatewayv2_authorizer.tokens[0]", "identity_sources.0", "header", "querystring", "where logs keep them"),
        ("apigatewayv2_stage.api[0]", "access_log_settings.0.format", "claims.sub", "claims.email", "who asked"),
        ("s3_bucket_server_side_encryption_configuration.data", f"{BY_DEFAULT}.sse_algorithm", "aws:kms", "AES256", "on the key"),
        ("s3_bucket_server_side_encryption_configuration.data", f"{BY_DEFAULT}.kms_master_key_id", "theirs", "x", "on the key"),
        ("athena_workgroup.main", f"{OUTPUT_KEY}.encryption_option", "SSE_KMS", "SSE_S3", "on the key"),
        ('iam_role_policy.work["report"]', "policy", '"kms:GenerateDataKey"', '"kms:Decrypt"', "may not write with the key"),
        ('iam_role_policy.work["report"]', "policy", '"ObjectKey"', '"SourceKey"', "the key of the source"),
        ('iam_role_policy.work["training"]', "policy", "key/source", "*", "may kms:Decrypt on"),
        ("s3_bucket_logging.data[0]", "target_bucket", "company-logs", "company-predict-age", "logs itself"),
        ("sns_topic_subscription.email[0]", "protocol", "email", "sms", "not mailed"),
    ],
)
def test_every_rule_of_what_others_own_can_fail(
    own: list[Resource], address: str, path: str, old: Any, new: Any, said: str
) -> None:
    found = problems(changed(own, address, path, old, new))
    assert any(said in line for line in found), found


def changed(resources: list[Resource], address: str, path: str, old: Any, new: Any) -> list[Resource]:
    """The resources with one attribute changed: text is replaced inside it, anything else is set."""
    made = json.loads(json.dumps(resources))
    (resource,) = [r for r in made if r["address"].partition(".aws_")[2] == address]
    *way, last = [int(p) if p.isdigit() else p for p in path.split(".")]
    inside = resource["values"]
    for name in way:
        inside = inside[name]
    if isinstance(old, str):
        assert inside[last].replace(old, new) != inside[last], (address, old)
        inside[last] = inside[last].replace(old, new)
    else:
        assert inside[last] == old
        inside[last] = new
    return made


MACHINE, WORK = ("sfn_state_machine.main", "definition"), "iam_role_policy.work"
ENCRYPTION, LIFECYCLE = ("s3_bucket_server_side_encryption_configuration.data",), ("s3_bucket_lifecycle_configuration.data",)
OUTPUT, ORDER, QUARTERLY = (
    ("athena_workgroup.main",),
    ("iam_role_policy.machine", "policy"),
    ('scheduler_schedule.main["quarterly"]',),
)
TASK = ('ecs_task_definition.main["training"]', "container_definitions")


@pytest.mark.parametrize(
    ("address", "path", "old", "new", "said"),
    [
        ("s3_bucket_policy.data", "policy", '"s3:*"', '"s3:GetObject"', "without TLS"),
        (*ENCRYPTION, "rule.0.bucket_key_enabled", True, False, "each object asks KMS"),
        (*OUTPUT, "configuration.0.result_configuration.0.output_location", "/athena/", "/predict-age/", "nothing expires"),
        ("kms_key.alerts", "policy", "aws:SourceAccount", "aws:SourceArn", "on behalf of other accounts"),
        (*LIFECYCLE, "rule.0.abort_incomplete_multipart_upload.0.days_after_initiation", 3, 365, "unfinished uploads stay"),
        (*LIFECYCLE, "rule.3.expiration.0.days", 1, 365, "query output with people's rows stays"),
        (*LIFECYCLE, "rule.2.status", "Enabled", "Disabled", "an old version with people's rows stays"),
        ("vpc_security_group_egress_rule.https", "cidr_ipv4", "0.0.0.0/0", "10.0.0.0/8", "cannot reach AWS"),
        ("vpc.main[0]", "enable_dns_support", True, False, "no DNS"),
        ("subnet.private[1]", "availability_zone", "us-east-1c", "us-east-1a", "in one zone"),
        ("subnet.public[0]", "cidr_block", "10.42.255.0/24", "10.42.0.0/24", "share addresses"),
        ("vpc_endpoint.s3[0]", "service_name", "us-east-1", "us-west-2", "through the NAT gateway"),
        (*ORDER, '"ArnEquals":{"ecs:cluster"', '"ArnEqualsIfExists":{"ecs:x"', "ecs:RunTask"),
        (*ORDER, '"StringEquals":{"ecs:CreateAction"', '"StringEqualsIfExists":{"ecs:x"', "that it has not started"),
        (*MACHINE, "/tasks.json'", "/batches.json'", "which a map reads"),
        (*MACHINE, '"InputType": "JSON"', '"InputType": "CSV"', "in another form"),
        (*MACHINE, '"ECS.ClientException",', "", "does not wait for capacity"),
        (*MACHINE, '"QualityError",', "", "repeats errors that another try cannot change"),
        (*MACHINE, '"train"', '"predict"', "work that nobody does"),
        (*MACHINE, '"error.$": "$.failure.Error"', '"error.$": "$.failure.Cause"', "reads $.failure.Cause"),
        (*MACHINE, '"token.$": "$.token",', "", "PredictBatches reads $.token"),
        (*MACHINE, '"ResultPath": "$.failure"', '"ResultPath": "$"', "reads $.run_id"),
        (MACHINE[0], "tracing_configuration.0.enabled", True, False, "are not traced"),
        ("cloudwatch_log_metric_filter.tasks_failed", "metric_transformation.0.namespace", "Age", "Ages", "has no metric"),
        ("cloudwatch_event_rule.tasks_failed", "state", None, "DISABLED", "counts failed tasks is off"),
        ("cloudwatch_metric_alarm.tasks_failed", "alarm_name", "tasks-failed", "function-errors", "two alarms have one name"),
        ("cloudwatch_metric_alarm.tasks_failed", "period", 3600, 60, "forgets faults"),
        ("cloudwatch_metric_alarm.execution_failed", "period", 300, 10, "services write no metrics"),
        ("sqs_queue.not_started", "sqs_managed_sse_enabled", True, False, "stored unencrypted"),
        (*QUARTERLY, "target.0.input", "/source/", "/", "scheduled runs read their own results"),
        (*QUARTERLY, "target.0.input", "/source/", "/else/", "may not be read"),
        (*QUARTERLY, "flexible_time_window.0.mode", "OFF", "FLEXIBLE", "nobody knows when"),
        ("ecs_cluster.main", "setting.0.value", "enabled", "disabled", "shows no processor time"),
        ('ecs_task_definition.main["prediction"]', "ephemeral_storage.0.size_in_gib", 30, 21, "another disk"),
        ("ecs_cluster_capacity_providers.main", "capacity_providers", ["FARGATE", "FARGATE_SPOT"], ["FARGATE"], "no FARGATE_SPOT"),
        (*TASK, '"awslogs-region":"us-east-1"', '"awslogs-region":"us-west-2"', "logs into another region"),
        ("kms_key.suppression", "policy", "arn:aws:iam::123456789012:root", "*", "opens for"),
        (
            'scheduler_schedule.main["quarterly"]',
            "target.0.retry_policy.0.maximum_retry_attempts",
            5,
            0,
            "gives up at the first failed start",
        ),
        (f'{WORK}["report"]', "policy", "s3:GetObject", "s3:*", "wildcard action"),
        (f'{WORK}["report"]', "policy", '"Look"', '"Read"', "is refused"),
        (f'{WORK}["report"]', "policy", "report.html", "*", "report may s3:PutObject model"),
        (f'{WORK}["report"]', "policy", "arn:aws:s3:::company-predict-age/", "arn:aws:s3:::*/", "in another bucket"),
        (f'{WORK}["human_qa"]', "policy", "table/predict_age/predict_age_people", "table/predict_age/", "customers"),
        (f'{WORK}["human_qa"]', "policy", "athena:GetQueryResults", "athena:GetQueryResult", "lacks athena:GetQueryResults"),
        ("iam_role_policy.machine", "policy", "role/predict-age-training", "role/*", "hand scheduler to"),
        ("iam_role_policy.machine", "policy", "events:PutRule", "events:ListRules", "may not events:PutRule"),
        ("iam_role.scheduler", "assume_role_policy", '{"Service":"scheduler.amazonaws.com"}', '"*"', "anybody may assume"),
        ("iam_role.machine", "assume_role_policy", "123456789012", "999999999999", "another account's states"),
        (*TASK, "@sha256:", ":", "not named by its digest"),
        (*TASK, "10001:10001", "0:0", "runs as root"),
        (*TASK, '"readonlyRootFilesystem":true', '"readonlyRootFilesystem":false', "its own file system"),
        (*TASK, '"drop":["ALL"]', '"drop":[]', "keeps capabilities"),
        ('ecs_task_definition.main["training"]', "memory", "65536", "32768", "too little memory"),
        ("vpc_security_group_egress_rule.https", "from_port", 443, 1, "more than HTTPS"),
        ("subnet.private[0]", "map_public_ip_on_launch", None, True, "public addresses"),
        ("route.nat[0]", "gateway_id", None, "internet_gateway-main", "routed to the internet gateway"),
        ("vpc_endpoint.s3[0]", "route_table_ids", ["route_table-private"], [], "through the NAT gateway"),
        ("sfn_state_machine.main", "logging_configuration.0.include_execution_data", False, True, "logs what its states get"),
        (*MACHINE, '"ToleratedFailurePercentage": 0', '"ToleratedFailurePercentage": 5', "tolerates lost batches"),
        (*MACHINE, '"Mode": "DISTRIBUTED"', '"Mode": "INLINE"', "the map is inline"),
        (*MACHINE, '"Type": "Fail"', '"Type": "Succeed"', "ends as a success"),
        (*MACHINE, '"AssignPublicIp": "DISABLED"', '"AssignPublicIp": "ENABLED"', "tasks get public addresses"),
        (*MACHINE, '"MaxConcurrency": 500,', "", "starts everything at once"),
        (*MACHINE, "runTask.sync", "runTask", "does not wait for its task"),
        ("s3_bucket_public_access_block.data", "restrict_public_buckets", True, False, "could be made public"),
        ("s3_bucket_versioning.data", "versioning_configuration.0.status", "Enabled", "Suspended", "keeps no versions"),
        ("s3_bucket_policy.data", "policy", "aws:SecureTransport", "aws:PrincipalAccount", "without TLS"),
        ("s3_bucket_lifecycle_configuration.data", "rule.3.filter.0.prefix", "athena/", "predict-age/", "'predict-age/' expire"),
        ("s3_bucket_lifecycle_configuration.data", "rule.0.status", "Enabled", "Disabled", "unfinished uploads"),
        ("glue_catalog_database.main[0]", "name", "predict_age", "ai_agent_kb_predict_age", "somebody else's"),
        ("athena_workgroup.main", "configuration.0.bytes_scanned_cutoff_per_query", 200000000000, None, "read without limit"),
        ("athena_workgroup.main", "configuration.0.enforce_workgroup_configuration", True, False, "choose its own settings"),
        ("ecr_repository.main", "image_tag_mutability", "IMMUTABLE", "MUTABLE", "may be replaced"),
        ("ecr_lifecycle_policy.main", "policy", '"countNumber":10', '"countNumber":1', "images expire"),
        ("cloudwatch_log_group.machine", "retention_in_days", 7, 0, "kept for ever"),
        ("cloudwatch_metric_alarm.scanned", "alarm_actions", [mocked.arn("sns", "predict-age-alerts")], [], "tells nobody"),
        ("cloudwatch_metric_alarm.scanned", "dimensions.WorkGroup", "predict-age", "primary", "nothing of ours"),
        ("cloudwatch_metric_alarm.execution_failed", "metric_name", "Executions", "Execution", "has no metric"),
        ("cloudwatch_metric_alarm.tasks_failed", "threshold", 2, 0, "rings in a healthy run"),
        ("cloudwatch_metric_alarm.function_errors", "metric_query.0.expression", "SUM", "AVG", "does not ring"),
        ("cloudwatch_event_rule.tasks_failed", "event_pattern", "TaskFailedToStart", "Task", "does not start is not counted"),
        ("sns_topic.alerts", "kms_master_key_id", "arn:aws:kms:us-east-1:123456789012:key/alerts", "", "unencrypted"),
        ('scheduler_schedule.main["quarterly"]', "schedule_expression", "1,4,7,10", "*", "not quarterly"),
        ('scheduler_schedule.main["overdue"]', "schedule_expression", "12", "2", "asked for before the run"),
        (
            'scheduler_schedule.main["overdue"]',
            "target.0.input",
            "expect_published",
            "expect",
            "a quarter without a run rings nothing",
        ),
        ('scheduler_schedule.main["overdue"]', "state", "DISABLED", "ENABLED", "nobody asks for the results"),
        (
            'scheduler_schedule.main["quarterly"]',
            "target.0.dead_letter_config",
            [{"arn": mocked.arn("sqs", "predict-age-not-started")}],
            [],
            "lost silently",
        ),
        ('lambda_function.main["human_qa"]', "handler", "handle", "handler", "does not exist"),
        ('lambda_function.main["human_qa"]', "timeout", 900, 60, "too little time"),
    ],
)
def test_every_rule_can_fail(default: list[Resource], address: str, path: str, old: Any, new: Any, said: str) -> None:
    """One attribute changed for the worse is found, and said."""
    found = problems(changed(default, address, path, old, new))
    assert any(said in line for line in found), found


TOLD = {
    "comparison_operator": "GREATER_THAN",
    "threshold_type": "PERCENTAGE",
    "notification_type": "ACTUAL",
    "threshold": 100,
    "subscriber_email_addresses": ["data@company.example"],
}


def test_outputs_and_the_budget_are_looked_at(default: list[Resource], own: list[Resource]) -> None:
    """One value changed for the worse is found, and said."""
    assert '{ project = "predict-age" }' in (MODULES / terraform.EXAMPLE / "versions.tf").read_text(), "the tag of the budget"
    for resources, kind, name, wrong, said in (
        (default, "output", "value", "x", "the output state_machine is x"),
        (own, "aws_budgets_budget", "time_unit", "ANNUALLY", "not a month's"),
        (own, "aws_budgets_budget", "cost_filter", [{"values": ["user:project$else"]}], "a tag that nothing has"),
        (own, "aws_budgets_budget", "notification", [], "nobody is told of the budget"),
        (own, "aws_budgets_budget", "notification", [{**TOLD, "threshold_type": "ABSOLUTE_VALUE"}], "at another time"),
        (own, "aws_budgets_budget", "notification", [{**TOLD, "comparison_operator": "LESS_THAN"}], "at another time"),
    ):
        made = json.loads(json.dumps(resources))
        for resource in made:
            if resource["type"] == kind:
                resource["values"][name] = wrong
        assert said in " ".join(problems(made)), said


def test_nat_can_be_switched_off(applications: dict[str, list[Resource]]) -> None:
    """Between two quarters: what costs by the hour goes, and nothing else changes."""
    default, without = applications["default"], applications["without NAT"]
    gone = {r["address"] for r in default} - {r["address"] for r in without}
    assert {a.rpartition(".aws_")[2] for a in gone} == {"eip.nat[0]", "nat_gateway.main[0]", "route.nat[0]"}
    assert problems(without) == []


def test_tasks_may_run_on_arm(applications: dict[str, list[Resource]]) -> None:
    """All of them, with instructions that such processors have; nothing else changes."""
    default, arm = applications["default"], applications["ARM"]
    tasks = Plan(arm).tasks
    assert {t["runtime_platform"][0]["cpu_architecture"] for t in tasks.values()} == {"ARM64"}
    variables = [{v["name"]: v["value"] for v in Plan(arm).container(name)["environment"]} for name in tasks]
    assert {v["OPENBLAS_CORETYPE"] for v in variables} == {"NEOVERSEN1"}
    before = {r["address"]: r["values"] for r in default}
    differing = {r["type"] for r in arm if r["values"] != before[r["address"]]}
    assert differing == {"aws_ecs_task_definition"}


REFUSED: tuple[dict[str, Any], ...] = (  # checks of variables first: Terraform looks at no precondition before they pass
    {
        "name": "X",
        "image": "123456789012.ecr/predict-age:latest",
        "source_tables": ["raw/*"],
        "vpc_id": "vpc-theirs",
        "max_concurrency": 0,
        "monthly_budget_usd": 5,
    },
    {
        "source_prefix": "",
        "training_source_prefix": "/labelled",
        "reader_principals": ["*"],
        "source_kms_key_arns": [mocked.arn("kms", "alias/source")],
        "kms_key_arn": mocked.arn("kms", "alias/theirs"),
        "access_log_bucket": mocked.BUCKET,
        "batches_per_task": 0,
        "log_days": 0,
        "vpc_cidr": "10.42.0.0/24",
        "availability_zones": ["eu-central-1a", "eu-central-1a"],
    },
    {"cpu_architecture": "SPARC", "api_authorization": "NONE", "api_concurrency": 0},  # the example checks these itself
    {"name": "ai-agent-kb-predict-age"},  # what the storage module refuses, before the other module is looked at
    {
        "image": "",
        "schedule_enabled": True,
        "nat_enabled": False,
        "api_enabled": True,
        "api_authorization": "JWT",
    },
)


def messages_that_nobody_gets(modules: Path, scratch: Path) -> list[str]:
    """Messages of checks in the modules that none of the wrong variables brings up."""
    said = ""
    with terraform_or_skip():
        for wrong in REFUSED:
            (answer,) = mocked.applied_all([mocked.Variant(modules, wrong)], scratch)
            said += answer if isinstance(answer, str) else ""
    return sorted(m for m in text.messages_of_checks(modules) if m not in said)


def test_variables_that_cannot_work_are_refused(scratch: Path) -> None:
    """Each check of a variable and each precondition has variables that it refuses, and says so."""
    assert messages_that_nobody_gets(MODULES, scratch) == []
    assert len(text.messages_of_checks(MODULES)) > 12


def test_the_texts_of_the_modules_break_no_rule() -> None:
    assert text.text_problems(MODULES) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("storage/s3.tf", "prevent_destroy = true", "prevent_destroy = false", "s3.tf: data can be destroyed"),
        ("storage/s3.tf", "prevent_destroy = true", "", "s3.tf: data can be destroyed"),
        ("storage/glue.tf", "resource", 'provider "aws" {\n}\n\nresource', "storage/glue.tf configures a provider"),
        ("examples/complete/versions.tf", "encrypt      = true\n", "", "no encrypt = true"),
        ("examples/complete/versions.tf", "use_lockfile = true", "use_lockfile = false", "no use_lockfile = true"),
        ("variables.tf", "default     = 500\n", "default     = 5000\n", "max_concurrency has the default 500"),
        ("variables.tf", '["X86_64", "ARM64"], var', '["X86_64", "ARM64", "SPARC"], var', "cpu_architecture is checked in another"),
        ("storage/variables.tf", 'default     = "predict-age"', 'default     = "ages"', "name has two defaults"),
        ("variables.tf", "condition     = can(regex(", "condition     = true || can(regex(", "name is checked in two ways"),
        ("examples/complete/main.tf", "log_days           = var.log_days\n", "", "not hand log_days on to the module pipeline"),
        ("examples/complete/main.tf", "bucket            = var.bucket", 'bucket = "x"', "bucket on to the module storage"),
    ],
)
def test_every_rule_of_texts_can_fail(tmp_path: Path, file: str, old: str, new: str, said: str) -> None:
    shutil.copytree(MODULES, tmp_path / "terraform", ignore=shutil.ignore_patterns(".terraform"))
    path = tmp_path / "terraform" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    found = text.text_problems(tmp_path / "terraform")
    assert any(said in line for line in found), found


def test_the_definition_can_be_parsed(default: list[Resource]) -> None:
    """By the parser of States Language that the emulator has; the check can fail."""
    written = Plan(default).one("aws_sfn_state_machine")["definition"]
    written = written.replace('"ToleratedFailurePercentage": 0', '"ToleratedFailurePercentage": 0.0')  # its grammar wants that
    AmazonStateLanguageParser.parse(written)
    with pytest.raises(Exception, match="ResultPat"):
        AmazonStateLanguageParser.parse(written.replace('"ResultPath"', '"ResultPat"', 1))


def test_the_image_is_built_as_the_tasks_need_it(default: list[Resource]) -> None:
    user = Plan(default).container("training")["user"]
    assert list(compute.image_problems((ROOT / "Dockerfile").read_text(), (ROOT / ".dockerignore").read_text(), user)) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("VOLUME /scratch\n", "", "belongs to root"),
        (" HOME=/scratch", "", "HOME is a folder"),
        ("WORKDIR /app", "WORKDIR /srv", "does not find its code"),
        ("ENV PYTHONPATH=/app/src", "ENV", "does not find its code"),
        ("USER 10001:10001", "USER 0:0", "as the tasks' user"),
    ],
)
def test_every_rule_of_the_image_can_fail(old: str, new: str, said: str) -> None:
    written = (ROOT / "Dockerfile").read_text()
    assert old in written
    found = list(compute.image_problems(written.replace(old, new), (ROOT / ".dockerignore").read_text(), "10001:10001"))
    assert any(said in line for line in found), found


def test_functions_are_updated_when_their_package_changes(default: list[Resource]) -> None:
    """The hash that Terraform compares is that of the package: here of an empty file."""
    empty = base64.b64encode(hashlib.sha256(b"").digest()).decode()
    assert {f["source_code_hash"] for f in Plan(default).functions.values()} == {empty}


def test_the_plan_is_the_reviewed_one(default: list[Resource]) -> None:
    """Any other plan than the committed one: look at the difference, then `make aws-plan` writes the new one."""
    assert mocked.readable(default) == REVIEWED.read_text()
