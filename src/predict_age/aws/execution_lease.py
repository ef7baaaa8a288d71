"""The lease of an execution: held while the execution runs, found out by asking the service, not by a clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from predict_age.errors import BusyError, LeaseLostError
from predict_age.storage.documents import ConflictError, DocumentStore
from predict_age.storage.lease import LEASE_DOCUMENT
from predict_age.storage.publication import raise_fence

LEASE_TRIES = 20


@dataclass(frozen=True)
class ExecutionLease:
    """Who may write: the execution ``execution`` (its ARN) for the run ``run_id``."""

    token: int
    execution: str
    run_id: str
    released: bool = False


def current_execution_lease(documents: DocumentStore) -> ExecutionLease | None:
    """The last claim, whether it still holds or not."""
    found = documents.get(LEASE_DOCUMENT)
    return ExecutionLease(**found.value) if found else None


def acquire_execution_lease(documents: DocumentStore, execution: str, run_id: str, runs: Callable[[str], bool]) -> ExecutionLease:
    """Claim the workspace for ``execution``; the same execution keeps its claim. Raises BusyError naming the holder.

    ``runs`` says whether another execution still runs. Taking a claim raises the fence of the published pointer, so that
    whatever an earlier holder does later is not published.
    """
    for _ in range(LEASE_TRIES):
        found = documents.get(LEASE_DOCUMENT)
        before = ExecutionLease(**found.value) if found else None
        if before and before.execution == execution and before.run_id == run_id and not before.released:
            mine = before
        else:
            if before and not before.released and before.execution != execution and runs(before.execution):
                raise BusyError(
                    "the workspace is in use",
                    expected="one execution at a time",
                    found=f"run {before.run_id} of execution {before.execution.rpartition(':')[2]}",
                    fix="wait until it has ended",
                )
            mine = ExecutionLease(max(before.token if before else 0, raise_fence(documents, 0)) + 1, execution, run_id)
            try:
                documents.put(LEASE_DOCUMENT, asdict(mine), found.tag if found else None)
            except ConflictError:
                continue
        raise_fence(documents, mine.token)
        return mine
    raise BusyError("the lease changes all the time", expected="a moment of rest", fix="start the execution again")


def release_execution_lease(documents: DocumentStore, token: int) -> None:
    """Give the workspace free, if it is still held under ``token``."""
    found = documents.get(LEASE_DOCUMENT)
    if found and found.value["token"] == token:
        try:
            documents.put(LEASE_DOCUMENT, asdict(replace(ExecutionLease(**found.value), released=True)), found.tag)
        except ConflictError:
            return


@dataclass(frozen=True)
class HeldLease:
    """A claim as the permission of a run."""

    documents: DocumentStore
    token: int

    def check(self) -> None:
        """Raise LeaseLostError when another execution has taken the workspace."""
        now = current_execution_lease(self.documents)
        if now is None or now.token != self.token:
            raise LeaseLostError(
                "this run lost its place; nothing of it is published",
                expected=f"the lease with token {self.token}",
                found=f"run {now.run_id} of {now.execution}" if now else "no lease at all",
                fix="let the other execution finish",
            )
