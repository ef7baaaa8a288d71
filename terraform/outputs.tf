output "state_machine" {
  description = "ARN of the state machine: aws stepfunctions start-execution --state-machine-arn ..."
  value       = aws_sfn_state_machine.main.arn
}

output "bucket" {
  description = "Bucket of runs and results."
  value       = aws_s3_bucket.data.id
}

output "repository" {
  description = "Where the image is pushed."
  value       = aws_ecr_repository.main.repository_url
}

output "workgroup" {
  description = "Athena workgroup for queries on the results."
  value       = aws_athena_workgroup.main.name
}

output "database" {
  description = "Glue database with the published tables."
  value       = aws_glue_catalog_database.main.name
}

output "alerts" {
  description = "SNS topic of failures and alarms."
  value       = aws_sns_topic.alerts.arn
}

output "dashboard" {
  description = "CloudWatch dashboard."
  value       = aws_cloudwatch_dashboard.main.dashboard_name
}
