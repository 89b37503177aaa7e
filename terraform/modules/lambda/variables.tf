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
  description = "Zip with the executable `bootstrap` at its root (filename: a path, or s3://bucket/key?versionId=VERSION), its SHA-256 in hexadecimal (sha256, required for S3), and its architecture (x86_64 or arm64). If a path does not exist, the code of an existing function does not change."
  type = object({
    filename     = string
    sha256       = optional(string)
    architecture = optional(string, "x86_64")
  })
  nullable = false

  validation {
    condition     = contains(["x86_64", "arm64"], var.package.architecture)
    error_message = "package.architecture must be x86_64 or arm64."
  }

  validation {
    condition     = var.package.sha256 == null || can(regex("^[0-9a-f]{64}$", var.package.sha256))
    error_message = "package.sha256 must be 64 lowercase hexadecimal digits."
  }

  validation {
    condition     = !startswith(var.package.filename, "s3://") || (can(regex("^s3://[^/?]+/[^?]+(\\?versionId=[^&]+)?$", var.package.filename)) && var.package.sha256 != null)
    error_message = "package.filename in S3 must be s3://bucket/key or s3://bucket/key?versionId=VERSION, and needs package.sha256; it is ${var.package.filename}."
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
  description = "Subnets and security groups of the function's network interfaces, by id; null for a function without a network."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  default = null

  validation {
    condition     = var.vpc_config == null || try(length(var.vpc_config.subnet_ids) >= 2, false)
    error_message = "vpc_config.subnet_ids must hold two or more subnets, in different availability zones."
  }

  validation {
    condition     = var.vpc_config == null || try(length(var.vpc_config.security_group_ids) >= 1 && length(var.vpc_config.security_group_ids) <= 5, false)
    error_message = "vpc_config.security_group_ids must hold one to five security groups."
  }
}

variable "network_interfaces" {
  description = "Whether the role may manage network interfaces, which vpc_config needs. A separate input, because the network depends on the policy."
  type        = bool
  default     = true
  nullable    = false
}

variable "file_system_config" {
  description = "EFS access point (efs_access_point_arn) of a file system (file_system_arn), the absolute path where it is mounted (local_mount_path, /mnt/ and one folder) and whether the role may write (writable); null for a function without a file system. Needs vpc_config."
  type = object({
    efs_access_point_arn = string
    file_system_arn      = string
    local_mount_path     = string
    writable             = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.file_system_config == null || var.vpc_config != null
    error_message = "file_system_config needs vpc_config: a file system can be reached only from its network."
  }

  validation {
    condition     = var.file_system_config == null || try(can(regex("^/mnt/[a-zA-Z0-9_.-]+$", var.file_system_config.local_mount_path)) && length(var.file_system_config.local_mount_path) <= 160, false)
    error_message = "file_system_config.local_mount_path must be /mnt/ and one folder of letters, digits, hyphen, underscore and dot, at most 160 characters: such as /mnt/models."
  }

  validation {
    condition     = var.file_system_config == null || can(regex("^arn:aws[a-z-]*:elasticfilesystem:[a-z0-9-]+:[0-9]{12}:access-point/fsap-[0-9a-f]+$", var.file_system_config.efs_access_point_arn))
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

variable "log_levels" {
  description = "Lowest level of the log lines that are kept: of the function (application: TRACE, DEBUG, INFO, WARN, ERROR or FATAL; TRACE logs complete events) and of Lambda (system: DEBUG, INFO or WARN)."
  type = object({
    application = optional(string, "INFO")
    system      = optional(string, "INFO")
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"], var.log_levels.application) && contains(["DEBUG", "INFO", "WARN"], var.log_levels.system)
    error_message = "log_levels.application must be TRACE, DEBUG, INFO, WARN, ERROR or FATAL, and log_levels.system DEBUG, INFO or WARN."
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
  description = "Alias that callers use (name)."
  type = object({
    name = optional(string, "live")
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,128}$", var.alias.name)) && !can(regex("^[0-9]+$", var.alias.name))
    error_message = "alias.name must be 1 to 128 letters, digits, hyphens and underscores, and not only digits."
  }
}

variable "release" {
  description = "Version that callers get: an earlier version to roll back to or to stay on (version; null for the newest), and the share of events that the newest version gets meanwhile (newest_percent, 0 to 99)."
  type = object({
    version        = optional(string)
    newest_percent = optional(number, 0)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.release.version == null || can(regex("^[1-9][0-9]*$", var.release.version))
    error_message = "release.version must be the number of a published version, such as 4, or null."
  }

  validation {
    condition     = var.release.newest_percent >= 0 && var.release.newest_percent <= 99
    error_message = "release.newest_percent must be 0 to 99. Remove release.version to send every event to the newest version."
  }

  validation {
    condition     = var.release.newest_percent == 0 || var.release.version != null
    error_message = "release.newest_percent needs release.version, the version that gets the other events."
  }

  validation {
    condition     = var.release.version == null || var.publish
    error_message = "release.version needs publish: without it there are no numbered versions."
  }
}

variable "gate" {
  description = "What a version must answer before the alias moves to it: the score of the text query with itself must be 1, and with text the known score (null: less than 1), both within tolerance. null moves the alias without a question."
  type = object({
    query     = string
    text      = string
    score     = optional(number)
    tolerance = optional(number, 0.001)
  })
  default = null

  validation {
    condition     = var.gate == null || try(var.gate.query != "" && var.gate.text != "" && var.gate.query != var.gate.text, false)
    error_message = "gate.query and gate.text must be two different texts."
  }

  validation {
    condition     = var.gate == null || try(var.gate.tolerance > 0 && var.gate.tolerance < 1 && (var.gate.score == null ? true : abs(var.gate.score) <= 1), false)
    error_message = "gate.score must be -1 to 1, and gate.tolerance above 0 and below 1."
  }
}

################################################################################
# Events
################################################################################

variable "asynchronous" {
  description = "Asynchronous events: maximum age (event_age_in_seconds, 60 to 21600) and number of retries (retry_attempts, 0 to 2) before an event is sent to the dead-letter queue, and the days that the queue keeps it (dead_letter_retention_days, 1 to 14). The queue holds complete events, with the callers' texts."
  type = object({
    event_age_in_seconds       = optional(number, 100)
    retry_attempts             = optional(number, 0)
    dead_letter_retention_days = optional(number, 14)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.asynchronous.event_age_in_seconds >= 60 && var.asynchronous.event_age_in_seconds <= 21600
    error_message = "asynchronous.event_age_in_seconds must be 60 to 21600 seconds."
  }

  validation {
    condition     = contains([0, 1, 2], var.asynchronous.retry_attempts)
    error_message = "asynchronous.retry_attempts must be 0, 1 or 2."
  }

  validation {
    condition     = var.asynchronous.dead_letter_retention_days >= 1 && var.asynchronous.dead_letter_retention_days <= 14 && floor(var.asynchronous.dead_letter_retention_days) == var.asynchronous.dead_letter_retention_days
    error_message = "asynchronous.dead_letter_retention_days must be a whole number of days from 1 to 14."
  }
}

variable "keep_awake" {
  description = "Schedule on which the alias is invoked, so that Lambda keeps the function active (schedule: rate(...) or cron(...)), and what is sent (events: name => JSON; null sends the scheduled event itself). null creates no schedule."
  type = object({
    schedule = string
    events   = optional(map(string), { alias = null })
  })
  default = null

  validation {
    condition     = var.keep_awake == null || can(regex("^(rate|cron)\\(.+\\)$", var.keep_awake.schedule))
    error_message = "keep_awake.schedule must be rate(...) or cron(...), such as rate(1 day)."
  }
}

################################################################################
# Warm environments and URL
################################################################################

variable "provisioned_concurrency" {
  description = "Warm environments of the version that callers get: minimum and maximum number, and target_utilization, 0.1 to 0.9. With release.newest_percent, the newest version has none. null keeps none warm."
  type = object({
    minimum            = number
    maximum            = number
    target_utilization = optional(number, 0.7)
  })
  default = null

  validation {
    condition     = var.provisioned_concurrency == null || try(var.provisioned_concurrency.minimum >= 1 && var.provisioned_concurrency.maximum >= var.provisioned_concurrency.minimum, false)
    error_message = "provisioned_concurrency must have a minimum of at least 1 and a maximum of at least the minimum."
  }

  validation {
    condition     = var.provisioned_concurrency == null || try(var.provisioned_concurrency.target_utilization >= 0.1 && var.provisioned_concurrency.target_utilization <= 0.9, false)
    error_message = "provisioned_concurrency.target_utilization must be 0.1 to 0.9."
  }

  validation {
    condition     = var.provisioned_concurrency == null || var.concurrency == -1 || try(var.provisioned_concurrency.maximum + var.provisioned_concurrency.minimum <= var.concurrency, false)
    error_message = "provisioned_concurrency.maximum and minimum together must not exceed concurrency, the number of reserved executions: during an update, the version before keeps up to maximum environments while the new one starts minimum."
  }

  validation {
    condition     = var.provisioned_concurrency == null || var.publish
    error_message = "provisioned_concurrency needs publish: Lambda supports provisioned concurrency only for published versions, not for $LATEST."
  }
}

variable "function_url" {
  description = "URL of the alias with IAM authentication: ARNs of other accounts' principals that may call it (allowed_principal_arns), and origins whose pages may call it (cors_origins), such as https://example.com, or only *. null creates no URL."
  type = object({
    allowed_principal_arns = optional(list(string), [])
    cors_origins           = optional(list(string), [])
  })
  default = null

  validation {
    condition     = alltrue([for arn in try(var.function_url.allowed_principal_arns, []) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/", arn)) || can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:root$", arn))])
    error_message = "function_url.allowed_principal_arns must hold ARNs of IAM roles, users or account roots."
  }

  validation {
    condition     = try(var.function_url.cors_origins, []) == tolist(["*"]) || alltrue([for origin in try(var.function_url.cors_origins, []) : can(regex("^https?://[a-z0-9.-]+(:[0-9]{1,5})?$", origin))])
    error_message = "function_url.cors_origins must hold origins as browsers send them (scheme, lowercase host and port without a path), such as https://example.com or http://localhost:8000, or only *."
  }
}

################################################################################
# Security, layers and tags
################################################################################

variable "security" {
  description = "What an organization requires: permissions boundary of the roles (permissions_boundary_arn), their path (role_path), a KMS key that encrypts the environment, logs and dead letters (kms_key_arn; its policy must allow the CloudWatch Logs service), and a code signing configuration (code_signing_config_arn; the zips must be signed ones in S3)."
  type = object({
    permissions_boundary_arn = optional(string)
    role_path                = optional(string, "/")
    kms_key_arn              = optional(string)
    code_signing_config_arn  = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.security.permissions_boundary_arn == null || can(regex("^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/", var.security.permissions_boundary_arn))
    error_message = "security.permissions_boundary_arn must be the ARN of an IAM policy."
  }

  validation {
    condition     = can(regex("^/([!-~]+/)?$", var.security.role_path))
    error_message = "security.role_path must begin and end with a slash, such as /services/."
  }

  validation {
    condition     = var.security.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/", var.security.kms_key_arn))
    error_message = "security.kms_key_arn must be the ARN of a KMS key."
  }

  validation {
    condition     = var.security.code_signing_config_arn == null || (can(regex("^arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:code-signing-config:csc-[a-z0-9]+$", var.security.code_signing_config_arn)) && startswith(var.package.filename, "s3://"))
    error_message = "security.code_signing_config_arn must be the ARN of a code signing configuration, and package.filename a signed zip in S3."
  }
}

variable "layers" {
  description = "ARNs of layer versions, at most five, in the order in which they are laid over /opt: the model of a function without a file system, or extensions. An extension that sends data needs a route to its service."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.layers) <= 5
    error_message = "layers must hold at most five layer versions."
  }
}

variable "tags" {
  description = "Tags of every resource, key => value."
  type        = map(string)
  default     = {}
  nullable    = false
}
