"""The light pass over ids and ages: counts for every split, rows set aside, and which of several equal pids counts.

Rule for duplicates: among rows with the same pid, the first one *with a known age* counts; when none has one, the first
row. "First" means source order: files sorted by path, then position. All other rows are duplicates.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from predict_age.config import Source
from predict_age.files import creating
from predict_age.source.convert import write_set_aside
from predict_age.source.rows import RowRules, connect
from predict_age.source.splits import Split, read_split

BUCKET_ROWS = 16_000_000
ENTRY = np.dtype([("pid", np.int64), ("row", np.uint32), ("known", np.bool_)])


@dataclass(frozen=True)
class SplitCounts:
    """What one split holds. ``known`` counts usable rows by where their age comes from; duplicates are still in."""

    split: int
    read: int
    set_aside: dict[str, int]
    known: dict[str, int]
    needs_prediction: int
    unreadable_age: int
    implausible_age: int
    conflicting_age: int
    known_ages: list[int]  # histogram over ages 0..120
    written: dict[str, str]  # path -> SHA-256 of the file of rows set aside

    @property
    def usable(self) -> int:
        return self.read - sum(self.set_aside.values())


def mix(pids: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A 64-bit mixing function (splitmix64 finaliser): buckets, seeded samples and checksums are taken from it."""
    x = pids.astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniform(numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Numbers in [0, 1) from the upper 53 bits of :func:`mix`."""
    return np.asarray((mix(numbers) >> np.uint64(11)) * 2.0**-53, np.float64)


def luck(pids: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) for each pid, fixed by the seed: sampling by it does not depend on order or files."""
    salted = pids.astype(np.uint64) ^ np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)
    return uniform(salted.astype(np.int64))


def checksum(pids: NDArray[np.int64]) -> int:
    """Order-free fingerprint of a set of pids: the sum of their mixed values modulo 2^64."""
    return int(mix(pids + 1).sum(dtype=np.uint64))


def scan(
    splits: list[Split], source: Source, rules: RowRules, buckets: int, scratch: Path, set_aside: Path | None, files: list[str]
) -> list[SplitCounts]:
    """Count the rows of each split; leave its pids, sorted by bucket, in ``scratch/<split>.npy`` with bucket bounds beside it."""
    connection = connect()
    counts = []
    for split in splits:
        entries, first = [], 0
        reasons: list[str] = []
        positions: list[int] = []
        known: Counter[str] = Counter()
        odd: Counter[str] = Counter()
        ages = np.zeros(121, np.int64)
        needs = 0
        for piece in read_split(split, source, with_profile=False):
            judged = rules.canonical(connection, piece.raw)
            usable = judged["pid"].is_valid().to_numpy()
            if not usable.all():
                bad = ~usable
                reasons += judged["problem"].filter(bad).to_pylist()
                positions += piece.positions[bad].tolist()
            needed = judged["needs_prediction"].to_numpy()
            needs += int(needed.sum())
            for name in ("unreadable_age", "implausible_age", "conflicting_age"):
                odd[name] += pc.sum(judged[name]).as_py() or 0
            for pair in judged["known_source"].filter(usable).value_counts().to_pylist():
                if pair["values"] is not None:
                    known[pair["values"]] += pair["counts"]
            ages += np.bincount(judged["known_age"].filter(usable).drop_null().to_numpy(), minlength=121)[:121]
            block = np.empty(int(usable.sum()), ENTRY)
            block["pid"] = judged["pid"].filter(usable).to_numpy()
            block["row"] = first + np.flatnonzero(usable)
            block["known"] = ~needed[usable]
            entries.append(block)
            first += len(usable)
        written = {}
        if reasons and set_aside is not None:
            aside = set_aside / f"rows-{split.id:06d}.parquet"
            written[str(aside)] = write_set_aside(aside, files[split.file], positions, reasons)
        _store(scratch / f"{split.id}.npy", np.concatenate(entries) if entries else np.empty(0, ENTRY), buckets)
        counts.append(
            SplitCounts(
                split.id, first, dict(Counter(reasons)), dict(known), needs, odd["unreadable_age"], odd["implausible_age"],
                odd["conflicting_age"], ages.tolist(), written,
            )
        )  # fmt: skip
    return counts


def _store(path: Path, entries: np.ndarray, buckets: int) -> None:
    bounds = np.array([0, len(entries)], np.int64)
    if buckets > 1:
        bucket = (mix(entries["pid"]) % np.uint64(buckets)).astype(np.int64)
        entries = entries[np.argsort(bucket, kind="stable")]
        bounds = np.concatenate([[0], np.cumsum(np.bincount(bucket, minlength=buckets))]).astype(np.int64)
    np.save(path, entries)
    np.save(path.with_suffix(".bounds.npy"), bounds)


@dataclass(frozen=True)
class Duplicates:
    """Losers of one bucket: (split, row inside the split, had a known age), and the fingerprint of the distinct pids."""

    splits: NDArray[np.int32]
    rows: NDArray[np.uint32]
    known: NDArray[np.bool_]
    distinct: int
    checksum: int


def find_duplicates(bucket: int, split_ids: list[int], scratch: Path) -> Duplicates:
    """Judge all rows whose pid falls into ``bucket``. Memory: 30 bytes a row of the bucket."""
    parts, origin = [], []
    for split in split_ids:
        bounds = np.load(scratch / f"{split}.bounds.npy")
        part = np.load(scratch / f"{split}.npy", mmap_mode="r")[bounds[bucket] : bounds[bucket + 1]]
        parts.append(np.array(part))
        origin.append(np.full(len(part), split, np.int32))
    entries = np.concatenate(parts) if parts else np.empty(0, ENTRY)
    splits = np.concatenate(origin) if origin else np.empty(0, np.int32)
    order = np.argsort(entries["pid"], kind="stable")  # stable: equal pids stay in source order
    pids = entries["pid"][order]
    first = np.concatenate([[True], pids[1:] != pids[:-1]]) if len(pids) else np.empty(0, bool)
    winners = np.flatnonzero(first)
    loses = ~first
    if loses.any():
        known = entries["known"][order]
        group = np.cumsum(first) - 1
        candidates = np.flatnonzero(known)  # the first known row of each group takes the place of its first row
        groups, at = np.unique(group[candidates], return_index=True)
        best = winners.copy()
        best[groups] = candidates[at]
        loses = np.ones(len(pids), bool)
        loses[best] = False
    lost = order[loses]
    return Duplicates(splits[lost], entries["row"][lost], entries["known"][lost], len(winners), checksum(pids[winners]))


LOSER = np.dtype([("split", np.int32), ("row", np.uint32)])


def write_losers(path: Path, found: list[Duplicates]) -> str:
    """One sorted array of all duplicate rows; returns the file's SHA-256."""
    losers = np.empty(sum(len(d.rows) for d in found), LOSER)
    if len(losers):
        losers["split"] = np.concatenate([d.splits for d in found])
        losers["row"] = np.concatenate([d.rows for d in found])
        losers.sort(order=["split", "row"])
    with creating(path) as stream:
        np.save(stream, losers)
    return stream.sha256


def counting_rows(split: Split, losers: Path) -> NDArray[np.bool_] | None:
    """A mask (rows of the split,) without the duplicates, or None when the split has none."""
    table = np.load(losers, mmap_mode="r")
    low, high = np.searchsorted(table["split"], [split.id, split.id + 1])
    if low == high:
        return None
    mask = np.ones(split.rows, bool)
    mask[table["row"][low:high]] = False
    return mask
