output "records" {
  description = "What was copied last, name => record; without the names that have no record."
  value       = { for name, object in data.aws_s3_object.this : name => jsondecode(object.body) }
}
