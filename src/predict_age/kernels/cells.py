"""Counts of numbers on the grid of ``drift.sketch``: one pass over a matrix, whatever the numbers are."""

from __future__ import annotations

from typing import Any

import numpy as np

from predict_age.kernels.jit import kernel


@kernel
def count_cells(bits: Any, counts: Any) -> None:
    """Add to ``counts`` (f, cells) the cells of numbers given as ``bits`` (n, f): see ``drift.sketch.cells``; any NaN is one."""
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
