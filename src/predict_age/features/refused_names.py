"""Names that must not become a feature: protected attributes, what stands for them, and the age itself.

A name is compared word by word: ``birthCountry``, ``birth_countries``, ``BIRTH COUNTRY`` and ``birthcountry`` are one name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from predict_age.features.protected_values import protected_value
from predict_age.letters import folded_words

PROTECTED = {  # attribute: names of it
    "gender": (
        "gender, sex, sexual, sexuality, transgender, geschlecht, sexe, sexo, genere, genero, geslacht, kjonn, plec, cinsiyet, "
        "sukupuoli, 性别, 性別, 성별"
    ),
    "sexual orientation": "orientation",
    "ethnic origin": "race, racial, ethnicity, ethnic, ethnie, etnia, caste, skin color, skin colour, hautfarbe, raza, rasse",
    "religion": "religion, religious, creed, konfession, religione, religiao, godsdienst, religionszugehorigkeit",
    "disability": (
        "disability, disabled, handicap, handicapped, behinderung, schwerbehinderung, discapacidad, disabilita, "
        "invalidite, invalidita, invalidez"
    ),
    "health": (
        "diagnosis, disease, illness, sickness, medical condition, medical history, health condition, mental health, hiv, hiv "
        "status, vaccination, vaccination status, diagnose, krankheit, vorerkrankung, maladie, enfermedad, doenca, malattia, ziekte"
    ),
    "genetic features": "genetic, genotype, dna, biometric",
    "family": (
        "marital, married, civil status, pregnant, pregnancy, maternity, familienstand, schwangerschaft, etat "
        "civil, estado civil, stato civile, burgerlijke staat"
    ),
    "opinion": "union, political, politics, gewerkschaft, syndicat, sindicato, sindacato, vakbond, parteimitglied, veteran",
}
STANDS_FOR = {  # attribute: names of what tells it
    "national origin": (
        "nationality, national origin, citizenship, nationalitat, staatsangehorigkeit, staatsburgerschaft, "
        "nationalite, nacionalidad, nacionalidade, nazionalita, nationaliteit, nationalitet, ciudadania, "
        "cittadinanza, cidadania, citoyennete, migration background, migrationshintergrund, immigration status, "
        "immigrant, mother tongue, native language, native tongue, native speaker, muttersprache, langue "
        "maternelle, lengua materna, idioma materno, lingua materna, lingua madre, madrelingua, moedertaal, "
        "modersmal, place of birth, birth place, birth country, birth state, birth city, birth town, birth "
        "region, birth province, birth location, country of birth, state of birth, city of birth, town of birth, "
        "region of birth, born in, geburtsort, geburtsland, lieu de naissance, lieu naissance, pays de naissance, "
        "pays naissance, lugar de nacimiento, pais de nacimiento, luogo di nascita, luogo nascita, paese di "
        "nascita, local de nascimento, geboorteplaats, geboorteland, fodelseort, fodested, miejsce urodzenia"
    ),
    "ethnic and national origin": (
        "surname, last name, family name, maiden name, nachname, familienname, geburtsname, nom de famille, nom "
        "famille, apellido, cognome, sobrenome, apelido, achternaam, efternamn, etternavn, nazwisko"
    ),
    "gender, ethnic origin and age": (
        "first name, given name, forename, christian name, middle name, full name, vorname, rufname, prenom, "
        "voornaam, fornamn, fornavn, imie"
    ),
    "gender": "pronoun, salutation, honorific, anrede, civilite",
}
MAY_STAND_FOR = {  # attribute: names that are allowed because they say other things, too; the model card measures the association
    "national origin": (
        "country, language, region, state, city, town, zip, zip code, postcode, postal code, plz, locale, time zone"
    ),
    "gender": "occupation, profession",
    "religion": "school, diet, first day of week",
}
_BIRTH_PLAIN = (
    "birth birthday dob born geburt geburts geboren naissance nacimiento nascita nascimento geboorte fodsel fodsels fodelse "
    "urodzenia"
)
_BIRTH_WITH_YEAR = (
    "birthdate birthyear yob dateofbirth yearofbirth geburtsdatum geburtstag geburtsjahr geboortedatum geboortejaar fodelsedatum "
    "fodselsdato"
)
# One part of a birth that tells no year; several of them since a birth are an age.
_PART = (
    "quarter qrtr qtr quartal trimester trimestre kwartaal kvartal month mth monat mois mes mese maand manad maned maaned "
    "miesiac week weekday day wochentag season saison order rank weight gewicht sign zodiac hour outcome length height mode method "
    "control type twin multiple"
)
_BESIDE_PART = (
    "of in the own index number num nr no name code label text star low kg g gram grams lb lbs oz "
    "de la le du di da do della van der"
)
# Words that tell how long ago a birth was: known so that ``monthssincebirth`` is read as three words.
_LONG_AGO = (
    "months quarters weeks days seasons since from until to and age ages cohort cohorts decade decades generation generations "
    "elapsed count year years date century epoch group band monate monaten seit alter kohorte jahrgang jahrzehnt depuis desde "
    "maanden sinds"
)


def _any_of(*lists: str) -> str:
    return "|".join(sorted({word for words in lists for word in words.split()}, key=len, reverse=True))


_BIRTH = frozenset(f"{_BIRTH_PLAIN} {_BIRTH_WITH_YEAR}".split())
_KNOWN = f"(?:{_any_of(_BIRTH_PLAIN, _BIRTH_WITH_YEAR, _PART, _BESIDE_PART, _LONG_AGO)})*"
_GLUED_BIRTH = re.compile(f"{_KNOWN}(?P<birth>{_any_of(_BIRTH_PLAIN, _BIRTH_WITH_YEAR)}){_KNOWN}")
# All letters of a name of which every word is known to tell no year. A birthday is a date, so "day" after "birth" is no part.
_ONE_PART, _BESIDE = f"(?!(?<=birth)day)(?:{_any_of(_PART)})", _any_of(_BIRTH_PLAIN, _BESIDE_PART)
_PART_OF_BIRTH = re.compile(f"(?:{_BESIDE})*{_ONE_PART}(?:{_BESIDE}|{_ONE_PART})*")
_MOST_LETTERS = 64  # of a name that is cut into known words
_LONG_NUMBER = re.compile(r"\d\d")
_BANDS = "group groups grp band bands bracket range class category cat bin bucket"
_OTHER_AGES = (
    "alter lebensalter altersgruppe altersgruppen altersklasse altersklassen alterskategorie altersstufe edad idade leeftijd "
    "leeftijdsgroep leeftijdscategorie"
)
_AGE = frozenset([*(f"age{word}" for word in ("", "s", *_BANDS.split())), *_OTHER_AGES.split()])
_AROUND_AGE = frozenset(
    "approx approximate estimated current real true known actual years year in of at person user my exact "
    f"{_BANDS} grupo rango de".split()
)


def _words(text: str) -> list[str]:
    """Words of a name without digits."""
    return [word for run in folded_words(text) for word in re.split(r"\d+", run) if word]


def _names(table: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Attribute and name, by the name's letters, in the singular and the plural."""
    names = ((attribute, name.strip()) for attribute, listed in table.items() for name in listed.split(","))
    return {
        form: (attribute, name) for attribute, name in names for letters in ["".join(name.split())] for form in _plurals(letters)
    }


def _plurals(letters: str) -> tuple[str, ...]:
    return (letters, f"{letters}s", f"{letters[:-1]}ies") if letters.endswith("y") else (letters, f"{letters}s", f"{letters}es")


_PROTECTED, _STANDS_FOR, _MAY_STAND_FOR = _names(PROTECTED), _names(STANDS_FOR), _names(MAY_STAND_FOR)
MOST_WORDS = 4  # of a name in these tables


def _runs(words: list[str]) -> Iterator[str]:
    """Letters of each word and of each sequence of words, longest first: ``last_name`` is ``lastname``."""
    for size in range(min(len(words), MOST_WORDS), 0, -1):
        for start in range(len(words) - size + 1):
            yield "".join(words[start : start + size])


def _births(words: list[str], runs: list[str]) -> list[str]:
    """Words of a birth in a name, glued to other known words or not."""
    return sorted(
        {*_BIRTH.intersection(runs), *(found["birth"] for word in words if (found := _GLUED_BIRTH.fullmatch(word[:_MOST_LETTERS])))}
    )


def _is_part_of_birth(text: str, words: list[str]) -> bool:
    """Whether a name tells a part of a birth without its year: ``birth_quarter``; any other word or number may tell the year."""
    letters = "".join(words)
    return len(letters) <= _MOST_LETTERS and bool(_PART_OF_BIRTH.fullmatch(letters)) and not _LONG_NUMBER.search(text)


def refusal_reason(text: str, age_columns: Collection[str] = (), *, values: bool = True) -> str | None:
    """The reason why a name must not become a feature: a protected attribute, its substitute, or the age. None when it may.

    With ``values``, names that stand for one value of a protected attribute are refused, too.
    """
    in_order = _words(text)
    runs, words = list(_runs(in_order)), set(in_order)
    for run in runs:
        if run in _STANDS_FOR:
            return f"{text!r} stands for a protected attribute ({_STANDS_FOR[run][0]}: {_STANDS_FOR[run][1]})"
    for run in runs:
        if run in _PROTECTED:
            attribute, name = _PROTECTED[run]
            return f"{text!r} names a protected attribute ({attribute if attribute == name else f'{attribute}: {name}'})"
    if values and (found := protected_value(in_order)):
        return f"{text!r} stands for a value of a protected attribute ({found[0]}: {found[1]})"
    if (births := _births(in_order, runs)) and not _is_part_of_birth(text, in_order):
        return f"{text!r} is the age itself (a date of birth: {', '.join(births)})"
    if words & _AGE and words <= _AGE | _AROUND_AGE:
        return f"{text!r} is the age itself"
    if text in age_columns:
        return f"{text!r} is the column the known age comes from"
    return None


def expression_refusal(expression: str, age_columns: Collection[str] = ()) -> str | None:
    """The reason why an SQL expression must not become a feature: a word in it; for values of protected attributes, a key."""
    keys = set(re.findall(r"(?:->>?\s*'|\.\"?)([A-Za-z_][\w-]*)", expression))
    words = re.findall(r"[A-Za-z_][\w-]*", expression)
    return next((r for word in words if (r := refusal_reason(word, age_columns, values=word in keys))), None)


def proxy_warning(text: str) -> str | None:
    """Sentence about the protected attribute that an allowed name may stand for; None for other names."""
    found = next((_MAY_STAND_FOR[run] for run in _runs(_words(text)) if run in _MAY_STAND_FOR), None)
    return f"{text!r} may stand for a protected attribute ({found[0]}: {found[1]})" if found else None
