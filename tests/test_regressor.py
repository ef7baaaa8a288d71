"""The scikit-learn estimator: scikit-learn's own checks, honest intervals, answers that depend on nothing but the rows."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pandas
import pytest
from sklearn.utils.estimator_checks import check_estimator

from predict_age import AgeRegressor

SMALL = {"rounds": 20, "networks": 1, "passes": 3}


def rows(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns (n, 5), a tenth of the values missing, and ages (n,)."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))
    age = np.clip(np.floor(40 + 9 * X[:, 0] + 4 * X[:, 1] + rng.normal(size=n) * 3), 18, 90)
    X[rng.random(X.shape) < 0.1] = np.nan
    return X, age


@pytest.fixture(scope="module")
def fitted() -> AgeRegressor:
    return AgeRegressor(**SMALL).fit(*rows(1500, 1))


def test_scikit_learns_own_checks() -> None:
    checks = check_estimator(AgeRegressor(rounds=3, networks=1, passes=1), on_fail=None, on_skip=None)
    assert [c["check_name"] for c in checks if c["status"] not in ("passed", "skipped")] == []
    assert len([c for c in checks if c["status"] == "passed"]) > 50


def test_interval_covers_new_rows_and_prediction_beats_the_median(fitted: AgeRegressor) -> None:
    X, age = rows(3000, 2)
    lower, upper = fitted.predict_interval(X).T
    assert 0.87 < ((lower <= age) & (age <= upper)).mean() < 0.94
    assert (np.floor(lower) == lower).all()
    assert np.abs(fitted.predict(X) - age).mean() < 0.7 * np.abs(np.median(age) - age).mean()


def test_other_units_are_covered_too() -> None:
    X, age = rows(1500, 3)
    model = AgeRegressor(**SMALL).fit(X, age * 1000.0 - 5e5)
    X, age = rows(2000, 4)
    lower, upper = model.predict_interval(X).T
    target = age * 1000.0 - 5e5
    assert 0.87 < ((lower <= target) & (target <= upper)).mean() < 0.95


def test_order_of_rows_changes_nothing(fitted: AgeRegressor) -> None:
    X, age = rows(1500, 1)
    turned = AgeRegressor(**SMALL).fit(X[::-1], age[::-1])
    new = rows(200, 5)[0]
    assert (turned.predict(new) == fitted.predict(new)).all()
    assert (turned.predict_interval(new) == fitted.predict_interval(new)).all()
    assert (AgeRegressor(**SMALL, random_state=8).fit(X, age).predict(new) != fitted.predict(new)).any()


def test_weights_move_the_answer() -> None:
    X, age = rows(600, 6)
    heavy = AgeRegressor(**SMALL).fit(X, age, sample_weight=np.where(age > 45, 3.5, 0.5))
    assert heavy.predict(X).mean() > AgeRegressor(**SMALL).fit(X, age).predict(X).mean() + 1


def test_the_package_does_not_need_scikit_learn() -> None:
    script = "import sys; sys.modules['sklearn'] = None; import predict_age; predict_age.load; print('fine')"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60).stdout == "fine\n"


SECRETS = ("Zq7 secret", b"Zq7 secret", 'it\'s "Zq7"', 918273645.5, complex(918273645.5, 1.0))
PLACES = (
    "cell",
    "column",
    "row alone",
    "number alone",
    "target",
    "targets",
    "weight",
    "asked cell",
    "asked interval",
    "asked row",
    "scored",
)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("secret", SECRETS, ids=["text", "bytes", "quoted", "number", "complex"])
def test_errors_show_no_value(place: str, secret: object, fitted: AgeRegressor) -> None:
    """Whatever stands in the place of a matrix of numbers, the error says the kind of mistake and nobody's value."""
    rows: list[list[object]] = [[20.0 + n, 1.0, 2.0] for n in range(12)]
    ages: list[object] = [float(20 + n) for n in range(12)]
    given: Any = {
        "cell": lambda: AgeRegressor().fit([[secret, 1.0, "x"], *rows[1:]], ages),
        "column": lambda: AgeRegressor().fit(pandas.DataFrame({"a": [secret] * 12, "b": range(12)}), [*ages[1:], "x"]),
        "row alone": lambda: AgeRegressor().fit([secret] * 12, ages),
        "number alone": lambda: AgeRegressor().fit(secret, ages),
        "target": lambda: AgeRegressor().fit(rows, [secret, *ages[2:]]),
        "targets": lambda: AgeRegressor().fit(rows, [[secret, 1.0]] * 12),
        "weight": lambda: AgeRegressor().fit(rows, ages, [secret, *ages[2:]]),
        "asked cell": lambda: fitted.predict([[secret, "x", 2.0]]),
        "asked interval": lambda: fitted.predict_interval([[secret, "x", 2.0]]),
        "asked row": lambda: fitted.predict([secret] * 3),
        "scored": lambda: fitted.score(rows, [secret, "x"]),
    }[place]
    with pytest.raises((ValueError, TypeError)) as error:
        given()
    said = str(error.value)
    assert "Zq7" not in said and "918273645" not in said and "9.18" not in said


def test_a_missing_target_is_an_error() -> None:
    """None among the targets is as NaN."""
    with pytest.raises(ValueError, match="Input y contains NaN"):
        AgeRegressor().fit([[1.0], [2.0], [3.0]], [20.0, None, 30.0])  # type: ignore[list-item]
