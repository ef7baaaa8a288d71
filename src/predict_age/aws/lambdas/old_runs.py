"""Runs of the workspace in S3: which there are, removing them, and the command `prune`."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from predict_age.aws import object_names
from predict_age.aws.execution_lease import HeldLease, acquire_execution_lease, current_execution_lease, release_execution_lease
from predict_age.aws.lambdas.event_members import checked_members
from predict_age.aws.lambdas.runtime import Call, Event
from predict_age.aws.s3_store import Store, client
from predict_age.errors import BusyError, ConfigError
from predict_age.storage.publication import read_published
from predict_age.storage.retention_rule import (
    DEFAULT_KEEP_RUNS,
    RUN_ID,
    RemovableRun,
    RunFacts,
    RunState,
    forget_and_delete,
    removable_runs,
)
from predict_age.storage.service_errors import code_of

EXECUTION_RUNNING = "RUNNING"
NOT_OURS = {"AccessDeniedException", "InvalidArn", "StateMachineDoesNotExist"}  # answers about executions of other installations
BY_HAND = "by-hand:"  # beginning of the name of a lease's holder that is no execution


def execution_is_running(execution: str) -> bool:
    """Whether an execution of the state machine still runs. False for one that Step Functions does not know any more.

    False, too, for work by hand, which gives way.
    """
    if execution.startswith(BY_HAND):
        return False
    try:
        described = client("stepfunctions").describe_execution(executionArn=execution)
    except Exception as error:
        if code_of(error) == "ExecutionDoesNotExist":
            return False
        if code_of(error) not in NOT_OURS:
            raise
        raise BusyError(
            "whether the workspace is in use cannot be found out",
            expected="an execution of this installation, and the right states:DescribeExecution",
            found=f"{execution}: {code_of(error)}",
            fix="of another installation, or a former name of this one: when it has ended, delete lease.json of the workspace",
        ) from error
    return str(described["status"]) == EXECUTION_RUNNING


def prune(call: Call, value: object) -> Event:
    """Remove runs beyond the newest ``keep`` finished ones; with ``dry_run`` only say which. Invoked by hand.

    Raises BusyError while an execution runs. One that begins meanwhile takes the lease, and no other run is removed then.
    """
    wanted: Event = checked_members(value, "the event's prune", {"keep": int, "dry_run": bool})
    keep, dry_run = wanted.get("keep", DEFAULT_KEEP_RUNS), bool(wanted.get("dry_run"))
    if keep is None or keep < 1:
        raise ConfigError("the event's prune has a wrong keep", expected='"prune": {"keep": 4, "dry_run": true}', found=str(keep))
    holder = current_execution_lease(call.documents)
    if holder and not holder.released and execution_is_running(holder.execution):
        found = f"run {holder.run_id} of execution {holder.execution.rpartition(':')[2]}"
        raise BusyError("the workspace is in use", expected="no execution that goes on", found=found, fix="wait until it has ended")
    if dry_run:
        removable = _removable(call, keep)
        return {"removed": _shown(removable), "dry_run": True}
    lease = acquire_execution_lease(call.documents, f"{BY_HAND}prune:{uuid.uuid4().hex}", "", execution_is_running)
    held = HeldLease(call.documents, lease.token)

    def delete(run_id: str) -> None:
        held.check()
        delete_objects(call.store, run_id)

    try:
        removable = _removable(call, keep)  # with the lease held: nothing is published any more by an execution that ended
        removed = forget_and_delete(call.documents, [run.run_id for run in removable], delete)
    finally:
        release_execution_lease(call.documents, lease.token)
    return {"removed": _shown(run for run in removable if run.run_id in removed), "dry_run": False}


def _removable(call: Call, keep: int) -> list[RemovableRun]:
    published = read_published(call.documents)
    return removable_runs(run_facts(call.store), published, keep, published.run_ids)


def _shown(runs: Iterable[RemovableRun]) -> list[Event]:
    return [{"run_id": run.run_id, "reason": run.reason} for run in runs]


def run_facts(store: Store) -> list[RunFacts]:
    """Every run below the workspace with its state, from one listing of the objects."""
    objects: dict[str, set[str]] = {}
    for name, _ in store.names("runs/"):
        run_id, _, inside = name.removeprefix("runs/").partition("/")
        if RUN_ID.fullmatch(run_id):
            objects.setdefault(run_id, set()).add(inside)
    return [RunFacts(run_id, _run_state(names)) for run_id, names in objects.items()]


def _run_state(objects: set[str]) -> RunState:
    if "request.json" not in objects:
        return RunState.PARTLY_DELETED
    return RunState.FINISHED if "steps/final_results.json" in objects else RunState.UNFINISHED


def delete_objects(store: Store, run_id: str) -> None:
    """Delete a run's objects: its request first, so that a half-deleted run is never taken for a finished one."""
    run = f"{object_names.run_folder(run_id)}/"
    store.delete([f"{run}request.json"])
    store.delete([name for name, _ in store.names(run)])
