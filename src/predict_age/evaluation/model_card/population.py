"""Covariate shift: the error to expect among people without a known age, who differ from those with one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predict_age.evaluation.model_card.half_by_half import predict_by_other_half
from predict_age.features.encode import Matrix

MAX_SHIFT_ROWS = 50_000
MAX_WEIGHT = 20.0


@dataclass(frozen=True)
class CovariateShift:
    """Covariate-shift weights and the AUC of the domain classifier that gives them.

    ``weights`` (n,), mean 1: density of the unlabelled relative to the known people. ``auc``: 0.5 when the domain classifier cannot
    separate both, 1 when it always can.
    """

    weights: NDArray[np.float64]
    auc: float

    @property
    def effective(self) -> float:
        """Effective sample size: rows of equal weight that are as informative, (sum of weights)^2 / sum of squares (Kish 1965)."""
        return float(self.weights.sum() ** 2 / (self.weights**2).sum())


def covariate_shift(known: Matrix, unlabelled: Matrix, seed: int, threads: int) -> CovariateShift:
    """Weights for ``known`` (n, f) that match its features to those of ``unlabelled`` (m, f).

    The odds of a domain classifier (Bickel, Brückner and Scheffer 2009), each half scored by trees trained on the other half,
    clipped to 1/20 and 20. Differences that no feature shows are not corrected.
    """
    matrix = np.concatenate([known, unlabelled])
    truth = np.repeat([0.0, 1.0], [len(known), len(unlabelled)])
    probability = predict_by_other_half(matrix, truth, "binary", 15, 50, 60, seed, threads)
    odds = probability[: len(known)] / (1 - probability[: len(known)]) * len(known) / len(unlabelled)
    weights = np.clip(odds, 1 / MAX_WEIGHT, MAX_WEIGHT)
    return CovariateShift(weights / weights.mean(), auc(truth, probability))


def error_increase(error: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, float]:
    """Weighted mean of the absolute errors (n,) minus their mean, and its standard error given the ``weights`` (n,), of mean 1."""
    more = (weights - 1) * (error - np.average(error, weights=weights))
    return float(more.mean()), float(more.std() / np.sqrt(len(more)))


def auc(truth: NDArray[np.float64], score: NDArray[np.float64]) -> float:
    """Area under the ROC curve: probability that a one scores above a zero, ties count half (Mann and Whitney 1947)."""
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    ones = truth.sum()
    zeros = len(truth) - ones
    return float((rank[truth == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros)) if ones and zeros else 0.5
