"""Step 8: the result table: write it, read it back, balance the books, and only then publish it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from predict_age.errors import IntegrityError
from predict_age.records.json_fields import as_json
from predict_age.records.receipts import LookupContents, Receipt, ResultContents
from predict_age.records.step_facts import FinalResultsFacts, HumanQaFacts, ParallelPredictionFacts, ReadSourceFacts, TrainingFacts
from predict_age.runs.lookup_blocks import LOOKUP_FORMAT
from predict_age.runs.lookup_files import FILE_PEOPLE, lookup_index, lookup_part, scatter_part
from predict_age.runs.partitioned_output import Partition, build_missing, outputs_of, valid_partitions, write_partition_receipt
from predict_age.runs.result_checks import describe, reconcile
from predict_age.runs.run import StepContext
from predict_age.runs.step_outputs import batches_of
from predict_age.source.row_rules import connect, register
from predict_age.sql import for_duckdb
from predict_age.step import StepRecord, StepResult
from predict_age.storage.durable_files import check_hash, creating, key_of, make_folder, write_json
from predict_age.storage.manifest import manifest_contents
from predict_age.storage.parquet_writer import parquet_options, with_purpose
from predict_age.storage.row_accounting import RowAccounting
from predict_age.tally import Tally, sum_tallies


def result_part(
    path: Path,
    key: str,
    qa: Path,
    qa_sha256: str,
    timestamp: str,
    run_id: str,
    usable_from_pct: float,
    purpose: str,
    checksum_key: bytes,
) -> Receipt[ResultContents]:
    """Write one part of the result table from one QA part, then describe what a reader finds in the written file."""
    check_hash(qa, qa_sha256)
    connection = connect()
    people = pq.read_table(qa)
    register(connection, "predict_age_human_qa", people)
    values = {"qa_timestamp": timestamp, "run_id": run_id, "usable_from_pct": usable_from_pct}
    query = for_duckdb("final_results", source_ids="source_id" in people.column_names, **values)
    table = connection.sql(query).to_arrow_table()
    with creating(path) as stream:
        named = table.cast(with_purpose(table.schema, purpose))
        pq.write_table(named, stream, row_group_size=250_000, **parquet_options(table.schema))
    check_hash(path, stream.sha256)
    return write_partition_receipt(path, key, stream, describe(path, checksum_key))


@dataclass(frozen=True)
class FinalResultsInputs:
    """Inputs of final results.

    ``files``: every file of the earlier steps that belongs to the result, with its SHA-256. ``publish`` shows readers the run
    whose manifest has this content hash; None in a shadow run.
    """

    context: StepContext
    source: ReadSourceFacts
    training: TrainingFacts
    prediction: ParallelPredictionFacts
    human_qa: StepRecord[HumanQaFacts]
    files: dict[str, str]
    publish: Callable[[str], None] | None


def final_results(inputs: FinalResultsInputs) -> StepResult[FinalResultsFacts]:
    """Make the parts, check them against what the source holds, publish. Nothing is published unless the books balance."""
    plan, folder = inputs.context.plan, inputs.context.folder
    stamp = plan.timestamp[:19].replace("T", " ")
    numbers = range(len(batches_of(folder)))
    checked = inputs.human_qa.outputs
    checksum_key = bytes.fromhex(inputs.source.checksum_key or "")
    parts = []
    for n in numbers:
        made = checked[f"qa/{folder.qa_part(n).name}"]
        how = (stamp, plan.run_id, plan.config.prediction.usable_from_pct, plan.purpose)
        parts.append(Partition(folder.result_part(n), key_of("result", made, *how), (folder.qa_part(n), made, *how, checksum_key)))
    total = inputs.source.people
    receipts = build_missing(
        inputs.context, result_part, parts, valid_partitions(parts, ResultContents), lambda c: c.rows, total, "people"
    )
    tally = sum_tallies(r.contents.tally for r in receipts)
    books = reconcile(inputs.source, [r.contents for r in receipts], tally)
    predicted = inputs.prediction
    expected = (predicted.predicted, sum(predicted.default.values()), (inputs.source.withheld or 0) + (predicted.withheld or 0))
    found = (books.predicted, books.default, books.withheld or 0)
    if found != expected:
        raise IntegrityError(
            "results and predictions disagree, nothing was published",
            expected="{:,} predicted, {:,} default, {:,} withheld".format(*expected),
            found="{:,} predicted, {:,} default, {:,} withheld".format(*found),
        )
    outputs = outputs_of(folder, parts, receipts)
    outputs |= _lookup(inputs.context, outputs, books.people)
    seal = _write_manifest(inputs, outputs, books, tally)
    if inputs.publish:
        inputs.publish(seal)
    table = "" if plan.shadow else f"predict_age_final_results_{plan.quarter}"
    facts = FinalResultsFacts(rows=books.counts(), quality=books.quality(tally), table=table, tally=tally, manifest=seal)
    return StepResult(books.people, facts, outputs)


def _lookup(context: StepContext, results: dict[str, str], people: int) -> dict[str, str]:
    """Write lookup files from the parts of the result; they are made again only where a part is another one."""
    folder = context.folder
    made = [(folder.path / name, digest) for name, digest in results.items()]
    files, digests = max(1, -(-people // FILE_PEOPLE)), list(results.values())
    scratch = folder.path / f"lookup-{context.lease.token}" if files > 1 else None  # one file has everybody
    parts = [
        Partition(folder.lookup_file(n), key_of("lookup", LOOKUP_FORMAT, digests, n, files), (made, scratch, n))
        for n in range(files)
    ]
    finished = valid_partitions(parts, LookupContents)
    if scratch is not None and len(finished) < files:
        make_folder(scratch)
        tasks = [(scratch, n, part, files) for n, part in enumerate(made)]
        context.pool.run(scatter_part, tasks, names="distributing people to lookup files")
    receipts = build_missing(context, lookup_part, parts, finished, lambda c: c.people, people, "people")
    if scratch is not None:
        shutil.rmtree(scratch, ignore_errors=True)
    outputs = outputs_of(folder, parts, receipts)
    blocks = [(folder.path / name, digest) for name, digest in outputs.items()]
    index = [Partition(folder.lookup_index, key_of("lookup index", LOOKUP_FORMAT, list(outputs.values())), (blocks,))]
    indexed = build_missing(
        context, lookup_index, index, valid_partitions(index, LookupContents), lambda c: c.people, people, "people"
    )
    if indexed[0].contents.people != people:
        raise IntegrityError(
            "lookup files do not hold everybody, nothing was published",
            expected=f"{people:,} people",
            found=f"{indexed[0].contents.people:,}",
        )
    return outputs | outputs_of(folder, index, indexed)


def _write_manifest(inputs: FinalResultsInputs, results: dict[str, str], books: RowAccounting, tally: Tally) -> str:
    """Write ``manifest.json`` and return its content hash. ``results`` are the parts of the result and their SHA-256."""
    files = inputs.files | results
    manifest = manifest_contents(inputs.context.plan.as_json(), inputs.source, inputs.training, books, tally, files)
    return write_json(inputs.context.folder.manifest_file, as_json(manifest))
