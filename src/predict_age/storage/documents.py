"""Small documents of a workspace that several processes may change: read, and conditionally replaced.

Interface between the commit protocol and its storage. A local disk implements the condition by a lock around compare
and rename; an object store by a conditional put (``If-Match`` and ``If-None-Match`` on the tag).
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from predict_age.errors import BusyError
from predict_age.storage.durable_files import make_folder, read_hashed_json, write_json

GUARD_SECONDS = 20.0


class ConflictError(Exception):
    """Another process replaced the document after it was read. Read again and decide again."""


@dataclass(frozen=True)
class VersionedDocument:
    """A document and the tag of this very version of it."""

    value: dict[str, Any]
    tag: str


class DocumentStore(Protocol):
    """Named documents with conditional replacement."""

    def get(self, name: str) -> VersionedDocument | None:
        """The document, or None when there is none. Raises IntegrityError when it is damaged."""

    def put(self, name: str, value: Mapping[str, object], replaces: str | None) -> None:
        """Store ``value`` if the document still has the tag ``replaces`` (None: if there is none); ConflictError otherwise.

        All or nothing: a reader sees the old document or the new one.
        """


@dataclass(frozen=True)
class LocalDocuments:
    """Documents as files of one folder."""

    folder: Path

    def get(self, name: str) -> VersionedDocument | None:
        path = self.folder / f"{name}.json"
        return VersionedDocument(*read_hashed_json(path)) if path.exists() else None

    def put(self, name: str, value: Mapping[str, object], replaces: str | None) -> None:
        make_folder(self.folder)
        with self._guard():
            stored = self.get(name)
            if (stored.tag if stored else None) != replaces:
                raise ConflictError(name)
            write_json(self.folder / f"{name}.json", value)

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """One writer at a time between compare and rename. The kernel frees it when its holder dies."""
        descriptor = os.open(self.folder / "guard", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            end = time.monotonic() + GUARD_SECONDS
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > end:
                        raise BusyError(
                            f"{self.folder} has been guarded by another process for {GUARD_SECONDS:.0f} s",
                            expected="a commit takes a moment",
                            fix="continue or end the process that was stopped in the middle of a commit",
                        ) from None
                    time.sleep(0.01)
            yield
        finally:
            os.close(descriptor)
