# A folder that is not on this machine: model and version of the deployed layer. So a checkout
# without bundles can plan and destroy.
data "aws_lambda_functions" "deployed" {
  count = length(local.absent) > 0 ? 1 : 0
}

data "aws_lambda_layer_version" "deployed" {
  for_each = toset(try(contains(data.aws_lambda_functions.deployed[0].function_names, var.function_name), false) ? local.absent : [])

  layer_name = local.layer_names[each.value]
}

locals {
  # Lambda refuses more; the similarity function itself needs the reserve.
  extracted_limit_bytes  = 262144000
  function_reserve_bytes = 45000000

  # A bundle is a folder on this machine, or a folder in S3 that is named by model and digest.
  references = { for key, bundle in var.bundles : key => regex("/(?P<model_name>[^/]+)/(?P<digest>[0-9a-f]{64})/?$", bundle) if startswith(bundle, "s3://") }
  folders    = { for key, bundle in var.bundles : key => bundle if !startswith(bundle, "s3://") }
  absent     = [for key, folder in local.folders : key if !fileexists("${folder}/bundle.json")]

  layer_names = { for key in keys(var.bundles) : key => "${var.name}-${replace(key, "_", "-")}" }

  # A folder that is named for the first time is not the deployed one.
  described = { for key, layer in data.aws_lambda_layer_version.deployed : key => try(regex("^(?P<model_name>[^ ]+) (?P<digest>[0-9a-f]{64}) (?P<folder>[0-9a-f]{64})$", layer.description), null) }
  deployed  = { for key, layer in local.described : key => { model_name = layer.model_name, digest = layer.digest } if try(layer.folder == sha256(local.folders[key]), false) }

  manifests = { for key, folder in local.folders : key => jsondecode(file("${folder}/bundle.json")) if !contains(local.absent, key) }
  identities = merge(
    { for key, manifest in local.manifests : key => { model_name = manifest.model_name, digest = filesha256("${local.folders[key]}/bundle.json") } },
    local.references,
    local.deployed,
  )

  zips = { for key, identity in local.identities : key => lookup(var.zips, key, "${var.zip_folder}/${identity.model_name}/${identity.digest}.zip") }
  zip_references = {
    for key, zip in local.zips : key => regex("^s3://(?P<bucket>[^/?]+)/(?P<key>[^?]+)(?:\\?versionId=(?P<version>[^&]+))?$", zip)
    if startswith(zip, "s3://")
  }
  uploads = { for key, zip in local.zips : key => zip if !startswith(zip, "s3://") }

  extracted_bytes = sum(concat([0], flatten([for manifest in values(local.manifests) : [for file in values(manifest.files) : file.size_bytes]])))
}

################################################################################
# Zips
################################################################################

resource "terraform_data" "bundles" {
  lifecycle {
    precondition {
      condition     = length(setsubtract(local.absent, keys(local.deployed))) == 0
      error_message = "Each bundle must be a folder that holds bundle.json; without bundle.json: ${join(", ", [for key in local.absent : local.folders[key] if !contains(keys(local.deployed), key)])}. Run `make model` to build a bundle."
    }
  }
}

# Lambda accepts 50 MB in a request, and more from a bucket.
module "bucket" {
  source = "../bucket"

  name        = var.name
  kms_key_arn = var.kms_key_arn
  tags        = var.tags
}

resource "aws_s3_object" "this" {
  #checkov:skip=CKV_AWS_186:Encrypted with the bucket's key.
  for_each = local.uploads

  bucket             = module.bucket.id
  key                = "layers/${local.identities[each.key].model_name}/${local.identities[each.key].digest}.zip"
  source             = each.value
  source_hash        = fileexists(each.value) ? filesha256(each.value) : "absent"
  checksum_algorithm = "SHA256"

  lifecycle {
    # A checkout without the zip does not change the object; the key names its content.
    ignore_changes = [source_hash]

    precondition {
      condition     = fileexists(each.value) || contains(local.absent, each.key)
      error_message = "${each.value} does not exist. Run `make layer BUNDLE=${local.folders[each.key]}` to build it from the bundle."
    }
  }
}

################################################################################
# Layers
################################################################################

resource "aws_lambda_layer_version" "this" {
  for_each = local.identities

  layer_name               = local.layer_names[each.key]
  description              = "${each.value.model_name} ${each.value.digest} ${sha256(var.bundles[each.key])}"
  compatible_architectures = ["arm64", "x86_64"]
  compatible_runtimes      = ["provided.al2023"]
  s3_bucket                = try(local.zip_references[each.key].bucket, aws_s3_object.this[each.key].bucket)
  s3_key                   = try(local.zip_references[each.key].key, aws_s3_object.this[each.key].key)
  s3_object_version        = try(local.zip_references[each.key].version, aws_s3_object.this[each.key].version_id)

  # Published versions of the function keep the layer that they were published with.
  lifecycle {
    create_before_destroy = true

    # The bundle may be in another folder; its content names the layer.
    ignore_changes = [description]

    precondition {
      condition     = local.extracted_bytes + local.function_reserve_bytes <= local.extracted_limit_bytes
      error_message = "The bundles have ${local.extracted_bytes} bytes extracted. Lambda accepts ${local.extracted_limit_bytes} bytes of a function and its layers, of which ${local.function_reserve_bytes} are reserved for the function. Use an int8 bundle, or storage = \"efs\"."
    }
  }
}
