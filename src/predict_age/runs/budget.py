"""Budget of a run: limits of time and money, and the attempts that have used them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from predict_age.config import LimitsConfig
from predict_age.errors import IntegrityError, LimitError
from predict_age.records.json_fields import as_json, from_json
from predict_age.runtime.signals import OutOfTime, stopping_after
from predict_age.storage.durable_files import read_json, write_json
from predict_age.storage.lease import Holder
from predict_age.storage.workspace import RUNNING, RunFolder


def cost_usd(minutes: float, limits: LimitsConfig) -> float:
    """Cost of this machine for ``minutes``, in dollars."""
    return minutes / 60 * limits.usd_per_hour


def check_affordable(minutes: float, limits: LimitsConfig) -> None:
    """Raise LimitError when an estimate of ``minutes`` exceeds ``limits``. Called before the run starts."""
    if limits.max_minutes and minutes > limits.max_minutes:
        raise LimitError(
            "the estimate exceeds the time limit",
            expected=f"at most {limits.max_minutes:g} minutes (limits.max_minutes)",
            found=f"about {minutes:.1f} minutes",
            fix="raise the limit, add workers, or take a smaller source",
        )
    check_cost(cost_usd(minutes, limits), limits, f": {minutes:.1f} minutes at ${limits.usd_per_hour:g} an hour")


def check_cost(usd: float, limits: LimitsConfig, why: str) -> None:
    """Raise LimitError when an estimate of ``usd`` exceeds the limit; ``why`` follows the amount in the message."""
    if limits.max_cost_usd and usd > limits.max_cost_usd:
        raise LimitError(
            "the estimate exceeds the cost limit",
            expected=f"at most ${limits.max_cost_usd:.2f} (limits.max_cost_usd)",
            found=f"about ${usd:.2f}{why}",
            fix="raise the limit, or take a smaller source",
        )


@dataclass(frozen=True)
class Attempt:
    """An attempt at a run: token of the lease, start time, seconds, outcome."""

    token: int
    began: str
    seconds: float
    outcome: str


@dataclass
class Attempts:
    """Attempts of a run, in ``attempts.json``."""

    folder: RunFolder

    def all(self) -> list[Attempt]:
        """All attempts, oldest first. Empty when the file is missing or damaged: no result depends on it."""
        try:
            return [from_json(Attempt, a) for a in read_json(self.folder.path / "attempts.json")["attempts"]]
        except (IntegrityError, KeyError, ValueError):
            return []

    def begin(self, token: int, before: Holder | None) -> None:
        """Record a new attempt. An attempt that was killed ends at the last heartbeat of its lease."""
        attempts = [self._closed(a, before) if a.outcome == RUNNING else a for a in self.all()]
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        self._write([*attempts, Attempt(token, now, 0.0, RUNNING)])

    @staticmethod
    def _closed(attempt: Attempt, before: Holder | None) -> Attempt:
        if before is None or before.token != attempt.token:
            return replace(attempt, outcome="killed")
        worked = before.beat - dt.datetime.fromisoformat(attempt.began).timestamp()
        return replace(attempt, outcome="killed", seconds=round(max(0.0, worked), 1))

    def end(self, seconds: float, outcome: str) -> None:
        """Close the newest attempt."""
        attempts = self.all()
        attempts[-1:] = [replace(a, seconds=round(seconds, 1), outcome=outcome) for a in attempts[-1:]]
        self._write(attempts)

    def seconds(self) -> float:
        """Time of all attempts, failed ones included."""
        return float(sum(a.seconds for a in self.all()))

    def _write(self, attempts: list[Attempt]) -> None:
        write_json(self.folder.path / "attempts.json", {"attempts": [as_json(a) for a in attempts]})


def seconds_left(limits: LimitsConfig, used: float) -> float | None:
    """Seconds that a run may still take after ``used`` seconds, by time and by money; None without a limit."""
    minutes = [limits.max_minutes] if limits.max_minutes else []
    if limits.max_cost_usd and limits.usd_per_hour:
        minutes.append(limits.max_cost_usd / limits.usd_per_hour * 60)
    return min(minutes) * 60 - used if minutes else None


@contextmanager
def within(left: float | None) -> Iterator[None]:
    """Raise LimitError in the block after ``left`` seconds, at once when ``left`` is not positive, never when it is None."""
    try:
        with stopping_after(left):
            yield
    except OutOfTime:
        raise LimitError(
            "the run reached its time or cost limit and was stopped",
            expected="a finished run",
            found="unfinished steps",
            fix="raise the limit: `predict-age resume --max-minutes N`; finished steps and batches are kept",
        ) from None
