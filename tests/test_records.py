"""Records of steps: written and read back byte for byte, also those of an earlier version; damaged ones are refused."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from predict_age.errors import IntegrityError
from predict_age.records.json_fields import OPTIONAL
from predict_age.records.model_quality import Metrics
from predict_age.records.step_facts import (
    FACTS,
    BatchGeneratorFacts,
    HumanQaFacts,
    ParallelPredictionFacts,
    ReadSourceFacts,
    TrainingFacts,
)
from predict_age.step import STEPS, StepRecord, StepResult, step_named
from predict_age.storage.durable_files import hashed_json, read_json
from predict_age.storage.workspace import RunFolder

NEWER = {"read_source": {"pid_type": "integer", "files": []}}  # keys that version 0.2.0 did not write, with their defaults
GOLDEN = Path(__file__).parent / "golden" / "records-0.2.0"


def golden(step: str) -> dict[str, Any]:
    """The JSON object of a record that version 0.2.0 wrote."""
    return read_json(GOLDEN / f"{step}.json")


def test_every_step_has_facts_of_its_own() -> None:
    """The names are those of the steps, in their order."""
    assert list(FACTS) == [s.name for s in STEPS]


@pytest.mark.parametrize("step", [s.name for s in STEPS])
def test_records_of_version_0_2_0_are_read_and_written_byte_for_byte(step: str) -> None:
    """The same keys in the same order, the same numbers, the same content hash; a key that is newer has its default."""
    record = StepRecord.from_json(golden(step), step)
    assert type(record.facts) is FACTS[step]
    written = record.as_json()
    for key, default in NEWER.get(step, {}).items():
        assert written["facts"].pop(key) == default  # type: ignore[attr-defined]
    assert hashed_json(written) == (GOLDEN / f"{step}.json").read_text()


def test_facts_have_the_recorded_values(tmp_path: Path) -> None:
    """Values under names that differ from their keys on disk, and nested ones."""
    folder = RunFolder(tmp_path / "run")
    (folder.path / "steps").mkdir(parents=True)
    for step in ("read_source", "training", "parallel_prediction"):
        (folder.path / "steps" / f"{step}.json").write_text((GOLDEN / f"{step}.json").read_text())
    assert folder.facts(ReadSourceFacts).rejected == {"malformed_json": 2}
    training = folder.facts(TrainingFacts)
    assert training.evaluation is not None and training.evaluation.worst_group is not None
    assert (training.evaluation.worst_group.field, training.evaluation.worst_group.apart) == ("country", -5.8)
    assert training.metrics.by_confidence[1].low == 10 and training.metrics.rows.fitted == 44824
    prediction = folder.facts(ParallelPredictionFacts)
    assert prediction.drift.findings[0].ks is None and prediction.drift.findings[0].missing == (0.12, 0.2)
    assert prediction.state is not None and prediction.state.dispersion["job_level"].freedom == 0
    assert [r.name for r in folder.steps()] == ["read_source", "training", "parallel_prediction"]


def test_keys_that_an_earlier_version_did_not_write_are_read_as_defaults() -> None:
    """A record without drift, reuse and evaluation is still a record."""
    old = golden("parallel_prediction")
    for key in ("reused", "not_reused_because", "state", "drift"):
        del old["facts"][key]
    facts = StepRecord.from_json(old, "parallel_prediction").facts
    assert isinstance(facts, ParallelPredictionFacts)
    assert (facts.reused, facts.state, facts.drift.findings) == (0, None, ())
    old = golden("training")
    for key in ("judged", "trained_at", "reference", "base"):
        del old["facts"][key]
    trained = StepRecord.from_json(old, "training").facts
    assert isinstance(trained, TrainingFacts)
    assert (trained.evaluation, trained.trained_at, trained.base) == (None, "", None)


def test_a_key_is_left_out_where_only_one_platform_knows_its_value() -> None:
    """Local records have no key for what AWS alone notes, and the other way round."""
    facts = BatchGeneratorFacts(batches=2, formula="f", largest=2, smallest=1)
    local = StepRecord.of(step_named("batch_generator"), StepResult(3, facts), 0.12345).as_json()
    assert local["facts"] == {"batches": 2, "formula": "f", "largest": 2, "smallest": 1}
    remote = StepRecord.of(step_named("batch_generator"), StepResult(3, replace(facts, tasks=0)), 0.1).as_json()
    assert remote["facts"] == {"batches": 2, "formula": "f", "largest": 2, "smallest": 1, "tasks": 0}
    assert list(local) == ["number", "name", "title", "seconds", "rows", "peak_rss_bytes", "facts", "outputs", "key"]
    assert (local["number"], local["seconds"]) == (4, 0.123)


def changed(step: str, path: tuple[str, ...], value: object) -> dict[str, Any]:
    """A golden record with one value changed, or taken away (None)."""
    record = golden(step)
    inner = record
    for key in path[:-1]:
        inner = inner[key]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return record


@pytest.mark.parametrize(
    ("step", "path", "value", "found"),
    [
        ("read_source", ("facts", "distinct"), None, "ReadSourceFacts.distinct is missing"),
        ("read_source", ("facts", "set_aside"), [], "ReadSourceFacts.set_aside is no object"),
        ("read_source", ("facts", "known"), "74934", "ReadSourceFacts.known is str, not int"),
        ("read_source", ("facts", "known"), True, "ReadSourceFacts.known is bool, not int"),
        ("read_source", ("facts", "known"), 1.5, "ReadSourceFacts.known is float, not int"),
        ("read_source", ("facts",), "facts", "ReadSourceFacts is no object"),
        ("read_source", ("facts",), None, "facts is missing"),
        ("read_source", ("name",), "training", "it is the record of training"),
        ("training", ("facts", "metrics", "held_out", "mae"), None, "TrainingFacts.metrics.held_out.mae is missing"),
        ("training", ("facts", "metrics", "by_band"), {}, "TrainingFacts.metrics.by_band is no list"),
        ("human_qa", ("outputs",), ["a"], "outputs is no object"),
        ("human_qa", ("key",), None, "key is missing"),
    ],
)
def test_damaged_and_foreign_records_are_refused(step: str, path: tuple[str, ...], value: object, found: str) -> None:
    """With what is wrong, and the exit code of damaged files."""
    with pytest.raises(IntegrityError, match="is damaged or from another version") as error:
        StepRecord.from_json(changed(step, path, value), step)
    assert found in str(error.value)
    assert error.value.exit_code == 4


def test_a_changed_byte_of_a_record_is_found(tmp_path: Path) -> None:
    """The seal over the file comes before its contents are read."""
    folder = RunFolder(tmp_path)
    (tmp_path / "steps").mkdir()
    text = (GOLDEN / "human_qa.json").read_text()
    (tmp_path / "steps" / "human_qa.json").write_text(text.replace("49830", "49831"))
    with pytest.raises(IntegrityError, match=r"human_qa\.json is damaged"):
        folder.facts(HumanQaFacts)
    assert json.loads(text)["facts"]["by_source"]["EXISTING_BIRTH_YEAR"] == 49830


def test_pages_do_without_what_earlier_versions_did_not_record() -> None:
    """A field that a record may lack is named in the report only behind a default or a question whether it is there."""
    optional = [f.name for f in fields(Metrics) if f.metadata == OPTIONAL]
    assert "residual_share" in optional
    report = resources.files("predict_age.html").joinpath("report.html").read_text()
    for name in optional:
        if first := re.search(rf"\bmetrics\.{name}\b(.{{0,12}})", report):
            assert first[1].startswith((" | default", " is defined")), first[0]
