# The definition is generated from the order of the steps: python -m predict_age.aws.state_machine > terraform/state_machine.json

resource "aws_sfn_state_machine" "main" {
  # checkov:skip=CKV_AWS_285: errors are logged, payloads are not
  name     = "${local.name}-pipeline"
  role_arn = aws_iam_role.machine.arn
  type     = "STANDARD"

  definition = templatefile("${path.module}/state_machine.json", merge(
    { for name, function in aws_lambda_function.main : "${name}_function" => function.arn },
    { for name, task in aws_ecs_task_definition.main : "${name}_task" => task.arn },
    {
      partition       = local.partition
      cluster         = aws_ecs_cluster.main.arn
      subnets         = jsonencode(local.subnet_ids)
      security_group  = aws_security_group.tasks.id
      bucket          = local.bucket
      prefix          = local.prefix
      max_concurrency = var.max_concurrency
      topic           = aws_sns_topic.alerts.arn
    },
  ))

  logging_configuration {
    level                  = "ERROR"
    include_execution_data = false
    log_destination        = "${aws_cloudwatch_log_group.machine.arn}:*"
  }

  tracing_configuration {
    enabled = true
  }

  depends_on = [aws_iam_role_policy.machine]
}
