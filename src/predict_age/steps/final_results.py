"""Step 8: the result table: write it, read it back, balance the books, and only then publish it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from predict_age.books import Books
from predict_age.errors import IntegrityError
from predict_age.files import check_whole, creating, key_of, write_receipt
from predict_age.manifest import write_manifest
from predict_age.parts import Part, finished_parts, make_missing, outputs_of
from predict_age.result import StepResult
from predict_age.row_groups import writing
from predict_age.run import Run
from predict_age.source.rows import connect, register
from predict_age.source.scan import checksum
from predict_age.sql import for_duckdb
from predict_age.stats import AGE_BINS, PCT_BINS, Tally, merged
from predict_age.steps.batch_generator import batches_of

HIGH_QUALITY_PCT = 60


def result_part(
    path: Path, key: str, qa: Path, qa_sha256: str, timestamp: str, run_id: str, usable_from_pct: float
) -> dict[str, Any]:
    """Write one part of the result table from one QA part, then describe what a reader finds in the written file."""
    check_whole(qa, qa_sha256)
    connection = connect()
    register(connection, "predict_age_human_qa", pq.read_table(qa))
    query = for_duckdb("final_results", qa_timestamp=timestamp, run_id=run_id, usable_from_pct=usable_from_pct)
    table = connection.sql(query).to_arrow_table()
    with creating(path) as stream:
        pq.write_table(table, stream, row_group_size=250_000, **writing(table.schema))
    check_whole(path, stream.sha256)
    return write_receipt(path, key, stream, describe(path))


def describe(path: Path) -> dict[str, Any]:
    """What a part of the result holds: rows, distinct pids and their fingerprint, and the tally of sources and ages."""
    columns = ["pid", "predicted_age", "confidence_pct", "prediction_source", "usable"]
    written = pq.read_table(path, columns=columns, read_dictionary=["prediction_source"]).combine_chunks()
    pids, ages, pct, usable = (written[name].to_numpy() for name in ("pid", "predicted_age", "confidence_pct", "usable"))
    sources = written["prediction_source"].chunk(0) if len(pids) else pa.array([], pa.string()).dictionary_encode()
    code, bins = sources.indices.to_numpy(), np.minimum((pct / (100 / PCT_BINS)).astype(int), PCT_BINS - 1)
    tally = Tally()
    for number, source in enumerate(sources.dictionary.to_pylist()):
        mine = code == number
        counts = {
            f"rows:{source}": int(mine.sum()), f"high:{source}": int((pct[mine] >= HIGH_QUALITY_PCT).sum()),
            f"usable:{source}": int(usable[mine].sum()),
        }  # fmt: skip
        tally += Tally(counts, {
            f"age:{source}": np.bincount(ages[mine], minlength=AGE_BINS).tolist(),
            f"pct:{source}": np.bincount(bins[mine], minlength=PCT_BINS).tolist(),
        })  # fmt: skip
    in_order = np.sort(pids, kind="stable")  # the parts are in order already: nothing to do but look
    distinct = int(np.count_nonzero(in_order[1:] != in_order[:-1])) + bool(len(pids))
    return {"rows": written.num_rows, "distinct": distinct, "checksum": str(checksum(pids)), "tally": tally.as_json()}


def final_results(run: Run) -> StepResult:
    """Make the parts, check them against what the source holds, publish. Nothing is published unless the books balance."""
    stamp = run.plan.timestamp[:19].replace("T", " ")
    numbers = range(len(batches_of(run)))
    checked = run.outputs("human_qa")
    parts = []
    for n in numbers:
        made = checked[f"qa/{run.folder.qa_part(n).name}"]
        how = (stamp, run.plan.run_id, run.plan.config.prediction.usable_from_pct)
        parts.append(Part(run.folder.result_part(n), key_of("result", made, *how), (run.folder.qa_part(n), made, *how)))
    source = run.facts("read_source")
    total = source["distinct"]
    receipts = make_missing(run, result_part, parts, finished_parts(parts), lambda r: r["rows"], total, "people")
    tally = merged(Tally.from_json(r["tally"]) for r in receipts)
    books = balance(source, receipts, tally)
    predicted = run.facts("parallel_prediction")
    if books.predicted != predicted["predicted"] or books.default != sum(predicted["default"].values()):
        raise IntegrityError(
            "results and predictions disagree, nothing was published",
            expected=f"{predicted['predicted']:,} predicted, {sum(predicted['default'].values()):,} default",
            found=f"{books.predicted:,} predicted, {books.default:,} default",
        )
    outputs = outputs_of(run, parts, receipts)
    seal = write_manifest(run, outputs, books, tally)
    if not run.plan.shadow:
        run.workspace.publish(run.lease, run.plan.run_id, run.plan.quarter, seal)
    table = "" if run.plan.shadow else f"predict_age_final_results_{run.plan.quarter}"
    facts = {
        "rows": books.as_rows(), "quality": books.quality(tally), "table": table, "tally": tally.as_json(), "manifest": seal,
    }  # fmt: skip
    return StepResult(books.distinct, facts, outputs)


def balance(found: dict[str, Any], receipts: list[dict[str, Any]], tally: Tally) -> Books:
    """The books of the run, checked; raises IntegrityError when an equation or the fingerprint of the pids does not hold."""
    books = Books.of(found, tally)
    written = sum(int(r["checksum"]) for r in receipts) % 2**64
    people = sum(r["rows"] for r in receipts)
    if written != books.checksum or people != books.distinct or sum(r["distinct"] for r in receipts) != people:
        raise IntegrityError(
            "the result does not hold every person exactly once, nothing was published",
            expected=f"{books.distinct:,} people, fingerprint {books.checksum:016x}",
            found=f"{people:,} rows, fingerprint {written:016x}",
            fix="run again; if it happens twice, report it with the run folder's run.json",
        )  # fmt: skip
    if books.existing != found["known"]:
        raise IntegrityError(
            "known ages were lost, nothing was published", expected=f"{found['known']:,}", found=f"{books.existing:,}"
        )
    return books
