mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name        = "semblance"
  bucket_arns = ["arn:aws:s3:::semblance-models"]
}

# Existing subnets: two zones, the second with two subnets.
override_data {
  target = data.aws_subnet.brought["subnet-0a"]
  values = { id = "subnet-0a", availability_zone = "eu-central-1a", vpc_id = "vpc-0a" }
}

override_data {
  target = data.aws_subnet.brought["subnet-0b"]
  values = { id = "subnet-0b", availability_zone = "eu-central-1b", vpc_id = "vpc-0a" }
}

override_data {
  target = data.aws_subnet.brought["subnet-0c"]
  values = { id = "subnet-0c", availability_zone = "eu-central-1b", vpc_id = "vpc-0a" }
}

################################################################################
# Created
################################################################################

run "creates_a_private_subnet_in_the_first_two_zones" {
  assert {
    condition     = { for zone, subnet in aws_subnet.this : zone => subnet.cidr_block } == { "eu-central-1a" = "10.42.0.0/23", "eu-central-1b" = "10.42.2.0/23" }
    error_message = "the default is one subnet in each of the region's first two zones, by name"
  }

  assert {
    condition     = alltrue([for subnet in aws_subnet.this : !subnet.map_public_ip_on_launch])
    error_message = "no subnet may assign public addresses"
  }

  assert {
    condition     = length(aws_default_security_group.this) == 1 && length(aws_default_security_group.this[0].ingress) == 0 && length(aws_default_security_group.this[0].egress) == 0
    error_message = "the default security group must be taken over and left without rules"
  }

  assert {
    condition     = sort(keys(output.subnet_id_by_zone)) == tolist(["eu-central-1a", "eu-central-1b"]) && length(output.subnet_ids) == 2
    error_message = "outputs must have one subnet per zone"
  }
}

run "adding_a_zone_moves_no_subnet" {
  variables {
    availability_zones = ["eu-central-1c", "eu-central-1a", "eu-central-1b"]
  }

  assert {
    condition     = aws_subnet.this["eu-central-1a"].cidr_block == "10.42.0.0/23" && aws_subnet.this["eu-central-1c"].cidr_block == "10.42.4.0/23"
    error_message = "zones are numbered by name, and every one has room for eight"
  }
}

run "endpoint_lets_only_the_models_be_read" {
  assert {
    condition     = jsondecode(aws_vpc_endpoint.s3[0].policy).Statement[*].Action == ["s3:GetObject", "s3:ListBucket"] && jsondecode(aws_vpc_endpoint.s3[0].policy).Statement[*].Resource == [["arn:aws:s3:::semblance-models/*"], ["arn:aws:s3:::semblance-models"]]
    error_message = "the endpoint's policy must allow reading one bucket and nothing else"
  }

  assert {
    condition     = aws_vpc_endpoint.s3[0].vpc_endpoint_type == "Gateway"
    error_message = "only a gateway endpoint is free"
  }
}

run "only_nfs_reaches_the_file_system" {
  assert {
    condition     = alltrue([for rule in concat(aws_vpc_security_group_ingress_rule.efs_from_function, aws_vpc_security_group_ingress_rule.efs_from_sync, aws_vpc_security_group_egress_rule.function_to_efs, aws_vpc_security_group_egress_rule.sync_to_efs) : rule.from_port == 2049 && rule.to_port == 2049 && rule.ip_protocol == "tcp"])
    error_message = "between the functions and the file system only TCP 2049 may pass"
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.sync_to_s3[0].prefix_list_id == "pl-6ea54007" && aws_vpc_security_group_egress_rule.sync_to_s3[0].from_port == 443
    error_message = "the sync function reaches S3 by its prefix list, over HTTPS"
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.efs_from_function[0].security_group_id == aws_security_group.efs.id && aws_vpc_security_group_ingress_rule.efs_from_function[0].referenced_security_group_id == aws_security_group.function[0].id
    error_message = "the file system lets in the function's group"
  }

  assert {
    condition     = output.function_security_group_ids == tolist([aws_security_group.function[0].id]) && output.sync_security_group_ids == tolist([aws_security_group.sync[0].id])
    error_message = "each function has its own group"
  }
}

################################################################################
# Existing
################################################################################

run "takes_subnets_and_groups_by_id" {
  variables {
    subnet_ids         = ["subnet-0b", "subnet-0a", "subnet-0c"]
    security_group_ids = ["sg-0a"]
  }

  assert {
    condition     = length(aws_vpc.this) + length(aws_subnet.this) + length(aws_vpc_endpoint.s3) + length(aws_security_group.function) + length(aws_default_security_group.this) == 0
    error_message = "nothing of a brought network may be created or changed"
  }

  assert {
    condition     = output.vpc_id == "vpc-0a" && output.subnet_id_by_zone == tomap({ "eu-central-1a" = "subnet-0a", "eu-central-1b" = "subnet-0b" })
    error_message = "the VPC comes from the subnets, and each zone has one of them"
  }

  assert {
    condition     = output.subnet_ids == tolist(["subnet-0a", "subnet-0b", "subnet-0c"]) && output.function_security_group_ids == tolist(["sg-0a"]) && output.sync_security_group_ids == tolist(["sg-0a"])
    error_message = "both functions run in the brought subnets and groups"
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.efs_from_brought["sg-0a"].from_port == 2049
    error_message = "the file system lets the brought group in"
  }
}

run "adds_the_endpoint_to_brought_route_tables" {
  variables {
    subnet_ids      = ["subnet-0a", "subnet-0b"]
    route_table_ids = ["rtb-0a"]
    role_arns       = ["arn:aws:iam::123456789012:role/function", "arn:aws:iam::123456789012:role/sync"]
  }

  assert {
    condition     = tolist(keys(aws_vpc_endpoint_route_table_association.brought)) == tolist(["rtb-0a"]) && aws_vpc_endpoint.s3[0].vpc_id == "vpc-0a"
    error_message = "the endpoint goes into the route tables that were given"
  }

  assert {
    condition     = jsondecode(aws_vpc_endpoint.s3[0].policy).Statement[0] == { Sid = "AllowOthers", Effect = "Allow", Principal = "*", Action = "*", Resource = "*" }
    error_message = "other resources of the subnets keep their access to S3"
  }

  assert {
    condition     = jsondecode(aws_vpc_endpoint.s3[0].policy).Statement[1].Condition.ArnEquals["aws:PrincipalArn"] == ["arn:aws:iam::123456789012:role/function", "arn:aws:iam::123456789012:role/sync"] && jsondecode(aws_vpc_endpoint.s3[0].policy).Statement[1].NotResource == ["arn:aws:s3:::semblance-models", "arn:aws:s3:::semblance-models/*"]
    error_message = "the functions reach one bucket only"
  }

  assert {
    condition     = aws_security_group.function[0].vpc_id == "vpc-0a"
    error_message = "security groups are created in the brought VPC"
  }
}

run "reject_a_route_table_that_has_an_endpoint_for_s3" {
  variables {
    subnet_ids      = ["subnet-0a", "subnet-0b"]
    route_table_ids = ["rtb-0a", "rtb-0b"]
    role_arns       = ["arn:aws:iam::123456789012:role/function"]
  }

  # Only the second table has another endpoint.
  override_data {
    target = data.aws_route_tables.with_s3
    values = { ids = ["rtb-0b"] }
  }

  override_data {
    target = data.aws_route_tables.with_own
    values = { ids = [] }
  }

  expect_failures = [aws_vpc_endpoint_route_table_association.brought["rtb-0b"]]
}

run "keeps_the_endpoint_of_this_module_in_a_route_table" {
  variables {
    subnet_ids      = ["subnet-0a", "subnet-0b"]
    route_table_ids = ["rtb-0a"]
    role_arns       = ["arn:aws:iam::123456789012:role/function"]
  }

  override_data {
    target = data.aws_route_tables.with_s3
    values = { ids = ["rtb-0a"] }
  }

  override_data {
    target = data.aws_route_tables.with_own
    values = { ids = ["rtb-0a"] }
  }

  assert {
    condition     = keys(aws_vpc_endpoint_route_table_association.brought) == ["rtb-0a"]
    error_message = "the association stays after the first apply"
  }
}

run "zones_may_be_named_by_id" {
  variables { availability_zones = ["euc1-az3", "euc1-az2"] }

  assert {
    condition     = sort(keys(aws_subnet.this)) == tolist(["eu-central-1a", "eu-central-1b"])
    error_message = "an id is the same zone in every account"
  }
}

run "zones_without_efs_are_left_out" {
  assert {
    condition     = contains(data.aws_availability_zones.available.exclude_zone_ids, "use1-az3")
    error_message = "use1-az3 has neither EFS nor networks of functions"
  }
}

run "interface_endpoints_are_reached_by_the_functions" {
  variables { interface_endpoints = ["logs"] }

  assert {
    condition     = aws_vpc_endpoint.interface["logs"].service_name == "com.amazonaws.eu-central-1.logs" && length(aws_vpc_security_group_ingress_rule.endpoints_from_functions) == 2 && length(aws_vpc_security_group_egress_rule.functions_to_endpoints) == 2
    error_message = "both functions may send HTTPS to the endpoint"
  }
}

################################################################################
# Rejected
################################################################################

run "reject_name_with_a_space" {
  command = plan
  variables { name = "two words" }
  expect_failures = [var.name]
}

run "reject_range_too_small" {
  command = plan
  variables { cidr_block = "10.0.0.0/28" }
  expect_failures = [var.cidr_block]
}

run "reject_range_that_is_none" {
  command = plan
  variables { cidr_block = "10.0.0.0" }
  expect_failures = [var.cidr_block]
}

run "reject_one_zone" {
  command = plan
  variables { availability_zones = ["eu-central-1a"] }
  expect_failures = [var.availability_zones]
}

run "reject_a_zone_twice" {
  command = plan
  variables { availability_zones = ["eu-central-1a", "eu-central-1a"] }
  expect_failures = [var.availability_zones]
}

run "reject_one_subnet" {
  command = plan
  variables { subnet_ids = ["subnet-0a"] }
  expect_failures = [var.subnet_ids]
}

run "reject_a_subnet_name" {
  command = plan
  variables { subnet_ids = ["private-a", "private-b"] }
  expect_failures = [var.subnet_ids]
}

run "reject_subnets_in_one_zone" {
  command = plan

  variables {
    subnet_ids = ["subnet-0b", "subnet-0c"]
  }

  expect_failures = [output.subnet_id_by_zone]
}

run "reject_subnets_of_two_vpcs" {
  command = plan

  variables {
    subnet_ids = ["subnet-0a", "subnet-0b"]
  }
  override_data {
    target = data.aws_subnet.brought["subnet-0b"]
    values = { id = "subnet-0b", availability_zone = "eu-central-1b", vpc_id = "vpc-0b" }
  }

  expect_failures = [output.vpc_id]
}

run "reject_a_group_name" {
  command = plan
  variables {
    subnet_ids         = ["subnet-0a", "subnet-0b"]
    security_group_ids = ["default"]
  }
  expect_failures = [var.security_group_ids]
}

run "reject_six_groups" {
  command = plan
  variables {
    subnet_ids         = ["subnet-0a", "subnet-0b"]
    security_group_ids = ["sg-1", "sg-2", "sg-3", "sg-4", "sg-5", "sg-6"]
  }
  expect_failures = [var.security_group_ids]
}

run "reject_groups_without_subnets" {
  command = plan
  variables { security_group_ids = ["sg-0a"] }
  expect_failures = [var.security_group_ids]
}

run "reject_a_route_table_name" {
  command = plan
  variables {
    subnet_ids      = ["subnet-0a", "subnet-0b"]
    route_table_ids = ["main"]
    role_arns       = ["arn:aws:iam::123456789012:role/function"]
  }
  expect_failures = [var.route_table_ids]
}

run "reject_route_tables_without_subnets" {
  command = plan
  variables {
    route_table_ids = ["rtb-0a"]
    role_arns       = ["arn:aws:iam::123456789012:role/function"]
  }
  expect_failures = [var.route_table_ids]
}

run "reject_a_bucket_name" {
  command = plan
  variables { bucket_arns = ["semblance-models"] }
  expect_failures = [var.bucket_arns]
}

run "reject_route_tables_without_roles" {
  command = plan
  variables {
    subnet_ids      = ["subnet-0a", "subnet-0b"]
    route_table_ids = ["rtb-0a"]
  }
  expect_failures = [var.role_arns]
}

run "reject_a_service_twice" {
  command = plan
  variables { interface_endpoints = ["logs", "logs"] }
  expect_failures = [var.interface_endpoints]
}
