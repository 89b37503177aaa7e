# Keeps the objects and the copy of a state with a single bundle. Without these blocks the objects
# would be created again under the same keys and then deleted with their old addresses.

moved {
  from = aws_lambda_invocation.this
  to   = aws_lambda_invocation.this["bi_encoder"]
}

moved {
  from = aws_s3_object.this["graph"]
  to   = aws_s3_object.this["bi_encoder/graph"]
}

moved {
  from = aws_s3_object.this["manifest"]
  to   = aws_s3_object.this["bi_encoder/manifest"]
}

moved {
  from = aws_s3_object.this["tokenizer"]
  to   = aws_s3_object.this["bi_encoder/tokenizer"]
}

moved {
  from = aws_s3_object.this["vocabulary"]
  to   = aws_s3_object.this["bi_encoder/vocabulary"]
}

moved {
  from = aws_s3_object.this["weights"]
  to   = aws_s3_object.this["bi_encoder/weights"]
}

moved {
  from = aws_s3_object.this["words"]
  to   = aws_s3_object.this["bi_encoder/words"]
}

moved {
  from = aws_s3_bucket.this
  to   = module.bucket.aws_s3_bucket.this
}

moved {
  from = aws_s3_bucket_lifecycle_configuration.this
  to   = module.bucket.aws_s3_bucket_lifecycle_configuration.this
}

moved {
  from = aws_s3_bucket_ownership_controls.this
  to   = module.bucket.aws_s3_bucket_ownership_controls.this
}

moved {
  from = aws_s3_bucket_policy.this
  to   = module.bucket.aws_s3_bucket_policy.this
}

moved {
  from = aws_s3_bucket_public_access_block.this
  to   = module.bucket.aws_s3_bucket_public_access_block.this
}

moved {
  from = aws_s3_bucket_server_side_encryption_configuration.this
  to   = module.bucket.aws_s3_bucket_server_side_encryption_configuration.this
}

moved {
  from = aws_s3_bucket_versioning.this
  to   = module.bucket.aws_s3_bucket_versioning.this
}
