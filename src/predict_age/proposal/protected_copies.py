"""Fields that tell a protected attribute although neither their name nor their values say so, beside a field that does."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from predict_age.features.refused_names import refusal_reason
from predict_age.proposal.candidates import protected_values
from predict_age.proposal.fields import Field, FieldPath

_MOST_LEVELS, _FEWEST_ROWS = 60, 10  # of a field that is compared; rows of a level, on average
_ERRORS_LEFT = 0.02  # of those of the commonest level for everybody

Codes = NDArray[np.float64]


def protected_codes(fields: Mapping[FieldPath, Field], rows: int) -> dict[str, Codes]:
    """Numbers (rows,) of the values of each field of a protected attribute with a few values, by its name; NaN = missing."""
    found = {}
    for path, field in fields.items():
        by_name = any("protected attribute" in (refusal_reason(step) or "") for step in path)
        if not field.lengths and 2 <= len(field.counts) <= _MOST_LEVELS and (by_name or protected_values(field)):
            codes = np.full(rows, np.nan)
            codes[field.rows] = np.unique(field.texts, return_inverse=True)[1]
            found[field.name] = codes
    return found


def tells_protected(values: Codes, protected: Mapping[str, Codes]) -> str:
    """Name of the protected field that follows from ``values`` (rows,) for nearly everybody, or they from it; empty: none."""
    return next((name for name, codes in protected.items() if _follows(values, codes) or _follows(codes, values)), "")


def _follows(one: Codes, other: Codes) -> bool:
    """Whether ``one`` follows from ``other`` (both (rows,), NaN = missing) far better than from nothing."""
    both = ~np.isnan(one) & ~np.isnan(other)
    levels, codes = np.unique(other[both], return_inverse=True)
    wanted, mine = np.unique(one[both], return_inverse=True)
    if not 2 <= len(levels) <= min(_MOST_LEVELS, both.sum() // _FEWEST_ROWS) or not 2 <= len(wanted) <= _MOST_LEVELS:
        return False
    counts = np.zeros((len(levels), len(wanted)), np.int64)
    np.add.at(counts, (codes, mine), 1)
    errors, without = counts.sum() - counts.max(axis=1).sum(), counts.sum() - counts.sum(axis=0).max()
    return bool(without >= _FEWEST_ROWS and errors <= _ERRORS_LEFT * without)
