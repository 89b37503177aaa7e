"""The examples: each is valid, and those with a network or references are applied."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
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


# --- Alarms ------------------------------------------------------------------------------


def test_alarms_can_be_created_for_a_deployed_function(
    cloud: CloudClient, terraform: Terraform, report: Report
) -> None:
    logs, queue = "/aws/lambda/watched", "https://sqs.example/123456789012/watched-dead-letters"
    cloud.aws("logs").create_log_group(logGroupName=logs)
    topic = cloud.aws("sns").create_topic(Name="on-call")["TopicArn"]
    function = {"name": "watched", "alias": "live", "log_group_name": logs}
    variables = {
        "topic_arns": [topic],
        "sync_function_name": "watched-model-sync",
        "function": {**function, "dead_letter_queue_url": queue},
    }
    deployment = Deployment(cloud, terraform, "../modules/alarms")
    deployment.apply(variables)
    alarms = cloud.aws("cloudwatch").describe_alarms()["MetricAlarms"]
    for alarm in alarms:
        statistic = alarm.get("Statistic") or alarm["ExtendedStatistic"]
        metric = f"{alarm['Namespace']} {alarm['MetricName']} {statistic}"
        report(f"alarm {alarm['AlarmName']}: {metric} >= {alarm['Threshold']:g}")
        assert alarm["AlarmActions"] == [topic], alarm["AlarmName"]
    assert len(alarms) == 8
    filters = cloud.aws("logs").describe_metric_filters(logGroupName=logs)["metricFilters"]
    written = {
        (change["metricNamespace"], change["metricName"])
        for entry in filters
        for change in entry["metricTransformations"]
    }
    read = {(alarm["Namespace"], alarm["MetricName"]) for alarm in alarms}
    assert written == {(space, name) for space, name in read if not space.startswith("AWS/")}
    plan = deployment.plan(variables)
    assert plan.status == 0, plan.output
    deployment.destroy(variables)
    assert cloud.aws("cloudwatch").describe_alarms()["MetricAlarms"] == []


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


@contextmanager
def environment(cloud: CloudClient, folder: Path, name: str) -> Iterator[Deployment]:
    """The example in a checkout in which nothing is built, with its state in a bucket."""
    with Terraform(folder) as terraform:
        for link in ("target", "build"):
            (folder / link).unlink()
        backend = ["bucket=state", f"key=semblance/{name}.tfstate", "use_path_style=true"]
        options = [f"-backend-config={item}" for item in backend]
        yield Deployment(cloud, terraform, "two-environments", *options)


@pytest.fixture(scope="module")
def artifacts(built: None, cloud: CloudClient) -> dict[str, Any]:
    """What is deployed, in a bucket; and a bucket for the states."""
    s3 = cloud.aws("s3")
    region = {"LocationConstraint": "eu-central-1"}
    for bucket in ("artifacts", "state"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=region)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return uploaded(cloud, BUNDLE)


@pytest.fixture(scope="module")
def dev(
    artifacts: dict[str, Any], cloud: CloudClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    with environment(cloud, tmp_path_factory.mktemp("dev"), "dev") as deployment:
        yield deployment


@pytest.fixture(scope="module")
def prod(
    artifacts: dict[str, Any], cloud: CloudClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    with environment(cloud, tmp_path_factory.mktemp("prod"), "prod") as deployment:
        yield deployment


def scores(cloud: CloudClient, name: str) -> bool:
    """Whether a function answers the seed's event."""
    answer = cloud.invoke(name, EVENT, "live")
    return answer.function_error is None and scores_are_the_golden_ones(answer)


@pytest.mark.apply
@pytest.mark.xdist_group("environments")
def test_both_environments_have_the_same_artifacts(
    dev: Deployment, prod: Deployment, artifacts: dict[str, Any], report: Report
) -> None:
    cloud = dev.cloud
    code, expected = {}, {"dev": 2, "prod": 25}
    for name, deployment in (("dev", dev), ("prod", prod)):
        variables: dict[str, Any] = {"environment": name, "artifacts": artifacts}
        apply = deployment.apply(variables)
        plan = deployment.plan(variables)
        assert plan.status == 0, plan.output
        assert scores(cloud, f"semblance-{name}")
        api = cloud.aws("lambda")
        function = api.get_function(FunctionName=f"semblance-{name}", Qualifier="live")
        assert function["Concurrency"] == {"ReservedConcurrentExecutions": expected[name]}
        code[name] = function["Configuration"]["CodeSha256"]
        report(f"artifacts by reference, {name}: {apply.seconds:.0f} s, code {code[name]}")
    assert code["dev"] == code["prod"]
    listed = cloud.aws("s3").list_objects_v2(Bucket="state")["Contents"]
    keys = [entry["Key"] for entry in listed]
    assert keys == ["semblance/dev.tfstate", "semblance/prod.tfstate"], "the locks are gone"


@pytest.mark.apply
@pytest.mark.xdist_group("environments")
def test_a_zip_that_was_not_released_does_not_get_the_alias(
    dev: Deployment, artifacts: dict[str, Any]
) -> None:
    wrong = {**artifacts, "sha256": {**artifacts["sha256"], "similarity": "0" * 64}}
    refused = dev.apply({"environment": "dev", "artifacts": wrong}, fails=True)
    said = " ".join(refused.output.replace("│", " ").split())
    assert "The alias did not move." in said, refused.output
    assert dev.cloud.invoke("semblance-dev", EVENT, "live").version == "1"


@pytest.mark.apply
@pytest.mark.xdist_group("environments")
def test_another_model_and_back_are_one_input_each(
    dev: Deployment, artifacts: dict[str, Any], tmp_path: Path
) -> None:
    newer = another_bundle(tmp_path / "newer")
    second = uploaded(dev.cloud, newer)
    variables: dict[str, Any] = {"environment": "dev", "artifacts": artifacts}
    dev.apply({**variables, "artifacts": {**artifacts, "bundle": second["bundle"]}})
    assert dev.outputs()["semblance"]["model_digest"] == digest_of(newer)
    dev.apply(variables)
    assert dev.outputs()["semblance"]["model_digest"] == digest_of(BUNDLE)
    assert scores(dev.cloud, "semblance-dev")
    assert dev.plan(variables).status == 0


@pytest.mark.apply
@pytest.mark.xdist_group("environments")
def test_an_environment_does_not_depend_on_the_other(
    dev: Deployment, prod: Deployment, artifacts: dict[str, Any]
) -> None:
    dev.destroy({"environment": "dev", "artifacts": artifacts})
    assert scores(dev.cloud, "semblance-prod")
    prod.destroy({"environment": "prod", "artifacts": artifacts})
    names = dev.cloud.aws("lambda").list_functions()["Functions"]
    assert [entry for entry in names if "semblance" in entry["FunctionName"]] == []
