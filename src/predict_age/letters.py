"""Texts without case, accents and invisible characters, their words, and names that somebody misspelt."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

_ONE_FOR_ONE = str.maketrans({"ß": "ss", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ı": "i", "œ": "oe"})
_CAMEL_CASE = re.compile(r"([^\W\d_])(?=[A-Z][a-z])|([a-z0-9])(?=[A-Z])")
_STYLE = re.compile("[\ufe00-\ufe0f]")  # whether a sign is drawn as text or as a picture
_KANA_VOICING = 8  # class of the marks that make another letter of か


def fold(text: str) -> str:
    """``text`` in lower case without accents and characters that nobody sees; those of every script stay, が beside か."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", _STYLE.sub("", text)).casefold().translate(_ONE_FOR_ONE))
    seen = "".join(c for c in plain if unicodedata.combining(c) in (0, _KANA_VOICING) and unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFC", seen)


def usual_signs(text: str) -> str:
    """``text`` with digits of every script as 0 to 9, and dashes and the minus sign as hyphens."""
    if text.isascii():
        return text
    return "".join(
        str(unicodedata.decimal(c)) if c.isdecimal() else "-" if c == "\N{MINUS SIGN}" or unicodedata.category(c) == "Pd" else c
        for c in text
    )


def folded_words(text: str, *, camel_case: bool = True) -> list[str]:
    """Folded words of ``text``, digits among them; with ``camel_case``, ``birthCountry`` is two words."""
    spaced = _CAMEL_CASE.sub(r"\1\2 ", unicodedata.normalize("NFKC", text)) if camel_case else text
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in fold(spaced))
    return kept.split()


def nearest(name: str, names: Iterable[str], likeness: float = 0.6) -> str:
    """The one of ``names`` that ``name`` probably means: the same letters and digits, else similar ones; empty where none is.

    ``likeness`` (0..1) is the least ratio of :class:`difflib.SequenceMatcher`, 2 x equal letters / all letters of both names.
    """
    known = list(names)
    same = [other for other in known if letters_of(other) == letters_of(name)]
    return next(iter(same or difflib.get_close_matches(name, known, 1, likeness)), "")


def letters_of(text: str) -> str:
    """Letters and digits of a name, whatever their case and what is between them; the name itself where it has none."""
    return "".join(filter(str.isalnum, text.casefold())) or text
