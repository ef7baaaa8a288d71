"""State PreCleanup: check the event, claim the workspace, remove what no reader needs any more."""

from __future__ import annotations

import datetime as dt
import re

from predict_age.aws import object_names
from predict_age.aws.execution_lease import acquire_execution_lease, current_execution_lease
from predict_age.aws.lambdas.runtime import Call, Event, do_step_once, handler
from predict_age.aws.s3_store import client
from predict_age.errors import BusyError, ConfigError
from predict_age.step import STEPS, StepResult
from predict_age.storage.documents import ConflictError
from predict_age.storage.durable_files import hashed_json
from predict_age.storage.publication import read_published

REQUEST_KEYS = {"source", "as_of", "time", "config", "features", "accept"}
KEEP_RUNS = 4
EXECUTION_RUNNING = "RUNNING"


def _checked(event: Event) -> Event:
    """The request inside the event, complete. Raises ConfigError naming what is wrong."""
    request = dict(event["request"])
    if unknown := set(request) - REQUEST_KEYS:
        raise ConfigError("the event has unknown keys", expected=", ".join(sorted(REQUEST_KEYS)), found=", ".join(sorted(unknown)))
    try:
        time = dt.datetime.fromisoformat(str(request["time"]))
        if time.tzinfo is None:
            raise ValueError("a time without zone")
        request["time"] = time.astimezone(dt.UTC).replace(microsecond=0).isoformat()
        request["as_of"] = dt.date.fromisoformat(str(request.get("as_of") or request["time"][:10])).isoformat()
    except (KeyError, ValueError) as error:
        raise ConfigError(
            "the event's times are wrong",
            expected='"time": "2026-01-01T06:00:00Z" and perhaps "as_of": "2026-01-01"',
            found=str(error),
        ) from None
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/\S+", str(request.get("source", ""))):
        raise ConfigError(
            "the event names no source",
            expected='"source": "s3://bucket/prefix/"',
            found=repr(request.get("source")),
            fix="correct it",
        )
    return request


@handler
def handle(call: Call) -> Event:
    """Returns run_id, token, accept, and the ``next`` state: the first one that is not finished.

    "Done" when this very run is finished, or in the hands of another execution: the same event twice is one run.
    """
    execution = str(call.event["execution"])
    request = _checked(call.event)
    run_id = object_names.run_id_of(request)
    call.event = {"run_id": run_id, "token": "0", "accept": "1" if request.get("accept") else ""}
    if _finished(call, "post_cleanup"):
        return {**call.event, "next": "Done", "why": f"run {run_id} is finished"}
    try:
        claim = acquire_execution_lease(call.documents, execution, run_id, _runs)
    except BusyError:
        now = current_execution_lease(call.documents)
        if now is not None and now.run_id == run_id:
            return {**call.event, "next": "Done", "why": f"run {run_id} is being done by {now.execution}"}
        raise
    call.event["token"] = str(claim.token)
    try:
        call.store.put(call.name("request.json"), hashed_json({**request, "run_id": run_id}).encode(), None)
    except ConflictError:
        call.document("request.json")
    do_step_once(call, "pre_cleanup", lambda: _clean(call))
    return {**call.event, "next": _next(call), "why": ""}


def _next(call: Call) -> str:
    state = next(s.state for s in STEPS if not _finished(call, s.name))
    return "Report" if state == "PostCleanup" and call.store.head(call.name("report.html")) is None else state


def _finished(call: Call, step: str) -> bool:
    return call.store.head(call.name(f"steps/{step}.json")) is not None


def _runs(execution: str) -> bool:
    """Whether an execution of the state machine still runs. One that the service does not know any more does not."""
    try:
        found = client("stepfunctions").describe_execution(executionArn=execution)
    except Exception as error:
        if getattr(error, "response", {}).get("Error", {}).get("Code") == "ExecutionDoesNotExist":
            return False
        raise
    return str(found["status"]) == EXECUTION_RUNNING


def _clean(call: Call) -> StepResult:
    """Delete the objects of runs beyond the newest four. What is published, and its model, stays."""
    published = read_published(call.documents)
    runs = sorted({name.split("/")[1] for name, _ in call.store.names("runs/") if name.count("/") > 1})
    kept = {call.run_id, *published.run_ids, *published.kept, *runs[-KEEP_RUNS:]}
    removed = [r for r in runs if r not in kept]
    for run in removed:
        call.store.delete([name for name, _ in call.store.names(f"{object_names.run_folder(run)}/")])
    return StepResult(len(removed), {"removed_runs": removed})
