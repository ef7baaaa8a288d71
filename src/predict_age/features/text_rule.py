"""Text rule: the one form of a text in which values of profiles and levels of feature files are compared.

:func:`tidy_text` composes letters (NFC), makes any white space one blank, trims, and writes a whole number without ``.0``.
:func:`fold_text` also removes the difference of upper and lower case, in all scripts: ß is ss, ς is σ, and all four of the Turkish
i and ı are i. Each has its twin as SQL, which gives the same text.
"""

from __future__ import annotations

import re
import unicodedata

from predict_age.source.column_types import WHITE_SPACE

_SIMPLE = "[!-~]+( [!-~]+)*"  # ASCII without white space to remove: the rule leaves it, but for case and .0
_WHOLE_FLOAT = "-?[0-9]+[.]0+"
_ONE_TO_ONE = {
    "\u03c2": "\u03c3",  # final sigma
    "\u0131": "i",  # dotless i
    "\u0130": "i",  # I with a dot
    "\u017f": "s",  # long s
    "\u00b5": "\u03bc",  # micro
    "\u03d0": "\u03b2",
    "\u03d1": "\u03b8",
    "\u03d5": "\u03c6",
    "\u03d6": "\u03c0",
    "\u03f0": "\u03ba",
    "\u03f1": "\u03c1",
    "\u03f5": "\u03b5",
}
_ONE_TO_MANY = {
    "\u00df": "ss",
    "\u1e9e": "ss",
    "\ufb00": "ff",
    "\ufb01": "fi",
    "\ufb02": "fl",
    "\ufb03": "ffi",
    "\ufb04": "ffl",
    "\ufb05": "st",
    "\ufb06": "st",
}
_TABLE = str.maketrans(_ONE_TO_ONE | _ONE_TO_MANY)
_DOTTED_I = "i\u0307"  # what İ becomes in many programs


def tidy_text(text: str) -> str:
    """``text`` composed, with single blanks, trimmed; a whole number without zeros after its point."""
    text = " ".join(unicodedata.normalize("NFC", text).split())
    return text.partition(".")[0] if re.fullmatch(_WHOLE_FLOAT, text, re.ASCII) else text


def fold_text(text: str) -> str:
    """Tidy ``text`` without the difference of upper and lower case."""
    text = "".join(_lower(letter) for letter in tidy_text(text).translate(_TABLE)).replace(_DOTTED_I, "i")
    return unicodedata.normalize("NFC", text)


def _lower(letter: str) -> str:
    lower = letter.lower()
    return lower if len(lower) == 1 else letter


def tidy_sql(text: str) -> str:
    """SQL for :func:`tidy_text` of the expression ``text``."""
    return _unless_simple(text, text, _tidy(text))


def fold_sql(text: str) -> str:
    """SQL for :func:`fold_text` of the expression ``text``."""
    folded = f"translate({_tidy(text)}, '{''.join(_ONE_TO_ONE)}', '{''.join(_ONE_TO_ONE.values())}')"
    for letter, letters in _ONE_TO_MANY.items():
        folded = f"replace({folded}, '{letter}', '{letters}')"
    return _unless_simple(text, f"lower({text})", f"nfc_normalize(replace(lower({folded}), '{_DOTTED_I}', 'i'))")


def _tidy(text: str) -> str:
    blanks = f"trim(regexp_replace(nfc_normalize({text}), '[{WHITE_SPACE}]+', ' ', 'g'))"
    return f"regexp_replace({blanks}, '^(-?[0-9]+)[.]0+$', '\\1')"


def _unless_simple(text: str, simple: str, other: str) -> str:
    """Most texts are simple, and much quicker by themselves."""
    whole = f"WHEN regexp_full_match({text}, '{_WHOLE_FLOAT}') THEN split_part({text}, '.', 1)"
    return f"CASE {whole} WHEN regexp_full_match({text}, '{_SIMPLE}') THEN {simple} ELSE {other} END"
