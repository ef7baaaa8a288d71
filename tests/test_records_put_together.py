"""People inside one record, files put together, escapes and packing: each person is read, or the file is refused."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from predict_age.config import AgesConfig, SourceConfig, load_config
from predict_age.errors import ConfigError, InputError
from predict_age.proposal.sample import sample_source
from predict_age.runs.run import RunPlan
from predict_age.source import text_stream
from predict_age.source.convert import route
from predict_age.source.discovery import list_source
from predict_age.source.missing_keys import AGE_KEYS, EmptyKeys, check_keys
from predict_age.source.row_group_reader import source_splits
from predict_age.source.row_rules import RowRules
from predict_age.source.text_readers import read_text
from predict_age.source.whole_records import record_texts

PEOPLE: list[dict[str, Any]] = [{"pid": f"p{i}", "age": 20 + i, "city": "Ulm"} for i in range(12)]
COLUMNS = {name: [person[name] for person in PEOPLE] for name in PEOPLE[0]}
ROWS = [f"{p['pid']},{p['age']},Ulm" for p in PEOPLE]
HEADER = "pid,age,city"
GOOD = json.dumps({"pid": "good", "age": 30}) + "\n"


def read(path: Path, content: str | bytes, **settings: Any) -> tuple[list[str], list[tuple[int, str]]]:
    """Ids, and the rejected records, of a file with flat records."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    source = SourceConfig(approximate_age="age", profile_json="*", **settings)
    [file] = list_source(str(path), source).files
    chunks = list(read_text(file, source))
    return [pid for c in chunks for pid in c.rows["pid"].to_pylist()], [b for c in chunks for b in c.broken]


TOGETHER = {
    "two objects deep": json.dumps({"result": {"people": PEOPLE}}),
    "an object by id": json.dumps({p["pid"]: p for p in PEOPLE}),
    "an object by id, without ids inside": json.dumps({p["pid"]: {"age": p["age"]} for p in PEOPLE}),
    "columns of pandas": json.dumps({name: dict(enumerate(values)) for name, values in COLUMNS.items()}),
    "columns as lists": json.dumps(COLUMNS),
    "names and rows": json.dumps({"columns": list(COLUMNS), "data": [list(p.values()) for p in PEOPLE]}),
    "pages": "".join(json.dumps({"people": PEOPLE[i : i + 4]}) + "\n" for i in (0, 4, 8)),
    "pages in an array": json.dumps([{"people": PEOPLE[:6]}, {"people": PEOPLE[6:]}]),
    "an array in an array": json.dumps([PEOPLE]),
    "rows without names": json.dumps([list(p.values()) for p in PEOPLE]),
    "JSON in a text": json.dumps(json.dumps(PEOPLE)),
    "objects on a line that is cut": GOOD + ",".join(map(json.dumps, PEOPLE))[:-3],
    "objects on a line with a damaged one": GOOD + "".join(map(json.dumps, PEOPLE)) + "{x}",
    "objects on a line that is not UTF-8": GOOD.encode() + "".join(map(json.dumps, PEOPLE)).encode() + b"\xff",
    "an array behind a long text": json.dumps({"about": "x" * (1 << 20), "people": PEOPLE}),
}


@pytest.mark.parametrize("layout", TOGETHER)
def test_people_inside_one_record_are_not_one_rejected_record(layout: str, tmp_path: Path) -> None:
    """Such a file beside good ones had one rejected record, and nobody missed its people."""
    with pytest.raises(InputError, match="hold several people each") as refused:
        read(tmp_path / "people.json", TOGETHER[layout])
    assert "12 ids" in str(refused.value)


@pytest.mark.parametrize("deep", [False, True])
def test_the_keys_of_a_table_by_id_are_shown_nowhere(deep: bool, tmp_path: Path) -> None:
    """They are ids. Such a table of two people is refused by ``run``, ``plan``, ``profile`` and ``init``."""
    table = {"Zq-one": {"age": 30}, "Zq-two": {"age": 31}}
    text = json.dumps({"people": table} if deep else table)
    with pytest.raises(InputError, match="hold several people each") as refused:
        read(tmp_path / "people.json", text)
    assert "Zq" not in str(refused.value)
    with pytest.raises(InputError, match="holds several people") as refused:
        sample_source(str(tmp_path))
    assert "Zq" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"people": [{"pid": 1}], "Zq-one": [{"a": 1}]}'),
        ("a.csv", "".join(f"Zq{c}x{c};Ulm{c}{c}\n" for c in "bcdfghjk")),
    ],
)
def test_an_error_shows_the_form_of_what_may_be_a_value(name: str, text: str, tmp_path: Path) -> None:
    """The key of a second array, and a first line that is perhaps a record."""
    with pytest.raises(InputError) as refused:
        read(tmp_path / name, text)
    assert "Zq" not in str(refused.value)


def test_a_folder_named_nearly_as_the_age_is_a_slip(tmp_path: Path) -> None:
    """People below ``Age=15/`` had no age, and were predicted."""
    for age in (15, 40):
        (tmp_path / f"Age={age}").mkdir()
        (tmp_path / f"Age={age}" / "a.jsonl").write_text('{"pid": 1, "c": 1}\n')
    source = SourceConfig(approximate_age="age", profile_json="*")
    files = list_source(str(tmp_path), source).files
    with pytest.raises(InputError, match="no age in"):
        check_keys([EmptyKeys(file, AGE_KEYS, 1) for file in files], str(tmp_path), source)


def test_no_number_is_no_age_in_either_partition(tmp_path: Path) -> None:
    """NaN of a column of floats was an unreadable age where batches are cut by floor modulo, and stopped the run."""
    ages = pa.array([30.0, float("nan")], pa.float64())
    pq.write_table(
        pa.table({"pid": [1, 2], "age": ages, "birth_year": pa.array([1990.0, float("nan")], pa.float32())}), tmp_path / "a.parquet"
    )
    source = SourceConfig(approximate_age="age", profile_json="*")
    [file] = list_source(str(tmp_path), source).files
    routed, _, _ = route(0, source_splits(file, 0), source, RowRules(AgesConfig(), dt.date(2025, 10, 23)), 1, tmp_path)
    assert pq.read_table(routed)["approximate_age"].to_pylist() == ["30", None]
    assert pq.read_table(routed)["birth_year"].to_pylist() == ["1990", None]


@pytest.mark.parametrize(
    "record",
    [
        {"age": 30, "jobs": [{"title": "clerk"}] * 20},
        {"pid": None, "jobs": [{"title": "clerk"}] * 20},
        {"pid": None, "age": 30, "household": [{"pid": "a"}] * 20},
        {"age": 30, "household": [{"pid": "a"}] * 20},
        {"name": "x", "languages": {"de": {"level": 1}, "en": {"level": 2}}},
    ],
)
def test_a_person_without_an_id_is_one_rejected_record(record: dict[str, Any], tmp_path: Path) -> None:
    """However many objects the profile has, and whatever their keys: a file of one person, or of few, is refused by no new rule."""
    for people in (1, 2):
        ids, rejected = read(tmp_path / "people.json", (json.dumps(record) + "\n") * people)
        assert (ids, rejected) == ([None] * people, [])


def test_readers_of_whole_records_show_what_is_there(tmp_path: Path) -> None:
    """``profile``, ``init`` and ``predict_age.read`` do not know the key of ids."""
    (tmp_path / "people.jsonl").write_text((json.dumps({"nr": 1, "jobs": [{"title": "clerk"}] * 20}) + "\n") * 2)
    [file] = list_source(str(tmp_path), SourceConfig()).files
    assert sum(map(len, record_texts(file))) == 2


def test_few_people_whose_profiles_have_tables_are_no_table_of_people(tmp_path: Path) -> None:
    """``init`` and ``profile`` refused ten people whose languages have a level each."""
    lines = [json.dumps({"pid": n, "languages": {"de": {"level": 1}, "en": {"level": 2}}}) for n in range(10)]
    (tmp_path / "people.jsonl").write_text("\n".join(lines))
    assert len(sample_source(str(tmp_path)).records) == 10
    (tmp_path / "people.jsonl").write_text(json.dumps({"version": 1, "people": {"Zq-one": {"age": 30}, "Zq-two": {"age": 31}}}))
    with pytest.raises(InputError, match="holds several people"):
        sample_source(str(tmp_path))


@pytest.mark.parametrize("end", ["\r", "\x0b", "\x0c", "\x1e", "\x85", "\u2028", "\0", "\\n"])
def test_lines_that_end_in_another_way_are_not_one_rejected_record(end: str, tmp_path: Path) -> None:
    """A header with one line end over rows with another, and such rows behind others."""
    for text in (HEADER + "\n" + end.join(ROWS), "\n".join([HEADER, *ROWS[:5], end.join(ROWS[5:])])):
        with pytest.raises(InputError, match="one line holds several records"):
            read(tmp_path / "people.csv", text)
    ids, rejected = read(tmp_path / "people.csv", "\n".join([HEADER, *ROWS, f"p99,30,a{end}b,c"]))
    assert (len(ids), len(rejected)) == (12, 1)


def test_lines_inside_a_closed_quoted_field_are_part_of_its_value(tmp_path: Path) -> None:
    """A field too many rejects one record, although the text of its profile has escaped lines that look like records."""
    text = '"{""cv"": ""hello\\nsql,1,go\\nc,2,d""}"'
    assert read(tmp_path / "people.csv", f"{HEADER}\np1,30,{text}\np2,31,{text},\n") == (["p1"], [(1, "wrong_number_of_columns")])


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_files_put_together_have_no_person_called_as_the_column(
    mark: str, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their header lines are rejected, and byte order marks belong to nobody's id, wherever a block ends."""
    first, second = end.join([HEADER, *ROWS[:6]]) + end, end.join([HEADER, *ROWS[6:]]) + end
    whole = (mark + first + mark + second + mark + "p12,30,Ulm" + end).encode()
    for block in (8 << 20, 7, 1):
        monkeypatch.setattr(text_stream, "BLOCK_BYTES", block)
        ids, rejected = read(tmp_path / "people.csv", whole)
        assert ids == [f"p{i}" for i in range(13)]
        assert rejected == [(6, "repeated_header")]
    lines = "".join(mark + json.dumps(p) + end for p in PEOPLE).encode()
    assert read(tmp_path / "people.jsonl", lines) == ([p["pid"] for p in PEOPLE], [])


def test_files_put_together_may_write_their_names_in_different_ways(tmp_path: Path) -> None:
    """Writers differ in quotes, capitals and spaces: the second file's header was a person called ``pid``."""
    quoted, spaced = ",".join(f'"{name}"' for name in HEADER.split(",")), HEADER.replace(",", ", ")
    others = (quoted, quoted.replace(",", ", "), spaced, HEADER.upper(), HEADER.title(), spaced.title(), quoted.upper())
    for one, other in [(HEADER, other) for other in others] + [(quoted, HEADER)]:
        ids, rejected = read(tmp_path / "people.csv", "\n".join([one, *ROWS[:2], other, *ROWS[2:]]))
        assert (ids, rejected) == ([p["pid"] for p in PEOPLE], [(2, "repeated_header")])


def test_an_escape_is_a_character_outside_of_quotes(tmp_path: Path) -> None:
    r"""Ids ``a\b`` and ``ab`` were one person, and a backslash at the end of a field was an internal error."""
    rows = [r"a\b,30,C:" + "\\", "ab,31,\\N", r'"c\"d",32,"x\"y"', r'"e""f",33,"back\\slash, ""and"" \"quote\""', "g,34,\\,"]
    ids, rejected = read(tmp_path / "people.csv", "\r\n".join([HEADER, *rows]))
    assert ids == ["a\\b", "ab", 'c"d', 'e"f']
    assert rejected == [(4, "wrong_number_of_columns")]
    assert read(tmp_path / "people.csv", "\n".join([HEADER, 'x,1,"a""b"']), csv_escape='"') == (["x"], [])
    source = SourceConfig(approximate_age="age", profile_json="*")
    [file] = list_source(str(tmp_path / "people.csv"), source).files
    (tmp_path / "people.csv").write_text("\n".join([HEADER, r'x,1,"a \"b\" \\ ""c"""']))
    [file] = list_source(str(tmp_path / "people.csv"), source).files
    [chunk] = read_text(file, source)
    assert json.loads(chunk.rows["profile_json"][0].as_py()) == {"city": 'a "b" \\ "c"'}


@pytest.mark.parametrize(
    "lines", ['csv_delimiter = ","\ncsv_quote = ","', 'csv_delimiter = ","\ncsv_escape = ","', 'csv_quote = ""\ncsv_escape = "/"']
)
def test_a_sign_of_csv_has_one_meaning(lines: str, tmp_path: Path) -> None:
    """A delimiter that was the quote or the escape, too, was an internal error."""
    (tmp_path / "c.toml").write_text(f"[source]\n{lines}\n")
    with pytest.raises(ConfigError, match=r"source: source\.csv_"):
        load_config(tmp_path / "c.toml", {})


def test_a_run_with_signs_that_earlier_versions_allowed_is_read() -> None:
    """Else what it published could neither be served nor rolled back."""
    plan = RunPlan("r", "", dt.date(2025, 10, 23), "2025q4", "s", (), load_config(None, {}), "", "", "", 1, "", "", (), False)
    recorded = json.loads(json.dumps(plan.as_json()))
    recorded["config"]["source"] |= {"csv_quote": "", "csv_escape": "/"}
    assert RunPlan.from_json(recorded).config.source.csv_escape == "/"


@pytest.mark.parametrize("inner", [gzip.compress, lambda data: pa.compress(data, codec="zstd", asbytes=True)])
def test_text_that_is_packed_twice_is_refused(inner: Any, tmp_path: Path) -> None:
    """The bytes of the inner file were a few rejected lines."""
    with pytest.raises(InputError, match="is not what its name says"):
        read(tmp_path / "people.jsonl.gz", gzip.compress(inner(GOOD.encode())))


def test_an_id_is_that_of_the_record_where_python_reads_no_json(tmp_path: Path) -> None:
    """With a comma before the closing brace and an escaped key, the id of somebody inside the record was taken."""
    text = '{"\\u0070id": 9007199254740993.0, "age": 30, "partner": {"pid": 77.0},}'
    assert read(tmp_path / "people.jsonl", text) == (["9007199254740993"], [])


NO_LINE_END = {
    "a quote between": ('p1,30,"{""c"": 1}"p2,31,"{}"', 2, []),
    "all quoted": ('"p1","30","{""c"": ""d""}""p2","31","{}"', 2, []),
    "quoted behind unquoted": ('p1,30,Ulm"p2","31","Bonn"', 2, []),
    "a byte order mark between": ("p1,30,Ulm\ufeffp2,31,Bonn", 2, []),
    "a header line": ("p1,30,Ulmpid,age,city", 1, [(1, "repeated_header")]),
    "a quoted header line": ('p1,30,"Ulm""PID","Age","City"', 1, [(1, "repeated_header")]),
    "a header line with a mark": ("p1,30,Ulm\ufeffpid,age,city", 1, [(1, "repeated_header")]),
    "nothing that shows where": ("p1,30,Ulmp2,31,Bonn", 0, [(0, "wrong_number_of_columns")]),
    "no second id": ('p1,30,"Ulm",31,"Bonn"', 0, [(0, "wrong_number_of_columns")]),
    "a wrong quote": ('p1,30,"Ulm"x', 0, [(0, "stray_quote")]),
    "a value with a quote": ('p1,30,"3""5 inches",x,y', 0, [(0, "wrong_number_of_columns")]),
}


@pytest.mark.parametrize("block", [8 << 20, 5])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("between", NO_LINE_END)
def test_files_put_together_without_a_line_end_lose_nobody(
    between: str, end: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last person of the one and the first of the other were one rejected record. A line that is not surely two stays one."""
    monkeypatch.setattr(text_stream, "BLOCK_BYTES", block)
    line, people, rejected = NO_LINE_END[between]
    text = end.join([HEADER, line, "p3,32,Ulm", "p4,33"]) + end
    records = people + len(rejected)
    ids, broken = read(tmp_path / "people.csv", text.encode())
    assert ids == [f"p{n + 1}" for n in range(people)] + ["p3"]
    assert broken == [*rejected, (records + 1, "wrong_number_of_columns")]


def test_an_error_behind_such_a_line_names_the_line_and_byte_of_the_file(tmp_path: Path) -> None:
    text = f'{HEADER}\np1,30,"Ulm"p2,31,"Bonn"\np3,32,"never closed\n'
    with pytest.raises(InputError, match=rf"line 3, byte {text.index('never'):,}:"):
        read(tmp_path / "people.csv", text)


def test_a_byte_order_mark_between_two_objects_of_a_line_hides_neither(tmp_path: Path) -> None:
    text = GOOD + GOOD.strip().replace("good", "a") + "\ufeff" + GOOD.replace("good", "b")
    assert read(tmp_path / "people.jsonl", text) == (["good", "a", "b"], [])
