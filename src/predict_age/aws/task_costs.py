"""Cost of a run on AWS as its tasks note it: each when it ends, all of them when the report is written."""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from predict_age.aws import object_names
from predict_age.aws.cost_plan import TaskCost, spent_dollars
from predict_age.aws.prices import PRICES
from predict_age.aws.run_mirror import Job
from predict_age.errors import PredictAgeError
from predict_age.records.json_fields import as_json, from_json
from predict_age.runs.run import Run
from predict_age.storage.durable_files import hashed_json


def _count(metric: str, workspace: str) -> None:
    """One line that CloudWatch takes for a metric (embedded metric format)."""
    metrics = [{"Namespace": "PredictAge", "Dimensions": [["Workspace"]], "Metrics": [{"Name": metric, "Unit": "Count"}]}]
    line = {"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": metrics}, "Workspace": workspace, metric: 1}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


@contextmanager
def recorded_cost(job: Job, what: str) -> Iterator[None]:
    """Count the task when it begins and when it ends well, and note what it used up, failed or not."""
    _count("TasksBegun", job.store.bucket)
    began, outcome = time.monotonic(), "failed"
    try:
        yield
        outcome = "done"
        _count("TasksDone", job.store.bucket)
    except PredictAgeError as error:
        with suppress(PredictAgeError):
            job.store.put_part(object_names.failure_text(job.run_id, job.token), str(error).encode())
        raise
    finally:
        used = used_since(began, what, outcome)
        with suppress(PredictAgeError):  # the bill must not hide what went wrong
            job.store.put_part(job.name(f"costs/{uuid.uuid4().hex}.json"), hashed_json(as_json(used)).encode())


def used_since(began: float, what: str, outcome: str) -> TaskCost:
    """Resources that this task has used since ``began`` (monotonic clock, seconds)."""
    vcpu, gib, spot = (float(os.environ.get(f"PREDICT_AGE_{name}", "0")) for name in ("VCPU", "GIB", "SPOT"))
    return TaskCost(what, outcome, round(time.monotonic() - began, 1), vcpu, gib, spot)


def cost_of_run(job: Job, run: Run, now: TaskCost) -> dict[str, object]:
    """Cost of the run so far, failed attempts included, from what its tasks recorded, and this one ``now``."""
    costs = [*(from_json(TaskCost, job.store.document(name)) for name, _ in job.store.names(job.name("costs/"))), now]
    scanned = sum(getattr(s.facts, "scanned_bytes", None) or 0 for s in run.folder.steps())
    batches = sum(1 for _ in job.store.names(job.name("receipts/")))
    dollars = spent_dollars(costs, batches, scanned)
    return {
        "dollars": dollars,
        "total_usd": sum(dollars.values()),
        "tasks": [as_json(c) for c in costs],
        "scanned_bytes": scanned,
        "prices": PRICES.as_of,
    }
