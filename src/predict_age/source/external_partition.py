"""Entries about people in files on the disk, so that all of about the same share of the pids can be read together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predict_age.errors import IntegrityError
from predict_age.hashing import splitmix64

BUCKET_ROWS = 16_000_000  # at most, on average


def buckets_for(rows: int, workers: int) -> int:
    """Number of buckets for ``rows``: at least one a worker where that pays, and none above BUCKET_ROWS on average."""
    return max(1, -(-rows // BUCKET_ROWS), min(workers, rows // 100_000))


def bucket_of(pids: NDArray[np.int64], buckets: int) -> NDArray[np.int64]:
    """The bucket of each of ``pids`` (n,)."""
    return (splitmix64(pids) % np.uint64(buckets)).astype(np.int64)


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
    """The entries of ``bucket`` of each number, in the order in which they were given. They are read when it is their turn.

    Raises IntegrityError when a file ends before they do.
    """
    for number in numbers:
        yield _entries(folder, number, *_bounds(folder, number, bucket))


def together(folder: Path, numbers: Iterable[int], bucket: int, kind: np.dtype[Any], field: str = "") -> np.ndarray:
    """Concatenate the arrays of ``kind`` that :func:`gather` yields; of one ``field`` only, where it is named."""
    bounds = {number: _bounds(folder, number, bucket) for number in numbers}
    made = np.empty(sum(high - low for low, high in bounds.values()), kind[field] if field else kind)
    first = 0
    for number, (low, high) in bounds.items():
        part = _entries(folder, number, low, high)
        made[first : first + len(part)] = part[field] if field else part
        first += len(part)
    return made


def _bounds(folder: Path, number: int, bucket: int) -> tuple[int, int]:
    low, high = np.load(folder / f"{number}.bounds.npy")[bucket : bucket + 2].tolist()
    return low, high


def _entries(folder: Path, number: int, low: int, high: int) -> np.ndarray:
    path = folder / f"{number}.npy"
    with path.open("rb") as stream:  # mapped pages would all count as this process's memory
        np.lib.format.read_magic(stream)
        _, _, kind = np.lib.format.read_array_header_1_0(stream)
        stream.seek(low * kind.itemsize, os.SEEK_CUR)
        found = np.fromfile(stream, kind, high - low)
    if len(found) != high - low:
        raise IntegrityError(
            f"a file of the run's own has become shorter: {path}",
            expected=f"{high:,} entries or more",
            found=f"{low + len(found):,}",
            fix="see to the disk, then `predict-age resume`",
        )
    return found
