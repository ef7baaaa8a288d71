"""Tasks of the containers: train, predict, collect, report. Each brings here what it needs, runs the pipeline's own step
functions on it, and puts what they made into S3, the record of the step last.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq

from predict_age.aws import object_names
from predict_age.aws.run_mirror import Job, RunMirror
from predict_age.aws.task_costs import cost_of_run, used_since
from predict_age.config import Config, load_config
from predict_age.errors import ConfigError, IntegrityError
from predict_age.pipeline.run_plan import usable_model
from predict_age.pipeline.runner import do_step, new_plan, with_models
from predict_age.pipeline.step_inputs import parallel_prediction_inputs
from predict_age.records.json_fields import as_json, from_json
from predict_age.records.receipts import BatchContents, Receipt
from predict_age.records.step_facts import ParallelPredictionFacts
from predict_age.runs.budget import check_cost
from predict_age.runs.partitioned_output import Partition
from predict_age.runs.quality_gates import GATES
from predict_age.runs.run import Run
from predict_age.runtime.worker_pool import Pool, available_cores
from predict_age.source.row_group_reader import Split
from predict_age.step import STEPS, StepResult, step_named
from predict_age.steps.batch_prediction import BatchContext, predict_batch
from predict_age.steps.create_predictions_table import CreatePredictionsTableInputs, create_predictions_table
from predict_age.steps.human_qa import people_of
from predict_age.steps.parallel_prediction import prediction_partitions, summarize_batches
from predict_age.storage.documents import ConflictError
from predict_age.storage.durable_files import creating, hashed_json, read_json, write_json
from predict_age.storage.parquet_writer import parquet_options
from predict_age.storage.suppression_list import SuppressionList

IN_TRAINING = tuple(s for s in STEPS if s.state == "Training")


def train(job: Job, scratch: Path) -> None:
    """Read the source and train: the state Training. Also writes the plan of the run, the first time."""
    mirror = RunMirror(job, scratch)
    suppression = mirror.suppression()
    if not (mirror.folder.path / "run.json").exists():
        _write_plan(job, mirror, suppression)
    settings = read_json(mirror.folder.path / "run.json")
    with Pool(available_cores(), settings["config"]["running"]["attempts"]) as pool:
        run = mirror.run(pool, suppression)
        run.check_source()
        for step in IN_TRAINING:
            if not run.is_done(step):
                mirror.bring(run, *step.needs)
                if run.plan.base and step.name == "training":
                    mirror.bring_other_run(run.plan.base, "model/")
                do_step(run, step)
                mirror.send(run, step)
            if step.name in GATES:
                _gate(mirror, run, step.name)


def _gate(mirror: RunMirror, run: Run, step: str) -> None:
    try:
        GATES[step](run)
    finally:
        for path in sorted((run.folder.path / "gates").glob("*.json")):
            mirror.job.store.put_part(mirror.job.name(f"gates/{path.name}"), path)


def _write_plan(job: Job, mirror: RunMirror, suppression: SuppressionList | None) -> None:
    """Fix everything that decides the result, as ``predict-age run`` does, from the event that PreCleanup accepted."""
    from predict_age.aws.cost_plan import estimate_run_cost
    from predict_age.features.extract import check_compiles
    from predict_age.features.spec import load_features

    request = job.store.document(job.name("request.json"))
    config = _text(job, mirror, request.get("config", ""), "config.toml")
    features = _text(job, mirror, request.get("features", ""), "features.toml")
    purpose = request.get("purpose", "")
    settings: Config = load_config(config, {"run": {"purpose": purpose} if purpose else {}})
    if settings.prediction.challengers:
        raise ConfigError(
            "prediction.challengers names models of other runs, which executions on AWS do not use",
            expected="a configuration without challengers",
            found=", ".join(settings.prediction.challengers),
            fix='remove [prediction.challengers]; compare two models with a second execution and "shadow": true',
        )
    declared = load_features(features, settings.source.age_columns)
    name = request.get("features") or "built in"
    as_of = dt.date.fromisoformat(request["as_of"])
    check_compiles(declared, as_of, name)
    time_of_run, training = dt.datetime.fromisoformat(request["time"]), request.get("training_source", "")
    shadow = bool(request.get("shadow"))
    plan = new_plan(
        request["source"], as_of, settings, declared.text, name, timestamp=time_of_run, training_source=training, shadow=shadow
    )
    check_cost(estimate_run_cost(plan).total, settings.limits, " on AWS")
    if model_run := request.get("model_run", ""):
        mirror.bring_other_run(model_run, "model/")
        plan = with_models(plan, "", usable_model(mirror.workspace, mirror.workspace.run(model_run), declared.text))
    path = mirror.folder.path / "run.json"
    write_json(path, replace(plan.with_suppression(suppression), run_id=job.run_id).as_json())
    try:
        job.store.put(job.name("run.json"), path, None)
    except ConflictError:  # another attempt of this task was first: its plan counts
        job.store.fetch(job.name("run.json"), path, "")


def _text(job: Job, mirror: RunMirror, name: str, local: str) -> Path | None:
    if not name:
        return None
    path = mirror.workspace.root / local
    if not mirror.bring_optional(name, path):
        raise ConfigError(f"{job.store.url(name)} is missing", expected="the file that the event names", fix="upload it")
    return path


def predict(job: Job, scratch: Path) -> None:
    """Predict the batches of this task of the map; those that are in S3 with a valid receipt are not made again."""
    mirror = RunMirror(job, scratch)
    settings = read_json(mirror.folder.path / "run.json")["config"]["running"]
    with Pool(available_cores(), settings["attempts"], settings["hang_seconds"]) as pool:
        run = mirror.run(pool)
        mirror.bring(run, "read_source", "training", "batch_generator")
        run.check_source()
        _write_schema(run)
        parts = prediction_partitions(parallel_prediction_inputs(run))
        mine: list[int] = job.store.document(job.name(f"tasks/{job.task}.json"))["batches"]
        todo = [n for n in mine if receipt_in(job, n, parts[n].key) is None]
        run.progress.note(f"task {job.task}: batches {mine}, of which {len(mine) - len(todo)} are done")

        def put(index: int, made: TaskReceipt) -> None:
            number = todo[index]
            run.lease.check()
            for kind in ("people", "predictions"):
                path = mirror.folder.path / kind / f"batch_{number}.parquet"
                job.store.put_part(object_names.batch_file(job.run_id, kind, number), path)
                path.unlink()
            job.store.put_part(object_names.receipt(job.run_id, number), hashed_json(made.as_json()).encode())

        tasks = [(parts[n], mirror.folder.path / "people" / f"batch_{n}.parquet") for n in todo]
        pool.run(make_batch, tasks, put, [f"batch_{n}" for n in todo])


@dataclass(frozen=True)
class PeopleFile:
    """Canonical rows of a batch's people: their number, and the SHA-256 of the file."""

    people: int
    people_sha256: str


@dataclass(frozen=True)
class TaskReceipt:
    """Receipt of a batch on AWS: of its predictions and of its people, which the join needs both."""

    batch: Receipt[BatchContents]
    people: PeopleFile

    def as_json(self) -> dict[str, object]:
        """The contents of the receipt in S3: one flat object."""
        return {**self.batch.as_json(), **as_json(self.people)}


def make_batch(part: Partition, people: Path) -> TaskReceipt:
    """Predict one batch and write the canonical rows of its people beside."""
    splits, context = part.needs
    return TaskReceipt(predict_batch(part.path, part.key, splits, context), _write_people(people, splits, context))


def _write_people(path: Path, splits: list[Split], context: BatchContext) -> PeopleFile:
    table = people_of(splits, context.source, context.rules, context.duplicate_rows)
    with creating(path) as stream:
        pq.write_table(table, stream, **parquet_options(table.schema))
    return PeopleFile(table.num_rows, stream.sha256)


def receipt_in(job: Job, batch: int, key: str) -> TaskReceipt | None:
    """The receipt of a batch, if it and both files are in S3 as they were written, for ``key``; None: make it."""
    try:
        found = job.store.document(object_names.receipt(job.run_id, batch))
        receipt = TaskReceipt(Receipt.from_json(BatchContents, found), from_json(PeopleFile, found))
    except (IntegrityError, ValueError):
        return None
    for kind, digest in (("predictions", receipt.batch.file_sha256), ("people", receipt.people.people_sha256)):
        stored = job.store.head(object_names.batch_file(job.run_id, kind, batch))
        if stored is None or stored.sha256 != digest:
            return None
    return receipt if receipt.batch.key == key else None


def collect(job: Job, scratch: Path) -> None:
    """After the map: every batch is there, the books of the predictions, drift and its gate."""
    mirror = RunMirror(job, scratch)
    step = step_named("parallel_prediction")
    with Pool(1) as pool:
        run = mirror.run(pool)
        if not run.is_done(step):
            mirror.bring(run, *step.needs)
            do_step(run, step, lambda: _collect_batches(job, run))
            mirror.send(run, step)
        _gate(mirror, run, step.name)


def _write_schema(run: Run) -> None:
    """The schema of the predictions, on this disk: the table itself is Athena's."""
    create_predictions_table(CreatePredictionsTableInputs(run.folder.path, run.plan.purpose))


def _collect_batches(job: Job, run: Run) -> StepResult[ParallelPredictionFacts]:
    _write_schema(run)
    inputs = parallel_prediction_inputs(run)
    parts = prediction_partitions(inputs)
    receipts = []
    for number, part in enumerate(parts):
        receipt = receipt_in(job, number, part.key)
        if receipt is None:
            raise IntegrityError(
                f"batch {number} is missing or damaged", expected=f"{len(parts)} batches with receipts", fix="redrive the execution"
            )
        receipts.append(receipt)
    facts = summarize_batches(inputs, [r.batch.contents for r in receipts], 0, "")
    outputs = {f"predictions/batch_{n}.parquet": r.batch.file_sha256 for n, r in enumerate(receipts)}
    outputs |= {f"people/batch_{n}.parquet": r.people.people_sha256 for n, r in enumerate(receipts)}
    found, expected = sum(r.people.people for r in receipts), inputs.source.facts.people
    if found != expected:
        raise IntegrityError("people are missing", expected=f"{expected:,} people", found=f"{found:,} in all batches")
    return StepResult(inputs.source.facts.to_predict, facts, outputs)


def report(job: Job, scratch: Path) -> None:
    """Write the report of the run, once its results are checked."""
    from predict_age.report import write_report

    began = time.monotonic()
    mirror = RunMirror(job, scratch)
    with Pool(1) as pool:
        run = mirror.run(pool)
        mirror.bring(run, "read_source", "training")
        write_report(run.folder)
    job.store.put_part(job.name("cost.json"), hashed_json(cost_of_run(job, run, used_since(began, "report", "done"))).encode())
    job.store.put_part(job.name("report.html"), run.folder.report)


COMMANDS = {"train": train, "predict": predict, "collect": collect, "report": report}
