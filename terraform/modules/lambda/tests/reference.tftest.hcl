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
# A zip in S3
################################################################################

run "zip_in_s3_is_named_by_version_and_sha256" {
  override_resource {
    target = aws_lambda_function.this
    values = { version = "7", code_sha256 = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=" }
  }

  variables {
    package = {
      filename = "s3://artifacts/releases/1.0.0/similarity.zip?versionId=abc.DEF_1"
      sha256   = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    }
    security = { code_signing_config_arn = "arn:aws:lambda:eu-central-1:123456789012:code-signing-config:csc-0a" }
  }

  assert {
    condition     = aws_lambda_function.this.code_signing_config_arn == "arn:aws:lambda:eu-central-1:123456789012:code-signing-config:csc-0a"
    error_message = "Lambda checks the signature"
  }

  assert {
    condition     = aws_lambda_function.this.s3_bucket == "artifacts" && aws_lambda_function.this.s3_key == "releases/1.0.0/similarity.zip" && aws_lambda_function.this.s3_object_version == "abc.DEF_1" && aws_lambda_function.this.filename == null
    error_message = "the reference names one object version"
  }

  assert {
    condition     = aws_lambda_function.this.source_code_hash == base64sha256("abc")
    error_message = "Lambda compares the hash in base64"
  }
}
