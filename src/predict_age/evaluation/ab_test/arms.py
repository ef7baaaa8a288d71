"""Evaluation of an A/B test: predictions of finished runs joined with true ages that became known later."""

from __future__ import annotations

from dataclasses import dataclass, replace

import duckdb
import numpy as np
import pyarrow as pa

from predict_age.errors import ConfigError
from predict_age.evaluation.ab_test.assign import assign_arms
from predict_age.evaluation.ab_test.read_out import (
    UNDECIDED,
    ArmStatistics,
    Decision,
    DecisionRules,
    PairedDifferences,
    decide,
    sample_ratio_mismatch,
)
from predict_age.evaluation.ab_test.truth import USUAL, load_truth, result_table_sql
from predict_age.evaluation.ab_test.truth_files import TruthColumns
from predict_age.runtime.command_log import stage
from predict_age.storage.manifest import VerifiedRun, verified_run
from predict_age.storage.spill import of_this_command, spill_folder, spilling_into
from predict_age.storage.workspace import Workspace

READ_BATCH_ROWS = 200_000


@dataclass(frozen=True)
class AbTestResult:
    """Result of an A/B test; the champion is the first arm.

    ``paired``: every model predicted the same people; otherwise each model predicted people of its own.
    """

    paired: bool
    truth: str
    arms: dict[str, ArmStatistics]
    decisions: list[Decision]

    def as_json(self) -> dict[str, object]:
        return {
            "paired": self.paired,
            "truth": self.truth,
            "arms": {n: s.as_json() for n, s in self.arms.items()},
            "decisions": [d.as_json() for d in self.decisions],
        }


@stage("compare models on people with a true age")
def evaluate_ab_test(
    workspace: Workspace, names: list[str], truth: str, rules: DecisionRules, columns: TruthColumns = USUAL
) -> AbTestResult:
    """Compare the models of one run (one model a person) or of several runs (every model for each person), champion first.

    ``truth`` is a run or quarter, whose given ages count, or a .csv or .parquet file with pid and true_age at the date of the first
    run. Ages of a later run are reduced by the years between the runs. Raises ConfigError when there is nothing to compare.
    """
    folders = [workspace.resolve(name) for name in names]
    if twice := [folder.id for number, folder in enumerate(folders) if folder in folders[:number]]:
        raise ConfigError(
            "a run is named twice", expected="different runs", found=twice[0], fix="name each once; `predict-age runs` lists them"
        )
    runs = [verified_run(workspace, folder) for folder in folders]
    with spilling_into(of_this_command(workspace.root)):
        connection = duckdb.connect(config={"temp_directory": spill_folder()})
        load_truth(connection, workspace, truth, runs[0], columns)
        if len(runs) > 1:
            return _paired(connection, workspace, runs, truth, rules)
        return _split(connection, workspace, runs[0], truth, rules)


def _arrays(batch: pa.RecordBatch, suffix: str = "") -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    age, predicted, lower, upper = (
        batch.column(c).to_numpy(zero_copy_only=False).astype(np.float64)
        for c in ("age", *(f"{n}{suffix}" for n in ("predicted_age", "age_lower", "age_upper")))
    )
    return age, predicted, lower, upper


def _split(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, run: VerifiedRun, truth: str, rules: DecisionRules
) -> AbTestResult:
    results = result_table_sql(connection, workspace, run)
    query = (
        "SELECT t.age, r.predicted_age, r.age_lower, r.age_upper, r.model_version "
        f"FROM {results} AS r JOIN truth AS t ON r.pid = t.pid WHERE r.prediction_source = 'ML_PREDICTION'"
    )
    arms = {run.manifest.model: ArmStatistics()}
    for batch in connection.sql(query).to_arrow_reader(READ_BATCH_ROWS):
        versions = batch.column("model_version").to_numpy(zero_copy_only=False).astype(str)
        for version in np.unique(versions):
            arm_rows = batch.filter(pa.array(versions == version))
            arms[str(version)] = arms.get(str(version), ArmStatistics()) + ArmStatistics.of(*_arrays(arm_rows))
    if len(arms) < 2:
        raise ConfigError(
            f"run {run.folder.id} was predicted by one model, or no age of the others became known",
            expected="a run with prediction.challengers, or several runs",
            found=", ".join(arms),
            fix="name two runs, champion first; `predict-age score` evaluates one run",
        )
    (_, champion), *others = arms.items()
    decisions = [decide(name, champion, sums, rules, challengers=len(others)) for name, sums in others]
    shares: dict[str, float] = run.folder.record["config"]["prediction"]["challengers"]
    expected = [1 - sum(shares.values()), *(shares.get(name, 0.0) for name, _ in others)]
    withheld = _withheld_by_arm(connection, results, run)  # models withhold different people, who are nevertheless in an arm
    rows = [champion.rows, *(sums.rows for _, sums in others)]
    numbers = [0, *(1 + list(shares).index(name) if name in shares else -1 for name, _ in others)]
    rows = [n + (withheld[arm] if arm >= 0 else 0) for n, arm in zip(rows, numbers, strict=True)]
    if reason := sample_ratio_mismatch(rows, expected):
        decisions = [replace(d, decision=UNDECIDED, reason=reason) for d in decisions]
    return AbTestResult(False, truth, arms, decisions)


def _withheld_by_arm(connection: duckdb.DuckDBPyConnection, results: str, run: VerifiedRun) -> list[int]:
    """People with a true age whom the run withheld, by arm: champion first, then challengers in the order of the configuration."""
    query = f"SELECT r.pid FROM {results} AS r JOIN truth AS t ON r.pid = t.pid WHERE r.prediction_source = 'WITHHELD'"
    settings = run.folder.record["config"]["prediction"]
    pids = connection.sql(query).to_arrow_table()["pid"].to_numpy()
    arms = assign_arms(pids, settings["experiment"], tuple(settings["challengers"].values()))
    counts: list[int] = np.bincount(arms, minlength=1 + len(settings["challengers"])).tolist()
    return counts


def _paired(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, runs: list[VerifiedRun], truth: str, rules: DecisionRules
) -> AbTestResult:
    if len({r.manifest.as_of for r in runs}) > 1:
        raise ConfigError(
            "the runs predict ages at different dates", expected="one as_of", found=", ".join(r.manifest.as_of for r in runs)
        )
    for number, run in enumerate(runs):
        results = result_table_sql(connection, workspace, run)
        connection.execute(
            f"CREATE VIEW run{number} AS SELECT pid, predicted_age AS predicted_age_{number}, age_lower AS age_lower_{number}, "
            f"age_upper AS age_upper_{number} FROM {results} WHERE prediction_source = 'ML_PREDICTION'"
        )
    joins = " ".join(f"JOIN run{number} USING (pid)" for number in range(len(runs)))
    names = [f"{r.manifest.model} ({r.folder.id})" for r in runs]
    arms = {n: ArmStatistics() for n in names}
    pairs = {n: PairedDifferences() for n in names[1:]}
    for batch in connection.sql(f"SELECT * FROM truth {joins}").to_arrow_reader(READ_BATCH_ROWS):
        columns = [_arrays(batch, f"_{number}") for number in range(len(runs))]
        errors = [np.abs(predicted - age) for age, predicted, _, _ in columns]
        for number, name in enumerate(names):
            arms[name] += ArmStatistics.of(*columns[number])
            if number:
                pairs[name] += PairedDifferences.of(errors[0], errors[number])
    decisions = [decide(n, arms[names[0]], arms[n], rules, pairs[n], len(runs) - 1) for n in names[1:]]
    return AbTestResult(True, truth, arms, decisions)
