"""Findings about a run are computed from its records."""

from __future__ import annotations

import numpy as np
import pytest

from predict_age.models.bundle import confidence_pct
from predict_age.run.findings import mean_width
from predict_age.tally import PCT_BINS


@pytest.mark.parametrize("mean", [4.0, 12.0, 20.0])
def test_mean_width_from_bins(mean: float) -> None:
    """The mean width of 20,000 intervals is found from the counts of their confidence to a tenth of a year."""
    widths = np.clip(np.random.default_rng(1).normal(mean, 1.5, 20_000), 0.1, 28)
    bins = np.bincount((confidence_pct(widths) / (100 / PCT_BINS)).astype(int), minlength=PCT_BINS)
    found = mean_width(bins.tolist())
    assert found is not None
    assert abs(found - widths.mean()) < 0.1


def test_no_mean_width_without_intervals_or_with_unbounded_ones() -> None:
    """Nobody predicted, or many intervals wider than the scale: nothing is said."""
    assert mean_width([0] * PCT_BINS) is None
    assert mean_width([]) is None
    assert mean_width([3, *[5] * (PCT_BINS - 1)]) is None
    assert mean_width([1, *[5] * (PCT_BINS - 1)]) is not None
