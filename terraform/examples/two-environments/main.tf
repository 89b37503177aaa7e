# The same artifacts in two environments, from one bucket; nothing is built or read locally.
#
#   terraform init -backend-config=bucket=STATE_BUCKET -backend-config=key=semblance/dev.tfstate
#   terraform apply -var-file=dev.tfvars
terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}

terraform {
  backend "s3" {
    use_lockfile = true
    encrypt      = true
  }
}

variable "environment" {
  description = "Name of the environment, dev or prod."
  type        = string

  validation {
    condition     = contains(["dev", "prod"], var.environment)
    error_message = "environment must be dev or prod."
  }
}

variable "artifacts" {
  description = "What is deployed: zips and bundle by reference, and the zips' SHA-256."
  type = object({
    similarity = string
    model_sync = string
    bundle     = string
    sha256     = object({ similarity = string, model_sync = string })
  })
}

# Region and credentials come from the environment.
provider "aws" {}

module "semblance" {
  source = "../.."

  function_name = "semblance-${var.environment}"
  artifacts     = var.artifacts
  concurrency   = var.environment == "prod" ? 25 : 2

  tags = { environment = var.environment }
}

output "semblance" {
  description = "Outputs of the deployment."
  value       = module.semblance
}
