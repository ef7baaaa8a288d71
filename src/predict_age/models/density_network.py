"""Neural networks that predict the whole distribution of the age.

Each feature is cut into bins, one of them for missing values. Each bin has a learned vector; the vectors of a row's bins are added.
Two layers later the network gives weights of smooth basis functions of the age; the softmax of the weighted sum is the distribution
(a multinomial logistic model, smooth in age as in Kooperberg and Stone 1991, "logspline density estimation"). Evidence about an age
multiplies, so adding it up on the log scale fits directly what trees approximate step by step. Networks that start from different
random weights err differently; the mean of their distributions is used. See ADR 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from predict_age.arrays import Float32Array
from predict_age.features.encode import Matrix
from predict_age.kernels import use_kernels
from predict_age.models.age_distribution import BandedBasis, Probabilities
from predict_age.models.structure import ArrayRule, StructureError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

LEARNED_ARRAYS = ("bins", "shift1", "hidden", "shift2", "last")
KERNEL_BLOCK_ROWS = 64  # rows that kernels process together
NETWORK_CHUNK_ROWS = 512  # rows whose intermediate values stay in the processor's cache
NETWORK_ARRAYS = {
    "edges": ArrayRule(np.float32, ("edges",), may_be_empty=True),
    "starts": ArrayRule(np.int64, ("starts",), 0, 2**31 - 1),
    "bins": ArrayRule(np.float32, ("networks", "bins", "width")),
    "shift1": ArrayRule(np.float32, ("networks", "width")),
    "hidden": ArrayRule(np.float32, ("networks", "width", "width")),
    "shift2": ArrayRule(np.float32, ("networks", "width")),
    "last": ArrayRule(np.float32, ("networks", "2width", "functions")),
    "basis": ArrayRule(np.float32, ("functions", "ages")),
    "prior": ArrayRule(np.float32, ("ages",)),
}
SPLINES_PER_AGE = 4  # nonzero cubic splines at any age; kernels support bases of this many only


@dataclass(frozen=True)
class DensityNetwork:
    """Networks with shared bins: s networks, f features, m bins, width h, k basis functions, a ages.

    ``edges`` (thresholds of all features), ``starts`` (f + 1,), the offset of a feature's edges; ``bins`` (s, m, h); ``shift1`` (s,
    h); ``hidden`` (s, h, h); ``shift2`` (s, h); ``last`` (s, 2h, k); ``basis`` (k, a); ``prior`` (a,) log-probabilities.
    """

    edges: Float32Array
    starts: NDArray[np.int64]
    bins: Float32Array
    shift1: Float32Array
    hidden: Float32Array
    shift2: Float32Array
    last: Float32Array
    basis: Float32Array
    prior: Float32Array

    @property
    def columns(self) -> int:
        """Number of columns of the matrix that it reads, f."""
        return len(self.starts) - 1

    def check_structure(self) -> None:
        """Raise StructureError unless the edges of every feature rise and every bin has a vector."""
        if self.starts[0] != 0 or self.starts[-1] != len(self.edges) or (np.diff(self.starts) < 0).any():
            raise StructureError("starts", expected=f"rising numbers from 0 to {len(self.edges)}", found=str(self.starts)[:80])
        falls = np.flatnonzero(np.diff(self.edges) < 0) + 1  # allowed where the next feature begins
        if len(np.setdiff1d(falls, self.starts)):
            raise StructureError("edges", expected="rising edges of each feature", found=f"a fall at {falls[0]}")
        bins = len(self.edges) + 2 * (len(self.starts) - 1)
        if self.bins.shape[1] != bins:
            raise StructureError("bins", expected=f"{bins} bins", found=str(self.bins.shape[1]))

    def distribution(self, matrix: Matrix) -> Probabilities:
        """Probabilities (n_rows, n_ages) of each whole age for (n_rows, n_features), NaN = missing."""
        result = np.empty((len(matrix), len(self.prior)), np.float32)
        evaluate = self._by_kernels if use_kernels(len(matrix)) and len(self._band.values) == SPLINES_PER_AGE else self._by_numpy
        evaluate(matrix, result)
        return result

    def _by_numpy(self, matrix: Matrix, out: Probabilities) -> None:
        """Fill ``out`` (n_rows, n_ages) with the mean distribution of all networks, by NumPy."""
        for start in range(0, len(matrix), NETWORK_CHUNK_ROWS):
            at = bin_features(matrix[start : start + NETWORK_CHUNK_ROWS], self.edges, self.starts)
            chosen = bin_indicator(at, self.bins.shape[1])
            total = np.zeros((len(self.prior), len(at)), np.float32)
            for s in range(len(self.bins)):
                first = np.maximum(chosen @ self.bins[s] + self.shift1[s], 0)
                second = np.maximum(ordered_product(first, self.hidden[s]) + self.shift2[s], 0)
                weights = ordered_product(np.concatenate([first, second], axis=1), self.last[s])
                total += self._band.probabilities(np.ascontiguousarray(weights.T), self.prior)
            out[start : start + NETWORK_CHUNK_ROWS] = (total * np.float32(1 / len(self.bins))).T

    def _by_kernels(self, matrix: Matrix, out: Probabilities) -> None:
        """Fill ``out`` as :meth:`_by_numpy` does, to the last bit, by kernels."""
        from predict_age.kernels.density import feature_bins, first_layers, later_layers, network_probabilities

        networks, width, functions = self.last.shape[0], self.hidden.shape[1], self.last.shape[2]
        rows = min(NETWORK_CHUNK_ROWS, -(-len(matrix) // KERNEL_BLOCK_ROWS) * KERNEL_BLOCK_ROWS)
        at = np.empty((rows, matrix.shape[1]), np.int32)
        layers, weights = np.empty((rows, networks, width), np.float32), np.empty((networks, functions, rows), np.float32)
        for start in range(0, len(matrix), NETWORK_CHUNK_ROWS):
            chunk = matrix[start : start + NETWORK_CHUNK_ROWS]
            n = len(chunk)
            feature_bins(np.ascontiguousarray(chunk), self.edges, self.starts, at[:n])
            first_layers(at[:n], self._bins_beside, self.shift1, layers[:n])
            later_layers(layers[:n], self.hidden, self.shift2, self.last, weights)
            network_probabilities(weights, self._band.first, self._band.values, self.prior, out[start : start + NETWORK_CHUNK_ROWS])

    @cached_property
    def _bins_beside(self) -> Float32Array:
        """Bin vectors (m, s h): the vectors of a bin in all networks side by side."""
        return np.ascontiguousarray(self.bins.transpose(1, 0, 2)).reshape(self.bins.shape[1], -1)

    @cached_property
    def _band(self) -> BandedBasis:
        return BandedBasis.from_dense(self.basis, SPLINES_PER_AGE)


def ordered_product(rows: Float32Array, weights: Float32Array) -> Float32Array:
    """The matrix product (n, k) of ``rows`` (n, m) and ``weights`` (m, k), each sum from the first term to the last.

    ``rows @ weights`` sums in an order that depends on the number of rows, so that an age could depend on who else is predicted.
    """
    total = np.zeros((len(rows), weights.shape[1]), np.float32)
    for term, weight in enumerate(weights):
        total += rows[:, term, np.newaxis] * weight
    return total


def bin_features(matrix: Matrix, edges: Float32Array, starts: NDArray[np.int64]) -> NDArray[np.int32]:
    """Row numbers in ``bins`` (n_rows, n_features): below the first edge, between edges, from the last edge on, missing."""
    result = np.empty(matrix.shape, np.int32)
    for feature in range(matrix.shape[1]):
        feature_edges = edges[starts[feature] : starts[feature + 1]]
        values = matrix[:, feature]
        bin_index = np.searchsorted(feature_edges, values, side="right")
        bin_index[np.isnan(values)] = len(feature_edges) + 1
        result[:, feature] = bin_index + starts[feature] + 2 * feature
    return result


def bin_indicator(at: NDArray[np.int32], bins: int) -> csr_matrix:
    """Sparse matrix (n_rows, m) with a one for each bin of a row: times ``bins`` it adds up a row's vectors."""
    from scipy.sparse import csr_matrix

    rows, features = at.shape
    return csr_matrix((np.ones(at.size, np.float32), at.ravel(), np.arange(0, at.size + 1, features)), shape=(rows, bins))
