"""An age inside a profile withholds in a run as it does on demand, where no column of the source says how old somebody is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import predict_age
from conftest import QUICK, tiny_run
from planted_minors import AS_OF, SCHEMA, write_source
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
