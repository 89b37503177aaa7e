################################################################################
# Function
################################################################################

variable "function_name" {
  description = "Name of the similarity function, and prefix of every other name: 1 to 53 characters, letters, digits, hyphen and underscore, beginning with a letter or digit."
  type        = string
  default     = "semblance"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,52}$", var.function_name))
    error_message = "function_name must be 1 to 53 characters: letters, digits, hyphen and underscore, beginning with a letter or digit."
  }
}

variable "description" {
  description = "What the similarity function does, at most 256 characters."
  type        = string
  default     = "Scores how similar sentences are to a query"
  nullable    = false

  validation {
    condition     = length(var.description) <= 256
    error_message = "description must be at most 256 characters."
  }
}

variable "memory_size" {
  description = "Memory of the similarity function in MB, 128 to 10240. Lambda provides one CPU for each 1769 MB."
  type        = number
  default     = 1280
  nullable    = false

  validation {
    condition     = var.memory_size >= 128 && var.memory_size <= 10240 && floor(var.memory_size) == var.memory_size
    error_message = "memory_size must be a whole number of MB from 128 to 10240."
  }
}

variable "concurrency" {
  description = "Reserved concurrent executions of the similarity function, 1 to 1000, taken from the account's limit. 0 turns the function off; -1 reserves nothing, for accounts with a small limit."
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
  description = "Environment variables of the similarity function, name => value, such as SEMBLANCE_MAX_TEXTS. The deployment sets SEMBLANCE_BUNDLE and SEMBLANCE_CROSS_ENCODER_BUNDLE; alias.function_url.cors_origins sets SEMBLANCE_CORS_ORIGINS. Do not put secrets here: values are stored in the state in plain text."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.environment) : can(regex("^[A-Za-z][A-Za-z0-9_]+$", name)) && !startswith(name, "AWS_LAMBDA_")])
    error_message = "environment names must be letters, digits and underscores, begin with a letter, and not begin with AWS_LAMBDA_, which is reserved for Lambda."
  }

  validation {
    condition     = length(setintersection(keys(var.environment), ["SEMBLANCE_BUNDLE", "SEMBLANCE_CROSS_ENCODER_BUNDLE"])) == 0
    error_message = "environment must not contain SEMBLANCE_BUNDLE or SEMBLANCE_CROSS_ENCODER_BUNDLE: the deployment sets them to the copied folders."
  }

  validation {
    condition     = !contains(keys(var.environment), "SEMBLANCE_CORS_ORIGINS") || length(try(var.alias.function_url.cors_origins, [])) == 0
    error_message = "environment must not contain SEMBLANCE_CORS_ORIGINS if alias.function_url.cors_origins is set, which sets it."
  }
}

################################################################################
# Artifacts
################################################################################

variable "artifacts" {
  description = "Paths of what is deployed, relative to this folder: the zips of both functions (similarity, model_sync), the folder of the model (bundle), the folder of a cross-encoder that reranks and scores pairs (cross_encoder, none by default); and the architecture of the zips (x86_64 or arm64)."
  type = object({
    similarity    = optional(string, "../target/lambda/similarity/bootstrap.zip")
    model_sync    = optional(string, "../target/lambda/model-sync/bootstrap.zip")
    bundle        = optional(string, "../build/model/default")
    cross_encoder = optional(string)
    architecture  = optional(string, "x86_64")
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["x86_64", "arm64"], var.artifacts.architecture)
    error_message = "artifacts.architecture must be x86_64 or arm64."
  }

  validation {
    condition     = try(jsondecode(file("${var.artifacts.bundle}/bundle.json")).task, "embedding") == "embedding"
    error_message = "artifacts.bundle must be an embedding model; ${var.artifacts.bundle} has another task. Set a cross-encoder in artifacts.cross_encoder."
  }

  validation {
    condition     = var.artifacts.cross_encoder == null || try(jsondecode(file("${var.artifacts.cross_encoder}/bundle.json")).task == "cross-encoder", false)
    error_message = "artifacts.cross_encoder must be a folder whose bundle.json has the task cross-encoder, or null."
  }
}

################################################################################
# Network and file system
################################################################################

variable "vpc_config" {
  description = "Network of the functions. By default a VPC is created (cidr_block, /16 to /24) with a private subnet in each of two to six zones (availability_zones; by default the first two of the region). To use existing resources, set subnet_ids in two or more zones, security_group_ids (created if empty), and route_table_ids, in which an S3 gateway endpoint is created (leave empty if the subnets already reach S3)."
  type = object({
    cidr_block         = optional(string, "10.42.0.0/20")
    availability_zones = optional(list(string), [])
    subnet_ids         = optional(list(string), [])
    security_group_ids = optional(list(string), [])
    route_table_ids    = optional(list(string), [])
  })
  default  = {}
  nullable = false
}

variable "file_system_config" {
  description = "File system that holds the models: the absolute path where it is mounted (local_mount_path, /mnt/ and one folder). To use an existing file system, set the ARN of its EFS access point (efs_access_point_arn) and optionally of another for writing (writer_access_point_arn, the same by default)."
  type = object({
    local_mount_path        = optional(string, "/mnt/models")
    efs_access_point_arn    = optional(string)
    writer_access_point_arn = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^/mnt/[a-zA-Z0-9_.-]+$", var.file_system_config.local_mount_path)) && length(var.file_system_config.local_mount_path) <= 160
    error_message = "file_system_config.local_mount_path must be /mnt/ and one folder of letters, digits, hyphen, underscore and dot, at most 160 characters: such as /mnt/models."
  }

  validation {
    condition     = alltrue([for arn in [var.file_system_config.efs_access_point_arn, var.file_system_config.writer_access_point_arn] : arn == null || can(regex("^arn:aws[a-z-]*:elasticfilesystem:[a-z0-9-]+:[0-9]{12}:access-point/fsap-[0-9a-f]+$", arn))])
    error_message = "file_system_config.efs_access_point_arn and writer_access_point_arn must be ARNs of EFS access points."
  }

  validation {
    condition     = var.file_system_config.writer_access_point_arn == null || var.file_system_config.efs_access_point_arn != null
    error_message = "file_system_config.writer_access_point_arn needs efs_access_point_arn: both must belong to one file system."
  }

  validation {
    condition     = var.file_system_config.efs_access_point_arn == null || (length(var.vpc_config.subnet_ids) >= 2 && length(var.vpc_config.security_group_ids) >= 1)
    error_message = "file_system_config.efs_access_point_arn needs vpc_config.subnet_ids (two or more) and vpc_config.security_group_ids: a file system can be reached only from its own network."
  }
}

################################################################################
# Logs and traces
################################################################################

variable "log_retention" {
  description = "Number of days to keep the logs of both functions, one of the values that CloudWatch accepts: 1, 3, 5, 7, 14, 30, 60, 90 and so on to 3653."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention)
    error_message = "log_retention must be a number of days that CloudWatch accepts: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "tracing_config" {
  description = "X-Ray tracing of the similarity function (mode): Active traces a sample of all events, PassThrough only events that the caller decided to trace."
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
    condition     = try(var.alias.function_url.cors_origins, []) == tolist(["*"]) || alltrue([for origin in try(var.alias.function_url.cors_origins, []) : can(regex("^https?://[a-z0-9.-]+(:[0-9]{1,5})?$", origin))])
    error_message = "alias.function_url.cors_origins must hold origins as browsers send them (scheme, lowercase host and port without a path), such as https://example.com or http://localhost:8000, or only *."
  }
}

################################################################################
# Tags
################################################################################

variable "tags" {
  description = "Tags of every resource, key => value, at most 45."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.tags) <= 45 && alltrue([for key, value in var.tags : length(key) >= 1 && length(key) <= 128 && length(value) <= 256 && !startswith(lower(key), "aws:")])
    error_message = "tags must be at most 45, with keys of 1 to 128 characters that do not begin with aws: and values of at most 256 characters."
  }
}
