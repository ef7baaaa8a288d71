"""Step 5: fix the schema of the predictions before the first one is made."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot
from sqlglot import exp

from predict_age.files import creating
from predict_age.result import StepResult
from predict_age.run import Run
from predict_age.sql import source_text

_ARROW = {
    "BIGINT": pa.int64(), "INT": pa.int32(), "DOUBLE": pa.float64(), "VARCHAR": pa.string(), "TEXT": pa.string(),
    "TIMESTAMP": pa.timestamp("us"),
}  # fmt: skip


def predictions_schema() -> pa.Schema:
    """The Arrow schema that ``sql/predictions_table.sql`` declares."""
    table = sqlglot.parse_one(source_text("predictions_table"), read="athena")
    return pa.schema([(c.name, _ARROW[c.kind.this.value]) for c in table.find_all(exp.ColumnDef) if c.kind])


def create_predictions_table(run: Run) -> StepResult:
    """Write an empty file with the schema, so that the table exists and every batch can be checked against it."""
    with creating(run.folder.path / "predictions" / "schema.parquet") as stream:
        pq.write_table(predictions_schema().empty_table(), stream)
    return StepResult(0, {"columns": predictions_schema().names}, {"predictions/schema.parquet": stream.sha256})
