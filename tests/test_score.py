"""True ages that became known later: which of them count, the score of one run, and the sample-ratio test."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import predict_age as pa_api
from conftest import cli, result_rows
from predict_age.cli.render_models import share_with_interval
from predict_age.errors import ConfigError, InputError
from predict_age.evaluation.ab_test.read_out import sample_ratio_mismatch
from predict_age.evaluation.ab_test.score import group_score, wilson_interval
from predict_age.evaluation.ab_test.truth import TruthCounts, load_truth
from predict_age.evaluation.ab_test.truth_files import TruthColumns, register_truth_rows
from predict_age.storage.manifest import verified_run
from predict_age.storage.workspace import Workspace

Finished = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def ages(finished: Finished, people: Path) -> dict[int, int]:
    """True ages of the predicted people, by pid."""
    truth = pq.read_table(people / "truth.parquet").to_pydict()
    predicted = {row[0] for row in result_rows(finished[0]) if row[4] == "ML_PREDICTION"}
    column = next(name for name in truth if name != "pid" and "age" in name)
    return {pid: age for pid, age in zip(truth["pid"], truth[column], strict=True) if pid in predicted}


def written(path: Path, rows: list[tuple[object, object]], separator: str = ",") -> Path:
    """A text file of pid and true_age."""
    path.write_text("".join(f"{a}{separator}{b}\n" for a, b in [("pid", "true_age"), *rows]))
    return path


def loaded(finished: Finished, truth: Path) -> tuple[TruthCounts, dict[int, float]]:
    """Counts and ages that a truth file gives."""
    workspace, connection = Workspace(finished[0]), duckdb.connect()
    counts = load_truth(connection, workspace, str(truth), verified_run(workspace, workspace.resolve("current")))
    return counts, dict(connection.sql("SELECT pid, age FROM truth").fetchall())


@pytest.mark.parametrize(
    ("given", "counts"),
    [
        (["nan", "NaN", "", "NULL", "unknown"], TruthCounts(3, 5, 0)),
        (["inf", "-inf", "Infinity"], TruthCounts(3, 3, 0)),
        (["-1", "999", "150", "0"], TruthCounts(3, 0, 4)),
    ],
)
@pytest.mark.parametrize("name", ["t.csv", "T.CSV", "t.tsv"])
def test_values_that_are_no_ages_are_counted(
    given: list[str], counts: TruthCounts, name: str, finished: Finished, tmp_path: Path
) -> None:
    """Unknown values and ages outside the window are left out, counted, and change nothing else."""
    good = [(1, 30), (2, 40.5), (3, 50)]
    rows = [*good, *((10 + i, value) for i, value in enumerate(given))]
    found, used = loaded(finished, written(tmp_path / name, rows, "\t" if name.endswith("tsv") else ","))
    assert found == counts
    assert used == {1: 30, 2: 40.5, 3: 50}


def test_nan_in_parquet_is_unknown(finished: Finished, tmp_path: Path) -> None:
    """NaN, infinity and NULL in a Parquet file of any numeric type."""
    table = pa.table(
        {"pid": pa.array([1, 2, 3, 4], pa.int32()), "true_age": pa.array([33, math.nan, math.inf, None], pa.float32())}
    )
    pq.write_table(table, tmp_path / "t.parquet")
    assert loaded(finished, tmp_path / "t.parquet") == (TruthCounts(1, 3, 0), {1: 33.0})


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([(1, 1985), (2, 1990), (3, 40)], "holds birth years"),
        ([(1, -1), (2, "nan")], "holds no true age"),
        ([("abc", 40)], "no pid"),
        ([(1, 40), (1, 41)], "names a person twice"),
    ],
)
def test_a_file_without_ages_is_refused(
    rows: list[tuple[object, object]], sentence: str, finished: Finished, tmp_path: Path
) -> None:
    """Birth years, no usable age, no pid, a person twice: exit code 2 from score and from ab, with what was expected."""
    path = written(tmp_path / "t.csv", rows)
    for command in (("score", "current"), ("ab", "current")):
        done = cli(*command, "--truth", path, "--workspace", finished[0], check=2)
        assert sentence in done.stderr
        assert "expected" in done.stderr


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("t.csv", "id,age\n1,40\n", "columns id, age"),
        ("t.csv", "pid,age\n1,40\n", "did you mean 'age'?"),
        ("t.csv", "pid,True age\n1,40\n", "no column true_age"),
        ("t.tsv", "person\ttrue_age\n1\t40\n", "no column pid"),
        ("t.csv", "", "no bytes"),
        ("t.csv", "pid,true_age\n", "no rows"),
        ("t.csv", "pid,true_age\n1,forty\n2,old\n", "2 unknown (empty, or no number)"),
        ("t.csv", "pid,true_age\n1,40\n1,41\n2,30\n", "1 pid in several rows"),
        ("t.csv", "pid,true_age\n1,40\n01,999\n2,30\n", "1 pid in several rows"),
        ("t.parquet", "pid,true_age\n1,40\n", "the true ages in"),
        ("t.xlsx", "PK\x03\x04", "ZIP archive"),
        ("t.json", "[]", "no rows"),
        ("t.jsonl", '{"pid": 1, "true_age": 40}\n{"pid": 2, "true_a\n', "record 2: "),
        ("t.csv", 'pid,true_age\n1,"40\n2,41\n', "found: "),
        ("t.csv", "pid,true_age\n123.5,40\n", "no pid"),
        ("t.csv.gz", "pid,true_age\n1,40\n", "found: no compressed data"),
    ],
)
def test_a_wrong_truth_file_is_explained(name: str, text: str, found: str, finished: Finished, tmp_path: Path) -> None:
    """Other columns, no rows, text ages, duplicates, another format: expected, found and fix, and no message of a library alone."""
    (tmp_path / name).write_text(text)
    done = cli("score", "current", "--truth", tmp_path / name, "--workspace", finished[0], check=2)
    assert found in done.stderr
    for part in ("expected: ", "found: ", "to fix: "):
        assert part in done.stderr
    assert "Binder" not in done.stderr


def test_columns_of_a_truth_file_can_be_named(finished: Finished, ages: dict[int, int], tmp_path: Path) -> None:
    """Other names than pid and true_age give the same score; a wrong one is refused with those that exist, and a run has no columns."""
    path = written(tmp_path / "t.csv", list(ages.items()))
    expected = json.loads(cli("score", "current", "--truth", path, "--workspace", finished[0], "--json").stdout)
    text = path.read_text()
    other = tmp_path / "other.csv"
    other.write_text("Kunde,Alter" + text[text.index("\n") :])
    named = ("--pid", "Kunde", "--age", "Alter", "--workspace", finished[0])
    found = json.loads(cli("score", "current", "--truth", other, *named, "--json").stdout)
    assert {**found, "truth": ""} == {**expected, "truth": ""}
    wrong = cli("score", "current", "--truth", other, "--pid", "kunde", "--age", "Alter", "--workspace", finished[0], check=2)
    assert "no column kunde" in wrong.stderr and "Kunde" in wrong.stderr
    assert "a file as --truth" in cli("score", "current", "--truth", "current", *named, check=2).stderr


TRUTHS: dict[str, bytes] = {
    "t.csv": b"pid,true_age\n1,33\n2,41.5\n",
    "t.txt": b"\xef\xbb\xbfpid;true_age\r\n1;33\r\n2;41,5\r\n",
    "t.tsv": "PID\ttrue_age\tname\n1.0\t33\tJosé\n2.0\t41.5\tAna\n".encode("cp1252"),
    "utf16.csv": "pid,true_age\n1,33\n2,41.5\n".encode("utf-16"),
    "t.csv.gz": gzip.compress(b"pid,true_age\n1,33\n2,41.5\n"),
    "t.jsonl": b'{"pid": 1, "true_age": 33}\n{"pid": "2", "true_age": "41.5"}\n',
    "t.json": b'[{"pid": 1, "true_age": 33}, {"true_age": 41.5, "pid": 2}]',
    "t.ndjson.gz": gzip.compress(b'{"pid": 1, "true_age": 33}\n{"pid": 2, "true_age": 41.5}\n'),
    "folder/a.csv": b"pid,true_age\n1,33\n2,41.5\n",
}


@pytest.mark.parametrize("name", TRUTHS)
def test_true_ages_in_any_dress(name: str, finished: Finished, tmp_path: Path) -> None:
    """Formats, dialects, encodings, compression and folders that the source may have, the truth may have, too."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(TRUTHS[name])
    named = path.parent if "/" in name else path
    assert loaded(finished, named) == (TruthCounts(2, 0, 0), {1: 33.0, 2: 41.5})


@pytest.mark.parametrize(
    "kind", [pa.int32(), pa.float64(), pa.string(), pa.dictionary(pa.int8(), pa.string()), pa.decimal128(21, 0)]
)
def test_true_ages_in_parquet_of_any_type(kind: pa.DataType, finished: Finished, tmp_path: Path) -> None:
    pids = pa.array([1, 2]).cast(pa.string()) if pa.types.is_dictionary(kind) else pa.array([1, 2])
    pids = pids.dictionary_encode() if pa.types.is_dictionary(kind) else pids.cast(kind)
    pq.write_table(pa.table({"pid": pids, "true_age": [33, 41.5]}), tmp_path / "t.parquet")
    assert loaded(finished, tmp_path / "t.parquet") == (TruthCounts(2, 0, 0), {1: 33.0, 2: 41.5})


def test_score_and_evaluate_count_the_same_people(finished: Finished, ages: dict[int, int], tmp_path: Path) -> None:
    """Ages outside the window and unknown ones are left out by both and counted; minors among the published, all of them."""
    pids = list(ages)
    truth: dict[int, float] = {
        **dict(list(ages.items())[:40]),
        pids[40]: 101,
        pids[41]: 13,
        pids[42]: 3,
        pids[43]: 17,
        pids[44]: math.nan,
    }
    path = written(tmp_path / "truth.csv", list(truth.items()))
    scored = json.loads(cli("score", "current", "--truth", path, "--workspace", finished[0], "--json").stdout)
    evaluated = pa_api.evaluate(pa_api.open_run(finished[0]), truth)
    assert scored["counts"] == {"used": 41, "unknown": 1, "outside": 3}
    assert evaluated.all.rows == scored["all"]["rows"] == 41
    assert (evaluated.unknown, evaluated.outside) == (1, 3)
    assert evaluated.all.mae == pytest.approx(scored["all"]["mae"])
    assert scored["minors_published"] == 3
    assert "left out: 1 unknown, 3 outside" in repr(evaluated)
    table = pa_api.evaluate(pa_api.open_run(finished[0]).results.to_arrow(), truth)
    assert table.all.rows == 41


def test_score_equals_numpy(finished: Finished, ages: dict[int, int], tmp_path: Path) -> None:
    """Error, bias, coverage and width of one run, on the people whose age became known; groups add up to all."""
    some = dict(list(ages.items())[::2])
    path = written(tmp_path / "truth.csv", list(some.items()))
    found = json.loads(cli("score", "current", "--truth", path, "--workspace", finished[0], "--json").stdout)
    rows = [row for row in result_rows(finished[0]) if row[0] in some]
    age = np.array([some[row[0]] for row in rows], float)
    predicted, lower, upper = (np.array([row[i] for row in rows], float) for i in (1, 5, 6))
    everybody = found["all"]
    assert everybody["rows"] == len(some) == found["counts"]["used"]
    assert everybody["mae"] == pytest.approx(np.abs(predicted - age).mean())
    assert everybody["bias"] == pytest.approx((predicted - age).mean())
    assert everybody["coverage"] == pytest.approx(((lower <= age) & (age <= upper)).mean())
    assert everybody["mae_interval"][0] < everybody["mae"] < everybody["mae_interval"][1]
    for groups in ("by_predicted_band", "by_confidence"):
        assert sum(group["rows"] for group in found[groups]) == len(some)
    assert (found["not_predicted"], found["withheld"], found["not_found"]) == (0, 0, 0)
    shown = cli("score", "current", "--truth", path, "--workspace", finished[0]).stdout
    assert f"{len(some):,} true ages" in shown
    assert "predicted 25" in shown


def test_every_true_age_is_accounted_for(finished: Finished, ages: dict[int, int], tmp_path: Path) -> None:
    """Predicted, known or default, withheld, not in the result: together they are the true ages that were used."""
    others = [row[0] for row in result_rows(finished[0]) if row[4] not in ("ML_PREDICTION", "WITHHELD")][:7]
    rows = [*list(ages.items())[:20], *((pid, 40) for pid in others), *((-1_000_000 - i, 40) for i in range(5))]
    path = written(tmp_path / "truth.csv", [*rows, (-1, "nan"), (-2, 999)])
    found = json.loads(cli("score", "current", "--truth", path, "--workspace", finished[0], "--json").stdout)
    assert found["counts"] == {"used": 32, "unknown": 1, "outside": 1}
    assert (found["all"]["rows"], found["not_predicted"], found["withheld"], found["not_found"]) == (20, 7, 0, 5)
    shown = " ".join(cli("score", "current", "--truth", path, "--workspace", finished[0]).stdout.split())
    assert "32 true ages: 20 of predicted people, 7 of people with a known or the default age, 0 of withheld people, 5 of" in shown


def test_a_run_of_one_model_is_sent_to_score(finished: Finished, ages: dict[int, int], tmp_path: Path) -> None:
    """ab of one run without challengers names the command that evaluates it."""
    path = written(tmp_path / "truth.csv", list(ages.items()))
    assert "predict-age score" in cli("ab", "current", "--truth", path, "--workspace", finished[0], check=2).stderr


def test_intervals_cover() -> None:
    """The 95 % intervals of error, bias and coverage hold the true value in about 95 % of 2,000 samples."""
    rng = np.random.default_rng(5)
    hits = np.zeros(3)
    for _ in range(2000):
        age = rng.integers(20, 60, 150).astype(float)
        error = rng.normal(1, 5, 150)
        score = group_score("x", age, age + error, age + error - 8, age + error + 8)
        true_mae = 4.0782  # E|N(1, 5)| = 5 sqrt(2/pi) exp(-0.02) + erf(0.2 / sqrt 2)
        true_coverage = 0.8849  # P(|N(1, 5)| <= 8)
        hits += [
            score.mae_interval[0] <= true_mae <= score.mae_interval[1],
            score.bias_interval[0] <= 1 <= score.bias_interval[1],
            score.coverage_interval[0] <= true_coverage <= score.coverage_interval[1],
        ]
    assert (np.abs(hits / 2000 - 0.95) < 0.02).all()
    assert wilson_interval(0.0, 10)[0] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("rows", "shares", "mismatch"),
    [
        ([930, 9346], [0.5, 0.5], True),
        ([5000, 5100], [0.5, 0.5], False),
        ([9000, 1010], [0.9, 0.1], False),
        ([9000, 700], [0.9, 0.1], True),
        ([0, 0], [0.5, 0.5], False),
        ([800, 100, 300], [0.8, 0.1, 0.1], True),
        ([500, 3], [0.9, 0.0], False),
    ],
)
def test_sample_ratio(rows: list[int], shares: list[float], mismatch: bool) -> None:
    """Arms whose sizes do not fit their shares are not compared; chance and unknown shares are accepted."""
    reason = sample_ratio_mismatch(rows, shares)
    assert bool(reason) is mismatch
    assert not mismatch or f"{rows[0]:,}" in reason


@pytest.mark.parametrize("truth", [{None: 40}, {1.5: 40}, {float("nan"): 40}, {float("inf"): 40}])
def test_rows_of_nobody_are_refused(truth: dict[Any, int], finished: Finished, ages: dict[int, int]) -> None:
    """They would be lost beside those who are found; the command refuses such files, too."""
    with pytest.raises(InputError, match=r"the truth (have no pid|is no whole number)|no pid"):
        pa_api.evaluate(pa_api.open_run(finished[0]), {**truth, next(iter(ages)): 35})


def test_evaluate_says_how_many_are_not_in_the_results(finished: Finished, ages: dict[int, int]) -> None:
    """As the command does."""
    scores = pa_api.evaluate(pa_api.open_run(finished[0]), {**dict(list(ages.items())[:30]), -7: 40, -8: 41})
    assert "not in the results: 2" in repr(scores)


@pytest.mark.parametrize(
    "content",
    [
        '{"pid": " a", "true_age": 40,}\n{"pid": "b", "true_age": 41, "x": ' + "9" * 5000 + "}\n",
        '{"pid": "a\\u00a0", "true_age": "40\\t"}\n{"pid": "b", "true_age": 41, "x": ' + "[" * 3000 + "]" * 3000 + "}\n",
        "pid,true_age\na\t,\t40\nb\u2003,41\n",
    ],
    ids=["commas and long numbers", "deep JSON", "tabs"],
)
def test_true_ages_are_read_as_a_source_is(content: str, tmp_path: Path) -> None:
    """JSON that Python's parser refuses was an internal error; ids with a tab beside them were silently found nowhere."""
    path = tmp_path / ("truth.csv" if content.startswith("pid") else "truth.jsonl")
    path.write_text(content)
    connection = duckdb.connect()
    register_truth_rows(connection, str(path), TruthColumns())
    assert connection.sql("SELECT pid, true_age FROM truth_rows ORDER BY pid").fetchall() == [("a", "40"), ("b", "41")]


def test_a_column_of_true_ages_that_is_there_twice_is_named(tmp_path: Path) -> None:
    """It was an internal error."""
    ids = pa.array([1, 2])
    pq.write_table(pa.table([ids, ids, ids], names=["pid", "true_age", "pid"]), tmp_path / "t.parquet")
    with pytest.raises(ConfigError, match="a column name appears twice"):
        register_truth_rows(duckdb.connect(), str(tmp_path / "t.parquet"), TruthColumns())


def test_ends_of_a_coverage_are_shares() -> None:
    """Two people inside their interval tell little, and no more than all can be inside."""
    assert share_with_interval(1.0, wilson_interval(1.0, 2)) == "100.0 % (34\N{EN DASH}100)"
    assert share_with_interval(0.9, wilson_interval(0.9, 1000)) == "90.0 % (88\N{EN DASH}92)"
    assert share_with_interval(math.nan, (math.nan, math.nan)) == "\N{EN DASH} (\N{EN DASH}\N{EN DASH}\N{EN DASH})"
