"""Execution lease: in force while the execution runs, which Step Functions is asked for; no clock decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace

from predict_age.errors import BusyError, IntegrityError, LeaseLostError
from predict_age.records.json_fields import from_json
from predict_age.storage.documents import ConflictError, DocumentStore
from predict_age.storage.lease import LEASE_DOCUMENT
from predict_age.storage.publication import raise_fence

LEASE_TRIES = 20


@dataclass(frozen=True)
class ExecutionLease:
    """Permission to write of the execution ``execution`` (its ARN) for the run ``run_id``."""

    token: int
    execution: str
    run_id: str
    released: bool = False


def current_execution_lease(documents: DocumentStore) -> ExecutionLease | None:
    """The last execution lease, whether it is still in force or not."""
    stored = documents.get(LEASE_DOCUMENT)
    return _lease_in(stored.value) if stored else None


def _lease_in(value: Mapping[str, object]) -> ExecutionLease:
    """The lease of a document. Raises IntegrityError for that of a workspace which somebody copied from one machine."""
    try:
        return from_json(ExecutionLease, value)
    except ValueError as error:
        raise IntegrityError(
            "lease.json of the workspace is no lease of an execution",
            expected="a workspace that executions alone write to",
            found=str(error),
            fix="when nothing else writes to it, delete lease.json",
        ) from None


def acquire_execution_lease(
    documents: DocumentStore, execution: str, run_id: str, is_running: Callable[[str], bool]
) -> ExecutionLease:
    """Take the lease for ``execution``; the same execution keeps its lease. Raises BusyError naming the holder.

    ``is_running`` tells whether another execution still runs. Taking the lease raises the fence of the published pointer,
    so that an earlier holder cannot publish any more.
    """
    for _ in range(LEASE_TRIES):
        stored = documents.get(LEASE_DOCUMENT)
        before = _lease_in(stored.value) if stored else None
        if before and before.execution == execution and before.run_id == run_id and not before.released:
            lease = before
        else:
            if before and not before.released and before.execution != execution and is_running(before.execution):
                raise BusyError(
                    "the workspace is in use",
                    expected="one execution at a time",
                    found=f"run {before.run_id} of execution {before.execution.rpartition(':')[2]}",
                    fix="wait until it has ended",
                )
            lease = ExecutionLease(max(before.token if before else 0, raise_fence(documents, 0)) + 1, execution, run_id)
            try:
                documents.put(LEASE_DOCUMENT, asdict(lease), stored.tag if stored else None)
            except ConflictError:
                continue
        raise_fence(documents, lease.token)
        return lease
    raise BusyError("the lease changes all the time", expected="no concurrent writer", fix="start the execution again")


def release_execution_lease(documents: DocumentStore, token: int) -> None:
    """Release the lease, if it is still held under ``token``."""
    stored = documents.get(LEASE_DOCUMENT)
    if stored and (lease := _lease_in(stored.value)).token == token:
        try:
            documents.put(LEASE_DOCUMENT, asdict(replace(lease, released=True)), stored.tag)
        except ConflictError:
            return


@dataclass(frozen=True)
class HeldLease:
    """Execution lease as the write permission of a run."""

    documents: DocumentStore
    token: int

    def check(self) -> None:
        """Raise LeaseLostError when another execution has taken the workspace."""
        now = current_execution_lease(self.documents)
        if now is None or now.token != self.token:
            raise LeaseLostError(
                "the execution lease was taken by another execution; nothing of this run is published",
                expected=f"the lease with token {self.token}",
                found=f"run {now.run_id} of {now.execution}" if now else "no lease at all",
                fix="let the other execution finish",
            )
