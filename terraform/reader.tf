# Who queries the published tables: their rows and nothing else of a run, no table of reviewers, no way to change anything.

locals {
  reader_tables = ["predict_age_final_results", "predict_age_final_results_*", "predict_age_hidden_people"]
}

resource "aws_iam_role" "reader" {
  count                = length(var.reader_principals) > 0 ? 1 : 0
  name                 = "${local.name}-reader"
  description          = "Queries the published tables of ${local.name} in Athena."
  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { AWS = var.reader_principals } }]
  })
}

resource "aws_iam_role_policy" "reader" {
  count = length(aws_iam_role.reader)
  name  = "read"
  role  = aws_iam_role.reader[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid    = "Query", Effect = "Allow", Resource = [aws_athena_workgroup.main.arn]
        Action = ["athena:StartQueryExecution", "athena:StopQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults", "athena:GetWorkGroup"]
      },
      {
        Sid    = "Tables", Effect = "Allow"
        Action = ["glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:GetPartitions"]
        Resource = concat([local.catalog_arn, local.database_arn], [
          for table in local.reader_tables : "arn:${local.partition}:glue:${local.region}:${local.account}:table/${local.database}/${table}"
        ])
      },
      { Sid = "Look", Effect = "Allow", Action = ["s3:ListBucket", "s3:GetBucketLocation"], Resource = [local.bucket_arn] },
      { Sid = "Results", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${local.bucket_arn}/${local.run}/results/*", "${local.bucket_arn}/${local.prefix}/hidden/*"] },
      { Sid = "QueryOutput", Effect = "Allow", Action = local.output_rights, Resource = ["${local.bucket_arn}/athena/*"] },
      ], [for _ in var.storage.kms_key_arn != "" ? [1] : [] : {
        Sid = "ObjectKey", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [var.storage.kms_key_arn]
    }])
  })
}
