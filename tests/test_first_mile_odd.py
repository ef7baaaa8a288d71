"""Odd sources, configurations and feature files: no command ends with an internal error, and plan refuses what run refuses."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import odd_sources
from conftest import AS_OF, TINY, cli, write_jsonl
from predict_age.features.inspection import inspect_features
from predict_age.features.spec import default_text, parse_features
from predict_age.source.column_types import UNREADABLE_TEXT
from predict_age.source.json_layout import detect_layout
from predict_age.source.parquet_file import open_parquet
from predict_age.source.profile_json import flat_profile, profile_text
from predict_age.source.row_group_reader import read_split, splits_of_file
from predict_age.source.row_rules import RowRules, connect
from predict_age.source_config import SourceConfig

SOURCES, CONFIGURATIONS = 90, 40  # `make soak` tries 10,000
FIRST = 20_000  # other numbers than those of `make soak`
PARTS = 3
DEEP, LONG = "[" * 3000 + "]" * 3000, "1" * 5000


@pytest.mark.parametrize("part", range(PARTS))
def test_generated_sources_end_with_a_known_exit_code(part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # where crash files would lie
    failures = []
    for number in range(FIRST + part, FIRST + SOURCES, PARTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        failures += odd_sources.try_source(number, folder, run=number % odd_sources.RUN_EVERY == 1)[1]
    assert not failures, "\n".join(map(str, failures))


def test_generated_configurations_end_with_a_known_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    failures = []
    for number in range(FIRST, FIRST + CONFIGURATIONS):
        folder = tmp_path / str(number)
        folder.mkdir()
        failures += odd_sources.try_configuration(number, folder)[1]
    assert not failures, "\n".join(map(str, failures))


def test_the_driver_sees_an_internal_error_and_a_disagreement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def broken(*_: object) -> None:
        raise IndexError("5 out of bounds")

    with monkeypatch.context() as patch:
        patch.setattr("predict_age.pipeline.estimate.estimate", broken)
        patch.setattr("predict_age.pipeline.feature_check.check_features", broken)
        code, (failure,) = odd_sources.try_source(-1, tmp_path, run=False)
        assert code == 1
        assert "IndexError" in failure.problem
    monkeypatch.setattr(odd_sources, "problem_of", lambda arguments, _: (3 if arguments[0] == "plan" else 0, ""))
    folder = tmp_path / "second"
    folder.mkdir()
    _, (failure,) = odd_sources.try_source(-1, folder, run=True)
    assert failure.problem == "plan ended with 3, run with 0"


@pytest.fixture
def people(tmp_path: Path) -> list[dict[str, object]]:
    return [{"pid": i, "approximate_age": 20 + i % 40, "profile_json": {"tenure_months": i % 40 * 12}} for i in range(60)]


@pytest.mark.parametrize("text", [f"[running]\nworkers = {DEEP}", f"[running]\nworkers = {LONG}", f"[ages]\nmin = 0x{'f' * 5000}"])
@pytest.mark.parametrize("option", ["--config", "--features"])
def test_toml_too_deep_or_too_long_for_python_is_a_configuration_error(
    option: str, text: str, tmp_path: Path, people: list[dict[str, object]]
) -> None:
    source = write_jsonl(tmp_path / "p.jsonl", list(people))
    (tmp_path / "odd.toml").write_text(text)
    said = cli("plan", "--source", source, "--as-of", AS_OF, option, tmp_path / "odd.toml", check=2).stderr
    assert "odd.toml" in said


@pytest.mark.parametrize("value", ["5", '"x"', "[]", "true", "1979-05-27"])
@pytest.mark.parametrize(("section", "option"), [("running", "--workers"), ("limits", "--max-minutes"), ("training", "--tune")])
def test_a_section_that_is_no_table_is_named_though_an_option_overrides_it(
    section: str, option: str, value: str, tmp_path: Path, people: list[dict[str, object]]
) -> None:
    source = write_jsonl(tmp_path / "p.jsonl", list(people))
    (tmp_path / "odd.toml").write_text(f"{section} = {value}")
    command = [
        "run",
        "--source",
        source,
        "--workspace",
        tmp_path / "w",
        "--as-of",
        AS_OF,
        "--config",
        tmp_path / "odd.toml",
        option,
        1,
    ]
    assert f"{section}: " in cli(*command, check=2).stderr


@pytest.mark.parametrize("encoding", ["hex", "base64", "rot13", "zlib", "undefined", "nonsense", "\\u0000"])
def test_an_encoding_that_is_none_of_text_is_a_configuration_error(
    encoding: str, tmp_path: Path, people: list[dict[str, object]]
) -> None:
    source = write_jsonl(tmp_path / "p.jsonl", list(people))
    (tmp_path / "odd.toml").write_text(f'[source]\nencoding = "{encoding}"')
    assert "no encoding of text" in cli("plan", "--source", source, "--config", tmp_path / "odd.toml", check=2).stderr


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["p.jsonl", "p.csv", "p"])
def test_a_file_without_the_mark_of_its_configured_encoding_is_refused(encoding: str, name: str, tmp_path: Path) -> None:
    text = (
        "pid,approximate_age,profile_json\n" + "1,30,{}\n" * 40 if name == "p.csv" else '{"pid": 1, "approximate_age": 30}\n' * 40
    )
    (tmp_path / name).write_text(text)
    (tmp_path / "odd.toml").write_text(f'[source]\nencoding = "{encoding}"\n' + TINY)
    said = cli("plan", "--source", tmp_path / name, "--config", tmp_path / "odd.toml", check=3).stderr
    assert f"{encoding}" in said
    assert "byte order mark" in said or "to fix: " in said


@pytest.mark.parametrize("ids", ["number", "text"])
def test_plan_counts_each_person_with_a_known_age_once(ids: str, tmp_path: Path, people: list[dict[str, object]]) -> None:
    rows = [{**p, "pid": number if ids == "number" else f"person {number}"} for p in people for number in [int(str(p["pid"])) % 19]]
    source = write_jsonl(tmp_path / "p.jsonl", list(rows))
    (tmp_path / "tiny.toml").write_text(TINY)
    common = ["--source", source, "--as-of", AS_OF, "--config", tmp_path / "tiny.toml"]
    for command in (["plan"], ["run", "--workspace", tmp_path / "w"]):
        assert "found: a known age for 19 of 19 people" in cli(*command, *common, check=3).stderr


def test_plan_and_run_give_the_same_reason_where_there_are_several(tmp_path: Path) -> None:
    source = write_jsonl(
        tmp_path / "p.jsonl", [json.dumps({"pid": i, "approximate_age": 30, "profile_json": {"q": 1}}) for i in range(5)]
    )
    common = ["--source", source, "--as-of", AS_OF]
    planned = cli("plan", *common, check=2).stderr
    assert cli("run", *common, "--workspace", tmp_path / "w", check=2).stderr.endswith(planned)


FAR = 2**62  # seconds: beyond DuckDB's longest interval


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize(
    ("kind", "bad", "good"),
    [
        (pa.struct([("d", pa.duration("s"))]), {"d": FAR}, {"d": 5}),
        (pa.list_(pa.duration("ms")), [FAR], [5]),
        (pa.map_(pa.date32(), pa.int64()), [(2**31 - 1, 1)], [(5, 1)]),
        (pa.map_(pa.string(), pa.date32()), [("a", 2**31 - 1)], [("a", 5)]),
        (pa.map_(pa.string(), pa.timestamp("us")), [("a", -(2**62))], [("a", 5)]),
        (pa.struct([("d", pa.date32()), ("n", pa.decimal256(76, 0))]), {"d": 2**31 - 1, "n": 10**70}, {"d": 5, "n": 1}),
    ],
)
def test_a_profile_value_that_cannot_be_written_is_left_out_and_the_others_are_not(
    kind: pa.DataType, bad: object, good: object, flat: bool
) -> None:
    column = pa.chunked_array([pa.array([good, bad, None, good], kind)])
    text = (flat_profile(pa.table({"x": column})) if flat else profile_text(column)).to_pylist()
    assert len(text) == 4
    assert text[0] == text[3]
    assert text[0] not in (None, "{}", '{"x":null}', UNREADABLE_TEXT)
    assert text[1] != text[0]
    assert text[2] == ('{"x":null}' if flat else None)


@pytest.mark.parametrize("encoding", ["utf-7", "utf-16-le"])
def test_half_a_pair_of_utf_16_is_no_character(encoding: str, tmp_path: Path) -> None:
    """Decoders of some encodings let it pass: the file is refused all the same."""
    text = "pid,approximate_age,profile_json\n" + "".join(f"{i},30,\n" for i in range(60)) + "77,30,\udf4f\n"
    data = text.replace("\udf4f", "+308-").encode() if encoding == "utf-7" else text.encode(encoding, "surrogatepass")
    source, config = tmp_path / "p.csv", tmp_path / "odd.toml"
    source.write_bytes(data)
    config.write_text(f'{TINY}\n[source]\nencoding = "{encoding}"\n')
    said = cli("plan", "--source", source, "--as-of", AS_OF, "--config", config, check=3).stderr
    assert f"is not {encoding}" in said


@pytest.mark.parametrize("name", ["p.jsonl", "p.json", "p.csv", "p.ndjson"])
@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0", b"\n", b"\xef\xbb\xbf\r\n"])
def test_a_file_without_a_record_has_no_rows(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    said = cli("plan", "--source", tmp_path, "--as-of", AS_OF, check=3).stderr
    assert "no rows" in said or "no data files" in said


@pytest.mark.parametrize(
    "pids",
    [
        pa.array([2**31 - 1] * 60, pa.int32()).cast(pa.date32()),
        pa.array([2**62] * 60, pa.int64()).cast(pa.timestamp("us")),
        pa.array([2**62] * 60, pa.int64()).cast(pa.duration("s")),
        pa.array([b"\xff"] * 60, pa.binary()),
        pa.array([float("nan")] * 60, pa.float32()),
    ],
    ids=lambda pids: str(pids.type),
)
def test_ids_of_a_type_that_python_cannot_hold_are_no_ids(pids: pa.Array, tmp_path: Path) -> None:
    table = pa.table({"pid": pids, "approximate_age": [30] * 60, "profile_json": ['{"tenure_months": 5}'] * 60})
    pq.write_table(table, tmp_path / "p.parquet")
    for command in (["plan"], ["run", "--workspace", tmp_path / "w"]):
        said = cli(*command, "--source", tmp_path / "p.parquet", "--as-of", AS_OF, check=3).stderr
        assert "pid" in said or "too few people with a known age" in said


def test_people_with_text_ids_are_counted_once_by_plan(tmp_path: Path) -> None:
    """Ids that are equal after trimming are one person, and what is no id is nobody: too few people for plan as for run."""
    ids = [*(f"{' ' * (i % 4)}a{i // 4}" for i in range(76)), *(json.dumps([i]) for i in range(10))]
    people = [{"pid": pid, "approximate_age": 30, "profile_json": {"tenure_months": 5}} for pid in ids]
    source, config = write_jsonl(tmp_path / "p.jsonl", people), tmp_path / "odd.toml"
    config.write_text(TINY + "\n[source]\nmax_set_aside_share = 1.0\n")
    for command in (["plan"], ["run", "--workspace", tmp_path / "w"]):
        said = cli(*command, "--source", source, "--as-of", AS_OF, "--config", config, check=3).stderr
        assert "too few people with a known age" in said


def test_a_first_line_of_thousands_of_columns_is_refused_at_once(tmp_path: Path) -> None:
    """A file without line ends is one header; a wide one that is read names only some of its columns in a message."""
    (tmp_path / "p.csv").write_bytes(b"pid,approximate_age" + b",x" * 2_000_000)
    began = time.process_time()
    assert "2,000,002 columns" in cli("plan", "--source", tmp_path, "--as-of", AS_OF, check=3).stderr
    assert time.process_time() - began < 5
    (tmp_path / "p.csv").write_text("id," + ",".join(f"c{i}" for i in range(2000)) + "\n")
    said = cli("plan", "--source", tmp_path, "--as-of", AS_OF, check=3).stderr
    assert "and 1,901 more" in said
    assert len(said) < 3000


def test_suggestions_are_found_in_bounded_time() -> None:
    """Thousands of keys in the profiles, or very long ones, do not hold up plan."""
    keys = {f"skill_{i}": 1 for i in range(3000)} | {"x" * n: 1 for n in range(5000, 5100)} | {"tenure_month": 1}
    profiles = pa.chunked_array([[json.dumps(keys)] * 50 + [json.dumps({"tenure_month": 1})]])
    began = time.process_time()
    coverage = inspect_features(connect(), profiles, parse_features(default_text(), "test"), dt.date(2025, 1, 1))
    assert time.process_time() - began < 10
    assert next(row for row in coverage if row.feature == "tenure_years").suggestion == "tenure_month"


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_many_small_files_are_planned_together(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement of SQL for many files, not one for each; what plan says is the same as for one file with the same people."""
    people = [
        {"pid": i if i % 50 else "x", "birth_year": 1950 + i % 60, "profile_json": '{"tenure_months": 5}'} for i in range(240)
    ]
    config = tmp_path / "odd.toml"
    config.write_text(TINY + "\n[source]\nmax_set_aside_share = 1.0\n")
    asked = 0
    ask = RowRules.canonical

    def counting(self: RowRules, *arguments: Any) -> pa.Table:
        nonlocal asked
        asked += 1
        return ask(self, *arguments)

    monkeypatch.setattr(RowRules, "canonical", counting)
    plans = []
    for files in (1, 120):
        folder = tmp_path / str(files)
        folder.mkdir()
        for number in range(files):
            table = pa.Table.from_pylist([{**person, "pid": str(person["pid"])} for person in people[number::files]])
            path = folder / f"{number:03d}.{kind}"
            if kind == "parquet":
                pq.write_table(table, path)
            elif kind == "csv":
                path.write_text(
                    "pid,birth_year,profile_json\n"
                    + "".join(f'{r["pid"]},{r["birth_year"]},"{{""tenure_months"": 5}}"\n' for r in table.to_pylist())
                )
            else:
                write_jsonl(path, [{**r, "profile_json": {"tenure_months": 5}} for r in table.to_pylist()])
        asked = 0
        said = json.loads(cli("plan", "--source", folder, "--as-of", AS_OF, "--config", config, "--workers", 1, "--json").stdout)
        assert 1 <= asked <= 6
        plans.append({key: said[key] for key in ("rows", "known_share", "ages", "odd_ids", "pid_type", "rows_sampled")})
    assert plans[0] == plans[1]


VIEWED = pa.array(["x", "y", None, "z" * 40, "y", "x"])


@pytest.mark.parametrize(
    "kind", [pa.string_view(), pa.binary_view(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())], ids=str
)
def test_rows_are_left_out_of_columns_of_any_text_type(kind: pa.DataType, tmp_path: Path) -> None:
    """Arrow filters no views: the rows that count are read all the same, in any pattern."""
    pq.write_table(pa.table({"pid": range(6), "birth_year": [1980] * 6, "v": VIEWED.cast(kind)}), tmp_path / "p.parquet")
    path, source = str(tmp_path / "p.parquet"), SourceConfig(profile_json="*")
    [split] = splits_of_file(open_parquet(path).metadata, 0, 0, path, working=False)
    for pattern in ([1, 0, 1, 1, 0, 1], [0, 1, 1, 1, 1, 0], [1] * 6, [0, 0, 0, 0, 0, 1]):
        keep = np.array(pattern, np.bool_)
        [piece] = read_split(split, source, with_profile=True, only=keep)
        assert piece.raw["pid"].to_pylist() == piece.positions.tolist() == np.flatnonzero(keep).tolist()
        assert [json.loads(text).get("v") for text in piece.raw["profile"].to_pylist()] == VIEWED.filter(pa.array(keep)).to_pylist()


@pytest.mark.parametrize("options", [{}, {"store_schema": False}, {"use_dictionary": False, "data_page_version": "2.0"}], ids=str)
def test_a_parquet_file_with_a_damaged_footer_is_refused_or_read(options: dict[str, Any], tmp_path: Path) -> None:
    """Bits of the footer are changed, one file each, in another process: Arrow must not end it, and no error may escape."""
    columns = {
        "pid": [1, 2, 3],
        "birth_year": [1980, None, 1990],
        "profile_json": ['{"ä":1}', "{}", None],
        "naïve": ["x", "y", None],
    }
    nested = {"s": [{"a": 1}, None, {"a": 2}], "when": pa.array([1, 2, 3], pa.timestamp("us", "UTC"))}
    pq.write_table(pa.table(columns | nested), tmp_path / "p.parquet", **options)
    done = subprocess.run(
        [sys.executable, "-c", DAMAGING, str(tmp_path / "p.parquet")], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-1500:]
    counts = json.loads(done.stdout)
    assert counts["refused"] > 100 and counts["read"] > 20, counts


DAMAGING = """
import collections, json, random, sys
from pathlib import Path
from predict_age.errors import InputError
from predict_age.source.column_names import check_columns
from predict_age.source.column_types import check_types
from predict_age.source.json_layout import detect_layout
from predict_age.source.parquet_file import open_parquet
from predict_age.source.row_group_reader import _cached_file, read_split, splits_of_file
from predict_age.source_config import SourceConfig
path, counts, draw = sys.argv[1], collections.Counter(), random.Random(3)
good = Path(path).read_bytes()
footer = len(good) - 8 - int.from_bytes(good[-8:-4], "little")
for number in range(260):
    damaged = bytearray(good)
    at = draw.randrange(footer, len(good) - 8)
    damaged[at] = draw.choice([damaged[at] ^ (1 << draw.randrange(8)), draw.randrange(256)])
    Path(path).write_bytes(damaged)
    _cached_file.cache_clear()
    for source in (SourceConfig(), SourceConfig(profile_json="*")):
        try:
            file = open_parquet(path)
            check_columns(file.schema_arrow.names, source, path)
            check_types(file.schema_arrow, source, path)
            for split in splits_of_file(file.metadata, 0, 0, path, working=False):
                for profiles in (False, True):
                    assert sum(piece.raw.num_rows for piece in read_split(split, source, with_profile=profiles)) == split.rows
            counts["read"] += 1
        except InputError:
            counts["refused"] += 1
print(json.dumps(counts))
"""


def test_more_columns_than_memory_holds_are_written_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same objects, key by key, as when all columns are written together; a single column that is too large is said."""
    import duckdb

    from predict_age.source import profile_json

    columns = {
        "a": [1, None],
        "b": ["x,}", ""],
        "c": [{"d": 1}, None],
        '"e"': ["{", "\\"],
        "f": [[], [None]],
        "g": ["\u00e9", "}"],
        "h": [0.5, 2.0],
    }
    table = pa.table(columns)
    whole = flat_profile(table).to_pylist()
    write = profile_json._write_json

    most = [0]

    def small(columns: list[pa.ChunkedArray], expression: str) -> pa.ChunkedArray:
        if len(columns) > most[0]:
            raise duckdb.OutOfMemoryException("full")
        return write(columns, expression)

    monkeypatch.setattr(profile_json, "_write_json", small)
    for most[0] in (1, 2, 3):
        assert flat_profile(table).to_pylist() == whole
    most[0] = 0
    with pytest.raises(duckdb.OutOfMemoryException):
        profile_json._objects([("a", table["a"])])


@pytest.mark.parametrize("first", ["[1, 2]", "[]", '["pid"]', "[[1], [2]]"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_a_first_line_that_is_no_object_is_one_rejected_record(first: str, ends: str) -> None:
    """JSON lines that begin with an array of values are lines, whose other records count; an array of records stays one."""
    record = '{"pid": 1, "profile_json": {}}'
    assert detect_layout(ends.join([first, record, record, ""]), {"pid"}).startswith("lines")
    assert detect_layout(ends.join(["[", f"{record},", record, "]"]), {"pid"}) == "array"
    assert detect_layout(f"[{record}]", {"pid"}) == detect_layout("[]", {"pid"}) == detect_layout(f"[ ]{ends}", {"pid"}) == "array"
