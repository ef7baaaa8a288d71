"""Features of text and of lists: categories, hashed words, and flags for common items."""

from __future__ import annotations

import itertools
from collections import Counter

from predict_age.features.inspection import written
from predict_age.features.spec import parse_path
from predict_age.features.sql_compiler import json_path
from predict_age.proposal.fields import Field
from predict_age.proposal.shared_numbers import shared_ends
from predict_age.source.usual_names import words_of
from predict_age.sql import literal

Settings = dict[str, object]  # of a feature: its table in the feature file
MIN_LEVEL_ROWS = 10  # people with a level, for a model to learn it
COVERED_SHARE = 0.5  # of the rows in such levels, for a category
COMPLETE_SHARE = 0.95  # of the rows in such levels: words of the text would add nothing
FEW_LEVELS = 50
MOST_CODE_VALUES, MOST_NAMED_CODES = 12, 256  # of whole numbers that are codes by their gaps, or by their name
COMMON_CODE = 0.02  # of the rows
CODE_WORDS = frozenset(["code", "codes", "type", "category", "kind", "class", "sector", "industry", "occupation", "occ", "region"])
CODE_ENDINGS = ("code", "type")
_UNITS = (
    "mon months month monat monate monaten mths yr yrs year years jahr jahre day days tage week weeks wochen hour hours hrs min "
    "minutes km miles kg cm eur euro usd dollar dollars amount betrag count number anzahl total sum percent pct rate score points"
)
_AMOUNT_WORDS = frozenset(_UNITS.split())  # in the name of a number that is an amount, whatever its gaps
_UNIT_NAMES = {  # unit: words for it in the name of a field
    "months": "mon months month monat monate monaten mths",
    "years": "yrs yr years jahre",
    "days": "days tage",
    "weeks": "weeks wochen",
    "hours": "hours hrs",
    "minutes": "minutes",
    "kilometres": "km",
    "miles": "miles",
    "kilograms": "kg",
    "centimetres": "cm",
    "euros": "eur euro euros",
    "US dollars": "usd",
    "percent": "percent pct",
}
_PERIODS = {  # of an amount: words for it in the name of a field, beside the unit
    "a month": "month monat mon mth",
    "a week": "week woche",
    "a year": "year yr jahr",
    "a day": "day tag",
    "an hour": "hour hr stunde",
}
_PER = frozenset(["per", "pro", "je"])
MOST_FLAGS = 25  # items of one list
MIN_FLAG_ROWS = 20  # people with an item, for a model to learn it
BUCKETS = 32  # of words of one text


def text_features(field: Field) -> list[tuple[str, Settings]]:
    """Suffix of the name and settings of each feature that texts give."""
    text = f"json_extract_string(profile, {json_place(field)})"
    made: list[tuple[str, Settings]] = []
    if len(field.counts) <= FEW_LEVELS or level_share(field) >= COVERED_SHARE:
        most = 256 if len(field.counts) <= 256 else 2000
        settings: Settings = {"kind": "category", "path": written(field.path), "max_values": most}
        made.append(("", settings | {"meaning": meaning_of(field, "as the source writes it")}))
    if level_share(field) < COMPLETE_SHARE and sum(" " in t for t in field.texts) >= 0.2 * len(field.texts):
        hashed: Settings = {"kind": "words", "path": written(field.path), "buckets": BUCKETS}
        made.append(("text", hashed | {"meaning": meaning_of(field, "which words it has")}))
        longest = float(2 * shared_ends([len(t.split(" ")) for t in field.texts])[1])
        words = sql_settings(f"len(string_split({text}, ' '))", (0.0, longest, 1.0), meaning_of(field, "how many words it has"))
        made.append(("words", words | {"unit": "words"}))
    return made


def are_codes(field: Field) -> bool:
    """Whether whole numbers stand for kinds rather than amounts: named so, or a few values with gaps between the common ones.

    Rare large numbers of things (0, 1, 2, 3, 7) leave gaps, too; those do not count.
    """
    if not field.texts or len(field.numbers) < len(field.texts) or not all(n.is_integer() for n in field.numbers):
        return False
    words = words_of(field.path[-1])
    if len(field.counts) <= MOST_NAMED_CODES and (CODE_WORDS & set(words) or any(w.endswith(CODE_ENDINGS) for w in words)):
        return len(field.counts) > 2
    if _AMOUNT_WORDS & set(words) or not 2 < len(field.counts) <= MOST_CODE_VALUES:
        return False
    levels: dict[float, int] = {}
    for text, rows in field.counts.items():
        levels[float(text)] = levels.get(float(text), 0) + rows
    common = sorted(n for n, rows in levels.items() if rows >= max(MIN_LEVEL_ROWS, COMMON_CODE * len(field.texts)))
    steps = {later - earlier for earlier, later in itertools.pairwise(common)}
    return len(common) > 2 and len(steps) > 1


def code_settings(field: Field) -> Settings:
    """Settings of a category for whole numbers that are codes."""
    most = 256 if len(field.counts) <= 256 else 2000
    return {"kind": "category", "path": written(field.path), "max_values": most, "meaning": meaning_of(field, "a code")}


def sql_settings(expression: str, bounds: tuple[float, float, float], meaning: str) -> Settings:
    """Settings of a feature of kind ``sql`` with ``bounds`` (min, max, default)."""
    low, high, default = bounds
    return {"kind": "sql", "expression": expression, "min": low, "max": high, "default": default, "meaning": meaning}


def level_share(field: Field) -> float:
    """Share of the rows whose text at least ten rows have."""
    return sum(n for n in field.counts.values() if n >= MIN_LEVEL_ROWS) / max(len(field.values), 1)


def json_place(field: Field) -> str:
    """SQL text of the field's JSON path."""
    return literal(json_path(parse_path(written(field.path))))


def item_flags(field: Field) -> list[tuple[str, Settings]]:
    """One feature with a flag for each of the commonest items of a list of texts; none where hardly any item is common."""
    counts = Counter(item for some in field.items for item in {i for i in some if isinstance(i, str)})
    common = sum(n >= MIN_FLAG_ROWS for n in counts.values())
    if common < 2:
        return []
    settings: Settings = {"kind": "flags", "path": written(field.path), "max_values": min(MOST_FLAGS, common)}
    return [("items", settings | {"meaning": meaning_of(field, "which of the commonest ones there are")})]


def meaning_of(field: Field, what: str) -> str:
    """A sentence: the words of the path, then ``what`` the feature is, a unit once. Only a person can say more."""
    *parents, last = [words_of(step) for step in field.path if step != "*"] or [[]]
    unit, _, period = what.removeprefix("in ").partition(" a")
    said = {*_UNIT_NAMES.get(unit, "").split(), *_PERIODS.get(f"a{period}", "").split(), *(_PER if period else ())}
    named = [word for word in last if word not in said]
    words = " ".join(word for step in (*parents, named if named or parents else last) for word in step) or "value"
    return f"{words[:1].upper()}{words[1:]}, {what}."


def amount_of(field: Field) -> str:
    """Words for a number: its unit, where the field's name has one, or whether it is a whole one."""
    named = words_of(field.path[-1])
    beside = zip(["", *named], named, [*named[1:], ""], strict=False)
    words = {word for before, word, after in beside if not before.isdigit() and not after.isdigit()}  # "last_30_days": a period
    units = [unit for unit, names in _UNIT_NAMES.items() if words & set(names.split())]
    period = next((period for period, names in _PERIODS.items() if words & set(names.split())), "")
    amounts = [unit for unit in units if not period.endswith(unit.removesuffix("s"))] if period else []
    if amounts:
        return f"in {amounts[0]} {period}"
    if units:
        return f"in {units[0]}"
    numbers = field.numbers
    return "a whole number" if numbers and all(n.is_integer() for n in numbers) else "a number"
