# A folder that is not on this machine: what was copied last.
module "deployed" {
  source = "../deployed"

  function_name   = var.deployed_function_name
  bucket_variable = "SEMBLANCE_INDEXES_BUCKET"
  prefix          = local.deployed_prefix
  names           = local.absent
}

locals {
  deployed_prefix = "deployed/indexes/"

  # An index is a folder on this machine, or in S3, where the manifest of the version is named.
  reference_pattern = "^s3://(?P<bucket>[a-z0-9][a-z0-9.-]{2,62})/(?P<prefix>[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+){0,3})/(?P<name>[a-z0-9][a-z0-9._-]{0,63})/manifests/(?P<digest>[0-9a-f]{64})[.]json$"

  references = { for name, index in var.indexes : name => regex(local.reference_pattern, index) if startswith(index, "s3://") }
  folders    = { for name, index in var.indexes : name => index if !startswith(index, "s3://") }
  absent     = [for name, folder in local.folders : name if !fileexists("${folder}/CURRENT")]

  # A folder that is named for the first time is not the deployed one.
  deployed = { for name, record in module.deployed.records : name => record if record.folder == local.folders[name] }

  present = { for name, folder in local.folders : name => trimspace(file("${folder}/CURRENT")) if fileexists("${folder}/CURRENT") }
  digests = merge(
    local.present,
    { for name, copied in local.deployed : name => copied.digest },
    { for name, reference in local.references : name => reference.digest },
  )

  manifests = { for name, digest in local.present : name => jsondecode(file("${local.folders[name]}/manifests/${digest}.json")) }
  segments = { for name, manifest in local.manifests : name => {
    for segment in manifest.segments : segment.digest => jsondecode(file("${local.folders[name]}/segments/${segment.digest}/segment.json")).files
  } }

  # Every file of a version, path => sha256.
  files = merge(
    { for name, digest in local.present : name => merge(
      { "manifests/${digest}.json" = digest },
      { for segment in local.manifests[name].segments : "tombstones/${segment.tombstones}.bits" => segment.tombstones if segment.tombstones != null },
      { for digest, files in local.segments[name] : "segments/${digest}/segment.json" => digest },
      merge([for digest, files in local.segments[name] : { for file, content in files : "segments/${digest}/${file}" => content.sha256 }]...),
    ) },
    { for name, copied in local.deployed : name => copied.files },
  )

  # Everything but CURRENT is named by its digest, so no object is overwritten.
  objects = merge([for name, files in local.files : { for path, sha256 in files : "${name}/${path}" => { index = name, path = path, sha256 = sha256 } }]...)

  # The sync function copies a version only if no version is current, and removes old ones.
  scheduled_events = { for name, digest in local.digests : "index-${name}" => jsonencode({ index = name, digest = digest, replace = false }) }
}

################################################################################
# Objects
################################################################################

# Replacing this uploads every object again, in place, and copies the indexes again: the repair of
# a corrupted object. Replacing an object would delete every version of its key.
resource "terraform_data" "upload" {
  lifecycle {
    precondition {
      condition     = length(setsubtract(local.absent, keys(local.deployed))) == 0
      error_message = "Each index must be a folder that holds CURRENT; without CURRENT: ${join(", ", [for name in local.absent : local.folders[name] if !contains(keys(local.deployed), name)])}. Run `semblance index build` to build an index."
    }
  }
}

resource "aws_s3_object" "this" {
  #checkov:skip=CKV_AWS_186:Encrypted with the bucket's key.
  for_each = local.objects

  bucket             = var.bucket
  key                = "${var.prefix}/${each.key}"
  source             = "${local.folders[each.value.index]}/${each.value.path}"
  source_hash        = "${each.value.sha256} ${terraform_data.upload.id}"
  checksum_algorithm = "SHA256"

  lifecycle {
    precondition {
      condition     = try(local.manifests[each.value.index].schema_version, 3) == 3
      error_message = "The manifest of the index ${local.folders[each.value.index]} must have schema_version 3. Run `semblance index build` to build the index again."
    }

    precondition {
      condition     = can(regex("^(manifests|tombstones|segments/[0-9a-f]{64})/[A-Za-z0-9_][A-Za-z0-9._-]*$", each.value.path))
      error_message = "The index ${local.folders[each.value.index]} names the file ${each.value.path}; files must be in its folders."
    }

    precondition {
      condition     = contains(local.absent, each.value.index) || try(filesha256("${local.folders[each.value.index]}/${each.value.path}"), "") == each.value.sha256
      error_message = "${local.folders[each.value.index]}/${each.value.path} does not match its sha256. Run `semblance index verify`, and build the index again."
    }
  }
}

################################################################################
# Copies
################################################################################

resource "aws_lambda_invocation" "this" {
  for_each = local.digests

  function_name = var.function_name
  input         = jsonencode({ index = each.key, digest = each.value })

  # Copy again if the objects were uploaded again, or the file system or its root changes.
  triggers = {
    digest       = each.value
    upload       = terraform_data.upload.id
    access_point = var.file_system_config.efs_access_point_arn
    mount_path   = var.file_system_config.local_mount_path
  }

  depends_on = [aws_s3_object.this]
}

# What was copied last, for a checkout without the index.
resource "aws_s3_object" "deployed" {
  #checkov:skip=CKV_AWS_186:Encrypted with the bucket's key.
  for_each = local.files

  bucket       = var.bucket
  key          = "${local.deployed_prefix}${each.key}.json"
  content      = jsonencode({ folder = local.folders[each.key], digest = local.digests[each.key], files = each.value })
  content_type = "application/json"

  depends_on = [aws_lambda_invocation.this]
}
