variable "function_name" {
  description = "Name of the model-sync function, which need not exist."
  type        = string
  nullable    = false
}

variable "bucket_variable" {
  description = "Environment variable of the function that has the name of the bucket."
  type        = string
  nullable    = false
}

variable "prefix" {
  description = "Folder of the bucket with the records, with a slash at the end."
  type        = string
  nullable    = false

  validation {
    condition     = endswith(var.prefix, "/")
    error_message = "prefix must end with a slash."
  }
}

variable "names" {
  description = "Models or indexes whose record is read; an empty list reads nothing."
  type        = list(string)
  nullable    = false
}
