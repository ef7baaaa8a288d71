"""Ids that are text: everybody has a pid of their own, the same everywhere, and the text comes back with the results."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import unicodedata
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import predict_age
from conftest import AS_OF, TINY, cli, tiny_run, write_jsonl
from faults import call
from predict_age.config import AgesConfig, SourceConfig
from predict_age.errors import InputError
from predict_age.pipeline.source_sample import PlanSample
from predict_age.source import text_ids
from predict_age.source.column_types import plain_values
from predict_age.source.discovery import list_source
from predict_age.source.duplicate_rows import find_duplicates
from predict_age.source.external_partition import scatter
from predict_age.source.row_rules import RowRules, connect
from predict_age.source.row_walk import RowWalk
from predict_age.source.scan import TEXT_ENTRY
from predict_age.source.text_ids import pid_of, read_text_ids
from predict_age.sql import ON_DUCKDB, columns, for_athena, for_duckdb, source_text
from predict_age.sql.__main__ import transpiled


def documented(source_id: str) -> int:
    """The five lines of docs/data-contract.md."""
    text = unicodedata.normalize("NFC", source_id.strip())
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") & (2**63 - 1)


@given(st.text(min_size=1).filter(lambda t: t.strip() and not t.strip()[:1].isdigit() and t.strip()[0] not in '-{["\x00'))
def test_pid_is_the_documented_function(text: str) -> None:
    """A user's own computation gives the pid that the pipeline computes."""
    found = read_text_ids(pa.chunked_array([[f" {text}\t"]])).to_pylist()[0]
    if found["problem"] is None:
        assert found["pid"] == documented(text)
    else:
        assert text.strip().lower() in ("true", "false")


@given(st.lists(st.text(min_size=1), min_size=1))
def test_sql_gives_the_same_pid(texts: list[str]) -> None:
    """The statement for tables of true ages is the same function."""
    ids = [
        text for text in map(text_ids.id_text, [*texts, "12", "-0", "012", "-9223372036854775808"]) if text and "\x00" not in text
    ]
    connection = connect()
    connection.register("ids", pa.table({"id": ids}))
    found = connection.sql(f"SELECT {text_ids.pid_sql('id')} FROM ids").fetchall()
    assert [pid for (pid,) in found] == [pid_of(text) for text in ids]


def test_pids_never_change() -> None:
    """Known answers: joins of users depend on them."""
    assert pid_of("a") == 5374906597990186442
    assert pid_of("550e8400-e29b-41d4-a716-446655440000") == 2569833472951765682


IDS: list[tuple[str | None, int | str]] = [
    ("u-1", documented("u-1")),
    ("  u-1\u00a0", documented("u-1")),
    ("Zoe\u0301", documented("Zo\u00e9")),
    ("Zo\u00e9", documented("Zo\u00e9")),
    ("U-1", documented("U-1")),
    ("12", 12),
    ("-7", -7),
    ("012", documented("012")),
    ("12.0", documented("12.0")),
    ("+12", documented("+12")),
    ("-0", documented("-0")),
    ("1e3", documented("1e3")),
    ("9223372036854775807", 2**63 - 1),
    ("9223372036854775808", documented("9223372036854775808")),
    ("\u0661\u0662", documented("\u0661\u0662")),
    ("{3F2504E0-4F89-11D3-9A0C-0305E82C3301}", documented("{3F2504E0-4F89-11D3-9A0C-0305E82C3301}")),
    ("True", "pid_unreadable"),
    ("false", "pid_unreadable"),
    ('{"a":1}', "pid_unreadable"),
    ("[1]", "pid_unreadable"),
    ("\x00", "pid_unreadable"),
    ("", "pid_missing"),
    (" \t", "pid_missing"),
    (None, "pid_missing"),
]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), "dictionary"], ids=str)
def test_text_ids(kind: Any) -> None:
    """Trimmed, composed, case kept; whole numbers keep their value; what is no id is rejected with the reason."""
    column = pa.array([text for text, _ in IDS], pa.string())
    column = column.dictionary_encode() if kind == "dictionary" else column.cast(kind)
    rows = read_text_ids(plain_values(pa.chunked_array([column]))).to_pylist()
    assert [row["problem"] or row["pid"] for row in rows] == [expected for _, expected in IDS]
    assert all((row["source_id"] is None) == (row["pid"] is None) == (row["id_check"] is None) for row in rows)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([12, None, -3]), [12, "pid_missing", -3]),
        (pa.array([2**64 - 1, 5], pa.uint64()), [documented(str(2**64 - 1)), 5]),
        (
            pa.array([12.0, 1.5, float("nan"), 2.0**53, None]),
            [12, "pid_unreadable", "pid_missing", "pid_unreadable", "pid_missing"],
        ),
        (pa.array([12.0, 2.0**24], pa.float32()), [12, "pid_unreadable"]),
        (pa.array([True, None]), ["pid_unreadable", "pid_missing"]),
        (pa.array([b"0123456789abcdef"], pa.binary(16)), [documented(str(uuid.UUID(bytes=b"0123456789abcdef")))]),
        (pa.array([b"\xff\xfe", b"ab"]), ["pid_unreadable", documented("ab")]),
        (pa.nulls(1), ["pid_missing"]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_other_types_beside_text(column: pa.Array, expected: list[object]) -> None:
    """A column of numbers in one file is the same people as their digits in another."""
    rows = read_text_ids(plain_values(pa.chunked_array([column]))).to_pylist()
    assert [row["problem"] or row["pid"] for row in rows] == expected


def test_two_texts_of_one_number_stop(tmp_path: Path) -> None:
    """Never one person of two; the same text twice is a duplicate."""
    entries = np.zeros(4, TEXT_ENTRY)
    entries["pid"], entries["row"] = [5, 6, 6, 7], range(4)
    entries["check"] = [1, 2, 2, 3]
    scatter(tmp_path, 0, entries, 1)
    found = find_duplicates(0, [0], tmp_path, b"k" * 16, "text")
    assert (found.distinct, len(found.rows)) == (3, 1)
    entries["check"][2] = 9
    scatter(tmp_path, 0, entries, 1)
    with pytest.raises(InputError, match="two different ids have the same 63-bit pid"):
        find_duplicates(0, [0], tmp_path, b"k" * 16, "text")


def people_with(ids: list[str], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "pid": i} for i, row in zip(ids, rows, strict=False)]


@pytest.fixture(scope="module")
def account_names(people_rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """300 people: names, UUIDs, a few whole numbers, one person twice in two spellings of the same letters."""
    names = [f"user-{n}" if n % 3 else str(uuid.UUID(int=n)) for n in range(290)] + [str(n) for n in range(8)]
    return people_with([*names, "Zo\u00e9", " Zoe\u0301 "], people_rows)


def published_table(workspace: Path, name: str = "predict_age_final_results_with_confidence") -> list[dict[str, Any]]:
    code, out, err = call(["sql", "--workspace", workspace, "--format", "jsonl", f"SELECT * FROM {name} ORDER BY pid"])
    assert code == 0, err
    return [json.loads(line) for line in out.splitlines()]


def test_whole_runs_over_text_ids(account_names: list[dict[str, Any]], tmp_path: Path) -> None:
    """Split and modulo batches, an incremental run, the QA table and a comparison of runs: every name once, with its text."""
    source = write_jsonl(tmp_path / "people.jsonl", account_names)
    first = tiny_run(source, tmp_path / "w")
    assert first.code == 0, first.said
    assert "ids are text" in first.said
    texts = {unicodedata.normalize("NFC", row["pid"].strip()) for row in account_names}
    rows = published_table(tmp_path / "w")
    assert {row["source_id"]: row["pid"] for row in rows} == {t: pid_of(t) for t in texts}
    assert list(rows[0])[:2] == ["pid", "source_id"]
    assert first.run["rows"]["duplicate"] == 1
    for name in ("predict_age_human_qa", "predict_age_final_results"):
        assert {row["source_id"] for row in published_table(tmp_path / "w", name)} == texts
    assert first.run["rows"]["predicted"] == len(published_table(tmp_path / "w", "predict_age_predictions"))

    again = tiny_run(source, tmp_path / "w", "--base", "current")
    assert again.run["batches"]["reused"] == first.run["rows"]["predicted"]
    code, out, _ = call(["diff", first.run["run_id"], again.run["run_id"], "--workspace", tmp_path / "w", "--json"])
    assert code == 0
    assert (json.loads(out)["both"], json.loads(out)["only_before"]) == (len(texts), 0)
    assert call(["verify", "--workspace", tmp_path / "w"])[0] == 0
    later = tiny_run(source, tmp_path / "w", "--base", "current", as_of="2027-10-23")  # given ages do not grow: all of them jump
    jumps = ["diff", first.run["run_id"], later.run["run_id"], "--workspace", tmp_path / "w", "--jump", "0.5"]
    code, out, _ = call([*jumps, "--json", "--out", tmp_path / "jumps.csv"])
    assert code == 0
    lines = list(csv.DictReader((tmp_path / "jumps.csv").read_text().splitlines()))
    assert lines and all(int(line["pid"]) == pid_of(line["source_id"]) for line in lines)
    assert all(jump["pid"] == pid_of(jump["source_id"]) for jump in json.loads(out)["jumps"])
    assert any(line["source_id"][:9] in call(jumps)[1] for line in lines)
    [query] = re.findall(r'^Next .*"(SELECT [^"]*)"', call(["status", "--workspace", tmp_path / "w"])[1], re.MULTILINE)
    code, out, _ = call(["sql", "--workspace", tmp_path / "w", "--format", "csv", query])
    assert (code, out.splitlines()[0].split(",")[:2]) == (0, ["pid", "source_id"])
    guessed = published_table(tmp_path / "w", "predict_age_final_results")
    truth = tmp_path / "truth.csv"
    for column in ("source_id", "pid"):  # true ages by the ids of the source, or by those of the results
        lines = [f'"{row[column]}",{row["predicted_age"] + 1}' for row in guessed if row["prediction_source"] == "ML_PREDICTION"]
        truth.write_text("\n".join(["pid,true_age", *lines]) + "\n", encoding="utf-8")
        code, out, err = call(["score", "current", "--truth", truth, "--workspace", tmp_path / "w", "--json"])
        assert code == 0, err
        assert f'"used": {len(lines)}' in out
    model = [row for row in guessed if row["prediction_source"] == "ML_PREDICTION"]
    for kind in (pa.string(), pa.large_string(), pa.string_view()):  # pandas 3 has large strings, polars views
        for name, column in (("pid", "source_id"), ("source_id", "source_id"), ("pid", "pid")):
            ids = pa.array([row[column] for row in model], kind if column == "source_id" else pa.int64())
            table = pa.table({name: ids, "true_age": [row["predicted_age"] + 1 for row in model]})
            scores = predict_age.evaluate(predict_age.open_run(tmp_path / "w"), table)
            assert (scores.all.rows, scores.all.mae, scores.not_found) == (len(model), 1, 0)

    tiny_run(source, tmp_path / "m", config=TINY.replace("[prediction]", '[prediction]\npartition = "modulo"'))
    assert {row["source_id"]: row["pid"] for row in published_table(tmp_path / "m")} == {t: pid_of(t) for t in texts}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_other_formats_give_the_same_people(account_names: list[dict[str, Any]], tmp_path: Path, suffix: str) -> None:
    """CSV and Parquet sources have the same pids and texts."""
    table = pa.Table.from_pylist([{**row, "profile_json": json.dumps(row["profile_json"])} for row in account_names])
    source = tmp_path / f"people.{suffix}"
    if suffix == "csv":
        import csv

        with source.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(table.column_names)
            writer.writerows(["" if v is None else v for v in row.values()] for row in table.to_pylist())
    else:
        pq.write_table(table, source, row_group_size=100)
    done = tiny_run(source, tmp_path / "w")
    assert done.code == 0, done.said
    texts = {unicodedata.normalize("NFC", row["pid"].strip()) for row in account_names}
    assert {row["source_id"]: row["pid"] for row in published_table(tmp_path / "w")} == {t: pid_of(t) for t in texts}


@pytest.mark.parametrize(("texts", "declared", "outcome"), [(20, "auto", "set aside"), (40, "auto", "text"), (20, "text", "text")])
def test_a_mixed_column_is_one_or_the_other(
    people_rows: list[dict[str, Any]], tmp_path: Path, texts: int, declared: str, outcome: str
) -> None:
    """Under a tenth of text among numbers is rejected, over a tenth makes all of them text; the run says which."""
    ids = [f"x{n}" if n < texts else str(n) for n in range(300)]
    source = write_jsonl(tmp_path / "p.jsonl", people_with(ids, people_rows))
    config = f'[source]\npid_type = "{declared}"\nmax_set_aside_share = 0.2\n{TINY}'
    done = tiny_run(source, tmp_path / "w", config=config)
    assert done.code == 0, done.said
    if outcome == "text":
        assert (done.run["rows"]["distinct"], done.run["rows"]["set_aside"]) == (300, 0)
        assert "ids are text" in done.said
    else:
        assert (done.run["rows"]["distinct"], done.run["set_aside_reasons"]) == (280, {"pid_not_an_integer": 20})
        assert 'source.pid_type = "text" takes them' in done.said
        assert "source_id" not in published_table(tmp_path / "w")[0]
    assert {row["pid"] for row in published_table(tmp_path / "w")} >= set(range(40, 300))


@pytest.mark.parametrize("kind", ["uint64", "decimal", "digits"])
def test_numbers_beyond_64_bits_are_text(people_rows: list[dict[str, Any]], tmp_path: Path, kind: str) -> None:
    """Hashes and long account numbers do not fit a BIGINT: nobody is lost, and results carry the digits."""
    ids = [2**64 - 1 - 7 * n for n in range(150)]
    column = {
        "uint64": pa.array(ids, pa.uint64()),
        "decimal": pa.array([Decimal(i) for i in ids], pa.decimal128(38, 0)),
        "digits": pa.array([f"{i}" for i in ids]),
    }[kind]
    rows = {name: [row[name] for row in people_rows[:150]] for name in ("birth_year", "approximate_age")}
    profiles = [json.dumps(row["profile_json"]) for row in people_rows[:150]]
    pq.write_table(pa.table({"pid": column, **rows, "profile_json": profiles}), tmp_path / "p.parquet")
    done = tiny_run(tmp_path / "p.parquet", tmp_path / "w")
    assert done.code == 0, done.said
    assert {row["source_id"]: row["pid"] for row in published_table(tmp_path / "w")} == {str(i): documented(str(i)) for i in ids}


def test_plan_says_what_ids_are(people_rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """From a sample, before anything runs."""
    for ids, expected in (([f"x{n}" for n in range(300)], "text"), ([str(n) for n in range(300)], "whole numbers")):
        source = write_jsonl(tmp_path / "p.jsonl", people_with(ids, people_rows))
        assert expected in cli("plan", "--source", source).stdout


@pytest.mark.parametrize("name", ON_DUCKDB)
def test_statements_with_source_ids(name: str) -> None:
    """The column is in both dialects, or in neither."""
    assert source_text(f"duckdb/{name}", source_ids=True) == transpiled(name, source_ids=True)
    assert source_text(f"duckdb/{name}") == transpiled(name)
    values = {"default_age": 35, "qa_timestamp": "2025-10-23 08:00:00", "run_id": "r", "usable_from_pct": 40.0}
    for statement in (for_duckdb, for_athena):
        assert "source_id" in statement(name, source_ids=True, **values)
        assert "source_id" not in statement(name, **values)


@pytest.mark.parametrize("name", ["people_table", "human_qa_table", "final_results_table"])
def test_tables_with_source_ids(name: str) -> None:
    """The declared tables have one column more, the second."""
    without, columns_with = columns(name), columns(name, source_ids=True)
    assert list(columns_with)[:2] == ["pid", "source_id"]
    assert columns_with == {"source_id": "STRING"} | without | {"source_id": "STRING"}


def test_text_ids_of_a_weak_hash_are_kept_apart(
    people_rows: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a function that gives two names the same number the run stops with exit code 3 and publishes nothing."""
    strong = text_ids._pid_and_check
    monkeypatch.setattr(text_ids, "_pid_and_check", lambda text: (strong(text)[0] % 50, strong(text)[1]))
    source = write_jsonl(tmp_path / "p.jsonl", people_with([f"x{n}" for n in range(200)], people_rows))
    done = tiny_run(source, tmp_path / "w")
    assert done.code == 3
    assert "two different ids have the same 63-bit pid" in done.said
    assert not done.published


@pytest.mark.parametrize(
    ("ids", "padded"),
    [
        (["007", "7"], 1),
        (["07", "8", None], 1),
        (["007", "008", "123"], 0),
        (["01", "123"], 0),
        (["0", "7", "0.5", " 7"], 0),
        (["x", "y", "007", "7"], 0),
    ],
)
def test_plan_counts_zeros_in_front_that_may_make_one_person_of_two(ids: list[str | None], padded: int, tmp_path: Path) -> None:
    """007 and 7 are one whole number; among texts, and where all are as long as each other, they are none."""
    (tmp_path / "a.csv").write_text("pid,age,tenure\n" + "".join(f"{person or ''},30,3\n" for person in ids))
    source = SourceConfig(approximate_age="age", profile_json="*")
    files = list_source(str(tmp_path / "a.csv"), source).files
    sample = PlanSample(RowRules(AgesConfig(), AS_OF), source, files)
    for piece in RowWalk(files, source).of_file(0):
        sample.add_piece(piece)
    sample.finish()
    assert sample.padded_ids == padded


def test_plan_and_run_say_that_zeros_in_front_do_not_count(tmp_path: Path) -> None:
    """Two people may be one, and no row accounting shows it."""
    rows = [f"{i:0{1 + i % 3}d},{20 + i % 40 if i % 3 else ''},{i % 30}\n" for i in range(80)]
    (tmp_path / "a.csv").write_text("pid,age,tenure_months\n" + "".join(rows))
    config = TINY + '[source]\napproximate_age = "age"\nprofile_json = "*"\n'
    said = tiny_run(tmp_path / "a.csv", tmp_path / "w", config=config).said
    assert re.search(r"zeros in front \(\d+\) count as without", said)
    code, out, _ = call(["plan", "--source", tmp_path / "a.csv", "--config", tmp_path / "w.toml"])
    assert code == 0
    assert "zeros in front" in out


@pytest.mark.parametrize("other", [b"\xff", b"abc"])
def test_bytes_that_are_no_text_merge_nobody(other: bytes) -> None:
    """Numbers of eight bytes that end with the code of a tab, a line end or a blank were one person."""
    numbers = [number.to_bytes(8, "big") for number in (9, 10, 13, 32)]
    ids = read_text_ids(plain_values(pa.chunked_array([pa.array([*numbers, other, b"p1 "], pa.binary())])))
    assert ids["pid"].to_pylist()[:4] == [None] * 4
    assert ids["source_id"].to_pylist()[-1] == "p1"
