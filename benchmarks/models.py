"""The measurement behind ADR 5: every member on the same generated people: ``python benchmarks/models.py [PEOPLE [SEED]]``.

Learns from three quarters of the people, scores the point by its error relative to the best possible, the distributions by the
width of the interval that covers exactly 90 % of the scored people, and the time to train (two cores) and to evaluate (one).
"""

from __future__ import annotations

import datetime as dt
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from predict_age.config import TrainingConfig
from predict_age.features.encode import Matrix, fit_encoders
from predict_age.features.extract import extract_features
from predict_age.features.spec import default_text, parse_features
from predict_age.models.age_distribution import quantiles
from predict_age.models.conformal import conformal_correction
from predict_age.models.density_network_training import train_network
from predict_age.models.lgbm_model import train_lightgbm
from predict_age.models.quantile_forest import train_forest
from predict_age.models.xgb_model import train_xgboost
from predict_age.source.row_rules import connect
from predict_age.synthetic.posterior import best_prediction
from predict_age.synthetic.write import ROWS_PER_CHUNK, Chunk, generate, people

AS_OF = dt.date(2025, 10, 23)
LEVELS = (0.05, 0.5, 0.95)


def prepared(rows: int, seed: int) -> tuple[Matrix, np.ndarray, np.ndarray, list[str]]:
    """Features, ages and the best possible predictions of generated people."""
    features = parse_features(default_text(), "default")
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder), rows, seed, AS_OF, 2)
        files = sorted((Path(folder) / "people").glob("*.parquet"))
        table = pa.concat_tables([pq.read_table(f, columns=["profile_json"]) for f in files])
    columns = extract_features(connect(), table["profile_json"], default_text(), AS_OF).columns
    drawn = [people(Chunk(seed, n, min(ROWS_PER_CHUNK, rows - n), AS_OF)) for n in range(0, rows, ROWS_PER_CHUNK)]
    age = np.concatenate([d.age for d in drawn]).astype(np.float32)
    scored = drawn[-1]
    best = np.concatenate([best_prediction(scored.slice(i, i + 10_000)) for i in range(0, len(scored.age), 10_000)])
    fit = pa.array(np.arange(rows) < rows - len(best))
    encoders = fit_encoders(features, columns.filter(fit), age[fit.to_numpy(False)])
    return encoders.encode(columns), age, best, encoders.column_names(features.names)


def needed(ends: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Years by which both of the outer ``ends`` (n, 3) have to move so that ``truth`` (n,) is just inside."""
    return np.maximum(ends[:, 0] - truth, truth - ends[:, 2])


def timed(function: Callable[[], object]) -> tuple[object, float]:
    """Result and seconds."""
    began = time.perf_counter()
    return function(), time.perf_counter() - began


def main(rows: int, seed: int) -> None:
    """Print the table."""
    x, age, best, names = prepared(rows, seed)
    n = rows - len(best)
    fit, new, truth = x[:n], x[n:], age[n:].astype(float)
    yard = float(np.abs(best - truth).mean())
    settings = TrainingConfig()
    print(f"{n:,} people to learn from, {len(truth):,} scored; best possible error {yard:.3f} years")
    print("| model | train, s | rows/s a core | error / best possible | width at 90 %, years |\n|---|---|---|---|---|")

    def line(name: str, fit_s: float | None, eval_s: float | None, point: np.ndarray, ends: np.ndarray | None = None) -> None:
        error = float(np.abs(np.floor(point + 0.5) - truth).mean()) / yard
        width = (
            "" if ends is None else f"{(ends[:, 2] - ends[:, 0]).mean() + 2 * conformal_correction(needed(ends, truth), 0.9):.2f}"
        )
        time_taken = f"{fit_s:.0f} | {len(truth) / eval_s:,.0f}" if fit_s and eval_s else " | "
        print(f"| {name} | {time_taken} | {error:.3f} | {width} |", flush=True)

    boosted, fit_s = timed(lambda: train_xgboost(fit, age[:n], names, settings, 2))
    raw, eval_s = timed(lambda: boosted.predict(new))
    line(f"XGBoost, {settings.rounds} trees of depth {settings.max_depth}", fit_s, eval_s, np.asarray(raw))
    light, fit_s = timed(lambda: train_lightgbm(fit, age[:n], names, settings, 2))
    second, eval_s = timed(lambda: light.predict(new))  # type: ignore[attr-defined]
    line(f"LightGBM, {settings.light_rounds} trees of {settings.light_leaves} leaves", fit_s, eval_s, np.asarray(second))
    forest, fit_s = timed(lambda: train_forest(fit, age[:n], 14, 100, settings, 2))
    shares, eval_s = timed(lambda: forest.distribution(new))  # type: ignore[attr-defined]
    ends = quantiles(shares, 14, LEVELS)  # type: ignore[arg-type]
    line("quantile forest, without a point to start from", fit_s, eval_s, ends[:, 1], ends)
    pair, fit_s = timed(lambda: _boosted_quantiles(fit, age[:n], settings))
    found, eval_s = timed(lambda: np.column_stack([b.predict(new, num_threads=1) for b in pair]))  # type: ignore[attr-defined]
    line("LightGBM, three quantiles", fit_s, eval_s, found[:, 1], np.sort(found, axis=1))  # type: ignore[index,call-overload]
    for count in (1, settings.networks):
        network, fit_s = timed(lambda k=count: train_network(fit, age[:n], 14, 100, settings.model_copy(update={"networks": k})))  # type: ignore[misc]
        made, eval_s = timed(lambda net=network: net.distribution(new))  # type: ignore[misc,attr-defined]
        ends = quantiles(made, 14, LEVELS)  # type: ignore[arg-type]
        line(f"density network, mean of {count}", fit_s, eval_s, ends[:, 1], ends)
    line("XGBoost, LightGBM and networks, mean", None, None, (np.asarray(raw) + np.asarray(second) + ends[:, 1]) / 3)


def _boosted_quantiles(matrix: Matrix, age: np.ndarray, settings: TrainingConfig) -> list[lightgbm.Booster]:
    common = {
        "objective": "quantile",
        "num_leaves": settings.light_leaves,
        "learning_rate": settings.light_learning_rate,
        "min_data_in_leaf": settings.min_leaf_rows,
        "feature_fraction": 0.6,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "max_bin": 127,
        "seed": 7,
        "num_threads": 2,
        "verbose": -1,
    }
    return [
        lightgbm.train({**common, "alpha": level}, lightgbm.Dataset(matrix, age, params=common), settings.light_rounds)
        for level in LEVELS
    ]


if __name__ == "__main__":
    given = [int(a) for a in sys.argv[1:3]]
    main(*given, *[400_000, 5][len(given) :])
