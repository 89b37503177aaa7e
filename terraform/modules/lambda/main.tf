data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

# Without the local zip, the code of an existing function does not change.
data "aws_lambda_functions" "deployed" {
  count = local.package_is_absent ? 1 : 0
}

locals {
  # id is the region's name in every supported version of the provider.
  function_arn = "arn:${data.aws_partition.current.partition}:lambda:${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}:function:${var.function_name}"

  package_reference = try(regex("^s3://(?P<bucket>[^/?]+)/(?P<key>[^?]+)(?:\\?versionId=(?P<version>[^&]+))?$", var.package.filename), null)
  package_is_absent = local.package_reference == null && !fileexists(var.package.filename)
  is_deployed       = try(contains(data.aws_lambda_functions.deployed[0].function_names, var.function_name), false)

  # Lambda states hashes in base64: six hexadecimal digits are four characters. The last group
  # has two bytes.
  base64_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  package_sha256 = var.package.sha256 == null ? null : join("", [
    for index in range(43) : substr(
      local.base64_alphabet,
      floor(parseint(substr("${var.package.sha256}00", 6 * floor(index / 4), 6), 16) / pow(64, 3 - index % 4)) % 64,
      1,
    )
  ], ["="])
  package_hash = local.package_sha256 != null ? local.package_sha256 : local.package_is_absent ? null : try(filebase64sha256(var.package.filename), null)

  network_interface_actions = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
  ]

  # Headers of a signed JSON request, and headers of a response that pages may read.
  cors_request_headers = [
    "authorization", "content-type", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "x-request-id",
  ]
  cors_response_headers = [
    "retry-after", "x-compute-characters", "x-compute-time", "x-compute-tokens", "x-compute-type",
    "x-inference-time", "x-queue-time", "x-request-id", "x-semblance-scored-by", "x-semblance-truncated",
    "x-tokenization-time", "x-total-time",
  ]

  # A URL with IAM authentication requires both actions.
  url_permissions = merge([
    for arn in try(var.function_url.allowed_principal_arns, []) : {
      "url ${arn}"    = { principal = arn, action = "lambda:InvokeFunctionUrl", auth_type = "AWS_IAM", id = "url-${substr(sha256(arn), 0, 16)}" }
      "invoke ${arn}" = { principal = arn, action = "lambda:InvokeFunction", auth_type = null, id = "invoke-${substr(sha256(arn), 0, 16)}" }
    }
  ]...)
}

################################################################################
# Permissions
################################################################################

resource "aws_iam_role" "this" {
  # Roles belong to the account, functions to a region: a unique role name allows
  # the same function in two regions.
  name_prefix          = "${substr(var.function_name, 0, 37)}-"
  path                 = var.security.role_path
  permissions_boundary = var.security.permissions_boundary_arn
  description          = "Role of the function ${var.function_name}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })

  tags = var.tags
}

# Lambda removes the network interfaces of a deleted function with the function's role, minutes
# later. So this policy is separate, and the network depends on it: it outlives the interfaces.
resource "aws_iam_role_policy" "network_interfaces" {
  #checkov:skip=CKV_AWS_355:Lambda checks its network interface actions against every resource; they are denied to the code itself.
  #checkov:skip=CKV_AWS_290:As above: the write actions without a resource are those of network interfaces.
  count = var.network_interfaces ? 1 : 0

  name = "network-interfaces"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ManageNetworkInterfaces"
        Effect   = "Allow"
        Action   = local.network_interface_actions
        Resource = "*"
      },
      {
        # The Lambda service manages the interfaces; the function's code must not.
        Sid       = "DenyNetworkInterfacesToCode"
        Effect    = "Deny"
        Action    = local.network_interface_actions
        Resource  = "*"
        Condition = { ArnEquals = { "lambda:SourceFunctionArn" = local.function_arn } }
      },
    ]
  })
}

resource "aws_iam_role_policy" "this" {
  #checkov:skip=CKV_AWS_355:X-Ray checks its two actions against every resource.
  #checkov:skip=CKV_AWS_290:As above: the write actions without a resource are those of X-Ray.
  name = "function"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "WriteLogs"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = "${aws_cloudwatch_log_group.this.arn}:*"
        },
        {
          Sid      = "WriteTraces"
          Effect   = "Allow"
          Action   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
          Resource = "*"
        },
        {
          Sid      = "SendDeadLetters"
          Effect   = "Allow"
          Action   = "sqs:SendMessage"
          Resource = aws_sqs_queue.this.arn
        },
      ],
      var.file_system_config == null ? [] : [
        {
          Sid       = "MountFileSystem"
          Effect    = "Allow"
          Action    = var.file_system_config.writable ? ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"] : ["elasticfilesystem:ClientMount"]
          Resource  = var.file_system_config.file_system_arn
          Condition = { StringEquals = { "elasticfilesystem:AccessPointArn" = var.file_system_config.efs_access_point_arn } }
        },
      ],
      var.security.kms_key_arn == null ? [] : [
        {
          Sid      = "UseKey"
          Effect   = "Allow"
          Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource = var.security.kms_key_arn
        },
      ],
      try(jsondecode(var.policy).Statement, []),
    )
  })
}

################################################################################
# Logs and dead letters
################################################################################

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts logs at rest; they contain counts and times, never a caller's text. Set security.kms_key_arn to use another key.
  #checkov:skip=CKV_AWS_338:Thirty days are enough for operations; log_retention accepts up to ten years.
  name              = "/aws/lambda/${var.function_name}"
  retention_in_days = var.log_retention
  kms_key_id        = var.security.kms_key_arn
  tags              = var.tags
}

resource "aws_sqs_queue" "this" {
  name                      = "${var.function_name}-dead-letters"
  message_retention_seconds = var.asynchronous.dead_letter_retention_days * 86400
  sqs_managed_sse_enabled   = var.security.kms_key_arn == null ? true : null
  kms_master_key_id         = var.security.kms_key_arn
  tags                      = var.tags
}

resource "aws_sqs_queue_policy" "this" {
  queue_url = aws_sqs_queue.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "DenyUnencrypted"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = aws_sqs_queue.this.arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

################################################################################
# Function
################################################################################

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_272:Code signing needs a signing profile of the account's owner: set security.code_signing_config_arn. The plan contains the package's sha256.
  #checkov:skip=CKV_AWS_173:The environment contains paths and limits, no secrets, and Lambda encrypts it with its own key. Set security.kms_key_arn to use another key.
  #checkov:skip=CKV_AWS_117:The function is in a VPC if it mounts a file system; otherwise it needs no network.
  function_name                  = var.function_name
  description                    = var.description
  role                           = aws_iam_role.this.arn
  filename                       = local.package_reference == null ? var.package.filename : null
  s3_bucket                      = try(local.package_reference.bucket, null)
  s3_key                         = try(local.package_reference.key, null)
  s3_object_version              = try(local.package_reference.version, null)
  source_code_hash               = local.package_hash
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.package.architecture]
  memory_size                    = var.memory_size
  timeout                        = var.lambda_timeout
  reserved_concurrent_executions = var.concurrency
  publish                        = var.publish
  layers                         = var.layers
  kms_key_arn                    = var.security.kms_key_arn
  code_signing_config_arn        = var.security.code_signing_config_arn
  tags                           = var.tags

  dynamic "vpc_config" {
    for_each = var.vpc_config == null ? [] : [var.vpc_config]

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  dynamic "file_system_config" {
    for_each = var.file_system_config == null ? [] : [var.file_system_config]

    content {
      arn              = file_system_config.value.efs_access_point_arn
      local_mount_path = file_system_config.value.local_mount_path
    }
  }

  dynamic "environment" {
    for_each = length(var.environment) > 0 ? [var.environment] : []

    content {
      variables = environment.value
    }
  }

  dead_letter_config {
    target_arn = aws_sqs_queue.this.arn
  }

  logging_config {
    log_group             = aws_cloudwatch_log_group.this.name
    log_format            = "JSON"
    application_log_level = var.log_levels.application
    system_log_level      = var.log_levels.system
  }

  tracing_config {
    mode = var.tracing_config.mode
  }

  # Lambda checks the role's permissions when the function is created.
  depends_on = [aws_iam_role_policy.this, aws_iam_role_policy.network_interfaces]

  lifecycle {
    precondition {
      condition     = !local.package_is_absent || local.is_deployed
      error_message = "package.filename must be an existing zip; ${var.package.filename} does not exist. Run `make package` to build it."
    }

    precondition {
      condition     = local.package_reference != null || local.package_is_absent || local.package_sha256 == null || local.package_sha256 == try(filebase64sha256(var.package.filename), null)
      error_message = "${var.package.filename} does not have the sha256 ${coalesce(var.package.sha256, "-")}."
    }

    postcondition {
      condition     = local.package_sha256 == null || self.code_sha256 == local.package_sha256
      error_message = "${var.package.filename} has the sha256 ${self.code_sha256} in base64; package.sha256 is ${coalesce(local.package_sha256, "-")}. The alias did not move."
    }
  }
}

################################################################################
# Alias
################################################################################

# The newest version is invoked as $LATEST, which has its code and configuration: Lambda refuses
# events of a version that was published a moment ago, until it is active.
resource "aws_lambda_invocation" "gate" {
  for_each = var.gate == null || var.concurrency == 0 ? {} : merge(
    { newest = { qualifier = "$LATEST", version = aws_lambda_function.this.version } },
    var.release.version == null ? {} : { pinned = { qualifier = var.release.version, version = var.release.version } },
  )

  function_name = aws_lambda_function.this.function_name
  qualifier     = each.value.qualifier

  input = jsonencode({
    query_from_app = var.gate.query
    actual_queries = [var.gate.query, var.gate.text]
  })

  triggers = { version = each.value.version }

  lifecycle {
    postcondition {
      condition     = try(length(jsondecode(self.result).Scores) == 2 && alltrue([for pair in jsondecode(self.result).Scores : pair[0] != var.gate.query || abs(pair[1] - 1) <= var.gate.tolerance]), false)
      error_message = "Version ${each.value.version} of ${var.function_name} does not score a text with itself as 1, within ${var.gate.tolerance}: ${self.result}. The alias did not move."
    }

    postcondition {
      condition     = try(alltrue([for pair in jsondecode(self.result).Scores : pair[0] != var.gate.text || (var.gate.score == null ? pair[1] < 1 - var.gate.tolerance : abs(pair[1] - var.gate.score) <= var.gate.tolerance)]), false)
      error_message = "Version ${each.value.version} of ${var.function_name} does not score the known pair as ${var.gate.score == null ? "less than 1" : coalesce(var.gate.score, 0)}, within ${var.gate.tolerance}: ${self.result}. The alias did not move."
    }
  }
}

locals {
  # Callers of the alias get the newest version, or the pinned one and a share of the newest.
  alias_version  = coalesce(var.release.version, aws_lambda_function.this.version)
  newest_percent = var.release.version == null ? 0 : var.release.newest_percent
}

resource "aws_lambda_alias" "this" {
  name             = var.alias.name
  description      = "For callers: the version of the last apply"
  function_name    = aws_lambda_function.this.function_name
  function_version = local.alias_version

  dynamic "routing_config" {
    for_each = local.newest_percent > 0 ? [local.newest_percent / 100] : []

    content {
      additional_version_weights = { (aws_lambda_function.this.version) = routing_config.value }
    }
  }

  # The alias moves when the environments of the version are warm.
  depends_on = [aws_lambda_invocation.gate, aws_lambda_provisioned_concurrency_config.this]

  lifecycle {
    precondition {
      condition     = local.newest_percent == 0 || var.release.version != aws_lambda_function.this.version
      error_message = "release.version ${coalesce(var.release.version, "-")} is the newest version; an alias cannot route to it twice. Remove release, or set newest_percent to 0."
    }
  }
}

resource "aws_lambda_function_event_invoke_config" "this" {
  function_name                = aws_lambda_function.this.function_name
  qualifier                    = aws_lambda_alias.this.name
  maximum_event_age_in_seconds = var.asynchronous.event_age_in_seconds
  maximum_retry_attempts       = var.asynchronous.retry_attempts
}

################################################################################
# Schedule
################################################################################

# Lambda removes the network interfaces of a function that is idle for weeks; the events that
# follow fail until they are created again.
resource "aws_cloudwatch_event_rule" "keep_awake" {
  count = var.keep_awake == null ? 0 : 1

  name                = "${var.function_name}-keep-awake"
  description         = "Invokes the function so that Lambda keeps it active"
  schedule_expression = var.keep_awake.schedule
  state               = var.concurrency == 0 ? "DISABLED" : "ENABLED"
  tags                = var.tags
}

resource "aws_cloudwatch_event_target" "keep_awake" {
  for_each = var.keep_awake == null ? {} : var.keep_awake.events

  rule      = aws_cloudwatch_event_rule.keep_awake[0].name
  target_id = each.key
  arn       = aws_lambda_alias.this.arn
  input     = each.value
}

resource "aws_lambda_permission" "keep_awake" {
  count = var.keep_awake == null ? 0 : 1

  statement_id  = "keep-awake"
  function_name = aws_lambda_function.this.function_name
  qualifier     = aws_lambda_alias.this.name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.keep_awake[0].arn
}

################################################################################
# Provisioned concurrency
################################################################################

# The warm environments belong to the version and not to the alias. Lambda moves an alias with
# provisioned concurrency by weights, which Terraform would see as a change, and which stay if the
# version cannot start; then Lambda refuses every later change. The environments of the version before
# are removed first: create_before_destroy would spread to the objects of the bucket, and replacing one
# of them would then delete it.
resource "aws_lambda_provisioned_concurrency_config" "this" {
  count = var.provisioned_concurrency == null ? 0 : 1

  function_name                     = aws_lambda_function.this.function_name
  qualifier                         = local.alias_version
  provisioned_concurrent_executions = var.provisioned_concurrency.minimum

  depends_on = [aws_lambda_invocation.gate]

  lifecycle {
    # Autoscaling changes it between minimum and maximum.
    ignore_changes = [provisioned_concurrent_executions]
  }
}

resource "aws_appautoscaling_target" "this" {
  count = var.provisioned_concurrency == null ? 0 : 1

  service_namespace  = "lambda"
  scalable_dimension = "lambda:function:ProvisionedConcurrency"
  resource_id        = "function:${aws_lambda_function.this.function_name}:${local.alias_version}"
  min_capacity       = var.provisioned_concurrency.minimum
  max_capacity       = var.provisioned_concurrency.maximum
  tags               = var.tags

  depends_on = [aws_lambda_provisioned_concurrency_config.this]
}

resource "aws_appautoscaling_policy" "this" {
  count = var.provisioned_concurrency == null ? 0 : 1

  name               = "utilization"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.this[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value = var.provisioned_concurrency.target_utilization

    predefined_metric_specification {
      predefined_metric_type = "LambdaProvisionedConcurrencyUtilization"
    }
  }
}

################################################################################
# URL
################################################################################

resource "aws_lambda_function_url" "this" {
  count = var.function_url == null ? 0 : 1

  function_name      = aws_lambda_function.this.function_name
  qualifier          = aws_lambda_alias.this.name
  authorization_type = "AWS_IAM"

  # Browsers cannot sign a preflight request, so Lambda must answer it; the function never
  # receives it.
  dynamic "cors" {
    for_each = length(var.function_url.cors_origins) > 0 ? [var.function_url.cors_origins] : []

    content {
      allow_origins  = cors.value
      allow_methods  = ["GET", "POST"]
      allow_headers  = local.cors_request_headers
      expose_headers = local.cors_response_headers
      max_age        = 3600
    }
  }
}

resource "aws_lambda_permission" "url" {
  for_each = local.url_permissions

  statement_id           = each.value.id
  function_name          = aws_lambda_function.this.function_name
  qualifier              = aws_lambda_alias.this.name
  action                 = each.value.action
  principal              = each.value.principal
  function_url_auth_type = each.value.auth_type
}
