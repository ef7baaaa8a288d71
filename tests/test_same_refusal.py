"""Refusals of plan and run of sources that cannot be used: the same sentence and the same counts, in every format."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import AS_OF, TINY, call
from faults import warm
from predict_age.pipeline import estimate, feature_check

Row = dict[str, Any]
PEOPLE: list[Row] = [
    {"pid": str(i), "age": str(20 + i % 40) if i % 3 else None, "profile": json.dumps({"tenure": i % 30})} for i in range(60)
]
FEATURES = 'format = 1\n[features.t]\nkind = "number"\npath = "tenure"\nmin = 0\nmax = 90\ndefault = 5\nmeaning = "Years."\n'
SOURCE = '[source]\napproximate_age = "age"\nprofile_json = "profile"\n'


def changed(rows: int | range, **values: Any) -> list[Row]:
    """The people, with other ``values`` in some of the rows."""
    chosen = range(rows) if isinstance(rows, int) else rows
    return [p | values if i in chosen else p for i, p in enumerate(PEOPLE)]


FAULTS: dict[str, tuple[list[list[Row]], str]] = {
    "no records in two files": ([[], []], "the source holds no rows"),
    "no id but blanks": ([changed(60, pid=" ")], "no row of the source can be used"),
    "no id is given": ([changed(60, pid=None)], "no row of the source can be used"),
    "no id and no age": ([changed(60, pid=None, age=None)], "no row of the source can be used"),
    "some ids are missing": ([changed(15, pid=None)], "15 of 60 rows cannot be used (25.00 %)"),
    "some ids are missing, and all ages": (
        [[p | {"age": None} for p in changed(15, pid=None)]],
        "15 of 60 rows cannot be used (25.00 %)",
    ),
    "one file has no id": ([PEOPLE, changed(60, pid=None)[:11]], "can be used"),
    "no age": ([changed(60, age=None)], "too few people with a known age to train on"),
    "few ages": ([changed(45, age=None)], "too few people with a known age to train on"),
    "few profiles of people with an age": ([changed(32, profile=None)], "too few people with a known age to train on"),
    "few profiles that can be read": ([changed(32, profile="[1]")], "too few people with a known age to train on"),
    "few profiles, each of several people": (
        [[p | {"pid": str(i % 25), "profile": None if i % 25 < 12 else p["profile"]} for i, p in enumerate(PEOPLE)]],
        "too few people with a known age to train on",
    ),
    "no profile where an age is, ids as text": (
        [[p | {"pid": f"person {i}", "profile": p["profile"] if i % 3 == 0 else None} for i, p in enumerate(PEOPLE)]],
        "too few people with a known age to train on",
    ),
}


def parquet(path: Path, rows: list[Row], **more: Any) -> None:
    columns = {name: pa.array([row[name] for row in rows], pa.string()) for name in PEOPLE[0]}
    pq.write_table(pa.table(columns), path.with_suffix(".parquet"), **more)


def small_groups(path: Path, rows: list[Row]) -> None:
    parquet(path, rows, row_group_size=7)


def with_commas(path: Path, rows: list[Row]) -> None:
    with path.with_suffix(".csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(PEOPLE[0]))
        writer.writeheader()
        writer.writerows(rows)


def json_lines(path: Path, rows: list[Row]) -> None:
    path.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def json_array(path: Path, rows: list[Row]) -> None:
    path.with_suffix(".json").write_text(json.dumps(rows, indent=1))


@pytest.mark.parametrize("write", [parquet, small_groups, with_commas, json_lines, json_array], ids=lambda f: f.__name__)
@pytest.mark.parametrize("fault", FAULTS)
def test_plan_and_run_refuse_a_source_for_the_same_reason(fault: str, write: Callable[..., None], tmp_path: Path) -> None:
    """Also where a second reason would hold: the first one that a run meets counts."""
    files, said = FAULTS[fault]
    (tmp_path / "s").mkdir()
    for number, rows in enumerate(files):
        write(tmp_path / "s" / f"{number}", rows)
    (tmp_path / "c.toml").write_text(TINY + SOURCE)
    (tmp_path / "f.toml").write_text(FEATURES)
    warm()
    common = ["--source", tmp_path / "s", "--config", tmp_path / "c.toml", "--features", tmp_path / "f.toml", "--as-of", AS_OF]
    planned, ran = call(["plan", *common]), call(["run", *common, "--workspace", tmp_path / "w", "-q"])
    assert (planned[0], ran[0]) == (3, 3), (planned, ran)
    first, second = (message[message.index("predict-age: ") :].split("  to fix")[0] for _, _, message in (planned, ran))
    assert first == second
    assert said in first


Records = list[dict[str, Any]]


def people(first: int, count: int, pid: str = "pid", age: str = "age", profile: str = "profile") -> Records:
    return [{pid: first + i, age: 20 + i % 40, profile: {"tenure": i % 30}} for i in range(count)]


SLIPS: dict[str, tuple[list[Records], str]] = {
    "ids in capitals": ([people(0, 60, pid="PID")], 'pid_missing: 60 (did you mean "PID"?)'),
    "ids in capitals in one file": ([people(0, 60), people(60, 60, pid="Pid")], 'pid_missing: 60 (did you mean "Pid"?)'),
    "ids of every other record": (
        [[p for i in range(40) for p in people(i, 1, pid=("pid", "pId")[i % 2])]],
        'pid_missing: 20 (did you mean "pId"?)',
    ),
    "ids under a longer name": ([people(0, 60, pid="person_pid")], "pid_missing: 60"),
    "an age without values beside one in capitals": (
        [people(0, 60), [{**p, "age": None} for p in people(60, 60, age="Age")]],
        '"age" (did you mean "Age"?)',
    ),
    "ages in capitals in one file": ([people(0, 60), people(60, 60, age="AGE")], '"age" (did you mean "AGE"?)'),
    "another profile key in one file": ([people(0, 60), people(60, 60, profile="body")], 'the key "profile"'),
    "a misspelt profile key of few people": ([people(0, 60), people(60, 5, profile="profle")], 'did you mean "profle"?'),
}


@pytest.mark.parametrize(("write", "counted"), [(json_array, True), (json_lines, False)], ids=["counted", "sampled"])
@pytest.mark.parametrize("slip", SLIPS)
def test_plan_and_run_see_slips_of_keys_in_single_files(
    slip: str, write: Callable[..., None], counted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever file they are in, and also where it lies outside the sample of the profiles, or the source is not read as a whole."""
    files, said = SLIPS[slip]
    monkeypatch.setattr(feature_check, "PROFILES_SAMPLED", 40)
    if not counted:
        monkeypatch.setattr(estimate, "COUNTED_TEXT_BYTES", 10)
    (tmp_path / "s").mkdir()
    for number, rows in enumerate(files):
        write(tmp_path / "s" / f"{number}", rows)
    (tmp_path / "c.toml").write_text(TINY + SOURCE)
    (tmp_path / "f.toml").write_text(FEATURES)
    common = ["--source", tmp_path / "s", "--config", tmp_path / "c.toml", "--features", tmp_path / "f.toml", "--as-of", AS_OF]
    planned, ran = call(["plan", *common]), call(["run", *common, "--workspace", tmp_path / "w", "-q"])
    assert ran[0] == 3
    assert said in str(ran)
    if counted or "pid_missing" not in said:  # rejected records of a large text are counted in a run alone
        assert planned[0] == 3
        first, second = (message[message.index("predict-age: ") :].split("  to fix")[0] for _, _, message in (planned, ran))
        assert first == second


WORKSPACE_FAULTS: dict[str, tuple[str, list[str], str]] = {
    "a challenger that no run has trained": ('[prediction]\nchallengers = { "age-000000000000" = 0.1 }\n', [], "there is no model"),
    "a model that no run has trained": ("", ["--model", "age-000000000000"], "there is no model"),
    "a base that is no run": ("", ["--base", "2025q1"], "there is no run"),
    "too long for the limit": ("[limits]\nmax_minutes = 0.001\n", [], "exceeds the time limit"),
    "too dear for the limit": ("[limits]\nmax_cost_usd = 0.0001\nusd_per_hour = 100\n", [], "exceeds the cost limit"),
    "more people of a band than there can be": (
        '[population]\nages = { "under 60" = 0.01, "60+" = 0.99 }\n',
        [],
        "more people of under 60 have a known age than there can be",
    ),
}


@pytest.mark.parametrize("fault", WORKSPACE_FAULTS)
def test_plan_and_run_refuse_models_limits_and_shares_for_the_same_reason(fault: str, tmp_path: Path) -> None:
    """The models are those of the workspace, which a plan is told; without it, a note names challengers that nobody looked for."""
    config, options, said = WORKSPACE_FAULTS[fault]
    json_lines(tmp_path / "s", PEOPLE)
    in_section = config.startswith("[prediction]\n")
    text = TINY.replace("[prediction]\n", config) if in_section else TINY
    (tmp_path / "c.toml").write_text(text + SOURCE + ("" if in_section else config))
    (tmp_path / "f.toml").write_text(FEATURES)
    (tmp_path / "w" / "runs").mkdir(parents=True)
    common = [
        "--source",
        tmp_path / "s.jsonl",
        "--config",
        tmp_path / "c.toml",
        "--features",
        tmp_path / "f.toml",
        "--as-of",
        AS_OF,
    ]
    common += ["--workspace", tmp_path / "w", *options]
    planned, ran = call(["plan", *common]), call(["run", *common, "-q"])
    assert planned[0] == ran[0] > 1, (planned, ran)
    first, second = (message[message.index("predict-age: ") :].split("  to fix")[0] for _, _, message in (planned, ran))
    assert first == second
    assert said in first
    if "challenger" in fault:
        code, out, _ = call(["plan", *common[:8]])
        assert code == 0
        assert "note: prediction.challengers" in out


def test_plan_needs_a_list_of_suppressed_people_that_can_be_used(tmp_path: Path) -> None:
    """As a run does; and a model needs a workspace."""
    json_lines(tmp_path / "s", PEOPLE)
    (tmp_path / "w" / "runs").mkdir(parents=True)
    (tmp_path / "w" / "suppression").mkdir()
    (tmp_path / "w" / "suppression" / "list.json").write_text("{}")
    code, _, said = call(["plan", "--source", tmp_path / "s.jsonl", "--workspace", tmp_path / "w"])
    assert (code, "the suppression list is damaged" in said) == (2, True)
    assert call(["plan", "--source", tmp_path / "s.jsonl", "--base", "current"])[0] == 2


def test_plan_counts_no_people_in_rejected_records(tmp_path: Path) -> None:
    """It scaled people up to all records, also where it had looked at each of them."""
    with_commas(tmp_path / "s", PEOPLE)
    path = tmp_path / "s.csv"
    path.write_text(path.read_text() + "1,2\n" * 5)
    (tmp_path / "c.toml").write_text(TINY + SOURCE)
    (tmp_path / "f.toml").write_text(FEATURES)
    options = ["--source", path, "--config", tmp_path / "c.toml", "--features", tmp_path / "f.toml", "--as-of", AS_OF]
    planned = json.loads(call(["plan", *options, "--json"])[1])
    assert (planned["rows"], planned["people"], planned["to_predict"]) == (65, 60, 20)


@pytest.mark.parametrize(("trained_on", "code"), [(60, 3), (600, 0)])
def test_plan_counts_ages_of_no_use_in_source_and_training_source_together(trained_on: int, code: int, tmp_path: Path) -> None:
    """As a run does: 60 values of no use are too many among 120, and not among 660."""
    json_lines(tmp_path / "s", changed(60, age="x"))
    json_lines(
        tmp_path / "t", [{"pid": str(1000 + i), "age": str(20 + i % 40), "profile": '{"tenure": 3}'} for i in range(trained_on)]
    )
    (tmp_path / "c.toml").write_text(TINY + SOURCE)
    (tmp_path / "f.toml").write_text(FEATURES)
    options = ["--source", tmp_path / "s.jsonl", "--training-source", tmp_path / "t.jsonl", "--as-of", AS_OF]
    ended, _, said = call(["plan", *options, "--config", tmp_path / "c.toml", "--features", tmp_path / "f.toml"])
    assert ended == code
    assert code == 0 or "none for 60 of 120 (50.0 %); 60 values of age cannot be read" in said


@pytest.mark.parametrize("ids", ["{}", "person {}"])
def test_people_of_source_and_training_source_count_once_in_plan_as_in_run(ids: str, tmp_path: Path) -> None:
    """Forty people of both with an age of no use counted twice: plan refused 80 of 140, and a run would go on with 40 of 100."""
    both = [{"pid": ids.format(i), "age": "x", "profile": '{"tenure": 3}'} for i in range(40)]
    known = [{"pid": ids.format(100 + i), "age": str(20 + i % 40), "profile": '{"tenure": 3}'} for i in range(60)]
    json_lines(tmp_path / "s", both)
    json_lines(tmp_path / "t", both + known)
    (tmp_path / "f.toml").write_text(FEATURES)
    options = ["--source", tmp_path / "s.jsonl", "--training-source", tmp_path / "t.jsonl", "--as-of", AS_OF]
    ended = []
    for limit in (0.41, 0.39):
        (tmp_path / "c.toml").write_text(TINY.replace("[gates]", f"[gates]\nunusable_ages = {limit}") + SOURCE)
        options_of_both = [*options, "--config", tmp_path / "c.toml", "--features", tmp_path / "f.toml"]
        ended.append(call(["plan", *options_of_both]))
    assert [code for code, _, _ in ended] == [0, 3]
    ran = call(["run", *options_of_both, "--workspace", tmp_path / "w", "-q"])
    for _, _, said in (ended[1], ran):
        assert "none for 40 of 100 (40.0 %); 80 values of age cannot be read" in said


STRAYS = {
    "manifest.json": json.dumps({"version": 1, "files": ["a", "b"]}),
    "log.jsonl": json.dumps({"level": "info"}) + "\n",
    "codebook.csv": "variable,label\npid,the person\n",
    "sums [1].csv": "file,sha256\na,b\n",
    "manifest.ndjson": "".join(json.dumps({"path": str(i)}) + "\n" for i in range(20)),
}


@pytest.mark.parametrize("write", [with_commas, parquet], ids=["csv", "parquet"])
@pytest.mark.parametrize("stray", STRAYS)
def test_a_file_without_people_is_named_with_what_to_write(stray: str, write: Callable[..., None], tmp_path: Path) -> None:
    """The advice was to rename columns; following it to the letter now leads to a plan of all the people, and of nobody else."""
    (tmp_path / "s").mkdir()
    write(tmp_path / "s" / "people", PEOPLE)
    (tmp_path / "s" / stray).write_text(STRAYS[stray])
    (tmp_path / "c.toml").write_text(TINY + SOURCE)
    (tmp_path / "f.toml").write_text(FEATURES)
    options = ["--source", tmp_path / "s", "--config", tmp_path / "c.toml", "--features", tmp_path / "f.toml", "--as-of", AS_OF]
    code, _, said = call(["plan", *options])
    assert code == 3
    advice = said.split("leave it out: ")[1].split(" under [source]")[0]
    (tmp_path / "c.toml").write_text(TINY + SOURCE + advice + "\n")
    planned = json.loads(call(["plan", *options, "--json"])[1])
    assert (planned["rows"], [p["files"] for p in planned["passed_over"]]) == (60, [1])


def test_advice_for_one_file_keeps_what_earlier_advice_left_out(tmp_path: Path) -> None:
    """Each line of advice replaces the one before, as a list in TOML does, and the last of them leaves out all of the files."""
    (tmp_path / "s").mkdir()
    parquet(tmp_path / "s" / "people", PEOPLE)
    strays = {name: STRAYS[name] for name in ("codebook.csv", "sums [1].csv", "manifest.ndjson")}
    strays |= {"notes.csv": "PK\x03\x04", "part-0001": "PK\x03\x04"}
    for name, content in strays.items():
        (tmp_path / "s" / name).write_text(content)
    (tmp_path / "c.toml").write_text(TINY + SOURCE)
    (tmp_path / "f.toml").write_text(FEATURES)
    options = ["--source", tmp_path / "s", "--config", tmp_path / "c.toml", "--features", tmp_path / "f.toml", "--as-of", AS_OF]
    for _ in strays:
        code, _, said = call(["plan", *options])
        assert code == 3 and "leave it out: " in said, said
        advice = said.split("leave it out: ")[1].split(" under [source]")[0]
        (tmp_path / "c.toml").write_text(TINY + SOURCE + advice + "\n")
    planned = json.loads(call(["plan", *options, "--json"])[1])
    assert (planned["rows"], [p["files"] for p in planned["passed_over"]]) == (60, [len(strays)])


def test_plan_says_of_what_machine_its_time_is(tmp_path: Path) -> None:
    """The estimate knows no other load: a busy machine takes longer."""
    parquet(tmp_path / "people.parquet", PEOPLE)
    (tmp_path / "c.toml").write_text(TINY + SOURCE)
    (tmp_path / "f.toml").write_text(FEATURES)
    options = ["--source", tmp_path / "people.parquet", "--config", tmp_path / "c.toml", "--features", tmp_path / "f.toml"]
    code, shown, _ = call(["plan", *options, "--as-of", AS_OF])
    assert code == 0
    assert "on a machine that is idle otherwise" in " ".join(shown.split())
