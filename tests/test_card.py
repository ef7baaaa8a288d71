"""The model card: planted harm comes first, copied ages are refused, and every statistic agrees with an independent one."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from sklearn import metrics as sk

from conftest import LARGER, QUICK, cli, run_json, tiny_run, write_jsonl
from predict_age.config import CardConfig
from predict_age.evaluation.model_card.contents import AgeSides, Card, Population, Subject
from predict_age.evaluation.model_card.findings import findings
from predict_age.evaluation.model_card.groups import critical_group_z, metrics_by_group, threshold_errors
from predict_age.evaluation.model_card.leakage import leaking_features, univariate_leakage
from predict_age.evaluation.model_card.page import write_card
from predict_age.evaluation.model_card.population import auc, covariate_shift
from predict_age.evaluation.model_card.proxies import correlation_ratio, cramers_v, proxy_features
from predict_age.features.spec import default_text
from predict_age.models.bundle import Predictions
from predict_age.models.held_out import HeldOutPredictions
from predict_age.models.metrics import confidence_sentence, evaluate, weighted_metrics
from predict_age.records.model_quality import BandQuality, ConfidenceStep, GroupQuality, PointErrors, Quality
from predict_age.tally import times_as_often

Rows = list[dict[str, Any]]
CROSS = QUICK.replace("cross_fit_below_rows = 0", "cross_fit_below_rows = 30000")
LEAKY = (
    default_text()
    + '\n[features.code]\nkind = "number"\npath = "code"\nmin = 0.0\nmax = 5000.0\ndefault = 0.0\nmeaning = "a code"\n'
)


@pytest.fixture(scope="module")
def planted(people_rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over people of whom those in Kenya are six years younger than their profiles say."""
    folder = tmp_path_factory.mktemp("planted")
    rows = []
    for r in people_rows:
        off = 6 if r["profile_json"].get("country") == "Kenya" else 0
        year, age = r["birth_year"], r["approximate_age"]
        rows.append({**r, "birth_year": year and year + off, "approximate_age": age and max(age - off, 14)})
    (folder / "c.toml").write_text(CROSS)
    run_json(write_jsonl(folder / "s.jsonl", rows), folder / "w", "--config", folder / "c.toml")
    return folder / "w"


def card_of(workspace: Path) -> dict[str, Any]:
    """The card as the command prints it."""
    return json.loads(cli("card", "--workspace", workspace, "--json").stdout)


def test_planted_bias_comes_first(planted: Path) -> None:
    """Six years of bias of one group are the first thing that card, terminal, page and report say; no other group is named."""
    card = card_of(planted)
    first = card["findings"][0]
    assert first["kind"] == "group bias"
    assert "country = Kenya" in first["sentence"]
    assert "years too old" in first["sentence"]
    row = next(r for r in card["groups"]["country"] if r["group"] == "Kenya")
    assert 4.5 < row["apart"] < 7.5
    assert row["bias_interval"][0] < row["bias"] < row["bias_interval"][1]
    assert [f for f in card["findings"] if f["kind"] == "group bias"] == [first]
    said = cli("card", "--workspace", planted).stdout
    assert re.search(r"1\. group bias: People with country = Kenya", said)
    run = json.loads((planted / "published.json").read_text())["current"]
    page = (planted / "runs" / run / "model" / "card.html").read_text()
    assert page.index("What to know first") < page.index("country = Kenya") < page.index("For whom does it work")
    report = (planted / "runs" / run / "report.html").read_text()
    assert report.index("What to know first") < report.index("country = Kenya") < report.index("Row accounting")
    assert "country" not in {f["name"] for f in card["features"]}, "a group is no feature"


def test_without_planted_bias_no_group_is_named(people_rows: Rows, tmp_path: Path) -> None:
    """The check can fail the other way, too: undisturbed people give no group finding."""
    (tmp_path / "c.toml").write_text(CROSS)
    run_json(write_jsonl(tmp_path / "s.jsonl", people_rows), tmp_path / "w", "--config", tmp_path / "c.toml")
    card = card_of(tmp_path / "w")
    assert len(card["groups"]["country"]) > 3
    assert not [f for f in card["findings"] if f["kind"].startswith("group")]
    assert "gender" not in card["groups"], "a field that nobody has is left out"
    assert card["population"]["auc"] == pytest.approx(0.5, abs=0.08), "known and unlabelled people are alike here"


@pytest.mark.parametrize("noise", [0, 1])
def test_copied_birth_year_is_refused(noise: int, people_rows: Rows, tmp_path: Path) -> None:
    """A feature that copies the birth year, even a year off, stops the run with 5 and is named; nothing is published."""
    dice = np.random.default_rng(3)
    rows = []
    for r in people_rows:
        year = r["birth_year"] or (r["approximate_age"] and 2025 - r["approximate_age"])
        code = None if year is None else int(year + dice.integers(-noise, noise + 1))
        rows.append({**r, "profile_json": {**r["profile_json"], "code": code}})
    source = write_jsonl(tmp_path / "s.jsonl", rows)
    (tmp_path / "leaky.toml").write_text(LEAKY)
    found = tiny_run(source, tmp_path / "w", "--features", tmp_path / "leaky.toml", config=LARGER)
    assert found.code == 5
    assert "gives the age away: code" in found.said
    assert 'set not_leaks = ["code"] under [gates] in a new run' in found.said
    assert found.published == ""
    accepted = json.loads(cli("resume", "--workspace", tmp_path / "w", "--accept", "--json").stdout)
    assert accepted["status"] == "done"
    assert "Published although the leaks gate failed" in Path(accepted["report"]).read_text()
    listed = json.loads(cli("models", "--workspace", tmp_path / "w", "--json").stdout)
    assert [v["gate"] for v in listed] == ["accepted"]
    allowed = QUICK.replace("[gates]", '[gates]\nnot_leaks = ["code"]\ncoverage_below = 0.0').replace("rounds = 30", "rounds = 200")
    again = tiny_run(source, tmp_path / "w2", "--features", tmp_path / "leaky.toml", config=allowed)
    assert again.code == 0, f"named as no leak, it may also make the whole model as good as it is: {again.said}"
    decided = json.loads((tmp_path / "w2" / "runs" / again.run["run_id"] / "gates" / "model.json").read_text())
    check = next(c for c in decided["checks"] if c["name"] == "too good to be true")
    assert check["passed"]
    assert "without the features of gates.not_leaks (code)" in check["found"]


def test_an_allowed_feature_excuses_no_other(people_rows: Rows, tmp_path: Path) -> None:
    """Decade and last digit of the age together are the age: the whole model is refused, even where another feature is allowed."""
    rows = []
    for r in people_rows:
        age = r["approximate_age"] or (r["birth_year"] and 2025 - r["birth_year"])
        told = {} if age is None else {"code": 2025 - age, "decade": age // 10, "digit": age % 10}
        rows.append({**r, "profile_json": {**r["profile_json"], **told}})
    source = write_jsonl(tmp_path / "s.jsonl", rows)
    together = LEAKY + "".join(LEAKY[LEAKY.index("\n[features.code]") :].replace("code", name) for name in ("decade", "digit"))
    (tmp_path / "leaky.toml").write_text(together)
    config = QUICK.replace("[gates]", '[gates]\nnot_leaks = ["code"]').replace("rounds = 30", "rounds = 200")
    found = tiny_run(source, tmp_path / "w", "--features", tmp_path / "leaky.toml", config=config)
    assert found.code == 5, found.said
    assert "too good to be true" in found.said


def test_honest_features_are_no_leaks() -> None:
    """Told years, shares and exact hits against a direct computation; a noisy feature and a constant label are left alone."""
    rng = np.random.default_rng(0)
    age = rng.integers(20, 70, 4000).astype(np.float32)
    columns = pa.table(
        {
            "noisy": age + rng.normal(0, 10, 4000),
            "copy": 2025.0 - age.astype(float),
            "random": rng.random(4000),
            "text": pa.array([f"v{int(a) // 10}" for a in age]),
            "rare": pa.array([1.0] * 50 + [None] * 3950),
        }
    )
    found = {t.feature: t for t in univariate_leakage(columns, age)}
    assert set(found) == {"noisy", "copy", "random", "text"}
    assert (found["copy"].share, found["copy"].exact) == (0.0, 1.0)
    assert found["random"].share == pytest.approx(1.0, abs=0.12)
    fold, errors = np.arange(4000) % 5, []
    for number in range(5):
        learn, judge = age[fold != number], age[fold == number]
        median = {v: np.median(learn[learn // 10 == v]) for v in np.unique(age // 10)}
        errors += [abs(a - median[a // 10]) for a in judge]
    assert found["text"].error == pytest.approx(np.mean(errors))
    assert [t.feature for t in leaking_features(list(found.values()), 0.15, 0.8, ())] == ["copy"]
    assert not leaking_features(list(found.values()), 0.15, 0.8, ("copy",))
    assert not leaking_features(list(found.values()), 0.0, 0.0, ())
    assert not leaking_features(univariate_leakage(columns, np.full(4000, 40, np.float32)), 0.15, 0.8, ()), "nothing to give away"


def judged(n: int, seed: int = 0) -> HeldOutPredictions:
    """Invented judgements."""
    rng = np.random.default_rng(seed)
    age = rng.integers(20, 70, n).astype(float)
    made = Predictions(
        np.round(age + rng.normal(0, 5, n)).astype(np.int32),
        age - 6 + rng.normal(0, 3, n),
        age + 6 + rng.normal(0, 3, n),
        np.zeros(n, np.bool_),
    )
    return HeldOutPredictions(np.arange(n), age, made, rng.integers(0, 10, n), made.age.astype(float), 40.0)


def test_group_numbers_equal_scipy_and_scikit_learn() -> None:
    """Error, bias, interval, standardised distance, weighted mean, and both ways across 40."""
    people = judged(3000)
    label = np.random.default_rng(1).choice(["a", "b", "c"], 3000, p=[0.6, 0.38, 0.02])
    rows = metrics_by_group(people, pa.table({"g": label}), 40, 100)["g"]
    assert [r.group for r in rows] == ["a", "b", "all others"]
    error = people.predictions.age - people.age
    for row in rows[:2]:
        mine = label == row.group
        assert row.mae == pytest.approx(sk.mean_absolute_error(people.age[mine], people.predictions.age[mine]))
        assert row.rmse == pytest.approx(sk.root_mean_squared_error(people.age[mine], people.predictions.age[mine]))
        assert row.r2 == pytest.approx(sk.r2_score(people.age[mine], people.predictions.age[mine]))
        welch = stats.ttest_ind(error[mine], error[~mine], equal_var=False)
        assert row.apart_z == pytest.approx(welch.statistic)
        low, high = stats.norm.interval(0.95, error[mine].mean(), stats.sem(error[mine]))
        assert row.bias_interval == pytest.approx([low, high], rel=1e-4)
        side = sk.confusion_matrix(people.age[mine] >= 40, people.predictions.age[mine] >= 40, normalize="true")
        assert (row.made_older, row.made_younger) == pytest.approx((side[0, 1], side[1, 0]))
    weights = np.random.default_rng(2).random(3000)
    made = people.predictions
    whole = weighted_metrics(people.age, made.age, made.lower, made.upper, weights)
    assert whole["mae"] == pytest.approx(sk.mean_absolute_error(people.age, made.age, sample_weight=weights))
    assert weighted_metrics(people.age, made.age, made.lower, made.upper, np.ones(3000)) == pytest.approx(
        {k: v for k, v in vars(evaluate(people.age, made.age, made.lower, made.upper)).items() if k not in ("rows", "r2")}
    )
    nobody = threshold_errors(people.age, made.age, 120)
    assert (nobody.above, np.isnan(nobody.made_younger)) == (0, True)


def test_chance_names_no_group() -> None:
    """About one in a hundred of 400 random divisions into eight groups names a group: the stated rate."""
    alarms = 0
    for seed in range(400):
        people = judged(1600, seed)
        label = np.random.default_rng(seed).integers(0, 8, 1600).astype(str)
        rows = metrics_by_group(people, pa.table({"g": label}), 40, 50)["g"]
        alarms += any(abs(r.apart_z) > critical_group_z(len(rows)) for r in rows)
    assert alarms <= 12  # 4 expected; more than 12 happens once in 4,000


def test_same_age_removes_what_age_explains() -> None:
    """A group of older people inherits the bias of their age; compared with others of that age it has none of its own."""
    rng = np.random.default_rng(4)
    age = rng.integers(20, 70, 6000).astype(float)
    made = np.round(age - 0.4 * (age - 45)).astype(np.int32)
    older = rng.random(6000) < (age - 15) / 60
    people = HeldOutPredictions(
        np.arange(6000), age, Predictions(made, age, age, age < 0), np.zeros(6000, np.int64), made.astype(float), 40.0
    )
    rows = {r.group: r for r in metrics_by_group(people, pa.table({"g": np.where(older, "old", "young")}), 40, 50)["g"]}
    assert rows["old"].apart < -3
    assert abs(rows["old"].same_age) < 0.3


def test_likeness_finds_and_corrects_a_shift() -> None:
    """Where one feature decides who is known, weights bring the error near the truth; where nothing differs they are even."""
    rng = np.random.default_rng(5)
    x = rng.normal(0, 1, (20_000, 3)).astype(np.float32)
    error = np.abs(rng.normal(0, 1 + 2 * (x[:, 0] > 0)))
    known = rng.random(20_000) < np.where(x[:, 0] > 0, 0.2, 0.8)
    alike = covariate_shift(x[known], x[~known], 7, 2)
    assert alike.auc > 0.75
    assert np.average(error[known], weights=alike.weights) == pytest.approx(error[~known].mean(), rel=0.05)
    assert error[known].mean() < 0.8 * error[~known].mean()
    assert alike.effective < 0.9 * known.sum()
    even = covariate_shift(x[::2], x[1::2], 7, 2)
    assert even.auc == pytest.approx(0.5, abs=0.03)
    assert even.effective > 0.9 * len(x[::2])


def test_auc_correlation_ratio_and_cramers_v() -> None:
    """Against scikit-learn and scipy, ties included; independent columns show nothing."""
    rng = np.random.default_rng(6)
    truth, score = (rng.random(500) < 0.4).astype(float), np.round(rng.random(500), 1)
    assert auc(truth, score) == pytest.approx(sk.roc_auc_score(truth, score))
    group = rng.integers(0, 4, 500)
    values = rng.normal(0, 1, 500) + 0.7 * (group == 2)
    f = stats.f_oneway(*(values[group == g] for g in range(4))).statistic
    eta2 = 3 * f / (3 * f + 496)
    assert correlation_ratio(values, group) == pytest.approx(np.sqrt(1 - (1 - eta2) * 499 / 496))
    other = np.where(rng.random(500) < 0.5, group, rng.integers(0, 3, 500))
    table = np.zeros((4, 4))
    np.add.at(table, (group, other), 1)
    table = table[:, table.sum(axis=0) > 0]
    chi = stats.chi2_contingency(table, correction=False).statistic
    r, c = table.shape
    phi = chi / 500 - (r - 1) * (c - 1) / 499
    assert cramers_v(group, other) == pytest.approx(np.sqrt(phi / (min(r - (r - 1) ** 2 / 499, c - (c - 1) ** 2 / 499) - 1)))
    assert cramers_v(group, group) == pytest.approx(1.0)
    assert cramers_v(group, rng.integers(0, 5, 500)) < 0.15
    assert correlation_ratio(rng.normal(0, 1, 500), group) < 0.2
    assert correlation_ratio(np.ones(500), group) == 0.0


def test_a_cohort_of_one_age_leaks_nothing() -> None:
    """98 % of the people are 21: hitting the commonest age is no leakage, whatever the feature; a copy of the age still is."""
    rng = np.random.default_rng(2)
    age = np.where(rng.random(3000) < 0.98, 21, rng.integers(22, 27, 3000)).astype(np.float32)
    columns = pa.table(
        {
            "grade": rng.integers(0, 5, 3000).astype(float),
            "start": rng.normal(2020, 2, 3000),
            "city": pa.array([f"c{n}" for n in rng.integers(0, 9, 3000)]),
            "copy": 2025.0 - age.astype(float),
        }
    )
    scores = univariate_leakage(columns, age)
    assert min(s.exact for s in scores) > 0.9
    assert [s.feature for s in leaking_features(scores, 0.0, 0.8, ())] == ["copy"]
    assert [s.feature for s in leaking_features(scores, 0.15, 0.8, ())] == ["copy"]


@pytest.mark.parametrize(
    ("errors", "doubt", "begins"),
    [
        ([9.0, 7.0, 5.0, 5.0], 0.1, "Error falls with confidence: no step errs more"),
        (
            [9.0, 7.0, 7.1, 5.0],
            0.2,
            "Error falls with confidence within chance (two standard errors); largest rise at 20 to 30 %: 7.10",
        ),
        (
            [9.0, 2.73, 3.13, 2.0],
            0.05,
            "Error does not fall with confidence everywhere: 20 to 30 %: 3.13 years, the step before 2.73",
        ),
    ],
)
def test_the_sentence_on_confidence_is_computed(errors: list[float], doubt: float, begins: str) -> None:
    """It names a rise where there is one, and calls it chance only where it is."""
    steps = [ConfidenceStep(10 * n, 100, error, error * 2, doubt) for n, error in enumerate(errors)]
    assert confidence_sentence(steps).startswith(begins)


def test_a_feature_is_no_proxy_of_itself() -> None:
    """A feature that reads the field of a group, and features with few values, are not listed as proxies of it."""
    rng = np.random.default_rng(1)
    country = rng.integers(0, 3, 500)
    columns = pa.table(
        {
            "country_feature": pa.array([f"c{n}" for n in country]),
            "city": pa.array([f"c{n}{rng.integers(2)}" for n in country]),
            "rare": pa.array([float(n) if i < 16 else None for i, n in enumerate(country)]),
        }
    )
    groups = pa.table({"country": pa.array([f"c{n}" for n in country])})
    listed = proxy_features(columns, groups, {("country_feature", "country")})["country"]
    assert [a.feature for a in listed] == ["city"]
    assert {a.feature for a in proxy_features(columns, groups)["country"]} == {"country_feature", "city"}


def band(name: str, rows: int, coverage: float, bias: float = 0.0) -> BandQuality:
    return BandQuality(name, rows, 5.0, 6.0, bias, 0.5, coverage, 20.0)


def card_with(by_band: list[BandQuality], by_predicted_band: list[BandQuality]) -> Card:
    """A card without groups on which nothing but the bands can stand out."""
    point, nobody = PointErrors(5.0, 6.0, 0.0, 0.5), Quality(1000, 5.0, 6.0, 0.0, 0.5, 0.9, 20.0)
    subject = Subject("m", "", "2025-10-23", "2025q3", "r", "s", "f", "h", 1000, 1000, 0, 0.9, {"predict-age": "0"}, "c", None)
    return Card(
        subject=subject,
        held_out=nobody,
        ridge=point,
        median=point,
        members=[],
        by_band=by_band,
        by_predicted_band=by_predicted_band,
        by_unknown=[],
        by_confidence=[],
        confidence_is_monotone=True,
        confidence_sentence="",
        groups={},
        around=AgeSides(40, 0, 0.0, 0, 0.0),
        population=None,
        leakage=[],
        proxies={},
        ages=[0] * 121,
        features=[],
        limits=[],
    )


def test_short_bands_are_findings() -> None:
    """Bands of true and of predicted age that are short by 3 points and by two standard errors; a biased band is named once."""
    true = [
        band("17\N{EN DASH}24", 400, 0.86),  # 4 points, standard error 1.5
        band("25\N{EN DASH}34", 400, 0.88),  # 2 points
        band("35\N{EN DASH}44", 100, 0.85),  # 5 points, standard error 3
        band("45\N{EN DASH}54", 19, 0.0),
        band("55\N{EN DASH}64", 20, 0.5),
        band("65 and over", 200, 0.2, bias=-9.0),
    ]
    card = card_with(true, [band("under 17", 50, 0.4)])
    found = [f for f in findings(card, 0.9, CardConfig(), ["country"]) if f.kind.startswith("age band")]
    assert [(f.kind, f.sentence.partition(" are ")[0]) for f in found] == [
        ("age band", "People aged 65 and over"),
        ("age band coverage", "People whose predicted age is under 17 (50 evaluated)"),
        ("age band coverage", "People aged 55\N{EN DASH}64 (20 evaluated)"),
        ("age band coverage", "People aged 17\N{EN DASH}24 (400 evaluated)"),
    ]
    assert "covered by their interval in 20 % of the cases" in found[0].sentence
    assert found[1].sentence.endswith("are inside their 90 % interval only in 40 % of the cases.")


def test_cells_of_few_people_are_never_red(tmp_path: Path) -> None:
    """In the card, a short coverage of 20 people is red and one of 19 is not."""
    write_card(card_with([band("few", 19, 0.1), band("some", 20, 0.11)], []), tmp_path)
    page = (tmp_path / "card.html").read_text()
    assert re.findall(r'class="warn">([^<]*)<', page) == ["11.0\N{NO-BREAK SPACE}%"]


@pytest.mark.parametrize(("area", "alike"), [(0.5, True), (0.52, True), (0.7, False)])
def test_figures_weighted_by_chance_are_called_so(area: float, alike: bool, tmp_path: Path) -> None:
    """Where the classifier tells 200 people from 200 others by no more than chance, the page says so beside the weighted figures."""
    population = Population(200, 200, area, 190.0, 3.0, 4.0, 0.1, 0.9, 12.0)
    write_card(replace(card_with([], []), population=population), tmp_path)
    page = (tmp_path / "card.html").read_text()
    assert ("no difference beyond chance" in page) is alike
    assert ("do not differ from the others beyond chance" in page) is alike


@pytest.mark.parametrize(
    ("groups", "fields", "sentence"),
    [
        ({"country": "country", "gender": "gender"}, [], "No group was found: country, gender are in no profile; set card.groups."),
        ({"city": "home.city"}, [], "No group was found: city is in no profile; set card.groups."),
        (
            {"city": "city", "gender": "gender"},
            ["city"],
            "No group was found: no value of city is that of 50 evaluated people (card.fewest_rows).",
        ),
        ({}, [], "No group was found: card.groups is empty."),
    ],
)
def test_no_groups_is_the_last_finding(groups: dict[str, str], fields: list[str], sentence: str, tmp_path: Path) -> None:
    """A card without groups says so and why, after everything else, and the page says it where the groups would be."""
    card = card_with([band("17\N{EN DASH}24", 400, 0.5)], [])
    found = findings(card, 0.9, CardConfig(groups=groups), fields)
    assert [f.kind for f in found] == ["age band coverage", "no groups"]
    assert found[-1].sentence == sentence
    write_card(replace(card, findings=found), tmp_path)
    page = (tmp_path / "card.html").read_text()
    assert page.count(sentence) == 2
    with_groups = replace(card, groups={"city": [GROUP]})
    assert "no groups" not in {f.kind for f in findings(with_groups, 0.9, CardConfig(), ["city"])}


GROUP = GroupQuality("Rome", 100, 5.0, 6.0, 0.0, 0.5, 0.9, 20.0, [-1.0, 1.0], 0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("rate", "words"), [(1.0, "as often"), (0.996, "as often"), (0.337, "0.34 times as often"), (2.0, "2 times as often")]
)
def test_a_rate_in_words(rate: float, words: str) -> None:
    """Nothing happens "1 times as often"."""
    assert times_as_often(rate) == words


@pytest.mark.parametrize(("bias", "side"), [(3.0, "old"), (-3.0, "young")])
def test_a_bias_and_its_interval_have_one_direction(bias: float, side: str) -> None:
    """Both count years too old, or both years too young: "3.0 years too young (-3.5 to -2.5)" says two things."""
    doubt = 1.96 * (6.0**2 - 3.0**2) ** 0.5 / 20  # of 400 people whose root mean square error is 6
    found = findings(card_with([band("65 and over", 400, 0.9, bias)], []), 0.9, CardConfig(), [])[0].sentence
    assert f"3.0 years too {side} on average (95 % interval {3 - doubt:.1f} to {3 + doubt:.1f}) and covered" in found
