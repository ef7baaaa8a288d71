"""Challengers: models of other runs that predict a share of the people of this run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from predict_age.config import AgesConfig
from predict_age.models.artifact import MODEL_FILES, challenger_folder, copy_model
from predict_age.records.model_quality import Delivery
from predict_age.records.step_facts import ReadSourceFacts, TrainingFacts
from predict_age.runs.known_minors import rate_in_reuse
from predict_age.storage.durable_files import file_sha256


@dataclass(frozen=True)
class Challenger:
    """A challenger's ``model`` folder, the SHA-256 of its ``manifest``, and the ``facts`` of its training."""

    model: Path
    manifest: str
    facts: TrainingFacts

    def delivery(self, source: ReadSourceFacts, ages: AgesConfig) -> Delivery:
        """Differences between the model and its answers: minors are as frequent as its own training and this ``source`` say."""
        return Delivery(self.facts.published, rate_in_reuse(self.facts.minors, source, ages))


def copy_challengers(run: Path, challengers: Sequence[Challenger]) -> dict[str, str]:
    """Copy the models into folders of their own below the ``run``'s; returns their files with SHA-256."""
    outputs: dict[str, str] = {}
    for number, challenger in enumerate(challengers):
        folder = challenger_folder(run, number)
        copy_model(challenger.model, folder, challenger.manifest)
        outputs |= {f"{folder.name}/{file}": file_sha256(folder / file) for file in (*MODEL_FILES, "manifest.json")}
    return outputs
