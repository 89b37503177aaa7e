# The defaults: one function, its model on a file system, everything created.
#
#   make model package
terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}

# Region and credentials come from the environment.
provider "aws" {}

locals {
  # What `make model package` built. Use references to S3 to deploy a release.
  built = "../../.."
}

module "semblance" {
  source = "../.."

  artifacts = {
    similarity = "${local.built}/target/lambda/similarity/bootstrap.zip"
    model_sync = "${local.built}/target/lambda/model-sync/bootstrap.zip"
    bundle     = "${local.built}/build/model/default"
  }
}

output "semblance" {
  description = "Outputs of the deployment."
  value       = module.semblance
}
