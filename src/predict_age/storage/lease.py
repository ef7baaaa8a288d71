"""Who may write: a lease with a fencing token. One run at a time, and a run that was taken for dead stays out.

Taking the lease raises the token, and the new token is written into the published pointer as its fence. A former holder
that wakes up still carries the old token: the pointer refuses it, however late it comes (Kleppmann, "How to do
distributed locking", 2016).
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from predict_age.errors import BusyError, IntegrityError, LeaseLostError
from predict_age.storage.documents import ConflictError, DocumentStore, VersionedDocument

LEASE_DOCUMENT = "lease"


def _born(pid: int) -> str:
    """When a process of this machine began, to tell it from a later one with the same number; empty where unknown."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _machine() -> str:
    """A name for this machine since its last start, and for the process numbers that are visible here."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8])
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _alive(pid: int, born: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not born or _born(pid) == born


@dataclass(frozen=True)
class Holder:
    """Who has the lease: ``beat`` is its last sign of life (seconds since 1970), silence of ``seconds`` frees the lease."""

    token: int
    purpose: str
    machine: str
    pid: int
    born: str
    beat: float
    seconds: float
    released: bool = False

    def holds(self) -> bool:
        """Whether others have to keep out. A dead process of this machine does not hold anything; a silent one only for a while."""
        if self.released or time.time() - self.beat > self.seconds:
            return False
        return self.machine != _machine() or _alive(self.pid, self.born)

    @property
    def silence(self) -> float:
        """Seconds since the last sign of life."""
        return max(0.0, time.time() - self.beat)


def current_holder(documents: DocumentStore) -> Holder | None:
    """The last holder, whether it still holds or not."""
    return _holder(_get(documents))


def _get(documents: DocumentStore) -> VersionedDocument | None:
    try:
        return documents.get(LEASE_DOCUMENT)
    except IntegrityError as error:
        raise IntegrityError(f"the lease is damaged: {error}", fix="remove lease.json when no run is going on") from None


def _holder(found: VersionedDocument | None) -> Holder | None:
    if found is None:
        return None
    try:
        return Holder(**found.value)
    except TypeError as error:
        raise IntegrityError(
            "the lease cannot be understood", found=str(error), fix="remove lease.json when no run is going on"
        ) from None


class Permission(Protocol):
    """What allows a run to write: a lease, held by a process or by an execution of a state machine."""

    @property
    def token(self) -> int:
        """Larger than that of every earlier holder."""

    def check(self) -> None:
        """Raise LeaseLostError when somebody else has it now."""


class Lease:
    """A lease that is held: renews itself in the background, knows when it was lost.

    ``fence`` is called with the new token before the lease counts; it must make every commit of older tokens impossible.
    Raises BusyError, naming the holder, when somebody else has it.
    """

    def __init__(self, documents: DocumentStore, purpose: str, seconds: float, fence: Callable[[int], int]) -> None:
        self._documents = documents
        self._lost = ""
        self._over = threading.Event()
        self.previous = self._take(purpose, seconds, fence(0))
        fence(self.token)
        self._beating = threading.Thread(target=self._beat, daemon=True, name="lease")

    def _take(self, purpose: str, seconds: float, fenced: int) -> Holder | None:
        while True:
            found = _get(self._documents)
            before = _holder(found)
            if before is not None and before.holds():
                raise BusyError(
                    "the workspace is in use",
                    expected="one run at a time",
                    found=f"{before.purpose} by process {before.pid} on {before.machine.split()[0]}",
                    fix="wait for it, or use another workspace",
                )
            token = max(before.token if before else 0, fenced) + 1
            self._mine = Holder(token, purpose, _machine(), os.getpid(), _born(os.getpid()), time.time(), seconds)
            try:
                self._documents.put(LEASE_DOCUMENT, asdict(self._mine), found.tag if found else None)
            except ConflictError:
                continue
            return before

    @property
    def token(self) -> int:
        """Larger than that of every earlier holder."""
        return self._mine.token

    def check(self) -> None:
        """Raise LeaseLostError when somebody else has taken the lease."""
        if not self._lost:
            now = current_holder(self._documents)
            if now is None or now.token != self.token:
                self._lost = f"{now.purpose} by process {now.pid}" if now else "no lease at all"
        if self._lost:
            raise LeaseLostError(
                "this run lost its place while it gave no sign of life; nothing of it was published",
                expected=f"the lease with token {self.token}",
                found=self._lost,
                fix="let the other run finish",
            )

    def _beat(self) -> None:
        while not self._over.wait(self._mine.seconds / 4):
            with suppress(OSError, IntegrityError, BusyError):  # a full disk or a guard in use: the next beat may succeed
                found = self._documents.get(LEASE_DOCUMENT)
                now = _holder(found)
                if found is None or now is None or now.token != self.token:
                    self._lost = f"{now.purpose} by process {now.pid}" if now else "no lease at all"
                    return
                with suppress(ConflictError):
                    self._documents.put(LEASE_DOCUMENT, asdict(replace(now, beat=time.time())), found.tag)

    def __enter__(self) -> Self:
        self._beating.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._beating.join()
        with suppress(OSError, IntegrityError, BusyError, ConflictError):  # not released: it ends with this process anyway
            found = self._documents.get(LEASE_DOCUMENT)
            now = _holder(found)
            if found is not None and now is not None and now.token == self.token:
                self._documents.put(LEASE_DOCUMENT, asdict(replace(now, released=True, beat=time.time())), found.tag)
