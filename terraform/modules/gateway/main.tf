locals {
  # API Gateway answers for a Lambda integration after 30 seconds at most.
  integration_timeout_ms = 30000

  # Headers that pages of other origins may read.
  exposed_headers = [
    "retry-after", "x-compute-characters", "x-compute-time", "x-compute-tokens", "x-compute-type",
    "x-inference-time", "x-queue-time", "x-request-id", "x-semblance-scored-by", "x-semblance-truncated",
    "x-tokenization-time", "x-total-time",
  ]
}

################################################################################
# API
################################################################################

resource "aws_apigatewayv2_api" "this" {
  name                         = var.name
  description                  = "semblance over HTTP"
  protocol_type                = "HTTP"
  disable_execute_api_endpoint = var.domain != null
  tags                         = var.tags

  # API Gateway answers preflight requests, and replaces the headers of the function.
  dynamic "cors_configuration" {
    for_each = length(var.cors_origins) > 0 ? [var.cors_origins] : []

    content {
      allow_origins  = cors_configuration.value
      allow_methods  = ["GET", "POST"]
      allow_headers  = ["authorization", "content-type", "x-request-id"]
      expose_headers = local.exposed_headers
      max_age        = 3600
    }
  }
}

resource "aws_apigatewayv2_integration" "this" {
  api_id                 = aws_apigatewayv2_api.this.id
  integration_type       = "AWS_PROXY"
  integration_method     = "POST"
  integration_uri        = var.alias.invoke_arn
  payload_format_version = "2.0"
  timeout_milliseconds   = local.integration_timeout_ms
}

resource "aws_apigatewayv2_route" "this" {
  api_id             = aws_apigatewayv2_api.this.id
  route_key          = "$default"
  target             = "integrations/${aws_apigatewayv2_integration.this.id}"
  authorization_type = var.jwt == null ? "CUSTOM" : "JWT"
  authorizer_id      = one(concat(aws_apigatewayv2_authorizer.keys[*].id, aws_apigatewayv2_authorizer.jwt[*].id))
}

resource "aws_lambda_permission" "api" {
  statement_id  = "http-api"
  function_name = var.alias.function_name
  qualifier     = var.alias.name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/*/$default"
}

################################################################################
# Stage
################################################################################

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts logs at rest; the lines have no text of a caller. Set security.kms_key_arn to use another key.
  #checkov:skip=CKV_AWS_338:Thirty days are enough for operations; log_retention accepts up to ten years.
  name              = "/aws/apigateway/${var.name}"
  retention_in_days = var.log_retention
  kms_key_id        = var.security.kms_key_arn
  tags              = var.tags
}

resource "aws_apigatewayv2_stage" "this" {
  api_id      = aws_apigatewayv2_api.this.id
  name        = "$default"
  auto_deploy = true
  tags        = var.tags

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.this.arn
    format = jsonencode({
      requestId        = "$context.requestId"
      time             = "$context.requestTime"
      sourceIp         = "$context.identity.sourceIp"
      client           = "$context.authorizer.client"
      method           = "$context.httpMethod"
      path             = "$context.path"
      status           = "$context.status"
      responseLength   = "$context.responseLength"
      responseLatency  = "$context.responseLatency"
      integrationError = "$context.integrationErrorMessage"
      authorizerError  = "$context.authorizer.error"
    })
  }

  default_route_settings {
    throttling_burst_limit = var.throttling.burst
    throttling_rate_limit  = var.throttling.rate
  }
}

################################################################################
# API keys
################################################################################

module "authorizer" {
  source = "../lambda"
  count  = var.jwt == null ? 1 : 0

  function_name      = "${var.name}-authorizer"
  description        = "Checks the API keys of ${var.name}"
  package            = var.package
  memory_size        = 128
  concurrency        = -1
  lambda_timeout     = 5
  log_retention      = var.log_retention
  network_interfaces = false
  tracing_config     = { mode = "PassThrough" }
  security           = var.security
  tags               = var.tags

  environment = { SEMBLANCE_API_KEY_DIGESTS = join(",", [for client in sort(keys(var.api_keys)) : "${client}=${var.api_keys[client]}"]) }
}

resource "aws_lambda_permission" "authorizer" {
  count = var.jwt == null ? 1 : 0

  statement_id  = "http-api"
  function_name = module.authorizer[0].name
  qualifier     = module.authorizer[0].alias_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/authorizers/${aws_apigatewayv2_authorizer.keys[0].id}"
}

resource "aws_apigatewayv2_authorizer" "keys" {
  count = var.jwt == null ? 1 : 0

  api_id                            = aws_apigatewayv2_api.this.id
  name                              = "api-keys"
  authorizer_type                   = "REQUEST"
  authorizer_uri                    = module.authorizer[0].invoke_arn
  authorizer_payload_format_version = "2.0"
  authorizer_result_ttl_in_seconds  = var.key_cache_seconds
  enable_simple_responses           = true
  identity_sources                  = ["$request.header.Authorization"]
}

################################################################################
# Tokens
################################################################################

resource "aws_apigatewayv2_authorizer" "jwt" {
  count = var.jwt == null ? 0 : 1

  api_id           = aws_apigatewayv2_api.this.id
  name             = "jwt"
  authorizer_type  = "JWT"
  identity_sources = ["$request.header.Authorization"]

  jwt_configuration {
    issuer   = var.jwt.issuer
    audience = var.jwt.audience
  }
}

################################################################################
# Domain
################################################################################

resource "aws_apigatewayv2_domain_name" "this" {
  count = var.domain == null ? 0 : 1

  domain_name = var.domain.name
  tags        = var.tags

  domain_name_configuration {
    certificate_arn = var.domain.certificate_arn
    endpoint_type   = "REGIONAL"
    security_policy = "TLS_1_2"
  }
}

resource "aws_apigatewayv2_api_mapping" "this" {
  count = var.domain == null ? 0 : 1

  api_id      = aws_apigatewayv2_api.this.id
  domain_name = aws_apigatewayv2_domain_name.this[0].id
  stage       = aws_apigatewayv2_stage.this.id
}
