output "state_machine" {
  description = "ARN of the state machine: aws stepfunctions start-execution --state-machine-arn ..."
  value       = module.pipeline.state_machine
}

output "bucket" {
  description = "Bucket of runs and results."
  value       = module.storage.bucket
}

output "repository" {
  description = "Where the image is pushed."
  value       = module.pipeline.repository
}

output "workgroup" {
  description = "Athena workgroup for queries on the results."
  value       = module.pipeline.workgroup
}

output "database" {
  description = "Glue database with the published tables."
  value       = module.storage.database
}

output "alerts" {
  description = "SNS topic of failures and alarms."
  value       = module.pipeline.alerts
}

output "dashboard" {
  description = "CloudWatch dashboard."
  value       = module.pipeline.dashboard
}

output "reader_role" {
  description = "Role of readers of the published tables; empty without reader_principals."
  value       = module.pipeline.reader_role
}

output "api_endpoint" {
  description = "Address of the prediction API; empty without api_enabled."
  value       = module.pipeline.api_endpoint
}
