"""Probabilistic model of a synthetic person.

Four hidden numbers describe a person: age ``a`` (18..75), education ``e`` (0..5), years since finishing education ``z``
and years of work ``x``. Every field of a profile is drawn independently given one of them::

    a -> e -> z -> x          z = max(0, a - finishing_age[e] - delay),   x = max(0, z + offset)
    a -> email provider, year of joining, first skill, photo, fixed line
    e -> education level, publications             z -> graduation year, student flag
    x -> tenure, experience, titles, lists, money  (job level: x and e)

Late starts and gaps are the long tails of ``delay`` and ``offset``. Every table is stored as 4,096 equally likely slots, so
drawing is one lookup and the probabilities used by :mod:`predict_age.synthetic.posterior` are exact, not approximate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SLOTS = 4096
AGES = np.arange(18, 76)
N_YEARS = 60  # z and x run over 0..59
EDUCATION_LEVELS = ("High School", "Associate", "Bachelor's", "Master's", "MBA", "Doctorate")
FINISHING_AGE = np.array([18, 20, 22, 24, 27, 29])
MAX_MEMBERSHIP_YEARS = 21


@dataclass(frozen=True)
class Table:
    """P(value | parent) as slots. ``slots`` is (n_parents, 4096); ``pmf`` is (n_parents, n_values), rows sum to 1."""

    slots: NDArray[np.uint8]
    pmf: Floats

    def draw(self, parent: NDArray[np.integer], random: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """Values for ``parent`` (n,), given ``random`` (n,) in 0..4095."""
        return self.slots.ravel()[parent.astype(np.int32) * SLOTS + random]


def table(weights: Floats) -> Table:
    """Round non-negative ``weights`` (n_parents, n_values) to slots by largest remainder."""
    shares = weights / weights.sum(axis=1, keepdims=True) * SLOTS
    counts = np.floor(shares).astype(np.int64)
    for row, missing in enumerate(SLOTS - counts.sum(axis=1)):
        counts[row, np.argsort(-(shares[row] - counts[row]), kind="stable")[:missing]] += 1
    values = np.arange(weights.shape[1], dtype=np.uint8)
    slots = np.stack([np.repeat(values, row) for row in counts])
    return Table(slots, counts / SLOTS)


@dataclass(frozen=True)
class Variable:
    """Field of a profile. Value 0 means "not shown"; value k >= 1 is the k-th outcome."""

    name: str
    parent: str  # "a", "e", "z", "x" or "xe" (job level: x * 6 + e)
    table: Table


def _hide(weights: Floats, shown: float) -> Floats:
    """Put outcome 0 (not shown) before ``weights``; ``shown`` is the probability that the field is present."""
    share = weights / weights.sum(axis=1, keepdims=True)
    return np.concatenate([np.full((len(share), 1), 1 - shown), share * shown], axis=1)


def _rows(parents: NDArray[np.integer], values: int, weight: Callable[[Floats, Floats], Floats]) -> Floats:
    """``weight(parent, value)`` on the grid parents x 0..values-1."""
    return weight(parents[:, None].astype(float), np.arange(values, dtype=float)[None, :])


def _bell(centre: Floats | np.float64, spread: Floats | Any, value: Floats) -> Floats:
    return np.exp(-0.5 * ((value - centre) / spread) ** 2) + 1e-6


def _around(years: NDArray[np.integer], noise: dict[int, float]) -> Floats:
    """P(stated years | years): the true number plus ``noise``, never below 0."""
    weights = np.zeros((len(years), N_YEARS))
    for year in years:
        for shift, probability in noise.items():
            weights[year, min(max(year + shift, 0), N_YEARS - 1)] += probability
    return weights


SKILL_ERAS = {
    "COBOL": 60,
    "Delphi": 52,
    "Perl": 50,
    "C++": 46,
    "SAP": 47,
    "Java": 41,
    "C#": 40,
    "PHP": 38,
    "Excel": 44,
    "JavaScript": 34,
    "Python": 31,
    "React": 27,
    "Kotlin": 26,
    "Figma": 25,
}
EMAIL_ERAS = {
    "aol.com": 62,
    "hotmail.com": 47,
    "yahoo.com": 50,
    "gmail.com": 35,
    "outlook.com": 38,
    "icloud.com": 27,
    "proton.me": 29,
}


def _eras(centres: dict[str, int], spread: float) -> Floats:
    return np.concatenate([_bell(np.array([[c]]), spread, AGES[:, None].astype(float)) for c in centres.values()], axis=1)


@dataclass(frozen=True)
class Model:
    """All tables of the model."""

    age: Table  # one parent
    education: Table  # parent a
    delay: Table  # parent e: years later than the usual finishing age
    offset: Table  # one parent: value k means k - 15 years of work more than years since finishing
    graduation_shown: Table  # parent e: 1 = the end year is in the profile
    variables: tuple[Variable, ...]


OFFSET_ZERO = 15


@lru_cache(maxsize=1)
def model() -> Model:
    """Build the tables (a few hundredths of a second)."""
    x = np.arange(N_YEARS)
    a = np.arange(len(AGES))
    ages = AGES.astype(float)

    prior = 0.55 * _bell(np.float64(31.0), 7.5, ages) / 7.5 + 0.45 * _bell(np.float64(46.0), 11.0, ages) / 11.0
    may_have = 1 / (1 + np.exp(-1.2 * (ages[:, None] - FINISHING_AGE - 1.5))) * (ages[:, None] >= FINISHING_AGE)
    may_have[:, 0] = 1.0
    wanted = np.array([0.22, 0.12, 0.34, 0.2, 0.06, 0.06]) * np.ones((len(AGES), 1))
    wanted[:, 0] *= 1 + np.clip(ages - 45, 0, None) / 30

    years = np.arange(13, dtype=float)
    delay = np.stack([0.60 * 0.45**years + 0.05 * 0.85**years + 0.004 for _ in FINISHING_AGE])
    delay[0, 1:] *= 0.3
    gap = np.arange(OFFSET_ZERO, -1, -1, dtype=float)  # 15..0 years of work missing, then 1 and 2 years more
    offset = np.concatenate([0.60 * 0.5**gap + 0.06 * 0.88**gap, [0.10, 0.05]])

    level_centre = np.array([0, 0.8, 2.5, 7, 11, 13, 18, 21, 24.0])
    xe = np.arange(N_YEARS * 6)
    bonus = np.array([-3, -1, 0, 1, 3.5, 2.5])[xe % 6]
    level = _bell(level_centre[None, :], 2.5 + 0.2 * (xe // 6)[:, None], np.minimum(xe // 6 + bonus, 26)[:, None])
    level *= np.array([0.5, 1, 1.6, 1.6, 0.9, 0.8, 0.4, 0.2, 0.12])
    word = _bell(np.array([[0.5, 4.0, 9.0, 14.0, 20.0, 26.0]]), 7.0, np.minimum(x, 30)[:, None].astype(float))
    stage = _bell(np.array([[0.0, 3.0, 10.0, 19.0, 32.0]]), 7.0, x[:, None].astype(float))

    def tenure(years_of_work: Floats, value: Floats) -> Floats:
        return np.where(value <= years_of_work, 0.80**value, 0.0)

    def membership(age_over_18: Floats, value: Floats) -> Floats:
        return _bell(np.clip(age_over_18 * 0.45 + 2, 0, 17), 5.5, value) * (value <= age_over_18 + 2)

    def variable(name: str, parent: str, weights: Floats, shown: float) -> Variable:
        return Variable(name, parent, table(_hide(weights, shown)))

    def hump(peak: float, height: float, width: float) -> Callable[[Floats, Floats], Floats]:
        return lambda p, v: _bell(height * np.exp(-0.5 * ((p - peak) / width) ** 2), 2.6, v)

    variables = (
        variable("tenure_months", "x", _rows(x, 46, tenure), 0.80),
        variable("years_experience", "x", _around(x, {-3: 0.05, -2: 0.1, -1: 0.2, 0: 0.35, 1: 0.2, 2: 0.1}), 0.25),
        variable("job_level", "xe", level, 0.88),
        variable("title_word", "x", word, 0.92),
        variable("positions", "x", _rows(x, 8, lambda p, v: _bell(np.minimum(p / 4.5, 7), 1.9, v)), 0.80),
        variable("connections", "x", _rows(x, 24, lambda p, v: _bell(20 - np.abs(p - 17) * 0.42, 4.5, v)), 0.80),
        variable("skills", "x", _rows(x, 16, hump(14, 11, 13)), 0.85),
        variable("certifications", "x", _rows(x, 7, lambda p, v: _bell(np.minimum(p, 20) / 5, 2.0, v)), 0.70),
        variable("salary", "x", _rows(x, 24, lambda p, v: _bell(22 - np.abs(p - 24) * 0.6, 4.5, v)), 0.30),
        variable("team_size", "x", _rows(x, 12, lambda p, v: _bell(np.minimum(p, 28) / 2.8, 3.0, v)), 0.40),
        variable("locations", "x", _rows(x, 6, lambda p, v: _bell(np.minimum(p / 8, 4), 1.8, v)), 0.70),
        variable("career_start", "x", _around(x, {-2: 0.1, -1: 0.2, 0: 0.5, 1: 0.2}), 0.12),
        variable("career_stage", "x", stage, 0.55),
        variable("email_provider", "a", _eras(EMAIL_ERAS, 15.0), 0.60),
        variable("membership", "a", _rows(a, 22, membership), 0.75),
        variable("primary_skill", "a", _eras(SKILL_ERAS, 14.0), 0.70),
        variable("has_photo", "a", np.stack([0.1 + 0.011 * a, 0.9 - 0.011 * a], axis=1), 0.90),
        variable("has_fixed_line", "a", np.stack([0.97 - 0.014 * a, 0.03 + 0.014 * a], axis=1), 0.50),
        variable("is_student", "z", np.stack([1 - 0.55 * 0.35**x, 0.55 * 0.35**x], axis=1), 0.90),
        variable("education_level", "e", np.eye(6), 0.88),
        variable("publications", "e", _bell(np.array([[0, 0, 0.3, 1, 0.6, 3.5]]).T, 0.9, np.arange(6.0)[None, :]), 0.60),
    )
    shown = np.array([0.0, 0.3, 0.3, 0.3, 0.3, 0.3])
    return Model(
        age=table(prior[None, :]),
        education=table(may_have * wanted),
        delay=table(delay),
        offset=table(offset[None, :]),
        graduation_shown=table(np.stack([1 - shown, shown], axis=1)),
        variables=variables,
    )


@dataclass(frozen=True)
class People:
    """Drawn people: ``age`` (n,) in years, and the outcomes of their profile fields by variable name: (n,) uint8, 0 = not shown.

    ``shown["graduation"]`` is 1 + years since finishing education, 0 = not shown.
    """

    age: NDArray[np.int32]
    shown: dict[str, NDArray[np.uint8]]

    def slice(self, start: int, stop: int) -> People:
        """People start..stop-1."""
        return People(self.age[start:stop], {name: values[start:stop] for name, values in self.shown.items()})


def draw(rng: np.random.Generator, n: int) -> People:
    """Draw ``n`` people. The same generator state gives the same people."""
    tables = model()

    def random() -> NDArray[np.uint16]:
        return rng.integers(0, SLOTS, size=n, dtype=np.uint16)

    nobody = np.zeros(n, dtype=np.uint8)
    a = tables.age.draw(nobody, random())
    e = tables.education.draw(a, random())
    delay = tables.delay.draw(e, random()).astype(np.int16)
    z = np.maximum(0, AGES[0] + a.astype(np.int16) - FINISHING_AGE[e].astype(np.int16) - delay)
    x = np.maximum(0, z + tables.offset.draw(nobody, random()).astype(np.int16) - OFFSET_ZERO)
    parents = {"a": a, "e": e, "z": z, "x": x, "xe": x * 6 + e}
    shown = {v.name: v.table.draw(parents[v.parent], random()) for v in tables.variables}
    shown["graduation"] = (tables.graduation_shown.draw(e, random()) * (z + 1)).astype(np.uint8)
    return People(AGES[a].astype(np.int32), shown)
