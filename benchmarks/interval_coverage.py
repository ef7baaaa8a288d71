"""Does the 90 % interval cover 90 %, in every group? ``python benchmarks/interval_coverage.py [SEEDS [ROWS [FIRST]]]``.

One run for each seed over newly generated people, judged with the truth that the run never saw. Groups: band of *predicted*
age, number of fields in the profile (fifths), job level. Bands of *true* age are shown beside: no interval can promise them.
Fails when the coverage of all is more than 0.01 from 0.90, or a group of 1,000 people and more is covered less than 0.87.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).parent))
from stages import OUT, measure

PROMISED, TOLERATED, LOWEST, FEWEST = 0.90, 0.01, 0.87, 1000
BAND = """CASE WHEN {0} < 25 THEN 'under 25' WHEN {0} >= 65 THEN '65 and over'
          ELSE concat(({0} - 5) // 10 * 10 + 5, ' to ', ({0} - 5) // 10 * 10 + 14) END"""


def judged(rows: int, seed: int) -> duckdb.DuckDBPyRelation:
    """Every predicted person of a run: inside or not, width, and the groups."""
    run = measure(rows, seed)
    source = OUT / f"people-{rows}-{seed}"
    parts = OUT / f"workspace-{rows}-{seed}" / "runs" / str(run["run_id"]) / "results" / "part_*.parquet"
    return duckdb.sql(
        f"""SELECT t.true_age BETWEEN r.age_lower AND r.age_upper AS inside, r.age_upper - r.age_lower AS width,
                   {BAND.format("r.predicted_age")} AS predicted_band, {BAND.format("t.true_age")} AS true_band,
                   coalesce(p.profile_json ->> '$.job_level', 'not given') AS level,
                   concat('fifth ', ntile(5) OVER (ORDER BY len(json_keys(p.profile_json)), r.pid)) AS fields
            FROM read_parquet('{parts}') AS r JOIN read_parquet('{source}/truth.parquet') AS t USING (pid)
            JOIN read_parquet('{source}/people/*.parquet') AS p USING (pid) WHERE r.prediction_source = 'ML_PREDICTION'"""
    )


def main(seeds: int, rows: int, first: int) -> int:
    """Print the table; 0 when everything is covered as promised."""
    duckdb.execute(
        "CREATE TABLE people (seed INT, inside BOOL, width DOUBLE, predicted_band TEXT, true_band TEXT, level TEXT, fields TEXT)"
    )
    for seed in range(first, first + seeds):
        found = judged(rows, seed)  # noqa: F841 - DuckDB reads it
        duckdb.execute(f"INSERT INTO people SELECT {seed}, * FROM found")
    everybody = "SELECT avg(inside::INT), count(*), avg(width) FROM people"
    of_seed = [r[0] for r in duckdb.sql("SELECT avg(inside::INT) FROM people GROUP BY seed ORDER BY 1").fetchall()]
    share, people, width = duckdb.sql(everybody).fetchall()[0]
    print(f"{seeds} seeds of {rows:,} people, {people:,} predicted: covered {share:.4f}, mean width {width:.2f} years")
    print(f"by seed {of_seed[0]:.4f} to {of_seed[-1]:.4f}")
    failed = abs(share - PROMISED) > TOLERATED
    for what in ("predicted_band", "fields", "level", "true_band"):
        sql = f"""SELECT {what}, count(*), avg(inside::INT), min(c), avg(width) FROM
                  (SELECT *, avg(inside::INT) OVER (PARTITION BY seed, {what}) AS c FROM people) GROUP BY 1 ORDER BY 1"""
        for group, n, covered, lowest, wide in duckdb.sql(sql).fetchall():
            low = what != "true_band" and n >= FEWEST and covered < LOWEST
            failed |= low
            mark = "  TOO LOW" if low else ""
            print(
                f"{what:>14} {group:<14} {n:>9,} people  covered {covered:.3f} (worst seed {lowest:.3f})  width {wide:5.2f}{mark}"
            )
    return int(failed)


if __name__ == "__main__":
    given = [int(a) for a in sys.argv[1:4]]
    raise SystemExit(main(*given, *[20, 100_000, 101][len(given) :]))
