output "state_machine" {
  description = "ARN of the state machine: aws stepfunctions start-execution --state-machine-arn ..."
  value       = aws_sfn_state_machine.main.arn
}

output "repository" {
  description = "Where the image is pushed."
  value       = aws_ecr_repository.main.repository_url
}

output "workgroup" {
  description = "Athena workgroup for queries on the results."
  value       = aws_athena_workgroup.main.name
}

output "alerts" {
  description = "SNS topic of failures and alarms."
  value       = aws_sns_topic.alerts.arn
}

output "dashboard" {
  description = "CloudWatch dashboard."
  value       = aws_cloudwatch_dashboard.main.dashboard_name
}

output "reader_role" {
  description = "Role of readers of the published tables; empty without reader_principals."
  value       = one(aws_iam_role.reader[*].arn)
}

output "api_endpoint" {
  description = "Address of the prediction API; empty without api_enabled."
  value       = one(aws_apigatewayv2_api.api[*].api_endpoint)
}
