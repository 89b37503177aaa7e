################################################################################
# Names
################################################################################

variable "name" {
  description = "Prefix of every name in this module: 1 to 64 characters, letters, digits, hyphen and underscore."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,64}$", var.name))
    error_message = "name must be 1 to 64 characters: letters, digits, hyphen and underscore."
  }
}

################################################################################
# VPC and subnets, created
################################################################################

variable "cidr_block" {
  description = "IPv4 range of the created VPC, /16 to /24, which contains one subnet per availability zone. Unused if subnet_ids is set."
  type        = string
  default     = "10.42.0.0/20"
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.cidr_block)) && try(tonumber(split("/", var.cidr_block)[1]) >= 16 && tonumber(split("/", var.cidr_block)[1]) <= 24, false)
    error_message = "cidr_block must be an IPv4 range from /16 to /24, such as 10.42.0.0/20."
  }
}

variable "availability_zones" {
  description = "Names or ids (such as euc1-az1) of the availability zones in which to create a private subnet, two to six; if empty, the first two names of the region that have EFS. Unused if subnet_ids is set."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.availability_zones) == 0 || (length(var.availability_zones) >= 2 && length(var.availability_zones) <= 6)
    error_message = "availability_zones must name two to six zones, or be empty to use the first two of the region."
  }

  validation {
    condition     = length(distinct(var.availability_zones)) == length(var.availability_zones)
    error_message = "availability_zones must not name a zone twice."
  }
}

################################################################################
# VPC and subnets, existing
################################################################################

variable "subnet_ids" {
  description = "Ids of existing subnets, in two or more availability zones of one VPC; if empty, a VPC is created."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.subnet_ids) != 1
    error_message = "subnet_ids must name two or more subnets, in at least two availability zones, or be empty."
  }

  validation {
    condition     = alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))])
    error_message = "subnet_ids must hold subnet ids, such as subnet-0123456789abcdef0."
  }
}

variable "security_group_ids" {
  description = "Ids of existing security groups for the functions, at most five; if empty, one is created for each function. Needs subnet_ids. The groups must allow outbound NFS (TCP 2049) and HTTPS to S3."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.security_group_ids : can(regex("^sg-[0-9a-f]+$", id))])
    error_message = "security_group_ids must hold security group ids, such as sg-0123456789abcdef0."
  }

  validation {
    condition     = length(var.security_group_ids) <= 5
    error_message = "security_group_ids must hold at most five ids, the limit of a Lambda function."
  }

  validation {
    condition     = length(var.security_group_ids) == 0 || length(var.subnet_ids) > 0
    error_message = "security_group_ids needs subnet_ids: a security group belongs to the VPC of the subnets."
  }
}

variable "route_table_ids" {
  description = "Ids of the route tables of the existing subnets, in which an S3 gateway endpoint is created, which allows all of S3 to everything but the functions. Leave empty if the subnets already reach S3: a table has at most one such endpoint. Needs subnet_ids."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.route_table_ids : can(regex("^rtb-[0-9a-f]+$", id))])
    error_message = "route_table_ids must hold route table ids, such as rtb-0123456789abcdef0."
  }

  validation {
    condition     = length(var.route_table_ids) == 0 || length(var.subnet_ids) > 0
    error_message = "route_table_ids needs subnet_ids: a created VPC has its own route table."
  }
}

################################################################################
# Endpoints
################################################################################

variable "bucket_arns" {
  description = "ARNs of the only buckets that the functions can reach through the S3 gateway endpoint."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.bucket_arns) >= 1 && alltrue([for arn in var.bucket_arns : can(regex("^arn:aws[a-z-]*:s3:::[a-z0-9.-]{3,63}$", arn))])
    error_message = "bucket_arns must hold ARNs of buckets, such as arn:aws:s3:::name."
  }
}

variable "role_arns" {
  description = "ARNs of the functions' roles. In existing route tables, the endpoint's policy denies them every other bucket."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.route_table_ids) == 0 || length(var.role_arns) > 0
    error_message = "role_arns must hold the functions' roles if route_table_ids is set."
  }
}

variable "interface_endpoints" {
  description = "Services to create an interface endpoint for, by the last part of the service's name, such as logs, monitoring or xray: for extensions in layers. Each costs about 7 USD per zone and month."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for service in var.interface_endpoints : can(regex("^[a-z0-9][a-z0-9.-]*$", service))]) && length(distinct(var.interface_endpoints)) == length(var.interface_endpoints)
    error_message = "interface_endpoints must hold distinct services by the last part of their names, such as logs."
  }
}

################################################################################
# Order and tags
################################################################################

variable "network_interface_policy_ids" {
  description = "Ids of the role policies with which Lambda removes network interfaces. They are destroyed after the subnets and security groups."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "tags" {
  description = "Tags of every resource, key => value."
  type        = map(string)
  default     = {}
  nullable    = false
}
