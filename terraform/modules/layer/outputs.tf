################################################################################
# Bundles
################################################################################

output "digests" {
  description = "Version of each model, bundle => sha256 of bundle.json, 64 hexadecimal digits."
  value       = { for key, identity in local.identities : key => identity.digest }
}

output "model_names" {
  description = "Name of each model, bundle => name in bundle.json."
  value       = { for key, identity in local.identities : key => identity.model_name }
}

output "manifests" {
  description = "Manifest of each bundle that is a folder, bundle => bundle.json."
  value       = local.manifests
}

output "bundle_paths" {
  description = "Folder of each bundle in the function, bundle => path."
  value       = { for key, identity in local.identities : key => "/opt/bundles/${identity.model_name}/${identity.digest}" }
}

################################################################################
# Layers
################################################################################

output "layer_arns" {
  description = "ARNs of the layer versions, in the order of the bundles' names."
  value       = [for key in sort(keys(aws_lambda_layer_version.this)) : aws_lambda_layer_version.this[key].arn]
}

output "bucket_name" {
  description = "Name of the bucket of the zips."
  value       = module.bucket.id
}
