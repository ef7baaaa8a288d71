"""Sources as objects: what they say about themselves, how they are read as tables, and that they are sources everywhere."""

import gzip
import json
from pathlib import Path
from typing import Any

import duckdb
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import predict_age
from conftest import AS_OF, TINY
from predict_age.errors import InputError

RECORDS = [
    {"pid": i, "birth_year": 1960 + i % 40 if i % 2 else None, "ok": i % 3 == 0, "x": i / 2, "tags": [i, "a"]} for i in range(300)
]
FLAT = [{k: v for k, v in r.items() if k != "tags"} for r in RECORDS]


def written(kind: str, folder: Path) -> Path:
    """The records in one of the forms of a source."""
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(FLAT[:150]), folder / "a.parquet")
        pq.write_table(pa.Table.from_pylist(FLAT[150:]), folder / "b.parquet")
        return folder
    text = "".join(json.dumps(r) + "\n" for r in RECORDS)
    if kind == "jsonl":
        (folder / "a.jsonl").write_text(text)
        return folder / "a.jsonl"
    if kind == "gzip":
        with gzip.open(folder / "a.jsonl.gz", "wt") as stream:
            stream.write(text)
        return folder / "a.jsonl.gz"
    lines = ["pid,birth_year,ok,x", *(f"{r['pid']},{r['birth_year'] or ''},{r['ok']},{r['x']}" for r in RECORDS)]
    (folder / "a.csv").write_text("\n".join(lines) + "\n")
    return folder / "a.csv"


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "gzip", "csv"])
def test_a_source_is_a_table_for_every_library(kind: str, tmp_path: Path) -> None:
    """Columns, rows, known ages, a preview, and all records through the PyCapsule interface, in pandas, polars and DuckDB."""
    source = predict_age.read(written(kind, tmp_path), as_of=AS_OF)
    columns = ["pid", "birth_year", "ok", "x", *(["tags"] if kind in ("jsonl", "gzip") else [])]
    assert source.columns == columns
    assert source.rows == (None if kind == "gzip" else 300)
    assert source.known_ages is not None
    assert source.known_ages.known == 150
    assert source.preview(3).num_rows == 3
    assert source.preview().num_rows == 10
    table = pa.table(source)
    assert [int(v) for v in table["pid"].to_pylist()] == list(range(300))
    assert [float(v) for v in table["x"].to_pylist()] == [r["x"] for r in RECORDS]
    if kind != "csv":
        assert table["ok"].to_pylist() == [r["ok"] for r in RECORDS]
    if "tags" in columns:
        assert json.loads(table["tags"][7].as_py()) == [7, "a"]
    assert len(source.to_pandas()) == len(polars.DataFrame(source)) == len(source.to_polars()) == 300
    assert duckdb.sql("SELECT count(*), max(x) FROM source").fetchall()[0][0] == 300
    assert pandas.DataFrame(source.to_pandas())["pid"].astype(int).sum() == sum(range(300))
    shown = source._repr_html_()
    assert shown.count("<tr>") == 11
    assert "150 of 300 people looked at have a known age" in shown
    assert str(source) == source.__fspath__() == source.path
    assert len(source.profile().fields) == len(columns)


def test_values_that_fit_no_column_are_an_input_error(tmp_path: Path) -> None:
    """A type that changes after the records that decide it is told; there is no half table."""
    rows = [{"pid": i, "x": 1} for i in range(20_001)] + [{"pid": 20_001, "x": "one"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    with pytest.raises(InputError, match=r"column x of .* changes its type"):
        predict_age.read(tmp_path / "a.jsonl").to_arrow()
    with pytest.raises(InputError):
        predict_age.read(tmp_path / "none.csv")


def test_markup_in_values_is_text(tmp_path: Path) -> None:
    """A page of a notebook shows values, and runs none."""
    (tmp_path / "a.csv").write_text("pid,<b>x\n1,<script>alert(1)</script>\n")
    shown = predict_age.read(tmp_path / "a.csv")._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


@pytest.mark.parametrize("flat", [False, True])
def test_a_source_is_given_to_everything(flat: bool, people_rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """init, profile, run and predict take it; predict gives the rows that the run has published, for profiles and flat files."""
    rows = people_rows[:400]
    if flat:
        keys = ("tenure_months", "years_experience", "job_level", "company_size")
        rows = [{**{k: r[k] for k in ("pid", "birth_year")}, **{k: r["profile_json"].get(k) for k in keys}} for r in rows]
    path = tmp_path / "people.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    source = predict_age.read(path, as_of=AS_OF)
    made = predict_age.init(source, tmp_path, as_of=AS_OF)
    made.config.write_text(made.config.read_text() + TINY)
    run = predict_age.run(source, tmp_path / "w", AS_OF, config=made.config, features=made.features, progress=False)
    assert predict_age.profile(source).people == 400
    published = {r["pid"]: r for r in run.results.to_arrow().to_pylist()}
    answers = predict_age.load(tmp_path / "w").predict(source).to_pylist()
    assert len(answers) == 400
    compared = [a for a in answers if published[a["pid"]]["prediction_source"] == "ML_PREDICTION"]
    assert len(compared) > 50
    for answer in compared:
        for name in ("predicted_age", "age_lower", "age_upper", "confidence_pct", "prediction_source"):
            assert answer[name] == published[answer["pid"]][name]
