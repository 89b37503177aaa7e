"""A local AWS: moto with what it lacks, and Lambda functions that really run.

`python -m cloud --port 0` starts it and prints its endpoint. What is here and not in
moto, a file each:

* `functions`: the Lambda API's gaps, versions and aliases, concurrency, dead letters
* `runtime`: the environment in which the `bootstrap` of a deployed zip runs
* `sandbox`: the file tree that a bootstrap sees, with its EFS mounts
* `file_systems`: the EFS API's gaps; a folder for each file system; who may mount it
* `policies`: IAM policies with their conditions
* `network`: which security groups let NFS through; the EC2 API's gaps
* `autoscaling`: tags of scalable targets
* `server`: the HTTP server, and `/cloud/...` for what a test does to the cloud itself
* `client`: the test's side of that
* `namespace`: the private mounts and processes that vanish with the cloud
"""
