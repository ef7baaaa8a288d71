"""Small training sets against Ridge, tuned LightGBM and CatBoost: ``python benchmarks/small_sets.py [DRAWS [PEOPLE ...]]``.

Trains on DRAWS (20) random samples of each number of PEOPLE (300, 1,000, 5,000) and scores 3,000 others, all of known age:
generated people, and those of SURVEY=FILE, a source such as profiles.jsonl.gz of the survey in examples/it-survey, with its
feature file or FEATURES=FILE. Errors are of whole years.
Everybody gets the same columns. Ridge: scikit-learn's, categories one-hot, penalty by cross-validation. LightGBM: native
categories, absolute error, the best of 20 random settings in 5 folds, each with its own number of trees. CatBoost: native
categories, absolute error, early stopping on a fifth; it is no dependency and is looked for in the folder LIBRARIES=FOLDER.

Rivals' errors are kept in out/small-sets.json, since they do not change. Exits with 1 when the mean error of a set and a number of
people is more than 1 % above that of the best rival.
"""

from __future__ import annotations

import datetime as dt
import gzip
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from predict_age.config import Config
from predict_age.features.extract import extract_features
from predict_age.features.spec import FeatureSet, default_text, parse_features
from predict_age.models.bundle_training import train_bundle
from predict_age.source.row_rules import connect
from predict_age.synthetic.write import generate

sys.path.append(os.environ.get("LIBRARIES", str(Path("out").absolute() / "small-sets-libraries")))
KEPT = Path("out") / "small-sets.json"
EXAMPLE = Path(__file__).parents[1] / "examples" / "it-survey" / "features.toml"
SCORED, TRIALS, FOLDS, YOUNGEST, OLDEST = 3000, 20, 5, 14, 100
TOLERANCE = 1.01


@dataclass(frozen=True)
class People:
    """People of known ``age`` (n,), their feature ``columns`` (n rows) and the features."""

    features: FeatureSet
    columns: pa.Table
    age: np.ndarray

    def take(self, rows: np.ndarray) -> People:
        return People(self.features, self.columns.take(pa.array(rows)), self.age[rows])

    @classmethod
    def of(cls, profiles: list[str], ages: list[int | None], features: str, as_of: dt.date) -> People:
        """Those of known age."""
        known = [i for i, age in enumerate(ages) if age is not None and YOUNGEST <= age <= OLDEST]
        texts = pa.chunked_array([pa.array([profiles[i] for i in known])])
        columns = extract_features(connect(), texts, features, as_of).with_text_categories()
        return cls(parse_features(features, "features"), columns, np.array([ages[i] for i in known], np.float32))


def generated() -> People:
    """Generated people of known age."""
    as_of = dt.date(2025, 10, 23)
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder), 60_000, 77, as_of, 1)
        rows = pa.concat_tables([pq.read_table(f) for f in sorted((Path(folder) / "people").glob("*.parquet"))]).to_pydict()
    ages = [a if a is not None else b and as_of.year - b for a, b in zip(rows["approximate_age"], rows["birth_year"], strict=True)]
    return People.of(rows["profile_json"], ages, default_text(), as_of)


def survey(path: Path) -> People:
    """Respondents of known age."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        rows = [json.loads(line) for line in lines]
    ages = [r["approximate_age"] if r["approximate_age"] is not None else r["birth_year"] and 2020 - r["birth_year"] for r in rows]
    profiles = [json.dumps(r["profile_json"], ensure_ascii=False) for r in rows]
    return People.of(
        profiles,
        ages,
        Path(os.environ.get("FEATURES", str(EXAMPLE))).read_text(),
        dt.date(2020, 6, 30),
    )


def error(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute error of whole years, rounded alike for everybody."""
    return float(np.abs(np.clip(np.floor(predicted + 0.5), YOUNGEST, OLDEST) - truth).mean())


def _split(people: People) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (n, k), NaN = missing, and categories (n, l) as texts."""
    texts = [n for n in people.columns.column_names if pa.types.is_string(people.columns[n].type)]
    numbers = [people.columns[n].to_numpy() for n in people.columns.column_names if n not in texts]
    return np.array(numbers).T, np.array([people.columns[n].fill_null("?").to_pylist() for n in texts], object).T.reshape(
        len(people.age), -1
    )


def ridge(train: People, test: People, seed: int) -> float:
    """scikit-learn's Ridge: medians for missing numbers, indicators of missing ones, one-hot categories of at least 5 people."""
    del seed
    (numbers, texts), (new_numbers, new_texts) = _split(train), _split(test)
    median = np.nan_to_num(np.nanmedian(numbers, axis=0))
    scaler = StandardScaler().fit(np.where(np.isnan(numbers), median, numbers))
    onehot = OneHotEncoder(min_frequency=5, handle_unknown="infrequent_if_exist").fit(texts)

    def design(x: np.ndarray, categories: np.ndarray) -> np.ndarray:
        return np.hstack([scaler.transform(np.where(np.isnan(x), median, x)), np.isnan(x), onehot.transform(categories).toarray()])

    model = RidgeCV(alphas=np.logspace(-1, 4, 16)).fit(design(numbers, texts), train.age)
    return error(model.predict(design(new_numbers, new_texts)), test.age)


def tuned_lightgbm(train: People, test: People, seed: int) -> float:
    """The best of TRIALS random settings, by the mean of FOLDS folds."""
    (numbers, texts), (new_numbers, new_texts) = _split(train), _split(test)
    levels = [{v: i for i, v in enumerate(sorted(set(column)))} for column in texts.T]

    def matrix(x: np.ndarray, categories: np.ndarray) -> np.ndarray:
        codes = [[table.get(v, -1) for v in column] for column, table in zip(categories.T, levels, strict=True)]
        return np.hstack([x, np.array(codes, float).T.reshape(len(x), -1)])

    own, new = matrix(numbers, texts), matrix(new_numbers, new_texts)
    categories = list(range(numbers.shape[1], own.shape[1]))
    rng = np.random.default_rng(seed)
    best: tuple[float, int, dict[str, object]] = (np.inf, 1, {})
    for _ in range(TRIALS):
        settings = {
            "objective": "l1",
            "num_leaves": int(rng.choice([4, 8, 15, 31, 63])),
            "learning_rate": float(rng.choice([0.02, 0.05, 0.1])),
            "min_data_in_leaf": int(rng.choice([3, 5, 10, 20, 40])),
            "feature_fraction": float(rng.choice([0.4, 0.7, 1.0])),
            "bagging_fraction": float(rng.choice([0.6, 0.8, 1.0])),
            "bagging_freq": 1,
            "lambda_l2": float(rng.choice([0.0, 1.0, 10.0])),
            "num_threads": 1,
            "verbose": -1,
            "seed": seed,
        }
        data = lightgbm.Dataset(own, train.age, categorical_feature=categories, params=settings)
        found = lightgbm.cv(
            settings, data, 800, nfold=FOLDS, stratified=False, seed=seed, callbacks=[lightgbm.early_stopping(40, verbose=False)]
        )
        errors = found["valid l1-mean"]
        best = min(best, (min(errors), int(np.argmin(errors)) + 1, settings), key=lambda b: b[0])
    data = lightgbm.Dataset(own, train.age, categorical_feature=categories, params=best[2])
    return error(lightgbm.train(best[2], data, best[1]).predict(new), test.age)


def catboost(train: People, test: People, seed: int) -> float:
    """Absolute error, 1,500 trees at most, stopped early on a fifth."""
    import catboost as library

    def rows(people: People) -> list[list[object]]:
        numbers, texts = _split(people)
        return [[*t, *n] for n, t in zip(numbers.tolist(), texts.tolist(), strict=True)]

    categories = list(range(_split(train)[1].shape[1]))
    last = np.random.default_rng(seed).random(len(train.age)) < 0.2
    own = rows(train)
    model = library.CatBoostRegressor(
        loss_function="MAE",
        iterations=1500,
        learning_rate=0.05,
        random_seed=seed,
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
        cat_features=categories,
    )
    fit, stop = (([own[i] for i in np.flatnonzero(rows)], train.age[rows]) for rows in (~last, last))
    model.fit(*fit, eval_set=stop, early_stopping_rounds=60)
    return error(model.predict(rows(test)), test.age)


def ours(train: People, test: People, seed: int) -> float:
    """The delivered model, with the default configuration, but nobody is withheld: everybody is scored alike."""
    hashes = np.random.default_rng(seed).random(len(train.age))
    config = Config.model_validate({"ages": {"min_age": 0}})
    bundle, _, _ = train_bundle(train.features, train.columns, train.age, hashes, config, 1)
    if os.environ.get("VERBOSE"):
        print("   ", [round(w, 2) for w in bundle.ensemble.weights], bundle.ensemble.network_share, bundle.ensemble.residual_share)
    return error(bundle.predict(bundle.encoders.encode(test.columns)).age.astype(float), test.age)


RIVALS: dict[str, Callable[[People, People, int], float]] = {"ridge": ridge, "lightgbm": tuned_lightgbm, "catboost": catboost}


def main(draws: int, sizes: list[int]) -> int:
    """Print a table; 0 when the bar is met everywhere."""
    sets: dict[str, Callable[[], People]] = {"generated": generated}
    if path := os.environ.get("SURVEY"):
        sets["survey"] = partial(survey, Path(path))
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    rivals = [name for name in RIVALS if name != "catboost" or importlib.util.find_spec("catboost")]
    print(f"| set | people | draws | predict-age | {' | '.join(rivals)} | ours / best |\n|{'---|' * (5 + len(rivals))}", flush=True)
    worst = 0.0
    for name, load in sets.items():
        people = load()
        for size in sizes:
            errors: dict[str, list[float]] = {who: [] for who in ("ours", *rivals)}
            for draw in range(draws):
                order = np.random.default_rng([size, draw]).permutation(len(people.age))
                train, test = people.take(order[:size]), people.take(order[size : size + SCORED])
                for who in rivals:
                    key = f"{name} {size} {draw} {who}"
                    if key not in kept:
                        kept[key] = RIVALS[who](train, test, draw)
                        KEPT.parent.mkdir(exist_ok=True)
                        KEPT.write_text(json.dumps(kept))
                    errors[who].append(kept[key])
                errors["ours"].append(ours(train, test, draw))
            means = {who: float(np.mean(e)) for who, e in errors.items()}
            ratio = means["ours"] / min(means[who] for who in rivals)
            worst = max(worst, ratio)
            rest = " | ".join(f"{means[who]:.4f}" for who in rivals)
            print(
                f"| {name} | {size:,} | {draws} | {means['ours']:.4f} | {rest} | {ratio:.4f} |",
                flush=True,
            )
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    given = [int(a.replace("_", "")) for a in sys.argv[1:]]
    raise SystemExit(main(given[0] if given else 20, given[1:] or [300, 1000, 5000]))
