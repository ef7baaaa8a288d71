"""Which pid and which age counts: the table of odd values, for every column type they can come in."""

import datetime as dt

import pyarrow as pa
import pytest

from predict_age.config import AgesConfig
from predict_age.source.row_rules import RowRules, connect

RULES = RowRules(AgesConfig(), dt.date(2025, 10, 23))


def judge(pid: object = 1, birth_year: object = None, approximate_age: object = None, rules: RowRules = RULES) -> dict[str, object]:
    raw = pa.table({"pid": pa.array([pid]), "birth_year": pa.array([birth_year]), "approximate_age": pa.array([approximate_age])})
    return rules.canonical(connect(), raw).to_pylist()[0]


@pytest.mark.parametrize(
    ("pid", "expected", "problem"),
    [
        (0, 0, None),
        (-5, -5, None),
        (2**53 + 1, 2**53 + 1, None),
        (2**63 - 1, 2**63 - 1, None),
        ("42", 42, None),
        (" 7 ", 7, None),
        ("9007199254740993", 2**53 + 1, None),
        ("12.0", 12, None),
        (12.0, 12, None),
        ("-3", -3, None),
        (None, None, "pid_missing"),
        ("", None, "pid_missing"),
        ("  ", None, "pid_missing"),
        (float("nan"), None, "pid_missing"),
        ("abc", None, "pid_not_an_integer"),
        (12.7, None, "pid_not_an_integer"),
        ("12.7", None, "pid_not_an_integer"),
        (True, None, "pid_not_an_integer"),
        ("true", None, "pid_not_an_integer"),
        ("1e3", None, "pid_not_an_integer"),
        ("9223372036854775808", None, "pid_out_of_range"),
        ("1" * 40, None, "pid_out_of_range"),
        ("=cmd()", None, "pid_not_an_integer"),
    ],
)
def test_pid(pid: object, expected: int | None, problem: str | None) -> None:
    """A pid is a whole number that fits 64 bits, or the row is set aside with the reason."""
    row = judge(pid)
    assert (row["pid"], row["problem"]) == (expected, problem)


@pytest.mark.parametrize(
    ("birth_year", "age", "known", "source", "odd"),
    [
        (1985, None, 40, "EXISTING_BIRTH_YEAR", None),
        (None, 40, 40, "EXISTING_APPROX_AGE", None),
        ("1985", None, 40, "EXISTING_BIRTH_YEAR", None),
        (1985.0, None, 40, "EXISTING_BIRTH_YEAR", None),
        (1985, 41, 41, "EXISTING_APPROX_AGE", None),
        (1985, 42, 42, "EXISTING_APPROX_AGE", None),  # two years apart, which is still allowed
        (1985, 43, 43, "EXISTING_APPROX_AGE", "conflicting_age"),
        (1985, 60, 60, "EXISTING_APPROX_AGE", "conflicting_age"),
        (1850, None, None, None, "implausible_age"),
        (2031, None, None, None, "implausible_age"),
        (0, None, None, None, "implausible_age"),
        (-1, None, None, None, "implausible_age"),
        (None, 0, None, None, "withheld"),
        (None, 150, None, None, "implausible_age"),
        (None, -3, None, None, "implausible_age"),
        (1850, 33, 33, "EXISTING_APPROX_AGE", "implausible_age"),
        (1990, 150, 35, "EXISTING_BIRTH_YEAR", "implausible_age"),
        ("nineteen", None, None, None, "unreadable_age"),
        ("true", None, None, None, "unreadable_age"),
        (None, 33.5, 33, "EXISTING_APPROX_AGE", None),
        (2007, None, 18, "EXISTING_BIRTH_YEAR", None),
        (2008, None, None, None, "withheld"),
        (2012, None, None, None, "withheld"),
        (1925, None, 100, "EXISTING_BIRTH_YEAR", None),
        (None, None, None, None, None),
        ("", "", None, None, None),
    ],
)
def test_known_age(birth_year: object, age: object, known: int | None, source: str | None, odd: str | None) -> None:
    """One precedence, a plausibility window at as_of, and every oddity is counted under its name."""
    row = judge(1, birth_year, age)
    assert (row["known_age"], row["known_source"]) == (known, source)
    assert row["needs_prediction"] == (known is None and odd != "withheld")
    oddities = ("conflicting_age", "implausible_age", "unreadable_age", "withheld")
    assert {k for k in oddities if row[k]} == ({odd} if odd else set())


@pytest.mark.parametrize(("age", "known", "odd"), [(0, None, True), (13, None, True), (14, 14, False), (17, 17, False)])
def test_where_nobody_is_withheld_the_window_decides(age: int, known: int | None, odd: bool) -> None:
    """With ages.min_age = 0, ages from ages.min are known ones, and younger ones implausible."""
    row = judge(1, None, age, RowRules(AgesConfig(min_age=0), dt.date(2025, 10, 23)))
    assert (row["known_age"], row["implausible_age"], row["withheld"]) == (known, odd, False)


def test_as_of_decides_the_age() -> None:
    """The same birth year is another age a year later: no clock is involved."""
    later = RowRules(AgesConfig(), dt.date(2026, 1, 1))
    assert judge(1, 1985, rules=later)["known_age"] == 41


def test_precedence_is_configurable() -> None:
    """Birth year first, when so configured."""
    rules = RowRules(AgesConfig(precedence=("birth_year", "approximate_age")), dt.date(2025, 10, 23))
    assert judge(1, 1985, 60, rules)["known_age"] == 40


def test_order_is_kept() -> None:
    """Row i of the answer is row i of the question."""
    raw = pa.table({"pid": pa.array(range(100_000)), "birth_year": pa.nulls(100_000), "approximate_age": pa.nulls(100_000)})
    assert RULES.canonical(connect(), raw)["pid"].to_pylist() == list(range(100_000))
