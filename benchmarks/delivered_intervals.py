"""Do delivered intervals cover what they promise? ``python benchmarks/delivered_intervals.py KIND LABELLED SPREAD [SEEDS [FIRST]]``

Trains in this process on generated people and judges the delivered model on 6,000 others, whom no part of the training saw.
Prints, for each seed and in the mean, what the training claims (error, coverage, width) and what is true, and the coverage of
the most confident fifth and of the worst band of predicted age with 1,000 people and more over all seeds.
Fails when the coverage is further from 0.90 than 0.01 and two standard errors, or a group is covered less than 0.87.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.config import Config
from predict_age.features.spec import parse_features
from predict_age.hashing import sampling_hash
from predict_age.models.bundle_training import train_models
from predict_age.models.metrics import AGE_BANDS, band_name
from predict_age.models.withholding import minors_by_ages, minors_rate

JUDGED, PROMISED, TOLERATED, LOWEST, FEWEST = 6_000, 0.90, 0.01, 0.87, 1000
KINDS = ("plain", "heavy", "tied", "skewed", "categories")
NUMBER = '\n[features.{0}]\nkind = "number"\npath = "{0}"\nmin = -60\nmax = 120\ndefault = 20\nmeaning = "{0}"\n'
CATEGORY = '\n[features.{0}]\nkind = "category"\npath = "{0}"\nmeaning = "{0}"\n'


@dataclass(frozen=True)
class People:
    """Feature ``columns`` of n people, described by ``features`` (the text of a feature file), and their whole ``age`` (n,)."""

    features: str
    columns: pa.Table
    age: NDArray[np.float32]


def people(kind: str, number: int, spread: float, seed: int) -> People:
    """Generate people whose age two noisy clocks and some weaker fields tell, with residuals of about ``spread`` years.

    plain: three degrees of noise, told by a category; heavy: Student's t with 2 degrees of freedom; tied: no noise for 90 %;
    skewed: mostly young people; categories: few categories and a clock in steps of five years.
    """
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    exact = 18 + rng.gamma(1.2, 9, number) if kind == "skewed" else rng.normal(40, 13, number)
    age = np.clip(np.floor(np.where((exact < 18) | (exact > 85), rng.uniform(18, 85, number), exact)), 18, 85)
    sort = rng.integers(0, 3, number)
    noise = rng.standard_t(2, number) if kind == "heavy" else rng.normal(0, 1, number)
    if kind == "tied":
        noise[rng.random(number) < 0.9] = 0
    clock = age + rng.random(number) - 22 + spread * noise * np.array([0.5, 1.0, 1.5])[sort]
    if kind == "tied":
        clock = np.floor(clock)
    second = age - 24 + rng.normal(0, 3 * spread + 2, number)
    if kind == "categories":
        clock, second = np.round(clock / 5) * 5, np.round(second / 10) * 10
    level = np.clip(np.floor((age - 20) / 12 + rng.normal(0, 1, number)), 0, 5).astype(int)
    columns: dict[str, pa.Array] = {}
    for name, values in (
        ("clock", clock),
        ("second", second),
        ("jobs", rng.poisson(age / 12)),
        ("other", rng.normal(20, 9, number)),
    ):
        hidden = rng.random(number) < (0.05 if name == "clock" else 0.1)
        columns[name] = pa.array(np.where(hidden, np.nan, values).astype(np.float32), pa.float32())
    for name, codes in (("sort", sort), ("level", level)):
        columns[name] = pa.array([f"v{code}" for code in codes]).dictionary_encode()
    features = (
        "format = 1\n"
        + "".join(NUMBER.format(n) for n in list(columns)[:4])
        + "".join(CATEGORY.format(n) for n in ("sort", "level"))
    )
    return People(features, pa.table(columns), age.astype(np.float32))


def judged(kind: str, labelled: int, spread: float, seed: int) -> dict[str, NDArray[np.float64]]:
    """Train once; for each of the judged people whether the interval holds the age, its width, the error and the predicted age."""
    everybody = people(kind, labelled + JUDGED, spread, seed)
    features = parse_features(everybody.features, "generated")
    known = slice(0, labelled)
    trained = train_models(
        features,
        everybody.columns.slice(0, labelled),
        everybody.age[known],
        sampling_hash(np.arange(labelled) + 1_000_003 * seed, 7),
        Config(),
        1,
    )
    limit, ages = Config().ages.min_age, np.bincount(everybody.age[known].astype(int), minlength=121).tolist()
    rate = minors_rate(limit, trained.suggested_minors, labelled, 0, minors_by_ages(limit, Config().ages.youngest, ages)).rate
    bundle, metrics = trained.bundle(rate), trained.measured(rate)[0]
    age = everybody.age[labelled:].astype(float)
    made = bundle.predict(bundle.encoders.encode(everybody.columns.slice(labelled)))
    age, made = age[~made.withheld], made.only(~made.withheld)
    inside, error = (made.lower <= age) & (age <= made.upper), np.abs(made.age - age)
    claim, width = metrics.held_out, made.upper - made.lower
    print(
        f"{kind} {labelled} at {spread:g}, seed {seed}: claimed {claim.mae:.3f} years, {claim.coverage:.3f}, {claim.width:.2f}; "
        f"true {error.mean():.3f}, {inside.mean():.3f}, {width.mean():.2f}",
        flush=True,
    )
    claims = {"claimed_error": claim.mae, "claimed_coverage": claim.coverage, "claimed_width": claim.width}
    return {"inside": inside.astype(float), "error": error, "width": width, "predicted": made.age.astype(float)} | {
        name: np.full(len(age), value) for name, value in claims.items()
    }


def main(kind: str, labelled: int, spread: float, seeds: int = 5, first: int = 1) -> int:
    """Print the table; 0 when everything is covered as promised."""
    several = [judged(kind, labelled, spread, seed) for seed in range(first, first + seeds)]
    every = {name: np.concatenate([one[name] for one in several]) for name in several[0]}
    inside, by_seed = every["inside"], np.array([one["inside"].mean() for one in several])
    confident = np.concatenate([one["width"] <= np.quantile(one["width"], 0.2) for one in several])
    bands = {band_name(b): (every["predicted"] >= b[0]) & (every["predicted"] <= b[1]) for b in AGE_BANDS}
    worst = min((b for b in bands if bands[b].sum() >= FEWEST), key=lambda b: float(inside[bands[b]].mean()))
    doubt = 2 * max(float(by_seed.std(ddof=1)) if seeds > 1 else 0.0, (0.09 / JUDGED) ** 0.5) / seeds**0.5
    groups = {"most confident fifth": float(inside[confident].mean()), f"aged {worst}": float(inside[bands[worst]].mean())}
    failed = bool(abs(inside.mean() - PROMISED) > TOLERATED + doubt or min(groups.values()) < LOWEST - doubt)
    claim = {name: float(every[f"claimed_{name}"].mean()) for name in ("error", "coverage", "width")}
    print(
        f"MEAN {kind} {labelled} at {spread:g}: claimed {claim['error']:.3f} years, {claim['coverage']:.4f}, "
        f"{claim['width']:.2f}; true {every['error'].mean():.3f}, {inside.mean():.4f} (give or take {doubt:.4f}), "
        f"{every['width'].mean():.2f}; " + "; ".join(f"{name} {value:.3f}" for name, value in groups.items()) + "  FAILED" * failed,
        flush=True,
    )
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), *map(int, sys.argv[4:6])))
