"""Training of the density networks of :mod:`predict_age.models.density_network`, each in one thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from predict_age.arrays import Float32Array
from predict_age.config import TrainingConfig
from predict_age.features.encode import Matrix
from predict_age.models.adam import descend
from predict_age.models.density_network import DensityNetwork, bin_indicator
from predict_age.models.network_data import (
    OWN_PART_SPREAD,
    NetworkTrainingData,
    NetworkWeights,
    network_training_data,
    random_rises,
    start_values,
)
from predict_age.models.shared_networks import train_shared_networks
from predict_age.models.training_threads import CancelEvent

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
    width, features = settings.network_width, at.shape[1]
    rises = random_rises(rng, starts, width)
    m = len(rises)
    weights: NetworkWeights = {
        "bins": start_values(rng, (m, width), OWN_PART_SPREAD * features**-0.5),
        "shift1": np.zeros(width, np.float32),
        "hidden": start_values(rng, (width, width), width**-0.5),
        "shift2": np.zeros(width, np.float32),
        "last": start_values(rng, (2 * width, settings.network_functions), 0.1 * width**-0.5),
    }

    def gradient_of(current: NetworkWeights, batch: NDArray[np.int64]) -> NetworkWeights:
        return _gradient(current, bin_indicator(at[batch], m), training_data.truth[batch])

    return descend(
        training_data,
        settings,
        weights,
        rises,
        gradient_of,
        rng=rng,
        steps_a_pass=80,
        decaying=(*weights, "rises"),
        cancelled=cancelled,
    )
