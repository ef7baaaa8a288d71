"""Differences between two runs, person by person. In a quarter, people should age by a quarter of a year."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from predict_age.errors import ConfigError
from predict_age.query.tables import write_csv_bytes, write_parquet
from predict_age.records.json_fields import OPTIONAL, as_json
from predict_age.runs.visible_people import visible_rows_sql
from predict_age.runtime.command_log import stage
from predict_age.storage.manifest import VerifiedRun
from predict_age.storage.output_file import OutputFile
from predict_age.storage.row_accounting import NOT_IN_RUN
from predict_age.storage.spill import of_this_command, spill_folder, spilling_into
from predict_age.storage.suppression_list import SuppressionList

JUMP_YEARS = 5.0
LARGEST_JUMPS = 20
ML = "ML_PREDICTION"


@dataclass(frozen=True)
class Move:
    """People whose age came from the source ``before`` and comes from ``after``, with their mean change in years.

    There is none where they are in one run only, or withheld in one.
    """

    before: str
    after: str
    people: int
    mean_change: float | None


@dataclass(frozen=True)
class Jump:
    """A person whose age changed much more or less than the time between the runs; ages and ``change`` in years.

    ``source_id`` is the id in the source where ids are text.
    """

    pid: int
    source_before: str
    source_after: str
    age_before: int
    age_after: int
    change: int
    source_id: str | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class Diff:
    """Comparison of two runs. ``expected`` is the time between them in years; changes are later minus earlier, in years.

    ``moves`` counts people by source before and after, with the mean change; ``within`` is the share of the people
    predicted in both whose change is within so many years of ``expected``; ``jumps`` are the largest, in descending order.
    """

    before: str
    after: str
    expected: float
    both: int
    only_before: int
    only_after: int
    moves: list[Move]
    predicted_in_both: int
    mean_change: float | None
    within: dict[int, float]
    jump_years: float
    jumped: int
    jumps: list[Jump]

    def as_json(self) -> dict[str, object]:
        return {**as_json(self), "within": {str(k): v for k, v in self.within.items()}}


@stage("compare the people of both runs")
def diff_runs(
    before: VerifiedRun,
    after: VerifiedRun,
    jump_years: float = JUMP_YEARS,
    out: Path | None = None,
    suppression: SuppressionList | None = None,
) -> Diff:
    """Compare two finished runs, after their result files were compared with the hashes in their manifests.

    People whom the ``suppression`` list hides are in neither run.
    ``out`` receives all people whose age jumped, as CSV or Parquet by its ending; a new file outside the workspace.
    """
    workspace = after.folder.path.parent.parent
    if out is not None:
        if out.suffix not in (".csv", ".parquet"):
            raise ConfigError(
                f"cannot write to {out}", expected="a new file that ends in .csv or .parquet", found=out.suffix or "no ending"
            )
        OutputFile(out, "--out", workspace).check()
    days = dt.date.fromisoformat(after.manifest.as_of) - dt.date.fromisoformat(before.manifest.as_of)
    expected = days.days / 365.25
    with spilling_into(of_this_command(workspace)):
        connection = duckdb.connect(
            config={"temp_directory": spill_folder(), "memory_limit": "4GB", "preserve_insertion_order": False}
        )
        for name, run in (("before", before), ("after", after)):
            rows = visible_rows_sql(connection, run.folder, run.checked("results/"), suppression)
            connection.execute(f"CREATE VIEW results_{name} AS SELECT {_columns_of(connection, rows)} FROM {rows}")
        connection.execute(
            f"""CREATE VIEW changes AS
            SELECT coalesce(a.pid, b.pid) AS pid, coalesce(b.prediction_source, '{NOT_IN_RUN}') AS source_before,
                   coalesce(a.prediction_source, '{NOT_IN_RUN}') AS source_after, b.predicted_age AS age_before,
                   a.predicted_age AS age_after, a.predicted_age - b.predicted_age AS change,
                   coalesce(a.source_id, b.source_id) AS source_id
            FROM results_before AS b FULL JOIN results_after AS a ON a.pid = b.pid"""
        )
        table = connection.sql(
            "SELECT source_before, source_after, change, count(*) FROM changes GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        connection.execute(
            f"CREATE VIEW jumps AS SELECT * FROM changes WHERE abs(change - {expected}) > {float(jump_years)} "
            f"ORDER BY abs(change - {expected}) DESC, pid"
        )
        largest = connection.sql(f"SELECT * FROM jumps LIMIT {LARGEST_JUMPS}")
        jumps = [Jump(*row) for row in largest.fetchall()]
        if out is not None:
            ids = "*" if any(jump.source_id is not None for jump in jumps) else "* EXCLUDE source_id"
            with OutputFile(out, "--out", workspace).writing() as stream:
                (write_parquet if out.suffix == ".parquet" else write_csv_bytes)(connection.sql(f"SELECT {ids} FROM jumps"), stream)
    return summary_of_changes(before.folder.id, after.folder.id, expected, jump_years, table, jumps)


def _columns_of(connection: duckdb.DuckDBPyConnection, rows: str) -> str:
    """SQL for the columns of a result that are compared; ``source_id`` is NULL where ids are no text."""
    names = [row[0] for row in connection.sql(f"DESCRIBE SELECT * FROM {rows}").fetchall()]
    source_id = "source_id" if "source_id" in names else "CAST(NULL AS VARCHAR) AS source_id"
    return f"pid, predicted_age, prediction_source, {source_id}"


def summary_of_changes(
    before: str,
    after: str,
    expected: float,
    jump_years: float,
    table: list[tuple[Any, ...]],
    jumps: list[Jump],
) -> Diff:
    """Summary from counts by (source before, source after, change), whose number does not grow with that of the people.

    ``before`` and ``after`` are run ids, ``expected`` and ``jump_years`` years.
    """
    moves: dict[tuple[str, str], list[tuple[int | None, int]]] = {}
    for source_before, source_after, change, people in table:
        moves.setdefault((source_before, source_after), []).append((change, people))
    listed: list[Move] = []
    for (old, new), changes in moves.items():
        people = sum(n for _, n in changes)
        changed = [(c, n) for c, n in changes if c is not None]  # a withheld person has no age
        mean_change = sum(c * n for c, n in changed) / sum(n for _, n in changed) if changed else None
        listed.append(Move(old, new, people, mean_change))
    listed.sort(key=lambda m: -m.people)
    both = [(c, n) for key, changes in moves.items() if NOT_IN_RUN not in key for c, n in changes if c is not None]
    predicted = [(c, n) for c, n in moves.get((ML, ML), []) if c is not None]
    count = sum(n for _, n in predicted)
    within = {y: sum(n for c, n in predicted if abs(c - expected) <= y) / count for y in (1, 2, 5, 10)} if count else {}
    return Diff(
        before,
        after,
        expected,
        sum(m.people for m in listed if NOT_IN_RUN not in (m.before, m.after)),
        sum(m.people for m in listed if m.after == NOT_IN_RUN),
        sum(m.people for m in listed if m.before == NOT_IN_RUN),
        listed,
        count,
        sum(c * n for c, n in predicted) / count if count else None,
        within,
        jump_years,
        sum(n for c, n in both if abs(c - expected) > jump_years),
        jumps,
    )
