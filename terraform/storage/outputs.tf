output "bucket" {
  description = "Bucket of runs and results."
  value       = aws_s3_bucket.data.id
}

output "bucket_arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.data.arn
}

output "database" {
  description = "Glue database with the published tables."
  value       = var.existing_database != "" ? var.existing_database : aws_glue_catalog_database.main[0].name
}

output "suppression_key_arn" {
  description = "KMS key of the key of the suppression list."
  value       = aws_kms_key.suppression.arn
}

output "kms_key_arn" {
  description = "Your own key of the objects; empty without one."
  value       = var.kms_key_arn
}
