"""Processes that compete for a lease: in a module of their own, which a new process imports in a moment."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from predict_age.errors import BusyError
from predict_age.storage.documents import DocumentStore, LocalDocuments
from predict_age.storage.lease import Lease
from predict_age.storage.publication import raise_fence

TIMES = 6  # that each takes the lease


def take(records: DocumentStore, purpose: str = "run", seconds: float = 60.0) -> Lease:
    """Take the lease as a workspace does."""
    return Lease(records, purpose, seconds, lambda token: raise_fence(records, token))


def contend(folder: str, begun: Any, wins: Any) -> None:
    """Take the lease several times, as soon as all contenders have ``begun``; note the tokens."""
    records, taken = LocalDocuments(Path(folder)), 0
    begun.wait()
    while taken < TIMES:
        try:
            with take(records, "contender") as mine:
                wins.put(mine.token)
            taken += 1
        except BusyError:
            time.sleep(0.001)
