"""True ages that became known after a run: from a later run, or from a file of pid and true_age."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import duckdb

from predict_age.errors import ConfigError
from predict_age.evaluation.ab_test.truth_files import TruthColumns, register_truth_rows
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.runs.visible_people import visible_rows_sql
from predict_age.source.text_ids import pid_sql
from predict_age.storage.manifest import VerifiedRun, verified_run
from predict_age.storage.workspace import Workspace
from predict_age.tally import counted, in_number

WHOLE_NUMBER = r"[+-]?\d+(\.0*)?"  # of a column of ids that pandas wrote as floats, too
USUAL = TruthColumns()
FIRST_YEAR = 1900
FEW_YEARS = 0.05  # share of values that look like birth years; with more, the column holds no ages


@dataclass(frozen=True)
class TruthCounts:
    """Rows of a truth: ``used`` ages; ``unknown`` ones (NULL, NaN, no number); ``outside`` ages.min..ages.max of the run."""

    used: int
    unknown: int
    outside: int


def result_table_sql(connection: duckdb.DuckDBPyConnection, workspace: Workspace, run: VerifiedRun) -> str:
    """SQL that reads the verified result files of a run, without people whom the workspace's suppression list hides."""
    return visible_rows_sql(connection, run.folder, run.checked("results/"), workspace.suppression)


def age_sql(column: str) -> str:
    """SQL of the years, DOUBLE, that a column of text says, also 42,5 as a German spreadsheet has it; NULL for other text."""
    return f"try_cast(regexp_replace({column}, '^(\\d{{1,3}}),(\\d+)$', '\\1.\\2') AS DOUBLE)"


def load_truth(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, truth: str, run: VerifiedRun, columns: TruthColumns = USUAL
) -> TruthCounts:
    """Create the table ``truth(pid, age)``: ages in years at the date of ``run``, each person once, inside the run's age window.

    ``truth`` is a run or quarter, whose given ages count, or a CSV, JSON lines or Parquet file, or a folder or glob of them, with
    pid and true_age, or these ``columns``. Ages of a later run are reduced by the years between the runs. Raises ConfigError when
    a file holds no ages.
    """
    if _is_path(truth):
        register_truth_rows(connection, truth, columns)
        age = age_sql("true_age")
        values = f"SELECT pid, {age} AS age, coalesce(NOT isfinite({age}), TRUE) AS is_unknown FROM truth_rows"
    elif columns != USUAL:
        raise ConfigError("--pid and --age name columns of a file", expected="a file as --truth", found=f"the run {truth}")
    else:
        later = verified_run(workspace, workspace.resolve(truth))
        years = _year(later) - _year(run)
        values = (
            f"SELECT CAST(pid AS VARCHAR) AS pid, CAST(predicted_age - {years} AS DOUBLE) AS age, FALSE AS is_unknown "
            f"FROM {result_table_sql(connection, workspace, later)} WHERE prediction_source LIKE 'EXISTING%'"
        )
    connection.execute(f"CREATE TABLE given AS {values}")
    if run.folder.facts(ReadSourceFacts).pid_type == "text":  # ids of the source, or pids of the results: those stay as they are
        pid = f"CAST(CASE WHEN pid <> '' THEN {pid_sql('pid')} END AS VARCHAR)"
        connection.execute(f"CREATE OR REPLACE TABLE given AS SELECT {pid} AS pid, age, is_unknown FROM given")
    return _usable_ages(connection, truth, run)


def _is_path(truth: str) -> bool:
    """Whether ``truth`` names a file, a folder or a glob, not a run: a folder in this place needs a slash (``./2026q1``)."""
    return any(mark in truth for mark in "./*?[") or Path(truth).is_file()


def _usable_ages(connection: duckdb.DuckDBPyConnection, truth: str, run: VerifiedRun) -> TruthCounts:
    ages = _age_window(run)
    year = _year(run)
    query = f"""SELECT count(*) FILTER (NOT is_unknown AND age BETWEEN {ages[0]} AND {ages[1]}), count(*) FILTER (is_unknown),
        count(*) FILTER (NOT is_unknown AND age NOT BETWEEN {ages[0]} AND {ages[1]}),
        count(*) FILTER (NOT is_unknown AND age BETWEEN {FIRST_YEAR} AND {year}),
        count(*) FILTER (coalesce(NOT regexp_full_match(pid, '{WHOLE_NUMBER}') OR try_cast(pid AS BIGINT) IS NULL, TRUE))
        FROM given"""
    used, unknown, outside, years, no_pid = connection.execute(query).fetchall()[0]
    expected = f"ages in years at the date of the run, from {ages[0]} to {ages[1]}"
    if no_pid:
        raise ConfigError(
            f"{counted(no_pid, 'row')} of {truth} {in_number(no_pid, 'has')} no pid",
            expected="in each row the pid of the results, a whole number, or the text id that the source has",
            found="an empty value, or no whole number of 64 bits",
            fix="take the column pid from the results, or source_id where ids are text",
        )
    if years > FEW_YEARS * max(used + outside, 1):
        raise ConfigError(
            f"true_age in {truth} holds birth years",
            expected=expected,
            found=f"{years:,} of {used + outside:,} values from {FIRST_YEAR} to {year}",
            fix="write the age instead: the year of the run minus the birth year",
        )
    if not used:
        raise ConfigError(
            f"{truth} holds no true age",
            expected=expected,
            found=f"{unknown:,} unknown (empty, or no number), {outside:,} outside",
            fix="write ages in years as numbers, such as 42 or 42.5",
        )
    connection.execute(
        "CREATE TABLE truth AS SELECT CAST(pid AS BIGINT) AS pid, age FROM given "
        f"WHERE NOT is_unknown AND age BETWEEN {ages[0]} AND {ages[1]}"
    )
    twice = "SELECT count(*) FROM (SELECT CAST(pid AS BIGINT) AS id FROM given GROUP BY id HAVING count(*) > 1)"
    if people := connection.execute(twice).fetchall()[0][0]:
        raise ConfigError(
            f"{truth} names a person twice",
            expected="every pid once",
            found=f"{counted(people, 'pid')} in several rows",
            fix="keep one row for each person",
        )
    return TruthCounts(used, unknown, outside)


def _age_window(run: VerifiedRun) -> tuple[int, int]:
    ages = run.folder.record["config"]["ages"]
    return int(ages["min"]), int(ages["max"])


def _year(run: VerifiedRun) -> int:
    return dt.date.fromisoformat(run.manifest.as_of).year
