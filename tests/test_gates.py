"""Gates, versions of the model, and tuning."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import QUICK, TINY, cli, run_json, tiny_run, write_jsonl
from predict_age.config import GatesConfig
from predict_age.records.model_quality import BandQuality, ModelEvaluation, NamedGroup, PointErrors, Quality
from predict_age.run.quality_gates import check_model

Rows = list[dict[str, Any]]
STRICT = TINY.replace("baselines = false\n", "")


POINT = PointErrors(3.0, 4.0, 0.0, 0.9)
HELD = Quality(5000, 3.0, 4.0, 0.0, 0.9, 0.9, 12.0)
GOOD = ModelEvaluation(HELD, replace(POINT, mae=4.0), replace(POINT, mae=9.0), [BandQuality("25-34", **vars(HELD))], [], None)
KENYA = NamedGroup(
    "country",
    "Kenya",
    **vars(HELD),
    bias_interval=[-11.0, -9.4],
    apart=-10.2,
    apart_z=-20.0,
    same_age=0.0,
    made_younger=0.0,
    made_older=0.0,
)


@pytest.mark.parametrize(
    ("what", "model", "published"),
    [
        ("better than the median", replace(GOOD, median=replace(POINT, mae=2.9)), None),
        ("better than Ridge", replace(GOOD, ridge=replace(POINT, mae=2.9)), None),
        ("not worse than published", GOOD, replace(HELD, mae=2.7, rmse=3.6)),
        ("worst age band", replace(GOOD, by_band=[BandQuality("65 and over", **vars(replace(HELD, rows=100, mae=15.1)))]), None),
        ("worst group", replace(GOOD, worst_group=KENYA), None),
        ("coverage", replace(GOOD, held_out=replace(HELD, coverage=0.85)), None),
        ("too good to be true", replace(GOOD, median=replace(POINT, mae=21.0)), None),
    ],
)
def test_each_check_can_fail(what: str, model: ModelEvaluation, published: Quality | None) -> None:
    """Exactly the named check fails; the unchanged model passes all; each limit can be switched off."""
    failed = [c for c in check_model(model, GatesConfig(), 0.9, published) if not c.passed]
    assert [c.name for c in failed] == [what]
    assert failed[0].expected
    assert failed[0].found
    assert all(c.passed for c in check_model(GOOD, GatesConfig(), 0.9, replace(HELD, mae=2.95)))
    off = GatesConfig(baselines=False, worse_share=0, band_error_years=0, group_bias_years=0, coverage_below=0, leak_error_share=0)
    assert check_model(model, off, 0.9, published) == []


def test_small_band_and_chance_are_forgiven() -> None:
    """A band of few people does not stop a run; a difference within chance does not either."""
    few = replace(GOOD, by_band=[BandQuality("65 and over", **vars(replace(HELD, rows=99, mae=30.0)))])
    assert all(c.passed for c in check_model(few, GatesConfig(), 0.9, None))
    rare = replace(GOOD, held_out=replace(HELD, rows=60, coverage=0.8))
    assert all(c.passed for c in check_model(rare, GatesConfig(), 0.9, replace(HELD, rows=60, mae=2.7, rmse=3.6)))


def test_bad_model_is_not_published(people_rows: Rows, tmp_path: Path) -> None:
    """Worse than Ridge: exit code 5, readers see the old run, the model is kept, `resume --accept` publishes it and says so."""
    source = write_jsonl(tmp_path / "s.jsonl", people_rows[:1500])
    good = tiny_run(source, tmp_path / "w")
    assert good.code == 0
    bad = tiny_run(source, tmp_path / "w", config=STRICT)
    assert bad.code == 5
    assert "better than Ridge: a mean error below" in bad.said
    assert "resume --accept" in bad.said
    assert bad.published == good.published
    status = json.loads(cli("status", "--workspace", tmp_path / "w", "--json").stdout)
    assert (status["status"], status["stages"][-1]["name"]) == ("failed", "training")
    assert bad.said.strip().endswith("predict-age: " + status["message"]), "status says why, as the run did"
    shown = cli("status", "--workspace", tmp_path / "w").stdout
    assert "\nWhy     the model is not good enough" in shown
    assert " resume --workspace " in shown[shown.index("\nNext ") :]
    assert f"{status['run_id']} failed: the model is not good enough" in cli("runs", "--workspace", tmp_path / "w").stdout
    again = cli("resume", "--workspace", tmp_path / "w", check=5)
    assert "3 of 9 steps are finished and valid" in again.stderr, "the model is not trained again"
    done = json.loads(cli("resume", "--workspace", tmp_path / "w", "--accept", "--json").stdout)
    assert done["status"] == "done"
    assert "Published although the model gate did not open" in Path(done["report"]).read_text()
    rows = {v["version"]: v for v in json.loads(cli("models", "--workspace", tmp_path / "w", "--json").stdout)}
    assert [v["gate"] for v in rows.values()] == ["accepted"] or rows[done["model_version"]]["gate"] in ("accepted", "passed")
    cli("verify", "--workspace", tmp_path / "w")


def test_worse_than_published_is_refused(people_rows: Rows, tmp_path: Path) -> None:
    """A model that errs clearly more than the published one stops with 5; so does the document's promise of a margin."""
    source = write_jsonl(tmp_path / "s.jsonl", people_rows)
    (tmp_path / "good.toml").write_text(QUICK)
    run_json(source, tmp_path / "w", "--config", tmp_path / "good.toml")
    worse = tiny_run(source, tmp_path / "w", config=TINY.replace("worse_share = 0.0", "worse_share = 0.05"))
    assert worse.code == 5
    assert "not worse than published" in worse.said


def test_models_promote_and_rollback(people_rows: Rows, tmp_path: Path) -> None:
    """The newest published model is champion; promote and rollback switch it; runs use it; retention keeps it."""
    source = write_jsonl(tmp_path / "s.jsonl", people_rows[:600])
    space = tmp_path / "w"
    first = tiny_run(source, space)
    second = tiny_run(source, space, config=TINY.replace("rounds = 3", "rounds = 4"))
    assert first.run["model_version"] != second.run["model_version"]

    def champion() -> str:
        listed = json.loads(cli("models", "--workspace", space, "--json").stdout)
        return next(v["version"] for v in listed if v["champion"])

    assert champion() == second.run["model_version"]
    cli("promote", first.run["model_version"], "--workspace", space)
    assert champion() == first.run["model_version"]
    assert second.published == second.run["run_id"], "readers see what they saw"
    used = tiny_run(source, space, "--model", "champion", config=TINY)
    assert used.run["model_version"] == first.run["model_version"]
    assert used.run["base"] == first.run["run_id"]
    named = tiny_run(source, space, "--model", second.run["model_version"], config=TINY + "keep_predictions = true\n")
    assert named.run["model_version"] == second.run["model_version"] == champion()
    cli("promote", "previous", "--workspace", space)
    assert champion() == first.run["model_version"]
    cli("rollback", "--workspace", space, "--to", second.run["run_id"])
    assert champion() == second.run["model_version"], "going back to a run goes back to its model"
    cli("promote", first.run["model_version"][:10], "--workspace", space)
    kept = json.loads((space / "published.json").read_text())
    gone = json.loads(cli("prune", "--workspace", space, "--keep", "1", "--json").stdout)["removed"]
    assert kept["champion"] not in {r["run_id"] for r in gone}
    assert gone
    for wrong in ("age-000000000000", "nonsense", "age-"):
        assert "no model" in cli("promote", wrong, "--workspace", space, check=2).stderr
    both = cli(
        "run",
        "--source",
        source,
        "--workspace",
        space,
        "--as-of",
        "2025-10-23",
        "--base",
        "current",
        "--model",
        "champion",
        check=2,
    )
    assert "--base and --model" in both.stderr
    assert "champion" in cli("models", "--workspace", space).stdout


def test_rollback_moves_the_champion_previous(people_rows: Rows, tmp_path: Path) -> None:
    """`rollback` to the previous run is not confused by promotions in between."""
    source = write_jsonl(tmp_path / "s.jsonl", people_rows[:300])
    one = tiny_run(source, tmp_path / "w")
    two = tiny_run(source, tmp_path / "w", config=TINY.replace("rounds = 3", "rounds = 4"))
    cli("promote", one.run["model_version"], "--workspace", tmp_path / "w")
    assert json.loads(cli("rollback", "--workspace", tmp_path / "w", "--json").stdout)["current"] == one.run["run_id"]
    assert two.published == one.run["run_id"]


def test_tuning_is_bounded_recorded_and_kept(people_rows: Rows, tmp_path: Path) -> None:
    """Settings are tried, the better ones used and written down; a second attempt trains with what the first one found."""
    source = write_jsonl(tmp_path / "s.jsonl", people_rows)
    (tmp_path / "c.toml").write_text(QUICK)
    run = run_json(source, tmp_path / "w", "--config", tmp_path / "c.toml", "--tune", "0.1")
    folder = tmp_path / "w" / "runs" / run["run_id"]
    found = json.loads((folder / "tuning.json").read_text())
    assert found["tried"] > 3
    assert set(found["before"]) == {"network", "xgboost", "lightgbm"}
    assert all(found["after"][m] <= found["before"][m] for m in found["before"])
    assert found["changed"] == len(found["settings"])
    told = json.loads((folder / "model" / "card.json").read_text())["tuned"]
    assert told["settings"] == found["settings"]
    for name in ("training", "parallel_prediction", "human_qa", "final_results", "post_cleanup"):
        (folder / "steps" / f"{name}.json").unlink()
    (folder / "status.json").unlink()
    again = json.loads(cli("resume", "--workspace", tmp_path / "w", "--json").stdout)
    assert again["model_version"] == run["model_version"]
