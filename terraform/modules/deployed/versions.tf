terraform {
  # 1.9: a variable's validation may refer to other variables. 1.10: the lock file of the S3 backend.
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}
