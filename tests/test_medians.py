"""Boosting by our medians against XGBoost's own absolute error."""

from __future__ import annotations

from concurrent.futures import CancelledError
from threading import Event

import numpy as np
import pytest
import xgboost
from hypothesis import example, given, settings
from hypothesis import strategies as st

from predict_age.config import TrainingConfig
from predict_age.kernels import kernel_switch
from predict_age.models.l1_boosting import leaf_medians, train_l1_booster
from predict_age.models.training_threads import TrainingThreads
from predict_age.models.tree_ensembles.xgboost_trees import parse_xgboost_trees
from predict_age.models.xgb_model import MIN_ROWS_FOR_OWN_MEDIANS, XGBoostModel, fill_missing, train_xgboost
from test_trees import NAMES, people

pytestmark = pytest.mark.xdist_group("medians")  # a kernel that is new is compiled once
PARAMETERS = {
    "tree_method": "hist",
    "max_bin": 128,
    "max_depth": 6,
    "learning_rate": 0.06,
    "min_child_weight": 5,
    "colsample_bytree": 0.8,
    "seed": 7,
    "nthread": 1,
}


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("depth", [1, 6, 11])
def test_trees_are_those_of_xgboosts_absolute_error(monkeypatch: pytest.MonkeyPatch, kernels: bool, depth: int) -> None:
    """Without a draw of rows, whose luck is XGBoost's own: each split, each leaf and each prediction, to the last bit."""
    monkeypatch.setattr(kernel_switch, "on", kernels)
    x, y = people(3, 6000)
    x, parameters = fill_missing(x), {**PARAMETERS, "max_depth": depth}
    unseen = people(4, 500)
    ours = train_l1_booster((x, y), None, parameters, 40, 10, NAMES, 1.0)
    data = xgboost.QuantileDMatrix(x, y, feature_names=NAMES, max_bin=128, nthread=1)
    theirs = xgboost.train({**parameters, "objective": "reg:absoluteerror"}, data, 40)
    (mine, my_base), (other, base) = (parse_xgboost_trees(XGBoostModel.of(b).model) for b in (ours, theirs))
    assert my_base == base
    assert len(mine) == len(other) == 40
    for a, b in zip(mine, other, strict=True):
        assert a == b
    new = fill_missing(unseen[0])
    assert np.array_equal(ours.inplace_predict(new), theirs.inplace_predict(new))


def test_it_stops_where_xgboost_would_and_keeps_the_best() -> None:
    """Unseen rows decide: as many trees as XGBoost's own early stopping keeps, and the predictions are those of the best round."""
    x, y = people(5, 3000)
    x, noise = fill_missing(x), np.random.default_rng(2)
    unseen = fill_missing(people(6, 900)[0]), np.round(40 + 12 * noise.standard_normal(900)).astype(np.float32)
    parameters = {**PARAMETERS, "learning_rate": 0.5}
    ours = train_l1_booster((x, y), unseen, parameters, 200, 6, NAMES, 1.0)
    data = xgboost.QuantileDMatrix(x, y, feature_names=NAMES, max_bin=128, nthread=1)
    judge = xgboost.QuantileDMatrix(*unseen, feature_names=NAMES, max_bin=128, nthread=1, ref=data)
    told = {**parameters, "objective": "reg:absoluteerror", "eval_metric": "mae"}
    theirs = xgboost.train(told, data, 200, evals=[(judge, "unseen")], early_stopping_rounds=6, verbose_eval=False)
    assert ours.num_boosted_rounds() == theirs.best_iteration + 1 < 200
    assert np.array_equal(ours.inplace_predict(x), theirs[: theirs.best_iteration + 1].inplace_predict(x))


def both_ways(leaf: np.ndarray, values: np.ndarray, drawn: np.ndarray, nodes: int) -> list[np.ndarray]:
    """Medians without kernels and by them."""
    made = []
    with pytest.MonkeyPatch.context() as patch:
        for kernels in (False, True):
            patch.setattr(kernel_switch, "on", kernels)
            made.append(leaf_medians(leaf, values, drawn, nodes))
    return made


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.floats(-60, 60, width=32) | st.sampled_from([0.0, -0.0, 1.0]), st.booleans()), max_size=300
    )
)
@example([(0, 31.91110610961914, True), (0, -33.0, True)])
@settings(max_examples=200, deadline=None)
def test_medians_are_numpys(rows: list[tuple[int, float, bool]]) -> None:
    """By kernel and without: the median of what was drawn of each leaf, 0 of none; up to the last bit of two in the middle."""
    leaf = np.array([row[0] for row in rows], np.uint16)
    values = np.array([row[1] for row in rows], np.float32)
    drawn = np.array([row[2] for row in rows], np.bool_)
    made = both_ways(leaf, values, drawn, 6)
    assert np.array_equal(*made)
    for number in range(6):
        mine = values[(leaf == number) & drawn].astype(np.float64)
        # Half the difference of the two in the middle is added in float32: its rounding is that of the larger sum.
        rounding = float(np.spacing(np.float32(2 * np.abs(mine).max(initial=0.0))))
        assert made[0][number] == pytest.approx(np.median(mine) if len(mine) else 0.0, rel=1e-6, abs=rounding)


def test_many_values_are_halved_as_sorted() -> None:
    """Leaves of more rows than are sorted outright, with many ties."""
    rng = np.random.default_rng(8)
    leaf = rng.integers(0, 7, 50_000).astype(np.uint16)
    values = np.round(rng.standard_normal(50_000), 1).astype(np.float32)
    drawn = rng.random(50_000) < 0.8
    made = both_ways(leaf, values, drawn, 7)
    assert np.array_equal(*made)
    assert np.array_equal(made[0], [np.median(values[(leaf == n) & drawn]) for n in range(7)])


@pytest.mark.parametrize("rows", [MIN_ROWS_FOR_OWN_MEDIANS - 1, MIN_ROWS_FOR_OWN_MEDIANS])
def test_threads_kernels_and_the_file_change_nothing(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """The same bytes by one thread and by two, by kernels and without; XGBoost alone where there are few rows."""
    x, y = people(9, rows)
    few = TrainingConfig(rounds=25, min_leaf_rows=3)
    made = set()
    for kernels in (True, False):
        monkeypatch.setattr(kernel_switch, "on", kernels)
        made |= {train_xgboost(x, y, NAMES, few, threads, (x[:400], y[:400])).content for threads in (1, 2)}
    (content,) = made
    assert XGBoostModel(content).booster.num_boosted_rounds() == 25
    assert np.abs(XGBoostModel(content).predict(x) - y).mean() < 0.6 * np.abs(np.median(y) - y).mean()


def test_a_seed_draws_the_rows_that_decide() -> None:
    """Other trees from a part of the rows than from all, and from another seed's part."""
    x, y = people(10, 2000)
    x = fill_missing(x)
    whole, part, other = (
        parse_xgboost_trees(
            XGBoostModel.of(train_l1_booster((x, y), None, {**PARAMETERS, "seed": seed}, 3, 9, NAMES, share)).model
        )[0]
        for seed, share in ((7, 1.0), (7, 0.5), (8, 0.5))
    )
    assert whole != part != other


def test_nobody_learns_on_when_another_has_failed() -> None:
    """An error inside stops those at work at their next round, and what has not begun never does."""
    begun = Event()
    done: list[str] = []

    def learn(stopped: Event) -> None:
        x, y = people(3, 6000)
        begun.set()
        train_l1_booster((fill_missing(x), y), None, PARAMETERS, 100_000, 10, NAMES, 1.0, stopped)
        done.append("learned all rounds")

    with pytest.raises(RuntimeError, match="of another"), TrainingThreads(1) as lanes:
        at_work = lanes.submit(learn, lanes.cancelled)
        waiting = lanes.submit(done.append, "begun")
        assert begun.wait(60)
        raise RuntimeError("of another")
    assert isinstance(at_work.exception(), CancelledError)
    assert waiting.cancelled()
    assert not done
