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
    condition     = alltrue([for object in aws_s3_object.this : startswith(object.source_hash, filesha256(object.source))])
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

run "bundles_in_s3_are_copied_from_where_they_are" {
  variables {
    bundles = {
      bi_encoder    = "s3://artifacts/team/models/tiny/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
      cross_encoder = "s3://artifacts/team/models/other/ca7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    }
  }

  assert {
    condition     = length(aws_s3_object.this) == 0 && output.source_bucket_arn == "arn:aws:s3:::artifacts" && local.source_prefix == "team/models"
    error_message = "nothing is uploaded, and the function reads the bucket of the references"
  }

  assert {
    condition     = output.model_names == { bi_encoder = "tiny", cross_encoder = "other" } && output.bundle_paths.bi_encoder == "/mnt/models/tiny/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    error_message = "the reference names model and version"
  }
}

run "last_manifest_is_kept_for_a_checkout_without_bundles" {
  assert {
    condition     = aws_s3_object.deployed["bi_encoder"].key == "deployed/bi_encoder.json" && sha256(jsondecode(aws_s3_object.deployed["bi_encoder"].content).manifest) == output.digests.bi_encoder
    error_message = "the bucket holds the manifest under a known key"
  }
}

run "indexes_are_read_from_their_bucket" {
  variables {
    indexes          = { bucket = "corpora", prefix = "team/indexes", grace_hours = 48 }
    scheduled_events = { index-docs = "{}" }
  }

  assert {
    condition     = length(output.source_bucket_arns) == 2 && contains(output.source_bucket_arns, "arn:aws:s3:::corpora")
    error_message = "the function and the network reach both buckets"
  }
}

################################################################################
# Rejected
################################################################################

run "reject_folder_without_manifest" {
  command = plan
  variables { bundles = { bi_encoder = "../../tests/fixtures" } }
  expect_failures = [terraform_data.upload]
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

run "reject_a_sync_that_is_switched_off" {
  command = plan
  variables { concurrency = 0 }
  expect_failures = [var.concurrency]
}

run "reject_a_grace_period_of_half_an_hour" {
  command = plan
  variables { indexes = { prefix = "indexes", grace_hours = 0.5 } }
  expect_failures = [var.indexes]
}

run "reject_keeping_no_version" {
  command = plan
  variables { keep_versions = 1 }
  expect_failures = [var.keep_versions]
}

run "reject_reference_without_a_digest" {
  command = plan
  variables { bundles = { bi_encoder = "s3://artifacts/models/tiny/latest" } }
  expect_failures = [var.bundles]
}

run "reject_references_into_two_buckets" {
  command = plan
  variables {
    bundles = {
      bi_encoder    = "s3://artifacts/models/tiny/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
      cross_encoder = "s3://others/models/tiny/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    }
  }
  expect_failures = [var.bundles]
}

run "reject_a_folder_beside_a_reference" {
  command = plan
  variables {
    bundles = {
      bi_encoder    = "../../tests/fixtures/bundle"
      cross_encoder = "s3://others/models/tiny/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    }
  }
  expect_failures = [var.bundles]
}
