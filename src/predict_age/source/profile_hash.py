"""A 63-bit hash of each profile: it tells, without the old text, whether a profile has changed since an earlier run."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.hashing import splitmix64
from predict_age.kernels import use_kernels
from predict_age.source.row_group_reader import text_buffers

Words = NDArray[np.uint64]
SALT, SPREAD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
BLOCK = 1024  # texts


def profile_keys(profiles: pa.ChunkedArray, rows: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """The hashes, from 0 to 2^63 - 1, of profile texts (n,), of the marked ``rows`` only. NULL has its own, 0.

    Every word of eight bytes, the last one filled up with zeros, is mixed with its place, so that a single changed word always
    changes the sum of all; several ones leave it as it is by chance, once in 2^64 times. The sum is mixed with the length.
    """
    whole = profiles.chunk(0) if profiles.num_chunks == 1 else profiles.combine_chunks().cast(pa.string())
    at = np.arange(len(whole)) if rows is None else np.flatnonzero(rows)
    data, bounds = text_buffers(whole)
    sums = np.zeros(len(at), np.uint64)
    if use_kernels(len(at)):
        from predict_age.kernels.hashes import hash_texts

        hash_texts(data, bounds, at, SALT, SPREAD, sums)
    else:
        for start in range(0, len(at), BLOCK):
            some = at[start : start + BLOCK]
            sums[start : start + BLOCK] = _sums([data[bounds[r] : bounds[r + 1]].tobytes() for r in some.tolist()])
    lengths = (bounds[at + 1] - bounds[at]).astype(np.uint64)
    keys = (splitmix64((sums + (lengths + np.uint64(1)) * SALT).astype(np.int64)) >> np.uint64(1)).astype(np.int64)
    if whole.null_count:
        keys[whole.is_null().to_numpy(zero_copy_only=False)[at]] = 0
    return keys


def _sums(texts: list[bytes]) -> Words:
    """The sums of the mixed words of each text, (n,)."""
    counts = np.array([-(-len(t) // 8) for t in texts])
    filled = b"".join(text.ljust(8 * n, b"\0") for text, n in zip(texts, counts.tolist(), strict=True))
    words = np.frombuffer(filled, "<u8").astype(np.uint64)
    ends = np.cumsum(counts)
    places = np.arange(1, len(words) + 1) - np.repeat(ends - counts, counts)
    words += places.astype(np.uint64) * SALT
    words = (words ^ (words >> np.uint64(32))) * SPREAD
    words ^= words >> np.uint64(29)
    added = np.concatenate([np.zeros(1, np.uint64), np.cumsum(words, dtype=np.uint64)])
    return added[ends] - added[ends - counts]
