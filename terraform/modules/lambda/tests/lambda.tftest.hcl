mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  function_name = "semblance"
  description   = "Scores sentences"
  package       = { filename = "../../tests/fixtures/bootstrap.zip" }
  vpc_config = {
    subnet_ids         = ["subnet-0a", "subnet-0b"]
    security_group_ids = ["sg-0a"]
  }
  file_system_config = {
    efs_access_point_arn = "arn:aws:elasticfilesystem:eu-central-1:123456789012:access-point/fsap-0a"
    file_system_arn      = "arn:aws:elasticfilesystem:eu-central-1:123456789012:file-system/fs-0a"
    local_mount_path     = "/mnt/models"
  }
}

################################################################################
# Defaults and wiring
################################################################################

run "defaults_are_the_seeds" {
  assert {
    condition = {
      memory      = aws_lambda_function.this.memory_size
      concurrency = aws_lambda_function.this.reserved_concurrent_executions
      timeout     = aws_lambda_function.this.timeout
      publish     = aws_lambda_function.this.publish
      tracing     = aws_lambda_function.this.tracing_config[0].mode
      retention   = aws_cloudwatch_log_group.this.retention_in_days
    } == { memory = 1280, concurrency = 25, timeout = 120, publish = true, tracing = "Active", retention = 30 }
    error_message = "memory 1280 MB, concurrency 25, timeout 120 s, publish, active tracing, 30 days of logs"
  }

  assert {
    condition     = aws_lambda_function.this.runtime == "provided.al2023" && aws_lambda_function.this.handler == "bootstrap" && aws_lambda_function.this.architectures == tolist(["x86_64"])
    error_message = "the package is an executable for Amazon Linux 2023"
  }

  assert {
    condition     = length(aws_lambda_provisioned_concurrency_config.this) + length(aws_appautoscaling_target.this) + length(aws_lambda_function_url.this) == 0 && output.function_url == null
    error_message = "provisioned concurrency and a URL are asked for, not given"
  }
}

run "logs_json_to_its_own_group" {
  assert {
    condition     = aws_lambda_function.this.logging_config[0].log_format == "JSON" && aws_lambda_function.this.logging_config[0].log_group == "/aws/lambda/semblance" && aws_cloudwatch_log_group.this.name == "/aws/lambda/semblance"
    error_message = "the function logs JSON to the group that is created for it"
  }
}

run "mounts_the_access_point_in_the_network" {
  assert {
    condition     = aws_lambda_function.this.file_system_config[0].arn == var.file_system_config.efs_access_point_arn && aws_lambda_function.this.file_system_config[0].local_mount_path == "/mnt/models"
    error_message = "the access point is mounted where it was asked for"
  }

  assert {
    condition     = aws_lambda_function.this.vpc_config[0].subnet_ids == toset(["subnet-0a", "subnet-0b"]) && aws_lambda_function.this.vpc_config[0].security_group_ids == toset(["sg-0a"])
    error_message = "the function is in the subnets and groups that were given"
  }
}

run "alias_follows_the_published_version" {
  assert {
    condition     = aws_lambda_alias.this.name == "live" && aws_lambda_alias.this.function_version == aws_lambda_function.this.version
    error_message = "the alias points to the version that was published last"
  }

  assert {
    condition     = aws_lambda_function_event_invoke_config.this.qualifier == "live" && aws_lambda_function_event_invoke_config.this.maximum_event_age_in_seconds == 100 && aws_lambda_function_event_invoke_config.this.maximum_retry_attempts == 0
    error_message = "asynchronous events of the alias wait 100 s and are not tried again"
  }

  assert {
    condition     = aws_lambda_function.this.dead_letter_config[0].target_arn == aws_sqs_queue.this.arn && aws_sqs_queue.this.sqs_managed_sse_enabled
    error_message = "what fails for good goes to an encrypted queue"
  }
}

run "outputs_have_their_shapes" {
  assert {
    condition     = alltrue([for arn in [output.arn, output.alias_arn] : startswith(arn, "arn:aws:lambda:")]) && startswith(output.role_arn, "arn:aws:iam::") && startswith(output.invoke_arn, "arn:aws:apigateway:")
    error_message = "ARNs are those of the function, its alias and its role"
  }

  assert {
    condition     = output.name == "semblance" && output.version == "7" && output.alias_name == "live" && output.cloudwatch_logs_name == "/aws/lambda/semblance"
    error_message = "names are passed on"
  }
}

################################################################################
# Permissions
################################################################################

run "role_may_do_only_what_the_function_does" {
  assert {
    condition = { for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Sid => statement.Action if statement.Effect == "Allow" } == {
      WriteLogs       = ["logs:CreateLogStream", "logs:PutLogEvents"]
      WriteTraces     = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
      MountFileSystem = ["elasticfilesystem:ClientMount"]
      SendDeadLetters = "sqs:SendMessage"
    }
    error_message = "logs, traces, mounting and dead letters; nothing else, and no writing"
  }

  assert {
    condition = { for statement in jsondecode(aws_iam_role_policy.network_interfaces[0].policy).Statement : statement.Sid => statement.Action if statement.Effect == "Allow" } == {
      ManageNetworkInterfaces = [
        "ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
      ]
    }
    error_message = "network interfaces have a separate policy, which outlives the function"
  }

  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    error_message = "only Lambda of this account assumes the role"
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Resource if statement.Sid == "WriteLogs"] == ["arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/mock:*"]
    error_message = "it may write to its own log group"
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Condition.StringEquals["elasticfilesystem:AccessPointArn"] if statement.Sid == "MountFileSystem"] == [var.file_system_config.efs_access_point_arn]
    error_message = "it may mount one access point"
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.network_interfaces[0].policy).Statement : statement.Condition.ArnEquals["lambda:SourceFunctionArn"] if statement.Effect == "Deny"] == ["arn:aws:lambda:eu-central-1:123456789012:function:semblance"]
    error_message = "the code itself may not touch network interfaces"
  }
}

run "role_writes_and_more_only_when_asked" {
  variables {
    file_system_config = {
      efs_access_point_arn = "arn:aws:elasticfilesystem:eu-central-1:123456789012:access-point/fsap-0a"
      file_system_arn      = "arn:aws:elasticfilesystem:eu-central-1:123456789012:file-system/fs-0a"
      local_mount_path     = "/mnt/models"
      writable             = true
    }
    policy = "{\"Statement\": [{\"Sid\": \"More\", \"Effect\": \"Allow\", \"Action\": \"s3:GetObject\", \"Resource\": \"*\"}]}"
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Action if statement.Sid == "MountFileSystem"] == [["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]]
    error_message = "a writable file system adds ClientWrite"
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Action if statement.Sid == "More"] == ["s3:GetObject"]
    error_message = "further statements are added"
  }
}

################################################################################
# Options of the alias
################################################################################

run "provisioned_concurrency_scales_on_the_version_of_the_alias" {
  variables { provisioned_concurrency = { minimum = 2, maximum = 10 } }

  assert {
    condition     = aws_lambda_provisioned_concurrency_config.this[0].qualifier == aws_lambda_alias.this.function_version && aws_lambda_provisioned_concurrency_config.this[0].provisioned_concurrent_executions == 2
    error_message = "the minimum is kept warm, on the version"
  }

  assert {
    condition     = aws_appautoscaling_target.this[0].resource_id == "function:semblance:${aws_lambda_alias.this.function_version}" && aws_appautoscaling_target.this[0].min_capacity == 2 && aws_appautoscaling_target.this[0].max_capacity == 10
    error_message = "autoscaling moves it between minimum and maximum"
  }

  assert {
    condition     = aws_appautoscaling_policy.this[0].target_tracking_scaling_policy_configuration[0].target_value == 0.7
    error_message = "it aims at 70 % utilization"
  }
}

run "the_version_that_most_callers_get_is_warm" {
  variables {
    provisioned_concurrency = { minimum = 2, maximum = 10 }
    release                 = { version = "4", newest_percent = 10 }
  }

  assert {
    condition     = aws_lambda_provisioned_concurrency_config.this[0].qualifier == "4" && aws_lambda_alias.this.function_version == "4"
    error_message = "a share of the newest version does not move the warm environments"
  }
}

run "url_is_signed_and_lets_named_principals_in" {
  variables { function_url = { allowed_principal_arns = ["arn:aws:iam::210987654321:role/search"] } }

  assert {
    condition     = aws_lambda_function_url.this[0].authorization_type == "AWS_IAM" && aws_lambda_function_url.this[0].qualifier == "live"
    error_message = "the URL is the alias's, and asks for a signature"
  }

  assert {
    condition     = sort([for permission in aws_lambda_permission.url : permission.action]) == tolist(["lambda:InvokeFunction", "lambda:InvokeFunctionUrl"]) && alltrue([for permission in aws_lambda_permission.url : permission.principal == "arn:aws:iam::210987654321:role/search"])
    error_message = "a named principal gets the two actions that a URL asks for"
  }
}

run "url_lets_no_page_in_by_itself" {
  variables { function_url = {} }

  assert {
    condition     = length(aws_lambda_function_url.this[0].cors) == 0
    error_message = "browsers are let in only where origins are given"
  }
}

run "url_answers_the_browsers_of_named_origins" {
  variables { function_url = { cors_origins = ["https://example.com", "http://localhost:8000"] } }

  assert {
    condition     = aws_lambda_function_url.this[0].cors[0].allow_origins == toset(["https://example.com", "http://localhost:8000"]) && aws_lambda_function_url.this[0].cors[0].allow_methods == toset(["GET", "POST"])
    error_message = "pages of these origins may ask and read"
  }

  assert {
    condition     = contains(aws_lambda_function_url.this[0].cors[0].allow_headers, "authorization") && contains(aws_lambda_function_url.this[0].cors[0].allow_headers, "x-amz-date")
    error_message = "a page may send what a signed request carries"
  }

  assert {
    condition     = contains(aws_lambda_function_url.this[0].cors[0].expose_headers, "x-semblance-truncated") && aws_lambda_function_url.this[0].cors[0].allow_credentials != true
    error_message = "a page may read the headers of a response, and sends no cookies"
  }
}

run "url_may_be_open_to_every_origin" {
  variables { function_url = { cors_origins = ["*"] } }

  assert {
    condition     = aws_lambda_function_url.this[0].cors[0].allow_origins == toset(["*"])
    error_message = "a star alone is every origin"
  }
}

run "pinned_version_gets_all_events_but_a_share" {
  variables { release = { version = "4", newest_percent = 10 } }

  assert {
    condition     = aws_lambda_alias.this.function_version == "4" && one(aws_lambda_alias.this.routing_config).additional_version_weights == tomap({ "7" = 0.1 })
    error_message = "the newest version gets 10 %"
  }

  assert {
    condition     = output.version == "7" && output.alias_version == "4"
    error_message = "both versions are known"
  }
}

run "schedule_invokes_the_alias" {
  variables { keep_awake = { schedule = "rate(1 day)" } }

  assert {
    condition     = aws_cloudwatch_event_rule.keep_awake[0].schedule_expression == "rate(1 day)" && aws_cloudwatch_event_target.keep_awake["alias"].arn == aws_lambda_alias.this.arn && aws_lambda_permission.keep_awake[0].qualifier == "live"
    error_message = "the schedule may invoke what callers invoke"
  }
}

run "function_without_network_and_file_system" {
  variables {
    vpc_config         = null
    file_system_config = null
    network_interfaces = false
    layers             = ["arn:aws:lambda:eu-central-1:123456789012:layer:model:3"]
  }

  assert {
    condition     = length(aws_lambda_function.this.vpc_config) == 0 && length(aws_lambda_function.this.file_system_config) == 0 && length(aws_iam_role_policy.network_interfaces) == 0 && aws_lambda_function.this.layers == tolist(["arn:aws:lambda:eu-central-1:123456789012:layer:model:3"])
    error_message = "the model comes from a layer"
  }
}

run "what_an_organization_requires_reaches_the_resources" {
  variables {
    security = {
      permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
      role_path                = "/services/"
      kms_key_arn              = "arn:aws:kms:eu-central-1:123456789012:key/0a"
    }
    log_levels   = { application = "WARN", system = "WARN" }
    asynchronous = { dead_letter_retention_days = 1 }
    tags         = { team = "search" }
  }

  assert {
    condition     = aws_iam_role.this.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary" && aws_iam_role.this.path == "/services/"
    error_message = "the role has boundary and path"
  }

  assert {
    condition     = alltrue([for key in [aws_lambda_function.this.kms_key_arn, aws_cloudwatch_log_group.this.kms_key_id, aws_sqs_queue.this.kms_master_key_id] : key == "arn:aws:kms:eu-central-1:123456789012:key/0a"])
    error_message = "the key encrypts environment, logs and dead letters"
  }

  assert {
    condition     = aws_lambda_function.this.logging_config[0].system_log_level == "WARN" && aws_sqs_queue.this.message_retention_seconds == 86400
    error_message = "levels and retention are passed on"
  }

  assert {
    condition     = alltrue([for tags in [aws_lambda_function.this.tags, aws_iam_role.this.tags, aws_cloudwatch_log_group.this.tags, aws_sqs_queue.this.tags] : tags == tomap({ team = "search" })])
    error_message = "every resource has the tags"
  }
}

run "unpublished_function_stays_on_latest" {
  variables { publish = false }

  assert {
    condition     = !aws_lambda_function.this.publish
    error_message = "publish is passed on"
  }
}

run "concurrency_can_be_zero_or_unreserved" {
  variables { concurrency = 0 }

  assert {
    condition     = aws_lambda_function.this.reserved_concurrent_executions == 0
    error_message = "0 switches the function off"
  }
}

################################################################################
# Rejected
################################################################################

run "reject_name_with_a_dot" {
  command = plan
  variables { function_name = "a.b" }
  expect_failures = [var.function_name]
}

run "reject_long_description" {
  command = plan
  variables { description = "................................................................................................................................................................................................................................................................." }
  expect_failures = [var.description]
}

run "reject_unknown_architecture" {
  command = plan
  variables { package = { filename = "../../tests/fixtures/bootstrap.zip", architecture = "riscv64" } }
  expect_failures = [var.package]
}

run "reject_missing_package" {
  command = plan
  variables { package = { filename = "nowhere.zip" } }
  expect_failures = [aws_lambda_function.this]
}

run "reject_zip_in_s3_without_its_sha256" {
  command = plan
  variables { package = { filename = "s3://artifacts/bootstrap.zip" } }
  expect_failures = [var.package]
}

run "reject_zip_with_another_sha256" {
  command = plan
  variables { package = { filename = "../../tests/fixtures/bootstrap.zip", sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" } }
  expect_failures = [aws_lambda_function.this]
}

run "reject_too_little_memory" {
  command = plan
  variables { memory_size = 127 }
  expect_failures = [var.memory_size]
}

run "reject_fractions_of_memory" {
  command = plan
  variables { memory_size = 1280.5 }
  expect_failures = [var.memory_size]
}

run "reject_negative_concurrency" {
  command = plan
  variables { concurrency = -2 }
  expect_failures = [var.concurrency]
}

run "reject_timeout_over_a_quarter_of_an_hour" {
  command = plan
  variables { lambda_timeout = 901 }
  expect_failures = [var.lambda_timeout]
}

run "reject_environment_of_lambdas_own" {
  command = plan
  variables { environment = { AWS_LAMBDA_FUNCTION_NAME = "x" } }
  expect_failures = [var.environment]
}

run "reject_one_subnet" {
  command = plan
  variables { vpc_config = { subnet_ids = ["subnet-0a"], security_group_ids = ["sg-0a"] } }
  expect_failures = [var.vpc_config]
}

run "reject_no_security_group" {
  command = plan
  variables { vpc_config = { subnet_ids = ["subnet-0a", "subnet-0b"], security_group_ids = [] } }
  expect_failures = [var.vpc_config]
}

run "reject_mount_path_outside_mnt" {
  command = plan
  variables {
    file_system_config = {
      efs_access_point_arn = "arn:aws:elasticfilesystem:eu-central-1:123456789012:access-point/fsap-0a"
      file_system_arn      = "arn:aws:elasticfilesystem:eu-central-1:123456789012:file-system/fs-0a"
      local_mount_path     = "/opt/models"
    }
  }
  expect_failures = [var.file_system_config]
}

run "reject_access_point_id" {
  command = plan
  variables {
    file_system_config = {
      efs_access_point_arn = "fsap-0a"
      file_system_arn      = "arn:aws:elasticfilesystem:eu-central-1:123456789012:file-system/fs-0a"
      local_mount_path     = "/mnt/models"
    }
  }
  expect_failures = [var.file_system_config]
}

run "reject_policy_without_statement" {
  command = plan
  variables { policy = "{}" }
  expect_failures = [var.policy]
}

run "reject_retention_that_cloudwatch_lacks" {
  command = plan
  variables { log_retention = 31 }
  expect_failures = [var.log_retention]
}

run "reject_unknown_tracing_mode" {
  command = plan
  variables { tracing_config = { mode = "On" } }
  expect_failures = [var.tracing_config]
}

run "reject_alias_of_digits" {
  command = plan
  variables { alias = { name = "1" } }
  expect_failures = [var.alias]
}

run "reject_event_age_under_a_minute" {
  command = plan
  variables { asynchronous = { event_age_in_seconds = 59 } }
  expect_failures = [var.asynchronous]
}

run "reject_three_retries" {
  command = plan
  variables { asynchronous = { retry_attempts = 3 } }
  expect_failures = [var.asynchronous]
}

run "reject_maximum_below_minimum" {
  command = plan
  variables { provisioned_concurrency = { minimum = 3, maximum = 2 } }
  expect_failures = [var.provisioned_concurrency]
}

run "reject_full_utilization" {
  command = plan
  variables { provisioned_concurrency = { minimum = 1, maximum = 2, target_utilization = 1 } }
  expect_failures = [var.provisioned_concurrency]
}

run "reject_more_provisioned_than_reserved" {
  command = plan
  variables { provisioned_concurrency = { minimum = 1, maximum = 25 } }
  expect_failures = [var.provisioned_concurrency]
}

run "reject_provisioned_without_versions" {
  command = plan
  variables {
    publish                 = false
    provisioned_concurrency = { minimum = 1, maximum = 2 }
  }
  expect_failures = [var.provisioned_concurrency]
}

run "reject_everyone_at_the_url" {
  command = plan
  variables { function_url = { allowed_principal_arns = ["*"] } }
  expect_failures = [var.function_url]
}

run "reject_origin_without_a_scheme" {
  command = plan
  variables { function_url = { cors_origins = ["example.com"] } }
  expect_failures = [var.function_url]
}

run "reject_star_among_origins" {
  command = plan
  variables { function_url = { cors_origins = ["https://example.com", "*"] } }
  expect_failures = [var.function_url]
}

run "reject_file_system_without_network" {
  command = plan
  variables { vpc_config = null }
  expect_failures = [var.file_system_config]
}

run "reject_share_without_a_pinned_version" {
  command = plan
  variables { release = { newest_percent = 10 } }
  expect_failures = [var.release]
}

run "reject_share_of_every_event" {
  command = plan
  variables { release = { version = "4", newest_percent = 100 } }
  expect_failures = [var.release]
}

run "reject_version_that_is_no_number" {
  command = plan
  variables { release = { version = "$LATEST" } }
  expect_failures = [var.release]
}

run "reject_two_routes_to_one_version" {
  command = plan
  variables { release = { version = "7", newest_percent = 10 } }
  expect_failures = [aws_lambda_alias.this]
}

run "reject_gate_with_one_text" {
  command = plan
  variables { gate = { query = "a", text = "a" } }
  expect_failures = [var.gate]
}

run "reject_gate_that_accepts_everything" {
  command = plan
  variables { gate = { query = "a", text = "b", tolerance = 1 } }
  expect_failures = [var.gate]
}

run "reject_version_that_does_not_answer_the_known_pair" {
  variables { gate = { query = "a", text = "b", score = 0.5 } }
  expect_failures = [aws_lambda_invocation.gate]
}

run "reject_dead_letters_for_a_month" {
  command = plan
  variables { asynchronous = { dead_letter_retention_days = 30 } }
  expect_failures = [var.asynchronous]
}

run "reject_schedule_without_an_expression" {
  command = plan
  variables { keep_awake = { schedule = "1 day" } }
  expect_failures = [var.keep_awake]
}

run "reject_boundary_that_is_no_policy" {
  command = plan
  variables { security = { permissions_boundary_arn = "boundary" } }
  expect_failures = [var.security]
}

run "reject_role_path_without_slashes" {
  command = plan
  variables { security = { role_path = "services" } }
  expect_failures = [var.security]
}

run "reject_key_id" {
  command = plan
  variables { security = { kms_key_arn = "0a" } }
  expect_failures = [var.security]
}

run "reject_signatures_of_a_local_zip" {
  command = plan
  variables { security = { code_signing_config_arn = "arn:aws:lambda:eu-central-1:123456789012:code-signing-config:csc-0a" } }
  expect_failures = [var.security]
}

run "reject_six_layers" {
  command = plan
  variables { layers = ["a", "b", "c", "d", "e", "f"] }
  expect_failures = [var.layers]
}

run "reject_unknown_log_level" {
  command = plan
  variables { log_levels = { application = "LOUD" } }
  expect_failures = [var.log_levels]
}
