"""What a step hands back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class StepResult:
    """What a step did: ``rows`` it handled, ``facts`` for later steps (JSON), and SHA-256 of the files it made, by name."""

    rows: int
    facts: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
