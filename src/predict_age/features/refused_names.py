"""Names that must not become a feature: protected attributes and the age itself."""

from __future__ import annotations

import re
from collections.abc import Collection

PROTECTED_WORDS = frozenset(
    [
        "gender",
        "sex",
        "sexual",
        "orientation",
        "race",
        "racial",
        "ethnicity",
        "ethnic",
        "religion",
        "religious",
        "disability",
        "disabled",
        "marital",
        "pregnant",
        "pregnancy",
        "caste",
        "genetic",
        "union",
        "political",
        "veteran",
    ]
)
_BIRTH = frozenset(["birth", "birthday", "birthdate", "birthyear", "dob", "born", "geburtsdatum", "geboren", "yob"])
_AGE = frozenset(["age", "ages", "alter"])
_AROUND_AGE = frozenset(
    [
        "approx",
        "approximate",
        "estimated",
        "current",
        "real",
        "true",
        "known",
        "actual",
        "years",
        "year",
        "in",
        "of",
        "at",
        "person",
        "user",
        "my",
        "exact",
    ]
)


def _words(text: str) -> list[str]:
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text)
    return [w for w in re.split(r"[^A-Za-z]+", spaced.lower()) if w]


def refusal_reason(text: str, age_columns: Collection[str] = ()) -> str | None:
    """The reason why a name must not become a feature: a protected attribute or the age itself. None when it may."""
    words = set(_words(text))
    if refused := words & PROTECTED_WORDS:
        return f"{text!r} names a protected attribute ({', '.join(sorted(refused))})"
    if refused := words & _BIRTH:
        return f"{text!r} is the age itself (a date of birth: {', '.join(sorted(refused))})"
    if words & _AGE and words <= _AGE | _AROUND_AGE:
        return f"{text!r} is the age itself"
    if text in age_columns:
        return f"{text!r} is the column the known age comes from"
    return None
