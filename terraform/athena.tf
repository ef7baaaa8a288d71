resource "aws_athena_workgroup" "main" {
  name          = local.name
  description   = "Statements of predict-age: encrypted output, measured, cut off beyond what a run needs."
  force_destroy = var.force_destroy

  configuration {
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.scan_cutoff_bytes

    result_configuration {
      output_location = "s3://${local.bucket}/athena/"

      encryption_configuration {
        encryption_option = var.storage.kms_key_arn == "" ? "SSE_S3" : "SSE_KMS"
        kms_key_arn       = var.storage.kms_key_arn == "" ? null : var.storage.kms_key_arn
      }
    }
  }
}
