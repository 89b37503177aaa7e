################################################################################
# Function
################################################################################

output "arn" {
  description = "ARN of the function, without a version."
  value       = aws_lambda_function.this.arn
}

output "name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}

output "version" {
  description = "Last published version; $LATEST if publish is false."
  value       = aws_lambda_function.this.version
}

output "architecture" {
  description = "Architecture that the function runs on: x86_64 or arm64."
  value       = one(aws_lambda_function.this.architectures)
}

output "environment" {
  description = "Environment variables of the function, name => value."
  value       = try(aws_lambda_function.this.environment[0].variables, {})
}

output "invoke_arn" {
  description = "ARN of the alias in the form that API Gateway integrations accept."
  value       = aws_lambda_alias.this.invoke_arn
}

################################################################################
# Permissions
################################################################################

output "role_arn" {
  description = "ARN of the function's role. Known before the function exists, because the policy of the file system names the role."
  value       = aws_iam_role.this.arn
}

output "network_interface_policy_id" {
  description = "Id of the policy with which Lambda removes the network interfaces of a deleted function; null without network_interfaces. The network must depend on it."
  value       = one(aws_iam_role_policy.network_interfaces[*].id)
}

output "role_name" {
  description = "Name of the function's role."
  value       = aws_iam_role.this.name
}

################################################################################
# Logs and dead letters
################################################################################

output "cloudwatch_logs_arn" {
  description = "ARN of the log group."
  value       = aws_cloudwatch_log_group.this.arn
}

output "cloudwatch_logs_name" {
  description = "Name of the log group."
  value       = aws_cloudwatch_log_group.this.name
}

output "dead_letter_queue_arn" {
  description = "ARN of the queue that receives asynchronous events that failed after all retries."
  value       = aws_sqs_queue.this.arn
}

output "dead_letter_queue_url" {
  description = "URL of the dead-letter queue."
  value       = aws_sqs_queue.this.url
}

################################################################################
# Alias
################################################################################

output "alias_arn" {
  description = "ARN of the alias, for callers to invoke."
  value       = aws_lambda_alias.this.arn
}

output "alias_version" {
  description = "Version that callers of the alias get; with release.newest_percent, most of them."
  value       = aws_lambda_alias.this.function_version
}

output "alias_name" {
  description = "Name of the alias."
  value       = aws_lambda_alias.this.name
}

output "function_url" {
  description = "URL of the alias, for requests signed with SigV4; null without function_url."
  value       = one(aws_lambda_function_url.this[*].function_url)
}
