"""The Python interface: its answers are those of the run, whatever form people are given in."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import predict_age
from conftest import LARGER, cli, shared, tiny_run
from predict_age.errors import BusyError, ConfigError, InputError, IntegrityError, PredictAgeError, QualityError
from predict_age.storage.durable_files import write_json

Finished = tuple[Path, dict[str, Any]]
SAME = ("predicted_age", "confidence_score", "confidence_pct", "prediction_source", "age_lower", "age_upper", "usable")


@pytest.fixture(scope="module")
def model(finished: Finished) -> predict_age.AgeModel:
    return predict_age.load(finished[0])


@pytest.fixture(scope="module")
def unknown(small_files: Path) -> pa.Table:
    """The people of the source whose age is to be predicted."""
    table = pa.concat_tables([pq.read_table(path) for path in sorted(small_files.glob("*.parquet"))])
    return table.filter(pa.compute.and_(pa.compute.is_null(table["birth_year"]), pa.compute.is_null(table["approximate_age"])))


def by_pid(table: pa.Table) -> dict[int, tuple[Any, ...]]:
    return {row["pid"]: tuple(row[name] for name in SAME) for row in table.to_pylist()}


@pytest.fixture(scope="module")
def published(finished: Finished, unknown: pa.Table) -> dict[int, tuple[Any, ...]]:
    """Rows of the same people in the run's results."""
    rows = by_pid(predict_age.open_run(finished[0]).results.to_arrow())
    return {pid: rows[pid] for pid in unknown["pid"].to_pylist()}


def profiles(unknown: pa.Table) -> list[dict[str, Any]]:
    return [json.loads(text) for text in unknown["profile_json"].to_pylist()]


def test_a_table_is_predicted_as_the_run_has_predicted_it(
    model: predict_age.AgeModel, unknown: pa.Table, published: dict[int, tuple[Any, ...]]
) -> None:
    made = model.predict(unknown)
    assert made["pid"].to_pylist() == unknown["pid"].to_pylist()
    assert by_pid(made) == published
    assert {"ML_PREDICTION"} <= set(made["prediction_source"].to_pylist())
    assert set(made["run_id"].to_pylist()) == {model.run_id}
    results = predict_age.open_run(model.workspace.root).results.to_arrow().schema
    assert [name for name in results.names if name in made.column_names] == [n for n in made.column_names if n != "source_id"]
    assert all(made.schema.field(name).type == results.field(name).type for name in made.column_names)


FORMS = {
    "pandas": lambda t: t.to_pandas(),
    "pandas with an index": lambda t: t.to_pandas().set_index("pid", drop=False).rename_axis("another"),
    "polars": polars.from_arrow,
    "polars, lazy rows": lambda t: polars.from_arrow(t).slice(0),
    "record batches": lambda t: pa.RecordBatchReader.from_batches(t.schema, t.to_batches(max_chunksize=97)),
    "dictionaries": lambda t: [{**row, "profile_json": json.loads(row["profile_json"])} for row in t.to_pylist()],
    "dictionaries with text": lambda t: t.to_pylist(),
    "dictionaries with an id as text": lambda t: [{"pid": str(r["pid"]), "profile_json": r["profile_json"]} for r in t.to_pylist()],
    "large strings": lambda t: t.cast(
        pa.schema([(f.name, pa.large_string() if f.name == "profile_json" else f.type) for f in t.schema])
    ),
    "a struct": lambda t: t.set_column(
        t.schema.get_field_index("profile_json"), "profile_json", pa.array([json.loads(p) for p in t["profile_json"].to_pylist()])
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_people_gives_the_same_rows(
    form: str, model: predict_age.AgeModel, unknown: pa.Table, published: dict[int, tuple[Any, ...]]
) -> None:
    some = unknown.slice(0, 400)
    made = model.predict(FORMS[form](some))
    assert by_pid(made) == {pid: published[pid] for pid in some["pid"].to_pylist()}


@pytest.mark.parametrize("form", ["dictionaries", "texts", "columns"])
def test_profiles_alone_give_the_same_ages(
    form: str, model: predict_age.AgeModel, unknown: pa.Table, published: dict[int, tuple[Any, ...]]
) -> None:
    some = unknown.slice(0, 300)
    given: Any = profiles(some)
    if form == "texts":
        given = some["profile_json"].to_pylist()
    if form == "columns":
        given = pa.table({key: pa.array([p.get(key) for p in given]) for key in sorted({key for p in given for key in p})})
    made = model.predict(given)
    assert "pid" not in made.column_names
    assert [tuple(row[name] for name in SAME) for row in made.to_pylist()] == [published[pid] for pid in some["pid"].to_pylist()]


def test_values_of_python_are_read_as_those_of_json(model: predict_age.AgeModel, unknown: pa.Table) -> None:
    plain = profiles(unknown.slice(0, 40))

    def dressed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: dressed(inner) for key, inner in value.items()} | {"born of nothing": math.nan}
        if isinstance(value, list):
            return tuple(map(dressed, value))
        if isinstance(value, bool):
            return np.bool_(value)
        if isinstance(value, int):
            return np.int32(value)
        if isinstance(value, float):
            return decimal.Decimal(str(value))
        if isinstance(value, str) and len(value) == 10 and value[4] == value[7] == "-":
            return dt.date.fromisoformat(value)
        return value

    assert model.predict([dressed(p) for p in plain]).equals(model.predict(plain))
    with_times = [{**p, "seen": pandas.NaT, "at": dt.datetime(2020, 1, 1)} for p in plain]
    assert model.predict(with_times).equals(model.predict(plain))


def test_a_profile_without_any_feature_has_the_default_and_no_interval(model: predict_age.AgeModel) -> None:
    for nothing in ({}, "{}", "[]", "no JSON", None, '{"a": 1}'):
        people = [nothing] if isinstance(nothing, (dict, str)) else [{"profile_json": nothing}]
        row = model.predict(people).to_pylist()[0]
        assert (row["predicted_age"], row["prediction_source"], row["confidence_pct"]) == (35, "DEFAULT", 0.0), nothing
        assert row["age_lower"] is row["age_upper"] is row["confidence_score"] is row["model_version"] is None
        assert row["usable"] is False


def test_nobody_gives_no_row(model: predict_age.AgeModel, unknown: pa.Table) -> None:
    for nobody in ([], unknown.slice(0, 0), unknown.slice(0, 0).to_pandas()):
        made = model.predict(nobody)
        assert len(made) == 0
        assert made.schema.field("predicted_age").type == pa.int32()


@pytest.mark.parametrize(
    "given", [{"a": 1}, "{}", b"{}", 7, None, iter([]), [7], [None], [["a"]], [{"a": {1, 2}}], [{"a": {1: 2}}]]
)
def test_other_forms_are_refused_with_what_to_do(given: Any, model: predict_age.AgeModel) -> None:
    with pytest.raises(InputError) as error:
        model.predict(given)
    assert error.value.expected
    assert "Traceback" not in str(error.value)


def test_an_error_repeats_no_value_of_a_person(model: predict_age.AgeModel) -> None:
    class Secret:
        def __repr__(self) -> str:
            return "canary-4711"

    with pytest.raises(InputError) as error:
        model.predict([{"name": Secret()}])
    assert "canary" not in str(error.value)


def test_a_table_of_ids_alone_is_refused(model: predict_age.AgeModel, unknown: pa.Table) -> None:
    with pytest.raises(InputError, match="no profile"):
        model.predict(unknown.select(["pid", "birth_year"]))


def test_results_are_those_of_sql(finished: Finished) -> None:
    results = predict_age.open_run(finished[0]).results
    told = cli("sql", "--workspace", finished[0], "--format", "csv", "SELECT * FROM predict_age_final_results ORDER BY pid").stdout
    frame = pandas.read_csv(io.StringIO(told))
    assert len(results) == len(frame) == 3000
    ours = results.to_pandas().sort_values("pid")
    for name in ("pid", "predicted_age", "age_lower", "confidence_pct"):
        np.testing.assert_array_equal(ours[name].to_numpy(np.float64), frame[name].to_numpy(np.float64))
    assert results.select(["pid", "usable"]).to_polars().columns == ["pid", "usable"]
    assert pa.table(results).num_rows == sum(batch.num_rows for batch in results.batches(700))
    assert polars.DataFrame(results).shape == (3000, len(results.to_arrow().column_names))
    with pytest.raises(ConfigError, match="no column 'age'"):
        results.select(["age"])


def test_damaged_files_are_refused(finished: Finished, tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    shutil.copytree(finished[0], workspace)
    run = predict_age.open_run(workspace)
    part = next((run.folder.path / "results").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    with pytest.raises(IntegrityError):
        run.results.to_arrow()
    weights = next(p for p in run.folder.model.iterdir() if p.suffix == ".npz")
    weights.write_bytes(b"?")
    with pytest.raises(IntegrityError):
        predict_age.load(workspace)


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory, small_files: Path) -> tuple[Path, list[int]]:
    """A small run, made before three people were suppressed."""

    def make(folder: Path) -> dict[str, Any]:
        table = pq.read_table(small_files / "part-0.parquet")
        pq.write_table(table, folder / "people.parquet")
        tiny_run(folder / "people.parquet", folder / "work")
        ids = table.filter(pa.compute.is_null(table["birth_year"]))["pid"].to_pylist()[:3]
        (folder / "ids.txt").write_text("".join(f"{i}\n" for i in ids))
        cli("suppress", "--workspace", folder / "work", "--pid-file", folder / "ids.txt")
        return {"ids": ids}

    folder, made = shared(tmp_path_factory, "python-listed", make)
    return folder, made["ids"]


def test_suppressed_people_are_in_no_result_and_no_answer(listed: tuple[Path, list[int]]) -> None:
    folder, ids = listed
    people = pq.read_table(folder / "people.parquet")
    results = predict_age.open_run(folder / "work").results
    assert not set(ids) & set(results.to_arrow()["pid"].to_pylist())
    assert len(results) == len(people) - len(ids)
    model = predict_age.load(folder / "work")
    for form in (people, people.to_pylist(), people.to_pandas(), [{**r, "pid": str(r["pid"])} for r in people.to_pylist()]):
        rows = model.predict(form).to_pylist()
        hidden = [row for row in rows if row["prediction_source"] == "SUPPRESSED"]
        assert {row["pid"] for row in hidden} == set(ids)
        numbers = ("predicted_age", "confidence_score", "confidence_pct", "age_lower", "age_upper", "model_version")
        assert all(row[name] is None for row in hidden for name in numbers)
        assert not any(row["usable"] for row in hidden)


@pytest.mark.parametrize("use", [predict_age.load, predict_age.open_run])
def test_a_damaged_list_stops_everything(use: Any, listed: tuple[Path, list[int]], tmp_path: Path) -> None:
    shutil.copytree(listed[0] / "work", tmp_path / "w")
    write_json(next((tmp_path / "w" / "suppression").glob("*.json")), {"nothing": 1})
    with pytest.raises(PredictAgeError):
        use(tmp_path / "w")


def test_minors_are_withheld_as_in_the_run(finished: Finished, unknown: pa.Table) -> None:
    model = predict_age.load(finished[0])
    predictor = model.predictor
    rule = predictor.bundle.ensemble.rule
    assert rule.min_age == 18
    strict = type(predictor)(predictor.bundle.withholding(replace(rule, probability=1e-9)), predictor.version, predictor.rules)
    rows = replace(model, predictor=strict).predict(unknown.slice(0, 200)).to_pylist()
    withheld = [row for row in rows if row["prediction_source"] == "WITHHELD"]
    assert withheld
    assert all(row[n] is None for row in withheld for n in ("predicted_age", "confidence_pct", "age_lower", "model_version"))


def test_ages_at_another_date(model: predict_age.AgeModel, unknown: pa.Table) -> None:
    later = model.predict(unknown, as_of=dt.date(model.as_of.year + 8, model.as_of.month, model.as_of.day)).to_pandas()
    assert later["predicted_age"].mean() > model.predict(unknown).to_pandas()["predicted_age"].mean() + 1


def test_evaluate_says_what_score_says(finished: Finished, people: Path, tmp_path: Path) -> None:
    truth = pq.read_table(people / "truth.parquet")
    scores = predict_age.evaluate(predict_age.open_run(finished[0]), truth)
    told = json.loads(cli("score", "current", "--workspace", finished[0], "--truth", people / "truth.parquet", "--json").stdout)
    for name in ("rows", "mae", "bias", "coverage", "width"):
        assert getattr(scores.all, name) == pytest.approx(told["all"][name], abs=1e-12)
    assert [g.group for g in scores.by_predicted_band] == [g["group"] for g in told["by_predicted_band"]]
    assert scores.not_found == 0
    assert scores.not_predicted == 3000 - scores.all.rows
    as_dictionary = dict(zip(truth["pid"].to_pylist(), truth["true_age"].to_pylist(), strict=True))
    assert predict_age.evaluate(predict_age.open_run(finished[0]).results, as_dictionary).all == scores.all
    assert "coverage" in scores._repr_html_()


@pytest.mark.parametrize(
    "truth", [{}, {-5: 40.0}, pa.table({"pid": [1]}), pa.table({"pid": [1, 1], "true_age": [30, 31]}), pa.table({"true_age": [3]})]
)
def test_a_truth_that_says_nothing_is_refused(truth: Any, finished: Finished) -> None:
    with pytest.raises(InputError):
        predict_age.evaluate(predict_age.open_run(finished[0]), truth)


def test_a_run_from_python_is_that_of_the_command_line(small_files: Path, tmp_path: Path) -> None:
    """In a script without a main guard, as a notebook has none."""
    (tmp_path / "tiny.toml").write_text(LARGER)
    script = f"""
import datetime as dt, json, signal, sys
import predict_age as pa
before = signal.getsignal(signal.SIGTERM)
run = pa.run({str(small_files)!r}, {str(tmp_path / "w")!r}, dt.date(2025, 10, 23), config={str(tmp_path / "tiny.toml")!r}, progress=False)
assert signal.getsignal(signal.SIGTERM) is before
print(json.dumps([run.id, run.status, run.is_published, len(run.results), run.model.version, run.summary["rows"]["distinct"]]))
"""
    done = subprocess.run([sys.executable, "-"], input=script, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    run_id, status, published, rows, version, distinct = json.loads(done.stdout)
    assert (status, published, rows, distinct) == ("done", True, 3000, 3000)
    same = tiny_run(small_files, tmp_path / "by-command", config=LARGER)
    assert same.run["model_version"] == version
    assert run_id != same.run["run_id"]


def test_errors_of_a_run_are_those_of_the_command(small_files: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="nothing-here"):
        predict_age.run(tmp_path / "nothing-here", tmp_path / "w", "2025-10-23", progress=False)
    with pytest.raises(ConfigError) as error:
        predict_age.run(small_files, tmp_path / "w", "2025-10-23", config={"training": {"roundz": 3}}, progress=False)
    assert "rounds" in str(error.value)
    assert "/tmp" not in str(error.value)
    with pytest.raises(ConfigError, match="to_parquet"):
        predict_age.run(pa.table({"pid": [1]}), tmp_path / "w", "2025-10-23")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="YYYY-MM-DD"):
        predict_age.run(small_files, tmp_path / "w", "soon", progress=False)
    assert capfd.readouterr().err == ""


def test_a_gate_that_stops_a_run_is_a_quality_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    table = pa.table({"pid": range(600), "birth_year": rng.integers(1950, 2000, 600), "noise": rng.normal(size=600)})
    pq.write_table(
        table.set_column(1, "birth_year", pa.array([y if i % 2 else None for i, y in enumerate(table["birth_year"].to_pylist())])),
        tmp_path / "p.parquet",
    )
    (tmp_path / "f.toml").write_text(
        'format = 1\n[features.noise]\nkind = "number"\npath = "noise"\nmin = -9\nmax = 9\ndefault = 0\nmeaning = "noise"\n'
    )
    settings = {
        "source": {"profile_json": "*"},
        "card": {"groups": {}},
        "training": {"rounds": 5, "light_rounds": 5, "networks": 1},
    }
    with pytest.raises(QualityError):
        predict_age.run(
            tmp_path / "p.parquet", tmp_path / "w", "2025-10-23", features=tmp_path / "f.toml", config=settings, progress=False
        )
    run = predict_age.open_run(tmp_path / "w", next((tmp_path / "w" / "runs").iterdir()).name)
    assert run.status == "failed"
    assert not run.is_published


def test_classes_of_errors_survive_the_process() -> None:
    from predict_age.api.program import _printed

    for kind in (ConfigError, InputError, IntegrityError, QualityError, BusyError):
        told = {"error": {"kind": kind.__name__, "message": "m", "expected": "e", "found": "f", "fix": "x"}}
        with pytest.raises(kind) as error:
            _printed(json.dumps(told), kind.exit_code, [])
        assert (error.value.message, error.value.expected, error.value.found, error.value.fix) == ("m", "e", "f", "x")
    with pytest.raises(PredictAgeError, match="signal 9"):
        _printed("", -9, [])
    with pytest.raises(KeyboardInterrupt):
        _printed("", 130, [])


def test_init_writes_what_run_takes(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    age = rng.integers(20, 70, 900)
    rows = [f"{i},{2025 - a if i % 2 else ''},{a / 2 + rng.normal():.2f},{'abc'[i % 3]}" for i, a in enumerate(age)]
    (tmp_path / "p.csv").write_text("\n".join(["person,birth_year,years_of_service,site", *rows]) + "\n")
    made = predict_age.init(tmp_path / "p.csv", tmp_path / "conf", as_of="2025-10-23")
    assert {"years_of_service"} <= {feature.name for feature in made.proposal.features}
    with pytest.raises(ConfigError, match="exist already"):
        predict_age.init(tmp_path / "p.csv", tmp_path / "conf")
    assert predict_age.init(tmp_path / "p.csv", tmp_path / "conf", as_of=dt.date(2025, 10, 23), force=True).config == made.config


def test_notebooks_show_report_card_and_rows(finished: Finished) -> None:
    run = predict_age.open_run(finished[0])
    for shown in (run._repr_html_(), run.model._repr_html_()):
        assert shown.startswith("<iframe srcdoc=")
        assert "sandbox" in shown
        assert "&lt;html" in shown
    table = run.results._repr_html_()
    assert table.count("<tr>") == 11
    assert "3,000 people" in table


def test_importing_the_package_is_quick_and_imports_nothing_heavy() -> None:
    heavy = ["numpy", "pyarrow", "duckdb", "xgboost", "lightgbm", "numba", "pandas", "polars", "typer", "pydantic"]
    script = f"import sys, predict_age; dir(predict_age); print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60).stdout == "[]\n"


def test_every_name_of_the_interface_is_there() -> None:
    for name in predict_age.__all__:
        assert getattr(predict_age, name)
    with pytest.raises(AttributeError, match="nothing_like_it"):
        predict_age.nothing_like_it  # noqa: B018
