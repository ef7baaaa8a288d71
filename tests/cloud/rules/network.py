"""Tasks reach AWS and nothing reaches them."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterator

from cloud.rules.plan import Plan

EVERYWHERE = "0.0.0.0/0"


def doors(plan: Plan) -> Iterator[str]:
    """HTTPS goes out, nothing comes in, nobody has a public address."""
    tasks = plan.one("aws_security_group", "tasks")["id"]
    outward = [r for r in plan.of("aws_vpc_security_group_egress_rule") if r["security_group_id"] == tasks]
    if not outward:
        yield "tasks cannot reach AWS"
    for rule in outward:
        if rule["ip_protocol"] != "tcp" or (rule["from_port"], rule["to_port"]) != (443, 443):
            yield "tasks may talk to more than HTTPS"
        if rule["cidr_ipv4"] != EVERYWHERE:
            yield "tasks cannot reach AWS"
    if plan.of("aws_vpc_security_group_ingress_rule"):
        yield "something may connect to the tasks"
    for group in (*plan.of("aws_security_group"), *plan.of("aws_default_security_group")):
        if group["ingress"]:
            yield "something may connect to the tasks"
    if any(s["map_public_ip_on_launch"] for s in plan.of("aws_subnet")):
        yield "a subnet hands out public addresses"
    for name, state in plan.containers_of_states():
        placed = state["Parameters"]["NetworkConfiguration"]["AwsvpcConfiguration"]
        if placed["AssignPublicIp"] != "DISABLED":
            yield "tasks get public addresses"
        if placed["SecurityGroups"] != [tasks]:
            yield f"{name} has another security group"


def ways(plan: Plan) -> Iterator[str]:
    """In a VPC of its own, subnets of tasks go out through the NAT gateway, and to S3 through the endpoint."""
    private = {s["id"] for s in plan.of("aws_subnet") if ".private[" in s["address"]}
    if not private:
        return  # somebody else's network
    for vpc in plan.of("aws_vpc"):
        if not (vpc["enable_dns_support"] and vpc["enable_dns_hostnames"]):
            yield "tasks find no address of AWS: the VPC has no DNS"
    own = plan.of("aws_subnet")
    if len({s["availability_zone"] for s in own if s["id"] in private}) < 2:
        yield "all tasks run in one zone: without capacity there, there is none"
    blocks = [ipaddress.ip_network(s["cidr_block"]) for s in own]
    if any(a.overlaps(b) for a, b in itertools.combinations(blocks, 2)):
        yield "subnets share addresses"
    tables = {a["subnet_id"]: a["route_table_id"] for a in plan.of("aws_route_table_association")}
    routes = {r["route_table_id"]: r for r in plan.of("aws_route") if r["destination_cidr_block"] == EVERYWHERE}
    region = plan.one("aws_ecs_cluster")["arn"].split(":")[3]
    endpoints = [
        e
        for e in plan.of("aws_vpc_endpoint")
        if e["vpc_endpoint_type"] == "Gateway" and e["service_name"] == f"com.amazonaws.{region}.s3"
    ]
    nat = {g["id"]: tables.get(g["subnet_id"]) for g in plan.of("aws_nat_gateway")}
    for name, state in plan.containers_of_states():
        used = set(state["Parameters"]["NetworkConfiguration"]["AwsvpcConfiguration"]["Subnets"])
        if used != private:
            yield f"{name} runs in other subnets than the private ones"
        for subnet in used:
            table = tables.get(subnet)
            if not any(table in e["route_table_ids"] for e in endpoints):
                yield "S3 is reached through the NAT gateway, which costs by the byte"
            route = routes.get(table, {})
            if route.get("gateway_id"):
                yield "tasks' subnets are routed to the internet gateway"
            if nat and route.get("nat_gateway_id") not in nat:
                yield "tasks have no way to AWS"
    for table in nat.values():
        if not routes.get(table, {}).get("gateway_id"):
            yield "the NAT gateway has no way out"


RULES = (doors, ways)
