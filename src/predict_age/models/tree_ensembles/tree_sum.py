"""Predictions of boosted trees as the libraries compute them, to the last bit, without importing the libraries.

Kernels do it several times as fast as the libraries. NumPy serves for few rows: it is slower, but the libraries' import alone takes
over a second.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predict_age.features.encode import Matrix
from predict_age.kernels import MIN_KERNEL_ROWS, use_kernels
from predict_age.models.tree_ensembles.nodes import TreeNodes, flatten_trees
from predict_age.models.tree_ensembles.program import NO_ZERO_THRESHOLD, TreeProgram, compile_trees
from predict_age.models.tree_ensembles.tree import TreeArrays

MAX_WALKED_ROWS = 24  # up to this many rows kernels walk down the trees: a program takes as long for one row as for 512
WALK_CHUNK_ROWS = 256  # rows that NumPy walks down all trees together


class TreeSum:
    """The sum of ``trees`` in ``dtype``; ``missing_values`` and ``zero_threshold`` are those of :func:`compile_trees`."""

    def __init__(
        self, trees: TreeArrays, missing_values: Iterable[float], dtype: type, zero_threshold: np.float32 = NO_ZERO_THRESHOLD
    ) -> None:
        self._trees, self._missing_values = trees, list(missing_values)
        self._dtype, self._zero_threshold = dtype, zero_threshold

    def add_in_pieces(self, matrix: Matrix, out: NDArray[Any]) -> Generator[None, None, bool]:
        """Add the trees' values for ``matrix`` (n_rows, n_features) to ``out`` (n_rows,): by kernels, or by NumPy for few rows.

        Returns False, with ``out`` unchanged, where the trees' own library is faster than both. A program of many trees pauses.
        """
        if use_kernels(len(matrix)):
            if len(matrix) <= MAX_WALKED_ROWS and self._program is not None:
                nodes, values = self._nodes
                nodes.add_values(self._columns(matrix), values, out)
                return True
            if self._program is None:
                return False
            yield from self._program.add_in_pieces(matrix, out)
            return True
        if len(matrix) >= MIN_KERNEL_ROWS:
            return False
        nodes, node_values = self._nodes
        for first in range(0, len(matrix), WALK_CHUNK_ROWS):
            chunk = slice(first, first + WALK_CHUNK_ROWS)
            values = node_values[nodes.walk(self._columns(matrix[chunk]))]
            out[chunk] = np.add.accumulate(np.column_stack([out[chunk], values]), axis=1)[:, -1]  # in order, without pairwise sums
        return True

    @cached_property
    def _program(self) -> TreeProgram | None:
        return compile_trees(self._trees.trees(), self._missing_values, self._dtype, self._zero_threshold)

    @cached_property
    def _nodes(self) -> tuple[TreeNodes, NDArray[Any]]:
        """The trees' nodes, and the values of all nodes of all trees, which the entries of ``leaves`` index."""
        sizes = self._trees.sizes
        indices = np.full((len(sizes), sizes.max()), -1, np.int32)  # of a node in all trees' values
        indices[np.arange(sizes.max()) < sizes[:, np.newaxis]] = np.arange(sizes.sum())
        return flatten_trees(self._trees, np.float32(0), indices), self._trees.value.astype(self._dtype, copy=False)

    def _columns(self, matrix: Matrix) -> Matrix:
        """The columns that splits compare (n_rows, n_banks * n_features): one bank for each number that replaces NaN."""
        rounded = np.where(np.abs(matrix) <= self._zero_threshold, np.float32(0), matrix)
        return np.concatenate([np.where(np.isnan(matrix), np.float32(v), rounded) for v in self._missing_values], axis=1)
