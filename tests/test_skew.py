"""check-skew: answers on demand are the published ones, or the command says who differs and by which feature."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import cli, tiny_run, write_jsonl
from predict_age.features import json_fast_path
from predict_age.kernels import prepare_kernels
from predict_age.serving import client, skew
from predict_age.serving.served_model import load_served
from predict_age.serving.skew import check_skew
from predict_age.storage.workspace import Workspace
from served import Served, server

pytest.importorskip("uvicorn", reason="the extra serve is not installed")


@pytest.fixture(scope="module")
def served(finished: tuple[Path, dict[str, Any]]) -> Iterator[Served]:
    with server(finished[0]) as running:
        yield running


def test_the_predictor_and_the_server_have_no_skew(finished: tuple[Path, dict[str, Any]], served: Served) -> None:
    """Hundreds of published people, from Parquet, in the process and through HTTP."""
    inside = json.loads(cli("check-skew", "--workspace", finished[0], "--people", 700, "--json").stdout)
    assert (inside["compared"], inside["different"]) == (700, 0)
    asked = cli("check-skew", "--workspace", finished[0], "--people", 700, "--url", f"http://127.0.0.1:{served.port}")
    assert "700 of 700 people" in asked.stdout


def test_text_sources_duplicates_and_odd_profiles(tmp_path: Path, people_rows: list[dict[str, Any]]) -> None:
    """JSON lines with ids that occur twice, profiles that are none, and minors: those that are compared are equal."""
    rows = people_rows[:300] + people_rows[:30]
    rows += [
        {"pid": 10**9 + n, "profile_json": p}
        for n, p in enumerate(['{"a": 1, "a": 2}', "[]", "null", '{"years_experience": 7, "x": NaN}', "{"])
    ]
    source = write_jsonl(tmp_path / "people.jsonl", rows)
    assert tiny_run(source, tmp_path / "w").code == 0
    found = check_skew(Workspace(tmp_path / "w"), 10_000)
    assert found.compared > 100 and not found.different and not found.refused
    with server(tmp_path / "w") as running:
        through = check_skew(Workspace(tmp_path / "w"), 10_000, client.asking(f"http://127.0.0.1:{running.port}"))
    assert not through.different and 0 < through.refused <= 5
    assert through.compared + through.refused == found.compared


def test_a_feature_that_is_read_otherwise_is_named(finished: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Dates a year off in the reader of single profiles: exit code 4, and the feature's name."""
    prepare_kernels(10**6)
    honest = json_fast_path.FastPathReader.numbers

    def aged(reader: json_fast_path.FastPathReader) -> np.ndarray:
        numbers = honest(reader)
        names = [column.name for column in reader.fast_path.columns]
        numbers[names.index("years_experience")] += 9
        return numbers

    monkeypatch.setattr(json_fast_path.FastPathReader, "numbers", aged)
    done = cli("check-skew", "--workspace", finished[0], "--people", 200, check=4)
    assert "years_experience" in done.stderr and "years_since_joining" not in done.stderr
    assert "another answer" in done.stderr


def test_an_edited_feature_file_is_caught(tmp_path: Path, people_rows: list[dict[str, Any]]) -> None:
    """The model's copy of the feature file, changed on disk, stops the command with exit code 4."""
    source = write_jsonl(tmp_path / "people.jsonl", people_rows[:200])
    run = tiny_run(source, tmp_path / "w").run["run_id"]
    features = tmp_path / "w" / "runs" / run / "model" / "features.toml"
    honest = features.read_text()
    features.write_text(honest.replace("max = 65", "max = 64"))
    from predict_age.models.artifact import load_model

    load_model.cache_clear()
    assert "features.toml" in cli("check-skew", "--workspace", tmp_path / "w", check=4).stderr
    features.write_text(honest)
    source.write_text(source.read_text() + "\n")
    assert "changed" in cli("check-skew", "--workspace", tmp_path / "w", check=3).stderr


def test_servers_that_do_not_answer(finished: tuple[Path, dict[str, Any]]) -> None:
    for url, code in (("ftp://x", 2), ("localhost:1", 2), ("http://127.0.0.1:9", 6)):
        assert cli("check-skew", "--workspace", finished[0], "--url", url, check=code).stderr


def test_another_answer_counts_as_different(finished: tuple[Path, dict[str, Any]]) -> None:
    """One hundredth of a percent is enough, and so is one end of one interval."""

    def shifted(name: str, by: float) -> Any:
        def ask(profiles: list[str | None]) -> list[dict[str, object]]:
            answers = honest(profiles)
            answers[0] = answers[0] | {name: (answers[0][name] or 0) + by}  # type: ignore[operator]
            return answers

        return ask

    predictor = skew.load_predictor(Workspace(finished[0]))
    honest = lambda profiles: [a.as_json() for a in predictor.predict(profiles).each()]  # noqa: E731
    for name, by in (("confidence_pct", 0.01), ("age_upper", 1)):
        found = check_skew(Workspace(finished[0]), 50, shifted(name, by))
        assert (found.compared, found.different, dict(found.values), dict(found.features)) == (50, 1, {name: 1}, {})


def test_people_whose_age_the_training_source_says_are_not_compared(tmp_path: Path, people_rows: list[dict[str, Any]]) -> None:
    """Withheld and known through the training source alone: the run is served; a wrongly published row is still noticed."""
    ages = ("approximate_age", "birth_date", "birth_year")
    bare = [{k: v for k, v in row.items() if k not in ages} | {"approximate_age": None} for row in people_rows[:120]]
    labelled = [row for row in people_rows[120:] if row.get("approximate_age")]
    labelled += [row | {"approximate_age": 15} for row in bare[:10]] + [row | {"approximate_age": 44} for row in bare[10:20]]
    source, training = write_jsonl(tmp_path / "people.jsonl", bare), write_jsonl(tmp_path / "labels.jsonl", labelled)
    assert tiny_run(source, tmp_path / "w", "--training-source", training).code == 0
    found = check_skew(Workspace(tmp_path / "w"), 1000)
    assert (found.compared, found.different) == (100, 0)
    load_served(Workspace(tmp_path / "w"))

    def withheld(profiles: list[str | None]) -> list[dict[str, object]]:
        return [dict.fromkeys(skew.COMPARED) | {"prediction_source": "WITHHELD"} for _ in profiles]

    assert check_skew(Workspace(tmp_path / "w"), 1000, withheld).different >= 90  # the model itself may withhold some
    training.write_text(training.read_text() + "\n")
    assert "changed" in cli("check-skew", "--workspace", tmp_path / "w", check=3).stderr


def test_a_withheld_row_without_an_age_in_the_training_source_is_compared(
    tmp_path: Path, people_rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published row alone excuses nobody: without the age in the training source, all of these rows are differences."""
    bare = [{"pid": row["pid"], "profile_json": row["profile_json"], "approximate_age": None} for row in people_rows[:60]]
    labelled = [row for row in people_rows[60:] if row.get("approximate_age")] + [r | {"approximate_age": 15} for r in bare[:10]]
    source, training = write_jsonl(tmp_path / "people.jsonl", bare), write_jsonl(tmp_path / "labels.jsonl", labelled)
    assert tiny_run(source, tmp_path / "w", "--training-source", training).code == 0
    monkeypatch.setattr(skew, "_ids_with_age", lambda *_: np.empty(0, np.int64))
    found = check_skew(Workspace(tmp_path / "w"), 1000)
    assert found.compared == 60 and 8 <= found.different <= 10
