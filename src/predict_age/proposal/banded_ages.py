"""Fields that are the age in wide bands: age groups, generations, stages of life, under any name and in any language.

Bands of a few years leave nobody far from the age, which the leak gate sees; bands of twenty years leave many. But whoever knows
the age knows the band, which holds for no course of life: some retire at 50, some study at 40.
"""

from __future__ import annotations

import numpy as np

from predict_age.arrays import Float64Array

_FEWEST_PEOPLE = 200  # of known age
_MOST_BANDS = 25
_MOST_OTHERS = 0.02  # of the people, who are in another band than most people of their age
_FEWEST_OUTSIDE = 20  # people outside the commonest band, ...
_LEAST_SPREAD = 0.02  # ... and their share
_LEFT_SHARE = 0.1  # of those whom the commonest band misses, whom the age may miss


def is_age_in_bands(values: Float64Array, age: Float64Array) -> bool:
    """Whether nearly everybody has the one of a few ``values`` (n,), NaN = missing, that most people of the ``age`` (n,) have."""
    known = ~np.isnan(values)
    people = int(known.sum())
    if people < _FEWEST_PEOPLE:
        return False
    levels, codes = np.unique(values[known], return_inverse=True)
    if not 2 <= len(levels) <= _MOST_BANDS:
        return False
    years, of_year = np.unique(age[known].astype(np.int64), return_inverse=True)
    counts = np.zeros((len(years), len(levels)), np.int64)
    np.add.at(counts, (of_year, codes), 1)
    others = 1 - counts.max(axis=1).sum() / people
    outside = int(people - counts.sum(axis=0).max())
    if outside < max(_FEWEST_OUTSIDE, _LEAST_SPREAD * people):
        return False
    return bool(others <= min(_MOST_OTHERS, _LEFT_SHARE * outside / people))
