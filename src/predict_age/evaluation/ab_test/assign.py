"""Which arm a person is in: decided by the pid and the experiment's name alone, so always the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from predict_age.hashing import uniform_hash


def assign_arms(pids: NDArray[np.int64], name: str, shares: Sequence[float]) -> NDArray[np.int64]:
    """0 (champion) or the number of a challenger, from 1, for each pid (n,); challenger i gets ``shares[i - 1]`` of the people.

    Another ``name`` deals people anew, independently of every earlier experiment.
    """
    salt = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    place = uniform_hash(pids ^ np.int64(salt))
    ends = np.cumsum(shares)
    number = np.searchsorted(ends, place, side="right") + 1
    return np.where(number > len(ends), 0, number)
