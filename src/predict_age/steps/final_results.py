"""Step 8: the result table: write it, read it back, balance the books, and only then publish it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from predict_age.errors import IntegrityError
from predict_age.records.step_facts import FinalResultsFacts, ParallelPredictionFacts, ReadSourceFacts, TrainingFacts
from predict_age.run.partitioned_output import Partition, build_missing, outputs_of, valid_partitions
from predict_age.run.result_checks import describe, reconcile
from predict_age.run.run import Run
from predict_age.run.step_outputs import batches_of
from predict_age.source.row_rules import connect, register
from predict_age.sql import for_duckdb
from predict_age.step import StepResult
from predict_age.storage.durable_files import check_hash, creating, file_sha256, key_of, write_json, write_receipt
from predict_age.storage.manifest import manifest_contents
from predict_age.storage.parquet_writer import parquet_options
from predict_age.storage.result_files import RESULT_STEPS, result_files
from predict_age.storage.row_accounting import RowAccounting
from predict_age.tally import Tally, sum_tallies


def result_part(
    path: Path, key: str, qa: Path, qa_sha256: str, timestamp: str, run_id: str, usable_from_pct: float
) -> dict[str, Any]:
    """Write one part of the result table from one QA part, then describe what a reader finds in the written file."""
    check_hash(qa, qa_sha256)
    connection = connect()
    register(connection, "predict_age_human_qa", pq.read_table(qa))
    query = for_duckdb("final_results", qa_timestamp=timestamp, run_id=run_id, usable_from_pct=usable_from_pct)
    table = connection.sql(query).to_arrow_table()
    with creating(path) as stream:
        pq.write_table(table, stream, row_group_size=250_000, **parquet_options(table.schema))
    check_hash(path, stream.sha256)
    return write_receipt(path, key, stream, describe(path))


def final_results(run: Run) -> StepResult:
    """Make the parts, check them against what the source holds, publish. Nothing is published unless the books balance."""
    stamp = run.plan.timestamp[:19].replace("T", " ")
    numbers = range(len(batches_of(run)))
    checked = run.outputs("human_qa")
    parts = []
    for n in numbers:
        made = checked[f"qa/{run.folder.qa_part(n).name}"]
        how = (stamp, run.plan.run_id, run.plan.config.prediction.usable_from_pct)
        parts.append(Partition(run.folder.result_part(n), key_of("result", made, *how), (run.folder.qa_part(n), made, *how)))
    source = run.facts(ReadSourceFacts)
    total = source.distinct
    receipts = build_missing(run, result_part, parts, valid_partitions(parts), lambda r: r["rows"], total, "people")
    tally = sum_tallies(Tally.from_json(r["tally"]) for r in receipts)
    books = reconcile(source, receipts, tally)
    predicted = run.facts(ParallelPredictionFacts)
    if books.predicted != predicted.predicted or books.default != sum(predicted.default.values()):
        raise IntegrityError(
            "results and predictions disagree, nothing was published",
            expected=f"{predicted.predicted:,} predicted, {sum(predicted.default.values()):,} default",
            found=f"{books.predicted:,} predicted, {books.default:,} default",
        )
    outputs = outputs_of(run, parts, receipts)
    seal = _write_manifest(run, outputs, books, tally)
    if not run.plan.shadow:
        run.workspace.publish(run.lease, run.plan.run_id, run.plan.quarter, seal)
    table = "" if run.plan.shadow else f"predict_age_final_results_{run.plan.quarter}"
    facts = FinalResultsFacts(rows=books.counts(), quality=books.quality(tally), table=table, tally=tally, manifest=seal)
    return StepResult(books.distinct, facts, outputs)


def _write_manifest(run: Run, results: dict[str, str], books: RowAccounting, tally: Tally) -> str:
    """Write ``manifest.json`` and return its seal. ``results`` are the result parts and their SHA-256."""
    plan = run.plan
    outputs = [run.outputs(step) for step in RESULT_STEPS]
    files = result_files(outputs, lambda name: file_sha256(run.folder.path / name), plan.config.running.keep_predictions)
    made = manifest_contents(plan.as_json(), run.facts(ReadSourceFacts), run.facts(TrainingFacts), books, tally, files | results)
    return write_json(run.folder.manifest_file, made)
