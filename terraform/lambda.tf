locals {
  functions = {
    pre_cleanup              = { memory = 512, seconds = 300 }
    batch_generator          = { memory = 256, seconds = 120 }
    create_predictions_table = { memory = 512, seconds = 120 }
    human_qa                 = { memory = 1024, seconds = 900 }
    final_results            = { memory = 2048, seconds = 900 }
    post_cleanup             = { memory = 512, seconds = 300 }
  }
}

resource "aws_lambda_function" "main" {
  # checkov:skip=CKV_AWS_115: one execution calls each function once; reserved concurrency would be taken from the account's other functions
  # checkov:skip=CKV_AWS_116: called synchronously by the state machine, which notifies about failures; a dead letter queue would stay empty
  # checkov:skip=CKV_AWS_117: calls AWS services only; inside the VPC it would need the NAT gateway without any benefit
  # checkov:skip=CKV_AWS_173: names of resources, no secrets
  # checkov:skip=CKV_AWS_272: Terraform uploads the package that it has hashed, and nobody else may change the function
  for_each         = local.functions
  function_name    = "${local.name}-${replace(each.key, "_", "-")}"
  role             = aws_iam_role.work[each.key].arn
  runtime          = "python3.11"
  handler          = "predict_age.aws.lambdas.${each.key}.handle"
  filename         = var.functions_zip
  source_code_hash = filebase64sha256(var.functions_zip)
  memory_size      = each.value.memory
  timeout          = each.value.seconds

  environment {
    variables = {
      PREDICT_AGE_BUCKET           = local.bucket
      PREDICT_AGE_PREFIX           = local.prefix
      PREDICT_AGE_DATABASE         = local.database
      PREDICT_AGE_WORKGROUP        = aws_athena_workgroup.main.name
      PREDICT_AGE_BATCHES_PER_TASK = tostring(var.batches_per_task)
    }
  }

  tracing_config {
    mode = "Active"
  }

  depends_on = [aws_cloudwatch_log_group.functions, aws_iam_role_policy.work]
}
