data "aws_region" "current" {}

data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394:Only the first two names in order are taken, and a new zone sorts after them.
  state = "available"

  # Zones without Lambda networks or EFS. Names of zones differ between accounts, ids do not.
  exclude_zone_ids = ["cac1-az3", "use1-az3", "usw1-az2"]

  # Local zones have no EFS mount targets.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

# Which of the existing tables have a gateway endpoint for S3, and which have this module's.
data "aws_route_tables" "with_s3" {
  count = length(var.route_table_ids) > 0 ? 1 : 0

  filter {
    name   = "route-table-id"
    values = var.route_table_ids
  }

  filter {
    name   = "route.destination-prefix-list-id"
    values = [data.aws_prefix_list.s3.id]
  }
}

data "aws_route_tables" "with_own" {
  count = length(var.route_table_ids) > 0 ? 1 : 0

  filter {
    name   = "route-table-id"
    values = var.route_table_ids
  }

  filter {
    name   = "route.gateway-id"
    values = [aws_vpc_endpoint.s3[0].id]
  }
}

data "aws_subnet" "brought" {
  for_each = toset(var.subnet_ids)

  id = each.value
}

locals {
  brought = length(var.subnet_ids) > 0

  zone_name_by_id = zipmap(data.aws_availability_zones.available.zone_ids, data.aws_availability_zones.available.names)

  zones = local.brought ? [] : (
    length(var.availability_zones) > 0 ? sort([for zone in var.availability_zones : lookup(local.zone_name_by_id, zone, zone)]) : slice(sort(data.aws_availability_zones.available.names), 0, 2)
  )

  # Space for eight subnets regardless of the number of zones, so adding a zone does not move a subnet.
  cidr_by_zone = { for index, zone in local.zones : zone => cidrsubnet(var.cidr_block, 3, index) }

  vpc_ids = local.brought ? distinct([for subnet in data.aws_subnet.brought : subnet.vpc_id]) : aws_vpc.this[*].id
  vpc_id  = local.vpc_ids[0]

  # EFS accepts one mount target per zone: of several subnets in a zone, use the first in order.
  brought_by_zone   = { for id in sort(var.subnet_ids) : data.aws_subnet.brought[id].availability_zone => id... }
  subnet_id_by_zone = local.brought ? { for zone, ids in local.brought_by_zone : zone => ids[0] } : { for zone, subnet in aws_subnet.this : zone => subnet.id }

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

  tags = merge(var.tags, { Name = var.name })
}

# Without rules, resources in the default group have no network access.
resource "aws_default_security_group" "this" {
  count = local.brought ? 0 : 1

  vpc_id = aws_vpc.this[0].id

  tags = merge(var.tags, { Name = "${var.name}-default-closed" })
}

resource "aws_subnet" "this" {
  for_each = local.cidr_by_zone

  vpc_id                  = aws_vpc.this[0].id
  availability_zone       = each.key
  cidr_block              = each.value
  map_public_ip_on_launch = false

  tags = merge(var.tags, { Name = "${var.name}-private-${each.key}" })

  # The network interfaces of deleted functions keep the subnets and groups from being deleted.
  depends_on = [var.network_interface_policy_ids]
}

# One table for every zone: it has the local route and the route of the S3 endpoint.
resource "aws_route_table" "this" {
  count = local.brought ? 0 : 1

  vpc_id = aws_vpc.this[0].id

  tags = merge(var.tags, { Name = "${var.name}-private" })
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
  name = "com.amazonaws.${data.aws_region.current.id}.s3"
}

resource "aws_vpc_endpoint" "s3" {
  count = local.creates_endpoint ? 1 : 0

  vpc_id            = local.vpc_id
  service_name      = "com.amazonaws.${data.aws_region.current.id}.s3"
  vpc_endpoint_type = "Gateway"
  policy            = local.brought ? jsonencode(local.shared_endpoint_policy) : jsonencode(local.own_endpoint_policy)

  tags = merge(var.tags, { Name = "${var.name}-s3" })
}

resource "aws_vpc_endpoint_route_table_association" "this" {
  count = local.brought ? 0 : 1

  route_table_id  = aws_route_table.this[0].id
  vpc_endpoint_id = aws_vpc_endpoint.s3[0].id
}

resource "aws_vpc_endpoint_route_table_association" "brought" {
  for_each = local.brought ? toset(var.route_table_ids) : []

  route_table_id  = each.value
  vpc_endpoint_id = aws_vpc_endpoint.s3[0].id

  lifecycle {
    precondition {
      condition     = !contains(data.aws_route_tables.with_s3[0].ids, each.value) || contains(data.aws_route_tables.with_own[0].ids, each.value)
      error_message = "The route table ${each.value} already has a gateway endpoint for S3, and can have only one. Remove it from route_table_ids. The policy of the existing endpoint must allow reading ${join(", ", var.bucket_arns)}."
    }
  }
}

locals {
  # In the created VPC: no access to any other bucket.
  own_endpoint_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "ReadModels"
        Effect    = "Allow"
        Principal = "*"
        Action    = "s3:GetObject"
        Resource  = [for arn in var.bucket_arns : "${arn}/*"]
      },
      {
        Sid       = "ListModels"
        Effect    = "Allow"
        Principal = "*"
        Action    = "s3:ListBucket"
        Resource  = var.bucket_arns
      },
    ]
  }

  # In existing route tables: other resources of the subnets use the endpoint too and keep their
  # access; only the functions' roles are denied any other bucket.
  shared_endpoint_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AllowOthers"
        Effect    = "Allow"
        Principal = "*"
        Action    = "*"
        Resource  = "*"
      },
      {
        Sid         = "DenyOtherBucketsToFunctions"
        Effect      = "Deny"
        Principal   = "*"
        Action      = "s3:*"
        NotResource = flatten([for arn in var.bucket_arns : [arn, "${arn}/*"]])
        Condition   = { ArnEquals = { "aws:PrincipalArn" = var.role_arns } }
      },
    ]
  }
}

################################################################################
# Interface endpoints
################################################################################

resource "aws_security_group" "endpoints" {
  #checkov:skip=CKV2_AWS_5:Attached to the interface endpoints.
  count = length(var.interface_endpoints) > 0 ? 1 : 0

  name_prefix = "${var.name}-endpoints-"
  description = "Interface endpoints: HTTPS from the functions"
  vpc_id      = local.vpc_id

  tags = merge(var.tags, { Name = "${var.name}-endpoints" })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "endpoints_from_functions" {
  for_each = length(var.interface_endpoints) == 0 ? {} : (
    local.creates_security_groups
    ? { function = aws_security_group.function[0].id, sync = aws_security_group.sync[0].id }
    : { for id in var.security_group_ids : id => id }
  )

  security_group_id            = aws_security_group.endpoints[0].id
  referenced_security_group_id = each.value
  description                  = "HTTPS from a function"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "functions_to_endpoints" {
  for_each = length(var.interface_endpoints) == 0 || !local.creates_security_groups ? {} : {
    function = aws_security_group.function[0].id
    sync     = aws_security_group.sync[0].id
  }

  security_group_id            = each.value
  referenced_security_group_id = aws_security_group.endpoints[0].id
  description                  = "HTTPS to the interface endpoints"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_endpoint" "interface" {
  for_each = toset(var.interface_endpoints)

  vpc_id              = local.vpc_id
  service_name        = "com.amazonaws.${data.aws_region.current.id}.${each.value}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = values(local.subnet_id_by_zone)
  security_group_ids  = aws_security_group.endpoints[*].id

  tags = merge(var.tags, { Name = "${var.name}-${each.value}" })
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

  tags = merge(var.tags, { Name = "${var.name}-function" })

  lifecycle {
    create_before_destroy = true
  }

  # The network interfaces of deleted functions keep the subnets and groups from being deleted.
  depends_on = [var.network_interface_policy_ids]
}

resource "aws_security_group" "sync" {
  #checkov:skip=CKV2_AWS_5:Attached to the model-sync function by the lambda module.
  count = local.creates_security_groups ? 1 : 0

  name_prefix = "${var.name}-sync-"
  description = "The model-sync function: NFS to the file system, HTTPS to S3"
  vpc_id      = local.vpc_id

  tags = merge(var.tags, { Name = "${var.name}-sync" })

  lifecycle {
    create_before_destroy = true
  }

  # The network interfaces of deleted functions keep the subnets and groups from being deleted.
  depends_on = [var.network_interface_policy_ids]
}

resource "aws_security_group" "efs" {
  #checkov:skip=CKV2_AWS_5:Attached to the mount targets by the efs module.
  name_prefix = "${var.name}-efs-"
  description = "The file system's mount targets: NFS from the functions"
  vpc_id      = local.vpc_id

  tags = merge(var.tags, { Name = "${var.name}-efs" })

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
