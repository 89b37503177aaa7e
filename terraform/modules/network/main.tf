data "aws_region" "current" {}

data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394:Only the first two names in order are taken, and a new zone sorts after them.
  state = "available"

  # Local zones have no EFS mount targets.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

data "aws_subnet" "brought" {
  for_each = toset(var.subnet_ids)

  id = each.value
}

locals {
  brought = length(var.subnet_ids) > 0

  zones = local.brought ? [] : (
    length(var.availability_zones) > 0 ? sort(var.availability_zones) : slice(sort(data.aws_availability_zones.available.names), 0, 2)
  )

  # Space for eight subnets regardless of the number of zones, so adding a zone does not move a subnet.
  cidr_by_zone = { for index, zone in local.zones : zone => cidrsubnet(var.cidr_block, 3, index) }

  vpc_ids = local.brought ? distinct([for subnet in data.aws_subnet.brought : subnet.vpc_id]) : aws_vpc.this[*].id
  vpc_id  = local.vpc_ids[0]

  # EFS accepts one mount target per zone: of several subnets in a zone, use the first in order.
  brought_by_zone   = { for id in sort(var.subnet_ids) : data.aws_subnet.brought[id].availability_zone => id... }
  subnet_id_by_zone = local.brought ? { for zone, ids in local.brought_by_zone : zone => ids[0] } : { for zone, subnet in aws_subnet.this : zone => subnet.id }

  route_table_ids = local.brought ? var.route_table_ids : aws_route_table.this[*].id

  # Known at plan time, unlike the ids of created resources.
  creates_endpoint        = !local.brought || length(var.route_table_ids) > 0
  creates_security_groups = length(var.security_group_ids) == 0

  function_security_group_ids = local.creates_security_groups ? aws_security_group.function[*].id : var.security_group_ids
  sync_security_group_ids     = local.creates_security_groups ? aws_security_group.sync[*].id : var.security_group_ids
}

################################################################################
# VPC and subnets
################################################################################

resource "aws_vpc" "this" {
  #checkov:skip=CKV2_AWS_11:This VPC has no gateway; flow logs would only record traffic between two functions and a file system.
  count = local.brought ? 0 : 1

  cidr_block           = var.cidr_block
  enable_dns_support   = true
  enable_dns_hostnames = true # EFS mount targets are found by name.

  tags = { Name = var.name }
}

# Without rules, resources in the default group have no network access.
resource "aws_default_security_group" "this" {
  count = local.brought ? 0 : 1

  vpc_id = aws_vpc.this[0].id

  tags = { Name = "${var.name}-default-closed" }
}

resource "aws_subnet" "this" {
  for_each = local.cidr_by_zone

  vpc_id                  = aws_vpc.this[0].id
  availability_zone       = each.key
  cidr_block              = each.value
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-private-${each.key}" }
}

# One table for every zone: it has the local route and the route of the S3 endpoint.
resource "aws_route_table" "this" {
  count = local.brought ? 0 : 1

  vpc_id = aws_vpc.this[0].id

  tags = { Name = "${var.name}-private" }
}

resource "aws_route_table_association" "this" {
  for_each = aws_subnet.this

  subnet_id      = each.value.id
  route_table_id = aws_route_table.this[0].id
}

################################################################################
# S3 gateway endpoint
################################################################################

data "aws_prefix_list" "s3" {
  name = "com.amazonaws.${data.aws_region.current.name}.s3"
}

resource "aws_vpc_endpoint" "s3" {
  count = local.creates_endpoint ? 1 : 0

  vpc_id            = local.vpc_id
  service_name      = "com.amazonaws.${data.aws_region.current.name}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = local.route_table_ids

  # Prevents access to any other bucket.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "ReadModels"
        Effect    = "Allow"
        Principal = "*"
        Action    = "s3:GetObject"
        Resource  = "${var.bucket_arn}/*"
      },
      {
        Sid       = "ListModels"
        Effect    = "Allow"
        Principal = "*"
        Action    = "s3:ListBucket"
        Resource  = var.bucket_arn
      },
    ]
  })

  tags = { Name = "${var.name}-s3" }
}

################################################################################
# Security groups
################################################################################

resource "aws_security_group" "function" {
  #checkov:skip=CKV2_AWS_5:Attached to the similarity function by the lambda module.
  count = local.creates_security_groups ? 1 : 0

  name_prefix = "${var.name}-function-"
  description = "The similarity function: NFS to the file system, nothing else"
  vpc_id      = local.vpc_id

  tags = { Name = "${var.name}-function" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group" "sync" {
  #checkov:skip=CKV2_AWS_5:Attached to the model-sync function by the lambda module.
  count = local.creates_security_groups ? 1 : 0

  name_prefix = "${var.name}-sync-"
  description = "The model-sync function: NFS to the file system, HTTPS to S3"
  vpc_id      = local.vpc_id

  tags = { Name = "${var.name}-sync" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group" "efs" {
  #checkov:skip=CKV2_AWS_5:Attached to the mount targets by the efs module.
  name_prefix = "${var.name}-efs-"
  description = "The file system's mount targets: NFS from the functions"
  vpc_id      = local.vpc_id

  tags = { Name = "${var.name}-efs" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "function_to_efs" {
  count = local.creates_security_groups ? 1 : 0

  security_group_id            = aws_security_group.function[0].id
  referenced_security_group_id = aws_security_group.efs.id
  description                  = "NFS to the file system"
  ip_protocol                  = "tcp"
  from_port                    = 2049
  to_port                      = 2049
}

resource "aws_vpc_security_group_egress_rule" "sync_to_efs" {
  count = local.creates_security_groups ? 1 : 0

  security_group_id            = aws_security_group.sync[0].id
  referenced_security_group_id = aws_security_group.efs.id
  description                  = "NFS to the file system"
  ip_protocol                  = "tcp"
  from_port                    = 2049
  to_port                      = 2049
}

resource "aws_vpc_security_group_egress_rule" "sync_to_s3" {
  count = local.creates_security_groups ? 1 : 0

  security_group_id = aws_security_group.sync[0].id
  prefix_list_id    = data.aws_prefix_list.s3.id
  description       = "HTTPS to S3 through the gateway endpoint"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "efs_from_function" {
  count = local.creates_security_groups ? 1 : 0

  security_group_id            = aws_security_group.efs.id
  referenced_security_group_id = aws_security_group.function[0].id
  description                  = "NFS from the similarity function"
  ip_protocol                  = "tcp"
  from_port                    = 2049
  to_port                      = 2049
}

resource "aws_vpc_security_group_ingress_rule" "efs_from_sync" {
  count = local.creates_security_groups ? 1 : 0

  security_group_id            = aws_security_group.efs.id
  referenced_security_group_id = aws_security_group.sync[0].id
  description                  = "NFS from the model-sync function"
  ip_protocol                  = "tcp"
  from_port                    = 2049
  to_port                      = 2049
}

resource "aws_vpc_security_group_ingress_rule" "efs_from_brought" {
  for_each = toset(var.security_group_ids)

  security_group_id            = aws_security_group.efs.id
  referenced_security_group_id = each.value
  description                  = "NFS from an existing security group"
  ip_protocol                  = "tcp"
  from_port                    = 2049
  to_port                      = 2049
}
