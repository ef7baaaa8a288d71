"""Times that no calendar of four digits has are left out, wherever they stand; the engine survives."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from predict_age.config import AgesConfig
from predict_age.source.calendar_range import within_calendar, without_times_beyond_calendar
from predict_age.source.column_types import plain_values
from predict_age.source.profile_json import flat_profile, profile_text
from predict_age.source.row_rules import RowRules, connect

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


UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
BIRTH = 500_000_000  # seconds: in November 1985
KINDS = [*(pa.timestamp(unit, zone) for unit in UNITS for zone in (None, "UTC", "Nowhere/None")), pa.date32(), pa.date64()]


def extreme(kind: pa.DataType) -> pa.Array:
    """A birth in 1985, none, and numbers that stand for times before or after all calendars, some of which overflow in microseconds."""
    if pa.types.is_date32(kind):
        return pa.array([BIRTH // 86_400, None, -(2**31), 2**31 - 1, -(2**30), 2**30], pa.int32()).view(kind)
    ticks = UNITS["ms"] if pa.types.is_date64(kind) else UNITS[kind.unit]
    around = (
        2**64 // (UNITS["us"] // ticks) + BIRTH * ticks if ticks < UNITS["us"] else 2**63 - 2
    )  # the birth again, after an overflow
    numbers = [BIRTH * ticks, None, -(2**63), 2**63 - 1, -(2**63) + 808, 1 - 2**63, around, -(2**62)]
    return pa.array(numbers, pa.int64()).view(kind)


@pytest.mark.parametrize("column", ["birth_date", "birth_year", "approximate_age"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_extreme_times_in_age_columns_are_no_ages(kind: pa.DataType, column: str) -> None:
    """They are counted as given and of no use, never read as another time; DuckDB fails at some of them."""
    times = extreme(kind)
    raw = pa.table({"pid": range(len(times)), column: plain_values(pa.chunked_array([times]))})
    rules = RowRules(AgesConfig(), dt.date(2025, 10, 23))
    known = rules.canonical(connect(), raw)["known_age"].to_pylist()
    if column == "approximate_age":
        assert known == [None] * len(times)
    else:
        assert known == [39 if column == "birth_date" else 40, *[None] * (len(times) - 1)]
    given = len(times) - 1
    assert sum(values.rows for values in rules.unusable(connect(), raw)) == given - sum(age is not None for age in known)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_times_within_the_calendar_are_kept(kind: pa.DataType) -> None:
    """Also before 1970, with NULL and none at all; dates stay dates."""
    times = pa.array([dt.date(1969, 12, 31), None, dt.date(1, 1, 2), dt.date(9999, 12, 30)], pa.date32())
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        times = times.slice(0, 2)
    made = within_calendar(pa.chunked_array([times.cast(kind)]))
    assert made.cast(pa.date32()).to_pylist() == times.to_pylist()
    assert made.type == (pa.date32() if pa.types.is_date(kind) else pa.timestamp("us"))
    assert len(within_calendar(pa.chunked_array([], kind))) == 0
