"""Rows of a finished run that readers may see: those of people whom the suppression list hides are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from predict_age.kernels import prepare_kernels
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.source.row_rules import id_type_named
from predict_age.source.suppression import hidden_people
from predict_age.sql import literal
from predict_age.storage.suppression_list import SuppressionList
from predict_age.storage.workspace import RunFolder

if TYPE_CHECKING:
    import duckdb

HIDES = "predict_age_hides_from_generation_"


def _made_with(run: RunFolder) -> int:
    """Generation of the list that the run was made with; 0: none."""
    return int(run.record.get("suppression", 0))


def hides_nobody(run: RunFolder, suppression: SuppressionList | None) -> bool:
    """Whether readers may see all rows of ``run``, because the list is the one that it was made with."""
    return suppression is None or suppression.generation == _made_with(run)


def visible_rows_sql(
    connection: duckdb.DuckDBPyConnection, run: RunFolder, paths: list[str], suppression: SuppressionList | None
) -> str:
    """SQL of a FROM clause that reads Parquet files of ``run``, which have a column pid, without people who are suppressed.

    People whom the run's own list hid are not in its files. Those who were suppressed later are hidden, and so are those who were
    released later: they come back in the next run, not before.
    """
    files = f"read_parquet([{', '.join(map(literal, paths))}])"
    if suppression is None or hides_nobody(run, suppression):
        return files
    made_with = _made_with(run)
    ids = id_type_named(run.facts(ReadSourceFacts).pid_type)
    name = f"{HIDES}{made_with}_{ids}"

    def hides(pids: pa.Array) -> pa.Array:
        hidden, _ = hidden_people(np.asarray(pids.fill_null(0)), suppression, ids, made_with)
        return pa.array(hidden)

    from duckdb.func import PythonUDFType

    prepare_kernels(run.facts(ReadSourceFacts).people)  # the function is called with some thousand rows at a time
    if not connection.execute("SELECT count(*) FROM duckdb_functions() WHERE function_name = ?", [name]).fetchall()[0][0]:
        connection.create_function(name, hides, ["bigint"], "boolean", type=PythonUDFType.ARROW)
    return f"(SELECT * FROM {files} WHERE NOT {name}(pid))"
