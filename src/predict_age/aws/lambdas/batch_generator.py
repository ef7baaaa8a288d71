"""State BatchGenerator: cut the counted rows into batches, and the batches into tasks."""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from dataclasses import replace
from math import ceil
from pathlib import Path

from predict_age.aws.lambdas.runtime import Call, Event, do_step_once, handler, next_state_input
from predict_age.records.step_facts import BatchGeneratorFacts
from predict_age.step import StepResult
from predict_age.steps.batch_generator import BatchGeneratorInputs, batch_generator
from predict_age.storage.durable_files import hashed_json, read_json


def tasks_of(batches: int, batches_per_task: int) -> list[list[int]]:
    """Batch numbers of each task: tasks of about equal size, none with more than ``batches_per_task``."""
    number = max(1, ceil(batches / batches_per_task))
    cuts = [batches * n // number for n in range(number + 1)]
    return [list(range(a, b)) for a, b in itertools.pairwise(cuts)]


@handler
def handle(call: Call) -> Event:
    """Write batches.json, tasks/N.json and tasks.json, the list that the map reads."""
    do_step_once(call, "batch_generator", lambda: _generate(call))
    return next_state_input(call)


def _generate(call: Call) -> StepResult[BatchGeneratorFacts]:
    """The pipeline's own step, on the two files it needs."""
    settings = call.run()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        splits = "source/splits.json"
        call.store.fetch(call.name(splits), path / splits, call.step("read_source").outputs[splits])
        rows = settings["config"]["prediction"]["batch_rows"]
        result = batch_generator(BatchGeneratorInputs(path, rows, settings["workers"], note=lambda text: None))
        batches = read_json(path / "batches.json")["batches"]
        call.store.put_part(call.name("batches.json"), path / "batches.json")
    tasks = tasks_of(len(batches), int(os.environ.get("PREDICT_AGE_BATCHES_PER_TASK", "16")))
    for number, mine in enumerate(tasks):
        call.store.put_part(call.name(f"tasks/{number}.json"), hashed_json({"batches": mine}).encode())
    call.store.put_part(call.name("tasks.json"), json.dumps([{"task": str(n)} for n in range(len(tasks))]).encode())
    return StepResult(result.rows, replace(result.facts, tasks=len(tasks)), result.outputs)
