################################################################################
# VPC and subnets
################################################################################

output "vpc_id" {
  description = "Id of the VPC."
  value       = local.vpc_id

  precondition {
    condition     = length(local.vpc_ids) == 1
    error_message = "subnet_ids must name subnets of one VPC; these belong to ${join(", ", local.vpc_ids)}."
  }
}

output "subnet_id_by_zone" {
  description = "One subnet per availability zone for the mount targets, zone => id."
  value       = local.subnet_id_by_zone

  precondition {
    condition     = length(local.subnet_id_by_zone) >= 2
    error_message = "subnet_ids must name subnets in at least two availability zones; all of these are in ${join(", ", keys(local.subnet_id_by_zone))}."
  }
}

output "subnet_ids" {
  description = "Ids of the functions' subnets. Depends on their routes."
  value       = local.brought ? sort(var.subnet_ids) : [for zone in sort(keys(aws_subnet.this)) : aws_subnet.this[zone].id]
  depends_on = [
    aws_route_table_association.this,
    aws_vpc_endpoint.interface,
    aws_vpc_endpoint_route_table_association.brought,
    aws_vpc_endpoint_route_table_association.this,
  ]
}

################################################################################
# S3 gateway endpoint
################################################################################

output "s3_endpoint_id" {
  description = "Id of the S3 gateway endpoint; null if existing subnets already reach S3."
  value       = one(aws_vpc_endpoint.s3[*].id)
}

################################################################################
# Security groups
################################################################################

output "function_security_group_ids" {
  description = "Security groups of the similarity function. Depends on their rules."
  value       = local.function_security_group_ids
  depends_on = [
    aws_vpc_security_group_egress_rule.function_to_efs,
    aws_vpc_security_group_ingress_rule.efs_from_brought,
    aws_vpc_security_group_ingress_rule.efs_from_function,
  ]
}

output "sync_security_group_ids" {
  description = "Security groups of the model-sync function. Depends on their rules."
  value       = local.sync_security_group_ids
  depends_on = [
    aws_vpc_security_group_egress_rule.sync_to_efs,
    aws_vpc_security_group_egress_rule.sync_to_s3,
    aws_vpc_security_group_ingress_rule.efs_from_brought,
    aws_vpc_security_group_ingress_rule.efs_from_sync,
  ]
}

output "efs_security_group_id" {
  description = "Security group of the file system's mount targets."
  value       = aws_security_group.efs.id
}
