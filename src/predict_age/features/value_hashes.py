"""Keyed hashes of category values: what a model and a drift record hold instead of people's texts.

BLAKE2b over the feature's name and the value. The key lies beside the hashes, so this keeps texts out of files and out of sight; it
does not keep somebody from checking a guess. docs/personal-data.md says what that protects from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache

DIGEST_BYTES = 12
SALT_BYTES = 16
MAX_CACHED_VALUES = 200_000  # of one feature; with more, the cache begins anew


class _Hashes(dict[str, str]):
    """Hash of each value, computed when it is first asked for."""

    def __init__(self, salt: str, feature: str) -> None:
        super().__init__()
        self._state = hashlib.blake2b(f"{feature}\0".encode(), digest_size=DIGEST_BYTES, key=bytes.fromhex(salt))

    def __missing__(self, value: str) -> str:
        if len(self) >= MAX_CACHED_VALUES:
            self.clear()
        state = self._state.copy()
        state.update(value.encode())
        self[value] = made = state.hexdigest()
        return made


@lru_cache(maxsize=64)
def value_hashes(salt: str, feature: str) -> Mapping[str, str]:
    """Mapping of each value of ``feature`` to its hash under ``salt`` (hexadecimal digits), computed when it is asked for."""
    return _Hashes(salt, feature)


def salt_of(*contents: str) -> str:
    """Salt that depends on ``contents`` alone, as hexadecimal digits."""
    return hashlib.blake2b("\0".join(contents).encode(), digest_size=SALT_BYTES).hexdigest()
