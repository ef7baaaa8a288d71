"""A/B: who is in which arm, what the sums say, and decisions at the stated error rates."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from conftest import AS_OF, QUICK, cli, run_json, shared
from predict_age.evaluation.ab_test.assign import assign_arms
from predict_age.evaluation.ab_test.read_out import (
    KEEP,
    PROMOTE,
    UNDECIDED,
    ArmStatistics,
    DecisionRules,
    PairedDifferences,
    decide,
)
from predict_age.hashing import sampling_hash
from predict_age.synthetic.write import generate


def test_arms_are_decided_by_the_pid_alone() -> None:
    """Stated shares, the same in any order, independent of other experiments and of the training sample."""
    pids = np.random.default_rng(0).choice(2**40, 50_000, replace=False)
    arm = assign_arms(pids, "x", (0.1, 0.3))
    assert np.bincount(arm, minlength=3) / 50_000 == pytest.approx([0.6, 0.1, 0.3], abs=0.01)
    order = np.random.default_rng(1).permutation(50_000)
    assert np.array_equal(assign_arms(pids[order], "x", (0.1, 0.3)), arm[order])
    for other in (assign_arms(pids, "y", (0.1, 0.3)) == 1, sampling_hash(pids, 7) < 0.1):
        both = np.mean((arm == 1) & other)
        assert both == pytest.approx(0.01, abs=0.002)
    assert not assign_arms(pids, "x", ()).any()


floats = st.floats(-40, 40).map(lambda x: round(x, 3))


@given(st.lists(st.tuples(floats, floats, floats, floats), min_size=1, max_size=40), st.integers(0, 40))
def test_sums_merge_exactly(rows: list[tuple[float, float, float, float]], at: int) -> None:
    """Sums of parts are the sums of the whole; means and variances are NumPy's."""
    table = np.array(rows)
    whole = ArmStatistics.of(*table.T)
    parts = ArmStatistics.of(*table[:at].T) + ArmStatistics() + ArmStatistics.of(*table[at:].T)
    assert parts.rows == whole.rows
    assert parts.inside == whole.inside
    assert [parts.mae, parts.error, parts.width] == pytest.approx([whole.mae, whole.error, whole.width], abs=1e-9)
    error = np.abs(table[:, 1] - table[:, 0])
    assert whole.mae == pytest.approx(error.mean())
    if len(rows) > 1:
        assert whole.variance == pytest.approx(error.var(ddof=1), abs=1e-6)
    pairs = PairedDifferences.of(error[:at], error[:at] / 2) + PairedDifferences.of(error[at:], error[at:] / 2)
    assert pairs.difference == pytest.approx(-error.sum() / 2, abs=1e-9)


def arm(rng: np.random.Generator, n: int, spread: float) -> tuple[ArmStatistics, np.ndarray]:
    """Sums of people who are predicted with normal errors, and the absolute errors."""
    error = rng.normal(0, spread, n)
    zero = np.zeros(n)
    return ArmStatistics.of(zero, error, error - 2 * spread, error + 2 * spread), np.abs(error)


def test_intervals_equal_scipy() -> None:
    """Difference and interval are those of Welch's and of the paired t-test."""
    rng = np.random.default_rng(2)
    (one, a), (two, b) = arm(rng, 700, 4.0), arm(rng, 300, 3.7)
    found = decide("x", one, two, DecisionRules())
    welch = stats.ttest_ind(b, a, equal_var=False)
    assert (found.low, found.high) == pytest.approx(tuple(welch.confidence_interval(0.95)))
    several = decide("x", one, two, DecisionRules(), challengers=4)
    assert (several.low, several.high) == pytest.approx(tuple(welch.confidence_interval(1 - 0.05 / 4)))
    (one, a), (two, b) = arm(rng, 500, 4.0), arm(rng, 500, 4.0)
    paired = decide("x", one, two, DecisionRules(), PairedDifferences.of(a, b))
    assert (paired.low, paired.high) == pytest.approx(tuple(stats.ttest_rel(b, a).confidence_interval(0.95)))


def test_decisions_at_the_stated_rates() -> None:
    """No difference: promoted in 2.5 % of 1,000 experiments. The least gain, with the advised people: promoted in 80 %."""
    rng = np.random.default_rng(3)
    rules = DecisionRules(minimum_effect=0.10)
    wrong = sum(decide("x", arm(rng, 1500, 4.0)[0], arm(rng, 1500, 4.0)[0], rules).decision == PROMOTE for _ in range(1000))
    assert wrong <= 42  # 25 expected; more than 42 happens once in 1,000
    advised = decide("x", arm(rng, 20_000, 4.0)[0], arm(rng, 20_000, 3.6)[0], rules).needed
    half = advised // 2
    right = sum(decide("x", arm(rng, half, 4.0)[0], arm(rng, half, 3.6)[0], rules).decision == PROMOTE for _ in range(1000))
    assert 0.76 <= right / 1000 <= 0.90
    worse = [decide("x", arm(rng, half, 4.0)[0], arm(rng, half, 4.4)[0], rules).decision for _ in range(200)]
    assert worse.count(KEEP) >= 195
    assert PROMOTE not in worse


def test_undecided_says_how_many_more() -> None:
    """Few people decide nothing and are told how many would; shorter coverage is never promoted."""
    rng = np.random.default_rng(4)
    few = decide("x", arm(rng, 50, 4.0)[0], arm(rng, 50, 3.0)[0], DecisionRules())
    assert (few.decision, few.needed) == (UNDECIDED, 0)
    near = decide("x", arm(rng, 400, 4.0)[0], arm(rng, 400, 3.99)[0], DecisionRules(minimum_effect=0.005))
    assert near.decision == UNDECIDED
    assert f"{near.needed - 800:,} more people" in near.reason
    good, _error = arm(rng, 3000, 3.0)
    narrow = ArmStatistics(good.rows, good.error, good.absolute, good.square, int(good.rows * 0.5), good.width)
    assert decide("x", arm(rng, 3000, 4.0)[0], narrow, DecisionRules()).decision == KEEP


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A published run with a poor model, a shadow run with a better one, both over the same 8,000 people, and the truth."""
    folder, made = shared(tmp_path_factory, "lab", made_lab)
    return {
        **made,
        "folder": folder,
        "source": folder / "g" / "people",
        "space": folder / "w",
        "truth": folder / "g" / "truth.parquet",
    }


def made_lab(folder: Path) -> dict[str, Any]:
    """Make both runs; returns what they printed."""
    generate(folder / "g", 8000, 6, AS_OF, 1)
    poor = QUICK.replace("rounds = 30", "rounds = 1").replace("network_passes = 4", "network_passes = 1")
    poor = poor.replace("[training]", '[training]\nmembers = ["xgboost", "lightgbm", "network"]')  # Ridge would save it
    (folder / "poor.toml").write_text(poor.replace("max_depth = 5", "max_depth = 1"))
    (folder / "good.toml").write_text(QUICK.replace("passes = 4", "passes = 20").replace("below_rows = 0", "below_rows = 30000"))
    source, space = folder / "g" / "people", folder / "w"
    first = run_json(source, space, "--config", folder / "poor.toml")
    second = run_json(source, space, "--config", folder / "good.toml", "--shadow")
    return {"poor": first, "good": second}


def predicted(space: Path, run: str) -> dict[int, int]:
    """Predicted ages of a run by pid."""
    parts = sorted((space / "runs" / run / "predictions").glob("batch_*.parquet"))
    table = pa.concat_tables([pq.read_table(p, columns=["pid", "predicted_age"]) for p in parts])
    return dict(zip(*table.to_pydict().values(), strict=True))


@pytest.mark.xdist_group("lab")  # made once, and runs are added to it
def test_shadow_run_is_not_published(lab: dict[str, Any]) -> None:
    """It is finished, checked and listed, readers still see the other run, and the report says so."""
    published = json.loads((lab["space"] / "published.json").read_text())
    assert published["current"] == published["champion"] == lab["poor"]["run_id"]
    assert lab["good"]["shadow"]
    assert lab["good"]["table"] == ""
    assert "A shadow run" in Path(lab["good"]["report"]).read_text()
    cli("verify", "--workspace", lab["space"], "--run", lab["good"]["run_id"])


@pytest.mark.xdist_group("lab")  # made once, and runs are added to it
def test_better_shadow_is_promoted(lab: dict[str, Any]) -> None:
    """Paired over the same people: the better model is to be promoted, the poor one is not; the errors are the true ones."""
    runs = [lab["poor"]["run_id"], lab["good"]["run_id"]]
    found = json.loads(cli("ab", *runs, "--workspace", lab["space"], "--truth", lab["truth"], "--json").stdout)
    assert found["paired"]
    assert found["decisions"][0]["decision"] == PROMOTE
    back = json.loads(cli("ab", *runs[::-1], "--workspace", lab["space"], "--truth", lab["truth"], "--json").stdout)
    assert back["decisions"][0]["decision"] == KEEP
    truth = dict(zip(*pq.read_table(lab["truth"]).to_pydict().values(), strict=True))
    by_both = predicted(lab["space"], runs[1])  # who is withheld by one of the models is in no pair
    ages = {pid: age for pid, age in predicted(lab["space"], runs[0]).items() if age is not None and by_both[pid] is not None}
    assert 0 < len(by_both) - len(ages) < 0.05 * len(by_both)
    error = [abs(age - truth[pid]) for pid, age in ages.items()]
    assert found["arms"][f"{lab['poor']['model_version']} ({runs[0]})"]["mae"] == pytest.approx(np.mean(error))
    said = cli("ab", *runs, "--workspace", lab["space"], "--truth", lab["truth"]).stdout
    assert "promote" in said


@pytest.mark.xdist_group("lab")  # made once, and runs are added to it
def test_challenger_predicts_its_share(lab: dict[str, Any]) -> None:
    """Each person is predicted by the model of their arm and by no other; known ages of a later run decide."""
    folder, space = lab["folder"], lab["space"]
    challenger = lab["good"]["model_version"]
    config = folder / "split.toml"
    text = (
        (folder / "poor.toml")
        .read_text()
        .replace("batch_rows = 700", f'batch_rows = 700\nexperiment = "e1"\nchallengers = {{"{challenger}" = 0.4}}')
    )
    config.write_text(text)
    run = run_json(lab["source"], space, "--config", config, "--base", lab["poor"]["run_id"])
    assert run["batches"]["reused"] == 0, "an experiment takes nothing over"
    batches = sorted((space / "runs" / run["run_id"] / "predictions").glob("batch_*.parquet"))
    made = pa.concat_tables([pq.read_table(b, columns=["pid", "predicted_age", "model_version"]) for b in batches])
    arms = assign_arms(made["pid"].to_numpy(), "e1", (0.4,))
    expected = np.array([lab["poor"]["model_version"], challenger])[arms]
    withheld = made["predicted_age"].is_null().to_pylist()
    assert made["model_version"].to_pylist() == [None if w else e for w, e in zip(withheld, expected.tolist(), strict=True)]
    ages = {}
    for name in ("poor", "good"):
        ages[name] = predicted(space, lab[name]["run_id"])
    for pid, age, which in zip(made["pid"].to_pylist(), made["predicted_age"].to_pylist(), arms, strict=True):
        assert age == ages["good" if which else "poor"][pid]
    cli("verify", "--workspace", space)
    skew = json.loads(cli("check-skew", "--workspace", space, "--json").stdout)
    assert (skew["compared"], skew["different"]) == ((arms == 0).sum(), 0), "whom a challenger withholds has no model in the table"
    found = json.loads(cli("ab", run["run_id"], "--workspace", space, "--truth", lab["truth"], "--json").stdout)
    assert not found["paired"]
    assert found["decisions"][0]["decision"] == PROMOTE
    assert sum(a["rows"] for a in found["arms"].values()) == made.num_rows - sum(withheld)
    one = cli("ab", lab["poor"]["run_id"], "--workspace", space, "--truth", lab["truth"], check=2).stderr
    assert "predicted by one model" in one


@pytest.mark.xdist_group("lab")  # made once, and runs are added to it
def test_truth_from_a_later_run(lab: dict[str, Any]) -> None:
    """Ages given two years later count, taken back by the years between."""
    truth = dict(zip(*pq.read_table(lab["truth"]).to_pydict().values(), strict=True))
    later = lab["folder"] / "later.csv"
    lines = ["pid,approximate_age,profile_json"] + [
        f'{pid},{age + 2},"{{""tenure_months"": 40}}"' for pid, age in sorted(truth.items())
    ]
    later.write_text("\n".join(lines) + "\n")
    (lab["folder"] / "two.toml").write_text('[running]\nquarter = "2027q3"\n[gates]\nworse_share = 0.0\ncoverage_below = 0.0\n')
    done = cli(
        "run",
        "--source",
        later,
        "--workspace",
        lab["space"],
        "--as-of",
        "2027-10-23",
        "--base",
        lab["poor"]["run_id"],
        "--config",
        lab["folder"] / "two.toml",
        "--shadow",
        "--json",
    )
    run = json.loads(done.stdout)
    names = [lab["poor"]["run_id"], lab["good"]["run_id"]]
    by_run = json.loads(cli("ab", *names, "--workspace", lab["space"], "--truth", run["run_id"], "--json").stdout)
    by_file = json.loads(cli("ab", *names, "--workspace", lab["space"], "--truth", lab["truth"], "--json").stdout)
    for name, numbers in by_file["arms"].items():
        assert by_run["arms"][name] == pytest.approx(numbers)


@pytest.mark.xdist_group("lab")  # made once, and runs are added to it
def test_bad_truth_is_one_sentence(lab: dict[str, Any], tmp_path: Path) -> None:
    """No file, other columns, a person twice, a share beyond 1: exit code 2."""
    (tmp_path / "a.csv").write_text("id,age\n1,2\n")
    (tmp_path / "b.csv").write_text("pid,true_age\n1,42\n1,43\n")
    names = [lab["poor"]["run_id"], lab["good"]["run_id"]]
    for truth, said in (("no.csv", "there is no file"), ("a.csv", "cannot be read"), ("b.csv", "names a person twice")):
        assert said in cli("ab", *names, "--workspace", lab["space"], "--truth", tmp_path / truth, check=2).stderr
    cli("ab", *names, "--workspace", lab["space"], "--truth", lab["truth"], "--chance", "2", check=2)
