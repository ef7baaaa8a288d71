"""Ensemble weights: those with the least error on people whom no member was trained on."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from predict_age.models.age_distribution import Probabilities, quantiles

WEIGHT_GRID_STEPS = 20  # weights are multiples of 1/20


def choose_point_weights(
    members: NDArray[np.float64], age: NDArray[np.float32], costs: tuple[float, ...], worth: float, allowed: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Weights (n_members,), at least 0, sum 1, that minimise the mean absolute error of ``members`` (n_rows, n_members).

    All multiples of 1/20 are tried: the error is convex in the weights, so a finer grid would gain next to nothing. A member that
    reduces the error by less than the share ``worth`` gets no weight, the most expensive by ``costs`` (n_members,) first, because
    each member with weight is evaluated for everybody. Members that are not ``allowed`` (n_members,) get none. Without rows the
    others weigh the same.
    """
    if not len(age):
        return allowed / allowed.sum()
    candidates = (
        np.array([w for w in product(*(range(WEIGHT_GRID_STEPS * bool(a) + 1) for a in allowed)) if sum(w) == WEIGHT_GRID_STEPS])
        / WEIGHT_GRID_STEPS
    )
    errors = np.array([np.abs(members @ w - age).mean() for w in candidates])
    cost = (candidates > 0) @ np.array(costs)
    good = np.flatnonzero(errors <= errors.min() * (1 + worth))
    return candidates[good[np.lexsort((errors[good], cost[good]))[0]]]


def pinball_loss(interval_quantiles: NDArray[np.float64], levels: tuple[float, ...], age: NDArray[np.float32]) -> float:
    """Mean pinball loss, years, of quantiles (n_rows, n_levels): least for the true quantiles (Koenker and Bassett 1978)."""
    error = age[:, None] - interval_quantiles
    return float(np.mean(np.maximum(np.array(levels) * error, (np.array(levels) - 1) * error)))


def choose_network_share(
    network: Probabilities,
    forest: Probabilities,
    youngest: int,
    levels: tuple[float, float],
    age: NDArray[np.float32],
    worth: float,
) -> float:
    """The network's weight (0, 1/4 ... 1) in the mixture whose quantiles at ``levels`` have the least pinball loss.

    1 when the forest reduces it by less than the share ``worth``. 1/2 without rows.
    """
    if not len(age):
        return 0.5
    candidates = np.arange(5) / 4
    losses = [pinball_loss(quantiles(mix_distributions(network, forest, w), youngest, levels), levels, age) for w in candidates]
    return 1.0 if losses[-1] <= min(losses) * (1 + worth) else float(candidates[int(np.argmin(losses))])


def mix_distributions(network: Probabilities | None, forest: Probabilities | None, share: float) -> Probabilities:
    """Mixture of two distributions (n_rows, n_ages), the network's with weight ``share``; if one is None, the other."""
    if network is None or forest is None:
        alone = forest if network is None else network
        assert alone is not None
        return alone
    return np.float32(share) * network + np.float32(1 - share) * forest
