"""Deploying like the seed: existing VPC, subnets, security group and access point."""

import pytest

from cloud.client import CloudClient
from tests.conftest import Report
from tests.deployment import EVENT, Deployment, scores_are_the_golden_ones

pytestmark = [pytest.mark.apply, pytest.mark.xdist_group("brought")]

NAME = "questn_similarity_classification"


def own_network_and_file_system(cloud: CloudClient) -> tuple[list[str], str, str]:
    """What the user has already: subnet ids, a security group id, an access point ARN."""
    ec2, efs = cloud.aws("ec2"), cloud.aws("efs")
    vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    zones = ("eu-central-1a", "eu-central-1b")
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.8.{n}.0/24", AvailabilityZone=zone)["Subnet"]
        for n, zone in enumerate(zones)
    ]
    ids = [subnet["SubnetId"] for subnet in subnets]
    found = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])
    group = found["SecurityGroups"][0]["GroupId"]
    # AWS gives the default group this rule, moto does not.
    among_itself = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[among_itself])
    file_system = efs.create_file_system(CreationToken="knn", Encrypted=True)["FileSystemId"]
    for subnet_id in ids:
        efs.create_mount_target(
            FileSystemId=file_system, SubnetId=subnet_id, SecurityGroups=[group]
        )
    access_point = efs.create_access_point(
        ClientToken="knn_efs",
        FileSystemId=file_system,
        PosixUser={"Uid": 1000, "Gid": 1000},
        RootDirectory={
            "Path": "/knn",
            "CreationInfo": {"OwnerUid": 1000, "OwnerGid": 1000, "Permissions": "0750"},
        },
    )
    return ids, group, access_point["AccessPointArn"]


def test_network_and_file_system_can_be_brought_by_id(
    deployment: Deployment, report: Report
) -> None:
    cloud = deployment.cloud
    subnets, group, access_point = own_network_and_file_system(cloud)
    variables = {
        "function_name": NAME,
        "vpc_config": {"subnet_ids": subnets, "security_group_ids": [group]},
        "file_system_config": {
            "efs_access_point_arn": access_point,
            "local_mount_path": "/mnt/knn",
        },
    }
    apply = deployment.apply(variables)
    addresses = deployment.resources()
    assert not [a for a in addresses if a.startswith(("module.network", "module.efs"))]
    report(f"existing network and file system: {len(addresses)} resources in {apply.seconds:.0f} s")

    configuration = cloud.aws("lambda").get_function_configuration(FunctionName=NAME)
    assert sorted(configuration["VpcConfig"]["SubnetIds"]) == sorted(subnets)
    assert configuration["VpcConfig"]["SecurityGroupIds"] == [group]
    mount = {"Arn": access_point, "LocalMountPath": "/mnt/knn"}
    assert configuration["FileSystemConfigs"] == [mount]

    answer = cloud.invoke(NAME, EVENT, "live")
    assert answer.function_error is None and scores_are_the_golden_ones(answer)

    plan = deployment.plan(variables)
    assert plan.status == 0, plan.output
    deployment.destroy(variables)
    assert len(cloud.aws("efs").describe_access_points()["AccessPoints"]) == 1
    assert cloud.aws("lambda").list_functions()["Functions"] == []
