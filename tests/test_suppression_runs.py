"""Suppressed people in a life of runs: hidden from readers at once, from later runs for good, and back when they are released."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import TINY, Outcome, cli, shared, tiny_run
from personal_traces import Watch, counted, traces
from planted_people import Planted, plant
from predict_age.errors import ConfigError, QualityError
from predict_age.evaluation.ab_test.arms import _paired
from predict_age.evaluation.ab_test.read_out import DecisionRules
from predict_age.evaluation.ab_test.truth import load_truth
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.runs import incremental
from predict_age.runs.quality_gates import GATES
from predict_age.runs.run import Run
from predict_age.source.text_ids import pid_of
from predict_age.storage.manifest import verified_run
from predict_age.storage.publication import publish
from predict_age.storage.workspace import Workspace

LATER = "2026-01-05"  # a quarter later
PEOPLE, PLANTED = 240, 12
TABLES = ("predict_age_final_results", "predict_age_human_qa", "predict_age_predictions", "predict_age_final_results_2025q3")


def suppress(workspace: Path, ids: Any, *more: object, check: int = 0) -> dict[str, Any]:
    file = workspace.parent / f"{workspace.name}-ids.txt"
    file.write_text("".join(f"{i}\n" for i in ids))
    done = cli("suppress", "--workspace", workspace, "--pid-file", file, "--json", *more, check=check)
    return json.loads(done.stdout) if check == 0 else {"error": done.stderr}


def pids(workspace: Path, table: str = "predict_age_final_results") -> set[int]:
    done = cli("sql", "--workspace", workspace, "--format", "csv", f"SELECT pid FROM {table}")
    return {int(line) for line in done.stdout.split()[1:]}


def balanced(outcome: Outcome) -> dict[str, Any]:
    """Row counts of a run that ended well; everybody is somewhere."""
    rows = outcome.run["rows"]
    assert rows["read"] == rows["usable"] + rows["set_aside"]
    assert rows["usable"] == rows["distinct"] + rows["duplicate"]
    others = rows["existing"] + rows["predicted"] + rows["default"] + rows.get("withheld", 0)
    assert rows["distinct"] == others + rows["suppressed"]
    assert others == len(outcome.rows)
    return dict(rows)


@pytest.fixture(scope="module")
def two_quarters(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[int]]:
    """A source, a workspace with two published quarters and no list, and the ids of the planted people."""

    def make(folder: Path) -> dict[str, Any]:
        planted = plant(folder, people=PEOPLE, planted=PLANTED, odd_rows=False)
        first = tiny_run(planted.source, folder / "work")
        second = tiny_run(planted.source, folder / "work", "--model", "champion", as_of=LATER)
        return {"ids": planted.ids, "runs": [first.run["run_id"], second.run["run_id"]]}

    folder, made = shared(tmp_path_factory, "two-quarters", make)
    return folder / "source", folder / "work", made["ids"]


@pytest.fixture
def published(two_quarters: tuple[Path, Path, list[int]], tmp_path: Path) -> tuple[Path, Path, list[int]]:
    """The same in a copy that a test may change."""
    source, workspace, ids = two_quarters
    shutil.copytree(workspace, tmp_path / "work")
    return source, tmp_path / "work", ids


def compared_rows(workspace: Path, run_id: str, truth: Path) -> int:
    """Rows that an A/B test compares where a run stands for both models; the command refuses that, but reads as here."""
    space, connection = Workspace(workspace), duckdb.connect()
    run = verified_run(space, space.run(run_id))
    load_truth(connection, space, str(truth), run)
    return sum(arm.rows for arm in _paired(connection, space, [run, run], str(truth), DecisionRules()).arms.values())


def test_readers_hide_people_at_once(published: tuple[Path, Path, list[int]], tmp_path: Path) -> None:
    """Every table, both quarters, both ends of diff, its file, score and ab."""
    _, workspace, ids = published
    runs = [folder.id for folder in Workspace(workspace).runs()]
    truth = tmp_path / "truth.csv"
    truth.write_text("pid,true_age\n" + "".join(f"{pid},44\n" for pid in sorted(pids(workspace))))
    before = {table: pids(workspace, table) for table in TABLES}
    assert set(ids) <= before["predict_age_final_results"]
    score = json.loads(cli("score", runs[0], "--truth", truth, "--workspace", workspace, "--json").stdout)
    pairs = compared_rows(workspace, runs[0], truth)
    assert suppress(workspace, [*ids, 4711])["in_result"] == PLANTED
    for table in TABLES:
        assert pids(workspace, table) == before[table] - set(ids), table
    view = "predict_age_final_results_with_confidence"
    assert pids(workspace, view) == before["predict_age_final_results"] - set(ids)
    predicted = before["predict_age_predictions"] & set(ids)
    after = json.loads(cli("score", runs[0], "--truth", truth, "--workspace", workspace, "--json").stdout)
    assert score["all"]["rows"] - after["all"]["rows"] == len(predicted) > 0
    assert pairs - compared_rows(workspace, runs[0], truth) == 2 * len(predicted), "twice: one run stands for both models"
    jumps = tmp_path / "jumps.csv"
    diff = json.loads(cli("diff", *runs, "--jump", "0", "--people", "--out", jumps, "--workspace", workspace, "--json").stdout)
    assert (diff["both"], diff["only_before"], diff["only_after"]) == (PEOPLE - PLANTED, 0, 0)
    assert not {jump["pid"] for jump in diff["jumps"]} & set(ids)
    assert diff["jumped"] > 0
    assert not any(str(pid) in jumps.read_text() for pid in ids)
    assert not any(str(pid) in json.dumps(diff) for pid in ids)


SPELLINGS = ["12", "012", "+12", "12.0"]  # four people where ids are text


@pytest.fixture(scope="module")
def spelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one run over text ids, some of which differ in signs and zeros alone."""

    def make(folder: Path) -> dict[str, Any]:
        source = plant(folder, "csv", people=120, planted=6, text_ids=True, odd_rows=False, parts=1).source / "part-0.csv"
        names = iter(SPELLINGS)
        lines = [
            f"{next(names, line.partition(',')[0])},{line.partition(',')[2]}" if line.startswith("u") else line
            for line in source.read_text().splitlines()
        ]
        source.write_text("\n".join(lines) + "\n")
        return {"code": tiny_run(source.parent, folder / "work").code}

    folder, made = shared(tmp_path_factory, "spelled", make)
    assert made["code"] == 0
    return folder / "work"


@pytest.mark.parametrize("text", SPELLINGS)
def test_ids_that_differ_in_signs_and_zeros_are_counted_and_released_alone(text: str, spelled: Path, tmp_path: Path) -> None:
    """One person has a row, is hidden, and is released by text or pid; nothing of the person stays on the list."""
    workspace = tmp_path / "work"
    shutil.copytree(spelled, workspace)
    everybody = pids(workspace)
    assert {pid_of(other) for other in SPELLINGS} <= everybody
    for listed, released in ((text, str(pid_of(text))), (str(pid_of(text)), text)):
        found = suppress(workspace, [listed])
        assert (found["changed"], found["in_result"], found["hidden"]) == (1, 1, 1)
        assert everybody - pids(workspace) == {pid_of(text)}
        checked = suppress(workspace, SPELLINGS, "--check")
        assert (checked["unchanged"], checked["in_result"], checked["hidden"]) == (1, 4, 1)
        back = suppress(workspace, [released], "--remove")
        assert (back["changed"], back["listed"], back["in_result"], back["hidden"]) == (1, 0, 1, 1)


def test_what_the_command_says(published: tuple[Path, Path, list[int]], tmp_path: Path) -> None:
    """Who is on the list, who was, and whose row readers see: three questions, three numbers."""
    source, workspace, ids = published
    listed, released, never, elsewhere = ids[:3], ids[3:5], ids[5:9], [4711]
    file = tmp_path / "ids"

    def said(some: list[int], *more: object) -> list[str]:
        file.write_text("".join(f"{i}\n" for i in some))
        return cli("suppress", "--workspace", workspace, "--pid-file", file, *more).stdout.splitlines()

    assert said(ids[:2], "--check") == ["there is no suppression list: nobody is suppressed"]
    assert said([*listed, *released, *elsewhere]) == [
        "6 of 6 ids are suppressed from now on, 0 were already",
        "5 of these people have a row in the current run: 5 hidden from readers; the next run has none of these",
        "suppression list, generation 1: 6 hashes",
    ]
    stay = "(people who are taken off the list stay hidden until the next run is published)"
    assert said([*released, *never], "--remove") == [
        "2 of 6 ids were taken off the list, 4 were not on it",
        "whoever was taken off comes back with the next run, if the source still has the person",
        f"6 of these people have a row in the current run: 2 hidden from readers, 4 shown {stay}",
        "suppression list, generation 2: 4 hashes",
    ]
    assert said([*listed, *released, *never, *elsewhere], "--check") == [
        "4 of 10 ids are on the suppression list, 6 are not; 2 of those were on it and have been taken off",
        f"9 of these people have a row in the current run: 5 hidden from readers, 4 shown {stay}",
        "suppression list, generation 2: 4 hashes",
    ]
    assert pids(workspace) & {*ids, *elsewhere} == set(ids[5:])
    assert tiny_run(source, workspace, "--model", "champion").code == 0
    assert (
        said([*listed, *released, *never], "--check")[1]
        == "6 of these people have a row in the current run: 0 hidden from readers, 6 shown"
    )
    assert pids(workspace) & set(ids) == set(ids[3:])


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_parquet('{part}')",
        "FROM '{part}'",
        "SELECT (SELECT count(*) FROM parquet_scan('{part}'))",
        "WITH x AS (SELECT * FROM '{part}') SELECT * FROM x",
        "EXPLAIN ANALYZE SELECT * FROM '{part}'",
        "SELECT * FROM query('SELECT * FROM read_parquet(''{part}'')')",
        "SELECT * FROM query_table('{part}')",
        "SELECT * FROM glob('{root}/suppression/*')",
        "SELECT * FROM read_blob('{root}/suppression/key')",
        "SELECT * FROM read_text('{root}/suppression/list.json')",
        "SELECT predict_age_hides_from_generation_0_integer(5)",
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM '{part}')",
    ],
)
def test_sql_does_not_go_around_the_tables(query: str, published: tuple[Path, Path, list[int]]) -> None:
    """Neither the files of a result, which hold everybody, nor the key can be read, nor can somebody be asked for."""
    _, workspace, ids = published
    suppress(workspace, ids)
    part = next(workspace.glob("runs/*/results/part_0.parquet"))
    done = cli("sql", "--workspace", workspace, query.format(part=part, root=workspace), check=2)
    assert "reads the published tables alone" in done.stderr
    assert not any(str(pid) in done.stdout + done.stderr for pid in ids)


@pytest.mark.parametrize("query", ["SHOW TABLES", "SELECT * FROM range(3)", "EXPLAIN SELECT 1", "SELECT unnest([1, 2])"])
def test_sql_still_answers_what_reads_no_file(query: str, published: tuple[Path, Path, list[int]]) -> None:
    _, workspace, ids = published
    suppress(workspace, ids[:1])
    cli("sql", "--workspace", workspace, query)


def test_sql_reads_no_other_file_than_those_of_the_tables(published: tuple[Path, Path, list[int]]) -> None:
    """Behind the check of the statement: the connection may open nothing else."""
    from predict_age.query.tables import connect_tables

    _, workspace, ids = published
    suppress(workspace, ids)
    space = Workspace(workspace)
    connection = connect_tables(space, "predict_age_final_results", space.suppression)
    with pytest.raises(Exception, match=r"Permission|disabled|not allowed"):
        connection.sql(f"SELECT * FROM read_blob('{workspace}/suppression/key')").fetchall()


def test_next_run_has_them_nowhere_and_released_ones_come_back_with_the_run_after(
    published: tuple[Path, Path, list[int]],
) -> None:
    """A run on an earlier one takes over no prediction of theirs; a rollback hides them; releasing shows them in no old result."""
    source, workspace, ids = published
    everybody = pids(workspace)
    first = Workspace(workspace).runs()[0].id
    suppress(workspace, ids)
    base = tiny_run(source, workspace, "--base", "current", as_of=LATER)
    assert balanced(base)["suppressed"] == PLANTED
    assert base.run["batches"]["reused"] > 0
    folder = workspace / "runs" / base.run["run_id"]
    assert not _pids_in(folder) & set(ids)
    cli("rollback", "--workspace", workspace, "--to", first)
    assert pids(workspace) == everybody - set(ids)
    assert cli("verify", "--workspace", workspace, "--run", first).returncode == 0
    released = set(ids[:5])
    assert suppress(workspace, released, "--remove")["changed"] == 5
    for run in (first, base.run["run_id"]):
        cli("rollback", "--workspace", workspace, "--to", run)
        assert pids(workspace) == everybody - set(ids), "not before the next run"
    again = tiny_run(source, workspace)
    assert balanced(again)["suppressed"] == PLANTED - 5
    assert pids(workspace) == (everybody - set(ids)) | released
    both = json.loads(cli("diff", first, again.run["run_id"], "--workspace", workspace, "--json").stdout)
    assert (both["both"], both["only_before"], both["only_after"]) == (PEOPLE - PLANTED, 0, 5)


def test_earlier_predictions_that_are_sorted_for_reuse_are_those_of_others(
    published: tuple[Path, Path, list[int]], tmp_path: Path
) -> None:
    """Not even the scratch file of a run on an earlier one names somebody who is suppressed."""
    _, workspace, ids = published
    suppress(workspace, ids)
    space = Workspace(workspace)
    predictions = next((workspace / "runs" / space.published.current / "predictions").glob("batch_*.parquet"))
    made = pq.read_table(predictions, columns=["pid", "predicted_age"])
    everybody = set(made.filter(made["predicted_age"].is_valid())["pid"].to_pylist())  # who is withheld is judged again
    (tmp_path / "scratch").mkdir()
    incremental._scatter(0, predictions, 1, tmp_path / "scratch", space.suppression, "integer")
    sorted_pids = set(np.load(tmp_path / "scratch" / "0.npy")["pid"].tolist())
    assert sorted_pids == everybody - set(ids)
    assert sorted_pids < everybody


def _pids_in(folder: Path) -> set[int]:
    """Every pid of every Parquet file of a run."""
    found: set[int] = set()
    for path in folder.rglob("*.parquet"):
        if "pid" in pq.read_schema(path).names:
            found |= set(pq.read_table(path, columns=["pid"])["pid"].to_pylist())
    return found


def test_training_without_them_is_training_on_a_source_without_them(
    published: tuple[Path, Path, list[int]], tmp_path: Path
) -> None:
    """The same model, the same rows; and the counts of known ages are those of the others."""
    source, workspace, ids = published
    suppress(workspace, ids)
    run = tiny_run(source, workspace)
    less = tmp_path / "less"
    less.mkdir()
    for part in sorted(source.iterdir()):
        table = pq.read_table(part)
        pq.write_table(table.filter(pa.array([pid not in ids for pid in table["pid"].to_pylist()])), less / part.name)
    other = tiny_run(less, tmp_path / "other")
    assert run.run["model_version"] == other.run["model_version"]
    assert run.rows == other.rows
    facts = [
        Workspace(outcome.workspace).run(outcome.run["run_id"]).facts(ReadSourceFacts) for outcome in (run, other)
    ]  # fmt: skip
    for name in ("known", "known_ages", "to_predict", "unreadable_age", "implausible_age", "conflicting_age", "people"):
        assert getattr(facts[0], name) == getattr(facts[1], name), name
    assert facts[0].unusable_ages == facts[1].unusable_ages


def test_an_unfinished_run_with_an_older_list_is_not_continued(
    two_quarters: tuple[Path, Path, list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by resume, with or without --accept, nor by run, which begins a new one."""
    source, _, ids = two_quarters
    workspace = tmp_path / "work"
    suppress(workspace, ids[:1])

    def gate(run: Run) -> None:
        if not run.accept:
            raise QualityError("a gate")

    monkeypatch.setitem(GATES, "parallel_prediction", gate)
    assert tiny_run(source, workspace).code == 5
    suppress(workspace, ids[1:])
    for more in ((), ("--accept",)):
        assert "suppression list has changed" in cli("resume", "--workspace", workspace, *more, check=2).stderr
    assert Workspace(workspace).published.current == ""
    assert tiny_run(source, workspace).code == 5
    assert len(Workspace(workspace).runs()) == 2, "a new run, since its list is another"
    cli("resume", "--workspace", workspace, "--accept")
    assert not pids(workspace) & set(ids)


def test_a_run_is_not_published_when_the_list_changed_meanwhile(published: tuple[Path, Path, list[int]]) -> None:
    """Whoever changed it: the pointer compares the list in the very replacement that would show the run."""
    _, workspace, ids = published
    suppress(workspace, ids)
    space = Workspace(workspace)
    before = space.published
    for seal in ("", "another list"):
        with pytest.raises(ConfigError, match="suppression list has changed"):
            publish(space.documents, before.fence, before.quarters["2025q3"], "2025q3", "hash", seal)
    assert space.published == before


@pytest.mark.parametrize("keep", ["list", "runs", "nothing"])
def test_a_pointer_that_is_made_again_knows_the_newest_list(keep: str, published: tuple[Path, Path, list[int]]) -> None:
    """A rollback rebuilds a damaged pointer; a list that runs were made with counts as lost when it is not there."""
    source, workspace, ids = published
    suppress(workspace, ids)
    if keep != "list":
        tiny_run(source, workspace, "--model", "champion")
    if keep == "runs":
        shutil.rmtree(workspace / "suppression")
    (workspace / "published.json").write_text("{")
    done = cli("rollback", "--workspace", workspace, "--to", "2025q3", check=None)
    if keep == "runs":
        assert (done.returncode, "suppression list is missing" in done.stderr) == (2, True)
    else:
        assert done.returncode == 0
        assert Workspace(workspace).published.suppression == 1
        assert not pids(workspace) & set(ids)


def test_everybody_suppressed_is_an_error_of_the_source(two_quarters: tuple[Path, Path, list[int]], tmp_path: Path) -> None:
    source, workspace, _ = two_quarters
    suppress(tmp_path / "work", pids(workspace))
    outcome = tiny_run(source, tmp_path / "work")
    assert (outcome.code, "everybody in the source is on the suppression list" in outcome.said) == (3, True)


def _write_csv(path: Path, ids: list[str]) -> Path:
    lines = [
        f'{i},{30 + n * n % 41},"{{""tenure_months"": {n % 30}, ""linkedin_connections"": {n * n * 37 % 499}}}"'
        for n, i in enumerate(ids)
    ]
    path.write_text("pid,approximate_age,profile_json\n" + "\n".join(lines) + "\n")
    return path


def test_what_ids_are_is_decided_with_suppressed_people(tmp_path: Path) -> None:
    """Half of the ids are texts. "012" on the list is 12 among numbers and another person among texts: 12 stays."""
    from predict_age.source.text_ids import pid_of

    ids = [str(n) if n % 2 else f"x{n}" for n in range(1, 201)]
    source = _write_csv(tmp_path / "people.csv", ids)
    suppress(tmp_path / "work", ["013", "x20", "15"])
    outcome = tiny_run(source, tmp_path / "work")
    assert outcome.code == 0, outcome.said
    assert outcome.run["rows"]["suppressed"] == 2
    assert set(outcome.rows) == {pid_of(i) for i in ids if i not in ("x20", "15")}
    few = [*map(str, range(1, 200)), "x20", "x21"]
    suppress(tmp_path / "numbers", ["x20", "013"])
    planted = _write_csv(tmp_path / "numbers.csv", few)
    outcome = tiny_run(planted, tmp_path / "numbers")
    assert (outcome.run["rows"]["suppressed"], outcome.run["set_aside_reasons"]) == (1, {"pid_not_an_integer": 2})
    assert set(outcome.rows) == set(range(1, 200)) - {13}


def test_lines_are_compared_with_the_ids_of_the_published_run(published: tuple[Path, Path, list[int]], tmp_path: Path) -> None:
    """A run of texts that is not published, and one that was rolled back, say nothing about the ids that readers see."""
    source, workspace, _ = published
    texts = _write_csv(tmp_path / "texts.csv", [f"x{n}" for n in range(1, 201)])
    before = suppress(workspace, ["x20"], check=2)["error"]
    assert tiny_run(texts, workspace, "--shadow").code == 0
    assert suppress(workspace, ["x20"], check=2)["error"] == before
    assert suppress(workspace, ["20"])["changed"] == 1
    assert tiny_run(source, tmp_path / "fresh", "--shadow").code == 0
    assert suppress(tmp_path / "fresh", ["x20", "20"])["changed"] == 2  # nothing is published: any id may be one


LEFT_OUT: list[tuple[str, bool, str]] = [
    ("jsonl", True, "splits"),
    ("jsonl.gz", False, "modulo"),
    ("csv", True, "modulo"),
    ("parquet", True, "modulo"),
]


@pytest.mark.parametrize(("form", "text_ids", "partition"), LEFT_OUT)
def test_no_byte_of_theirs_is_written(
    form: str, text_ids: bool, partition: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the form of every source, while the run goes on, too. Without a list the search finds them everywhere."""
    planted = plant(tmp_path, form, text_ids=text_ids, people=PEOPLE, planted=PLANTED)
    roots = [tmp_path / "work", tmp_path / "tmp"]
    roots[1].mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(roots[1]))
    suppress(roots[0], listed_ids(planted, text_ids=text_ids))
    shutil.move(tmp_path / "work-ids.txt", tmp_path / "ids")
    config = TINY.replace("[prediction]", f'[prediction]\npartition = "{partition}"')
    with Watch(planted.needles, roots) as watch:
        outcome = tiny_run(planted.source, roots[0], config=config)
    assert balanced(outcome)["suppressed"] == PLANTED
    assert counted([*watch.found, *traces(planted.needles, roots)], roots) == {}
    assert len(watch.seen) > 20


def listed_ids(planted: Planted, *, text_ids: bool) -> list[Any]:
    """Ids of the planted people, and those that the source rejects."""
    texts = [text for text in planted.texts if text.startswith(("person-", "noid-"))]
    return texts if text_ids else [*planted.ids, *texts]


def test_the_search_finds_people_who_are_not_suppressed(tmp_path: Path) -> None:
    """In tables, and while the run goes on in its copies of the source: so the tests above can fail."""
    planted = plant(tmp_path, "csv", people=PEOPLE, planted=PLANTED)
    with Watch(planted.needles, [tmp_path / "work"], 0.0) as watch:
        tiny_run(planted.source, tmp_path / "work")
    places = counted([*watch.found, *traces(planted.needles, [tmp_path / "work"])], [tmp_path / "work"])
    assert any("results/part_N.parquet" in place for place in places)
    assert any("source/working/" in place for place in places)


@pytest.mark.parametrize("more", [("--shadow",), ("--tune", "0.01")])
def test_shadow_and_tuned_runs_leave_them_out(more: tuple[str, ...], two_quarters: Any, tmp_path: Path) -> None:
    source, _, ids = two_quarters
    suppress(tmp_path / "work", ids)
    outcome = tiny_run(source, tmp_path / "work", *more)
    assert outcome.run["rows"]["suppressed"] == PLANTED
    assert not _pids_in(tmp_path / "work" / "runs" / outcome.run["run_id"]) & set(ids)


def test_challengers_predict_nobody_who_is_suppressed(published: tuple[Path, Path, list[int]]) -> None:
    """A share of the people is predicted by another model: neither model is given them."""
    source, workspace, ids = published
    version = json.loads(cli("models", "--workspace", workspace, "--json").stdout)[0]["version"]
    suppress(workspace, ids)
    share = TINY.replace("[prediction]", f'[prediction]\nexperiment = "e"\nchallengers = {{"{version}" = 0.4}}')
    outcome = tiny_run(source, workspace, config=share)
    assert balanced(outcome)["suppressed"] == PLANTED
    assert not _pids_in(workspace / "runs" / outcome.run["run_id"]) & set(ids)
