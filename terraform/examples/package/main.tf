# The model in a layer: no VPC, no file system, no second function.
#
#   make model PRECISION=int8 && make package layer BUNDLE=build/model/default
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
  built = "../../.."
}

module "semblance" {
  source = "../.."

  storage = "package"

  artifacts = {
    similarity = "${local.built}/target/lambda/similarity/bootstrap.zip"
    bundle     = "${local.built}/build/model/default"
    layers     = { bi_encoder = "${local.built}/target/lambda/layers/default.zip" }
  }
}

output "semblance" {
  description = "Outputs of the deployment."
  value       = module.semblance
}
