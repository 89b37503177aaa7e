output "alarm_arns" {
  description = "ARNs of the alarms, name => ARN."
  value       = { for name, alarm in aws_cloudwatch_metric_alarm.this : name => alarm.arn }
}
