locals {
  # The writer owns the models. The reader is another user, so file permissions
  # prevent it from writing even without the policies.
  writer_uid = 1000
  reader_uid = 1001
}

################################################################################
# File system
################################################################################

resource "aws_efs_file_system" "this" {
  #checkov:skip=CKV2_AWS_18:Models can be copied again at any time; set backup_status to ENABLED to keep backups.
  #checkov:skip=CKV_AWS_184:The AWS managed key encrypts at no cost; set kms_key_arn to use another key.
  creation_token   = var.name
  encrypted        = true
  kms_key_id       = var.kms_key_arn
  performance_mode = "generalPurpose"
  throughput_mode  = var.throughput_mode

  # Models stay in the primary storage class: a warm function does not read its model for weeks,
  # and the next cold start would be the one that waits for Infrequent Access.

  tags = merge(var.tags, { Name = var.name })
}

resource "aws_efs_backup_policy" "this" {
  file_system_id = aws_efs_file_system.this.id

  backup_policy {
    status = var.backup_status
  }
}

resource "aws_efs_file_system_policy" "this" {
  file_system_id = aws_efs_file_system.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "ReadThroughAccessPoint"
        Effect    = "Allow"
        Principal = { AWS = var.reader_role_arn }
        Action    = "elasticfilesystem:ClientMount"
        Resource  = aws_efs_file_system.this.arn
        Condition = { StringEquals = { "elasticfilesystem:AccessPointArn" = aws_efs_access_point.reader.arn } }
      },
      {
        Sid       = "WriteThroughAccessPoint"
        Effect    = "Allow"
        Principal = { AWS = var.writer_role_arn }
        Action    = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
        Resource  = aws_efs_file_system.this.arn
        Condition = { StringEquals = { "elasticfilesystem:AccessPointArn" = aws_efs_access_point.writer.arn } }
      },
      {
        Sid       = "DenyUnencrypted"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = "elasticfilesystem:Client*"
        Resource  = aws_efs_file_system.this.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "DenyOthers"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = "elasticfilesystem:Client*"
        Resource  = aws_efs_file_system.this.arn
        Condition = { ArnNotEquals = { "aws:PrincipalArn" = [var.reader_role_arn, var.writer_role_arn] } }
      },
      {
        Sid       = "DenyWritingToReaders"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = "elasticfilesystem:ClientWrite"
        Resource  = aws_efs_file_system.this.arn
        Condition = { ArnNotEquals = { "aws:PrincipalArn" = var.writer_role_arn } }
      },
      {
        Sid       = "DenyRoot"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = "elasticfilesystem:ClientRootAccess"
        Resource  = aws_efs_file_system.this.arn
      },
    ]
  })
}

################################################################################
# Mount targets
################################################################################

resource "aws_efs_mount_target" "this" {
  for_each = var.subnet_id_by_zone

  file_system_id  = aws_efs_file_system.this.id
  subnet_id       = each.value
  security_groups = [var.security_group_id]
}

################################################################################
# Access points
################################################################################

resource "aws_efs_access_point" "reader" {
  file_system_id = aws_efs_file_system.this.id

  posix_user {
    uid = local.reader_uid
    gid = local.reader_uid
  }

  root_directory {
    path = var.root_directory

    # The access point that is mounted first creates the folder, owned by the writer.
    creation_info {
      owner_uid   = local.writer_uid
      owner_gid   = local.writer_uid
      permissions = "0755"
    }
  }

  tags = merge(var.tags, { Name = "${var.name}-reader" })
}

resource "aws_efs_access_point" "writer" {
  file_system_id = aws_efs_file_system.this.id

  posix_user {
    uid = local.writer_uid
    gid = local.writer_uid
  }

  root_directory {
    path = var.root_directory

    creation_info {
      owner_uid   = local.writer_uid
      owner_gid   = local.writer_uid
      permissions = "0755"
    }
  }

  tags = merge(var.tags, { Name = "${var.name}-writer" })
}
