################################################################################
# Bundles
################################################################################

output "digests" {
  description = "Version of each model, bundle => sha256 of bundle.json, 64 hexadecimal digits."
  value       = local.digests
}

output "model_names" {
  description = "Name of each model, bundle => name in bundle.json."
  value       = local.model_names
}

output "bundle_paths" {
  description = "Folder of each bundle in both functions, bundle => path. Depends on the completion of every copy."
  value       = { for key, path in local.paths : key => "${var.file_system_config.local_mount_path}/${path}" }
  depends_on  = [aws_lambda_invocation.this]
}

output "manifests" {
  description = "Manifest of each bundle that is a folder, bundle => bundle.json."
  value       = local.manifests
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
  value       = module.bucket.id
}

output "source_bucket_arn" {
  description = "ARN of the bucket from which the bundles are copied: this module's, or that of the bundles in S3."
  value       = local.source_arn
}

output "source_bucket_arns" {
  description = "ARNs of the buckets from which bundles and indexes are copied."
  value       = local.source_arns
}

output "object_keys" {
  description = "Keys of the bundles' objects, bundle/role => key."
  value       = { for name, object in aws_s3_object.this : name => object.key }
}

################################################################################
# Sync function
################################################################################

output "sync_architecture" {
  description = "Architecture that the model-sync function runs on: x86_64 or arm64."
  value       = module.sync.architecture
}

output "sync_function_name" {
  description = "Name of the model-sync function."
  value       = module.sync.name
}

output "sync_role_arn" {
  description = "ARN of the model-sync function's role. Known before the function exists, because the policy of the file system names the role."
  value       = module.sync.role_arn
}

output "sync_network_interface_policy_id" {
  description = "Id of the policy with which Lambda removes the network interfaces of the deleted model-sync function. The network must depend on it."
  value       = module.sync.network_interface_policy_id
}

output "sync_role_name" {
  description = "Name of the model-sync function's role."
  value       = module.sync.role_name
}
