"""Prediction inside other engines: the rows of a run, whatever the batches; small when it is sent; never two models in a job."""

from __future__ import annotations

import datetime as dt
import pickle
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import predict_age
from predict_age.api import batches
from predict_age.errors import ConfigError

NAMES = ("predicted_age", "confidence_score", "confidence_pct", "prediction_source", "age_lower", "age_upper", "usable")


@pytest.fixture(scope="module")
def predictor(finished: tuple[Path, dict[str, Any]]) -> predict_age.BatchPredictor:
    return predict_age.batch_predictor(finished[0])


@pytest.fixture(scope="module")
def unknown(small_files: Path) -> pa.Table:
    table = pa.concat_tables([pq.read_table(path) for path in sorted(small_files.glob("*.parquet"))])
    rows = table.filter(pc.and_(pc.is_null(table["birth_year"]), pc.is_null(table["approximate_age"])))
    return rows.select(["pid", "profile_json"]).slice(0, 900)


@pytest.fixture(scope="module")
def published(finished: tuple[Path, dict[str, Any]], unknown: pa.Table) -> list[tuple[Any, ...]]:
    """The run's rows of the same people, by pid."""
    table = predict_age.open_run(finished[0]).results.to_arrow()
    return rows(table.filter(pc.is_in(table["pid"], unknown["pid"])))


def rows(table: pa.Table) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in ("pid", *NAMES)) for row in table.sort_by("pid").to_pylist()]


def test_any_batches_give_the_rows_of_the_run(
    predictor: predict_age.BatchPredictor, unknown: pa.Table, published: list[tuple[Any, ...]]
) -> None:
    for size in (1000, 113, 7):
        made = pa.Table.from_batches(list(predictor.each(unknown.to_batches(max_chunksize=size))))
        assert rows(made) == published
        assert made.schema == predictor.schema
    assert rows(predictor(unknown)) == published
    assert list(predictor.each([])) == []


def test_the_schema_for_spark_names_every_column(predictor: predict_age.BatchPredictor) -> None:
    assert [part.split()[0] for part in predictor.spark_schema.split(", ")] == predictor.schema.names
    assert "predicted_age int, confidence_score double" in predictor.spark_schema


def test_it_is_small_when_it_is_sent_and_loads_where_it_arrives(predictor: predict_age.BatchPredictor, unknown: pa.Table) -> None:
    sent = pickle.dumps(predictor)
    assert len(sent) < 1000
    batches._loaded.cache_clear()
    assert pickle.loads(sent)(unknown.slice(0, 20)).equals(predictor(unknown.slice(0, 20)))


def test_polars(predictor: predict_age.BatchPredictor, unknown: pa.Table, published: list[tuple[Any, ...]]) -> None:
    lazy = polars.from_arrow(unknown).lazy().map_batches(predictor.polars, schema=polars.Schema(predictor.schema))
    assert rows(lazy.collect().to_arrow()) == published


def test_duckdb(predictor: predict_age.BatchPredictor, unknown: pa.Table, published: list[tuple[Any, ...]]) -> None:
    connection = duckdb.connect()
    predictor.register(connection, "age_of")
    connection.register("people", unknown)
    made = connection.sql("SELECT pid, unnest(age_of(profile_json)) FROM people").to_arrow_table()
    assert rows(made) == published
    nothing = connection.sql("SELECT age_of(NULL), age_of('x')").fetchall()[0]
    assert [answer["prediction_source"] for answer in nothing] == ["DEFAULT", "DEFAULT"]


def test_no_job_mixes_two_published_runs(predictor: predict_age.BatchPredictor, unknown: pa.Table) -> None:
    other = predict_age.BatchPredictor(
        predictor.workspace, predictor.version, "20200101T000000Z-00000000", dt.date(2025, 1, 1), False
    )
    with pytest.raises(ConfigError, match="another run was published"):
        other(unknown)
