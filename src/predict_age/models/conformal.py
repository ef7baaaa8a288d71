"""Split conformal calibration of an interval (conformalised quantile regression, Romano, Patterson and Candès 2019)."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def correction(lower: Floats, upper: Floats, age: Floats, coverage: float) -> float:
    """Years to move both ends outwards (negative: inwards) so that at least ``coverage`` of new people are inside.

    The ceil((n + 1) x coverage)-th smallest of max(lower - age, age - upper); with too few rows, the largest.
    """
    scores = np.sort(np.maximum(lower - age, age - upper))
    if not len(scores):
        return 0.0
    return float(scores[min(ceil((len(scores) + 1) * coverage), len(scores)) - 1])
