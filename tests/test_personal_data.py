"""Nothing personal outside tables: no single person in the report, the model, the card, the records, a crash file."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predict_age.models.age_cells import age_cells
from predict_age.models.metrics import AGE_BANDS
from predict_age.tally import fold_small_counts, pooled

AGES = st.lists(st.tuples(st.integers(0, 120), st.integers(18, 90)), max_size=400)


@given(AGES)
def test_cells_of_ages_hold_twenty_people_each_and_everybody_once(people: list[tuple[int, int]]) -> None:
    true, predicted = (np.array([p[side] for p in people], np.int64) for side in (0, 1))
    cells = age_cells(true, predicted)
    assert all(c.people >= 20 for c in cells)
    assert sum(c.people for c in cells) == (len(people) if len(people) >= 20 else 0)
    for person in people if cells else []:
        inside = [c for c in cells if c.true[0] <= person[0] <= c.true[1] and c.predicted[0] <= person[1] <= c.predicted[1]]
        assert len(inside) == 1
    for cell in cells:
        found = (
            (true >= cell.true[0]) & (true <= cell.true[1]) & (predicted >= cell.predicted[0]) & (predicted <= cell.predicted[1])
        )
        assert int(found.sum()) == cell.people


def test_cells_are_fine_where_there_are_people() -> None:
    rng = np.random.default_rng(1)
    true = rng.integers(18, 80, 20_000)
    cells = age_cells(true, np.clip(true + rng.integers(-6, 7, 20_000), 18, 90))
    assert len(cells) > 40
    starts = {low for low, _ in AGE_BANDS}
    assert starts <= {c.true[0] for c in cells}


@given(st.dictionaries(st.sampled_from("abcdefghij"), st.integers(0, 60)), st.integers(0, 60))
def test_a_value_of_few_people_is_neither_shown_nor_left_over(counts: dict[str, int], rest: int) -> None:
    given_counts = {**counts, "other": rest, "missing": 3}
    found = fold_small_counts(given_counts, "other", {"missing"})
    assert sum(found.values()) == sum(given_counts.values())
    assert found["missing"] == 3
    values = {k: n for k, n in found.items() if k not in ("other", "missing")}
    assert all(n >= 20 and n == counts[k] for k, n in values.items())
    assert found["other"] == 0 or found["other"] >= 20 or not values


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60))
def test_a_pooled_histogram_has_no_step_of_fewer_than_twenty(counts: list[int]) -> None:
    heights = pooled(counts)
    assert sum(heights) == pytest.approx(sum(counts) if sum(counts) >= 20 else 0)
    at = 0
    while at < len(heights):
        end = at
        while end < len(heights) and heights[end] == heights[at]:
            end += 1
        assert heights[at] == 0 or round(sum(heights[at:end])) >= 20
        at = end
