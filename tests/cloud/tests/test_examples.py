"""The examples: each is valid, and those with a network or references are applied."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from cloud.client import CloudClient
from cloud.policies import Verdict, evaluate
from tests.conftest import Report
from tests.deployment import (
    BUNDLE,
    EVENT,
    Deployment,
    another_bundle,
    digest_of,
    scores_are_the_golden_ones,
)
from tests.terraform import EXAMPLES, REPOSITORY, Terraform

MODEL = "all-minilm-l6-v2"


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_valid(terraform: Terraform, example: str) -> None:
    folder = terraform.folder / "examples" / example
    terraform.run("init", "-backend=false", "-input=false", "-no-color", folder=folder)
    terraform.run("validate", "-no-color", folder=folder)


# --- Existing subnets and route tables ---------------------------------------------------


def network(cloud: CloudClient) -> dict[str, list[str]]:
    """Two subnets with a route table that has no endpoint yet."""
    ec2 = cloud.aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    subnets = []
    for number, zone in enumerate(("eu-central-1a", "eu-central-1b")):
        cidr = f"10.7.{number}.0/24"
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=zone)["Subnet"]
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnet["SubnetId"])
        subnets.append(subnet["SubnetId"])
    return {"subnet_ids": subnets, "route_table_ids": [table]}


@pytest.mark.apply
@pytest.mark.xdist_group("brought")
def test_existing_route_tables_keep_their_access_to_s3(
    built: None, cloud: CloudClient, terraform: Terraform, report: Report
) -> None:
    deployment = Deployment(cloud, terraform, "brought-network")
    variables: dict[str, Any] = network(cloud)
    at = 'module.semblance["semblance"].module.network'
    deployment.apply(variables, target=at)
    ec2 = cloud.aws("ec2")
    (endpoint,) = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert endpoint["RouteTableIds"] == variables["route_table_ids"]
    policy = json.loads(endpoint["PolicyDocument"])
    roles = {role["RoleName"]: role["Arn"] for role in cloud.aws("iam").list_roles()["Roles"]}
    buckets = [bucket["Name"] for bucket in cloud.aws("s3").list_buckets()["Buckets"]]
    (models,) = [name for name in buckets if name.startswith("semblance-model-sync-")]
    another = "arn:aws:iam::123456789012:role/another-application"

    def may(principal: str, bucket: str) -> Verdict:
        context = {"aws:PrincipalArn": principal, "aws:SecureTransport": "true"}
        resource = f"arn:aws:s3:::{bucket}/key"
        return evaluate([policy], "s3:GetObject", resource, context, principal)

    assert len(roles) == 2
    for principal, bucket, expected in [
        (another, "ecr-layers", Verdict.ALLOWED),
        (another, models, Verdict.ALLOWED),
        *((arn, models, Verdict.ALLOWED) for arn in roles.values()),
        *((arn, "ecr-layers", Verdict.DENIED) for arn in roles.values()),
    ]:
        verdict = may(principal, bucket)
        report(f"endpoint: {principal.split('/')[-1][:30]} reads {bucket[:22]}: {verdict.value}")
        assert verdict is expected

    # A table has at most one gateway endpoint for S3.
    (vpc,) = {subnet["VpcId"] for subnet in ec2.describe_subnets()["Subnets"]} & {endpoint["VpcId"]}
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=endpoint["ServiceName"], RouteTableIds=[table])
    taken = {**variables, "route_table_ids": [*variables["route_table_ids"], table]}
    refused = deployment.apply(taken, target=at, fails=True)
    said = " ".join(refused.output.replace("│", " ").split())
    message = (
        f"The route table {table} already has a gateway endpoint for S3, and can have only one."
    )
    report(f"route table taken: {message}")
    assert message in said, refused.output
    deployment.destroy(variables)


# --- The same artifacts in two environments ----------------------------------------------


def uploaded(cloud: CloudClient, bundle: Path) -> dict[str, Any]:
    """Zips and bundle in a bucket of artifacts, by reference."""
    s3 = cloud.aws("s3")
    references, digests = {}, {}
    for name in ("similarity", "model-sync"):
        body = (REPOSITORY / "target/lambda" / name / "bootstrap.zip").read_bytes()
        put = s3.put_object(Bucket="artifacts", Key=f"0.1.0/{name}.zip", Body=body)
        key = name.replace("-", "_")
        references[key] = f"s3://artifacts/0.1.0/{name}.zip?versionId={put['VersionId']}"
        digests[key] = hashlib.sha256(body).hexdigest()
    folder = f"models/{MODEL}/{digest_of(bundle)}"
    for file in bundle.resolve().iterdir():
        s3.put_object(Bucket="artifacts", Key=f"{folder}/{file.name}", Body=file.read_bytes())
    return {**references, "bundle": f"s3://artifacts/{folder}", "sha256": digests}


@pytest.mark.apply
@pytest.mark.xdist_group("environments")
def test_artifacts_by_reference_need_nothing_that_is_built(
    built: None, cloud: CloudClient, terraform: Terraform, tmp_path: Path, report: Report
) -> None:
    s3 = cloud.aws("s3")
    region = {"LocationConstraint": "eu-central-1"}
    for bucket in ("artifacts", "state"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=region)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    artifacts = uploaded(cloud, BUNDLE)
    backend = ["bucket=state", "key=semblance/dev.tfstate", "use_path_style=true"]
    with terraform.clean_checkout():
        dev = Deployment(
            cloud, terraform, "two-environments", *(f"-backend-config={item}" for item in backend)
        )
        variables: dict[str, Any] = {"environment": "dev", "artifacts": artifacts}
        apply = dev.apply(variables)
        report(f"artifacts by reference: {apply.seconds:.0f} s")
        answer = cloud.invoke("semblance-dev", EVENT, "live")
        assert answer.function_error is None and scores_are_the_golden_ones(answer)
        assert dev.plan(variables).status == 0
        (key,) = [entry["Key"] for entry in s3.list_objects_v2(Bucket="state")["Contents"]]
        assert key == "semblance/dev.tfstate", "the lock is gone"

        # A zip that is not the one that was released.
        wrong = {**artifacts, "sha256": {**artifacts["sha256"], "similarity": "0" * 64}}
        refused = dev.apply({**variables, "artifacts": wrong}, fails=True)
        said = " ".join(refused.output.replace("│", " ").split())
        assert "The alias did not move." in said, refused.output
        assert cloud.invoke("semblance-dev", EVENT, "live").version == "1"

        # Another model, and back: one input each.
        newer = another_bundle(tmp_path / "newer")
        second = uploaded(cloud, newer)
        dev.apply({**variables, "artifacts": {**artifacts, "bundle": second["bundle"]}})
        assert dev.outputs()["semblance"]["model_digest"] == digest_of(newer)
        dev.apply(variables)
        assert dev.outputs()["semblance"]["model_digest"] == digest_of(BUNDLE)
        answer = cloud.invoke("semblance-dev", EVENT, "live")
        assert answer.function_error is None and scores_are_the_golden_ones(answer)
        assert dev.plan(variables).status == 0
        dev.destroy(variables)
