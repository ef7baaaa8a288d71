"""Fields whose values are those of a protected attribute: ``1 Male`` and ``2 Female``; ``married``, ``widow``; ``м``, ``ж``.

Values are compared word by word with a vocabulary (:mod:`predict_age.features.protected_vocabulary`). It knows the common words of
several languages, not all; `tests/test_protected_fields.py` measures how many fields of public data sets it recognises.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from predict_age.features.protected_vocabulary import (
    AMBIGUOUS,
    BEFORE_FOLDING,
    BESIDE,
    DOUBTFUL,
    LONGEST_PHRASE,
    NOBODY_ELSE,
    OTHER_SUBJECTS,
    OTHERS,
    PERSONAL,
    SIGNS,
    SILENT,
    SILENT_BEGINNINGS,
    SILENT_PARTS,
    SUBJECT_ENDINGS,
    SURE,
    TELLING_SENSES,
    TELLING_UNDER_OTHER_NAMES,
)
from predict_age.features.refused_names import refusal_reason
from predict_age.letters import folded_words
from predict_age.tally import MIN_SHOWN_PEOPLE

_MOST_VALUES = 60  # different ones, of a field that is looked at
_LONGEST_VALUE = 80  # characters; longer texts are no categories
_MATCHED_SHARE = 0.95  # of the people with a value that says something
_MATCHED_VALUES = 0.8  # of the different values that one in a hundred people has
_COMMON = 0.01
# Codes of man, woman and others: those that nothing else has, those under any name but that of a thing, and those
# that count where the name says so. D, W, M are day, week and month, too.
_CODES = (frozenset("mf"), frozenset("мж"))
_CODES_UNDER_OTHER_NAMES = (frozenset("mwd"), frozenset("mvx"))
_NAMED_CODES = tuple(map(frozenset, ("mw", "hf", "hm", "mk", "mv", "ek", "kn", "mn", "mz")))
_MORE_CODES = frozenset("dxouc")  # diverse, other, unknown, child
_GENDER_WORDS = (
    "sex sexo sexe seks gender gendr gend gndr gen genero genre sx geschl geschlecht kjonn kjoenn kjon kjoen kjn kon koen plec "
    "pohl pohlavi pohlavie sesso cinsiyet sukup sukupuoli ivar geslacht anrede salut salutation civilite title titel adressat"
)
_NAME_OF_GENDER = re.compile(f"({'|'.join(_GENDER_WORDS.split())})(code|cd|id|label|text)?\\d*")
_UNFOLDED = re.compile(rf"\b({'|'.join(BEFORE_FOLDING)})\b")
_SURROUNDED_PARTS = tuple(f" {part} " for part in SILENT_PARTS)
_SIGN = re.compile("|".join(SIGNS))
_SIGNED = re.compile(r"(?<=\w)(?:(\+)|[-\u2212\u2013])(?!\w)")  # HIV+, HIV-


@dataclass(frozen=True)
class _Reading:
    """Words of a value: sure words and senses of doubtful ones by attribute; ``known``: there are no others."""

    sure: Mapping[str, frozenset[tuple[str, ...]]]
    senses: Mapping[str, frozenset[str]]
    known: bool


def attribute_of_values(counts: Mapping[str, int], name: str = "") -> tuple[str, list[str]] | None:
    """The protected attribute that a field's values tell, and some of these; None for other fields.

    ``counts``: number of people by value; ``name`` of the field: it tells short codes (``m``, ``w``) from others. Two different
    values of one attribute, or one and "other", must make up 95 % of the people whose value says something, and 80 % of the common
    values. Only values of 20 people and more are returned, so that nobody's own value is shown.
    """
    if not 2 <= len(counts) <= _MOST_VALUES or any(len(value) > _LONGEST_VALUE for value in counts):
        return None
    words = {value: _words(value) for value in counts}
    if _are_codes_of_gender(words.values(), name):
        return "gender", _shown(counts)
    readings = {value: _read(found) for value, found in words.items() if not _is_silent(found)}
    telling = {value: counts[value] for value in readings}
    silent = {word for found in words.values() if _is_silent(found) for word in found}
    asked = any(" ".join(found).startswith(SILENT_BEGINNINGS) for found in words.values())
    has_others = asked or bool(silent & OTHERS)
    best: tuple[int, str, list[str]] | None = None
    for attribute in SURE:
        matched = [v for v, r in readings.items() if r.known and (attribute in r.sure or attribute in r.senses)]
        sure = bool(silent & (OTHERS | NOBODY_ELSE)) and any(attribute in readings[v].sure for v in matched)
        enough = len(set(map(_words, matched))) >= (1 if sure else 2)
        if enough and _is_evident(attribute, [readings[v] for v in matched], has_others, name) and _cover(matched, telling):
            people = sum(telling[v] for v in matched)
            if best is None or people > best[0]:
                best = (people, attribute, matched)
    return (best[1], _shown({v: counts[v] for v in best[2]})) if best else None


def _words(value: str) -> tuple[str, ...]:
    """Folded words of a value without numbers: ``1 Male`` and ``male`` have the same."""
    text = _UNFOLDED.sub(lambda match: BEFORE_FOLDING[match[0]], unicodedata.normalize("NFC", value.casefold()))
    text = _SIGN.sub(lambda match: f" {SIGNS[match[0]]} ", text)
    text = _SIGNED.sub(lambda match: " positive" if match[1] else " negative", text)
    return tuple(word for word in folded_words(text, camel_case=False) if not word.isdecimal())


def _shown(counts: Mapping[str, int]) -> list[str]:
    return sorted(value for value, people in counts.items() if people >= MIN_SHOWN_PEOPLE)


def _cover(matched: Sequence[str], telling: Mapping[str, int]) -> bool:
    """Whether the ``matched`` values are nearly all people with a telling value, and most of the common values."""
    total = sum(telling.values())
    common = [value for value, people in telling.items() if people >= _COMMON * total]
    hits = set(matched)
    return sum(telling[v] for v in matched) >= _MATCHED_SHARE * total and sum(v in hits for v in common) >= _MATCHED_VALUES * len(
        common
    )


def _is_evident(attribute: str, readings: Sequence[_Reading], has_others: bool, name: str) -> bool:
    """Whether a sure word is among the values, or doubtful ones of senses that tell.

    Two values with an ambiguous word are as good as a sure one: ``miss`` and ``ms``, but not ``miss`` and other. Black and white
    beside others are people, too, unless the field's ``name`` is that of a thing.
    """
    sure = frozenset[tuple[str, ...]]().union(*(r.sure.get(attribute, frozenset()) for r in readings))
    if sure - AMBIGUOUS or len(sure) > 1:
        return True
    senses = frozenset[str]().union(*(r.senses.get(attribute, frozenset()) for r in readings))
    if sure and senses and len(readings) > 2:
        return True
    open_to = not _is_about_things(attribute, name)
    found = [reading.senses.get(attribute, frozenset()) for reading in readings]
    rules = TELLING_SENSES.get(attribute, ()) + (TELLING_UNDER_OTHER_NAMES.get(attribute, ()) if open_to else ())
    if any(telling <= senses and sum(bool(telling & some) for some in found) >= fewest for telling, fewest in rules):
        return True
    return open_to and senses == {"colours"} and attribute == "ethnic origin" and has_others and len(readings) == 2


def _is_about_things(attribute: str, name: str) -> bool:
    """Whether a field's name says that words of two senses are not the ``attribute``'s: ``car_colour``; unknown ones do not."""
    words = [word.rstrip("0123456789") for word in folded_words(name)]
    named = any(word in OTHER_SUBJECTS.get(attribute, ()) or word.endswith(SUBJECT_ENDINGS.get(attribute, ())) for word in words)
    return named and PERSONAL.isdisjoint(words) and refusal_reason(name) is None


@lru_cache(maxsize=4096)  # each is asked several times, and the next field may have it, too
def _is_silent(words: tuple[str, ...]) -> bool:
    """Whether a value says nothing: it is empty, stands for a missing one, or has only words that stand beside others."""
    text = " ".join(words)
    surrounded = f" {text} "
    says_so = text.startswith(SILENT_BEGINNINGS) or any(part in surrounded for part in _SURROUNDED_PARTS)
    return text in SILENT or says_so or (set(words) <= BESIDE and not _phrases_in(words))


@lru_cache(maxsize=4096)
def _phrases_in(words: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Sure and doubtful phrases of any attribute in ``words``, the longest at each place, one after the other."""
    found, at = [], 0
    while at < len(words):
        sizes = range(min(LONGEST_PHRASE, len(words) - at), 0, -1)
        size = next((n for n in sizes if _attributes_of(words[at : at + n])), 0)
        if size:
            found.append(words[at : at + size])
        at += size or 1
    return tuple(found)


def _attributes_of(phrase: tuple[str, ...]) -> bool:
    return any(phrase in SURE[a] or phrase in DOUBTFUL.get(a, {}) for a in SURE)


def _read(words: tuple[str, ...]) -> _Reading:
    phrases = _phrases_in(words)
    covered = {word for phrase in phrases for word in phrase}
    sure = {a: frozenset(hit) for a in SURE if (hit := [p for p in phrases if p in SURE[a]])}
    senses = {a: frozenset(found) for a in DOUBTFUL if (found := [DOUBTFUL[a][p] for p in phrases if p in DOUBTFUL[a]])}
    return _Reading(sure, senses, set(words) <= covered | BESIDE)


def _are_codes_of_gender(values: Iterable[tuple[str, ...]], name: str) -> bool:
    codes = {"".join(words) for words in values} - SILENT - {""}
    if any(
        pair <= codes <= pair | _MORE_CODES
        for pair in _CODES + (() if _is_about_things("gender", name) else _CODES_UNDER_OTHER_NAMES)
    ):
        return True
    is_named = any(map(_NAME_OF_GENDER.fullmatch, folded_words(name)))
    return is_named and any(pair <= codes <= pair | _MORE_CODES for pair in _NAMED_CODES)
