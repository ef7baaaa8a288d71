"""The summary of a run as JSON: the object that ``run --json`` and ``status --json`` print."""

from __future__ import annotations

import math
from typing import Any, TypeVar

from predict_age.purposes import NOT_STATED
from predict_age.records.json_fields import as_json
from predict_age.records.model_quality import NORMAL_95, Metrics
from predict_age.records.step_facts import Facts, FinalResultsFacts, ParallelPredictionFacts, ReadSourceFacts, TrainingFacts
from predict_age.runs.budget import Attempts
from predict_age.runs.findings import run_findings, withheld_reason
from predict_age.runs.quality_gates import GATE_NAMES, GateOutcome, outcome
from predict_age.step import StepRecord
from predict_age.storage.workspace import RunFolder

F = TypeVar("F", bound=Facts)


def without_nan(value: Any) -> Any:
    """``value`` with NaN and infinity replaced by None, so that it is valid JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: without_nan(v) for k, v in value.items()}
    return [without_nan(v) for v in value] if isinstance(value, list | tuple) else value


def stopped_gate(folder: RunFolder) -> tuple[str, GateOutcome] | None:
    """Name and decision of the gate that has stopped a run; None where none has."""
    decided = ((name, outcome(folder, name)) for name in GATE_NAMES)
    return next(((name, found) for name, found in decided if found and not (found.passed or found.accepted)), None)


def run_summary(folder: RunFolder) -> dict[str, Any]:
    """Summary of a run. Entries of steps that are not finished are empty."""
    record = folder.record
    steps = folder.steps()
    source, training = _facts(steps, ReadSourceFacts), _facts(steps, TrainingFacts)
    prediction, final = _facts(steps, ParallelPredictionFacts), _facts(steps, FinalResultsFacts)
    findings = training.evaluation.findings if training and training.evaluation else []
    about_run = run_findings(record["config"]["prediction"]["usable_from_pct"], source, training, prediction, final)
    summary = {
        "run_id": folder.id,
        "status": folder.status,
        "message": folder.message,
        "report": str(folder.report.resolve()) if folder.report.exists() else "",
        "workers": record["workers"],
        "as_of": record["as_of"],
        "purpose": record.get("purpose", NOT_STATED),
        "quarter": record["quarter"],
        "base": record["base"],
        "attempts": [as_json(a) for a in Attempts(folder).all()],
        "table": final.table if final else "",
        "model_version": training.model_version if training else "",
        "rows": as_json(final.rows) if final else {},
        "set_aside_reasons": source.rejected if source else {},
        "unusable_ages": [ages.sentence for ages in source.unusable_ages or []] if source else [],
        "default_reasons": prediction.default if prediction else {},
        "withheld_reason": withheld_reason(source, prediction, record["config"]["ages"].get("min_age", 0)),
        "batches": _batches(prediction),
        "stages": [{"name": s.name, "seconds": s.seconds, "rows": s.rows, "peak_rss_bytes": s.peak_rss_bytes} for s in steps],
        "shadow": record["shadow"],
        "passed_over": record.get("passed_over", []),
        "findings": [*about_run, *(f.sentence for f in findings)],
        "run_findings": about_run,
        "drift": {k: v for k, v in as_json(prediction.drift).items() if k != "as_of"} if prediction else {},
        "metrics": {
            **_quality(training.delivered if training else None),
            "target_coverage": record["config"]["training"]["coverage"],
            **(final.quality if final else {}),
        },
    }
    if training and training.reused:
        summary["reused_model"] = {
            "people": training.reused.people,
            "sentence": training.reused.sentence,
            "measured_in_this_run": training.reused.metrics is not None,
            "calibrated_again": training.reused.correction is not None,
        }
        summary["training_metrics"] = _quality(training.metrics)
    return dict(without_nan(summary))


def _facts(steps: list[StepRecord[Facts]], kind: type[F]) -> F | None:
    return next((s.facts for s in steps if isinstance(s.facts, kind)), None)


def _batches(prediction: ParallelPredictionFacts | None) -> dict[str, int]:
    if prediction is None:
        return {"batches": 0, "kept": 0, "reused": 0}
    return {"batches": prediction.batches, "kept": prediction.kept, "reused": prediction.reused}


def _quality(metrics: Metrics | None) -> dict[str, float | None]:
    """Errors on held-out people, beside those of the baselines; None before the model is trained.

    ``mae_margin``, ``coverage_margin``: half of the 95 % confidence interval, by the number of people held out.
    """
    names = ("mae", "rmse", "r2", "bias", "ridge_mae", "median_mae", "coverage", "width", "held_out_rows")
    margins = ("mae_margin", "coverage_margin")
    if metrics is None:
        return dict.fromkeys((*names, *margins))
    held = metrics.held_out
    values = (held.mae, held.rmse, held.r2, held.bias, metrics.ridge.mae, metrics.median.mae, held.coverage, held.width, held.rows)
    doubts = (held.mae_doubt, math.sqrt(held.coverage * (1 - held.coverage) / max(held.rows, 1)))
    return dict(zip((*names, *margins), (*values, *(NORMAL_95 * doubt for doubt in doubts)), strict=True))
