locals {
  tags = merge({ project = "semblance" }, var.tags)

  bundles = merge(
    { bi_encoder = var.artifacts.bundle },
    var.artifacts.cross_encoder == null ? {} : { cross_encoder = var.artifacts.cross_encoder },
  )

  variables = { bi_encoder = "SEMBLANCE_BUNDLE", cross_encoder = "SEMBLANCE_CROSS_ENCODER_BUNDLE" }

  in_package = var.storage == "package"

  has_indexes = !local.in_package && length(var.indexes) > 0

  cors_origins = try(var.function_url.cors_origins, [])

  brings_file_system  = !local.in_package && var.file_system_config.efs_access_point_arn != null
  creates_file_system = !local.in_package && !local.brings_file_system

  # An existing file system requires an existing network; otherwise both are created.
  reader_access_point_arn = local.brings_file_system ? var.file_system_config.efs_access_point_arn : one(module.efs[*].reader_access_point_arn)
  writer_access_point_arn = local.brings_file_system ? coalesce(var.file_system_config.writer_access_point_arn, var.file_system_config.efs_access_point_arn) : one(module.efs[*].writer_access_point_arn)
  file_system_arn         = local.brings_file_system ? data.aws_efs_access_point.brought[0].file_system_arn : one(module.efs[*].file_system_arn)

  subnet_ids                  = local.brings_file_system ? var.vpc_config.subnet_ids : one(module.network[*].subnet_ids)
  function_security_group_ids = local.brings_file_system ? var.vpc_config.security_group_ids : one(module.network[*].function_security_group_ids)
  sync_security_group_ids     = local.brings_file_system ? var.vpc_config.security_group_ids : one(module.network[*].sync_security_group_ids)

  # What is known of the models, however they reach the function.
  models = local.in_package ? {
    paths   = module.layer[0].bundle_paths
    names   = module.layer[0].model_names
    digests = module.layer[0].digests
    } : {
    paths   = module.model[0].bundle_paths
    names   = module.model[0].model_names
    digests = module.model[0].digests
  }

  # Scores that were published with a model, by the revision of its weights.
  known_pairs = {
    "sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54" = {
      query = "How many people live in London?"
      text  = "Around 9 Million people live in London"
      score = 0.8823519
    }
  }
  manifest  = try(module.model[0].manifests.bi_encoder, module.layer[0].manifests.bi_encoder, null)
  precision = try(local.manifest.precision, "fp32")
  known_pair = merge(
    { query = "How many people live in London?", text = "The recipe needs three eggs.", score = null, tolerance = local.precision == "int8" ? 0.05 : 0.001 },
    try(local.known_pairs[local.manifest.revision], {}),
    { for name, value in var.gate : name => value if value != null && name != "enabled" },
  )
}

################################################################################
# Network and file system
################################################################################

module "network" {
  source = "./modules/network"
  count  = local.creates_file_system ? 1 : 0

  name                         = var.function_name
  cidr_block                   = var.vpc_config.cidr_block
  availability_zones           = var.vpc_config.availability_zones
  subnet_ids                   = var.vpc_config.subnet_ids
  security_group_ids           = var.vpc_config.security_group_ids
  route_table_ids              = var.vpc_config.route_table_ids
  interface_endpoints          = var.vpc_config.interface_endpoints
  bucket_arns                  = module.model[0].source_bucket_arns
  role_arns                    = [module.lambda.role_arn, module.model[0].sync_role_arn]
  network_interface_policy_ids = [module.lambda.network_interface_policy_id, module.model[0].sync_network_interface_policy_id]
  tags                         = local.tags
}

module "efs" {
  source = "./modules/efs"
  count  = local.creates_file_system ? 1 : 0

  name              = "${var.function_name}-models"
  subnet_id_by_zone = module.network[0].subnet_id_by_zone
  security_group_id = module.network[0].efs_security_group_id
  reader_role_arn   = module.lambda.role_arn
  writer_role_arn   = module.model[0].sync_role_arn
  throughput_mode   = var.file_system_config.throughput_mode
  backup_status     = var.file_system_config.backup_status
  kms_key_arn       = var.security.kms_key_arn
  tags              = local.tags
}

data "aws_efs_access_point" "brought" {
  count = local.brings_file_system ? 1 : 0

  access_point_id = element(split("/", var.file_system_config.efs_access_point_arn), 1)
}

################################################################################
# Models and indexes: to the file system, or models into layers
################################################################################

module "model" {
  source = "./modules/model"
  count  = local.in_package ? 0 : 1

  name          = "${var.function_name}-model-sync"
  bundles       = local.bundles
  keep_versions = var.file_system_config.keep_versions
  keep_awake    = var.keep_awake
  log_retention = var.log_retention
  log_levels    = var.log_levels
  security      = var.security
  tags          = local.tags

  # An account with a small limit can reserve for neither function.
  concurrency = var.concurrency == -1 ? -1 : 2 * (length(local.bundles) + length(var.indexes))

  indexes          = local.has_indexes ? merge(module.index[0].source, { grace_hours = var.file_system_config.index_grace_hours }) : null
  scheduled_events = local.has_indexes ? module.index[0].scheduled_events : {}

  package = {
    filename     = var.artifacts.model_sync
    sha256       = var.artifacts.sha256.model_sync
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

module "index" {
  source = "./modules/index"
  count  = local.has_indexes ? 1 : 0

  indexes                = var.indexes
  bucket                 = module.model[0].bucket_name
  function_name          = module.model[0].sync_function_name
  deployed_function_name = "${var.function_name}-model-sync"

  file_system_config = {
    efs_access_point_arn = local.writer_access_point_arn
    local_mount_path     = var.file_system_config.local_mount_path
  }
}

module "layer" {
  source = "./modules/layer"
  count  = local.in_package ? 1 : 0

  name          = "${var.function_name}-model"
  function_name = var.function_name
  bundles       = local.bundles
  zips          = var.artifacts.layers
  kms_key_arn   = var.security.kms_key_arn
  tags          = local.tags
}

################################################################################
# Function
################################################################################

module "lambda" {
  source = "./modules/lambda"

  function_name           = var.function_name
  description             = var.description
  memory_size             = var.memory_size
  concurrency             = var.concurrency
  lambda_timeout          = var.lambda_timeout
  log_retention           = var.log_retention
  log_levels              = var.log_levels
  tracing_config          = var.tracing_config
  publish                 = var.publish
  alias                   = var.alias
  release                 = var.release
  asynchronous            = var.asynchronous
  provisioned_concurrency = var.provisioned_concurrency
  function_url            = var.function_url
  security                = var.security
  layers                  = concat(local.in_package ? module.layer[0].layer_arns : [], var.layers)
  tags                    = local.tags
  gate                    = var.gate.enabled ? local.known_pair : null

  # The function answers a scheduled event as a warm-up.
  keep_awake = var.keep_awake == null ? null : { schedule = var.keep_awake.schedule }

  package = {
    filename     = var.artifacts.similarity
    sha256       = var.artifacts.sha256.similarity
    architecture = var.artifacts.architecture
  }

  # A new model results in a new version of the function, published after the
  # model is on the file system. A new version of an index does not.
  environment = merge(
    var.environment,
    { for key, path in local.models.paths : local.variables[key] => path },
    local.has_indexes ? { SEMBLANCE_INDEX_DIR = module.index[0].folder } : {},
    length(local.cors_origins) == 0 ? {} : { SEMBLANCE_CORS_ORIGINS = join(",", local.cors_origins) },
  )

  network_interfaces = !local.in_package

  vpc_config = local.in_package ? null : {
    subnet_ids         = local.subnet_ids
    security_group_ids = local.function_security_group_ids
  }

  file_system_config = local.in_package ? null : {
    efs_access_point_arn = local.reader_access_point_arn
    file_system_arn      = local.file_system_arn
    local_mount_path     = var.file_system_config.local_mount_path
  }
}

################################################################################
# Pruning
################################################################################

# The version that callers were pinned to knows its model.
data "aws_lambda_function" "pinned" {
  count = !local.in_package && var.release.version != null ? 1 : 0

  function_name = var.function_name
  qualifier     = var.release.version
}

locals {
  pinned_variables = try(data.aws_lambda_function.pinned[0].environment[0].variables, {})
}

# Removes old models once the alias has moved, and never one of a version that the alias points to.
resource "aws_lambda_invocation" "prune" {
  for_each = local.in_package ? {} : local.bundles

  function_name = module.model[0].sync_function_name

  input = jsonencode({
    model_name = try(local.models.names[each.key], null)
    digest     = try(local.models.digests[each.key], null)
    keep       = distinct(compact([try(local.models.digests[each.key], null), try(basename(local.pinned_variables[local.variables[each.key]]), null)]))
  })

  triggers = {
    alias  = module.lambda.alias_version
    newest = module.lambda.version
  }

  depends_on = [module.lambda]
}
