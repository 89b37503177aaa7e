data "aws_partition" "current" {}

# A folder that is not on this machine: the manifest of the last copy.
module "deployed" {
  source = "../deployed"

  function_name   = var.name
  bucket_variable = "SEMBLANCE_MODELS_BUCKET"
  prefix          = local.deployed_prefix
  names           = local.absent
}

locals {
  deployed_prefix = "deployed/"

  # A bundle is a folder on this machine, or a folder in S3 that is named by model and digest.
  reference_pattern = "^s3://(?P<bucket>[a-z0-9][a-z0-9.-]{2,62})/(?P<prefix>[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+){0,3})/(?P<model_name>[a-z0-9][a-z0-9._-]{0,63})/(?P<digest>[0-9a-f]{64})/?$"

  references = { for key, bundle in var.bundles : key => regex(local.reference_pattern, bundle) if startswith(bundle, "s3://") }
  folders    = { for key, bundle in var.bundles : key => bundle if !startswith(bundle, "s3://") }
  absent     = [for key, folder in local.folders : key if !fileexists("${folder}/bundle.json")]

  # A folder that is named for the first time is not the deployed one.
  deployed = { for key, record in module.deployed.records : key => record.manifest if record.folder == local.folders[key] }

  manifest_texts = merge(
    { for key, folder in local.folders : key => file("${folder}/bundle.json") if fileexists("${folder}/bundle.json") },
    local.deployed,
  )
  manifests = { for key, text in local.manifest_texts : key => jsondecode(text) }

  model_names = merge(
    { for key, manifest in local.manifests : key => manifest.model_name },
    { for key, reference in local.references : key => reference.model_name },
  )
  digests = merge(
    { for key, text in local.manifest_texts : key => sha256(text) },
    { for key, reference in local.references : key => reference.digest },
  )

  # Where the sync function reads: this module's bucket, or the one that holds the references.
  source_bucket = try(values(local.references)[0].bucket, module.bucket.id)
  source_prefix = try(values(local.references)[0].prefix, var.prefix)
  source_arn    = length(local.references) > 0 ? "arn:${data.aws_partition.current.partition}:s3:::${local.source_bucket}" : module.bucket.arn

  # The same for indexes.
  index_bucket = try(coalesce(var.indexes.bucket, module.bucket.id), null)
  index_arn    = try(var.indexes.bucket, null) == null ? module.bucket.arn : "arn:${data.aws_partition.current.partition}:s3:::${var.indexes.bucket}"
  source_arns  = distinct(concat([local.source_arn], var.indexes == null ? [] : [local.index_arn]))

  # The version is part of the key, so a changed bundle has new objects and no
  # object is overwritten.
  paths = { for key, model_name in local.model_names : key => "${model_name}/${local.digests[key]}" }

  objects = merge([
    for key, manifest in local.manifests : merge(
      { for role, file in manifest.files : "${key}/${role}" => { bundle = key, path = file.path, sha256 = file.sha256 } },
      { "${key}/manifest" = { bundle = key, path = "bundle.json", sha256 = local.digests[key] } },
    )
  ]...)
}

################################################################################
# Bucket
################################################################################

module "bucket" {
  source = "../bucket"

  name            = var.name
  noncurrent_days = var.noncurrent_days
  kms_key_arn     = var.security.kms_key_arn
  tags            = var.tags
}

################################################################################
# Objects
################################################################################

# Replacing this uploads every object again, in place, and copies the bundles again: the repair of
# a corrupted object. Replacing an object would delete every version of its key.
resource "terraform_data" "upload" {
  lifecycle {
    precondition {
      condition     = length(setsubtract(local.absent, keys(local.deployed))) == 0
      error_message = "Each bundle must be a folder that holds bundle.json; without bundle.json: ${join(", ", [for key in local.absent : local.folders[key] if !contains(keys(local.deployed), key)])}. Run `make model` to build a bundle."
    }
  }
}

resource "aws_s3_object" "this" {
  #checkov:skip=CKV_AWS_186:Encrypted with the bucket's key.
  for_each = local.objects

  bucket             = module.bucket.id
  key                = "${var.prefix}/${local.paths[each.value.bundle]}/${each.value.path}"
  source             = "${var.bundles[each.value.bundle]}/${each.value.path}"
  source_hash        = "${each.value.sha256} ${terraform_data.upload.id}"
  checksum_algorithm = "SHA256"

  lifecycle {
    precondition {
      condition     = try(local.manifests[each.value.bundle].schema_version, null) == 3
      error_message = "${var.bundles[each.value.bundle]}/bundle.json must have schema_version 3."
    }

    precondition {
      condition     = can(regex("^[a-z0-9][a-z0-9._-]{0,63}$", local.manifests[each.value.bundle].model_name))
      error_message = "model_name in ${var.bundles[each.value.bundle]}/bundle.json must be 1 to 64 lowercase letters, digits, dots, hyphens and underscores."
    }

    precondition {
      condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9._-]*$", each.value.path))
      error_message = "${var.bundles[each.value.bundle]}/bundle.json names the file ${each.value.path}; files must be in the folder of the bundle."
    }

    precondition {
      condition     = contains(local.absent, each.value.bundle) || try(filesha256("${var.bundles[each.value.bundle]}/${each.value.path}"), "") == each.value.sha256
      error_message = "${var.bundles[each.value.bundle]}/${each.value.path} does not match the sha256 in bundle.json. Run `make model` to build the bundle again."
    }
  }
}

################################################################################
# Sync function
################################################################################

module "sync" {
  source = "../lambda"

  function_name  = var.name
  description    = "Copies model bundles and indexes from S3 to the file system"
  package        = var.package
  memory_size    = var.memory_size
  concurrency    = var.concurrency
  lambda_timeout = var.lambda_timeout
  log_retention  = var.log_retention
  tracing_config = { mode = "Active" }
  vpc_config     = var.vpc_config
  log_levels     = var.log_levels
  security       = var.security
  tags           = var.tags

  # Keeps the function active, and copies a bundle that has disappeared from the file system.
  keep_awake = var.keep_awake == null ? null : {
    schedule = var.keep_awake.schedule
    events   = merge(local.events, var.scheduled_events)
  }

  file_system_config = {
    efs_access_point_arn = var.file_system_config.efs_access_point_arn
    file_system_arn      = var.file_system_config.file_system_arn
    local_mount_path     = var.file_system_config.local_mount_path
    writable             = true
  }

  environment = merge(
    {
      SEMBLANCE_KEEP_VERSIONS = tostring(var.keep_versions)
      SEMBLANCE_MODELS_BUCKET = local.source_bucket
      SEMBLANCE_MODELS_PREFIX = local.source_prefix
      SEMBLANCE_MODELS_ROOT   = var.file_system_config.local_mount_path
    },
    var.indexes == null ? {} : {
      SEMBLANCE_INDEX_GRACE_HOURS = tostring(var.indexes.grace_hours)
      SEMBLANCE_INDEXES_BUCKET    = local.index_bucket
      SEMBLANCE_INDEXES_PREFIX    = var.indexes.prefix
    },
  )

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadModels"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = concat(["${local.source_arn}/${local.source_prefix}/*"], var.indexes == null ? [] : ["${local.index_arn}/${var.indexes.prefix}/*"])
      },
      {
        # Without this permission S3 answers "access denied" if an object is missing. It checks
        # the permission on the whole bucket, so a condition on the prefix does not work.
        Sid      = "ListModels"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = local.source_arns
      },
    ]
  })
}

locals {
  events = { for key, model_name in local.model_names : key => jsonencode({ model_name = model_name, digest = local.digests[key] }) }
}

resource "aws_lambda_invocation" "this" {
  for_each = local.events

  # The provider waits until the function is ready, but not until a newly published
  # version is ready.
  function_name = module.sync.name
  input         = each.value

  # Copy again if the objects were uploaded again, or the file system or its root changes.
  triggers = {
    digest       = local.digests[each.key]
    upload       = terraform_data.upload.id
    access_point = var.file_system_config.efs_access_point_arn
    mount_path   = var.file_system_config.local_mount_path
  }

  depends_on = [aws_s3_object.this]
}

# The folder and manifest that were copied last, for a checkout without the bundle.
resource "aws_s3_object" "deployed" {
  #checkov:skip=CKV_AWS_186:Encrypted with the bucket's key.
  for_each = local.manifest_texts

  bucket       = module.bucket.id
  key          = "${local.deployed_prefix}${each.key}.json"
  content      = jsonencode({ folder = local.folders[each.key], manifest = each.value })
  content_type = "application/json"

  depends_on = [aws_lambda_invocation.this]
}
