mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  artifacts = {
    similarity = "tests/fixtures/bootstrap.zip"
    model_sync = "tests/fixtures/bootstrap.zip"
    bundle     = "tests/fixtures/bundle"
  }
}

# What a sound version answers.
override_resource {
  target = module.lambda.aws_lambda_invocation.gate
  values = { result = "{\"Scores\": [[\"How many people live in London?\", 1.0], [\"The recipe needs three eggs.\", 0.1]]}" }
}

override_data {
  target = module.network[0].data.aws_subnet.brought["subnet-0a"]
  values = { id = "subnet-0a", availability_zone = "eu-central-1a", vpc_id = "vpc-0a" }
}

override_data {
  target = module.network[0].data.aws_subnet.brought["subnet-0b"]
  values = { id = "subnet-0b", availability_zone = "eu-central-1b", vpc_id = "vpc-0a" }
}

override_data {
  target = module.network[0].data.aws_subnet.brought["subnet-0c"]
  values = { id = "subnet-0c", availability_zone = "eu-central-1b", vpc_id = "vpc-0a" }
}

################################################################################
# Wiring
################################################################################

run "every_default_works_together" {
  assert {
    condition     = output.function_name == "semblance" && output.model_sync_function_name == "semblance-model-sync" && output.function_url == null
    error_message = "the names follow from one"
  }

  assert {
    condition     = output.model_name == "tiny" && output.model_digest == filesha256("tests/fixtures/bundle/bundle.json") && output.model_sync_result.copied
    error_message = "the model is the bundle's"
  }

  assert {
    condition     = output.cross_encoder == null && toset(keys(module.model[0].bundle_paths)) == toset(["bi_encoder"])
    error_message = "a second model is asked for, not given"
  }

  assert {
    condition     = length(output.subnet_ids) == 2 && length(module.network) == 1 && length(module.efs) == 1
    error_message = "network and file system are created"
  }
}

run "an_index_is_carried_to_the_function" {
  variables { indexes = { docs = "tests/fixtures/index" } }

  assert {
    condition     = output.indexes.docs.digest == trimspace(file("tests/fixtures/index/CURRENT")) && output.indexes.docs.sync_result.copied
    error_message = "the version is that of the folder"
  }
}

run "reject_indexes_without_a_file_system" {
  command = plan
  variables {
    storage = "package"
    indexes = { docs = "tests/fixtures/index" }
    artifacts = {
      similarity = "tests/fixtures/bootstrap.zip"
      bundle     = "tests/fixtures/bundle"
      layers     = { bi_encoder = "tests/fixtures/bootstrap.zip" }
    }
  }
  expect_failures = [var.indexes]
}

run "cross_encoder_is_carried_beside_the_first_model" {
  variables {
    artifacts = {
      similarity    = "tests/fixtures/bootstrap.zip"
      model_sync    = "tests/fixtures/bootstrap.zip"
      bundle        = "tests/fixtures/bundle"
      cross_encoder = "tests/fixtures/cross-encoder"
    }
  }

  assert {
    condition = output.cross_encoder == {
      model_name  = "tiny-cross-encoder"
      digest      = filesha256("tests/fixtures/cross-encoder/bundle.json")
      sync_result = { copied = true }
    }
    error_message = "the output is the cross-encoder's"
  }

  assert {
    condition     = output.model_name == "tiny" && output.model_digest == filesha256("tests/fixtures/bundle/bundle.json")
    error_message = "the first model stays the first"
  }

  assert {
    condition = module.lambda.environment == tomap({
      SEMBLANCE_BUNDLE               = "/mnt/models/tiny/${output.model_digest}"
      SEMBLANCE_CROSS_ENCODER_BUNDLE = "/mnt/models/tiny-cross-encoder/${output.cross_encoder.digest}"
    })
    error_message = "the function gets both folders"
  }
}

run "architecture_is_that_of_both_functions" {
  variables {
    artifacts = {
      similarity   = "tests/fixtures/bootstrap.zip"
      model_sync   = "tests/fixtures/bootstrap.zip"
      bundle       = "tests/fixtures/bundle"
      architecture = "arm64"
    }
  }

  assert {
    condition     = module.lambda.architecture == "arm64" && module.model[0].sync_architecture == "arm64"
    error_message = "the zips are built for one architecture"
  }
}

run "origins_reach_the_function" {
  variables {
    function_url = { cors_origins = ["https://example.com", "http://localhost:8000"] }
  }

  assert {
    condition     = module.lambda.environment.SEMBLANCE_CORS_ORIGINS == "https://example.com,http://localhost:8000"
    error_message = "the function gets the same origins as its URL"
  }
}

run "origins_of_another_door_are_the_environments" {
  variables {
    environment  = { SEMBLANCE_CORS_ORIGINS = "*" }
    function_url = {}
  }

  assert {
    condition     = module.lambda.environment.SEMBLANCE_CORS_ORIGINS == "*"
    error_message = "without cors_origins the environment may hold them"
  }
}

run "network_by_id_keeps_our_file_system" {
  variables {
    vpc_config = { subnet_ids = ["subnet-0a", "subnet-0b"], security_group_ids = ["sg-0a"] }
  }

  assert {
    condition     = output.subnet_ids == tolist(["subnet-0a", "subnet-0b"]) && sort(keys(module.efs[0].mount_target_id_by_zone)) == tolist(["eu-central-1a", "eu-central-1b"])
    error_message = "the functions and the mount targets are in the brought subnets"
  }

  assert {
    condition     = module.network[0].s3_endpoint_id == null && module.network[0].function_security_group_ids == tolist(["sg-0a"])
    error_message = "no endpoint is made where no route table was given"
  }
}

run "file_system_by_access_point_creates_no_network" {
  variables {
    function_name = "questn_similarity_classification"
    vpc_config    = { subnet_ids = ["subnet-0a", "subnet-0b"], security_group_ids = ["sg-0a"] }
    file_system_config = {
      efs_access_point_arn = "arn:aws:elasticfilesystem:eu-central-1:123456789012:access-point/fsap-0fedcba9876543210"
      local_mount_path     = "/mnt/knn"
    }
  }

  assert {
    condition     = length(module.network) == 0 && length(module.efs) == 0
    error_message = "a brought file system brings its network"
  }

  assert {
    condition     = data.aws_efs_access_point.brought[0].access_point_id == "fsap-0fedcba9876543210" && output.file_system_arn == "arn:aws:elasticfilesystem:eu-central-1:123456789012:file-system/fs-0fedcba9876543210"
    error_message = "the file system is found by its access point"
  }

  assert {
    condition     = local.reader_access_point_arn == local.writer_access_point_arn
    error_message = "one access point serves both unless another is given for writing"
  }

  assert {
    condition     = module.model[0].bundle_paths.bi_encoder == "/mnt/knn/tiny/${output.model_digest}"
    error_message = "both functions see the model below the mount path"
  }
}

run "model_in_the_package_needs_no_network" {
  variables {
    storage = "package"
    artifacts = {
      similarity = "tests/fixtures/bootstrap.zip"
      bundle     = "tests/fixtures/bundle"
      layers     = { bi_encoder = "tests/fixtures/bootstrap.zip" }
    }
  }

  assert {
    condition     = length(module.network) + length(module.efs) + length(module.model) == 0 && output.subnet_ids == null && output.model_sync_function_name == null
    error_message = "no network, no file system and no second function"
  }

  assert {
    condition     = module.lambda.environment == tomap({ SEMBLANCE_BUNDLE = "/opt/bundles/tiny/${output.model_digest}" }) && output.model_name == "tiny"
    error_message = "the function finds the model in its layer"
  }
}

run "models_that_the_alias_points_to_are_kept" {
  variables { release = { version = "4", newest_percent = 10 } }

  override_data {
    target = data.aws_lambda_function.pinned[0]
    values = { environment = [{ variables = { SEMBLANCE_BUNDLE = "/mnt/models/tiny/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" } }] }
  }

  assert {
    condition     = jsondecode(aws_lambda_invocation.prune["bi_encoder"].input).keep == [output.model_digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]
    error_message = "the models of the newest and of the pinned version are kept"
  }

  assert {
    condition     = aws_lambda_invocation.prune["bi_encoder"].triggers == tomap({ alias = "4", newest = output.newest_version })
    error_message = "old models are removed when the alias has moved"
  }
}

run "project_is_a_tag_of_everything" {
  variables { tags = { owner = "search" } }

  assert {
    condition     = tomap(local.tags) == tomap({ project = "semblance", owner = "search" })
    error_message = "tags are passed to every module, because the configuration has no provider block"
  }
}

################################################################################
# Rejected
################################################################################

run "reject_name_too_long_for_its_suffixes" {
  command = plan
  variables { function_name = "a12345678901234567890123456789012345678901234567890123" }
  expect_failures = [var.function_name]
}

run "reject_long_description" {
  command = plan
  variables { description = "................................................................................................................................................................................................................................................................." }
  expect_failures = [var.description]
}

run "reject_too_much_memory" {
  command = plan
  variables { memory_size = 10241 }
  expect_failures = [var.memory_size]
}

run "reject_too_much_concurrency" {
  command = plan
  variables { concurrency = 1001 }
  expect_failures = [var.concurrency]
}

run "reject_no_time_at_all" {
  command = plan
  variables { lambda_timeout = 0 }
  expect_failures = [var.lambda_timeout]
}

run "reject_environment_name_with_a_hyphen" {
  command = plan
  variables { environment = { MAX-TEXTS = "10" } }
  expect_failures = [var.environment]
}

run "reject_another_bundle_in_the_environment" {
  command = plan
  variables { environment = { SEMBLANCE_BUNDLE = "/mnt/models/other" } }
  expect_failures = [var.environment]
}

run "reject_another_cross_encoder_in_the_environment" {
  command = plan
  variables { environment = { SEMBLANCE_CROSS_ENCODER_BUNDLE = "/mnt/models/other" } }
  expect_failures = [var.environment]
}

run "reject_origins_given_twice" {
  command = plan
  variables {
    environment  = { SEMBLANCE_CORS_ORIGINS = "*" }
    function_url = { cors_origins = ["https://example.com"] }
  }
  expect_failures = [var.environment]
}

run "reject_origin_with_a_path" {
  command = plan
  variables { function_url = { cors_origins = ["https://example.com/"] } }
  expect_failures = [var.function_url]
}

run "reject_cross_encoder_that_embeds" {
  command = plan
  variables {
    artifacts = {
      similarity    = "tests/fixtures/bootstrap.zip"
      model_sync    = "tests/fixtures/bootstrap.zip"
      bundle        = "tests/fixtures/bundle"
      cross_encoder = "tests/fixtures/bundle"
    }
  }
  expect_failures = [var.artifacts]
}

run "reject_cross_encoder_in_the_first_models_place" {
  command = plan
  variables {
    artifacts = {
      similarity = "tests/fixtures/bootstrap.zip"
      model_sync = "tests/fixtures/bootstrap.zip"
      bundle     = "tests/fixtures/cross-encoder"
    }
  }
  expect_failures = [var.artifacts]
}

run "reject_endpoints_beside_an_existing_file_system" {
  command = plan
  variables {
    file_system_config = { efs_access_point_arn = "arn:aws:elasticfilesystem:eu-central-1:123456789012:access-point/fsap-0a" }
    vpc_config = {
      subnet_ids          = ["subnet-0a", "subnet-0b"]
      security_group_ids  = ["sg-0a"]
      interface_endpoints = ["logs"]
    }
  }
  expect_failures = [var.file_system_config]
}

run "reject_unknown_architecture" {
  command = plan
  variables {
    artifacts = {
      similarity   = "tests/fixtures/bootstrap.zip"
      model_sync   = "tests/fixtures/bootstrap.zip"
      bundle       = "tests/fixtures/bundle"
      architecture = "amd64"
    }
  }
  expect_failures = [var.artifacts]
}

run "reject_mount_path_outside_mnt" {
  command = plan
  variables { file_system_config = { local_mount_path = "/models" } }
  expect_failures = [var.file_system_config]
}

run "reject_mount_path_two_folders_deep" {
  command = plan
  variables { file_system_config = { local_mount_path = "/mnt/efs/models" } }
  expect_failures = [var.file_system_config]
}

run "reject_access_point_id" {
  command = plan
  variables {
    vpc_config         = { subnet_ids = ["subnet-0a", "subnet-0b"], security_group_ids = ["sg-0a"] }
    file_system_config = { efs_access_point_arn = "fsap-0a" }
  }
  expect_failures = [var.file_system_config]
}

run "reject_writer_without_reader" {
  command = plan
  variables { file_system_config = { writer_access_point_arn = "arn:aws:elasticfilesystem:eu-central-1:123456789012:access-point/fsap-0a" } }
  expect_failures = [var.file_system_config]
}

run "reject_file_system_without_its_network" {
  command = plan
  variables { file_system_config = { efs_access_point_arn = "arn:aws:elasticfilesystem:eu-central-1:123456789012:access-point/fsap-0a" } }
  expect_failures = [var.file_system_config]
}

run "reject_retention_that_cloudwatch_lacks" {
  command = plan
  variables { log_retention = 10 }
  expect_failures = [var.log_retention]
}

run "reject_unknown_tracing_mode" {
  command = plan
  variables { tracing_config = { mode = "active" } }
  expect_failures = [var.tracing_config]
}

run "reject_tags_of_awss_own" {
  command = plan
  variables { tags = { "aws:team" = "search" } }
  expect_failures = [var.tags]
}

run "reject_unknown_storage" {
  command = plan
  variables { storage = "s3" }
  expect_failures = [var.storage]
}
