"""Drift: small counts that add up exactly, alarms at the stated rate, changed data found."""

import datetime as dt
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from conftest import AS_OF, QUICK, cli, run_json
from predict_age.config import DriftConfig
from predict_age.evaluation.drift.comparison import OverDispersion, align_counts, assign_cells, compare_counts, over_dispersion, psi
from predict_age.evaluation.drift.sketch import Sketch, cell_lower_bound, grid_cells, histogram_counts, number_counts, sum_sketches
from predict_age.evaluation.drift.state import compare_states
from predict_age.features.definitions import definitions_of
from predict_age.features.spec import parse_features
from predict_age.records.drift_state import DriftFinding, DriftState
from predict_age.synthetic.model import draw
from predict_age.synthetic.shifts import Shift, shifted
from predict_age.synthetic.write import generate
from predict_age.tally import Tally
from predict_age.tally import sum_tallies as merged_tallies

values = st.floats(width=32, allow_infinity=False)


@given(st.lists(values, max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_merge_equals_whole(found: list[float], cuts: list[int]) -> None:
    """Sketches of any parts, in any order, add up to the sketch of all; JSON keeps it."""
    whole = np.array(found, np.float32)
    parts = np.split(whole, sorted(min(c, len(whole)) for c in cuts))
    sketches = [Sketch({"x": number_counts(p)}) for p in parts]
    expected = {k: v for k, v in number_counts(whole).items() if v}
    assert sum_sketches(sketches).counts["x"] == expected
    total = Sketch({"x": {}})
    for s in reversed(sketches):
        total = total + s
    assert total.counts["x"] == expected
    assert Sketch.from_json(json.loads(json.dumps(total.in_order()))).counts["x"] == expected
    assert sum(expected.values()) == len(whole)


@given(
    st.lists(
        st.tuples(st.dictionaries(st.sampled_from("abc"), st.integers(0, 9)), st.lists(st.integers(0, 9), min_size=3, max_size=3)),
        max_size=6,
    ),
    st.randoms(),
)
def test_tallies_in_any_order(parts: list[tuple[dict[str, int], list[int]]], dice: Any) -> None:
    """The same for the counters and histograms of batches."""
    tallies = [Tally(c, {"h": h}) for c, h in parts]
    shuffled = list(tallies)
    dice.shuffle(shuffled)
    assert merged_tallies(tallies) == merged_tallies(shuffled)
    assert merged_tallies(tallies).count("a") == sum(c.get("a", 0) for c, _ in parts)


@given(values.filter(lambda v: not np.isnan(v)), values.filter(lambda v: not np.isnan(v)))
def test_grid_keeps_order(a: float, b: float) -> None:
    """Larger numbers never fall into smaller cells; a cell's lowest value is in it and no more than 1/16 below its values."""
    x, y = grid_cells(np.array([a, b], np.float32)).tolist()
    assert (x <= y) if a <= b else (y <= x)
    low = cell_lower_bound(x)
    assert grid_cells(np.array([low], np.float32))[0] == x
    assert low <= np.float32(a)
    if a >= 1e-30:
        assert float(np.float32(a)) <= low * (1 + 1 / 16) * (1 + 1e-6)


def test_small_whole_numbers_have_cells_of_their_own() -> None:
    """Ages and years up to 32 are told apart exactly, and histograms give the same counts as the numbers."""
    assert len(set(grid_cells(np.arange(33, dtype=np.float32)).tolist())) == 33
    ages = np.random.default_rng(0).integers(0, 121, 500)
    assert histogram_counts(np.bincount(ages, minlength=121).tolist()) == number_counts(ages.astype(np.float32))


def test_distance_and_index_equal_scipy() -> None:
    """The distance of distributions on the grid and the stability index against scipy's."""
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 30, 900).astype(np.float32), rng.integers(3, 33, 700).astype(np.float32)
    found = compare_counts({"x": number_counts(a)}, {"x": number_counts(b)}, {}, DriftConfig())[0]
    assert found.ks == pytest.approx(stats.ks_2samp(a, b).statistic)
    first, second, numeric = align_counts(number_counts(a), number_counts(b))
    assert numeric
    cell = assign_cells(first, second, numeric)
    p, q = (np.bincount(cell, c) for c in (first, second))
    p1, q1 = ((c + 0.5) / (c + 0.5).sum() for c in (p, q))
    assert psi(p, q) == pytest.approx(stats.entropy(p1, q1) + stats.entropy(q1, p1))
    assert found.psi == pytest.approx(psi(p, q))
    assert found.moved == pytest.approx(np.abs(p / 900 - q / 700).sum() / 2)
    assert min(p + q) >= 10


def test_limit_of_the_index_is_its_distribution() -> None:
    """Under no change the index exceeds its limit as often as stated: simulated with 20,000 pairs."""
    rng = np.random.default_rng(2)
    share = np.array([0.3, 0.25, 0.2, 0.15, 0.1])
    n, m = 4000, 2500
    pairs = [psi(rng.multinomial(n, share).astype(float), rng.multinomial(m, share).astype(float)) for _ in range(20_000)]
    limit = stats.chi2.isf(0.01, 4) * (1 / n + 1 / m)
    assert np.mean(np.array(pairs) > limit) == pytest.approx(0.01, abs=0.002)


@lru_cache(maxsize=4)
def pool(shifts: tuple[Shift, ...], seed: int) -> dict[str, np.ndarray]:
    """Drawn people as numbers: what their profiles show, 0 = missing."""
    people = shifted(draw(np.random.default_rng(seed), 400_000), shifts, np.random.default_rng(seed))
    return {n: np.where(v == 0, np.nan, v).astype(np.float32) for n, v in people.shown.items()}


def sketch(shifts: tuple[Shift, ...], seed: int, part: int, rows: int) -> dict[str, dict[str, int]]:
    """The sketch of some of them."""
    return {n: number_counts(v[part * rows : (part + 1) * rows]) for n, v in pool(shifts, seed).items()}


def compared(first: dict[str, dict[str, int]], second: dict[str, dict[str, int]], **settings: float) -> list[DriftFinding]:
    """Findings that are drift."""
    return [f for f in compare_counts(first, second, {}, DriftConfig(**settings)) if f.drifted]


def test_unchanged_data_raise_few_alarms() -> None:
    """200 comparisons of undrifted people, 22 features each, even with every change counted however small: under 1 % of runs."""
    alarms = sum(bool(compared(sketch((), 1, i, 2000), sketch((), 2, i, 2000), least_moved=0.0)) for i in range(200))
    assert alarms <= 5  # 2 expected at the stated 1 %; more than 5 happens once in 60, were it 1 %
    large = compared(sketch((), 1, 0, 200_000), sketch((), 2, 0, 200_000))
    assert not large


@pytest.mark.parametrize(
    ("shift", "feature", "what"),
    [
        (Shift.missing, "job_level", "missing"),
        (Shift.longer, "tenure_months", "other values"),
        (Shift.unseen, "email_provider", "other values"),
        (Shift.older, "title_word", "other values"),
    ],
)
def test_changed_data_are_found(shift: Shift, feature: str, what: str) -> None:
    """Each kind of change is found with 2,000 people on either side, and named; changes of one field name no other."""
    found = compared(sketch((), 1, 0, 2000), sketch((shift,), 2, 0, 2000))
    named = {f.name: f.sentence for f in found}
    assert feature in named
    assert what in named[feature]
    if shift is not Shift.older:
        assert set(named) == {feature}


def test_batches_that_differ_widen_the_limits() -> None:
    """Batches from different places vary more than people drawn by lot: measured, and then not taken for drift."""
    rng = np.random.default_rng(3)

    def run(batches: int) -> list[Sketch]:
        return [
            Sketch({"x": number_counts(np.round(rng.normal(20 + rng.normal(0, 2.0), 4, 3000)).astype(np.float32))})
            for _ in range(batches)
        ]

    alarms = blind = 0
    for _ in range(40):
        before, now = run(30), run(30)
        spread = {"x": over_dispersion(before)["x"] | over_dispersion(now)["x"]}
        counts = sum_sketches(before).counts, sum_sketches(now).counts
        alarms += any(f.drifted for f in compare_counts(*counts, spread, DriftConfig(least_moved=0.0)))
        blind += any(f.drifted for f in compare_counts(*counts, {}, DriftConfig(least_moved=0.0)))
    assert blind >= 34, "without the batches' own variation nearly every run would be an alarm"
    assert alarms <= 2
    even = over_dispersion([Sketch({"x": number_counts(rng.integers(0, 20, 3000).astype(np.float32))}) for _ in range(30)])["x"]
    assert (even.variance, even.order) == pytest.approx((1.0, 1.0), abs=0.35)
    assert even.unevenness < 0.2
    uneven = over_dispersion(run(30))["x"]
    assert uneven.order > 10
    assert uneven.unevenness > 3, "a moving mean varies in one direction"
    assert over_dispersion(run(7)) == {"x": OverDispersion()}, "seven batches say little"


def test_missing_shares_that_differ_by_batch() -> None:
    """The same for a field that some batches often lack: far apart between batches, so a moderate change is no alarm."""
    rng = np.random.default_rng(8)

    def run() -> list[Sketch]:
        lost = rng.beta(5, 45, 20)
        values = [np.where(rng.random(3000) < share, np.nan, rng.random(3000)).astype(np.float32) for share in lost]
        return [Sketch({"x": number_counts(v)}) for v in values]

    alarms = blind = 0
    for _ in range(40):
        before, now = run(), run()
        counts = sum_sketches(before).counts, sum_sketches(now).counts
        spread = {"x": over_dispersion(before)["x"] | over_dispersion(now)["x"]}
        alarms += any(f.drifted for f in compare_counts(*counts, spread, DriftConfig(least_moved=0.0)))
        blind += any(f.drifted for f in compare_counts(*counts, {}, DriftConfig(least_moved=0.0)))
    assert alarms <= 2
    assert blind >= 20


def test_drift_in_a_run(tmp_path: Path) -> None:
    """The next run over unchanged people opens the gate; over changed ones it stops with 5, names what, and goes on when accepted."""
    for name, seed, shifts in (("a", 1, ()), ("b", 2, ()), ("c", 3, (Shift.missing, Shift.unseen))):
        generate(tmp_path / name, 6000, seed, AS_OF, 1, shifts=shifts)
    config = tmp_path / "c.toml"
    config.write_text(QUICK.replace("[gates]", "[gates]\ndrift = true"))
    space = tmp_path / "w"
    first = run_json(tmp_path / "a" / "people", space, "--config", config)
    assert first["drift"] == {"reference": "", "same_model": False, "findings": [], "drifted": []}
    same = run_json(tmp_path / "b" / "people", space, "--config", config, "--model", "champion")
    assert same["drift"]["reference"] == first["run_id"]
    assert same["drift"]["same_model"]
    assert same["drift"]["drifted"] == []
    assert {"predicted age", "known age", "job_level"} <= {f["name"] for f in same["drift"]["findings"]}
    arguments = ("run", "--source", tmp_path / "c" / "people", "--workspace", space, "--as-of", AS_OF, "--config", config)
    refused = cli(*arguments, "--model", "champion", check=5)
    assert "the data have changed" in refused.stderr
    assert "job_level" in refused.stderr
    assert "email_provider" in refused.stderr
    assert json.loads((space / "published.json").read_text())["current"] == same["run_id"]
    cli("resume", "--workspace", space, check=5)
    accepted = json.loads(cli("resume", "--workspace", space, "--accept", "--json").stdout)
    assert accepted["status"] == "done"
    assert json.loads((space / "published.json").read_text())["current"] == accepted["run_id"]
    finding = {f["name"]: f for f in accepted["drift"]["findings"]}
    assert finding["job_level"]["missing"][1] == pytest.approx(finding["job_level"]["missing"][0] * 0.85 + 0.15, abs=0.03)
    assert finding["email_provider"]["unseen"] == pytest.approx([0, 0.15], abs=0.02)
    report = Path(accepted["report"]).read_text()
    assert "Published although the drift gate failed" in report
    assert "changed data" in report
    cli("verify", "--workspace", space)


def test_reused_predictions_are_still_watched(tmp_path: Path) -> None:
    """When everybody keeps a prediction, the sketch still looks at everybody, and finds nothing changed."""
    generate(tmp_path / "a", 3000, 4, AS_OF, 1)
    config = tmp_path / "c.toml"
    config.write_text(QUICK)
    space = tmp_path / "w"
    first = run_json(tmp_path / "a" / "people", space, "--config", config)
    again = run_json(tmp_path / "a" / "people", space, "--config", config, "--base", "current")
    assert again["rows"]["predicted"] == first["rows"]["predicted"]
    assert again["rows"]["withheld"] == first["rows"]["withheld"]
    assert again["batches"]["reused"] == again["rows"]["predicted"]
    assert again["drift"]["reference"] == first["run_id"]
    assert all(f["moved"] == 0 and f["missing"][0] == f["missing"][1] for f in again["drift"]["findings"])


def test_generated_changes_are_what_they_say(tmp_path: Path) -> None:
    """Without changes the files are the same bytes as ever; with them only the named field differs; truth goes with the people."""
    generate(tmp_path / "a", 2000, 9, dt.date(2025, 10, 23), 1)
    generate(tmp_path / "b", 2000, 9, dt.date(2025, 10, 23), 1, shifts=(Shift.missing,))
    a, b = (pq.read_table(tmp_path / n / "people").to_pylist() for n in "ab")
    lost = 0
    for one, other in zip(a, b, strict=True):
        before, after = json.loads(one["profile_json"]), json.loads(other["profile_json"])
        lost += "job_level" in before and "job_level" not in after
        assert {k: v for k, v in before.items() if k != "job_level"} == {k: v for k, v in after.items() if k != "job_level"}
    assert lost == pytest.approx(2000 * 0.88 * 0.15, abs=60)
    said = cli("generate", "--rows", 10, "--out", tmp_path / "c", "--shift", "sideways", check=2).stderr
    assert "missing, longer, unseen, older" in said


DEFINITIONS = {
    "kind": (
        'kind = "category"\npath = "x"\n',
        'kind = "number"\npath = "x"\nmin = 0.0\nmax = 9.0\ndefault = 1.0\n',
        "category then, number now",
    ),
    "scale": ("scale = 1.0\n", "scale = 12.0\n", "other settings"),
    "path": ('path = "x"\n', 'path = "y"\n', "other settings"),
    "meaning": ('meaning = "a"\n', 'meaning = "b"\n', ""),
    "absent": ("may_be_absent = false\n", "may_be_absent = true\n", ""),
}


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("change", DEFINITIONS)
def test_a_feature_that_is_defined_otherwise_is_not_called_changed_data(change: str, recorded: bool) -> None:
    """Kind, path or scale make other values: the comparison says so, and calls no data changed. Words about it change nothing."""
    number = {"kind": "number", "path": '"x"', "min": "0.0", "max": "9.0", "default": "1.0", "meaning": '"a"'}
    texts = []
    for lines in DEFINITIONS[change][:2]:
        given = dict(line.split(" = ", 1) for line in lines.splitlines())
        table = given if change == "kind" else {**number, "kind": '"number"', **given}
        texts.append("format = 1\n[features.f]\n" + "".join(f"{k} = {v}\n" for k, v in ({"meaning": '"a"'} | table).items()))
    kinds = ["~aa", "#4000"] if change == "kind" else ["#3000", "#4000"]
    states = [
        DriftState(
            f"r{n}",
            AS_OF,
            "m",
            {"f": {key: 5_000, "missing": 100}},
            {},
            definitions_of(parse_features(text, "f")) if recorded else {},
        )
        for n, (text, key) in enumerate(zip(texts, kinds, strict=True))
    ]
    found = compare_states(states[0], states[1], DriftConfig())
    told = DEFINITIONS[change][2] if recorded else "texts then, numbers now" if change == "kind" else ""
    if told:
        assert (found.drifted, [told in f.sentence for f in found.findings]) == ((), [True])
        assert "run r0" in found.findings[0].sentence
    else:
        assert len(found.drifted) == 1


@pytest.mark.parametrize("kind", ["words", "flags"])
def test_numbers_of_lists_are_compared_for_one_model_alone(kind: str) -> None:
    """They are mean ages of people with an item: every newly trained model made "100 % of the people have other values" of them."""
    definitions = definitions_of(parse_features(f'format = 1\n[features.f]\nkind = "{kind}"\npath = "x"\nmeaning = "m"\n', "f"))

    def compared_states(model: str, missing: int) -> tuple[str, ...]:
        before, now = (
            DriftState(run, AS_OF, version, {"f": {cell: 5_000 - absent, "missing": absent}}, {}, definitions)
            for run, version, cell, absent in (("a", "m", "#3000", 100), ("b", model, "#4000", missing))
        )
        return compare_states(before, now, DriftConfig()).drifted

    assert compared_states("n", 100) == ()
    assert [s.partition(" of")[0] for s in compared_states("m", 100)] == ["f: 100.0 %"]
    assert compared_states("n", 2_000) == ("f: 40.0 % missing, 2.0 % before",)
