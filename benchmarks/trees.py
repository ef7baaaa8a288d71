"""The measurement behind the trees of ADR 8: libraries against kernels, one core: ``python benchmarks/trees.py [PEOPLE]``.

Trains the default models on generated people, predicts 20,000 others both ways in turns, takes the best of seven, and refuses to
print a time when the answers are not equal to the last bit.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from models import prepared
from predict_age import kernels
from predict_age.config import TrainingConfig
from predict_age.models.bundle import with_point_prediction
from predict_age.models.lgbm_model import train_lightgbm
from predict_age.models.quantile_forest import train_forest
from predict_age.models.xgb_model import train_xgboost
from predict_age.runtime.worker_pool import available_cores
from stages import processor

ROWS, TIMES = 20_000, 7


def compare(title: str, predict: Callable[[], np.ndarray]) -> None:
    """One line: microseconds a row by the library (or NumPy) and by the kernel."""
    answers, best = {}, {False: np.inf, True: np.inf}
    for _ in range(TIMES):
        for on in (False, True):
            kernels.kernel_switch.on = on
            began = time.perf_counter()
            answers[on] = predict()
            best[on] = min(best[on], (time.perf_counter() - began) / ROWS * 1e6)
    assert np.array_equal(answers[False], answers[True]), f"{title}: the kernel says something else"
    print(f"| {title} | {best[False]:.2f} | {best[True]:.2f} | {best[False] / best[True]:.1f} x |", flush=True)


def main(people: int) -> None:
    """Print the table."""
    x, age, _, names = prepared(people, 7)
    fit, new = x[:-ROWS], x[-ROWS:]
    ages, settings, threads = age[:-ROWS], TrainingConfig(), available_cores()
    first = train_xgboost(fit, ages, names, settings, threads)
    second = train_lightgbm(fit, ages, names, settings, threads)
    third = train_forest(with_point_prediction(fit, first.predict(fit)), ages, 14, 100, settings, threads)
    deep = with_point_prediction(new, first.predict(new))
    print(f"{processor()}, one core; learned from {len(fit):,} people")
    print("| model | library, microseconds a row | kernel | |\n|---|---|---|---|")
    compare(f"XGBoost, {first.rounds} trees of depth {settings.max_depth}", lambda: first.predict(new))
    compare(f"LightGBM, {second.booster.num_trees()} trees of {settings.light_leaves} leaves", lambda: second.predict(new))
    title = (
        f"quantile forest, {settings.forest_trees} trees, {len(third.shares):,} leaves (library: leaves by XGBoost, sums by NumPy)"
    )
    compare(title, lambda: third.distribution(deep))


if __name__ == "__main__":
    main(int(sys.argv[1].replace("_", "")) if len(sys.argv) > 1 else 400_000)
