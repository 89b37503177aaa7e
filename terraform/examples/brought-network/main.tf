# In existing subnets. The S3 gateway endpoint is created in their route tables.
terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}

variable "subnet_ids" {
  description = "Subnets in two or more zones of one VPC."
  type        = list(string)
}

variable "route_table_ids" {
  description = "Route tables of the subnets; empty if the subnets already reach S3."
  type        = list(string)
  default     = []
}

variable "deployments" {
  description = "Names of the functions to deploy: one deployment each."
  type        = set(string)
  default     = ["semblance"]
}

# Region and credentials come from the environment.
provider "aws" {}

locals {
  # What `make model package` built. Use references to S3 to deploy a release.
  built = "../../.."
}

module "semblance" {
  source   = "../.."
  for_each = var.deployments

  function_name = each.value

  vpc_config = {
    subnet_ids      = var.subnet_ids
    route_table_ids = var.route_table_ids
  }

  artifacts = {
    similarity = "${local.built}/target/lambda/similarity/bootstrap.zip"
    model_sync = "${local.built}/target/lambda/model-sync/bootstrap.zip"
    bundle     = "${local.built}/build/model/default"
  }

  tags = { network = "shared" }
}

output "semblance" {
  description = "Outputs of each deployment."
  value       = module.semblance
}
