"""Counts of numbers on the grid of ``drift.sketch``, in one pass over a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from predict_age.kernels.jit import kernel


@kernel
def count_cells(bits: Any, counts: Any) -> None:
    """Add the grid cells of float32 ``bits`` (n, f) to ``counts`` (f, cells): see ``drift.sketch``. All NaN share a cell."""
    sign, infinite, nan = np.uint32(0x80000000), np.uint32(0x7F800000), np.uint32(0x7FC00000)
    for n in range(bits.shape[0]):
        for feature in range(bits.shape[1]):
            value = bits[n, feature]
            if value & ~sign > infinite:
                value = nan
            elif value == sign:  # -0 is 0
                value = np.uint32(0)
            ordered = ~value if value & sign else value | sign
            counts[feature, ordered >> np.uint32(19)] += 1
