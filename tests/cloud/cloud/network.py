"""EC2: whether security groups let a connection through, and what moto loses of them.

Of gateway endpoints, moto loses the routes of tables that are added later.
"""

from collections.abc import Iterable
from typing import Any

from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.route_tables import RouteTable
from moto.ec2.models.security_groups import SecurityGroupRule

_moto_init = SecurityGroupRule.__init__
_moto_modify_endpoint = EC2Backend.modify_vpc_endpoint
_moto_filter_value = RouteTable.get_filter_value


def _init(self: SecurityGroupRule, *args: Any, **keywords: Any) -> None:
    _moto_init(self, *args, **keywords)
    prefix_list = keywords.get("prefix_list_id") or (args[7] if len(args) > 7 else None) or {}
    self.__dict__["prefix_list_description"] = prefix_list.get("Description")


def _description(self: SecurityGroupRule) -> str | None:
    return (
        self.ip_range.get("Description")
        or self.source_group.get("Description")
        or self.__dict__["prefix_list_description"]
    )


def _modify_endpoint(self: EC2Backend, vpc_id: str, *changes: Any, **named: Any) -> None:
    (endpoint,) = self.describe_vpc_endpoints(vpc_end_point_ids=[vpc_id])
    before = set(endpoint.route_table_ids or [])
    _moto_modify_endpoint(self, vpc_id, *changes, **named)
    prefix_list = endpoint.destination_prefix_list_id
    if prefix_list is None:
        return
    for table in set(endpoint.route_table_ids or []) - before:
        self.create_route(table, None, gateway_id=vpc_id, destination_prefix_list_id=prefix_list)
    for table in before - set(endpoint.route_table_ids or []):
        self.delete_route(table, prefix_list)


def _filter_value(self: RouteTable, filter_name: str, method_name: str | None = None) -> Any:
    if filter_name == "route.destination-prefix-list-id":
        lists = [route.destination_prefix_list for route in self._routes.values()]
        return [prefix_list.id for prefix_list in lists if prefix_list is not None]
    return _moto_filter_value(self, filter_name, method_name)


def zone_of_subnet(account_id: str, region: str, subnet_id: str) -> str:
    """Availability zone of a subnet."""
    return str(ec2_backends[account_id][region].get_subnet(subnet_id).availability_zone)


def vpc_of_subnet(account_id: str, region: str, subnet_id: str) -> str:
    """VPC of a subnet."""
    return str(ec2_backends[account_id][region].get_subnet(subnet_id).vpc_id)


def lets_through(
    account_id: str, region: str, sources: Iterable[str], targets: Iterable[str], port: int
) -> bool:
    """Whether TCP to `port` may leave one of `sources` and enter one of `targets`."""
    backend = ec2_backends[account_id][region]
    sources, targets = set(sources), set(targets)

    def open_between(groups: set[str], others: set[str], *, egress: bool) -> bool:
        for group_id in groups:
            group = backend.get_security_group_from_id(group_id)
            if group is None:
                continue
            for rule in group.egress_rules if egress else group.ingress_rules:
                in_range = rule.ip_protocol == "-1" or (
                    rule.ip_protocol == "tcp"
                    and rule.from_port is not None
                    and rule.from_port <= port <= (rule.to_port or rule.from_port)
                )
                anyone = rule.ip_range.get("CidrIp") == "0.0.0.0/0"
                if in_range and (anyone or rule.source_group.get("GroupId") in others):
                    return True
        return False

    return open_between(sources, targets, egress=True) and open_between(
        targets, sources, egress=False
    )


def mend() -> None:
    """Keep the descriptions of security group rules, and the routes of gateway endpoints."""
    EC2Backend.modify_vpc_endpoint = _modify_endpoint  # type: ignore[assignment]
    RouteTable.get_filter_value = _filter_value  # type: ignore[method-assign]
    SecurityGroupRule.__init__ = _init  # type: ignore[method-assign]
    SecurityGroupRule.description = property(_description)  # type: ignore[assignment,method-assign]
