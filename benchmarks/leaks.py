"""Features that are the age in another form, and features that honestly tell it: ``python benchmarks/leaks.py [SEEDS]``.

Each kind is drawn with SEEDS (2) seeds, for 2,000 and 20,000 people, and for a cohort in which 98 % have one age. The leak rule
must accuse every leaking and no honest feature. The kinds are of two halves: thresholds were argued with the first half in view,
the second was held back until they stood. Kinds whose noise is as wide as the six ages of the cohort, or that only a dozen people
of another age have (NOT_IN_COHORT), are not judged in it. Prints the numbers of each kind and the errors by half and size; exits
with 1 when more than one of forty verdicts is wrong or a verdict depends on the number of people.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.config import GatesConfig
from predict_age.evaluation.model_card.leakage import leaking_features, univariate_leakage

Floats = NDArray[np.float64]
AS_OF = np.datetime64("2025-10-23")
YEAR_DAYS = 365.2425


@dataclass(frozen=True)
class Cohort:
    """People of ``age`` (n,) whole years, with their ``exact`` ages, dates of birth and birth years."""

    rng: np.random.Generator
    age: NDArray[np.int64]
    exact: Floats

    @property
    def n(self) -> int:
        return len(self.age)

    @property
    def born(self) -> NDArray[np.datetime64]:
        return AS_OF - np.round(self.exact * YEAR_DAYS).astype(int)

    @property
    def year(self) -> NDArray[np.int64]:
        return self.born.astype("datetime64[Y]").astype(int) + 1970

    def text(self, letters: int) -> list[str]:
        """Random capital letters for each person."""
        return ["".join(row) for row in self.rng.choice(list("ABCDEFGHJKLMNPRSTUVWXYZ"), (len(self.age), letters))]


def draw_ages(name: str, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Ages of a population: of employees, a survey, people of all ages, young people, or a year of students."""
    if name == "cohort":
        return np.where(rng.random(n) < 0.98, 21, rng.integers(22, 27, n))
    low, high = {"employees": (18, 66), "survey": (18, 80), "all": (14, 95), "young": (18, 38)}[name]
    shape = {"employees": (1.6, 1.8), "survey": (1.3, 2.6), "all": (1.2, 1.6), "young": (1.5, 1.7)}[name]
    return np.floor(low + (high - low + 1) * rng.beta(*shape, n)).astype(np.int64)


def ordinal(values: Floats, rng: np.random.Generator, step: int = 7) -> Floats:
    """Numbers given in the order of ``values``, with gaps."""
    order = np.argsort(values, kind="stable")
    ids = np.empty(len(values))
    ids[order] = 100_000 + np.cumsum(rng.integers(1, step, len(values)))
    return ids


def base36(number: int) -> str:
    """``number`` with digits and letters, six places."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    text = ""
    for _ in range(6):
        number, rest = divmod(number, 36)
        text = digits[rest] + text
    return text


def roman(number: int) -> str:
    """Roman numeral."""
    text = ""
    for value, sign in ((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"),
                        (9, "IX"), (5, "V"), (4, "IV"), (1, "I")):  # fmt: skip
        text += sign * (number // value)
        number %= value
    return text


def late(c: Cohort, mean: float) -> Floats:
    """Years by which a life course is late: gamma distributed, as are ages at first job, degree or child."""
    return c.rng.gamma(1.2, mean / 1.2, len(c.age))


Values = Floats | NDArray[np.int64] | list[str | float | None]
Kind = Callable[[Cohort], Values]


def each(function: Callable[..., str | float | None], *columns: object) -> list[str | float | None]:
    """The function of the values of each person."""
    return [function(*values) for values in zip(*columns, strict=True)]  # type: ignore[call-overload]


LEAKING_DESIGN: dict[str, Kind] = {
    "copy": lambda c: c.age,
    "birth year": lambda c: c.year,
    "age, a year off": lambda c: c.age + c.rng.integers(-1, 2, c.n),
    "age and normal noise of 0.5": lambda c: c.age + c.rng.normal(0, 0.5, c.n),
    "age times 37 modulo 101": lambda c: c.age * 37 % 101,
    "days since birth": lambda c: c.exact * YEAR_DAYS,
    "bands of three years": lambda c: each(lambda a: f"{a // 3 * 3}-{a // 3 * 3 + 2}", c.age),
    "number in the order of birth": lambda c: ordinal(c.exact, c.rng),
    "year inside an id": lambda c: each(lambda t, y, n: f"{t}{y}{n:04d}", c.text(3), c.year, c.rng.integers(0, 9999, c.n)),
    "hexadecimal year": lambda c: each(lambda y: f"{y:x}", c.year),
}
LEAKING_HELD_BACK: dict[str, Kind] = {
    "age at another date": lambda c: np.floor(c.exact + 0.5),
    "age, up to two years off": lambda c: c.age + c.rng.integers(-2, 3, c.n),
    "age and normal noise of 1": lambda c: np.round(c.age + c.rng.normal(0, 1, c.n)),
    "hashed birth year": lambda c: each(lambda y: hashlib.sha256(f"salt{y}".encode()).hexdigest()[:12], c.year),
    "date of birth, day first": lambda c: each(lambda d: f"{d[8:10]}.{d[5:7]}.{d[:4]}", c.born.astype(str)),
    "bands of five years": lambda c: c.age // 5,
    "national number": lambda c: each(
        lambda d, n: f"{d[2:4]}{d[5:7]}{d[8:10]}-{n:05d}", c.born.astype(str), c.rng.integers(0, 99999, c.n)
    ),
    "copy, 8 % wrong": lambda c: np.where(c.rng.random(c.n) < 0.08, c.rng.permutation(c.age), c.age),
    "copy of three people in ten": lambda c: each(lambda y, r: float(y) if r < 0.3 else None, c.year, c.rng.random(c.n)),
    "member number in base 36, in the order of birth": lambda c: each(lambda n: base36(int(n)), ordinal(c.exact, c.rng, 900)),
    "Roman year in a sentence": lambda c: each(lambda y: f"class of {roman(int(y))}", c.year),
    "logarithm of the age in months": lambda c: np.log(np.floor(c.exact * 12)),
    "day-month-year as a number": lambda c: each(lambda d: float(f"{d[8:10]}{d[5:7]}{d[:4]}"), c.born.astype(str)),
    "number in the order of birth, shaken by half a year": lambda c: ordinal(c.exact + c.rng.normal(0, 0.5, c.n), c.rng),
}
HONEST_DESIGN: dict[str, Kind] = {
    "career start": lambda c: np.maximum(c.age - 18 - np.round(late(c, 3.5)), 0),
    "graduation year": lambda c: 2025 - np.maximum(c.age - 21 - np.round(late(c, 2.0)), -2),
    "years of service": lambda c: np.floor((c.age - 17) * c.rng.beta(1.2, 1.5, c.n)),
    "job level": lambda c: np.clip(np.round((c.age - 20) / 9 + c.rng.normal(0, 1, c.n)), 0, 6),
    "retired": lambda c: (c.age + c.rng.normal(0, 3, c.n) >= 63).astype(float),
    "mother's age": lambda c: c.age + np.round(c.rng.normal(28, 5, c.n)),
    "number of children": lambda c: c.rng.poisson(np.clip((c.age - 22) / 12, 0, 1.8)).astype(float),
    "salary": lambda c: 30_000 * np.exp(0.012 * (c.age - 20) + c.rng.normal(0, 0.4, c.n)),
    "city": lambda c: each(lambda n: f"city {n}", c.rng.zipf(1.6, c.n) % 40),
    "customer number by date of joining": lambda c: ordinal(np.maximum(c.exact - 16, 0) * c.rng.random(c.n), c.rng),
}
HONEST_HELD_BACK: dict[str, Kind] = {
    "school cohort": lambda c: c.year + c.rng.choice([-1, 0, 1, 2, 3, 5, 9], c.n, p=[0.03, 0.52, 0.24, 0.1, 0.05, 0.04, 0.02]),
    "year of the driving licence": lambda c: c.year + 18 + np.round(late(c, 2.5)),
    "first telephone number": lambda c: each(
        lambda n, r: f"{n:03d}-{r}", np.clip(c.age + c.rng.integers(-12, 12, c.n), 0, 999), c.rng.integers(1000, 9999, c.n)
    ),
    "father's birth year": lambda c: c.year - np.round(c.rng.normal(31, 6, c.n)),
    "age of the eldest child": lambda c: each(lambda v: v if v >= 0 else None, c.age - 22 - np.round(late(c, 5))),
    "year of the wedding": lambda c: each(lambda v: v if v <= 2025 else None, c.year + 20 + np.round(late(c, 7))),
    "doctorate": lambda c: c.year + 27 + np.round(late(c, 3)),
    "generation of the first computer": lambda c: each(lambda y, e: f"era {int((y + e) // 9)}", c.year, c.rng.normal(0, 5, c.n)),
    "debut of an athlete": lambda c: c.year + 19 + np.round(late(c, 2.2)),
    "pension points": lambda c: np.maximum((c.age - 20) * np.exp(c.rng.normal(0, 0.35, c.n)), 0),
    "rank in an order of seniority": lambda c: ordinal(c.exact + c.rng.normal(0, 5, c.n), c.rng),
    "user name with digits": lambda c: each(
        lambda t, y, r, n: f"{t}{y % 100 if r < 0.25 else n:02d}", c.text(5), c.year, c.rng.random(c.n), c.rng.integers(0, 99, c.n)
    ),
    "entitled to vote": lambda c: (c.age >= 21).astype(float),
    "course code with the year of entry": lambda c: each(
        lambda y, v, n: f"BSC-{int(y + 18 + v)}-{n}", c.year, np.round(late(c, 2.5)), c.rng.integers(1, 60, c.n)
    ),
}
NOT_IN_COHORT = {
    "age, a year off",
    "bands of three years",
    "age, up to two years off",
    "age and normal noise of 1",
    "bands of five years",
    "copy of three people in ten",
    "number in the order of birth, shaken by half a year",
}
HALVES = {
    "in view": (LEAKING_DESIGN, HONEST_DESIGN),
    "held back": (LEAKING_HELD_BACK, HONEST_HELD_BACK),
}
POPULATIONS = ("employees", "survey", "all", "young")


def source(kind: Kind, population: str, n: int, seed: int) -> tuple[pa.Table, NDArray[np.float32]]:
    """A table with the one column "x" of the kind, and the ages (n,)."""
    rng = np.random.default_rng(seed)
    age = draw_ages(population, n, rng)
    values = kind(Cohort(rng, age, age + rng.random(n) * 0.998))
    column = pa.array(values) if isinstance(values, list) else pa.array(np.asarray(values, float))
    return pa.table({"x": column}), age.astype(np.float32)


def verdict(kind: Kind, population: str, n: int, seed: int) -> tuple[bool, str]:
    """Whether the rule accuses the kind's feature, and the numbers behind."""
    columns, age = source(kind, population, n, seed)
    limits = GatesConfig()
    scores = univariate_leakage(columns, age)
    accused = bool(leaking_features(scores, limits.leak_error_share, limits.leak_exact_share, ()))
    return accused, "; ".join(f"{score.share:.3f} of the error left, {score.sentence}" for score in scores)


def main(seeds: int) -> int:
    """Judge all sources; returns the exit code."""
    wrong: Counter[str] = Counter()
    total: Counter[str] = Counter()
    unequal = 0
    for half, sides in HALVES.items():
        for is_leak, kinds in zip((True, False), sides, strict=True):
            for (number, (name, kind)), seed in product(enumerate(kinds.items()), range(seeds)):
                found = {}
                for cohort, size in product((False, True), (2000, 20_000)):
                    people = "cohort" if cohort else POPULATIONS[(number + seed) % len(POPULATIONS)]
                    accused, why = verdict(kind, people, size, 1000 * number + seed)
                    found[cohort, size] = accused
                    judged = not (cohort and name in NOT_IN_COHORT)
                    key = f"{half}, {'leaking' if is_leak else 'honest'}, {'cohort of ' if cohort else ''}{size:,}"
                    total[key] += judged
                    wrong[key] += judged and accused != is_leak
                    mark = "" if accused == is_leak or not judged else "  WRONG"
                    print(f"{key:40} {name:52} {people:9} {'accused' if accused else 'passed':8} {why}{mark}")
                unequal += sum(found[cohort, 2000] != found[cohort, 20_000] for cohort in (False, name not in NOT_IN_COHORT))
    for key, n in total.items():
        print(f"{key}: {n - wrong[key]} of {n} right")
    print(f"verdicts that differ between 2,000 and 20,000 people: {unequal}")
    by_side = {side: sum(n for key, n in wrong.items() if side in key) for side in ("leaking", "honest")}
    of_side = {side: sum(n for key, n in total.items() if side in key) for side in by_side}
    return int(unequal > 0 or any(by_side[side] > of_side[side] / 40 for side in by_side))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2))
