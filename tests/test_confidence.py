"""The percentage of each width: one number, in hundredths, wherever it is published or answered."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from predict_age.models.bundle import Predictions, confidence_pct
from predict_age.predictor.answers import Answers, answers
from predict_age.runs.lookup_files import LookupFiles, LookupIndex, lookup_index, lookup_part
from predict_age.serving.people import PublishedPeople
from predict_age.sql import for_duckdb
from predict_age.steps.final_results import result_part
from predict_age.storage.durable_files import file_sha256

WIDTHS = range(91)
LOWER = 18
EXPECTED = [float(max(Decimal(100) - Decimal("3.33") * width, Decimal(0))) for width in WIDTHS]
THRESHOLDS = [0.0, 1.0, 40.0, 60.0, 99.99, 100.0, *dict.fromkeys(EXPECTED), *(pct + 0.01 for pct in EXPECTED if pct < 100)]


def result_file(folder: Path, usable_from_pct: float) -> tuple[Path, str]:
    """The part of a result with a predicted person of each width, whose pid is the width."""
    n = len(WIDTHS)
    people = {
        "pid": pa.array(WIDTHS, pa.int64()),
        "final_age": pa.array([LOWER] * n, pa.int32()),
        "prediction_source": ["ML_PREDICTION"] * n,
        "confidence_score": pa.array(WIDTHS, pa.float64()),
        "age_lower": pa.array([LOWER] * n, pa.float64()),
        "age_upper": pa.array([LOWER + width for width in WIDTHS], pa.float64()),
        "model_version": ["m"] * n,
    }
    qa, path = folder / "qa.parquet", folder / "part.parquet"
    pq.write_table(pa.table(people), qa)
    result_part(path, "k", qa, file_sha256(qa), "2025-10-23 08:00:00", "r", usable_from_pct, "research", b"k" * 16)
    return path, file_sha256(path)


def answered(usable_from_pct: float) -> Answers:
    """Answers about a person of each width."""
    n = len(WIDTHS)
    lower, upper = np.full(n, float(LOWER)), np.array([float(LOWER + width) for width in WIDTHS])
    made = Predictions(np.full(n, LOWER, np.int32), lower, upper, np.zeros(n, np.bool_))
    return answers(np.ones(n, np.bool_), [], made, 35, usable_from_pct)


def test_every_entrance_has_the_same_hundredths(tmp_path: Path) -> None:
    """Result file, view, lookup by pid, Arrow, Python and JSON: 26.74 of 22 years, never 26.739999999999995."""
    part = result_file(tmp_path, 40.0)
    table = pq.read_table(part[0]).sort_by("pid")
    with duckdb.connect() as connection:
        connection.register("predict_age_final_results", table)
        view = connection.sql(for_duckdb("final_view")).to_arrow_table().sort_by("pid")
    blocks = tmp_path / "people_0.blocks"
    lookup_part(blocks, "k", [part], None, 0)
    lookup_index(tmp_path / "index.bin", "k", [(blocks, file_sha256(blocks))])
    records = LookupFiles(tmp_path, LookupIndex.read((tmp_path / "index.bin").read_bytes()))
    people = PublishedPeople(records, "integer", 0)
    given = answered(40.0)
    entrances = {
        "formula": confidence_pct(np.array(WIDTHS, np.float64)).tolist(),
        "result file": table["confidence_pct"].to_pylist(),
        "view": view["confidence_pct"].to_pylist(),
        "lookup": [found.confidence_pct for pid in WIDTHS if (found := people.find(pid))],
        "Arrow": given.table()["confidence_pct"].to_pylist(),
        "Python": given.pct.tolist(),
        "JSON": [json.loads(json.dumps(answer.as_json()))["confidence_pct"] for answer in given.each()],
    }
    assert {name: found for name, found in entrances.items() if found != EXPECTED} == {}
    assert all(len(str(pct).partition(".")[2]) <= 2 for pct in EXPECTED)


@pytest.mark.parametrize("usable_from_pct", dict.fromkeys(THRESHOLDS))
def test_usable_is_what_the_published_percentage_says(tmp_path: Path, usable_from_pct: float) -> None:
    """In results and in answers, also where the limit is a percentage that somebody has, and where it is 0."""
    expected = [pct >= usable_from_pct for pct in EXPECTED]
    assert pq.read_table(result_file(tmp_path, usable_from_pct)[0]).sort_by("pid")["usable"].to_pylist() == expected
    assert answered(usable_from_pct).usable.tolist() == expected
