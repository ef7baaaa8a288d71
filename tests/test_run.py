"""Whole runs: the books, the tables, the commands, and what happens when something goes wrong in the middle."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from conftest import AS_OF, TINY, cli, cli_process, result_rows, run_json, shared, tiny_run, write_jsonl
from predict_age.errors import BusyError, IntegrityError
from predict_age.html import page, svg
from predict_age.pipeline.step_inputs import parallel_prediction_inputs
from predict_age.records.model_quality import CardFinding
from predict_age.records.receipts import BatchContents, Receipt
from predict_age.records.step_facts import FinalResultsFacts, ReadSourceFacts, TrainingFacts
from predict_age.report import run_report
from predict_age.runs.findings import run_findings
from predict_age.runs.run import Run, RunPlan
from predict_age.runs.step_outputs import batches_of, duplicate_rows_file, rules_of, splits_of
from predict_age.runtime.progress import Console
from predict_age.runtime.worker_pool import Pool
from predict_age.sql import VIEW
from predict_age.step import STEPS
from predict_age.steps import batch_prediction
from predict_age.steps.human_qa import qa_part
from predict_age.steps.parallel_prediction import prediction_partitions
from predict_age.storage.durable_files import file_sha256
from predict_age.storage.workspace import RunFolder, Workspace
from processes import alive, server_of, start, wait_for, workers_of

Finished = tuple[Path, dict[str, Any]]


def test_json_of_a_run(finished: Finished) -> None:
    """The promised keys, books that balance, and metrics that are numbers."""
    _, run = finished
    assert run["status"] == "done"
    assert {"run_id", "status", "report", "workers", "rows", "stages", "metrics"} <= set(run)
    rows = run["rows"]
    assert rows["read"] == rows["distinct"] == 3000
    assert rows["set_aside"] == rows["duplicate"] == rows["default"] == 0
    assert rows["existing"] + rows["predicted"] + rows["withheld"] == 3000
    assert [s["name"] for s in run["stages"]] == [s.name for s in STEPS]
    assert all(set(s) == {"name", "seconds", "rows", "peak_rss_bytes"} and s["peak_rss_bytes"] > 10**6 for s in run["stages"])
    assert all(
        isinstance(run["metrics"][k], float) for k in ("mae", "ridge_mae", "median_mae", "coverage", "width", "high_quality_share")
    )
    assert run["metrics"]["mae"] < run["metrics"]["median_mae"]
    assert run["table"] == "predict_age_final_results_2025q3"


def test_results_against_the_truth(finished: Finished, people: Path) -> None:
    """Everybody exactly once; known ages are the truth at 100 %; predictions are better than a constant."""
    truth = dict(zip(*(pq.read_table(people / "truth.parquet")[c].to_pylist() for c in ("pid", "true_age")), strict=True))
    rows = result_rows(finished[0])
    assert sorted(r[0] for r in rows) == sorted(truth)
    errors = []
    for pid, age, score, pct, source, lower, upper, version in rows:
        if source == "ML_PREDICTION":
            assert lower <= age <= upper
            assert score == pytest.approx(upper - lower)
            assert pct == pytest.approx(max(0.0, 100 - 3.33 * score))
            assert version.startswith("age-")
            errors.append(abs(age - truth[pid]))
        elif source == "WITHHELD":  # taken for a minor: nobody of them is one
            assert (age, pct, score, lower, upper, version) == (None,) * 6
            assert truth[pid] < 40
        else:
            assert (age, pct, score, lower, upper) == (truth[pid], 100, None, truth[pid], truth[pid])
    assert sum(errors) / len(errors) < 5.5  # a constant errs by 9 years


def test_batches_are_planned_and_kept(finished: Finished) -> None:
    """Several batch files with the document's name and columns, each with a receipt; the formula is in the record."""
    workspace, run = finished
    folder = workspace / "runs" / run["run_id"]
    batches = sorted(folder.glob("predictions/batch_*.parquet"))
    assert len(batches) == run["batches"]["batches"] >= 3
    assert (folder / "predictions" / "batch_0.json").exists()
    assert pq.read_schema(batches[0]).names[:3] == ["pid", "predicted_age", "confidence_score"]
    assert "ceil(" in json.loads((folder / "steps" / "batch_generator.json").read_text())["facts"]["formula"]
    assert not list(workspace.rglob("*.tmp"))


@pytest.mark.parametrize(("bite", "most", "rows"), [(9_000, 40_000, 25_000), (60_000, 10_000, 25_000), (9_000, 10**9, 30)])
def test_a_batch_is_the_same_in_bites_and_slices_of_any_size(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bite: int, most: int, rows: int
) -> None:
    """Whose profiles are read and predicted together changes nobody's prediction by more than the last digit, and no count."""
    workspace = Workspace(finished[0])
    folder = workspace.run(workspace.published.current)
    run = Run(RunPlan.from_json(folder.record), workspace, folder, Pool(1), Console(quiet=True), Anything())
    part = prediction_partitions(parallel_prediction_inputs(run))[0]

    def predicted(name: str) -> tuple[pa.Table, Receipt[BatchContents]]:
        receipt = batch_prediction.predict_batch(tmp_path / f"{name}.parquet", "key", *part.needs)
        return pq.read_table(tmp_path / f"{name}.parquet"), receipt

    expected, receipt = predicted("at once")
    slices = []
    together = batch_prediction._together
    monkeypatch.setattr(batch_prediction, "_together", lambda several: slices.append(len(several)) or together(several))
    for name, value in (("CACHE_CHUNK_BYTES", bite), ("SLICE_BYTES", most), ("SLICE_ROWS", rows)):
        monkeypatch.setattr(batch_prediction, name, value)
    monkeypatch.setattr("predict_age.source.row_group_reader.SLICE_ROWS", rows)
    made, other = predicted("in pieces")
    assert len(slices) > len(part.needs[0]) and receipt.contents.rows == other.contents.rows == expected.num_rows > 500
    assert made["pid"].equals(expected["pid"]) and made["profile_key"].equals(expected["profile_key"])
    for name, by in (("predicted_age", 1), ("age_lower", 0.011), ("age_upper", 0.011)):
        assert made[name].is_null().equals(expected[name].is_null())
        off = np.abs(made[name].drop_null().to_numpy() - expected[name].drop_null().to_numpy())
        assert off.max() <= by and (off > 0).mean() < 0.01
    assert other.contents.tally.counts == receipt.contents.tally.counts and other.contents.sketch == receipt.contents.sketch


def test_batch_with_somebody_twice_does_not_become_a_result(finished: Finished, tmp_path: Path) -> None:
    """Each prediction finds its person, and yet there are more rows than people: the batch does not fit."""
    workspace = Workspace(finished[0])
    folder = workspace.run(workspace.published.current)
    plan = RunPlan.from_json(folder.record)
    source = folder.finished(ReadSourceFacts)
    splits = [splits_of(folder)[s] for s in batches_of(folder)[0]]
    shared_inputs = (plan.config.source, rules_of(plan, source.facts), duplicate_rows_file(folder), plan.purpose)
    batch = pq.read_table(folder.batch(0))
    for rows, fits in ((batch, True), (pa.concat_tables([batch, batch.slice(0, 1)]), False)):
        path = tmp_path / f"batch-{fits}.parquet"
        pq.write_table(rows, path)
        with nullcontext() if fits else pytest.raises(IntegrityError, match="does not fit its source rows"):
            qa_part(tmp_path / f"qa-{fits}.parquet", "key", path, file_sha256(path), splits, *shared_inputs)


class Anything:
    """A lease that is never lost."""

    token = 1

    def check(self) -> None:
        """Nothing to say."""


def test_sql_sees_all_tables_and_changes_none(finished: Finished, tmp_path: Path) -> None:
    """Every table of the workspace answers; writing, attaching, configuring and foreign files are refused with exit code 2."""
    workspace, _ = finished
    done = cli("sql", "--workspace", workspace, "--format", "csv", f"SELECT count(*) FROM {VIEW}")
    assert done.stdout == "count_star()\n3000\n"
    tables = cli(
        "sql", "--workspace", workspace, "--format", "csv", "SELECT table_name FROM information_schema.tables ORDER BY 1"
    ).stdout
    assert tables.split()[1:] == [
        "predict_age_final_results",
        "predict_age_final_results_2025q3",
        VIEW,
        "predict_age_human_qa",
        "predict_age_predictions",
        "predict_age_set_aside",
    ]
    lines = cli("sql", "--workspace", workspace, "--format", "jsonl", f"SELECT * FROM {VIEW} LIMIT 2").stdout.splitlines()
    assert {"pid", "predicted_age", "confidence_score_original", "confidence_pct", "prediction_source", "qa_timestamp"} <= set(
        json.loads(lines[0])
    )
    assert "pid" in cli("sql", "--workspace", workspace, f"SELECT pid FROM {VIEW} LIMIT 2").stdout
    assert VIEW in cli("sql", "--workspace", workspace, "SHOW TABLES").stdout
    out = tmp_path / "o.parquet"
    cli("sql", "--workspace", workspace, "--format", "parquet", "--out", out, f"SELECT pid FROM {VIEW}")
    assert pq.read_table(out).num_rows == 3000
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for query in (
        f"DROP VIEW {VIEW}",
        "CREATE TABLE t AS SELECT 1",
        f"COPY (SELECT 1) TO '{tmp_path}/x.csv'",
        "SELECT 1; SELECT 2",
        "SELEC 1",
        "",
        f"SELECT * FROM read_csv('{tmp_path}/secret.csv')",
        "ATTACH 'x.db'",
        "SET enable_external_access = true",
        "SELECT * FROM nowhere",
        f"COPY (SELECT 1) TO '{workspace}/runs/x.csv'",
        "INSTALL httpfs",
        "PRAGMA database_list",
    ):
        assert cli("sql", "--workspace", workspace, query, check=2).stderr.startswith("predict-age: ")
    assert not (tmp_path / "x.csv").exists()
    assert not (workspace / "runs" / "x.csv").exists()


def test_status_runs_report_plan(finished: Finished, small_files: Path, quick: Path) -> None:
    """The other commands answer for people and for scripts."""
    workspace, run = finished
    assert run["run_id"] in cli("status", "--workspace", workspace).stdout
    assert json.loads(cli("status", "--workspace", workspace, "--json").stdout)["rows"] == run["rows"]
    [row] = json.loads(cli("runs", "--workspace", workspace, "--json").stdout)
    assert row["current"]
    assert row["published"] == "2025q3"
    assert "2025q3 (current)" in cli("runs", "--workspace", workspace).stdout
    assert cli_process("report", "--workspace", workspace).stdout.strip() == run["report"]
    plan = json.loads(cli("plan", "--source", small_files, "--as-of", AS_OF, "--config", quick, "--json").stdout)
    assert plan["rows"] == 3000
    assert plan["exact_rows"]
    assert abs(plan["to_predict"] - run["rows"]["predicted"]) < 150
    assert plan["minutes"] > 0
    assert "memory" in cli("plan", "--source", small_files).stdout


def test_report_is_self_contained(finished: Finished) -> None:
    """One HTML file, SVG plots, no script, nothing loaded from elsewhere, and the sections that are promised."""
    html = Path(finished[1]["report"]).read_text(encoding="utf-8")
    assert html.count("<svg") == 8
    assert "<script" not in html
    for outside in ('src="http', 'href="http', "@import", "url(http"):
        assert outside not in html
    for section in (
        "Row accounting",
        "Predicted against true",
        "Coverage by true age",
        "Importance",
        "Missing values",
        "For reviewers",
        "Time and memory",
    ):
        assert section in html


def test_report_without_usable_predictions(finished: Finished) -> None:
    """Nothing usable: the tile is red and the first finding says so. Rare values are counted as what they are."""
    workspace, run = finished
    folder = Workspace(workspace).run(run["run_id"])
    final = folder.facts(FinalResultsFacts)
    nothing = replace(final, quality={**final.quality, "usable_share_predicted": 0.0})
    [finding] = run_findings(40, None, None, None, nothing)
    assert finding == (
        f"No prediction is usable: all {final.rows.predicted:,} are marked usable = false, their confidence is below 40 %."
    )
    context: dict[str, Any] = run_report._context(folder)
    assert '<div class="tile bad">' not in page("report.html", **context).decode()
    context["s"]["metrics"]["usable_share_predicted"] = 0.0
    context["unseen"] = {"state": 164, "city": 1}
    text = page("report.html", **context).decode()
    assert '<div class="tile bad"><b>0.0\N{NO-BREAK SPACE}%</b>' in text
    assert "fewer than 20 training people share are not known to the model: state 164 people, city 1 person.</p>" in text
    for errors, network, sentence in (
        (1.0, 0.75, "is read from the errors around the predicted age alone."),
        (0.0, 1.0, "is read from the distribution of the network."),
        (0.0, 0.5, "the network (50.0 %) and of the quantile forest (50.0 %)."),
        (0.5, 0.5, "age (50.0 % of it) and the distribution of the network (25.0 %) and of the quantile forest (25.0 %)."),
    ):
        context["metrics"] |= {
            "residual_share": errors,
            "network_share": network,
            "ridge": context["metrics"]["ridge"] | {"bias": -0.001},
        }
        text = page("report.html", **context).decode().replace("\N{NO-BREAK SPACE}", " ")
        assert sentence in text and "-0.00<" not in text


@pytest.mark.parametrize(("findings", "said"), [(3, ""), (4, ""), (5, "1 more finding about"), (9, "5 more findings about")])
def test_report_says_how_many_findings_the_card_has(finished: Finished, findings: int, said: str) -> None:
    """Four findings about the model; the others are counted, and lead to the card."""
    workspace, run = finished
    folder = Workspace(workspace).run(run["run_id"])
    context: dict[str, Any] = run_report._context(folder)
    made = [CardFinding(kind="age band", size=1.0, sentence=f"finding number {n}") for n in range(findings)]
    context["judged"] = replace(context["judged"], findings=made)
    text = page("report.html", **context).decode()
    assert text.count("finding number") == min(findings, 4)
    assert ("more finding" in text) is bool(said)
    assert not said or f'<a href="model/card.html">{said}' in text


def test_bands_of_few_people_are_not_red_in_the_report(finished: Finished) -> None:
    """A short band of 20 people is red in the table, one of 19 is not; the picture's red bars follow the same rule."""
    workspace, run = finished
    folder = Workspace(workspace).run(run["run_id"])
    metrics = folder.facts(TrainingFacts).metrics
    context: dict[str, Any] = run_report._context(folder)
    few, some = (replace(metrics.by_band[0], rows=rows, coverage=rows / 1000) for rows in (19, 20))
    context["bands"], context["metrics"]["by_predicted_band"] = [few, some], []
    table = page("report.html", **context).decode().partition('<table class="bands">')[2].partition("</table>")[0]
    assert 'class="warn">2.0\N{NO-BREAK SPACE}%' in table
    assert table.count("warn") == 1
    tally = folder.facts(FinalResultsFacts).tally
    drawn = run_report._plots(replace(metrics, by_band=[few, some]), tally, tally, 0.9, 40)["coverage"]
    assert drawn.count(f'fill="{svg.RED}"') == 1


def test_same_run_twice_gives_identical_rows(finished: Finished, small_files: Path, quick: Path, tmp_path: Path) -> None:
    """A second run in another workspace publishes the same rows, by another number of workers too."""
    other = tmp_path / "one.toml"
    other.write_text(quick.read_text().replace("workers = 2", "workers = 2\nkeep_runs = 1"))
    run = run_json(small_files, tmp_path / "w", "--config", other)
    assert run["model_version"] == finished[1]["model_version"]
    assert result_rows(tmp_path / "w") == result_rows(finished[0])


@pytest.mark.parametrize("kind", ["jsonl.gz", "csv", "modulo", "struct"])
def test_other_formats_give_the_same_rows(
    kind: str, finished: Finished, small_files: Path, people_rows: list[dict[str, Any]], quick: Path, tmp_path: Path
) -> None:
    """The same people as JSON lines with objects, as CSV, as Parquet structs, or cut by floor modulo: the same published rows."""
    config, source = quick, tmp_path / "source"
    source.mkdir()
    if kind == "modulo":
        source = small_files
        config = tmp_path / "modulo.toml"
        config.write_text(quick.read_text().replace("[prediction]", '[prediction]\npartition = "modulo"'))
    elif kind == "jsonl.gz":
        import gzip

        plain = write_jsonl(tmp_path / "x", people_rows)
        (source / "a.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    elif kind == "csv":
        pacsv.write_csv(pq.read_table(small_files), source / "a.csv")
    else:
        import pyarrow as pa

        keys = sorted({k for r in people_rows for k in r["profile_json"]})
        rows = [{**r, "profile_json": {k: r["profile_json"].get(k) for k in keys}} for r in people_rows]
        pq.write_table(pa.Table.from_pylist(rows), source / "a.parquet", row_group_size=700)
    run = run_json(source, tmp_path / "w", "--config", config)
    assert run["rows"]["distinct"] == 3000
    assert result_rows(tmp_path / "w") == result_rows(finished[0])
    if kind == "modulo":
        folder = tmp_path / "w" / "runs" / run["run_id"] / "predictions"
        number = run["batches"]["batches"]
        for path in folder.glob("batch_*.parquet"):
            assert {p % number for p in pq.read_table(path)["pid"].to_pylist()} == {int(path.stem.split("_")[1])}


def messy(rows: list[dict[str, Any]]) -> tuple[list[Any], dict[str, Any]]:
    """People with every kind of trouble among them, and what the books must say."""
    lines: list[Any] = [dict(r) for r in rows[:1500]]
    profile = rows[0]["profile_json"]
    lines += [
        b"{broken",
        b"[1, 2]",
        b'{"pid": \xff}',
        {"pid": "abc"},
        {"pid": None},
        {"birth_year": 1980},
        {"pid": 2**70},
        {"pid": True},
    ]
    lines += [
        {"pid": -1, "birth_year": 1850, "profile_json": profile},
        {"pid": -2, "birth_year": 2031, "profile_json": profile},
        {"pid": 0, "approximate_age": 150, "profile_json": profile},
        {"pid": 2**53 + 1, "birth_year": "nineteen", "profile_json": profile},
        {"pid": 2**63 - 1, "birth_year": 1970, "approximate_age": 20, "profile_json": profile},
        {"pid": -3, "birth_year": "1985", "profile_json": None},
        {"pid": -4, "profile_json": None},
        {"pid": -5, "profile_json": ""},
        {"pid": -6, "profile_json": "{oops"},
        {"pid": -7, "profile_json": []},
        {"pid": -8, "profile_json": {}},
        {"pid": -9},
        {
            "pid": -10,
            "profile_json": {
                **profile,
                "tenure_months": -5,
                "linkedin_connections": 1e308,
                "job_level": "<script>alert(1)</script>",
            },
        },
        {"pid": -11, "profile_json": {"email_provider": "=cmd()", "unknown": "x" * 1_000_000}},
    ]
    unknown = next(r for r in rows if r["birth_year"] is None and r["approximate_age"] is None)
    known = next(r for r in rows if r["birth_year"] is not None)
    lines += [dict(unknown), {**unknown, "approximate_age": 44}, dict(known), {**known, "birth_year": known["birth_year"] - 9}]
    expected = {
        "read": 1500 + 8 + 14 + 4,
        "set_aside": 8,
        "usable": 1518,
        "duplicate": 4,
        "distinct": 1514,
        "default": 6,
        "reasons": {
            "malformed_json": 1,
            "not_an_object": 1,
            "invalid_utf8": 1,
            "pid_missing": 2,
            "pid_not_an_integer": 2,
            "pid_out_of_range": 1,
        },
        "defaults": {"profile_missing": 3, "profile_malformed": 1, "profile_not_an_object": 1, "profile_without_features": 1},
        "winner": (unknown["pid"], 44),
        "kept": (known["pid"], known["approximate_age"] or 2025 - known["birth_year"]),
    }
    return lines, expected


@pytest.fixture(scope="module")
def messy_run(
    people_rows: list[dict[str, Any]], quick: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """A finished run over the messy source."""
    lines, expected = messy(people_rows)

    def make(folder: Path) -> dict[str, Any]:
        return run_json(write_jsonl(folder / "people.jsonl", lines), folder / "w", "--config", quick)

    folder, run = shared(tmp_path_factory, "messy", make)
    return folder / "w", run, expected


def test_books_of_a_messy_source(messy_run: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    """Every row is accounted for, by reason; nothing stops the run."""
    _, run, expected = messy_run
    for key in ("read", "set_aside", "usable", "duplicate", "distinct", "default"):
        assert run["rows"][key] == expected[key], key
    assert run["set_aside_reasons"] == expected["reasons"]
    assert run["default_reasons"] == expected["defaults"]


def test_rows_of_a_messy_source(messy_run: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    """Implausible ages are predicted, readable ones used, known duplicates win, defaults carry no confidence."""
    workspace, _, expected = messy_run
    rows = {r[0]: r for r in result_rows(workspace)}
    source = {pid: rows[pid][4] for pid in (-1, -2, 0, 2**53 + 1, -10, -11, 2**63 - 1, -3)}
    assert [source[p] for p in (-1, -2, 0, 2**53 + 1, -10, -11)] == ["ML_PREDICTION"] * 6
    assert (rows[2**63 - 1][1], source[2**63 - 1]) == (20, "EXISTING_APPROX_AGE")
    assert (rows[-3][1], source[-3]) == (40, "EXISTING_BIRTH_YEAR")
    for pid in (-4, -5, -6, -7, -8, -9):
        assert rows[pid][1:5] == (35, None, 0.0, "DEFAULT")
    for pid, age in (expected["winner"], expected["kept"]):
        assert rows[pid][1] == age


def test_set_aside_and_qa_tables(messy_run: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    """Broken records are kept with file, position and reason; QA names what to look at; the report escapes what people wrote."""
    workspace, run, _ = messy_run
    text = cli(
        "sql", "--workspace", workspace, "--format", "csv", "SELECT position, reason FROM predict_age_set_aside ORDER BY 1"
    ).stdout
    assert text.splitlines()[1:4] == ["1501,malformed_json", "1502,not_an_object", "1503,invalid_utf8"]
    assert "1504,pid_not_an_integer" in text
    qa = "SELECT review_reason, count(*) FROM predict_age_human_qa WHERE review_reason IS NOT NULL GROUP BY 1 ORDER BY 1"
    assert cli("sql", "--workspace", workspace, "--format", "csv", qa).stdout.splitlines()[1:] == [
        "AGE_AND_BIRTH_YEAR_DISAGREE,1",
        "IMPLAUSIBLE_AGE,3",
        "NO_USABLE_PROFILE,6",
        "UNREADABLE_AGE,1",
    ]
    html = Path(run["report"]).read_text(encoding="utf-8")
    assert "<script>" not in html
    assert "malformed_json" in html


def failing(tmp_path: Path, rows: list[Any], quick: Path, code: int, *more: str, name: str = "s.jsonl") -> str:
    """Run a source that must fail with ``code``; nothing may be published. Returns the message."""
    source = write_jsonl(tmp_path / name, rows)
    message = run_json(source, tmp_path / "w", "--config", quick, *more, check=code)["error"]
    assert not Workspace(tmp_path / "w").published.current
    return str(message)


def test_bad_sources_stop_with_one_clear_message(people_rows: list[dict[str, Any]], quick: Path, tmp_path: Path) -> None:
    """Exit code 3 and: what was expected, what was found, what to do."""
    assert "holds no rows" in failing(tmp_path, [], quick, 3)
    assert "no row of the source can be used" in failing(tmp_path, [b"x", b"y"], quick, 3)
    assert "too few people with a known age" in failing(
        tmp_path, [{**r, "birth_year": None, "approximate_age": None} for r in people_rows[:300]], quick, 3
    )
    array = failing(tmp_path, [json.dumps(people_rows[:50], indent=1)[:-100]], quick, 3, name="array.json")
    assert "the array does not end" in array
    many = failing(tmp_path, [*people_rows[:100], *[b"x"] * 20], quick, 3)
    assert "20 of 120 rows cannot be used" in many
    assert "max_set_aside_share" in many
    (tmp_path / "p.parquet").write_bytes(b"PAR1 no")
    assert "not a readable Parquet file" in run_json(tmp_path / "p.parquet", tmp_path / "w2", "--config", quick, check=3)["error"]
    assert "does not exist" in run_json(tmp_path / "nothing", tmp_path / "w3", "--config", quick, check=3)["error"]


def test_bad_configuration_stops_before_anything_happens(small_files: Path, tmp_path: Path) -> None:
    """Exit code 2, the file, the line, the key."""
    bad = tmp_path / "c.toml"
    for text, message in (
        ("[training]\nrounds = 'many'", "line 2: training.rounds"),
        ("[trainin]\n", "line 1: trainin: unknown key; did you mean training?"),
        ("[source]\nbirth_yaer = 'b'", "line 2: source.birth_yaer: unknown key; did you mean birth_year?"),
        ("[training]\nbatch_rows = 9", "line 2: training.batch_rows: unknown key; did you mean prediction.batch_rows?"),
        ("[running]\nxyzzy = 1", "line 2: running.xyzzy: unknown key; look for a spelling mistake"),
        ("x", "not valid TOML"),
        (
            "format = 1\n[features.a]\nkind = 'count'",
            f"is a feature file, not a configuration\n  to fix: give it as --features {bad}",
        ),
        ("[ages]\nmin = 90\nmax = 20", "ages.min must be below"),
        ("[running]\nworkers = true", "line 2: running.workers"),
    ):
        bad.write_text(text)
        assert message in run_json(small_files, tmp_path / "w", "--config", bad, check=2)["error"]
    assert "not a date" in cli("run", "--source", small_files, "--workspace", tmp_path / "w", "--as-of", "soon", check=2).stderr
    for name, fix in (("c.tml", f"did you mean {bad}?"), ("c7.toml", "correct the name; `predict-age init` writes one")):
        error = run_json(small_files, tmp_path / "w", "--config", tmp_path / name, check=2)["error"]
        assert error.endswith(f"{name}: there is no such file\n  to fix: {fix}\n")
    assert "no workspace" in cli("resume", "--workspace", tmp_path / "w", check=2).stderr
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(("age", "unknown"), [(True, "nobody"), (False, "constant")])
def test_degenerate_labels(people_rows: list[dict[str, Any]], quick: Path, tmp_path: Path, age: bool, unknown: str) -> None:
    """Nobody needs a prediction; or every known age is the same: both finish with balanced books."""
    rows = [
        {**r, "approximate_age": 30 + i % 20 if age else (33 if i % 2 else None), "birth_year": None}
        for i, r in enumerate(people_rows[:400])
    ]
    run = run_json(write_jsonl(tmp_path / f"{unknown}.jsonl", rows), tmp_path / "w", "--config", quick)
    assert run["rows"]["predicted"] == (0 if age else 200)
    if not age:
        assert {r[1] for r in result_rows(tmp_path / "w")} == {33}


@pytest.fixture(scope="module")
def many_batches(quick: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration with many batches, so that a kill falls between them."""
    path = tmp_path_factory.mktemp("config") / "many.toml"
    path.write_text(quick.read_text().replace("batch_rows = 700", "batch_rows = 320"))
    return path


def test_killed_in_prediction_then_resumed(finished: Finished, small_files: Path, many_batches: Path, tmp_path: Path) -> None:
    """kill -9 of everything after the first batch: nothing is published; resume keeps finished batches and gives the same rows."""
    workspace = tmp_path / "w"
    process = start(small_files, workspace, many_batches)
    wait_for(workspace, "predictions/batch_*.json", process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not Workspace(workspace).published.current
    assert json.loads(cli("status", "--workspace", workspace, "--json").stdout)["status"] == "interrupted"
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in workspace.glob("runs/*/predictions/batch_*.parquet")}
    done = {p for p in before if p.with_suffix(".json").exists()}
    resumed = cli("resume", "--workspace", workspace, "--json")
    run = json.loads(resumed.stdout)
    assert 1 <= run["batches"]["kept"] == len(done)
    for path in done:
        assert (path.stat().st_mtime_ns, path.read_bytes()) == before[path]
    assert result_rows(workspace) == result_rows(finished[0])
    assert "no run can be resumed" in cli("resume", "--workspace", workspace, check=2).stderr


def test_a_damaged_batch_is_made_again(finished: Finished, small_files: Path, many_batches: Path, tmp_path: Path) -> None:
    """A finished batch file that was changed after a kill is not used: resume recomputes it."""
    workspace = tmp_path / "w"
    process = start(small_files, workspace, many_batches)
    [receipt, *_] = wait_for(workspace, "predictions/batch_*.json", process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    batch = receipt.with_suffix(".parquet")
    content = bytearray(batch.read_bytes())
    content[len(content) // 2] ^= 255
    batch.write_bytes(content)
    cli("resume", "--workspace", workspace)
    assert batch.read_bytes() != bytes(content)
    assert result_rows(workspace) == result_rows(finished[0])


def test_a_killed_worker_does_not_stop_the_run(finished: Finished, small_files: Path, many_batches: Path, tmp_path: Path) -> None:
    """One batch worker is killed; the run finishes with the same rows."""
    workspace = tmp_path / "w"
    process = start(small_files, workspace, many_batches)
    wait_for(workspace, "predictions/schema.parquet", process)
    os.kill(random.Random(0).choice(workers_of(process)), signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert result_rows(workspace) == result_rows(finished[0])


def test_workers_do_not_outlive_the_run(small_files: Path, many_batches: Path, tmp_path: Path) -> None:
    """When only the parent is killed its workers leave too, and the workspace is free for a resume."""
    process = start(small_files, tmp_path / "w", many_batches)
    wait_for(tmp_path / "w", "steps/read_source.json", process)
    workers = [*workers_of(process), server_of(process)]
    process.kill()
    process.communicate()
    for _ in range(100):
        if not alive(workers):
            break
        time.sleep(0.1)
    assert len(workers) > 1
    assert not alive(workers)
    cli("resume", "--workspace", tmp_path / "w")


def test_source_changed_during_the_run(small_files: Path, many_batches: Path, tmp_path: Path) -> None:
    """A file that is rewritten while the run goes on stops it with exit code 3; nothing is published."""
    source = tmp_path / "source"
    shutil.copytree(small_files, source)
    process = start(source, tmp_path / "w", many_batches)
    wait_for(tmp_path / "w", "steps/read_source.json", process)
    os.utime(sorted(source.glob("*.parquet"))[0], (1, 1))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 3, err
    assert "changed during the run" in err
    assert not Workspace(tmp_path / "w").published.current


def test_sigterm_stops_quickly_and_resumably(small_files: Path, many_batches: Path, tmp_path: Path) -> None:
    """SIGTERM: within ten seconds, exit code 143, no orphans, status interrupted."""
    workspace = tmp_path / "w"
    process = start(small_files, workspace, many_batches)
    wait_for(workspace, "steps/read_source.json", process)
    process.terminate()
    _, err = process.communicate(timeout=10)
    assert process.returncode == 143, err
    assert "resume" in err
    assert json.loads(cli("status", "--workspace", workspace, "--json").stdout)["status"] == "interrupted"
    cli("resume", "--workspace", workspace)


def test_resume_refuses_changed_input(small_files: Path, many_batches: Path, tmp_path: Path) -> None:
    """A source that changed while the run lay still is not mixed with the old one."""
    source = tmp_path / "source"
    shutil.copytree(small_files, source)
    process = start(source, tmp_path / "w", many_batches)
    wait_for(tmp_path / "w", "steps/read_source.json", process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    first = sorted(source.glob("*.parquet"))[0]
    pq.write_table(pq.read_table(first).slice(1), first)
    assert "changed during the run" in cli("resume", "--workspace", tmp_path / "w", check=3).stderr


def test_one_run_at_a_time(tmp_path: Path) -> None:
    """A second run on a workspace is refused with exit code 75, naming the holder."""
    workspace = Workspace(tmp_path)
    workspace.create()
    with (
        workspace.hold("run one", 60),
        pytest.raises(BusyError, match=rf"found: run one by process {os.getpid()}"),
        workspace.hold("run two", 60),
    ):
        pass
    assert BusyError.exit_code == 75
    with workspace.hold("run three", 60):
        pass


def test_unbalanced_books_publish_nothing(finished: Finished, tmp_path: Path) -> None:
    """A result part that lost one person after it was written fails the run: the check can fail."""
    from predict_age.runs.result_checks import describe, reconcile
    from predict_age.tally import Tally

    folder = finished[0] / "runs" / finished[1]["run_id"]
    facts = RunFolder(folder).facts(ReadSourceFacts)
    parts = sorted((folder / "results").glob("part_*.parquet"))

    def books(paths: list[Path]) -> None:
        receipts = [describe(p, bytes.fromhex(facts.checksum_key or "")) for p in paths]
        total = Tally()
        for receipt in receipts:
            total += receipt.tally
        reconcile(facts, receipts, total)

    books(parts)
    table = pq.read_table(parts[0])
    changes = {
        "lost": table.slice(1),
        "twice": table.slice(0, 1).cast(table.schema),
        "swapped": table.set_column(0, "pid", table["pid"].combine_chunks().take([*range(1, table.num_rows), table.num_rows - 1])),
    }
    for name, changed in changes.items():
        path = tmp_path / f"{name}.parquet"
        pq.write_table(changed, path)
        with pytest.raises(IntegrityError, match="nothing was published"):
            books([path, *parts[1:]])


def test_retention_never_removes_the_published_run(people_rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """With keep_runs = 1, a third run removes the first, the current one stays, and old quarters without a run are forgotten."""
    source = write_jsonl(tmp_path / "s.jsonl", people_rows[:100])
    ids = []
    for as_of in ("2025-01-10", "2025-04-10", "2025-07-10"):
        outcome = tiny_run(source, tmp_path / "w", config=TINY + "keep_runs = 1\n", as_of=as_of)
        assert outcome.code == 0, outcome.said
        ids.append(outcome.run["run_id"])
    assert sorted(p.name for p in (tmp_path / "w" / "runs").iterdir()) == ids[1:]
    published = Workspace(tmp_path / "w").published
    assert (published.current, published.quarters) == (ids[2], {"2025q1": ids[1], "2025q2": ids[2]})


def test_each_part_of_a_step_has_a_rate_of_its_own(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Earlier parts of the same step do not make the time left longer."""
    now = 1000.0
    monkeypatch.setattr("predict_age.runtime.progress.time.monotonic", lambda: now)
    console = Console()
    console.begin(2, 9, "Read source")
    more = console.part(10, "files fingerprinted")
    now += 50
    more(2)
    more = console.part(1000, "rows")
    now += 5
    more(50)  # too soon to say anything
    now += 15
    more(150)
    assert capsys.readouterr().err.splitlines() == [
        "    2/9 Read source: 2 of 10 files fingerprinted, 25.0 s each, 3 min 20 s left",
        "    2/9 Read source: 200 of 1,000 rows, 10/s, 80.0 s left",
    ]
