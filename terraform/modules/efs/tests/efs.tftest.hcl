mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name              = "semblance-models"
  subnet_id_by_zone = { "eu-central-1a" = "subnet-0a", "eu-central-1b" = "subnet-0b" }
  security_group_id = "sg-0a"
  reader_role_arn   = "arn:aws:iam::123456789012:role/reader"
  writer_role_arn   = "arn:aws:iam::123456789012:role/writer"
}

run "is_encrypted_and_elastic_without_backups" {
  assert {
    condition     = aws_efs_file_system.this.encrypted && aws_efs_file_system.this.throughput_mode == "elastic"
    error_message = "the default is encrypted, with elastic throughput"
  }

  assert {
    condition     = length(aws_efs_file_system.this.lifecycle_policy) == 0
    error_message = "models stay in the primary storage class"
  }

  assert {
    condition     = aws_efs_backup_policy.this.backup_policy[0].status == "DISABLED"
    error_message = "backups, which outlive the file system, are off by default"
  }
}

run "has_a_mount_target_in_every_zone" {
  assert {
    condition     = tomap({ for zone, target in aws_efs_mount_target.this : zone => target.subnet_id }) == var.subnet_id_by_zone
    error_message = "every zone that was given needs a mount target"
  }

  assert {
    condition     = alltrue([for target in aws_efs_mount_target.this : target.security_groups == toset(["sg-0a"])])
    error_message = "mount targets are in the group that was given"
  }

  assert {
    condition     = sort(keys(output.mount_target_id_by_zone)) == tolist(["eu-central-1a", "eu-central-1b"])
    error_message = "the output has every zone"
  }
}

run "access_points_show_one_folder_to_two_users" {
  assert {
    condition     = aws_efs_access_point.reader.root_directory[0].path == "/models" && aws_efs_access_point.writer.root_directory[0].path == "/models"
    error_message = "what the writer writes is what the reader reads"
  }

  assert {
    condition     = aws_efs_access_point.reader.posix_user[0].uid != aws_efs_access_point.writer.posix_user[0].uid && aws_efs_access_point.reader.root_directory[0].creation_info[0].owner_uid == aws_efs_access_point.writer.posix_user[0].uid
    error_message = "the folder belongs to the writer, regardless of which role mounts it first"
  }
}

run "policy_names_both_roles_and_denies_the_rest" {
  assert {
    condition = {
      for statement in jsondecode(aws_efs_file_system_policy.this.policy).Statement : statement.Sid => statement.Effect
      } == {
      ReadThroughAccessPoint  = "Allow"
      WriteThroughAccessPoint = "Allow"
      DenyUnencrypted         = "Deny"
      DenyOthers              = "Deny"
      DenyWritingToReaders    = "Deny"
      DenyRoot                = "Deny"
    }
    error_message = "the policy has two Allow and four Deny statements"
  }

  assert {
    condition     = jsondecode(aws_efs_file_system_policy.this.policy).Statement[0].Action == "elasticfilesystem:ClientMount" && jsondecode(aws_efs_file_system_policy.this.policy).Statement[0].Principal.AWS == var.reader_role_arn
    error_message = "the reader may mount and not write"
  }

  assert {
    condition     = jsondecode(aws_efs_file_system_policy.this.policy).Statement[3].Condition.ArnNotEquals["aws:PrincipalArn"] == [var.reader_role_arn, var.writer_role_arn]
    error_message = "all other principals are denied"
  }
}

run "reject_name_with_a_slash" {
  command = plan
  variables { name = "a/b" }
  expect_failures = [var.name]
}

run "reject_a_key_id" {
  command = plan
  variables { kms_key_arn = "alias/efs" }
  expect_failures = [var.kms_key_arn]
}

run "reject_provisioned_throughput" {
  command = plan
  variables { throughput_mode = "provisioned" }
  expect_failures = [var.throughput_mode]
}

run "reject_backup_in_lower_case" {
  command = plan
  variables { backup_status = "enabled" }
  expect_failures = [var.backup_status]
}

run "reject_one_zone" {
  command = plan
  variables { subnet_id_by_zone = { "eu-central-1a" = "subnet-0a" } }
  expect_failures = [var.subnet_id_by_zone]
}

run "reject_a_relative_root_directory" {
  command = plan
  variables { root_directory = "models" }
  expect_failures = [var.root_directory]
}

run "reject_a_reader_that_is_no_role" {
  command = plan
  variables { reader_role_arn = "reader" }
  expect_failures = [var.reader_role_arn]
}

run "reject_a_writer_that_is_no_role" {
  command = plan
  variables { writer_role_arn = "*" }
  expect_failures = [var.writer_role_arn]
}
