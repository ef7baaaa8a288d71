"""Whether the first line of a CSV file is a record rather than a line of names: then nothing of it may be shown.

A table refused for its honest header cannot be used, so that the line counts as a header wherever something speaks for it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from itertools import pairwise
from math import log
from statistics import median

from predict_age.errors import InputError
from predict_age.source.usual_names import is_usual_name

LEAST_SHARE = 0.4  # of the names that are values of their columns
FEWEST_NAMES = 2
LEAST_GOING_ON = 3  # numbers or dates, by one step: two do by chance
FEWEST_RISING = 4
SHORT_STEPS = ((0, 1), (0, 7), (1, 0), (12, 0))  # months and days between two dates that go on; more dates may have any step
SAME_FORM = 0.5  # of the values that have the form of the name
FEWEST_DIGITS, LONG_NAME = 3, 6  # digits, or characters, of a name that has the form of the values
SAME_LENGTH, LONG_CODE = 0.9, 8  # share of values, and characters, of codes of one length
OTHER_KINDS = 0.02  # values of another kind that a column has beyond those that were seen
RARE = 0.05  # probability of a record with such values, below which they are names
TRUSTED_WORD, TRUSTED_NUMBER = 2.0, 0.4  # how much a new word, or number, of a column says, beside a value of another kind
YEARS = range(1900, 2101)
STEM_SHARE = 0.6  # of the names that are one stem with numbers
LONGEST_DATE = 10  # characters
DATE_FORMS = ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y%m%d")
_WORD = re.compile(r"[^\W_]{2,}")
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?")
_KINDS = (
    ("number", _NUMBER),
    ("mail", re.compile(r"[^@\s]+@[^@\s]+\.\w+")),
    ("date", re.compile(r"\d{4}-\d\d-\d\d.*|\d{1,2}[./]\d{1,2}[./]\d{2,4}", re.DOTALL)),
    ("JSON", re.compile(r"\s*[\[{].*", re.DOTALL)),
    ("code", re.compile(r".*\d.*", re.DOTALL)),
)
_MISSING = frozenset(["", "na", "n/a", "nan", "null", "none", "nil", "-", ".", "?", "\\n", "unknown", "true", "false"])


class FirstLine(Enum):
    """Contents of the first line of a CSV file, as far as its values and the records below it tell."""

    NAMES = "names"
    RECORD = "record"
    DOUBTFUL = "doubtful"  # too little speaks for a record, and nothing for names


def classify_first_line(names: Sequence[str], records: Sequence[Sequence[str]]) -> FirstLine:
    """Classify ``names`` as values of their columns in the first ``records`` (nearly certainly so), names, or a doubt.

    A value occurs again in its column, or a word of it does; it has the form of most values there, or is a number near their range,
    an e-mail address or a date among others. A line is one of names where one of them is a usual name of a column, is of another
    kind than the values below it (``pid`` over numbers), or occurs in no record of a column whose values all recur; where names
    are one stem with numbers (``q1``, ``q2``); where numbers rise over columns of one range (``10``, ``25``, ``75``,
    ``95``); and where numbers or dates go on by one step.
    """
    if len(names) > 1:  # files put together have the header again
        records = [record for record in records if list(record) != list(names)]
    filled = [at for at, name in enumerate(names) if name.strip().casefold() not in _MISSING]
    columns = [[v for r in records if at < len(r) and (v := r[at].strip()).casefold() not in _MISSING] for at in filled]
    texts = [names[at].strip() for at in filled]
    if any(map(is_usual_name, texts)) or _are_numbered(texts) or count_on(texts) or _rise(texts, columns):
        return FirstLine.NAMES
    if _are_foreign([_chance(text, column) for text, column in zip(texts, columns, strict=True)]):
        return FirstLine.NAMES
    if _dates_go_on(texts):
        return FirstLine.DOUBTFUL
    hits = sum(_is_value(text, column) for text, column in zip(texts, columns, strict=True))
    return FirstLine.RECORD if hits >= max(1, min(FEWEST_NAMES, len(filled)), LEAST_SHARE * len(filled)) else FirstLine.DOUBTFUL


def is_record(names: Sequence[str], records: Sequence[Sequence[str]]) -> bool:
    """Whether the ``names`` are nearly certainly values of their columns in the first ``records``."""
    return classify_first_line(names, records) is FirstLine.RECORD


def _are_numbered(names: Sequence[str]) -> bool:
    """Whether most names are one stem with different numbers: of questions, items, sensors."""
    stems = Counter(stem.casefold() for name in names if (stem := _stem(name)))
    most = max(stems.values(), default=0)
    return most >= max(FEWEST_NAMES, STEM_SHARE * len(names)) and len(set(names)) == len(names)


def _stem(name: str) -> str:
    """The part of a name before its number: ``Q`` of ``Q01a``; empty where it has no number or no letter before it."""
    numbered = name[:-1] if name[-1:].isalpha() else name
    stem = numbered.rstrip("0123456789")
    if stem == numbered or not any(c.isalpha() or c == "_" for c in stem):
        return ""
    return stem[:-1] if stem[-1] in " _.-" and len(stem) > 1 else stem


def count_on(names: Sequence[str]) -> bool:
    """Whether those names that are numbers are years in their order, or go on by one step: ``0``, ``5``, ``10``."""
    heads = [_number(name) for name in names if _NUMBER.fullmatch(name)]
    if _dates_go_on(names, LEAST_GOING_ON):
        return True
    if len(heads) < LEAST_GOING_ON:
        return False
    steps = {later - earlier for earlier, later in pairwise(heads)}
    if len(steps) == 1 and steps != {0.0}:
        return True
    return _is_ordered(heads) and all(head.is_integer() and head in YEARS for head in heads)


def _dates_go_on(names: Sequence[str], least: int = 2) -> bool:
    """Whether all of at least so many ``names`` that are dates rise by one step, of days or of whole months."""
    dates = [date for name in names if (date := _date(name))]
    if len(dates) < max(2, least) or 2 * len(dates) <= len(names):
        return False
    months = {(12 * (later.year - one.year) + later.month - one.month, later.day - one.day) for one, later in pairwise(dates)}
    days = {(0, (later - one).days) for one, later in pairwise(dates)}
    if len(dates) == 2:
        return bool((months | days) & set(SHORT_STEPS))
    return any(len(steps) == 1 and min(steps) > (0, 0) for steps in (months, days))


def _date(text: str) -> dt.date | None:
    for pattern in DATE_FORMS if len(text) <= LONGEST_DATE else ():
        with suppress(ValueError):
            return dt.datetime.strptime(text, pattern).date()
    return None


def _rise(names: Sequence[str], columns: Sequence[Sequence[str]]) -> bool:
    """Whether those names that are numbers rise or fall over columns whose values have one range."""
    pairs = [pair for pair in zip(names, columns, strict=True) if _NUMBER.fullmatch(pair[0])]
    values = [[_number(v) for v in column if _NUMBER.fullmatch(v)] for _, column in pairs]
    values = [numbers for numbers in values if numbers]
    one_range = all(min(one) <= median(other) <= max(one) for one in values for other in values)
    return len(pairs) >= FEWEST_RISING and _is_ordered([_number(name) for name, _ in pairs]) and one_range


def _is_ordered(numbers: Sequence[float]) -> bool:
    steps = [later - earlier for earlier, later in pairwise(numbers)]
    return min(steps) > 0 or max(steps) < 0


def _are_foreign(chances: Sequence[float]) -> bool:
    """Whether a record hardly has values of these ``chances``: a single one that is rare enough, or several.

    At least k of m values have a chance of at most x with a probability of at most (e m x / k)^k.
    """
    many = len(chances)
    below = [
        k * (1 + log(many * chance / k)) if k > 1 else log(many * chance)  # logarithms: of hundreds of columns a power is too large
        for k, chance in enumerate(sorted(chances), start=1)
    ]
    return min(below, default=0.0) < log(RARE)


def _chance(name: str, column: Sequence[str]) -> float:
    """Probability that a value of a ``column`` is like the ``name``: of a kind that others have, or new as it is.

    The share of values that occur once estimates how often the next value is a new one (Good and Turing).
    """
    if not column:
        return 1.0
    kinds = Counter(map(_kind, column))
    mine, rows = _kind(name), len(column)
    of_kind = 1.0 if mine == kinds.most_common(1)[0][0] else (kinds[mine] + OTHER_KINDS) / (rows + OTHER_KINDS)
    counts = Counter(column)
    if name in counts:
        return of_kind
    new = (sum(times == 1 for times in counts.values()) + 1) / (rows + 1)
    return min(1.0, of_kind, new / (TRUSTED_WORD if mine == "word" else TRUSTED_NUMBER))


def _is_value(name: str, column: Sequence[str]) -> bool:
    kind = _kind(name)
    if name in column or kind in ("mail", "JSON"):
        return True
    if (words := _words(name)) and len(words) > 1:
        others = set().union(*map(_words, column))
        if 2 * len(words & others) >= len(words):
            return True
    same = [value for value in column if _kind(value) == kind]
    if kind == "word" or len(same) <= SAME_FORM * len(column):
        return False
    if kind == "number":
        low, high = min(map(_number, same)), max(map(_number, same))
        return 2 * low - high <= _number(name) <= 2 * high - low
    digits = sum(map(str.isdigit, name))
    if digits >= FEWEST_DIGITS and len(name) >= LONG_CODE and sum(len(v) == len(name) for v in column) >= SAME_LENGTH * len(column):
        return True
    alike = [len(value) for value in same if _form(value) == _form(name)]
    enough = digits >= FEWEST_DIGITS or len(name) >= LONG_NAME
    return kind == "date" or (enough and len(alike) > SAME_FORM * len(column) and min(alike) - 1 <= len(name) <= max(alike) + 1)


def _words(value: str) -> set[str]:
    """Words and numbers of more than one character in a value."""
    return set(_WORD.findall(value.casefold()))


def _kind(value: str) -> str:
    return next((kind for kind, pattern in _KINDS if pattern.fullmatch(value)), "word")


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def _form(value: str) -> str:
    """Form of a value whatever its length: ``S-000123`` is ``a-9``."""
    return re.sub(r"9+", "9", re.sub(r"[^\W\d_]+", "a", re.sub(r"\d", "9", value)))


def no_header(path: str) -> InputError:
    """The error of a file without names of columns, which shows no value of its first record."""
    return InputError(
        f"{path} seems to have no header: its first line looks like a record",
        expected="names of columns in the first line",
        found="values like those of the records below it",
        fix="write a line with a name for each column above it; if these are names already, call the column of ids pid",
    )
