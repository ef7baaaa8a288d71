"""Commands about a workspace in S3: its functions are asked, with the caller's credentials; the runs are listed from S3 itself."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from predict_age import errors
from predict_age.aws.lambdas.old_runs import run_facts
from predict_age.aws.lambdas.runtime import Event
from predict_age.aws.s3_documents import S3Documents
from predict_age.aws.s3_store import Store, client_with
from predict_age.errors import ConfigError, PredictAgeError, ResourceError
from predict_age.storage.publication import read_published
from predict_age.storage.retention_rule import RunState
from predict_age.storage.service_errors import code_or_message

NAME_VARIABLE, DEFAULT_NAME = "PREDICT_AGE_AWS_NAME", "predict-age"  # variable "name" of the Terraform module
ONCE: dict[str, object] = {"mode": "standard", "total_max_attempts": 1}  # the functions' work is not begun twice
LONGEST_SECONDS = 910  # the functions end after 900


def store_of(workspace: Path) -> Store:
    """The store that ``--workspace s3://bucket/prefix`` names. Raises ConfigError without a bucket."""
    place = str(workspace).removeprefix("s3:/")  # a Path has one slash of the two
    bucket, _, prefix = place.strip("/").partition("/")
    if not bucket:
        raise ConfigError("the workspace names no bucket", expected="s3://BUCKET/PREFIX", found=str(workspace), fix="correct it")
    return Store(bucket, prefix)


@dataclass(frozen=True)
class Functions:
    """The functions of the installation whose workspace is in ``store``."""

    store: Store

    def ask(self, function: str, event: dict[str, object]) -> Event:
        """Answer of a function to an event. Its error is raised here as what it was; ResourceError when it cannot be asked."""
        full = f"{os.environ.get(NAME_VARIABLE, DEFAULT_NAME)}-{function}"
        client = client_with("lambda", ONCE, LONGEST_SECONDS)
        try:
            place = client.get_function_configuration(FunctionName=full)["Environment"]["Variables"]
            mine = (self.store.bucket, self.store.prefix)
            if mine != (place.get("PREDICT_AGE_BUCKET"), str(place.get("PREDICT_AGE_PREFIX", "")).strip("/")):
                raise ConfigError(
                    f"the function {full} works on another workspace",
                    expected=self.store.url(""),
                    found=f"s3://{place.get('PREDICT_AGE_BUCKET')}/{place.get('PREDICT_AGE_PREFIX')}",
                    fix=f"name the installation of this workspace: {NAME_VARIABLE}=NAME",
                )
            replied = client.invoke(FunctionName=full, Payload=json.dumps(event).encode())
            answer = json.loads(replied["Payload"].read())
        except PredictAgeError:
            raise
        except Exception as error:
            raise ResourceError(
                f"the function {full} cannot be asked",
                expected="a function that these credentials may read and invoke "
                "(lambda:GetFunctionConfiguration, lambda:InvokeFunction)",
                found=code_or_message(error),
                fix=f"correct region or rights; another installation: {NAME_VARIABLE}=NAME",
            ) from None
        if "FunctionError" in replied:
            raise _error_of(full, answer)
        found: Event = answer
        return found


def _error_of(function: str, answer: Event) -> PredictAgeError:
    """The error that ended a function: the same class, with the same words."""
    kind, said = getattr(errors, str(answer.get("errorType")), None), str(answer.get("errorMessage", ""))
    if isinstance(kind, type) and issubclass(kind, PredictAgeError):
        return kind(said)
    log = f"look at its log group /aws/lambda/{function}"
    return ResourceError(f"the function {function} ended with an error", found=said[:200] or str(answer)[:200], fix=log)


@dataclass(frozen=True)
class RemoteRun:
    """A run in S3: its state, the quarters that it is published for, and whether readers see it now."""

    run_id: str
    state: str
    published: tuple[str, ...]
    current: bool


def runs_in_s3(store: Store) -> list[RemoteRun]:
    """Runs of the workspace, oldest first, from one listing of its objects."""
    store.check_reachable()
    published = read_published(S3Documents(store))
    quarters = {r: tuple(sorted(q for q, of in published.quarters.items() if of == r)) for r in published.run_ids}
    return [
        RemoteRun(run.run_id, _state(run.state), quarters.get(run.run_id, ()), run.run_id == published.current)
        for run in sorted(run_facts(store), key=lambda run: run.run_id)
    ]


def _state(state: RunState) -> str:
    return "done" if state is RunState.FINISHED else state.value
