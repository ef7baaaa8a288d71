"""Report of a run: gather the records of its steps and render ``html/report.html``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from predict_age.evaluation.drift.state import KNOWN_AGE, PREDICTED_AGE
from predict_age.features.encode import MIN_CATEGORY_ROWS
from predict_age.html import page, plots, svg
from predict_age.models.age_cells import without_single_ages
from predict_age.models.metrics import confidence_sentence, is_short_of_coverage
from predict_age.records.drift_state import DriftState
from predict_age.records.json_fields import as_json
from predict_age.records.model_quality import Metrics
from predict_age.records.step_facts import (
    BatchGeneratorFacts,
    FinalResultsFacts,
    HumanQaFacts,
    ParallelPredictionFacts,
    ReadSourceFacts,
    SourceFileFacts,
    TrainingFacts,
)
from predict_age.runs.quality_gates import GATE_NAMES, outcome
from predict_age.runs.summary import run_summary
from predict_age.runtime.progress import duration, size
from predict_age.source.reading_plan import ReadingGroup, reading_plan
from predict_age.source.source_file import source_file_from_json
from predict_age.storage.durable_files import creating, key_of, write_receipt
from predict_age.storage.workspace import RunFolder
from predict_age.tally import AGE_BINS, HIGH_QUALITY_PCT, PCT_BINS, Tally, pooled

REASONS = {
    "AGE_AND_BIRTH_YEAR_DISAGREE": "two of age, date of birth and birth year differ by more than ages.conflict_years",
    "IMPLAUSIBLE_AGE": "a given age, date of birth or birth year lies outside the plausible window and was not used",
    "UNREADABLE_AGE": "a given age, date of birth or birth year cannot be read and was not used",
    "NO_USABLE_PROFILE": "no age is known and the profile has no feature: the default age, confidence 0",
}
FINDINGS = 12


def write_report(folder: RunFolder) -> Path:
    """Write ``report.html`` into the run's folder and return its path."""
    html = page("report.html", **_context(folder))
    with creating(folder.report) as stream:
        stream.write(html)
    write_receipt(folder.report, key_of(folder.id), stream, {})
    return folder.report


def _context(folder: RunFolder) -> dict[str, object]:
    summary = run_summary(folder)
    training, prediction = folder.facts(TrainingFacts), folder.facts(ParallelPredictionFacts)
    metrics, drift, review = without_single_ages(training.delivered), prediction.drift, folder.facts(HumanQaFacts).review
    config = folder.record["config"]
    usable_from = config["prediction"]["usable_from_pct"]
    total_seconds = sum(s["seconds"] for s in summary["stages"]) or 1
    stages = [
        {
            **s,
            "time": duration(s["seconds"]),
            "memory": size(s["peak_rss_bytes"]),
            "share": s["seconds"] / total_seconds,
            "rate": f"{s['rows'] / s['seconds']:,.0f}" if s["rows"] and s["seconds"] > 0.05 else "",
        }
        for s in summary["stages"]
    ]
    return {
        "s": summary,
        "reused": summary.get("reused_model"),
        "people": folder.facts(FinalResultsFacts).rows.people,
        "config": config,
        "source": as_json(folder.facts(ReadSourceFacts)),
        "record": folder.record,
        "reading": _reading(folder),
        "training_reading": _read_as(folder, "training_files", folder.facts(ReadSourceFacts).training_files or []),
        "metrics": as_json(metrics),
        "bands": metrics.by_band,
        "stages": stages,
        "total": duration(total_seconds),
        "formula": folder.facts(BatchGeneratorFacts).formula,
        "review": review,
        "reasons": REASONS,
        "unseen": {k: v for k, v in prediction.tally.group("unseen").items() if v},
        "confidence_sentence": confidence_sentence(metrics.by_confidence),
        "threshold": HIGH_QUALITY_PCT,
        "judged": training.evaluation,
        "gates": {name: found for name in GATE_NAMES if (found := outcome(folder, name))},
        "drift": drift,
        "drift_rows": [
            f for i, f in enumerate(drift.findings) if f.drifted or (not f.sentence and (i < FINDINGS or f.of != "feature"))
        ],
        "drift_sample_people": _in_drift_sample(prediction.state) if prediction.state else 0,
        "min_category_rows": MIN_CATEGORY_ROWS,
        "short": is_short_of_coverage,
        "plots": _plots(
            metrics, folder.facts(FinalResultsFacts).tally, prediction.tally, config["training"]["coverage"], usable_from
        ),
        "features": _features(metrics, prediction.tally),
    }


def _reading(folder: RunFolder) -> list[ReadingGroup]:
    """Files of the source by how they were read; runs of earlier versions have no records of them."""
    return _read_as(folder, "files", folder.facts(ReadSourceFacts).files)


def _read_as(folder: RunFolder, files: str, facts: list[SourceFileFacts]) -> list[ReadingGroup]:
    """Those ``files`` of run.json by how they were read."""
    counts = [(f.records, f.rejected) for f in facts]
    return reading_plan([source_file_from_json(**f) for f in folder.record[files]], counts) if counts else []


def _in_drift_sample(state: DriftState) -> int:
    """People whose features were compared with the earlier run's."""
    return max((sum(c.values()) for n, c in state.counts.items() if n not in (PREDICTED_AGE, KNOWN_AGE)), default=0)


@dataclass(frozen=True)
class FeatureRow:
    """A feature in the report: its share of the gain, and shares of people without it in training and prediction."""

    name: str
    importance: float
    trained: float
    predicted: float


def _features(metrics: Metrics, predictions: Tally) -> list[FeatureRow]:
    rows = max(
        predictions.count("predicted") - predictions.count("reused") + predictions.count("reused_withheld"), 1
    )  # features of people with a reused prediction were not extracted; earlier versions reused that somebody was withheld, too
    missing = predictions.group("missing")
    features = (
        FeatureRow(name, metrics.importance.get(name, 0.0), share, missing.get(name, 0) / rows)
        for name, share in metrics.missing.items()
    )
    return sorted(features, key=lambda f: -f.importance)


def _plots(metrics: Metrics, results: Tally, predictions: Tally, coverage: float, usable_from: float) -> dict[str, str]:
    known = [0] * AGE_BINS
    for name, bins in results.histograms.items():
        if name.startswith("age:EXISTING"):
            known = [a + b for a, b in zip(known, bins, strict=True)]
    bands, steps = metrics.by_band, metrics.by_confidence
    names = [b.band for b in bands]
    shown = _features(metrics, predictions)
    short = [is_short_of_coverage(b.rows, b.coverage, coverage) for b in bands]
    return {
        "ages": plots.ages(pooled(known), pooled(predictions.histograms.get("predicted_age", [0] * AGE_BINS))),
        "bands": plots.bands(names, [b.mae for b in bands], [b.bias for b in bands]),
        "coverage": plots.coverage(names, [b.coverage for b in bands], short, coverage),
        "true": plots.true_against_predicted([(c.true, c.predicted, c.people) for c in metrics.age_cells or []]),
        "confidence": plots.confidence(predictions.histograms.get("confidence_pct", [0] * PCT_BINS), usable_from),
        "error": plots.error_by_confidence([s.low for s in steps], [s.mae for s in steps], [s.p90 for s in steps]) if steps else "",
        "importance": plots.horizontal([f.name for f in shown], [f.importance for f in shown], "share of the gain, %"),
        "missing": plots.horizontal(
            [f.name for f in shown], [f.predicted for f in shown], "missing among the predicted, %", svg.GREY
        ),
    }
