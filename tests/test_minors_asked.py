"""Minors whose ids or ages somebody hands to a server or a model get no number, also with profiles that look like a 50-year-old's."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import predict_age
from conftest import QUICK, tiny_run
from planted_minors import FIRST_PID, FORMS, SCHEMA, write_source
from predict_age.errors import IntegrityError
from predict_age.runs.withheld_people import are_withheld, withheld_pids
from predict_age.storage.manifest import verified_run
from predict_age.storage.workspace import Workspace

NUMBERS = ("predicted_age", "age_lower", "age_upper", "confidence_pct")
EXPERIENCED = json.dumps({"years_experience": 33, "tenure_months": 380, "positions_count": 33})
KNOWN = 2 * len(FORMS)
JSON, LINES, ARROW = "application/json", "application/x-ndjson", "application/vnd.apache.arrow.stream"


@dataclass(frozen=True)
class Young:
    """A published workspace, the rows of its known minors, whose profiles are those of experienced people, and its results."""

    workspace: Path
    minors: pa.Table
    results: pa.Table

    @property
    def pids(self) -> list[int]:
        found: list[int] = self.minors["pid"].to_pylist()
        return found


@pytest.fixture(scope="module")
def young(tmp_path_factory: pytest.TempPathFactory) -> Young:
    folder = tmp_path_factory.mktemp("asked")
    source, _ = write_source(folder / "source", 1500, KNOWN, 20, telling=True)
    table = pq.read_table(source / "young.parquet")
    is_known = pc.less(table["pid"], FIRST_PID + KNOWN)
    profiles = pc.if_else(is_known, EXPERIENCED, table["profile_json"])
    table = table.set_column(table.schema.get_field_index("profile_json"), "profile_json", profiles)
    pq.write_table(table, source / "young.parquet")
    done = tiny_run(source, folder / "work", "--timestamp", "2025-11-01T00:00:00+00:00", config=QUICK)
    assert done.code == 0, done.said
    run = predict_age.open_run(folder / "work")
    return Young(folder / "work", table.filter(is_known), run.results.to_arrow())


@pytest.fixture(scope="module")
def model(young: Young) -> predict_age.AgeModel:
    return predict_age.load(young.workspace)


def has_no_number(table: pa.Table) -> bool:
    """Whether all rows are withheld and none has a number."""
    empty = all(table[name].null_count == table.num_rows for name in NUMBERS)
    return empty and set(table["prediction_source"].to_pylist()) == {"WITHHELD"} and not pc.any(table["usable"]).as_py()


def test_the_profile_alone_is_predicted(model: predict_age.AgeModel) -> None:
    """So that it is the id or the age that withholds in what follows."""
    (row,) = model.predict([EXPERIENCED]).to_pylist()
    assert row["prediction_source"] == "ML_PREDICTION" and row["predicted_age"] > 30
    assert model.explain([EXPERIENCED]).num_rows > 2


@pytest.mark.parametrize("form", ["table", "data frame", "dictionaries", "text ids"])
def test_an_id_that_the_run_withheld_has_no_number(form: str, young: Young, model: predict_age.AgeModel) -> None:
    plain = young.minors.select(["pid", "profile_json"])
    people: Any = {
        "table": plain,
        "data frame": plain.to_pandas(),
        "dictionaries": plain.to_pylist(),
        "text ids": plain.set_column(0, "pid", plain["pid"].cast(pa.string())),
    }[form]
    assert has_no_number(model.predict(people)) and model.explain(people).num_rows == 0


@pytest.mark.parametrize("form", ["table", "data frame", "dictionaries", "dictionaries of fields"])
def test_a_given_age_withholds_without_an_id(form: str, young: Young, model: predict_age.AgeModel) -> None:
    """In every column and form of an age that a source may have; adults beside them are predicted, whatever their age says."""
    adults = [{"approximate_age": "41"}, {"birth_year": "1980"}, {"birth_date": "1990-02-03"}, {"approximate_age": "old"}, {}]
    rows = [{name: row[name] for name in SCHEMA.names[1:]} for row in young.minors.to_pylist()]
    rows += [dict.fromkeys(SCHEMA.names[1:]) | adult | {"profile_json": EXPERIENCED} for adult in adults]
    table = pa.Table.from_pylist(rows, pa.schema(list(SCHEMA)[1:]))
    people: Any = {
        "table": table,
        "data frame": table.to_pandas(),
        "dictionaries": rows,
        "dictionaries of fields": [
            {**{k: v for k, v in row.items() if k != "profile_json"}, **json.loads(row["profile_json"])} for row in rows
        ],
    }[form]
    made = model.predict(people)
    assert has_no_number(made.slice(0, KNOWN))
    assert set(made.slice(KNOWN)["prediction_source"].to_pylist()) == {"ML_PREDICTION"}
    assert set(model.explain(people)["person"].to_pylist()) == set(range(KNOWN, KNOWN + len(adults)))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("approximate_age", 12),
        ("approximate_age", np.int8(17)),
        ("approximate_age", 17.9),
        ("approximate_age", Decimal("16.0")),
        ("birth_year", 2011),
        ("birth_year", np.float32(2011)),
        ("birth_date", dt.date(2011, 2, 3)),
        ("birth_date", dt.datetime(2011, 2, 3, 4)),
        ("birth_date", np.datetime64("2011-02-03")),
        ("birth_date", pandas.Timestamp("2011-02-03")),
        ("birth_date", 20110203),
    ],
)
def test_values_of_python_are_read_as_ages(column: str, value: object, model: predict_age.AgeModel) -> None:
    """Alone, and beside values of another type, with which they cannot be one column."""
    minor = {column: value, "profile_json": EXPERIENCED}
    assert has_no_number(model.predict([minor]))
    beside = [{**minor, column: other} for other in ("unknown", None, ["a list"], "half \ud800 a pair")]
    made = model.predict([minor, *beside])
    assert has_no_number(made.slice(0, 1)) and set(made.slice(1)["prediction_source"].to_pylist()) == {"ML_PREDICTION"}


def test_the_date_of_the_ages_decides(model: predict_age.AgeModel) -> None:
    person = [{"birth_date": dt.date(2010, 1, 1), "profile_json": EXPERIENCED}]
    assert has_no_number(model.predict(person))
    assert model.predict(person, as_of=dt.date(2030, 1, 1))["prediction_source"].to_pylist() == ["ML_PREDICTION"]


def test_rows_of_one_id_are_withheld_together(young: Young, model: predict_age.AgeModel) -> None:
    """As in a source: a row that says 12 is not outvoted by one that says nothing."""
    adult = int(pc.max(pc.filter(young.results["pid"], pc.equal(young.results["prediction_source"], "ML_PREDICTION"))).as_py())
    rows = [{"pid": adult, "approximate_age": age, "profile_json": EXPERIENCED} for age in (None, 12, 40)]
    assert has_no_number(model.predict(rows))
    assert model.predict(rows[::2])["prediction_source"].to_pylist() == ["ML_PREDICTION"] * 2


def test_batch_predictors_withhold_them_too(young: Young) -> None:
    assert has_no_number(predict_age.batch_predictor(young.workspace)(young.minors))


def test_withheld_ids_are_those_of_the_result(young: Young) -> None:
    """And a part of the result that is damaged is not believed."""
    run = verified_run(Workspace(young.workspace), Workspace(young.workspace).resolve("current"))
    hidden = pc.equal(young.results["prediction_source"], "WITHHELD")
    found = withheld_pids(run)
    assert found.tolist() == sorted(young.results["pid"].filter(hidden).to_pylist()) and set(young.pids) <= set(found.tolist())
    assert are_withheld(young.results["pid"].to_numpy(), found).tolist() == hidden.to_pylist()
    assert are_withheld(np.array([-1, 2**62]), found).tolist() == [False, False]
    part = run.folder.path / run.named("results/")[0]
    content = part.read_bytes()
    part.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    try:
        with pytest.raises(IntegrityError):
            withheld_pids(run)
    finally:
        part.write_bytes(content)


@pytest.fixture(scope="module")
def asked(young: Young) -> Iterator[Any]:
    pytest.importorskip("uvicorn")
    from served import server

    with server(young.workspace) as running:
        yield running


def test_the_server_gives_no_number_for_their_ids(asked: Any, young: Young) -> None:
    """One profile, an array, lines, with reasons; an adult between them is answered, and so is the profile without the id."""
    nothing = dict.fromkeys(NUMBERS) | {"prediction_source": "WITHHELD", "usable": False, "reason": None}
    items = [{"pid": pid, "profile": json.loads(EXPERIENCED), "explain": n % 2 == 0} for n, pid in enumerate(young.pids)]
    adult = {"profile": json.loads(EXPERIENCED)}
    status, single = asked.post(items[0])
    assert status == 200 and single.items() >= {"pid": young.pids[0], "explanation": None, **nothing}.items()
    answers = asked.post([adult, *items, adult])[1]["answers"]
    assert all(answer.items() >= {"pid": pid, **nothing}.items() for pid, answer in zip(young.pids, answers[1:-1], strict=True))
    assert answers[0] == answers[-1] and answers[0]["predicted_age"] > 30
    lines = asked.ask("POST", "/v1/predict", "\n".join(map(json.dumps, items)).encode(), {"Content-Type": LINES})[2]
    assert all(json.loads(line).items() >= nothing.items() for line in lines.splitlines()) and lines.count(b"\n") == KNOWN
    _, _, counts = asked.ask("GET", "/metrics")
    assert f'source="WITHHELD"}} {1 + 2 * KNOWN}' in counts.decode(), counts.decode()


def test_the_server_gives_no_number_in_arrow(asked: Any, young: Young) -> None:
    pids = [*young.pids, None, 5]
    table = pa.table({"pid": pa.array(pids, pa.int64()), "profile": [EXPERIENCED] * len(pids)})
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    status, _, body = asked.ask("POST", "/v1/predict", stream.getvalue().to_pybytes(), {"Content-Type": ARROW})
    made = pa.ipc.open_stream(body).read_all()
    assert status == 200 and made["pid"].to_pylist() == pids and has_no_number(made.slice(0, KNOWN))
    assert made.slice(KNOWN)["prediction_source"].to_pylist() == ["ML_PREDICTION"] * 2
