mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name = "semblance-model-sync"
}

################################################################################
# Defaults
################################################################################

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

run "own_key_encrypts" {
  variables { kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/0a" }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).kms_master_key_id == "arn:aws:kms:eu-central-1:123456789012:key/0a"
    error_message = "the key is passed on"
  }
}

################################################################################
# Rejected
################################################################################

run "reject_name_that_begins_with_a_hyphen" {
  command = plan
  variables { name = "-sync" }
  expect_failures = [var.name]
}

run "reject_objects_kept_for_no_day" {
  command = plan
  variables { noncurrent_days = 0 }
  expect_failures = [var.noncurrent_days]
}
