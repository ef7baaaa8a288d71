"""Which of several rows with the same pid counts, in a source alone and in a source with a training source.

Among rows with the same pid, the first one that is withheld (a known minor) counts, else the first one *with a known age*, else the
first row. "First" means source order: files sorted by path, then position; those of a training source come after the source's. All
other rows are duplicates.

People who are in the training source alone are not in the result: none of their rows counts. The model is trained on the first row
with a known age that each person has in the training source, unless any row of theirs is withheld.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from predict_age.errors import InputError
from predict_age.records.given_ages import GivenAges
from predict_age.source.age_states import count_states, states_of_people
from predict_age.source.external_partition import gather, together
from predict_age.source.id_hashes import people_checksum
from predict_age.source.row_group_reader import Split
from predict_age.source.row_rules import IdType
from predict_age.source.scan import NO_AGE, STATE_OF, TOO_YOUNG, USELESS, WITHHELD, SplitCounts, entry_of
from predict_age.storage.durable_files import creating

DUPLICATE_ROW = np.dtype([("split", np.int32), ("row", np.uint32)])


@dataclass(frozen=True)
class TrainingSourcePeople:
    """People of the training source in one bucket, and its rows (split, row inside the split) that no model is trained on.

    ``rows``: all of its usable rows. ``in_source`` of ``distinct`` people are in the source as well, and the counting row of
    ``replaced`` of those is here: for ``ages_taken`` of them because it has a known age. ``known`` people are there to train on,
    ``withheld`` ones are known minors.
    """

    unused_splits: NDArray[np.int32]
    unused_rows: NDArray[np.uint32]
    rows: int
    distinct: int
    in_source: int
    replaced: int
    ages_taken: int
    known: int
    withheld: int


@dataclass(frozen=True)
class DuplicateRows:
    """Duplicate rows of one bucket: (split, row inside the split, known age), and the fingerprint of the distinct pids.

    ``ages`` are NO_AGE or WITHHELD where there is none; ``too_many`` says by how many the rows of these people outnumber them.
    With a training source, the rows of people who are in it alone are among the duplicate rows, and not among the ``distinct``.
    """

    splits: NDArray[np.int32]
    rows: NDArray[np.uint32]
    ages: NDArray[np.uint8]
    distinct: int
    checksum: int
    too_many: GivenAges
    training: TrainingSourcePeople | None = None

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether a row has a known age."""
        return self.ages < WITHHELD


def find_duplicates(
    bucket: int, numbers: list[int], scratch: Path, key: bytes, ids: IdType = "integer", training: Sequence[int] = ()
) -> DuplicateRows:
    """Judge all rows whose pid falls into ``bucket``, from all ``numbers`` of scans; ``key`` is that of the run's checksum.

    ``training``: numbers of the scans of a training source. Memory: 9 bytes a row of the bucket, and 17 a row of a training source.

    Raises InputError when two different ids have the same pid.
    """
    entry = entry_of(ids)
    pids = together(scratch, numbers, bucket, entry, "pid")
    pids.sort()
    more = pids[1:][pids[1:] == pids[:-1]]  # every row of a pid but one
    distinct, seal = len(pids) - len(more), (people_checksum(pids, key) - people_checksum(more, key)) % 2**64
    del pids
    several = np.unique(np.append(more, together(scratch, training, bucket, entry, "pid")))
    parts = [
        [part[_contained(part["pid"], several)] for part in gather(scratch, those, bucket)] if len(several) else []
        for those in (numbers, training)
    ]
    entries = np.concatenate([np.empty(0, entry), *parts[0], *parts[1]])
    order = np.argsort(entries["pid"], kind="stable")  # stable: equal pids stay in source order
    in_training = order >= sum(map(len, parts[0]))
    ordered = entries[order]
    if ids == "text":
        _refuse_collisions(ordered)
    first = np.searchsorted(several, ordered["pid"])  # of which pid, by number
    best = np.searchsorted(first, np.arange(len(several)))  # the first row of each
    states = STATE_OF[ordered["age"]]
    too_many = count_states(states) - count_states(states_of_people(states, first, len(several)))
    ordered["age"][np.isin(ordered["age"], (USELESS, TOO_YOUNG))] = NO_AGE
    for takes_precedence in (ordered["age"] < WITHHELD, ordered["age"] == WITHHELD):
        candidates = np.flatnonzero(takes_precedence)
        groups, at = np.unique(first[candidates], return_index=True)
        best[groups] = candidates[at]  # the first row with a known age takes its place, then the first that is withheld
    loses = np.ones(len(ordered), bool)
    loses[best] = False
    people = None
    if len(training):
        in_source = _any_of(first[~in_training], len(several))
        loses |= ~in_source[first]
        people = _training_people(ordered, first, best, in_training, in_source)
    lost = ordered[loses]
    return DuplicateRows(lost["split"], lost["row"], lost["age"], distinct, seal, too_many, people)


def _training_people(
    ordered: np.ndarray,
    first: NDArray[np.int64],
    best: NDArray[np.int64],
    in_training: NDArray[np.bool_],
    in_source: NDArray[np.bool_],
) -> TrainingSourcePeople:
    """People of the training source, from the entries of all who are in it or have several rows.

    ``first`` and ``in_training`` (rows,): number of the person, and whether the row is the training source's; ``best`` and
    ``in_source`` (people,): their counting row, and whether they are in the source.
    """
    withheld = _any_of(first[ordered["age"] == WITHHELD], len(best))
    there = _any_of(first[in_training], len(best))
    candidates = np.flatnonzero(in_training & (ordered["age"] < WITHHELD) & ~withheld[first])
    people, at = np.unique(first[candidates], return_index=True)
    unused = in_training.copy()
    unused[candidates[at]] = False
    replaced = in_source & in_training[best]
    return TrainingSourcePeople(
        ordered["split"][unused],
        ordered["row"][unused],
        int(in_training.sum()),
        int(there.sum()),
        int((there & in_source).sum()),
        int(replaced.sum()),
        int((replaced & (ordered["age"][best] < WITHHELD)).sum()),
        len(people),
        int((there & withheld).sum()),
    )


def _any_of(numbers: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """A mask (count,) of the ``numbers`` that occur."""
    made = np.zeros(count, np.bool_)
    made[numbers] = True
    return made


def _refuse_collisions(ordered: np.ndarray) -> None:
    """Raise InputError when neighbours of equal pid among ``ordered`` entries have different texts."""
    same = ordered["pid"][1:] == ordered["pid"][:-1]
    clash = np.flatnonzero(same & (ordered["check"][1:] != ordered["check"][:-1]))
    if len(clash):
        places = [f"row {ordered['row'][at]} of split {ordered['split'][at]}" for at in (clash[0], clash[0] + 1)]
        raise InputError(
            "two different ids have the same 63-bit pid: those people would become one",
            expected="a pid of its own for each id (a clash is 0.8 % likely among 378 million)",
            found=f"{len(clash):,} such, the first {' and '.join(places)}",
            fix="write one of the two ids differently, or use a column of whole numbers as source.pid",
        )


def _contained(pids: NDArray[np.int64], those: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of ``pids`` (n,) are among ``those``, which are sorted and not none."""
    at = np.minimum(np.searchsorted(those, pids), len(those) - 1)
    result: NDArray[np.bool_] = those[at] == pids
    return result


def write_duplicate_rows(path: Path, found: list[DuplicateRows], counts: Sequence[SplitCounts] = ()) -> str:
    """One sorted array of all rows that do not count: duplicates, and suppressed rows; returns the file's SHA-256."""
    return _write_rows(path, [(d.splits, d.rows) for d in found], counts)


def write_unused_rows(path: Path, found: list[DuplicateRows], counts: Sequence[SplitCounts]) -> str:
    """One sorted array of all rows of the training source that no model is trained on; returns the file's SHA-256."""
    people = [d.training for d in found if d.training]
    return _write_rows(path, [(p.unused_splits, p.unused_rows) for p in people], counts)


def _write_rows(path: Path, found: list[tuple[NDArray[np.int32], NDArray[np.uint32]]], counts: Sequence[SplitCounts]) -> str:
    splits = [s for s, _ in found] + [np.full(len(c.suppressed.rows), c.split, np.int32) for c in counts]
    rows = [r for _, r in found] + [c.suppressed.rows for c in counts]
    made = np.empty(sum(map(len, rows)), DUPLICATE_ROW)
    if len(made):
        made["split"], made["row"] = np.concatenate(splits), np.concatenate(rows)
        made.sort(order=["split", "row"])
    with creating(path) as stream:
        np.save(stream, made)
    return stream.sha256


def counting_rows(split: Split, duplicate_rows: Path) -> NDArray[np.bool_] | None:
    """A mask (rows of the split,) without duplicates and suppressed rows, or None when the split has none."""
    table = np.load(duplicate_rows, mmap_mode="r")
    low, high = np.searchsorted(table["split"], [split.id, split.id + 1])
    if low == high:
        return None
    mask = np.ones(split.rows, bool)
    mask[table["row"][low:high]] = False
    return mask
