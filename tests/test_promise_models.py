"""A model never runs code, never meets other features than it was trained on, and a damaged one is never used."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import TINY, Outcome, tiny_run, write_jsonl
from faults import call
from predict_age.errors import IntegrityError
from predict_age.features.encode import Matrix
from predict_age.models import artifact
from predict_age.models.age_distribution import quantiles
from predict_age.models.bundle import with_point_prediction
from predict_age.models.conformal import NO_CALIBRATION, RawIntervals
from predict_age.models.withholding import WithholdingRule
from predict_age.storage.durable_files import file_sha256

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def trained(people_rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A published run whose model others build on."""
    folder = tmp_path_factory.mktemp("trained")
    return tiny_run(write_jsonl(folder / "s.jsonl", people_rows[:160]), folder / "w")


@pytest.fixture
def base(trained: Outcome, tmp_path: Path) -> Outcome:
    """A copy of it that may be spoiled."""
    shutil.copytree(trained.workspace, tmp_path / "w")
    return replace(trained, workspace=tmp_path / "w")


def model_of(outcome: Outcome) -> Path:
    return outcome.workspace / "runs" / outcome.run["run_id"] / "model"


def build_on(base: Outcome, trained: Outcome, code: int, message: str) -> None:
    """A run with --base current has to end with ``code`` and say ``message``; what is published stays."""
    outcome = tiny_run(trained.workspace.parent / "s.jsonl", base.workspace, "--base", "current")
    assert outcome.code == code, outcome.said
    assert message in outcome.said
    assert code == 0 or outcome.published == base.run["run_id"]


@pytest.mark.parametrize("name", [*artifact.MODEL_FILES, "manifest.json"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "missing"])
def test_damaged_model_is_refused(name: str, damage: str, base: Outcome, trained: Outcome) -> None:
    """Exit code 4 before anything is loaded; the published result stays."""
    path = model_of(base) / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        flipped = bytes([content[0] ^ 1]) + content[1:]
        path.write_bytes({"truncated": content[:-7], "flipped": flipped, "empty": b""}[damage])
    build_on(base, trained, 4, name)


def test_manifest_edited_with_the_model(base: Outcome, trained: Outcome) -> None:
    """A flipped model whose own manifest was corrected is still not the one that was published."""
    folder = model_of(base)
    booster = bytearray((folder / "boosted.ubj").read_bytes())
    booster[-30] ^= 1
    (folder / "boosted.ubj").write_bytes(booster)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["sha256"]
    manifest["files"]["boosted.ubj"] = file_sha256(folder / "boosted.ubj")
    from predict_age.storage.durable_files import write_json

    write_json(folder / "manifest.json", manifest)
    build_on(base, trained, 4, "boosted.ubj")


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.marker}'",)


@pytest.mark.parametrize("name", ["learned.json", "leaves.npz", "network.npz", "boosted.ubj", "light.txt"])
def test_pickle_under_another_name(name: str, base: Outcome, trained: Outcome, tmp_path: Path) -> None:
    """A pickle in the place of a model file, with all hashes corrected around it, runs nothing."""
    marker = tmp_path / "it-ran"
    folder = model_of(base)
    (folder / name).write_bytes(pickle.dumps(Payload(marker)))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = file_sha256(folder / name)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    artifact.load_model.cache_clear()
    with pytest.raises(Exception):  # noqa: B017 - whatever the reader says, nothing may have been run
        artifact.load_model(folder, file_sha256(folder / "manifest.json"))
    assert not marker.exists()
    build_on(base, trained, 4, name)
    assert not marker.exists()


def saved_with(trained: Outcome, folder: Path, change: Any) -> str:
    """The trained bundle, changed, saved as an artefact that is consistent in itself; returns the hash to load it with."""
    artifact.load_model.cache_clear()
    bundle, _ = artifact.load_model(model_of(trained), file_sha256(model_of(trained) / "manifest.json"))
    artifact.save_model(change(bundle), folder, {})
    return file_sha256(folder / "manifest.json")


@pytest.mark.parametrize("how", ["21 features", "reordered", "renamed"])
def test_other_features_are_refused(how: str, trained: Outcome, tmp_path: Path) -> None:
    """XGBoost itself would take 21 of 22 columns, and columns in another order: the artefact is refused before that."""

    def change(bundle: Any) -> Any:
        text = bundle.features.text
        blocks = text.split("[features.")
        head, parts = blocks[0], blocks[1:]
        if how == "21 features":
            parts = parts[:-1]
        elif how == "reordered":
            parts = [parts[1], parts[0], *parts[2:]]
        else:
            parts = [parts[0].replace(parts[0].split("]")[0], "some_other_name", 1), *parts[1:]]
        from predict_age.features.spec import parse_features

        return replace(bundle, features=parse_features("[features.".join([head, *parts]), "changed"))

    expected = saved_with(trained, tmp_path / "m", change)
    artifact.load_model.cache_clear()
    with pytest.raises(IntegrityError, match="trained on other features"):
        artifact.load_model(tmp_path / "m", expected)


def test_feature_file_newer_than_the_model(base: Outcome, trained: Outcome, tmp_path: Path) -> None:
    """Building on a model with another feature file is a configuration error, not a prediction."""
    text = (model_of(base) / "features.toml").read_text()
    (tmp_path / "f.toml").write_text(
        text + '\n[features.new_one]\nkind = "number"\npath = "x"\nmin = 0\nmax = 9\ndefault = 1\nmeaning = "m"\n'
    )
    outcome = tiny_run(trained.workspace.parent / "s.jsonl", base.workspace, "--base", "current", "--features", tmp_path / "f.toml")
    assert outcome.code == 2
    assert "trained with another feature file" in outcome.said


@pytest.mark.parametrize("format_number", [0, 1, artifact.MODEL_FORMAT + 1, None])
def test_unknown_format_is_refused(format_number: int | None, trained: Outcome, tmp_path: Path) -> None:
    """An artefact of another format number is not guessed at."""
    folder = tmp_path / "m"
    shutil.copytree(model_of(trained), folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["format"] = format_number
    (folder / "manifest.json").write_text(json.dumps(manifest))
    artifact.load_model.cache_clear()
    with pytest.raises(IntegrityError, match="unknown model format"):
        artifact.load_model(folder, file_sha256(folder / "manifest.json"))


def saying(ages: Matrix) -> Callable[..., Generator[None, None, Matrix]]:
    """A model that says the same ages of everybody."""

    def predict_in_pieces(*_: object) -> Generator[None, None, Matrix]:
        yield
        return ages

    return predict_in_pieces


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_predictions_that_are_no_numbers(value: float, trained: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that says NaN or infinity is an integrity error, never an age."""
    from predict_age.models import bundle as module

    artifact.load_model.cache_clear()
    bundle, _ = artifact.load_model(model_of(trained), file_sha256(model_of(trained) / "manifest.json"))
    bundle = replace(bundle, ensemble=replace(bundle.ensemble, weights=(0.5, 0.0, 0.5, 0.0)))
    matrix = np.zeros((3, bundle.columns), np.float32)
    assert len(bundle.predict(matrix).age) == 3
    monkeypatch.setattr(module.XGBoostModel, "predict_in_pieces", saying(np.array([30, value, 40], np.float32)))
    with pytest.raises(IntegrityError, match="no number"):
        bundle.predict(matrix)


@pytest.mark.parametrize("value", [-1e9, 1e9])
def test_absurd_predictions_stay_inside_the_window(value: float, trained: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    """An age beyond all bounds is cut at the plausible ages, and its interval holds it."""
    from predict_age.models import bundle as module

    bundle, _ = artifact.load_model(model_of(trained), file_sha256(model_of(trained) / "manifest.json"))
    bundle = replace(bundle, ensemble=replace(bundle.ensemble, weights=(1.0, 0.0, 0.0, 0.0)))
    monkeypatch.setattr(module.XGBoostModel, "predict_in_pieces", saying(np.full(2, value, np.float32)))
    made = bundle.predict(np.zeros((2, bundle.columns), np.float32))
    assert set(made.age.tolist()) == {18 if value < 0 else 100}
    assert np.all((made.lower <= made.age) & (made.age <= made.upper))
    assert np.all((made.lower >= 18) & (made.upper <= 100))
    made = bundle.withholding(WithholdingRule(18, 1.0)).predict(np.zeros((2, bundle.columns), np.float32))
    assert made.withheld.all() == (value < 0), "below the limit nothing is cut"


def test_only_the_named_models_predict(people_rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``members = ["xgboost"]``: weight 1 for it, the interval from the forest alone; networks and LightGBM are never asked."""
    config = TINY.replace("[training]", '[training]\nmembers = ["xgboost"]')
    made = tiny_run(write_jsonl(tmp_path / "s.jsonl", people_rows[:200]), tmp_path / "w", config=config)
    artifact.load_model.cache_clear()
    bundle, _ = artifact.load_model(model_of(made), file_sha256(model_of(made) / "manifest.json"))
    assert (bundle.ensemble.weights, bundle.ensemble.network_share) == ((1.0, 0.0, 0.0, 0.0), 0.0)
    monkeypatch.setattr("predict_age.models.density_network.DensityNetwork.distribution", None)
    monkeypatch.setattr("predict_age.models.lgbm_model.LightGBMModel.predict", None)
    matrix = np.zeros((2, bundle.columns), np.float32)
    ages = bundle.predict(matrix)
    assert ages.age.tolist() == np.clip(np.floor(bundle.xgboost.predict(matrix) + 0.5), 18, 100).tolist()
    ends = quantiles(bundle.forest.distribution(with_point_prediction(matrix, bundle.xgboost.predict(matrix))), 18, (0.05, 0.95))
    raw = RawIntervals(np.zeros(2, np.int64), bundle.xgboost.predict(matrix).astype(float), ends[:, 0], ends[:, 1])
    lower, upper = raw.ends(bundle.ensemble.calibration.widen(raw), ages.age)
    assert ages.lower.tolist() == np.minimum(np.maximum(lower, 18), ages.age).tolist()
    assert ages.upper.tolist() == np.maximum(np.minimum(upper, 100), ages.age).tolist()
    twice = TINY.replace("[training]", '[training]\nmembers = ["xgboost", "xgboost"]')
    assert "twice" in tiny_run(tmp_path / "s.jsonl", tmp_path / "v", config=twice).said


def test_crossed_quantiles_come_out_in_order(trained: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quantiles that cross - or a correction that makes them cross - never give lower > age or age > upper."""
    from predict_age.models import bundle as module

    bundle, _ = artifact.load_model(model_of(trained), file_sha256(model_of(trained) / "manifest.json"))
    monkeypatch.setattr(module, "quantiles", lambda shares, _, levels: np.tile([60.0, 40.0, 20.0][: len(levels)], (len(shares), 1)))
    inwards = replace(NO_CALIBRATION, by_width=(-5.0,))
    made = replace(bundle, ensemble=replace(bundle.ensemble, calibration=inwards)).predict(
        np.zeros((4, bundle.columns), np.float32)
    )
    assert np.all((made.lower <= made.age) & (made.age <= made.upper))


@pytest.mark.parametrize("labelled", [0, 1, 19])
def test_too_few_rows_to_train_on(labelled: int, people_rows: Rows, tmp_path: Path) -> None:
    """0, 1 or fewer than min_rows people with a known age: exit code 3, with the number that was found."""
    rows = [{**r, "birth_year": None, "approximate_age": 30 + i if i < labelled else None} for i, r in enumerate(people_rows[:100])]
    outcome = tiny_run(write_jsonl(tmp_path / "s.jsonl", rows), tmp_path / "w")
    assert outcome.code == 3
    assert (f"a known age for {labelled} of {labelled} people" if labelled else "no value in any age column") in outcome.said
    assert outcome.published == ""


def test_constant_label(people_rows: Rows, tmp_path: Path) -> None:
    """Everybody known is 33: everybody predicted is 33, the run ends well."""
    rows = [{**r, "birth_year": None, "approximate_age": 33 if i % 2 else None} for i, r in enumerate(people_rows[:120])]
    outcome = tiny_run(write_jsonl(tmp_path / "s.jsonl", rows), tmp_path / "w")
    assert outcome.code == 0
    assert {r[1] for r in outcome.rows.values()} == {33}


def test_incremental_run_predicts_only_what_changed(trained: Outcome, base: Outcome, people_rows: Rows, tmp_path: Path) -> None:
    """With --base: new and changed profiles are predicted, the others kept; the rows are those of a full run of that model."""
    rows = [dict(r) for r in people_rows[:160]]
    unknown = [i for i, r in enumerate(rows) if r.get("birth_year") is None and r.get("approximate_age") is None]
    for i in unknown[:7]:
        rows[i]["profile_json"] = {**rows[i]["profile_json"], "tenure_months": 7 + i, "linkedin_connections": 3}
    gone, new = unknown[10], people_rows[200]
    changed = [r for i, r in enumerate(rows) if i != gone] + [{**new, "birth_year": None, "approximate_age": None}]
    source = write_jsonl(tmp_path / "changed.jsonl", changed)
    quick = tiny_run(source, base.workspace, "--base", "current")
    assert quick.code == 0, quick.said
    withheld = [i for i in unknown[7:] if i != gone and trained.rows[rows[i]["pid"]][1] is None]
    unchanged = len(unknown) - 8 - len(withheld)  # who was withheld is judged again
    assert quick.run["batches"]["reused"] == unchanged
    assert f"{unchanged} of {len(unknown)} people have an unchanged profile" in quick.said
    assert quick.run["model_version"] == trained.run["model_version"]
    assert rows[gone]["pid"] not in quick.rows
    # The same with a base that kept no predictions: nothing can be reused, everything is predicted by the same model.
    shutil.copytree(trained.workspace, tmp_path / "full")
    without = tiny_run(
        trained.workspace.parent / "s.jsonl",
        tmp_path / "full",
        "--base",
        "current",
        config=TINY.replace("[running]", "[running]\nkeep_predictions = false"),
    )
    assert without.code == 0
    full = tiny_run(source, tmp_path / "full", "--base", "current")
    assert full.code == 0
    assert full.run["batches"]["reused"] == 0
    assert "did not keep its predictions" in full.said
    assert full.rows == quick.rows


def test_incremental_run_at_another_date_reuses_nothing(base: Outcome, trained: Outcome) -> None:
    """Features that count years from a date change with as_of: every profile is predicted again, and it is said."""
    outcome = tiny_run(trained.workspace.parent / "s.jsonl", base.workspace, "--base", "current", as_of="2026-01-23")
    assert outcome.code == 0
    assert outcome.run["batches"]["reused"] == 0
    assert "as_of moved from 2025-10-23 to 2026-01-23" in outcome.said


def test_base_predictions_that_were_damaged_are_not_taken_over(base: Outcome, trained: Outcome) -> None:
    """A flipped byte in an earlier prediction stops the run that would take it over."""
    batch = next(model_of(base).parent.glob("predictions/batch_0.parquet"))
    content = bytearray(batch.read_bytes())
    content[len(content) // 2] ^= 1
    batch.write_bytes(content)
    build_on(base, trained, 4, "batch_0.parquet")
    assert hashlib.sha256(content).hexdigest() == file_sha256(batch)


def test_base_must_be_a_finished_run(base: Outcome, trained: Outcome) -> None:
    """A base that does not exist is named as such."""
    outcome = tiny_run(trained.workspace.parent / "s.jsonl", base.workspace, "--base", "2019q1")
    assert outcome.code == 2
    assert "there is no run '2019q1'" in outcome.said
    assert call(["verify", "--workspace", base.workspace])[0] == 0
