"""Minors are withheld: known ones in every column and form, and those whom the model takes for younger."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from predict_age.config import AgesConfig
from predict_age.source.row_rules import RowRules, connect

AS_OF = dt.date(2025, 10, 23)
RULES = RowRules(AgesConfig(), AS_OF)
NUMBERS = (pa.int8(), pa.uint8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.decimal128(9, 2), pa.string())
YEARS = (pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.decimal128(9, 2), pa.string(), pa.large_string())


def judged(rules: RowRules = RULES, **columns: pa.Array) -> list[dict[str, Any]]:
    rows = len(next(iter(columns.values())))
    raw = pa.table({"pid": pa.array(range(rows)), **columns})
    return rules.canonical(connect(), raw).to_pylist()


def cast(values: list[int], kind: pa.DataType) -> pa.Array:
    return pa.array([Decimal(v) for v in values] if pa.types.is_decimal(kind) else values).cast(kind)


def is_hidden(row: dict[str, Any]) -> bool:
    """Whether a row is withheld and tells nothing about an age."""
    silent = all(row[c] is None for c in ("birth_year", "approximate_age", "known_age", "known_source"))
    flags = ("needs_prediction", "unreadable_age", "implausible_age", "conflicting_age")
    return bool(row["withheld"]) and silent and not any(row[f] for f in flags)


@pytest.mark.parametrize("kind", NUMBERS, ids=str)
def test_a_given_age_from_0_to_17_is_withheld(kind: pa.DataType) -> None:
    """In every type of the column; 18 is known."""
    rows = judged(approximate_age=cast([*range(20)], kind))
    assert [is_hidden(row) for row in rows] == [True] * 18 + [False] * 2
    assert [row["known_age"] for row in rows[18:]] == [18, 19]
    assert [row["zero_age"] for row in rows] == [True] + [False] * 19


@pytest.mark.parametrize("kind", YEARS, ids=str)
def test_a_birth_year_of_a_minor_is_withheld(kind: pa.DataType) -> None:
    """From this year to 17 years ago; a year in the future is implausible, as before."""
    rows = judged(birth_year=cast([2026, *range(2025, 2005, -1)], kind))
    assert (rows[0]["withheld"], rows[0]["implausible_age"], rows[0]["needs_prediction"]) == (False, True, True)
    assert [is_hidden(row) for row in rows[1:]] == [True] * 18 + [False] * 2
    assert not any(row["zero_age"] for row in rows)


@pytest.mark.parametrize(
    "form",
    [
        pa.array,
        lambda d: pa.array([x.isoformat() for x in d]),
        lambda d: pa.array([int(f"{x:%Y%m%d}") for x in d]),
        lambda d: pa.array([f"{x:%Y%m%d}.0" for x in d]),
        lambda d: pa.array([dt.datetime(x.year, x.month, x.day) for x in d], pa.timestamp("us", "Asia/Tokyo")),
        lambda d: pa.array([f"{x:%d/%m/%Y}" for x in d]),
    ],
)
def test_a_birth_date_of_a_minor_is_withheld(form: Any) -> None:
    """Until the day before the 18th birthday, in every form; a date in the future is implausible."""
    dates = [dt.date(2025, 10, 24), AS_OF, dt.date(2020, 1, 1), dt.date(2013, 5, 5), dt.date(2007, 10, 24), dt.date(2007, 10, 23)]
    rows = judged(RowRules(AgesConfig(), AS_OF, "%d/%m/%Y"), birth_date=form(dates))
    assert [is_hidden(row) for row in rows] == [False, True, True, True, True, False]
    assert (rows[0]["implausible_age"], rows[-1]["known_age"]) == (True, 18)


def test_any_column_that_says_so_counts() -> None:
    """Whatever the precedence; what cannot be read, or is implausible, says nothing."""
    columns = {
        "approximate_age": pa.array([40, None, 12, -1, None, 150, 40]),
        "birth_date": pa.array([dt.date(2012, 1, 1), dt.date(1980, 1, 1), None, dt.date(2010, 1, 1), None, None, None]),
        "birth_year": pa.array(["1980", "2010", "oops", "1800", "2030", "2008", "oops"]),
    }
    for precedence in (("approximate_age", "birth_date", "birth_year"), ("birth_year",)):
        rows = judged(RowRules(AgesConfig(precedence=precedence), AS_OF), **columns)
        assert [is_hidden(row) for row in rows] == [True, True, True, True, False, True, False]


@pytest.mark.parametrize(("age", "hidden", "needs"), [(0, False, True), (0.4, False, True), (1, True, False), (17.9, True, False)])
def test_zero_may_stand_for_nothing(age: float, hidden: bool, needs: bool) -> None:
    """With ages.zero = "missing" an age of 0 is no value: neither withheld nor implausible."""
    rules = RowRules(AgesConfig(zero="missing"), AS_OF)
    (row,) = judged(rules, approximate_age=pa.array([age]), birth_year=pa.array([None], pa.int32()))
    assert (is_hidden(row), row["needs_prediction"], row["implausible_age"]) == (hidden, needs, False)
    assert judged(rules, approximate_age=pa.array([age]), birth_year=pa.array([2015]))[0]["withheld"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"min_age": 40}, "ages.default must not be below ages.min_age"),
        ({"min_age": 100, "default": 100}, "ages.min_age must be below ages.max"),
        ({"withhold_probability": 0.0}, "greater than 0"),
        ({"min_age": -1}, "greater than or equal to 0"),
        ({"zero": "unknown"}, "'minor' or 'missing'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], said: str) -> None:
    """Each with a sentence that names the setting."""
    with pytest.raises(ValidationError, match=said):
        AgesConfig(**settings)
    assert AgesConfig(min=20).youngest == 20
    assert AgesConfig(min_age=0).youngest == 14
