################################################################################
# Bundles
################################################################################

output "digests" {
  description = "Version of each model, bundle => sha256 of bundle.json, 64 hexadecimal digits."
  value       = local.digests
}

output "model_names" {
  description = "Name of each model, bundle => name in bundle.json."
  value       = { for key, manifest in local.manifests : key => manifest.model_name }
}

output "bundle_paths" {
  description = "Folder of each bundle in both functions, bundle => path. Depends on the completion of every copy."
  value       = { for key, folder in local.folders : key => "${var.file_system_config.local_mount_path}/${folder}" }
  depends_on  = [aws_lambda_invocation.this]
}

output "sync_results" {
  description = "Response of the model-sync function, bundle => path, copied, files, bytes, resumed_bytes, duration_ms, megabytes_per_second, pruned."
  value       = { for key, invocation in aws_lambda_invocation.this : key => jsondecode(invocation.result) }
}

################################################################################
# Bucket
################################################################################

output "bucket_name" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.this.id
}

output "bucket_arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.this.arn
}

output "object_keys" {
  description = "Keys of the bundles' objects, bundle/role => key."
  value       = { for name, object in aws_s3_object.this : name => object.key }
}

################################################################################
# Sync function
################################################################################

output "sync_function_name" {
  description = "Name of the model-sync function."
  value       = module.sync.name
}

output "sync_role_arn" {
  description = "ARN of the model-sync function's role. Known before the function exists, because the policy of the file system names the role."
  value       = module.sync.role_arn
}

output "sync_role_name" {
  description = "Name of the model-sync function's role."
  value       = module.sync.role_name
}
