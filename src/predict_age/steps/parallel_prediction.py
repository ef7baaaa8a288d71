"""Step 6: predict everybody whose age is unknown, batch by batch, in parallel; finished batches are kept."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from predict_age.config import Source
from predict_age.errors import IntegrityError
from predict_age.features.extract import extract
from predict_age.files import replacing, write_receipt
from predict_age.models.artefact import load
from predict_age.models.bundle import confidence_pct
from predict_age.parts import finished_parts, make_missing
from predict_age.run import Run, StepResult
from predict_age.source.rows import RowRules, connect
from predict_age.source.scan import counting_rows
from predict_age.source.splits import Split, read_split
from predict_age.stats import AGE_BINS, PCT_BINS, Tally, merged
from predict_age.steps.batch_generator import batches_of
from predict_age.steps.read_source import losers_of, rules_of, splits_of


@dataclass(frozen=True)
class BatchContext:
    """What every batch of a run shares."""

    source: Source
    rules: RowRules
    losers: Path
    model: Path
    timestamp: dt.datetime
    schema: pa.Schema


def predict_batch(path: Path, splits: list[Split], context: BatchContext) -> dict[str, Any]:
    """Predict the rows of ``splits`` that need it and write ``path`` with its receipt.

    Smart filter first, then inline parsing of only those profiles, then the models. A row whose profile cannot be used,
    or shows none of the features, gets no prediction: it is counted by reason and becomes a DEFAULT row later.
    """
    bundle, version = load(context.model)
    connection = connect()
    tally = Tally()
    rows = 0
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(temporary, context.schema, compression="zstd", compression_level=1) as writer,
    ):
        for split in splits:
            for piece in read_split(split, context.source, with_profile=True, only=counting_rows(split, context.losers)):
                judged = context.rules.canonical(connection, piece.raw)
                needed = judged["needs_prediction"]
                pids = judged["pid"].filter(needed)
                if not len(pids):
                    continue
                made = extract(connection, piece.raw["profile"].filter(needed), bundle.features.text, context.rules.as_of)
                matrix = bundle.encoders.encode(made.columns)
                missing = np.isnan(matrix)
                usable = made.problem.is_null().to_numpy() & ~missing.all(axis=1)
                reasons = Counter(r or "profile_without_features" for r in made.problem.filter(~usable).to_pylist())
                predictions = bundle.predict(matrix[usable])
                n = int(usable.sum())
                columns = {
                    "pid": pids.filter(usable),
                    "predicted_age": pa.array(predictions.age),
                    "confidence_score": pa.array(predictions.width),
                    "age_lower": pa.array(predictions.lower),
                    "age_upper": pa.array(predictions.upper),
                    "model_version": pa.array([version] * n, pa.string()),
                    "prediction_timestamp": pa.array([context.timestamp] * n, pa.timestamp("us")),
                }
                writer.write_table(pa.table([columns[name] for name in context.schema.names], schema=context.schema))
                rows += n
                pct = np.minimum((confidence_pct(predictions.width) / (100 / PCT_BINS)).astype(int), PCT_BINS - 1)
                counts = {"predicted": n} | {f"default:{reason}": k for reason, k in reasons.items()}
                counts |= {f"missing:{f}": int(k) for f, k in zip(bundle.features.names, missing[usable].sum(axis=0), strict=True)}
                counts |= {f"unseen:{f}": k for f, k in bundle.encoders.unseen(made.columns).items()}
                tally += Tally(counts, {
                    "predicted_age": np.bincount(predictions.age, minlength=AGE_BINS).tolist(),
                    "confidence_pct": np.bincount(pct, minlength=PCT_BINS).tolist(),
                })  # fmt: skip
    return write_receipt(path, {"rows": rows, "model_version": version, "tally": tally.as_json()})


def parallel_prediction(run: Run) -> StepResult:
    """Make every batch that is not done. Afterwards every batch exists and is whole, or the run has failed."""
    splits, batches = splits_of(run.folder), batches_of(run)
    version = run.facts("training")["model_version"]
    context = BatchContext(
        run.plan.config.source, rules_of(run.plan), losers_of(run.folder), run.folder.model,
        dt.datetime.fromisoformat(run.plan.timestamp).replace(tzinfo=None),
        pq.read_schema(run.folder.path / "predictions" / "schema.parquet"),
    )  # fmt: skip
    tasks = [(run.folder.batch(n), [splits[s] for s in batch], context) for n, batch in enumerate(batches)]
    finished = {n: r for n, r in finished_parts(tasks).items() if r["model_version"] == version}
    if finished:
        run.progress.note(f"{len(finished)} of {len(batches)} batches are already done and kept")
    total = run.facts("read_source")["to_predict"]
    receipts = make_missing(run, predict_batch, tasks, finished, _seen, total, "rows", "batch")
    tally = merged(Tally.from_json(r["tally"]) for r in receipts)
    done = sum(_seen(r) for r in receipts)
    if done != total:
        raise IntegrityError("predictions are missing", expected=f"{total:,} rows in {len(batches)} batches",
                             found=f"{done:,} rows in {len(receipts)} batches", fix="run `predict-age resume`")  # fmt: skip
    facts = {"batches": len(batches), "kept": len(finished), "predicted": tally.count("predicted"),
             "default": tally.group("default"),
             "tally": tally.as_json()}  # fmt: skip
    return StepResult(total, facts)


def _seen(receipt: dict[str, Any]) -> int:
    tally = Tally.from_json(receipt["tally"])
    return tally.count("predicted") + sum(tally.group("default").values())
