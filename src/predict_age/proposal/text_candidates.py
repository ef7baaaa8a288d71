"""Features of text and of lists: categories, and flags for the words and items with which people are older or younger."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from predict_age.features.inspection import written
from predict_age.features.refused_names import refusal_reason
from predict_age.features.spec import parse_path
from predict_age.features.sql_compiler import json_path
from predict_age.proposal.columns import words_of
from predict_age.proposal.fields import Field
from predict_age.sql import literal

Settings = dict[str, object]  # of a feature: its table in the feature file
MIN_LEVEL_ROWS = 10  # people with a level, for a model to learn it
COVERED_SHARE = 0.5  # of the rows in such levels, for a category
COMPLETE_SHARE = 0.95  # of the rows in such levels: words of the text would add nothing
FEW_LEVELS = 50
MOST_WORDS = 12  # flags for words of one text
FLAG_SHARE = 0.01  # of the rows that have a word, for a flag
FLAG_Z = 4.0  # standard errors by which the mean age with a word differs from that without
MIN_FLAG_ROWS = 20  # people with a word
_WORD = re.compile(r"[^\W\d_]{3,}")


def text_features(field: Field, ages: Sequence[float | None]) -> list[tuple[str, Settings]]:
    """Suffix of the name and settings of each feature that texts give; ``ages`` are those of all rows of the sample."""
    text = f"json_extract_string(profile, {json_place(field)})"
    if field.date_format:
        since = f"date_diff('day', TRY_STRPTIME({text}, {literal(field.date_format)}), as_of) / 365.25"
        return [("", sql_settings(since, (0.0, 100.0, 10.0), meaning_of(field, "years since then")) | {"unit": "years"})]
    made: list[tuple[str, Settings]] = []
    if len(field.counts) <= FEW_LEVELS or level_share(field) >= COVERED_SHARE:
        most = 256 if len(field.counts) <= 256 else 2000
        settings: Settings = {"kind": "category", "path": written(field.path), "max_values": most}
        made.append(("", settings | {"meaning": meaning_of(field, "the value as written")}))
    if level_share(field) < COMPLETE_SHARE and sum(" " in t for t in field.texts) >= 0.2 * len(field.texts):
        made += _word_flags(field, ages)
        longest = float(2 * max(len(t.split(" ")) for t in field.texts))
        words = sql_settings(f"len(string_split({text}, ' '))", (0.0, longest, 1.0), meaning_of(field, "number of words"))
        made.append(("words", words | {"unit": "words"}))
    return made


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


def _word_flags(field: Field, ages: Sequence[float | None]) -> list[tuple[str, Settings]]:
    """Flags for the words with which people are older or younger than without them."""
    words = [{w.casefold() for w in _WORD.findall(t)} for t in field.texts]
    made = []
    for word in _telling(words, field.rows, ages):
        pattern = literal(rf"(?i)\b{re.escape(word)}\b")
        expression = f"CAST(regexp_matches(json_extract_string(profile, {json_place(field)}), {pattern}) AS DOUBLE)"
        meaning = meaning_of(field, f'1 when the word "{word}" occurs')
        made.append((f"has_{word}", sql_settings(expression, (0.0, 1.0, 0.0), meaning)))
    return made


def item_flags(field: Field, ages: Sequence[float | None]) -> list[tuple[str, Settings]]:
    """Flags for the items of a list with which people are older or younger than without them."""
    items = [{item for item in some if isinstance(item, str)} for some in field.items]
    made = []
    for item in _telling(items, field.rows, ages):
        expression = f"CAST(list_contains(json_extract_string(profile, {json_place(field)}), {literal(item)}) AS DOUBLE)"
        made.append((f"has_{item}", sql_settings(expression, (0.0, 1.0, 0.0), meaning_of(field, f'1 when "{item}" is an item'))))
    return made


def _telling(sets: list[set[str]], at: list[int], ages: Sequence[float | None]) -> list[str]:
    """Members of ``sets``, each of the row ``at``, whose people differ in age from the others most, in standard errors."""
    known = [(some, age) for some, row in zip(sets, at, strict=True) if (age := ages[row]) is not None]
    if len(known) < 2 * MIN_FLAG_ROWS:
        return []
    total, squares = sum(a for _, a in known), sum(a * a for _, a in known)
    groups: dict[str, list[float]] = {}
    for some, age in known:
        for member in some:
            groups.setdefault(member, []).append(age)
    spread = math.sqrt(max(squares / len(known) - (total / len(known)) ** 2, 1e-9))
    scored = []
    for member, having in groups.items():
        n, others = len(having), len(known) - len(having)
        if n < max(MIN_FLAG_ROWS, FLAG_SHARE * len(known)) or others < MIN_FLAG_ROWS:
            continue
        apart = abs(sum(having) / n - (total - sum(having)) / others)
        z = apart / (spread * math.sqrt(1 / n + 1 / others))
        if z >= FLAG_Z and not refusal_reason(member):
            scored.append((-z, member))
    return [member for _, member in sorted(scored)[:MOST_WORDS]]


def meaning_of(field: Field, what: str) -> str:
    """A sentence: the words of the path, then ``what`` the feature is."""
    words = " ".join(words_of(" ".join(s for s in field.path if s != "*"))) or "value"
    return f"{words[:1].upper()}{words[1:]}: {what}."
