"""The Lambda back end itself, shown with a stand-in bootstrap."""

import io
import json
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cloud.client import REGION, CloudClient

STAND_IN = Path(__file__).with_name("stand_in.py").read_text()
ACCOUNT = "123456789012"


def package(note: str = "") -> bytes:
    """A deployable zip of the stand-in; `note` makes it another one."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        script = f"#!{sys.base_prefix}/bin/python3\n{STAND_IN}"
        for name, mode, text in (("bootstrap", 0o755, script), ("note.txt", 0o644, note)):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, text)
    return content.getvalue()


def role(cloud: CloudClient, name: str, statements: list[dict[str, Any]]) -> str:
    """A role with one inline policy; its ARN."""
    iam = cloud.aws("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
    document = {"Version": "2012-10-17", "Statement": [{**trust, "Action": "sts:AssumeRole"}]}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))
    policy = {"Version": "2012-10-17", "Statement": statements}
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    return str(arn["Role"]["Arn"])


def create(cloud: CloudClient, name: str, **settings: Any) -> None:
    """A function that runs the stand-in."""
    allow_logs = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
    arn = settings.pop("Role", None) or role(cloud, f"{name}-role", [allow_logs])
    cloud.aws("lambda").create_function(
        FunctionName=name,
        Role=arn,
        Runtime="provided.al2023",
        Handler="bootstrap",
        Code={"ZipFile": settings.pop("package", package())},
        **{"Timeout": 10, "MemorySize": 256, **settings},
    )


def test_environment_is_that_of_the_deployed_configuration(cloud: CloudClient) -> None:
    create(cloud, "plain", MemorySize=1280, Environment={"Variables": {"GREETING": "hello"}})
    before_ms = time.time() * 1000
    answer = cloud.invoke("plain", {"do": "environment"})
    variables = answer.payload["environment"]
    assert variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "1280"
    assert variables["LAMBDA_TASK_ROOT"] == "/var/task"
    assert variables["AWS_REGION"] == REGION
    assert variables["GREETING"] == "hello"
    assert answer.payload["cwd"] == "/var/task"
    assert 9_000 < answer.payload["deadline_ms"] - before_ms < 25_000


def test_environment_is_used_again_and_recycled(cloud: CloudClient) -> None:
    create(cloud, "warm")
    assert [cloud.invoke("warm", {}).payload["handled"] for _ in range(2)] == [1, 2]
    cloud.recycle("warm")
    assert cloud.invoke("warm", {}).payload["handled"] == 1


def test_an_error_of_the_function_is_passed_on(cloud: CloudClient) -> None:
    create(cloud, "raises")
    answer = cloud.invoke("raises", {"do": "raise", "message": "no such luck"})
    assert (answer.status, answer.function_error) == (200, "Unhandled")
    assert answer.payload == {"errorType": "ValueError", "errorMessage": "no such luck"}
    assert cloud.invoke("raises", {}).payload["handled"] == 2


def test_the_deadline_ends_the_event_and_the_environment(cloud: CloudClient) -> None:
    create(cloud, "slow", Timeout=1)
    assert cloud.invoke("slow", {}).payload["handled"] == 1
    started = time.monotonic()
    answer = cloud.invoke("slow", {"do": "sleep", "seconds": 60})
    assert 1 <= time.monotonic() - started < 10
    assert answer.function_error == "Unhandled"
    assert answer.payload["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")
    assert cloud.invoke("slow", {}).payload["handled"] == 1


def test_a_bootstrap_that_cannot_start_is_an_exit_error_and_its_log_is_kept(
    cloud: CloudClient,
) -> None:
    create(cloud, "broken", Environment={"Variables": {"FAIL_AT_START": "no model here"}})
    cloud.aws("logs").create_log_group(logGroupName="/aws/lambda/broken")
    answer = cloud.invoke("broken", {})
    assert answer.function_error == "Unhandled"
    assert answer.payload["errorType"] == "Runtime.ExitError"
    assert answer.payload["errorMessage"].endswith("Runtime exited with error: exit status 3")
    assert any("no model here" in line for line in cloud.logs("/aws/lambda/broken"))


@pytest.mark.parametrize(
    ("event", "reason"),
    [({"do": "exit", "status": 7}, "exit status 7"), ({"do": "kill"}, "signal: killed")],
)
def test_a_bootstrap_that_ends_during_an_event_is_an_exit_error(
    cloud: CloudClient, event: dict[str, Any], reason: str
) -> None:
    name = f"ends-{event['do']}"
    create(cloud, name)
    answer = cloud.invoke(name, event)
    assert answer.payload["errorType"] == "Runtime.ExitError"
    assert answer.payload["errorMessage"].endswith(f"Runtime exited with error: {reason}")
    assert cloud.invoke(name, {}).payload["handled"] == 1


def test_a_version_runs_its_own_code_and_environment(cloud: CloudClient) -> None:
    api = cloud.aws("lambda")
    create(cloud, "versions", package=package("one"), Environment={"Variables": {"N": "1"}})
    first = api.publish_version(FunctionName="versions")["Version"]
    api.create_alias(FunctionName="versions", Name="live", FunctionVersion=first)
    api.update_function_code(FunctionName="versions", ZipFile=package("two"))
    api.update_function_configuration(
        FunctionName="versions", Environment={"Variables": {"N": "2"}}
    )
    second = api.publish_version(FunctionName="versions")["Version"]

    def runs(qualifier: str) -> tuple[Any, Any, Any]:
        note = cloud.invoke("versions", {"do": "read", "path": "note.txt"}, qualifier)
        variables = cloud.invoke("versions", {"do": "environment"}, qualifier)
        return note.payload["text"], variables.payload["environment"]["N"], note.version

    assert (first, second) == ("1", "2")
    assert runs("live") == ("one", "1", "1")
    api.update_alias(FunctionName="versions", Name="live", FunctionVersion=second)
    assert runs("live") == ("two", "2", "2")
    assert runs("1") == ("one", "1", "1")


def test_concurrency_zero_switches_the_function_off(cloud: CloudClient) -> None:
    create(cloud, "off")
    cloud.aws("lambda").put_function_concurrency(FunctionName="off", ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as refused:
        cloud.invoke("off", {})
    assert refused.value.response["Error"]["Code"] == "TooManyRequestsException"
    configured = cloud.aws("lambda").get_function(FunctionName="off")["Concurrency"]
    assert configured == {"ReservedConcurrentExecutions": 0}


def test_no_more_events_run_at_once_than_are_reserved(cloud: CloudClient) -> None:
    network = reachable_file_system(cloud, "concurrent")
    create(cloud, "concurrent", **network, Role=mounting_role(cloud, "concurrent", write=True))
    cloud.aws("lambda").put_function_concurrency(
        FunctionName="concurrent", ReservedConcurrentExecutions=1
    )
    waits = {"do": "wait_for", "path": "/mnt/data/go", "announce": "/mnt/data/started"}
    first = threading.Thread(target=cloud.invoke, args=("concurrent", waits))
    first.start()
    folder = access_point_folder(cloud, "concurrent")
    while not (folder / "started").exists():
        assert first.is_alive()
        time.sleep(0.01)
    with pytest.raises(ClientError) as refused:
        cloud.invoke("concurrent", {})
    (folder / "go").touch()
    first.join()
    assert refused.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert cloud.invoke("concurrent", {}).status == 200


def test_a_failed_asynchronous_event_ends_in_the_dead_letters(cloud: CloudClient) -> None:
    sqs = cloud.aws("sqs")
    queue = sqs.create_queue(QueueName="dead")["QueueUrl"]
    allow = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead"
    create(
        cloud,
        "asynchronous",
        Role=role(cloud, "asynchronous-role", [allow]),
        DeadLetterConfig={"TargetArn": arn},
    )
    event = {"do": "raise", "message": "for good"}
    cloud.aws("lambda").invoke(
        FunctionName="asynchronous", InvocationType="Event", Payload=json.dumps(event).encode()
    )
    letters = sqs.receive_message(
        QueueUrl=queue, WaitTimeSeconds=20, MessageAttributeNames=["All"]
    )["Messages"]
    assert [json.loads(letter["Body"]) for letter in letters] == [event]
    assert "for good" in letters[0]["MessageAttributes"]["ErrorMessage"]["StringValue"]


# --- EFS ------------------------------------------------------------------------------


def reachable_file_system(
    cloud: CloudClient, name: str, *, nfs: bool = True, mount_target: bool = True
) -> dict[str, Any]:
    """A file system and an access point; the settings of a function that mounts it."""
    ec2, efs = cloud.aws("ec2"), cloud.aws("efs")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
    if nfs:
        rule = {"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049}
        rule = {**rule, "UserIdGroupPairs": [{"GroupId": group}]}
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    file_system = efs.create_file_system(CreationToken=name)["FileSystemId"]
    if mount_target:
        efs.create_mount_target(FileSystemId=file_system, SubnetId=subnet, SecurityGroups=[group])
    access_point = efs.create_access_point(
        ClientToken=name,
        FileSystemId=file_system,
        PosixUser={"Uid": 1000, "Gid": 1000},
        RootDirectory={
            "Path": "/data",
            "CreationInfo": {"OwnerUid": 1000, "OwnerGid": 1000, "Permissions": "0755"},
        },
    )
    # Without a policy, a file system allows everything to everyone.
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": {"AWS": "*"},
                "Action": "*",
                "Resource": "*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }
    efs.put_file_system_policy(FileSystemId=file_system, Policy=json.dumps(policy))
    mount = {"Arn": access_point["AccessPointArn"], "LocalMountPath": "/mnt/data"}
    return {
        "VpcConfig": {"SubnetIds": [subnet], "SecurityGroupIds": [group]},
        "FileSystemConfigs": [mount],
    }


def mounting_role(cloud: CloudClient, name: str, *, mount: bool = True, write: bool) -> str:
    """A role that may, or may not, mount and write."""
    verbs = ["ClientMount"] * mount + ["ClientWrite"] * write + ["ClientRootAccess"]
    actions = [f"elasticfilesystem:{verb}" for verb in verbs]
    return role(cloud, f"{name}-efs", [{"Effect": "Allow", "Action": actions, "Resource": "*"}])


def access_point_folder(cloud: CloudClient, token: str) -> Path:
    """Folder behind the access point that was created with `token`."""
    for file_system in cloud.aws("efs").describe_file_systems()["FileSystems"]:
        if file_system["CreationToken"] == token:
            return cloud.folder(file_system["FileSystemId"]) / "data"
    raise LookupError(token)


def test_the_file_system_is_mounted_at_its_real_path(cloud: CloudClient) -> None:
    network = reachable_file_system(cloud, "mounts")
    create(cloud, "mounts", **network, Role=mounting_role(cloud, "mounts", write=True))
    write = {"do": "write", "path": "/mnt/data/file", "text": "kept"}
    assert cloud.invoke("mounts", write).function_error is None
    cloud.recycle("mounts")
    assert (
        cloud.invoke("mounts", {"do": "read", "path": "/mnt/data/file"}).payload["text"] == "kept"
    )
    assert (access_point_folder(cloud, "mounts") / "file").read_text() == "kept"
    assert not Path("/mnt/data").exists()
    assert cloud.invoke("mounts", {"do": "environment"}).payload["uid"] == cloud.uid(1000)


def test_a_role_without_client_write_sees_it_read_only(cloud: CloudClient) -> None:
    network = reachable_file_system(cloud, "read-only")
    create(cloud, "read-only", **network, Role=mounting_role(cloud, "read-only", write=False))
    answer = cloud.invoke("read-only", {"do": "write", "path": "/mnt/data/file", "text": "no"})
    assert "Read-only file system" in answer.payload["errorMessage"]
    assert not (access_point_folder(cloud, "read-only") / "file").exists()


@pytest.mark.parametrize(
    ("lacks", "code"),
    [
        ({"mount": False}, "EFSMountFailureException"),
        ({"nfs": False}, "EFSMountConnectivityException"),
        ({"mount_target": False}, "EFSMountConnectivityException"),
    ],
)
def test_a_file_system_that_cannot_be_mounted_refuses_the_event(
    cloud: CloudClient, lacks: dict[str, bool], code: str
) -> None:
    name = f"no-{next(iter(lacks))}"
    mount = lacks.pop("mount", True)
    network = reachable_file_system(cloud, name, **lacks)
    create(cloud, name, **network, Role=mounting_role(cloud, name, mount=mount, write=False))
    with pytest.raises(ClientError) as refused:
        cloud.invoke(name, {})
    assert refused.value.response["Error"]["Code"] == code


def test_a_limited_file_system_keeps_its_files_and_runs_full(cloud: CloudClient) -> None:
    network = reachable_file_system(cloud, "full")
    create(cloud, "full", **network, Role=mounting_role(cloud, "full", write=True))
    small = {"do": "write", "path": "/mnt/data/small", "text": "x" * 1000}
    large = {"do": "write", "path": "/mnt/data/large", "text": "x" * 1_000_000}
    cloud.invoke("full", small)
    file_system = access_point_folder(cloud, "full").parent.name
    cloud.limit(file_system, 500_000)
    answer = cloud.invoke("full", large)
    assert "No space left on device" in answer.payload["errorMessage"]
    assert cloud.files(file_system)["data/small"]["bytes"] == 1000
    cloud.limit(file_system, None)
    assert cloud.invoke("full", large).function_error is None
    assert (access_point_folder(cloud, "full") / "small").stat().st_size == 1000


def test_only_tmp_and_mounts_can_be_written(cloud: CloudClient) -> None:
    create(cloud, "writes")
    assert cloud.invoke("writes", {"do": "write", "path": "/tmp/x", "text": ""}).payload["handled"]
    for path in ("/var/task/x", "/mnt/x", "/x"):
        answer = cloud.invoke("writes", {"do": "write", "path": path, "text": ""})
        assert answer.function_error == "Unhandled", path


def test_everything_stops_with_the_cloud(tmp_path: Path) -> None:
    with CloudClient(tmp_path / "state", exposed=[Path(sys.base_prefix)]) as cloud:
        create(cloud, "left-running")
        cloud.invoke("left-running", {})
        environments = list((tmp_path / "state" / "environments").iterdir())
        assert running_below(tmp_path) and environments
    assert not running_below(tmp_path)
    assert not (tmp_path / "state" / "environments").exists()


def running_below(folder: Path) -> list[int]:
    """Processes that were started with a path below `folder`."""
    found = []
    for command_line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in command_line.read_bytes():
                found.append(int(command_line.parent.name))
        except OSError:
            continue
    return found
