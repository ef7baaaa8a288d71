"""True ages that became known after a run: from a later run, or from a file of pid and true_age."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import duckdb

from predict_age.errors import ConfigError
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.runs.visible_people import visible_rows_sql
from predict_age.source.column_names import did_you_mean
from predict_age.source.text_ids import pid_sql
from predict_age.source.value_form import shown_names, without_values
from predict_age.sql import literal
from predict_age.storage.manifest import VerifiedRun, verified_run
from predict_age.storage.workspace import Workspace

READERS = {".csv": "read_csv", ".tsv": "read_csv", ".parquet": "read_parquet"}
FILES = "a .csv, .tsv or .parquet file"
USUAL_NAMES = {
    "pid": ("id", "person_id", "personid", "key"),
    "source_id": ("id", "person_id", "personid", "key"),
    "true_age": ("age", "ages", "known_age", "approximate_age"),
}
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


def load_truth(connection: duckdb.DuckDBPyConnection, workspace: Workspace, truth: str, run: VerifiedRun) -> TruthCounts:
    """Create the table ``truth(pid, age)``: ages in years at the date of ``run``, each person once, inside the run's age window.

    ``truth`` is a run or quarter, whose given ages count, or a .csv, .tsv or .parquet file with pid and true_age. Ages of a
    later run are reduced by the years between the runs. Raises ConfigError when the file holds no ages.
    """
    if Path(truth).suffix.lower() in READERS or Path(truth).exists():
        values = _file_values(connection, truth)
    else:
        later = verified_run(workspace, workspace.resolve(truth))
        years = _year(later) - _year(run)
        values = (
            f"SELECT CAST(pid AS VARCHAR) AS pid, CAST(predicted_age - {years} AS DOUBLE) AS age, FALSE AS is_unknown "
            f"FROM {result_table_sql(connection, workspace, later)} WHERE prediction_source LIKE 'EXISTING%'"
        )
    try:
        connection.execute(f"CREATE TABLE given AS {values}")
    except duckdb.Error as error:
        raise _unreadable(truth, error) from None
    if run.folder.facts(ReadSourceFacts).pid_type == "text":  # ids of the source, or pids of the results: those stay as they are
        pid = f"CAST(CASE WHEN pid <> '' THEN {pid_sql('pid')} END AS VARCHAR)"
        connection.execute(f"CREATE OR REPLACE TABLE given AS SELECT {pid} AS pid, age, is_unknown FROM given")
    return _usable_ages(connection, truth, run)


def _unreadable(truth: str, error: duckdb.Error) -> ConfigError:
    return ConfigError(
        f"the true ages in {truth} cannot be read",
        expected=f"{FILES} with the columns pid and true_age",
        found=without_values(str(error), truth),
        fix="write the file again in the format that its ending names",
    )


def _file_values(connection: duckdb.DuckDBPyConnection, truth: str) -> str:
    """SQL for the ids and ages of a file. Raises ConfigError for another kind of file, or one without the columns or rows."""
    if not Path(truth).is_file():
        raise ConfigError(f"there is no file {truth}", expected=f"{FILES} with pid and true_age")
    reader = READERS.get(Path(truth).suffix.lower())
    if reader is None:
        fix = "export the sheet or table as CSV, with the columns pid and true_age"
        raise ConfigError(f"{truth} is no file of true ages", expected=FILES, found=f"a file {Path(truth).name}", fix=fix)
    if not Path(truth).stat().st_size:
        raise ConfigError(
            f"{truth} is empty", expected="the columns pid and true_age", found="no bytes", fix="write the file again"
        )
    options = ", all_varchar = true, header = true" if reader == "read_csv" else ""
    rows = f"{reader}({literal(truth)}{options})"
    try:
        names = [str(row[0]) for row in connection.sql(f"DESCRIBE SELECT * FROM {rows}").fetchall()]
        has_rows = bool(connection.sql(f"SELECT 1 FROM {rows} LIMIT 1").fetchall())
    except duckdb.Error as error:
        raise _unreadable(truth, error) from None
    lower = [name.lower() for name in names]
    key = "pid" if "pid" in lower or "source_id" not in lower else "source_id"
    if missing := [name for name in (key, "true_age") if name not in lower]:
        raise ConfigError(
            f"the true ages in {truth} cannot be read: there is no column {' and no column '.join(missing)}",
            expected=f"the columns pid (the ids of the source) and true_age (years at the date of the run){_hints(missing, names)}",
            found="columns " + shown_names(names),
            fix="name the columns pid and true_age in the first line of the file",
        )
    if not has_rows:
        raise ConfigError(
            f"{truth} holds no true age", expected="a row for each person", found="no rows", fix="write the file again"
        )
    age = "try_cast(trim(CAST(true_age AS VARCHAR)) AS DOUBLE)"
    return (
        f"SELECT trim(CAST({key} AS VARCHAR)) AS pid, {age} AS age, coalesce(NOT isfinite({age}), TRUE) AS is_unknown FROM {rows}"
    )


def _hints(missing: list[str], names: list[str]) -> str:
    """A hint for each of the ``missing`` columns that another of the ``names`` may stand for."""
    hints = []
    for wanted in missing:
        near = next((f" (did you mean {name!r}?)" for name in names if name.lower() in USUAL_NAMES[wanted]), "")
        if near := near or did_you_mean(wanted, names):
            hints.append(f"; {wanted}{near}")
    return "".join(hints)


def _usable_ages(connection: duckdb.DuckDBPyConnection, truth: str, run: VerifiedRun) -> TruthCounts:
    ages = _age_window(run)
    year = _year(run)
    query = f"""SELECT count(*) FILTER (NOT is_unknown AND age BETWEEN {ages[0]} AND {ages[1]}), count(*) FILTER (is_unknown),
        count(*) FILTER (NOT is_unknown AND age NOT BETWEEN {ages[0]} AND {ages[1]}),
        count(*) FILTER (NOT is_unknown AND age BETWEEN {FIRST_YEAR} AND {year}),
        count(*) FILTER (try_cast(pid AS BIGINT) IS NULL) FROM given"""
    used, unknown, outside, years, no_pid = connection.sql(query).fetchall()[0]
    expected = f"ages in years at the date of the run, from {ages[0]} to {ages[1]}"
    if no_pid:
        raise ConfigError(
            f"{truth} holds {no_pid:,} persons without a pid",
            expected="the pid of the results, a whole number, or text ids as the source has them",
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
    twice = "SELECT count(*) FROM (SELECT pid FROM truth GROUP BY pid HAVING count(*) > 1)"
    if people := connection.sql(twice).fetchall()[0][0]:
        raise ConfigError(
            f"{truth} names a person twice",
            expected="every pid once",
            found=f"{people:,} pid{'' if people == 1 else 's'} in several rows",
            fix="keep one row for each person",
        )
    return TruthCounts(used, unknown, outside)


def _age_window(run: VerifiedRun) -> tuple[int, int]:
    ages = run.folder.record["config"]["ages"]
    return int(ages["min"]), int(ages["max"])


def _year(run: VerifiedRun) -> int:
    return dt.date.fromisoformat(run.manifest.as_of).year
