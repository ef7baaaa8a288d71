"""Reasons: they add up to the published age and width, agree with an enumeration, and nobody who has no number has any."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import predict_age as pa
from conftest import AS_OF, result_rows
from predict_age.errors import ConfigError
from predict_age.features.spec import default_text, parse_features
from predict_age.kernels import prepare_kernels
from predict_age.models.withholding import WithholdingRule
from predict_age.predictor.loading import load_predictor
from predict_age.predictor.profile_predictor import ProfilePredictor
from predict_age.predictor.reasons import BASE, EXACT_FEATURES, ROUNDING, feature_shares
from predict_age.storage.workspace import Workspace

FEW = {"years_experience": 12, "job_level": "Senior", "current_title": "Head of Data", "skills": ["a", "b"]}


@pytest.fixture(scope="module")
def predictor(finished: tuple[Path, dict[str, Any]]) -> ProfilePredictor:
    prepare_kernels(10**6)
    return load_predictor(Workspace.existing(finished[0]))


@pytest.fixture(scope="module")
def profiles(people: Path) -> list[str]:
    rows = pq.read_table(people / "people", columns=["profile_json"])["profile_json"].to_pylist()
    return [text for text in rows if (text or "").startswith("{")][:40]


def test_reasons_add_up(predictor: ProfilePredictor, profiles: list[str]) -> None:
    """To the thousandth, for profiles of few and of many features; rounding is that of whole years."""
    asked = [json.dumps(FEW), *profiles[:6]]
    answers = list(predictor.predict(asked).each())
    methods = set()
    for answer, found in zip(answers, predictor.reasons(asked), strict=True):
        if answer.predicted_age is None or answer.age_lower is None or answer.age_upper is None:
            assert found is None
            continue
        assert found is not None
        exact = len(found.reasons) <= EXACT_FEATURES
        methods.add(exact)
        assert found.base_age + sum(r.years for r in found.reasons) + found.rounding == pytest.approx(
            answer.predicted_age, abs=1e-6
        )
        width = answer.age_upper - answer.age_lower
        assert found.base_width + sum(r.width_years for r in found.reasons) + found.width_rounding == pytest.approx(width, abs=1e-6)
        assert abs(found.rounding) <= 0.52 and abs(found.width_rounding) <= 12
        assert [abs(r.years) for r in found.reasons] == sorted((abs(r.years) for r in found.reasons), reverse=True)
        assert all(r.sentence().startswith(f"The model used {r.feature} (") for r in found.reasons)
        assert exact == all(r.standard_error == 0 for r in found.reasons)
        assert found.sets == 2 ** len(found.reasons) if exact else 300 < found.sets < 1000
    assert methods == {True, False}
    assert predictor.reasons(asked[:2]) == predictor.reasons(asked[:2])


def test_enumeration_is_the_mean_over_all_orders(predictor: ProfilePredictor) -> None:
    """Against the definition: the mean of what a feature adds in every order, and against weights of sets."""
    row = predictor.read(pa_column([json.dumps(FEW)])).matrix[0]
    known = [i for i in range(len(predictor.bundle.features.names)) if not np.isnan(row[i])]
    assert len(known) == 4
    value = {}
    for size in range(5):
        for kept in combinations(known, size):
            partly = json.dumps({key: FEW[key] for key, i in zip(FEW, order_of(predictor), strict=True) if i in kept})
            outputs = predictor.bundle.member_outputs(predictor.read(pa_column([partly])).matrix)
            value[kept] = float(predictor.bundle.ensemble.point_age(outputs)[0])
    wanted = dict.fromkeys(known, 0.0)
    for order in permutations(known):
        for n, feature in enumerate(order):
            wanted[feature] += (value[tuple(sorted(order[: n + 1]))] - value[tuple(sorted(order[:n]))]) / 24
    shares = feature_shares(predictor.bundle, row, known)
    assert shares.values[:, 0].tolist() == pytest.approx([wanted[i] for i in known], abs=1e-4)
    assert shares.base[0] == pytest.approx(value[()], abs=1e-6) and not shares.standard_errors.any()


def order_of(predictor: ProfilePredictor) -> list[int]:
    """Numbers of the features of FEW, in its order."""
    names = predictor.bundle.features.names
    return [names.index(name) for name in ("years_experience", "job_level", "title_seniority", "skills_count")]


def pa_column(texts: list[str]) -> Any:
    import pyarrow

    return pyarrow.chunked_array([pyarrow.array(texts)])


def test_drawn_sets_come_near_to_the_enumeration(predictor: ProfilePredictor, profiles: list[str]) -> None:
    """Twelve features are known; the error stays within what the standard errors say, and below a third of a year in most cases."""
    matrix = predictor.read(pa_column(profiles[:12])).matrix
    errors, scores = [], []
    for row in matrix:
        known = [i for i in range(len(predictor.bundle.features.names)) if not np.isnan(row[i])][:12]
        partly = row.copy()
        partly[[i for i in range(len(predictor.bundle.features.names)) if i not in known]] = np.nan
        partly[len(predictor.bundle.features.names) :] = 0
        exact, drawn = (feature_shares(predictor.bundle, partly, known, limit) for limit in (12, 0))
        assert drawn.values.sum(axis=0) == pytest.approx(exact.values.sum(axis=0), abs=1e-6)
        error = np.abs(drawn.values - exact.values)[:, 0]
        errors += error.tolist()
        scores += (error / np.maximum(drawn.standard_errors, 0.01)).tolist()
    assert np.quantile(errors, 0.95) <= 0.3
    assert np.quantile(scores, 0.9) <= 3


def test_nobody_without_a_number_has_reasons(predictor: ProfilePredictor, profiles: list[str]) -> None:
    nobody = [None, "{", "[]", "{}", '{"unknown": 1}']
    assert predictor.reasons(nobody) == [None] * 5
    everybody = ProfilePredictor(predictor.bundle.withholding(WithholdingRule(18, 0.0)), predictor.version, predictor.rules)
    assert everybody.reasons(profiles[:3]) == [None] * 3


@pytest.mark.parametrize("name", ["gender", "religion", "birth_year", "age"])
def test_protected_attributes_cannot_be_reasons(name: str) -> None:
    """No model has them: a feature file that names one is refused."""
    with pytest.raises(ConfigError):
        parse_features(default_text().replace("features.team_size", f"features.{name}"), "t")


def test_reasons_in_python(finished: tuple[Path, dict[str, Any]], predictor: ProfilePredictor, people: Path) -> None:
    """A table whose sums are the answers; withheld people and people without features are not in it."""
    model = pa.load(finished[0])
    withheld = next(r[0] for r in result_rows(finished[0]) if r[4] == "WITHHELD")
    rows = pq.read_table(people / "people", columns=["pid", "profile_json"]).to_pylist()
    given = [*rows[:3], *(r for r in rows if r["pid"] == withheld), {"pid": 5, "profile_json": "{}"}]
    made, table = model.predict(given).to_pylist(), model.explain(given)
    assert table.column_names[:3] == ["pid", "person", "feature"]
    for number, answer in enumerate(made):
        mine = [r for r in table.to_pylist() if r["person"] == number]
        assert bool(mine) == (answer["prediction_source"] == "ML_PREDICTION")
        if mine:
            assert sum(r["years"] for r in mine) == pytest.approx(answer["predicted_age"], abs=1e-6)
            assert sum(r["width_years"] for r in mine) == pytest.approx(answer["confidence_score"], abs=1e-6)
            assert (mine[0]["feature"], mine[-1]["feature"], mine[0]["pid"]) == (BASE, ROUNDING, answer["pid"])
    later = model.explain([FEW], as_of=AS_OF.replace(year=AS_OF.year + 1))
    assert "pid" not in later.column_names and later.num_rows == 6
    assert replace(predictor.rules, as_of=AS_OF) == predictor.rules
