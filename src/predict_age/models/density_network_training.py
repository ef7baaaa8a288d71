"""Training of the density networks of :mod:`predict_age.models.density_network`, each in one thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from predict_age.arrays import Float32Array
from predict_age.config import TrainingConfig
from predict_age.features.encode import Matrix
from predict_age.models.adam import Adam
from predict_age.models.density_network import DensityNetwork, bin_indicator
from predict_age.models.network_data import (
    LEARNING_RATE,
    MAX_ROW_VISITS,
    OWN_PART_SPREAD,
    NetworkTrainingData,
    NetworkWeights,
    gradient_of_rises,
    network_training_data,
    ordered_bins,
    reset_unseen_embeddings,
    risen,
)
from predict_age.models.shared_networks import train_shared_networks
from predict_age.models.training_threads import CancelEvent, check_cancelled

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


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


def train_network(matrix: Matrix, age: Float32Array, youngest: int, oldest: int, settings: TrainingConfig) -> DensityNetwork:
    """Train the networks one after another on (n_rows, n_features), NaN = missing, and whole ages (n_rows,)."""
    training_data = network_training_data(matrix, age, youngest, oldest, settings)
    with threadpool_limits(1):
        return training_data.network(
            [w for group in network_groups(settings) for w in train_networks(training_data, settings, group)]
        )


def network_groups(settings: TrainingConfig) -> list[range]:
    """Numbers of the networks that are trained in one task: all of them where they share weights, else each by itself."""
    return [range(settings.networks)] if _share(settings) else [range(n, n + 1) for n in range(settings.networks)]


def _share(settings: TrainingConfig) -> bool:
    """Whether networks share weights. One by itself has nobody to share with."""
    return settings.network_sharing and settings.networks > 1


def train_networks(
    training_data: NetworkTrainingData, settings: TrainingConfig, group: range, cancelled: CancelEvent = None
) -> list[NetworkWeights]:
    """Train the networks of one ``group`` of :func:`network_groups`."""
    if _share(settings):
        return train_shared_networks(training_data, settings, cancelled)
    return [train_one_network(training_data, settings, number, cancelled) for number in group]


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

    ordered = ordered_bins(starts)
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
    adam = {name: Adam(array) for name, array in {**weights, "rises": rises}.items()}
    done = 0
    for _ in range(passes):
        order = rng.permutation(rows)
        for begin in range(0, rows, size):
            check_cancelled(cancelled)
            batch = order[begin : begin + size]
            current = {**training_data.fixed, **weights, "bins": risen(weights["bins"], rises, ordered, vectors)}
            gradient = _gradient(current, bin_indicator(at[batch], m), training_data.truth[batch])
            gradient["rises"] = gradient_of_rises(gradient["bins"], ordered, of_rises)
            rate = LEARNING_RATE * 0.5 * (1 + np.cos(np.pi * done / steps))
            done += 1
            for name, one in adam.items():
                one.step(gradient[name], done, rate, 1 - rate * settings.network_decay / (0.5 * LEARNING_RATE * steps))
    return reset_unseen_embeddings({**weights, "bins": risen(weights["bins"], rises, ordered, vectors)}, at, m, starts)
