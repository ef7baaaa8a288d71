# One role for each function and each task. local.rights lists what a role may read, write and delete in the bucket, and which other
# services it may call. Everything else is denied.

locals {
  runs      = "${local.prefix}/runs/*"
  run       = "${local.prefix}/runs/????????T??????Z-????????" # a run's folder; "*" would take "model/manifest.json" for "manifest.json"
  documents = ["${local.prefix}/lease.json", "${local.prefix}/published.json"]

  rights = {
    pre_cleanup = {
      read    = concat(local.documents, [local.runs, "${local.prefix}/*.toml"])
      write   = concat(local.documents, ["${local.run}/request.json", "${local.run}/steps/pre_cleanup.json"])
      delete  = [local.runs]
      source  = false
      queries = false
      tables  = []
      other = {
        "states:DescribeExecution" = [replace("${local.machine_arn}:*", ":stateMachine:", ":execution:")]
        "s3:ListBucket"            = local.source_buckets
      }
    }
    training = {
      read = concat(local.documents, [local.runs, "${local.prefix}/*.toml", "${local.prefix}/suppression/*"])
      write = [
        "${local.run}/run.json", "${local.run}/source/*", "${local.run}/set_aside/*", "${local.run}/model/*",
        "${local.run}/gates/*", "${local.run}/steps/read_source.json", "${local.run}/steps/training.json", "${local.run}/costs/*", "${local.run}/failures/*",
      ]
      delete  = []
      source  = true
      queries = false
      tables  = []
      other   = { "kms:Decrypt" = [var.storage.suppression_key_arn] }
    }
    batch_generator = {
      read    = concat(local.documents, [local.runs])
      write   = ["${local.run}/batches.json", "${local.run}/tasks/*", "${local.run}/tasks.json", "${local.run}/steps/batch_generator.json"]
      delete  = []
      source  = false
      queries = false
      tables  = []
      other   = {}
    }
    create_predictions_table = {
      read    = concat(local.documents, [local.runs])
      write   = ["${local.run}/steps/create_predictions_table.json"]
      delete  = []
      source  = false
      queries = true
      tables  = ["glue:CreateTable"]
      other   = {}
    }
    prediction = {
      read    = concat(local.documents, [local.runs])
      write   = ["${local.run}/predictions/*", "${local.run}/people/*", "${local.run}/receipts/*", "${local.run}/costs/*", "${local.run}/failures/*"]
      delete  = []
      source  = true
      queries = false
      tables  = []
      other   = {}
    }
    collect = {
      read    = concat(local.documents, [local.runs])
      write   = ["${local.run}/gates/*", "${local.run}/steps/parallel_prediction.json", "${local.run}/costs/*", "${local.run}/failures/*"]
      delete  = []
      source  = true
      queries = false
      tables  = []
      other   = {}
    }
    human_qa = {
      read    = concat(local.documents, [local.runs])
      write   = ["${local.run}/qa/*", "${local.run}/steps/human_qa.json"]
      delete  = []
      source  = false
      queries = true
      tables  = ["glue:CreateTable", "glue:DeleteTable"]
      other   = {}
    }
    final_results = {
      read    = concat(local.documents, [local.runs, "${local.prefix}/hidden/*"])
      write   = ["${local.prefix}/published.json", "${local.run}/results/*", "${local.run}/manifest.json", "${local.run}/steps/final_results.json"]
      delete  = []
      source  = false
      queries = true
      tables  = ["glue:CreateTable", "glue:UpdateTable", "glue:DeleteTable"]
      other   = {}
    }
    report = {
      read    = concat(local.documents, [local.runs])
      write   = ["${local.run}/report.html", "${local.run}/cost.json", "${local.run}/costs/*", "${local.run}/failures/*"]
      delete  = []
      source  = false
      queries = false
      tables  = []
      other   = {}
    }
    post_cleanup = {
      read    = concat(local.documents, [local.runs])
      write   = ["${local.prefix}/lease.json", "${local.run}/steps/post_cleanup.json"]
      delete  = ["${local.run}/source/*", "${local.run}/tasks/*", "${local.run}/map/*", "${local.run}/qa/*", "${local.run}/results/*", "${local.run}/predictions/*"]
      source  = false
      queries = false
      tables  = ["glue:DeleteTable"]
      other   = {}
    }
  }

  machine_arn  = "arn:${local.partition}:states:${local.region}:${local.account}:stateMachine:${local.name}-pipeline"
  catalog_arn  = "arn:${local.partition}:glue:${local.region}:${local.account}:catalog"
  database_arn = "arn:${local.partition}:glue:${local.region}:${local.account}:database/${local.database}"
  # Only tables that predict-age makes: in a database that existed before, other tables are somebody else's.
  own_tables = ["predict_age_people", "predict_age_predictions", "predict_age_human_qa", "predict_age_final_results", "predict_age_hidden_people"]
  tables_arns = concat([local.catalog_arn, local.database_arn], [
    for table in local.own_tables : "arn:${local.partition}:glue:${local.region}:${local.account}:table/${local.database}/${table}*"
  ])
  output_rights = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]

  log_groups = merge(
    { for name in keys(local.functions) : name => "/aws/lambda/${local.name}-${replace(name, "_", "-")}" },
    { for name, task in local.tasks : name => task.log },
  )

  statements = { for role, right in local.rights : role => concat(
    [
      { Sid = "Look", Effect = "Allow", Action = ["s3:ListBucket", "s3:GetBucketLocation"], Resource = [local.bucket_arn] },
      { Sid = "Read", Effect = "Allow", Action = ["s3:GetObject"], Resource = [for k in right.read : "${local.bucket_arn}/${k}"] },
      { Sid = "Write", Effect = "Allow", Action = ["s3:PutObject", "s3:AbortMultipartUpload"], Resource = [for k in right.write : "${local.bucket_arn}/${k}"] },
    ],
    [for _ in length(right.delete) > 0 ? [1] : [] : {
      Sid = "Delete", Effect = "Allow", Action = ["s3:DeleteObject"], Resource = [for k in right.delete : "${local.bucket_arn}/${k}"]
    }],
    [for _ in right.source ? [1] : [] : {
      Sid      = "Source", Effect = "Allow", Action = ["s3:GetObject", "s3:ListBucket"],
      Resource = concat(local.source_buckets, [for place in local.source_places : "arn:${local.partition}:s3:::${place.bucket}/${place.prefix}*"])
    }],
    [for _ in right.queries ? [1] : [] : {
      Sid    = "Query", Effect = "Allow", Resource = [aws_athena_workgroup.main.arn],
      Action = ["athena:StartQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults"]
    }],
    [for _ in right.queries ? [1] : [] : {
      Sid = "QueryOutput", Effect = "Allow", Resource = ["${local.bucket_arn}/athena/*"], Action = local.output_rights
    }],
    [for _ in right.queries ? [1] : [] : { # Athena asks for it with each statement that changes the catalogue
      Sid = "DefaultDatabase", Effect = "Allow", Action = ["glue:GetDatabase"], Resource = [
        local.catalog_arn, "arn:${local.partition}:glue:${local.region}:${local.account}:database/default",
      ]
    }],
    [for _ in var.storage.kms_key_arn != "" ? [1] : [] : {
      Sid = "ObjectKey", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [var.storage.kms_key_arn]
    }],
    [for _ in contains(["pre_cleanup", "training"], role) && length(var.source_tables) > 0 ? [1] : [] : {
      Sid = "SourceTables", Effect = "Allow", Action = ["glue:GetTable", "glue:GetPartitions"]
      Resource = concat([local.catalog_arn], flatten([for table in var.source_tables : [
        "arn:${local.partition}:glue:${local.region}:${local.account}:database/${split("/", table)[0]}",
        "arn:${local.partition}:glue:${local.region}:${local.account}:table/${table}",
      ]]))
    }],
    [for _ in right.source && length(var.source_kms_key_arns) > 0 ? [1] : [] : {
      Sid = "SourceKey", Effect = "Allow", Action = ["kms:Decrypt"], Resource = var.source_kms_key_arns
    }],
    [for _ in right.queries || length(right.tables) > 0 ? [1] : [] : {
      Sid    = "Tables", Effect = "Allow", Resource = local.tables_arns,
      Action = concat(["glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:GetPartitions"], right.tables)
    }],
    [for action, resources in right.other : { Sid = replace(title(replace(action, ":", " ")), " ", ""), Effect = "Allow", Action = [action], Resource = resources }],
    contains(keys(local.functions), role) ? [{
      Sid      = "Log", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"],
      Resource = ["arn:${local.partition}:logs:${local.region}:${local.account}:log-group:${local.log_groups[role]}:*"]
    }] : [],
  ) }
}

resource "aws_iam_role" "work" {
  for_each             = local.rights
  permissions_boundary = var.permissions_boundary
  name                 = "${local.name}-${replace(each.key, "_", "-")}"
  description          = "Rights of the ${contains(keys(local.functions), each.key) ? "function" : "container"} ${each.key}."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [merge(
      {
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = contains(keys(local.functions), each.key) ? "lambda.amazonaws.com" : "ecs-tasks.amazonaws.com" }
      },
      contains(keys(local.functions), each.key) ? {} : { Condition = { StringEquals = { "aws:SourceAccount" = local.account } } },
    )]
  })
}

resource "aws_iam_role_policy" "work" {
  for_each = local.rights
  name     = "work"
  role     = aws_iam_role.work[each.key].id
  policy   = jsonencode({ Version = "2012-10-17", Statement = local.statements[each.key] })
}

# Traces of X-Ray: these actions have no narrower resource than "*".
resource "aws_iam_role_policy" "trace" {
  for_each = local.functions
  name     = "trace"
  role     = aws_iam_role.work[each.key].id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], Resource = "*" }]
  })
}

# Execution role of Fargate: pull the image, write the log.
resource "aws_iam_role" "start_tasks" {
  permissions_boundary = var.permissions_boundary
  name                 = "${local.name}-start-tasks"
  description          = "Execution role of Fargate: pulls the image and writes the log."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ecs-tasks.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "start_tasks" {
  name = "start"
  role = aws_iam_role.start_tasks.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Token", Effect = "Allow", Action = ["ecr:GetAuthorizationToken"], Resource = "*" },
      {
        Sid    = "Image", Effect = "Allow", Resource = [aws_ecr_repository.main.arn]
        Action = ["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"]
      },
      {
        Sid      = "Log", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = [for group in aws_cloudwatch_log_group.tasks : "${group.arn}:*"]
      },
    ]
  })
}

# State machine: start functions and tasks, pass each task its own role and no other, notify about failures.
resource "aws_iam_role" "machine" {
  permissions_boundary = var.permissions_boundary
  name                 = "${local.name}-machine"
  description          = "Role of the state machine: starts functions and tasks."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow", Action = "sts:AssumeRole", Principal = { Service = "states.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "machine" {
  name = "order"
  role = aws_iam_role.machine.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      { Sid = "Functions", Effect = "Allow", Action = ["lambda:InvokeFunction"], Resource = [for f in aws_lambda_function.main : f.arn] },
      {
        Sid       = "StartTasks", Effect = "Allow", Action = ["ecs:RunTask"], Resource = [for t in aws_ecs_task_definition.main : t.arn]
        Condition = { ArnEquals = { "ecs:cluster" = aws_ecs_cluster.main.arn } }
      },
      {
        Sid       = "WatchTasks", Effect = "Allow", Action = ["ecs:StopTask", "ecs:DescribeTasks"]
        Resource  = ["arn:${local.partition}:ecs:${local.region}:${local.account}:task/${aws_ecs_cluster.main.name}/*"]
        Condition = { ArnEquals = { "ecs:cluster" = aws_ecs_cluster.main.arn } }
      },
      {
        Sid       = "TagTasks", Effect = "Allow", Action = ["ecs:TagResource"]
        Resource  = ["arn:${local.partition}:ecs:${local.region}:${local.account}:task/${aws_ecs_cluster.main.name}/*"]
        Condition = { StringEquals = { "ecs:CreateAction" = "RunTask" } }
      },
      {
        Sid      = "WatchTasksByEvents", Effect = "Allow", Action = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
        Resource = ["arn:${local.partition}:events:${local.region}:${local.account}:rule/StepFunctionsGetEventsForECSTaskRule"]
      },
      {
        Sid       = "HandOverRoles", Effect = "Allow", Action = ["iam:PassRole"]
        Resource  = concat([aws_iam_role.start_tasks.arn], [for name in keys(local.tasks) : aws_iam_role.work[name].arn])
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
      {
        Sid = "Map", Effect = "Allow", Action = ["states:StartExecution"], Resource = [local.machine_arn]
      },
      {
        Sid      = "MapRuns", Effect = "Allow", Action = ["states:DescribeExecution", "states:StopExecution", "states:RedriveExecution"]
        Resource = [replace("${local.machine_arn}:*", ":stateMachine:", ":execution:"), replace("${local.machine_arn}/*", ":stateMachine:", ":execution:")]
      },
      { Sid = "ReadItems", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${local.bucket_arn}/${local.run}/tasks.json"] },
      { Sid = "ReadReason", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${local.bucket_arn}/${local.run}/failures/*"] },
      { Sid = "Tell", Effect = "Allow", Action = ["sns:Publish"], Resource = [aws_sns_topic.alerts.arn] },
      { Sid = "TellSealed", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [aws_kms_key.alerts.arn] },
      {
        Sid    = "Log", Effect = "Allow", Resource = "*" # vended log delivery has no narrower resource
        Action = ["logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups"]
      },
      { Sid = "Trace", Effect = "Allow", Action = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], Resource = "*" },
      ], [for _ in var.storage.kms_key_arn != "" ? [1] : [] : {
        Sid = "ObjectKey", Effect = "Allow", Action = ["kms:Decrypt"], Resource = [var.storage.kms_key_arn]
    }])
  })
}

resource "aws_iam_role" "scheduler" {
  permissions_boundary = var.permissions_boundary
  name                 = "${local.name}-scheduler"
  description          = "Role of the schedule: starts the state machine."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow", Action = "sts:AssumeRole", Principal = { Service = "scheduler.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  name = "start"
  role = aws_iam_role.scheduler.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = ["states:StartExecution"], Resource = [aws_sfn_state_machine.main.arn] },
      { Effect = "Allow", Action = ["sqs:SendMessage"], Resource = [aws_sqs_queue.not_started.arn] },
    ]
  })
}
