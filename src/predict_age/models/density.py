"""Distributions of the age over whole years, as every interval model gives them: one share for each age, rows sum to 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predict_age.kernels import wanted

Shares = NDArray[np.float32]
TOLERANCE = 1e-5  # float32 sums of some dozen histograms are exact to about 1e-6


def quantiles(shares: Shares, youngest: int, levels: tuple[float, ...]) -> NDArray[np.float64]:
    """(n_rows, n_levels) quantiles, years, of ``shares`` (n_rows, n_ages), whose first column is the age ``youngest``.

    The share of a whole age a is spread evenly over a - 0.5 .. a + 0.5, so quantiles are continuous. They rise with the level.
    """
    result = np.empty((len(shares), len(levels)))
    if wanted(len(shares)):
        from predict_age.kernels.density import quantiles_of

        those = np.array(levels)
        quantiles_of(np.ascontiguousarray(shares), those, (those - TOLERANCE).astype(np.float32), youngest - 0.5, result)
        return result
    cumulative = np.cumsum(shares, axis=1, dtype=np.float32)
    rows = np.arange(len(shares))
    for i, level in enumerate(levels):
        bin_ = (cumulative >= level - TOLERANCE).argmax(axis=1)
        share = shares[rows, bin_].astype(np.float64)
        below = cumulative[rows, bin_] - share
        within = np.clip((level - below) / np.where(share > 0, share, 1.0), 0.0, 1.0)
        result[:, i] = youngest - 0.5 + bin_ + within
    return result
