mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name    = "semblance-model-sync"
  bundles = { bi_encoder = "../../tests/fixtures/bundle" }
  package = { filename = "../../tests/fixtures/bootstrap.zip" }
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

run "objects_are_keyed_by_the_digest_of_the_manifest" {
  assert {
    condition     = output.digests == { bi_encoder = filesha256("../../tests/fixtures/bundle/bundle.json") } && output.model_names == { bi_encoder = "tiny" }
    error_message = "the version is the sha256 of bundle.json"
  }

  assert {
    condition = output.object_keys == {
      "bi_encoder/graph"      = "models/tiny/${output.digests.bi_encoder}/model.onnx"
      "bi_encoder/weights"    = "models/tiny/${output.digests.bi_encoder}/model.weights"
      "bi_encoder/words"      = "models/tiny/${output.digests.bi_encoder}/model.words"
      "bi_encoder/tokenizer"  = "models/tiny/${output.digests.bi_encoder}/tokenizer.json"
      "bi_encoder/vocabulary" = "models/tiny/${output.digests.bi_encoder}/vocabulary.txt"
      "bi_encoder/manifest"   = "models/tiny/${output.digests.bi_encoder}/bundle.json"
    }
    error_message = "the manifest and every file that it lists are uploaded below model and digest"
  }

  assert {
    condition     = alltrue([for object in aws_s3_object.this : object.source_hash == filesha256(object.source)])
    error_message = "objects carry their files' sha256"
  }
}

run "sync_is_invoked_for_every_digest" {
  assert {
    condition     = jsondecode(aws_lambda_invocation.this["bi_encoder"].input) == { model_name = "tiny", digest = output.digests.bi_encoder } && aws_lambda_invocation.this["bi_encoder"].triggers.digest == output.digests.bi_encoder
    error_message = "the event names model and digest, and the digest triggers it"
  }

  assert {
    condition     = output.bundle_paths == { bi_encoder = "/mnt/models/tiny/${output.digests.bi_encoder}" } && output.sync_results.bi_encoder.copied
    error_message = "the path is what the function will see"
  }
}

run "every_bundle_has_its_own_objects_copy_and_path" {
  variables {
    bundles = {
      bi_encoder    = "../../tests/fixtures/bundle"
      cross_encoder = "../../tests/fixtures/cross-encoder"
    }
  }

  assert {
    condition     = length(output.object_keys) == 12 && length(toset(values(output.object_keys))) == 12 && output.object_keys["cross_encoder/weights"] == "models/tiny-cross-encoder/${output.digests.cross_encoder}/model.weights"
    error_message = "objects of two bundles have separate folders"
  }

  assert {
    condition     = { for key, invocation in aws_lambda_invocation.this : key => jsondecode(invocation.input).model_name } == { bi_encoder = "tiny", cross_encoder = "tiny-cross-encoder" }
    error_message = "each is copied by a separate invocation"
  }

  assert {
    condition     = output.bundle_paths.cross_encoder == "/mnt/models/tiny-cross-encoder/${output.digests.cross_encoder}" && output.digests.cross_encoder == filesha256("../../tests/fixtures/cross-encoder/bundle.json")
    error_message = "each has a separate folder"
  }
}

run "bucket_is_private_versioned_encrypted_and_tls_only" {
  assert {
    condition     = aws_s3_bucket_public_access_block.this.block_public_acls && aws_s3_bucket_public_access_block.this.block_public_policy && aws_s3_bucket_public_access_block.this.ignore_public_acls && aws_s3_bucket_public_access_block.this.restrict_public_buckets
    error_message = "every way to make it public is blocked"
  }

  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled" && one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "it is versioned and encrypted"
  }

  assert {
    condition     = jsondecode(aws_s3_bucket_policy.this.policy).Statement[0].Effect == "Deny" && jsondecode(aws_s3_bucket_policy.this.policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false"
    error_message = "plain HTTP is denied"
  }
}

run "bucket_name_is_made_of_any_function_name" {
  variables { name = "Questn_similarity_classification_of_sentences" }

  assert {
    condition     = aws_s3_bucket.this.bucket_prefix == "questn-similarity-classification-of-"
    error_message = "S3 takes lower case, no underscore, and at most 37 characters before its own"
  }
}

run "prefix_and_versions_reach_bucket_and_function" {
  variables {
    prefix        = "team/models"
    keep_versions = 5
  }

  assert {
    condition     = output.object_keys["bi_encoder/manifest"] == "team/models/tiny/${output.digests.bi_encoder}/bundle.json"
    error_message = "the prefix comes first"
  }
}

################################################################################
# Rejected
################################################################################

run "reject_folder_without_manifest" {
  command = plan
  variables { bundles = { bi_encoder = "../../tests/fixtures" } }
  expect_failures = [var.bundles]
}

run "reject_no_bundle_at_all" {
  command = plan
  variables { bundles = {} }
  expect_failures = [var.bundles]
}

run "reject_file_that_differs_from_the_manifest" {
  command = plan
  variables { bundles = { bi_encoder = "../../tests/fixtures/damaged" } }
  expect_failures = [aws_s3_object.this["bi_encoder/weights"]]
}

run "reject_manifest_of_another_schema" {
  command = plan
  variables { bundles = { bi_encoder = "../../tests/fixtures/newer" } }
  expect_failures = [aws_s3_object.this]
}

run "reject_file_outside_the_bundle" {
  command = plan
  variables { bundles = { bi_encoder = "../../tests/fixtures/escaping" } }
  expect_failures = [aws_s3_object.this["bi_encoder/graph"]]
}

run "reject_name_that_begins_with_a_hyphen" {
  command = plan
  variables { name = "-sync" }
  expect_failures = [var.name]
}

run "reject_prefix_with_a_slash_at_the_end" {
  command = plan
  variables { prefix = "models/" }
  expect_failures = [var.prefix]
}

run "reject_objects_kept_for_no_day" {
  command = plan
  variables { noncurrent_days = 0 }
  expect_failures = [var.noncurrent_days]
}

run "reject_a_sync_that_is_switched_off" {
  command = plan
  variables { concurrency = 0 }
  expect_failures = [var.concurrency]
}

run "reject_keeping_no_version" {
  command = plan
  variables { keep_versions = 1 }
  expect_failures = [var.keep_versions]
}
