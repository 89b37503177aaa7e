data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  function_arn = "arn:${data.aws_partition.current.partition}:lambda:${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}:function:${var.function_name}"

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
    for arn in try(var.alias.function_url.allowed_principal_arns, []) : {
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
  name_prefix = "${substr(var.function_name, 0, 37)}-"
  description = "Role of the function ${var.function_name}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  #checkov:skip=CKV_AWS_355:Lambda checks its network interface actions, and X-Ray its two, against every resource; the former are denied to the code itself.
  #checkov:skip=CKV_AWS_290:As above: the write actions without a resource are those of network interfaces and X-Ray.
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
        {
          Sid       = "MountFileSystem"
          Effect    = "Allow"
          Action    = var.file_system_config.writable ? ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"] : ["elasticfilesystem:ClientMount"]
          Resource  = var.file_system_config.file_system_arn
          Condition = { StringEquals = { "elasticfilesystem:AccessPointArn" = var.file_system_config.efs_access_point_arn } }
        },
        {
          Sid      = "SendDeadLetters"
          Effect   = "Allow"
          Action   = "sqs:SendMessage"
          Resource = aws_sqs_queue.this.arn
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
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts logs at rest; they contain counts and times, never a caller's text.
  #checkov:skip=CKV_AWS_338:Thirty days are enough for operations; log_retention accepts up to ten years.
  name              = "/aws/lambda/${var.function_name}"
  retention_in_days = var.log_retention
}

resource "aws_sqs_queue" "this" {
  name                      = "${var.function_name}-dead-letters"
  message_retention_seconds = 1209600 # 14 days, the maximum.
  sqs_managed_sse_enabled   = true
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
  #checkov:skip=CKV_AWS_272:Code signing needs a signing profile of the account's owner; the plan contains the package's sha256.
  #checkov:skip=CKV_AWS_173:The environment contains paths and limits, no secrets, and Lambda encrypts it with its own key.
  function_name                  = var.function_name
  description                    = var.description
  role                           = aws_iam_role.this.arn
  filename                       = var.package.filename
  source_code_hash               = filebase64sha256(var.package.filename)
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.package.architecture]
  memory_size                    = var.memory_size
  timeout                        = var.lambda_timeout
  reserved_concurrent_executions = var.concurrency
  publish                        = var.publish

  vpc_config {
    subnet_ids         = var.vpc_config.subnet_ids
    security_group_ids = var.vpc_config.security_group_ids
  }

  file_system_config {
    arn              = var.file_system_config.efs_access_point_arn
    local_mount_path = var.file_system_config.local_mount_path
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
    application_log_level = "INFO"
    system_log_level      = "INFO"
  }

  tracing_config {
    mode = var.tracing_config.mode
  }

  # Lambda checks the role's permissions when the function is created.
  depends_on = [aws_iam_role_policy.this]
}

################################################################################
# Alias
################################################################################

resource "aws_lambda_alias" "this" {
  name             = var.alias.name
  description      = "For callers: the version of the last apply"
  function_name    = aws_lambda_function.this.function_name
  function_version = aws_lambda_function.this.version
}

resource "aws_lambda_function_event_invoke_config" "this" {
  function_name                = aws_lambda_function.this.function_name
  qualifier                    = aws_lambda_alias.this.name
  maximum_event_age_in_seconds = var.alias.event_age_in_seconds
  maximum_retry_attempts       = var.alias.retry_attempts
}

################################################################################
# Provisioned concurrency
################################################################################

resource "aws_lambda_provisioned_concurrency_config" "this" {
  count = var.alias.provisioned_concurrency == null ? 0 : 1

  function_name                     = aws_lambda_function.this.function_name
  qualifier                         = aws_lambda_alias.this.name
  provisioned_concurrent_executions = var.alias.provisioned_concurrency.minimum

  lifecycle {
    # Autoscaling changes it between minimum and maximum.
    ignore_changes = [provisioned_concurrent_executions]
  }
}

resource "aws_appautoscaling_target" "this" {
  count = var.alias.provisioned_concurrency == null ? 0 : 1

  service_namespace  = "lambda"
  scalable_dimension = "lambda:function:ProvisionedConcurrency"
  resource_id        = "function:${aws_lambda_function.this.function_name}:${aws_lambda_alias.this.name}"
  min_capacity       = var.alias.provisioned_concurrency.minimum
  max_capacity       = var.alias.provisioned_concurrency.maximum

  depends_on = [aws_lambda_provisioned_concurrency_config.this]
}

resource "aws_appautoscaling_policy" "this" {
  count = var.alias.provisioned_concurrency == null ? 0 : 1

  name               = "utilization"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.this[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value = var.alias.provisioned_concurrency.target_utilization

    predefined_metric_specification {
      predefined_metric_type = "LambdaProvisionedConcurrencyUtilization"
    }
  }
}

################################################################################
# URL
################################################################################

resource "aws_lambda_function_url" "this" {
  count = var.alias.function_url == null ? 0 : 1

  function_name      = aws_lambda_function.this.function_name
  qualifier          = aws_lambda_alias.this.name
  authorization_type = "AWS_IAM"

  # Browsers cannot sign a preflight request, so Lambda must answer it; the function never
  # receives it.
  dynamic "cors" {
    for_each = length(var.alias.function_url.cors_origins) > 0 ? [var.alias.function_url.cors_origins] : []

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
