# The event contains the scheduled time: an event that is delivered twice starts one run.

locals {
  source_bucket   = var.source_bucket != "" ? var.source_bucket : local.bucket
  training_bucket = var.training_source_bucket != "" ? var.training_source_bucket : local.source_bucket
  trains_apart    = var.training_source_bucket != "" || var.training_source_prefix != ""
  source_places = concat(
    [{ bucket = local.source_bucket, prefix = var.source_prefix }],
    local.trains_apart ? [{ bucket = local.training_bucket, prefix = var.training_source_prefix }] : [],
  )
  source_buckets = distinct([for place in local.source_places : "arn:${local.partition}:s3:::${place.bucket}"])
}

resource "aws_sqs_queue" "not_started" {
  name                      = "${local.name}-not-started"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

locals {
  schedules = {
    quarterly = {
      description = "The quarterly run of predict-age."
      when        = var.schedule
      input = merge({
        source   = "s3://${local.source_bucket}/${var.source_prefix}"
        config   = var.config
        features = var.features
      }, var.training_source != "" ? { training_source = var.training_source } : {})
    }
    # Whether the quarter has a result by then: an execution that fails when it has none, so that the same people are told in the same way.
    overdue = {
      description = "Asks whether predict-age has published a result of the quarter."
      when        = var.overdue_schedule
      input       = { expect_published = true }
    }
  }
}

resource "aws_scheduler_schedule" "main" {
  # checkov:skip=CKV_AWS_297: the events contain an S3 address and no data
  for_each                     = local.schedules
  name                         = "${local.name}-${each.key}"
  description                  = each.value.description
  schedule_expression          = each.value.when
  schedule_expression_timezone = "UTC"
  state                        = var.schedule_enabled ? "ENABLED" : "DISABLED"

  lifecycle {
    precondition {
      condition     = !var.schedule_enabled || !local.own_network || var.nat_enabled
      error_message = "The schedule would start tasks without a way to AWS: set nat_enabled = true, or schedule_enabled = false."
    }
  }

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_sfn_state_machine.main.arn
    role_arn = aws_iam_role.scheduler.arn
    input    = jsonencode(merge(each.value.input, { time = "<aws.scheduler.scheduled-time>" }))

    dead_letter_config {
      arn = aws_sqs_queue.not_started.arn
    }

    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 5
    }
  }
}

moved {
  from = aws_scheduler_schedule.quarterly
  to   = aws_scheduler_schedule.main["quarterly"]
}

moved {
  from = aws_scheduler_schedule.overdue
  to   = aws_scheduler_schedule.main["overdue"]
}
