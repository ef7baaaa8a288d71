"""Alarms of the Terraform modules, evaluated as CloudWatch documents it: silent in healthy runs, each rings for its fault."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cloud import metrics
from cloud.alarms import ALARM, OK, UNKNOWN, Alarm, Series, metric_name, state_of
from cloud.metrics import Point
from cloud.rules.plan import Plan, Resource
from test_aws_rules import api, applications, changed, default, scratch  # noqa: F401 - fixtures

pytestmark = [pytest.mark.xdist_group("terraform"), pytest.mark.filterwarnings("default")]  # moto's own warnings
HOUR, DAY = 3600.0, 86400.0
START = 1_775_368_800.0  # 2026-04-05, 6 o'clock
RETAINED = "as before"


@pytest.mark.parametrize(  # both tables of "Configuring how CloudWatch alarms treat missing data": 3 of 3, and 2 of 3
    ("points", "least", "missing", "ignore", "breaching", "not_breaching"),
    [
        ("0-X-X", 3, OK, OK, OK, OK),
        ("----0", 3, OK, OK, OK, OK),
        ("-----", 3, UNKNOWN, RETAINED, ALARM, OK),
        ("0XX-X", 3, ALARM, ALARM, ALARM, ALARM),
        ("--X--", 3, ALARM, RETAINED, ALARM, OK),
        ("0-X-X", 2, ALARM, ALARM, ALARM, ALARM),
        ("00X0X", 2, ALARM, ALARM, ALARM, ALARM),
        ("0-X--", 2, OK, OK, ALARM, OK),
        ("----0", 2, OK, OK, ALARM, OK),
        ("---X-", 2, ALARM, RETAINED, ALARM, OK),
    ],
)
def test_missing_data_are_treated_as_documented(
    points: str, least: int, missing: str, ignore: str, breaching: str, not_breaching: str
) -> None:
    values = [None if p == "-" else float(p == "X") for p in points]
    treatments = {"missing": missing, "ignore": ignore, "breaching": breaching, "notBreaching": not_breaching}
    for treatment, expected in treatments.items():
        state = state_of(values, bool, least=least, of=3, missing=treatment, before=RETAINED)
        assert state == expected, treatment


def test_windows_slide() -> None:
    """Two faults within an hour, but in two hours of the clock: seen, and an hour later no more."""
    values = {
        "alarm_name": "a",
        "namespace": "N",
        "metric_name": "M",
        "dimensions": None,
        "statistic": "Sum",
        "period": 3600,
        "evaluation_periods": 1,
        "datapoints_to_alarm": None,
        "comparison_operator": "GreaterThanThreshold",
        "threshold": 1,
        "treat_missing_data": "notBreaching",
        "metric_query": [],
    }
    written = {metric_name("N", "M"): Series(((HOUR - 600, 1.0), (HOUR + 600, 1.0), (3 * HOUR + 60, 0.0)))}
    states = Alarm(values).states(written, 0, 5 * HOUR)
    at = [n for n, state in enumerate(states) if state == ALARM]
    assert at[0] == 71
    assert states[-1] == OK
    assert not Alarm({**values, "threshold": 2}).rings(written, 0, 5 * HOUR)


def a_run(plan: Plan, begin: float = START, seconds: float = 2068.0, failed: tuple[str, ...] = ()) -> Iterator[Point]:
    """Points that a run of the document's size writes: 52 tasks, some of which Spot takes back, six functions, eight statements."""
    machine, group = plan.one("aws_sfn_state_machine")["arn"], plan.one("aws_athena_workgroup")["name"]
    cluster = plan.one("aws_ecs_cluster")["arn"]
    yield from metrics.of_executions(machine, [(begin, begin + seconds, "FAILED" if "execution" in failed else "SUCCEEDED")])
    yield from metrics.of_functions((f["function_name"], begin + n * 300, False) for n, f in enumerate(plan.functions.values()))
    yield from metrics.of_statements(group, [(begin + 1500 + n, 28_000_000_000 // 8) for n in range(8)])
    ends = [("EssentialContainerExited", 0)] * 52 + [("SpotInterruption", 143)] * 9
    ends += [("EssentialContainerExited", 3)] * failed.count("task") + [("TaskFailedToStart", None)] * failed.count("start")
    stopped = [
        (
            begin + 900 + n,
            {"clusterArn": cluster, "lastStatus": "STOPPED", "stopCode": code, "containers": [{"exitCode": exit_code}]},
        )
        for n, (code, exit_code) in enumerate(ends)
    ]
    yield from metrics.of_tasks(plan, stopped)


def ringing(plan: Plan, points: Iterator[Point], days: float = 1.0) -> set[str]:
    """Alarms that ring between an hour before the run and the end of the day."""
    written = metrics.series(points)
    found = [Alarm(values) for values in plan.of("aws_cloudwatch_metric_alarm")]
    return {a.name.removeprefix("predict-age-") for a in found if a.rings(written, START - HOUR, START + days * DAY)}


def test_nothing_rings_in_healthy_quarters(default: list[Resource]) -> None:  # noqa: F811
    """A run, one with two tasks that failed and were tried again, one of twelve hours; and a quarter in which nothing runs."""
    plan = Plan(default)
    assert len(plan.of("aws_cloudwatch_metric_alarm")) >= 6
    assert ringing(plan, a_run(plan)) == set()
    assert ringing(plan, a_run(plan, failed=("task", "start"))) == set()
    assert ringing(plan, a_run(plan, seconds=11.9 * HOUR)) == set()
    assert ringing(plan, iter(())) == set()


def faults(plan: Plan) -> dict[str, Callable[[], Iterator[Point]]]:
    """Points that a fault writes, by the alarm that has to ring for it."""
    machine, group = plan.one("aws_sfn_state_machine")["arn"], plan.one("aws_athena_workgroup")["name"]
    functions = [f["function_name"] for f in plan.functions.values()]
    return {
        "execution-failed": lambda: a_run(plan, failed=("execution",)),
        "not-finished": lambda: metrics.of_executions(machine, [(START, START + 60, "ABORTED")]),
        "not-started": lambda: metrics.of_queue(plan.one("aws_sqs_queue")["name"], [(START + 60 * n, 1) for n in range(30)]),
        "tasks-failed": lambda: a_run(plan, failed=("task", "task", "start")),
        "function-errors": lambda: metrics.of_functions((functions[n % 2], START + n * 290, True) for n in range(11)),
        "bytes-scanned": lambda: metrics.of_statements(group, [(START + n * 300, 200_000_000_000) for n in range(11)]),
    }


def test_nothing_rings_in_twenty_healthy_runs(api: list[Resource]) -> None:  # noqa: F811
    """One after the other, of different lengths, with tasks that Spot takes back, one failed task and one failed start each,
    and callers of the prediction API of whom few are refused. Metrics are made up, not those of executions.
    """
    plan, luck, points, at = Plan(api), random.Random(20), [], START
    for _ in range(20):
        seconds = luck.uniform(600, 4 * HOUR)
        points += a_run(plan, at, seconds, luck.choice([(), ("task",), ("start",), ("task", "start")]))
        at += seconds + luck.uniform(HOUR, 2 * HOUR)
    points += metrics.of_requests(plan, ((START + n, n % 100 == 0, n % 60 == 0) for n in range(int(at - START))))
    assert (at - START) / DAY > 2
    assert ringing(plan, iter(points), days=(at - START) / DAY + 1) == set()


@pytest.mark.parametrize(("name", "failed", "throttled"), [("api-errors", True, False), ("api-throttles", False, True)])
def test_alarms_of_the_api_ring_for_their_fault_alone(
    api: list[Resource],  # noqa: F811
    name: str,
    failed: bool,
    throttled: bool,
) -> None:
    """Six failures, eleven throttled requests within five minutes: the limits are more than 5 and more than 10."""
    plan = Plan(api)
    count = 6 if failed else 11
    bad = [(START + 20 * n, failed, throttled) for n in range(count)]
    assert ringing(plan, metrics.of_requests(plan, bad)) == {name}
    assert ringing(plan, metrics.of_requests(plan, bad[1:])) == set()


def test_each_alarm_rings_for_its_fault_alone(default: list[Resource]) -> None:  # noqa: F811
    plan = Plan(default)
    known = faults(plan)
    assert {a["alarm_name"].removeprefix("predict-age-") for a in plan.of("aws_cloudwatch_metric_alarm")} == set(known)
    for name, happens in known.items():
        assert ringing(plan, happens()) == {name}
    timed_out = metrics.of_executions(plan.one("aws_sfn_state_machine")["arn"], [(START, START + 60, "TIMED_OUT")])
    assert ringing(plan, timed_out) == {"not-finished"}


@pytest.mark.parametrize(
    ("address", "path", "old", "new", "fault"),
    [
        ("cloudwatch_metric_alarm.execution_failed", "threshold", 0, 1, "execution-failed"),
        ("cloudwatch_metric_alarm.execution_failed", "metric_name", "Failed", "Broken", "execution-failed"),
        ("cloudwatch_metric_alarm.execution_failed", "evaluation_periods", 1, 3, "execution-failed"),
        ("cloudwatch_metric_alarm.not_finished", "metric_query.0.expression", "FILL(timed_out, 0)", "timed_out", "not-finished"),
        ("cloudwatch_metric_alarm.tasks_failed", "period", 3600, 60, "none"),
        ("cloudwatch_metric_alarm.function_errors", "metric_query.0.expression", "SUM", "MAX", "function-errors"),
        ("cloudwatch_metric_alarm.scanned", "period", 3600, 300, "bytes-scanned"),
        ("cloudwatch_event_rule.tasks_failed", "event_pattern", "TaskFailedToStart", "Task", "tasks-failed"),
    ],
)
def test_a_worse_alarm_is_found(default: list[Resource], address: str, path: str, old: Any, new: Any, fault: str) -> None:  # noqa: F811
    """The evaluation can fail: with one attribute changed the alarm does not ring for its fault, or cannot be evaluated."""
    plan = Plan(changed(default, address, path, old, new))
    if fault == "none":  # three faults in a minute and more still ring: a change without harm
        assert ringing(plan, faults(plan)["tasks-failed"]()) == {"tasks-failed"}
        return
    try:
        assert ringing(plan, faults(plan)[fault]()) != {fault}
    except NameError:  # an expression that CloudWatch refuses
        assert "MAX" in str(new)
