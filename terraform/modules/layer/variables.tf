################################################################################
# Bundles
################################################################################

variable "bundles" {
  description = "Model bundles, name => folder with bundle.json, or s3://bucket/prefix/model_name/digest, which names model and version. If a folder does not exist, the bundle of the deployed function does not change."
  type        = map(string)
  nullable    = false

  validation {
    condition     = length(var.bundles) >= 1 && length(var.bundles) <= 4
    error_message = "bundles must hold one to four bundles: a function has at most five layers."
  }

  validation {
    condition     = alltrue([for bundle in values(var.bundles) : !startswith(bundle, "s3://") || can(regex("^s3://[^/]+/.+/[a-z0-9][a-z0-9._-]{0,63}/[0-9a-f]{64}/?$", bundle))])
    error_message = "A bundle in S3 must be s3://bucket/prefix/model_name/digest, where digest is the sha256 of its bundle.json; these are ${join(", ", values(var.bundles))}."
  }
}

variable "zips" {
  description = "Zips of the layers, name of the bundle => path, or s3://bucket/key?versionId=VERSION; by default those that `make layer` writes to zip_folder."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for zip in values(var.zips) : !startswith(zip, "s3://") || can(regex("^s3://[^/?]+/[^?]+(\\?versionId=[^&]+)?$", zip))])
    error_message = "A zip in S3 must be s3://bucket/key or s3://bucket/key?versionId=VERSION; these are ${join(", ", values(var.zips))}."
  }
}

variable "zip_folder" {
  description = "Folder in which `make layer` writes its zips, as model_name/digest.zip."
  type        = string
  default     = "../target/lambda/layers"
  nullable    = false
}

################################################################################
# Function
################################################################################

variable "name" {
  description = "Prefix of the layers' names and of the bucket's name: 1 to 64 characters, letters, digits, hyphen and underscore."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", var.name))
    error_message = "name must be 1 to 64 characters: letters, digits, hyphen and underscore, beginning with a letter or digit."
  }
}

variable "function_name" {
  description = "Name of the function that has the layers."
  type        = string
  nullable    = false
}

################################################################################
# Encryption and tags
################################################################################

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the zips; null selects the key of S3."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of the bucket, key => value."
  type        = map(string)
  default     = {}
  nullable    = false
}
