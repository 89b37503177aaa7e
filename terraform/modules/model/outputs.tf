################################################################################
# Bundle
################################################################################

output "digest" {
  description = "Version of the model: sha256 of bundle.json, 64 hexadecimal digits."
  value       = local.digest
}

output "model_name" {
  description = "Name of the model, from bundle.json."
  value       = local.manifest.model_name
}

output "bundle_path" {
  description = "Folder of the bundle as both functions see it. Waits until the copy is complete."
  value       = local.bundle_path
  depends_on  = [aws_lambda_invocation.this]
}

output "sync_result" {
  description = "What the model-sync function answered: path, copied, files, bytes, resumed_bytes, duration_ms, megabytes_per_second, pruned."
  value       = jsondecode(aws_lambda_invocation.this.result)
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
  description = "Keys of the bundle's objects, role => key."
  value       = { for role, object in aws_s3_object.this : role => object.key }
}

################################################################################
# Sync function
################################################################################

output "sync_function_name" {
  description = "Name of the model-sync function."
  value       = module.sync.name
}

output "sync_role_arn" {
  description = "ARN of the model-sync function's role. Known before the function: the file system's policy names it."
  value       = module.sync.role_arn
}

output "sync_role_name" {
  description = "Name of the model-sync function's role."
  value       = module.sync.role_name
}
