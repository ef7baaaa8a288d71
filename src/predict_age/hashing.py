"""Hashes of 64-bit ids: splitmix64, seeded sampling hashes, a checksum of a set of ids, and keyed SipHash-2-4."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHUNK_IDS = 1 << 16  # ids whose hashes stay in the processor's cache
SIPHASH_KEY_BYTES = 16
_SIPHASH_START = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)


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


def unkeyed_fingerprints(pids: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Hash each pid to 32 bits, as earlier versions did, whose models are still reused."""
    return (splitmix64(pids ^ np.int64(0x3C6EF372FE94F82B)) >> np.uint64(32)).astype(np.uint32)


def checksum(pids: NDArray[np.int64]) -> int:
    """Order-independent fingerprint of a set of pids: the sum of their hashes modulo 2^64, as earlier versions recorded it."""
    chunks = (pids[first : first + CHUNK_IDS] for first in range(0, len(pids), CHUNK_IDS))
    return sum(int(splitmix64(chunk + 1).sum(dtype=np.uint64)) for chunk in chunks) % 2**64


def siphash_keys(key: bytes) -> tuple[np.uint64, np.uint64]:
    """The two halves of a key of SipHash, little-endian."""
    low, high = np.frombuffer(key, "<u8", 2)
    return np.uint64(low), np.uint64(high)


def siphash(messages: NDArray[np.uint8], key: bytes) -> NDArray[np.uint64]:
    """SipHash-2-4 (Aumasson and Bernstein 2012) of n messages of equal length (n, bytes), under a ``key`` of 16 bytes."""
    rows, width = messages.shape
    padded = np.zeros((rows, (width // 8 + 1) * 8), np.uint8)
    padded[:, :width] = messages
    words = padded.view("<u8").astype(np.uint64)
    words[:, -1] |= np.uint64((width & 255) << 56)
    halves = siphash_keys(key)
    state = [np.full(rows, halves[i % 2] ^ np.uint64(start), np.uint64) for i, start in enumerate(_SIPHASH_START)]
    for word in words.T:
        state[3] ^= word
        _sip_rounds(state, 2)
        state[0] ^= word
    state[2] ^= np.uint64(255)
    _sip_rounds(state, 4)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _sip_rounds(v: list[NDArray[np.uint64]], rounds: int) -> None:
    for _ in range(rounds):
        for one, other, bits in ((0, 1, 13), (2, 3, 16), (0, 3, 21), (2, 1, 17)):
            v[one] = v[one] + v[other]
            v[other] = _turned(v[other], bits) ^ v[one]
            if bits in (13, 17):
                v[one] = _turned(v[one], 32)


def _turned(words: NDArray[np.uint64], bits: int) -> NDArray[np.uint64]:
    return (words << np.uint64(bits)) | (words >> np.uint64(64 - bits))
