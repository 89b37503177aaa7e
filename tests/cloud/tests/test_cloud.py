"""The local cloud itself."""

from concurrent.futures import ThreadPoolExecutor

from cloud.client import CloudClient

_CALLERS = 12
_GROUPS = 40


def test_requests_at_the_same_time_do_not_disturb_each_other(cloud: CloudClient) -> None:
    # A request that fails after its change is repeated by the provider, and then fails for good.
    vpc = cloud.aws("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]

    def create(caller: int) -> int:
        ec2 = cloud.aws("ec2")
        for index in range(_GROUPS):
            name = f"group-{caller}-{index}"
            tags = [{"Key": "Name", "Value": name}, {"Key": name, "Value": "unique"}]
            group = ec2.create_security_group(
                GroupName=name,
                Description=name,
                VpcId=vpc,
                TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
            )["GroupId"]
            sources = [{"GroupId": group}]
            rule = {"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049}
            ec2.authorize_security_group_ingress(
                GroupId=group,
                IpPermissions=[{**rule, "UserIdGroupPairs": sources}],
                TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": tags}],
            )
            ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
            ec2.describe_vpcs(VpcIds=[vpc])
            ec2.create_tags(Resources=[group], Tags=[{"Key": "caller", "Value": str(caller)}])
        return _GROUPS

    with ThreadPoolExecutor(_CALLERS) as callers:
        assert sum(callers.map(create, range(_CALLERS))) == _CALLERS * _GROUPS
