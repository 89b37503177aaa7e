mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  indexes                = { docs = "../../tests/fixtures/index" }
  bucket                 = "semblance-models"
  function_name          = "semblance-model-sync"
  deployed_function_name = "semblance-model-sync"
  file_system_config = {
    efs_access_point_arn = "arn:aws:elasticfilesystem:eu-central-1:123456789012:access-point/fsap-0a"
    local_mount_path     = "/mnt/models"
  }
}

################################################################################
# Defaults and wiring
################################################################################

run "objects_have_the_paths_of_the_index" {
  assert {
    condition     = output.digests == { docs = trimspace(file("../../tests/fixtures/index/CURRENT")) }
    error_message = "the version is that of CURRENT"
  }

  assert {
    condition     = toset(keys(output.object_keys)) == toset([for path in fileset("../../tests/fixtures/index", "**") : "docs/${path}" if path != "CURRENT"]) && alltrue([for path, key in output.object_keys : key == "indexes/${path}"])
    error_message = "every file but CURRENT is uploaded below the name of the index"
  }

  assert {
    condition     = alltrue([for object in aws_s3_object.this : startswith(object.source_hash, filesha256(object.source))])
    error_message = "objects carry their files' sha256"
  }
}

run "sync_is_invoked_for_every_version" {
  assert {
    condition     = jsondecode(aws_lambda_invocation.this["docs"].input) == { index = "docs", digest = output.digests.docs } && aws_lambda_invocation.this["docs"].triggers.digest == output.digests.docs
    error_message = "the event names index and version, and the version triggers it"
  }

  assert {
    condition     = output.folder == "/mnt/models/.indexes" && output.sync_results.docs.copied && jsondecode(output.scheduled_events.index-docs) == { index = "docs", digest = output.digests.docs, replace = false }
    error_message = "the folder is what the function will see, and the schedule replaces no version"
  }

  assert {
    condition     = aws_s3_object.deployed["docs"].key == "deployed/indexes/docs.json" && jsondecode(aws_s3_object.deployed["docs"].content).digest == output.digests.docs
    error_message = "the bucket holds what was copied under a known key"
  }
}

run "indexes_in_s3_are_copied_from_where_they_are" {
  variables {
    indexes = {
      docs = "s3://artifacts/team/indexes/docs/manifests/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.json"
      faq  = "s3://artifacts/team/indexes/faq/manifests/ca7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.json"
    }
  }

  assert {
    condition     = length(aws_s3_object.this) == 0 && output.source == { bucket = "artifacts", prefix = "team/indexes" } && output.digests.faq == "ca7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    error_message = "nothing is uploaded, and the function reads the bucket of the references"
  }
}

################################################################################
# Rejected
################################################################################

run "reject_folder_without_current" {
  command = plan
  variables { indexes = { docs = "../../tests/fixtures" } }
  expect_failures = [terraform_data.upload]
}

run "reject_file_that_differs_from_the_manifest" {
  command = plan
  variables { indexes = { docs = "../../tests/fixtures/damaged-index" } }
  expect_failures = [aws_s3_object.this]
}

run "reject_manifest_of_another_schema" {
  command = plan
  variables { indexes = { docs = "../../tests/fixtures/newer-index" } }
  expect_failures = [aws_s3_object.this]
}

run "reject_file_outside_the_index" {
  command = plan
  variables { indexes = { docs = "../../tests/fixtures/escaping-index" } }
  expect_failures = [aws_s3_object.this]
}

run "reject_no_index_at_all" {
  command = plan
  variables { indexes = {} }
  expect_failures = [var.indexes]
}

run "reject_an_invalid_name" {
  command = plan
  variables { indexes = { "../docs" = "../../tests/fixtures/index" } }
  expect_failures = [var.indexes]
}

run "reject_reference_with_another_name" {
  command = plan
  variables { indexes = { docs = "s3://artifacts/indexes/faq/manifests/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.json" } }
  expect_failures = [var.indexes]
}

run "reject_reference_without_a_digest" {
  command = plan
  variables { indexes = { docs = "s3://artifacts/indexes/docs" } }
  expect_failures = [var.indexes]
}

run "reject_a_folder_beside_a_reference" {
  command = plan
  variables {
    indexes = {
      docs = "../../tests/fixtures/index"
      faq  = "s3://artifacts/indexes/faq/manifests/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.json"
    }
  }
  expect_failures = [var.indexes]
}

run "reject_prefix_with_a_slash_at_the_end" {
  command = plan
  variables { prefix = "indexes/" }
  expect_failures = [var.prefix]
}
