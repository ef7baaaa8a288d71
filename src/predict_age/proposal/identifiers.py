"""Identifiers among the columns of a sample: numbers that count rows, ids that several rows have, and whose ids these are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from predict_age.proposal.fields import Field
from predict_age.source.usual_names import PERSON_WORDS, is_named_id, words_of

MOST_REPEATED = 0.98  # of the values that differ, from which on a column is one of single rows
FEWEST_IDS = 20
FEWEST_DIFFERENT = 0.01  # of the values of an id that several rows have
SAME_PERSON_YEARS = 3  # between the ages of neighbouring rows of one person
SAME_PERSON_SPAN = 10
SAME_PERSON_SHARE = 0.9  # of such pairs of rows
FEWEST_PAIRS = 20
ROWS_IN_ORDER = 0.98  # of the rows of a column that counts them
EVEN = 4.0  # times the average number of rows that the commonest value may have, for a column with a general name
MOST_LEVELS = 12  # of ids with so few values, which are categories
_GENERAL_WORDS = frozenset(["key", "no", "nr", "num", "number", "serial", "index", "individual", "indiv", "respondent", "patient"])
_OTHER_NAMES = (  # whose ids these may be instead
    "household hh hhid hid family fam famid firm firmid company plant school schid class village commune cluster psu strata "
    "stratum site city county state region country interview int intnum order product item event visit session group team "
    "department dept father mother spouse parent sibling pair twin farm store shop branch account record row"
)
_OTHERS = frozenset(_OTHER_NAMES.split())
_CONTACT_NAMES = (
    "phone telephone mobile cell fax email mail address street iban account ssn passport telefon telefono telefone telefoon tel "
    "handy mobil natel correo adresse direccion indirizzo adres strasse straße rue calle via konto cuenta conto reisepass"
)
_CONTACT_WORDS = frozenset(_CONTACT_NAMES.split())


@dataclass(frozen=True)
class RepeatedId:
    """Column of ids that several rows have: ``people`` different ones in ``rows`` rows."""

    name: str
    people: int
    rows: int

    @property
    def sentence(self) -> str:
        """Sentence about the rows that a run does not use."""
        more = self.rows - self.people
        return (
            f"{self.people:,} in {self.rows:,} records: of each person one record counts (one with a known age first), the other "
            f"{more:,} are duplicates"
        )


def counts_rows(field: Field) -> bool:
    """Whether the values number the rows: whole numbers, each as much more, or less, than that of the row before."""
    numbers = np.array(field.numbers)
    if len(numbers) < 2 or len(numbers) < len(field.values):
        return False
    steps = np.diff(numbers)
    step = float(np.median(steps))
    return step.is_integer() and step != 0 and float((steps == step).mean()) >= ROWS_IN_ORDER


def is_of_others(name: str) -> bool:
    """Whether a column's name says that its ids are those of something else than persons: of households, firms, events."""
    return bool(_OTHERS & set(words_of(name)))


def is_contact(name: str, field: Field) -> bool:
    """Whether a column's name says that it holds addresses or numbers of single people, and most values are their own.

    Amounts do not count: the balance of an account is none of them.
    """
    own = 2 * len(field.counts) > len(field.values)
    return bool(_CONTACT_WORDS & set(words_of(name))) and own and len(field.numbers) < 0.5 * len(field.values)


def is_repeated_id(name: str, field: Field) -> bool:
    """Whether a column holds ids that several rows have: named so, whole numbers or texts without blanks, and many different ones.

    Where the name is a general one (``number``), all values have to be about as common: numbers of visits are not.
    """
    different, values = len(field.counts), max(len(field.values), 1)
    if different >= MOST_REPEATED * values or different <= MOST_LEVELS:
        return False
    whole = all(re.fullmatch(r"\d{1,19}", text) for text in field.texts[:1000])
    short = all(len(text) <= 64 and " " not in text for text in field.texts[:1000])
    if not (whole or short):
        return False
    even = max(field.counts.values()) <= EVEN * values / different and different >= max(FEWEST_IDS, FEWEST_DIFFERENT * values)
    return is_named_id(name) or (even and words_of(name)[-1:] != [] and words_of(name)[-1] in _GENERAL_WORDS)


def repeated_id(name: str, field: Field) -> RepeatedId | None:
    """The ids of a column of ids where several rows have the same; None where each row has its own."""
    return RepeatedId(name, len(field.counts), len(field.values)) if len(field.counts) < len(field.values) else None


def person_id(top: dict[str, Field], names: Sequence[str], ages: Sequence[float | None]) -> RepeatedId | None:
    """Repeated id of persons among the columns ``names``; ``ages`` (n,) of the rows tell a person from a household.

    Rows of one person have nearly the same age, or one a year older; those of a household or a firm differ.
    """
    found = []
    for position, name in enumerate(names):
        field = top.get(name)
        words = set(words_of(name))
        if field is None or len(field.values) < len(ages) * MOST_REPEATED or not is_repeated_id(name, field) or words & _OTHERS:
            continue
        if len(field.counts) < FEWEST_DIFFERENT * len(field.values):
            continue
        same = _same_person(field, ages)
        if same is False or (same is None and not words & PERSON_WORDS):
            continue
        found.append((bool(words & PERSON_WORDS), same is True, -position, name))
    if not found:
        return None
    name = max(found)[-1]
    return RepeatedId(name, len(top[name].counts), len(top[name].values))


def _same_person(field: Field, ages: Sequence[float | None]) -> bool | None:
    """Whether rows with equal values have nearly equal ages; None where too few of them have a known one.

    In the order of the rows, neighbours are a few years apart; in any order, all are within ten years.
    """
    by_id: dict[str, list[float]] = {}
    for row, text in zip(field.rows, field.texts, strict=True):
        if (age := ages[row]) is not None:
            by_id.setdefault(text, []).append(age)
    several = [known for known in by_id.values() if len(known) > 1]
    gaps = np.concatenate([np.empty(0), *(np.abs(np.diff(known)) for known in several)])
    if len(gaps) < FEWEST_PAIRS:
        return None
    in_order = float((gaps <= SAME_PERSON_YEARS).mean())
    close = float(np.mean([max(known) - min(known) <= SAME_PERSON_SPAN for known in several]))
    return max(in_order, close) >= SAME_PERSON_SHARE
