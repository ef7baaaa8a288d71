"""Ensemble weights: those with the least error on people whom no member was trained on, shrunk towards equal ones."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from predict_age.models.age_distribution import Probabilities, quantiles

WEIGHT_GRID_STEPS = 20  # weights are multiples of 1/20
SHRINKAGE = 0.5  # penalty on weights that differ from equal ones, as a share of the error; it falls with the root of the rows
SHARES_TRIED = np.arange(5) / 4
MAX_RESIDUAL_QUANTILES = 201
LEAST_SCALE_YEARS = 0.5  # of residuals: a distribution that names one age has no width


def choose_point_weights(
    members: NDArray[np.float64], age: NDArray[np.floating], costs: tuple[float, ...], worth: float, allowed: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Weights (n_members,), at least 0, sum 1, for ``members`` (n_rows, n_members), predictions by models that never saw the rows.

    They minimise the mean absolute error plus a penalty, SHRINKAGE x the least error x the squared distance from equal weights /
    sqrt(n_rows): few people cannot tell good weights from lucky ones. All multiples of 1/20 are tried: the sum is convex in the
    weights, so a finer grid would gain next to nothing. A member that lowers the sum by less than the share ``worth`` gets no
    weight, the most expensive by ``costs`` (n_members,) first, because each member with weight is evaluated for everybody. Members
    that are not ``allowed`` (n_members,) get none. Without rows the others weigh the same.
    """
    equal = allowed / allowed.sum()
    if not len(age):
        return equal
    candidates = np.array(list(_shares(tuple(map(bool, allowed)), WEIGHT_GRID_STEPS))) / WEIGHT_GRID_STEPS
    errors = np.array([np.abs(members @ w - age).mean() for w in candidates])
    penalised = errors + SHRINKAGE * errors.min() / sqrt(len(age)) * np.square(candidates - equal).sum(axis=1)
    cost = (candidates > 0) @ np.array(costs)
    good = np.flatnonzero(penalised <= penalised.min() * (1 + worth))
    return candidates[good[np.lexsort((penalised[good], cost[good]))[0]]]


def _shares(allowed: tuple[bool, ...], steps: int) -> Iterator[tuple[int, ...]]:
    """Every way to share ``steps`` among the members that are ``allowed``, the others having none, in ascending order."""
    if not allowed:
        if not steps:
            yield ()
        return
    for first in range(steps * allowed[0] + 1):
        for rest in _shares(allowed[1:], steps - first):
            yield (first, *rest)


def pinball_loss(interval_quantiles: NDArray[np.float64], levels: tuple[float, ...], age: NDArray[np.floating]) -> float:
    """Mean pinball loss, years, of quantiles (n_rows, n_levels): least for the true quantiles (Koenker and Bassett 1978)."""
    error = age[:, None] - interval_quantiles
    return float(np.mean(np.maximum(np.array(levels) * error, (np.array(levels) - 1) * error)))


def choose_network_share(
    network: Probabilities,
    forest: Probabilities,
    youngest: int,
    levels: tuple[float, float],
    age: NDArray[np.floating],
    worth: float,
) -> float:
    """The network's weight (0, 1/4 ... 1) in the mixture whose quantiles at ``levels`` have the least pinball loss.

    1 when the forest reduces it by less than the share ``worth``. 1/2 without rows.
    """
    if not len(age):
        return 0.5
    losses = [pinball_loss(quantiles(mix_distributions(network, forest, w), youngest, levels), levels, age) for w in SHARES_TRIED]
    return 1.0 if losses[-1] <= min(losses) * (1 + worth) else float(SHARES_TRIED[int(np.argmin(losses))])


def choose_residual_share(
    mixture: Probabilities,
    around_point: Probabilities,
    youngest: int,
    levels: tuple[float, float],
    age: NDArray[np.floating],
    worth: float,
) -> tuple[float, float]:
    """Weight (0, 1/4 ... 1) of the distributions ``around_point`` (n_rows, n_ages), the rest for ``mixture``: least pinball loss.

    0 when they reduce it by less than the share ``worth``, or without rows. Returns the weight and the loss, years, with it.
    """
    if not len(age):
        return 0.0, 0.0
    losses = [
        pinball_loss(quantiles(mix_distributions(around_point, mixture, w), youngest, levels), levels, age) for w in SHARES_TRIED
    ]
    best = 0 if losses[0] <= min(losses) * (1 + worth) else int(np.argmin(losses))
    return float(SHARES_TRIED[best]), losses[best]


def mix_distributions(network: Probabilities | None, forest: Probabilities | None, share: float) -> Probabilities:
    """Mixture of two distributions (n_rows, n_ages), the network's with weight ``share``; if one is None, the other."""
    if network is None or forest is None:
        alone = forest if network is None else network
        assert alone is not None
        return alone
    return np.float32(share) * network + np.float32(1 - share) * forest


def residual_quantiles(residuals: NDArray[np.float64]) -> tuple[float, ...]:
    """Evenly spaced quantiles of ``residuals`` (n,), years, from the least to the largest; at most as many as there are rows."""
    levels = np.linspace(0, 1, min(MAX_RESIDUAL_QUANTILES, max(2, len(residuals))))
    return tuple(np.quantile(residuals, levels).tolist()) if len(residuals) else ()


def residual_scale(mixture: Probabilities, youngest: int, levels: tuple[float, ...]) -> NDArray[np.float64]:
    """Scale (n_rows,) of residuals around a point, from the interval of ``mixture`` (n_rows, n_ages).

    That is the years between the first and the last of the ``levels``, at least LEAST_SCALE_YEARS, to the power 3/4: estimated
    widths differ more than errors do (ADR 12). Roots are exact on every machine, powers are not.
    """
    ends = quantiles(mixture, youngest, levels)
    root = np.sqrt(np.maximum(ends[:, -1] - ends[:, 0], LEAST_SCALE_YEARS))
    scale: NDArray[np.float64] = root * np.sqrt(root)
    return scale


def distribution_around(
    point: NDArray[np.float64],
    residuals: NDArray[np.float64],
    youngest: int,
    oldest: int,
    scale: NDArray[np.float64] | None = None,
) -> Probabilities:
    """Distributions (n_rows, n_ages) of whole ages whose distance from ``point`` (n_rows,) has the quantiles ``residuals`` (k,).

    Residuals are years, or multiples of ``scale`` (n_rows,). A whole age a stands for a - 0.5 .. a + 0.5. Ages above the window
    count as its upper end. Those below it are left out, so that nobody gathers at the lower end, unless nothing else is left.
    """
    ends = np.arange(youngest, oldest) + 0.5 - point[:, np.newaxis]
    start = youngest - 0.5 - point
    if scale is not None:
        ends, start = ends / scale[:, np.newaxis], start / scale
    levels = np.linspace(0, 1, len(residuals))
    distinct = np.append(np.diff(residuals) > 0, True)  # of equal quantiles the highest level: the distribution function jumps
    below = np.interp(ends, residuals[distinct], levels[distinct], left=0.0, right=1.0)
    outside = np.interp(start, residuals[distinct], levels[distinct], left=0.0, right=1.0)[:, np.newaxis]
    outside[outside >= 1] = 0.0
    cumulative = np.column_stack([np.zeros(len(point)), (below - outside) / (1 - outside), np.ones(len(point))])
    return np.diff(cumulative, axis=1).astype(np.float32)
