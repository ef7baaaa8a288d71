"""A model that another run trained is measured on this run's people, and its intervals are corrected where it no longer fits."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import TINY, Outcome, call, cli, result_rows, tiny_run, write_jsonl
from predict_age.config import GatesConfig
from predict_age.models.artifact import load_model
from predict_age.models.bundle import Bundle, EnsembleWeights, MemberOutputs
from predict_age.models.conformal import NO_CALIBRATION
from predict_age.models.held_out import UnseenOutputs
from predict_age.models.reuse import evaluate_reused, recalibrated
from predict_age.records.model_quality import Metrics
from predict_age.records.step_facts import TrainingFacts
from predict_age.runs.quality_gates import check_reused_model
from predict_age.source.id_hashes import UNKEYED, fingerprints, key_of_run, read_fingerprints, write_fingerprints
from predict_age.storage.durable_files import file_sha256
from predict_age.storage.workspace import Workspace

KEY = key_of_run("20251023T060000Z-0a0a0a0a", "trained on")
FEATURES = """format = 1
[features.clock]
kind = "number"
path = "clock"
min = 0
max = 90
default = 20
meaning = "years since school"
"""
GATED = TINY.replace("worse_share = 0.0", "worse_share = 0.05").replace("batch_rows = 40", "batch_rows = 4000")
GATED += "[ages]\nwithhold_probability = 0.05\n"  # no minor is known: at 0.2 nobody would be withheld


def source(path: Path, people: range, known_below: int, noise: float = 4.0, shift: float = 0.0) -> Path:
    """People with a clock; those with a pid below ``known_below`` give their age. ``shift`` and ``noise`` move the clock, years."""
    rows = []
    for pid in people:
        rng = random.Random(pid)
        age = rng.randint(20, 70)
        clock = round(min(90.0, max(0.0, age - 18 + shift + rng.gauss(0, noise))), 1)
        known = age if pid < known_below else None
        rows.append({"pid": pid, "birth_year": None, "approximate_age": known, "profile_json": {"clock": clock}})
    return write_jsonl(path, rows)


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A published run that trained on 1,000 of 1,500 people."""
    folder = tmp_path_factory.mktemp("champion")
    (folder / "f.toml").write_text(FEATURES)
    made = run(source(folder / "s.jsonl", range(1, 1501), 1001), folder / "w")
    assert made.code == 0, made.said
    return made


@pytest.fixture
def space(champion: Outcome, tmp_path: Path) -> Path:
    """A copy of the champion's workspace."""
    shutil.copy(champion.workspace.parent / "f.toml", tmp_path / "f.toml")
    return shutil.copytree(champion.workspace, tmp_path / "w")


def run(people: Path, workspace: Path, *more: object) -> Outcome:
    """Run with the feature file beside the workspace."""
    return tiny_run(people, workspace, "--features", workspace.parent / "f.toml", *more, config=GATED)


def test_nobody_new_means_nothing_measured(champion: Outcome, space: Path, tmp_path: Path) -> None:
    """Everybody of known age was trained on: the training's quality is shown, under its name, and rows stay equal."""
    before = champion.rows
    made = run(source(tmp_path / "s.jsonl", range(1, 1501), 1001), space, "--model", "champion")
    assert made.code == 0, made.said
    assert made.run["reused_model"]["people"] == 0
    assert not made.run["reused_model"]["measured_in_this_run"]
    assert made.run["metrics"]["mae"] == made.run["training_metrics"]["mae"] == champion.run["metrics"]["mae"]
    assert any("quality shown is that of the model's training" in sentence for sentence in made.run["run_findings"])
    assert made.rows == before
    assert "at its training" in cli("status", "--workspace", space).stdout
    assert "in run" in cli("card", "--workspace", space).stdout


def test_new_people_of_known_age_are_the_headline(champion: Outcome, space: Path, tmp_path: Path) -> None:
    """Unchanged source with 2,000 new people of known age: measured on exactly those, nothing corrected, predictions as before."""
    more = source(tmp_path / "s.jsonl", range(1, 3501), 1001)
    new = [json.loads(line) for line in source(tmp_path / "n.jsonl", range(4001, 6001), 6001).read_text().splitlines()]
    with more.open("a") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in new)
    before = {pid: row[:7] for pid, row in champion.rows.items()}
    made = run(more, space, "--model", "champion")
    assert made.code == 0, made.said
    people = made.run["reused_model"]["people"]
    assert people == made.run["metrics"]["held_out_rows"]
    assert 1900 < people < 2000, "all but those whom the model takes for minors"
    assert made.run["reused_model"]["measured_in_this_run"]
    assert not made.run["reused_model"]["calibrated_again"]
    assert made.run["training_metrics"]["mae"] == champion.run["metrics"]["mae"] != made.run["metrics"]["mae"]
    assert {pid: row[:7] for pid, row in made.rows.items() if pid in before} == before
    page = Path(made.run["report"]).read_text()
    assert f"{people:,} people of this run whom the reused model was not trained on" in " ".join(page.split())
    check_card(made)
    check_card(run(more, space, "--base", "current"))


def check_card(made: Outcome) -> None:
    """The card's first figures are those of the run ``made``, those of the training follow; no earlier run's are left."""
    folder, metrics = Workspace(made.workspace).run(made.run["run_id"]), made.run["metrics"]
    in_run = json.loads((folder.model / "card.json").read_text())["in_this_run"]
    assert (in_run["run_id"], in_run["held_out"]["mae"]) == (folder.id, metrics["mae"])
    page = (folder.model / "card.html").read_text()
    assert page.count("In run <code>") == 1
    assert page.index(f"In run <code>{folder.id}") < page.index(f"{metrics['mae']:.2f}") < page.index("What to know first")
    said = cli("card", "--workspace", made.workspace).stdout
    assert said.index(f"{metrics['mae']:.2f} years") < said.index(f"{made.run['training_metrics']['mae']:.2f} years mean error")


def test_changed_source_stops_or_is_corrected(space: Path, tmp_path: Path) -> None:
    """Clocks that err more: exit code 5; accepted, the headline is this run's, and corrected intervals cover nine tenths."""
    drifted = source(tmp_path / "s.jsonl", range(10_001, 16_001), 13_001, noise=12.0)
    stopped = run(drifted, space, "--model", "champion")
    assert stopped.code == 5
    assert "no longer as good as when it was trained" in stopped.said
    code, out, _ = call(["resume", "--workspace", space, "--accept", "--json"])
    made = json.loads(out)
    assert code == 0
    assert made["reused_model"]["calibrated_again"]
    assert made["metrics"]["mae"] > 1.5 * made["training_metrics"]["mae"]
    assert abs(made["metrics"]["coverage"] - 0.9) < 0.02
    assert "the reused gate failed" in Path(made["report"]).read_text()
    truth = {pid: random.Random(pid).randint(20, 70) for pid in range(13_001, 16_001)}
    mine = [row for row in result_rows(space) if row[0] in truth]
    inside = [row[5] <= truth[row[0]] <= row[6] for row in mine if row[4] != "WITHHELD"]
    assert len(mine) == 3000 and len(inside) > 2600
    assert abs(np.mean(inside) - 0.9) < 0.02
    cli("verify", "--workspace", space)
    again = run(drifted, space, "--base", "current")
    assert again.code == 5, "another run decides anew"


def test_model_without_a_record_of_its_people_is_said_to_be_unmeasured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of an earlier version does not tell whom it was trained on: nothing is claimed for this run."""
    (tmp_path / "f.toml").write_text(FEATURES)
    with monkeypatch.context() as patch:
        patch.setattr("predict_age.steps.training._record_people", lambda folder, people: None)
        trained = run(source(tmp_path / "s.jsonl", range(1, 301), 201), tmp_path / "w")
    made = run(source(tmp_path / "t.jsonl", range(1, 1501), 1401), tmp_path / "w", "--model", "champion")
    assert (trained.code, made.code) == (0, 0)
    assert not made.run["reused_model"]["measured_in_this_run"]
    assert "does not record whom it was trained on" in made.run["reused_model"]["sentence"]
    assert made.run["metrics"]["mae"] == trained.run["metrics"]["mae"]


def unseen(rng: np.random.Generator, n: int, spread: float, claimed: float) -> UnseenOutputs:
    """People whose age lies around the point with ``spread``, under raw intervals right for ``claimed``, years."""
    point = rng.uniform(25, 65, n)
    age = np.clip(np.floor(point + rng.normal(0, spread, n) + 0.5), 14, 100)
    half = 1.645 * claimed
    quantiles = np.column_stack([point - half, point, point + half])
    return UnseenOutputs(MemberOutputs(np.tile(point, (4, 1)).T, quantiles, rng.integers(0, 3, n), np.zeros(n)), age, point)


def test_no_false_stop_and_no_needless_correction(champion: Outcome) -> None:
    """A hundred unchanged runs: no gate fails, no interval is corrected. With twice the noise, each of twenty is."""
    rng = np.random.default_rng(5)
    ensemble = recalibrated(EnsembleWeights((0.25,) * 4, 1.0, NO_CALIBRATION, 0.9, 14, 100), unseen(rng, 3000, 4.0, 4.0))
    bundle = champion_bundle(champion, ensemble)
    first = evaluate_reused(bundle, unseen(rng, 3000, 4.0, 4.0), training_metrics(champion))
    assert first.metrics is not None
    trained = replace(training_metrics(champion), held_out=first.metrics.held_out)
    for spread, runs, expected in ((4.0, 100, 0), (8.0, 20, 20)):
        corrected = stopped = 0
        for _ in range(runs):
            made = evaluate_reused(bundle, unseen(rng, int(rng.integers(1000, 6000)), spread, 4.0), trained)
            corrected += made.correction is not None
            stopped += not all(c.passed for c in check_reused_model(made, trained.held_out, GatesConfig(), 0.9))
            if spread > 4:
                assert made.metrics is not None
                assert abs(made.metrics.held_out.coverage - 0.9) < 0.02 + 2 * (0.09 / made.people) ** 0.5
        assert (corrected, stopped) == (expected, expected)


def champion_bundle(champion: Outcome, ensemble: EnsembleWeights) -> Bundle:
    """The champion's models with another ensemble."""
    model = Workspace(champion.workspace).run(champion.run["run_id"]).model
    return replace(load_model(model, file_sha256(model / "manifest.json"))[0], ensemble=ensemble)


def training_metrics(champion: Outcome) -> Metrics:
    """The metrics that the champion's run recorded."""
    return Workspace(champion.workspace).run(champion.run["run_id"]).facts(TrainingFacts).metrics


def test_fingerprints_recognise_people() -> None:
    """Equal for equal ids whatever the order; strangers are taken for familiar people once in thousands."""
    pids = np.random.default_rng(1).integers(-(2**62), 2**62, 200_000)
    for key in (UNKEYED, KEY):
        marks = fingerprints(pids, key)
        assert marks.dtype == np.uint32
        assert np.array_equal(fingerprints(pids[::-1], key), marks[::-1])
        assert np.isin(fingerprints(np.arange(100_000), key), marks).mean() < 0.001
        assert np.isin(fingerprints(pids, key_of_run("another run", "trained on")), marks).mean() < 0.001, (
            "another model's say nothing"
        )


def test_fingerprints_are_read_back_with_their_key(tmp_path: Path) -> None:
    """Ascending; a file of an earlier version, which has no key, is read as well."""
    marks = fingerprints(np.arange(5000), KEY)
    write_fingerprints(tmp_path / "new.npy", KEY, marks)
    key, read = read_fingerprints(tmp_path / "new.npy")
    assert key == KEY and np.array_equal(read, np.sort(marks))
    np.save(tmp_path / "old.npy", np.sort(fingerprints(np.arange(5000), UNKEYED)))
    key, read = read_fingerprints(tmp_path / "old.npy")
    assert key == UNKEYED and np.isin(fingerprints(np.arange(5000), key), read).all()
