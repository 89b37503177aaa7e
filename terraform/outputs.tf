################################################################################
# Function
################################################################################

output "function_name" {
  description = "Name of the similarity function."
  value       = module.lambda.name
}

output "version" {
  description = "Version of the similarity function that the alias points to: what release.version holds or returns to."
  value       = module.lambda.alias_version
}

output "newest_version" {
  description = "Version of the similarity function that was published last; $LATEST if publish is false."
  value       = module.lambda.version
}

output "alias_name" {
  description = "Name of the alias, which the gateway module needs."
  value       = module.lambda.alias_name
}

output "alias_arn" {
  description = "ARN to invoke: the alias of the similarity function."
  value       = module.lambda.alias_arn
}

output "invoke_arn" {
  description = "The same ARN in the form that API Gateway integrations accept."
  value       = module.lambda.invoke_arn
}

output "function_url" {
  description = "URL of the alias, for requests signed with SigV4; null without function_url."
  value       = module.lambda.function_url
}

output "role_arn" {
  description = "ARN of the similarity function's role."
  value       = module.lambda.role_arn
}

output "cloudwatch_logs_name" {
  description = "Log group of the similarity function."
  value       = module.lambda.cloudwatch_logs_name
}

output "dead_letter_queue_url" {
  description = "URL of the queue of asynchronous events that failed after all retries."
  value       = module.lambda.dead_letter_queue_url
}

################################################################################
# Models
################################################################################

output "model_name" {
  description = "Name of the model in service."
  value       = try(local.models.names.bi_encoder, null)
}

output "model_digest" {
  description = "Version of the model in service: sha256 of its bundle.json."
  value       = try(local.models.digests.bi_encoder, null)
}

output "model_sync_result" {
  description = "Result of the last copy to the file system; null with storage = package."
  value       = try(module.model[0].sync_results.bi_encoder, null)
}

output "cross_encoder" {
  description = "Cross-encoder in service: its name (model_name), version (digest) and the result of its last copy (sync_result); null without artifacts.cross_encoder. sync_result is null with storage = package."
  value = var.artifacts.cross_encoder == null ? null : {
    model_name  = try(local.models.names.cross_encoder, null)
    digest      = try(local.models.digests.cross_encoder, null)
    sync_result = try(module.model[0].sync_results.cross_encoder, null)
  }
}

output "indexes" {
  description = "Indexes in service, name => version (digest) and the result of the last copy (sync_result)."
  value = local.has_indexes ? {
    for name, digest in module.index[0].digests : name => { digest = digest, sync_result = try(module.index[0].sync_results[name], null) }
  } : {}
}

output "model_sync_function_name" {
  description = "Name of the function that copies models to the file system; null with storage = package."
  value       = one(module.model[*].sync_function_name)
}

output "model_sync_role_arn" {
  description = "ARN of the role of the model-sync function; null with storage = package."
  value       = one(module.model[*].sync_role_arn)
}

output "bucket_name" {
  description = "Name of the bucket of the model bundles; null with storage = package."
  value       = one(module.model[*].bucket_name)
}

################################################################################
# Network and file system
################################################################################

output "file_system_arn" {
  description = "ARN of the file system that holds the models; null with storage = package."
  value       = local.file_system_arn
}

output "subnet_ids" {
  description = "Subnets of both functions; null with storage = package."
  value       = local.subnet_ids
}
