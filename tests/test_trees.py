"""Kernels for trees against the libraries whose trees they are: equal to the last bit, whatever the input."""

from __future__ import annotations

from functools import cache

import lightgbm
import numpy as np
import pytest
import xgboost
from hypothesis import example, given, settings
from hypothesis import strategies as st

from predict_age.config import TrainingConfig
from predict_age.errors import IntegrityError
from predict_age.kernels import kernel_switch, kernels_usable
from predict_age.models import quantile_forest
from predict_age.models.lgbm_model import LightGBMModel, train_lightgbm
from predict_age.models.quantile_forest import QuantileForest, train_forest
from predict_age.models.tree_ensembles import tree_sum
from predict_age.models.tree_ensembles.lightgbm_trees import parse_lightgbm_trees
from predict_age.models.tree_ensembles.nodes import VECTOR_FLOATS, LeafAgeRanges, TreeNodes
from predict_age.models.tree_ensembles.program import TreeProgram, compile_trees
from predict_age.models.tree_ensembles.xgboost_trees import parse_xgboost_trees
from predict_age.models.xgb_model import XGBoostModel, train_xgboost

NAMES = ["a", "b", "c", "d"]
SMALL = TrainingConfig(rounds=30, light_rounds=30, forest_trees=5, min_leaf_rows=2, forest_leaf_rows=2)
ODD = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1e-36, -1e-36, 1e-35, -1e-35, 3e-35, 3e38, -3e38, -1e30, 1e-45], np.float32)


@cache
def people(seed: int, rows: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Four features - counts, a continuous one, one nearly always unknown, one never - and ages that depend on them."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 4)).astype(np.float32)
    x[:, 0] = np.round(3 * x[:, 0])
    x[rng.random((rows, 4)) < [0.3, 0.1, 0.9, 0.0]] = np.nan
    y = np.clip(40 + 3 * np.nan_to_num(x[:, 0]) + 8 * np.nan_to_num(x[:, 1]) * x[:, 3] + 2 * rng.standard_normal(rows), 14, 100)
    return x, np.round(y).astype(np.float32)


@cache
def some_boosted(seed: int, depth: int) -> XGBoostModel:
    """XGBoost's trees."""
    return train_xgboost(*people(seed), NAMES, SMALL.model_copy(update={"max_depth": depth}), 1)


@cache
def some_light(seed: int, leaves: int, missing: bool) -> LightGBMModel:
    """LightGBM's trees; without ``missing`` they take unknown values for 0."""
    x, y = people(seed)
    return train_lightgbm(x if missing else np.nan_to_num(x), y, NAMES, SMALL.model_copy(update={"light_leaves": leaves}), 1)


@cache
def some_forest(seed: int, depth: int) -> QuantileForest:
    """A forest that is walked down."""
    x, y = people(seed)
    return train_forest(x, y, 14, 100, SMALL.model_copy(update={"forest_depth": depth}), 1)


def matrix_of(limits: list[float], seed: int, rows: int) -> np.ndarray:
    """Values on the limits, right beside them, odd ones, and others; in a layout of memory that is not always the plain one."""
    rng = np.random.default_rng(seed)
    at = np.unique(np.array(limits, np.float32))
    with np.errstate(over="ignore"):  # beside the largest number lies infinity
        beside = [np.nextafter(at, np.float32(np.inf)), np.nextafter(at, np.float32(-np.inf))]
    values = np.concatenate([at, *beside, ODD, rng.standard_normal(20).astype(np.float32)])
    matrix = rng.choice(values, (rows, len(NAMES))).astype(np.float32)
    return np.asfortranarray(matrix) if seed % 2 else matrix


def by_all(model: XGBoostModel | LightGBMModel, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions of the library, the kernel and NumPy; for the latter two the library cannot be asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(model.__dict__, "_trees", None)
        slow = model.predict(matrix)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(model.__dict__, "booster", None)
        patch.setattr(tree_sum, "use_kernels", lambda _: True)
        fast = model.predict(matrix)
        patch.setattr(tree_sum, "use_kernels", lambda _: False)
        patch.setattr(TreeProgram, "add_in_pieces", None)
        return slow, fast, model.predict(matrix)


def agree(predictions: tuple[np.ndarray, ...]) -> bool:
    """Whether all are equal to the last bit, and of one type."""
    return all(p.dtype == predictions[0].dtype and np.array_equal(p, predictions[0]) for p in predictions)


SEEDS, ROWS = st.integers(0, 2**32), st.integers(0, 300)


def test_kernels_run_here() -> None:
    """Otherwise this file compares the libraries with themselves."""
    assert kernels_usable()


@settings(max_examples=60, deadline=None)
@example(0, 6, 0, 0)
@example(0, 6, 1, 1)
@example(0, 7, 3, 128)
@given(st.integers(0, 2), st.sampled_from([1, 2, 3, 6, 7]), SEEDS, ROWS)
def test_same_as_xgboost(which: int, depth: int, seed: int, rows: int) -> None:
    """Ties on limits, unknown and infinite values, no row, one row, whole and broken blocks."""
    model = some_boosted(which, depth)
    matrix = matrix_of([v for tree in parse_xgboost_trees(model.model)[0] for v in tree.limit], seed, rows)
    assert agree(by_all(model, matrix))


@settings(max_examples=60, deadline=None)
@example(0, 31, True, 0, 0)
@example(0, 31, True, 1, 1)
@example(0, 31, False, 3, 128)
@example(1, 200, True, 5404, 11)  # a split of known and unknown values, at infinity, and an infinite value
@given(st.integers(0, 2), st.sampled_from([2, 3, 7, 31, 200]), st.booleans(), SEEDS, ROWS)
def test_same_as_lightgbm(which: int, leaves: int, missing: bool, seed: int, rows: int) -> None:
    """The same for trees that grow leaf by leaf and have a way for unknown values, or none."""
    model = some_light(which, leaves, missing)
    matrix = matrix_of([v for tree in parse_lightgbm_trees(model.text, 4) for v in tree.limit], seed, rows)
    assert agree(by_all(model, matrix))


@settings(max_examples=40, deadline=None)
@example(0, 8, 0, 0)
@example(0, 8, 1, 1)
@given(st.integers(0, 2), st.sampled_from([1, 5, 8, 12]), SEEDS, ROWS)
def test_same_as_the_slower_forest(which: int, depth: int, seed: int, rows: int) -> None:
    """Leaves found by XGBoost or by NumPy and their histograms added up, against the kernel."""
    model = some_forest(which, depth)
    matrix = matrix_of([v for tree in parse_xgboost_trees(model.trees.model)[0] for v in tree.limit if np.isfinite(v)], seed, rows)
    matrix[~np.isfinite(matrix) & ~np.isnan(matrix)] = 0  # XGBoost refuses to be asked for the leaves of infinite values
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantile_forest, "use_kernels", lambda _: False)
        patch.setattr(quantile_forest, "MIN_KERNEL_ROWS", 0)
        slow = model.distribution(matrix)
        patch.setattr(quantile_forest, "_leaf_nodes", None)
        patch.setattr(quantile_forest, "MIN_KERNEL_ROWS", 301)
        walked = model.distribution(matrix)
        patch.setattr(quantile_forest, "use_kernels", lambda _: True)
        assert agree((slow, walked, model.distribution(matrix)))


def test_trees_of_one_leaf() -> None:
    """Models that learned nothing: every tree is a single leaf."""
    x, y = people(0)
    stubborn = SMALL.model_copy(update={"min_leaf_rows": 10**6, "forest_leaf_rows": 10**6})
    for model in (train_xgboost(x, y, NAMES, stubborn, 1), train_lightgbm(x, y, NAMES, stubborn, 1)):
        predictions = by_all(model, x)
        assert agree(predictions) and len(np.unique(predictions[0])) == 1
    rooted = train_forest(x, y, 14, 100, stubborn, 1)
    assert len(rooted.shares) == 5 and np.array_equal(rooted.distribution(x), rooted.distribution(x[:10])[[0] * len(x)])


def test_switched_off_the_libraries_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    """One switch, whoever asks: what kernels are compared with must not be kernels in part."""
    many = np.tile(people(0)[0], (2, 1))
    models = (some_boosted(0, 6).predict, some_light(0, 31, True).predict, some_forest(0, 8).distribution)
    fast = [ask(many) for ask in models]
    monkeypatch.setattr(TreeProgram, "add_in_pieces", None)
    monkeypatch.setattr(TreeNodes, "add_probabilities", None)
    with pytest.raises(TypeError):
        models[0](many)
    monkeypatch.setattr(kernel_switch, "on", False)
    assert all(np.array_equal(ask(many), expected) for ask, expected in zip(models, fast, strict=True))


def test_large_trees_are_left_to_the_library() -> None:
    """Beyond some hundred splits a program would be slower than the library, which serves."""
    x, y = people(0)
    deep = train_xgboost(x, y, NAMES, SMALL.model_copy(update={"max_depth": 12, "rounds": 3}), 1)
    taken, _ = parse_xgboost_trees(deep.model)
    assert compile_trees(taken, [0.0], np.float32) is None
    assert np.array_equal(deep.predict(np.tile(x, (2, 1)))[:4000], deep.predict(x[:4000]))


def test_splits_that_are_not_understood_are_left_to_the_library() -> None:
    """Categories and LightGBM's zeros for unknown values: not taken apart, predicted by the library."""
    x, y = people(0)
    category = np.nan_to_num(np.abs(x[:, :1]))
    data = lightgbm.Dataset(category, y, categorical_feature=[0], params={"verbose": -1})
    by_category = lightgbm.train({"verbose": -1, "objective": "l1"}, data, 3)
    zeros = lightgbm.train({"verbose": -1, "objective": "l1", "zero_as_missing": True}, lightgbm.Dataset(x, y), 3)
    many = np.tile(x, (2, 1))
    for booster, matrix in ((by_category, np.tile(category, (2, 1))), (zeros, many)):
        model = LightGBMModel(booster.model_to_string())
        assert model._trees is None
        assert np.array_equal(model.predict(matrix), booster.predict(matrix))
    frame = xgboost.QuantileDMatrix(category, y, feature_types=["c"], enable_categorical=True)
    cut = XGBoostModel.of(xgboost.train({"tree_method": "hist"}, frame, 3))
    assert cut._trees is None


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 20), st.integers(1, 40), st.floats(0, 1))
def test_ranges_hold_what_leaves_know(seed: int, leaves: int, ages: int, share: float) -> None:
    """Every number that is not 0 in its place, NaN too; a leaf that knows nothing, all ages, fewer ages than go together."""
    rng = np.random.default_rng(seed)
    table = np.where(rng.random((leaves, ages)) < share, rng.choice([1.5, -2.0, np.nan], (leaves, ages)), 0).astype(np.float32)
    ranges = LeafAgeRanges.from_table(table)
    again = np.zeros_like(table)
    for row, (begin, first, length) in enumerate(ranges.positions):
        assert length % VECTOR_FLOATS == 0 or length == ages
        again[row, first : first + length] = ranges.probabilities[begin : begin + length]
    assert np.array_equal(again, table, equal_nan=True)


@pytest.mark.parametrize("row", [-1, 10**6])
def test_a_leaf_that_is_none_is_refused(row: int) -> None:
    """Before anything is predicted, by kernels or without."""
    whole = some_forest(1, 5)
    leaf_of = whole.leaf_of.copy()
    leaf_of[0, 0] = row
    with pytest.raises(IntegrityError, match="forest cannot be read"):
        QuantileForest(whole.trees, leaf_of, whole.shares)
