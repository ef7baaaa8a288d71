"""Models against independent implementations, and the artefact against damage."""

import hashlib
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from predict_age.config import Config, TrainingConfig
from predict_age.errors import IntegrityError
from predict_age.features.encode import fit_encoders
from predict_age.features.spec import parse_features
from predict_age.hashing import sampling_hash
from predict_age.models import artifact, conformal
from predict_age.models.age_distribution import quantiles
from predict_age.models.bundle import EnsembleWeights, MemberOutputs, confidence_pct
from predict_age.models.bundle_training import run_in_turn, train_bundle
from predict_age.models.conformal import (
    BAND_STARTS,
    CELLS,
    MIN_CELL_ROWS,
    NO_CALIBRATION,
    RawIntervals,
    calibrate,
    conformal_correction,
)
from predict_age.models.density_network import LEARNED_ARRAYS, bin_features, bin_indicator
from predict_age.models.density_network_training import _forward, _gradient, train_network
from predict_age.models.ensemble import (
    choose_network_share,
    choose_point_weights,
    choose_residual_share,
    distribution_around,
    mix_distributions,
    pinball_loss,
    residual_quantiles,
)
from predict_age.models.lgbm_model import train_lightgbm
from predict_age.models.metrics import evaluate, interval_quality, metrics_by_band, point_errors, weighted_metrics
from predict_age.models.network_data import (
    MAX_FEATURE_BINS,
    RISE_SIZE,
    bin_edges,
    gradient_of_rises,
    ordered_bins,
    risen,
    spline_basis,
)
from predict_age.models.quantile_forest import train_forest
from predict_age.models.ridge import MAX_PENALTY_ROWS, PENALTIES, best_penalty, train_ridge
from predict_age.models.shared_networks import loss_and_gradient, separate_networks, signed_indicator
from predict_age.models.size_presets import FOR_FEW, FOR_FEWEST, FOR_SOME, for_people, share_of_columns
from predict_age.models.training import CALIBRATE, FIT, HELD_OUT, VALIDATE, assign_roles, weighed_ensemble
from predict_age.models.tuning import TuningResult
from predict_age.models.xgb_model import fill_missing, train_xgboost
from predict_age.records.json_fields import as_json
from predict_age.runtime.worker_pool import Pool
from predict_age.storage.durable_files import file_sha256

RNG = np.random.default_rng(0)
START = RNG.bit_generator.state
SMALL = TrainingConfig(
    rounds=20, light_rounds=20, networks=2, network_passes=4, forest_trees=4, forest_depth=5, max_depth=4, cross_fit_below_rows=0
)
FEATURES = parse_features(
    """format = 1
[features.x]
kind = "number"
path = "x"
min = -10
max = 10
default = 0
meaning = "x"
[features.c]
kind = "category"
path = "c"
meaning = "c"
""",
    "test",
)


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """Every test draws the same numbers, whichever tests ran before it in this process."""
    RNG.bit_generator.state = START


def data(n: int) -> tuple[pa.Table, np.ndarray]:
    x = RNG.normal(size=n)
    c = RNG.integers(0, 3, n)
    age = np.clip(np.round(40 + 6 * x + 5 * c + RNG.normal(size=n) * 3), 18, 90).astype(np.float32)
    columns = pa.table(
        {"x": pa.array(np.where(RNG.random(n) < 0.2, np.nan, x), from_pandas=True), "c": pa.array([None, "a", "b"]).take(c)}
    )
    return columns, age


def test_encoding() -> None:
    """Smoothed means of the training rows; rare values and unseen ones become the mean, missing stays NaN."""
    columns = pa.table({"x": pa.array([1.0] * 59), "c": pa.array(["a"] * 20 + ["rare"] * 19 + ["b"] * 20)})
    age = np.array([30.0] * 20 + [90.0] * 19 + [60.0] * 20, np.float32)
    mean = age.mean()
    made = fit_encoders(FEATURES, columns, age)
    means = made.known("c", ["rare", "a", "b"])
    assert list(means) == ["a", "b"]
    assert means["a"] == pytest.approx((600 + 20 * mean) / 40)
    assert len(made.categories["c"]) == 2
    assert all(re.fullmatch("[0-9a-f]{24}", key) for key in made.categories["c"])
    new = pa.table({"x": pa.array([2.0, None, 3.0]), "c": pa.array(["a", "new", None])})
    matrix = made.encode(new)
    assert matrix.dtype == np.float32
    assert made.column_names(["x", "c"]) == ["x", "c", "c.0", "c.1"], "a column of 0 and 1 for each value"
    assert matrix[0].tolist() == pytest.approx([2.0, means["a"], 1, 0])
    assert matrix[1:, 2:].tolist() == [[0, 0], [0, 0]], "an unseen and a missing value have neither"
    assert np.isnan(matrix[1, 0])
    assert matrix[1, 1] == pytest.approx(mean)
    assert np.isnan(matrix[2, 1])
    assert made.unseen_counts(new) == {"c": 1}


def test_ridge_equals_scikit_learn() -> None:
    """On complete data it is the ridge of standardised columns."""
    x = RNG.normal(size=(200, 3)).astype(np.float32) * [1, 10, 100]
    y = (x @ [1, 0.2, 0.01] + 40).astype(np.float32)
    ours = train_ridge(x.astype(np.float32), y, np.zeros(3))
    theirs = make_pipeline(StandardScaler(), Ridge(alpha=1.0)).fit(x, y)
    assert np.allclose(ours.predict(x.astype(np.float32)), theirs.predict(x), atol=1e-4)


def test_ridge_with_missing_values_equals_scikit_learn() -> None:
    """Indicators of missing values are columns like others, also when two of them are the same."""
    x = RNG.normal(size=(300, 4)).astype(np.float32) * [1, 10, 100, 0.1]
    gone = RNG.random((300, 2)) < 0.3
    x[:, :2][gone] = np.nan
    x[np.isnan(x[:, 1]), 2] = np.nan
    y = (np.nan_to_num(x) @ [1, 0.2, 0.01, 3] + 40).astype(np.float32)
    fill = np.array([0.5, -2.0, 7.0, 0.0])
    for alpha in (0.1, 30.0):
        ours = train_ridge(x.astype(np.float32), y, fill, alpha)
        design = np.concatenate([StandardScaler().fit_transform(np.where(np.isnan(x), fill, x)), np.isnan(x)], axis=1)
        assert np.allclose(ours.predict(x.astype(np.float32)), Ridge(alpha=alpha).fit(design, y).predict(design), atol=1e-4)


def test_basis_equals_scipy() -> None:
    """The recursion gives SciPy's B-splines, wide and narrow, at the ends and inside."""
    from scipy.interpolate import BSpline

    for ages, functions in ((87, 20), (87, 5), (30, 60), (120, 12), (8, 30)):
        knots = np.concatenate([[0.0] * 3, np.linspace(0.0, ages, functions - 2), [float(ages)] * 3])
        theirs = BSpline(knots, np.eye(functions), 3)(np.arange(ages) + 0.5).T
        assert np.allclose(spline_basis(ages, functions), theirs / theirs.std(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("turns_below", [1000, 0])
def test_models_made_side_by_side_are_the_same(tmp_path: Path, turns_below: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In turns or not, in worker processes or one after the other, with one thread or several: the same files."""
    monkeypatch.setattr("predict_age.models.bundle_training.MORE_FOLDS", 4)  # more would only take longer
    columns, age = data(600)
    config = Config(training=SMALL.model_copy(update={"cross_fit_below_rows": turns_below}))
    lucky = sampling_hash(np.arange(600), 7)
    with Pool(2) as pool:

        def in_pool(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], _name: str) -> list[Any]:
            return pool.run(function, tasks)

        made = [
            train_bundle(FEATURES, columns, age, lucky, config, threads, by)
            for threads, by in ((1, run_in_turn), (2, run_in_turn), (8, run_in_turn), (2, in_pool))
        ]
    for number in range(4):
        (tmp_path / str(number)).mkdir()
    assert len({artifact.save_model(bundle, tmp_path / str(n), {}) for n, (bundle, _, _) in enumerate(made)}) == 1
    assert len({json.dumps(as_json(metrics)) for _, metrics, _ in made}) == 1
    assert all(np.array_equal(made[0][2].rows, judged.rows) for _, _, judged in made)


@pytest.mark.parametrize(("rows", "folds", "measured"), [(300, 20, 300), (2000, 10, 2000), (2400, 5, 1200)])
def test_what_is_measured_is_made_as_what_is_delivered(
    rows: int, folds: int, measured: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models of the folds are trained on nearly everybody, with the numbers of trees of the delivered ones; each judges strangers only."""
    monkeypatch.setattr("predict_age.models.bundle_training.MEASURED_ROWS", measured)
    columns, age = data(rows)
    made: list[Any] = []

    def noted(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], name: str) -> list[Any]:
        results = run_in_turn(function, tasks, name)
        made.extend((task, result) for task, result in zip(tasks, results, strict=True) if hasattr(result, "unseen"))
        return results

    config = Config(training=SMALL.model_copy(update={"cross_fit_below_rows": 5000}))
    bundle, quality, judged = train_bundle(FEATURES, columns, age, sampling_hash(np.arange(rows), 7), config, 2, noted)
    assert (len(made), quality.rows.turns, quality.rows.held_out, quality.refit_rows) == (folds, folds, measured, rows)
    published = len(judged.rows)  # people taken for minors are not judged
    assert measured - 5 <= published == len(set(judged.rows.tolist())) <= measured
    for (_, left_out, _), fold in made:
        assert left_out.mean() <= 0.1
        assert np.array_equal(np.flatnonzero(left_out), fold.unseen.rows)
        assert np.array_equal(age[left_out], fold.unseen.age)
        assert fold.bundle.xgboost.rounds == bundle.xgboost.rounds
        assert fold.bundle.lightgbm.rounds == bundle.lightgbm.rounds


def test_forest_equals_its_definition() -> None:
    """Quantiles equal a direct evaluation of Meinshausen's weights, tree by tree and training row by training row."""
    x = RNG.normal(size=(400, 3)).astype(np.float32)
    x[RNG.random(x.shape) < 0.2] = np.nan
    age = np.clip(np.round(40 + 8 * np.nan_to_num(x[:, 0]) + RNG.normal(size=400) * 3), 14, 100).astype(np.float32)
    forest = train_forest(x, age, 14, 100, SMALL, 1)
    new = np.concatenate([x[:20], np.full((1, 3), np.nan, np.float32), np.full((1, 3), 1e9, np.float32)])
    train_nodes = forest.trees.booster.predict(xgboost.DMatrix(fill_missing(x)), pred_leaf=True)
    nodes = forest.trees.booster.predict(xgboost.DMatrix(fill_missing(new)), pred_leaf=True)
    found = quantiles(forest.distribution(new), 14, (0.05, 0.5, 0.95))
    for i in range(len(new)):
        weights = np.mean([(train_nodes[:, t] == nodes[i, t]) / (train_nodes[:, t] == nodes[i, t]).sum() for t in range(4)], axis=0)
        shares = np.bincount(age.astype(int), weights, minlength=101)
        grid = np.arange(-0.5, 101)  # share of age a is spread over a - 0.5 .. a + 0.5
        for k, level in enumerate((0.05, 0.5, 0.95)):
            cumulative = np.concatenate([[0], np.cumsum(shares)])
            at = np.interp(found[i, k], grid, cumulative)
            assert at == pytest.approx(level, abs=2e-5)  # float32 shares, and the tolerance at a step
    assert np.all(np.diff(found, axis=1) >= 0)
    assert quantiles(forest.distribution(new[:0]), 14, (0.5,)).shape == (0, 1)


def test_boosted_is_deterministic_and_handles_few_rows() -> None:
    """The same rows and seed give the same predictions; single rows equal the batch; no rows give none."""
    x = RNG.normal(size=(500, 4)).astype(np.float32)
    x[::3, 0] = np.nan
    y = (40 + np.nan_to_num(x).sum(axis=1)).astype(np.float32)
    a, b = (train_xgboost(x, y, list("abcd"), SMALL, 1) for _ in range(2))
    assert np.array_equal(a.predict(x), b.predict(x))
    assert np.array_equal(np.concatenate([a.predict(x[i : i + 1]) for i in range(20)]), a.predict(x[:20]))
    assert a.predict(x[:0]).shape == (0,)


def test_light_is_deterministic_saves_exactly_and_stops_early() -> None:
    """Same rows and seed: same text; the text predicts what the booster does; unseen rows of pure noise stop it early."""
    x = RNG.normal(size=(800, 4)).astype(np.float32)
    x[::3, 0] = np.nan
    y = (40 + 5 * np.nan_to_num(x[:, 0]) + RNG.normal(size=800)).astype(np.float32)
    a, b = (train_lightgbm(x, y, list("abcd"), SMALL, 1) for _ in range(2))
    assert a.text == b.text
    assert np.array_equal(a.predict(x), type(a)(a.text).predict(x))
    assert np.array_equal(np.concatenate([a.predict(x[i : i + 1]) for i in range(20)]), a.predict(x[:20]))
    assert a.predict(x[:0]).shape == (0,)
    long = SMALL.model_copy(update={"light_rounds": 400, "stop_after_rounds": 5})
    noise = (x, RNG.permutation(y))
    assert train_lightgbm(x, y, list("abcd"), long, 1, noise).booster.num_trees() < 100
    assert (
        train_xgboost(x, y, list("abcd"), SMALL.model_copy(update={"rounds": 400, "stop_after_rounds": 5}), 1, noise).rounds < 100
    )


@pytest.mark.parametrize("train", [train_lightgbm, train_xgboost])
def test_trees_of_few_columns_may_split_all_of_them(train: Callable[..., Any]) -> None:
    """Two of four columns say something only together; a tree without one of them says nothing."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(900, 4)).astype(np.float32)
    age = (40 + 12 * np.sign(matrix[:, 0] * matrix[:, 1]) + 2 * rng.normal(size=900)).astype(np.float32)
    settings = TrainingConfig(
        rounds=60, max_depth=4, learning_rate=0.1, light_rounds=60, light_leaves=8, light_learning_rate=0.1, min_leaf_rows=8
    )
    predicted = train(matrix[:500], age[:500], list("abcd"), settings, 1).predict(matrix[500:])
    assert np.abs(predicted - age[500:]).mean() < 3.1
    assert [share_of_columns(0.6, n) for n in (1, 10, 12, 100)] == [1, 1, 10 / 12, 0.6]


def test_network_gradient_equals_finite_differences() -> None:
    """Every kind of weight: the analytic gradient of the mean log-loss is the slope of the loss, in double precision."""
    at = bin_features(
        np.array([[0.0, np.nan], [1.0, 2.0], [3.0, 0.5]], np.float32), np.array([0.5, 2.0, 1.0], np.float32), np.array([0, 2, 3])
    )
    chosen = bin_indicator(at, 7).astype(np.float64)
    rng = np.random.default_rng(3)
    shapes = {"bins": (7, 4), "shift1": (4,), "hidden": (4, 4), "shift2": (4,), "last": (8, 5), "basis": (5, 6), "prior": (6,)}
    weights = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    truth = np.array([0, 3, 5])

    def loss() -> float:
        return float(-np.log(_forward(weights, chosen @ weights["bins"])[-1][np.arange(3), truth]).mean())

    found = _gradient(weights, chosen, truth)
    for name in LEARNED_ARRAYS:
        for place in np.ndindex(*shapes[name]):
            weights[name][place] += 1e-6
            above = loss()
            weights[name][place] -= 2e-6
            below = loss()
            weights[name][place] += 1e-6
            assert found[name][place] == pytest.approx((above - below) / 2e-6, abs=1e-6), (name, place)


def test_networks_that_share_weights_learn_by_the_slope_of_their_loss() -> None:
    """Two networks: the gradient of every kind of weight is the loss's slope; taken apart, they give the mean loss they had together."""
    starts, rng = np.array([0, 2, 3]), np.random.default_rng(3)
    at, truth, signs = np.array([[0, 6], [1, 5], [2, 4]], np.int32), np.array([0, 3, 5]), np.array([[1.0, -1.0], [-1.0, -1.0]])
    shapes = {"bins": (7, 4), "hidden": (4, 4), "last": (2, 8, 5), "basis": (5, 6), "prior": (6,)}
    shapes |= dict.fromkeys(("factor1", "shift1", "before2", "factor2", "shift2"), (2, 1, 4))
    weights = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    chosen, kept = signed_indicator(at, signs, 7), [rng.integers(0, 3, (2, 3, 4)) / 2 for _ in range(2)]
    _, found = loss_and_gradient(weights, chosen, truth, kept)
    for name in found:
        for place in np.ndindex(*shapes[name]):
            losses = []
            for step in (1e-6, -2e-6):
                weights[name][place] += step
                losses.append(loss_and_gradient(weights, chosen, truth, kept)[0])
            weights[name][place] += 1e-6
            assert found[name][place] == pytest.approx((losses[0] - losses[1]) / 2e-6, abs=1e-6), (name, place)
    together, _ = loss_and_gradient(weights, chosen, truth, [np.ones((2, 3, 4))] * 2)
    fixed = {name: weights[name] for name in ("basis", "prior")}
    apart = [
        -np.log(_forward({**network, **fixed}, bin_indicator(at, 7) @ network["bins"])[-1][np.arange(3), truth]).mean()
        for network in separate_networks(weights, signs, starts)
    ]
    assert together == pytest.approx(np.mean(apart))
    assert apart[0] != pytest.approx(apart[1])


def test_a_bin_is_its_own_part_and_the_rises_up_to_it() -> None:
    """Two features, three bins and one, each with one more for missing values; the gradient of the rises is the slope of the sum."""
    starts, rng = np.array([0, 2, 2]), np.random.default_rng(4)
    ordered = ordered_bins(starts)
    assert [(o.start, o.stop) for o in ordered] == [(0, 3), (4, 5)]
    own, rises, slope = (rng.normal(size=(6, 3)).astype(np.float32) for _ in range(3))
    vectors = risen(own, rises, ordered, np.empty_like(own))
    assert np.allclose(vectors[2], own[2] + RISE_SIZE * rises[:3].sum(axis=0), atol=1e-6)
    assert np.allclose(vectors[4], own[4] + RISE_SIZE * rises[4], atol=1e-6)
    assert np.array_equal(vectors[[3, 5]], own[[3, 5]])  # missing values have no neighbours
    found = gradient_of_rises(slope, ordered, np.zeros_like(own))
    for place in np.ndindex(6, 3):
        moved = rises.copy()
        moved[place] += 1
        more = float(((risen(own, moved, ordered, np.empty_like(own)) - vectors) * slope).sum())
        assert found[place] == pytest.approx(more, abs=1e-5), place


def test_networks_need_few_people_for_a_smooth_feature() -> None:
    """300 people, 96 bins, a straight line: bins that share nothing erred by 5.4 to 6.2 years outside the sample (seeds 0 to 3)."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, size=(1300, 1)).astype(np.float32)
    age = np.round(45 + 20 * x[:, 0] + rng.normal(size=1300) * 3).astype(np.float32)
    made = train_network(x[:300], age[:300], 14, 100, TrainingConfig(networks=2))
    middle = quantiles(made.distribution(x[300:]), 14, (0.5,))[:, 0]
    assert np.abs(middle - 45 - 20 * x[300:, 0]).mean() < 2.0


def test_network_bins() -> None:
    """Below, between and above the edges, ties to the right, unknown last, infinities at the ends; every bin is another number."""
    x = np.array([[1, 5], [2, np.nan], [4, np.nan]], np.float32)
    edges, starts = bin_edges(x)
    assert edges.tolist() == [1.5, 3.0]
    assert starts.tolist() == [0, 2, 2]
    new = np.array([[1, 5], [1.5, 6], [3, np.nan], [np.nan, -1], [np.inf, 0], [-np.inf, 0]], np.float32)
    assert bin_features(new, edges, starts).tolist() == [[0, 4], [1, 4], [2, 5], [3, 4], [2, 4], [0, 4]]
    wide = RNG.normal(size=(5000, 1)).astype(np.float32)
    assert len(bin_edges(wide)[0]) == MAX_FEATURE_BINS - 1


def test_network_learns_a_distribution() -> None:
    """Rows sum to 1; it is deterministic, the same for single rows; it finds centre and spread of ages that depend on x and on gaps."""
    n, rng = 4000, np.random.default_rng(0)  # the bounds below hold for each of the seeds 0 to 11
    x = rng.normal(size=(n, 2)).astype(np.float32)
    x[rng.random(n) < 0.3, 0] = np.nan
    age = np.clip(np.round(45 + 8 * np.nan_to_num(x[:, 0]) + rng.normal(size=n) * (2 + 3 * np.isnan(x[:, 0]))), 14, 100).astype(
        np.float32
    )
    settings = SMALL.model_copy(update={"network_passes": 12})
    a, b = (train_network(x, age, 14, 100, settings) for _ in range(2))
    new = np.array([[-1, 0], [1, 0], [np.nan, 0], [np.inf, -np.inf]], np.float32)
    shares = a.distribution(new)
    assert np.array_equal(shares, b.distribution(new))
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert np.allclose(np.concatenate([a.distribution(new[i : i + 1]) for i in range(4)]), shares, atol=1e-6)
    assert a.distribution(new[:0]).shape == (0, 87)
    new = rng.normal(size=(n, 2)).astype(np.float32).clip(-2, 2)
    new[::2, 0] = np.nan
    low, middle, high = quantiles(a.distribution(new), 14, (0.05, 0.5, 0.95)).T
    unknown = np.isnan(new[:, 0])
    assert np.abs(middle - 45 - 8 * new[:, 0])[~unknown].mean() < 0.7
    assert np.abs(middle - 45)[unknown].mean() < 1.5
    assert 2 * 1.645 * 2 < (high - low)[~unknown].mean() < 8.6  # too wide rather than too narrow
    assert (high - low)[unknown].mean() == pytest.approx(2 * 1.645 * 5, abs=1.5)


def test_bins_without_training_rows_get_the_mean_vector() -> None:
    """A value that was never unknown in training may be unknown later: no random start must decide about it."""
    x = np.repeat(np.arange(4, dtype=np.float32), 100)[:, None]
    age = (30 + x[:, 0]).astype(np.float32)
    made = train_network(x, age, 14, 100, SMALL)
    seen, unknown = made.bins[:, :4], made.bins[:, 4]
    assert np.allclose(seen.mean(axis=1), unknown, atol=1e-6)


def test_networks_that_share_weights_are_deterministic_and_need_few_people() -> None:
    """300 people, eight weak hints; the best possible error is 2.4 years; networks that share nothing err by 4.31."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2300, 8)).astype(np.float32)
    age = np.clip(np.round(45 + 3 * x.sum(axis=1) + rng.normal(size=2300) * 3), 14, 100).astype(np.float32)
    settings = TrainingConfig(networks=8, network_passes=16, network_sharing=True)
    a, b = (train_network(x[:300], age[:300], 14, 100, settings) for _ in range(2))
    assert all(np.array_equal(getattr(a, name), getattr(b, name)) for name in LEARNED_ARRAYS)
    assert np.abs(quantiles(a.distribution(x[300:]), 14, (0.5,))[:, 0] - age[300:]).mean() < 4.25  # 4.17


ALL = np.ones(3, np.bool_)


def test_point_weights_find_the_best_and_drop_what_is_not_worth_it() -> None:
    """Compared with scipy's simplex minimum; a member that gains next to nothing gets no weight; ties are decided by cost."""
    from scipy.optimize import minimize

    truth = RNG.uniform(20, 60, 2000).astype(np.float32)
    members = truth[:, None] + RNG.normal(size=(2000, 3)) * [2.0, 2.0, 4.0]
    weights = choose_point_weights(members, truth, (1.0, 1.0, 1.0), 0.0, ALL)
    assert weights.sum() == pytest.approx(1)

    def loss(two: np.ndarray) -> float:
        return float(np.abs(members @ [*two, 1 - two.sum()] - truth).mean())

    best = minimize(loss, [0.4, 0.4], method="Nelder-Mead").fun
    ours = np.abs(members @ weights - truth).mean()
    assert best - 1e-9 <= ours <= best * 1.005  # the grid is 1/20 wide
    same = np.column_stack([members[:, 0]] * 3)
    assert choose_point_weights(same, truth, (5.0, 8.0, 1.0), 0.02, ALL).tolist() == [0, 0, 1]
    assert choose_point_weights(members, truth, (1.0, 1.0, 9.0), 0.5, ALL).tolist()[2] == 0
    assert choose_point_weights(members[:0], truth[:0], (1.0, 1.0, 1.0), 0.0, ALL).tolist() == pytest.approx([1 / 3] * 3)
    two = np.array([True, False, True])
    assert choose_point_weights(members[:0], truth[:0], (1.0, 1.0, 1.0), 0.0, two).tolist() == [0.5, 0, 0.5]
    assert choose_point_weights(same, truth, (5.0, 0.0, 8.0), 0.02, two).tolist() == [1, 0, 0]


def test_few_people_give_nearly_equal_weights_and_evidence_overrules_them() -> None:
    """Members that are equally good get stable weights from few people; one that is far worse gets none; more people tell more."""
    truth = np.random.default_rng(3).uniform(20, 60, (30, 200))
    errors = np.random.default_rng(4).normal(size=(30, 200, 3))
    chosen = np.array(
        [choose_point_weights(t[:, None] + 3 * e, t, (1.0,) * 3, 0.0, ALL) for t, e in zip(truth, errors, strict=True)]
    )
    assert chosen.std(axis=0).max() < 0.08, "the plain minimum scatters by more than 0.1"
    assert np.allclose(chosen.mean(axis=0), 1 / 3, atol=0.03)
    worse = truth[0][:, None] + errors[0] * [3.0, 3.0, 12.0]
    assert choose_point_weights(worse, truth[0], (1.0,) * 3, 0.0, ALL)[2] <= 0.05
    age = truth.ravel()
    unequal = age[:, None] + errors.reshape(-1, 3) * [2.0, 3.0, 3.0]
    many = choose_point_weights(unequal, age, (1.0,) * 3, 0.0, ALL)[0]
    assert many >= 0.45, "a member that is a third better gets more than an equal share"


def test_distribution_around_a_point_has_the_residuals_as_quantiles() -> None:
    """Sums to 1 for every point, also outside the window; its median and ends are the point plus the residuals' quantiles."""
    residuals = np.random.default_rng(5).gamma(2.0, 2.0, 20_000) - 4
    saved = np.array(residual_quantiles(residuals))
    assert len(saved) == 201
    assert np.all(np.diff(saved) >= 0)
    point = np.array([30.0, 30.4, 55.7])
    made = distribution_around(point, saved, 14, 100)
    assert made.shape == (3, 87) and np.allclose(made.sum(axis=1), 1, atol=1e-6)
    wanted = point[:, None] + np.quantile(residuals, (0.05, 0.5, 0.95))
    assert np.allclose(quantiles(made, 14, (0.05, 0.5, 0.95)), wanted, atol=0.2)  # probability is even inside each year
    far = distribution_around(np.array([-500.0, 500.0]), saved, 14, 100)
    assert far[0, 0] == 1 and far[1, -1] == 1
    steps = distribution_around(np.array([40.0]), np.array(residual_quantiles(np.array([-1.0, -1.0, -1.0, 2.0]))), 14, 100)
    assert steps[0, 39 - 14] == pytest.approx(2 / 3, abs=0.2) and steps.sum() == pytest.approx(1)
    assert residual_quantiles(np.empty(0)) == () and len(residual_quantiles(np.array([1.5]))) == 2
    scale = np.array([0.5, 3.0, 8.0])
    scaled = distribution_around(point, saved, 14, 100, scale)
    alone = [distribution_around(point[i : i + 1], saved * scale[i], 14, 100)[0] for i in range(3)]
    assert np.allclose(scaled, alone, atol=1e-6), "residuals are shares of the scale of each row"


def _mixture_of(spread: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Normal distributions (n, 87) of the ages 14 to 100."""
    made = np.exp(-0.5 * ((np.arange(14, 101) - middle[:, None]) / spread[:, None]) ** 2).astype(np.float32)
    return made / made.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("known", [True, False])
def test_residuals_are_scaled_where_the_others_know_who_is_predicted_well(known: bool) -> None:
    """A point that errs less than network and forest, by a spread that these know or not: scaled, or in years."""
    n = 3_000
    spread = RNG.choice([1.0, 4.0], n)
    age = np.floor(RNG.uniform(30, 70, n)).astype(np.float32)
    point = age + RNG.normal(size=n) * spread
    believed = spread if known else RNG.permutation(spread)
    network = _mixture_of(3 * believed, age + RNG.normal(size=n) * 3 * believed)
    points = np.column_stack([point] * 3 + [RNG.uniform(30, 70, n)])
    start = EnsembleWeights((0.25,) * 4, 0.5, NO_CALIBRATION, 0.9, 14, 100)
    made = weighed_ensemble(start, points, network, network, age, TrainingConfig())
    assert made.scaled_residuals is known and made.residual_share > 0.5
    ends = made.outputs(points, network, network, np.zeros(n, np.int64)).interval_quantiles
    width = ends[:, 2] - ends[:, 0]
    covered = (ends[:, 0] - 0.5 <= age) & (age <= ends[:, 2] + 0.5)
    for some in (spread == 1, spread == 4) if known else (width < np.inf,):
        assert abs(covered[some].mean() - 0.9) < 0.1
    if known:
        assert width[spread == 4].mean() > 2 * width[spread == 1].mean()


def test_residual_share_is_the_minimum_of_the_pinball_loss() -> None:
    """The distribution around the point takes over where it is right, and gets nothing where it is not worth it."""
    n = 400
    point = np.random.default_rng(6).uniform(30, 70, n)
    errors = np.random.default_rng(7).normal(0, 3, n)
    age = np.round(point + errors).astype(np.float32)
    right = distribution_around(point, np.array(residual_quantiles(age - point)), 14, 100)
    flat = np.full((n, 87), 1 / 87, np.float32)
    loss = pinball_loss(quantiles(right, 14, (0.05, 0.95)), (0.05, 0.95), age)
    assert choose_residual_share(flat, right, 14, (0.05, 0.95), age, 0.0) == (1.0, loss)
    assert choose_residual_share(right, flat, 14, (0.05, 0.95), age, 0.0) == (0.0, loss)
    assert choose_residual_share(right, right, 14, (0.05, 0.95), age, 0.0) == (0.0, loss)
    assert choose_residual_share(flat[:0], right[:0], 14, (0.05, 0.95), age[:0], 0.0) == (0.0, 0.0)


def test_pinball_equals_scikit_learn_and_the_share_is_its_minimum() -> None:
    """Loss by the library; the chosen mixture is the best of five, the network alone when the forest is not worth it."""
    n = 500
    age = np.clip(np.round(RNG.normal(50, 6, n)), 14, 100).astype(np.float32)
    right, wrong = (
        np.tile((np.exp(-0.5 * ((np.arange(14, 101) - 50) / spread) ** 2)).astype(np.float32), (n, 1)) for spread in (6.0, 15.0)
    )
    right, wrong = (d / d.sum(axis=1, keepdims=True) for d in (right, wrong))
    ends = quantiles(right, 14, (0.05, 0.95))
    theirs = np.mean([metrics.mean_pinball_loss(age, ends[:, i], alpha=level) for i, level in enumerate((0.05, 0.95))])
    assert pinball_loss(ends, (0.05, 0.95), age) == pytest.approx(theirs)
    assert choose_network_share(right, wrong, 14, (0.05, 0.95), age, 0.0) == 1.0
    assert choose_network_share(wrong, right, 14, (0.05, 0.95), age, 0.0) == 0.0
    assert choose_network_share(right, right, 14, (0.05, 0.95), age, 0.0) == 1.0
    assert choose_network_share(wrong[:0], right[:0], 14, (0.05, 0.95), age[:0], 0.0) == 0.5
    assert np.allclose(mix_distributions(right, wrong, 0.25), 0.25 * right + 0.75 * wrong, atol=1e-7)
    assert mix_distributions(None, wrong, 0.0) is wrong and mix_distributions(right, None, 1.0) is right


def _inside(raw: RawIntervals, widen: np.ndarray, age: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Whether the intervals, with ends moved by ``widen``, hold the ages."""
    lower, upper = raw.ends(widen, predicted)
    return np.asarray((lower <= age) & (age <= upper))


def test_group_calibration_covers_each_group() -> None:
    """Young people are easy, old ones hard, gaps harder: one correction leaves groups uncovered, corrections by cell do not."""
    n = 40_000
    point = RNG.uniform(20, 65, n)
    unknown = RNG.choice([1, 2, 8], n, p=[0.1, 0.3, 0.6])
    spread = np.where(point < 40, 2.0, 6.0) + np.where(unknown > 4, 3.0, 0.0)
    age, predicted = np.floor(point + RNG.normal(size=n) * spread), np.floor(point)
    raw = RawIntervals(unknown, point, point - 5, point + 5)
    first, second = np.arange(n) < n // 2, np.arange(n) >= n // 2

    def only(rows: np.ndarray) -> RawIntervals:
        return RawIntervals(unknown[rows], point[rows], raw.lower[rows], raw.upper[rows])

    made = calibrate(only(first), age[first], predicted[first], 0.9)
    inside = _inside(raw, made.widen(raw), age, predicted)
    one = conformal_correction(only(first).needed(age[first], predicted[first]), 0.9) * raw.unit
    flat = _inside(raw, one, age, predicted)
    for group in ((point < 40), (point >= 40) & (unknown > 4), (point >= 55), (unknown > 4)):
        assert abs(inside[second & group].mean() - 0.9) < 0.015
    assert flat[second & (point >= 40) & (unknown > 4)].mean() < 0.8, "the check can fail"
    few = np.arange(n) < 100
    made = calibrate(only(few), age[few], predicted[few], 0.9)
    expected = conformal_correction(only(few).needed(age[few], predicted[few]), 0.9)
    assert np.allclose(made.shares(only(few)), expected), "too few rows for groups"
    assert MIN_CELL_ROWS > 100
    assert len(made.by_cell) == CELLS == 2 * len(BAND_STARTS) + 2
    nobody = np.zeros(n, np.bool_)
    assert set(calibrate(only(nobody), age[nobody], predicted[nobody], 0.9).shares(only(few))) == {0.0}


def test_narrow_and_wide_raw_intervals_are_covered_alike() -> None:
    """Raw intervals that are too narrow where they are narrowest: the most confident fifth is covered as everybody is."""
    n = 20_000
    width = RNG.uniform(2, 12, n)
    spread = 2 + 0.2 * width
    point = RNG.uniform(20, 70, n)
    age = np.floor(point + RNG.normal(size=n) * spread)
    raw = RawIntervals(np.zeros(n, np.int64), point, point - width / 2, point + width / 2)
    made, predicted = calibrate(raw, age, np.floor(point), 0.9), np.floor(point)
    one = conformal_correction(raw.needed(age, predicted), 0.9) * raw.unit
    confident = width <= np.quantile(width, 0.2)
    assert abs(_inside(raw, made.widen(raw), age, predicted)[confident].mean() - 0.9) < 0.02
    assert _inside(raw, one, age, predicted)[confident].mean() < 0.85, "the check can fail"


def test_intervals_of_few_ages_are_covered_as_others_are() -> None:
    """Intervals about as wide as three ages, with right quantiles: those that name fewest ages are covered, too.

    With both ends moved inwards, whether a width of three years names three ages or two is chance, and fewer cover less.
    """
    n = 40_000
    point, spread = RNG.uniform(20, 70, n), RNG.uniform(0.5, 1.3, n)
    age, predicted = np.floor(point + 0.5 + RNG.normal(size=n) * spread), np.floor(point + 0.5)
    raw = RawIntervals(np.zeros(n, np.int64), point, point - 1.7 * spread, point + 1.7 * spread)
    made = calibrate(raw, age, predicted, 0.9)

    def fewest(lower: np.ndarray, upper: np.ndarray) -> float:
        confident = upper - lower <= np.quantile(upper - lower, 0.2)
        return float(((lower <= age) & (age <= upper))[confident].mean())

    lower, upper = raw.ends(made.widen(raw), predicted)
    assert fewest(lower, upper) > 0.885
    assert fewest(np.minimum(np.ceil(raw.lower), predicted), np.maximum(np.floor(raw.upper), predicted)) < 0.87, "it can fail"


@given(st.lists(st.tuples(st.floats(14, 100), st.floats(0, 30), st.floats(-40, 40), st.floats(0, 9)), min_size=1, max_size=30))
def test_wider_intervals_name_more_ages_and_hold_the_narrower(rows: list[tuple[float, float, float, float]]) -> None:
    """As many ages as years, rounded, those nearest to the middle; the predicted age is always inside."""
    middle, half, away, more = (np.array(c, float) for c in zip(*rows, strict=True))
    raw = RawIntervals(np.zeros(len(rows), np.int64), middle, middle - half, middle + half)
    alone = raw.ends(0 * more, predicted := np.floor(middle))
    assert (alone[1] - alone[0] + 1 >= np.floor(raw.width + 0.5)).all()
    assert (alone[1] - alone[0] + 1 <= np.floor(raw.width + 0.5) + 1).all(), "one more at most, for the predicted age"
    assert (np.maximum(alone[1] - raw.upper, raw.lower - alone[0]) <= 1).all()
    few, many = (raw.ends(widen, np.floor(predicted + away)) for widen in (0 * more, more))
    assert ((many[0] <= few[0]) & (few[0] <= predicted + away) & (predicted + away - 1 < few[1]) & (few[1] <= many[1])).all()


def _by_width(spread_of: Callable[[np.ndarray], np.ndarray], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Corrections by whole width (k,), and true coverages of whole widths 4 to 10: ages err by ``spread_of`` the whole width."""
    width = RNG.uniform(4, 12, rows)
    point = RNG.uniform(25, 29, rows)
    whole = RawIntervals(np.zeros(rows, np.int64), point, point - width / 2, point + width / 2).whole_width
    age = np.floor(point + RNG.normal(size=rows) * spread_of(whole))
    first = np.arange(rows) < rows // 2
    raw, some = (
        RawIntervals(np.zeros(n.sum(), np.int64), point[n], point[n] - width[n] / 2, point[n] + width[n] / 2)
        for n in (~first, first)
    )
    made = calibrate(some, age[first], np.floor(point[first]), 0.9)
    inside = _inside(raw, made.widen(raw), age[~first], np.floor(point[~first]))
    return np.array(made.by_width), np.array([inside[whole[~first] == w].mean() for w in range(4, 11)])


def test_corrections_of_groups_that_differ_by_chance_are_nearly_that_of_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of some 250 people whose errors grow with their width: their corrections scatter less than half as much as their own."""

    def scatter() -> float:
        return float(np.mean([np.std(_by_width(lambda width: (width + 1) / 4, 4_000)[0]) for _ in range(40)]))

    shrunk = scatter()
    monkeypatch.setattr(conformal, "UNSHRUNK_GROUPS", CELLS)
    assert shrunk < 0.6 * scatter(), "and the check can fail"


def test_one_group_that_differs_keeps_its_correction() -> None:
    """One of eight groups of 1,000 people errs three times as much: it is covered within the error of the test and the one it is moved."""
    _, covered = _by_width(lambda width: np.where(width == 7, 3, 1) * (width + 1) / 4, 16_000)
    assert covered[3] > 0.9 - 4 * (0.09 / 1000) ** 0.5
    assert abs(covered.mean() - 0.9) < 0.015


@given(st.lists(st.floats(-9, 9), min_size=1, max_size=14))
def test_shares_of_differences_that_groups_keep(deviation: list[float]) -> None:
    """All of it for three groups and fewer; for more, nobody is moved further than a standard error, unless chance explains all."""
    kept = conformal._kept_shares(np.array(deviation), deviation)
    assert (kept >= 0).all() and (kept <= 1).all()
    moved = np.abs(deviation) * (1 - kept)
    assert (moved <= 1 + 1e-9).all()
    if len(deviation) <= 3:
        assert (kept == 1).all()
    elif sum(z * z for z in deviation) <= len(deviation) - 3:
        assert (kept[np.abs(deviation) <= 1] == 0).all()


@given(st.lists(st.integers(-60, 60), min_size=1, max_size=60), st.sampled_from([0.5, 0.8, 0.9]))
def test_conformal_correction_is_the_smallest_that_covers(scores: list[int], coverage: float) -> None:
    """With the correction at least ceil((n + 1) c) of n people are inside; with any less, fewer."""
    needed = np.array(scores, float)
    correction = conformal_correction(needed, coverage)
    wanted = min(int(np.ceil((len(scores) + 1) * coverage)), len(scores))
    assert np.sum(needed <= correction) >= wanted
    assert np.sum(needed <= correction - 1e-6) < wanted


@given(st.lists(st.tuples(st.floats(14, 100), st.floats(0, 30), st.floats(0, 30), st.integers(14, 100)), min_size=1, max_size=30))
def test_needed_correction_just_reaches_the_age(rows: list[tuple[float, float, float, int]]) -> None:
    """A person is inside the delivered interval with the correction that ``needed`` names and a trifle more, not with less."""
    point, left, right, truth = (np.array(c, float) for c in zip(*rows, strict=True))
    nothing, predicted = np.zeros(len(rows), np.int64), np.clip(np.floor(point + 0.5), 14, 100)
    raw = RawIntervals(nothing, point, point - left, point + right)
    needed = raw.needed(truth, predicted)
    outputs = MemberOutputs(np.tile(point, (4, 1)).T, np.column_stack([raw.lower, point, raw.upper]), nothing, 0.0 * point)
    for row, correction in enumerate(needed):
        for more, inside in ((1e-9, True), (-1e-6, False)):
            flat = replace(NO_CALIBRATION, by_width=(float(correction + more),))
            made = EnsembleWeights((0.25,) * 4, 1.0, flat, 0.9, 14, 100).predict(outputs)
            covered = made.lower[row] <= truth[row] <= made.upper[row]
            assert covered == (inside or correction == -1.0)
            assert made.lower[row] <= made.age[row] <= made.upper[row]
            assert (made.lower[row] % 1, made.upper[row] % 1) == (0, 0)


def test_conformal_coverage_on_new_people() -> None:
    """Over 200 draws of 500 calibration rows, coverage of new rows averages 90 %, within 4 standard errors."""
    covered = []
    for _ in range(200):
        scores = np.abs(RNG.normal(size=1500))
        covered.append(np.mean(scores[500:] <= conformal_correction(scores[:500], 0.9)))
    assert abs(np.mean(covered) - 0.9) < 4 * np.std(covered) / np.sqrt(200) + 1 / 501


def test_metrics_equal_scikit_learn() -> None:
    """mae, rmse, r2 by the library; bias and coverage by hand; bands add up."""
    y = RNG.integers(18, 80, 300).astype(float)
    p = y + RNG.normal(size=300) * 5
    found = evaluate(y, p, p - 5, p + 5)
    assert found.mae == pytest.approx(metrics.mean_absolute_error(y, p))
    assert found.rmse == pytest.approx(metrics.root_mean_squared_error(y, p))
    assert found.r2 == pytest.approx(metrics.r2_score(y, p))
    assert found.bias == pytest.approx(np.mean(p - y))
    assert found.coverage == pytest.approx(np.mean(np.abs(p - y) <= 5))
    bands = metrics_by_band(y, p, p - 5, p + 5)
    assert sum(b.rows for b in bands) == 300
    assert sum(b.rows * b.mae for b in bands) / 300 == pytest.approx(found.mae)
    assert np.isnan(point_errors(y[:0], p[:0]).mae)


def test_luck_and_parts() -> None:
    """Luck is uniform, fixed by the seed, the same in any order; parts have their shares and do not follow the sample."""
    pids = RNG.integers(-(2**62), 2**62, 100_000)
    u = sampling_hash(pids, 7)
    assert np.array_equal(u[::-1], sampling_hash(pids[::-1], 7))
    assert not np.array_equal(u, sampling_hash(pids, 8))
    assert np.abs(np.histogram(u, 20, (0, 1))[0] / 5000 - 1).max() < 0.08  # 5.6 standard deviations of 5,000
    for chosen in (u < 2, u < 0.05):
        part = assign_roles(u[chosen], TrainingConfig())
        shares = [np.mean(part == k) for k in (FIT, CALIBRATE, HELD_OUT, VALIDATE)]
        assert np.allclose(shares, [0.6, 0.1, 0.2, 0.1], atol=0.03)
    turns = np.stack([assign_roles(u, TrainingConfig(), turn / 5) for turn in range(5)])
    assert np.all((turns == HELD_OUT).sum(axis=0) == 1), "everybody is held out once in five turns"
    many = assign_roles(np.tile(u, 10), TrainingConfig())
    assert [round(np.mean(many == k), 2) for k in (CALIBRATE, VALIDATE)] == [0.02, 0.02], "20,000 judges of a million are enough"


def test_penalty_is_the_best_when_each_row_is_left_out() -> None:
    """The error by decomposition equals that of models trained without the row; noise asks for more than a clear line."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(60, 8)).astype(np.float32)
    noise, line = (rng.normal(40, 10, 60).astype(np.float32), (40 + 5 * x[:, 0] + rng.normal(size=60)).astype(np.float32))
    fill = np.zeros(8)
    assert best_penalty(x, line, fill) < best_penalty(x, noise, fill)
    spread, centre = x.std(axis=0), x.mean(axis=0)
    found = best_penalty(x, line, fill)

    def left_out(alpha: float) -> float:
        z = (x - centre) / spread
        rows = np.arange(60)
        fits = (Ridge(alpha=alpha).fit(z[rows != i], line[rows != i]).predict(z[[i]])[0] for i in rows)
        return float(np.abs(np.array(list(fits)) - line).mean())

    assert left_out(found) == pytest.approx(min(map(left_out, PENALTIES)), rel=0.01)
    assert best_penalty(np.zeros((MAX_PENALTY_ROWS + 1, 1), np.float32), np.zeros(MAX_PENALTY_ROWS + 1, np.float32), fill[:1]) == 1


def test_size_presets_replace_defaults_only() -> None:
    """Few people get smaller trees; what was set stays; many people, and whoever switches it off, get the defaults."""
    fewest, few, some, many = (for_people(TrainingConfig(), n) for n in (999, 2_999, 29_999, 30_000))
    assert (fewest.light_leaves, fewest.networks, fewest.network_sharing) == (8, 6, False)
    assert (few.light_leaves, few.max_depth, few.networks, few.network_sharing) == (8, 4, 16, True)
    assert (some.light_leaves, some.networks, some.network_width, some.network_sharing) == (31, 8, 64, True)
    assert many == TrainingConfig()
    assert for_people(TrainingConfig(light_leaves=63, networks=1), 500).light_leaves == 63
    assert for_people(TrainingConfig(light_leaves=63, networks=1), 500).networks == 1
    assert for_people(TrainingConfig(size_presets=False), 500) == TrainingConfig(size_presets=False)
    for preset in (FOR_FEWEST, FOR_FEW, FOR_SOME):
        TrainingConfig.model_validate({**TrainingConfig().model_dump(), **preset})
    tuned = TuningResult(1.0, settings={"light_leaves": 31}).applied(Config(), 500).training
    assert (tuned.light_leaves, for_people(tuned, 500).light_leaves, tuned.max_depth) == (31, 31, 4)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table]:
    """A small trained artefact."""
    columns, age = data(1500)
    config = Config(training=SMALL)
    bundle, _, _ = train_bundle(FEATURES, columns, age, sampling_hash(np.arange(1500), 7), config, 1)
    folder = tmp_path_factory.mktemp("model") / "model"
    artifact.save_model(bundle, folder, {"trained_at": "now"})
    return folder, columns


def load(folder: Path) -> tuple[Any, str]:
    """Load with the manifest's hash as it lies there: what is damaged below it must still be noticed."""
    return artifact.load_model(folder, file_sha256(folder / "manifest.json"))


def test_bytes_of_arrays_follow_from_the_arrays() -> None:
    """The version of a model is a hash of its files: it must not depend on Python's patch release, as ``numpy.savez`` does."""
    made = artifact._npz_bytes({"a": np.arange(3, dtype=np.float32), "b": np.zeros((2, 2), np.int64)})
    assert hashlib.sha256(made).hexdigest().startswith("e8699dbed048156c")
    with np.load(io.BytesIO(made)) as arrays:
        assert arrays["a"].tolist() == [0, 1, 2]
        assert arrays["b"].shape == (2, 2)


def test_artefact_round_trip(saved: tuple[Path, pa.Table]) -> None:
    """Loaded models predict what the saved ones do; points lie inside ends, ends inside the window."""
    folder, columns = saved
    artifact.load_model.cache_clear()
    bundle, version = load(folder)
    assert version.startswith("age-")
    made = bundle.predict(bundle.encoders.encode(columns))
    assert np.all((made.lower <= made.age) & (made.age <= made.upper))
    assert made.lower.min() >= 14
    assert made.upper.max() <= 100
    assert bundle.predict(bundle.encoders.encode(columns.slice(0, 0))).age.shape == (0,)


def test_retraining_gives_the_same_version(saved: tuple[Path, pa.Table], tmp_path: Path) -> None:
    """The version is a fingerprint of the content: saving the loaded bundle again gives it again."""
    artifact.load_model.cache_clear()
    bundle, version = load(saved[0])
    assert artifact.save_model(bundle, tmp_path, {}) == version


@pytest.mark.parametrize("name", artifact.MODEL_FILES)
def test_damaged_model_files_are_refused(saved: tuple[Path, pa.Table], name: str, tmp_path: Path) -> None:
    """One flipped byte, a cut file or a missing file in any part of the model is noticed before it is loaded."""
    import shutil

    for damage in ("flip", "cut", "remove"):
        folder = tmp_path / damage
        shutil.copytree(saved[0], folder)
        content = bytearray((folder / name).read_bytes())
        if damage == "flip":
            content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content if damage == "flip" else content[: len(content) // 2])
        if damage == "remove":
            (folder / name).unlink()
        with pytest.raises(IntegrityError, match=r"damaged|missing"):
            load(folder)


def test_no_pickle_in_the_artefact(saved: tuple[Path, pa.Table]) -> None:
    """Arrays load with pickle forbidden, everything else is JSON, TOML or UBJ."""
    with np.load(saved[0] / "leaves.npz", allow_pickle=False) as arrays:
        assert set(arrays.files) == {"leaf_of", "shares"}
    assert {p.name for p in saved[0].iterdir()} == {*artifact.MODEL_FILES, "manifest.json"}
    assert not any(p.read_bytes()[:1] == b"\x80" for p in saved[0].iterdir())


def test_confidence_pct_is_the_documents() -> None:
    """100 - 3.33 for each year, inside 0..100: 12 years are 60.04 %."""
    assert confidence_pct(np.array([0.0, 12.0, 30.0, 99.0])).tolist() == [100, 60.04, 0.1, 0]


@pytest.mark.parametrize(("rows", "coverage"), [(399, 0.9), (1000, 0.8), (57, 0.95)])
def test_conformal_correction_equals_mapie(rows: int, coverage: float) -> None:
    """MAPIE's conformalised quantile regression, given the same quantiles, moves both ends by the same years."""
    from mapie.regression import ConformalizedQuantileRegressor
    from sklearn.linear_model import QuantileRegressor

    rng = np.random.default_rng(rows)
    x = rng.uniform(0, 10, (3 * rows, 1))
    y = 20 + 3 * x[:, 0] + rng.normal(0, 1 + x[:, 0] / 3)
    low, high, point = (
        QuantileRegressor(quantile=q, alpha=0).fit(x[:rows], y[:rows]) for q in ((1 - coverage) / 2, (1 + coverage) / 2, 0.5)
    )
    mapie = ConformalizedQuantileRegressor([low, high, point], confidence_level=coverage, prefit=True)
    mapie.conformalize(x[rows : 2 * rows], y[rows : 2 * rows])
    _, ends = mapie.predict_interval(x[2 * rows :], symmetric_correction=True)
    held = slice(rows, 2 * rows)
    scores = np.maximum(low.predict(x[held]) - y[held], y[held] - high.predict(x[held]))
    years = conformal_correction(scores, coverage)
    assert ends[:, 0, 0] == pytest.approx(low.predict(x[2 * rows :]) - years)
    assert ends[:, 1, 0] == pytest.approx(high.predict(x[2 * rows :]) + years)


def test_ends_of_the_interval_are_inside() -> None:
    """Somebody whose age is an end of the interval is covered; a year beyond it is not."""
    age, lower, upper = np.array([20, 30, 40, 50]), np.array([20, 25, 41, 45]), np.array([24, 30, 45, 49])
    assert interval_quality(age, lower, upper).coverage == 0.5
    assert weighted_metrics(age, age, lower, upper, np.ones(4))["coverage"] == 0.5
