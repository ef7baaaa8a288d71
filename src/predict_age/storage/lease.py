"""Write lease with a fencing token: one run at a time, and a run whose lease expired cannot publish any more.

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
    """Start time of a process of this machine, which tells it from a later one with the same number; empty where unknown."""
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
    """Holder of the lease: ``beat`` is its last renewal (seconds since 1970); after ``seconds`` without one the lease expires."""

    token: int
    purpose: str
    machine: str
    pid: int
    born: str
    beat: float
    seconds: float
    released: bool = False

    def holds(self) -> bool:
        """Whether the lease is in force: renewed in time, and its process, where it can be looked up, still runs."""
        if self.released or time.time() - self.beat > self.seconds:
            return False
        return self.machine != _machine() or _alive(self.pid, self.born)

    @property
    def silence(self) -> float:
        """Seconds since the last renewal."""
        return max(0.0, time.time() - self.beat)


def current_holder(documents: DocumentStore) -> Holder | None:
    """The last holder, whether it still holds or not."""
    return _holder(_get(documents))


def _get(documents: DocumentStore) -> VersionedDocument | None:
    try:
        return documents.get(LEASE_DOCUMENT)
    except IntegrityError as error:
        raise IntegrityError(f"the lease is damaged: {error}", fix="remove lease.json when no run is going on") from None


def _holder(stored: VersionedDocument | None) -> Holder | None:
    if stored is None:
        return None
    try:
        return Holder(**stored.value)
    except TypeError as error:
        raise IntegrityError(
            "the lease cannot be understood", found=str(error), fix="remove lease.json when no run is going on"
        ) from None


class Permission(Protocol):
    """Permission of a run to write: a lease, held by a process or by an execution of a state machine."""

    @property
    def token(self) -> int:
        """Larger than that of every earlier holder."""

    def check(self) -> None:
        """Raise LeaseLostError when another holder has it now."""


class Lease:
    """Lease held by this process: it renews itself in the background and knows when it was lost.

    ``fence`` is called with the new token before the lease counts; it must make every commit of older tokens impossible.
    Raises BusyError, naming the holder, when another process has it.
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
            stored = _get(self._documents)
            before = _holder(stored)
            if before is not None and before.holds():
                raise BusyError(
                    "the workspace is in use",
                    expected="one run at a time",
                    found=f"{before.purpose} by process {before.pid} on {before.machine.split()[0]}",
                    fix="wait until it has ended",
                )
            token = max(before.token if before else 0, fenced) + 1
            self._mine = Holder(token, purpose, _machine(), os.getpid(), _born(os.getpid()), time.time(), seconds)
            try:
                self._documents.put(LEASE_DOCUMENT, asdict(self._mine), stored.tag if stored else None)
            except ConflictError:
                continue
            return before

    @property
    def token(self) -> int:
        """Larger than that of every earlier holder."""
        return self._mine.token

    def check(self) -> None:
        """Raise LeaseLostError when another process has taken the lease."""
        if not self._lost:
            now = current_holder(self._documents)
            if now is None or now.token != self.token:
                self._lost = f"{now.purpose} by process {now.pid}" if now else "no lease at all"
        if self._lost:
            raise LeaseLostError(
                "the lease expired and another run has taken it; nothing of this run was published",
                expected=f"the lease with token {self.token}",
                found=self._lost,
                fix="let the other run finish",
            )

    def _beat(self) -> None:
        while not self._over.wait(self._mine.seconds / 4):
            with suppress(OSError, IntegrityError, BusyError):  # a full disk or a guard in use: the next beat may succeed
                stored = self._documents.get(LEASE_DOCUMENT)
                now = _holder(stored)
                if stored is None or now is None or now.token != self.token:
                    self._lost = f"{now.purpose} by process {now.pid}" if now else "no lease at all"
                    return
                with suppress(ConflictError):
                    self._documents.put(LEASE_DOCUMENT, asdict(replace(now, beat=time.time())), stored.tag)

    def __enter__(self) -> Self:
        self._beating.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._beating.join()
        with suppress(OSError, IntegrityError, BusyError, ConflictError):  # not released: it ends with this process anyway
            stored = self._documents.get(LEASE_DOCUMENT)
            now = _holder(stored)
            if stored is not None and now is not None and now.token == self.token:
                self._documents.put(LEASE_DOCUMENT, asdict(replace(now, released=True, beat=time.time())), stored.tag)
