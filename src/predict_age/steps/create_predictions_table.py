"""Step 5: fix the schema of the predictions before the first one is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from predict_age.records.step_facts import CreatePredictionsTableFacts
from predict_age.sql import columns
from predict_age.step import StepResult
from predict_age.storage.durable_files import creating
from predict_age.storage.parquet_writer import with_purpose

_ARROW = {
    "BIGINT": pa.int64(),
    "INT": pa.int32(),
    "DOUBLE": pa.float64(),
    "STRING": pa.string(),
    "TIMESTAMP": pa.timestamp("us"),
}


def predictions_schema() -> pa.Schema:
    """The Arrow schema that ``sql/predictions_table.sql`` declares."""
    return pa.schema([(name, _ARROW[kind]) for name, kind in columns("predictions_table").items()])


@dataclass(frozen=True)
class CreatePredictionsTableInputs:
    """Inputs of create predictions table: the run's folder, and its purpose, which every file of the table carries."""

    folder: Path
    purpose: str


def create_predictions_table(inputs: CreatePredictionsTableInputs) -> StepResult[CreatePredictionsTableFacts]:
    """Write an empty file with the schema, so that the table exists and every batch can be checked against it."""
    with creating(inputs.folder / "predictions" / "schema.parquet") as stream:
        pq.write_table(with_purpose(predictions_schema(), inputs.purpose).empty_table(), stream)
    facts = CreatePredictionsTableFacts(columns=predictions_schema().names)
    return StepResult(0, facts, {"predictions/schema.parquet": stream.sha256})
