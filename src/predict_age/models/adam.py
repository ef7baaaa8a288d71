"""Adam, the optimiser of the networks (Kingma and Ba 2015), with decoupled weight decay (Loshchilov and Hutter 2019)."""

from __future__ import annotations

import numpy as np

from predict_age.arrays import Float32Array


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
