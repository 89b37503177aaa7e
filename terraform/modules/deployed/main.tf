data "aws_lambda_functions" "this" {
  count = length(var.names) > 0 ? 1 : 0
}

data "aws_lambda_function" "this" {
  count = try(contains(data.aws_lambda_functions.this[0].function_names, var.function_name), false) ? 1 : 0

  function_name = var.function_name
}

locals {
  bucket = try(data.aws_lambda_function.this[0].environment[0].variables[var.bucket_variable], null)
}

data "aws_s3_objects" "this" {
  count = local.bucket == null ? 0 : 1

  bucket = local.bucket
  prefix = var.prefix
}

data "aws_s3_object" "this" {
  for_each = toset([for name in var.names : name if try(contains(data.aws_s3_objects.this[0].keys, "${var.prefix}${name}.json"), false)])

  bucket = data.aws_s3_objects.this[0].bucket
  key    = "${var.prefix}${each.value}.json"
}
