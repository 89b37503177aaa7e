# An HTTP API with API keys or tokens, for unmodified clients of OpenAI, Cohere and Hugging Face.
terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}

variable "api_keys" {
  description = "Accepted API keys, name of the client => SHA-256 of the key in hexadecimal."
  type        = map(string)
  default     = {}
}

variable "jwt" {
  description = "Accepted tokens instead of API keys: their issuer and audiences."
  type        = object({ issuer = string, audience = list(string) })
  default     = null
}

variable "bundle" {
  description = "Folder of the model's bundle."
  type        = string
  default     = "../../../build/model/default"
}

variable "layer" {
  description = "Zip that `make layer` built from the bundle."
  type        = string
  default     = "../../../target/lambda/layers/default.zip"
}

variable "release" {
  description = "Version that callers get, and the share of events that the newest version gets."
  type = object({
    version        = optional(string)
    newest_percent = optional(number, 0)
  })
  default = {}
}

# Region and credentials come from the environment.
provider "aws" {}

locals {
  built = "../../.."
}

module "semblance" {
  source = "../.."

  storage = "package"
  release = var.release

  artifacts = {
    similarity = "${local.built}/target/lambda/similarity/bootstrap.zip"
    bundle     = var.bundle
    layers     = { bi_encoder = var.layer }
  }
}

module "gateway" {
  source = "../../modules/gateway"

  name       = "semblance"
  api_keys   = var.api_keys
  jwt        = var.jwt
  throttling = { rate = 20, burst = 40 }

  alias = {
    function_name = module.semblance.function_name
    name          = module.semblance.alias_name
    invoke_arn    = module.semblance.invoke_arn
  }

  package = { filename = "${local.built}/target/lambda/authorizer/bootstrap.zip" }
}

output "url" {
  description = "Base address of the API; the one of OpenAI's clients ends in /v1."
  value       = module.gateway.url
}

output "api_id" {
  description = "Id of the API."
  value       = module.gateway.api_id
}

output "semblance" {
  description = "Outputs of the deployment."
  value       = module.semblance
}
