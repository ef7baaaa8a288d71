# Predictions on demand: an HTTP API whose requests a function answers, which is the tasks' image with another command. Nobody may ask
# without a signature of IAM or a token of an issuer that is named here. Off until api_enabled = true.

locals {
  api      = var.api_enabled ? 1 : 0
  api_name = "${local.name}-api"

  # Route, and the scope that a token needs for it. Metrics of a single process would tell nothing here: CloudWatch counts requests.
  api_routes = {
    "POST /v1/predict"             = "predict"
    "GET /v1/people/{pid}"         = "people"
    "POST /v1/people:lookup"       = "people"
    "GET /v1/model"                = "predict"
    "GET /v1/runs"                 = "predict"
    "GET /v2/models/{model}"       = "predict"
    "GET /v2/models/{model}/ready" = "predict"
    "GET /v2"                      = ""
    "GET /v2/health/live"          = ""
    "GET /v2/health/ready"         = ""
    "GET /health"                  = ""
    "GET /openapi.json"            = ""
  }

  # All that the function reads in the bucket. It writes nothing.
  api_reads = concat(["${local.prefix}/published.json", "${local.prefix}/suppression/*"], [for file in [
    "run.json", "manifest.json", "model/*", "lookup/*", "steps/read_source.json", "steps/training.json", "steps/final_results.json",
  ] : "${local.run}/${file}"])
}

resource "aws_lambda_function" "api" {
  # checkov:skip=CKV_AWS_50: a trace would add the rights of X-Ray to a role that reads and nothing else; the access log has the times
  # checkov:skip=CKV_AWS_116: called synchronously by the API, whose client gets the answer; a dead letter queue would stay empty
  # checkov:skip=CKV_AWS_117: calls S3 and KMS only; inside the VPC it would need the NAT gateway without any benefit
  # checkov:skip=CKV_AWS_173: names of resources, no secrets
  # checkov:skip=CKV_AWS_272: the image is named by its digest
  count                          = local.api
  function_name                  = local.api_name
  description                    = "Answers requests of the prediction API of ${local.name}."
  role                           = aws_iam_role.api[0].arn
  package_type                   = "Image"
  image_uri                      = local.image
  architectures                  = [var.cpu_architecture == "ARM64" ? "arm64" : "x86_64"]
  memory_size                    = var.api_memory
  timeout                        = 29 # the gateway waits for 30 s
  reserved_concurrent_executions = var.api_concurrency

  image_config {
    command = ["aws-api"]
  }

  ephemeral_storage {
    size = 1024
  }

  environment {
    variables = {
      PREDICT_AGE_BUCKET   = local.bucket
      PREDICT_AGE_PREFIX   = local.prefix
      PREDICT_AGE_KERNELS  = "/app/kernels"
      PREDICT_AGE_SCRATCH  = "/tmp" # a function may write nowhere else
      HOME                 = "/tmp"
      TMPDIR               = "/tmp"
      NUMBA_CPU_NAME       = var.cpu_architecture == "ARM64" ? "neoverse-n1" : "haswell" # as the image was built (Dockerfile)
      NUMBA_CPU_FEATURES   = var.cpu_architecture == "ARM64" ? "+neon" : "+avx2"
      OPENBLAS_CORETYPE    = var.cpu_architecture == "ARM64" ? "NEOVERSEN1" : "Haswell"
      OPENBLAS_NUM_THREADS = "1"
    }
  }

  depends_on = [aws_cloudwatch_log_group.api, aws_iam_role_policy.api]

  lifecycle {
    precondition {
      condition     = var.image != ""
      error_message = "The prediction API runs the image: push it first and name it in image."
    }
    precondition {
      condition     = var.api_authorization != "JWT" || var.api_jwt != null
      error_message = "Tokens need an issuer and an audience: set api_jwt, or api_authorization = \"AWS_IAM\"."
    }
  }
}

resource "aws_iam_role" "api" {
  count                = local.api
  permissions_boundary = var.permissions_boundary
  name                 = local.api_name
  description          = "Rights of the function of the prediction API: it reads what it answers from."

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy" "api" {
  count = local.api
  name  = "read"
  role  = aws_iam_role.api[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      { # else a missing list would look like a refused one
        Sid       = "Look", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [local.bucket_arn]
        Condition = { StringLike = { "s3:prefix" = ["${local.prefix}/*"] } }
      },
      { Sid = "Read", Effect = "Allow", Action = ["s3:GetObject"], Resource = [for k in local.api_reads : "${local.bucket_arn}/${k}"] },
      { Sid = "ListKey", Effect = "Allow", Action = ["kms:Decrypt"], Resource = [var.storage.suppression_key_arn] },
      { Sid = "Log", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = ["${aws_cloudwatch_log_group.api[0].arn}:*"] },
      ], [for _ in var.storage.kms_key_arn != "" ? [1] : [] : {
        Sid = "ObjectKey", Effect = "Allow", Action = ["kms:Decrypt"], Resource = [var.storage.kms_key_arn]
    }])
  })
}

# Lambda pulls the image with rights of the repository, not of the function.
resource "aws_ecr_repository_policy" "api" {
  count      = local.api
  repository = aws_ecr_repository.main.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Api", Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }
      Action    = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Condition = { StringLike = { "aws:SourceArn" = "arn:${local.partition}:lambda:${local.region}:${local.account}:function:${local.api_name}" } }
    }]
  })
}

resource "aws_apigatewayv2_api" "api" {
  count         = local.api
  name          = local.api_name
  description   = "Predictions on demand of ${local.name}."
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_authorizer" "tokens" {
  count            = var.api_authorization == "JWT" && var.api_jwt != null ? local.api : 0
  api_id           = aws_apigatewayv2_api.api[0].id
  name             = "tokens"
  authorizer_type  = "JWT"
  identity_sources = ["$request.header.Authorization"]

  jwt_configuration {
    issuer   = var.api_jwt.issuer
    audience = var.api_jwt.audience
  }
}

resource "aws_apigatewayv2_integration" "api" {
  count                  = local.api
  api_id                 = aws_apigatewayv2_api.api[0].id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.api[0].invoke_arn
  payload_format_version = "2.0"
  timeout_milliseconds   = 30000
}

resource "aws_apigatewayv2_route" "api" {
  for_each             = { for route, scope in local.api_routes : route => scope if var.api_enabled }
  api_id               = aws_apigatewayv2_api.api[0].id
  route_key            = each.key
  target               = "integrations/${aws_apigatewayv2_integration.api[0].id}"
  authorization_type   = var.api_authorization
  authorizer_id        = one(aws_apigatewayv2_authorizer.tokens[*].id)
  authorization_scopes = var.api_authorization == "JWT" && var.api_jwt != null ? [for scope in each.value != "" ? [each.value] : ["predict", "people"] : "${var.api_jwt.scope_prefix}${scope}"] : null
}

resource "aws_apigatewayv2_stage" "api" {
  count       = local.api
  api_id      = aws_apigatewayv2_api.api[0].id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    throttling_rate_limit  = var.api_requests_per_second
    throttling_burst_limit = var.api_burst
  }

  # Who asked, and the route as it is declared, never the path: paths have ids of people.
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.api_access[0].arn
    format = jsonencode({
      time    = "$context.requestTime"
      request = "$context.requestId"
      caller  = var.api_authorization == "JWT" ? "$context.authorizer.claims.sub" : "$context.identity.userArn"
      route   = "$context.routeKey"
      status  = "$context.status"
      bytes   = "$context.responseLength"
      ms      = "$context.responseLatency"
      error   = "$context.error.responseType"
    })
  }
}

resource "aws_lambda_permission" "api" {
  count         = local.api
  statement_id  = "Api"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.api[0].function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.api[0].execution_arn}/*"
}

resource "aws_cloudwatch_log_group" "api" {
  # checkov:skip=CKV_AWS_158: no personal data are logged, CloudWatch's own encryption is enough
  # checkov:skip=CKV_AWS_338: seven days, as the architecture requires
  count             = local.api
  name              = "/aws/lambda/${local.api_name}"
  retention_in_days = var.log_days
}

resource "aws_cloudwatch_log_group" "api_access" {
  # checkov:skip=CKV_AWS_158: no personal data are logged, CloudWatch's own encryption is enough
  # checkov:skip=CKV_AWS_338: seven days, as the architecture requires
  count             = local.api
  name              = "/aws/apigateway/${local.api_name}"
  retention_in_days = var.log_days
}

resource "aws_cloudwatch_metric_alarm" "api" {
  for_each = { for name, alarm in {
    errors = {
      namespace  = "AWS/ApiGateway", metric = "5xx", more_than = 5
      dimensions = { ApiId = one(aws_apigatewayv2_api.api[*].id) }
      says       = "The prediction API failed at more than 5 requests in five minutes: log group ${join("", aws_cloudwatch_log_group.api[*].name)}."
    }
    throttles = {
      namespace  = "AWS/Lambda", metric = "Throttles", more_than = 10
      dimensions = { FunctionName = one(aws_lambda_function.api[*].function_name) }
      says       = "More than 10 requests in five minutes found no free instance of the prediction API: raise api_concurrency."
    }
  } : name => alarm if var.api_enabled }

  alarm_name          = "${local.api_name}-${each.key}"
  alarm_description   = each.value.says
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.more_than
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
}

# Alarms that were two resources.
moved {
  from = aws_cloudwatch_metric_alarm.api_errors[0]
  to   = aws_cloudwatch_metric_alarm.api["errors"]
}

moved {
  from = aws_cloudwatch_metric_alarm.api_throttles[0]
  to   = aws_cloudwatch_metric_alarm.api["throttles"]
}
