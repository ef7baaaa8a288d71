"""Hashes of texts, equal to the NumPy code of ``source.profile_hash``."""

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
