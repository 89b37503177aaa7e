"""Tests of the deployment against the local cloud, and of the cloud itself."""
