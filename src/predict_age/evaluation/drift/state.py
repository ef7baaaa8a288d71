"""What a run keeps of its data to be compared with, and what comes out of the comparison."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from predict_age.config import DriftConfig
from predict_age.evaluation.drift.judge import OverDispersion, compare_counts, over_dispersion
from predict_age.evaluation.drift.sketch import Sketch, histogram_counts, sum_sketches

PREDICTED_AGE, KNOWN_AGE = "predicted age", "known age"


def drift_state(
    run_id: str, as_of: str, model: str, parts: list[Sketch], predicted: list[list[int]], known: list[int]
) -> dict[str, Any]:
    """The data of a run: sketches and predicted ages of its batches, and the known ages, both as counts of whole years."""
    ages = [Sketch({PREDICTED_AGE: histogram_counts(h)}) for h in predicted]
    total = sum_sketches([*parts, *ages, Sketch({KNOWN_AGE: histogram_counts(known)})])
    return {
        "run": run_id,
        "as_of": as_of,
        "model": model,
        "counts": total.as_json(),
        "dispersion": {n: asdict(s) for n, s in (over_dispersion(parts) | over_dispersion(ages)).items()},
    }


def compare_states(before: dict[str, Any] | None, now: dict[str, Any], settings: DriftConfig) -> dict[str, Any]:
    """The comparison of two states as JSON; without an earlier one nothing is found.

    Ages predicted by another model differ for that reason alone: how much is said, but not judged.
    """
    if not before:
        return {"reference": "", "as_of": "", "same_model": False, "findings": [], "drifted": []}
    same = before["model"] == now["model"]
    first, second = ({n: OverDispersion(**s) for n, s in of["dispersion"].items()} for of in (before, now))
    spread = {n: first.get(n, OverDispersion()) | second.get(n, OverDispersion()) for n in now["counts"]}
    kinds = {PREDICTED_AGE: "prediction", KNOWN_AGE: "label"}
    found = compare_counts(before["counts"], now["counts"], spread, settings, lambda n: kinds.get(n, "feature"))
    found = [f if same or f.of != "prediction" else replace(f, drifted=False, sentence="") for f in found]
    found.sort(key=lambda f: (not f.drifted, -f.moved))
    return {
        "reference": before["run"],
        "as_of": before["as_of"],
        "same_model": same,
        "findings": [f.as_json() for f in found],
        "drifted": [f.sentence for f in found if f.drifted],
    }
