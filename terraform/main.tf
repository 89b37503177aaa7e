provider "aws" {
  default_tags {
    tags = merge({ project = "semblance" }, var.tags)
  }
}

locals {
  bundles = merge(
    { bi_encoder = var.artifacts.bundle },
    var.artifacts.cross_encoder == null ? {} : { cross_encoder = var.artifacts.cross_encoder },
  )

  cors_origins = try(var.alias.function_url.cors_origins, [])

  brings_file_system = var.file_system_config.efs_access_point_arn != null

  # An existing file system requires an existing network; otherwise both are created.
  reader_access_point_arn = local.brings_file_system ? var.file_system_config.efs_access_point_arn : module.efs[0].reader_access_point_arn
  writer_access_point_arn = local.brings_file_system ? coalesce(var.file_system_config.writer_access_point_arn, var.file_system_config.efs_access_point_arn) : module.efs[0].writer_access_point_arn
  file_system_arn         = local.brings_file_system ? data.aws_efs_access_point.brought[0].file_system_arn : module.efs[0].file_system_arn

  subnet_ids                  = local.brings_file_system ? var.vpc_config.subnet_ids : module.network[0].subnet_ids
  function_security_group_ids = local.brings_file_system ? var.vpc_config.security_group_ids : module.network[0].function_security_group_ids
  sync_security_group_ids     = local.brings_file_system ? var.vpc_config.security_group_ids : module.network[0].sync_security_group_ids
}

################################################################################
# Network and file system
################################################################################

module "network" {
  source = "./modules/network"
  count  = local.brings_file_system ? 0 : 1

  name               = var.function_name
  cidr_block         = var.vpc_config.cidr_block
  availability_zones = var.vpc_config.availability_zones
  subnet_ids         = var.vpc_config.subnet_ids
  security_group_ids = var.vpc_config.security_group_ids
  route_table_ids    = var.vpc_config.route_table_ids
  bucket_arn         = module.model.bucket_arn
}

module "efs" {
  source = "./modules/efs"
  count  = local.brings_file_system ? 0 : 1

  name              = "${var.function_name}-models"
  subnet_id_by_zone = module.network[0].subnet_id_by_zone
  security_group_id = module.network[0].efs_security_group_id
  reader_role_arn   = module.lambda.role_arn
  writer_role_arn   = module.model.sync_role_arn
}

data "aws_efs_access_point" "brought" {
  count = local.brings_file_system ? 1 : 0

  access_point_id = element(split("/", var.file_system_config.efs_access_point_arn), 1)
}

################################################################################
# Models: from the bundles to the file system
################################################################################

module "model" {
  source = "./modules/model"

  name          = "${var.function_name}-model-sync"
  bundles       = local.bundles
  log_retention = var.log_retention

  # An account with a small limit can reserve for neither function.
  concurrency = var.concurrency == -1 ? -1 : 2 * length(local.bundles)

  package = {
    filename     = var.artifacts.model_sync
    architecture = var.artifacts.architecture
  }

  vpc_config = {
    subnet_ids         = local.subnet_ids
    security_group_ids = local.sync_security_group_ids
  }

  file_system_config = {
    efs_access_point_arn = local.writer_access_point_arn
    file_system_arn      = local.file_system_arn
    local_mount_path     = var.file_system_config.local_mount_path
  }
}

################################################################################
# Function
################################################################################

module "lambda" {
  source = "./modules/lambda"

  function_name  = var.function_name
  description    = var.description
  memory_size    = var.memory_size
  concurrency    = var.concurrency
  lambda_timeout = var.lambda_timeout
  log_retention  = var.log_retention
  tracing_config = var.tracing_config
  publish        = var.publish
  alias          = var.alias

  package = {
    filename     = var.artifacts.similarity
    architecture = var.artifacts.architecture
  }

  # A new model results in a new version of the function, published after the
  # model is on the file system.
  environment = merge(
    var.environment,
    { SEMBLANCE_BUNDLE = module.model.bundle_paths.bi_encoder },
    { for key, path in module.model.bundle_paths : "SEMBLANCE_CROSS_ENCODER_BUNDLE" => path if key == "cross_encoder" },
    length(local.cors_origins) == 0 ? {} : { SEMBLANCE_CORS_ORIGINS = join(",", local.cors_origins) },
  )

  vpc_config = {
    subnet_ids         = local.subnet_ids
    security_group_ids = local.function_security_group_ids
  }

  file_system_config = {
    efs_access_point_arn = local.reader_access_point_arn
    file_system_arn      = local.file_system_arn
    local_mount_path     = var.file_system_config.local_mount_path
  }
}
