locals {
  machine_dimensions = { StateMachineArn = aws_sfn_state_machine.main.arn }
  function_names     = [for f in aws_lambda_function.main : f.function_name]
}

resource "aws_cloudwatch_log_group" "functions" {
  # checkov:skip=CKV_AWS_158: no personal data are logged, CloudWatch's own encryption is enough
  # checkov:skip=CKV_AWS_338: seven days, as the architecture requires; records that must be kept are in the run's folder
  for_each          = local.functions
  name              = local.log_groups[each.key]
  retention_in_days = var.log_days
}

resource "aws_cloudwatch_log_group" "tasks" {
  # checkov:skip=CKV_AWS_158: no personal data are logged, CloudWatch's own encryption is enough
  # checkov:skip=CKV_AWS_338: seven days, as the architecture requires; records that must be kept are in the run's folder
  for_each          = toset([for task in local.tasks : task.log])
  name              = each.key
  retention_in_days = var.log_days
}

resource "aws_cloudwatch_log_group" "machine" {
  # checkov:skip=CKV_AWS_158: no personal data are logged, CloudWatch's own encryption is enough
  # checkov:skip=CKV_AWS_338: seven days, as the architecture requires; records that must be kept are in the run's folder
  name              = "/aws/states/${local.name}-pipeline"
  retention_in_days = var.log_days
}

# CloudWatch alarms cannot publish to a topic that is encrypted with SNS's own key, because the policy of that key cannot be changed.
resource "aws_kms_key" "alerts" {
  description             = "Encryption of the alerts of ${local.name}."
  enable_key_rotation     = true
  deletion_window_in_days = 7

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Owner", Effect = "Allow", Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }, Action = "kms:*", Resource = "*" },
      {
        Sid       = "Alarms", Effect = "Allow", Principal = { Service = "cloudwatch.amazonaws.com" }, Resource = "*"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
    ]
  })
}

resource "aws_sns_topic" "alerts" {
  name              = "${local.name}-alerts"
  kms_master_key_id = aws_kms_key.alerts.arn
}

resource "aws_sns_topic_subscription" "email" {
  count     = var.alert_email != "" ? 1 : 0
  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = var.alert_email
}

# Failed executions, including those that failed before they could send a notification.
resource "aws_cloudwatch_metric_alarm" "execution_failed" {
  alarm_name          = "${local.name}-execution-failed"
  alarm_description   = "An execution of the pipeline failed. Look at its failed state, then start it again with the same input."
  namespace           = "AWS/States"
  metric_name         = "ExecutionsFailed"
  dimensions          = local.machine_dimensions
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
}

# Executions that did not finish: aborted or timed out.
resource "aws_cloudwatch_metric_alarm" "not_finished" {
  alarm_name          = "${local.name}-not-finished"
  alarm_description   = "An execution of the pipeline was stopped or ran beyond its time."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]

  metric_query {
    id          = "all"
    expression  = "FILL(timed_out, 0) + FILL(aborted, 0)"
    label       = "Executions that did not finish"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { timed_out = "ExecutionsTimedOut", aborted = "ExecutionsAborted" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/States"
        metric_name = metric_query.value
        dimensions  = local.machine_dimensions
        stat        = "Sum"
        period      = 300
      }
    }
  }
}

# Executions that did not start: the schedule could not deliver its event.
resource "aws_cloudwatch_metric_alarm" "not_started" {
  alarm_name          = "${local.name}-not-started"
  alarm_description   = "The quarterly event could not start the pipeline; it waits in the queue."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.not_started.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
}

# Failed Fargate tasks, as ECS reports them: tasks that never started, and containers that ended with an error. A task that Spot takes
# back or that is stopped by hand is no failure: it is tried again. Each failure is a line in a log group, with its reason, and counted
# there.
resource "aws_cloudwatch_event_rule" "tasks_failed" {
  name        = "${local.name}-tasks-failed"
  description = "Fargate tasks of ${local.name} that failed."

  event_pattern = jsonencode({
    source      = ["aws.ecs"]
    detail-type = ["ECS Task State Change"]
    detail = {
      clusterArn = [aws_ecs_cluster.main.arn]
      lastStatus = ["STOPPED"]
      "$or" = [
        { stopCode = ["TaskFailedToStart"] },
        { stopCode = ["EssentialContainerExited"], containers = { exitCode = [{ anything-but = [0] }] } },
      ]
    }
  })
}

resource "aws_cloudwatch_event_target" "tasks_failed" {
  rule = aws_cloudwatch_event_rule.tasks_failed.name
  arn  = aws_cloudwatch_log_group.tasks_failed.arn
}

resource "aws_cloudwatch_log_group" "tasks_failed" {
  # checkov:skip=CKV_AWS_158: no personal data are logged, CloudWatch's own encryption is enough
  # checkov:skip=CKV_AWS_338: seven days, as the architecture requires; records that must be kept are in the run's folder
  name              = "/aws/events/${local.name}-tasks-failed" # EventBridge writes below /aws/events only
  retention_in_days = var.log_days
}

resource "aws_cloudwatch_log_resource_policy" "tasks_failed" {
  policy_name = "${local.name}-tasks-failed"

  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [for action, condition in {
      "logs:CreateLogStream" = {}
      "logs:PutLogEvents"    = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.tasks_failed.arn } }
      } : merge(
      {
        Effect    = "Allow"
        Principal = { Service = ["events.amazonaws.com", "delivery.logs.amazonaws.com"] }
        Action    = action
        Resource  = "${aws_cloudwatch_log_group.tasks_failed.arn}:*"
      },
      length(condition) > 0 ? { Condition = condition } : {},
    )]
  })
}

resource "aws_cloudwatch_log_metric_filter" "tasks_failed" {
  name           = "${local.name}-tasks-failed"
  log_group_name = aws_cloudwatch_log_group.tasks_failed.name
  pattern        = "" # every line

  metric_transformation {
    namespace = "PredictAge"
    name      = "${local.name}-TasksFailed"
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "tasks_failed" {
  alarm_name          = "${local.name}-tasks-failed"
  alarm_description   = "More than two Fargate tasks failed in an hour, which is 5 % of the 50 of a run. Reasons: log group ${aws_cloudwatch_log_group.tasks_failed.name}."
  namespace           = "PredictAge"
  metric_name         = aws_cloudwatch_log_metric_filter.tasks_failed.metric_transformation[0].name
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 2
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
}

resource "aws_cloudwatch_metric_alarm" "function_errors" {
  alarm_name          = "${local.name}-function-errors"
  alarm_description   = "More than 10 errors of the functions in an hour."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 10
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]

  metric_query {
    id          = "all"
    expression  = "SUM(METRICS())"
    label       = "Errors of all functions"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = aws_lambda_function.main

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/Lambda"
        metric_name = "Errors"
        dimensions  = { FunctionName = metric_query.value.function_name }
        stat        = "Sum"
        period      = 3600
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "scanned" {
  alarm_name          = "${local.name}-bytes-scanned"
  alarm_description   = "Athena scanned more than $10 worth of data in an hour. The workgroup stops a single statement earlier."
  namespace           = "AWS/Athena"
  metric_name         = "ProcessedBytes"
  dimensions          = { WorkGroup = aws_athena_workgroup.main.name }
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.athena_alarm_bytes
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
}

resource "aws_cloudwatch_dashboard" "main" {
  dashboard_name = local.name

  dashboard_body = jsonencode({
    widgets = [
      {
        type = "metric", x = 0, y = 0, width = 12, height = 6
        properties = {
          title = "Executions", region = local.region, stat = "Sum", period = 300
          metrics = [for m in ["ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"] :
          ["AWS/States", m, "StateMachineArn", aws_sfn_state_machine.main.arn]]
        }
      },
      {
        type = "metric", x = 12, y = 0, width = 12, height = 6
        properties = {
          title   = "Duration of an execution, ms", region = local.region, stat = "Maximum", period = 300
          metrics = [["AWS/States", "ExecutionTime", "StateMachineArn", aws_sfn_state_machine.main.arn]]
        }
      },
      {
        type = "metric", x = 0, y = 6, width = 12, height = 6
        properties = {
          title = "Tasks: CPU and memory, %", region = local.region, stat = "Average", period = 60
          metrics = [for m in ["CpuUtilized", "MemoryUtilized", "RunningTaskCount"] :
          ["ECS/ContainerInsights", m, "ClusterName", aws_ecs_cluster.main.name]]
        }
      },
      {
        type = "metric", x = 12, y = 6, width = 12, height = 6
        properties = {
          title = "Tasks begun, done well, failed", region = local.region, stat = "Sum", period = 300
          metrics = concat(
            [for m in ["TasksBegun", "TasksDone"] : ["PredictAge", m, "Workspace", local.bucket]],
            [["PredictAge", aws_cloudwatch_metric_alarm.tasks_failed.metric_name]],
          )
        }
      },
      {
        type = "metric", x = 0, y = 12, width = 12, height = 6
        properties = {
          title   = "Functions: errors", region = local.region, stat = "Sum", period = 300
          metrics = [for f in local.function_names : ["AWS/Lambda", "Errors", "FunctionName", f]]
        }
      },
      {
        type = "metric", x = 12, y = 12, width = 12, height = 6
        properties = {
          title = "Athena: bytes read, statement time", region = local.region, stat = "Sum", period = 300
          metrics = [for m in ["ProcessedBytes", "TotalExecutionTime"] :
          ["AWS/Athena", m, "WorkGroup", aws_athena_workgroup.main.name]]
        }
      },
    ]
  })
}
