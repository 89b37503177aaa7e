################################################################################
# Indexes
################################################################################

variable "indexes" {
  description = "Indexes, name => folder with CURRENT (`semblance index build` builds one), or s3://bucket/prefix/name/manifests/DIGEST.json, the manifest of a version in a copy of such a folder in S3. Either every index is in S3, in one bucket and prefix, or none. If a folder does not exist, the index of an existing deployment does not change."
  type        = map(string)
  nullable    = false

  validation {
    condition     = length(var.indexes) >= 1 && alltrue([for name in keys(var.indexes) : can(regex("^[a-z0-9][a-z0-9._-]{0,63}$", name))])
    error_message = "indexes must hold at least one index, and their names must be 1 to 64 lowercase letters, digits, dots, hyphens and underscores, beginning with a letter or digit."
  }

  validation {
    condition     = alltrue([for name, index in var.indexes : !startswith(index, "s3://") || can(regex("^s3://[a-z0-9][a-z0-9.-]{2,62}/[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+){0,3}/${name}/manifests/[0-9a-f]{64}[.]json$", index))])
    error_message = "An index in S3 must be s3://bucket/prefix/name/manifests/DIGEST.json, with the name under which it is searched; these are ${join(", ", values(var.indexes))}."
  }

  validation {
    condition     = length(distinct([for index in values(var.indexes) : try(regex("^(s3://.+)/[^/]+/manifests/[^/]+$", index)[0], "folder")])) == 1
    error_message = "Either every index is in S3, in one bucket and prefix, or none; these are ${join(", ", values(var.indexes))}."
  }
}

################################################################################
# Bucket
################################################################################

variable "bucket" {
  description = "Name of the bucket for the objects of indexes that are folders."
  type        = string
  nullable    = false
}

variable "prefix" {
  description = "Folder of the bucket that holds the indexes: one to four names of letters, digits, dot, hyphen and underscore, joined by slashes, without a slash at either end."
  type        = string
  default     = "indexes"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+){0,3}$", var.prefix))
    error_message = "prefix must be one to four names joined by slashes, without a slash at either end: such as indexes."
  }
}

################################################################################
# Sync function
################################################################################

variable "function_name" {
  description = "Name of the model-sync function, which copies the indexes."
  type        = string
  nullable    = false
}

variable "deployed_function_name" {
  description = "The same name, known at plan: a checkout without the indexes reads the bucket of the deployed function."
  type        = string
  nullable    = false
}

variable "file_system_config" {
  description = "EFS access point for writing (efs_access_point_arn), and the absolute path where both functions mount the file system (local_mount_path)."
  type = object({
    efs_access_point_arn = string
    local_mount_path     = string
  })
  nullable = false
}
