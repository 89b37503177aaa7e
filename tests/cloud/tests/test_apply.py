"""The whole story: apply, copy, score, update, roll back, permissions, failures, destroy.

The tests run in the order they stand in, each on what the former left behind.
"""

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cloud.client import Invocation
from tests.conftest import Report
from tests.deployment import (
    BUNDLE,
    CROSS_ENCODER,
    CROSS_GOLDEN,
    EVENT,
    GOLDEN,
    TOLERANCE,
    Deployment,
    another_bundle,
    contents,
    digest_of,
    scores_are_the_golden_ones,
)
from tests.terraform import Run
from tests.test_versions import prune, versions

pytestmark = [pytest.mark.apply, pytest.mark.xdist_group("apply")]

MODEL = "all-minilm-l6-v2"
OLD = digest_of(BUNDLE)
CROSS_MODEL = "seeded-cross-encoder-1"
ORIGINS = ["https://example.com", "http://localhost:8000"]
QUERY, CANDIDATES = EVENT["query_from_app"], EVENT["actual_queries"]


@pytest.fixture(scope="module")
def new_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return another_bundle(tmp_path_factory.mktemp("bundles") / "new")


def alias_version(deployment: Deployment) -> str:
    alias = deployment.cloud.aws("lambda").get_alias(FunctionName="semblance", Name="live")
    return str(alias["FunctionVersion"])


# --- From nothing to an answer --------------------------------------------------------


def test_one_apply_creates_everything(deployment: Deployment, report: Report) -> None:
    plan = deployment.plan()
    assert plan.status == 2, plan.output
    apply = deployment.apply()
    count = len(deployment.resources())
    assert f"Apply complete! Resources: {count} added, 0 changed, 0 destroyed." in apply.output
    report(f"init {deployment.init_seconds:.0f} s, plan {plan.seconds:.0f} s")
    report(f"apply: {count} resources in {apply.seconds:.0f} s")


def test_the_sync_function_copied_the_bundle_to_the_file_system(
    deployment: Deployment, report: Report
) -> None:
    outputs = deployment.outputs()
    result = outputs["model_sync_result"]
    report(f"model_sync_result: {json.dumps(result)}")
    expected = contents(BUNDLE.resolve())
    assert contents(deployment.models() / MODEL) == {
        f"{OLD}/{name}": digest for name, digest in expected.items()
    }
    assert (outputs["model_name"], outputs["model_digest"]) == (MODEL, OLD)
    assert result["copied"] is True
    assert result["path"] == f"/mnt/models/{MODEL}/{OLD}"
    assert result["bytes"] == sum(file.stat().st_size for file in BUNDLE.resolve().iterdir())


def test_the_copy_belongs_to_the_writer_and_can_be_read_by_others(deployment: Deployment) -> None:
    files = deployment.cloud.files(deployment.file_system)
    copied = {path: entry for path, entry in files.items() if path.startswith(f"models/{MODEL}/")}
    assert {entry["uid"] for entry in copied.values()} == {deployment.cloud.uid(1000)}
    assert all(entry["mode"] & 0o004 for entry in copied.values())


def test_the_function_scores_the_seeds_event(deployment: Deployment, report: Report) -> None:
    answer = deployment.score()
    report(f"scores: {json.dumps(answer.payload)}")
    assert answer.function_error is None and answer.version == "1"
    assert scores_are_the_golden_ones(answer)


def test_a_second_plan_is_empty(deployment: Deployment, report: Report) -> None:
    plan = deployment.plan()
    report(f"second plan: {plan.seconds:.0f} s, {plan.output.strip().splitlines()[-4]}")
    assert plan.status == 0, plan.output


def test_the_function_has_the_configuration_of_the_seed(deployment: Deployment) -> None:
    api = deployment.cloud.aws("lambda")
    function = api.get_function(FunctionName="semblance", Qualifier="live")
    configuration = function["Configuration"]
    assert function["Concurrency"]["ReservedConcurrentExecutions"] == 25
    assert (configuration["MemorySize"], configuration["Timeout"]) == (1280, 120)
    assert configuration["TracingConfig"] == {"Mode": "Active"}
    assert configuration["FileSystemConfigs"][0]["LocalMountPath"] == "/mnt/models"
    assert configuration["LoggingConfig"]["LogFormat"] == "JSON"
    assert configuration["DeadLetterConfig"]["TargetArn"].endswith(":semblance-dead-letters")
    assert configuration["Environment"]["Variables"] == {
        "SEMBLANCE_BUNDLE": f"/mnt/models/{MODEL}/{OLD}"
    }
    logs = deployment.cloud.aws("logs").describe_log_groups()["logGroups"]
    assert {group["logGroupName"]: group["retentionInDays"] for group in logs} == {
        "/aws/lambda/semblance": 30,
        "/aws/lambda/semblance-model-sync": 30,
    }


def test_both_functions_logged_json_to_their_groups(deployment: Deployment) -> None:
    for group in ("/aws/lambda/semblance", "/aws/lambda/semblance-model-sync"):
        lines = deployment.cloud.logs(group)
        kinds = [json.loads(line).get("type") for line in lines]
        assert "platform.report" in kinds
        assert None in kinds, f"{group} has lines of the function's own"


# --- Network --------------------------------------------------------------------------


def test_nothing_leads_out_of_the_network(deployment: Deployment) -> None:
    ec2 = deployment.cloud.aws("ec2")
    subnet_id = deployment.outputs()["subnet_ids"][0]
    vpc = ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"][0]["VpcId"]
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    attached = [{"Name": "attachment.vpc-id", "Values": [vpc]}]
    assert ec2.describe_internet_gateways(Filters=attached)["InternetGateways"] == []
    assert ec2.describe_nat_gateways(Filters=of_vpc)["NatGateways"] == []
    endpoints = ec2.describe_vpc_endpoints(Filters=of_vpc)["VpcEndpoints"]
    assert [endpoint["ServiceName"] for endpoint in endpoints] == ["com.amazonaws.eu-central-1.s3"]
    tables = ec2.describe_route_tables(Filters=of_vpc)["RouteTables"]
    serving = {
        association["SubnetId"]
        for table in tables
        if table["RouteTableId"] in endpoints[0]["RouteTableIds"]
        for association in table["Associations"]
        if "SubnetId" in association
    }
    assert serving == set(deployment.outputs()["subnet_ids"])
    for group in ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"]:
        rules = group["IpPermissions"] + group["IpPermissionsEgress"]
        if group["GroupName"] == "default":
            assert rules == []
        assert not [rule for rule in rules if rule["IpRanges"] or rule["Ipv6Ranges"]], group
        assert {rule["FromPort"] for rule in rules} <= {443, 2049}


# --- Permissions ----------------------------------------------------------------------


def test_both_roles_may_do_only_what_they_need(deployment: Deployment, report: Report) -> None:
    iam = deployment.cloud.aws("iam")
    outputs = deployment.outputs()
    allowed = {}
    for function, arn in (
        ("similarity", outputs["role_arn"]),
        ("model-sync", outputs["model_sync_role_arn"]),
    ):
        name = arn.split("/")[-1]
        assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
        policies = iam.list_role_policies(RoleName=name)["PolicyNames"]
        assert sorted(policies) == ["function", "network-interfaces"]
        document = {
            "Statement": [
                statement
                for policy in policies
                for statement in iam.get_role_policy(RoleName=name, PolicyName=policy)[
                    "PolicyDocument"
                ]["Statement"]
            ]
        }
        trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]["Statement"]
        account = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
        assert [statement["Condition"] for statement in trust] == [account]
        report(f"role of {function}:")
        for line in json.dumps(document, indent=2).splitlines():
            report(f"  {line}")
        allowed[function] = {
            action
            for statement in document["Statement"]
            if statement["Effect"] == "Allow"
            for action in as_list(statement["Action"])
        }
        unbounded = {
            statement["Sid"]
            for statement in document["Statement"]
            if statement["Effect"] == "Allow" and "*" in as_list(statement["Resource"])
        }
        assert unbounded == {"WriteTraces", "ManageNetworkInterfaces"}
    assert allowed["model-sync"] - allowed["similarity"] == {
        "elasticfilesystem:ClientWrite",
        "s3:GetObject",
        "s3:ListBucket",
    }
    assert not [action for action in allowed["similarity"] if "*" in action]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@contextmanager
def enforced_iam(deployment: Deployment) -> Iterator[None]:
    deployment.cloud.enforce_iam(0)
    try:
        yield
    finally:
        deployment.cloud.enforce_iam(float("inf"))


def test_iam_allows_what_they_do_and_denies_the_rest(
    deployment: Deployment, report: Report
) -> None:
    cloud, outputs = deployment.cloud, deployment.outputs()
    bucket = outputs["bucket_name"]
    key = f"models/{MODEL}/{OLD}/bundle.json"
    roles = {}
    for function, arn in (
        ("similarity", outputs["role_arn"]),
        ("model-sync", outputs["model_sync_role_arn"]),
    ):
        session = cloud.aws("sts").assume_role(RoleArn=arn, RoleSessionName="test")
        roles[function] = session["Credentials"]
    operator = administrator(deployment)

    def may(function: str, service: str, operation: str, **arguments: Any) -> bool:
        try:
            getattr(cloud.aws(service, roles[function]), operation)(**arguments)
        except ClientError as error:
            if "AccessDenied" not in str(error):
                raise
            return False
        return True

    asked = [
        ("model-sync", True, "s3", "get_object", {"Bucket": bucket, "Key": key}),
        ("model-sync", True, "s3", "head_object", {"Bucket": bucket, "Key": key}),
        ("model-sync", True, "s3", "list_objects_v2", {"Bucket": bucket}),
        ("model-sync", False, "s3", "list_objects_v2", {"Bucket": "another"}),
        ("model-sync", False, "s3", "get_object", {"Bucket": bucket, "Key": "elsewhere/file"}),
        ("model-sync", False, "s3", "put_object", {"Bucket": bucket, "Key": key, "Body": b""}),
        ("model-sync", False, "s3", "delete_object", {"Bucket": bucket, "Key": key}),
        ("model-sync", False, "lambda", "list_functions", {}),
        ("similarity", False, "s3", "get_object", {"Bucket": bucket, "Key": key}),
        ("similarity", False, "s3", "list_buckets", {}),
        ("similarity", False, "lambda", "invoke", {"FunctionName": "semblance-model-sync"}),
        ("similarity", False, "efs", "describe_file_systems", {}),
        ("similarity", False, "iam", "list_roles", {}),
    ]
    with an_object(deployment, "elsewhere/file"), enforced_iam(deployment):
        answers = [may(role, api, name, **arguments) for role, _, api, name, arguments in asked]
        # The functions themselves, with their roles' credentials and nothing else.
        shutil.rmtree(deployment.models() / MODEL / OLD)
        cloud.recycle("semblance-model-sync")
        event = json.dumps({"model_name": MODEL, "digest": OLD}).encode()
        copied = cloud.aws("lambda", operator).invoke(
            FunctionName="semblance-model-sync", Payload=event
        )
        result = json.loads(copied["Payload"].read())
    for (role, _, api, name, arguments), answer in zip(asked, answers, strict=True):
        shown = ", ".join(str(value) for value in arguments.values() if value != b"")
        report(f"{role}: {api} {name} {shown}: {'allowed' if answer else 'denied'}")
    assert answers == [expected for _, expected, *_ in asked]
    assert result.get("copied") is True, result


def administrator(deployment: Deployment) -> dict[str, str]:
    """Keys of a user who may do everything: who calls while IAM is enforced."""
    iam = deployment.cloud.aws("iam")
    iam.create_user(UserName="operator")
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    iam.put_user_policy(UserName="operator", PolicyName="all", PolicyDocument=document)
    key = iam.create_access_key(UserName="operator")["AccessKey"]
    return {"AccessKeyId": key["AccessKeyId"], "SecretAccessKey": key["SecretAccessKey"]}


@contextmanager
def an_object(deployment: Deployment, key: str) -> Iterator[None]:
    """An object that terraform knows nothing of; no version of it is left afterwards."""
    bucket = deployment.outputs()["bucket_name"]
    s3 = deployment.cloud.aws("s3")
    version = s3.put_object(Bucket=bucket, Key=key, Body=b"")["VersionId"]
    try:
        yield
    finally:
        s3.delete_object(Bucket=bucket, Key=key, VersionId=version)


def test_the_similarity_function_cannot_write_to_the_file_system(deployment: Deployment) -> None:
    efs = deployment.cloud.aws("efs")
    policy = json.loads(
        efs.describe_file_system_policy(FileSystemId=deployment.file_system)["Policy"]
    )
    by_name = {statement["Sid"]: statement for statement in policy["Statement"]}
    outputs = deployment.outputs()
    assert by_name["ReadThroughAccessPoint"]["Principal"] == {"AWS": outputs["role_arn"]}
    assert by_name["ReadThroughAccessPoint"]["Action"] == "elasticfilesystem:ClientMount"
    assert by_name["DenyWritingToReaders"]["Condition"] == {
        "ArnNotEquals": {"aws:PrincipalArn": outputs["model_sync_role_arn"]}
    }
    assert by_name["DenyUnencrypted"]["Effect"] == "Deny"


# --- Failures of a copy: nothing that was there is touched ----------------------------


@contextmanager
def missing_folder(deployment: Deployment) -> Iterator[Path]:
    """The model's folder set aside, as if it had never been copied; put back afterwards."""
    folder = deployment.models() / MODEL / OLD
    aside = deployment.cloud.state / "aside"
    shutil.move(folder, aside)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.move(aside, folder)


def code_of(answer: Invocation) -> str | None:
    return answer.payload.get("errorType") if answer.function_error else None


def test_an_object_that_is_missing_fails_the_copy(deployment: Deployment, report: Report) -> None:
    bucket = deployment.outputs()["bucket_name"]
    s3 = deployment.cloud.aws("s3")
    key = f"models/{MODEL}/{OLD}/tokenizer.json"
    with missing_folder(deployment) as folder:
        marker = s3.delete_object(Bucket=bucket, Key=key)["VersionId"]
        answer = deployment.sync(OLD)
        s3.delete_object(Bucket=bucket, Key=key, VersionId=marker)
        assert not folder.exists()
    report(f"object missing: {json.dumps(answer.payload)}")
    assert code_of(answer) == "sync.object_missing"


def test_a_full_file_system_fails_the_copy(deployment: Deployment, report: Report) -> None:
    cloud = deployment.cloud
    (deployment.models() / MODEL / "former").mkdir()
    (deployment.models() / MODEL / "former" / "model.onnx").write_text("still here")
    with missing_folder(deployment):
        cloud.limit(deployment.file_system, 40_000_000)
        answer = deployment.sync(OLD)
        files = cloud.files(deployment.file_system)
        cloud.limit(deployment.file_system, None)
    report(f"disk full: {json.dumps(answer.payload)}")
    assert code_of(answer) == "sync.disk_full"
    assert files[f"models/{MODEL}/former/model.onnx"]["bytes"] == len("still here")
    assert f"models/{MODEL}/{OLD}" not in files
    shutil.rmtree(deployment.models() / MODEL / "former")


def test_a_copy_that_is_killed_half_way_is_finished_by_the_next(
    deployment: Deployment, report: Report
) -> None:
    cloud = deployment.cloud
    with missing_folder(deployment) as folder:
        cloud.kill_after_s3_bytes("semblance-model-sync", 40_000_000)
        killed = deployment.sync(OLD)
        half_way = folder.exists()
        left = staged_bytes(deployment)
        served = cloud.s3_served_bytes()
        again = deployment.sync(OLD)
        read = cloud.s3_served_bytes() - served
        complete = contents(folder)
        names = {entry.name for entry in (deployment.models() / MODEL).iterdir()}
    report(f"killed during the copy: {json.dumps(killed.payload)}; {left} bytes staged")
    report(f"  and run again: {json.dumps(again.payload)}; {read} bytes read")
    assert code_of(killed) == "Runtime.ExitError"
    assert not half_way, "the folder appears only when it is complete"
    assert again.function_error is None and again.payload["copied"] is True
    assert complete == contents(BUNDLE.resolve())
    assert left > 0 and read < sum(file.stat().st_size for file in BUNDLE.resolve().iterdir())
    assert names == {OLD} and staged_bytes(deployment) == 0, "nothing of it is left"


def staged_bytes(deployment: Deployment) -> int:
    """Bytes of files on the file system that belong to no version."""
    files = deployment.cloud.files(deployment.file_system)
    return sum(
        entry["bytes"]
        for path, entry in files.items()
        if not entry["folder"] and not path.startswith(f"models/{MODEL}/")
    )


def test_two_copies_at_once_both_succeed(deployment: Deployment, report: Report) -> None:
    answers: list[Invocation] = []

    def copy() -> None:
        answers.append(deployment.sync(OLD))

    with missing_folder(deployment) as folder:
        deployment.cloud.recycle("semblance-model-sync")
        threads = [threading.Thread(target=copy) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        complete = contents(folder)
        names = {entry.name for entry in (deployment.models() / MODEL).iterdir()}
    for answer in answers:
        report(f"two at once: {json.dumps(answer.payload)}")
    assert [code_of(answer) for answer in answers] == [None, None]
    assert complete == contents(BUNDLE.resolve()) and names == {OLD}
    assert staged_bytes(deployment) == 0


def test_a_function_without_its_folder_says_so(deployment: Deployment, report: Report) -> None:
    cloud = deployment.cloud
    with missing_folder(deployment):
        cloud.recycle("semblance")
        before = len(cloud.logs("/aws/lambda/semblance"))
        answer = deployment.score()
        lines = cloud.logs("/aws/lambda/semblance")[before:]
    logged = [line for line in lines if not json.loads(line).get("type", "").startswith("platform")]
    report(f"folder missing: {json.dumps(answer.payload)}")
    report(f"  logged: {' '.join(logged)}")
    assert code_of(answer) == "Runtime.ExitError"
    assert len(logged) == 1 and OLD in logged[0]
    assert scores_are_the_golden_ones(deployment.score())


# --- A failed copy fails the apply ----------------------------------------------------


def test_concurrency_zero_switches_the_function_off(deployment: Deployment, report: Report) -> None:
    apply = deployment.apply({"concurrency": 0})
    with pytest.raises(ClientError) as refused:
        deployment.score()
    report(f"concurrency 0: applied in {apply.seconds:.0f} s; invoke says {refused.value}")
    assert refused.value.response["Error"]["Code"] == "TooManyRequestsException"


def test_an_object_that_was_corrupted_fails_the_apply(
    deployment: Deployment, report: Report
) -> None:
    bucket = deployment.outputs()["bucket_name"]
    s3 = deployment.cloud.aws("s3")
    key = f"models/{MODEL}/{OLD}/model.weights"
    body = bytearray((BUNDLE / "model.weights").read_bytes())
    body[len(body) // 2] ^= 1
    s3.put_object(Bucket=bucket, Key=key, Body=bytes(body))
    shutil.rmtree(deployment.models() / MODEL / OLD)
    apply = deployment.apply(
        replace='module.model[0].aws_lambda_invocation.this["bi_encoder"]', fails=True
    )
    shown = [line for line in apply.output.splitlines() if "sync.digest_mismatch" in line]
    report(f"object corrupted: apply fails in {apply.seconds:.0f} s: {' '.join(shown)}")
    assert shown, apply.output
    assert not (deployment.models() / MODEL / OLD).exists()
    # What was in service is as it was: the same version, still switched off.
    assert alias_version(deployment) == "1"
    function = deployment.cloud.aws("lambda").get_function(FunctionName="semblance")
    assert function["Concurrency"] == {"ReservedConcurrentExecutions": 0}


def test_uploading_the_objects_again_heals_it(deployment: Deployment, report: Report) -> None:
    apply = deployment.apply(replace="module.model[0].terraform_data.upload")
    report(f"  healed by uploading the objects again: {apply.seconds:.0f} s")
    assert contents(deployment.models() / MODEL / OLD) == contents(BUNDLE.resolve())
    assert scores_are_the_golden_ones(deployment.score())
    nothing_is_left_to_do(deployment)


def test_applying_again_restores_an_object_that_is_missing(deployment: Deployment) -> None:
    bucket = deployment.outputs()["bucket_name"]
    key = f"models/{MODEL}/{OLD}/tokenizer.json"
    deployment.cloud.aws("s3").delete_object(Bucket=bucket, Key=key)
    deployment.apply()
    nothing_is_left_to_do(deployment)


@pytest.mark.parametrize(
    "replaced",
    [
        'module.model[0].aws_lambda_invocation.this["bi_encoder"]',
        'module.model[0].aws_s3_object.this["bi_encoder/weights"]',
    ],
)
def test_every_other_repair_keeps_the_objects(deployment: Deployment, replaced: str) -> None:
    deployment.apply(replace=replaced)
    nothing_is_left_to_do(deployment)


def nothing_is_left_to_do(deployment: Deployment) -> None:
    """The bucket holds every object of the bundle, and the next plan is empty."""
    bucket = deployment.outputs()["bucket_name"]
    s3 = deployment.cloud.aws("s3")
    listed = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    folder = f"models/{MODEL}/{OLD}"
    expected = {f"{folder}/{path.name}" for path in BUNDLE.resolve().iterdir()}
    assert set(listed) == {*expected, "deployed/bi_encoder.json"}
    for name, digest in contents(BUNDLE.resolve()).items():
        body = s3.get_object(Bucket=bucket, Key=f"{folder}/{name}")["Body"].read()
        assert hashlib.sha256(body).hexdigest() == digest, name
    plan = deployment.plan()
    assert plan.status == 0, plan.output


# --- A checkout in which nothing is built -----------------------------------------------


def test_a_clean_checkout_plans_nothing(deployment: Deployment, report: Report) -> None:
    with deployment.terraform.clean_checkout():
        plan = deployment.plan()
        changed = deployment.plan({"memory_size": 1536})
    report(f"clean checkout: plan {plan.seconds:.0f} s, {plan.output.strip().splitlines()[-4]}")
    assert plan.status == 0, plan.output
    # A change that is not of the artifacts changes nothing of them.
    assert changed.status == 2, changed.output
    assert "memory_size" in changed.output and "source_code_hash" not in changed.output
    assert "aws_s3_object.this" not in changed.output.split("Terraform will perform")[1]


# --- The schedule ------------------------------------------------------------------------


def test_the_schedule_keeps_both_functions_awake(deployment: Deployment, report: Report) -> None:
    events = deployment.cloud.aws("events")
    rules = {rule["Name"]: rule["ScheduleExpression"] for rule in events.list_rules()["Rules"]}
    names = ("semblance-keep-awake", "semblance-model-sync-keep-awake")
    assert rules == dict.fromkeys(names, "rate(1 day)")
    shutil.rmtree(deployment.models() / MODEL / OLD)
    (copied,) = deployment.cloud.fire("semblance-model-sync-keep-awake")
    (warm,) = deployment.cloud.fire("semblance-keep-awake")
    report(f"schedule: {json.dumps(warm.payload)}; {json.dumps(copied.payload)}")
    assert warm.function_error is None and warm.payload == {"status": "warm"}
    assert copied.function_error is None and copied.payload["copied"] is True


# --- What a plan refuses --------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "variables", "message"),
    [
        (
            "mount path invalid",
            {"file_system_config": {"local_mount_path": "/models"}},
            "file_system_config.local_mount_path must be /mnt/ and one folder",
        ),
        (
            "one zone",
            {"vpc_config": {"availability_zones": ["eu-central-1a"]}},
            "availability_zones must name two to six zones",
        ),
        (
            "bundle not built",
            {"artifacts": {"bundle": "../build/model/nowhere"}},
            "must be a folder that holds bundle.json",
        ),
        (
            "cross-encoder that embeds",
            {"artifacts": {"cross_encoder": "../build/model/default"}},
            "artifacts.cross_encoder must be a folder whose bundle.json has the task",
        ),
        (
            "origin with a path",
            {"function_url": {"cors_origins": ["https://example.com/page"]}},
            "function_url.cors_origins must hold origins as browsers send them",
        ),
    ],
)
def test_a_plan_refuses(
    deployment: Deployment, report: Report, what: str, variables: dict[str, Any], message: str
) -> None:
    plan = deployment.plan(variables)
    said = " ".join(plan.output.replace("│", " ").split())
    report(f"{what}: {said[said.find(message) :][:250]}")
    assert plan.status == 1 and message in said, plan.output


def test_a_plan_refuses_subnets_in_one_zone(deployment: Deployment, report: Report) -> None:
    ec2 = deployment.cloud.aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone="eu-central-1a")["Subnet"]
        for cidr in ("10.9.0.0/24", "10.9.1.0/24")
    ]
    ids = [subnet["SubnetId"] for subnet in subnets]
    plan = deployment.plan({"vpc_config": {"subnet_ids": ids}})
    said = " ".join(plan.output.replace("│", " ").split())
    message = (
        "subnet_ids must name subnets in at least two availability zones; "
        "all of these are in eu-central-1a."
    )
    report(f"subnets in one zone: {message}")
    assert plan.status == 1 and message in said, plan.output


# --- Update and roll back -------------------------------------------------------------


def everything(bundle: Path) -> dict[str, Any]:
    """Another model, a cross-encoder, warm environments, and a URL that pages may call."""
    return {
        "artifacts": {"bundle": str(bundle), "cross_encoder": "../build/model/cross"},
        "provisioned_concurrency": {"minimum": 1, "maximum": 3},
        "vpc_config": {"interface_endpoints": ["logs", "xray"]},
        "function_url": {
            "allowed_principal_arns": ["arn:aws:iam::210987654321:root"],
            "cors_origins": ORIGINS,
        },
    }


def test_a_changed_bundle_is_a_new_version_beside_the_old_one(
    deployment: Deployment, new_bundle: Path, report: Report
) -> None:
    before = int(alias_version(deployment))
    new = digest_of(new_bundle)
    apply = deployment.apply(everything(new_bundle))
    report(f"update: {apply.seconds:.0f} s; version {before} -> {alias_version(deployment)}")
    assert int(alias_version(deployment)) == before + 1
    assert {entry.name for entry in (deployment.models() / MODEL).iterdir()} == {OLD, new}
    assert contents(deployment.models() / MODEL / new) == contents(new_bundle)
    answer = deployment.score()
    assert answer.version == str(before + 1) and scores_are_the_golden_ones(answer)
    assert deployment.variables()["SEMBLANCE_BUNDLE"] == f"/mnt/models/{MODEL}/{new}"
    assert deployment.outputs()["function_url"].startswith("https://")
    # The former version still answers, from the former folder.
    former = deployment.score(str(before))
    assert former.version == str(before) and scores_are_the_golden_ones(former)
    assert uploaded(deployment) == {(MODEL, new), (CROSS_MODEL, digest_of(CROSS_ENCODER))}


def uploaded(deployment: Deployment) -> set[tuple[str, str]]:
    """Model and version of every object in the bucket."""
    keys = deployment.cloud.aws("s3").list_objects_v2(Bucket=deployment.outputs()["bucket_name"])
    parts = [entry["Key"].split("/") for entry in keys["Contents"]]
    return {(rest[0], rest[1]) for top, *rest in parts if top == "models"}


def test_a_cross_encoder_was_copied_beside_it_by_the_same_apply(
    deployment: Deployment, report: Report
) -> None:
    digest = digest_of(CROSS_ENCODER)
    found = deployment.outputs()["cross_encoder"]
    report(f"cross_encoder: {json.dumps(found)}")
    assert (found["model_name"], found["digest"]) == (CROSS_MODEL, digest)
    assert found["sync_result"]["copied"] is True
    assert contents(deployment.models() / CROSS_MODEL) == {
        f"{digest}/{name}": value for name, value in contents(CROSS_ENCODER.resolve()).items()
    }
    variables = deployment.variables()
    assert variables["SEMBLANCE_CROSS_ENCODER_BUNDLE"] == f"/mnt/models/{CROSS_MODEL}/{digest}"
    sync = deployment.cloud.aws("lambda").get_function(FunctionName="semblance-model-sync")
    assert sync["Concurrency"] == {"ReservedConcurrentExecutions": 4}, "two for each bundle"


def test_the_function_and_its_url_know_the_same_origins(deployment: Deployment) -> None:
    assert deployment.variables()["SEMBLANCE_CORS_ORIGINS"] == ",".join(ORIGINS)
    url = deployment.cloud.aws("lambda").get_function_url_config(
        FunctionName="semblance", Qualifier="live"
    )
    assert url["AuthType"] == "AWS_IAM"
    assert sorted(url["Cors"]["AllowOrigins"]) == sorted(ORIGINS)
    assert sorted(url["Cors"]["AllowMethods"]) == ["GET", "POST"]


def test_extensions_reach_their_services_through_endpoints(
    deployment: Deployment, report: Report
) -> None:
    ec2 = deployment.cloud.aws("ec2")
    endpoints = [
        endpoint
        for endpoint in ec2.describe_vpc_endpoints()["VpcEndpoints"]
        if endpoint["VpcEndpointType"] == "Interface"
    ]
    services = sorted(endpoint["ServiceName"] for endpoint in endpoints)
    report(f"interface endpoints: {services}")
    assert services == ["com.amazonaws.eu-central-1.logs", "com.amazonaws.eu-central-1.xray"]
    api = deployment.cloud.aws("lambda")
    for endpoint in endpoints:
        assert sorted(endpoint["SubnetIds"]) == sorted(deployment.outputs()["subnet_ids"])
        assert endpoint["PrivateDnsEnabled"] is True
        groups = [group["GroupId"] for group in endpoint["Groups"]]
        for name in ("semblance", "semblance-model-sync"):
            function = api.get_function_configuration(FunctionName=name)
            own = function["VpcConfig"]["SecurityGroupIds"]
            assert https_is_open(ec2, own, groups), f"{name} to {endpoint['ServiceName']}"


def https_is_open(ec2: Any, sources: list[str], targets: list[str]) -> bool:
    """Whether rules let HTTPS leave the sources and enter the targets."""

    def allowed(own: list[str], others: list[str], *, egress: bool) -> bool:
        rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": own}])[
            "SecurityGroupRules"
        ]
        return any(
            rule["IsEgress"] is egress
            and (rule["FromPort"], rule["ToPort"]) == (443, 443)
            and rule.get("ReferencedGroupInfo", {}).get("GroupId") in others
            for rule in rules
        )

    return allowed(sources, targets, egress=True) and allowed(targets, sources, egress=False)


def test_with_everything_in_use_a_second_plan_is_empty(
    deployment: Deployment, new_bundle: Path
) -> None:
    plan = deployment.plan(everything(new_bundle))
    assert plan.status == 0, plan.output


def test_a_change_moves_the_warm_environments_with_the_alias(
    deployment: Deployment, new_bundle: Path, report: Report
) -> None:
    before, changed = alias_version(deployment), {**everything(new_bundle), "memory_size": 1281}
    apply = deployment.apply(changed)
    after = alias_version(deployment)
    api = deployment.cloud.aws("lambda")
    alias = api.get_alias(FunctionName="semblance", Name="live")
    assert int(after) == int(before) + 1 and "RoutingConfig" not in alias
    warm = [version for version in (before, after, "live") if is_warm(deployment, version)]
    report(f"provisioned concurrency: version {before} -> {after}, warm: {warm}")
    assert warm == [after]
    lines = apply.output.splitlines()
    order = [
        next(number for number, line in enumerate(lines) if part in line)
        for part in (
            "aws_lambda_provisioned_concurrency_config.this[0]: Destruction complete",
            "aws_lambda_provisioned_concurrency_config.this[0]: Creation complete",
            "aws_lambda_alias.this: Modifications complete",
        )
    ]
    assert order == sorted(order), apply.output
    plan = deployment.plan(changed)
    assert plan.status == 0, plan.output


def is_warm(deployment: Deployment, qualifier: str) -> bool:
    """Whether a version or alias itself has provisioned concurrency."""
    api = deployment.cloud.aws("lambda")
    try:
        api.get_provisioned_concurrency_config(FunctionName="semblance", Qualifier=qualifier)
    except api.exceptions.ProvisionedConcurrencyConfigNotFoundException:
        return False
    return True


def test_an_event_that_names_an_operation_is_answered_by_it(
    deployment: Deployment, report: Report
) -> None:
    embedded = deployment.operate("embed", inputs=["a"])
    assert embedded.function_error is None, embedded.payload
    (row,) = embedded.payload
    (expected,) = [entry["embedding"] for entry in GOLDEN["texts"] if entry["text"] == "a"]
    assert all(abs(x - y) <= TOLERANCE for x, y in zip(row, expected, strict=True))

    info = deployment.operate("info")
    report(f"info: {json.dumps(info.payload)}")
    assert info.payload["cross_encoder"] is not None

    refused = deployment.operate("translate")
    report(f"unknown operation: {json.dumps(refused.payload)}")
    assert refused.function_error is not None


def test_reranking_and_predicting_are_the_cross_encoders(
    deployment: Deployment, report: Report
) -> None:
    expected = cross_scores()
    ranked = deployment.operate("rerank", query=QUERY, texts=CANDIDATES)
    report(f"rerank: {json.dumps(ranked.payload)}")
    assert ranked.function_error is None, ranked.payload
    assert [entry["index"] for entry in ranked.payload] == sorted(
        range(len(expected)), key=lambda index: -expected[index]
    )
    for entry in ranked.payload:
        assert abs(entry["score"] - expected[entry["index"]]) <= TOLERANCE
        assert "scored_by" not in entry

    pairs = [[QUERY, text] for text in CANDIDATES]
    predicted = deployment.operate("predict", inputs=pairs)
    report(f"predict: {json.dumps(predicted.payload)}")
    for rows, score in zip(predicted.payload, expected, strict=True):
        assert [row["label"] for row in rows] == ["LABEL_0"]
        assert abs(rows[0]["score"] - score) <= TOLERANCE


def cross_scores() -> list[float]:
    """What sentence-transformers gives for the query with each candidate."""
    scores = {tuple(entry["pair"]): entry["scores"][0] for entry in CROSS_GOLDEN["pairs"]}
    return [scores[QUERY, text] for text in CANDIDATES]


def test_rolling_back_copies_nothing(deployment: Deployment, report: Report) -> None:
    before = int(alias_version(deployment))
    served = deployment.cloud.s3_served_bytes()
    started = time.monotonic()
    deployment.apply()
    seconds = time.monotonic() - started
    result = deployment.outputs()["model_sync_result"]
    read = deployment.cloud.s3_served_bytes() - served
    report(f"roll back: {seconds:.0f} s; {json.dumps(result)}; {read} bytes read from S3")
    assert result["copied"] is False
    assert read < 100_000, "only manifests and listings are read"
    assert int(alias_version(deployment)) == before + 1
    assert deployment.outputs()["model_digest"] == OLD
    assert not {"function_url", "cross_encoder"} & set(deployment.outputs())
    assert deployment.variables() == {"SEMBLANCE_BUNDLE": f"/mnt/models/{MODEL}/{OLD}"}
    assert uploaded(deployment) == {(MODEL, OLD)}
    assert scores_are_the_golden_ones(deployment.score())
    plan = deployment.plan()
    assert plan.status == 0, plan.output


def test_models_are_pruned_but_never_one_that_callers_get(
    deployment: Deployment, tmp_path: Path, report: Report
) -> None:
    pinned = alias_version(deployment)
    folder = deployment.models() / MODEL
    digests = [OLD]
    for number in range(3):
        bundle = another_bundle(tmp_path / f"bundle-{number}")
        digests.append(digest_of(bundle))
        variables = {
            "artifacts": {"bundle": str(bundle)},
            "file_system_config": {"keep_versions": 2},
            "release": {"version": pinned},
        }
        deployment.apply(variables)
        found = {entry.name for entry in folder.iterdir()}
        assert {OLD, digests[-1]} <= found
    report(f"pruned to 2 versions and the pinned one: {sorted(d[:8] for d in found)}")
    assert found == {OLD, *digests[-2:]}, "the pinned model is the oldest and stays"
    answer = deployment.score()
    assert answer.version == pinned and scores_are_the_golden_ones(answer)
    plan = deployment.plan(variables)
    assert plan.status == 0, plan.output
    # Callers get the newest version: the model that they had is now the oldest.
    deployment.apply({**variables, "release": {}})
    assert {entry.name for entry in folder.iterdir()} == {*digests[-2:]}
    deployment.apply()
    assert deployment.plan().status == 0


def test_old_versions_are_deleted_and_those_that_are_left_have_their_model(
    deployment: Deployment, report: Report
) -> None:
    before = versions(deployment.cloud, "semblance")
    done = prune(deployment.cloud, "semblance", "--delete")
    assert done.returncode == 0, done.stderr
    left = versions(deployment.cloud, "semblance")
    report(f"versions: {len(before)} -> {', '.join(left)}; {done.stdout.splitlines()[-1]}")
    assert len(before) > 3 and left == before[-3:] and left[-1] == alias_version(deployment)
    deployment.cloud.recycle("semblance")
    for version in left:
        assert scores_are_the_golden_ones(deployment.score(version)), version
    assert deployment.plan().status == 0


def test_without_a_cross_encoder_reranking_says_who_scored(
    deployment: Deployment, report: Report
) -> None:
    ranked = deployment.operate("rerank", query=QUERY, texts=CANDIDATES)
    report(f"rerank without a cross-encoder: {json.dumps(ranked.payload)}")
    assert ranked.function_error is None, ranked.payload
    assert {entry["scored_by"] for entry in ranked.payload} == {"bi-encoder"}
    scores = {row["text"]: row["score"] for row in GOLDEN["example"]["scores"]}
    for entry in ranked.payload:
        assert abs(entry["score"] - scores[CANDIDATES[entry["index"]]]) <= TOLERANCE
    refused = deployment.operate("predict", inputs=[[QUERY, CANDIDATES[0]]])
    assert code_of(refused) == "request.no_cross_encoder"


# --- The gate ----------------------------------------------------------------------------


def test_a_version_without_its_model_does_not_get_the_alias(
    deployment: Deployment, report: Report
) -> None:
    before = alias_version(deployment)
    pruned = versions(deployment.cloud, "semblance")[0]
    api = deployment.cloud.aws("lambda")
    configuration = api.get_function_configuration(FunctionName="semblance", Qualifier=pruned)
    folder = configuration["Environment"]["Variables"]["SEMBLANCE_BUNDLE"]
    shutil.rmtree(deployment.models() / Path(folder).relative_to("/mnt/models"), ignore_errors=True)
    deployment.cloud.recycle("semblance")
    apply = deployment.apply({"release": {"version": pruned}}, fails=True)
    shown = [line for line in apply.output.splitlines() if "Runtime.ExitError" in line]
    report(f"gate of an earlier version: {' '.join(shown)}")
    assert shown and alias_version(deployment) == before


# --- And away -------------------------------------------------------------------------


def test_destroy_leaves_nothing(deployment: Deployment, report: Report) -> None:
    count = len(deployment.resources())
    with deployment.terraform.clean_checkout():
        destroy = deployment.destroy()
    report(f"destroy from a clean checkout: {count} resources in {destroy.seconds:.0f} s")
    interfaces_are_removable(destroy)
    assert f"Destroy complete! Resources: {count} destroyed." in destroy.output
    assert deployment.resources() == []
    cloud = deployment.cloud
    assert cloud.aws("lambda").list_functions()["Functions"] == []
    assert cloud.aws("efs").describe_file_systems()["FileSystems"] == []
    assert cloud.aws("s3").list_buckets()["Buckets"] == []
    assert cloud.aws("sqs").list_queues().get("QueueUrls", []) == []
    assert cloud.aws("logs").describe_log_groups()["logGroups"] == []
    assert cloud.aws("iam").list_roles()["Roles"] == []


def interfaces_are_removable(destroy: Run) -> None:
    """Lambda removes network interfaces with the function's role, after the function."""
    lines = destroy.output.splitlines()
    policies = [n for n, x in enumerate(lines) if "network_interfaces[0]: Destroying" in x]
    network = [
        number
        for number, line in enumerate(lines)
        if ("aws_subnet.this" in line or "aws_security_group." in line)
        and "Destruction complete" in line
        and "aws_security_group.efs" not in line
    ]
    assert len(policies) == 2 and len(network) == 4
    assert min(policies) > max(network)
