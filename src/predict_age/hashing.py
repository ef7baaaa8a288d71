"""Hashes of 64-bit ids: splitmix64, seeded sampling hashes, and an order-independent checksum of a set of ids."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHUNK_IDS = 1 << 16  # ids whose hashes stay in the processor's cache


def splitmix64(pids: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Mix the bits of ids (n,) by the splitmix64 finaliser (Steele, Lea and Flood 2014), for samples, partitions and checksums."""
    x = pids.astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniform_hash(numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Hash numbers (n,) to [0, 1), from the upper 53 bits of :func:`splitmix64`."""
    return np.asarray((splitmix64(numbers) >> np.uint64(11)) * 2.0**-53, np.float64)


def sampling_hash(pids: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Hash each pid to [0, 1), depending on the seed only: a sample drawn by it does not depend on the order of rows or files."""
    salted = pids.astype(np.uint64) ^ np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)
    return uniform_hash(salted.astype(np.int64))


def fingerprints(pids: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Hash each pid to 32 bits, to recognise people later: of a million recognised ones, one stranger in 4,000 is among them."""
    return (splitmix64(pids ^ np.int64(0x3C6EF372FE94F82B)) >> np.uint64(32)).astype(np.uint32)


def checksum(pids: NDArray[np.int64]) -> int:
    """Order-independent fingerprint of a set of pids: the sum of their hashes modulo 2^64."""
    chunks = (pids[first : first + CHUNK_IDS] for first in range(0, len(pids), CHUNK_IDS))
    return sum(int(splitmix64(chunk + 1).sum(dtype=np.uint64)) for chunk in chunks) % 2**64
