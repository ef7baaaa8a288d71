"""Profile JSON from drawn outcomes: every field is a table of text fragments, and a profile is their concatenation.

A fragment starts with its comma (``,"tenure_months":84``); the outcome "not shown" is the empty text. Fields that do not depend
on the age (company, place, settings, activity) come in bundles of 512 random variants.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from predict_age.synthetic.model import EDUCATION_LEVELS, EMAIL_ERAS, N_YEARS, SKILL_ERAS, People

JOB_LEVELS = ("Intern", "Junior", "Mid", "Senior", "Lead", "Manager", "Director", "VP", "C-Level")
TITLE_WORDS = ("Junior ", "", "Senior ", "Principal ", "Head of ", "Chief ")
ROLES = (
    "Software Engineer",
    "Data Engineer",
    "Product Manager",
    "Accountant",
    "Sales Representative",
    "Nurse",
    "Teacher",
    "Project Manager",
    "Mechanical Engineer",
    "Designer",
    "HR Partner",
    "Analyst",
    "Marketing Specialist",
    "Consultant",
    "Buyer",
    "Logistics Planner",
    "Lawyer",
    "Researcher",
    "Quality Engineer",
    "Customer Success Agent",
)
STAGES = (
    "At the start of my career and curious about everything.",
    "A few years in, looking for the next challenge.",
    "Experienced professional who likes to build teams.",
    "Seasoned specialist with a long track record.",
    "Decades in the industry, now mentoring others.",
)
SKILLS = tuple(SKILL_ERAS)
EMAILS = (*EMAIL_ERAS, "brand-new.example")  # the last has probability 0: it appears in data with simulated drift only
COUNTRIES = {
    "Germany": ("Berlin", "Hamburg", "München", "Köln"),
    "United States": ("Austin", "Boston", "Denver", "Seattle"),
    "India": ("Pune", "Chennai", "Delhi", "Bengaluru"),
    "Brazil": ("São Paulo", "Recife", "Curitiba", "Belém"),
    "Poland": ("Kraków", "Gdańsk", "Łódź", "Poznań"),
    "Japan": ("大阪", "東京", "京都", "札幌"),
    "France": ("Lyon", "Paris", "Nantes", "Lille"),
    "Kenya": ("Nairobi", "Mombasa", "Kisumu", "Nakuru"),
}
_WORDS = (
    "cloud",
    "retail",
    "energy",
    "design",
    "data",
    "mobile",
    "health",
    "finance",
    "travel",
    "music",
    "food",
    "sport",
    "security",
    "testing",
    "writing",
    "research",
    "sales",
    "support",
    "quality",
    "planning",
    "logistics",
    "network",
)
VARIANTS = 512


def connections(bucket: int) -> tuple[int, int]:
    """Range [low, high) of connections in ``bucket`` 0..23: log-spaced, 1..30,000."""
    edges = np.unique(np.round(np.geomspace(1, 30_000, 60)).astype(int))[-25:]
    edges[0] = 1
    return int(edges[bucket]), int(edges[bucket + 1])


def salary(bucket: int) -> tuple[int, int]:
    """Range [low, high) of the yearly salary in thousands of USD in ``bucket`` 0..23."""
    return 12 + 8 * bucket, 20 + 8 * bucket


def _fragment(key: str, value: object) -> str:
    return f",{json.dumps(key)}:{json.dumps(value, ensure_ascii=False, separators=(',', ':'))}"


def _text(fragments: Sequence[str]) -> pa.Array:
    return pa.array(fragments, pa.string())


class _Spread:
    """Fragments of a variable: each outcome has ``width`` equally likely ones."""

    def __init__(self, outcomes: int, width: int, text: Callable[[int, int], str], hidden: str = "") -> None:
        self.width = width
        self.fragments = _text([hidden] + [text(k, i) for k in range(outcomes) for i in range(width)])

    def render(self, shown: NDArray[np.uint8], rng: np.random.Generator) -> pa.Array:
        index = (shown.astype(np.int32) - 1) * self.width + 1
        if self.width > 1:
            index += rng.integers(0, self.width, size=len(shown), dtype=np.uint16)
        return self.fragments.take(pa.array(np.where(shown == 0, 0, index), pa.int32()))


class Fields:
    """Fragment tables for one reference date. ``render`` returns the profiles of drawn people."""

    def __init__(self, year: int, month: int) -> None:
        pick = random.Random(20_251_023)

        def some(words: Sequence[str], low: int, high: int) -> list[str]:
            return pick.sample(words, pick.randint(low, high))

        def ranged(key: str, bucket: Callable[[int], tuple[int, int]], scale: int) -> Callable[[int, int], str]:
            def text(k: int, i: int) -> str:
                low, high = bucket(k)
                return _fragment(key, (low + i % (high - low)) * scale)

            return text

        def several(key: str, words: Sequence[str], least: int) -> Callable[[int, int], str]:
            def text(k: int, _: int) -> str:
                return _fragment(key, pick.sample(words, k + least))

            return text

        def position(_: int) -> dict[str, str]:
            return {"at": pick.choice(_WORDS), "as": pick.choice(ROLES)}

        def month_of(years_ago: int, i: int) -> str:
            return f"{year - years_ago}-{(i if years_ago else i % month) + 1:02d}"

        self._spreads: dict[str, _Spread] = {
            "tenure_months": _Spread(46, 12, lambda k, i: _fragment("tenure_months", 12 * k + i), ',"tenure_months":null'),
            "job_level": _Spread(9, 1, lambda k, _: _fragment("job_level", JOB_LEVELS[k])),
            "connections": _Spread(24, 32, ranged("linkedin_connections", connections, 1)),
            "education_level": _Spread(6, 1, lambda k, _: _fragment("education_level", EDUCATION_LEVELS[k])),
            "title_word": _Spread(6, len(ROLES), lambda k, i: _fragment("current_title", TITLE_WORDS[k] + ROLES[i])),
            "years_experience": _Spread(N_YEARS, 1, lambda k, _: _fragment("years_experience", k)),
            "positions": _Spread(8, 16, lambda k, _: _fragment("positions", [position(j) for j in range(k + 1)])),
            "skills": _Spread(16, 16, several("skills", _WORDS, 0)),
            "certifications": _Spread(7, 16, several("certifications", _WORDS, 0)),
            "locations": _Spread(6, 16, several("locations", [c for v in COUNTRIES.values() for c in v], 1)),
            "salary": _Spread(24, 8, ranged("estimated_salary_usd", salary, 1000), ',"estimated_salary_usd":null'),
            "team_size": _Spread(12, 1, lambda k, _: _fragment("management", {"is_manager": k > 0, "team_size": k * (k + 1)})),
            "career_start": _Spread(N_YEARS, 12, lambda k, i: _fragment("career", {"start": month_of(k, i)})),
            "career_stage": _Spread(5, 1, lambda k, _: _fragment("summary", STAGES[k])),
            "email_provider": _Spread(8, 1, lambda k, _: _fragment("email_provider", EMAILS[k])),
            "membership": _Spread(22, 12, lambda k, i: _fragment("member_since", month_of(k, i) + "-15")),
            "primary_skill": _Spread(14, 1, lambda k, _: _fragment("primary_skill", SKILLS[k])),
            "has_photo": _Spread(2, 1, lambda k, _: _fragment("has_photo", bool(k))),
            "has_fixed_line": _Spread(2, 1, lambda k, _: _fragment("contact", {"fixed_line": bool(k), "opted_in": True})),
            "is_student": _Spread(2, 1, lambda k, _: _fragment("is_student", bool(k)), ',"is_student":null'),
            "publications": _Spread(6, 1, lambda k, _: _fragment("publications_count", k)),
        }
        self._graduation = _text(["}]"] + [f',"end_year":{year - z}}}]' for z in range(N_YEARS)])
        settings, *others = [[make() for _ in range(VARIANTS)] for make in self._uninformative(pick, some)]
        self._opening = _text(["{" + text[1:] for text in settings])
        self._bundles = [_text(texts) for texts in others]
        self._school = _text(
            [
                _fragment("education", [{"school": f"{pick.choice(_WORDS).title()} University", "field": pick.choice(_WORDS)}])[:-2]
                for _ in range(64)
            ]
        )

    @staticmethod
    def _uninformative(pick: random.Random, some: Callable[[Sequence[str], int, int], list[str]]) -> list[Callable[[], str]]:
        def join(**fields: object) -> str:
            return "".join(_fragment(k, v) for k, v in fields.items() if v is not ...)

        def maybe(value: object, shown: float) -> object:
            return value if pick.random() < shown else ...

        def number(low: int, high: int) -> int:
            return pick.randrange(low, high)

        def company() -> str:
            name = f"{pick.choice(_WORDS).title()} {pick.choice(['Group', 'Labs', 'AG', 'Ltd', 'Inc', 'SA'])}"
            return join(
                company_name=name,
                company_size=maybe(pick.choice(["1-10", "11-50", "51-200", "201-1000", "1000+"]), 0.8),
                company_type=maybe(pick.choice(["public", "private", "non-profit"]), 0.6),
                industry=pick.choice(_WORDS),
                department=maybe(pick.choice(["IT", "R&D", "Sales", "Finance", "People", "Operations"]), 0.7),
                employment_type=pick.choice(["full-time", "part-time", "contract"]),
                company_founded=maybe(number(1900, 2024), 0.4),
                work_schedule=maybe(pick.choice(["standard", "shift", "flexible"]), 0.5),
                notice_period_days=maybe(number(0, 91), 0.3),
                remote_share=maybe(round(pick.random(), 2), 0.5),
                cost_center=maybe(f"CC-{number(100, 999)}", 0.4),
            )

        def place() -> str:
            country = pick.choice(list(COUNTRIES))
            return join(
                country=country,
                city=pick.choice(COUNTRIES[country]),
                postal_code=maybe(f"{number(10000, 99999)}", 0.6),
                timezone=f"UTC{number(-8, 10):+d}",
                locale=maybe(pick.choice(["de_DE", "en_US", "pt_BR", "pl_PL", "ja_JP"]), 0.7),
                commute_km=maybe(number(0, 60), 0.3),
                relocation=maybe(bool(number(0, 2)), 0.4),
                languages=some(["English", "German", "Hindi", "Polish", "French", "Japanese", "Swahili"], 1, 3),
            )

        def activity() -> str:
            return join(
                followers=number(0, 5000),
                posts_last_year=maybe(number(0, 200), 0.7),
                endorsements=maybe(number(0, 99), 0.8),
                recommendations=maybe(number(0, 12), 0.6),
                groups=some(_WORDS, 0, 4),
                interests=some(_WORDS, 1, 5),
                profile_views_90d=maybe(number(0, 900), 0.6),
                response_rate=maybe(round(pick.random(), 2), 0.5),
                last_login_days=number(0, 365),
                headline=f'{pick.choice(ROLES)} | {pick.choice(_WORDS)} \u2013 "{pick.choice(_WORDS)}"',
            )

        def settings() -> str:
            return join(
                schema_version=3,
                source_system=pick.choice(["crm", "import", "web"]),
                open_to_work=bool(number(0, 2)),
                premium=maybe(bool(number(0, 2)), 0.7),
                newsletter=maybe(bool(number(0, 2)), 0.8),
                currency=maybe("USD", 0.5),
                consent={"analytics": bool(number(0, 2)), "marketing": bool(number(0, 2))},
                theme=maybe("dark", 0.3),
                profile_completeness=number(20, 101),
                preferred_contact=maybe(pick.choice(["email", "phone"]), 0.6),
                verified=maybe(bool(number(0, 2)), 0.5),
                website=maybe(f"https://{pick.choice(_WORDS)}.example", 0.2),
            )

        return [settings, company, place, activity]

    def render(self, people: People, rng: np.random.Generator) -> pa.Array:
        """Profile JSON (n,) as Arrow strings, in the order of ``people``."""
        n = len(people.age)

        def any_of(fragments: pa.Array) -> pa.Array:
            return fragments.take(pa.array(rng.integers(0, len(fragments), size=n, dtype=np.uint16)))

        opening = any_of(self._opening)
        company, place, activity = (any_of(bundle) for bundle in self._bundles)
        informative = [spread.render(people.shown[name], rng) for name, spread in self._spreads.items()]
        education = [any_of(self._school), self._graduation.take(pa.array(people.shown["graduation"]))]
        parts = [opening, *informative[:6], company, *informative[6:14], place, *education, *informative[14:], activity, "}", ""]
        return pc.binary_join_element_wise(*parts)


@lru_cache(maxsize=2)
def fields(year: int, month: int) -> Fields:
    """Fragment tables for a reference month, built once in each process (about a second)."""
    return Fields(year, month)
