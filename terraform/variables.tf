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
  description = "Environment variables of the similarity function, name => value, such as SEMBLANCE_MAX_TEXTS. The deployment sets SEMBLANCE_BUNDLE and SEMBLANCE_CROSS_ENCODER_BUNDLE; indexes sets SEMBLANCE_INDEX_DIR, and function_url.cors_origins SEMBLANCE_CORS_ORIGINS. Do not put secrets here: values are stored in the state in plain text."
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
    condition     = !contains(keys(var.environment), "SEMBLANCE_INDEX_DIR") || length(var.indexes) == 0
    error_message = "environment must not contain SEMBLANCE_INDEX_DIR if indexes is set, which sets it."
  }

  validation {
    condition     = !contains(keys(var.environment), "SEMBLANCE_CORS_ORIGINS") || length(try(var.function_url.cors_origins, [])) == 0
    error_message = "environment must not contain SEMBLANCE_CORS_ORIGINS if function_url.cors_origins is set, which sets it."
  }
}

################################################################################
# Artifacts
################################################################################

variable "artifacts" {
  description = "What is deployed. The zips of both functions (similarity, model_sync): a path relative to the working folder, by default what `make package` builds, or s3://bucket/key?versionId=VERSION with the SHA-256 in hexadecimal (sha256.similarity, sha256.model_sync). The model (bundle) and a cross-encoder that reranks and scores pairs (cross_encoder, none by default): the folder of a bundle, or s3://bucket/prefix/model_name/digest. With storage = package, the zips that `make layer` builds from the bundles (layers: bi_encoder, cross_encoder; a path, by default the one that `make layer` writes, or s3://bucket/key?versionId=VERSION). The architecture of the zips (x86_64 or arm64). What does not exist as a path does not change."
  type = object({
    similarity    = optional(string, "../target/lambda/similarity/bootstrap.zip")
    model_sync    = optional(string, "../target/lambda/model-sync/bootstrap.zip")
    bundle        = optional(string, "../build/model/default")
    cross_encoder = optional(string)
    layers        = optional(map(string), {})
    sha256        = optional(object({ similarity = optional(string), model_sync = optional(string) }), {})
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
    condition     = !try(fileexists("${var.artifacts.cross_encoder}/bundle.json"), false) || try(jsondecode(file("${var.artifacts.cross_encoder}/bundle.json")).task == "cross-encoder", false)
    error_message = "artifacts.cross_encoder must be a folder whose bundle.json has the task cross-encoder, or null."
  }
}

variable "indexes" {
  description = "Indexes of corpora that the function searches, name => folder of the index (`semblance index build`), or s3://bucket/prefix/name/manifests/DIGEST.json, the manifest of a version in a copy of such a folder in S3. Either every index is in S3, in one bucket and prefix, or none. A new version of an index needs no new version of the function. What does not exist as a path does not change. Needs storage = efs."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.indexes) == 0 || var.storage == "efs"
    error_message = "indexes needs storage = efs: indexes are on the file system."
  }
}

variable "storage" {
  description = "Where the model is: efs (a file system in a VPC, which a second function fills; models of any size, and a new model without a new package) or package (layers of the function, at most 262144000 bytes extracted together with the function; no VPC, no file system, no second function)."
  type        = string
  default     = "efs"
  nullable    = false

  validation {
    condition     = contains(["efs", "package"], var.storage)
    error_message = "storage must be efs or package."
  }
}

################################################################################
# Network and file system
################################################################################

variable "vpc_config" {
  description = "Network of the functions. By default a VPC is created (cidr_block, /16 to /24) with a private subnet in each of two to six zones (availability_zones, names or ids; by default the first two of the region that have EFS). To use existing resources, set subnet_ids in two or more zones, security_group_ids (created if empty), and route_table_ids, in which an S3 gateway endpoint is created, which allows all of S3 to everything but the functions (leave empty if the subnets already reach S3). interface_endpoints: services that extensions in layers send to, such as logs. Unused with storage = package."
  type = object({
    cidr_block          = optional(string, "10.42.0.0/20")
    availability_zones  = optional(list(string), [])
    subnet_ids          = optional(list(string), [])
    security_group_ids  = optional(list(string), [])
    route_table_ids     = optional(list(string), [])
    interface_endpoints = optional(list(string), [])
  })
  default  = {}
  nullable = false
}

variable "file_system_config" {
  description = "File system that holds the models: the absolute path where it is mounted (local_mount_path, /mnt/ and one folder). To use an existing file system, set the ARN of its EFS access point (efs_access_point_arn) and optionally of another for writing (writer_access_point_arn, the same by default). Of a created file system: throughput_mode (elastic or bursting) and backup_status (ENABLED or DISABLED; backups stay for 35 days after a destroy). keep_versions: number of versions of a model to keep, 2 to 100. index_grace_hours: hours to keep a version of an index after it was replaced, 0 to 8760. Unused with storage = package."
  type = object({
    local_mount_path        = optional(string, "/mnt/models")
    throughput_mode         = optional(string, "elastic")
    backup_status           = optional(string, "DISABLED")
    keep_versions           = optional(number, 3)
    index_grace_hours       = optional(number, 24)
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

  validation {
    condition     = var.file_system_config.efs_access_point_arn == null || length(concat(var.vpc_config.route_table_ids, var.vpc_config.interface_endpoints)) == 0
    error_message = "vpc_config.route_table_ids and interface_endpoints must be empty with file_system_config.efs_access_point_arn: nothing is created in the network of an existing file system."
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

variable "log_levels" {
  description = "Lowest level of the log lines that are kept: of the function (application: TRACE, DEBUG, INFO, WARN, ERROR or FATAL; TRACE logs complete events) and of Lambda (system: DEBUG, INFO or WARN)."
  type = object({
    application = optional(string, "INFO")
    system      = optional(string, "INFO")
  })
  default  = {}
  nullable = false
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
  description = "Alias that callers use (name)."
  type = object({
    name = optional(string, "live")
  })
  default  = {}
  nullable = false
}

variable "release" {
  description = "Version that callers get: an earlier version to roll back to or to stay on (version; null for the newest), and the share of events that the newest version gets meanwhile (newest_percent, 0 to 99)."
  type = object({
    version        = optional(string)
    newest_percent = optional(number, 0)
  })
  default  = {}
  nullable = false
}

variable "gate" {
  description = "What a new version must answer before the alias moves to it; otherwise the apply fails and the alias stays. query and text: a pair of texts, and score: its known score, all by default those of the bundle if they are known, else a text must score 1 with itself and less with another. tolerance: by default 0.001, for int8 0.05. enabled = false moves the alias without a question."
  type = object({
    enabled   = optional(bool, true)
    query     = optional(string)
    text      = optional(string)
    score     = optional(number)
    tolerance = optional(number)
  })
  default  = {}
  nullable = false
}

variable "asynchronous" {
  description = "Asynchronous events: maximum age (event_age_in_seconds, 60 to 21600) and number of retries (retry_attempts, 0 to 2) before an event is sent to the dead-letter queue, and the days that the queue keeps it (dead_letter_retention_days, 1 to 14). The queue holds complete events, with the callers' texts."
  type = object({
    event_age_in_seconds       = optional(number, 100)
    retry_attempts             = optional(number, 0)
    dead_letter_retention_days = optional(number, 14)
  })
  default  = {}
  nullable = false
}

variable "keep_awake" {
  description = "Schedule on which both functions are invoked (schedule: rate(...) or cron(...)). Lambda deactivates a function in a VPC that is idle for weeks, and the events that follow fail until it is active again. null creates no schedule."
  type = object({
    schedule = optional(string, "rate(1 day)")
  })
  default = {}
}

variable "provisioned_concurrency" {
  description = "Warm environments of the version that callers get: minimum and maximum number, and target_utilization, 0.1 to 0.9. With release.newest_percent, the newest version has none. null keeps none warm."
  type = object({
    minimum            = number
    maximum            = number
    target_utilization = optional(number, 0.7)
  })
  default = null
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
# Security and layers
################################################################################

variable "security" {
  description = "What an organization requires: permissions boundary of the roles (permissions_boundary_arn), their path (role_path), a KMS key that encrypts the file system, the bucket, the environment, logs and dead letters (kms_key_arn; its policy must allow the CloudWatch Logs service), and a code signing configuration (code_signing_config_arn; the zips must be signed ones in S3)."
  type = object({
    permissions_boundary_arn = optional(string)
    role_path                = optional(string, "/")
    kms_key_arn              = optional(string)
    code_signing_config_arn  = optional(string)
  })
  default  = {}
  nullable = false
}

variable "layers" {
  description = "ARNs of layer versions, such as extensions, in addition to those of the model. An extension that sends data needs a route to its service: see vpc_config.interface_endpoints."
  type        = list(string)
  default     = []
  nullable    = false
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
