"""Ages of profiles as a tutorial predicts them: twelve fields, 300 trees of six levels, one number without an interval."""

from __future__ import annotations

import re

import numpy as np
import xgboost

LEVELS = {"Intern": 0, "Junior": 1, "Mid": 2, "Senior": 3, "Lead": 4, "Manager": 5, "Director": 6, "VP": 7, "C-Level": 8}
RULES = [
    (re.compile(pattern, re.IGNORECASE), value)
    for pattern, value in (
        (r"\b(chief|c[efot]o|president|founder)\b", 5),
        (r"\b(head of|director|vp)\b", 4),
        (r"\b(principal|lead|staff)\b", 3),
        (r"\b(senior|sr)\b", 2),
        (r"\b(junior|jr|intern|trainee)\b", 0),
    )
]
LISTS = ("positions", "skills", "certifications", "locations")


def trained() -> xgboost.Booster:
    """A model of numbers by chance: its shape costs time, not its answers."""
    dice = np.random.default_rng(1)
    rows = dice.random((20000, 12)).astype(np.float32)
    ages = rows @ dice.random(12) * 10 + 20
    model = xgboost.train({"max_depth": 6, "nthread": 1, "eta": 0.1}, xgboost.DMatrix(rows, ages), 300)
    model.set_param({"nthread": 1})
    return model


MODEL = trained()


def row(profile: dict) -> list[float]:
    """The twelve fields as numbers."""

    def number(name: str) -> float:
        value = profile.get(name)
        return float(value) if isinstance(value, (int, float)) else np.nan

    title = profile.get("current_title") or ""
    start = (profile.get("career") or {}).get("start") or ""
    return [
        number("tenure_months"),
        LEVELS.get(profile.get("job_level"), np.nan),
        number("linkedin_connections"),
        number("years_experience"),
        2025 - float(start[:4]) if start[:4].isdigit() else np.nan,
        next((value for pattern, value in RULES if pattern.search(title)), 1.0),
        *(float(len(profile.get(name) or [])) for name in LISTS),
        number("estimated_salary_usd"),
        number("publications_count"),
    ]


def ages(profiles: list[dict]) -> list[float]:
    return MODEL.inplace_predict(np.array([row(profile) for profile in profiles], np.float32)).tolist()
