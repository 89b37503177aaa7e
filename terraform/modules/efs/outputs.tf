################################################################################
# File system
################################################################################

output "file_system_id" {
  description = "Id of the file system."
  value       = aws_efs_file_system.this.id
}

output "file_system_arn" {
  description = "ARN of the file system."
  value       = aws_efs_file_system.this.arn
}

################################################################################
# Mount targets
################################################################################

output "mount_target_id_by_zone" {
  description = "Mount targets, availability zone => id."
  value       = { for zone, target in aws_efs_mount_target.this : zone => target.id }
}

################################################################################
# Access points
################################################################################

output "reader_access_point_arn" {
  description = "ARN of the access point for reading. Depends on every mount target, because Lambda refuses a file system without them."
  value       = aws_efs_access_point.reader.arn
  depends_on  = [aws_efs_mount_target.this, aws_efs_file_system_policy.this]
}

output "writer_access_point_arn" {
  description = "ARN of the access point for writing. Depends on every mount target, because Lambda refuses a file system without them."
  value       = aws_efs_access_point.writer.arn
  depends_on  = [aws_efs_mount_target.this, aws_efs_file_system_policy.this]
}
