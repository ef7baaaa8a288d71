"""The measurement behind ADR 2: ``pip install quantile-forest`` first, then ``python benchmarks/forest.py``.

Fits forests on 700,000 of 800,000 rows x 22 columns and scores the 5th and 95th percentile by pinball loss on the rest.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from predict_age.config import TrainingConfig
from predict_age.models.age_distribution import quantiles
from predict_age.models.ensemble import pinball_loss
from predict_age.models.quantile_forest import train_forest

TEST = 100_000
LEVELS = (0.05, 0.5, 0.95)


def report(name: str, fit: float, rows: int, predict: Callable[[], np.ndarray], age: np.ndarray) -> None:
    """Predict, time, score, print."""
    began = time.perf_counter()
    found = predict()
    rate = rows / (time.perf_counter() - began)
    low, high = (pinball_loss(found[:, [i]], (LEVELS[i],), age) for i in (0, 2))
    print(f"| {name} | {fit:.0f} | {rate:,.0f} | {low:.3f} | {high:.3f} |", flush=True)


def main() -> None:
    """Print one row of the table for each forest."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(800_000, 22)).astype(np.float32)
    signal = 40 + 8 * x[:, 0] + 4 * x[:, 1] * x[:, 2] + 3 * x[:, 3]
    y = np.clip(np.round(signal + rng.normal(size=len(x)) * (3 + 2 * (x[:, 4] > 0))), 14, 100).astype(np.float32)
    print("| forest | fit, s (2 cores) | predict, rows/s a core | pinball 5 % | pinball 95 % |\n|---|---|---|---|---|")
    began = time.perf_counter()
    forest = train_forest(x[TEST:], y[TEST:], 14, 100, TrainingConfig(forest_trees=30, forest_depth=14), 2)
    fit = time.perf_counter() - began
    forest.trees.set_param({"nthread": 1})
    rows = TEST - 1  # one thread each, as in a worker
    report("XGBoost trees, leaf histograms", fit, rows, lambda: quantiles(forest.distribution(x[:rows]), 14, LEVELS), y[:rows])
    try:
        from quantile_forest import RandomForestQuantileRegressor
    except ImportError:
        sys.exit("quantile-forest is not installed: its rows are SKIPPED")
    for kept, rows in ((1, TEST), (20, 3000)):
        began = time.perf_counter()
        other = RandomForestQuantileRegressor(
            n_estimators=50,
            min_samples_leaf=20,
            max_samples=300_000,
            max_samples_leaf=kept,
            max_features=0.5,
            n_jobs=2,
            random_state=0,
        ).fit(x[TEST:], y[TEST:])
        fit = time.perf_counter() - began
        other.n_jobs = 1
        report(
            f"quantile-forest, {kept} kept", fit, rows, lambda m=other, r=rows: m.predict(x[:r], quantiles=list(LEVELS)), y[:rows]
        )


if __name__ == "__main__":
    main()
