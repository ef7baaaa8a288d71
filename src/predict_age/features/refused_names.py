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
_BIRTH_NAMES = (
    "birth birthday birthdate birthyear dob born yob dateofbirth yearofbirth geburtsdatum geburtstag geburtsjahr "
    "geboren naissance nacimiento nascita nascimento geboortedatum geboortejaar fodelsedatum fodselsdato urodzenia"
)
_BIRTH = frozenset(re.findall("[a-z]+", _BIRTH_NAMES))
# Parts of a birth that tell no year, and words that say that the year is there all the same.
_WITHOUT_YEAR = frozenset(
    re.findall(
        "[a-z]+",
        "quarter quarters qrtr qtr quartal trimester trimestre kwartaal kvartal month months mth monat mois mes mese maand manad "
        "maned maaned miesiac weekday wochentag season saison order rank weight sign zodiac hour",
    )
)
_WITH_YEAR = frozenset(
    re.findall(
        "[a-z]+",
        "year years yr yrs yyyy yy date dates datum jahr jahre annee ano anno jaar ar rok data fecha birthyear birthdate yob "
        "dateofbirth yearofbirth geburtsdatum geburtsjahr geboortedatum geboortejaar fodelsedatum fodselsdato",
    )
)
_AGE = frozenset(["age", "ages", "alter", "edad", "idade", "leeftijd", "lebensalter"])
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
    if (refused := set(runs) & _BIRTH) and not (words & _WITHOUT_YEAR and not set(runs) & _WITH_YEAR):
        return f"{text!r} is the age itself (a date of birth: {', '.join(sorted(refused))})"
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
