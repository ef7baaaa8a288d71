"""Prediction inside engines that people run already: Spark, Ray Data, polars, DuckDB. Each gets the rows that a run would write."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import duckdb
import pyarrow as pa

from predict_age.api.arguments import checks_arguments
from predict_age.api.frames import PolarsFrame
from predict_age.api.given_tables import ArrowTable
from predict_age.api.model import ANSWER_SCHEMA, AgeModel, load_age_model
from predict_age.errors import ConfigError
from predict_age.query.model_registry import CHAMPION

SPARK_TYPES = {"int64": "bigint", "int32": "int", "double": "double", "string": "string", "bool": "boolean"}
DUCKDB_TYPES = {**SPARK_TYPES, "string": "varchar"}


@dataclass(frozen=True)
class BatchPredictor:
    """A function from people to answers that engines may send to their workers. Made by :func:`batch_predictor`.

    It is small when it is sent: each process loads the model from ``workspace``, which all of them must be able to read, once.
    ``version`` and ``run_id`` are those found when it was made. A worker that finds another published run raises ConfigError, so
    that no table is half of one model and half of another.
    """

    workspace: Path
    version: str
    run_id: str
    as_of: dt.date
    text_ids: bool

    @property
    def schema(self) -> pa.Schema:
        """Columns of the answers, for people with ids; see :meth:`AgeModel.predict`."""
        ids = [("pid", pa.int64()), *([("source_id", pa.string())] if self.text_ids else [])]
        return pa.schema([*ids, *ANSWER_SCHEMA])

    @property
    def spark_schema(self) -> str:
        """Columns of the answers as ``mapInArrow`` of Spark takes them."""
        return ", ".join(f"{field.name} {SPARK_TYPES[str(field.type)]}" for field in self.schema)

    def __call__(self, people: ArrowTable) -> pa.Table:
        """Answers about one batch of people, a row each: for ``map_batches`` of Ray Data (``batch_format="pyarrow"``)."""
        return self._model().predict(people, as_of=self.as_of)

    def each(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Answers about one batch after another: for ``mapInArrow`` of Spark."""
        for batch in batches:
            yield from self(batch).to_batches()

    def polars(self, people: PolarsFrame) -> object:
        """Answers about a polars data frame as another one: for ``map_batches`` of a lazy frame."""
        import polars

        return polars.from_arrow(self(people))

    @checks_arguments
    def register(self, connection: duckdb.DuckDBPyConnection, name: str = "predict_age") -> None:
        """Make the SQL function ``name(profile)`` in DuckDB: from a profile, VARCHAR, to a STRUCT of the answer's columns."""
        from duckdb import sqltypes, struct_type
        from duckdb.func import FunctionNullHandling, PythonUDFType

        kinds = {field.name: sqltypes.DuckDBPyType(DUCKDB_TYPES[str(field.type)].upper()) for field in ANSWER_SCHEMA}

        def answers(profiles: pa.ChunkedArray) -> pa.Array:
            column = profiles if isinstance(profiles, pa.ChunkedArray) else pa.chunked_array([profiles])
            made = self(pa.table({self._model().source.profile_json: column}))
            return made.to_struct_array().combine_chunks()

        connection.create_function(
            name,
            answers,
            [sqltypes.VARCHAR],
            struct_type(kinds),
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
        )

    def _model(self) -> AgeModel:
        model = _loaded(self.workspace, self.version)
        if model.run_id != self.run_id:
            raise ConfigError(
                "another run was published while this job ran",
                expected=f"run {self.run_id}",
                found=f"run {model.run_id}",
                fix="begin the job again",
            )
        return model


@lru_cache(maxsize=2)
def _loaded(workspace: Path, version: str) -> AgeModel:
    return load_age_model(workspace, version)


@checks_arguments
def batch_predictor(workspace: str | Path, model: str = CHAMPION, *, as_of: dt.date | None = None) -> BatchPredictor:
    """A predictor for the workers of an engine, by the champion of ``workspace`` or another version.

    Raises ConfigError when there is none, IntegrityError as :func:`load_age_model` does.
    """
    loaded = load_age_model(workspace, model)
    return BatchPredictor(
        Path(workspace).absolute(), loaded.version, loaded.run_id, as_of or loaded.as_of, loaded.rules.ids == "text"
    )
