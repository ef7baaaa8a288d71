"""Step 4: decide how many batches there are, and which splits each one reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from predict_age.records.step_facts import BatchGeneratorFacts
from predict_age.runs.batching import plan_batches
from predict_age.step import StepResult
from predict_age.storage.durable_files import file_sha256, read_json, write_json
from predict_age.tally import counted


@dataclass(frozen=True)
class BatchGeneratorInputs:
    """Inputs of the batch generator: the run's folder with ``source/splits.json``, most rows a batch, number of workers."""

    folder: Path
    batch_rows: int
    workers: int
    note: Callable[[str], None]


def batch_generator(inputs: BatchGeneratorInputs) -> StepResult[BatchGeneratorFacts]:
    """Write ``batches.json``. The number of batches is computed from counted rows; the formula is in the record."""
    found = read_json(inputs.folder / "source" / "splits.json")
    to_predict, batch_of = found["to_predict"], found["batch_of"]
    empty = set(found.get("without_people", ()))  # of a training source
    with_people = [split for split in range(len(to_predict)) if split not in empty]
    if batch_of:
        number = max(batch_of) + 1
        batches = [[s for s in with_people if batch_of[s] == batch] for batch in range(number)]
        batches = [b for b in batches if b]
        formula = f"floor modulo {number:,}"
    else:
        plan = plan_batches([to_predict[s] for s in with_people], inputs.batch_rows, inputs.workers)
        batches, formula = [[with_people[s] for s in batch] for batch in plan.batches], plan.formula
    rows = [sum(to_predict[s] for s in batch) for batch in batches]
    path = inputs.folder / "batches.json"
    write_json(path, {"batch_ids": list(range(len(batches))), "batches": batches, "to_predict": rows})
    inputs.note(f"{counted(len(batches), 'batch')}: {formula}")
    facts = BatchGeneratorFacts(batches=len(batches), formula=formula, largest=max(rows), smallest=min(rows))
    return StepResult(sum(rows), facts, {"batches.json": file_sha256(path)})
