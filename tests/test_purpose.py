"""The purpose of a run: stated and recorded, missing and noted, unknown and refused ones."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from conftest import AS_OF, LARGER, cli, tiny_run
from predict_age.aws.lambdas.pre_cleanup import _checked
from predict_age.errors import ConfigError, ResourceError
from predict_age.purposes import PURPOSES, PurposeError, checked_purpose
from predict_age.storage.workspace import Workspace

REFUSED = {
    "hiring": (
        "hiring",
        "Hiring",
        "HIRE",
        "recruitement",
        "h i r i n g",
        "hi\u200bring",
        "ｈｉｒｉｎｇ",
        "applicantRanking",
        "employment",
        "job fit",
    ),
    "promotion": ("promotion", "Promotions", "Beförderung", "career-advancement"),
    "dismissal": ("dismissal", "dismissed", "layoffs", "lay offs", "firing", "redundancy", "Kündigung", "termination"),
    "pay": ("pay", "Pay-Equity", "payroll", "salaries", "compensation", "wages", "bonus", "Gehälter"),
    "credit": ("credit", "creditScoring", "loans", "LENDING", "mortgage", "crédit"),
    "insurance": ("insurance", "insurrance", "Re-insurance", "actuarial", "underwriting"),
    "advertising targeting": (
        "advertising",
        "ad targeting",
        "ads",
        "advertisng",
        "marketing",
        "market research",
        "campaigns",
        "Werbung",
    ),
    "policing": ("policing", "predictive_policing", "law enforcement", "Police", "surveillance", "immigration", "criminal justice"),
}


@pytest.mark.parametrize(("meaning", "text"), [(meaning, text) for meaning, texts in REFUSED.items() for text in texts])
def test_refused_purposes_are_named(meaning: str, text: str) -> None:
    if text in ("lay offs", "underwriting"):  # said otherwise, refused all the same
        with pytest.raises(PurposeError, match="is refused"):
            checked_purpose(text)
        return
    with pytest.raises(PurposeError, match=rf"is refused \({meaning}\): age is a protected attribute"):
        checked_purpose(text)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_allowed_purposes_in_any_spelling(purpose: str) -> None:
    words = purpose.split("_")
    for text in (purpose, purpose.upper(), " ".join(words), "-".join(words), words[0] + "".join(w.title() for w in words[1:])):
        assert checked_purpose(text) == purpose


@pytest.mark.parametrize(
    ("text", "near"),
    [("reserch", "research"), ("statistics", "aggregate_statistics"), ("service", ""), ("age verification", ""), ("  ", "")],
)
def test_unknown_purposes_get_the_list_and_a_hint(text: str, near: str) -> None:
    with pytest.raises(PurposeError, match="expected one of aggregate_statistics, data_quality, research") as refused:
        checked_purpose(text)
    assert ("did you mean" in str(refused.value)) == bool(near)
    assert f"did you mean '{near}'" in str(refused.value) or not near


def test_refused_before_anything_is_written(people: Path, tmp_path: Path) -> None:
    """On the command line and in the configuration: exit code 2, the reason, no workspace."""
    (tmp_path / "c.toml").write_text('[run]\npurpose = "Insurance pricing"\n')
    where = ["run", "--source", people / "people", "--workspace", tmp_path / "w", "--as-of", AS_OF]
    for more, meaning in ((["--purpose", "Hiring"], "hiring"), (["--config", tmp_path / "c.toml"], "insurance")):
        done = cli(*where, *more, check=2)
        assert f"is refused ({meaning})" in done.stderr
        assert "aggregate_statistics, data_quality" in done.stderr
    assert not (tmp_path / "w").exists()
    assert "is refused (credit)" in cli("plan", "--source", people / "people", "--purpose", "credit", check=2).stderr


def test_the_event_on_aws_is_checked() -> None:
    event = {"source": "s3://bucket/people/", "time": "2026-01-01T06:00:00Z"}
    assert "purpose" not in _checked({"request": event})
    assert _checked({"request": {**event, "purpose": "Data Quality"}})["purpose"] == "data_quality"
    with pytest.raises(ConfigError, match=r"is refused \(pay\)"):
        _checked({"request": {**event, "purpose": "payroll"}})


def metadata(path: Path) -> dict[bytes, bytes]:
    """Key-value metadata of a Parquet file."""
    return pq.read_metadata(path).metadata or {}


def test_where_a_purpose_is_recorded(small_files: Path, tmp_path: Path) -> None:
    """Plan, records, manifest, each file of predictions, QA and results, report, card and lists of runs; another one is another run."""
    ways = ["--timestamp", "2025-10-24T06:00:00Z"]
    first = tiny_run(small_files, tmp_path / "w", "--purpose", "Data Quality", *ways, config=LARGER)
    assert first.code == 0, first.said
    assert "no purpose stated" not in first.said
    run = Workspace(tmp_path / "w").run(first.published)
    for name in ("run.json", "manifest.json", "model/card.json"):
        assert json.loads((run.path / name).read_text())["purpose"] == "data_quality", name
    for kind in ("predictions", "qa", "results"):
        files = list((run.path / kind).glob("*.parquet"))
        assert files
        assert all(metadata(path)[b"predict_age.purpose"] == b"data_quality" for path in files), kind
    assert "Purpose: data quality" in run.report.read_text()
    assert "purpose of that run: data quality" in (run.model / "card.html").read_text()
    assert first.run["purpose"] == "data_quality"
    assert [r["purpose"] for r in json.loads(cli("runs", "--workspace", tmp_path / "w", "--json").stdout)] == ["data_quality"]
    assert "purpose: data_quality" in cli("status", "--workspace", tmp_path / "w").stdout
    cli("verify", "--workspace", tmp_path / "w")
    again = tiny_run(small_files, tmp_path / "w", "--purpose", "data_quality", *ways, config=LARGER)
    assert again.run["run_id"] == first.run["run_id"] == run.id
    rows = first.rows
    other = tiny_run(small_files, tmp_path / "w", *ways, config=LARGER)
    assert other.published == other.run["run_id"] != run.id
    assert "no purpose stated: say with --purpose" in other.said
    second = Workspace(tmp_path / "w").run(other.published)
    assert second.record["purpose"] == other.run["purpose"] == "not stated"
    assert "Purpose: not stated" in second.report.read_text()
    assert metadata(second.result_part(0))[b"predict_age.purpose"] == b"not stated"
    assert rows == other.rows


def test_resume_keeps_the_purpose(small_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped run is continued with its own; the plan prints it."""

    def full(_: object) -> None:
        raise ResourceError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr("predict_age.steps.human_qa.human_qa", full)
        assert tiny_run(small_files, tmp_path / "w", "--purpose", "research", config=LARGER).code == 6
    cli("resume", "--workspace", tmp_path / "w")
    (run,) = Workspace(tmp_path / "w").runs()
    assert metadata(run.result_part(0))[b"predict_age.purpose"] == b"research"
    planned = json.loads(cli("plan", "--source", small_files, "--purpose", "research", "--json").stdout)
    assert planned["purpose"] == "research"
    assert "no purpose stated" in cli("plan", "--source", small_files).stdout
