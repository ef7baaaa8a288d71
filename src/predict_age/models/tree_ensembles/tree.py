"""One decision tree as arrays, the common form of XGBoost's and LightGBM's trees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NO_CHILD = -1


@dataclass(frozen=True)
class Tree:
    """One value a node, the root first: children (NO_CHILD at leaves), the split's ``feature`` and ``limit``, the leaf's ``value``.

    Feature values up to and including ``limit`` go left.
    """

    left: list[int]
    right: list[int]
    feature: list[int]
    limit: list[float]
    value: list[float]

    def is_leaf(self, node: int) -> bool:
        """Return True for a node without children."""
        return self.left[node] == NO_CHILD

    def splits(self) -> int:
        """Count the nodes that have children."""
        return len(self.left) - self.left.count(NO_CHILD)


class UnsupportedTreeError(ValueError):
    """A tree has a kind of split that kernels do not support; the model's own library has to evaluate it."""


def next_smaller(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """The next smaller float32 of each number (n,)."""
    with np.errstate(over="ignore"):  # the number before the smallest is minus infinity
        return np.nextafter(numbers, np.float32(-np.inf))
