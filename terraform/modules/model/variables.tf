################################################################################
# Bundles
################################################################################

variable "bundles" {
  description = "Folders of the model bundles, any name => folder with bundle.json and the files it lists. Run `make model` to build one."
  type        = map(string)
  nullable    = false

  validation {
    condition     = length(var.bundles) >= 1 && alltrue([for folder in values(var.bundles) : fileexists("${folder}/bundle.json")])
    error_message = "Each bundle must be a folder that holds bundle.json, and at least one bundle is required; without bundle.json: ${join(", ", [for folder in values(var.bundles) : folder if !fileexists("${folder}/bundle.json")])}. Run `make model` to build a bundle."
  }
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

  validation {
    condition     = var.noncurrent_days >= 1 && var.noncurrent_days <= 365 && floor(var.noncurrent_days) == var.noncurrent_days
    error_message = "noncurrent_days must be a whole number of days from 1 to 365."
  }
}

################################################################################
# Sync function
################################################################################

variable "package" {
  description = "Zip of the model-sync function (filename: path) and its architecture (x86_64 or arm64)."
  type = object({
    filename     = string
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
