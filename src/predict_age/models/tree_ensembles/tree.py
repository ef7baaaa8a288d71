"""One decision tree as arrays, the common form of XGBoost's and LightGBM's trees, and the check of their structure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predict_age.models.structure import StructureError

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


@dataclass(frozen=True)
class TreeArrays:
    """Trees one after the other: ``sizes`` (n_trees,) are their numbers of nodes, the other arrays hold one value a node."""

    sizes: NDArray[np.int64]
    left: NDArray[Any]
    right: NDArray[Any]
    feature: NDArray[Any]
    limit: NDArray[np.float32]
    value: NDArray[Any]

    def check(self, columns: int) -> None:
        """Raise StructureError unless every node but the roots has exactly one parent, before it, and every number is in bounds.

        A limit may be infinite, which sends all values to one side; no limit is NaN, and leaf values are finite.
        """
        if len(self.sizes) and not self.sizes.min() > 0:
            raise StructureError("trees", expected="at least one node each", found="none")
        first = np.repeat(np.cumsum(self.sizes) - self.sizes, self.sizes)
        for values in (self.left, self.right, self.feature, self.limit, self.value):
            if len(values) != len(first):
                raise StructureError("trees", expected=f"{len(first)} nodes", found=str(len(values)))
        is_split = self.left != NO_CHILD
        splits = np.flatnonzero(is_split)
        self._require(is_split == (self.right != NO_CHILD), "two children or none")
        parent, size = splits - first[splits], np.repeat(self.sizes, self.sizes)[splits]
        for side in (self.left, self.right):
            self._require((side[splits] > parent) & (side[splits] < size), "children after their parent, in the same tree", splits)
        children = first[splits] + self.left[splits], first[splits] + self.right[splits]
        parents = np.bincount(np.concatenate(children), minlength=len(first))
        self._require(parents == (first != np.arange(len(first))), "exactly one parent, none of the root")
        self._require((self.feature[splits] >= 0) & (self.feature[splits] < columns), f"features 0 to {columns - 1}", splits)
        self._require(~np.isnan(self.limit[splits]), "limits that are numbers", splits)
        self._require(np.isfinite(self.value) | is_split, "finite leaf values")

    def _require(self, good: NDArray[np.bool_], expected: str, nodes: NDArray[np.int64] | None = None) -> None:
        """Raise StructureError for the first node that is not ``good`` (of ``nodes``, or of all)."""
        if good.all():
            return
        index = int(good.argmin()) if nodes is None else int(nodes[good.argmin()])
        tree = int(np.searchsorted(np.cumsum(self.sizes), index, side="right"))
        node = index - int(self.sizes[:tree].sum())
        found = f"children {self.left[index]} and {self.right[index]}, feature {self.feature[index]}, limit {self.limit[index]}"
        raise StructureError(f"tree {tree}, node {node}", expected=expected, found=found)

    def parents(self) -> NDArray[np.int64]:
        """The parent of every node in its tree; NO_CHILD for roots. The arrays must have passed :meth:`check`."""
        first = np.repeat(np.cumsum(self.sizes) - self.sizes, self.sizes)
        splits = np.flatnonzero(self.left != NO_CHILD)
        result = np.full(len(first), NO_CHILD)
        for side in (self.left, self.right):
            result[first[splits] + side[splits]] = splits - first[splits]
        return result

    def trees(self) -> list[Tree]:
        """The trees one by one."""
        left, right, feature, limit, value = (a.tolist() for a in (self.left, self.right, self.feature, self.limit, self.value))
        result, start = [], 0
        for size in self.sizes.tolist():
            end = start + size
            result.append(Tree(left[start:end], right[start:end], feature[start:end], limit[start:end], value[start:end]))
            start = end
        return result


class UnsupportedTreeError(ValueError):
    """A tree has a kind of split that kernels do not support; the model's own library has to evaluate it."""


def next_smaller(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """The next smaller float32 of each number (n,)."""
    with np.errstate(over="ignore"):  # the number before the smallest is minus infinity
        return np.nextafter(numbers, np.float32(-np.inf))
