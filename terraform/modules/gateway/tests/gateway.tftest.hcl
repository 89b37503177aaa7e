mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name     = "semblance"
  alias    = { function_name = "semblance", name = "live", invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:123456789012:function:semblance:live/invocations" }
  api_keys = { search = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" }
  package  = { filename = "../../tests/fixtures/bootstrap.zip" }
}

################################################################################
# Defaults and wiring
################################################################################

run "keys_are_checked_before_the_function" {
  assert {
    condition     = aws_apigatewayv2_route.this.authorization_type == "CUSTOM" && aws_apigatewayv2_route.this.authorizer_id == aws_apigatewayv2_authorizer.keys[0].id
    error_message = "the only route has the authorizer"
  }

  assert {
    condition     = aws_apigatewayv2_authorizer.keys[0].enable_simple_responses && aws_apigatewayv2_authorizer.keys[0].identity_sources == toset(["$request.header.Authorization"])
    error_message = "a request without the header is refused before the authorizer"
  }

  assert {
    condition     = module.authorizer[0].environment == tomap({ SEMBLANCE_API_KEY_DIGESTS = "search=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" })
    error_message = "the authorizer knows digests only"
  }
}

run "api_is_throttled_logged_and_as_slow_as_it_may_be" {
  variables { throttling = { rate = 5, burst = 10 } }

  assert {
    condition     = aws_apigatewayv2_stage.this.default_route_settings[0].throttling_rate_limit == 5 && aws_apigatewayv2_stage.this.default_route_settings[0].throttling_burst_limit == 10
    error_message = "the limits are those of the stage"
  }

  assert {
    condition     = jsondecode(aws_apigatewayv2_stage.this.access_log_settings[0].format).client == "$context.authorizer.client"
    error_message = "the access log says whose key it was"
  }

  assert {
    condition     = aws_apigatewayv2_integration.this.timeout_milliseconds == 30000 && aws_apigatewayv2_integration.this.payload_format_version == "2.0"
    error_message = "API Gateway waits as long as it can"
  }
}

run "tokens_instead_of_keys" {
  variables {
    api_keys = {}
    jwt      = { issuer = "https://login.example.com", audience = ["semblance"] }
  }

  assert {
    condition     = aws_apigatewayv2_route.this.authorization_type == "JWT" && length(module.authorizer) == 0 && aws_apigatewayv2_authorizer.jwt[0].jwt_configuration[0].issuer == "https://login.example.com"
    error_message = "API Gateway checks the tokens itself"
  }
}

run "domain_replaces_the_assigned_address" {
  variables {
    domain       = { name = "semblance.example.com", certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/0a" }
    cors_origins = ["https://example.com"]
  }

  assert {
    condition     = output.url == "https://semblance.example.com" && aws_apigatewayv2_api.this.disable_execute_api_endpoint
    error_message = "there is one address"
  }

  assert {
    condition     = aws_apigatewayv2_api.this.cors_configuration[0].allow_origins == toset(["https://example.com"])
    error_message = "pages of the origin may call it"
  }
}

################################################################################
# Rejected
################################################################################

run "reject_name_with_a_space" {
  command = plan
  variables { name = "my api" }
  expect_failures = [var.name]
}

run "reject_an_open_api" {
  command = plan
  variables { api_keys = {} }
  expect_failures = [var.api_keys]
}

run "reject_a_key_that_is_no_digest" {
  command = plan
  variables { api_keys = { search = "secret" } }
  expect_failures = [var.api_keys]
}

run "reject_issuer_without_tls" {
  command = plan
  variables {
    api_keys = {}
    jwt      = { issuer = "http://login.example.com", audience = ["semblance"] }
  }
  expect_failures = [var.jwt]
}

run "reject_no_request_at_all" {
  command = plan
  variables { throttling = { rate = 0 } }
  expect_failures = [var.throttling]
}

run "reject_origin_with_a_path" {
  command = plan
  variables { cors_origins = ["https://example.com/"] }
  expect_failures = [var.cors_origins]
}

run "reject_certificate_name" {
  command = plan
  variables { domain = { name = "semblance.example.com", certificate_arn = "certificate" } }
  expect_failures = [var.domain]
}

run "reject_a_day_of_cache" {
  command = plan
  variables { key_cache_seconds = 86400 }
  expect_failures = [var.key_cache_seconds]
}
