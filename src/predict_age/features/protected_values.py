"""Names that are a value of a protected attribute, such as ``female``, ``nwhite`` or ``d_married``, and misspelt names of one.

These words mean other things inside other names (``black_friday``, ``native_app``). A name counts when it consists of them and of
words that say nothing, such as ``is``, ``dummy`` or ``head``; letters may be joined (``racewhite``) or have a prefix (``dfemale``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

ATTRIBUTE_VALUES = {  # attribute: words for one of its values, or short names of it
    "gender": (
        "female females fem male males man men woman women girl girls boy boys lady weiblich mannlich maennlich frau "
        "frauen mann manner maenner femme femmes homme hommes feminin masculin mujer mujeres hombre hombres varon "
        "femenino masculino femmina maschio donna uomo mulher homem feminino vrouw kvinna kvinde kobieta mezczyzna "
        "nonbinary gend gndr sx transgendered femalehead malehead cinsiyet sukupuoli pohlavi"
    ),
    "sexual orientation": ("gay lesbian bisexual homosexual heterosexual lgbt lgbtq lgbtqi queer sexorient"),
    "ethnic origin": (
        "black blck blacks white whites nonwhite nwhite nonblack nblack hispanic hispanics hisp hispan nonhispanic nonhisp "
        "latino latina latinos latinx asian asians caucasian cauc afam afroam afroamerican africanamerican blk wht "
        "colored coloured mulatto mestizo amerindian nativeamerican aboriginal indigenous eskimo inuit pacificislander "
        "islander minority mexican chicano puertorican arab maori ethn eth raceeth racethn racethnic ethrace gypsy roma "
        "sinti negro noir branco preto pardo schwarz schwarze weiss"
    ),
    "national origin": (
        "foreign foreigner foreigners foreignborn fborn native natives nativeborn usborn bornus citizen noncitizen "
        "alien immig immigr immigrants migrant migrants refugee asylum auslander auslaender etranger extranjero "
        "straniero buitenlander natl nativity"
    ),
    "religion": (
        "relig protest religi religiosity religiousness faith denomination catholic catholics cathol protestant muslim "
        "muslims moslem islam islamic jew jews jewish hindu hindus sikh buddhist christian christians atheist "
        "evangelical evangel baptist mormon lutheran methodist katholisch evangelisch katholik catolico cattolico "
        "churchgoer churchattend attendchurch"
    ),
    "disability": (
        "disab disabl disabil hcap impaired impairment blind deaf wheelchair adl adldiff iadl dsbl "
        "disabld handicape discapacitado disabile invalide behindert schwerbehindert gehandicapt"
    ),
    "health": (
        "asthma asthmatic diabetes diabetic diabetics hypertension hypertensive cancer leukemia leukaemia lymphoma tumor tumour "
        "epilepsy epileptic dementia alzheimer alzheimers parkinson parkinsons schizophrenia hepatitis tuberculosis copd obese "
        "obesity depressed depression depressive adhd ptsd vaccinated unvaccinated geimpft krebs bluthochdruck diabetiker "
        "diabete diabetique diabetico diabetica asthme asma astma cancro depresion depressao depressione"
    ),
    "family": (
        "marry marr marst marstat marstatus marit maritl maritalstat mstat mstatus msta wedded marriage marriages "
        "divorce divorced divorcee separated widow widowed widower unmarried cohabit cohabiting cohab bachelor spinster "
        "single singles verheiratet ledig geschieden verwitwet marie mariee celibataire divorcie veuf veuve casado "
        "casada soltero soltera divorciado viudo sposato celibe gehuwd getrouwd ongehuwd preg pregn gravid gravida "
        "schwanger enceinte embarazada civstat"
    ),
    "opinion": (
        "vote votes voted voter voting party partyid polparty polviews polview ideology ideol leftright democrat "
        "democrats republican republicans conservative liberal socialist communist unionist unionmem unionmember unmem "
        "uncov partei vet vets"
    ),
}
_SILENT_WORDS = (
    "affiliation are attend attendance b been bin binary cat category client code current currently customer d dum "
    "dummy employee ever father flag gp group grp h has hd head hh hhh household husband i ident identity in ind "
    "indicator is member mother n never new no non not of only orig original oth other parent patient person r rate "
    "rec recode resp respondent self spouse stat status subject the type user var variable was wife x year years "
    "yes yrs z"
)
_SILENT = frozenset(re.findall("[a-z]+", _SILENT_WORDS))
_PREFIXES = (
    "non",
    "not",
    "is",
    "un",
    "never",
    "years",
    "yrs",
    "dum",
    "d",
    "n",
    "i",
    "r",
    "h",
    "hh",
    "hd",
    "sp",
    "hus",
    "ever",
    "bl",
    "wh",
)
_LONG_NAMES = (
    "married marital religion religious ethnicity ethnic gender hispanic disabled disability female pregnant "
    "divorced widowed nationality citizenship catholic protestant caucasian nonwhite"
)  # in which a slip of the keyboard is recognised
_ATTRIBUTES = {
    "family": "married marital pregnant",
    "religion": "religion religious",
    "ethnic origin": "ethnicity ethnic race",
    "gender": "gender sex",
    "disability": "disabled disability",
    "national origin": "nationality citizenship",
    "opinion": "union",
}
_ATTRIBUTE_OF = {word: attribute for attribute, words in _ATTRIBUTES.items() for word in words.split()}
_SHORTEST_JOINED = 4  # letters of a word behind a prefix of one letter


@cache
def _known() -> dict[str, tuple[str, str]]:
    """Attribute and word by each word and each misspelt name."""
    known = {word: (attribute, word) for attribute, words in ATTRIBUTE_VALUES.items() for word in words.split()}
    for name in _LONG_NAMES.split():
        attribute = known[name][0] if name in known else _ATTRIBUTE_OF[name]
        for slip in _slips(name):
            known.setdefault(slip, (attribute, name))
    return known


def _slips(name: str) -> Iterator[str]:
    """Spellings of ``name`` with a letter left out, twice, or in the place of its neighbour."""
    for at in range(len(name)):
        yield name[:at] + name[at + 1 :]
        yield name[: at + 1] + name[at:]
    for at in range(len(name) - 1):
        yield name[:at] + name[at + 1] + name[at] + name[at + 2 :]


def protected_value(words: Sequence[str]) -> tuple[str, str] | None:
    """Attribute and word that the ``words`` of a name stand for, if they name nothing else; None where they do."""
    found = None
    joined = _of_word("".join(words)) if len(words) > 1 else None
    for word in words:
        if hit := _of_word(word):
            found = found or hit
        elif word not in _SILENT:
            return joined
    return found or joined


def _of_word(word: str) -> tuple[str, str] | None:
    """Attribute and word of one word: itself, behind a prefix, or joined to another such word or to one that says nothing."""
    known = _known()
    if word in known:
        return known[word]
    for prefix in _PREFIXES:
        rest = word.removeprefix(prefix)
        hit = _of_attribute(rest) or (known.get(rest) if len(rest) >= _SHORTEST_JOINED else None)
        if rest != word and hit:
            return hit
    for at in range(3, len(word) - 1):
        first, rest = word[:at], word[at:]
        one, other = known.get(first) or _of_attribute(first), known.get(rest) or _of_attribute(rest)
        if one and (other or rest in _SILENT) and len(rest) > 1:
            return one
        if other and first in _SILENT:
            return other
    return None


def _of_attribute(word: str) -> tuple[str, str] | None:
    return (_ATTRIBUTE_OF[word], word) if word in _ATTRIBUTE_OF else None
