mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name          = "semblance-model"
  function_name = "semblance"
  bundles       = { bi_encoder = "../../tests/fixtures/bundle" }
  zips          = { bi_encoder = "../../tests/fixtures/bootstrap.zip" }
}

################################################################################
# Defaults and wiring
################################################################################

run "layer_is_named_by_the_digest_of_the_manifest" {
  assert {
    condition     = aws_s3_object.this["bi_encoder"].key == "layers/tiny/${output.digests.bi_encoder}.zip" && output.digests == { bi_encoder = filesha256("../../tests/fixtures/bundle/bundle.json") }
    error_message = "the zip is uploaded under model and digest"
  }

  assert {
    condition     = output.bundle_paths == { bi_encoder = "/opt/bundles/tiny/${output.digests.bi_encoder}" } && length(output.layer_arns) == 1
    error_message = "the function finds the bundle in /opt"
  }
}

run "zip_in_s3_is_not_uploaded" {
  variables {
    bundles = { bi_encoder = "s3://artifacts/models/tiny/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" }
    zips    = { bi_encoder = "s3://artifacts/layers/tiny.zip?versionId=V1" }
  }

  assert {
    condition     = length(aws_s3_object.this) == 0 && aws_lambda_layer_version.this["bi_encoder"].s3_bucket == "artifacts" && aws_lambda_layer_version.this["bi_encoder"].s3_key == "layers/tiny.zip" && aws_lambda_layer_version.this["bi_encoder"].s3_object_version == "V1"
    error_message = "the layer is made from the object version"
  }

  assert {
    condition     = output.model_names == { bi_encoder = "tiny" }
    error_message = "the reference names the model"
  }
}

################################################################################
# Rejected
################################################################################

run "reject_no_bundle_at_all" {
  command = plan
  variables { bundles = {} }
  expect_failures = [var.bundles]
}

run "reject_bundle_in_s3_without_a_digest" {
  command = plan
  variables { bundles = { bi_encoder = "s3://artifacts/models/tiny" } }
  expect_failures = [var.bundles]
}

run "reject_zip_without_a_key" {
  command = plan
  variables { zips = { bi_encoder = "s3://artifacts" } }
  expect_failures = [var.zips]
}

run "reject_name_with_a_dot" {
  command = plan
  variables { name = "a.b" }
  expect_failures = [var.name]
}

run "reject_folder_without_manifest" {
  command = plan
  variables { bundles = { bi_encoder = "../../tests/fixtures" } }
  expect_failures = [terraform_data.bundles]
}

run "reject_zip_that_was_not_built" {
  command = plan
  variables { zips = { bi_encoder = "nowhere.zip" } }
  expect_failures = [aws_s3_object.this["bi_encoder"]]
}

run "reject_bundle_that_lambda_cannot_unpack" {
  command = plan
  variables { bundles = { bi_encoder = "../../tests/fixtures/large" } }
  expect_failures = [aws_lambda_layer_version.this["bi_encoder"]]
}
