"""Findings of the model card are not said where they are false by construction, and are said where they are true."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from predict_age.config import CardConfig
from predict_age.evaluation.model_card.contents import Card, Population
from predict_age.evaluation.model_card.findings import findings
from predict_age.evaluation.model_card.groups import metrics_by_group
from predict_age.evaluation.model_card.population import covariate_shift, error_increase
from predict_age.evaluation.model_card.proxies import proxy_features
from predict_age.models.bundle import Predictions
from predict_age.models.held_out import HeldOutPredictions
from predict_age.models.metrics import metrics_by_band, weighted_metrics
from test_card import card_with

CARDS = 200
SETTINGS = CardConfig(fewest_rows=20)


def people(n: int, rng: np.random.Generator, bias: float = 0.0, coverage: float = 0.9) -> HeldOutPredictions:
    """People whose errors depend on nothing, heavy-tailed as real ones, and whose intervals hold exactly ``coverage``."""
    age = rng.integers(18, 75, n).astype(float)
    error = np.round(rng.standard_t(4, n) * 4 + bias)
    inside = rng.random(n) < coverage
    lower, upper = np.where(inside, age - 5, age + 1), age + 5
    return HeldOutPredictions(
        np.arange(n), age, Predictions((age + error).astype(np.int32), lower, upper, age < 0), np.zeros(n, np.int64), age, 40.0
    )


def random_card(rng: np.random.Generator, n: int = 0, bias: float = 0.0, coverage: float = 0.9) -> Card:
    """A card of people in random groups, with random features."""
    n = n or int(rng.choice([150, 500, 2000]))
    held = people(n, rng, bias, coverage)
    groups = pa.table({f"g{i}": rng.integers(0, rng.integers(2, 13), n).astype(str) for i in range(2)})
    numbers = {f"x{i}": rng.normal(0, 1, n) * np.exp(rng.normal(0, 1, n)) for i in range(8)}
    texts = {f"t{i}": [f"v{v}" for v in rng.integers(0, rng.integers(2, 60), n)] for i in range(8)}
    some = {name: pa.array(values, mask=rng.random(n) < 0.3) for name, values in {**numbers, **texts}.items()}
    made = held.predictions
    bands = [metrics_by_band(held.age, made.age, made.lower, made.upper, of=of) for of in (held.age, made.age)]
    return replace(
        card_with(*bands),
        groups=metrics_by_group(held, groups, 40, SETTINGS.fewest_rows),
        proxies=proxy_features(pa.table(some), groups),
    )


def said(card: Card) -> set[str]:
    return {f.kind for f in findings(card, 0.9, SETTINGS, ["g0"])}


def test_false_claims_are_not_said() -> None:
    """200 cards on which no group, band or feature stands out: each kind of finding is said at most as often as chance allows."""
    rng = np.random.default_rng(77)
    counts = Counter(kind for _ in range(CARDS) for kind in said(random_card(rng)))
    assert counts["group bias"] <= 8  # 2 expected at 1 %
    assert counts["group coverage"] <= 8
    assert counts["age band coverage"] <= 20  # 10 at 5 %
    assert counts["age band"] <= 3
    assert counts["proxy"] <= 2  # of 6,400 pairs of a feature and a group
    assert set(counts) <= {"group bias", "group coverage", "age band", "age band coverage", "proxy", "wrong side"}, counts


@pytest.mark.parametrize(
    ("kind", "change"),
    [("age band", {"bias": 5.0}), ("group coverage", {"coverage": 0.7}), ("age band coverage", {"coverage": 0.7})],
)
def test_true_claims_are_said(kind: str, change: dict[str, float]) -> None:
    """Where it is true, it is said on most cards: silence is not the way to be right."""
    rng = np.random.default_rng(5)
    assert sum(kind in said(random_card(rng, 2000, **change)) for _ in range(10)) >= 7


def test_a_group_that_is_wronged_and_a_proxy_are_said() -> None:
    """A planted bias of one group and a feature that tells the group."""
    rng = np.random.default_rng(6)
    held = people(2000, rng)
    group = rng.integers(0, 5, 2000)
    made = replace(held.predictions, age=(held.predictions.age + 3 * (group == 2)).astype(np.int32))
    groups = pa.table({"g": group.astype(str)})
    feature = pa.table({"x": np.where(rng.random(2000) < 0.7, group, rng.integers(0, 5, 2000)).astype(str)})
    card = replace(
        card_with([], []),
        groups=metrics_by_group(replace(held, predictions=made), groups, 40, 20),
        proxies=proxy_features(feature, groups),
    )
    sentences = {f.kind: f.sentence for f in findings(card, 0.9, SETTINGS, ["g"])}
    assert "g = 2" in sentences["group bias"]
    assert "among 2,000 people" in sentences["proxy"]


@pytest.mark.parametrize("differs", [False, True])
def test_other_people_are_said_to_differ_only_when_they_do(differs: bool) -> None:
    """Known and unknown people of one distribution are never said to differ with a larger error; of two, they are."""
    claims = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        n = 500
        known, others = (rng.normal(0, 1, (n, 5)).astype(np.float32) for _ in range(2))
        if differs:
            others[:, 0] += 1.0
        error = np.abs(rng.normal(0, 3 + (3 * (known[:, 0] > 0.5) if differs else 0), n))
        shift = covariate_shift(known, others, 7, 1)
        age = np.full(n, 40.0)
        measured = weighted_metrics(age, age + error, age - 5, age + 5, shift.weights)
        increase, doubt = error_increase(error, shift.weights)
        population = Population(
            n,
            n,
            shift.auc,
            shift.effective,
            **measured,
            mae_increase=increase,
            mae_increase_doubt=doubt,
        )
        card = card_with([], [])
        card = replace(card, population=population, held_out=replace(card.held_out, mae=float(error.mean())))
        claims += "other population" in said(card)
    assert claims >= 9 if differs else claims == 0


def test_a_group_that_is_a_feature_is_called_one() -> None:
    """A field that is a group and a feature: no sentence says that it is none, and a finding names the feature."""
    card = random_card(np.random.default_rng(3), 500)
    field, rows = next(iter(card.proxies.items()))
    strong = {field: [replace(rows[0], strength=0.5)]}
    for names, role in (([], "is not a feature, but"), (["pay"], "is the feature pay; besides")):
        found = findings(replace(card, proxies=strong, group_features={field: names}), 0.9, SETTINGS, [field])
        sentences = {f.kind: f.sentence for f in found}
        assert role in sentences["proxy"]
        assert ("is read by pay" in sentences.get("group as feature", "")) == bool(names)
