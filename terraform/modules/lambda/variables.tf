################################################################################
# Function
################################################################################

variable "function_name" {
  description = "Name of the function, its role, log group and dead-letter queue: 1 to 64 characters, letters, digits, hyphen and underscore."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,64}$", var.function_name))
    error_message = "function_name must be 1 to 64 characters: letters, digits, hyphen and underscore."
  }
}

variable "description" {
  description = "What the function does, at most 256 characters."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.description) <= 256
    error_message = "description must be at most 256 characters."
  }
}

variable "package" {
  description = "Zip with the executable `bootstrap` at its root (filename: path), and its architecture (x86_64 or arm64)."
  type = object({
    filename     = string
    architecture = optional(string, "x86_64")
  })
  nullable = false

  validation {
    condition     = contains(["x86_64", "arm64"], var.package.architecture)
    error_message = "package.architecture must be x86_64 or arm64."
  }

  validation {
    condition     = fileexists(var.package.filename)
    error_message = "package.filename must be an existing zip; ${var.package.filename} does not exist. Run `make package` to build it."
  }
}

variable "memory_size" {
  description = "Memory of the function in MB, 128 to 10240. Lambda provides one CPU for each 1769 MB."
  type        = number
  default     = 1280
  nullable    = false

  validation {
    condition     = var.memory_size >= 128 && var.memory_size <= 10240 && floor(var.memory_size) == var.memory_size
    error_message = "memory_size must be a whole number of MB from 128 to 10240."
  }
}

variable "concurrency" {
  description = "Reserved concurrent executions of the function, 1 to 1000, taken from the account's limit. 0 turns the function off; -1 reserves nothing."
  type        = number
  default     = 25
  nullable    = false

  validation {
    condition     = var.concurrency >= -1 && var.concurrency <= 1000 && floor(var.concurrency) == var.concurrency
    error_message = "concurrency must be a whole number: 1 to 1000 concurrent executions, 0 to turn the function off, or -1 to reserve nothing."
  }
}

variable "lambda_timeout" {
  description = "Maximum duration of an event in seconds, 1 to 900."
  type        = number
  default     = 120
  nullable    = false

  validation {
    condition     = var.lambda_timeout >= 1 && var.lambda_timeout <= 900 && floor(var.lambda_timeout) == var.lambda_timeout
    error_message = "lambda_timeout must be a whole number of seconds from 1 to 900."
  }
}

variable "environment" {
  description = "Environment variables of the function, name => value. Do not put secrets here: values are stored in the state in plain text."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.environment) : can(regex("^[A-Za-z][A-Za-z0-9_]+$", name)) && !startswith(name, "AWS_LAMBDA_")])
    error_message = "environment names must be letters, digits and underscores, begin with a letter, and not begin with AWS_LAMBDA_, which is reserved for Lambda."
  }
}

################################################################################
# Network and file system
################################################################################

variable "vpc_config" {
  description = "Subnets and security groups of the function's network interfaces, by id."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  nullable = false

  validation {
    condition     = length(var.vpc_config.subnet_ids) >= 2
    error_message = "vpc_config.subnet_ids must hold two or more subnets, in different availability zones."
  }

  validation {
    condition     = length(var.vpc_config.security_group_ids) >= 1 && length(var.vpc_config.security_group_ids) <= 5
    error_message = "vpc_config.security_group_ids must hold one to five security groups."
  }
}

variable "file_system_config" {
  description = "EFS access point (efs_access_point_arn) of a file system (file_system_arn), the absolute path where it is mounted (local_mount_path, /mnt/ and one folder) and whether the role may write (writable)."
  type = object({
    efs_access_point_arn = string
    file_system_arn      = string
    local_mount_path     = string
    writable             = optional(bool, false)
  })
  nullable = false

  validation {
    condition     = can(regex("^/mnt/[a-zA-Z0-9_.-]+$", var.file_system_config.local_mount_path)) && length(var.file_system_config.local_mount_path) <= 160
    error_message = "file_system_config.local_mount_path must be /mnt/ and one folder of letters, digits, hyphen, underscore and dot, at most 160 characters: such as /mnt/models."
  }

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:elasticfilesystem:[a-z0-9-]+:[0-9]{12}:access-point/fsap-[0-9a-f]+$", var.file_system_config.efs_access_point_arn))
    error_message = "file_system_config.efs_access_point_arn must be the ARN of an EFS access point."
  }
}

################################################################################
# Permissions
################################################################################

variable "policy" {
  description = "Permissions of the function's code in addition to its own logs, traces and file system: IAM statements as JSON, or null."
  type        = string
  default     = null

  validation {
    condition     = var.policy == null || can(jsondecode(var.policy).Statement)
    error_message = "policy must be the JSON of an IAM policy with a Statement, or null."
  }
}

################################################################################
# Logs and traces
################################################################################

variable "log_retention" {
  description = "Number of days to keep logs, one of the values that CloudWatch accepts: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention)
    error_message = "log_retention must be a number of days that CloudWatch accepts: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "tracing_config" {
  description = "X-Ray tracing (mode): Active traces a sample of all events, PassThrough only events that the caller decided to trace."
  type = object({
    mode = optional(string, "Active")
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["Active", "PassThrough"], var.tracing_config.mode)
    error_message = "tracing_config.mode must be Active or PassThrough."
  }
}

################################################################################
# Version and alias
################################################################################

variable "publish" {
  description = "Publish every change as a numbered version and move the alias to it. false leaves the alias on $LATEST, without provisioned concurrency or rollback."
  type        = bool
  default     = true
  nullable    = false
}

variable "alias" {
  description = "Alias that callers use (name) and its settings. For asynchronous events: maximum age (event_age_in_seconds, 60 to 21600) and number of retries (retry_attempts, 0 to 2) before an event is sent to the dead-letter queue. provisioned_concurrency: minimum and maximum number of warm environments, and target_utilization, 0.1 to 0.9. function_url: a URL with IAM authentication, with allowed_principal_arns of other accounts and cors_origins, the origins whose pages may call it, such as https://example.com, or only *."
  type = object({
    name                 = optional(string, "live")
    event_age_in_seconds = optional(number, 100)
    retry_attempts       = optional(number, 0)
    provisioned_concurrency = optional(object({
      minimum            = number
      maximum            = number
      target_utilization = optional(number, 0.7)
    }))
    function_url = optional(object({
      allowed_principal_arns = optional(list(string), [])
      cors_origins           = optional(list(string), [])
    }))
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,128}$", var.alias.name)) && !can(regex("^[0-9]+$", var.alias.name))
    error_message = "alias.name must be 1 to 128 letters, digits, hyphens and underscores, and not only digits."
  }

  validation {
    condition     = var.alias.event_age_in_seconds >= 60 && var.alias.event_age_in_seconds <= 21600
    error_message = "alias.event_age_in_seconds must be 60 to 21600 seconds."
  }

  validation {
    condition     = contains([0, 1, 2], var.alias.retry_attempts)
    error_message = "alias.retry_attempts must be 0, 1 or 2."
  }

  validation {
    condition     = var.alias.provisioned_concurrency == null || try(var.alias.provisioned_concurrency.minimum >= 1 && var.alias.provisioned_concurrency.maximum >= var.alias.provisioned_concurrency.minimum, false)
    error_message = "alias.provisioned_concurrency must have a minimum of at least 1 and a maximum of at least the minimum."
  }

  validation {
    condition     = var.alias.provisioned_concurrency == null || try(var.alias.provisioned_concurrency.target_utilization >= 0.1 && var.alias.provisioned_concurrency.target_utilization <= 0.9, false)
    error_message = "alias.provisioned_concurrency.target_utilization must be 0.1 to 0.9."
  }

  validation {
    condition     = var.alias.provisioned_concurrency == null || var.concurrency == -1 || try(var.alias.provisioned_concurrency.maximum <= var.concurrency, false)
    error_message = "alias.provisioned_concurrency.maximum must not exceed concurrency, the number of reserved executions."
  }

  validation {
    condition     = var.alias.provisioned_concurrency == null || var.publish
    error_message = "alias.provisioned_concurrency needs publish: Lambda supports provisioned concurrency only for published versions, not for $LATEST."
  }

  validation {
    condition     = alltrue([for arn in try(var.alias.function_url.allowed_principal_arns, []) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/", arn)) || can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:root$", arn))])
    error_message = "alias.function_url.allowed_principal_arns must hold ARNs of IAM roles, users or account roots."
  }

  validation {
    condition     = try(var.alias.function_url.cors_origins, []) == tolist(["*"]) || alltrue([for origin in try(var.alias.function_url.cors_origins, []) : can(regex("^https?://[a-z0-9.-]+(:[0-9]{1,5})?$", origin))])
    error_message = "alias.function_url.cors_origins must hold origins as browsers send them (scheme, lowercase host and port without a path), such as https://example.com or http://localhost:8000, or only *."
  }
}
