"""Times that no calendar of four digits has are left out, wherever they stand; the engine survives."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from predict_age.source.calendar_range import without_times_beyond_calendar
from predict_age.source.profile_json import flat_profile, profile_text

EXTREMES = (-(2**63) + 1, 2**63 - 1)
GOOD = 1_400_000_000


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_extreme_timestamps_of_each_unit(unit: str, zone: str | None) -> None:
    """Written as JSON in a struct, a list, a list of structs and a flat column: rows beside them keep their value."""
    ticks = GOOD * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    times = pa.array([EXTREMES[0], ticks, EXTREMES[1], None], pa.int64()).cast(pa.timestamp(unit, zone))
    names = pa.array(["a", "b", "c", "d"])
    struct = pa.StructArray.from_arrays([times, names], ["t", "n"])
    nested = pa.ListArray.from_arrays(pa.array([0, 1, 2, 3, 4], pa.int32()), struct)
    for column in (struct, pa.StructArray.from_arrays([nested, names], ["items", "n"])):
        text = profile_text(pa.chunked_array([column])).to_pylist()
        assert "2014-05-13" in text[1]
        assert "2014" not in str(text[0]) + str(text[2])
    flat = flat_profile(pa.table({"t": times, "n": names})).to_pylist()
    assert "2014-05-13" in flat[1]
    assert [row.count('"n"') for row in flat] == [1, 1, 1, 1]


def test_dates_and_the_ends_of_the_calendar() -> None:
    """The first and the last day of the calendar stay; a day more is left out; types without times are returned as they are."""
    days = pa.array([dt.date(1, 1, 1), dt.date(9999, 12, 31)], pa.date32())
    numbers = days.cast(pa.int32()).to_pylist()
    more = pa.array([*numbers, numbers[0] - 1, numbers[1] + 1], pa.int32()).cast(pa.date32())
    assert pa.chunked_array([more]).null_count == 0
    found = without_times_beyond_calendar(pa.chunked_array([more]))
    assert found.null_count == 2
    assert found.slice(0, 2).chunk(0).equals(days)
    column = pa.chunked_array([pa.array([1, 2])])
    assert without_times_beyond_calendar(column) is column
    assert len(without_times_beyond_calendar(pa.chunked_array([], pa.timestamp("us")))) == 0
