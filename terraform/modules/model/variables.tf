################################################################################
# Bundles
################################################################################

variable "bundles" {
  description = "Model bundles, any name => folder with bundle.json and the files it lists (`make model` builds one), or s3://bucket/prefix/model_name/digest, a folder in S3 that holds the same files. Either every bundle is in S3, in one bucket and prefix, or none. If a folder does not exist, the bundle of an existing deployment does not change."
  type        = map(string)
  nullable    = false

  validation {
    condition     = length(var.bundles) >= 1
    error_message = "bundles must hold at least one bundle."
  }

  validation {
    condition     = alltrue([for bundle in values(var.bundles) : !startswith(bundle, "s3://") || can(regex("^s3://[a-z0-9][a-z0-9.-]{2,62}/[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+){0,3}/[a-z0-9][a-z0-9._-]{0,63}/[0-9a-f]{64}/?$", bundle))])
    error_message = "A bundle in S3 must be s3://bucket/prefix/model_name/digest, where digest is the sha256 of its bundle.json; these are ${join(", ", values(var.bundles))}."
  }

  validation {
    condition     = length(distinct([for bundle in values(var.bundles) : try(regex("^(s3://.+)/[^/]+/[^/]+/?$", bundle)[0], "folder")])) == 1
    error_message = "Either every bundle is in S3, in one bucket and prefix, or none; these are ${join(", ", values(var.bundles))}."
  }
}

################################################################################
# Indexes
################################################################################

variable "indexes" {
  description = "Where indexes are in S3, which the function copies as well: their bucket (null for this module's) and prefix, and the hours that a version stays on the file system after it was replaced (grace_hours, 0 to 8760). null without indexes."
  type = object({
    bucket      = optional(string)
    prefix      = string
    grace_hours = optional(number, 24)
  })
  default = null

  validation {
    condition     = var.indexes == null || try(var.indexes.grace_hours >= 0 && var.indexes.grace_hours <= 8760 && floor(var.indexes.grace_hours) == var.indexes.grace_hours, false)
    error_message = "indexes.grace_hours must be a whole number of hours from 0 to 8760."
  }
}

variable "scheduled_events" {
  description = "What the schedule sends to the model-sync function besides the bundles, any name => JSON."
  type        = map(string)
  default     = {}
  nullable    = false
}

################################################################################
# Bucket
################################################################################

variable "name" {
  description = "Name of the model-sync function and prefix of the bucket's name: 1 to 64 characters, letters, digits, hyphen and underscore."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", var.name))
    error_message = "name must be 1 to 64 characters: letters, digits, hyphen and underscore, beginning with a letter or digit."
  }
}

variable "prefix" {
  description = "Folder of the bucket that holds the bundles: one to four names of letters, digits, dot, hyphen and underscore, joined by slashes, without a slash at either end."
  type        = string
  default     = "models"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+){0,3}$", var.prefix))
    error_message = "prefix must be one to four names joined by slashes, without a slash at either end: such as models."
  }
}

variable "noncurrent_days" {
  description = "Number of days that S3 keeps an object after it was replaced or deleted, 1 to 365."
  type        = number
  default     = 30
  nullable    = false
}

################################################################################
# Sync function
################################################################################

variable "package" {
  description = "Zip of the model-sync function (filename: a path, or s3://bucket/key?versionId=VERSION), its SHA-256 in hexadecimal (sha256, required for S3) and its architecture (x86_64 or arm64)."
  type = object({
    filename     = string
    sha256       = optional(string)
    architecture = optional(string, "x86_64")
  })
  nullable = false
}

variable "memory_size" {
  description = "Memory of the model-sync function in MB, 128 to 10240. More memory also copies faster, because CPU and network scale with it."
  type        = number
  default     = 1024
  nullable    = false
}

variable "concurrency" {
  description = "Reserved concurrent executions of the model-sync function: 1 to 1000, or -1 to reserve nothing. Two per bundle allow a second apply while the first one hangs; concurrent copies are safe."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = var.concurrency != 0
    error_message = "concurrency must not be 0: every apply invokes the model-sync function."
  }
}

variable "lambda_timeout" {
  description = "Maximum duration of a copy in seconds, 1 to 900."
  type        = number
  default     = 600
  nullable    = false
}

variable "log_retention" {
  description = "Number of days to keep the logs of the model-sync function, one of the values that CloudWatch accepts."
  type        = number
  default     = 30
  nullable    = false
}

variable "keep_awake" {
  description = "Schedule on which every bundle is copied again, which copies nothing if it is there (schedule: rate(...) or cron(...)); null creates no schedule."
  type = object({
    schedule = string
  })
  default = null
}

variable "log_levels" {
  description = "Lowest level of the log lines that are kept: of the function (application: TRACE, DEBUG, INFO, WARN, ERROR or FATAL; TRACE logs complete events) and of Lambda (system: DEBUG, INFO or WARN)."
  type = object({
    application = optional(string, "INFO")
    system      = optional(string, "INFO")
  })
  default  = {}
  nullable = false
}

variable "keep_versions" {
  description = "Number of versions of a model to keep on the file system, 2 to 100: the requested one and the newest others. The version in service must survive the copy of the next one. Rolling back to a kept version copies nothing."
  type        = number
  default     = 3
  nullable    = false

  validation {
    condition     = var.keep_versions >= 2 && var.keep_versions <= 100 && floor(var.keep_versions) == var.keep_versions
    error_message = "keep_versions must be a whole number from 2 to 100: with 1, the version in service would be removed before the alias moves."
  }
}

variable "vpc_config" {
  description = "Subnets and security groups of the model-sync function, by id: NFS to the file system and HTTPS to S3."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  nullable = false
}

variable "file_system_config" {
  description = "EFS access point for writing (efs_access_point_arn) of a file system (file_system_arn), and the absolute path where both functions mount the file system (local_mount_path)."
  type = object({
    efs_access_point_arn = string
    file_system_arn      = string
    local_mount_path     = string
  })
  nullable = false
}

################################################################################
# Security and tags
################################################################################

variable "security" {
  description = "What an organization requires: permissions boundary of the roles (permissions_boundary_arn), their path (role_path), a KMS key that encrypts the bucket, the environment, logs and dead letters (kms_key_arn; its policy must allow the CloudWatch Logs service), and a code signing configuration (code_signing_config_arn; the zips must be signed ones in S3)."
  type = object({
    permissions_boundary_arn = optional(string)
    role_path                = optional(string, "/")
    kms_key_arn              = optional(string)
    code_signing_config_arn  = optional(string)
  })
  default  = {}
  nullable = false
}

variable "tags" {
  description = "Tags of every resource but the objects, key => value."
  type        = map(string)
  default     = {}
  nullable    = false
}
