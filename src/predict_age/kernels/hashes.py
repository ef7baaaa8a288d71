"""Hashes of texts and ids, equal to the NumPy code of ``source.profile_hash``, ``hashing`` and ``source.suppression``."""

from __future__ import annotations

from typing import Any

import numpy as np

from predict_age.kernels.jit import address, inline, kernel, load_8_bytes, load_prefix


@inline
def _mix_word(word: Any, spread: Any) -> Any:
    word = (word ^ (word >> np.uint64(32))) * spread
    return word ^ (word >> np.uint64(29))


@kernel
def hash_texts(data: Any, bounds: Any, rows: Any, salt: Any, spread: Any, out: Any) -> None:
    """Fill ``out`` (n,) with the sums of the mixed words of ``data[bounds[r] : bounds[r + 1]]`` for ``rows`` (n,)."""
    text = address(data)
    for n in range(len(rows)):
        at, end = np.int64(bounds[rows[n]]), np.int64(bounds[rows[n] + 1])
        total = position = np.uint64(0)
        while at + 8 <= end:
            position += salt
            total += _mix_word(load_8_bytes(text, at) + position, spread)
            at += 8
        if at < end:
            total += _mix_word(load_prefix(text, at, end - at, len(data)) + position + salt, spread)
        out[n] = total


@inline
def _turned(word: Any, bits: Any) -> Any:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@inline
def _sip_round(v0: Any, v1: Any, v2: Any, v3: Any) -> Any:
    v0 += v1
    v1 = _turned(v1, 13) ^ v0
    v0 = _turned(v0, 32)
    v2 += v3
    v3 = _turned(v3, 16) ^ v2
    v0 += v3
    v3 = _turned(v3, 21) ^ v0
    v2 += v1
    v1 = _turned(v1, 17) ^ v2
    v2 = _turned(v2, 32)
    return v0, v1, v2, v3


@kernel
def siphash_messages(data: Any, width: Any, key0: Any, key1: Any, out: Any) -> None:
    """Fill ``out`` (n,) with SipHash-2-4 (Aumasson and Bernstein 2012) of n messages in ``data``, ``width`` bytes each."""
    text = address(data)
    for n in range(len(out)):
        at, end = n * width, (n + 1) * width
        v0, v1 = key0 ^ np.uint64(0x736F6D6570736575), key1 ^ np.uint64(0x646F72616E646F6D)
        v2, v3 = key0 ^ np.uint64(0x6C7967656E657261), key1 ^ np.uint64(0x7465646279746573)
        while at + 8 <= end:
            word = load_8_bytes(text, at)
            v3 ^= word
            v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
            v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
            v0 ^= word
            at += 8
        word = load_prefix(text, at, end - at, len(data)) | (np.uint64(width & 255) << np.uint64(56))
        v3 ^= word
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
        v0 ^= word
        v2 ^= np.uint64(255)
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
        out[n] = v0 ^ v1 ^ v2 ^ v3


@kernel
def find_in_sorted(hashes: Any, values: Any, starts: Any, shift: Any, out: Any) -> None:
    """Mark in ``out`` (n,) which ``hashes`` (n,) are among the ascending ``values``.

    ``starts[b]`` is the number of the first value whose bits above ``shift`` are ``b`` or more, so that few values are compared.
    """
    for n in range(len(hashes)):
        wanted = hashes[n]
        bucket = np.int64(wanted >> shift)
        at, end = starts[bucket], starts[bucket + 1]
        while at < end and values[at] < wanted:
            at += 1
        out[n] = at < end and values[at] == wanted
