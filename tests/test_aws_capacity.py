"""How long containers wait for capacity: the retriers of the definition, played on a clock with the random waits of full jitter."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from predict_age.aws.state_machine import TASKS, definition

MINUTE = 60.0
SEEDS = 2000
NO_CAPACITY = "ECS.AmazonECSException"
Market = Callable[[float, set[str]], str]  # seconds, kinds of capacity asked for -> the error of RunTask, "" when it starts


def starts(state: dict[str, Any], now: float, market: Market, luck: random.Random) -> Iterator[tuple[float, str]]:
    """Time and error of each start of a container's state, the waits of its retriers in between; the last one ends the state."""
    kinds = {provider["CapacityProvider"] for provider in state["Parameters"]["CapacityProviderStrategy"]}
    used = [0] * len(state["Retry"])
    while True:
        error = market(now, kinds)
        yield now, error
        found = next((n for n, r in enumerate(state["Retry"]) if {error, "States.ALL"} & set(r["ErrorEquals"])), None)
        if not error or found is None or used[found] >= state["Retry"][found]["MaxAttempts"]:
            return
        retry = state["Retry"][found]
        longest = min(retry["IntervalSeconds"] * retry["BackoffRate"] ** used[found], retry["MaxDelaySeconds"])
        assert retry["JitterStrategy"] == "FULL"
        now += luck.uniform(0, longest)
        used[found] += 1


def played(states: dict[str, Any], first: str, market: Market, seed: int) -> tuple[float, str]:
    """Seconds until a container starts or its work is given up, and the last error; as the machine goes on after a failed start."""
    luck, now, error, name = random.Random(seed), 0.0, "", first
    while True:
        *_, (now, error) = starts(states[name], now, market, luck)
        if not error or not states[name]["Catch"][0]["Next"].endswith("Judged"):
            return now, error
        name = states[states[name]["Catch"][0]["Next"]]["Default"]  # a failed start has no exit code that ends it


def containers() -> dict[str, dict[str, Any]]:
    """The states among which each container's are, by the name of its first one."""
    everything = definition()["States"]
    return {"PredictBatches": everything["ParallelPrediction"]["ItemProcessor"]["States"], **dict.fromkeys(TASKS, everything)}


@pytest.mark.parametrize("first", containers())
def test_twenty_minutes_without_capacity_and_then_without_spot_are_waited_out(first: str) -> None:
    """In each of 2,000 draws: nothing starts for twenty minutes, then On-Demand alone. A task of Spot and On-Demand gets either."""

    def market(now: float, kinds: set[str]) -> str:
        return NO_CAPACITY if now < 20 * MINUTE or "FARGATE_SPOT" in kinds else ""

    ends = [played(containers()[first], first, market, seed) for seed in range(SEEDS)]
    assert {error for _, error in ends} == {""}
    assert min(now for now, _ in ends) >= 20 * MINUTE


@pytest.mark.parametrize("first", containers())
def test_a_quota_that_stays_ends_the_run_with_its_error(first: str) -> None:
    """Long before the run's time-out, so that the notification names the quota and not a time-out; never within 25 minutes."""
    ends = [played(containers()[first], first, lambda *_: "ECS.ClientException", seed) for seed in range(SEEDS)]
    assert {error for _, error in ends} == {"ECS.ClientException"}
    waited = sorted(now / MINUTE for now, _ in ends)
    assert waited[0] > 25
    assert waited[-1] < definition()["TimeoutSeconds"] / MINUTE / 4


def test_an_error_of_the_work_is_no_missing_capacity() -> None:
    """It is tried three times more within minutes."""
    now, error = played(containers()["PredictBatches"], "PredictBatches", lambda *_: "States.TaskFailed", 1)
    assert error == "States.TaskFailed"
    assert now < 5 * MINUTE
