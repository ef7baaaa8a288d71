"""Training data of the density networks: bins of all features, whose vectors share the rises from bin to bin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predict_age.arrays import Float32Array
from predict_age.config import TrainingConfig
from predict_age.features.encode import Matrix
from predict_age.models.density_network import LEARNED_ARRAYS, DensityNetwork, bin_features

NetworkWeights = dict[str, Float32Array]
MAX_FEATURE_BINS = 96
RISE_SIZE = 0.7  # of a rise from bin to bin against a bin's own part, in steps of Adam: the larger, the smoother
OWN_PART_SPREAD = 0.1  # of a bin's own part before training, relative to the sum of its rises


def bin_edges(matrix: Matrix) -> tuple[Float32Array, NDArray[np.int64]]:
    """Edges of every feature, and their offsets: midpoints between its values when there are few, else quantiles."""
    edges_by_feature = []
    for feature in range(matrix.shape[1]):
        values = matrix[:, feature]
        values = values[np.isfinite(values)]
        distinct = np.unique(values)
        if len(distinct) <= MAX_FEATURE_BINS:
            feature_edges = distinct[:-1] + (distinct[1:] - distinct[:-1]) / 2
        else:
            feature_edges = np.unique(np.quantile(values, np.arange(1, MAX_FEATURE_BINS) / MAX_FEATURE_BINS))
        edges_by_feature.append(feature_edges.astype(np.float32))
    return np.concatenate(edges_by_feature), np.cumsum([0, *map(len, edges_by_feature)])


def spline_basis(ages: int, functions: int) -> Float32Array:
    """Cubic B-splines (functions, ages) on even knots, scaled to standard deviation 1; by the recursion of de Boor (1972).

    SciPy's are equal, but take a third of a second to import.
    """
    knots = np.concatenate([[0.0] * 3, np.linspace(0.0, ages, functions - 2), [float(ages)] * 3])
    middle = np.arange(ages)[:, None] + 0.5
    splines = ((knots[:-1] <= middle) & (middle < knots[1:])).astype(float)
    for degree in (1, 2, 3):
        low, high = knots[:-degree], knots[degree:]
        length = np.where(high > low, high - low, 1.0)  # a function on no length is 0
        rise = (middle - low) / length
        splines = rise[:, :-1] * splines[:, :-1] + (1 - rise[:, 1:]) * splines[:, 1:]
    return (splines.T / splines.std()).astype(np.float32)


def ordered_bins(starts: NDArray[np.int64]) -> list[slice]:
    """Rows of ``bins`` of each feature in the order of its values, without the last, for missing ones."""
    return [slice(int(starts[f]) + 2 * f, int(starts[f + 1]) + 2 * f + 1) for f in range(len(starts) - 1)]


def random_rises(rng: np.random.Generator, starts: NDArray[np.int64], width: int) -> Float32Array:
    """Random rises (m, h) from bin to bin before training: none in the last bin of a feature, for missing values."""
    features = len(starts) - 1
    rises: Float32Array = np.zeros((int(starts[-1]) + 2 * features, width), np.float32)
    for bins in ordered_bins(starts):
        rises[bins] = start_values(rng, (bins.stop - bins.start, width), (features * (bins.stop - bins.start)) ** -0.5)
    return rises


def start_values(rng: np.random.Generator, shape: tuple[int, ...], spread: float) -> Float32Array:
    """Normal random numbers of this standard deviation, the values of weights before training."""
    return (rng.standard_normal(shape) * spread).astype(np.float32)


def risen(own: Float32Array, rises: Float32Array, ordered: list[slice], out: Float32Array) -> Float32Array:
    """Vectors of all bins (m, h) in ``out``: a bin's ``own`` part (m, h) plus the ``rises`` (m, h) of its feature up to it.

    Neighbouring bins share all rises but one, so few people suffice to learn what a value means.
    """
    out[:] = own
    for bins in ordered:
        out[bins] += np.float32(RISE_SIZE) * np.cumsum(rises[bins], axis=0)
    return out


def gradient_of_rises(of_bins: Float32Array, ordered: list[slice], out: Float32Array) -> Float32Array:
    """Gradient of the ``rises`` (m, h) in ``out`` from that ``of_bins`` (m, h): a rise is part of all bins from its own on."""
    for bins in ordered:
        np.cumsum(of_bins[bins][::-1], axis=0, out=out[bins][::-1])
        out[bins] *= np.float32(RISE_SIZE)
    return out


@dataclass(frozen=True)
class NetworkTrainingData:
    """Training data of all networks: bins ``at`` (n_rows, n_features) and the age's column ``truth`` (n_rows,).

    ``edges``, ``starts``, and ``basis`` and ``prior``, which are ``fixed``: see :class:`DensityNetwork`.
    """

    at: NDArray[np.int32]
    truth: NDArray[np.int64]
    edges: Float32Array
    starts: NDArray[np.int64]
    fixed: NetworkWeights

    def network(self, weights: Sequence[NetworkWeights]) -> DensityNetwork:
        """Combine trained weights to one model."""
        return DensityNetwork(
            self.edges, self.starts, **{name: np.stack([w[name] for w in weights]) for name in LEARNED_ARRAYS}, **self.fixed
        )


def network_training_data(
    matrix: Matrix, age: Float32Array, youngest: int, oldest: int, settings: TrainingConfig
) -> NetworkTrainingData:
    """Bin (n_rows, n_features), NaN = missing, with whole ages (n_rows,) inside youngest..oldest, years."""
    edges, starts = bin_edges(matrix)
    truth = age.astype(np.int64) - youngest
    counts = np.bincount(truth, minlength=oldest - youngest + 1)
    prior = np.log((counts + 0.5) / (len(age) + 0.5 * len(counts))).astype(np.float32)
    fixed = {"basis": spline_basis(len(counts), settings.network_functions), "prior": prior}
    return NetworkTrainingData(bin_features(matrix, edges, starts), truth, edges, starts, fixed)


def reset_unseen_embeddings(weights: NetworkWeights, at: NDArray[np.int32], m: int, starts: NDArray[np.int64]) -> NetworkWeights:
    """Set bins without a training row, which still hold random numbers, to the mean of their feature's bins."""
    rows = np.bincount(at.ravel(), minlength=m)
    bins = weights["bins"].copy()
    for feature in range(len(starts) - 1):
        feature_bins = slice(int(starts[feature]) + 2 * feature, int(starts[feature + 1]) + 2 * feature + 2)
        mean = np.average(bins[feature_bins], axis=0, weights=rows[feature_bins])
        bins[feature_bins][rows[feature_bins] == 0] = mean
    return {**weights, "bins": bins}
