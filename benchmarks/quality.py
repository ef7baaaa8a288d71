"""Published predictions against the best possible ones, on generated people: ``python benchmarks/quality.py [ROWS [SEED]]``.

The generator's model is known, so the posterior median of the age given the profile can be computed exactly; no method
can err less on average. Fails when the error is more than 8 % above it, or above 0.85 of Ridge's.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from predict_age.synthetic.posterior import best_prediction
from predict_age.synthetic.write import ROWS_PER_CHUNK, Chunk, people, pids
from stages import OUT, measure

SAMPLED_CHUNKS = 6


def main(rows: int, seed: int) -> int:
    """Print the comparison; 0 when both bars are met."""
    run = measure(rows, seed)
    parts = OUT / f"workspace-{rows}-{seed}" / "runs" / str(run["run_id"]) / "results" / "part_*.parquet"
    errors = []
    for first in range(0, min(rows, SAMPLED_CHUNKS * ROWS_PER_CHUNK), ROWS_PER_CHUNK):
        chunk = Chunk(seed, first, min(ROWS_PER_CHUNK, rows - first), dt.date(2025, 10, 23))
        drawn = people(chunk)
        best = np.concatenate([best_prediction(drawn.slice(i, i + 10_000)) for i in range(0, chunk.rows, 10_000)])
        yard = pa.table({"pid": pids(chunk), "age": drawn.age, "best": best})
        found = duckdb.sql(
            f"""SELECT abs(r.predicted_age - y.age) AS ours, abs(y.best - y.age) AS best,
                       y.age BETWEEN r.age_lower AND r.age_upper AS inside
                FROM yard AS y JOIN read_parquet('{parts}') AS r USING (pid) WHERE r.prediction_source = 'ML_PREDICTION'"""
        ).to_arrow_table()
        assert yard.num_rows == chunk.rows
        errors.append(found)
    table = pa.concat_tables(errors)
    ours, best = (float(np.mean(table[c].to_numpy())) for c in ("ours", "best"))
    metrics = run["metrics"]
    ridge = metrics["mae"] / metrics["ridge_mae"]  # type: ignore[index]
    print(json.dumps({"people": rows, "scored": table.num_rows, "mae": round(ours, 4), "best_possible": round(best, 4)}))
    print(f"error {ours:.3f} years = {ours / best:.3f} x best possible ({best:.3f}); {ridge:.3f} x Ridge on held-out people")
    print(f"interval covers {np.mean(table['inside'].to_numpy(zero_copy_only=False)):.4f} of {table.num_rows:,} predicted people")
    return 0 if ours / best <= 1.08 and ridge <= 0.85 else 1


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    given = [int(a) for a in sys.argv[1:3]]
    raise SystemExit(main(*given, *[1_000_000, 11][len(given) :]))
