"""Tables of every library, odd ones too: they are read, or an error names the column or argument and shows no value."""

from __future__ import annotations

import datetime as dt
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow as pa
import pytest

import predict_age
from predict_age.api.given_tables import arrow_table, table_of_columns
from predict_age.errors import ConfigError, InputError, PredictAgeError
from predict_age.source.column_types import plain_values

SECRET = "SECRET-ID-77"
N = 6
Finished = tuple[Path, dict[str, Any]]


def frame(**columns: Any) -> pandas.DataFrame:
    return pandas.DataFrame({"pid": range(1, N + 1), "true_age": [40.0] * N, "x": ["a", "b"] * (N // 2), **columns})


def twice(column: str) -> pandas.DataFrame:
    return pandas.concat([frame(), frame()[[column]]], axis=1)


def mixed(first: Any, second: Any) -> list[Any]:
    return [first, second] * (N // 2)


def leveled() -> pandas.DataFrame:
    return frame().set_axis(pandas.MultiIndex.from_product([["a"], frame().columns]), axis=1)


def wide() -> polars.DataFrame:
    return polars.DataFrame({"pid": [1], "true_age": polars.Series([2**70], dtype=polars.Int128)})


ODD: dict[str, tuple[Callable[[], Any], str]] = {  # and words of the error
    "mixed ids": (lambda: frame(pid=mixed(1, SECRET)), "'pid'"),
    "mixed ages": (lambda: frame(true_age=mixed(1, SECRET)), "'true_age'"),
    "lists and dictionaries": (lambda: frame(true_age=mixed([SECRET], {SECRET: 1})), "'true_age'"),
    "objects": (lambda: frame(true_age=[object()] * N), "'true_age'"),
    "ids of more than 64 bits": (lambda: frame(pid=[2**70 + i for i in range(N)]), "'pid'"),
    "complex ages": (lambda: frame(true_age=np.ones(N) * 1j), "'true_age'"),
    "sparse ages": (lambda: frame(true_age=pandas.arrays.SparseArray([0] * N)), "'true_age'"),
    "two columns of ids": (lambda: twice("pid"), "'pid'"),
    "two columns of ages": (lambda: twice("true_age"), "'true_age'"),
    "two columns in Arrow": (lambda: pa.table([[1], [2], [3.0]], names=["pid", "pid", "true_age"]), "'pid'"),
    "two names, one a number": (lambda: frame(**{"1": 1, "2": 2}).rename(columns={"2": 1}), "'1'"),
    "names of levels": (leveled, "2 levels"),
    "wide numbers of polars": (wide, "'true_age'"),
    "a series": (lambda: pandas.Series([SECRET]), "Series"),
    "a lazy frame": (lambda: polars.LazyFrame({"pid": [SECRET], "true_age": [1.0]}), "collect"),
    "a generator": (lambda: (row for row in [{"pid": SECRET}]), "generator"),
    "a path": (lambda: Path("people.csv"), "predict_age.read"),
    "text": (lambda: "people.csv", "found: str"),
    "bytes": (lambda: b"people.csv", "found: bytes"),
    "nothing": (lambda: None, "found: None"),
    "a number": (lambda: 5, "found: int"),
    "a matrix": (lambda: np.ones((2, 2)), "found: ndarray"),
    "numbers": (lambda: [1, 2], "found: (int|list)"),
}
NO_AGES: dict[str, list[Any]] = {
    "text": [SECRET] * N,
    "dates": [dt.date(2000, 1, 1)] * N,
    "times": [pandas.Timestamp("2000-01-01")] * N,
    "durations": [pandas.Timedelta(days=1)] * N,
    "truth values": [True] * N,
    "lists": [[SECRET]] * N,
    "nothing": [None] * N,
    "another age": [1900.0] * N,
}


@pytest.fixture(scope="module")
def model(finished: Finished) -> predict_age.AgeModel:
    return predict_age.load(finished[0])


@pytest.fixture(scope="module")
def results(finished: Finished) -> pa.Table:
    table = predict_age.open_run(finished[0]).results.to_arrow()
    return table.filter(pa.compute.equal(table["prediction_source"], "ML_PREDICTION")).slice(0, N)


def refused(call: Callable[[], object], named: str) -> None:
    with pytest.raises(PredictAgeError, match=named) as failed:
        call()
    assert isinstance(failed.value, (InputError, ConfigError))
    assert "found: " in str(failed.value)
    assert not any(SECRET in line for line in traceback.format_exception_only(failed.value))
    assert failed.value.__context__ is None


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("function", ["predict", "explain", "truth", "results"])
def test_odd_tables_are_refused_by_name(function: str, odd: str, model: predict_age.AgeModel, results: pa.Table) -> None:
    make, named = ODD[odd]
    calls: dict[str, Callable[[], object]] = {
        "predict": lambda: model.predict(make()),
        "explain": lambda: model.explain(make()),
        "truth": lambda: predict_age.evaluate(results, make()),
        "results": lambda: predict_age.evaluate(make(), {1: 40.0}),
    }
    refused(calls[function], named)


@pytest.mark.parametrize("odd", NO_AGES)
@pytest.mark.parametrize("form", ["pandas", "dictionaries", "a dictionary"])
def test_ages_that_are_none_are_refused_by_name(form: str, odd: str, results: pa.Table) -> None:
    ages = NO_AGES[odd]
    given: Any = frame(true_age=ages)
    if form == "dictionaries":
        given = [{"pid": pid, "true_age": age} for pid, age in enumerate(ages)]
    if form == "a dictionary":
        given = dict(enumerate(ages))
    refused(lambda: predict_age.evaluate(results, given), "true_age")


def some_text(truth: pandas.DataFrame) -> pandas.DataFrame:
    return pandas.concat([truth.astype("string"), pandas.DataFrame({"pid": ["-1"], "true_age": ["unknown"]})])


def categories(truth: pandas.DataFrame) -> polars.DataFrame:
    return polars.from_pandas(truth.astype("string")).with_columns(polars.all().cast(polars.Categorical))


def enumeration(truth: pandas.DataFrame) -> polars.DataFrame:
    ids = truth["pid"].astype("string").tolist()
    return polars.from_pandas(truth.astype("string")).with_columns(polars.col("pid").cast(polars.Enum(ids)))


TRUTHS: dict[str, Callable[[pandas.DataFrame], Any]] = {
    "pandas": lambda t: t,
    "nullable": lambda t: t.convert_dtypes(),
    "categories": lambda t: t.astype("category"),
    "text": lambda t: t.astype("string"),
    "German numbers": lambda t: t.assign(true_age="40,0"),
    "some text": some_text,
    "dictionaries": lambda t: t.to_dict("records"),
    "a dictionary": lambda t: dict(zip(t["pid"].tolist(), t["true_age"].tolist(), strict=True)),
    "Arrow": pa.Table.from_pandas,
    "polars": polars.from_pandas,
    "categories of polars": categories,
    "an enumeration": enumeration,
}


@pytest.mark.parametrize("form", TRUTHS)
def test_everyday_truths_give_one_score(form: str, results: pa.Table) -> None:
    truth = pandas.DataFrame({"pid": results["pid"].to_pylist(), "true_age": [40.0] * N})
    same, scores = predict_age.evaluate(results, truth), predict_age.evaluate(results, TRUTHS[form](truth))
    assert repr((scores.all, scores.usable)) == repr((same.all, same.usable))  # NaN where nobody is usable
    assert (scores.all.rows, scores.unknown, scores.outside) == (N, int(form == "some text"), 0)


@pytest.mark.parametrize("form", ["pandas", "nullable", "categories", "polars", "text", "rows"])
def test_results_of_every_library_give_one_score(form: str, results: pa.Table) -> None:
    made: dict[str, Callable[[], Any]] = {
        "pandas": results.to_pandas,
        "nullable": lambda: results.to_pandas().convert_dtypes(),
        "categories": lambda: results.to_pandas().astype({"pid": "category", "prediction_source": "category"}),
        "polars": lambda: polars.DataFrame(results),
        "text": lambda: polars.DataFrame(results).cast(polars.String),
        "rows": results.to_pylist,
    }
    truth = dict.fromkeys(results["pid"].to_pylist(), 40.0)
    same, scores = predict_age.evaluate(results, truth), predict_age.evaluate(made[form](), truth)
    assert repr((scores.all, scores.usable)) == repr((same.all, same.usable))


CATEGORIES: dict[str, Callable[[list[str | None]], Any]] = {
    "polars": lambda words: polars.DataFrame({"c": polars.Series(words, dtype=polars.Categorical)}),
    "polars, enumerated": lambda words: polars.DataFrame({"c": polars.Series(words, dtype=polars.Enum(["a", "b"]))}),
    "pandas": lambda words: pandas.DataFrame({"c": pandas.Categorical(words, categories=["a", "b"])}),
    "Arrow": lambda words: pa.table({"c": pa.array(words, pa.string()).dictionary_encode()}),
}


@pytest.mark.parametrize("words", [["a", None, "b", "a"], [None, None], []])
@pytest.mark.parametrize("library", CATEGORIES)
def test_categories_are_text(library: str, words: list[str | None]) -> None:
    table = arrow_table(CATEGORIES[library](words), "the table", "a table")
    assert plain_values(table["c"]).to_pylist() == words


def test_categories_are_predicted_as_text(model: predict_age.AgeModel, results: pa.Table) -> None:
    people = polars.DataFrame({"pid": results["pid"].to_pylist(), "profile_json": ['{"industry": "Banking"}'] * N})
    given = people.with_columns(polars.col("profile_json").cast(polars.Categorical))
    assert model.predict(given).equals(model.predict(people))
    assert model.explain(given).equals(model.explain(people))


def test_equal_columns_of_arrow_are_no_equal_names() -> None:
    table = pa.table({"a": [1], "b": [1]})
    assert arrow_table(table, "the table", "a table").equals(table)
    assert table_of_columns({"a": [1], "b": [1]}, "the table").equals(table)


@pytest.mark.parametrize("function", ["read", "profile", "init", "run"])
def test_a_source_that_is_empty_text_is_not_the_current_folder(function: str, tmp_path: Path) -> None:
    more = {"workspace": tmp_path / "w", "as_of": "2025-10-23"} if function == "run" else {}
    with pytest.raises(ConfigError, match="source is empty"):
        getattr(predict_age, function)("", **more)


@pytest.mark.parametrize("function", ["read", "profile", "init", "run"])
@pytest.mark.parametrize("library", ["pandas", "polars", "Arrow"])
def test_a_table_as_a_source_is_to_be_written_first(library: str, function: str, tmp_path: Path) -> None:
    table: Any = {"pandas": frame(), "polars": polars.from_pandas(frame()), "Arrow": pa.Table.from_pandas(frame())}[library]
    more = {"workspace": tmp_path / "w", "as_of": "2025-10-23"} if function == "run" else {}
    with pytest.raises(ConfigError, match="to_parquet"):
        getattr(predict_age, function)(table, **more)
