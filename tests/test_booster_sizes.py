"""Sizes of the boosters' trees are chosen by the error of people whom no trial was trained on."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from predict_age.config import Config, TrainingConfig
from predict_age.features.spec import parse_features
from predict_age.models.booster_sizes import chosen_boosters, cut_folds, try_boosters
from predict_age.models.size_presets import FEW_PEOPLE, FURTHER_TREES, for_people, tree_sizes
from predict_age.models.training import TrainingPeople

FIELDS = ("sign", "turned", "third", "noise")
NUMBER = '\n[features.{0}]\nkind = "number"\npath = "{0}"\nmin = -99\nmax = 99\ndefault = 0\nmeaning = "{0}"\n'
PEOPLE = 400


def of_interaction(rng: np.random.Generator, age: np.ndarray) -> list[np.ndarray]:
    """Whether a field rises or falls with the age, another says; neither says anything by itself."""
    z, sign = (age - 45) / 13, rng.normal(0, 1, len(age))
    return [sign, np.sign(sign) * z + rng.normal(0, 0.4, len(age)), sign * z + rng.normal(0, 0.4, len(age))]


def of_sum(rng: np.random.Generator, age: np.ndarray) -> list[np.ndarray]:
    """Three steps, each of which says something by itself."""
    return [np.floor((age + rng.normal(0, 6, len(age))) / step) for step in (15, 25, 40)]


@pytest.mark.parametrize(("made", "leaves"), [(of_interaction, 16), (of_sum, 4)])
def test_trees_are_as_large_as_the_people_need(made: object, leaves: int) -> None:
    """Fields that only together say something need large trees; fields that add up need small ones."""
    rng = np.random.default_rng(3)
    age = np.clip(np.floor(rng.normal(45, 13, PEOPLE)), 18, 85).astype(np.float32)
    values = [*made(rng, age), rng.normal(0, 1, PEOPLE)]  # type: ignore[operator]
    columns = pa.table({n: v.astype(np.float32) for n, v in zip(FIELDS, values, strict=True)})
    features = parse_features("format = 1\n" + "".join(NUMBER.format(n) for n in FIELDS), "generated")
    settings = for_people(TrainingConfig(), PEOPLE).model_copy(update={"rounds": 200, "light_rounds": 200})
    sizes = tree_sizes(TrainingConfig(), settings, PEOPLE)
    people = TrainingPeople(features, columns, age, Config())
    folds = cut_folds(rng.random(PEOPLE), 3, PEOPLE)
    chosen = chosen_boosters([try_boosters(people, fold, 1, sizes) for fold in folds], sizes)
    assert (chosen.light_leaves, chosen.min_leaf_rows) == (leaves, 5)
    assert 1 <= chosen.rounds < 200 or 1 <= chosen.light_rounds < 200, "boosting stops where the people in the fold say"


def test_the_least_mean_error_decides() -> None:
    """Errors count over all folds, and the number of trees is the median of the chosen size's own."""
    sizes = [TrainingConfig(), TrainingConfig(light_leaves=4), TrainingConfig(light_leaves=16)]
    tried = [
        np.array([[3.0, 10, 100], [1.0, 20, 200], [3.1, 30, 300]]),
        np.array([[3.0, 11, 101], [4.5, 21, 201], [3.0, 31, 301]]),
        np.array([[3.0, 19, 109], [4.5, 29, 209], [2.5, 39, 0]]),
    ]
    chosen = chosen_boosters(tried, sizes)
    assert (chosen.light_leaves, chosen.rounds, chosen.light_rounds) == (16, 31, 300)
    assert chosen_boosters([np.zeros((3, 3))], sizes).rounds == 1


@pytest.mark.parametrize(
    ("configured", "people", "tried"),
    [
        ({}, FEW_PEOPLE - 1, 1 + len(FURTHER_TREES)),
        ({}, FEW_PEOPLE, 1),
        ({"size_presets": False}, 300, 1),
        *(({key: 7}, 300, 1) for key in FURTHER_TREES[0]),
        ({"light_rounds": 50, "learning_rate": 0.1}, 300, 1 + len(FURTHER_TREES)),
    ],
)
def test_a_configured_size_stays(configured: dict[str, object], people: int, tried: int) -> None:
    """Other sizes are tried with few people, and only where none is configured."""
    settings = TrainingConfig.model_validate(configured)
    sizes = tree_sizes(settings, for_people(settings, people), people)
    assert len(sizes) == tried
    assert sizes[0] == for_people(settings, people)
    assert all(size.light_rounds == sizes[0].light_rounds for size in sizes)
