################################################################################
# API
################################################################################

output "url" {
  description = "Address of the API, without a slash at the end: the base of every route."
  value       = var.domain == null ? aws_apigatewayv2_api.this.api_endpoint : "https://${var.domain.name}"
  depends_on  = [aws_apigatewayv2_stage.this, aws_apigatewayv2_route.this, aws_apigatewayv2_api_mapping.this]
}

output "api_id" {
  description = "Id of the API."
  value       = aws_apigatewayv2_api.this.id
}

output "domain_target" {
  description = "Name (name) and hosted zone (zone_id) that the domain's DNS record points to; null without a domain."
  value = var.domain == null ? null : {
    name    = aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].target_domain_name
    zone_id = aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].hosted_zone_id
  }
}

output "access_log_name" {
  description = "Name of the log group of the access log."
  value       = aws_cloudwatch_log_group.this.name
}
