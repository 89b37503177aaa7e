# The defaults, and alarms that tell a topic, to which an address is subscribed.
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

variable "email" {
  description = "Address that gets the alarms; it must confirm the subscription."
  type        = string
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

resource "aws_sns_topic" "this" {
  #checkov:skip=CKV_AWS_26:The messages have names and numbers, no texts. A key of the account must allow CloudWatch.
  name = "semblance-alarms"
}

resource "aws_sns_topic_subscription" "this" {
  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = var.email
}

module "alarms" {
  source = "../../modules/alarms"

  topic_arns         = [aws_sns_topic.this.arn]
  sync_function_name = module.semblance.model_sync_function_name

  function = {
    name                  = module.semblance.function_name
    alias                 = module.semblance.alias_name
    log_group_name        = module.semblance.cloudwatch_logs_name
    dead_letter_queue_url = module.semblance.dead_letter_queue_url
  }
}

output "alarm_arns" {
  description = "ARNs of the alarms."
  value       = module.alarms.alarm_arns
}
