"""Given ages counted over rows and over people, and records of values that stand for no known age."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from predict_age.records.given_ages import AGE_OF_MINOR, GivenAges, UnusableAgesRecord
from predict_age.source.age_readings import fitting_readings
from predict_age.source.age_units import numbers_of, unit_of
from predict_age.source.row_rules import KEPT_ENDS, AgeState, RowRules, UnusableAges

MOST_KEPT = 2_000  # values of a column and reason that are kept together


def count_states(states: NDArray[np.uint8]) -> GivenAges:
    """Numbers of rows or people by ``states`` (n,)."""
    counts = np.bincount(states, minlength=len(AgeState))
    young = counts[AgeState.MINOR] + counts[AgeState.WITHHELD]
    return GivenAges(int(counts[AgeState.KNOWN]), int(counts[AgeState.UNUSABLE]), int(young))


def states_of_people(states: NDArray[np.uint8], people: NDArray[np.int64], number: int) -> NDArray[np.uint8]:
    """State of each of ``number`` people from those of their rows (n,): the last state that one of them has."""
    made = np.full(number, AgeState.ABSENT, np.uint8)
    for state in (AgeState.UNUSABLE, AgeState.MINOR, AgeState.KNOWN, AgeState.WITHHELD):
        made[people[states == state]] = state
    return made


def sum_unusable(several: Iterable[UnusableAges]) -> list[UnusableAges]:
    """One entry a column and reason, with the form that comes first."""
    total: dict[tuple[str, str], UnusableAges] = {}
    for found in several:
        before = total.get((found.column, found.reason), replace(found, rows=0, first=(), lowest=(), highest=()))
        total[found.column, found.reason] = replace(
            before,
            rows=before.rows + found.rows,
            first=(*before.first, *found.first)[:MOST_KEPT],
            lowest=tuple(sorted((*before.lowest, *found.lowest))[:KEPT_ENDS]),
            highest=tuple(sorted((*before.highest, *found.highest), reverse=True)[:KEPT_ENDS]),
        )
    return [total[key] for key in sorted(total)]


def with_readings(found: UnusableAges, name: str, rules: RowRules) -> UnusableAgesRecord:
    """Record of unusable ages of the source's column ``name``, with the other readings that some of them fit.

    The range of the numbers is that of at least 20 people at each end. For people who are too young it is recorded only where the
    numbers fit another unit, so that they are no ages of minors.
    """
    young = found.reason == AGE_OF_MINOR
    unit = None
    if found.column == "approximate_age":
        unit = unit_of(numbers_of(found.first), rules.ages.youngest, rules.ages.max)
    if unit:
        fitting = {str(unit): len(found.first)}
    else:
        fitting = fitting_readings(rules, found.column, found.first) if found.first and not young else {}
    shown = len(found.lowest) == len(found.highest) == KEPT_ENDS and found.rows >= 2 * KEPT_ENDS and (unit or not young)
    low, high = (found.lowest[-1], found.highest[-1]) if shown else (None, None)
    return UnusableAgesRecord(name, found.reason, found.rows, found.form, len(found.first), fitting, low, high)


def without_readings(found: UnusableAges, name: str) -> UnusableAgesRecord:
    """Record of unusable ages of the source's column ``name`` where other readings are of no interest."""
    return UnusableAgesRecord(name, found.reason, found.rows, found.form)
