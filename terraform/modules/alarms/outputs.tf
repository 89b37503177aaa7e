output "alarm_arns" {
  description = "ARNs of the alarms, name => ARN."
  value       = { for name, alarm in aws_cloudwatch_metric_alarm.this : name => alarm.arn }
}

output "dashboard_name" {
  description = "Name of the dashboard; null without dashboard."
  value       = one(aws_cloudwatch_dashboard.this[*].dashboard_name)
}
