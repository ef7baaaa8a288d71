"""Batches of splits. Pure arithmetic, shared by the plan command and the batch generator."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from predict_age.tally import counted

SMALLEST_USEFUL_BATCH = 20_000


@dataclass(frozen=True)
class BatchPlan:
    """Batches as lists of split ids; every split is in exactly one. ``formula`` says how many and why."""

    batches: list[list[int]]
    to_predict: list[int]
    formula: str


def number_of_batches(to_predict: int, batch_rows: int, workers: int) -> tuple[int, str]:
    """Number of batches, and its formula: ceil(to_predict / batch_rows), or two for each worker while batches keep 20,000 rows."""
    wanted = ceil(to_predict / batch_rows)
    for_workers = min(2 * workers, ceil(to_predict / SMALLEST_USEFUL_BATCH))
    number = max(1, wanted, for_workers)
    formula = f"ceil({to_predict:,} / {batch_rows:,}) = {wanted:,}"
    if number > wanted:
        formula += f", raised to {number:,} for {counted(workers, 'worker')}"
    return number, formula


def plan_batches(to_predict: list[int], batch_rows: int, workers: int) -> BatchPlan:
    """Cut the splits 0..n-1, in order, into consecutive groups of about equal work, and smaller ones at the end.

    ``to_predict[i]`` is the number of rows of split i that need a prediction. A batch never holds more than
    ``batch_rows`` of them unless a single split does. Workers differ in speed. So that they end together, a batch takes at most
    half of a worker's share of the remaining rows (guided self-scheduling, Polychronopoulos and Kuck 1987).
    """
    left = sum(to_predict)
    number, formula = number_of_batches(left, batch_rows, workers)
    share = left / number
    batches: list[list[int]] = [[]]
    filled = [0]
    wanted = share
    for split, rows in enumerate(to_predict):
        if filled[-1] and (filled[-1] + rows > batch_rows or filled[-1] + rows / 2 > wanted):
            left -= filled[-1]
            batches.append([])
            filled.append(0)
        if not filled[-1] and workers > 1:
            wanted = min(share, max(left / (2 * workers), SMALLEST_USEFUL_BATCH))
        batches[-1].append(split)
        filled[-1] += rows
    if len(batches) != number:
        formula += f", {len(batches):,} in whole row groups" + (", the last ones smaller" if workers > 1 else "")
    return BatchPlan(batches, filled, formula)
