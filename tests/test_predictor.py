"""Predictions on demand: the published answer, whoever else is asked about in the same call."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from conftest import AS_OF, result_rows
from predict_age.errors import ConfigError, InputError, IntegrityError
from predict_age.kernels import prepare_kernels
from predict_age.models import density_network
from predict_age.models.bundle import MemberOutputs, Predictions
from predict_age.models.withholding import WithholdingRule
from predict_age.predictor.answers import Answers
from predict_age.predictor.loading import load_predictor
from predict_age.predictor.profile_predictor import ProfilePredictor
from predict_age.storage.workspace import Workspace
from test_kernels import a_network

Parts = Callable[[int], list[slice]]


@pytest.fixture(scope="module")
def predictor(finished: tuple[Path, dict[str, Any]]) -> ProfilePredictor:
    return load_predictor(Workspace.existing(finished[0]))


def published(workspace: Path) -> dict[int, tuple[Any, ...]]:
    """Age, percentage, source and both ends of the published people whom no age column tells, by pid."""
    columns = {row[0]: row for row in result_rows(workspace)}
    return {pid: row for pid, row in columns.items() if not str(row[4]).startswith("EXISTING")}


def in_columns(found: Answers) -> list[tuple[Any, ...]]:
    return list(
        zip(
            *(
                found.table()[name].to_pylist()
                for name in ("predicted_age", "confidence_pct", "prediction_source", "age_lower", "age_upper")
            ),
            strict=True,
        )
    )


def groups_of(size: int) -> Parts:
    return lambda n: [slice(first, first + size) for first in range(0, n, size)]


@pytest.mark.parametrize(
    "parts",
    [groups_of(1), groups_of(7), groups_of(65), lambda n: [slice(None, None, -1)]],
    ids=["alone", "by seven", "by 65", "backwards"],
)
def test_answers_are_the_published_ones(
    predictor: ProfilePredictor, finished: tuple[Path, dict[str, Any]], people: Path, parts: Parts
) -> None:
    """Everybody whose age is unknown, asked about alone and in groups; by profile alone, as a caller does."""
    rows = {r["pid"]: r["profile_json"] for r in pq.read_table(people / "people", columns=["pid", "profile_json"]).to_pylist()}
    expected = published(finished[0])
    pids = sorted(expected)[:300]
    assert len(pids) == 300
    assert {expected[pid][4] for pid in pids} >= {"ML_PREDICTION", "WITHHELD"}
    for part in parts(len(pids))[:40]:
        asked = pids[part]
        found = in_columns(predictor.predict([rows[pid] for pid in asked]))
        assert found == [(expected[p][1], expected[p][3], expected[p][4], expected[p][5], expected[p][6]) for p in asked]


def test_forms_of_a_profile_are_one(predictor: ProfilePredictor, people_rows: list[dict[str, Any]]) -> None:
    """Text, UTF-8 and mappings give one answer, and so does the column that a batch reads."""
    profiles = [r["profile_json"] for r in people_rows[:40]] + [{"current_title": "Ingénieur système \U0001f680"}, {}]
    texts = [json.dumps(p, ensure_ascii=False) for p in profiles]
    expected = in_columns(predictor.predict(texts))
    assert in_columns(predictor.predict([t.encode() for t in texts])) == expected
    assert in_columns(predictor.predict(profiles)) == expected
    assert in_columns(predictor.predict([json.dumps(p) for p in profiles])) == expected  # escapes: texts that are not plain


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        (None, "profile_missing"),
        ("", "profile_missing"),
        ("null", "profile_missing"),
        ("{", "profile_malformed"),
        ('{"a": NaN}', "profile_without_features"),
        ('{"a" 1}', "profile_malformed"),
        ("[1]", "profile_not_an_object"),
        ("{}", "profile_without_features"),
        ({"unknown": 1}, "profile_without_features"),
    ],
)
def test_profiles_without_a_prediction(predictor: ProfilePredictor, profile: Any, reason: str) -> None:
    """The default age, no interval, confidence 0, not usable, and the reason: among others and alone."""
    good = {"years_experience": 12, "job_level": "Senior"}
    for asked in ([profile], [good, profile, good]):
        answer = list(predictor.predict(asked).each())[len(asked) // 2]
        assert (answer.predicted_age, answer.age_lower, answer.confidence_pct) == (35, None, 0.0)
        assert (answer.usable, answer.prediction_source, answer.reason) == (False, "DEFAULT", reason)


def test_withheld_people_have_no_number(predictor: ProfilePredictor, people_rows: list[dict[str, Any]]) -> None:
    """A rule that withholds everybody leaves no number in any column."""
    rule = WithholdingRule(99, 0.0)
    strict = ProfilePredictor(predictor.bundle.withholding(rule), predictor.version, predictor.rules)
    found = strict.predict([r["profile_json"] for r in people_rows[:50]])
    assert set(found.source) <= {"WITHHELD", "DEFAULT"}
    for answer in found.each():
        if answer.prediction_source == "WITHHELD":
            assert (answer.predicted_age, answer.age_lower, answer.age_upper, answer.confidence_pct, answer.usable) == (
                None,
            ) * 4 + (False,)


@pytest.mark.parametrize("profile", [b'{"a": "\xff"}', {"a": float("nan")}, {"a": object()}, 7, ["{}"], '{"a": "\ud800"}'])
def test_what_is_no_profile_is_refused_by_place(predictor: ProfilePredictor, profile: Any) -> None:
    with pytest.raises(InputError) as caught:
        predictor.predict(["{}", profile])
    assert "profile 1" in str(caught.value)
    assert "\\xff" not in str(caught.value)


def test_nobody(predictor: ProfilePredictor) -> None:
    assert len(predictor.predict([])) == 0
    assert predictor.predict([]).table().num_rows == 0


def test_models_are_found_by_name(predictor: ProfilePredictor, finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    workspace = Workspace.existing(finished[0])
    assert load_predictor(workspace, predictor.version).version == predictor.version
    assert predictor.rules.as_of == AS_OF
    with pytest.raises(ConfigError):
        load_predictor(workspace, "age-000000000000")
    (tmp_path / "runs").mkdir()
    with pytest.raises(ConfigError) as caught:
        load_predictor(Workspace.existing(tmp_path))
    assert "predict-age run" in str(caught.value)


def test_damaged_models_are_refused(finished: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The model's manifest must be the one that the run's manifest names."""
    workspace = Workspace.existing(finished[0])
    from predict_age.predictor import loading

    honest = loading.verified_run

    def forged(*arguments: Any) -> Any:
        run = honest(*arguments)
        run.files[loading.MODEL_MANIFEST] = "0" * 64
        return run

    monkeypatch.setattr(loading, "verified_run", forged)
    with pytest.raises(IntegrityError):
        loading.load_predictor(workspace)


def equal_bits(one: MemberOutputs | Predictions, other: MemberOutputs | Predictions, fields: tuple[str, ...]) -> bool:
    return all(np.array_equal(getattr(one, f), getattr(other, f), equal_nan=True) for f in fields)


@pytest.mark.parametrize("kernels", [True, False])
def test_members_say_the_same_to_one_row_and_to_many(
    predictor: ProfilePredictor, people_rows: list[dict[str, Any]], kernels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs of all members, to the last bit, before anything is rounded to whole years."""
    prepare_kernels(10**6)
    monkeypatch.setattr("predict_age.kernels.kernel_switch.on", kernels)
    rng = np.random.default_rng(7)
    matrix = rng.normal(20, 30, (700, predictor.bundle.columns)).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.3] = np.nan
    together = predictor.bundle.member_outputs(matrix, all_members=True)
    for rows in (slice(0, 1), slice(37, 38), slice(500, 607), slice(699, 700), slice(1, 600)):
        assert equal_bits(
            predictor.bundle.member_outputs(matrix[rows], all_members=True),
            together.only(np.arange(700)[rows]),
            ("points", "interval_quantiles", "younger"),
        )


def depends_on_neighbours(network: density_network.DensityNetwork, matrix: np.ndarray) -> bool:
    together = network.distribution(matrix)
    return any(
        not np.array_equal(network.distribution(matrix[row : row + 1])[0], together[row]) for row in range(0, len(matrix), 17)
    )


def test_a_sum_in_another_order_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison finds a product that sums a single row backwards, as a library of linear algebra may."""
    network = a_network(np.random.default_rng(3), 32, 60, 20, dense=False)
    matrix = np.random.default_rng(4).normal(0, 2, (200, 3)).astype(np.float32)
    for kernels in (True, False):
        monkeypatch.setattr(density_network, "use_kernels", lambda _, on=kernels: on)
        assert not depends_on_neighbours(network, matrix)
    honest = density_network.ordered_product
    monkeypatch.setattr(
        density_network, "ordered_product", lambda rows, w: honest(rows, w) if len(rows) > 1 else honest(rows[:, ::-1], w[::-1])
    )
    assert depends_on_neighbours(network, matrix)
