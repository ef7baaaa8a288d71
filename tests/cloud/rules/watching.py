"""Failures ring and healthy runs do not; logs end; the schedule is quarterly; limits keep costs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from cloud.rules.plan import Plan, Values, as_list
from predict_age.aws.lambdas.pre_cleanup import EXPECTATION_KEYS, REQUEST_KEYS
from predict_age.aws.prices import PRICES

METRICS = {  # namespace: its metrics, and the dimensions that name one resource of ours
    "AWS/States": (
        {
            "ExecutionsStarted",
            "ExecutionsSucceeded",
            "ExecutionsFailed",
            "ExecutionsTimedOut",
            "ExecutionsAborted",
            "ExecutionTime",
        },
        {"StateMachineArn"},
    ),
    "AWS/Lambda": ({"Errors", "Throttles", "Duration", "Invocations"}, {"FunctionName"}),
    "AWS/SQS": ({"ApproximateNumberOfMessagesVisible"}, {"QueueName"}),
    "AWS/Athena": ({"ProcessedBytes", "TotalExecutionTime"}, {"WorkGroup"}),
    "AWS/ApiGateway": ({"5xx", "4xx", "Count", "Latency"}, {"ApiId"}),
    "ECS/ContainerInsights": ({"CpuUtilized", "MemoryUtilized", "RunningTaskCount"}, {"ClusterName"}),
}
OUR_TASK_METRICS = {"TasksBegun", "TasksDone"}  # dimension Workspace
MINUTE, HOUR = 60, 3600
FAULTS = {  # what must ring: metric, by how much it moves in a fault and in how many seconds, and how much at most is healthy
    "ExecutionsFailed": (1, MINUTE, 0),
    "ExecutionsTimedOut": (1, MINUTE, 0),
    "ExecutionsAborted": (1, MINUTE, 0),
    "ApproximateNumberOfMessagesVisible": (1, MINUTE, 0),
    "Errors": (11, HOUR, 6),
    "TasksFailed": (3, HOUR, 2),
    "ProcessedBytes": (2.1e12, HOUR, 2e11),
    "5xx": (6, 5 * MINUTE, 5),
    "Throttles": (11, 5 * MINUTE, 10),
}
FAULTS_OF_API = {"5xx", "Throttles"}
QUARTER_STARTS = 4


def _names(plan: Plan) -> dict[str, set[str]]:
    """Values that a dimension may have."""
    function = [plan.api["function_name"]] if plan.api else []
    return {
        "ApiId": {a["id"] for a in plan.of("aws_apigatewayv2_api")},
        "StateMachineArn": {plan.one("aws_sfn_state_machine")["arn"]},
        "FunctionName": {*(f["function_name"] for f in plan.functions.values()), *function},
        "QueueName": {q["name"] for q in plan.of("aws_sqs_queue")},
        "WorkGroup": {plan.one("aws_athena_workgroup")["name"]},
        "ClusterName": {plan.one("aws_ecs_cluster")["name"]},
        "Workspace": {plan.bucket["id"]},
    }


OUR_NAMESPACE = "PredictAge"


def _own_metrics(plan: Plan) -> set[str]:
    """Metrics in our namespace that filters of our log groups count."""
    filters = plan.of("aws_cloudwatch_log_metric_filter")
    return {t["name"] for f in filters for t in f["metric_transformation"] if t["namespace"] == OUR_NAMESPACE}


def _wrong_metric(plan: Plan, namespace: str, metric: str, dimensions: dict[str, str]) -> str:
    """Problem of a metric; empty when it exists."""
    if namespace == OUR_NAMESPACE:
        known: dict[str, frozenset[str]] = dict.fromkeys(_own_metrics(plan), frozenset()) | dict.fromkeys(
            OUR_TASK_METRICS, frozenset({"Workspace"})
        )
    else:
        metrics, wanted = METRICS.get(namespace, (set(), set()))
        known = dict.fromkeys(metrics, frozenset(wanted))
    if metric not in known:
        return f"{namespace} has no metric {metric}"
    if set(dimensions) != known[metric]:
        return f"{metric} has the dimensions {sorted(known[metric])}, not {sorted(dimensions)}"
    return next((f"{n} = {v} is nothing of ours" for n, v in dimensions.items() if v not in _names(plan)[n]), "")


def _series(alarm: Values) -> list[tuple[str, Values]]:
    """The metrics of an alarm, by the id that its expression uses."""
    if not alarm["metric_query"]:
        return [("", {**alarm, "stat": alarm["statistic"]})]
    return [(q["id"], m) for q in alarm["metric_query"] for m in q["metric"] or []]


def _rings(alarm: Values, values: dict[str, float]) -> bool:
    """Whether the alarm rings when its metrics, by id, have these values for one period."""
    result = values.get("", 0.0)
    for query in alarm["metric_query"] or []:
        if query["expression"] and query["return_data"]:
            expression = query["expression"].replace("METRICS()", repr(list(values.values())))
            functions: dict[str, Any] = {
                "FILL": lambda x, default: x,
                "SUM": lambda x: sum(as_list(x)),
                "AVG": lambda x: sum(as_list(x)) / len(as_list(x)),
                "MAX": lambda x: max(as_list(x)),
                "IF": lambda condition, then, other: then if condition else other,
            }
            result = eval(expression, {"__builtins__": {}}, {**functions, **values})
    compare = {
        "GreaterThanThreshold": result > alarm["threshold"],
        "GreaterThanOrEqualToThreshold": result >= alarm["threshold"],
    }
    return compare.get(alarm["comparison_operator"], True)  # others ring when nothing happens


def alarms(plan: Plan) -> Iterator[str]:
    """Every fault rings within the hour, nothing else does, and somebody hears it."""
    topic = plan.one("aws_sns_topic")["arn"]
    names = [alarm["alarm_name"] for alarm in plan.of("aws_cloudwatch_metric_alarm")]
    if len(set(names)) < len(names):
        yield "two alarms have one name: one replaces the other"
    heard: dict[str, int] = {}
    for alarm in plan.of("aws_cloudwatch_metric_alarm"):
        name = alarm["alarm_name"]
        if alarm["alarm_actions"] != [topic] or alarm["actions_enabled"] is False:
            yield "an alarm tells nobody"
        if alarm["treat_missing_data"] != "notBreaching":
            yield f"{name} rings, or does not know, between runs"
        if alarm["evaluation_periods"] != 1 or (alarm["datapoints_to_alarm"] or 1) != 1:
            yield f"{name} waits for a second fault"
        series = _series(alarm)
        quiet = {key: 0.0 for key, _ in series}
        if _rings(alarm, quiet):
            yield f"{name} rings when nothing happens"
        for key, metric in series:
            if wrong := _wrong_metric(plan, metric["namespace"], metric["metric_name"], metric["dimensions"] or {}):
                yield f"{name}: {wrong}"
            if metric["period"] > HOUR:
                yield f"{name} rings a day late"
            if metric["period"] % MINUTE:
                yield f"{name} has a period for which services write no metrics"
            if metric["stat"] != ("Maximum" if metric["metric_name"].startswith("Approximate") else "Sum"):
                yield f"{name} does not count"
            fault = metric["metric_name"].rpartition("-")[2]
            if fault not in FAULTS:
                yield f"{name} watches {fault}, for which the rules know no fault"
                continue
            much, seconds, healthy = FAULTS[fault]
            if metric["period"] < seconds:
                yield f"{name} forgets faults within {seconds} s"
            if _rings(alarm, {**quiet, key: float(much)}):
                heard[fault] = heard.get(fault, 0) + 1
            else:
                yield f"{name} does not ring when {fault} is {much}"
            if _rings(alarm, {**quiet, key: float(healthy)}):
                yield f"{name} rings in a healthy run: {fault} is {healthy}"
    for fault in FAULTS.keys() - (set() if plan.api else FAULTS_OF_API):
        if heard.get(fault, 0) < (len(plan.functions) if fault == "Errors" else 1):
            yield f"nothing rings for {fault}"


def failed_tasks(plan: Plan) -> Iterator[str]:
    """Task failures are counted from ECS's own events: never started, ended with an error; not Spot's interruptions, not success."""
    cluster = plan.one("aws_ecs_cluster")["arn"]
    groups = {g["arn"]: g["name"] for g in plan.of("aws_cloudwatch_log_group")}
    rules = {r["name"]: json.loads(r["event_pattern"]) for r in plan.of("aws_cloudwatch_event_rule")}
    filters = {f["log_group_name"]: f for f in plan.of("aws_cloudwatch_log_metric_filter")}
    watched = {m["metric_name"] for a in plan.of("aws_cloudwatch_metric_alarm") for _, m in _series(a)}
    if any(r["state"] not in (None, "ENABLED") or r["is_enabled"] is False for r in plan.of("aws_cloudwatch_event_rule")):
        yield "the rule that counts failed tasks is off"
    counted = False
    for target in plan.of("aws_cloudwatch_event_target"):
        found = filters.get(groups.get(target["arn"], ""))
        counted |= bool(
            found
            and found["pattern"] == ""
            and all(t["value"] == "1" and t["name"] in watched for t in found["metric_transformation"])
        )
        pattern = rules[target["rule"]]
        for said, wanted, detail in (
            ("a task that does not start", True, {"stopCode": "TaskFailedToStart", "containers": [{}]}),
            ("a container's error", True, {"stopCode": "EssentialContainerExited", "containers": [{"exitCode": 3}]}),
            ("a success", False, {"stopCode": "EssentialContainerExited", "containers": [{"exitCode": 0}]}),
            ("Spot's interruption", False, {"stopCode": "SpotInterruption", "containers": [{"exitCode": 143}]}),
            ("a task that runs", False, {"lastStatus": "RUNNING", "containers": [{}]}),
            ("another cluster's", False, {"clusterArn": "another", "stopCode": "TaskFailedToStart", "containers": [{}]}),
        ):
            event = {
                "source": "aws.ecs",
                "detail-type": "ECS Task State Change",
                "detail": {"clusterArn": cluster, "lastStatus": "STOPPED", **detail},
            }
            if matches(pattern, event) != wanted:
                yield f"{said} is {'not ' if wanted else ''}counted as a failed task"
    if not counted:
        yield "failed tasks are counted nowhere"
    statements = [s for p in plan.of("aws_cloudwatch_log_resource_policy") for s in json.loads(p["policy_document"])["Statement"]]
    arns = {r["arn"] for r in plan.of("aws_cloudwatch_event_rule")}
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        if not any(
            action in as_list(s["Action"])
            and {"events.amazonaws.com", "delivery.logs.amazonaws.com"} <= set(as_list(s["Principal"]["Service"]))
            and {r.removesuffix(":*") for r in as_list(s["Resource"])} <= set(groups)
            and s.get("Condition", {}).get("ArnEquals", {}).get("aws:SourceArn", next(iter(arns))) in arns
            for s in statements
        ):
            yield f"events cannot be logged: {action}"


def matches(pattern: Values, event: Any) -> bool:
    """Whether an event pattern fits, as EventBridge documents it for what is used here: values, anything-but, $or, lists of objects."""
    for name, wanted in pattern.items():
        if name == "$or":
            if not any(matches(choice, event) for choice in wanted):
                return False
            continue
        found = [v[name] for v in as_list(event) if name in v]
        if isinstance(wanted, dict):
            if not any(matches(wanted, v) for f in found for v in as_list(f)):
                return False
        elif not any(v not in w["anything-but"] if isinstance(w, dict) else v == w for v in found for w in wanted):
            return False
    return True


def telling(plan: Plan) -> Iterator[str]:
    """The topic is encrypted with a key that alarms may use, and a subscriber is there when an address is given."""
    for topic in plan.of("aws_sns_topic"):
        if not topic["kms_master_key_id"]:
            yield "alerts are stored unencrypted"
        elif topic["kms_master_key_id"] == "alias/aws/sns":
            yield "alarms may not publish to a topic under SNS's own key"
    policy = json.loads(plan.one("aws_kms_key", "alerts")["policy"])["Statement"]
    allowed = {a for s in policy if s["Principal"].get("Service") == "cloudwatch.amazonaws.com" for a in as_list(s["Action"])}
    if not {"kms:Decrypt", "kms:GenerateDataKey*"} <= allowed:
        yield "alarms may not use the key of the topic"
    for queue in plan.of("aws_sqs_queue"):
        if not queue["sqs_managed_sse_enabled"] and not queue["kms_master_key_id"]:
            yield "events that could not start a run are stored unencrypted"
    for subscription in plan.of("aws_sns_topic_subscription"):
        if subscription["protocol"] != "email":
            yield "alerts are not mailed to the address"
        if not re.fullmatch(r"\S+@\S+", subscription["endpoint"] or ""):
            yield "alerts are sent to no address"


def logs(plan: Plan) -> Iterator[str]:
    """Logs end, and the dashboard shows metrics that exist."""
    for group in plan.of("aws_cloudwatch_log_group"):
        if not 1 <= (group["retention_in_days"] or 0) <= 400:
            yield "a log is kept for ever"
    for widget in json.loads(plan.one("aws_cloudwatch_dashboard")["dashboard_body"])["widgets"]:
        for namespace, metric, *dimensions in widget["properties"]["metrics"]:
            pairs = dict(zip(dimensions[::2], dimensions[1::2], strict=True))
            if wrong := _wrong_metric(plan, namespace, metric, pairs):
                yield f"dashboard: {wrong}"


def _day(timer: Values) -> int:
    """Day of the month; 0 when it is none."""
    fields = timer["schedule_expression"].removeprefix("cron(").split()
    return int(fields[2]) if len(fields) > 2 and fields[2].isdigit() else 0


def _months(timer: Values) -> list[str]:
    return timer["schedule_expression"].split()[3:4]


def _unreadable(plan: Plan, source: str) -> str:
    """Problem of the source of scheduled runs: below its address, and nowhere above, the training task may read."""
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    if bucket == plan.bucket["id"] and "predict-age/runs/r/results/x".startswith(prefix):
        return "scheduled runs read their own results"
    if not plan.may("training", "s3:GetObject", f"arn:aws:s3:::{bucket}/{prefix}part-0.parquet"):
        return "the source of scheduled runs may not be read"
    return ""


def schedule(plan: Plan) -> Iterator[str]:
    """Four starts a year, off until somebody turns it on, each the same run however often it is delivered, none lost."""
    queues = {q["arn"]: q for q in plan.of("aws_sqs_queue")}
    timers = {"expect_published" in json.loads(t["target"][0]["input"]): t for t in plan.of("aws_scheduler_schedule")}
    if set(timers) != {False, True}:
        yield "a quarter without a run rings nothing"
    elif timers[True]["state"] != timers[False]["state"]:
        yield "nobody asks for the results of scheduled runs"
    elif _day(timers[True]) <= _day(timers[False]) or _months(timers[True]) != _months(timers[False]):
        yield "the results of a quarter are asked for before the run"
    for timer in plan.of("aws_scheduler_schedule"):
        fields = re.fullmatch(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)", timer["schedule_expression"])
        months = fields[4].split(",") if fields else []
        single = fields and all(f.isdigit() for f in fields.groups()[:3]) and len(months) == QUARTER_STARTS
        if not single or [(int(m) - 1) % 3 for m in months] != [(int(months[0]) - 1) % 3] * QUARTER_STARTS:
            yield "the schedule is not quarterly"
        if timer["schedule_expression_timezone"] != "UTC":
            yield "the schedule moves with the clocks"
        (target,) = timer["target"]
        if target["arn"] != plan.one("aws_sfn_state_machine")["arn"]:
            yield "the schedule starts something else"
        event = json.loads(target["input"])
        if event.get("time") != "<aws.scheduler.scheduled-time>":
            yield "an event that is delivered twice is two runs"
        asks = event.get("expect_published") is True
        if [w["mode"] for w in timer["flexible_time_window"]] != ["OFF"]:
            yield "nobody knows when the schedule starts"
        if not asks and (said := _unreadable(plan, str(event.get("source", "")))):
            yield said
        if unknown := event.keys() - (EXPECTATION_KEYS if asks else REQUEST_KEYS).keys():
            yield f"the schedule's event has keys that are refused: {sorted(unknown)}"
        (delivery,) = target["retry_policy"] or [{"maximum_retry_attempts": 0, "maximum_event_age_in_seconds": 0}]
        if delivery["maximum_retry_attempts"] < 2 or delivery["maximum_event_age_in_seconds"] < 900:
            yield "the schedule gives up at the first failed start"
        dead = target["dead_letter_config"]
        if not dead or dead[0]["arn"] not in queues:
            yield "a run that does not start is lost silently"
        elif queues[dead[0]["arn"]]["message_retention_seconds"] < 14 * 86400:
            yield "a run that does not start is forgotten too soon"


def limits(plan: Plan) -> Iterator[str]:
    """No statement reads without limit: a dollar each, and an alarm at ten in an hour."""
    for group in plan.of("aws_athena_workgroup"):
        (settings,) = group["configuration"]
        cutoff = settings["bytes_scanned_cutoff_per_query"]
        if not cutoff:
            yield "a statement may read without limit"
        elif cutoff / 1e12 * PRICES.athena_tb > 1:
            yield "a statement may cost more than a dollar"
        elif cutoff < 1e11:
            yield "the statements of a billion people are cut off"
        if not settings["enforce_workgroup_configuration"]:
            yield "a statement may choose its own settings"
        if not settings["publish_cloudwatch_metrics_enabled"]:
            yield "nobody counts what statements read"
        (encryption,) = settings["result_configuration"][0]["encryption_configuration"]
        if encryption["encryption_option"] not in {"SSE_S3", "SSE_KMS"}:
            yield "query output is not encrypted"


BUDGET_TAG = "user:project$predict-age"  # of the example's provider, whose tags all resources have


def budget(plan: Plan) -> Iterator[str]:
    """A budget counts each month what carries the project's tag, and tells somebody in time."""
    for limit in plan.of("aws_budgets_budget"):
        told_at = {(n["comparison_operator"], n["threshold_type"], n["notification_type"]) for n in limit["notification"]}
        if not told_at <= {("GREATER_THAN", "PERCENTAGE", kind) for kind in ("ACTUAL", "FORECASTED")}:
            yield "the budget tells at another time than when it is used up"
        if limit["time_unit"] != "MONTHLY":
            yield "the budget is not a month's"
        for chosen in limit["cost_filter"]:
            if chosen["values"] != [BUDGET_TAG]:
                yield "the budget counts a tag that nothing has"
        for told in limit["notification"] or [{"subscriber_email_addresses": [], "threshold": 0}]:
            if not told["subscriber_email_addresses"] or not 50 <= told["threshold"] <= 200:
                yield "nobody is told of the budget in time"


RULES = (budget, alarms, failed_tasks, telling, logs, schedule, limits)


def quiet_by_default(plan: Plan) -> Iterator[str]:
    """Nothing starts and nothing is written to anybody before somebody says so: for the default variables."""
    if any(s["state"] != "DISABLED" for s in plan.of("aws_scheduler_schedule")):
        yield "the schedule is on by default"
    if plan.of("aws_sns_topic_subscription") or plan.of("aws_budgets_budget"):
        yield "somebody gets mail by default"
