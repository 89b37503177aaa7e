################################################################################
# File system
################################################################################

variable "name" {
  description = "Name of the file system and prefix of its access points' names: 1 to 64 characters, letters, digits, hyphen and underscore."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,64}$", var.name))
    error_message = "name must be 1 to 64 characters: letters, digits, hyphen and underscore."
  }
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the file system; null selects the AWS managed key."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key, or null for the AWS managed key."
  }
}

variable "throughput_mode" {
  description = "Throughput mode: elastic (billed by use, up to 500 MiB/s per function instance) or bursting (free, with a minimum of 1 MiB/s: reading a 90 MB model can take 90 s, which is longer than Lambda waits for a start)."
  type        = string
  default     = "elastic"
  nullable    = false

  validation {
    condition     = contains(["elastic", "bursting"], var.throughput_mode)
    error_message = "throughput_mode must be elastic or bursting."
  }
}

variable "backup_status" {
  description = "Automatic daily backups through AWS Backup: ENABLED or DISABLED. A model can be copied again at any time. Backups stay for 35 days after the file system is destroyed, in a vault that cannot be deleted before."
  type        = string
  default     = "DISABLED"
  nullable    = false

  validation {
    condition     = contains(["ENABLED", "DISABLED"], var.backup_status)
    error_message = "backup_status must be ENABLED or DISABLED."
  }
}

################################################################################
# Mount targets
################################################################################

variable "subnet_id_by_zone" {
  description = "Subnet of each mount target, availability zone => subnet id, two or more: every zone in which a function runs."
  type        = map(string)
  nullable    = false

  validation {
    condition     = length(var.subnet_id_by_zone) >= 2
    error_message = "subnet_id_by_zone must hold at least two availability zones."
  }
}

variable "security_group_id" {
  description = "Security group of the mount targets, which allows inbound NFS (TCP 2049) from the functions."
  type        = string
  nullable    = false
}

################################################################################
# Access points
################################################################################

variable "root_directory" {
  description = "Folder of the file system that is the root of both access points; created on the first mount."
  type        = string
  default     = "/models"
  nullable    = false

  validation {
    condition     = can(regex("^(/[A-Za-z0-9._-]+){1,4}$", var.root_directory)) && length(var.root_directory) <= 100
    error_message = "root_directory must be an absolute path of one to four folders and at most 100 characters, such as /models."
  }
}

variable "reader_role_arn" {
  description = "ARN of the only role that may mount the reader access point, read-only."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/", var.reader_role_arn))
    error_message = "reader_role_arn must be the ARN of an IAM role."
  }
}

variable "writer_role_arn" {
  description = "ARN of the only role that may mount the writer access point and write."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/", var.writer_role_arn))
    error_message = "writer_role_arn must be the ARN of an IAM role."
  }
}

################################################################################
# Tags
################################################################################

variable "tags" {
  description = "Tags of every resource, key => value."
  type        = map(string)
  default     = {}
  nullable    = false
}
