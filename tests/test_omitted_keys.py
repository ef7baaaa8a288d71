"""JSON sources whose writers leave out keys without a value: a key is missing where no file has it, not where one file has none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import AS_OF, TINY, call, cli, tiny_run
from predict_age.config import SourceConfig
from predict_age.errors import InputError
from predict_age.source.discovery import discover
from predict_age.source.missing_keys import AGE_KEYS, EmptyKeys, check_keys

Record = dict[str, Any]
FEATURES = 'format = 1\n[features.t]\nkind = "number"\npath = "tenure"\nmin = 0\nmax = 90\ndefault = 5\nmeaning = "Years."\n'
PEOPLE = 110


def person(pid: int) -> Record:
    """Every fifth has no profile, every second no age, some neither: what is not there has no key."""
    record: Record = {"pid": pid}
    if pid % 2:
        record["birth_year"] = 1960 + pid % 40
    if pid % 5:
        record["profile_json"] = {"tenure": pid % 30}
    return record


def lines(records: list[Record]) -> str:
    return "".join(json.dumps(r) + "\n" for r in records)


def array(records: list[Record]) -> str:
    return json.dumps(records)


def pretty(records: list[Record]) -> str:
    return "\n".join(json.dumps(r, indent=1) for r in records)


def member(records: list[Record]) -> str:
    return json.dumps({"people": records})


LAYOUTS = [lines, array, pretty, member]


def write(folder: Path, people: list[Record], layout: Callable[[list[Record]], str], each: int) -> Path:
    """The people as JSON files with ``each`` of them."""
    folder.mkdir()
    for first in range(0, len(people), each):
        (folder / f"{first:04d}.json").write_text(layout(people[first : first + each]))
    return folder


def arguments(source: Path, folder: Path, settings: str = "") -> list[object]:
    (folder / "c.toml").write_text(TINY + settings)
    (folder / "f.toml").write_text(FEATURES)
    return ["--source", source, "--config", folder / "c.toml", "--features", folder / "f.toml", "--as-of", AS_OF]


@pytest.mark.parametrize(("layout", "each"), [(lines, 1), (pretty, 2)], ids=["lines", "pretty"])
def test_people_without_a_profile_or_an_age_are_in_the_result(
    layout: Callable[[list[Record]], str], each: int, tmp_path: Path
) -> None:
    """One person a file, or two: plan and run take them, and nobody is lost."""
    source = write(tmp_path / "s", [person(pid) for pid in range(PEOPLE)], layout, each)
    planned = json.loads(cli("plan", *arguments(source, tmp_path), "--json").stdout)
    assert (planned["rows"], planned["people"]) == (PEOPLE, PEOPLE)
    done = tiny_run(source, tmp_path / "w", "--features", tmp_path / "f.toml")
    assert done.code == 0, done.said
    assert sorted(done.rows) == list(range(PEOPLE))


@pytest.mark.parametrize(("layout", "each"), [(lines, 1), (array, 7)], ids=["lines", "array"])
def test_a_training_source_may_leave_keys_out(layout: Callable[[list[Record]], str], each: int, tmp_path: Path) -> None:
    """And the source, whose people have no ages at all."""
    training = write(tmp_path / "t", [person(pid) for pid in range(PEOPLE)], layout, each)
    people = [{k: v for k, v in person(pid).items() if k != "birth_year"} for pid in range(1_000, 1_050)]
    source = write(tmp_path / "s", people, layout, each)
    planned = json.loads(cli("plan", *arguments(source, tmp_path), "--training-source", training, "--json").stdout)
    assert (planned["rows"], planned["training"]["rows"]) == (50, PEOPLE)


WRONG = {
    "no file has the profile": (lambda r: {k: v for k, v in r.items() if k != "profile_json"}, "no profile in"),
    "every file has it under another name": (
        lambda r: {("person" if k == "profile_json" else k): v for k, v in r.items()},
        "no profile in",
    ),
    "one file misspells it": (
        lambda r: {("profile_jsno" if k == "profile_json" and r["pid"] == 7 else k): v for k, v in r.items()},
        "no profile in",
    ),
    "one file writes it in capitals": (
        lambda r: {(k.upper() if k == "profile_json" and r["pid"] == 7 else k): v for k, v in r.items()},
        "no profile in",
    ),
    "one file writes the year in another way": (
        lambda r: {("BirthYear" if k == "birth_year" and r["pid"] == 7 else k): v for k, v in r.items()},
        "no age in",
    ),
    "no file has an age": (lambda r: {k: v for k, v in r.items() if k != "birth_year"}, "no age in"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_key_that_is_missing_or_misspelt_is_named(fault: str, tmp_path: Path) -> None:
    """By plan, where it looks at profiles, and by run, with the same sentence."""
    change, said = WRONG[fault]
    source = write(tmp_path / "s", [change(person(pid)) for pid in range(60)], lines, 1)
    given = arguments(source, tmp_path)
    code, _, message = call(["run", *given, "--workspace", tmp_path / "w", "-q"])
    assert code == 3, message
    assert said in message
    planned = call(["plan", *given])
    if "year" not in fault:
        assert planned[0] == 3
        assert (
            message[message.index("predict-age: ") :].split("  to fix")[0]
            == planned[2][planned[2].index("predict-age: ") :].split("  to fix")[0]
        )


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", ["attributes", "json_profile", "profile_json_v2", "profil_json", "person"])
@pytest.mark.parametrize("first", [{}, {"profile_json": None}, {"profile_json": {"tenure": 3}}], ids=["none", "null", "profile"])
def test_a_file_of_many_people_without_a_profile_is_named(
    name: str, layout: Callable[[list[Record]], str], first: Record, tmp_path: Path
) -> None:
    """Whatever its key is called, and whatever the file before it has; one of few people may have no profile."""
    usual = [{"pid": pid, "birth_year": 1980, "profile_json": {"tenure": 3}, "profile_json_v2": {}} for pid in range(20)]
    other = [{"pid": 100 + pid, "birth_year": 1970, name: {"tenure": 4}} for pid in range(11)]
    (tmp_path / "s").mkdir()
    for number, people in enumerate([[{"pid": 99, **first}], other, usual]):
        (tmp_path / "s" / f"{number}.json").write_text(layout(people))
    code, _, said = call(["plan", *arguments(tmp_path / "s", tmp_path)])
    assert code == 3
    assert "no profile in" in said and "1.json" in said and name in said
    (tmp_path / "s" / "1.json").write_text(layout(other[:10]))
    assert call(["plan", *arguments(tmp_path / "s", tmp_path)])[0] == (3 if name == "profil_json" else 0)


@pytest.mark.parametrize("key", ["aproximate_age", "birth_yaer", "approximate_ages"])
def test_a_misspelt_age_of_one_file_is_named(key: str, tmp_path: Path) -> None:
    """Where other files have ages; a key that all files have is no misspelling."""
    for more, said in (({}, "no age in"), ({key: 1}, "")):
        folder = tmp_path / f"s{len(more)}"
        folder.mkdir()
        people = [{"pid": pid, "birth_year": 1980, "profile_json": {"tenure": 3}, **more} for pid in range(60)]
        (folder / "a.jsonl").write_text(lines(people))
        (folder / "b.jsonl").write_text(lines([{"pid": 100 + pid, key: 40, "profile_json": {"tenure": 3}} for pid in range(60)]))
        empty = [
            EmptyKeys(file, frozenset(AGE_KEYS - {"birth_year"} if "a.json" in file.path else AGE_KEYS), 60)
            for file in discover(str(folder))
        ]
        if said:
            with pytest.raises(InputError, match=said) as error:
                check_keys(empty, str(folder), SourceConfig())
            assert "b.jsonl" in str(error.value) and key in error.value.expected
        else:
            check_keys(empty, str(folder), SourceConfig())


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("each", [1, 50])
def test_true_ages_may_leave_keys_out(
    layout: Callable[[list[Record]], str], each: int, finished: tuple[Path, dict[str, Any]], people: Path, tmp_path: Path
) -> None:
    """The first record, or a whole file, may lack the true age."""
    import pyarrow.parquet as pq

    ages = pq.read_table(people / "truth.parquet").slice(0, 300).to_pylist()
    rows = [{"pid": r["pid"], **({"true_age": r["true_age"]} if i % 3 else {})} for i, r in enumerate(ages)]
    source = write(tmp_path / "t", rows, layout, each)
    scored = json.loads(cli("score", "current", "--truth", source, "--workspace", finished[0], "--json").stdout)
    whole = tmp_path / "whole.csv"
    whole.write_text("pid,true_age\n" + "".join(f"{r['pid']},{r.get('true_age', '')}\n" for r in rows))
    expected = json.loads(cli("score", "current", "--truth", whole, "--workspace", finished[0], "--json").stdout)
    assert {**scored, "truth": ""} == {**expected, "truth": ""}


@pytest.mark.parametrize(
    ("files", "each", "bad", "code"), [(60, 1, 1, 0), (60, 1, 10, 0), (60, 1, 11, 3), (20, 5, 5, 0), (3, 60, 60, 3), (3, 11, 11, 3)]
)
def test_rejected_records_count_over_the_source_where_files_are_small(
    files: int, each: int, bad: int, code: int, tmp_path: Path
) -> None:
    """A file of one person whose id cannot be read is one rejected record, as it is in a file of many; a large file without an id is a fault."""
    people = [{**person(pid), "pid": "x y" if pid < bad else pid} for pid in range(files * each)]
    source = write(tmp_path / "s", people, lines, each)
    assert call(["plan", *arguments(source, tmp_path, '[source]\npid_type = "integer"\n')])[0] == code


@pytest.mark.parametrize("others", [0, 1_000])
@pytest.mark.parametrize(("bad", "code"), [(5, 0), (11, 3)])
def test_a_small_file_without_an_id_counts_alike_beside_any_other(others: int, bad: int, code: int, tmp_path: Path) -> None:
    """Its own size decides, not the average of the source."""
    people = [person(pid) for pid in range(100 + others)]
    source = write(tmp_path / "s", people[:100], lines, 5)
    (source / "bad.jsonl").write_text(lines([{**person(pid), "pid": "x y"} for pid in range(bad)]))
    if others:
        (source / "many.jsonl").write_text(lines(people[100:]))
    assert call(["plan", *arguments(source, tmp_path, '[source]\npid_type = "integer"\n')])[0] == code
