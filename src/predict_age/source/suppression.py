"""Who is suppressed: pids compared with the keyed hashes of the list, and the pids that an id as it is written may stand for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from predict_age.kernels import use_kernels
from predict_age.source.id_hashes import Hashes, keyed_hashes
from predict_age.source.row_rules import IdType, connect, read_ids
from predict_age.storage.suppression_list import ENTRY_BYTES, SuppressionList

READING_BITS: dict[IdType, int] = {"integer": 1, "text": 2}
PLAIN = r"^(0|-?[1-9][0-9]{0,17})$"  # ids that stand for the same pid as a number and as text
MOST_START_BITS = 18


def _no_links() -> Hashes:
    return np.empty((0, 2), np.uint64)


@dataclass(frozen=True)
class Entries:
    """The contents of a file of hashes, ascending: each hash, for which types of ids it counts, and when it was released.

    ``links`` (m, 2): hashes of listed ids that are one pid as a whole number and another one as text (012, +7, 7.0), in this order.
    """

    hashes: Hashes
    readings: NDArray[np.uint8]
    ends: NDArray[np.uint32]
    links: Hashes = field(default_factory=_no_links)

    @classmethod
    def none(cls) -> Entries:
        return cls(np.empty(0, np.uint64), np.empty(0, np.uint8), np.empty(0, np.uint32))

    @classmethod
    def of(cls, listed: SuppressionList) -> Entries:
        """Read the file, which was verified when the list was."""
        content, n = listed.ids.read_bytes(), listed.entries
        readings, ends = np.frombuffer(content, np.uint8, n, 8 * n), np.frombuffer(content, "<u4", n, 9 * n)
        links = np.frombuffer(content[ENTRY_BYTES * n :], "<u8").reshape(-1, 2)
        return cls(np.frombuffer(content, "<u8", n), readings, ends, links)

    @classmethod
    def joined(cls, *parts: tuple[Hashes, NDArray[np.uint32]], links: Hashes) -> Entries:
        """From hashes and ends by each reading; an entry stands for both where both have the same end. Links of listed ids stay."""
        hashes = np.concatenate([h for h, _ in parts])
        ends = np.concatenate([e for _, e in parts])
        readings = np.repeat(np.array(list(READING_BITS.values()), np.uint8), [len(h) for h, _ in parts])
        order = np.lexsort((ends, hashes))
        hashes, ends, readings = hashes[order], ends[order], readings[order]
        again = np.append(False, (hashes[1:] == hashes[:-1]) & (ends[1:] == ends[:-1])) if len(hashes) else np.zeros(0, np.bool_)
        readings[np.flatnonzero(again) - 1] |= readings[again]
        both_listed = np.logical_and.reduce([np.isin(links[:, i], h[e == 0]) for i, (h, e) in enumerate(parts)])
        return cls(hashes[~again], readings[~again], ends[~again], np.unique(links[both_listed], axis=0))

    def of_reading(self, reading: IdType) -> tuple[Hashes, NDArray[np.uint32]]:
        """Hashes and ends of the entries that count for this type of ids."""
        mine = (self.readings & READING_BITS[reading]) > 0
        return self.hashes[mine], self.ends[mine]

    def listed(self, reading: IdType) -> Hashes:
        """Hashes of this type of ids that are not released."""
        return self.hashes[(self.ends == 0) & ((self.readings & READING_BITS[reading]) > 0)]

    @property
    def counts(self) -> tuple[int, int]:
        """Number of entries, and of hashes that are not released."""
        return len(self.hashes), len(np.unique(self.hashes[self.ends == 0]))

    def as_bytes(self) -> bytes:
        """The bytes of the file."""
        parts = (self.hashes.astype("<u8"), self.readings.astype(np.uint8), self.ends.astype("<u4"))
        made = b"".join(part.tobytes() for part in parts)
        assert len(made) == ENTRY_BYTES * len(self.hashes)
        return made + self.links.astype("<u8").tobytes()

    def hiding(self, ids: IdType, made_with: int) -> Hashes:
        """Hashes of those who are hidden from a run whose ids are ``ids`` and that was made with generation ``made_with``."""
        chosen = ((self.ends == 0) | (self.ends > made_with)) & ((self.readings & READING_BITS[ids]) > 0)
        return self.hashes[chosen]


@dataclass(frozen=True)
class _Table:
    hashes: Hashes
    starts: NDArray[np.uint32]
    shift: int


@lru_cache(maxsize=8)
def _table(listed: SuppressionList, ids: IdType, made_with: int) -> _Table:
    hashes = Entries.of(listed).hiding(ids, made_with)
    bits = max(1, min(MOST_START_BITS, len(hashes).bit_length() - 2))
    shift = 64 - bits
    firsts = np.arange(1 << bits, dtype=np.uint64) << np.uint64(shift)
    return _Table(hashes, np.append(np.searchsorted(hashes, firsts), len(hashes)).astype(np.uint32), shift)


def hidden_people(
    pids: NDArray[np.int64], listed: SuppressionList | None, ids: IdType, made_with: int | None = None
) -> tuple[NDArray[np.bool_], Hashes]:
    """Which of ``pids`` (n,) are hidden from a run that was made with the list's generation ``made_with`` (None: the current one).

    Also returns the keyed hashes of those who are, which say who is the same person and not who it is.
    """
    if listed is None or not len(pids):
        return np.zeros(len(pids), np.bool_), np.empty(0, np.uint64)
    table = _table(listed, ids, listed.generation if made_with is None else made_with)
    if not len(table.hashes):
        return np.zeros(len(pids), np.bool_), np.empty(0, np.uint64)
    hashes = keyed_hashes(pids, listed.key)
    found = np.empty(len(pids), np.bool_)
    if use_kernels(len(pids)):
        from predict_age.kernels.hashes import find_in_sorted

        find_in_sorted(hashes, table.hashes, table.starts, np.uint64(table.shift), found)
    else:
        at = np.minimum(np.searchsorted(table.hashes, hashes), len(table.hashes) - 1)
        found = table.hashes[at] == hashes
    return found, hashes[found]


def pids_as_written(ids: pa.ChunkedArray, reading: IdType) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The pid that each of the texts ``ids`` (n,) stands for in a source of this type of ids, and whether it stands for one."""
    plain = pc.fill_null(pc.match_substring_regex(ids, PLAIN), False)
    numbers = pc.if_else(plain, ids, None).cast(pa.int64())
    is_id = plain.to_numpy()
    pids = numbers.fill_null(0).to_numpy()
    if not is_id.all():
        pids, is_id, others = pids.copy(), is_id.copy(), ~is_id
        found = read_ids(connect(), ids.filter(pa.array(others)), reading)
        pids[others], is_id[others] = found.fill_null(0).to_numpy(), found.is_valid().to_numpy()
    return pids, is_id
