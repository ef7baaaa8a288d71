"""Entries about people in files on the disk, so that all of about the same share of the pids can be read together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BUCKET_ROWS = 16_000_000  # at most, on average


def mix(pids: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A 64-bit mixing function (splitmix64 finaliser): buckets, seeded samples and checksums are taken from it."""
    x = pids.astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def buckets_for(rows: int, workers: int) -> int:
    """How many buckets ``rows`` are divided into: none is too large, and where that is worth it there is one for each worker."""
    return max(1, -(-rows // BUCKET_ROWS), min(workers, rows // 100_000))


def bucket_of(pids: NDArray[np.int64], buckets: int) -> NDArray[np.int64]:
    """The bucket of each of ``pids`` (n,)."""
    return (mix(pids) % np.uint64(buckets)).astype(np.int64)


def scatter(folder: Path, number: int, entries: np.ndarray, buckets: int) -> None:
    """Keep ``entries``, which have a field ``pid``, as number ``number`` of ``folder``."""
    bounds = np.array([0, len(entries)], np.int64)
    if buckets > 1:
        bucket = bucket_of(entries["pid"], buckets)
        small = bucket.astype(np.uint16) if buckets <= 1 << 16 else bucket  # NumPy sorts those by counting
        entries = entries[np.argsort(small, kind="stable")]
        bounds = np.concatenate([[0], np.cumsum(np.bincount(bucket, minlength=buckets))]).astype(np.int64)
    np.save(folder / f"{number}.npy", entries)
    np.save(folder / f"{number}.bounds.npy", bounds)


def gather(folder: Path, numbers: Iterable[int], bucket: int) -> Iterator[np.ndarray]:
    """The entries of ``bucket`` of each number, in the order in which they were given. They are read when they are looked at."""
    for number in numbers:
        low, high = np.load(folder / f"{number}.bounds.npy")[bucket : bucket + 2]
        yield np.load(folder / f"{number}.npy", mmap_mode="r")[low:high]
