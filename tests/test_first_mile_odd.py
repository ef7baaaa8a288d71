"""Odd sources, configurations and feature files: no command ends with an internal error, and plan refuses what run refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from conftest import AS_OF, TINY, cli, write_jsonl
from predict_age.source.column_types import UNREADABLE_TEXT
from predict_age.source.profile_json import flat_profile, profile_text

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import odd_sources

SOURCES, CONFIGURATIONS = 150, 60
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
        assert "found: 19 of " in cli(*command, *common, check=3).stderr


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
