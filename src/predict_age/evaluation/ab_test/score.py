"""Score of one run: errors and coverage of its predictions, once true ages are known."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import duckdb
import numpy as np

from predict_age.arrays import Float64Array
from predict_age.distributions import normal_upper_quantile
from predict_age.evaluation.ab_test.truth import USUAL, TruthCounts, load_truth, result_table_sql
from predict_age.evaluation.ab_test.truth_files import TruthColumns
from predict_age.models.metrics import AGE_BANDS, band_name
from predict_age.runtime.command_log import stage
from predict_age.sql import literal
from predict_age.storage.manifest import VerifiedRun, verified_run
from predict_age.storage.row_accounting import WITHHELD_MINOR
from predict_age.storage.spill import of_this_command, spill_folder, spilling_into
from predict_age.storage.workspace import Workspace

CONFIDENCE_STEPS = ((0, 20), (20, 40), (40, 60), (60, 80), (80, 101))  # confidence_pct, lower end included


@dataclass(frozen=True)
class GroupScore:
    """Quality of the predictions for the people of a ``group``, years; intervals are 95 % confidence intervals.

    ``bias`` is predicted - true: positive = too old. The interval of the coverage is Wilson's (1927).
    """

    group: str
    rows: int
    mae: float
    mae_interval: tuple[float, float]
    bias: float
    bias_interval: tuple[float, float]
    coverage: float
    coverage_interval: tuple[float, float]
    width: float


@dataclass(frozen=True)
class RunScore:
    """Quality of the predictions of a run: ``all`` of them, by band of predicted age, by confidence, and usable ones.

    The ``used`` true ages of ``counts`` are those of all people who were scored, of the ``withheld``, of people ``not_predicted``
    (known or default age), and of people ``not_found`` in the result. ``minors_published``: predicted people whose
    true age is from 0 to below the run's ``ages.min_age``, those below the age window included, who are not scored.
    """

    run_id: str
    truth: str
    counts: TruthCounts
    all: GroupScore
    by_predicted_band: list[GroupScore]
    by_confidence: list[GroupScore]
    usable: GroupScore
    withheld: int
    not_predicted: int
    not_found: int
    minors_published: int

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@stage("compare predictions with true ages")
def score_run(workspace: Workspace, name: str, truth: str, columns: TruthColumns = USUAL) -> RunScore:
    """Compare the predictions of run ``name`` with true ages, see :func:`predict_age.evaluation.ab_test.truth.load_truth`.

    Only people whose age the run predicted are counted. Without any of them, all numbers are NaN.
    """
    run = verified_run(workspace, workspace.resolve(name))
    with spilling_into(of_this_command(workspace.root)):
        return _scored(duckdb.connect(config={"temp_directory": spill_folder()}), workspace, run, truth, columns)


def _scored(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, run: VerifiedRun, truth: str, columns: TruthColumns
) -> RunScore:
    counts = load_truth(connection, workspace, truth, run, columns)
    results = result_table_sql(connection, workspace, run)
    query = (
        "SELECT t.age, r.predicted_age, r.age_lower, r.age_upper, r.confidence_pct, r.usable "
        f"FROM {results} AS r JOIN truth AS t ON r.pid = t.pid WHERE r.prediction_source = 'ML_PREDICTION'"
    )
    others = (
        f"SELECT count(*) FILTER (r.prediction_source = {literal(WITHHELD_MINOR)}), count(*) "
        f"FROM {results} AS r JOIN truth AS t ON r.pid = t.pid WHERE r.prediction_source <> 'ML_PREDICTION'"
    )
    minors = (
        f"SELECT count(*) FROM {results} AS r JOIN given AS t ON r.pid = TRY_CAST(t.pid AS BIGINT) "
        f"WHERE r.prediction_source = 'ML_PREDICTION' AND NOT t.is_unknown AND t.age >= 0 "
        f"AND t.age < {int(run.folder.record['config']['ages'].get('min_age', 0))}"
    )
    table = connection.sql(query).to_arrow_table()
    age, predicted, lower, upper, confidence, usable = (
        table[c].to_numpy().astype(np.float64)
        for c in ("age", "predicted_age", "age_lower", "age_upper", "confidence_pct", "usable")
    )
    withheld, not_predicted = connection.execute(others).fetchall()[0]

    def of(group: str, rows: np.ndarray) -> GroupScore:
        return group_score(group, age[rows], predicted[rows], lower[rows], upper[rows])

    return RunScore(
        run.folder.id,
        truth,
        counts,
        of("all", np.ones(len(age), np.bool_)),
        scores_by_predicted_age(age, predicted, lower, upper),
        scores_by_confidence(age, predicted, lower, upper, confidence),
        of("usable", usable > 0),
        withheld,
        not_predicted - withheld,
        counts.used - len(age) - not_predicted,
        int(connection.execute(minors).fetchall()[0][0]),
    )


def scores_by_predicted_age(
    age: Float64Array, predicted: Float64Array, lower: Float64Array, upper: Float64Array
) -> list[GroupScore]:
    """Score of each band of predicted ages that has people, from arrays (n,), years."""
    bands = [(band_name(b), (predicted >= b[0]) & (predicted <= b[1])) for b in AGE_BANDS]
    return [group_score(name, age[rows], predicted[rows], lower[rows], upper[rows]) for name, rows in bands if rows.any()]


def scores_by_confidence(
    age: Float64Array, predicted: Float64Array, lower: Float64Array, upper: Float64Array, confidence: Float64Array
) -> list[GroupScore]:
    """Score of each step of the confidence percentage (n,) that has people; the others as in :func:`group_score`."""
    steps = [(f"{a}\N{EN DASH}{min(b, 100)} %", (confidence >= a) & (confidence < b)) for a, b in CONFIDENCE_STEPS]
    return [group_score(name, age[rows], predicted[rows], lower[rows], upper[rows]) for name, rows in steps if rows.any()]


def group_score(group: str, age: Float64Array, predicted: Float64Array, lower: Float64Array, upper: Float64Array) -> GroupScore:
    """Score of n people from arrays (n,), years."""
    n = len(age)
    if not n:
        nan = (math.nan, math.nan)
        return GroupScore(group, 0, math.nan, nan, math.nan, nan, math.nan, nan, math.nan)
    error = predicted - age
    inside = (lower <= age) & (age <= upper)
    absolute = np.abs(error)
    coverage = float(inside.mean())
    return GroupScore(
        group,
        n,
        float(absolute.mean()),
        _mean_interval(absolute),
        float(error.mean()),
        _mean_interval(error),
        coverage,
        wilson_interval(coverage, n),
        float((upper - lower).mean()),
    )


def _mean_interval(values: Float64Array) -> tuple[float, float]:
    if len(values) < 2:
        return math.nan, math.nan
    reach = normal_upper_quantile(0.025) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return float(values.mean()) - reach, float(values.mean()) + reach


def wilson_interval(share: float, rows: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927)."""
    z = normal_upper_quantile(0.025)
    center = (share + z**2 / (2 * rows)) / (1 + z**2 / rows)
    reach = z / (1 + z**2 / rows) * math.sqrt(share * (1 - share) / rows + z**2 / (4 * rows**2))
    return center - reach, center + reach
