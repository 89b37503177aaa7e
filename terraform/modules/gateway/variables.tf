################################################################################
# API
################################################################################

variable "name" {
  description = "Name of the API, and prefix of the authorizer's name: 1 to 53 characters, letters, digits, hyphen and underscore."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,52}$", var.name))
    error_message = "name must be 1 to 53 characters: letters, digits, hyphen and underscore, beginning with a letter or digit."
  }
}

variable "alias" {
  description = "Alias that answers: its function (function_name), its name (name) and its ARN for API Gateway (invoke_arn). The outputs function_name, alias_name and invoke_arn of the root module."
  type = object({
    function_name = string
    name          = string
    invoke_arn    = string
  })
  nullable = false
}

variable "throttling" {
  description = "Limits of the whole API: requests per second (rate) and at once (burst). More requests get 429."
  type = object({
    rate  = optional(number, 50)
    burst = optional(number, 100)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.throttling.rate > 0 && var.throttling.burst >= 1 && floor(var.throttling.burst) == var.throttling.burst
    error_message = "throttling.rate must be above 0, and throttling.burst a whole number of at least 1."
  }
}

variable "cors_origins" {
  description = "Origins whose pages may call the API, such as https://example.com, or only *."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = var.cors_origins == tolist(["*"]) || alltrue([for origin in var.cors_origins : can(regex("^https?://[a-z0-9.-]+(:[0-9]{1,5})?$", origin))])
    error_message = "cors_origins must hold origins as browsers send them (scheme, lowercase host and port without a path), such as https://example.com or http://localhost:8000, or only *."
  }
}

variable "domain" {
  description = "Domain of the API (name) and the ARN of its certificate in this region (certificate_arn); null uses the address that API Gateway assigns. Point a DNS record to the output domain_target."
  type = object({
    name            = string
    certificate_arn = string
  })
  default = null

  validation {
    condition     = var.domain == null || can(regex("^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/", var.domain.certificate_arn))
    error_message = "domain.certificate_arn must be the ARN of a certificate in ACM."
  }
}

################################################################################
# Callers
################################################################################

variable "api_keys" {
  description = "Accepted API keys, name of the client => SHA-256 of the key in hexadecimal. Clients send the key as a bearer token. Use long random keys, such as those of `openssl rand -hex 32`: `printf %s KEY | sha256sum` prints the SHA-256. The keys themselves are not stored."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for client, digest in var.api_keys : can(regex("^[A-Za-z0-9._-]{1,64}$", client)) && can(regex("^[0-9a-f]{64}$", digest))])
    error_message = "api_keys must map names of letters, digits, dots, hyphens and underscores to 64 lowercase hexadecimal digits."
  }

  validation {
    condition     = (length(var.api_keys) > 0) != (var.jwt != null)
    error_message = "Set either api_keys or jwt: without both, everyone could call the API."
  }
}

variable "jwt" {
  description = "Accepted tokens instead of API keys: their issuer (issuer, an https URL) and audiences (audience)."
  type = object({
    issuer   = string
    audience = list(string)
  })
  default = null

  validation {
    condition     = var.jwt == null || try(startswith(var.jwt.issuer, "https://") && length(var.jwt.audience) > 0, false)
    error_message = "jwt.issuer must be an https URL, and jwt.audience must hold an audience."
  }
}

variable "key_cache_seconds" {
  description = "Number of seconds that API Gateway remembers the answer for a key, 0 to 3600. A removed key is accepted for as long."
  type        = number
  default     = 300
  nullable    = false

  validation {
    condition     = var.key_cache_seconds >= 0 && var.key_cache_seconds <= 3600 && floor(var.key_cache_seconds) == var.key_cache_seconds
    error_message = "key_cache_seconds must be a whole number of seconds from 0 to 3600."
  }
}

variable "package" {
  description = "Zip of the authorizer (filename: a path, or s3://bucket/key?versionId=VERSION), its SHA-256 in hexadecimal (sha256, required for S3) and its architecture (x86_64 or arm64). Unused with jwt."
  type = object({
    filename     = optional(string, "../target/lambda/authorizer/bootstrap.zip")
    sha256       = optional(string)
    architecture = optional(string, "x86_64")
  })
  default  = {}
  nullable = false
}

################################################################################
# Logs, security and tags
################################################################################

variable "log_retention" {
  description = "Number of days to keep the access log and the authorizer's log, one of the values that CloudWatch accepts."
  type        = number
  default     = 30
  nullable    = false
}

variable "security" {
  description = "What an organization requires: permissions boundary of the role (permissions_boundary_arn), its path (role_path), a KMS key (kms_key_arn), and a code signing configuration (code_signing_config_arn; the zip must be a signed one in S3)."
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
  description = "Tags of every resource, key => value."
  type        = map(string)
  default     = {}
  nullable    = false
}
