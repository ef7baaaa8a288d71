"""The reader of XGBoost's binary models against XGBoost's own JSON; broken bytes are refused, whatever they are."""

from __future__ import annotations

import json
import math
from functools import cache

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from predict_age.errors import IntegrityError
from predict_age.models.tree_ensembles.ubjson import UBJSONError, read, read_path
from predict_age.models.xgb_model import XGBoostModel


@cache
def booster(rounds: int = 3) -> xgboost.Booster:
    """A small model with unknown values and named features."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 3)).astype(np.float32)
    x[rng.random(x.shape) < 0.2] = np.nan
    data = xgboost.QuantileDMatrix(x, np.nansum(x, axis=1), feature_names=["a", "höhe", "c"])
    return xgboost.train({"max_depth": 4}, data, rounds)


def same(found: object, expected: object) -> bool:
    """Equal, with arrays for lists of numbers, and numbers of 32 bits for what JSON writes in full."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and found.keys() == expected.keys() and all(same(found[k], expected[k]) for k in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(same(a, b) for a, b in zip(list(found), expected, strict=True))  # type: ignore[call-overload, arg-type]
    if isinstance(expected, float):
        return isinstance(found, float | np.floating) and math.isclose(found, expected, rel_tol=1e-7, abs_tol=1e-30)
    return bool(found == expected)


@pytest.mark.parametrize("rounds", [1, 3, 20])
def test_reads_what_xgboost_writes(rounds: int) -> None:
    """Every key and every number of the model, and the limits of splits to the last bit."""
    model = booster(rounds)
    found, expected = read(bytes(model.save_raw("ubj"))), json.loads(bytes(model.save_raw("json")))
    assert same(found, expected)
    for mine, theirs in zip(*(m["learner"]["gradient_booster"]["model"]["trees"] for m in (found, expected)), strict=True):
        assert np.array_equal(mine["split_conditions"], np.array(theirs["split_conditions"], np.float32))
    content = bytes(model.save_raw("ubj"))
    assert read_path(content, "learner", "learner_model_param", "num_feature") == "3"
    assert read_path(content[: content.index(b"gradient_booster")], "learner", "feature_names") == model.feature_names
    for path in (("learner", "nothing"), ("learner", "feature_names", "a")):
        with pytest.raises(UBJSONError):
            read_path(content, *path)
    made = XGBoostModel.of(model)
    assert made.feature_names == model.feature_names and made.rounds == model.num_boosted_rounds() == rounds


def test_comparison_can_fail() -> None:
    """``same`` tells a changed number, key and length."""
    expected = json.loads(bytes(booster().save_raw("json")))
    changed = [
        lambda m: m["learner"]["learner_model_param"].update(base_score="[1]"),
        lambda m: m["learner"]["feature_names"].pop(),
        lambda m: m["learner"]["gradient_booster"]["model"]["trees"][2]["split_conditions"].__setitem__(0, 0.5),
    ]
    for change in changed:
        found = json.loads(json.dumps(expected))
        assert same(found, expected)
        change(found)
        assert not same(found, expected)


@settings(deadline=None)
@given(st.data())
def test_broken_models_are_refused(data: st.DataObject) -> None:
    """Cut anywhere: refused. A byte changed anywhere: refused, or some value; never another error, never a hang."""
    content = bytes(booster().save_raw("ubj"))
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(UBJSONError):
        read(content[:cut])
    with pytest.raises(UBJSONError):
        read(content + b"Z")
    with pytest.raises(IntegrityError):
        _ = XGBoostModel(content[:cut]).model
    at, value = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 255))
    try:
        read(content[:at] + bytes([value]) + content[at + 1 :])
    except UBJSONError:
        return


@pytest.mark.parametrize(
    "content",
    [b"", b"[" * 5000, b"{", b"[#L\xff\xff\xff\xff\xff\xff\xff\xff", b"[$l#L\x7f" + b"\xff" * 7, b"[$Q#U\x01a", b"H", b"Si\xff"],
)
def test_odd_bytes(content: bytes) -> None:
    """Nothing, endless nesting, negative and absurd lengths, unknown kinds."""
    with pytest.raises(UBJSONError):
        read(content)
