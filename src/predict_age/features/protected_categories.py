"""Fields whose values are those of a protected attribute, whatever the field is called: ``married`` and ``widow``, ``m``, ``f``."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

from predict_age.features.protected_values import protected_value
from predict_age.tally import MIN_SHOWN_PEOPLE

_MOST_VALUES = 60  # different ones, of a field that is looked at
_MATCHED_SHARE = 0.95  # of the people with a value that says something
_MORE_VALUES = {  # words that name such an attribute only as a value beside others of it
    "separated": "family",
    "partnered": "family",
    "partnership": "family",
    "getrennt": "family",
    "lebend": "family",
    "protestant": "religion",
    "orthodox": "religion",
    "agnostic": "religion",
    "independent": "opinion",
    "trans": "gender",
    "diverse": "gender",
    "divers": "gender",
    "herr": "gender",
    "mr": "gender",
    "mrs": "gender",
    "ms": "gender",
    "miss": "gender",
    "monsieur": "gender",
    "madame": "gender",
    "senor": "gender",
    "senora": "gender",
    "straight": "sexual orientation",
    "hetero": "sexual orientation",
}
_NOTHING_HERE = "civ af absent present legally spouse us uk eu living with in a an"  # words beside such values
_BESIDE = frozenset(re.findall("[a-z]+", _NOTHING_HERE))
_COLOURS = frozenset(re.findall("[a-z]+", "black white blacks whites noir branco preto schwarz weiss colored"))  # of things, too
_CODES = (frozenset("mf"), frozenset("mw"), frozenset("hf"), frozenset("hm"), frozenset("mk"))  # man and woman in several languages
_MORE_CODES = frozenset("dxou")  # diverse, other, unknown
_NO_VALUES = "unknown,other,others,na,n/a,nan,none,null,missing,refused,?,-,.,unbekannt,sonstige,autre,autres,inconnu,otro,otra"
_SILENT_VALUES = frozenset(re.split(",", _NO_VALUES)) | {
    "",
    "prefer not to say",
    "not stated",
    "not given",
    "no answer",
    "keine angabe",
    "don't know",
}


def attribute_of_values(counts: Mapping[str, int]) -> tuple[str, list[str]] | None:
    """The protected attribute that a field's values tell, and some of these; None for other fields.

    ``counts``: number of people by value. Two different values of one attribute, or more, must make up 95 % of the values that say
    something. Only values of 20 people and more are returned, so that nobody's own value is shown.
    """
    if not 2 <= len(counts) <= _MOST_VALUES:
        return None
    telling = Counter[str]()
    for value, people in counts.items():
        plain = _plain(value)
        if plain not in _SILENT_VALUES:
            telling[plain] += people
    attributes: dict[str, list[str]] = {}
    if _are_codes_of_gender(telling):
        attributes["gender"] = list(telling)
    for value in telling:
        if attribute := _attribute_of(value):
            attributes.setdefault(attribute, []).append(value)
    for attribute, values in attributes.items():
        matched = sum(telling[value] for value in values)
        alone = telling.total() - matched > 0 or len(counts) > len(telling)  # black and white among themselves may be colours
        if len(values) < 2 or matched < _MATCHED_SHARE * telling.total() or (set(values) <= _COLOURS and not alone):
            continue
        return attribute, sorted(value for value in values if telling[value] >= MIN_SHOWN_PEOPLE)
    return None


def _plain(value: str) -> str:
    text = unicodedata.normalize("NFKD", value.strip().casefold().replace("ß", "ss"))
    return "".join(c for c in text if not unicodedata.combining(c))


def _are_codes_of_gender(telling: Counter[str]) -> bool:
    codes = frozenset(telling)
    return any(pair <= codes <= pair | _MORE_CODES for pair in _CODES)


def _attribute_of(value: str) -> str:
    words = [word for word in "".join(c if c.isalnum() else " " for c in value).split() if word not in _BESIDE]
    extra = [_MORE_VALUES[word] for word in words if word in _MORE_VALUES]
    rest = [word for word in words if word not in _MORE_VALUES]
    found = protected_value(rest) if rest else None
    if found is not None:
        return found[0]
    return extra[0] if extra and not rest else ""
