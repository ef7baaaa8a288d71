"""Step 7: put source and prediction of every person side by side, and say which rows a reviewer should look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from predict_age.config import Source
from predict_age.errors import IntegrityError
from predict_age.files import replacing, valid_receipt, write_receipt
from predict_age.parts import finished_parts, make_missing
from predict_age.run import Run, StepResult
from predict_age.source.rows import RowRules, connect
from predict_age.source.scan import counting_rows
from predict_age.source.splits import Split, read_split
from predict_age.sql import statement
from predict_age.stats import Tally, merged
from predict_age.steps.batch_generator import batches_of
from predict_age.steps.read_source import losers_of, rules_of, splits_of


def qa_part(path: Path, batch: Path, splits: list[Split], source: Source, rules: RowRules, losers: Path) -> dict[str, Any]:
    """Join one batch of the source with its predictions, one row a person, ordered by pid.

    Raises IntegrityError when the batch file is damaged or holds somebody whom the source does not.
    """
    receipt = valid_receipt(batch)
    if receipt is None:
        raise IntegrityError(
            f"{batch} is missing or damaged", expected="the file its receipt describes", fix="run `predict-age resume`"
        )
    connection = connect()
    rows = []
    for split in splits:
        for piece in read_split(split, source, with_profile=False, only=counting_rows(split, losers)):
            judged = rules.canonical(connection, piece.raw)
            rows.append(judged.filter(judged["pid"].is_valid()).drop_columns(["problem", "needs_prediction"]))
    people = pa.concat_tables(rows)
    connection.register("source_rows", people)
    connection.register("predict_age_predictions", pq.read_table(batch))
    joined = statement("human_qa", "duckdb", default_age=rules.ages.default)
    table = connection.sql(f"SELECT * FROM ({joined}) ORDER BY pid").to_arrow_table()
    sources = {v["values"]: v["counts"] for v in table["prediction_source"].value_counts().to_pylist()}
    if table.num_rows != people.num_rows or sources.get("ML_PREDICTION", 0) != receipt["rows"]:
        raise IntegrityError(
            f"{batch.name} does not fit its source rows", expected=f"{people.num_rows:,} people, {receipt['rows']:,} predictions",
            found=f"{table.num_rows:,} people, {sources.get('ML_PREDICTION', 0):,} predictions",
        )  # fmt: skip
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", compression_level=1)
    reviews = {v["values"]: v["counts"] for v in table["review_reason"].drop_null().value_counts().to_pylist()}
    tally = Tally({f"source:{k}": n for k, n in sources.items()} | {f"review:{k}": n for k, n in reviews.items()})
    return write_receipt(path, {"rows": table.num_rows, "tally": tally.as_json()})


def human_qa(run: Run) -> StepResult:
    """Make every QA part that is not done."""
    splits, batches = splits_of(run.folder), batches_of(run)
    shared = (run.plan.config.source, rules_of(run.plan), losers_of(run.folder))
    tasks = [(run.folder.qa_part(n), run.folder.batch(n), [splits[s] for s in batch], *shared) for n, batch in enumerate(batches)]
    total = run.facts("read_source")["distinct"]
    receipts = make_missing(run, qa_part, tasks, finished_parts(tasks), lambda r: r["rows"], total, "people", "QA part")
    tally = merged(Tally.from_json(r["tally"]) for r in receipts)
    return StepResult(sum(r["rows"] for r in receipts), {"by_source": tally.group("source"), "review": tally.group("review")})
