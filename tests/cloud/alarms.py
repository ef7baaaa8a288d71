"""Alarms evaluated as CloudWatch documents it: sliding windows, M out of N data points, missing data, expressions over metrics.

An alarm is looked at every minute. Its data points are those of the periods that end at that minute, N of them and some earlier
ones (the evaluation range). Where enough of them are real, the newest N real ones count; else missing ones are filled in as
``treat_missing_data`` says.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import CodeType
from typing import Any

ALARM, OK, UNKNOWN = "ALARM", "OK", "INSUFFICIENT_DATA"
MORE_POINTS = 2  # of the evaluation range, before the N that count: five for an alarm of 3, as in AWS's examples
MINUTE = 60

Name = tuple[str, str, frozenset[tuple[str, str]]]  # namespace, metric, dimensions
Value = float | None


def metric_name(namespace: str, metric: str, **dimensions: str) -> Name:
    """Identity of a metric."""
    return namespace, metric, frozenset(dimensions.items())


@dataclass(frozen=True)
class Series:
    """Values that were written, as (seconds, value), by time."""

    points: tuple[tuple[float, float], ...] = ()

    def over(self, start: float, end: float, statistic: str) -> Value:
        """The statistic of the values from ``start`` to before ``end``; None without any."""
        first, last = (bisect_left(self.points, (at,)) for at in (start, end))
        found = [value for _, value in self.points[first:last]]
        kinds: dict[str, Callable[[Sequence[float]], float]] = {
            "Sum": sum,
            "Maximum": max,
            "Minimum": min,
            "Average": lambda values: sum(values) / len(values),
            "SampleCount": len,
        }
        return kinds[statistic](found) if found else None


def state_of(points: Sequence[Value], breaches: Callable[[float], bool], *, least: int, of: int, missing: str, before: str) -> str:
    """State of an alarm from the data points of its evaluation range, oldest first: ``least`` out of ``of`` must breach.

    ``before``: the state so far, which stays where missing data are ignored.
    """
    real = [point for point in points if point is not None]
    if len(real) >= of:
        return ALARM if sum(map(breaches, real[-of:])) >= least else OK
    filled = of - len(real)
    breaching = sum(map(breaches, real))
    if missing == "breaching":
        return ALARM if breaching + filled >= least else OK
    if missing == "notBreaching":
        return ALARM if breaching >= least else OK
    if not real:
        return UNKNOWN if missing == "missing" else before
    if breaching == len(real) and breaching + filled >= least:  # too few points to be sure that all is well
        return ALARM if missing == "missing" else before
    return OK


@dataclass(frozen=True)
class Alarm:
    """An alarm as Terraform describes it."""

    values: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.values["alarm_name"])

    @property
    def period(self) -> int:
        """Seconds of a period."""
        given = self.values.get("period") or next(m["period"] for q in self.values["metric_query"] for m in q["metric"] or [])
        return int(given)

    def _point(self, metrics: Mapping[Name, Series], end: float) -> Value:
        """Data point of the period that ends at ``end``."""

        def value(metric: Mapping[str, Any], statistic: str) -> Value:
            name = metric_name(metric["namespace"], metric["metric_name"], **(metric["dimensions"] or {}))
            return metrics.get(name, Series()).over(end - self.period, end, statistic)

        if not self.values["metric_query"]:
            return value(self.values, self.values["statistic"])
        queries = self.values["metric_query"]
        found = {q["id"]: value(m, m["stat"]) for q in queries for m in q["metric"] or []}
        (asked,) = [q["expression"] for q in queries if q["return_data"]]
        return _evaluated(asked, found)

    def states(self, metrics: Mapping[Name, Series], start: float, end: float) -> list[str]:
        """State at every minute from ``start`` to ``end``."""
        least, of = (
            int(self.values["datapoints_to_alarm"] or self.values["evaluation_periods"]),
            int(self.values["evaluation_periods"]),
        )
        compare: Mapping[str, Callable[[float], bool]] = {
            "GreaterThanThreshold": lambda v: v > self.values["threshold"],
            "GreaterThanOrEqualToThreshold": lambda v: v >= self.values["threshold"],
            "LessThanThreshold": lambda v: v < self.values["threshold"],
            "LessThanOrEqualToThreshold": lambda v: v <= self.values["threshold"],
        }
        breaches = compare[self.values["comparison_operator"]]
        known: dict[float, Value] = {}  # data points by the end of their period: they are in the windows of several minutes
        made, state, now = [], OK if self.values["treat_missing_data"] == "notBreaching" else UNKNOWN, start
        while now <= end:
            ends = [now - n * self.period for n in reversed(range(of + MORE_POINTS))]
            for at in ends:
                if at not in known:
                    known[at] = self._point(metrics, at)
            points = [known[at] for at in ends]
            missing = str(self.values["treat_missing_data"] or "missing")
            state = state_of(points, breaches, least=least, of=of, missing=missing, before=state)
            made.append(state)
            now += MINUTE
        return made

    def rings(self, metrics: Mapping[Name, Series], start: float, end: float) -> bool:
        """Whether it is in alarm at any minute."""
        return ALARM in self.states(metrics, start, end)


@cache
def _compiled(expression: str) -> CodeType:
    return compile(expression, "expression", "eval")


def _evaluated(expression: str, found: Mapping[str, Value]) -> Value:
    """Value of a metric expression, for what our alarms use: numbers, + - * /, FILL, SUM(METRICS()), IF."""

    def fill(value: Value, default: float) -> float:
        return default if value is None else value

    def total(values: Sequence[Value]) -> Value:
        there = [v for v in values if v is not None]
        return sum(there) if there else None

    functions = {"FILL": fill, "SUM": total, "METRICS": lambda: list(found.values()), "IF": lambda c, a, b: a if c else b}
    try:
        result: Value = eval(_compiled(expression), {"__builtins__": {}}, {**functions, **found})
    except TypeError:  # arithmetic with a missing value has no value
        return None
    return result
