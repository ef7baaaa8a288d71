"""The leak rule: features that are the age in another form are accused, features that honestly tell it are not."""

import numpy as np
import pyarrow as pa
import pytest

import leaks
from predict_age.evaluation.model_card.closeness import closeness, evenly_aged
from predict_age.evaluation.model_card.leakage import leaking_features, univariate_leakage


def test_each_kind_is_judged_as_it_is() -> None:
    """None of 24 leaking and 24 honest kinds, each with 2,000 people, is judged wrongly; nor in a cohort of one age."""
    wrong = []
    for sides in leaks.HALVES.values():
        for is_leak, kinds in zip((True, False), sides, strict=True):
            for number, (name, kind) in enumerate(kinds.items()):
                for population in (leaks.POPULATIONS[number % 4], "cohort"):
                    accused, why = leaks.verdict(kind, population, 2000, 500 + number)
                    if accused != is_leak and not (population == "cohort" and name in leaks.NOT_IN_COHORT):
                        wrong.append(f"{name}, {population}: {why}")
    assert not wrong


@pytest.mark.parametrize("missed", [0.0, 0.02, 0.12, 0.3])
def test_the_share_of_people_far_off_decides(missed: float) -> None:
    """A copy of the age that is off by a year at most is a leak until one person in twenty is far off."""
    rng = np.random.default_rng(9)
    age = rng.integers(18, 70, 4000)
    told = age + rng.integers(-1, 2, 4000) + np.where(rng.random(4000) < missed, rng.integers(5, 15, 4000), 0)
    scores = univariate_leakage(pa.table({"x": told.astype(float)}), age.astype(np.float32))
    assert bool(leaking_features(scores, 0.15, 0.8, ())) is (missed < 0.05)
    assert not leaking_features(scores, 0.0, 0.8, ()), "the criterion can be switched off"


def test_closeness_equals_counts() -> None:
    """Shares inside the window, of the best constant, and beyond, against direct counts."""
    rng = np.random.default_rng(3)
    age = rng.integers(20, 60, 500).astype(float)
    predicted = age + rng.integers(-4, 5, 500)
    found = closeness(age, predicted)
    assert found is not None
    assert found.years == 2
    assert found.near == pytest.approx((np.abs(predicted - age) <= 2).mean())
    assert found.constant_near == pytest.approx(max(((age >= low) & (age <= low + 4)).mean() for low in range(18, 60)))
    assert found.exact == pytest.approx((predicted == age).mean())
    assert closeness(np.full(50, 30.0), np.full(50, 30.0)) is None, "where all have one age, nothing is told"


def test_no_age_dominates_an_even_sample() -> None:
    """In a cohort, few people of the commonest age are kept and all others; with evenly spread ages everybody."""
    age = np.array([21.0] * 980 + [22.0] * 10 + [24.0] * 10)
    kept = age[evenly_aged(age)]
    assert (kept == 21).sum() == 30
    assert (kept != 21).sum() == 20
    assert evenly_aged(np.repeat(np.arange(20.0, 60.0), 25)).all()
