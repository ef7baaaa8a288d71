"""Dangerous one-line changes of the AWS side, which `aws_mutations.py` makes one at a time.

Each makes the deployed pipeline lose data, leak, cost too much, tell nobody or do the wrong work. The kinds of the first list were
written before the rules; those of ``READ`` came from reading terraform/ again, before looking whether a rule knows them.
"""

from __future__ import annotations

from dataclasses import dataclass

AWS = "src/predict_age/aws"
MACHINE = f"{AWS}/state_machine.py"


@dataclass(frozen=True)
class Change:
    """``old`` in ``file`` becomes ``new``: a change of the ``kind``."""

    kind: str
    file: str
    old: str
    new: str

    @property
    def title(self) -> str:
        where = self.file.removeprefix("terraform/").removeprefix(f"{AWS}/")
        return f"{self.kind} | {where}: {' '.join(self.new.split())[:70] or '(removed)'}"


S3, IAM, MON, NET = "terraform/storage/s3.tf", "terraform/iam.tf", "terraform/monitoring.tf", "terraform/network.tf"
FAR, SCH, VAR, ATH = "terraform/fargate.tf", "terraform/schedule.tf", "terraform/variables.tf", "terraform/athena.tf"
STORE_VAR, LAM, ECR, SFN, API = (
    "terraform/storage/variables.tf",
    "terraform/lambda.tf",
    "terraform/ecr.tf",
    "terraform/step_functions.tf",
    "terraform/api.tf",
)
FINAL, QA, PRE = f"{AWS}/lambdas/final_results.py", f"{AWS}/lambdas/human_qa.py", f"{AWS}/lambdas/pre_cleanup.py"
OLD_RUNS = f"{AWS}/lambdas/old_runs.py"
STORE, BUDGET = f"{AWS}/s3_store.py", "terraform/budget.tf"
POST, RUNTIME, BATCHES = f"{AWS}/lambdas/post_cleanup.py", f"{AWS}/lambdas/runtime.py", f"{AWS}/lambdas/batch_generator.py"

FIRST = (
    # results and their protection
    Change(
        "results expire",
        S3,
        'id     = "unfinished-uploads"\n    status = "Enabled"\n    filter {}\n',
        'id     = "unfinished-uploads"\n    status = "Enabled"\n    filter {}\n    expiration {\n      days = 90\n    }\n',
    ),
    Change("results expire", S3, 'prefix = "athena/"', 'prefix = "predict-age/"'),
    Change("results expire", S3, '    filter {\n      prefix = "athena/"\n    }', "    filter {}"),
    Change("old versions expire", S3, "noncurrent_days = 30", "noncurrent_days = 1"),
    Change(
        "old versions expire",
        S3,
        'prefix = "${local.prefix}/runs/"\n    }\n\n    noncurrent',
        'prefix = "${local.prefix}/"\n    }\n\n    noncurrent',
    ),
    Change("results expire", S3, 'storage_class = "INTELLIGENT_TIERING"', 'storage_class = "GLACIER"'),
    Change("versions off", S3, '    status = "Enabled"\n  }\n', '    status = "Suspended"\n  }\n'),
    Change(
        "protection off",
        S3,
        '  lifecycle {\n    prevent_destroy = true\n  }\n}\n\nresource "aws_s3_bucket_logging',
        '}\n\nresource "aws_s3_bucket_logging',
    ),
    Change("protection off", "terraform/storage/glue.tf", "    prevent_destroy = true\n", ""),
    Change("protection off", "terraform/storage/glue.tf", "prevent_destroy = true", "prevent_destroy = false"),
    Change(
        "force_destroy",
        STORE_VAR,
        'take prevent_destroy out."\n  default     = false',
        'take prevent_destroy out."\n  default     = true',
    ),
    Change("force_destroy", S3, "force_destroy = var.force_destroy", "force_destroy = true"),
    Change("force_destroy", ECR, "force_delete         = var.force_destroy", "force_delete         = true"),
    Change("public bucket", S3, "block_public_policy     = true", "block_public_policy     = false"),
    Change("public bucket", S3, '"aws:SecureTransport" = "false"', '"aws:SecureTransport" = "true"'),
    Change("public bucket", S3, 'Effect    = "Deny"\n      Principal = "*"', 'Effect    = "Allow"\n      Principal = "*"'),
    Change("encryption", S3, 'sse_algorithm     = var.kms_key_arn == "" ? "AES256" : "aws:kms"', 'sse_algorithm     = "aws:kms"'),
    Change("encryption", S3, "enable_key_rotation     = true", "enable_key_rotation     = false"),
    Change("images expire", ECR, "countNumber = 10", "countNumber = 1"),
    Change(
        "images expire", ECR, '"imageCountMoreThan", countNumber = 10', '"sinceImagePushed", countUnit = "days", countNumber = 10'
    ),
    Change(
        "somebody else's database",
        STORE_VAR,
        'with underscores."\n  default     = ""',
        'with underscores."\n  default     = "ai_agent_kb_predict_age"',
    ),
    Change("somebody else's database", "terraform/storage/glue.tf", 'var.existing_database == "" ? 1 : 0', "1"),
    # alarms and logs
    Change("alarm", MON, 'metric_name         = "ExecutionsFailed"', 'metric_name         = "ExecutionFailed"'),
    Change("alarm", MON, '= "ExecutionsTimedOut", aborted', '= "ExecutionsTimeOut", aborted'),
    Change("alarm", MON, "machine_dimensions = { StateMachineArn", "machine_dimensions = { StateMachine"),
    Change("alarm", MON, "{ QueueName = aws_sqs_queue.not_started.name }", "{ QueueName = aws_sqs_queue.not_started.arn }"),
    Change(
        "alarm",
        MON,
        'statistic           = "Sum"\n  period              = 300',
        'statistic           = "Average"\n  period              = 86400',
    ),
    Change("alarm", MON, "  threshold           = 0\n  treat_missing", "  threshold           = 100\n  treat_missing"),
    Change(
        "alarm",
        MON,
        'comparison_operator = "GreaterThanThreshold"\n  threshold           = 2',
        'comparison_operator = "LessThanThreshold"\n  threshold           = 2',
    ),
    Change("alarm", MON, "threshold           = 2\n", "threshold           = 95\n"),
    Change(
        "alarm",
        MON,
        "  alarm_actions       = [aws_sns_topic.alerts.arn]\n}\n\n# Executions that did not finish",
        "}\n\n# Executions that did not finish",
    ),
    Change("alarm", MON, '["kms:Decrypt", "kms:GenerateDataKey*"]', '["kms:Decrypt"]'),
    Change("alarm", MON, 'Principal = { Service = "cloudwatch.amazonaws.com" }', 'Principal = { Service = "logs.amazonaws.com" }'),
    Change("alarm", MON, "{ WorkGroup = aws_athena_workgroup.main.name }", '{ WorkGroup = "primary" }'),
    Change("alarm", MON, "FILL(timed_out, 0) + FILL(aborted, 0)", "FILL(timed_out, 0)"),
    Change("alarm", MON, 'expression  = "SUM(METRICS())"', 'expression  = "AVG(METRICS())"'),
    Change(
        "alarm",
        MON,
        "dimensions  = { FunctionName = metric_query.value.function_name }",
        "dimensions  = { FunctionName = metric_query.value.arn }",
    ),
    Change("mail", MON, 'count     = var.alert_email != "" ? 1 : 0', 'count     = var.alert_email == "" ? 1 : 0'),
    Change("logs", SFN, 'level                  = "ERROR"', 'level                  = "OFF"'),
    Change("logs", SFN, "include_execution_data = false", "include_execution_data = true"),
    Change("logs", IAM, '"logs:CreateLogDelivery", ', ""),
    Change("logs", MON, "name              = local.log_groups[each.key]", 'name              = "/aws/${each.key}"'),
    Change("logs", FAR, "awslogs-group         = each.value.log", 'awslogs-group         = "/ecs/${each.key}"'),
    Change("logs", VAR, 'logs are kept."\n  default     = 7', 'logs are kept."\n  default     = 0'),
    # rights
    Change(
        "scheduler",
        IAM,
        '      { Effect = "Allow", Action = ["sqs:SendMessage"], Resource = [aws_sqs_queue.not_started.arn] },\n',
        "",
    ),
    Change("scheduler", SCH, "role_arn = aws_iam_role.scheduler.arn", "role_arn = aws_iam_role.machine.arn"),
    Change(
        "another's role",
        FAR,
        "task_role_arn            = aws_iam_role.work[each.key].arn",
        'task_role_arn            = aws_iam_role.work["training"].arn',
    ),
    Change(
        "another's role",
        FAR,
        "task_role_arn            = aws_iam_role.work[each.key].arn",
        "task_role_arn            = aws_iam_role.machine.arn",
    ),
    Change(
        "another's role",
        LAM,
        "role             = aws_iam_role.work[each.key].arn",
        'role             = aws_iam_role.work["final_results"].arn',
    ),
    Change("another's role", SFN, "role_arn = aws_iam_role.machine.arn", "role_arn = aws_iam_role.scheduler.arn"),
    Change("wider than needed", IAM, 'runs      = "${local.prefix}/runs/*"', 'runs      = "*"'),
    Change(
        "wider than needed",
        IAM,
        'write   = ["${local.run}/report.html"',
        'write   = ["${local.runs}", "${local.run}/report.html"',
    ),
    Change("wider than needed", IAM, '"${local.prefix}/*.toml", "${local.prefix}/suppression/*"]', '"*"]'),
    Change("wider than needed", IAM, "${place.bucket}/${place.prefix}*", "${place.bucket}/*"),
    Change("wider than needed", IAM, "table/${local.database}/${table}*", "table/*"),
    Change(
        "wider than needed",
        IAM,
        ":glue:${local.region}:${local.account}:database/${local.database}",
        ":glue:${local.region}:${local.account}:database/*",
    ),
    Change("wider than needed", IAM, '"${local.run}/map/*", "${local.run}/qa/*"', '"${local.run}/*"'),
    Change(
        "wider than needed",
        IAM,
        "Resource = [aws_athena_workgroup.main.arn],\n",
        'Resource = ["arn:${local.partition}:athena:*:*:workgroup/*"],\n',
    ),
    Change(
        "wider than needed",
        IAM,
        '      read    = concat(local.documents, [local.runs])\n      write   = ["${local.run}/batches.json"',
        '      read    = ["*"]\n      write   = ["${local.run}/batches.json"',
    ),
    Change(
        "wider than needed",
        IAM,
        "Resource = [for t in aws_ecs_task_definition.main : t.arn]",
        'Resource = ["arn:${local.partition}:ecs:${local.region}:${local.account}:task-definition/*"]',
    ),
    Change("wider than needed", "terraform/reader.tf", "/${local.run}/results/*", "/${local.run}/*"),
    Change(
        "trust",
        IAM,
        '"states.amazonaws.com" }\n      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }',
        '"states.amazonaws.com" }',
    ),
    Change("trust", IAM, '? {} : { Condition = { StringEquals = { "aws:SourceAccount" = local.account } } }', "? {} : {}"),
    Change("trust", IAM, 'Principal = { Service = "scheduler.amazonaws.com" }', 'Principal = { AWS = "*" }'),
    Change("missing right", IAM, '"events:PutTargets", ', ""),
    Change("missing right", IAM, 'Action = ["ecs:StopTask", "ecs:DescribeTasks"]', 'Action = ["ecs:DescribeTasks"]'),
    Change("missing right", IAM, '"states:StopExecution", "states:RedriveExecution"]', '"states:RedriveExecution"]'),
    Change("missing right", IAM, '"states:StopExecution", "states:RedriveExecution"]', '"states:StopExecution"]'),
    Change(
        "missing right",
        IAM,
        '      { Sid = "Tell", Effect = "Allow", Action = ["sns:Publish"], Resource = [aws_sns_topic.alerts.arn] },\n',
        "",
    ),
    Change("missing right", IAM, '"${local.run}/people/*", ', ""),
    Change("missing right", IAM, '"ecr:GetDownloadUrlForLayer", ', ""),
    Change("missing right", IAM, '"athena:GetQueryResults"', '"athena:GetQueryResult"'),
    Change("missing right", IAM, "concat([aws_iam_role.start_tasks.arn], ", "concat([], "),
    Change("missing right", IAM, 'other   = { "kms:Decrypt" = [var.storage.suppression_key_arn] }', "other   = {}"),
    # containers and network
    Change("container", FAR, ', capabilities = { drop = ["ALL"] }', ""),
    Change("container", FAR, "readonlyRootFilesystem = true", "readonlyRootFilesystem = false"),
    Change("container", FAR, "initProcessEnabled = true", "initProcessEnabled = false"),
    Change("container", FAR, "stopTimeout            = 110", "stopTimeout            = 2"),
    Change("container", FAR, "cpu_architecture        = var.cpu_architecture", 'cpu_architecture        = "ARM64"'),
    Change("container", FAR, "memory = var.training_memory, disk = 200", "memory = var.training_memory, disk = 21"),
    Change("container", FAR, "collect    = { cpu = 1024, memory = 4096", "collect    = { cpu = 256, memory = 512"),
    Change("container", VAR, "default     = 65536", "default     = 32768"),
    Change(
        "container",
        VAR,
        'one prediction task predicts. Fargate bills at least one minute, so tasks are few and large."\n  default     = 16',
        'one prediction task predicts. Fargate bills at least one minute, so tasks are few and large."\n  default     = 1',
    ),
    Change(
        "container",
        FAR,
        "image                  = local.image",
        'image                  = "${aws_ecr_repository.main.repository_url}:latest"',
    ),
    Change(
        "container",
        VAR,
        'condition     = var.image == "" || can(regex("@sha256:[0-9a-f]{64}$", var.image))',
        "condition     = true",
    ),
    Change(
        "container",
        FAR,
        '{ name = "PREDICT_AGE_SPOT", value = each.key == "prediction" ? "0.8" : "0" },',
        '{ name = "PREDICT_AGE_SPOT", value = "0" },',
    ),
    Change("container", FAR, 'var.cpu_architecture == "ARM64" ? "NEOVERSEN1" : "Haswell"', '"Nehalem"'),
    Change(
        "network",
        NET,
        "nat_gateway_id         = aws_nat_gateway.main[0].id",
        "gateway_id             = aws_internet_gateway.main[0].id",
    ),
    Change(
        "network", NET, "route_table_ids   = [aws_route_table.private[0].id]", "route_table_ids   = [aws_route_table.public[0].id]"
    ),
    Change("network", NET, "route_table_ids   = [aws_route_table.private[0].id]", "route_table_ids   = []"),
    Change(
        "network",
        NET,
        "subnet_id      = aws_subnet.private[count.index].id\n  route_table_id = aws_route_table.private[0].id",
        "subnet_id      = aws_subnet.private[count.index].id\n  route_table_id = aws_route_table.public[0].id",
    ),
    Change("network", NET, "to_port           = 443", "to_port           = 65535"),
    Change(
        "network", SFN, "security_group  = aws_security_group.tasks.id", "security_group  = aws_default_security_group.closed[0].id"
    ),
    Change(
        "network", SFN, "subnets         = jsonencode(local.subnet_ids)", "subnets         = jsonencode(aws_subnet.public[*].id)"
    ),
    # schedule, limits, functions
    Change("schedule", VAR, '"cron(0 6 5 1,4,7,10 ? *)"', '"cron(0 6 5 * ? *)"'),
    Change("schedule", VAR, 'schedule is enabled."\n  default     = false', 'schedule is enabled."\n  default     = true'),
    Change("schedule", SCH, '"<aws.scheduler.scheduled-time>"', '"<aws.scheduler.execution-id>"'),
    Change("schedule", SCH, "    dead_letter_config {\n      arn = aws_sqs_queue.not_started.arn\n    }\n", ""),
    Change("schedule", SCH, "!var.schedule_enabled || !local.own_network || var.nat_enabled", "true"),
    Change("limits", VAR, "default     = 200000000000", "default     = 20000000000000"),
    Change("limits", ATH, "enforce_workgroup_configuration    = true", "enforce_workgroup_configuration    = false"),
    Change("limits", VAR, "default     = 500\n", "default     = 5000\n"),
    Change(
        "functions",
        LAM,
        "human_qa                 = { memory = 1024, seconds = 900 }",
        "human_qa                 = { memory = 1024, seconds = 60 }",
    ),
    Change("functions", LAM, "final_results            = { memory = 2048", "final_results            = { memory = 128"),
    Change("functions", LAM, '"predict_age.aws.lambdas.${each.key}.handle"', '"predict_age.aws.lambdas.${each.key}.handler"'),
    Change("functions", LAM, "tostring(var.batches_per_task)", '"1"'),
    Change("functions", SFN, 'type     = "STANDARD"', 'type     = "EXPRESS"'),
    # state machine
    Change("machine", MACHINE, '"ToleratedFailurePercentage": 0', '"ToleratedFailurePercentage": 10'),
    Change("machine", MACHINE, '        "MaxConcurrency": "${max_concurrency}",\n', ""),
    Change("machine", MACHINE, '"ExecutionType": "STANDARD"', '"ExecutionType": "EXPRESS"'),
    Change(
        "machine",
        MACHINE,
        "_tries(name, family, command, False, [], done",
        "_tries(name, family, command, True, [], done",
    ),
    Change("machine", MACHINE, '        "TimeoutSeconds": RUN_SECONDS,\n', ""),
    Change("machine", MACHINE, '        "TimeoutSeconds": TASK_SECONDS,\n', ""),
    Change(
        "machine",
        MACHINE,
        "TASK_SECONDS, FUNCTION_SECONDS, RUN_SECONDS = 4 * 3600, 960, 12 * 3600",
        "TASK_SECONDS, FUNCTION_SECONDS, RUN_SECONDS = 4 * 60, 960, 12 * 3600",
    ),
    Change(
        "machine",
        MACHINE,
        "TASK_SECONDS, FUNCTION_SECONDS, RUN_SECONDS = 4 * 3600, 960, 12 * 3600",
        "TASK_SECONDS, FUNCTION_SECONDS, RUN_SECONDS = 4 * 3600, 960, 3600",
    ),
    Change(
        "machine",
        MACHINE,
        '            "Next": "Failed",\n',
        '            "Next": "Done",\n',
    ),
    Change(
        "machine",
        MACHINE,
        'return [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": following}]',
        'return [{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.failure", "Next": following}]',
    ),
    Change("machine", MACHINE, '"AssignPublicIp": "DISABLED"', '"AssignPublicIp": "ENABLED"'),
    Change("machine", MACHINE, '        {"Name": "PREDICT_AGE_TOKEN", "Value.$": "$.token"},\n', ""),
    Change("machine", MACHINE, 'runTask.sync"', 'runTask"'),
    Change(
        "machine", MACHINE, '            *[{"Variable": "$.next", "StringEquals": name, "Next": name} for name in names[2:]],\n', ""
    ),
    Change("machine", MACHINE, '"execution.$": "$$.Execution.Id"', '"execution.$": "$$.Execution.Name"'),
    Change("machine", MACHINE, '            "PropagateTags": "TASK_DEFINITION",\n', ""),
    # the functions' and tasks' own work
    Change("clock", PRE, 'request.get("as_of") or request["time"][:10]', 'request.get("as_of") or dt.datetime.now(dt.UTC).date()'),
    Change(
        "publish",
        FINAL,
        '    call.store.put_part(call.name("manifest.json"), manifest.encode())\n    call.lease.check()\n',
        '    call.store.put_part(call.name("manifest.json"), manifest.encode())\n',
    ),
    Change("publish", FINAL, "    if counts != [books.people] * 3:", "    if counts[0] != books.people:"),
    Change("publish", FINAL, "    if found != expected:\n", "    if False:\n"),
    Change(
        "publish",
        FINAL,
        "    books = _reconciled(call, tally, table)\n",
        "    books = RowAccounting.of(call.facts(ReadSourceFacts), tally)\n",
    ),
    Change(
        "publish",
        FINAL,
        "    publish(call.documents, int(",
        "    _show(call, quarter)\n    publish(call.documents, int(",
    ),
    Change("publish", QA, "    check_no_foreign_objects(call)\n    tables", "    tables"),
    Change("publish", QA, "    if found != expected:\n", "    if found[0] != expected[0]:\n"),
    Change("lease", RUNTIME, "    result = work()\n    call.lease.check()\n", "    result = work()\n"),
    Change("lease", OLD_RUNS, 'return str(described["status"]) == EXECUTION_RUNNING', "return False"),
    Change("lease", POST, '    release_execution_lease(call.documents, int(call.event["token"]))\n', ""),
    Change("batches", BATCHES, "batches * n // number for n in range(number + 1)", "batches * n // number for n in range(number)"),
    Change("batches", BATCHES, '"PREDICT_AGE_BATCHES_PER_TASK", "16"', '"PREDICT_AGE_BATCHES_A_TASK", "16"'),
    Change("prices", f"{AWS}/prices.py", "vcpu_hour: float = 0.04048", "vcpu_hour: float = 0.004048"),
    Change("prices", f"{AWS}/prices.py", "athena_tb: float = 5.0", "athena_tb: float = 0.5"),
    Change("prices", f"{AWS}/prices.py", "nat_hour: float = 0.045", "nat_hour: float = 0.0045"),
    Change("prices", f"{AWS}/cost_plan.py", "CORES_PER_VCPU = 0.6", "CORES_PER_VCPU = 6.0"),
    Change("fleet", f"{AWS}/cost_plan.py", "batches_per_task: int = 16", "batches_per_task: int = 64"),
    Change("fleet", f"{AWS}/cost_plan.py", "training_vcpu: int = 16", "training_vcpu: int = 8"),
    Change("fleet", f"{AWS}/cost_plan.py", "spot_weight: float = 0.8", "spot_weight: float = 1.0"),
    Change("fleet", f"{AWS}/cost_plan.py", "max_concurrency: int = 500", "max_concurrency: int = 1000"),
    # image
    Change("image", "Dockerfile", "USER 10001:10001\n", ""),
    Change("image", "Dockerfile", "--require-hashes ", ""),
    Change("image", "Dockerfile", "    && apt-get install --yes --no-install-recommends libgomp1 \\\n", ""),
    Change("image", "Dockerfile", "FROM python:3.11-slim", "FROM python:latest"),
    Change("image", "Dockerfile", "&& mkdir /scratch && chown 10001:10001 /scratch", "&& mkdir /scratch"),
    Change("image", "Dockerfile", "COPY src ./src", "COPY . ."),
    Change("image", "Dockerfile", "requirements-aws.txt \\\n", "requirements-run.txt \\\n"),
    Change("image", "Dockerfile", 'ENTRYPOINT ["python", "-m", "predict_age"]', "ENTRYPOINT python -m predict_age"),
    Change("image", ".dockerignore", "*\n!src", "!src"),
    # the prediction API
    Change("api open", API, "api      = var.api_enabled ? 1 : 0", "api      = 1"),
    Change("api open", API, "authorization_type   = var.api_authorization\n", 'authorization_type   = "NONE"\n'),
    Change("api open", API, "authorizer_id        = one(aws_apigatewayv2_authorizer.tokens[*].id)", "authorizer_id        = null"),
    Change("api open", API, ' ? [for scope in each.value != ""', ' && false ? [for scope in each.value != ""'),
    Change("api open", API, '"GET /v1/people/{pid}"         = "people"', '"GET /v1/people/{pid}"         = "predict"'),
    Change("api open", API, '"POST /v1/people:lookup"       = "people"', '"POST /v1/people:lookup"       = ""'),
    Change("api open", API, '["$request.header.Authorization"]', '["$request.querystring.token"]'),
    Change("api open", API, "audience = var.api_jwt.audience", "audience = []"),
    Change("api open", API, "issuer   = var.api_jwt.issuer", 'issuer   = "https://accounts.example"'),
    Change(
        "api open",
        API,
        'protocol_type = "HTTP"\n',
        'protocol_type = "HTTP"\n  cors_configuration {\n    allow_origins = ["*"]\n  }\n',
    ),
    Change("api open", API, 'principal     = "apigateway.amazonaws.com"', 'principal     = "*"'),
    Change(
        "api open",
        API,
        'source_arn    = "${aws_apigatewayv2_api.api[0].execution_arn}/*"',
        'source_arn    = "arn:aws:execute-api:*"',
    ),
    Change("api open", "terraform/variables.tf", 'published run."\n  default     = false', 'published run."\n  default     = true'),
    Change("api open", API, 'condition     = var.api_authorization != "JWT" || var.api_jwt != null', "condition     = true"),
    Change("api rights", API, '"run.json", "manifest.json", "model/*"', '"run.json", "manifest.json", "*"'),
    Change("api rights", API, '"lookup/*", "steps/read', '"results/*", "steps/read'),
    Change("api rights", API, '"${local.prefix}/suppression/*"]', '"${local.prefix}/*"]'),
    Change("api rights", API, '"${local.prefix}/suppression/*"]', '"${local.prefix}/suppression/list.json"]'),
    Change("api rights", API, 'Condition = { StringLike = { "s3:prefix"', 'Condition = { StringLike = { "s3:delimiter"'),
    Change("api rights", API, '        Condition = { StringLike = { "s3:prefix" = ["${local.prefix}/*"] } }\n', ""),
    Change("api rights", API, '"s3:prefix" = ["${local.prefix}/*"]', '"s3:prefix" = ["*"]'),
    Change("api rights", API, 'Action = ["s3:GetObject"]', 'Action = ["s3:GetObject", "s3:PutObject"]'),
    Change("api rights", API, "Resource = [var.storage.suppression_key_arn]", 'Resource = ["*"]'),
    Change("api rights", API, 'Resource = ["${aws_cloudwatch_log_group.api[0].arn}:*"]', 'Resource = ["*"]'),
    Change(
        "api rights",
        API,
        "role                           = aws_iam_role.api[0].arn",
        'role                           = aws_iam_role.work["training"].arn',
    ),
    Change("api rights", API, "  permissions_boundary = var.permissions_boundary\n", ""),
    Change("api rights", API, 'Principal = { Service = "lambda.amazonaws.com" } }]', 'Principal = "*" }]'),
    Change("api rights", API, 'Principal = { Service = "lambda.amazonaws.com" }\n', 'Principal = "*"\n'),
    Change("api rights", API, "function:${local.api_name}", "function:*"),
    Change(
        "api rights",
        API,
        '["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]',
        '["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:PutImage"]',
    ),
    Change("api logs", API, '"$context.routeKey"', '"$context.path"'),
    Change("api logs", API, '"$context.requestId"', '"$context.requestId $context.authorizer.claims.email"'),
    Change(
        "api logs",
        API,
        '      caller  = var.api_authorization == "JWT" ? "$context.authorizer.claims.sub" : "$context.identity.userArn"\n',
        "",
    ),
    Change(
        "api logs",
        API,
        '? "$context.authorizer.claims.sub" : "$context.identity.userArn"',
        '? "$context.identity.userArn" : "$context.authorizer.claims.sub"',
    ),
    Change(
        "api logs",
        API,
        "destination_arn = aws_cloudwatch_log_group.api_access[0].arn",
        "destination_arn = aws_cloudwatch_log_group.api[0].arn",
    ),
    Change(
        "api logs",
        API,
        'name              = "/aws/apigateway/${local.api_name}"\n  retention_in_days = var.log_days',
        'name              = "/aws/apigateway/${local.api_name}"\n  retention_in_days = 0',
    ),
    Change(
        "api logs", API, 'name              = "/aws/lambda/${local.api_name}"', 'name              = "/lambda/${local.api_name}"'
    ),
    Change("api alarm", API, 'metric = "5xx", more_than = 5', 'metric = "4xx", more_than = 5'),
    Change("api alarm", API, 'metric = "5xx", more_than = 5', 'metric = "5xx", more_than = 500'),
    Change("api alarm", API, 'metric = "Throttles"', 'metric = "Errors"'),
    Change("api alarm", API, "  alarm_actions       = [aws_sns_topic.alerts.arn]\n", ""),
    Change("api alarm", API, 'statistic           = "Sum"', 'statistic           = "Average"'),
    Change(
        "api alarm",
        API,
        "dimensions = { ApiId = one(aws_apigatewayv2_api.api[*].id) }",
        "dimensions = { ApiName = one(aws_apigatewayv2_api.api[*].name) }",
    ),
    Change("api limits", API, "throttling_rate_limit  = var.api_requests_per_second\n", ""),
    Change("api limits", API, "throttling_burst_limit = var.api_burst", "throttling_burst_limit = 0"),
    Change("api limits", API, "  reserved_concurrent_executions = var.api_concurrency\n", ""),
    Change("api limits", API, "timeout                        = 29 #", "timeout                        = 60 #"),
    Change("api limits", API, "timeout                        = 29 #", "timeout                        = 3 #"),
    Change("api limits", API, "timeout_milliseconds   = 30000", "timeout_milliseconds   = 3000"),
    Change("api works", API, 'payload_format_version = "2.0"', 'payload_format_version = "1.0"'),
    Change("api works", API, 'command = ["aws-api"]', 'command = ["serve"]'),
    Change(
        "api works",
        API,
        "image_uri                      = local.image",
        'image_uri                      = "${aws_ecr_repository.main.repository_url}:latest"',
    ),
    Change("api works", API, "auto_deploy = true", "auto_deploy = false"),
    Change("api works", API, 'name        = "$default"', 'name        = "v1"'),
    Change("api works", API, "      PREDICT_AGE_PREFIX   = local.prefix\n", ""),
    Change("api works", API, '"/tmp" # a function', '"/scratch" # a function'),
    Change("api works", API, '"GET /v2/health/ready"         = ""\n', ""),
    Change("api works", API, "invoke_arn\n  payload", "arn\n  payload"),
    Change("api works", API, '"lambda:InvokeFunction"', '"lambda:GetFunction"'),
    Change("api works", API, "memory_size                    = var.api_memory", "memory_size                    = 512"),
    Change("api works", API, 'protocol_type = "HTTP"\n', 'protocol_type = "HTTP"\n  disable_execute_api_endpoint = true\n'),
    Change("api works", API, '"arm64" : "x86_64"]', '"x86_64" : "arm64"]'),
    # kinds that came to mind after the rules were written, before looking at them again
    Change("budget", BUDGET, 'time_unit    = "MONTHLY"', 'time_unit    = "ANNUALLY"'),
    Change(
        "outputs",
        "terraform/outputs.tf",
        "value       = aws_sfn_state_machine.main.arn",
        "value       = aws_sfn_state_machine.main.name",
    ),
    Change("delivery", SCH, "maximum_retry_attempts       = 5", "maximum_retry_attempts       = 0"),
    Change("interpreter", LAM, '"python3.11"', '"python3.9"'),
    Change("old code", LAM, "filebase64sha256(var.functions_zip)", 'filebase64sha256("${path.module}/lambda.tf")'),
    Change("region", FAR, "awslogs-region        = local.region", 'awslogs-region        = "us-west-2"'),
    Change("capacity", FAR, '["FARGATE", "FARGATE_SPOT"]', '["FARGATE"]'),
    Change("disk", FAR, '{ name = "TMPDIR", value = "/scratch" }', '{ name = "TMPDIR", value = "/tmp" }'),
    Change("disk", FAR, "readOnly = false", "readOnly = true"),
    Change("way out", NET, '"0.0.0.0/0"\n  nat_gateway_id', '"10.0.0.0/8"\n  nat_gateway_id'),
    Change("way out", NET, "subnet_id     = aws_subnet.public[0].id", "subnet_id     = aws_subnet.private[0].id"),
    Change(
        "key policy", S3, 'Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }', 'Principal = { AWS = "*" }'
    ),
    Change("store", STORE, '{"IfNoneMatch": "*"} if replaces is None', "{} if replaces is None"),
    Change("store", STORE, "if sha256 and have != sha256:", "if not sha256 and have != sha256:"),
    Change("store", STORE, 'if reply.get("Errors"):', 'if reply.get("Error"):'),
    Change(
        "suppression",
        f"{AWS}/run_mirror.py",
        "if plan.suppression_list != read_published(documents).suppression_list:",
        "if False:",
    ),
    Change(
        "suppression",
        f"{AWS}/lambdas/rollback.py",
        'if str(then.run().get("suppression_list", "")) != before.suppression_list:',
        "if False:",
    ),
    Change("verification", f"{AWS}/lambdas/rollback.py", "if stored is None or stored.sha256 != digest:", "if stored is None:"),
    Change(
        "statements",
        f"{AWS}/athena.py",
        'if execution["Status"]["State"] != "SUCCEEDED":',
        'if execution["Status"]["State"] == "FAILED":',
    ),
    Change("spending", f"{AWS}/tasks.py", '    check_cost(estimate_run_cost(plan).total, settings.limits, " on AWS")\n', ""),
)

STORE_MAIN, EXAMPLE, EXAMPLE_VERSIONS, DOCKERFILE = (
    "terraform/storage/glue.tf",
    "terraform/examples/complete/main.tf",
    "terraform/examples/complete/versions.tf",
    "Dockerfile",
)
LEASE, TASKS = f"{AWS}/execution_lease.py", f"{AWS}/tasks.py"

READ = (
    # what holds results
    Change("plain text", S3, 'Action    = "s3:*"\n      Resource  = [aws', 'Action    = "s3:GetObject"\n      Resource  = [aws'),
    Change(
        "own key dropped", S3, 'sse_algorithm     = var.kms_key_arn == "" ? "AES256" : "aws:kms"', 'sse_algorithm     = "AES256"'
    ),
    Change("own key dropped", S3, 'kms_master_key_id = var.kms_key_arn == "" ? null : var.kms_key_arn', "kms_master_key_id = null"),
    Change("own key dropped", ATH, 'var.storage.kms_key_arn == "" ? "SSE_S3" : "SSE_KMS"', '"SSE_S3"'),
    Change(
        "own key dropped",
        IAM,
        'Sid = "ObjectKey", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"]',
        'Sid = "ObjectKey", Effect = "Allow", Action = ["kms:Decrypt"]',
    ),
    Change("own key dropped", S3, "bucket_key_enabled = true", "bucket_key_enabled = false"),
    Change("key wider", IAM, "Resource = var.source_kms_key_arns", 'Resource = ["*"]'),
    Change("key wider", IAM, "[for _ in right.source && length(var.source_kms", "[for _ in length(var.source_kms"),
    Change("key wider", MON, '        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }\n', ""),
    Change("access log", S3, "target_bucket = var.access_log_bucket", "target_bucket = aws_s3_bucket.data.id"),
    Change("copies of people stay", S3, "days_after_initiation = 3", "days_after_initiation = 365"),
    Change("copies of people stay", S3, "    expiration {\n      days = 1\n", "    expiration {\n      days = 365\n"),
    Change("copies of people stay", ATH, "${local.bucket}/athena/", "${local.bucket}/predict-age/athena/"),
    Change(
        "copies of people stay",
        S3,
        '"old-versions-of-runs"\n    status = "Enabled"',
        '"old-versions-of-runs"\n    status = "Disabled"',
    ),
    Change(
        "somebody else's database",
        STORE_MAIN,
        "precondition {\n      condition     = ",
        "precondition {\n      condition     = true || ",
    ),
    # network
    Change("network", NET, 'cidr_ipv4         = "0.0.0.0/0"', 'cidr_ipv4         = "10.42.0.0/16"'),
    Change("network", NET, "enable_dns_support   = true", "enable_dns_support   = false"),
    Change(
        "network",
        NET,
        "cidr_block        = cidrsubnet(var.vpc_cidr, 4, count.index)\n  availability_zone = local.zones[count.index]",
        "cidr_block        = cidrsubnet(var.vpc_cidr, 4, count.index)\n  availability_zone = local.zones[0]",
    ),
    Change("network", NET, "cidrsubnet(var.vpc_cidr, 8, 255)", "cidrsubnet(var.vpc_cidr, 4, 0)"),
    Change("network", NET, '"com.amazonaws.${local.region}.s3"', '"com.amazonaws.us-west-2.s3"'),
    # rights
    Change(
        "condition dropped",
        IAM,
        'main : t.arn]\n        Condition = { ArnEquals = { "ecs:cluster" = aws_ecs_cluster.main.arn } }\n',
        "main : t.arn]\n",
    ),
    Change("condition dropped", IAM, '        Condition = { StringEquals = { "ecs:CreateAction" = "RunTask" } }\n', ""),
    Change(
        "condition dropped",
        IAM,
        '        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }\n',
        "",
    ),
    Change("action wider", IAM, 'Action = ["s3:PutObject", "s3:AbortM', 'Action = ["s3:PutObject", "s3:PutObjectAcl", "s3:AbortM'),
    Change("action wider", IAM, '["states:StartExecution"], Resource = [aws_sfn', '["states:*"], Resource = [aws_sfn'),
    # alarms
    Change("alarm", MON, 'namespace = "PredictAge"\n    name ', 'namespace = "Predict-Age"\n    name '),
    Change("alarm", MON, 'that failed."\n\n  event_pattern', 'that failed."\n  state = "DISABLED"\n\n  event_pattern'),
    Change("alarm", MON, 'protocol  = "email"', 'protocol  = "sms"'),
    Change(
        "alarm", MON, 'alarm_name          = "${local.name}-tasks-failed"', 'alarm_name          = "${local.name}-function-errors"'
    ),
    Change("alarm", MON, 'stat        = "Sum"\n        period      = 3600', 'stat        = "Sum"\n        period      = 60'),
    Change(
        "alarm",
        MON,
        'metric_transformation[0].name\n  statistic           = "Sum"\n  period              = 3600',
        'metric_transformation[0].name\n  statistic           = "Sum"\n  period              = 60',
    ),
    Change(
        "alarm",
        MON,
        'statistic           = "Sum"\n  period              = 300',
        'statistic           = "Sum"\n  period              = 10',
    ),
    Change("alarm", MON, '    value     = "1"\n', '    value     = "0"\n'),
    Change("queue", SCH, "sqs_managed_sse_enabled   = true", "sqs_managed_sse_enabled   = false"),
    Change("trace", SFN, "    enabled = true", "    enabled = false"),
    # schedule and variables
    Change("schedule", SCH, 's3://${local.source_bucket}/${var.source_prefix}"', 's3://${local.source_bucket}/"'),
    Change("schedule", SCH, "config   = var.config", 'config   = ""'),
    Change("schedule", SCH, "features = var.features", 'features = ""'),
    Change("schedule", SCH, 'mode = "OFF"', 'mode = "FLEXIBLE"\n    maximum_window_in_minutes = 1440'),
    Change("schedule", SCH, "{ training_source = var.training_source } : {}", "{} : {}"),
    Change("schedule", SCH, "maximum_event_age_in_seconds = 3600", "maximum_event_age_in_seconds = 60"),
    Change("validation", VAR, "condition     = alltrue(", "condition     = true || alltrue("),
    Change(
        "validation", VAR, "condition     = var.max_concurrency >= 1 && ", "condition     = true || var.max_concurrency >= 1 && "
    ),
    Change("validation", VAR, "condition     = can(regex(", "condition     = true || can(regex("),
    Change("wiring", EXAMPLE, "  log_days           = var.log_days\n", ""),
    Change("wiring", EXAMPLE, "  source_kms_key_arns  = var.source_kms_key_arns\n", ""),
    Change("wiring", EXAMPLE, "  access_log_bucket = var.access_log_bucket\n", ""),
    Change("state file", EXAMPLE_VERSIONS, "    encrypt      = true\n", ""),
    Change("state file", EXAMPLE_VERSIONS, "use_lockfile = true", "use_lockfile = false"),
    # budget
    Change("budget", BUDGET, '"GREATER_THAN"', '"LESS_THAN"'),
    Change("budget", BUDGET, '"PERCENTAGE"', '"ABSOLUTE_VALUE"'),
    Change("budget", BUDGET, "tostring(var.monthly_budget_usd)", '"5000"'),
    # containers, functions, image
    Change("container", FAR, 'value = "enabled"', 'value = "disabled"'),
    Change("container", FAR, "memory = var.prediction_memory, disk = 30", "memory = var.prediction_memory, disk = 21"),
    Change("container", FAR, "prediction = { cpu = var.prediction_cpu", "prediction = { cpu = var.training_cpu"),
    Change(
        "functions",
        LAM,
        "pre_cleanup              = { memory = 512, seconds = 300 }",
        "pre_cleanup              = { memory = 512, seconds = 30 }",
    ),
    Change("functions", LAM, "batch_generator          = { memory = 256", "batch_generator          = { memory = 128"),
    Change("api last digits", API, '      OPENBLAS_CORETYPE    = var.cpu_architecture == "ARM64" ? "NEOVERSEN1" : "Haswell"\n', ""),
    Change("api last digits", API, 'OPENBLAS_NUM_THREADS = "1"', 'OPENBLAS_NUM_THREADS = "8"'),
    Change("api disk", API, "size = 1024", "size = 512"),
    Change("image", DOCKERFILE, "VOLUME /scratch\n", ""),
    Change("image", DOCKERFILE, " HOME=/scratch TMPDIR=/scratch", ""),
    Change("image", DOCKERFILE, "ENV PYTHONPATH=/app/src ", "ENV "),
    Change("image", DOCKERFILE, "WORKDIR /app", "WORKDIR /srv"),
    Change("image", DOCKERFILE, "USER 10001:10001", "USER 0:0"),
    # state machine
    Change("not retried", MACHINE, '"IntegrityError", "QualityError", "BusyError", ', '"IntegrityError", "BusyError", '),
    Change("capacity", MACHINE, '    "ECS.ClientException",\n', ""),
    Change("capacity", MACHINE, '    "AmazonECS.Unknown",\n', ""),
    Change("paths", MACHINE, '"state.$": "$.told.state", "error.$": "$.told.error", "rea', '"state.$": "$.told.state", "rea'),
    Change("paths", MACHINE, '"error.$": "$.failure.Error"', '"error.$": "$.failure.Reason"'),
    Change("paths", MACHINE, '"reason.$": "States.JsonToString($.failure)"', '"reason.$": "$.failure.Cause"'),
    Change("paths", MACHINE, '"Default": "NotifyFailure",', '"Default": "CauseRead",'),
    Change("paths", MACHINE, '"ResultPath": "$.failure", "Next": following', '"ResultPath": "$", "Next": following'),
    Change("paths", MACHINE, '            "accept.$": "$.accept",\n        },\n        "Max', '        },\n        "Max'),
    Change("map", MACHINE, "/runs/{}/tasks.json'", "/runs/{}/batches.json'"),
    Change("map", MACHINE, '"InputType": "JSON"', '"InputType": "CSV"'),
    Change("map", MACHINE, '        "Catch": _catch("ParallelPredictionFailed"),\n', ""),
    Change("wrong work", MACHINE, '("collect", "collect")', '("collect", "report")'),
    Change("next", MACHINE, '{**state, "Next": "ResumeFrom" if name == names[0] else following}', '{**state, "Next": following}'),
    Change("next", MACHINE, '"ResultPath": None, "Next": "NotifyFailure"}]', '"ResultPath": None, "Next": "Failed"}]'),
    # the functions' and tasks' own work
    Change("lease", LEASE, "        raise_fence(documents, lease.token)\n        return lease", "        return lease"),
    Change("lease", LEASE, "if now is None or now.token != self.token:", "if now is None:"),
    Change("lease", TASKS, "            run.lease.check()\n            for kind", "            for kind"),
    Change("gate", TASKS, "            if step.name in GATES:\n                _gate(mirror, run, step.name)\n", ""),
    Change(
        "gate",
        TASKS,
        "            mirror.send(run, step)\n        _gate(mirror, run, step.name)\n",
        "            mirror.send(run, step)\n",
    ),
    Change("batches", TASKS, "return receipt if receipt.batch.key == key else None", "return receipt"),
    Change("batches", TASKS, "if stored is None or stored.sha256 != digest:", "if stored is None:"),
    Change("batches", TASKS, "    if found != expected:\n", "    if False:\n"),
    Change("prune", PRE, "{call.run_id, *published.run_ids, str(", "{call.run_id, str("),
    Change("prune", POST, "if not n.startswith(valid)]", "if n.startswith(valid)]"),
    Change("same event", PRE, 'request["contents"] = _contents(call, request)', 'request["contents"] = ""'),
)

CHANGES = (*FIRST, *READ)
