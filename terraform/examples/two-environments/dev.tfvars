environment = "dev"

artifacts = {
  similarity = "s3://artifacts/0.1.0/similarity.zip?versionId=VERSION"
  model_sync = "s3://artifacts/0.1.0/model-sync.zip?versionId=VERSION"
  bundle     = "s3://artifacts/models/all-minilm-l6-v2/c72aa4e853a6e51c65bf8f48b562702c9d1f3af4233b9e57e7b0ddff8005868f"

  sha256 = {
    similarity = "0000000000000000000000000000000000000000000000000000000000000000"
    model_sync = "0000000000000000000000000000000000000000000000000000000000000000"
  }
}
