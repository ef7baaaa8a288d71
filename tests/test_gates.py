"""Gates, versions of the model, and tuning."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from conftest import QUICK, TINY, call, cli, run_json, tiny_run, write_jsonl
from predict_age.config import GatesConfig
from predict_age.evaluation.model_card.groups import metrics_by_group
from predict_age.models.bundle import Predictions
from predict_age.models.held_out import HeldOutPredictions
from predict_age.models.metrics import metrics_by_band, paired_gain
from predict_age.records.model_quality import BandQuality, ModelEvaluation, NamedGroup, PairedGain, PointErrors, Quality
from predict_age.records.step_facts import ParallelPredictionFacts
from predict_age.runs.gate_advice import ACCEPT_WHEN
from predict_age.runs.quality_gates import check_model, check_predicted_share
from predict_age.storage.workspace import Workspace
from predict_age.tally import Tally

Rows = list[dict[str, Any]]
WEAK = TINY.replace("[training]", '[training]\nmembers = ["xgboost", "lightgbm", "network"]')  # Ridge would save them
STRICT = WEAK.replace("baselines = false\n", "")


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
        ("better than the constant median", replace(GOOD, median=replace(POINT, mae=2.9)), None),
        ("better than the constant median", replace(GOOD, gain_over_median=PairedGain(0.04, 0.02, 5000)), None),
        ("better than the constant median", replace(GOOD, gain_over_median=PairedGain(0.0, 0.0, 5000)), None),
        ("not worse than Ridge", replace(GOOD, ridge=replace(POINT, mae=2.9)), None),
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
    assert failed[0].name in ACCEPT_WHEN, "the message says when accepting it is right"
    if what == "worst age band":
        assert failed[0].found == "15.10 years for the 100 people aged 65 and over of 5,000 held out"
    assert all(c.passed for c in check_model(GOOD, GatesConfig(), 0.9, replace(HELD, mae=2.95)))
    off = GatesConfig(baselines=False, worse_share=0, band_error_years=0, group_bias_years=0, coverage_below=0, leak_error_share=0)
    assert check_model(model, off, 0.9, published) == []


BIG = replace(HELD, rows=400, mae=22.0)
OLD_BAND = replace(GOOD, by_band=[BandQuality("65 and over", **vars(BIG))])


@pytest.mark.parametrize(
    ("over_median", "over_ridge", "opens"),
    [
        (3.0, 1.0, True),
        (-1.0, 0.0, True),  # as a constant beside the median does
        (-1.1, 0.0, False),
        (3.0, -1.0, True),
        (3.0, -1.1, False),
        (0.0, -16.0, False),
        (None, 1.0, False),
        (3.0, None, False),
        (None, None, False),
    ],
)
def test_a_band_may_exceed_its_limit_where_both_baselines_do(
    over_median: float | None, over_ridge: float | None, opens: bool
) -> None:
    """The constant median and Ridge may err less by a year, whatever the noise; a missing comparison excuses nothing."""
    gains = [None if years is None else {"65 and over": PairedGain(years, 9.0, 400)} for years in (over_median, over_ridge)]
    model = replace(OLD_BAND, gain_by_band=gains[0], ridge_gain_by_band=gains[1])
    (check,) = (c for c in check_model(model, GatesConfig(), 0.9, None) if c.name == "worst age band")
    assert check.passed is opens
    assert ("constant median" in check.found) is (over_median is not None)
    assert ("Ridge" in check.found) is (over_ridge is not None)
    if over_median is not None and over_ridge is not None:
        assert check.found.endswith(f"constant median {22 + over_median:.2f}, centred Ridge {22 + over_ridge:.2f}")


def test_a_bad_band_is_not_hidden_behind_a_larger_honest_error() -> None:
    """The band that is worse than with the constant median is the one that the check is about, though another errs more."""
    bad = BandQuality("55\N{EN DASH}64", **vars(replace(HELD, rows=400, mae=16.0)))
    gains = {"65 and over": PairedGain(4.0, 0.2, 400), bad.band: PairedGain(-2.0, 0.2, 400)}
    model = replace(OLD_BAND, by_band=[*OLD_BAND.by_band, bad], gain_by_band=gains, ridge_gain_by_band=gains)
    (check,) = (c for c in check_model(model, GatesConfig(), 0.9, None) if c.name == "worst age band")
    assert not check.passed
    assert bad.band in check.found


@pytest.mark.parametrize(
    ("apart", "by_median", "by_ridge", "opens"),
    [
        (-14.0, -30.0, -25.0, True),
        (-14.0, -13.0, -13.0, True),
        (-14.0, -12.9, -25.0, False),
        (-14.0, -30.0, -12.9, False),
        (-14.0, -30.0, 14.0, False),
        (-14.0, -30.0, None, False),
        (-14.0, None, -25.0, False),
        (14.0, -30.0, -25.0, False),
        (-14.0, 0.0, 0.0, False),
        (-9.9, 0.0, 0.0, True),
    ],
)
def test_a_group_may_exceed_its_limit_where_both_baselines_do(
    apart: float, by_median: float | None, by_ridge: float | None, opens: bool
) -> None:
    """Widowed people are old: a constant makes them too young by more. Another side, or further than both baselines, is the model's own bias."""
    group = replace(KENYA, apart=apart, median_apart=by_median, ridge_apart=by_ridge)
    (check,) = (c for c in check_model(replace(GOOD, worst_group=group), GatesConfig(), 0.9, None) if c.name == "worst group")
    assert check.passed is opens
    assert by_median is None or f", constant median {by_median:+.1f}" in check.found
    assert by_ridge is None or f", Ridge {by_ridge:+.1f}" in check.found


PART_CHECKS = ("worst age band", "worst group")


def _failed_parts(age: Any, predicted: Any, ridge: Any, old: Any) -> list[str]:
    """Failed checks of bands and groups, from predictions (n,) of both to the gate; ``old`` (n,): who is widowed."""
    n = len(age)
    predictions = Predictions(predicted.astype(np.int32), predicted - 5.0, predicted + 5.0, np.zeros(n, np.bool_))
    held = HeldOutPredictions(np.arange(n), age, predictions, np.zeros(n, np.int64), ridge, float(np.median(age)))
    tables = metrics_by_group(held, pa.table({"widowed": np.where(old, "yes", "no")}), 40, 20)
    groups = [NamedGroup(name, **vars(row)) for name, rows in tables.items() for row in rows]
    worst = max(groups, key=lambda g: (not g.shared_with_baselines, abs(g.apart)))
    bands = metrics_by_band(age, predicted, predicted, predicted)
    gains = {"gain_by_band": held.gain_by_band, "ridge_gain_by_band": held.ridge_gain_by_band}
    model = replace(GOOD, by_band=bands, worst_group=worst, **gains)
    return [c.name for c in check_model(model, GatesConfig(), 0.9, None) if c.name in PART_CHECKS and not c.passed]


@pytest.mark.parametrize(
    ("slope", "reversed_group", "failed"),
    [(0.1, False, []), (0.1, True, ["worst group"]), (-0.3, False, ["worst age band", "worst group"])],
)
def test_weak_models_pass_and_wrong_ones_do_not(slope: float, reversed_group: bool, failed: list[str]) -> None:
    """From ages to the gate: who knows little is published, who errs more than a constant in a band or on the other side in a group is not."""
    rng = np.random.default_rng(4)
    age = np.round(np.concatenate([rng.uniform(18, 60, 3000), rng.uniform(70, 95, 600)]))
    old = age >= 70
    predicted = np.round(np.median(age) + slope * (age - np.median(age)))
    ridge = np.round(np.mean(age) + 0.1 * (age - np.mean(age)))  # the old raise the mean by years above the median
    if reversed_group:
        predicted[old] = age[old] + 20
    assert _failed_parts(age, predicted, ridge, old) == failed
    error = np.abs(predicted - age)[age >= 65].mean()
    assert error > GatesConfig().band_error_years, "an absolute limit would refuse it"


PEOPLE = np.clip(np.round(np.random.default_rng(0).normal(42, 14, 10_000)), 18, 95)
MEDIAN = float(np.median(PEOPLE))


def _told(share: float, noise: float) -> Any:
    """Answers (10,000,) to PEOPLE that hold a ``share`` of their distance from the median."""
    return np.round(MEDIAN + share * (PEOPLE - MEDIAN) + np.random.default_rng(1).normal(0, noise, len(PEOPLE)))


@pytest.mark.parametrize("part", [PEOPLE >= 65, PEOPLE < 25], ids=["old", "young"])
@pytest.mark.parametrize("answers", ["median", "beside", "noise", "elsewhere"])
def test_a_strong_model_with_a_broken_band_is_refused(answers: str, part: Any) -> None:
    """Whoever tells all others to 3 years and these not at all is broken there: Ridge does better, so the median is no excuse."""
    predicted = _told(1.0, 4)
    noise = np.random.default_rng(2).choice([-25, 25], len(PEOPLE))
    wrong = {"median": MEDIAN, "beside": MEDIAN - 1, "noise": MEDIAN + noise, "elsewhere": np.where(PEOPLE < 42, 60, 30)}
    predicted[part] = np.broadcast_to(wrong[answers], PEOPLE.shape)[part]
    assert _failed_parts(PEOPLE, predicted, _told(0.8, 5), part) == list(PART_CHECKS)


@pytest.mark.parametrize("part", [PEOPLE >= 65, PEOPLE < 25], ids=["old", "young"])
@pytest.mark.parametrize("beside", [-1, 0, 1])
def test_a_weak_model_may_answer_a_band_with_one_age(beside: int, part: Any) -> None:
    """An age beside the median differs from it by a year for everybody, without any chance; Ridge leans to the middle, too."""
    predicted, ridge = _told(0.15, 1), _told(0.15, 1)
    predicted[part], ridge[part] = MEDIAN + beside, MEDIAN
    assert _failed_parts(PEOPLE, predicted, ridge, part) == []


def test_small_band_and_chance_are_forgiven() -> None:
    """A band of few people does not stop a run; a difference within chance does not either."""
    few = replace(GOOD, by_band=[BandQuality("65 and over", **vars(replace(HELD, rows=99, mae=30.0)))])
    assert all(c.passed for c in check_model(few, GatesConfig(), 0.9, None))
    rare = replace(GOOD, held_out=replace(HELD, rows=60, coverage=0.8))
    assert all(c.passed for c in check_model(rare, GatesConfig(), 0.9, replace(HELD, rows=60, mae=2.7, rmse=3.6)))


def test_a_model_that_knows_nothing_hardly_ever_beats_the_median() -> None:
    """4,000 models whose predictions are noise around the median: at most a few pass; one that knows a little passes from 200 people on."""
    rng = np.random.default_rng(3)
    passed = 0
    for _ in range(4000):
        age = rng.integers(20, 60, 60).astype(float)
        gain = paired_gain(age, np.round(np.median(age) + rng.normal(0, 0.5, 60)), np.full(60, np.median(age)))
        model = replace(GOOD, gain_over_median=gain)
        passed += check_model(model, GatesConfig(), 0.9, None)[0].passed
    assert passed <= 12  # 4 are expected of 4,000; more than 12 has a probability below 1 in 1,000
    age = rng.integers(20, 60, 200).astype(float)
    some = paired_gain(age, np.round(age + rng.normal(0, 8, 200)), np.full(200, np.median(age)))
    assert check_model(replace(GOOD, gain_over_median=some), GatesConfig(), 0.9, None)[0].passed


@pytest.mark.parametrize(
    ("predicted", "default", "opens"),
    [(0, {"profile_missing": 50}, False), (4, {"profile_malformed": 46}, False), (5, {"profile_missing": 45}, True), (0, {}, True)],
)
def test_enough_people_must_be_predicted(predicted: int, default: dict[str, int], opens: bool) -> None:
    """Nobody or too few predicted closes the gate, with counts and reasons; nobody to predict does not; 0 switches it off."""
    facts = ParallelPredictionFacts(batches=1, kept=0, predicted=predicted, default=default, tally=Tally())
    checks = check_predicted_share(facts, 0.1)
    assert all(c.passed for c in checks) is opens
    for check in checks:
        assert f"{predicted:,} of 50" in check.found
        assert next(iter(default)) in check.found
    assert check_predicted_share(facts, 0.0) == []


@pytest.mark.parametrize(("predicted", "default", "opens"), [(0, {}, False), (1, {}, True), (0, {"profile_missing": 50}, False)])
def test_somebody_must_be_predicted_where_others_are_withheld(predicted: int, default: dict[str, int], opens: bool) -> None:
    """Withheld people are no reason to stop, unless nobody else is there."""
    facts = ParallelPredictionFacts(batches=1, kept=0, predicted=predicted, default=default, withheld=70, tally=Tally())
    (check,) = check_predicted_share(facts, 0.1)
    assert check.passed is opens
    assert check.found.startswith("0 of 70" if not default and not opens else f"{predicted} of {predicted + sum(default.values())}")


WORTHLESS = """
[source]
approximate_age = "age"
profile_json = "*"
[training]
rounds = 30
light_rounds = 30
networks = 1
network_passes = 3
forest_trees = 5
min_rows = 20
[prediction]
batch_rows = 400
[running]
workers = 1
"""
FEATURE = 'format = 1\n[features.tenure]\nkind = "number"\npath = "tenure"\nmin = 0\nmax = 99\ndefault = 1\nmeaning = "m"\n'


def _flat(folder: Path, rows: list[dict[str, object]]) -> Path:
    path = folder / "people.csv"
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize("kind", ["shuffled", "constant", "thirty", "real"])
def test_nothing_worthless_is_published(kind: str, tmp_path: Path) -> None:
    """A label that the feature does not tell, a constant label, thirty people: exit code 5 with a sentence; a label that it tells: 0."""
    rng = np.random.default_rng(11)
    n = 60 if kind == "thirty" else 600
    tenure = rng.integers(0, 40, n)
    age = rng.integers(20, 60, n) if kind in ("shuffled", "thirty") else np.full(n, 40) if kind == "constant" else tenure + 20
    age = 22 + (tenure - 20) ** 2 // 12 + rng.integers(-2, 3, n) if kind == "real" else age  # Ridge cannot follow a parabola
    people = [{"pid": i + 1, "age": int(age[i]) if i % 2 else "", "tenure": int(tenure[i])} for i in range(n)]
    (tmp_path / "c.toml").write_text(WORTHLESS)
    (tmp_path / "f.toml").write_text(FEATURE)
    source = _flat(tmp_path, people)
    code, out, said = call(
        [
            "run",
            "--source",
            source,
            "--features",
            tmp_path / "f.toml",
            "--config",
            tmp_path / "c.toml",
            "--as-of",
            "2025-10-23",
            "--workspace",
            tmp_path / "w",
            "--json",
        ]
    )
    assert code == (0 if kind == "real" else 5), said
    if kind != "real":
        assert "better than the constant median" in said
        assert not Workspace(tmp_path / "w").published.current
    else:
        assert json.loads(out)["metrics"]["mae"] < 5


def test_bad_model_is_not_published(people_rows: Rows, tmp_path: Path) -> None:
    """Worse than Ridge: exit code 5, readers see the old run, the model is kept, `resume --accept` publishes it and says so."""
    source = write_jsonl(tmp_path / "s.jsonl", people_rows[:1500])
    good = tiny_run(source, tmp_path / "w")
    assert good.code == 0
    bad = tiny_run(source, tmp_path / "w", config=STRICT)
    assert bad.code == 5
    assert "not worse than Ridge: an error below" in bad.said
    assert f"`predict-age resume --accept --workspace {tmp_path / 'w'}`" in bad.said
    assert bad.published == good.published
    status = json.loads(cli("status", "--workspace", tmp_path / "w", "--json").stdout)
    assert (status["status"], status["stages"][-1]["name"]) == ("failed", "training")
    assert bad.said.strip().endswith("predict-age: " + status["message"]), "status says why, as the run did"
    shown = cli("status", "--workspace", tmp_path / "w").stdout
    assert "\nWhy     the model is not good enough" in shown
    assert " resume --workspace " in shown[shown.index("\nNext ") :]
    assert "is not published (failed)" in cli("card", "--workspace", tmp_path / "w", "--run", status["run_id"]).stdout
    assert tiny_run(source, tmp_path / "v", config=STRICT).code == 5
    card = cli("card", "--workspace", tmp_path / "v").stdout
    assert "is not published (failed); this is its model's card" in card
    following = shown[shown.index("\nNext ") :]
    assert "the model gate stopped the run (not worse than Ridge)" in following
    assert "--accept" in following
    assert f"which is right where {ACCEPT_WHEN['not worse than Ridge']}" in following
    assert f"{status['run_id']} failed: the model is not good enough" in cli("runs", "--workspace", tmp_path / "w").stdout
    again = cli("resume", "--workspace", tmp_path / "w", check=5)
    assert "3 of 9 steps are finished and valid" in again.stderr, "the model is not trained again"
    done = json.loads(cli("resume", "--workspace", tmp_path / "w", "--accept", "--json").stdout)
    assert done["status"] == "done"
    assert "Published although the model gate failed" in Path(done["report"]).read_text()
    rows = {v["version"]: v for v in json.loads(cli("models", "--workspace", tmp_path / "w", "--json").stdout)}
    assert [v["gate"] for v in rows.values()] == ["accepted"] or rows[done["model_version"]]["gate"] in ("accepted", "passed")
    cli("verify", "--workspace", tmp_path / "w")


def test_worse_than_published_is_refused(people_rows: Rows, tmp_path: Path) -> None:
    """A model that errs clearly more than the published one stops with 5; so does the document's promise of a margin."""
    source = write_jsonl(tmp_path / "s.jsonl", people_rows)
    (tmp_path / "good.toml").write_text(QUICK)
    run_json(source, tmp_path / "w", "--config", tmp_path / "good.toml")
    worse = tiny_run(source, tmp_path / "w", config=WEAK.replace("worse_share = 0.0", "worse_share = 0.05"))
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
