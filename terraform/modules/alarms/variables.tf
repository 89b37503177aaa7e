################################################################################
# What is watched
################################################################################

variable "function" {
  description = "Function to watch, from the outputs of the root module: its name (function_name), alias (alias_name), log group (cloudwatch_logs_name) and the URL of its dead letters (dead_letter_queue_url); the inputs lambda_timeout, memory_size and concurrency, by default those of the root module; and whether the input provisioned_concurrency is set."
  type = object({
    name                  = string
    alias                 = string
    log_group_name        = string
    dead_letter_queue_url = string
    timeout_seconds       = optional(number, 120)
    memory_mb             = optional(number, 1280)
    concurrency           = optional(number, 25)

    provisioned_concurrency = optional(bool, false)
  })
  nullable = false
}

variable "sync_function_name" {
  description = "Name of the function that copies models (model_sync_function_name); null with storage = package."
  type        = string
  default     = null
}

################################################################################
# Alarms
################################################################################

variable "topic_arns" {
  description = "ARNs of the SNS topics that get a message when an alarm begins or ends, at least one."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.topic_arns) >= 1 && alltrue([for arn in var.topic_arns : can(regex("^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]+$", arn))])
    error_message = "topic_arns must hold ARNs of SNS topics, at least one."
  }
}

variable "thresholds" {
  description = "When alarms begin: faults a minute (faults), milliseconds of the slowest of a hundred events (slow_ms), and shares of the timeout (timeout_share), the memory (memory_share) and the reserved concurrency (concurrency_share), above 0 to 1."
  type = object({
    faults            = optional(number, 1)
    slow_ms           = optional(number, 1000)
    timeout_share     = optional(number, 0.8)
    memory_share      = optional(number, 0.85)
    concurrency_share = optional(number, 0.8)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.thresholds.faults >= 1 && var.thresholds.slow_ms > 0
    error_message = "thresholds.faults must be at least 1, and thresholds.slow_ms above 0."
  }

  validation {
    condition     = alltrue([for share in [var.thresholds.timeout_share, var.thresholds.memory_share, var.thresholds.concurrency_share] : share > 0 && share <= 1])
    error_message = "thresholds.timeout_share, memory_share and concurrency_share must be above 0 and at most 1."
  }
}

variable "dashboard" {
  description = "Create a dashboard with the alarms, the metrics and queries of the log. CloudWatch charges for more than three dashboards of an account."
  type        = bool
  default     = false
  nullable    = false
}

variable "tags" {
  description = "Tags of the alarms, key => value."
  type        = map(string)
  default     = {}
  nullable    = false
}
