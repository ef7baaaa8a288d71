"""What a step hands back, and the record that it leaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from predict_age.order import STEPS, Step


@dataclass(frozen=True)
class StepResult:
    """What a step did: ``rows`` it handled, ``facts`` for later steps (JSON), and SHA-256 of the files it made, by name."""

    rows: int
    facts: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)


def record_of(step: Step, result: StepResult, seconds: float, peak_rss_bytes: int = 0, key: str = "") -> dict[str, Any]:
    """The contents of ``steps/<name>.json``. ``key`` stands for what the step worked on."""
    return {
        "number": STEPS.index(step) + 1, "name": step.name, "title": step.title, "seconds": round(seconds, 3), "rows": result.rows,
        "peak_rss_bytes": peak_rss_bytes, "facts": result.facts, "outputs": result.outputs, "key": key,
    }  # fmt: skip
