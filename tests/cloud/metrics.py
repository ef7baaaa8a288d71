"""Metrics that AWS's services would write about what happened in the emulator: executions, functions, tasks, statements, log lines."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import boto3

from cloud.alarms import Name, Series, metric_name
from cloud.rules.plan import Plan
from cloud.rules.watching import matches

ENDED = {
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}
Point = tuple[Name, float, float]  # metric, seconds, value


def series(points: Iterable[Point]) -> dict[Name, Series]:
    """Points by metric."""
    found: dict[Name, list[tuple[float, float]]] = defaultdict(list)
    for name, at, value in points:
        found[name].append((at, value))
    return {name: Series(tuple(sorted(values))) for name, values in found.items()}


def of_executions(machine: str, executions: Iterable[tuple[float, float, str]]) -> Iterator[Point]:
    """Points that Step Functions writes: a start, and an end by its kind, for (start, end, status) of each execution."""
    for start, end, status in executions:
        yield metric_name("AWS/States", "ExecutionsStarted", StateMachineArn=machine), start, 1.0
        yield metric_name("AWS/States", ENDED[status], StateMachineArn=machine), end, 1.0


def of_functions(invocations: Iterable[tuple[str, float, bool]]) -> Iterator[Point]:
    """Points that Lambda writes for (function, time, failed) of each invocation: errors are 0 or 1."""
    for function, at, failed in invocations:
        yield metric_name("AWS/Lambda", "Errors", FunctionName=function), at, float(failed)


def of_tasks(plan: Plan, stopped: Iterable[tuple[float, dict[str, Any]]]) -> Iterator[Point]:
    """Events of stopped tasks, through the rules of EventBridge, their log groups and the filters of those."""
    groups = {g["arn"]: g["name"] for g in plan.of("aws_cloudwatch_log_group")}
    patterns = {r["name"]: json.loads(r["event_pattern"]) for r in plan.of("aws_cloudwatch_event_rule")}
    filters = plan.of("aws_cloudwatch_log_metric_filter")
    for at, detail in stopped:
        event = {"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": detail}
        for target in plan.of("aws_cloudwatch_event_target"):
            if not matches(patterns[target["rule"]], event):
                continue
            for found in (f for f in filters if f["log_group_name"] == groups.get(target["arn"].removesuffix(":*"))):
                for t in found["metric_transformation"]:
                    yield metric_name(t["namespace"], t["name"]), at, float(t["value"])


def of_statements(workgroup: str, scanned: Iterable[tuple[float, int]]) -> Iterator[Point]:
    """Points that Athena writes for (time, bytes) of each statement."""
    for at, read in scanned:
        yield metric_name("AWS/Athena", "ProcessedBytes", WorkGroup=workgroup), at, float(read)


def of_requests(plan: Plan, answers: Iterable[tuple[float, bool, bool]]) -> Iterator[Point]:
    """Points that API Gateway and Lambda write for (time, failed, without a free instance) of each request to the prediction API."""
    assert plan.api is not None
    api, function = plan.one("aws_apigatewayv2_api")["id"], plan.api["function_name"]
    for at, failed, throttled in answers:
        yield metric_name("AWS/ApiGateway", "5xx", ApiId=api), at, float(failed)
        yield metric_name("AWS/Lambda", "Throttles", FunctionName=function), at, float(throttled)


def of_queue(name: str, messages: Iterable[tuple[float, int]]) -> Iterator[Point]:
    """Points that SQS writes for (time, messages)."""
    for at, count in messages:
        yield metric_name("AWS/SQS", "ApproximateNumberOfMessagesVisible", QueueName=name), at, float(count)


def of_logs(groups: Iterable[str]) -> Iterator[Point]:
    """Lines in the embedded metric format, in the logs of the emulator."""
    logs = boto3.client("logs")
    for group in groups:
        for event in logs.filter_log_events(logGroupName=group, limit=10_000)["events"]:
            if not event["message"].startswith('{"_aws"'):
                continue
            line = json.loads(event["message"])
            for directive in line["_aws"]["CloudWatchMetrics"]:
                for dimensions in directive["Dimensions"]:
                    named = {d: str(line[d]) for d in dimensions}
                    for metric in directive["Metrics"]:
                        name = metric_name(directive["Namespace"], metric["Name"], **named)
                        yield name, line["_aws"]["Timestamp"] / 1000, float(line[metric["Name"]])
