"""Keyed hashes of ids: what files outside the tables may hold of people. SipHash-2-4, whose key is a list's, a run's or a model's.

The key of a run or model lies in the same folder. It makes hashes of one run say nothing about those of another, and keeps ids out
of sight and out of searches; whoever has the folder can still check whether an id that they guess is among them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from predict_age.hashing import CHUNK_IDS, SIPHASH_KEY_BYTES, checksum, siphash, siphash_keys, unkeyed_fingerprints
from predict_age.kernels import use_kernels
from predict_age.storage.durable_files import creating

Hashes = NDArray[np.uint64]
UNKEYED = b""  # hashes of earlier versions


def keyed_hashes(pids: NDArray[np.int64], key: bytes) -> Hashes:
    """SipHash-2-4 of each pid (n,), as eight bytes, little-endian."""
    content = np.ascontiguousarray(pids, "<i8").view(np.uint8)
    if not use_kernels(len(pids)):
        return siphash(content.reshape(-1, 8), key)
    from predict_age.kernels import hashes

    made = np.empty(len(pids), np.uint64)
    hashes.siphash_messages(content, 8, *siphash_keys(key), made)
    return made


def key_of_run(run_id: str, use: str) -> bytes:
    """Key for one ``use`` of hashes in a run: the same whenever the run is repeated, another one in each run."""
    return hashlib.blake2b(f"{use}\0{run_id}".encode(), digest_size=SIPHASH_KEY_BYTES).digest()


def people_checksum(pids: NDArray[np.int64], key: bytes) -> int:
    """Order-independent fingerprint of a set of pids: the sum of their keyed hashes modulo 2^64; unkeyed in earlier versions."""
    if not key:
        return checksum(pids)
    chunks = (pids[first : first + CHUNK_IDS] for first in range(0, len(pids), CHUNK_IDS))
    return sum(int(keyed_hashes(chunk, key).sum(dtype=np.uint64)) for chunk in chunks) % 2**64


def fingerprints(pids: NDArray[np.int64], key: bytes) -> NDArray[np.uint32]:
    """Hash each pid to 32 bits, to recognise people later: of a million recognised ones, one stranger in 4,000 is among them."""
    if not key:
        return unkeyed_fingerprints(pids)
    return (keyed_hashes(pids, key) >> np.uint64(32)).astype(np.uint32)


def write_fingerprints(path: Path, key: bytes, marks: NDArray[np.uint32]) -> None:
    """Write the key and the ``marks`` (n,) of people, ascending."""
    with creating(path) as stream:
        np.save(stream, np.frombuffer(key, np.uint8))
        np.save(stream, np.sort(marks))


def read_fingerprints(path: Path) -> tuple[bytes, NDArray[np.uint32]]:
    """Key and marks of people that a file holds; one of an earlier version has no key."""
    with path.open("rb") as stream:
        first = np.load(stream)
        return (UNKEYED, first) if first.dtype == np.uint32 else (first.tobytes(), np.load(stream))
