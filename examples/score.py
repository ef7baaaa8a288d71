"""Score published predictions against a truth file: ``python examples/score.py WORKSPACE TRUTH``.

TRUTH is Parquet or CSV (also .gz) with the columns pid and true_age. Prints how often every person of the truth occurs,
and the mean absolute error over the people whose age was predicted.
"""

import sys
from pathlib import Path

import duckdb

from predict_age.storage.manifest import verified_run
from predict_age.storage.workspace import Workspace


def main(workspace: str, truth: str) -> None:
    """Print the score."""
    space = Workspace.existing(Path(workspace))
    results = verified_run(space, space.resolve("current")).checked("results/")
    reader = "read_parquet" if truth.endswith(".parquet") else "read_csv"
    query = f"""
        SELECT count(*) AS people, count(r.pid) AS found, count(DISTINCT r.pid) AS distinct_found,
               (SELECT count(*) FROM read_parquet($results)) AS published,
               avg(abs(r.predicted_age - t.true_age)) FILTER (r.prediction_source = 'ML_PREDICTION') AS mae,
               count(*) FILTER (r.prediction_source = 'ML_PREDICTION') AS predicted,
               avg(CAST(t.true_age BETWEEN r.age_lower AND r.age_upper AS INT))
                   FILTER (r.prediction_source = 'ML_PREDICTION') AS covered,
               avg(r.age_upper - r.age_lower) FILTER (r.prediction_source = 'ML_PREDICTION') AS width
        FROM {reader}($truth) AS t LEFT JOIN read_parquet($results) AS r ON r.pid = t.pid"""
    row = duckdb.execute(query, {"results": results, "truth": truth}).fetchone()
    assert row is not None
    people, found, distinct, published, mae, predicted, covered, width = row
    print(f"{people:,} people in the truth, {found:,} rows found for them, {distinct:,} of them distinct, {published:,} published")
    print(
        f"mean absolute error {mae:.3f} years over {predicted:,} predicted; interval covers {covered:.3f}, width {width:.2f} years"
    )


if __name__ == "__main__":
    main(*sys.argv[1:3])
