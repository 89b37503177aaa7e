locals {
  manifests = { for key, folder in var.bundles : key => jsondecode(file("${folder}/bundle.json")) }
  digests   = { for key, folder in var.bundles : key => filesha256("${folder}/bundle.json") }

  # The version is part of the key, so a changed bundle has new objects and no
  # object is overwritten.
  folders = { for key, manifest in local.manifests : key => "${manifest.model_name}/${local.digests[key]}" }

  objects = merge([
    for key, manifest in local.manifests : merge(
      { for role, file in manifest.files : "${key}/${role}" => { bundle = key, path = file.path, sha256 = file.sha256 } },
      { "${key}/manifest" = { bundle = key, path = "bundle.json", sha256 = local.digests[key] } },
    )
  ]...)

  # S3 accepts lowercase only, and 37 characters before the suffix that it appends.
  bucket_prefix = "${trim(substr(replace(lower(var.name), "_", "-"), 0, 36), "-")}-"
}

################################################################################
# Bucket
################################################################################

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18:The only reader is the sync function, which logs every copy.
  #checkov:skip=CKV_AWS_144:A bundle can be rebuilt from its source; replication adds nothing.
  #checkov:skip=CKV_AWS_145:The bucket's own key encrypts at no cost; the weights are public.
  #checkov:skip=CKV2_AWS_62:Terraform is the only writer and invokes the sync itself.
  bucket_prefix = local.bucket_prefix
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket = aws_s3_bucket.this.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    id     = "tidy"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "DenyUnencrypted"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.this]
}

################################################################################
# Objects
################################################################################

resource "aws_s3_object" "this" {
  #checkov:skip=CKV_AWS_186:Encrypted with the bucket's own key; the weights are public.
  for_each = local.objects

  bucket             = aws_s3_bucket.this.id
  key                = "${var.prefix}/${local.folders[each.value.bundle]}/${each.value.path}"
  source             = "${var.bundles[each.value.bundle]}/${each.value.path}"
  source_hash        = each.value.sha256
  checksum_algorithm = "SHA256"

  depends_on = [
    aws_s3_bucket_ownership_controls.this,
    aws_s3_bucket_policy.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_versioning.this,
  ]

  lifecycle {
    # The previous version is deleted from S3 only after the new one is on the file
    # system and in service, so a failed sync changes nothing.
    create_before_destroy = true

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
      condition     = filesha256("${var.bundles[each.value.bundle]}/${each.value.path}") == each.value.sha256
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
  description    = "Copies model bundles from S3 to the file system"
  package        = var.package
  memory_size    = var.memory_size
  concurrency    = var.concurrency
  lambda_timeout = var.lambda_timeout
  log_retention  = var.log_retention
  tracing_config = { mode = "Active" }
  vpc_config     = var.vpc_config

  file_system_config = {
    efs_access_point_arn = var.file_system_config.efs_access_point_arn
    file_system_arn      = var.file_system_config.file_system_arn
    local_mount_path     = var.file_system_config.local_mount_path
    writable             = true
  }

  environment = {
    SEMBLANCE_KEEP_VERSIONS = tostring(var.keep_versions)
    SEMBLANCE_MODELS_BUCKET = aws_s3_bucket.this.id
    SEMBLANCE_MODELS_PREFIX = var.prefix
    SEMBLANCE_MODELS_ROOT   = var.file_system_config.local_mount_path
  }

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadModels"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${aws_s3_bucket.this.arn}/${var.prefix}/*"
      },
      {
        # Without this permission S3 answers "access denied" if an object is missing. It checks
        # the permission on the whole bucket, so a condition on the prefix does not work.
        Sid      = "ListModels"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = aws_s3_bucket.this.arn
      },
    ]
  })
}

resource "aws_lambda_invocation" "this" {
  for_each = local.manifests

  # The provider waits until the function is ready, but not until a newly published
  # version is ready.
  function_name = module.sync.name

  input = jsonencode({
    model_name = each.value.model_name
    digest     = local.digests[each.key]
  })

  # Copy again if the file system or its root changes.
  triggers = {
    digest       = local.digests[each.key]
    access_point = var.file_system_config.efs_access_point_arn
    mount_path   = var.file_system_config.local_mount_path
  }

  depends_on = [aws_s3_object.this]
}
