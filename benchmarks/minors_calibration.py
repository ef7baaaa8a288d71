"""Is the probability of being a minor right? ``python benchmarks/minors_calibration.py [LABELLED [SEED]]`` (2,000 and 1).

Nobody below the limit is trained on, so the probability of being younger is extrapolated; nothing measures it at the real limit.
At a higher limit something does: models are trained on people of 22 (or 26) years and more alone, and asked about others of known
age, of whom those up to four years younger play the minors; so do the younger ones among the people of known age, by their number
alone. That is done with all younger people, and with a tenth of them: rare minors. Prints, for each population, how many are
expected to be younger and how many are, how many of the younger ones would be published, how many of the others withheld, and for
all together the share of younger people by the probability. Fails when the expected number is not between 0.75 and 1.33 times the
true one, or when the share of younger people in a class of probability is not within that class, give or take a third.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from delivered_intervals import people
from predict_age.config import Config
from predict_age.features.extract import compile_features, extract_features
from predict_age.features.spec import FeatureSet, load_features, parse_features
from predict_age.hashing import uniform_hash
from predict_age.models.bundle_training import train_models
from predict_age.models.withholding import minors_by_ages, minors_rate
from predict_age.source.row_rules import connect
from predict_age.synthetic.write import ROWS_PER_CHUNK, Chunk, record_batch

AS_OF = dt.date(2025, 10, 23)
YEARS_BELOW = 4  # those that the rule extrapolates to
ASKED = 8_000
POPULATIONS = ("careers", "plain 3", "plain 8", "heavy 3", "tied 3", "skewed 3", "skewed 8", "categories 5")
LIMITS = (22, 26)
KEPT = (1.0, 0.1)  # shares of the younger people who are there
CLASSES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
TOLERATED = 4 / 3
RULE, THRESHOLDS = Config().ages.withhold_probability, (0.05, 0.1, 0.15, 0.2, 0.3, 0.5)


@dataclass(frozen=True)
class Population:
    """People (n) by their features, and their whole ages (n,)."""

    name: str
    features: FeatureSet
    columns: pa.Table
    age: NDArray[np.float32]


@dataclass(frozen=True)
class Answers:
    """Probabilities of being younger than the limit (n,), whether a person is withheld (n,), and is younger (n,)."""

    probability: NDArray[np.float64]
    withheld: NDArray[np.bool_]
    younger: NDArray[np.bool_]


def population(name: str, labelled: int, seed: int) -> Population:
    """Twice as many people as are needed: careers as the generator makes them, or those of ``delivered_intervals.py``."""
    number = 3 * labelled + 2 * ASKED
    if name != "careers":
        kind, _, spread = name.partition(" ")
        made = people(kind, number, float(spread), seed)
        return Population(name, parse_features(made.features, name), made.columns, made.age)
    chunks = [Chunk(seed, first, min(ROWS_PER_CHUNK, number - first), AS_OF) for first in range(0, number, ROWS_PER_CHUNK)]
    rows, truth = zip(*map(record_batch, chunks), strict=True)
    text = load_features(None, Config().source.age_columns).text
    columns = extract_features(connect(), pa.chunked_array([r["profile_json"] for r in rows]), text, AS_OF).with_text_categories()
    age = np.concatenate([t["true_age"].to_numpy() for t in truth]).astype(np.float32)
    return Population(name, compile_features(text, AS_OF)[0], columns, age)


def asked(of: Population, limit: int, labelled: int) -> list[Answers]:
    """Train on ``labelled`` people of the ``limit`` and more, and ask about others, up to four years younger; by KEPT."""
    half, near = np.arange(len(of.age)) % 2 == 0, (of.age >= limit - YEARS_BELOW) & (of.age < limit)
    fit = np.flatnonzero(half & (of.age >= limit) & (of.age <= 100))[:labelled]
    others = np.flatnonzero(~half & (of.age >= limit - YEARS_BELOW) & (of.age <= 100))[:ASKED]
    config = Config.model_validate({"ages": {"min_age": limit, "default": max(limit, 40)}})
    trained = train_models(of.features, of.columns.take(pa.array(fit)), of.age[fit], uniform_hash(fit), config, 1)
    known, known_ages = int((half & near)[: fit[-1]].sum()), np.bincount(of.age[fit].astype(np.int64), minlength=121).tolist()
    matrix, made = trained.models.encoders.encode(of.columns.take(pa.array(others))), []
    for kept in KEPT:
        by_ages = minors_by_ages(limit, config.ages.youngest, known_ages)
        rate = minors_rate(limit, trained.suggested_minors, len(fit), round(kept * known), by_ages)
        bundle = trained.bundle(rate.rate)
        there = ~near[others] | (np.arange(len(others)) % round(1 / kept) == 0)
        outputs = bundle.member_outputs(matrix[there])
        made.append(Answers(outputs.younger, bundle.ensemble.withheld(outputs), of.age[others][there] < limit))
    return made


def wrong_classes(answers: Answers) -> Iterator[str]:
    """Print the share of younger people by class of probability; yields what is not as it should be."""
    for low, high in pairwise(CLASSES):
        mine = (answers.probability >= low) & (answers.probability < high)
        if mine.sum() < 100:
            continue
        share, said = answers.younger[mine].mean(), answers.probability[mine].mean()
        print(f"  probability {low:.2f} to {high:.2f}: {mine.sum():6,} people, {said:.3f} in the mean, {share:.3f} are younger")
        if not low / TOLERATED - 0.01 <= share <= high * TOLERATED + 0.01:
            yield f"{low:.2f} to {high:.2f}"


def main(labelled: int, seed: int) -> int:
    """Print all populations and the whole; 0 when the probabilities are right."""
    answers: dict[float, list[Answers]] = {kept: [] for kept in KEPT}
    for name in POPULATIONS:
        of = population(name, labelled, seed)
        for limit in LIMITS:
            began = time.monotonic()
            for kept, made in zip(KEPT, asked(of, limit, labelled), strict=True):
                answers[kept].append(made)
                print(
                    f"{name:13} limit {limit}, {kept:4.0%} of the younger: {made.younger.sum():5,} younger, expected "
                    f"{made.probability.sum():7,.0f}; published {1 - made.withheld[made.younger].mean():.1%} of them; withheld "
                    f"{made.withheld[~made.younger].mean():.1%} of the others; {time.monotonic() - began:.0f} s",
                    flush=True,
                )
    wrong = [is_wrong(labelled, kept, several) for kept, several in answers.items()]
    return int(any(wrong))


def is_wrong(labelled: int, kept: float, answers: list[Answers]) -> bool:
    """Print what holds for all populations together; whether the probabilities are wrong."""
    whole = Answers(*(np.concatenate([getattr(a, f) for a in answers]) for f in ("probability", "withheld", "younger")))
    ratio = whole.probability.sum() / whole.younger.sum()
    print(f"{labelled:,} of known age, {kept:.0%} of the younger: {whole.younger.sum():,}, expected {ratio:.2f} times as many")
    by_point = whole.withheld & (whole.probability < RULE)
    for limit in THRESHOLDS:
        hidden = by_point | (whole.probability >= limit)
        published, withheld = 1 - hidden[whole.younger].mean(), hidden[~whole.younger].mean()
        print(f"  withhold_probability {limit:.2f}: {published:.1%} of the younger published, {withheld:.1%} of others withheld")
    wrong = list(wrong_classes(whole))
    print(f"wrong: {', '.join(wrong)}" if wrong else "every class of probability holds the share that it says")
    return bool(wrong) or not 0.75 <= ratio <= TOLERATED


if __name__ == "__main__":
    given = [int(a) for a in sys.argv[1:3]]
    raise SystemExit(main(*given, *(2_000, 1)[len(given) :]))
