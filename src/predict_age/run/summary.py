"""The summary of a run as JSON: the object that ``run --json`` and ``status --json`` print."""

from __future__ import annotations

import math
from typing import Any

from predict_age.run.budget import Attempts
from predict_age.storage.workspace import RunFolder


def finite(value: Any) -> Any:
    """``value`` with NaN and infinity replaced by None, so that it is valid JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    return [finite(v) for v in value] if isinstance(value, list | tuple) else value


def run_summary(folder: RunFolder) -> dict[str, Any]:
    """The object that ``run --json`` and ``status --json`` print. Parts that are not there yet are empty."""
    record = folder.record
    steps = folder.steps()
    facts = {s["name"]: s["facts"] for s in steps}
    final, metrics = facts.get("final_results", {}), facts.get("training", {}).get("metrics", {})
    held = metrics.get("held_out", {})
    summary = {
        "run_id": folder.id,
        "status": folder.status,
        "message": folder.message,
        "report": str(folder.report.resolve()) if folder.report.exists() else "",
        "workers": record["workers"],
        "as_of": record["as_of"],
        "quarter": record["quarter"],
        "base": record["base"],
        "attempts": Attempts(folder).all(),
        "table": final.get("table", ""),
        "model_version": facts.get("training", {}).get("model_version", ""),
        "rows": final.get("rows", {}),
        "set_aside_reasons": facts.get("read_source", {}).get("set_aside", {}),
        "default_reasons": facts.get("parallel_prediction", {}).get("default", {}),
        "batches": {k: facts.get("parallel_prediction", {}).get(k, 0) for k in ("batches", "kept", "reused")},
        "stages": [{k: s[k] for k in ("name", "seconds", "rows", "peak_rss_bytes")} for s in steps],
        "shadow": record["shadow"],
        "findings": [f["sentence"] for f in facts.get("training", {}).get("judged", {}).get("findings", [])],
        "drift": {k: v for k, v in facts.get("parallel_prediction", {}).get("drift", {}).items() if k != "as_of"},
        "metrics": {
            "mae": held.get("mae"),
            "rmse": held.get("rmse"),
            "r2": held.get("r2"),
            "bias": held.get("bias"),
            "ridge_mae": metrics.get("ridge", {}).get("mae"),
            "median_mae": metrics.get("median", {}).get("mae"),
            "coverage": held.get("coverage"),
            "width": held.get("width"),
            "held_out_rows": held.get("rows"),
            "target_coverage": record["config"]["training"]["coverage"],
            **final.get("quality", {}),
        },
    }
    cleaned: dict[str, Any] = finite(summary)
    return cleaned
