"""What the six functions share: where they are, the run they work for, its lease, its records."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from predict_age.aws import names
from predict_age.aws.athena import Athena
from predict_age.aws.claim import Held
from predict_age.aws.records import S3Records
from predict_age.aws.store import Store
from predict_age.errors import IntegrityError, PredictAgeError
from predict_age.files import sealed, unsealed
from predict_age.order import STEPS
from predict_age.result import StepResult

logger = logging.getLogger("predict_age")
Event = dict[str, Any]


@dataclass
class Call:
    """One invocation. ``event`` has run_id and token once PreCleanup is done; ``attempt`` names this very invocation."""

    event: Event
    attempt: str
    store: Store
    database: str
    workgroup: str
    _athena: Athena | None = field(default=None, repr=False)

    @property
    def run_id(self) -> str:
        return str(self.event["run_id"])

    @property
    def records(self) -> S3Records:
        return S3Records(self.store)

    @property
    def lease(self) -> Held:
        return Held(self.records, int(self.event["token"]))

    @property
    def athena(self) -> Athena:
        if self._athena is None:
            self._athena = Athena(self.workgroup, self.database)
        return self._athena

    def name(self, inside: str) -> str:
        return f"{names.folder(self.run_id)}/{inside}"

    def document(self, name: str) -> dict[str, Any]:
        """A sealed document of the run. Raises IntegrityError when it is missing or damaged."""
        found = self.store.get(self.name(name))
        if found is None:
            raise IntegrityError(
                f"{self.store.url(self.name(name))} is missing", expected="what an earlier state wrote", fix="start a new execution"
            )
        return unsealed(found[0], name)[0]

    def step(self, name: str) -> dict[str, Any]:
        """The record of a finished step."""
        return self.document(f"steps/{name}.json")

    def facts(self, name: str) -> dict[str, Any]:
        facts: dict[str, Any] = self.step(name)["facts"]
        return facts

    def run(self) -> dict[str, Any]:
        """run.json."""
        return self.document("run.json")

    def staged(self, table: str) -> str:
        return names.staged(table, self.run_id)


def _call(event: Event, context: Any) -> Call:
    env = os.environ
    store = Store(env["PREDICT_AGE_BUCKET"], env.get("PREDICT_AGE_PREFIX", "predict-age"))
    return Call(event, str(context.aws_request_id), store, env["PREDICT_AGE_DATABASE"], env["PREDICT_AGE_WORKGROUP"])


def handler(function: Callable[[Call], Event]) -> Callable[[Event, Any], Event]:
    """Make a Lambda handler: one line of JSON in the log for each call, without pids, ages or payloads."""

    @wraps(function)
    def handle(event: Event, context: Any) -> Event:
        began = time.monotonic()
        said: Event = {"function": function.__module__.rpartition(".")[2], "run_id": event.get("run_id", "")}
        try:
            result = function(_call(event, context))
            said["outcome"] = "done"
            return result
        except PredictAgeError as error:
            said |= {"outcome": type(error).__name__, "exit_code": error.exit_code, "message": str(error)}
            raise
        finally:
            said["seconds"] = round(time.monotonic() - began, 3)
            logger.warning(json.dumps(said))

    return handle


def once(call: Call, step: str, work: Callable[[], StepResult]) -> None:
    """Do a step unless its record is there; leave the record when it is done. Only under a lease that still holds."""
    call.lease.check()
    if call.store.head(call.name(f"steps/{step}.json")) is not None:
        call.step(step)  # must be whole
        return
    began = time.monotonic()
    result = work()
    call.lease.check()
    number = next(n for n, s in enumerate(STEPS, start=1) if s.name == step)
    record = {
        "number": number, "name": step, "title": STEPS[number - 1].title, "seconds": round(time.monotonic() - began, 3),
        "rows": result.rows, "peak_rss_bytes": 0, "facts": result.facts, "outputs": result.outputs, "key": "",
    }  # fmt: skip
    call.store.put_part(call.name(f"steps/{step}.json"), sealed(record).encode())


def passed_on(call: Call) -> Event:
    """What the next state gets: small, whatever the run's size."""
    return {k: call.event[k] for k in ("run_id", "token")}
