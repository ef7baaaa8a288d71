"""Step 7: put source and prediction of every person side by side, and say which rows a reviewer should look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from predict_age.config import SourceConfig
from predict_age.errors import IntegrityError
from predict_age.records.receipts import QaContents, Receipt
from predict_age.records.step_facts import HumanQaFacts, ParallelPredictionFacts, ReadSourceFacts
from predict_age.runs.partitioned_output import Partition, build_missing, outputs_of, valid_partitions, write_partition_receipt
from predict_age.runs.run import StepContext
from predict_age.runs.step_outputs import batches_of, duplicate_rows_file, rows_key, rules_of, splits_of
from predict_age.source.duplicate_rows import counting_rows
from predict_age.source.row_classifier import classify_rows
from predict_age.source.row_group_reader import Split
from predict_age.source.row_rules import RowRules, connect, register
from predict_age.sql import columns, for_duckdb
from predict_age.step import StepRecord, StepResult
from predict_age.storage.durable_files import check_hash, creating, key_of
from predict_age.storage.parquet_writer import parquet_options, with_purpose
from predict_age.storage.row_accounting import WITHHELD_MINOR
from predict_age.tally import Tally, sum_tallies


def people_of(splits: list[Split], source: SourceConfig, rules: RowRules, duplicate_rows: Path) -> pa.Table:
    """The canonical row of each person in ``splits``: the table ``source_rows`` of the statements."""
    rows = []
    names = tuple(columns("people_table", source_ids=rules.ids == "text"))
    for split, piece, found in classify_rows(splits, source, rules, names):
        counts = found["pid"].is_valid().to_numpy()
        counting = counting_rows(split, duplicate_rows)
        if counting is not None:
            counts = counts & counting[piece.first : piece.first + len(found)]
        rows.append(found if counts.all() else found.filter(pa.array(counts)))
    return pa.concat_tables(rows)


def qa_part(
    path: Path,
    key: str,
    batch: Path,
    batch_sha256: str,
    splits: list[Split],
    source: SourceConfig,
    rules: RowRules,
    duplicate_rows: Path,
    purpose: str,
) -> Receipt[QaContents]:
    """Join one batch of the source with its predictions, one row a person, ordered by pid.

    Raises IntegrityError when the batch file is damaged or holds somebody whom the source does not.
    """
    check_hash(batch, batch_sha256)
    connection = connect()
    people = people_of(splits, source, rules, duplicate_rows)
    register(connection, "source_rows", people)
    predictions = pq.read_table(batch)
    register(connection, "predict_age_predictions", predictions)
    joined = for_duckdb("human_qa", source_ids=rules.ids == "text", default_age=rules.ages.default)
    table = connection.sql(joined).to_arrow_table()
    table = table.take(pa.array(np.argsort(table["pid"].to_numpy(), kind="stable")))  # twice as fast as ORDER BY
    sources = {v["values"]: v["counts"] for v in table["prediction_source"].value_counts().to_pylist()}
    minors = (pc.sum(people["withheld"]).as_py() or 0) + predictions["predicted_age"].null_count
    predicted = predictions.num_rows - predictions["predicted_age"].null_count
    expected = (people.num_rows, predicted, minors)
    found = (table.num_rows, sources.get("ML_PREDICTION", 0), sources.get(WITHHELD_MINOR, 0))
    if found != expected:
        raise IntegrityError(
            f"{batch.name} does not fit its source rows",
            expected="{:,} people, {:,} predictions, {:,} withheld".format(*expected),
            found="{:,} people, {:,} predictions, {:,} withheld".format(*found),
        )
    with creating(path) as stream:
        pq.write_table(table.cast(with_purpose(table.schema, purpose)), stream, **parquet_options(table.schema))
    reviews = {v["values"]: v["counts"] for v in table["review_reason"].drop_null().value_counts().to_pylist()}
    tally = Tally({f"source:{k}": n for k, n in sources.items()} | {f"review:{k}": n for k, n in reviews.items()})
    return write_partition_receipt(path, key, stream, QaContents(table.num_rows, tally))


@dataclass(frozen=True)
class HumanQaInputs:
    """Inputs of human QA: records of reading the source and of the predictions."""

    context: StepContext
    source: StepRecord[ReadSourceFacts]
    prediction: StepRecord[ParallelPredictionFacts]


def human_qa(inputs: HumanQaInputs) -> StepResult[HumanQaFacts]:
    """Make every QA part that is not done."""
    plan, folder = inputs.context.plan, inputs.context.folder
    splits, batches = splits_of(folder), batches_of(folder)
    shared = (plan.config.source, rules_of(plan, inputs.source.facts), duplicate_rows_file(folder), plan.purpose)
    rows, predicted = rows_key(plan, inputs.source), inputs.prediction.outputs
    parts = []
    for n, batch in enumerate(batches):
        made = predicted[f"predictions/{folder.batch(n).name}"]
        needs = (folder.batch(n), made, [splits[s] for s in batch], *shared)
        parts.append(Partition(folder.qa_part(n), key_of("qa", rows, made, batch), needs))
    total = inputs.source.facts.people
    receipts = build_missing(inputs.context, qa_part, parts, valid_partitions(parts, QaContents), lambda c: c.rows, total, "people")
    tally = sum_tallies(r.contents.tally for r in receipts)
    facts = HumanQaFacts(by_source=tally.group("source"), review=tally.group("review"))
    return StepResult(sum(r.contents.rows for r in receipts), facts, outputs_of(folder, parts, receipts))
