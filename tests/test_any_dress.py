"""The same people in any dress: format, dialect, encoding, type, layout, compression and folders change neither ids, ages nor features."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import TINY, result_rows, tiny_run
from predict_age.config import AgesConfig, SourceConfig
from predict_age.features.extract import extract_features
from predict_age.source.convert import TextFile, convert
from predict_age.source.discovery import list_source
from predict_age.source.parquet_file import open_parquet
from predict_age.source.profile_hash import profile_keys
from predict_age.source.row_group_reader import read_split, splits_of_file
from predict_age.source.row_rules import RowRules, connect
from predict_age.source.text_readers import read_text

AS_OF = dt.date(2025, 10, 23)
EXAMPLES = int(os.environ.get("ANY_DRESS_EXAMPLES", "25"))
FLAT, NESTED = SourceConfig(profile_json="*", approximate_age="age"), SourceConfig(profile_json="profile", approximate_age="age")
FEATURES = """format = 1
[features.level]
kind = "number"
meaning = "m"
path = "level"
min = -1000
max = 1000
default = 0
[features.level_name]
kind = "category"
meaning = "m"
path = "level"
[features.department]
kind = "category"
meaning = "m"
path = "department"
[features.rank]
kind = "ordered"
meaning = "m"
path = "department"
levels = ["Z\u00fcrich", "STRASSE", "a, b; c"]
default = 0
[features.since]
kind = "date"
meaning = "m"
path = "since"
max = 60
default = 5
[features.active]
kind = "boolean"
meaning = "m"
path = "active"
[features.pay]
kind = "number"
meaning = "m"
path = "pay"
min = 0
max = 1000000
default = 0
"""
DEPARTMENTS = ("Z\u00fcrich", "stra\u00dfe", "a, b; c", 'it\'s "x"', "x | y", "O'Hara", "plain", None)
OWN = ("pid", "age", "birth_date")


@dataclass(frozen=True)
class Person:
    """A person, with all that is known about them."""

    pid: int
    age: int | None
    birth_date: dt.date | None
    level: int | None
    department: str | None
    since: int | None
    active: bool | None
    pay: float | None


PERSON = st.builds(
    Person,
    st.integers(-(2**23), 2**23),
    st.none() | st.integers(0, 120),
    st.none() | st.dates(dt.date(1900, 1, 1), dt.date(2025, 12, 31)),
    st.none() | st.integers(-20, 120),
    st.sampled_from(DEPARTMENTS),
    st.none() | st.integers(1970, 2025),
    st.none() | st.booleans(),
    st.none() | st.integers(0, 4000).map(lambda quarters: quarters / 4),
)
PEOPLE = st.lists(PERSON, min_size=1, max_size=12, unique_by=lambda person: person.pid)


def expected(people: list[Person]) -> list[tuple[int, int | None]]:
    """Ids and known ages, by hand."""
    rows = []
    for p in people:
        born = p.birth_date
        years = None if born is None else AS_OF.year - born.year - ((AS_OF.month, AS_OF.day) < (born.month, born.day))
        given = [age for age in (p.age, years) if age is not None]
        known = [age for age in given if 18 <= age <= 100]
        is_minor = any(0 <= age < 18 for age in given)
        rows.append((p.pid, known[0] if known and not is_minor else None))
    return sorted(rows)


def canonical(path: Path, source: SourceConfig, scratch: Path) -> list[tuple[Any, ...]]:
    """Ids, known ages and features of a source, ordered by id: as the steps read them, but in this process."""
    rows: list[tuple[Any, ...]] = []
    rules, connection = RowRules(AgesConfig(), AS_OF), connect()
    for number, file in enumerate(list_source(str(path), source).files):
        working = file.format != "parquet"
        place = file.path
        if working:
            [made] = convert([TextFile(number, file, False)], source, scratch / "working", scratch / "rejected")
            assert not made.broken
            place = made.path
        for split in splits_of_file(open_parquet(place).metadata, 0, number, place, working=working, **partition_of(file, working)):
            for piece in read_split(split, source, with_profile=True):
                judged = rules.canonical(connection, piece.raw)
                made_of = extract_features(connection, piece.raw["profile"], FEATURES, AS_OF, kernels=False)
                assert made_of.problem.null_count == len(made_of.problem)
                features = made_of.with_text_categories()
                columns = [judged["pid"], judged["known_age"], judged["known_source"], *features.columns]
                rows += zip(*(column.to_pylist() for column in columns), strict=True)
    return sorted(rows, key=lambda row: row[0])


def partition_of(file: Any, working: bool) -> dict[str, Any]:
    return {} if working else {"partition": file.partition}


# One table of all dresses: each writes people below a folder and returns the source's settings.
Writer = Callable[[list[Person], Path, random.Random], SourceConfig]


def plain(person: Person) -> dict[str, Any]:
    return {name: getattr(person, name) for name in ("pid", *OWN[1:], "level", "department", "since", "active", "pay")}


def text_of(value: Any, draw: random.Random) -> str:
    """A value as programs write it into CSV."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return draw.choice(["true", "True", "TRUE"] if value else ["false", "False", "FALSE"])
    if isinstance(value, dt.date):
        return draw.choice([value.isoformat(), f"{value:%Y%m%d}"])
    if isinstance(value, int):
        return draw.choice([str(value), f"{value}.0"])
    return str(value)


DIALECTS: dict[str, dict[str, Any]] = {
    "comma": {"delimiter": ","},
    "semicolon": {"delimiter": ";"},
    "tab": {"delimiter": "\t"},
    "pipe": {"delimiter": "|"},
    "quoted": {"delimiter": ",", "quoting": csv.QUOTE_ALL, "lineterminator": "\r\n"},
}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1252")


def packed(path: Path, data: bytes, draw: random.Random) -> None:
    """Write bytes plain, by gzip or by zstd."""
    how = draw.choice(["", ".gz", ".zst"])
    content = {"": lambda: data, ".gz": lambda: gzip.compress(data), ".zst": lambda: pa.compress(data, "zstd", asbytes=True)}[how]()
    path.with_name(path.name + how).write_bytes(content)


def parts(people: list[Person], draw: random.Random) -> list[list[Person]]:
    """One file or some."""
    people = draw.sample(people, len(people))
    cut = draw.randint(0, len(people)) if draw.random() < 0.5 else 0
    return [some for some in (people[:cut], people[cut:]) if some]


def as_csv(people: list[Person], folder: Path, draw: random.Random) -> SourceConfig:
    """CSV of five dialects in four encodings."""
    for number, some in enumerate(parts(people, draw)):
        dialect = draw.choice(list(DIALECTS))
        names = list(plain(some[0]))
        draw.shuffle(names)
        stream = io.StringIO()
        writer = csv.writer(stream, **{"lineterminator": "\n", **DIALECTS[dialect]})
        writer.writerow(names)
        writer.writerows([text_of(plain(p)[name], draw) for name in names] for p in some)
        encoding = draw.choice(ENCODINGS)
        packed(folder / f"p{number}.{'tsv' if dialect == 'tab' else 'csv'}", stream.getvalue().encode(encoding), draw)
    return FLAT


def json_text(rows: list[dict[str, Any]], layout: str, *, escaped: bool) -> str:
    """Records as JSON in one of its layouts."""
    each = [json.dumps(row, ensure_ascii=escaped, indent=1 if layout == "pretty lines" else None) for row in rows]
    if layout in ("pretty", "around"):
        return json.dumps(
            rows if layout == "pretty" else {"people": rows}, ensure_ascii=escaped, indent=2 if layout == "pretty" else None
        )
    if layout == "array":
        return "[" + ",".join(each) + "]"
    return "".join(each) if layout == "concatenated" else "\n".join(each) + "\n"


def as_json(people: list[Person], folder: Path, draw: random.Random) -> SourceConfig:
    """JSON lines, an array, one object around it, pretty-printed, concatenated; flat or with a nested profile."""
    nested = draw.random() < 0.5
    for number, some in enumerate(parts(people, draw)):
        rows = []
        for p in some:
            values = {k: v for k, v in plain(p).items() if v is not None or draw.random() < 0.5}
            values |= {k: draw.choice([v, float(v), str(v)]) for k, v in values.items() if type(v) is int}
            values |= {k: v.isoformat() for k, v in values.items() if isinstance(v, dt.date)}
            if nested:
                profile: Any = {k: v for k, v in values.items() if k not in OWN}
                values = {k: v for k, v in values.items() if k in OWN} | {
                    "profile": json.dumps(profile) if draw.random() < 0.3 else profile
                }
            rows.append(values)
        layout = draw.choice(["lines", "array", "pretty", "around", "concatenated", "pretty lines"])
        text = json_text(rows, layout, escaped=draw.random() < 0.5)
        packed(folder / f"p{number}.{draw.choice(['json', 'jsonl', 'ndjson'])}", text.encode(), draw)
    return NESTED if nested else FLAT


WHOLE: list[Callable[[list[Any]], pa.Array]] = [
    lambda v: pa.array(v, pa.int64()),
    lambda v: pa.array(v, pa.int32()),
    lambda v: pa.array(v, pa.float64()),
    lambda v: pa.array(v, pa.float32()),
    lambda v: pa.array([x and Decimal(x) if x is not None else None for x in v], pa.decimal128(20, 0)),
    lambda v: pa.array([None if x is None else Decimal(x) for x in v], pa.decimal128(20, 2)),
    lambda v: pa.array([None if x is None else Decimal(x) for x in v], pa.decimal256(45, 3)),
    lambda v: pa.array([None if x is None else str(x) for x in v], pa.string()),
    lambda v: pa.array([None if x is None else f"{x}.0" for x in v], pa.large_string()),
    lambda v: pa.array([None if x is None else str(x) for x in v], pa.string_view()),
    lambda v: pa.array([None if x is None else str(x).encode() for x in v], pa.binary()),
    lambda v: pa.array(v, pa.int64()).dictionary_encode(),
    lambda v: pa.array([None if x is None else str(x) for x in v], pa.string()).dictionary_encode(),
]
SMALL: list[Callable[[list[Any]], pa.Array]] = [
    *WHOLE,
    lambda v: pa.array(v, pa.int8()),
    lambda v: pa.array([None if x is None else np.float16(x) for x in v], pa.float16()),
]
DATES: list[Callable[[list[Any]], pa.Array]] = [
    lambda v: pa.array(v, pa.date32()),
    lambda v: pa.array(v, pa.date64()),
    lambda v: pa.array([d and dt.datetime(d.year, d.month, d.day, 12) for d in v], pa.timestamp("ms")),
    lambda v: pa.array([d and dt.datetime(d.year, d.month, d.day, 12, tzinfo=dt.UTC) for d in v], pa.timestamp("us", "UTC")),
    lambda v: pa.array([d and dt.datetime(d.year, d.month, d.day, 12, tzinfo=dt.UTC) for d in v], pa.timestamp("ns", "Asia/Tokyo")),
    lambda v: pa.array([d and int(f"{d:%Y%m%d}") for d in v], pa.int64()),
    lambda v: pa.array([d and d.isoformat() for d in v], pa.string()),
    lambda v: pa.array([d and d.isoformat() for d in v], pa.string()).dictionary_encode(),
]
TEXTS: list[Callable[[list[Any]], pa.Array]] = [
    lambda v: pa.array(v, pa.string()),
    lambda v: pa.array(v, pa.large_string()),
    lambda v: pa.array(v, pa.string_view()),
    lambda v: pa.array([x and x.encode() for x in v], pa.binary()),
    lambda v: pa.array(v, pa.string()).dictionary_encode(),
]
FLOATS: list[Callable[[list[Any]], pa.Array]] = [
    lambda v: pa.array(v, pa.float64()),
    lambda v: pa.array(v, pa.float32()),
    lambda v: pa.array([None if x is None else Decimal(str(x)) for x in v], pa.decimal128(12, 2)),
    lambda v: pa.array([None if x is None else Decimal(str(x)) for x in v], pa.decimal256(40, 4)),
    lambda v: pa.array([None if x is None else str(x) for x in v], pa.string()),
]
YES_NO: list[Callable[[list[Any]], pa.Array]] = [
    lambda v: pa.array(v, pa.bool_()),
    lambda v: pa.array([None if x is None else int(x) for x in v], pa.int8()),
    lambda v: pa.array([None if x is None else float(x) for x in v], pa.float64()),
    lambda v: pa.array([None if x is None else ("Yes" if x else "NO") for x in v], pa.string()),
]
TYPES = {
    "pid": WHOLE,
    "age": SMALL,
    "birth_date": DATES,
    "level": SMALL,
    "department": TEXTS,
    "since": WHOLE,
    "active": YES_NO,
    "pay": FLOATS,
}


def arrow(people: list[Person], draw: random.Random, names: tuple[str, ...] = tuple(TYPES)) -> dict[str, pa.Array]:
    return {name: draw.choice(TYPES[name])([getattr(p, name) for p in people]) for name in names}


def as_parquet(people: list[Person], folder: Path, draw: random.Random) -> SourceConfig:
    """Parquet of every type that holds the values, in row groups of any size; the profile flat, a struct, or text of any layout."""
    shape = draw.choice(["flat", "struct", "text"])
    for number, some in enumerate(parts(people, draw)):
        columns = arrow(some, draw)
        if shape != "flat":
            inner = {name: column for name, column in columns.items() if name not in OWN}
            profile = pa.StructArray.from_arrays(list(inner.values()), list(inner))
            if shape == "text":
                texts = [json.dumps({k: v for k, v in plain(p).items() if k not in OWN}) for p in some]
                profile = draw.choice(TEXTS)(texts)
            columns = {name: columns[name] for name in OWN} | {"profile": profile}
        if draw.random() < 0.3:
            columns["unused"] = pa.array([None if n % 2 else np.float16(n) for n in range(len(some))], pa.float16())
        table = pa.table(columns).select(draw.sample(list(columns), len(columns)))
        groups = (
            1000 if shape == "struct" else draw.choice([1, 2, 5, 1000])
        )  # PyArrow cannot write views inside of structs in slices
        name = f"p{number}.{draw.choice(['parquet', 'pq'])}"
        pq.write_table(table, folder / name, row_group_size=groups, compression="zstd")
    return FLAT if shape == "flat" else NESTED


def as_folders(people: list[Person], folder: Path, draw: random.Random) -> SourceConfig:
    """Hive partitions: a column is in the names of folders; or a folder that is a link to one somewhere else."""
    if draw.random() < 0.5:
        elsewhere = folder.parent / f"{folder.name}-elsewhere"
        elsewhere.mkdir()
        source = draw.choice([as_csv, as_json, as_parquet])(people, elsewhere, draw)
        (folder / "linked").symlink_to(elsewhere, target_is_directory=True)
        return source
    names = tuple(name for name in TYPES if name != "since")
    for since in {p.since for p in people}:
        below = folder / f"since={'__HIVE_DEFAULT_PARTITION__' if since is None else since}"
        below.mkdir()
        some = [p for p in people if p.since == since]
        pq.write_table(pa.table(arrow(some, draw, names)), below / "p.parquet")
    return FLAT


DRESSES: dict[str, Writer] = {"csv": as_csv, "json": as_json, "parquet": as_parquet, "folders": as_folders}


def dressed(people: list[Person], folder: Path, dress: str, seed: int) -> SourceConfig:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(folder.parent / f"{folder.name}-elsewhere", ignore_errors=True)
    folder.mkdir()
    return DRESSES[dress](people, folder, random.Random(seed))


@pytest.mark.parametrize("dress", DRESSES)
def test_same_people_in_any_dress(dress: str, tmp_path: Path) -> None:
    """Ids and ages by hand, features to the bit those of one plain Parquet file."""

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(PEOPLE, st.integers(0, 2**32))
    def check(people: list[Person], seed: int) -> None:
        base = tmp_path / "plain"
        shutil.rmtree(base, ignore_errors=True)
        base.mkdir()
        pq.write_table(
            pa.table({name: TYPES[name][0]([getattr(p, name) for p in people]) for name in TYPES}), base / f"{seed}.parquet"
        )
        rows = canonical(base, FLAT, tmp_path / "scratch")
        assert [row[:2] for row in rows] == expected(people)
        folder = tmp_path / f"d{random.getrandbits(64):x}"
        source = dressed(people, folder, dress, seed)
        assert canonical(folder, source, tmp_path / "scratch") == rows
        shutil.rmtree(folder)

    check()


@pytest.mark.parametrize("dress", ["csv", "json", "parquet"])
def test_whole_runs_of_the_same_people(dress: str, tmp_path: Path) -> None:
    """The published rows of a run are the same whatever the people wear."""
    draw = random.Random(5)
    people = [
        Person(
            n * 7 - 400,
            draw.choice([None, draw.randint(20, 60)]),
            None if n % 3 else dt.date(1960 + n % 40, 1 + n % 12, 1 + n % 28),
            draw.randint(0, 20),
            draw.choice(DEPARTMENTS),
            draw.randint(1980, 2024),
            draw.choice([None, True, False]),
            draw.randint(0, 4000) / 4,
        )
        for n in range(240)
    ]
    features = tmp_path / "features.toml"
    features.write_text(FEATURES)
    plain_folder, folder = tmp_path / "plain", tmp_path / "dressed"
    plain_folder.mkdir()
    pq.write_table(
        pa.table({name: TYPES[name][0]([getattr(p, name) for p in people]) for name in TYPES}), plain_folder / "p.parquet"
    )
    settings_of = {FLAT.profile_json: '"*"', NESTED.profile_json: '"profile"'}
    rows = []
    for where, source in ((plain_folder, FLAT), (folder, dressed(people, folder, dress, 3))):
        config = f'[source]\napproximate_age = "age"\nprofile_json = {settings_of[source.profile_json]}\n{TINY}'
        done = tiny_run(where, tmp_path / f"w-{where.name}", "--features", features, config=config)
        assert done.code == 0, done.said
        rows.append([row[:-1] for row in result_rows(done.workspace)])  # without the model's version, which has read another order
    assert [row[0] for row in rows[0]] == [row[0] for row in rows[1]]
    known = [[row for row in some if row[4].startswith("EXISTING")] for some in rows]
    assert known[0] == known[1]
    assert {row[4] for row in rows[0]} == {row[4] for row in rows[1]} >= {"EXISTING_BIRTH_DATE", "ML_PREDICTION"}


ENDS = {"LF": "\n", "CRLF": "\r\n", "CR": "\r", "blank lines": "\n\n", "blanks": "  \n\t"}


@pytest.mark.parametrize("name", [*ENDS, "array", "concatenated", "around"])
def test_layouts_leave_the_profile_key(name: str, tmp_path: Path) -> None:
    """A flat record has the same profile text, and so the same profile_key, whatever surrounds it in its file."""
    rows = [{"pid": n, "birth_year": 1980, "city": f"c{n}", "note": " x "} for n in range(5)]
    text = "".join(json.dumps(row) + ENDS[name] for row in rows) if name in ENDS else json_text(rows, name, escaped=True)
    path = tmp_path / "people.json"
    path.write_bytes(text.encode())
    [file] = list_source(str(path), FLAT).files
    profiles = [p for chunk in read_text(file, FLAT) for p in chunk.rows["profile_json"].to_pylist()]
    assert profiles == [json.dumps(row) for row in rows]
    alone = pa.chunked_array([[json.dumps(row) for row in rows]])
    assert profile_keys(pa.chunked_array([profiles])).tolist() == profile_keys(alone).tolist()


@pytest.mark.parametrize("profile", ['{"a": {"b": 1, "b": 2}}', '{"a": {"b": 1, "c": {}, "b": 2}, "x": [{"b": 3, "b": 4}]}'])
@pytest.mark.parametrize("kernels", [True, False])
def test_of_keys_that_stand_twice_deep_inside_the_first_counts(profile: str, kernels: bool) -> None:
    """Below the first level of the profile no key is refused; SQL and kernels both take the first, as docs/data-contract.md says."""
    text = 'format = 1\n[features.deep]\nkind = "number"\npath = "a.b"\nmin = 0\nmax = 9\ndefault = 0\nmeaning = "m"\n'
    profiles = pa.chunked_array([[profile] * 5_000])
    made = extract_features(connect(), profiles, text, dt.date(2025, 10, 23), kernels=kernels)
    assert set(made.columns["deep"].to_pylist()) == {1.0}
