"""Values of people in any dress: whatever type, format or machine they come from, the same people have the same ids and ages."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import TINY, tiny_run, write_jsonl
from faults import call
from predict_age.config import AgesConfig, SourceConfig
from predict_age.errors import InputError
from predict_age.source.column_names import check_columns
from predict_age.source.column_types import check_types
from predict_age.source.discovery import list_source
from predict_age.source.row_group_reader import (
    Split,
    flat_profile,
    open_parquet,
    profile_text,
    read_split,
    source_splits,
    splits_of_file,
)
from predict_age.source.row_rules import RowRules, connect
from predict_age.source.text_readers import read_text

AS_OF = dt.date(2025, 10, 23)
RULES = RowRules(AgesConfig(), AS_OF)


def judged(
    tmp_path: Path, rules: RowRules = RULES, source: SourceConfig | None = None, **columns: pa.Array
) -> list[dict[str, object]]:
    """Canonical rows of a Parquet file with these columns."""
    rows = len(next(iter(columns.values())))
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.parquet"
    pq.write_table(pa.table({"pid": pa.array(range(rows)), **columns, "profile_json": pa.array(["{}"] * rows)}), path)
    split = Split(0, 0, str(path), 0, rows, 0, False)
    [piece] = read_split(split, source or SourceConfig(), with_profile=False)
    return rules.canonical(connect(), piece.raw).to_pylist()


BIG, ROUND = 2**53 + 1, 2**24 + 1


@pytest.mark.parametrize(
    ("pids", "expected"),
    [
        (pa.array([16777215, 16777216], pa.float32()), [16777215, "pid_not_an_integer"]),
        (pa.array([-16777215, -16777216], pa.float32()), [-16777215, "pid_not_an_integer"]),
        (pa.array([2**53 - 1, 2**53], pa.float64()), [2**53 - 1, "pid_not_an_integer"]),
        (pa.array([2047.0, 2048.0, -2048.0]).cast(pa.float16()), [2047, "pid_not_an_integer", "pid_not_an_integer"]),
        (pa.array([1.0, float("nan"), None, float("inf"), 1e300]), [1, "pid_missing", "pid_missing", *["pid_not_an_integer"] * 2]),
        (pa.array([BIG, 7], pa.uint64()), [BIG, 7]),
        (pa.array([2**63 - 1, 2**63, 2**64 - 1], pa.uint64()), [2**63 - 1, "pid_out_of_range", "pid_out_of_range"]),
        (pa.array([BIG, ROUND]).dictionary_encode(), [BIG, ROUND]),
        (pa.array([float(ROUND), 2.0**53]).dictionary_encode(), [ROUND, "pid_not_an_integer"]),
        (pa.array([Decimal(BIG), Decimal(0)], pa.decimal128(20, 0)), [BIG, 0]),
        (pa.array([Decimal("9007199254740993.00"), Decimal("1.50")], pa.decimal128(20, 2)), [BIG, "pid_not_an_integer"]),
        (pa.array([Decimal("9007199254740993.00"), Decimal("0")], pa.decimal256(60, 10)), [BIG, 0]),
        (pa.array([Decimal("12.0")], pa.decimal32(5, 1)), [12]),
        (pa.array(["9007199254740993", "\t12\u00a0", "12.00", "1e3", "0x10"]), [BIG, 12, 12, *["pid_not_an_integer"] * 2]),
        (pa.array(["9007199254740993"], pa.large_string()), [BIG]),
        (pa.array(["9007199254740993", "1"], pa.string_view()), [BIG, 1]),
        (pa.array([b"42"], pa.binary()), [42]),
        (pa.array([b"42"], pa.binary_view()), [42]),
        (pa.array([b"42"], pa.binary(2)), [42]),
        (pa.array([True, False, None]), ["pid_not_an_integer", "pid_not_an_integer", "pid_missing"]),
        (pa.array([5, -5], pa.int8()), [5, -5]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_ids_are_exact_or_rejected(tmp_path: Path, pids: pa.Array, expected: list[object]) -> None:
    """No type of an id column merges neighbours: a number that its type does not hold exactly is rejected."""
    rows = judged(tmp_path, pid=pids)
    assert [row["pid"] if row["pid"] is not None else row["problem"] for row in rows] == expected


DATES = [dt.date(1985, 10, 23), dt.date(1985, 10, 24), None, dt.date(1850, 1, 1), dt.date(2004, 2, 29)]
AGES = [40, 39, None, None, 21]


def _utc(day: dt.date | None) -> dt.datetime | None:
    return day and dt.datetime(day.year, day.month, day.day, 23, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "column",
    [
        pa.array(DATES, pa.date32()),
        pa.array(DATES, pa.date64()),
        pa.array([d and d.isoformat() for d in DATES]),
        pa.array([d and f" {d.isoformat()}T23:00:00+09:00" for d in DATES], pa.large_string()),
        pa.array([d and f"{d:%Y%m%d}" for d in DATES]),
        pa.array([d and f"{d:%Y%m%d}.0" for d in DATES]),
        pa.array([d and int(f"{d:%Y%m%d}") for d in DATES], pa.int32()),
        pa.array([d and float(f"{d:%Y%m%d}") for d in DATES], pa.float64()),
        pa.array([d and Decimal(f"{d:%Y%m%d}") for d in DATES], pa.decimal128(10, 0)),
        pa.array([_utc(d) for d in DATES], pa.timestamp("us", "Asia/Tokyo")),
        pa.array([d and dt.datetime(d.year, d.month, d.day) for d in DATES], pa.timestamp("ns")),
        pa.array([d and dt.datetime(d.year, d.month, d.day) for d in DATES], pa.timestamp("s")),
    ],
    ids=lambda column: str(column.type),
)
def test_dates_of_birth_give_completed_years(tmp_path: Path, column: pa.Array) -> None:
    """Exact years at as_of, the birthday included, whatever a date is written as."""
    rows = judged(tmp_path, birth_date=column)
    assert [row["known_age"] for row in rows] == AGES
    assert [row["known_source"] for row in rows] == [age and "EXISTING_BIRTH_DATE" for age in AGES]
    assert [row["implausible_age"] for row in rows] == [False, False, False, True, False]
    assert not any(row["unreadable_age"] for row in rows)


@pytest.mark.parametrize(("as_of", "age"), [((2025, 2, 28), 20), ((2025, 3, 1), 21), ((2024, 2, 28), 19), ((2024, 2, 29), 20)])
def test_born_on_29_february(tmp_path: Path, as_of: tuple[int, int, int], age: int) -> None:
    """The year is completed on 1 March where there is no 29 February."""
    rules = RowRules(AgesConfig(), dt.date(*as_of))
    assert judged(tmp_path, rules, birth_date=pa.array([dt.date(2004, 2, 29)]))[0]["known_age"] == age


@pytest.mark.parametrize("text", ["12/03/1985", "1985-13-01", "1985-02-30", "850312", "abc", "19851399", "1985-3-12"])
def test_what_is_no_date_is_unreadable(tmp_path: Path, text: str) -> None:
    """A text that may be two dates, or none, is not guessed at."""
    [row] = judged(tmp_path, birth_date=pa.array([text]))
    assert (row["known_age"], row["unreadable_age"]) == (None, True)


@pytest.mark.parametrize(
    ("pattern", "texts", "ages"),
    [
        ("%d/%m/%Y", ["12/03/1985", "1/2/1990", "31/02/1985", "1985-03-12", "19850312"], [40, 35, None, 40, 40]),
        ("%m/%d/%Y", ["12/03/1985", "13/01/1985"], [39, None]),
        ("%d.%m.%Y", ["24.10.1985", "23.10.1985"], [39, 40]),
        ("%d %B %Y", ["3 March 1985", "3 Mars 1985"], [40, None]),
        ("%Y-%d-%m", ["1985-24-10", "1985-10-24"], [39, None]),
    ],
)
def test_declared_date_formats(tmp_path: Path, pattern: str, texts: list[str], ages: list[int | None]) -> None:
    """``source.birth_date_format`` reads what ISO does not."""
    rules = RowRules(AgesConfig(), AS_OF, pattern)
    assert [row["known_age"] for row in judged(tmp_path, rules, birth_date=pa.array(texts))] == ages


@pytest.mark.parametrize("pattern", ["%d/%m/%y", "%Y", "%Y%m", "dd/mm/yyyy"])
def test_a_date_format_names_a_whole_date(pattern: str) -> None:
    """Two-digit years and parts of dates are refused when the configuration is read."""
    with pytest.raises(ValueError, match="birth_date_format"):
        SourceConfig(birth_date_format=pattern)


@pytest.mark.parametrize(
    ("ages", "known"),
    [
        (pa.array([34.7, 34.999999, 13.9, 100.9, -0.5]), [34, 34, None, 100, None]),
        (pa.array([34.75, 13.5], pa.float32()), [34, None]),
        (pa.array([34.5]).cast(pa.float16()), [34]),
        (pa.array([Decimal("34.70"), Decimal("99.99")], pa.decimal128(5, 2)), [34, 99]),
        (pa.array([Decimal("34.70")], pa.decimal256(50, 2)), [34]),
        (pa.array(["34.7", "34.99999999999999999999", " 34 ", "3.47e1", "34,7", "25-34"]), [34, 34, 34, 34, 34, None]),
        (pa.array(["34.7"]).dictionary_encode(), [34]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_fractional_ages_are_completed_years(tmp_path: Path, ages: pa.Array, known: list[int | None]) -> None:
    """34.7 years are 34, in numbers, decimals and text."""
    assert [row["known_age"] for row in judged(tmp_path, approximate_age=ages)] == known


@pytest.mark.parametrize(
    ("years", "known"),
    [
        (pa.array([1985.0, 1985.5, float("nan"), float("inf"), -1e308]), [40, None, None, None, None]),
        (
            pa.array(["1985", "1985.0", "1985.", "1985.5", "+1985", "1985-03-12", "19851224", "NaN"]),
            [40, 40, 40, None, 40, 40, 40, None],
        ),
        (pa.array([19850312, 85, 0, -(2**63), 2**63 - 1]), [40, None, None, None, None]),
        (pa.array([2**64 - 1, 1985], pa.uint64()), [None, 40]),
        (pa.array([dt.date(1985, 12, 31)]), [40]),
        (pa.array([dt.datetime(1985, 12, 31)], pa.timestamp("ms")), [40]),
        (pa.array([Decimal("1985.00"), Decimal("1985.50")], pa.decimal128(10, 2)), [40, None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_years_of_birth(tmp_path: Path, years: pa.Array, known: list[int | None]) -> None:
    """A year in any dress; a date counts by its year; what is neither is no year."""
    assert [row["known_age"] for row in judged(tmp_path, birth_year=years)] == known


EXTREME = [-(2**63), 2**63 - 1, 10**15, -1]


@pytest.mark.parametrize("column", ["birth_year", "approximate_age", "birth_date"])
@pytest.mark.parametrize(
    "values",
    [
        pa.array(EXTREME, pa.int64()),
        pa.array([1e308, -1e308, float("inf"), 5e-324]),
        pa.array([3e38, float("-inf")], pa.float32()),
        pa.array([*map(str, EXTREME), "1e308", "-inf", "9" * 400, "1e999", "\x00", "{}"]),
        pa.array([Decimal("9" * 38), Decimal("-" + "9" * 38)], pa.decimal128(38, 0)),
        pa.array([Decimal("9" * 70)], pa.decimal256(76, 0)),
        pa.array([True, False]),
        pa.array([-(2**31), 2**31 - 1], pa.int32()).cast(pa.date32()),
        pa.array([-(2**62), 2**62], pa.timestamp("us")),
        pa.array([2**53], pa.timestamp("s")),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else value,
)
def test_extreme_ages_are_counted_and_stop_nothing(tmp_path: Path, column: str, values: pa.Array) -> None:
    """Whatever an age column holds, the person is predicted, and the value is implausible or unreadable.

    But for the smallest fraction of a year, which is the age 0: a minor's.
    """
    smallest = 3 if column == "approximate_age" and pa.types.is_float64(values.type) else None
    for number, row in enumerate(judged(tmp_path, **{column: values})):
        assert row["pid"] is not None
        assert row["withheld"] == (number == smallest)
        if row["withheld"]:
            continue
        assert row["needs_prediction"]
        assert row["unreadable_age"] or row["implausible_age"], row


def test_precedence_of_dates_of_birth(tmp_path: Path) -> None:
    """approximate_age, birth_date, birth_year; those that disagree are said; a column left out of the precedence never counts."""
    columns = {
        "approximate_age": pa.array([30, None, None, 40]),
        "birth_date": pa.array([dt.date(1985, 1, 1), dt.date(1985, 12, 1), None, dt.date(1985, 1, 1)]),
        "birth_year": pa.array([1985, 1985, 1990, 1960]),
    }
    rows = judged(tmp_path, **columns)
    assert [(r["known_age"], r["known_source"]) for r in rows] == [
        (30, "EXISTING_APPROX_AGE"),
        (39, "EXISTING_BIRTH_DATE"),
        (35, "EXISTING_BIRTH_YEAR"),
        (40, "EXISTING_APPROX_AGE"),
    ]
    assert [r["conflicting_age"] for r in rows] == [True, False, False, True]
    only = RowRules(AgesConfig(precedence=("birth_year",)), AS_OF)
    assert [r["known_age"] for r in judged(tmp_path, only, **columns)] == [40, 40, 35, 65]


@pytest.mark.parametrize("column", ["pid", "birth_year", "approximate_age", "birth_date"])
@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.int64()), pa.struct([("a", pa.int64())]), pa.map_(pa.string(), pa.int64()), pa.duration("s"), pa.time32("s")],
)
def test_types_that_hold_no_value_are_named(column: str, kind: pa.DataType) -> None:
    """The error names file, column and type."""
    schema = pa.schema([("pid", pa.int64()), ("birth_year", pa.int64()), ("profile_json", pa.string())])
    schema = pa.schema([f for f in schema if f.name != column]).append(pa.field(column, kind))
    with pytest.raises(InputError, match=rf'"{column}" of f\.parquet(.|\n)*found: ') as error:
        check_types(schema, SourceConfig(), "f.parquet")
    assert str(kind) in str(error.value)


@pytest.mark.parametrize("kind", [pa.int64(), pa.bool_(), pa.date32(), pa.float16(), pa.timestamp("us")])
def test_types_that_hold_no_profile_are_named(kind: pa.DataType) -> None:
    """A number is no profile: everybody would get the default age."""
    with pytest.raises(InputError, match=r'"profile_json" of f\.parquet'):
        check_types(pa.schema([("pid", pa.int64()), ("profile_json", kind)]), SourceConfig(), "f.parquet")


PROFILE = {"a": 1, "b": "x", "c": [1, 2]}


@pytest.mark.parametrize(
    "column",
    [
        pa.array([json.dumps(PROFILE), None], pa.string_view()),
        pa.array([json.dumps(PROFILE), None], pa.large_string()),
        pa.array([json.dumps(PROFILE).encode(), None], pa.binary_view()),
        pa.array([json.dumps(PROFILE).encode(), None], pa.large_binary()),
        pa.array([json.dumps(PROFILE), None]).dictionary_encode(),
        pa.array([PROFILE, None]),
    ],
    ids=lambda column: str(column.type)[:20],
)
def test_profiles_in_any_type(column: pa.Array) -> None:
    """Text of every layout, binary and structs are the same profile."""
    found = profile_text(pa.chunked_array([column])).to_pylist()
    assert (json.loads(found[0]), found[1]) == (PROFILE, None)


TWICE = pa.array([[("a", 1), ("b", 2)], [("a", 1), ("a", 2)], None], pa.map_(pa.string(), pa.int64()))


def test_a_key_twice_in_a_map() -> None:
    """A profile that says two things is malformed; an unused map column of a flat file does not matter."""
    assert profile_text(pa.chunked_array([TWICE])).to_pylist() == ['{"a":1,"b":2}', "\x00", None]
    inside = pa.StructArray.from_arrays([TWICE], ["m"])
    assert profile_text(pa.chunked_array([inside])).to_pylist() == ['{"m":{"a":1,"b":2}}', "\x00", '{"m":null}']
    listed = pa.array([[[("a", 1), ("a", 2)]], [[("a", 1)]]], pa.list_(TWICE.type))
    assert profile_text(pa.chunked_array([listed])).to_pylist() == ["\x00", '[{"a":1}]']
    flat = flat_profile(pa.table({"x": pa.array([1, 2, 3]), "m": TWICE}))
    assert [json.loads(text) for text in flat.to_pylist()] == [
        {"x": 1, "m": {"a": 1, "b": 2}},
        {"x": 2, "m": None},
        {"x": 3, "m": None},
    ]


@pytest.mark.parametrize(
    "odd",
    [
        pa.array([1.5, None]).cast(pa.float16()),
        pa.array([Decimal("1" * 70), None], pa.decimal256(76, 0)),
        pa.array([[1.5], None], pa.list_(pa.float32())).cast(pa.list_(pa.float16())),
        pa.array([(1, 2, 3), None], pa.month_day_nano_interval()),
        pa.array([b"\xff\x00", None]),
        pa.array([[Decimal("1.5")], None], pa.list_(pa.decimal256(50, 1))),
        pa.array([3, None], pa.duration("ns")),
        TWICE[1:],
        pa.nulls(2),
        pa.array([[1, 2], None], pa.list_(pa.int64(), 2)),
    ],
    ids=lambda value: str(value.type),
)
def test_odd_columns_of_a_flat_file_do_not_matter(odd: pa.Array) -> None:
    """Whatever type another column has, the profile keeps the columns that can be read."""
    [first, second] = [json.loads(text) for text in flat_profile(pa.table({"x": pa.array([1, 2]), "odd": odd})).to_pylist()]
    assert (first["x"], second["x"]) == (1, 2)


def test_bytes_inside_structs_are_text() -> None:
    """As in columns of their own; what is no UTF-8 is written somehow, and loses nobody."""
    inner = pa.StructArray.from_arrays([pa.array(["Zürich".encode(), None]), pa.array([[b"a"], []])], ["t", "l"])
    assert [json.loads(text) for text in profile_text(pa.chunked_array([inner])).to_pylist()] == [
        {"t": "Zürich", "l": ["a"]},
        {"t": None, "l": []},
    ]
    broken = pa.StructArray.from_arrays([pa.array([b"\xff"]), pa.array([1.5]).cast(pa.float16())], ["t", "x"])
    assert json.loads(profile_text(pa.chunked_array([broken]))[0].as_py())["x"] == 1.5


def test_columns_that_differ_in_case_are_two() -> None:
    """Names are JSON keys as they are: in case, empty, with quotes."""
    table = pa.table({"City": pa.array(["a"]), "city": pa.array([2]), "": pa.array([3]), 'it\'s "x"': pa.array([4])})
    assert json.loads(flat_profile(table)[0].as_py()) == {"City": "a", "city": 2, "": 3, 'it\'s "x"': 4}
    nested = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], ["a", "A"])
    assert json.loads(profile_text(pa.chunked_array([nested]))[0].as_py()) == {"a": 1, "A": 2}


@pytest.mark.parametrize("twice", ["city", "pid", "age", ""])
def test_a_column_name_twice_stops_with_its_name(twice: str) -> None:
    """Nobody can say which of the two is meant."""
    source = SourceConfig(profile_json="*", approximate_age="age")
    with pytest.raises(InputError, match=rf'appears twice in f(.|\n)*found: "{twice}"'):
        check_columns(["pid", "age", "city", "", twice], source, "f")
    check_columns(["pid", "approximate_age", "profile_json", "x", "x"], SourceConfig(), "f")  # not used


@pytest.mark.parametrize(("name", "hint"), [("Birth_Year", "Birth_Year"), ("birth year", "birth year"), ("birthyear", "birthyear")])
def test_a_slip_in_an_age_column_is_named(name: str, hint: str) -> None:
    """Also where no age is needed: people whose age is known would be predicted."""
    for needed in (True, False):
        with pytest.raises(InputError, match=f'no age in f(.|\n)*did you mean "{hint}"'):
            check_columns(["pid", name, "profile_json"], SourceConfig(), "f", ages_needed=needed)
    check_columns(["pid", "profile_json"], SourceConfig(), "f", ages_needed=False)


NESTED = pa.struct([("at", pa.timestamp("ms", "Europe/Berlin")), ("list", pa.list_(pa.timestamp("ns", "UTC")))])


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
def test_times_are_written_in_utc(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's zone decides nothing, for columns, structs, lists and maps."""
    import time

    moment = dt.datetime(2014, 1, 1, 3, 30, tzinfo=dt.UTC)
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        table = pa.table(
            {
                "at": pa.array([moment], pa.timestamp("us", "Asia/Tokyo")),
                "nested": pa.array([{"at": moment, "list": [moment]}], NESTED),
                "map": pa.array([[("k", moment)]], pa.map_(pa.string(), pa.timestamp("s", "UTC"))),
            }
        )
        text = "2014-01-01 03:30:00"
        expected = {"at": text, "nested": {"at": text, "list": [text]}, "map": {"k": text}}
        assert json.loads(flat_profile(table)[0].as_py()) == expected
        assert json.loads(profile_text(table["nested"])[0].as_py()) == expected["nested"]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_half_precision_keeps_its_nulls() -> None:
    """An id that is missing stays missing, and one beyond 2^11 becomes none."""
    from predict_age.source.column_types import plain_values

    column = pa.chunked_array([pa.array(np.array([1, 4096], np.float16)), pa.nulls(1, pa.float16())])
    assert plain_values(column).to_pylist() == [1.0, float("inf"), None]


def test_many_small_row_groups_are_read_together(tmp_path: Path) -> None:
    """10,000 row groups of one row are a few splits, with the rows, positions and canonical rows of one large group."""
    import time

    rows = 10_000
    table = pa.table({"pid": np.arange(rows), "approximate_age": np.arange(rows) % 150, "profile_json": ['{"a": 1}'] * rows})
    pq.write_table(table, tmp_path / "small.parquet", row_group_size=1)
    pq.write_table(table, tmp_path / "large.parquet")
    began = time.process_time()
    codes = pa.array(["a", "b"] * (rows // 2)).dictionary_encode()
    odd = table.set_column(2, "profile_json", pa.StructArray.from_arrays([codes], ["d"])).append_column("approximate", codes)
    pq.write_table(odd, tmp_path / "codes.parquet", row_group_size=1)
    [split] = splits_of_file(
        open_parquet(str(tmp_path / "codes.parquet")).metadata, 0, 0, str(tmp_path / "codes.parquet"), working=False
    )
    coded = SourceConfig(birth_year="approximate")
    [piece] = read_split(split, coded, with_profile=True)
    assert piece.raw["profile"].to_pylist()[:2] == ['{"d":"a"}', '{"d":"b"}']
    assert piece.raw["birth_year"].to_pylist()[:2] == ["a", "b"]
    splits = {n: splits_of_file(open_parquet(str(tmp_path / n)).metadata, 7, 3, str(tmp_path / n), working=False) for n in SIZES}
    assert splits["large.parquet"] == [Split(7, 3, str(tmp_path / "large.parquet"), 0, rows, 0, False)]
    assert (len(splits["small.parquet"]), splits["small.parquet"][0].row_groups) == (1, rows)
    found = {}
    for name, several in splits.items():
        pieces = [piece for split in several for piece in read_split(split, SourceConfig(), with_profile=True)]
        raw = pa.concat_tables([piece.raw for piece in pieces])
        found[name] = (raw, np.concatenate([piece.positions for piece in pieces]).tolist(), RULES.canonical(connect(), raw))
    assert found["small.parquet"] == found["large.parquet"]
    assert found["small.parquet"][1] == list(range(rows))
    assert time.process_time() - began < 10


SIZES = ("small.parquet", "large.parquet")


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([3, 0, 4], [(0, 7, 3)]),
        ([0, 5, 0], [(1, 5, 1)]),
        ([20_000, 5_000, 1], [(0, 25_000, 2), (2, 1, 1)]),
        ([25_001, 1, 1], [(0, 25_001, 1), (1, 2, 2)]),
        ([], []),
    ],
)
def test_row_groups_that_make_a_slice(tmp_path: Path, groups: list[int], expected: list[tuple[int, int, int]]) -> None:
    """As many as fit into one slice; empty ones neither count nor divide; rows stay at their places."""
    schema = pa.schema([("pid", pa.int64())])
    with pq.ParquetWriter(tmp_path / "f.parquet", schema) as writer:
        for rows in groups:
            writer.write_table(pa.table({"pid": np.arange(rows)}, schema=schema), row_group_size=max(rows, 1))
    splits = splits_of_file(pq.read_metadata(tmp_path / "f.parquet"), 0, 0, "f", working=False)
    assert [(s.row_group, s.rows, s.row_groups) for s in splits] == expected
    assert [s.first_row for s in splits] == [sum(s.rows for s in splits[:n]) for n in range(len(splits))]


def test_large_row_groups_stay_alone(tmp_path: Path) -> None:
    """A few people with enormous profiles are a slice of their own."""
    table = pa.table({"pid": np.arange(4), "profile_json": [str(n) * 10_000_000 for n in range(4)]})
    pq.write_table(table, tmp_path / "f.parquet", row_group_size=1, compression="none", use_dictionary=False)
    splits = splits_of_file(pq.read_metadata(tmp_path / "f.parquet"), 0, 0, "f", working=False)
    assert [s.rows for s in splits] == [2, 2]


def forms(tmp_path: Path, **columns: pa.Array) -> list[tuple[str, str, int, str]]:
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.parquet"
    rows = len(next(iter(columns.values())))
    pq.write_table(pa.table({"pid": pa.array(range(rows)), **columns, "profile_json": pa.array(["{}"] * rows)}), path)
    [piece] = read_split(Split(0, 0, str(path), 0, rows, 0, False), SourceConfig(), with_profile=False)
    return [(u.column, u.reason, u.rows, u.form) for u in RULES.unusable(connect(), piece.raw)]


def test_unusable_ages_are_counted_by_reason_and_form(tmp_path: Path) -> None:
    """By column and reason, with the first one's form and never with a value of a person."""
    found = forms(
        tmp_path,
        approximate_age=pa.array(["25-34", "31", "unknown", "150", "Zoë B.\x01", None]),
        birth_year=pa.array([1850, 1985, 9999, None, 2031, 1990]),
        birth_date=pa.array([None, "12/03/1985", "1985-03-12", "0001-01-01", "", " "]),
    )
    assert found == [
        ("approximate_age", "implausible", 1, "999"),
        ("approximate_age", "unreadable", 3, "99-99"),
        ("birth_date", "implausible", 1, "9999-99-99"),
        ("birth_date", "unreadable", 1, "99/99/9999"),
        ("birth_year", "implausible", 3, "9999"),
    ]
    assert forms(tmp_path, birth_year=pa.array([1985, None])) == []
    assert forms(tmp_path, birth_year=pa.array([1850.0])) == [("birth_year", "implausible", 1, "9999.9")]
    assert forms(tmp_path, birth_date=pa.array([dt.date(1850, 1, 2)])) == [("birth_date", "implausible", 1, "9999-99-99")]


def test_unusable_ages_are_said_after_the_result(people_rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """In the terminal, in the JSON, and in the refusal of a source without a known age."""
    rows = [{**row, "approximate_age": 40, "birth_year": None} for row in people_rows[:200]]
    for n in range(25):
        rows[n] = {**rows[n], "approximate_age": "25-34"} if n % 5 else {**rows[n], "approximate_age": None, "birth_year": 1850}
    source = write_jsonl(tmp_path / "people.jsonl", rows)
    done = tiny_run(source, tmp_path / "w")
    assert done.code == 0, done.said
    assert [sentence.split(" values")[0] for sentence in done.run["unusable_ages"]] == ["20", "5"]
    shown = call(["status", "--workspace", tmp_path / "w"])[1]
    assert "20 values of approximate_age cannot be read and were not used; the first has the form 99-99" in shown
    assert "5 values of birth_year lie outside the plausible window" in shown

    write_jsonl(source, [{**row, "approximate_age": "25-34"} for row in rows])
    refused = tiny_run(source, tmp_path / "v")
    assert refused.code == 3
    assert "200 values of approximate_age cannot be read" in refused.said
    assert "a known age for 0 of 200 people with a given age (200 that cannot be used)" in refused.said


RECORDS = {
    "lines": lambda rows: "\n".join(map(json.dumps, rows)),
    "array": json.dumps,
    "pretty": lambda rows: json.dumps(rows, indent=2),
    "people": lambda rows: json.dumps({"people": rows}),
}


@pytest.mark.parametrize("layout", RECORDS)
@pytest.mark.parametrize(
    ("config", "message", "hint"),
    [
        ('profile_json = "profile"', "no profile in", 'did you mean "profile_json"'),
        ('profile_json = "Profile_JSON"', "no profile in", 'did you mean "profile_json"'),
        (
            'approximate_age = "aproximate_age"\nbirth_year = "yob"\nbirth_date = "dob"',
            "no age in",
            'did you mean "approximate_age"',
        ),
        ('birth_year = "birthYear"', "no age in", 'did you mean "birth_year"'),
    ],
)
def test_a_key_that_no_record_has_is_named(
    people_rows: list[dict[str, Any]], tmp_path: Path, layout: str, config: str, message: str, hint: str
) -> None:
    """As a column is that a CSV or Parquet file does not have, whatever the layout: exit code 3 and the key that was meant."""
    source = tmp_path / "people.json"
    source.write_text(RECORDS[layout](people_rows[:120]))
    done = tiny_run(source, tmp_path / "w", config=f"[source]\n{config}\n{TINY}")
    assert done.code == 3, done.said
    assert message in done.said
    assert hint in done.said


@pytest.mark.parametrize("layout", RECORDS)
def test_plan_refuses_what_run_refuses(people_rows: list[dict[str, Any]], tmp_path: Path, layout: str) -> None:
    """A source without an age key, by the same sentence; one with the key and no age has too few people to train on."""
    source = tmp_path / "people.json"
    rows = [{"pid": n, "profile_json": row["profile_json"]} for n, row in enumerate(people_rows[:120])]
    source.write_text(RECORDS[layout](rows))
    done = tiny_run(source, tmp_path / "w")
    code, _, said = call(["plan", "--source", source])
    assert (done.code, code) == (3, 3), (done.said, said)
    sentence = next(line for line in said.splitlines() if "no age in" in line)
    assert sentence in done.said
    source.write_text(RECORDS[layout]([{**row, "birth_year": None} for row in rows]))
    assert "too few people with a known age" in tiny_run(source, tmp_path / "v").said


NO_VALUES = ["NA", "null", "None", "nan", "NaN", "\\N"]


@pytest.mark.parametrize("form", ["jsonl", "quoted csv", "parquet"])
def test_strangers_whose_id_means_no_value_are_not_one_person(form: str, tmp_path: Path) -> None:
    """``str(None)`` and ``str(nan)`` as ids: all such people were one, the others its duplicates. Ages so written are no value either."""
    table = pa.table({"pid": [*NO_VALUES, "NaNa", "a", "b"], "age": ["30"] * 7 + ["NaN", "None"], "profile_json": ["{}"] * 9})
    rows = table.to_pylist()
    if form == "jsonl":
        (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"pid": "c", "age": NaN}\n')
    elif form == "quoted csv":
        lines = ["pid,age,profile_json", *(f'"{r["pid"]}","{r["age"]}","{{}}"' for r in rows)]
        (tmp_path / "a.csv").write_text("\n".join(lines))
    else:
        pq.write_table(table, tmp_path / "a.parquet")

    def read(source: SourceConfig) -> pa.Table:
        [file] = list_source(str(tmp_path), source).files
        if form == "parquet":
            return pa.concat_tables(
                s.raw for split in source_splits(file, 0) for s in read_split(split, source, with_profile=False)
            )
        return pa.concat_tables(chunk.rows for chunk in read_text(file, source))

    made = read(SourceConfig(approximate_age="age"))
    kept = [pid for pid in made["pid"].to_pylist() if pid is not None]
    assert kept == ["NaNa", "a", "b"] + ["c"] * (form == "jsonl")
    assert [age for age in made["approximate_age"].to_pylist()[-3 if form == "jsonl" else -2 :] if age is not None] == []
    made = read(SourceConfig(approximate_age="age", missing_values=("NA",)))
    assert [pid for pid in made["pid"].to_pylist() if pid is not None][:3] == ["null", "None", "nan"]
