"""Receipts of data files: what each file holds, what it was made from, and its SHA-256. They lie beside the files as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from predict_age.records.json_fields import as_json, from_json
from predict_age.tally import Tally

C = TypeVar("C")


@dataclass(frozen=True)
class BatchContents:
    """A batch of predictions: rows, version of the champion, tally, and counts of feature values in the drift sample."""

    rows: int
    model_version: str
    tally: Tally
    sketch: dict[str, dict[str, int]]


@dataclass(frozen=True)
class QaContents:
    """A part of the QA table: rows, and people by source of the age and by review reason."""

    rows: int
    tally: Tally


@dataclass(frozen=True)
class ResultContents:
    """A part of the result: rows, distinct pids, their order-free checksum (decimal), and the tally of sources and ages."""

    rows: int
    distinct: int
    checksum: str
    tally: Tally


@dataclass(frozen=True)
class LookupContents:
    """A lookup file, or the index of all of them: the number of people whom it finds."""

    people: int


@dataclass(frozen=True)
class _File:
    key: str
    file: str
    bytes: int
    file_sha256: str


@dataclass(frozen=True)
class Receipt(Generic[C]):
    """The ``contents`` of a file, with the ``key`` of everything it was made from, its name, size and SHA-256."""

    contents: C
    key: str
    file: str
    bytes: int
    file_sha256: str

    def as_json(self) -> dict[str, object]:
        """The contents of the receipt on disk: one flat object."""
        return {**as_json(self.contents), **as_json(_File(self.key, self.file, self.bytes, self.file_sha256))}

    @staticmethod
    def from_json(kind: type[C], value: Mapping[str, object]) -> Receipt[C]:
        """Read back what :meth:`as_json` gave, with contents of this ``kind``. Raises ValueError when it is not that."""
        return Receipt(from_json(kind, value), **vars(from_json(_File, value)))
