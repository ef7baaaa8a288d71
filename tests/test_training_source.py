"""A training source beside the source: who is trained on, who is in the results, which age counts, and how rows are accounted for."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from conftest import AS_OF, TINY, Outcome, cli, tiny_run, write_jsonl
from predict_age.errors import QualityError
from predict_age.pipeline import measured_speeds
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.runs.quality_gates import GATES
from predict_age.runs.run import Run
from predict_age.source.id_hashes import fingerprints, read_fingerprints
from predict_age.storage.workspace import Workspace

AGES = ("birth_year", "approximate_age", "birth_date")


class Halves(NamedTuple):
    """Files of all people, of those with a given age, and of the others; and a run over all of them."""

    everybody: Path
    labelled: Path
    others: Path
    run: Outcome


def given(table: pa.Table) -> pa.ChunkedArray:
    """Who has a value in an age column."""
    there = [table[name].is_valid() for name in AGES if name in table.column_names]
    found = there[0]
    for more in there[1:]:
        found = pc.or_(found, more)
    return found


@pytest.fixture(scope="module")
def halves(small_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Halves:
    folder = tmp_path_factory.mktemp("halves")
    table = pq.read_table(small_files)
    known = given(table)
    for name, rows in (("labelled", table.filter(known)), ("others", table.filter(pc.invert(known)))):
        (folder / name).mkdir()
        pq.write_table(rows, folder / name / "part.parquet", row_group_size=400)
    return Halves(small_files, folder / "labelled", folder / "others", tiny_run(small_files, folder / "one"))


def training_counts(run: Outcome) -> dict[str, int]:
    found: dict[str, int] = run.run["rows"]["training"]
    assert found["read"] == found["usable"] + found["set_aside"]
    assert found["usable"] == found["distinct"] + found["duplicate"]
    assert found["distinct"] == found["in_source"] + found["not_in_source"] + found["suppressed"]
    return found


def test_labelled_people_of_the_source_as_training_source_change_no_row(halves: Halves, tmp_path: Path) -> None:
    """They train in both runs and are in the results once; the row accounting of the source is the same."""
    run = tiny_run(halves.everybody, tmp_path / "w", "--training-source", halves.labelled)
    assert run.rows == halves.run.rows
    assert run.run["model_version"] == halves.run.run["model_version"]
    theirs = training_counts(run)
    assert {k: v for k, v in run.run["rows"].items() if k != "training"} == halves.run.run["rows"]
    assert (theirs["not_in_source"], theirs["ages_taken"]) == (0, 0)
    assert theirs["read"] == pq.read_table(halves.labelled).num_rows
    assert cli("verify", "--workspace", tmp_path / "w").returncode == 0


@pytest.mark.parametrize("partition", ["ranges", "modulo"])
def test_people_of_the_training_source_alone_train_and_are_in_no_result(halves: Halves, tmp_path: Path, partition: str) -> None:
    """The others get the very ages that they get from one source with everybody."""
    config = TINY.replace("[prediction]", f'[prediction]\npartition = "{partition}"') if partition == "modulo" else TINY
    run = tiny_run(halves.others, tmp_path / "w", "--training-source", halves.labelled, config=config)
    people = set(pq.read_table(halves.others)["pid"].to_pylist())
    assert run.rows == {pid: row for pid, row in halves.run.rows.items() if pid in people}
    rows, theirs = run.run["rows"], training_counts(run)
    assert (rows["read"], rows["distinct"], rows["existing"]) == (len(people), len(people), 0)
    assert (theirs["in_source"], theirs["not_in_source"]) == (0, theirs["distinct"])
    facts = Workspace(tmp_path / "w").run(run.published).facts(ReadSourceFacts)
    assert facts.labelled == theirs["known"] == halves.run.run["rows"]["existing"]
    report = (tmp_path / "w" / "runs" / run.published / "report.html").read_text()
    assert "rows of the training source" in report
    card = json.loads((tmp_path / "w" / "runs" / run.published / "model" / "card.json").read_text())
    assert card["training_source"] == "labelled"
    assert cli("verify", "--workspace", tmp_path / "w").returncode == 0


class Case(NamedTuple):
    """A person by the ages in the source and in the training source (None: without; "": not there), and the row they get."""

    source: Any
    training: Any
    age: int | None
    kind: str
    trains: bool


CASES = (
    Case(40, 50, 40, "EXISTING_APPROX_AGE", True),  # each source says its own: results have the source's
    Case(None, 50, 50, "EXISTING_APPROX_AGE", True),  # an age that is known anywhere is not predicted
    Case(40, None, 40, "EXISTING_APPROX_AGE", False),
    Case(40, "", 40, "EXISTING_APPROX_AGE", False),
    Case(None, None, None, "ML_PREDICTION", False),
    Case(None, "", None, "ML_PREDICTION", False),
    Case("", 50, None, "", True),  # not in the results
    Case("", None, None, "", False),
    Case(40, 15, None, "WITHHELD", False),  # a minor in either is a minor
    Case(15, 50, None, "WITHHELD", False),
    Case(None, 15, None, "WITHHELD", False),
    Case(15, None, None, "WITHHELD", False),
    Case("", 15, None, "", False),
)


@pytest.fixture(scope="module", params=["parquet", "jsonl"])
def crossed(people_rows: list[dict[str, Any]], request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, list[int]]:
    """A run over both sources with five people of each case, among others of known age in the training source alone."""
    folder = tmp_path_factory.mktemp("crossed")
    plain = [{k: v for k, v in row.items() if k not in AGES} for row in people_rows]
    known = [{**r, "approximate_age": 20 + n % 50} for n, r in enumerate(plain[300:700])]
    source, training = [], []
    for n, row in enumerate(plain[: 5 * len(CASES)]):
        case = CASES[n % len(CASES)]
        for rows, age in ((source, case.source), (training, case.training)):
            if age != "":
                rows.append({**row, "approximate_age": age})
    training += [*training[:7], *known]  # and some twice
    files = [folder / "source", folder / "training"]
    for file, rows in zip(files, (source, training), strict=True):
        file.mkdir()
        if request.param == "jsonl":
            write_jsonl(file / "p.jsonl", rows)
        else:
            texts = [{**r, "profile_json": json.dumps(r["profile_json"])} for r in rows]
            pq.write_table(pa.Table.from_pylist(texts), file / "p.parquet", row_group_size=50)
    run = tiny_run(files[0], folder / "w", "--training-source", files[1])
    assert run.code == 0, run.said
    return run, [r["pid"] for r in plain[: 5 * len(CASES)]]


def test_a_person_in_both_stands_once_with_the_source_s_age_first(crossed: tuple[Outcome, list[int]]) -> None:
    run, pids = crossed
    rows = run.rows
    for n, pid in enumerate(pids):
        case = CASES[n % len(CASES)]
        if case.source == "":
            assert pid not in rows, case
            continue
        assert rows[pid][4] == case.kind, case
        if case.kind != "ML_PREDICTION":
            assert rows[pid][1] == case.age, case
    assert len(rows) == sum(CASES[n % len(CASES)].source != "" for n in range(len(pids)))


def test_accounting_names_who_is_in_which(crossed: tuple[Outcome, list[int]]) -> None:
    run, pids = crossed
    theirs = training_counts(run)
    each = len(pids) // len(CASES)
    assert theirs["duplicate"] == 7
    assert theirs["in_source"] == each * sum(c.source != "" and c.training != "" for c in CASES)
    assert theirs["not_in_source"] == each * sum(c.source == "" for c in CASES) + 400
    assert theirs["ages_taken"] == each
    assert theirs["known"] == each * sum(c.trains for c in CASES) + 400
    assert theirs["withheld"] == each * sum(c.training != "" and 15 in (c.source, c.training) for c in CASES) == 25
    facts = json.loads((Workspace(run.workspace).run(run.published).path / "steps" / "training.json").read_bytes())["facts"]
    assert facts["minors"]["known"] == 5, "15 rows of the training source say 15: 5 stands for 5 to 19"
    rows = run.run["rows"]
    assert rows["distinct"] == rows["usable"] == each * sum(c.source != "" for c in CASES)
    assert rows["duplicate"] == 0


def test_only_people_of_the_training_source_are_trained_on(crossed: tuple[Outcome, list[int]]) -> None:
    run, pids = crossed
    key, marks = read_fingerprints(Workspace(run.workspace).run(run.published).model / "trained_on.npy")
    trained = dict(zip(pids, np.isin(fingerprints(np.array(pids), key), marks).tolist(), strict=True))
    assert trained == {pid: CASES[n % len(CASES)].trains for n, pid in enumerate(pids)}


def stop(run: Run) -> None:
    raise QualityError("stopped by the test")


def test_two_sources_are_another_run_than_one(halves: Halves, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash of a run covers the files of the training source; a changed one stops it, and is not taken for the same."""
    (tmp_path / "t").mkdir()
    file = tmp_path / "t" / "p.parquet"
    pq.write_table(pq.read_table(halves.labelled).slice(0, 400), file)
    with monkeypatch.context() as patched:
        patched.setitem(GATES, "training", stop)
        run = tiny_run(halves.others, tmp_path / "w", "--training-source", tmp_path / "t")
    assert run.code == 5
    record = Workspace(tmp_path / "w").runs()[-1].record
    assert record["training_source"] == str(tmp_path / "t")
    assert [f["path"] for f in record["training_files"]] == [str(file)]
    pq.write_table(pq.read_table(halves.labelled).slice(0, 500), file)
    resumed = cli("resume", "--workspace", tmp_path / "w", check=3)
    assert f"changed during the run: {file}" in resumed.stderr


def test_a_training_source_is_checked_like_a_source(halves: Halves, tmp_path: Path) -> None:
    """``plan`` and ``run`` refuse it with the same sentence; the source itself needs no age."""
    said = []
    for command in ("plan", "run"):
        more = ["--workspace", tmp_path / "w"] if command == "run" else []
        done = cli(*(command, "--source", halves.everybody, "--training-source", halves.others, "--as-of", AS_OF, *more), check=3)
        said.append(done.stderr.splitlines()[-1])
    assert said[0] == said[1]
    options = ("--source", halves.others, "--training-source", halves.labelled, "--as-of", AS_OF, "--json")
    plan = json.loads(cli("plan", *options).stdout)
    assert plan["rows"] == plan["to_predict"] == pq.read_table(halves.others).num_rows
    assert plan["training"]["rows"] == pq.read_table(halves.labelled).num_rows
    assert plan["training"]["known_share"] > 0.9
    alone = json.loads(cli("plan", "--source", halves.everybody, "--as-of", AS_OF, "--json").stdout)
    assert "training" not in alone
    assert plan["source_bytes"] > sum(f.stat().st_size for f in halves.others.iterdir())


@pytest.mark.parametrize("with_training", [False, True])
def test_plan_counts_on_the_speed_of_the_model(with_training: bool, halves: Halves, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of people that it is trained on decides, from whichever source they come."""
    source = ("--training-source", halves.labelled, "--source", halves.others) if with_training else ("--source", halves.everybody)

    def minutes() -> float:
        return float(json.loads(cli("plan", *source, "--as-of", AS_OF, "--workers", 1, "--json").stdout)["minutes"])

    monkeypatch.setattr(measured_speeds, "FEW_PEOPLE", 1)
    usual = minutes()
    monkeypatch.setattr(measured_speeds, "SLOWER_MODELS", 0.001)
    assert minutes() > 1.1 * usual


def test_a_base_run_reuses_its_model_and_keeps_the_ages(halves: Halves, tmp_path: Path) -> None:
    """With ``--base`` nothing is trained; the rows are those of the run with both sources."""
    sources = (halves.others, tmp_path / "w", "--training-source", halves.labelled)
    first = tiny_run(*sources)
    first_rows = first.rows
    again = tiny_run(*sources, "--base", "current")
    assert again.run["base"] == first.run["run_id"]
    assert again.rows == first_rows
    assert again.run["rows"]["training"] == first.run["rows"]["training"]


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_suppressed_people_of_either_source_are_in_no_byte(people_rows: list[dict[str, Any]], form: str, tmp_path: Path) -> None:
    """Neither trained on nor in results; counted in both accounts, and no file of the workspace holds a word of theirs."""
    plain = [{k: v for k, v in row.items() if k not in AGES} for row in people_rows[:600]]
    marked = [{**r, "profile_json": {**r["profile_json"], "headline": f"Zzyzx{n:04}qqy"}} for n, r in enumerate(plain)]
    source, training = marked[:200], [{**r, "approximate_age": 20 + n % 50} for n, r in enumerate(marked[150:])]
    for name, rows in (("s", source), ("t", training)):
        (tmp_path / name).mkdir()
        if form == "jsonl":
            write_jsonl(tmp_path / name / "p.jsonl", rows)
        else:
            texts = [{**r, "profile_json": json.dumps(r["profile_json"])} for r in rows]
            pq.write_table(pa.Table.from_pylist(texts), tmp_path / name / "p.parquet", row_group_size=100)
    hidden = [0, 1, 160, 161, 162, 300, 301]  # of the source alone, of both, of the training source alone
    listed = tmp_path / "ids"
    listed.write_text("".join(f"{plain[n]['pid']}\n" for n in hidden))
    cli("suppress", "--workspace", tmp_path / "w", "--pid-file", listed)
    run = tiny_run(tmp_path / "s", tmp_path / "w", "--training-source", tmp_path / "t")
    assert run.code == 0, run.said
    assert run.run["rows"]["suppressed"] == 5
    assert training_counts(run)["suppressed"] == 5
    assert not set(run.rows) & {plain[n]["pid"] for n in hidden}
    key, marks = read_fingerprints(Workspace(run.workspace).run(run.published).model / "trained_on.npy")
    assert not np.isin(fingerprints(np.array([plain[n]["pid"] for n in hidden]), key), marks).any()
    needles = [f"Zzyzx{n:04}qqy".encode() for n in hidden] + [str(plain[n]["pid"]).encode() for n in hidden]
    for path in (p for p in (tmp_path / "w").rglob("*") if p.is_file()):
        found = [n for n in needles if n in path.read_bytes()]
        assert not found, (path, found)
