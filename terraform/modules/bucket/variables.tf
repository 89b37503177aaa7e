################################################################################
# Bucket
################################################################################

variable "name" {
  description = "Prefix of the bucket's name, of which S3 uses the first 36 characters in lowercase."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", var.name))
    error_message = "name must be 1 to 64 characters: letters, digits, hyphen and underscore, beginning with a letter or digit."
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

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the objects; null selects the key of S3."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of the bucket, key => value."
  type        = map(string)
  default     = {}
  nullable    = false
}
