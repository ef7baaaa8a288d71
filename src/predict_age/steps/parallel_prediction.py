"""Step 6: predict everybody whose age is unknown, batch by batch, in parallel; finished batches are kept."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import dataclass

import pyarrow.parquet as pq

from predict_age.errors import IntegrityError
from predict_age.evaluation.drift.sketch import Sketch
from predict_age.evaluation.drift.state import compare_states, drift_state
from predict_age.features.definitions import definitions_of
from predict_age.features.extract import compile_features
from predict_age.models.artifact import challenger_folder
from predict_age.records.json_fields import as_json
from predict_age.records.model_quality import Delivery
from predict_age.records.receipts import BatchContents
from predict_age.records.step_facts import ParallelPredictionFacts, ReadSourceFacts, TrainingFacts
from predict_age.runs.incremental import Reusable, earlier_predictions
from predict_age.runs.partitioned_output import Partition, build_missing, outputs_of, valid_partitions
from predict_age.runs.run import StepContext
from predict_age.runs.step_outputs import batches_of, duplicate_rows_file, rows_key, rules_of, splits_of
from predict_age.step import StepRecord, StepResult
from predict_age.steps.batch_prediction import Arms, BatchContext, predict_batch
from predict_age.storage.durable_files import key_of
from predict_age.storage.manifest import VerifiedRun
from predict_age.tally import sum_tallies


@dataclass(frozen=True)
class ParallelPredictionInputs:
    """Inputs of parallel prediction: records of reading and training, and the ``base`` run whose predictions may be reused."""

    context: StepContext
    source: StepRecord[ReadSourceFacts]
    training: StepRecord[TrainingFacts]
    base: VerifiedRun | None


def parallel_prediction(inputs: ParallelPredictionInputs) -> StepResult[ParallelPredictionFacts]:
    """Make every batch that is not done. Afterwards every batch exists and is whole, or the run has failed."""
    context, plan = inputs.context, inputs.context.plan
    scratch = context.folder.path / f"reuse-{context.lease.token}"
    delivery = inputs.training.facts.delivery
    reusable, reason = earlier_predictions(plan, inputs.base, context.pool, scratch, delivery, context.suppression)
    if plan.base and reason:
        context.progress.note(f"nothing of run {plan.base} is taken over: {reason}")
    partitions = prediction_partitions(inputs, reusable)
    finished = valid_partitions(partitions, BatchContents)
    if finished:
        context.progress.note(f"{len(finished)} of {len(partitions)} batches are already done and kept")
    total = inputs.source.facts.to_predict
    receipts = build_missing(context, predict_batch, partitions, finished, _rows_handled, total, "rows")
    shutil.rmtree(scratch, ignore_errors=True)
    facts = summarize_batches(inputs, [r.contents for r in receipts], len(finished), reason if plan.base else "")
    if reusable is not None:
        context.progress.note(
            f"{facts.reused:,} of {total:,} people have an unchanged profile and keep the prediction of {plan.base}"
        )
    return StepResult(total, facts, outputs_of(context.folder, partitions, receipts))


def prediction_partitions(inputs: ParallelPredictionInputs, reusable: Reusable | None = None) -> list[Partition]:
    """Every batch of the run: its file, its key, and what :func:`predict_batch` needs."""
    plan, folder = inputs.context.plan, inputs.context.folder
    splits, batches = splits_of(folder), batches_of(folder)
    model, delivery = inputs.training.outputs["model/manifest.json"], inputs.training.facts.delivery
    context = BatchContext(
        plan.config.source,
        rules_of(plan, inputs.source.facts),
        duplicate_rows_file(folder),
        folder.model,
        model,
        dt.datetime.fromisoformat(plan.timestamp).replace(tzinfo=None),
        pq.read_schema(folder.path / "predictions" / "schema.parquet"),
        reusable,
        plan.config.training.seed + 1,
        plan.config.drift.rows / max(inputs.source.facts.to_predict, 1),
        _arms(inputs),
        delivery,
    )
    rows = rows_key(plan, inputs.source)
    others: list[object] = [seal for _, seal in context.arms.models]
    for each in (delivery, *context.arms.deliveries):
        others += [as_json(part) for part in (each.correction, each.minors) if part is not None]
    return [
        Partition(folder.batch(n), key_of("batch", rows, model, others, batch), ([splits[s] for s in batch], context))
        for n, batch in enumerate(batches)
    ]


def summarize_batches(
    inputs: ParallelPredictionInputs, batches: list[BatchContents], kept: int, not_reused: str
) -> ParallelPredictionFacts:
    """Facts of all batches together. Raises IntegrityError unless they hold every row that needs a prediction."""
    plan, training, total = inputs.context.plan, inputs.training.facts, inputs.source.facts.to_predict
    tallies = [b.tally for b in batches]
    tally = sum_tallies(tallies)
    done = sum(_rows_handled(b) for b in batches)
    if done != total:
        raise IntegrityError(
            "predictions are missing",
            expected=f"{total:,} rows in {len(batches)} batches",
            found=f"{done:,} rows in {len(batches)} batches",
            fix="run `predict-age resume`",
        )
    now = drift_state(
        inputs.context.folder.id,
        plan.as_of.isoformat(),
        training.model_version,
        [Sketch.from_json(b.sketch) for b in batches],
        [t.histograms.get("predicted_age", [0]) for t in tallies],
        inputs.source.facts.known_ages,
        definitions_of(compile_features(plan.features_text, plan.as_of)[0]),
    )
    drift = compare_states(training.reference, now, plan.config.drift, plan.config.ages.min_age)
    return ParallelPredictionFacts(
        batches=len(batches),
        kept=kept,
        predicted=tally.count("predicted"),
        reused=tally.count("reused"),
        not_reused_because=not_reused,
        default=tally.group("default"),
        withheld=tally.count("withheld") if plan.config.ages.min_age else None,
        tally=tally,
        state=now,
        drift=drift,
    )


def _arms(inputs: ParallelPredictionInputs) -> Arms:
    plan, outputs = inputs.context.plan, inputs.training.outputs
    settings = plan.config.prediction
    folders = [challenger_folder(inputs.context.folder.path, n) for n in range(len(plan.challengers))]
    models = tuple((f, outputs[f"{f.name}/manifest.json"]) for f in folders)
    deliveries = inputs.training.facts.challengers or tuple(Delivery() for _ in models)  # earlier versions did not record it
    return Arms(settings.experiment, tuple(settings.challengers.values()), models, deliveries)


def _rows_handled(batch: BatchContents) -> int:
    tally = batch.tally
    return tally.count("predicted") + tally.count("withheld") + sum(tally.group("default").values())
