"""Assignment of people to the arms of an A/B test, by a hash of the pid and the test's name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from predict_age.hashing import uniform_hash


def assign_arms(pids: NDArray[np.int64], name: str, shares: Sequence[float]) -> NDArray[np.int64]:
    """The arm of each pid (n,): 0 for the champion, i for the challenger with the share ``shares[i - 1]`` of the people.

    Depends on pid and ``name`` only. Another ``name`` assigns people independently of every earlier test.
    """
    salt = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    position = uniform_hash(pids ^ np.int64(salt))
    cumulative_shares = np.cumsum(shares)
    challenger = np.searchsorted(cumulative_shares, position, side="right") + 1
    return np.where(challenger > len(cumulative_shares), 0, challenger)
