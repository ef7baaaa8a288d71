"""Sources as objects: what they say about themselves, how they are read as tables, and that they are sources everywhere."""

import datetime as dt
import gzip
import json
from decimal import Decimal
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
from predict_age.api.column_union import batch_of_records
from predict_age.errors import ConfigError, InputError

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
    assert source.rows == 300
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


def test_a_source_that_changes_while_it_is_read_is_an_input_error(tmp_path: Path) -> None:
    """A value, or a key, that came after the columns were found is told; there is no half table."""
    for late, said in (({"x": "one"}, "column x of .* changes its type"), ({"x": 1, "y": 2}, "have 1 keys that no record had")):
        path = tmp_path / f"{len(late)}.jsonl"
        path.write_text('{"pid": 1, "x": 1}\n')
        source = predict_age.read(path)
        assert source.columns == ["pid", "x"]
        path.write_text('{"pid": 1, "x": 1}\n' + json.dumps({"pid": 2, **late}) + "\n")
        with pytest.raises(InputError, match=said):
            source.to_arrow()
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


def odd_files(folder: Path) -> None:
    """Files whose columns have other types, other columns, or come late; every format."""
    profiles = [json.dumps({"tenure": i % 30}) for i in range(40)]
    tables = [
        pa.table(
            {"pid": pa.array(range(40), pa.int64()), "birth_year": pa.array([1980] * 40, pa.int32()), "profile_json": profiles}
        ),
        pa.table({"pid": pa.array(range(100, 140), pa.float64()), "birth_year": ["1981"] * 40, "profile_json": profiles}),
        pa.table({"pid": [str(i) for i in range(200, 240)], "birth_year": pa.array([1982.0] * 40), "profile_json": profiles}),
        pa.table(
            {
                "pid": pa.array(range(300, 340), pa.uint64()),
                "birth_year": pa.nulls(40),
                "late": pa.array([2**63] * 40, pa.uint64()),
                "profile_json": profiles,
            }
        ),
        pa.table(
            {
                "pid": pa.array(range(400, 440), pa.decimal128(20)),
                "birth_year": [None] * 40,
                "profile_json": [{"tenure": i} for i in range(40)],
            }
        ),
    ]
    for number, table in enumerate(tables):
        pq.write_table(table, folder / f"{number}.parquet")


def test_files_of_different_types_are_one_table(tmp_path: Path) -> None:
    """Every record and every column, also one that a later file has alone; types without a common one are text."""
    odd_files(tmp_path)
    table = predict_age.read(tmp_path, as_of=AS_OF).to_arrow()
    assert table.column_names == ["pid", "birth_year", "profile_json", "late"]
    assert [int(float(v)) for v in table["pid"].to_pylist()] == [h * 100 + i for h in range(5) for i in range(40)]
    assert table["late"].null_count == 160
    assert {json.loads(text)["tenure"] for text in table["profile_json"].to_pylist()} == set(range(40))
    (tmp_path / "late.csv").write_text("pid,birth_year,profile_json,later\n900,1980,{},x\n")
    (tmp_path / "later.jsonl").write_text('{"pid": 901, "birth_year": 1980, "profile_json": {}, "latest": 36893488147419103232}\n')
    mixed = predict_age.read(tmp_path, as_of=AS_OF).to_arrow()
    assert {"late", "later", "latest"} <= set(mixed.column_names)
    assert mixed.num_rows == 202
    assert mixed["latest"].to_pylist()[-1] == "36893488147419103232"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2**70], pa.string()),
        ([1, -(2**63)], pa.int64()),
        ([1, 2**63], pa.string()),
        ([0.5, 2**53 + 1], pa.string()),
        ([0.5, 7], pa.float64()),
        ([True, 1], pa.string()),
        ([None, None], pa.string()),
        ([1, "x"], pa.string()),
        ([{"a": 1}, [1]], pa.string()),
    ],
    ids=str,
)
def test_values_of_json_have_the_widest_type_that_keeps_them(values: list[Any], kind: pa.DataType, tmp_path: Path) -> None:
    """Whole numbers of any size are kept to the digit."""
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"pid": i, "x": v}) + "\n" for i, v in enumerate(values)))
    column = predict_age.read(tmp_path / "a.jsonl").to_arrow()["x"]
    assert column.type == kind
    kept = [json.loads(v) if pa.types.is_string(kind) and v not in (None, "x") else v for v in column.to_pylist()]
    assert kept == values


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("0.1234567890123456789", pa.string()),
        ("9007199254740993.0", pa.string()),
        ("1e400", pa.string()),
        ("1e-400", pa.string()),
        ("1e999999999999999999999", pa.string()),
        ("0.10", pa.float64()),
        ("1.50e3", pa.float64()),
        ("0.10000000000000001", pa.float64()),
        ("0.1000000000000000055511151231257827021181583404541015625", pa.float64()),
    ],
)
def test_fractions_are_kept_to_the_digit(number: str, kind: pa.DataType, tmp_path: Path) -> None:
    """A number that no float keeps makes its column text, and stays as it is written inside a value, too."""
    (tmp_path / "a.jsonl").write_text(f'{{"x": {number}, "in": {{"a": [{number}]}}}}\n{{"x": 0.5, "in": {{"a": [1]}}}}\n')
    table = predict_age.read(tmp_path / "a.jsonl").to_arrow()
    assert table["x"].type == kind
    if kind == pa.string():
        assert table["x"].to_pylist() == [number, "0.5"]
        assert table["in"].to_pylist() == [f'{{"a": [{number}]}}', '{"a": [1]}']
    else:
        assert table["x"].to_pylist() == [float(number), 0.5]


@pytest.mark.parametrize(
    ("late", "kind"),
    [(2**70, pa.string()), ("one", pa.string()), (0.5, pa.float64()), (True, pa.string()), (2**60, pa.int64())],
    ids=str,
)
def test_a_late_key_is_a_column_and_a_late_value_widens_its_type(late: object, kind: pa.DataType, tmp_path: Path) -> None:
    """All records count, however many there are."""
    rows = [{"pid": i, "x": 1} for i in range(20_001)] + [{"pid": 20_001, "x": late, "late": "y"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    source = predict_age.read(tmp_path / "a.jsonl")
    table = source.to_arrow()
    assert table["late"].to_pylist()[-1] == "y" and table["late"].null_count == 20_001
    assert table["x"].type == kind
    assert json.loads(str(table["x"][-1]).replace("True", "true")) == late if late != "one" else str(table["x"][-1]) == late
    assert source.preview(3).num_rows == 3


WHOLE, BIG = 2**53 + 1, 2**63 + 5
TYPES: list[tuple[pa.Array, pa.Array, pa.DataType]] = [
    (pa.array([1, 2]), pa.array([0.5, None]), pa.float64()),
    (pa.array([1, WHOLE]), pa.array([0.5, None]), pa.string()),
    (pa.array([1, 2], pa.int32()), pa.array([0.5, None], pa.float32()), pa.float64()),
    (pa.array([1, 2]), pa.array([1, BIG], pa.uint64()), pa.string()),
    (pa.array([1, WHOLE]), pa.array([1, 7], pa.uint64()), pa.int64()),
    (pa.array([0.5]), pa.array([Decimal("12345678901234567.89")]), pa.string()),
    (pa.array([dt.datetime(3000, 1, 1)], pa.timestamp("ms")), pa.array([dt.datetime(2000, 1, 1)], pa.timestamp("ns")), pa.string()),
]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("one", "other", "kind"), TYPES, ids=[f"{a.type}-{b.type}" for a, b, _ in TYPES])
def test_columns_of_two_types_keep_every_digit(
    one: pa.Array, other: pa.Array, kind: pa.DataType, turned: bool, tmp_path: Path
) -> None:
    """A common type where it holds the values of all files, text where it does not."""
    parts = [other, one] if turned else [one, other]
    for number, values in enumerate(parts):
        pq.write_table(pa.table({"pid": range(len(values)), "x": values}), tmp_path / f"{number}.parquet")
    column = predict_age.read(tmp_path).to_arrow()["x"]
    assert column.type in ((kind, pa.float32()) if kind == pa.float64() else (kind,))
    texts = [None if v is None else str(v) for values in parts for v in values.cast(kind).to_pylist()]
    assert [None if v is None else str(v) for v in column.to_pylist()] == texts


def test_a_source_of_many_types_is_predicted_as_a_run_does(people_rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """Ids and years of each file by their own type: whole, float, text, decimal, in CSV, JSON and Parquet."""
    folder = tmp_path / "people"
    folder.mkdir()
    rows = [
        {"pid": r["pid"], "birth_year": r["birth_year"], "profile_json": json.dumps(r["profile_json"])} for r in people_rows[:500]
    ]
    kinds = [(pa.int64(), pa.int32()), (pa.float64(), pa.float32()), (pa.string(), pa.string()), (pa.decimal128(25), pa.int64())]
    for number, (id_type, year_type) in enumerate(kinds):
        mine = rows[number * 100 : number * 100 + 100]
        ids, years = (pa.array([r[name] for r in mine], pa.int64()) for name in ("pid", "birth_year"))
        table = pa.table(
            {"pid": ids.cast(id_type), "birth_year": years.cast(year_type), "profile_json": [r["profile_json"] for r in mine]}
        )
        pq.write_table(table, folder / f"{number}.parquet")
    (folder / "5.jsonl").write_text("".join(json.dumps({k: v for k, v in r.items() if v is not None}) + "\n" for r in rows[400:]))
    (tmp_path / "c.toml").write_text(TINY)
    run = predict_age.run(folder, tmp_path / "w", AS_OF, config=tmp_path / "c.toml", progress=False)
    published = {r["pid"]: r for r in run.results.to_arrow().to_pylist()}
    answers = predict_age.load(tmp_path / "w").predict(predict_age.read(folder, as_of=AS_OF)).to_pylist()
    assert sorted(a["pid"] for a in answers) == sorted(published) == sorted(r["pid"] for r in rows)
    compared = [a for a in answers if published[a["pid"]]["prediction_source"] == "ML_PREDICTION"]
    assert len(compared) > 100
    names = ("predicted_age", "age_lower", "age_upper", "confidence_pct", "prediction_source")
    assert all(a[name] == published[a["pid"]][name] for a in compared for name in names)


def test_a_key_that_no_column_has_is_an_error() -> None:
    """A key that only records outside the sample have: nothing is left out of a table in silence."""
    schema = pa.schema([("pid", pa.int64())])
    assert batch_of_records([{"pid": 1}, {}], schema, "f").num_rows == 2
    with pytest.raises(InputError, match="1 keys that no record had"):
        batch_of_records([{"pid": 1, "late": 2}], schema, "f")


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "gzip"])
def test_a_preview_has_any_number_of_records(kind: str, tmp_path: Path) -> None:
    """More than there are, more than 64 bits hold, none; fewer than none are refused."""
    people = predict_age.read(str(written(kind, tmp_path)))
    assert [len(people.preview(rows)) for rows in (0, 3, 300, 301, 10**30)] == [0, 3, 300, 300, 300]
    with pytest.raises(ConfigError, match="rows is no number of records"):
        people.preview(-1)
