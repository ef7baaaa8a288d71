"""Records of suppressed people in text files: left out before anything of them is written, and counted.

Whether ids are whole numbers or text may be known only after all files were read. Until then a record is left out when its id is
on the list by either reading; :func:`settle` says afterwards what it is, and whether the files have to be converted once more
because one was left out by the wrong reading.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.errors import InputError
from predict_age.source.row_rules import IdType, RowRules, connect
from predict_age.source.suppression import hidden_people, pids_as_written
from predict_age.storage.suppression_list import SuppressionList

LEFT_OUT = np.dtype(
    [
        ("is_integer", np.bool_),
        ("integer_hidden", np.bool_),
        ("text_hidden", np.bool_),
        ("integer_hash", np.uint64),
        ("text_hash", np.uint64),
    ]
)


@dataclass(frozen=True)
class Hiding:
    """People to leave out: the list, the row rules, and whether the type of the ids in ``rules`` is final."""

    listed: SuppressionList
    rules: RowRules
    settled: bool


@dataclass(frozen=True)
class Settled:
    """Records that were left out: ``rows`` of suppressed ``people`` (keyed hashes, one a row), and ``wrong`` ones."""

    rows: int
    people: NDArray[np.uint64]
    wrong: int


def none_left_out() -> np.ndarray:
    """No records, of the type :data:`LEFT_OUT`."""
    return np.empty(0, LEFT_OUT)


def leave_out(rows: pa.Table, hiding: Hiding) -> tuple[pa.Table, np.ndarray, list[tuple[int, str]]]:
    """Working rows without those of suppressed people; the latter as ``LEFT_OUT``; and rejected ones as (position, reason).

    A row that a source of whole numbers rejects is rejected here when its id is listed as text: it is not written then.
    """
    ids, known = rows["pid"], hiding.rules.ids if hiding.settled else None
    found = np.zeros(rows.num_rows, LEFT_OUT)
    if known != "text":
        found["integer_hidden"], found["integer_hash"], found["is_integer"] = _by_reading(ids, hiding.listed, "integer")
    if known != "integer":
        found["text_hidden"], found["text_hash"], _ = _by_reading(ids, hiding.listed, "text")
    elif (others := ~found["is_integer"]).any():
        found["text_hidden"][others] = _by_reading(ids.filter(pa.array(others)), hiding.listed, "text")[0]
    hidden = found["integer_hidden"] | found["text_hidden"]
    if not hidden.any():
        return rows, none_left_out(), []
    kept, left_out = rows.filter(pa.array(~hidden)), rows.filter(pa.array(hidden))
    found, rejected = found[hidden], []
    if known == "integer" and not found["integer_hidden"].all():
        bad = left_out.filter(pa.array(~found["integer_hidden"]))
        problems = hiding.rules.canonical(connect(), bad.select(["pid"]), ("problem",))["problem"].to_pylist()
        rejected = list(zip(bad["position"].to_pylist(), problems, strict=True))
        found = found[found["integer_hidden"]]
    return kept, found, rejected


def _by_reading(
    ids: pa.ChunkedArray, listed: SuppressionList, reading: IdType
) -> tuple[NDArray[np.bool_], NDArray[np.uint64], NDArray[np.bool_]]:
    """Who is hidden among ``ids`` (n,) by one reading, the keyed hashes of those, and which ids can be read so."""
    pids, is_id = pids_as_written(ids, reading)
    hidden, people = hidden_people(pids, listed, reading)
    hashes = np.zeros(len(pids), np.uint64)
    hashes[hidden] = people
    return hidden & is_id, hashes, is_id


def settle(left_out: np.ndarray, ids: IdType) -> Settled:
    """Say what records are that were left out, now that ``ids`` is known to be the type of the source's ids."""
    right = left_out[f"{ids}_hidden"]
    return Settled(int(right.sum()), left_out[f"{ids}_hash"][right], int((~right).sum()))


@dataclass(frozen=True)
class HiddenPeople:
    """Usable ``rows`` of suppressed people, and how many ``people`` those are; None without a suppression list."""

    rows: int
    people: int | None

    @classmethod
    def of(cls, listed: SuppressionList | None, people: list[NDArray[np.uint64]]) -> HiddenPeople:
        """From the keyed hashes of ``people``, one for each of their rows."""
        rows = sum(map(len, people))
        return cls(rows, len(np.unique(np.concatenate(people))) if rows else 0) if listed else cls(0, None)

    def check_others(self, people: int) -> None:
        """Raise InputError when there are no other ``people``."""
        if not people:
            raise InputError(
                "everybody in the source is on the suppression list", expected="somebody who is not", found=f"{self.rows:,} rows"
            )
