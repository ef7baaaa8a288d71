"""The example applied to the small AWS, and what a user does with it: what tests of a deployed pipeline share."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from cloud import athena, compute, server, terraform
from conftest import AS_OF
from predict_age.aws.athena import Athena
from predict_age.aws.lambda_package import build_package

BUCKET = "company-predict-age"


class Cloud:
    """The deployed stack and what a user does with it."""

    def __init__(self, stack: terraform.Stack, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        self.outputs = stack.outputs()
        self.s3, self.states = boto3.client("s3"), boto3.client("stepfunctions")
        self.athena = Athena(self.outputs["workgroup"], self.outputs["database"])

    def event(self, **changes: Any) -> dict[str, Any]:
        when = {"as_of": AS_OF.isoformat(), "time": "2025-10-23T08:00:00Z", "config": "config.toml"}
        return {"source": f"s3://{BUCKET}/source/", **when, **changes}

    def start(self, event: dict[str, Any]) -> str:
        return self.states.start_execution(stateMachineArn=self.outputs["state_machine"], input=json.dumps(event))["executionArn"]

    def finish(self, execution: str) -> dict[str, Any]:
        """Wait for the end; the description, with the output as an object."""
        end = time.monotonic() + 300
        while (found := self.states.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < end, "the execution does not end"
            time.sleep(0.2)
        return {**found, "output": json.loads(found.get("output") or "{}")}

    def names(self, run_id: str, folder: str) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"predict-age/runs/{run_id}/{folder}")
        return [o["Key"] for o in found.get("Contents", [])]

    def results(self) -> dict[str, dict[str, Any]]:
        rows = self.athena.rows("SELECT * FROM predict_age_final_results_with_confidence")
        return {str(r["pid"]): r for r in rows}


@contextmanager
def deployed(folder: Path, what: str, prepare: Callable[[], dict[str, Any]] = dict, **variables: Any) -> Iterator[terraform.Stack]:
    """Apply the example with ``variables`` and those that ``prepare`` answers once the emulator runs.

    Without Terraform the tests are skipped, saying ``what`` was not tried; with REQUIRE_TERRAFORM=1 they fail.
    """
    before = dict(os.environ)
    for done in (compute.Settings.invoked, compute.Settings.stopped, athena.RunningAthena.scanned):
        done.clear()  # of another deployment in this process, whose failures would ring here
    build_package(folder / "functions.zip")
    try:
        with server.running() as endpoint:
            given = {
                "bucket": BUCKET,
                "functions_zip": str(folder / "functions.zip"),
                "batches_per_task": 2,
                **prepare(),
                **variables,
            }
            try:
                stack = terraform.Stack(folder, endpoint, **given)
            except terraform.UnavailableError as error:
                if os.environ.get("REQUIRE_TERRAFORM"):
                    raise
                pytest.skip(f"{what} NOT tested: {error}")
            stack.apply()
            yield stack
    finally:
        os.environ.clear()
        os.environ.update(before)


def same(value: Any, text: str | None) -> bool:
    """Whether a value and Athena's text of it are the same."""
    if value is None or text is None:
        return value is None and text is None
    if isinstance(value, bool):
        return text == str(value).lower()
    return float(text) == value if isinstance(value, int | float) else text == value
