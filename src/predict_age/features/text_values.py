"""Values of single JSON texts without SQL: the twin of ``sql_compiler`` for the texts that most profiles hold.

A statement takes half a millisecond even for one text, and titles and dates are new in nearly every profile. :func:`text_converter`
decides texts in which Python and DuckDB cannot differ: printable ASCII and Latin letters, plain numbers, dates of digits, patterns
without the parts that RE2 and Python read differently. Everything else is :data:`NEEDS_SQL` and left to SQL.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from typing import Final

from predict_age.features.spec import Boolean, Category, Count, Date, Feature, Number, Ordered, Text
from predict_age.features.sql_compiler import MAX_CATEGORY_CHARS
from predict_age.features.text_automaton import TextAutomaton, text_automaton
from predict_age.features.text_rule import fold_text, tidy_text

Value = float | str | None
NEEDS_SQL: Final = b"needs SQL"
TextDecision = Value | bytes
_TextConverter = Callable[[str], TextDecision]
LONGEST = 200  # letters of a text that is decided here: patterns take time that grows with its square
LARGEST_RULE_VALUE = 1e9
_LETTERS = re.compile("[ -~\u00a1-\u012f\u0132-\u017e\u0180-\u024f]*")  # no control characters, no white space but blanks
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,14}", re.ASCII)
_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}).*)?)?", re.ASCII | re.DOTALL)
_SAFE_PATTERN = re.compile(
    r"(?:[A-Za-z0-9 _,;:'\"/&@#%!~=<>-]|\\[bdwBDW.+*?()\[\]|/-]|\[[A-Za-z0-9 _-]+\]|\(\?:|[().|^$]|(?<![(|^*+?])[*+?])*"
)
_REPEATED = re.compile(r"(?<!\\)[*+]")
_REPEATED_GROUP = re.compile(r"(?<!\\)\)[*+]")
_YES, _NO = {"true", "yes", "y", "1", "t"}, {"false", "no", "n", "0", "f"}


def text_converter(feature: Feature, as_of: dt.date) -> Callable[[bytes], TextDecision]:
    """A function that gives the value of a JSON text (a string, number or word, UTF-8) for ``feature``, or NEEDS_SQL."""
    convert = _converter(feature, as_of)

    def decide(token: bytes) -> TextDecision:
        if token == b"null":
            return None
        text = _text(token)
        return NEEDS_SQL if text is None else convert(text)

    return decide


def _text(token: bytes) -> str | None:
    """The text that DuckDB reads from a JSON ``token``; None where that is not plain."""
    if len(token) > 4 * LONGEST:
        return None
    if token[:1] == b'"':
        text = str(json.loads(token)) if b"\\" in token else token[1:-1].decode()
        return text if len(text) <= LONGEST and _LETTERS.fullmatch(text) else None
    text = token.decode()
    return text if text in {"true", "false"} or _WHOLE.fullmatch(text) else None  # DuckDB writes other numbers in its own form


def _converter(feature: Feature, as_of: dt.date) -> _TextConverter:
    if isinstance(feature, Number) and feature.decimal == ".":
        return lambda text: _number(feature, text)
    if isinstance(feature, Date):
        return lambda text: _years(feature, tidy_text(text), as_of)
    if isinstance(feature, Ordered):
        ranks = {fold_text(name): float(rank) for rank, level in enumerate(feature.synonyms) for name in level}
        return lambda text: ranks.get(fold_text(text))
    if isinstance(feature, Boolean):
        return lambda text: 1.0 if (folded := fold_text(text)) in _YES else 0.0 if folded in _NO else None
    if isinstance(feature, Category):
        return lambda text: tidy_text(text)[:MAX_CATEGORY_CHARS] or None
    if isinstance(feature, Count):
        return lambda text: NEEDS_SQL if text.startswith("[") else None
    if isinstance(feature, Text) and _is_decided(feature):
        rules = [(re.compile(rule.match, re.ASCII | re.IGNORECASE), float(rule.value)) for rule in feature.rules]
        return lambda text: _first_match(rules, tidy_text(text), float(feature.otherwise))
    return lambda _: NEEDS_SQL


def automaton_of(feature: Feature) -> TextAutomaton | None:
    """The rules of a text ``feature`` as a table, which gives plain texts the same values; None where that would not be exact."""
    if not isinstance(feature, Text) or not _is_decided(feature):
        return None
    return text_automaton(
        [rule.match for rule in feature.rules], [*(float(r.value) for r in feature.rules), float(feature.otherwise)]
    )


def _first_match(rules: list[tuple[re.Pattern[str], float]], text: str, otherwise: float) -> float:
    for pattern, value in rules:
        if pattern.search(text):
            return value
    return otherwise


def _is_decided(feature: Text) -> bool:
    """Whether values are exact as decimals, and Python reads every pattern as RE2 does and searches it in little time."""
    values = [*(rule.value for rule in feature.rules), feature.otherwise]
    exact = all(abs(value) < LARGEST_RULE_VALUE and float(value * 1000).is_integer() for value in values)
    return exact and all(is_safe_pattern(rule.match) for rule in feature.rules)


def is_safe_pattern(pattern: str) -> bool:
    """Whether RE2, Python and a table of states read ``pattern`` alike, and search it in little time."""
    if not _SAFE_PATTERN.fullmatch(pattern) or len(_REPEATED.findall(pattern)) > 1 or _REPEATED_GROUP.search(pattern):
        return False
    try:
        re.compile(pattern, re.ASCII | re.IGNORECASE)
    except re.error:
        return False
    return True


def _number(feature: Number, text: str) -> TextDecision:
    if not _NUMBER.fullmatch(text):
        return NEEDS_SQL
    value = float(text) * feature.scale
    if feature.outside == "clip":
        return min(max(value, feature.min), feature.max)
    return value if feature.min <= value <= feature.max else None


def _years(feature: Date, text: str, as_of: dt.date) -> TextDecision:
    """Years from the date ``text`` to ``as_of``, in the order of ``SqlCompiler._years``."""
    has_shape = (len(text) in (4, 7) or (len(text) >= 10 and text[7] == "-")) and text[4:5] in ("", "-")
    if not has_shape:
        return None
    found = _DATE.fullmatch(text)
    if not found:
        return NEEDS_SQL
    year, month, day = (None if part is None else float(part) for part in found.groups())
    assert year is not None
    if (month is not None and not 1 <= month <= 12) or (day is not None and not 1 <= day <= 31):
        return None
    years = as_of.year - year
    years += 0.0 if month is None else (as_of.month - month) / 12.0
    years += 0.0 if day is None else (as_of.day - day) / 365.25
    return years if feature.min <= years <= feature.max else None
