"""Small neural networks for the whole distribution of the age.

Every feature is cut into bins, one of them for "unknown"; each bin has a vector, and the vectors of a row's bins add up. Two layers
later the network gives the weights of smooth basis functions of the age; their exponential, normalised, is the distribution (a
multinomial logistic model, smooth in age as in Kooperberg and Stone 1991, "logspline density estimation"). Evidence about an age
multiplies, so adding it up on the log scale fits what trees have to approximate step by step. Networks
that started from different random weights err differently; their mean distribution is used. See ADR 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from predict_age.features.encode import Matrix
from predict_age.kernels import use_kernels
from predict_age.models.age_distribution import BandedBasis, Floats, Probabilities

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

LEARNED_ARRAYS = ("bins", "shift1", "hidden", "shift2", "last")
NETWORK_CHUNK_ROWS = 512  # rows: what is known of them stays in the cache
SPLINES_PER_AGE = 4  # cubic splines that are not 0 at an age; kernels know bases of so many


@dataclass(frozen=True)
class DensityNetwork:
    """For s networks, f features, m bins, width h, k basis functions, a ages.

    ``edges`` (all thresholds in a row), ``starts`` (f + 1,), where a feature's edges begin; ``bins`` (s, m, h); ``shift1`` (s, h);
    ``hidden`` (s, h, h); ``shift2`` (s, h); ``last`` (s, 2h, k); ``basis`` (k, a); ``prior`` (a,) logarithms.
    """

    edges: Floats
    starts: NDArray[np.int64]
    bins: Floats
    shift1: Floats
    hidden: Floats
    shift2: Floats
    last: Floats
    basis: Floats
    prior: Floats

    def distribution(self, matrix: Matrix) -> Probabilities:
        """(n_rows, n_ages) shares of each whole age for (n_rows, n_features), NaN = unknown."""
        result = np.empty((len(matrix), len(self.prior)), np.float32)
        make = self._by_kernels if use_kernels(len(matrix)) and len(self._band.values) == SPLINES_PER_AGE else self._by_numpy
        with _blas().limit(limits=1):
            make(matrix, result)
        return result

    def _by_numpy(self, matrix: Matrix, out: Probabilities) -> None:
        """Fill ``out`` (n_rows, n_ages) with the mean distribution of all networks."""
        for start in range(0, len(matrix), NETWORK_CHUNK_ROWS):
            at = bin_features(matrix[start : start + NETWORK_CHUNK_ROWS], self.edges, self.starts)
            chosen = bin_indicator(at, self.bins.shape[1])
            total = np.zeros((len(self.prior), len(at)), np.float32)
            for s in range(len(self.bins)):
                first = np.maximum(chosen @ self.bins[s] + self.shift1[s], 0)
                second = np.maximum(first @ self.hidden[s] + self.shift2[s], 0)
                total += self._band.shares(self.last[s].T @ np.concatenate([first, second], axis=1).T, self.prior)
            out[start : start + NETWORK_CHUNK_ROWS] = (total * np.float32(1 / len(self.bins))).T

    def _by_kernels(self, matrix: Matrix, out: Probabilities) -> None:
        """The same: matrix products by NumPy, what lies between by kernels."""
        from predict_age.kernels.density import feature_bins, first_layers, network_probabilities, second_layer

        networks, width, functions = self.last.shape[0], self.hidden.shape[1], self.last.shape[2]
        at = np.empty((NETWORK_CHUNK_ROWS, matrix.shape[1]), np.int32)
        layers, product = (
            np.empty((NETWORK_CHUNK_ROWS, networks, 2 * width), np.float32),
            np.empty((NETWORK_CHUNK_ROWS, width), np.float32),
        )
        weights = np.zeros((networks, functions, NETWORK_CHUNK_ROWS), np.float32)
        for start in range(0, len(matrix), NETWORK_CHUNK_ROWS):
            some = matrix[start : start + NETWORK_CHUNK_ROWS]
            n = len(some)
            feature_bins(some, self.edges, self.starts, at[:n])
            first_layers(at[:n], self._bins_beside, self.shift1, layers[:n])
            for s in range(networks):
                np.matmul(layers[:n, s, :width], self.hidden[s], out=product[:n])
                second_layer(product[:n], self.shift2[s], s, layers[:n])
                np.matmul(self.last[s].T, layers[:n, s].T, out=weights[s, :, :n])
            network_probabilities(weights, self._band.first, self._band.values, self.prior, out[start : start + NETWORK_CHUNK_ROWS])

    @cached_property
    def _bins_beside(self) -> Floats:
        """(m, s h): the vectors of a bin in all networks beside each other."""
        return np.ascontiguousarray(self.bins.transpose(1, 0, 2)).reshape(self.bins.shape[1], -1)

    @cached_property
    def _band(self) -> BandedBasis:
        return BandedBasis.of(self.basis, SPLINES_PER_AGE)


@cache
def _blas() -> ThreadpoolController:
    """The libraries of linear algebra that are loaded; to look for them takes a millisecond."""
    return ThreadpoolController()


def bin_features(matrix: Matrix, edges: Floats, starts: NDArray[np.int64]) -> NDArray[np.int32]:
    """Row numbers in ``bins`` (n_rows, n_features): below the first edge, between two, from the last on, unknown."""
    result = np.empty(matrix.shape, np.int32)
    for feature in range(matrix.shape[1]):
        mine = edges[starts[feature] : starts[feature + 1]]
        values = matrix[:, feature]
        place = np.searchsorted(mine, values, side="right")
        place[np.isnan(values)] = len(mine) + 1
        result[:, feature] = place + starts[feature] + 2 * feature
    return result


def bin_indicator(at: NDArray[np.int32], bins: int) -> csr_matrix:
    """The (n_rows, m) matrix with a one for each bin of a row: times ``bins`` it adds up a row's vectors."""
    from scipy.sparse import csr_matrix

    rows, features = at.shape
    return csr_matrix((np.ones(at.size, np.float32), at.ravel(), np.arange(0, at.size + 1, features)), shape=(rows, bins))
