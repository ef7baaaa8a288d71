"""An age inside a profile withholds in a run as it does on demand, where no column of the source says how old somebody is."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import predict_age
from conftest import QUICK, tiny_run
from planted_minors import AS_OF, SCHEMA, write_source
from predict_age.config import AgesConfig, SourceConfig, load_config
from predict_age.features.spec import default_text
from predict_age.runs import incremental, warm_up
from predict_age.runs.incremental import obstacle
from predict_age.runs.run import RunPlan
from predict_age.source.discovery import list_source
from predict_age.source.duplicate_rows import DUPLICATE_ROW
from predict_age.source.external_partition import scatter
from predict_age.source.profile_hash import profile_keys
from predict_age.source.row_group_reader import source_splits
from predict_age.source.row_rules import RowRules
from predict_age.steps import batch_prediction
from test_sent_records import ADULTS, EXPERIENCED, HARD, MINORS, NUMBERS, texts_of

FIRST_OF_MINORS, FIRST_OF_ADULTS = 7_000_000_000, 7_100_000_000
WITHOUT_FEATURES = ['{"approximate_age": 12}', '{"birth_year": "2011", "hobby": "chess"}', '{"x": [1, 2}, "approximate_age": 12}']
YOUNG = [
    *texts_of(list(MINORS.values())),
    *(form(key, value) for form in HARD.values() for key, value in (("approximate_age", 12), ("birth_year", "2011"))),
    *WITHOUT_FEATURES,
]
GROWN = [*texts_of([*ADULTS, {"approximate_age": None}, {"birth_year": None, "birth_date": None}]), "[12]"]


@dataclass(frozen=True)
class Pair:
    """A workspace with a run, and a second one ``after`` it that takes its unchanged predictions over; the rows of both."""

    workspace: Path
    first: dict[int, dict[str, Any]]
    second: dict[int, dict[str, Any]]
    summaries: tuple[dict[str, Any], dict[str, Any]]


def rows_of(workspace: Path) -> dict[int, dict[str, Any]]:
    """Rows of the published result by pid."""
    tables = [pq.read_table(path) for path in sorted((workspace / "current").glob("*.parquet"))]
    return {row["pid"]: row for row in pa.concat_tables(tables).to_pylist()}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("profiles")
    source, _ = write_source(folder / "source", 1200, 20, 0, telling=True)
    pids = [*range(FIRST_OF_MINORS, FIRST_OF_MINORS + len(YOUNG)), *range(FIRST_OF_ADULTS, FIRST_OF_ADULTS + len(GROWN))]
    nothing = [None] * len(pids)
    pq.write_table(pa.table([pids, nothing, nothing, nothing, YOUNG + GROWN], schema=SCHEMA), source / "z.parquet")
    work, when = folder / "work", "2025-11-01T00:00:00+00:00"
    done = tiny_run(source, work, "--timestamp", when, config=QUICK, as_of=AS_OF)
    assert done.code == 0, done.said
    first = rows_of(work)
    again = tiny_run(source, work, "--timestamp", when, "--base", "current", config=QUICK, as_of=AS_OF)
    assert again.code == 0, again.said
    return Pair(work, first, rows_of(work), (done.run, again.run))


def test_a_run_withholds_by_an_age_inside_the_profile(pair: Pair) -> None:
    """Every column and form of an age, hard texts, profiles without any feature; adults, and keys without a value, are predicted."""
    told = {
        text: row
        for text, row in zip(YOUNG, (pair.first[FIRST_OF_MINORS + n] for n in range(len(YOUNG))), strict=True)
        if row["prediction_source"] != "WITHHELD" or any(row[name] is not None for name in NUMBERS)
    }
    assert not told
    adults = [pair.first[FIRST_OF_ADULTS + n] for n in range(len(GROWN))]
    assert [row["prediction_source"] for row in adults] == ["ML_PREDICTION"] * (len(GROWN) - 1) + ["DEFAULT"]
    assert len({row["predicted_age"] for row in adults[:-1]}) == 1


def test_sentences_count_them_as_people_whose_age_is_given(pair: Pair) -> None:
    """They are no people whom the model takes for minors."""
    rows = pair.summaries[0]["rows"]
    own = 20 + len(YOUNG)
    assert (
        f"{own} by an age of their own, {rows['withheld'] - own:,} of unknown age by the model"
        in pair.summaries[0]["withheld_reason"]
    )


def test_an_incremental_run_withholds_the_same_people(pair: Pair) -> None:
    """Who was withheld is judged again, all others keep their prediction."""
    assert pair.second.keys() == pair.first.keys()
    differing = [
        pid for pid, row in pair.second.items() if any(row[n] != pair.first[pid][n] for n in (*NUMBERS, "prediction_source"))
    ]
    assert not differing
    assert pair.summaries[1]["rows"] == pair.summaries[0]["rows"]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({}, ""),
        ({"ages": {"zero": "missing"}}, "ages.zero"),
        ({"source": {"approximate_age": "years"}}, "under other names"),
        ({"ages": {"min_age": 0}, "source": {"approximate_age": "years"}}, ""),
    ],
)
def test_no_prediction_is_taken_over_where_other_ages_withhold(section: dict[str, Any], said: str) -> None:
    """A profile that is unchanged may be a minor's by a key, or a zero, that the base run had not looked at."""
    config = load_config(None, {"ages": {"min_age": section.get("ages", {}).get("min_age", 18)}})
    before = RunPlan("r", "", dt.date(2025, 10, 23), "", "s", (), config, "", "", "c", 1, "", "", (), False)
    record = json.loads(json.dumps(before.as_json()))
    manifest, folder = SimpleNamespace(code="c", as_of="2025-10-23"), SimpleNamespace(record=record)
    base: Any = SimpleNamespace(manifest=manifest, folder=folder, named=lambda _: ["predictions/batch_0"])
    now = replace(before, config=load_config(None, section), features_text=default_text())
    assert said in (found := obstacle(now, base))
    assert bool(said) == bool(found)


def test_workers_are_warmed_up_for_the_keys_of_their_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a batch begins with an empty cache of values: readers that look for other keys have another one."""
    pq.write_table(pa.table([[1], [None], [None], [None], ["{}"]], schema=SCHEMA), tmp_path / "a.parquet")
    source, looked_for = SourceConfig(), list[tuple[str, ...]]()

    def extracted(*_: object, keys: tuple[str, ...]) -> None:
        looked_for.append(keys)
        raise InterruptedError

    monkeypatch.setattr(warm_up, "load_model", lambda *_: (SimpleNamespace(features=SimpleNamespace(text="")), ""))
    monkeypatch.setattr(warm_up, "extract_features", extracted)
    [split] = source_splits(list_source(str(tmp_path), source).files[0], 0)
    for ages in (AgesConfig(), AgesConfig(min_age=0)):
        with pytest.raises(InterruptedError):
            warm_up.warm_up(tmp_path, "", split, source, RowRules(ages, dt.date(2025, 10, 23)))
    assert looked_for == [source.age_columns, ()]


def test_models_in_python_answer_as_the_run_did(pair: Pair) -> None:
    """For everybody whose age no column gives, to the last digit."""
    unknown = {pid: row for pid, row in pair.first.items() if pid >= FIRST_OF_MINORS and pid < 8_000_000_000}
    texts = dict(zip([FIRST_OF_MINORS + n for n in range(len(YOUNG))], YOUNG, strict=True))
    texts |= dict(zip([FIRST_OF_ADULTS + n for n in range(len(GROWN))], GROWN, strict=True))
    answers = predict_age.load(pair.workspace).predict([texts[pid] for pid in unknown]).to_pylist()
    for (pid, row), answer in zip(unknown.items(), answers, strict=True):
        assert [row[name] for name in NUMBERS] == [answer[name] for name in NUMBERS], texts[pid]
        assert row["prediction_source"] == answer["prediction_source"], texts[pid]
    assert json.loads(YOUNG[0])["years_experience"] == EXPERIENCED["years_experience"]


TENURE = 'format = 1\n[features.t]\nkind = "number"\npath = "tenure"\nmin = 0\nmax = 90\ndefault = 5\nmeaning = "Years."\n'
BORN = '{"birth_date": "2025-11-30"}', '{"birth_year": 2026}', '{"birth_date": "2008-01-15"}', '{"birth_date": "1980-01-01"}', "{}"


@pytest.mark.parametrize(
    ("base", "now", "young"),
    [
        ("2025-10-23", "2026-02-01", [True, True, False, False, False]),
        ("2026-02-01", "2025-10-23", [False, False, True, False, False]),
        ("2025-10-23", "2025-10-23", [False] * 5),  # it has withheld whoever is young
    ],
)
def test_a_date_of_birth_counts_anew_where_as_of_has_moved(base: str, now: str, young: list[bool], tmp_path: Path) -> None:
    """Somebody born between both dates had a prediction of the base run, and kept it."""
    pids, nothing = range(len(BORN)), [None] * len(BORN)
    pq.write_table(pa.table([pids, nothing, nothing, nothing, BORN], schema=SCHEMA), tmp_path / "a.parquet")
    source = SourceConfig()
    [split] = source_splits(list_source(str(tmp_path / "a.parquet"), source).files[0], 0)
    entries = np.zeros(len(BORN), incremental.PREDICTION_ENTRY)
    entries["pid"], entries["key"] = pids, profile_keys(pa.chunked_array([pa.array(BORN)]), np.ones(len(BORN), np.bool_))
    scatter(tmp_path, 0, entries, 1)
    incremental._gather(0, 1, tmp_path)
    facts = SimpleNamespace(pid_type="integer")
    run: Any = SimpleNamespace(
        manifest=SimpleNamespace(as_of=base), checked=lambda _: [], folder=SimpleNamespace(facts=lambda _: facts)
    )
    pool: Any = SimpleNamespace(workers=1, run=lambda *_, **__: [])
    reusable = incremental.build(pool, run, tmp_path, now)
    np.save(tmp_path / "duplicates.npy", np.empty(0, DUPLICATE_ROW))
    rules = RowRules(AgesConfig(), dt.date.fromisoformat(now))
    context: Any = SimpleNamespace(
        source=source, rules=rules, duplicate_rows=tmp_path / "duplicates.npy", reusable=reusable, drift_seed=0, drift_share=0.0
    )
    read = list(batch_prediction._read([split], context, TENURE))
    kept = np.ones(len(BORN), np.bool_) if not read else read[0][0].kept
    assert (~kept).tolist() == young
    assert base == now or read[0][0].minors.tolist() == young
