"""population.ages: bands that are checked, weights that follow from them, and claims that hold where labels are missing by age."""

import datetime as dt
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from conftest import AS_OF, QUICK, call, cli, result_rows, run_json
from predict_age.age_bands import check_shares, parse_band
from predict_age.errors import ConfigError
from predict_age.evaluation.model_card.what_if import tilted
from predict_age.models.age_weights import age_weights, drawn_rows, effective_count, known_by_age, thinned_rows
from predict_age.synthetic.shifts import Shift
from predict_age.synthetic.write import generate

CROSS = QUICK.replace("cross_fit_below_rows = 0", "cross_fit_below_rows = 30000")


@pytest.mark.parametrize(
    ("text", "band"),
    [
        ("18-24", (18, 24)),
        (" 18 \N{EN DASH} 24 ", (18, 24)),
        ("18 to 24", (18, 24)),
        ("65+", (65, 120)),
        ("65 and over", (65, 120)),
        ("under 18", (0, 17)),
        ("<18", (0, 17)),
        ("40", (40, 40)),
    ],
)
def test_bands_are_read(text: str, band: tuple[int, int]) -> None:
    """Each usual way to write a band."""
    assert parse_band(text) == band


@pytest.mark.parametrize("text", ["", "old", "24-18", "18-200", "-5", "18-24-30", "1e2+"])
def test_other_texts_are_no_bands(text: str) -> None:
    """No text is read as a band that it is not."""
    with pytest.raises(ValueError, match="is no age band"):
        parse_band(text)


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"14-40": 0.5, "41-100": 0.5}, ""),
        ({"under 41": 0.5, "41+": 0.495}, ""),
        ({"14-40": 0.5, "42-100": 0.5}, "no band covers age 41"),
        ({"20-40": 0.5, "41-100": 0.5}, "no band covers ages 18 to 19"),
        ({"14-40": 0.5, "41-90": 0.5}, "no band covers ages 91 to 100"),
        ({"14-40": 0.5, "40-100": 0.5}, "overlap"),
        ({"14-40": 0.5, "14 - 40": 0.1, "41+": 0.4}, "overlap"),
        ({"14-40": 0.5, "41-100": 0.4}, "sum to 0.9"),
        ({"14-40": 0.5, "the old": 0.5}, "'the old' is no age band"),
        ({"14-40": 1.5, "41-100": -0.5}, "from 0 to 1"),
    ],
)
def test_shares_are_checked(shares: dict[str, float], said: str, tmp_path: Path) -> None:
    """Gaps, overlaps, and shares that are none or do not sum to 1 are named; so does the command, with exit code 2."""
    if not said:
        check_shares(shares, 18, 100)
        return
    with pytest.raises(ValueError, match=said):
        check_shares(shares, 18, 100)
    (tmp_path / "c.toml").write_text("[population]\nages = {" + ", ".join(f'"{k}" = {v}' for k, v in shares.items()) + "}\n")
    code, _, stderr = call(["plan", "--source", tmp_path, "--as-of", AS_OF, "--config", tmp_path / "c.toml"])
    assert code == 2
    assert "population.ages" in stderr
    assert said in stderr


def test_weights_make_the_known_as_old_as_the_others() -> None:
    """The people to predict are the population minus those with a known age; drawing by weight gives their shares."""
    age = np.repeat([20.0, 50.0], [3000, 1000])
    known = known_by_age(age[::2], 4000)
    weights = age_weights({"14-34": 0.5, "35+": 0.5}, known, 6000, age)
    assert weights is not None
    assert [(b.labelled, round(b.to_predict)) for b in weights.bands] == [(3000, 2000), (1000, 4000)]
    of = weights.of(age)
    rows = np.arange(4000)
    for drawn in (drawn_rows(rows, of, 8000), thinned_rows(rows, of), drawn_rows(rows, of, effective_count(of))):
        assert (age[drawn] == 50).mean() == pytest.approx(4000 / 6000, abs=0.01)
    assert len(np.unique(thinned_rows(rows, of))) == len(thinned_rows(rows, of)), "nobody counts twice"
    strangers = age_weights({"14-34": 0.5, "35+": 0.5}, known, 6000, age[1000:])  # other people of known age
    assert strangers is not None
    drawn = drawn_rows(rows[1000:], strangers.of(age[1000:]), 3000)
    assert (age[drawn] == 50).mean() == pytest.approx(4000 / 6000, abs=0.01)
    assert age_weights({}, known, 6000, age) is None
    with pytest.raises(ConfigError, match="14-34 have a known age"):
        age_weights({"14-34": 0.2, "35+": 0.8}, known, 6000, age)


def test_tilted_ages_have_the_wanted_mean() -> None:
    """The what-if moves the mean age by the years that it says, or says nothing."""
    age = np.random.default_rng(1).integers(20, 70, 3000).astype(float)
    for years in (-10.0, -5.0, 5.0, 10.0):
        weights = tilted(age, years)
        assert weights is not None
        assert np.average(age, weights=weights) - age.mean() == pytest.approx(years, abs=0.01)
    assert tilted(age, 60.0) is None


def test_claims_hold_where_labels_are_missing_by_age(tmp_path: Path) -> None:
    """Older people state their age less often: with the ages of all people, error and coverage are what the run says; else not."""
    generate(tmp_path / "g", 9000, 4, AS_OF, 1, shifts=(Shift.unstated,))
    truth = pq.read_table(tmp_path / "g" / "truth.parquet")
    age_of = dict(zip(truth["pid"].to_pylist(), truth["true_age"].to_pylist(), strict=True))
    edges = [14, 30, 40, 50, 60, 121]
    ages = np.array(list(age_of.values()))
    shares = [round(float(((ages >= a) & (ages < b)).mean()), 3) for a, b in pairwise(edges)]
    names = ["under 30", "30-39", "40-49", "50-59", "60+"]
    bands = "[population]\nages = {" + ", ".join(f'"{k}" = {v}' for k, v in zip(names, shares, strict=True)) + "}\n"
    claimed, true, covered = {}, {}, {}
    for name, config in (("without", CROSS), ("with", CROSS + bands)):
        (tmp_path / f"{name}.toml").write_text(config)
        run = run_json(tmp_path / "g" / "people", tmp_path / name, "--config", tmp_path / f"{name}.toml")
        rows = [r for r in result_rows(tmp_path / name) if r[7]]
        error = [(abs(r[1] - age_of[r[0]]), r[5] <= age_of[r[0]] <= r[6]) for r in rows]
        claimed[name], (true[name], covered[name]) = run["metrics"]["mae"], np.mean(error, axis=0)
        card = json.loads(cli("card", "--workspace", tmp_path / name, "--json").stdout)
        assert bool(card["what_if"]) is (name == "without")
        assert [b["band"] for b in card["population_ages"]] == (names if name == "with" else [])
        page = (tmp_path / name / "runs" / run["run_id"] / "model" / "card.html").read_text()
        assert ("years older" in page) is (name == "without")
        assert ("population.ages</code> leaves" in page) is (name == "with")
    assert claimed["without"] < 0.9 * true["without"], "what is claimed without the ages is wrong: the shift is real"
    assert claimed["with"] == pytest.approx(true["with"], rel=0.1)
    assert covered["with"] >= 0.87  # small models; 7,000 people give a standard error of 0.4 points
    assert true["with"] < true["without"]


def test_unstated_ages_are_those_of_the_old(tmp_path: Path) -> None:
    """The shift takes labels away, more of older people, and changes nobody's profile."""
    for name, shifts in (("all", ()), ("some", (Shift.unstated,))):
        generate(tmp_path / name, 4000, 3, dt.date(2025, 10, 23), 1, shifts=shifts)
    before, after = (pq.read_table(tmp_path / name / "people") for name in ("all", "some"))
    assert before["profile_json"].equals(after["profile_json"])
    ages = pq.read_table(tmp_path / "all" / "truth.parquet")["true_age"].to_numpy()
    stated = [np.asarray(t["birth_year"].is_valid()) | np.asarray(t["approximate_age"].is_valid()) for t in (before, after)]
    assert (stated[0] | ~stated[1]).all()
    kept = [stated[1][stated[0] & some].mean() for some in (ages < 25, (ages >= 40) & (ages < 50), ages >= 60)]
    assert kept[0] > 0.75 > kept[1] > 0.25 > kept[2]
