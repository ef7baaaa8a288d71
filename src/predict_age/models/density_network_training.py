"""Training of the density networks of :mod:`predict_age.models.density_network`, each in one thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from predict_age.arrays import Float32Array
from predict_age.config import TrainingConfig
from predict_age.features.encode import Matrix
from predict_age.models.density_network import LEARNED_ARRAYS, DensityNetwork, bin_features, bin_indicator
from predict_age.models.training_threads import CancelEvent, check_cancelled

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

NetworkWeights = dict[str, Float32Array]
MAX_FEATURE_BINS = 96
LEARNING_RATE = 0.005  # initial step size of Adam, falling to 0 along a cosine
RISE_SIZE = 0.7  # of a rise from bin to bin against a bin's own part, in steps of Adam: the larger, the smoother
OWN_PART_SPREAD = 0.1  # of a bin's own part before training, relative to the sum of its rises
MAX_ROW_VISITS = 4_800_000  # upper bound of passes x rows, which bounds the training time


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


def _forward(w: NetworkWeights, added: Float32Array) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Both hidden layers and the distribution of n rows, from the sums ``added`` (n_rows, h) of their bins' vectors."""
    first = np.maximum(added + w["shift1"], 0)
    second = np.maximum(first @ w["hidden"] + w["shift2"], 0)
    shares = (np.concatenate([first, second], axis=1) @ w["last"]) @ w["basis"] + w["prior"]
    shares -= shares.max(axis=1, keepdims=True)
    np.exp(shares, out=shares)
    shares /= shares.sum(axis=1, keepdims=True)
    return first, second, shares


def _gradient(w: NetworkWeights, chosen: csr_matrix, truth: NDArray[np.int64]) -> NetworkWeights:
    """Gradient of the mean negative log-likelihood of ``truth`` (n_rows,), column numbers of ages."""
    first, second, off = _forward(w, chosen @ w["bins"])
    off[np.arange(len(truth)), truth] -= 1
    off /= np.float32(len(truth))
    outer = off @ w["basis"].T
    back = outer @ w["last"].T
    width = first.shape[1]
    into2 = back[:, width:] * (second > 0)
    into1 = (back[:, :width] + into2 @ w["hidden"].T) * (first > 0)
    return {
        "bins": np.asarray(chosen.T @ into1),
        "shift1": into1.sum(axis=0),
        "hidden": first.T @ into2,
        "shift2": into2.sum(axis=0),
        "last": np.concatenate([first, second], axis=1).T @ outer,
    }


def _ordered_bins(starts: NDArray[np.int64]) -> list[slice]:
    """Rows of ``bins`` of each feature in the order of its values, without the last, for missing ones."""
    return [slice(int(starts[f]) + 2 * f, int(starts[f + 1]) + 2 * f + 1) for f in range(len(starts) - 1)]


def _risen(own: Float32Array, rises: Float32Array, ordered: list[slice], out: Float32Array) -> Float32Array:
    """Vectors of all bins (m, h) in ``out``: a bin's ``own`` part (m, h) plus the ``rises`` (m, h) of its feature up to it.

    Neighbouring bins share all rises but one, so few people suffice to learn what a value means.
    """
    out[:] = own
    for bins in ordered:
        out[bins] += np.float32(RISE_SIZE) * np.cumsum(rises[bins], axis=0)
    return out


def _gradient_of_rises(of_bins: Float32Array, ordered: list[slice], out: Float32Array) -> Float32Array:
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


def train_network(matrix: Matrix, age: Float32Array, youngest: int, oldest: int, settings: TrainingConfig) -> DensityNetwork:
    """Train the networks one after another on (n_rows, n_features), NaN = missing, and whole ages (n_rows,)."""
    training_data = network_training_data(matrix, age, youngest, oldest, settings)
    with threadpool_limits(1):
        return training_data.network([train_one_network(training_data, settings, n) for n in range(settings.networks)])


def train_one_network(
    training_data: NetworkTrainingData, settings: TrainingConfig, number: int, cancelled: CancelEvent = None
) -> NetworkWeights:
    """Train the network ``number`` and return its weights.

    Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019). ``network_decay`` is the decay over the
    whole training, whatever the number of steps. Deterministic for a seed and a number, in one thread of linear algebra.
    """
    at, starts = training_data.at, training_data.starts
    rng = np.random.default_rng([settings.seed, number])
    width, (rows, features) = settings.network_width, at.shape
    m = int(starts[-1]) + 2 * features

    def start(shape: tuple[int, int], spread: float) -> Float32Array:
        return (rng.standard_normal(shape) * spread).astype(np.float32)

    ordered = _ordered_bins(starts)
    rises, vectors, of_rises = (np.zeros((m, width), np.float32) for _ in range(3))
    for bins in ordered:
        rises[bins] = start((bins.stop - bins.start, width), (features * (bins.stop - bins.start)) ** -0.5)
    weights: NetworkWeights = {
        "bins": start((m, width), OWN_PART_SPREAD * features**-0.5),
        "shift1": np.zeros(width, np.float32),
        "hidden": start((width, width), width**-0.5),
        "shift2": np.zeros(width, np.float32),
        "last": start((2 * width, settings.network_functions), 0.1 * width**-0.5),
    }
    size = int(np.clip(rows / 80, 32, 512))
    passes = max(1, min(settings.network_passes, MAX_ROW_VISITS // rows))
    steps = passes * -(-rows // size)
    adam = {name: _Adam(array) for name, array in {**weights, "rises": rises}.items()}
    done = 0
    for _ in range(passes):
        order = rng.permutation(rows)
        for begin in range(0, rows, size):
            check_cancelled(cancelled)
            batch = order[begin : begin + size]
            current = {**training_data.fixed, **weights, "bins": _risen(weights["bins"], rises, ordered, vectors)}
            gradient = _gradient(current, bin_indicator(at[batch], m), training_data.truth[batch])
            gradient["rises"] = _gradient_of_rises(gradient["bins"], ordered, of_rises)
            rate = LEARNING_RATE * 0.5 * (1 + np.cos(np.pi * done / steps))
            done += 1
            for name, one in adam.items():
                one.step(gradient[name], done, rate, 1 - rate * settings.network_decay / (0.5 * LEARNING_RATE * steps))
    return _reset_unseen_embeddings({**weights, "bins": _risen(weights["bins"], rises, ordered, vectors)}, at, m, starts)


class _Adam:
    """Adam with decoupled weight decay, in place: allocating arrays for every term would take longer than the arithmetic."""

    def __init__(self, weights: Float32Array) -> None:
        self.weights = weights
        self.mean, self.square, self.change, self.scale = (np.zeros_like(weights) for _ in range(4))

    def step(self, gradient: Float32Array, number: int, rate: float, keep: float) -> None:
        """Update the weights for the ``number``-th time, from 1, with step size ``rate``, after scaling by the decay factor
        ``keep``.
        """
        np.subtract(gradient, self.mean, out=self.change)
        self.change *= 0.1
        self.mean += self.change
        np.multiply(gradient, gradient, out=self.change)
        self.change -= self.square
        self.change *= 0.001
        self.square += self.change
        np.divide(self.square, 1 - 0.999**number, out=self.scale)
        np.sqrt(self.scale, out=self.scale)
        self.scale += 1e-8
        np.multiply(self.mean, np.float32(rate / (1 - 0.9**number)), out=self.change)
        self.change /= self.scale
        self.weights -= self.change
        self.weights *= np.float32(keep)


def _reset_unseen_embeddings(weights: NetworkWeights, at: NDArray[np.int32], m: int, starts: NDArray[np.int64]) -> NetworkWeights:
    """Set bins without a training row, which still hold random numbers, to the mean of their feature's bins."""
    rows = np.bincount(at.ravel(), minlength=m)
    bins = weights["bins"].copy()
    for feature in range(len(starts) - 1):
        feature_bins = slice(int(starts[feature]) + 2 * feature, int(starts[feature + 1]) + 2 * feature + 2)
        mean = np.average(bins[feature_bins], axis=0, weights=rows[feature_bins])
        bins[feature_bins][rows[feature_bins] == 0] = mean
    return {**weights, "bins": bins}
