"""An age, or an id, inside a profile that is sent alone counts as in a source, through every entrance."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import predict_age
from conftest import QUICK, cli, tiny_run
from planted_minors import AS_OF, FIRST_PID, write_source
from predict_age.aws.http_events import answer_event
from predict_age.features.extract import FeatureReader
from predict_age.features.spec import default_text
from predict_age.kernels import MIN_KERNEL_ROWS, kernel_switch, prepare_kernels
from predict_age.kernels.json_scanner import JsonScan
from predict_age.serving.application import Service
from predict_age.serving.asgi import AsgiApplication
from predict_age.serving.served_model import Watch
from predict_age.source.flat_records import record_keys, records_in
from predict_age.source.json_members import outer_members
from predict_age.source.row_rules import connect
from predict_age.source_config import SourceConfig
from predict_age.storage.workspace import Workspace

JSON, LINES, ARROW = "application/json", "application/x-ndjson", "application/vnd.apache.arrow.stream"
EXPERIENCED = {"years_experience": 33, "tenure_months": 380, "positions_count": 33}
NUMBERS = ("predicted_age", "age_lower", "age_upper", "confidence_pct")
KNOWN = 20
SUPPRESSED = 5


@dataclass(frozen=True)
class Entrances:
    """A published workspace, and the functions that give its answers about JSON texts of profiles: rows of a dictionary each."""

    workspace: Path
    application: AsgiApplication
    model: predict_age.AgeModel

    def post(self, body: bytes, kind: str) -> bytes:
        """The answer of the server to a body, as AWS hands it over: the application of `serve` behind an event."""
        event = {
            "version": "2.0",
            "rawPath": "/v1/predict",
            "rawQueryString": "",
            "headers": {"content-type": kind, "host": "localhost"},
            "requestContext": {"http": {"method": "POST", "path": "/v1/predict"}, "stage": "$default"},
            "body": base64.b64encode(body).decode(),
            "isBase64Encoded": True,
        }
        reply = asyncio.run(answer_event(self.application, event))
        assert reply["statusCode"] == 200, reply
        return base64.b64decode(reply["body"]) if reply["isBase64Encoded"] else reply["body"].encode()

    def one(self, texts: list[str]) -> list[dict[str, Any]]:
        return [json.loads(self.post(b'{"profile": %b}' % text.encode(), JSON)) for text in texts]

    def array(self, texts: list[str]) -> list[dict[str, Any]]:
        body = "[" + ",".join(f'{{"profile": {text}}}' for text in texts) + "]"
        found: list[dict[str, Any]] = json.loads(self.post(body.encode(), JSON))["answers"]
        return found

    def explained(self, texts: list[str]) -> list[dict[str, Any]]:
        body = "[" + ",".join(f'{{"explain": true, "profile": {text}}}' for text in texts) + "]"
        found: list[dict[str, Any]] = json.loads(self.post(body.encode(), JSON))["answers"]
        assert all((row["explanation"] is None) == (row["predicted_age"] is None) for row in found)
        return found

    def lines(self, texts: list[str]) -> list[dict[str, Any]]:
        body = "".join(f'{{"profile": {text}}}\n' for text in texts)
        return [json.loads(line) for line in self.post(body.encode(), LINES).splitlines()]

    def arrow(self, texts: list[str]) -> list[dict[str, Any]]:
        table, stream = pa.table({"profile": texts}), pa.BufferOutputStream()
        with pa.ipc.new_stream(stream, table.schema) as writer:
            writer.write_table(table)
        found: list[dict[str, Any]] = pa.ipc.open_stream(self.post(stream.getvalue().to_pybytes(), ARROW)).read_all().to_pylist()
        return found

    def python(self, texts: list[str]) -> list[dict[str, Any]]:
        people = set(self.model.explain(texts)["person"].to_pylist())
        found = self.model.predict(texts).to_pylist()
        assert people == {n for n, row in enumerate(found) if row["predicted_age"] is not None}
        return found

    def dictionaries(self, texts: list[str]) -> list[dict[str, Any]]:
        return self.model.predict([json.loads(text) for text in texts]).to_pylist()

    def fields(self, texts: list[str]) -> list[dict[str, Any]]:
        return self.model.predict([{self.profile: json.loads(text)} for text in texts]).to_pylist()

    def beside(self, texts: list[str]) -> list[dict[str, Any]]:
        return self.model.predict([{self.profile: text, "birth_date": None} for text in texts]).to_pylist()

    def with_ids(self, texts: list[str]) -> list[dict[str, Any]]:
        return self.model.predict(pa.table({"pid": self.unknown(texts), self.profile: texts})).to_pylist()

    def other_column(self, texts: list[str]) -> list[dict[str, Any]]:
        table = pa.table({self.profile: texts, "note": [""] * len(texts)})
        people = set(self.model.explain(table)["person"].to_pylist())
        found = self.model.predict(table).to_pylist()
        assert people == {n for n, row in enumerate(found) if row["predicted_age"] is not None}
        return found

    def structs(self, texts: list[str]) -> list[dict[str, Any]]:
        tables = [pa.table({self.profile: [json.loads(text)], "note": [""]}) for text in texts]
        return [row for table in tables for row in self.model.predict(table).to_pylist()]

    def ray(self, texts: list[str]) -> list[dict[str, Any]]:
        return predict_age.batch_predictor(self.workspace)(pa.table({"pid": self.unknown(texts), self.profile: texts})).to_pylist()

    def spark(self, texts: list[str]) -> list[dict[str, Any]]:
        batches = pa.table({"pid": self.unknown(texts), self.profile: texts}).to_batches(7)
        made = predict_age.batch_predictor(self.workspace).each(batches)
        return [row for batch in made for row in batch.to_pylist()]

    @property
    def profile(self) -> str:
        return self.model.source.profile_json

    @staticmethod
    def unknown(texts: list[str]) -> list[int]:
        """Ids of nobody."""
        return [7_000_000_000 + n for n in range(len(texts))]

    def sql(self, texts: list[str]) -> list[dict[str, Any]]:
        connection = duckdb.connect()
        predict_age.batch_predictor(self.workspace).register(connection)
        connection.register("people", pa.table({"profile": texts}))
        return [row[0] for row in connection.sql("SELECT predict_age(profile) FROM people").fetchall()]


ENTRANCES: dict[str, Callable[[Entrances, list[str]], list[dict[str, Any]]]] = {
    "one": Entrances.one,
    "array": Entrances.array,
    "explained": Entrances.explained,
    "lines": Entrances.lines,
    "arrow": Entrances.arrow,
    "python": Entrances.python,
    "dictionaries": Entrances.dictionaries,
    "fields": Entrances.fields,
    "beside": Entrances.beside,
    "with ids": Entrances.with_ids,
    "other column": Entrances.other_column,
    "structs": Entrances.structs,
    "ray": Entrances.ray,
    "spark": Entrances.spark,
    "sql": Entrances.sql,
}
STRICT = ("one", "array", "explained", "lines")  # refuse what JSON parsers disagree on
FROM_OBJECTS = ("dictionaries", "fields", "structs")  # have what Python reads
MINORS: dict[str, dict[str, object]] = {
    "age": {"approximate_age": 12},
    "age as text": {"approximate_age": " 16.0 "},
    "fraction": {"approximate_age": 17.9},
    "zero": {"approximate_age": 0},
    "year": {"birth_year": 2011},
    "year as text": {"birth_year": "2011"},
    "date": {"birth_date": "2011-02-03"},
    "compact date": {"birth_date": "20110203"},
    "date without a century": {"birth_date": "5.3.12"},
    "month": {"birth_date": "2012-05"},
    "year as a date": {"birth_date": 2012},
    "against another": {"birth_year": 1980, "approximate_age": 12},
}
ADULTS: tuple[dict[str, object], ...] = (
    {"approximate_age": 41},
    {"birth_year": "1980"},
    {"approximate_age": "old"},
    {"birth_date": None},
    {"birth_date": "05/03/12"},
)


def texts_of(records: list[dict[str, object]]) -> list[str]:
    """JSON texts of ``records``: the ages before and behind the features, and with a key in escapes."""
    texts = [json.dumps(record | EXPERIENCED) for record in records] + [json.dumps(EXPERIENCED | record) for record in records]
    return texts + [text.replace('"birth_', '"birth\\u005f').replace('"approximate_', '"approximate\\u005f') for text in texts]


@pytest.fixture(scope="module", params=["flat", "nested"])
def entrances(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entrances]:
    folder = tmp_path_factory.mktemp("sent")
    source, _ = write_source(folder / "source", 1200, KNOWN, 0, telling=True)
    config = QUICK
    if request.param == "flat":
        rows = [row for path in sorted(source.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
        source = folder / "flat"
        source.mkdir()
        lines = (
            {**{k: v for k, v in row.items() if k != "profile_json"}, **json.loads(row["profile_json"] or "{}")} for row in rows
        )
        (source / "people.jsonl").write_text("".join(json.dumps(line, default=str) + "\n" for line in lines))
        config += '[source]\nprofile_json = "*"\n'
    done = tiny_run(source, folder / "work", "--timestamp", "2025-11-01T00:00:00+00:00", config=config, as_of=AS_OF)
    assert done.code == 0, done.said
    (folder / "ids").write_text(f"{SUPPRESSED}\n")
    cli("suppress", "--workspace", folder / "work", "--pid-file", folder / "ids")
    watch = Watch(Workspace.existing(folder / "work"), print)
    watch.load()
    yield Entrances(folder / "work", AsgiApplication(Service(watch, None)), predict_age.load(folder / "work"))


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_an_age_inside_a_profile_withholds(entrance: str, entrances: Entrances) -> None:
    """Every column and form of an age, through every entrance, of a flat source and of one with a column of profiles."""
    minors, adults = texts_of(list(MINORS.values())), texts_of(list(ADULTS))
    rows = ENTRANCES[entrance](entrances, [*minors, *adults, json.dumps(EXPERIENCED)])
    told = [
        row for row in rows[: len(minors)] if row["prediction_source"] != "WITHHELD" or any(row[n] is not None for n in NUMBERS)
    ]
    assert not told
    assert {row["prediction_source"] for row in rows[len(minors) :]} == {"ML_PREDICTION"}
    assert {row["predicted_age"] for row in rows[len(minors) :]} == {rows[-1]["predicted_age"]}


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_an_id_inside_a_flat_profile_withholds(entrance: str, entrances: Entrances) -> None:
    """As in a flat source, where the id stands among the fields; elsewhere such a key is part of the profile."""
    flat = entrances.model.source.profile_json == "*"
    texts = [json.dumps({"pid": pid} | EXPERIENCED) for pid in (FIRST_PID, str(FIRST_PID + 1), 5)]
    rows = ENTRANCES[entrance](entrances, texts)
    if flat or entrance != "dictionaries":  # a dictionary names its id beside the profile
        assert [row["prediction_source"] == "WITHHELD" for row in rows] == [flat, flat, False]


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_an_id_inside_a_flat_profile_is_hidden_when_suppressed(entrance: str, entrances: Entrances) -> None:
    """The server says that nobody is there, a model that the person is suppressed; others have their number."""
    flat = entrances.model.source.profile_json == "*"
    texts = [json.dumps({"pid": pid} | EXPERIENCED) for pid in (SUPPRESSED, str(SUPPRESSED), SUPPRESSED + 1)]
    rows = ENTRANCES[entrance](entrances, texts)
    if flat or entrance != "dictionaries":
        assert [row["predicted_age"] is None for row in rows] == [flat, flat, False]
        assert not {"WITHHELD"} & {row["prediction_source"] for row in rows}


@pytest.mark.parametrize("entrance", ["one", "array", "lines", "arrow"])
def test_each_sent_profile_is_scanned_once(entrance: str, entrances: Entrances, monkeypatch: pytest.MonkeyPatch) -> None:
    """For its features, its ages and its ids together; only records are read in another way."""
    scanned, scan_rows = list[int](), JsonScan.scan_rows

    def counted(scan: JsonScan, block: slice) -> None:
        scanned.append(len(scan.plain[block]))
        scan_rows(scan, block)

    monkeypatch.setattr(JsonScan, "scan_rows", counted)
    texts = [json.dumps(EXPERIENCED | {"n": n}) for n in range(20)] + [json.dumps({"pid": SUPPRESSED, "birth_year": 1980})]
    assert len(ENTRANCES[entrance](entrances, texts)) == sum(scanned) == len(texts)


HARD: dict[str, Callable[[str, object], str]] = {
    "many digits": lambda key, value: f'{{"x": {"9" * 5000}, "{key}": {json.dumps(value)}, {json.dumps(EXPERIENCED)[1:]}',
    "an exponent": lambda key, value: f'{{"x": 1e{"9" * 30}, "{key}": {json.dumps(value)}, {json.dumps(EXPERIENCED)[1:]}',
    "deep": lambda key, value: f'{{"x": {"[" * 1500}{"]" * 1500}, "{key}": {json.dumps(value)}, {json.dumps(EXPERIENCED)[1:]}',
    "first of two": lambda key, value: f'{{"{key}": {json.dumps(value)}, "{key}": 40, {json.dumps(EXPERIENCED)[1:]}',
    "second of two": lambda key, value: f'{{"{key}": 40, "{key}": {json.dumps(value)}, {json.dumps(EXPERIENCED)[1:]}',
}

TAKEN_BY_ALL = ("many digits", "an exponent")


@pytest.mark.parametrize("entrance", [name for name in ENTRANCES if name not in FROM_OBJECTS])
def test_records_that_parsers_disagree_on_withhold(entrance: str, entrances: Entrances) -> None:
    """Integers and exponents beyond Python's, nesting beyond its stack, and keys that stand twice, of which each value counts."""
    forms = [HARD[name] for name in HARD if entrance not in STRICT or name in TAKEN_BY_ALL]
    ages = [form(key, value) for form in forms for key, value in (("approximate_age", 12), ("birth_year", "2011"))]
    ids = [form("pid", pid) for form in forms for pid in (FIRST_PID, SUPPRESSED)] if entrances.profile == "*" else []
    rows = ENTRANCES[entrance](entrances, [*ages, *ids, json.dumps(EXPERIENCED)])
    assert [any(row[name] is not None for name in NUMBERS) for row in rows] == [False] * len(ages + ids) + [True]
    assert {row["prediction_source"] for row in rows[: len(ages)]} == {"WITHHELD"}


@given(
    st.dictionaries(st.text(max_size=3), st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=4), max_size=4)
)
@settings(max_examples=60, deadline=None)
def test_outer_members_are_those_of_json(record: dict[str, object]) -> None:
    """Also where letters are escaped, and around inner objects that have the same keys."""
    record = {**record, "inner": dict.fromkeys(record, 1)}
    for text in (json.dumps(record), json.dumps(record, ensure_ascii=False, indent=1)):
        assert [(name, json.loads(value)) for name, value in outer_members(text)] == list(record.items())
        assert not list(outer_members(f"[{text}]"))


def test_records_beyond_python_are_read(tmp_path: Path) -> None:
    """A run reads them, so ``read`` has a row for each, with its values."""
    lines = [HARD[form]("pid", 7) for form in ("many digits", "deep")] + ['{"pid": 8, "x": 1}']
    (tmp_path / "people.jsonl").write_text("\n".join(lines))
    table = predict_age.read(tmp_path / "people.jsonl").to_arrow()
    assert table["pid"].to_pylist() == [7, 7, 8]
    assert table["x"].to_pylist() == ["9" * 5000, "[" * 1500 + "]" * 1500, "1"]


KEYS = ["birth_year", "approximate_age", "pid", "birth_date", "approx", "languages", "bïrth", "birth_year ", "\\", 'a"b']
VALUES = (
    st.none()
    | st.integers(0, 2030)
    | st.sampled_from(["birth_year", "caf\u00e9", ' "birth_year": 1', "1980-02-03", "\\"])
    | st.floats()
)


@st.composite
def sent_texts(draw: st.DrawFn) -> str | None:
    """JSON of a profile with names of ages at its top or below, letters of keys escaped or not; or something else."""
    below = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=2)
    profile = draw(st.dictionaries(st.sampled_from(KEYS), VALUES | below | st.lists(below, max_size=2), max_size=4))
    text = json.dumps(profile, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
    if draw(st.booleans()):
        text = text.replace('"birth_', '"\\u0062irth_' if draw(st.booleans()) else '"b\\u0069rth_')
    if draw(st.integers(0, 5)) == 0:
        text = text[:-1] + draw(st.sampled_from([',"birth_year":1,"birth_year":2}', "", "}}", ']"birth_year"']))
    return draw(st.sampled_from([text, text, text, text, None, f" [{text}]", f"\n{text} "]))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(sent_texts(), min_size=1, max_size=20), st.sampled_from(["*", "profile_json"]), st.sampled_from(KEYS[:4] + KEYS[-3:])
)
def test_kernels_find_the_ages_that_json_has(texts: list[str | None], profile: str, name: str) -> None:
    """Whether compiled code, alone or with the features, or Python looks for them."""
    source = SourceConfig(profile_json=profile, birth_year=name)
    column = pa.chunked_array([pa.array(["{}", *texts], pa.string()).slice(1)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel_switch, "on", False)
        expected = records_in(column, source)
    prepare_kernels(MIN_KERNEL_ROWS)
    assert repr(records_in(column, source)) == repr(expected)
    names = record_keys(source)
    reader = FeatureReader(connect, default_text(), AS_OF, kernels=True, keys=names)  # its scan for features finds the same
    reader.add(column)
    may_have = reader.may_have_keys()
    assert repr(records_in(column, source, np.flatnonzero(may_have).tolist())) == repr(expected)
    by_sql = FeatureReader(connect(), default_text(), AS_OF, kernels=False, keys=names)  # tells nothing
    by_sql.add(column)
    assert by_sql.may_have_keys().tolist() == [True] * len(texts)
    plain = [json.dumps({"languages": "x"} | {n: {"pid": 1} for n in ("a", "b")})] * 2
    reader.add(pa.chunked_array([pa.array(plain)]))
    assert not reader.may_have_keys()[len(texts) :].any()
    found = {number for number, _ in expected}
    for number, text in enumerate(texts):
        try:
            record = json.loads(text or "")
        except ValueError:  # a damaged profile may be read by others
            continue
        assert (number in found) == (isinstance(record, dict) and any(record.get(n) is not None for n in names))
