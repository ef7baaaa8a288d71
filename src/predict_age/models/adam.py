"""Adam, the optimiser of the networks (Kingma and Ba 2015), with decoupled weight decay (Loshchilov and Hutter 2019)."""

from __future__ import annotations

from collections.abc import Callable, Container

import numpy as np
from numpy.typing import NDArray

from predict_age.arrays import Float32Array
from predict_age.config import TrainingConfig
from predict_age.models.network_data import (
    NetworkTrainingData,
    NetworkWeights,
    gradient_of_rises,
    ordered_bins,
    reset_unseen_embeddings,
    risen,
)
from predict_age.models.training_threads import CancelEvent, check_cancelled

LEARNING_RATE = 0.005  # initial step size of Adam, falling to 0 along a cosine
MAX_ROW_VISITS = 4_800_000  # upper bound of passes x rows, which bounds the training time


class Adam:
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


def descend(
    training_data: NetworkTrainingData,
    settings: TrainingConfig,
    weights: NetworkWeights,
    rises: Float32Array,
    gradient_of: Callable[[NetworkWeights, NDArray[np.int64]], NetworkWeights],
    *,
    rng: np.random.Generator,
    steps_a_pass: int,
    decaying: Container[str],
    cancelled: CancelEvent,
) -> NetworkWeights:
    """Train ``weights`` and the ``rises`` (m, h) of their bins, in place; return the weights with whole vectors of all bins.

    ``gradient_of`` says the gradient of the weights that it gets for a batch of rows. A pass has about so many steps, of 32 to 512
    rows each. ``network_decay`` is the decay of the ``decaying`` weights over the whole training, whatever the number of steps.
    """
    at, starts = training_data.at, training_data.starts
    rows, ordered = len(at), ordered_bins(starts)
    vectors, of_rises = np.zeros_like(rises), np.zeros_like(rises)
    size = int(np.clip(rows / steps_a_pass, 32, 512))
    passes = max(1, min(settings.network_passes, MAX_ROW_VISITS // rows))
    steps, done = passes * -(-rows // size), 0
    adam = {name: Adam(array) for name, array in {**weights, "rises": rises}.items()}
    for _ in range(passes):
        order = rng.permutation(rows)
        for begin in range(0, rows, size):
            check_cancelled(cancelled)
            current = {**training_data.fixed, **weights, "bins": risen(weights["bins"], rises, ordered, vectors)}
            gradient = gradient_of(current, order[begin : begin + size])
            gradient["rises"] = gradient_of_rises(gradient["bins"], ordered, of_rises)
            rate = LEARNING_RATE * 0.5 * (1 + np.cos(np.pi * done / steps))
            done += 1
            for name, one in adam.items():
                decay = settings.network_decay if name in decaying else 0.0
                one.step(gradient[name], done, rate, 1 - rate * decay / (0.5 * LEARNING_RATE * steps))
    whole = {**weights, "bins": risen(weights["bins"], rises, ordered, vectors)}
    return reset_unseen_embeddings(whole, at, len(rises), starts)
