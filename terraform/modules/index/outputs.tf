################################################################################
# Indexes
################################################################################

output "digests" {
  description = "Version of each index, name => sha256 of its manifest, 64 hexadecimal digits."
  value       = local.digests
}

output "folder" {
  description = "Folder of the indexes in both functions. Depends on the completion of every copy."
  value       = "${var.file_system_config.local_mount_path}/.indexes"
  depends_on  = [aws_lambda_invocation.this]
}

output "sync_results" {
  description = "Response of the model-sync function, index => path, copied, files, bytes, resumed_bytes, duration_ms, megabytes_per_second, pruned."
  value       = { for name, invocation in aws_lambda_invocation.this : name => jsondecode(invocation.result) }
}

output "object_keys" {
  description = "Keys of the indexes' objects, name/path => key."
  value       = { for name, object in aws_s3_object.this : name => object.key }
}

output "source" {
  description = "Where the indexes are in S3: the bucket, or null for this deployment's, and the prefix of the keys."
  value = {
    bucket = try(values(local.references)[0].bucket, null)
    prefix = try(values(local.references)[0].prefix, var.prefix)
  }
}

output "scheduled_events" {
  description = "What the schedule sends to the model-sync function, any name => JSON."
  value       = local.scheduled_events
}
