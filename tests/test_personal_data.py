"""Nothing personal outside tables: no single person in the report, the model, the card, the records, a crash file."""

from __future__ import annotations

import json
import re
import tempfile
import traceback
from dataclasses import asdict, replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import AS_OF, cli
from faults import call
from personal_traces import Needles, traces
from predict_age.config import DriftConfig, TrainingConfig
from predict_age.errors import ConfigError
from predict_age.evaluation.drift.sketch import SketchBuilder, text_key
from predict_age.evaluation.drift.state import compare_states, drift_state, without_small_groups
from predict_age.evaluation.model_card.groups import metrics_by_group
from predict_age.features.encode import Encoders, fit_encoders
from predict_age.features.spec import parse_features
from predict_age.models.age_cells import age_cells, without_single_ages
from predict_age.models.bundle import Predictions
from predict_age.models.held_out import HeldOutPredictions
from predict_age.models.lgbm_model import train_lightgbm
from predict_age.models.metrics import AGE_BANDS, confidence_sentence, errors_by_confidence, metrics_by_band
from predict_age.query.tables import _explained
from predict_age.records.json_fields import as_json, from_json
from predict_age.records.model_quality import Metrics
from predict_age.runtime.crash_file import described
from predict_age.runtime.worker_pool import Pool
from predict_age.source.value_form import without_values
from predict_age.storage.workspace import Workspace
from predict_age.tally import fold_small_counts, fold_tails, pooled

CATEGORY = """format = 1

[features.c]
kind = "category"
path = "c"
meaning = "A text."
"""

AGES = st.lists(st.tuples(st.integers(0, 120), st.integers(18, 90)), max_size=400)


@given(AGES)
def test_cells_of_ages_hold_twenty_people_each_and_everybody_once(people: list[tuple[int, int]]) -> None:
    true, predicted = (np.array([p[side] for p in people], np.int64) for side in (0, 1))
    cells = age_cells(true, predicted)
    assert all(c.people >= 20 for c in cells)
    assert sum(c.people for c in cells) == (len(people) if len(people) >= 20 else 0)
    for person in people if cells else []:
        inside = [c for c in cells if c.true[0] <= person[0] <= c.true[1] and c.predicted[0] <= person[1] <= c.predicted[1]]
        assert len(inside) == 1
    for cell in cells:
        found = (
            (true >= cell.true[0]) & (true <= cell.true[1]) & (predicted >= cell.predicted[0]) & (predicted <= cell.predicted[1])
        )
        assert int(found.sum()) == cell.people


def test_means_of_bands_and_of_confidence_are_those_of_20_people_at_least() -> None:
    """Small bands join a neighbour, so that nothing follows by subtraction; small steps of confidence, and what they leave, go."""
    sizes = {20: 3, 30: 60, 40: 7, 50: 0, 60: 30, 80: 2}
    true = np.repeat(list(sizes), list(sizes.values())).astype(float)
    width = np.where(true == 40, 2.0, np.where(true == 60, 12.0, 20.0))  # 93, 60 and 33 %
    made = Predictions(true.astype(np.int32), true - width / 2, true + width / 2, np.zeros(len(true), np.bool_))
    bands = metrics_by_band(true, made.age, made.lower, made.upper)
    assert [(band.band, band.rows) for band in bands] == [("under 35", 63), ("35 and over", 39)]
    steps = errors_by_confidence(made, true)
    assert [(step.low, step.rows) for step in steps] == [(30, 65)], "7 people are left over: the step of 30 goes, too"
    assert confidence_sentence(steps).startswith("Too few people")
    few = slice(0, 19)
    assert metrics_by_band(true[few], made.age[few], made.lower[few], made.upper[few]) == []
    assert errors_by_confidence(made.only(np.arange(19)), true[few]) == []
    assert metrics_by_band(true[:20], made.age[:20], made.lower[:20], made.upper[:20])[0].band == "under 35"


def test_a_boosted_model_has_nobodys_extreme_value() -> None:
    """LightGBM writes the range of each feature; it predicts the same without."""
    dice = np.random.default_rng(2)
    matrix = dice.normal(size=(500, 2)).astype(np.float32)
    matrix[7, 0] = 1234.5
    model = train_lightgbm(matrix, (40 + 5 * matrix[:, 1]).astype(np.float32), ["a", "b"], TrainingConfig(light_rounds=5), 1)
    assert "\nfeature_infos=none none\n" in model.text and "1234.5" not in model.text
    model.check_structure()
    assert np.allclose(model.predict(matrix), model.booster.predict(matrix, num_threads=1))


def test_cells_are_fine_where_there_are_people() -> None:
    rng = np.random.default_rng(1)
    true = rng.integers(18, 80, 20_000)
    cells = age_cells(true, np.clip(true + rng.integers(-6, 7, 20_000), 18, 90))
    assert len(cells) > 40
    assert min(c.people for c in cells) >= 20
    assert sum(c.people for c in cells) == 20_000
    starts = {low for low, _ in AGE_BANDS}
    assert starts <= {c.true[0] for c in cells}


@given(st.dictionaries(st.sampled_from("abcdefghij"), st.integers(0, 60)), st.integers(0, 60))
def test_a_value_of_few_people_is_neither_shown_nor_left_over(counts: dict[str, int], rest: int) -> None:
    given_counts = {**counts, "other": rest, "missing": 3}
    found = fold_small_counts(given_counts, "other", {"missing"})
    assert sum(found.values()) == sum(given_counts.values())
    assert found["missing"] == 3
    values = {k: n for k, n in found.items() if k not in ("other", "missing")}
    assert all(n >= 20 and n == counts[k] for k, n in values.items())
    assert found["other"] == 0 or found["other"] >= 20 or not values


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60))
def test_a_pooled_histogram_has_no_step_of_fewer_than_twenty(counts: list[int]) -> None:
    heights = pooled(counts)
    assert sum(heights) == pytest.approx(sum(counts) if sum(counts) >= 20 else 0)
    at = 0
    while at < len(heights):
        end = at
        while end < len(heights) and heights[end] == heights[at]:
            end += 1
        assert heights[at] == 0 or round(sum(heights[at:end])) >= 20
        at = end


@given(st.lists(st.integers(0, 30), min_size=1, max_size=80))
def test_the_ends_of_a_histogram_are_not_single_people(counts: list[int]) -> None:
    folded = fold_tails(counts)
    assert sum(folded) == sum(counts)
    shown = [n for n in folded if n]
    if sum(counts) >= 40:
        assert min(shown[0], shown[-1]) >= 20
    else:
        assert len(shown) <= 1
    for at in range(len(counts)):  # nobody is moved by more than the ends
        assert sum(folded[: at + 1]) in (0, sum(counts), sum(counts[: at + 1]))


def test_a_drift_record_names_no_text_and_no_small_group() -> None:
    columns = pa.table({"c": pa.array(["Nightjar"] * 40 + ["Sandpiper"] * 30 + ["Corncrake"] * 19 + [None] * 3)})
    encoders = fit_encoders(parse_features(CATEGORY, "the test"), columns, np.full(92, 40, np.float32))
    assert encoders.unseen_counts(columns) == {"c": 19}
    builder = SketchBuilder(encoders)
    builder.add(pa.table({"c": pa.array(["Nightjar"] * 50 + ["Sandpiper"] * 7 + ["Corncrake"] * 25 + [None])}), np.zeros((83, 1)))
    assert "Nightjar" not in json.dumps(builder.sketch().counts), "nor does the receipt of a batch"
    state = drift_state("r", "2025-10-23", "m", [builder.sketch()], [[0] * 30 + [30, 1]], [0] * 20 + [3, 50, 2])
    assert not any(bird in json.dumps(as_json(state)) for bird in ("Nightjar", "Sandpiper", "Corncrake"))
    assert state.counts["c"] == {"other": 57, "unseen": 25, "missing": 1}, "7 would follow from the total"
    assert sorted(state.counts["known age"].values()) == [55]
    before = replace(state, counts={"c": {"=Nightjar": 50, "=Sandpiper": 33, "=Corncrake": 12, "missing": 1, "other": 9}})
    converted = without_small_groups(before).counts["c"]
    assert converted == {text_key("c", "Nightjar"): 50, text_key("c", "Sandpiper"): 33, "missing": 1, "other": 21}


def test_drift_of_categories_is_found_between_runs_with_different_models() -> None:
    """Hashes of a value are equal in all drift records, so that a changed share of a value shows."""
    states = []
    for share, age in ((300, 40), (600, 50)):
        values = ["Nightjar"] * share + ["Sandpiper"] * (1000 - share)
        columns = pa.table({"c": pa.array(values)})
        encoders = fit_encoders(parse_features(CATEGORY, "the test"), columns, np.full(1000, age, np.float32))
        builder = SketchBuilder(encoders)
        builder.add(columns, encoders.encode(columns))
        states.append(drift_state("r", "2025-10-23", f"m{age}", [builder.sketch()], [[0, 1000]], [0, 1000]))
    found = {f.name: f for f in compare_states(*states, DriftConfig()).findings}
    assert found["c"].drifted
    assert found["c"].moved == pytest.approx(0.3)


def test_models_hold_hashes_that_depend_on_the_model_and_the_feature() -> None:
    columns = pa.table({"c": pa.array(["Nightjar"] * 30), "d": pa.array(["Nightjar"] * 30)})
    features = parse_features(CATEGORY + CATEGORY.replace("[features.c]", "[features.d]").partition("\n\n")[2], "the test")
    first, other = (fit_encoders(features, columns, np.full(30, age, np.float32)) for age in (40, 41))
    again = fit_encoders(features, columns, np.full(30, 40, np.float32))
    assert again == first
    keys = [*first.categories["c"], *first.categories["d"], *other.categories["c"]]
    assert len(set(keys)) == 3
    assert "Nightjar" not in json.dumps(asdict(first))


def test_models_of_earlier_versions_predict_the_same() -> None:
    """Their categories are texts."""
    columns = pa.table({"c": pa.array(["Nightjar"] * 30 + ["Sandpiper"] * 30 + ["rare", None])})
    age = np.array([30] * 30 + [60] * 31 + [50], np.float32)
    now = fit_encoders(parse_features(CATEGORY, "the test"), columns, age)
    before = Encoders(now.mean, {"c": now.known("c", ["Nightjar", "Sandpiper", "rare"])}, columns=now.columns)
    assert len(before.categories["c"]) == 2
    np.testing.assert_array_equal(before.encode(columns), now.encode(columns))
    assert before.unseen_counts(columns) == now.unseen_counts(columns) == {"c": 1}
    for encoders in (before, now):
        builder = SketchBuilder(encoders)
        builder.add(columns, encoders.encode(columns))
        assert builder.sketch().counts["c"][text_key("c", "Nightjar")] == 30


@pytest.mark.parametrize(
    ("sizes", "shown"), [((300, 60, 12), ["a"]), ((300, 60, 19, 3), ["a", "b", "all others"]), ((300, 60), ["a", "b"])]
)
def test_the_card_shows_no_group_of_few(sizes: tuple[int, ...], shown: list[str]) -> None:
    """Twelve left over would follow from the total: the smallest group joins them."""
    names = [name for name, size in zip("abcd", sizes, strict=False) for _ in range(size)]
    n = len(names)
    age = np.linspace(20, 70, n)
    guess = Predictions(np.full(n, 45, np.int32), age - 20, age + 20, age < 0)
    people = HeldOutPredictions(np.arange(n), age, guess, np.zeros(n, np.int64), age, 45.0)
    rows = metrics_by_group(people, pa.table({"g": names}), 40, 10)["g"]
    assert [r.group for r in rows] == [*shown, *(["all others"] if shown == ["a"] else [])]
    assert min(r.rows for r in rows) >= 20


NAME, NUMBER = "Corncrake", 7_412_903_318_227_605_113


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            f"Conversion Error: Could not convert string '{NAME}' to INT32",
            "Conversion Error: Could not convert string 'Aaaaaaaaa' to INT32",
        ),
        (
            f"Conversion Error: Type INT64 with value {NUMBER} can't be cast because the value is out of range for the destination type INT8",
            "",
        ),
        (f"Invalid Input Error: {NAME}", ""),
        (f"Invalid Input Error: Malformed JSON at byte 3 of input: unexpected character. Input: {NAME.lower()}@crake.example", ""),
        (f"Out of Range Error: Overflow in multiplication of INT64 ({NUMBER} * 2)!", ""),
        (f"could not convert string to float: '{NAME} {NUMBER}'", ""),
        (f"\n\nInvalid: CSV conversion error to int64: invalid value '{NAME}-{NUMBER}'\nline two {NAME}", ""),
        ('Binder Error: Referenced column "agee" not found', 'Binder Error: Referenced column "agee" not found'),
    ],
    ids=[f"message-{n}" for n in range(8)],
)
def test_messages_of_libraries_lose_their_values(said: str, shown: str) -> None:
    found = without_values(said)
    assert not re.search(rf"{NAME}|{NUMBER}", found, re.IGNORECASE)
    assert found.split()[0] == said.split(maxsplit=1)[0]
    assert found == shown or not shown


def test_the_users_own_statement_is_quoted() -> None:
    said = "Conversion Error: Could not convert string 'Nightjar' to INT32"
    assert without_values(said, "SELECT CAST('Nightjar' AS INT)") == said


@pytest.mark.parametrize(
    "command",
    ["SELECT CAST(source_id AS INT) FROM t", "SELECT error(source_id) FROM t", "SELECT CAST(pid AS TINYINT) FROM t"],
    ids=["text", "error", "number"],
)
def test_errors_of_a_query_quote_no_row(command: str) -> None:
    connection = duckdb.connect()
    connection.execute(f"CREATE TABLE t AS SELECT '{NAME}' AS source_id, {NUMBER} AS pid")
    with pytest.raises(ConfigError) as refused:
        try:
            connection.sql(command).fetchall()
        except duckdb.Error as error:
            assert re.search(f"{NAME}|{NUMBER}", str(error)), "DuckDB quotes it"
            raise _explained(str(error), command, "", 0, []) from None
    assert not re.search(f"{NAME}|{NUMBER}", str(refused.value))


def test_a_first_record_in_the_place_of_names_is_not_shown(tmp_path: Path) -> None:
    """A CSV file without a header; the names of a file that has one are shown."""
    (tmp_path / "s.csv").write_text(f'{NUMBER},1980,{NAME},"{{}}"\n{NUMBER + 1},1981,{NAME},"{{}}"\n')
    (tmp_path / "c.toml").write_text('[source]\nformat = "csv"\n')
    where = ["--source", tmp_path / "s.csv", "--config", tmp_path / "c.toml"]
    for command in (["plan"], ["run", "--workspace", tmp_path / "w", "--as-of", AS_OF]):
        done = cli(*command, *where, check=3)
        assert not re.search(f"{NAME}|{NUMBER}", done.stderr)
        assert "seems to have no header" in done.stderr
    (tmp_path / "s.csv").write_text("person,year of birth,x\n1,1980,{}\n")
    assert "columns person, year of birth, x" in cli("plan", *where, check=3).stderr


def _fails_with(value: str) -> None:
    try:
        int(value)
    except ValueError as error:
        raise KeyError(value) from error


def test_a_crash_file_holds_types_and_lines_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the error, of its cause, and of the text that a worker process sends."""
    with pytest.raises(KeyError) as raised, Pool(1) as pool:
        pool.run(_fails_with, [(NAME,)])
    assert NAME in "".join(traceback.format_exception(raised.value)), "the text is there to be left out"
    found = described(raised.value)
    assert NAME not in found
    assert "KeyError" in found
    assert re.search(r"in a worker process:\n(  .*\n)*  .*test_personal_data.py:\d+ in _fails_with", found)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("predict_age.storage.workspace.Workspace.runs", lambda _: _fails_with(NAME))
    (tmp_path / "w" / "runs").mkdir(parents=True)
    code, out, err = call(["status", "--workspace", tmp_path / "w"])
    assert code == 1
    assert "internal error: KeyError" in err
    (crash,) = tmp_path.glob("predict-age-*.txt")
    text = crash.read_text()
    assert NAME not in text + out + err
    assert re.search(
        r"builtins.ValueError\n(  .*\n)+builtins.KeyError\n(  .*\n)*  .*test_personal_data.py:\d+ in _fails_with", text
    )


def test_an_unexpected_error_leaves_its_type_in_the_status(people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predict_age.steps.read_source.read_source", lambda _: _fails_with(NAME))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code, _, err = call(["run", "--source", people / "people", "--workspace", tmp_path / "w", "--as-of", AS_OF, "-q"])
    assert code == 1
    (run,) = Workspace(tmp_path / "w").runs()
    assert run.message == "internal error: KeyError"
    assert traces(Needles.of([NAME]), [tmp_path]) == []
    assert NAME not in err


def test_single_ages_of_earlier_versions_become_cells() -> None:
    """A run on the model of an earlier version does not take over the ages of single people that its record holds."""
    record = json.loads((Path(__file__).parent / "golden" / "records-0.2.0" / "training.json").read_text())
    before = from_json(Metrics, record["facts"]["metrics"] if "facts" in record else record["metrics"])
    assert before.sample is not None
    now = without_single_ages(before)
    assert now.sample is None
    assert "sample" not in as_json(now)
    assert now.age_cells == age_cells(np.array(before.sample.true), np.array(before.sample.predicted))
    assert without_single_ages(now) is now
