"""Models against independent implementations, and the artefact against damage."""

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

from predict_age.config import Config, Training
from predict_age.errors import IntegrityError
from predict_age.features.encode import learn_encoders
from predict_age.features.spec import parse_features
from predict_age.files import sha256
from predict_age.models import artefact
from predict_age.models.boosted import filled, predict_boosted, train_boosted
from predict_age.models.bundle import confidence_pct, train
from predict_age.models.conformal import correction
from predict_age.models.evaluate import by_band, evaluate, point_errors
from predict_age.models.forest import train_forest
from predict_age.models.ridge import train_ridge
from predict_age.steps.training import CALIBRATE, FIT, HELD_OUT, luck, parts

RNG = np.random.default_rng(0)
SMALL = Training(rounds=20, forest_trees=4, forest_depth=5, max_depth=4)
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
    columns = pa.table({"x": pa.array([1.0] * 31), "c": pa.array(["a"] * 20 + ["rare"] + ["b"] * 10)})
    age = np.array([30.0] * 20 + [90.0] + [60.0] * 10, np.float32)
    mean = age.mean()
    made = learn_encoders(FEATURES, columns, age)
    assert set(made.categories["c"]) == {"a", "b"}
    assert made.categories["c"]["a"] == pytest.approx((600 + 20 * mean) / 40)
    new = pa.table({"x": pa.array([2.0, None, 3.0]), "c": pa.array(["a", "new", None])})
    matrix = made.encode(new)
    assert matrix.dtype == np.float32
    assert matrix[0].tolist() == pytest.approx([2.0, made.categories["c"]["a"]])
    assert np.isnan(matrix[1, 0])
    assert matrix[1, 1] == pytest.approx(mean)
    assert np.isnan(matrix[2, 1])
    assert made.unseen(new) == {"c": 1}


def test_ridge_equals_scikit_learn() -> None:
    """On complete data it is the ridge of standardised columns."""
    x = RNG.normal(size=(200, 3)).astype(np.float32) * [1, 10, 100]
    y = (x @ [1, 0.2, 0.01] + 40).astype(np.float32)
    ours = train_ridge(x.astype(np.float32), y, np.zeros(3))
    theirs = make_pipeline(StandardScaler(), Ridge(alpha=1.0)).fit(x, y)
    assert np.allclose(ours.predict(x.astype(np.float32)), theirs.predict(x), atol=1e-4)


def test_forest_equals_its_definition() -> None:
    """Quantiles equal a direct evaluation of Meinshausen's weights, tree by tree and training row by training row."""
    x = RNG.normal(size=(400, 3)).astype(np.float32)
    x[RNG.random(x.shape) < 0.2] = np.nan
    age = np.clip(np.round(40 + 8 * np.nan_to_num(x[:, 0]) + RNG.normal(size=400) * 3), 14, 100).astype(np.float32)
    forest = train_forest(x, age, 14, 100, SMALL, 1)
    new = np.concatenate([x[:20], np.full((1, 3), np.nan, np.float32), np.full((1, 3), 1e9, np.float32)])
    train_nodes = forest.trees.predict(xgboost.DMatrix(filled(x)), pred_leaf=True)
    nodes = forest.trees.predict(xgboost.DMatrix(filled(new)), pred_leaf=True)
    found = forest.quantiles(new, (0.05, 0.5, 0.95))
    for i in range(len(new)):
        weights = np.mean([(train_nodes[:, t] == nodes[i, t]) / (train_nodes[:, t] == nodes[i, t]).sum() for t in range(4)], axis=0)
        shares = np.bincount(age.astype(int), weights, minlength=101)
        grid = np.arange(-0.5, 101)  # share of age a is spread over a - 0.5 .. a + 0.5
        for k, level in enumerate((0.05, 0.5, 0.95)):
            cumulative = np.concatenate([[0], np.cumsum(shares)])
            at = np.interp(found[i, k], grid, cumulative)
            assert at == pytest.approx(level, abs=2e-5)  # float32 shares, and the tolerance at a step
    assert np.all(np.diff(found, axis=1) >= 0)
    assert forest.quantiles(new[:0], (0.5,)).shape == (0, 1)


def test_boosted_is_deterministic_and_handles_few_rows() -> None:
    """The same rows and seed give the same predictions; single rows equal the batch; no rows give none."""
    x = RNG.normal(size=(500, 4)).astype(np.float32)
    x[::3, 0] = np.nan
    y = (40 + np.nan_to_num(x).sum(axis=1)).astype(np.float32)
    a, b = (train_boosted(x, y, list("abcd"), SMALL, 1) for _ in range(2))
    assert np.array_equal(predict_boosted(a, x), predict_boosted(b, x))
    assert np.array_equal(np.concatenate([predict_boosted(a, x[i : i + 1]) for i in range(20)]), predict_boosted(a, x[:20]))
    assert predict_boosted(a, x[:0]).shape == (0,)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 60)), min_size=1, max_size=60),
    st.sampled_from([0.5, 0.8, 0.9]),
)
def test_conformal_correction_is_the_smallest_that_covers(rows: list[tuple[int, int, int]], coverage: float) -> None:
    """With the correction at least ceil((n + 1) c) of n rows are inside; with any less, fewer."""
    lower, upper, age = (np.array(c, float) for c in zip(*[(min(a, b), max(a, b), y) for a, b, y in rows], strict=True))
    widen = correction(lower, upper, age, coverage)
    needed = min(int(np.ceil((len(rows) + 1) * coverage)), len(rows))
    assert np.sum((lower - widen <= age) & (age <= upper + widen)) >= needed
    assert np.sum((lower - widen + 1e-6 <= age) & (age <= upper + widen - 1e-6)) < needed


def test_conformal_coverage_on_new_people() -> None:
    """Over 200 draws of 500 calibration rows, coverage of new rows averages 90 %, within 4 standard errors."""
    covered = []
    for _ in range(200):
        y = RNG.normal(size=1500)
        widen = correction(np.full(500, -0.3), np.full(500, 0.5), y[:500], 0.9)
        covered.append(np.mean((y[500:] >= -0.3 - widen) & (y[500:] <= 0.5 + widen)))
    assert abs(np.mean(covered) - 0.9) < 4 * np.std(covered) / np.sqrt(200) + 1 / 501


def test_metrics_equal_scikit_learn() -> None:
    """mae, rmse, r2 by the library; bias and coverage by hand; bands add up."""
    y = RNG.integers(18, 80, 300).astype(float)
    p = y + RNG.normal(size=300) * 5
    found = evaluate(y, p, p - 5, p + 5)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(y, p))
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(y, p))
    assert found["r2"] == pytest.approx(metrics.r2_score(y, p))
    assert found["bias"] == pytest.approx(np.mean(p - y))
    assert found["coverage"] == pytest.approx(np.mean(np.abs(p - y) <= 5))
    bands = by_band(y, p, p - 5, p + 5)
    assert sum(b["rows"] for b in bands) == 300
    assert sum(b["rows"] * b["mae"] for b in bands) / 300 == pytest.approx(found["mae"])
    assert np.isnan(point_errors(y[:0], p[:0])["mae"])


def test_luck_and_parts() -> None:
    """Luck is uniform, fixed by the seed, the same in any order; parts have their shares and do not follow the sample."""
    pids = RNG.integers(-(2**62), 2**62, 100_000)
    u = luck(pids, 7)
    assert np.array_equal(u[::-1], luck(pids[::-1], 7))
    assert not np.array_equal(u, luck(pids, 8))
    assert np.abs(np.histogram(u, 20, (0, 1))[0] / 5000 - 1).max() < 0.08  # 5.6 standard deviations of 5,000
    for chosen in (u < 2, u < 0.05):
        part = parts(u[chosen], 0.2, 0.1)
        shares = [np.mean(part == k) for k in (FIT, CALIBRATE, HELD_OUT)]
        assert np.allclose(shares, [0.7, 0.1, 0.2], atol=0.03)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table]:
    """A small trained artefact."""
    columns, age = data(1500)
    config = Config(training=SMALL)
    part = parts(luck(np.arange(1500), 7), 0.2, 0.1)
    bundle, _ = train(FEATURES, columns, age, part, config, 1)
    folder = tmp_path_factory.mktemp("model") / "model"
    artefact.save(bundle, folder, {"trained_at": "now"})
    return folder, columns


def load(folder: Path) -> tuple[Any, str]:
    """Load with the manifest's hash as it lies there: what is damaged below it must still be noticed."""
    return artefact.load(folder, sha256(folder / "manifest.json"))


def test_artefact_round_trip(saved: tuple[Path, pa.Table]) -> None:
    """Loaded models predict what the saved ones do; points lie inside ends, ends inside the window."""
    folder, columns = saved
    artefact.load.cache_clear()
    bundle, version = load(folder)
    assert version.startswith("xgb-")
    made = bundle.predict(bundle.encoders.encode(columns))
    assert np.all((made.lower <= made.age) & (made.age <= made.upper))
    assert made.lower.min() >= 14
    assert made.upper.max() <= 100
    assert bundle.predict(np.empty((0, 2), np.float32)).age.shape == (0,)


def test_retraining_gives_the_same_version(saved: tuple[Path, pa.Table], tmp_path: Path) -> None:
    """The version is a fingerprint of the content: saving the loaded bundle again gives it again."""
    artefact.load.cache_clear()
    bundle, version = load(saved[0])
    assert artefact.save(bundle, tmp_path, {}) == version


@pytest.mark.parametrize("name", artefact.FILES)
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
    assert {p.name for p in saved[0].iterdir()} == {*artefact.FILES, "manifest.json"}
    assert not any(p.read_bytes()[:1] == b"\x80" for p in saved[0].iterdir())


def test_confidence_pct_is_the_documents() -> None:
    """100 - 3.33 for each year, inside 0..100: 12 years are 60.04 %."""
    assert confidence_pct(np.array([0.0, 12.0, 30.0, 99.0])).tolist() == pytest.approx([100, 60.04, 0.1, 0])
