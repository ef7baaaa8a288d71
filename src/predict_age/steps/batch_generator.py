"""Step 4: decide how many batches there are, and which splits each one reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from predict_age.records.step_facts import BatchGeneratorFacts
from predict_age.run.batching import plan_batches
from predict_age.step import StepResult
from predict_age.storage.durable_files import file_sha256, read_json, write_json

if TYPE_CHECKING:
    from predict_age.run.run import Run


def batch_generator(run: Run) -> StepResult:
    """Write ``batches.json``. The number of batches is computed from counted rows; the formula is in the record."""
    found = read_json(run.folder.path / "source" / "splits.json")
    to_predict, batch_of = found["to_predict"], found["batch_of"]
    if batch_of:
        number = max(batch_of) + 1
        batches = [[s for s, b in enumerate(batch_of) if b == batch] for batch in range(number)]
        batches = [b for b in batches if b]
        formula = f"floor modulo {number:,}"
    else:
        plan = plan_batches(to_predict, run.plan.config.prediction.batch_rows, run.plan.workers)
        batches, formula = plan.batches, plan.formula
    rows = [sum(to_predict[s] for s in batch) for batch in batches]
    path = run.folder.path / "batches.json"
    write_json(path, {"batch_ids": list(range(len(batches))), "batches": batches, "to_predict": rows})
    run.progress.note(f"{len(batches):,} batches: {formula}")
    facts = BatchGeneratorFacts(batches=len(batches), formula=formula, largest=max(rows), smallest=min(rows))
    return StepResult(sum(rows), facts, {"batches.json": file_sha256(path)})
