"""Training of density networks that share most of their weights, so that they teach each other.

All networks have the same vectors of bins and the same matrix between the layers. They differ in factors for both layers, shifts,
output weights, and in fixed random signs of the features' vectors (BatchEnsemble: Wen, Tran, Ba 2020; TabM: Gorishniy, Kotelnikov,
Babenko 2025). Factors and signs are multiplied into the weights in the end: the result are networks as any others. See ADR 13.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from predict_age.arrays import Float32Array
from predict_age.config import TrainingConfig
from predict_age.models.adam import descend
from predict_age.models.network_data import (
    OWN_PART_SPREAD,
    NetworkTrainingData,
    NetworkWeights,
    random_rises,
    start_values,
)
from predict_age.models.training_threads import CancelEvent

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

DROPOUT = 0.1  # share of each hidden layer that a row does without in a step (Srivastava and others 2014)
SHIFT_SPREAD = 0.1  # of the networks' shifts before training
DECAYING = ("bins", "rises", "hidden", "last")


def train_shared_networks(
    training_data: NetworkTrainingData, settings: TrainingConfig, cancelled: CancelEvent = None
) -> list[NetworkWeights]:
    """Train all ``networks`` of the settings together, and return the weights of each. Deterministic for a seed, in one thread."""
    at, starts = training_data.at, training_data.starts
    rng = np.random.default_rng([settings.seed, 0])
    networks, width, features = settings.networks, settings.network_width, at.shape[1]
    rises = random_rises(rng, starts, width)
    m = len(rises)
    signs = rng.choice(np.array([-1, 1], np.float32), (networks, features))
    weights: NetworkWeights = {
        "bins": start_values(rng, (m, width), OWN_PART_SPREAD * features**-0.5),
        "shift1": start_values(rng, (networks, 1, width), SHIFT_SPREAD),
        "hidden": start_values(rng, (width, width), width**-0.5),
        "shift2": start_values(rng, (networks, 1, width), SHIFT_SPREAD),
        "last": start_values(rng, (networks, 2 * width, settings.network_functions), 0.1 * width**-0.5),
        **{name: np.ones((networks, 1, width), np.float32) for name in ("factor1", "before2", "factor2")},
    }

    def gradient_of(current: NetworkWeights, batch: NDArray[np.int64]) -> NetworkWeights:
        kept = [_kept(rng, (networks, len(batch), width)) for _ in range(2)]
        return loss_and_gradient(current, signed_indicator(at[batch], signs, m), training_data.truth[batch], kept)[1]

    whole = descend(
        training_data,
        settings,
        weights,
        rises,
        gradient_of,
        rng=rng,
        steps_a_pass=50,
        decaying=DECAYING,
        cancelled=cancelled,
    )
    return separate_networks(whole, signs, starts)


def _kept(rng: np.random.Generator, shape: tuple[int, ...]) -> Float32Array:
    """Factors by which dropout multiplies a layer: 0, or what leaves the mean as it is."""
    return (rng.random(shape, dtype=np.float32) >= DROPOUT) * np.float32(1 / (1 - DROPOUT))


def signed_indicator(at: NDArray[np.int32], signs: Float32Array, bins: int) -> csr_matrix:
    """Sparse matrix (s n, m) with a feature's sign, ``signs`` (s, f), at each of a row's bins ``at`` (n, f), network by network."""
    from scipy.sparse import csr_matrix

    (networks, features), rows = signs.shape, len(at)
    values = np.broadcast_to(signs[:, np.newaxis], (networks, rows, features)).ravel()
    columns = np.broadcast_to(at, (networks, rows, features)).ravel()
    return csr_matrix((values, columns, np.arange(0, values.size + 1, features)), shape=(networks * rows, bins))


def loss_and_gradient(
    w: NetworkWeights, chosen: csr_matrix, truth: NDArray[np.int64], kept: list[Float32Array]
) -> tuple[float, NetworkWeights]:
    """Mean negative log-likelihood of ``truth`` (n,), column numbers of ages, over all networks, and its gradient.

    ``chosen`` (s n, m) as :func:`signed_indicator` makes it; ``kept``: factors (s, n, h) of both layers.
    """
    networks, rows, width = kept[0].shape
    flat, stacked = (-1, width), (networks, rows, width)
    added = (chosen @ w["bins"]).reshape(stacked)
    first = added * w["factor1"] + w["shift1"]
    slope1 = (first > 0) * kept[0]
    first *= slope1
    scaled = first * w["before2"]
    product = (scaled.reshape(flat) @ w["hidden"]).reshape(stacked)
    second = product * w["factor2"] + w["shift2"]
    slope2 = (second > 0) * kept[1]
    second *= slope2
    both = np.concatenate([first, second], axis=2)
    off = (both @ w["last"]).reshape(networks * rows, -1) @ w["basis"] + w["prior"]
    off -= off.max(axis=1, keepdims=True)
    np.exp(off, out=off)
    off /= off.sum(axis=1, keepdims=True)
    place = np.arange(len(off)), np.tile(truth, networks)
    loss = -float(np.log(np.maximum(off[place], 1e-30)).mean())
    off[place] -= 1
    off /= off.dtype.type(len(off))
    outer = (off @ w["basis"].T).reshape(networks, rows, -1)
    back = outer @ w["last"].transpose(0, 2, 1)
    into2 = back[:, :, width:] * slope2
    of_product = into2 * w["factor2"]
    of_scaled = (of_product.reshape(flat) @ w["hidden"].T).reshape(stacked)
    into1 = (back[:, :, :width] + of_scaled * w["before2"]) * slope1
    return loss, {
        "bins": np.asarray(chosen.T @ (into1 * w["factor1"]).reshape(flat)),
        "factor1": (into1 * added).sum(axis=1, keepdims=True),
        "shift1": into1.sum(axis=1, keepdims=True),
        "before2": (of_scaled * first).sum(axis=1, keepdims=True),
        "hidden": scaled.reshape(flat).T @ of_product.reshape(flat),
        "factor2": (into2 * product).sum(axis=1, keepdims=True),
        "shift2": into2.sum(axis=1, keepdims=True),
        "last": both.transpose(0, 2, 1) @ outer,
    }


def separate_networks(w: NetworkWeights, signs: Float32Array, starts: NDArray[np.int64]) -> list[NetworkWeights]:
    """Weights of each network by itself, with its factors and ``signs`` (s, f) in them."""
    sign_of_bin = np.repeat(signs, np.diff(starts) + 2, axis=1)
    return [
        {
            "bins": w["bins"] * sign_of_bin[s][:, np.newaxis] * w["factor1"][s],
            "shift1": w["shift1"][s, 0],
            "hidden": w["before2"][s].T * w["hidden"] * w["factor2"][s],
            "shift2": w["shift2"][s, 0],
            "last": w["last"][s],
        }
        for s in range(len(signs))
    ]
