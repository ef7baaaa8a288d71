"""Names that columns of people's data usually have: of ids, of ages, and the plain words that head a column."""

from __future__ import annotations

import re

_ID_NAMES = "id ids pid uid nid iid uuid guid ident identifier persnr subject subj caseid casenum idind idcode idnum idno"
ID_WORDS = frozenset(_ID_NAMES.split())
_PERSON_NAMES = (
    "id pid person personid individual indiv idind idcode idnum ident subject subj respondent resp patient worker employee "
    "customer member user client people human nr persnr personnr"
)
PERSON_WORDS = frozenset(_PERSON_NAMES.split())
_AGES = "age alter edad idade eta leeftijd wiek approximateage ageyears ageinyears"
AGE_NAMES = frozenset(_AGES.split())
YEAR_NAMES = frozenset(["birthyear", "yearofbirth", "yob", "byear", "birthyr", "yrborn", "yearborn", "geburtsjahr", "born"])
_DATES = "birthdate dateofbirth dob birthday bdate geburtsdatum geburtstag fechanacimiento datenaissance born"
DATE_NAMES = frozenset(_DATES.split())
# Words that head a column and are hardly a value of one, besides those of ids and ages.
_HEADS = (
    "name names surname lastname firstname forename vorname nachname nom prenom nombre apellido email mail phone telephone "
    "telefon birth dob geburt sex gender geschlecht sexo sexe zip postcode plz city ort country land job beruf occupation "
    "profession income salary date datum fecha weight height bmi"
)
_HEAD_WORDS = frozenset(_HEADS.split())
_NO_IDS = re.compile(
    "(un|pre|re)?paid|covid|(in)?valid|acid|(semi)?fluid|liquid|grid|solid|bid|aid|kid|mid|lipid|thyroid|rapid|a?void|said|laid|"
    "hybrid|steroid|(plat|alum)inum"
)
_BESIDES = "participant proband kunden mitglied users case source profile record study emp staff"
_BESIDE_IDS = PERSON_WORDS | frozenset(_BESIDES.split())
_ID_ENDS = ("id", "ids", "nr", "no", "num", "number", "nummer", "code", "key")
_OTHERS = "of at the first last full given family year years approximate birth e"
_QUALIFIERS = frozenset(_OTHERS.split())
_JOINED = re.compile("id(ind|code|num|no|nr|ent|per|pers|p|h|hh)|[a-z]+(id|num|nr|idno|idnum)")
_IDENTIFIER = re.compile(r"[^\W\d]\w*(?:[ .-]\w+){0,3}")


def words_of(name: str) -> list[str]:
    """Words of a column's name in lower case: ``dateOfBirth`` and ``date_of_birth`` have the same."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return [w for w in re.split(r"[\W_]+", spaced.casefold()) if w]


def is_named_id(name: str) -> bool:
    """Whether a column's name says that it holds ids, of whomever: ``id``, ``intnum``, ``firm_id``, ``idind``."""
    words = words_of(name)
    return bool(ID_WORDS & set(words)) or any(_JOINED.fullmatch(w) and not _NO_IDS.fullmatch(w) for w in words)


def is_usual_name(name: str) -> bool:
    """Whether ``name`` is one that columns of ids, ages or addresses have: ``patient_id``, ``Kundennummer``, ``email``, ``age``.

    It has letters, and at most four words without other signs: ``id-0042`` and ``anna@id.example`` are values.
    """
    if not _IDENTIFIER.fullmatch(name.strip()) or any(c.isdigit() for c in name):
        return False
    if not (words := words_of(name)):
        return False  # signs alone, such as "_"
    heads = AGE_NAMES | YEAR_NAMES | DATE_NAMES | _HEAD_WORDS
    return (
        "".join(words) in heads
        or bool(ID_WORDS & {words[0], words[-1]})
        or (bool(heads & set(words)) and set(words) <= heads | ID_WORDS | PERSON_WORDS | _QUALIFIERS)
        or _names_ids("".join(words))
    )


def _names_ids(joined: str) -> bool:
    """Whether a name without what is between its words is one of ids: ``personnr``, ``kundennummer``; ``nummer`` alone."""
    ends = [end for end in _ID_ENDS if joined.endswith(end)]
    return joined in ("nummer", "number") or any(joined.removesuffix(end) in _BESIDE_IDS for end in ends)
