"""Whether the first line of a CSV file is a record rather than a line of names: then nothing of it may be shown.

A table refused for its honest header cannot be used, so that the line counts as a header wherever something speaks for it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from predict_age.errors import InputError
from predict_age.source.usual_names import is_usual_name

LEAST_SHARE = 0.5  # of the names that are values of their columns
FEWEST_NAMES = 2
ONE_KIND = 0.98  # of the values of a column, for it to have one kind
SAME_FORM = 0.5  # of the values that have the form of the name
FEWEST_DIGITS = 3  # of a name that has the form of the values
NEW_WORD = 0.1  # share of values that occur once, up to which a word that occurs in no record is a name
NEW_NUMBER = 0.02  # the same for numbers and codes
YEARS = range(1900, 2101)
STEM_SHARE = 0.6  # of the names that are one stem with numbers
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?")
_KINDS = (
    ("number", _NUMBER),
    ("mail", re.compile(r"[^@\s]+@[^@\s]+\.\w+")),
    ("date", re.compile(r"\d{4}-\d\d-\d\d.*|\d{1,2}[./]\d{1,2}[./]\d{2,4}", re.DOTALL)),
    ("JSON", re.compile(r"\s*[\[{].*", re.DOTALL)),
    ("code", re.compile(r".*\d.*", re.DOTALL)),
)
_MISSING = frozenset(["", "na", "n/a", "nan", "null", "none", "nil", "-", ".", "?", "\\n", "unknown", "true", "false"])
_STEM = re.compile(r"(.*[^\d\W].*?)[ _.-]?\d+[a-z]?", re.IGNORECASE)


def is_record(names: Sequence[str], records: Sequence[Sequence[str]]) -> bool:
    """Whether the ``names`` are nearly certainly values of their columns in the first ``records``.

    A value occurs again in its column, has the form of most values there, or is a number near their range, an e-mail address or a
    date among others. A line is one of names where one of them is a usual name of a column, is of another kind than the values
    below it (``pid`` over numbers), or occurs in no record of a column whose values all recur; where names are one stem with
    numbers (``q1``, ``q2``); and where numbers rise over columns of one range (``1990``, ``1991``; ``10``, ``25``, ``75``).
    """
    if len(names) > 1:  # files put together have the header again
        records = [record for record in records if list(record) != list(names)]
    filled = [at for at, name in enumerate(names) if name.strip().casefold() not in _MISSING]
    columns = [[v for r in records if at < len(r) and (v := r[at].strip()).casefold() not in _MISSING] for at in filled]
    texts = [names[at].strip() for at in filled]
    if any(map(is_usual_name, texts)) or _are_numbered(texts) or count_on(texts) or _rise(texts, columns):
        return False
    if any(_is_foreign(text, column) for text, column in zip(texts, columns, strict=True)):
        return False
    hits = sum(_is_value(text, column) for text, column in zip(texts, columns, strict=True))
    return hits >= max(1, min(FEWEST_NAMES, len(filled)), LEAST_SHARE * len(filled))


def _are_numbered(names: Sequence[str]) -> bool:
    """Whether most names are one stem with different numbers: of questions, items, sensors."""
    stems = Counter(match[1].casefold() for name in names if (match := _STEM.fullmatch(name)))
    most = max(stems.values(), default=0)
    return most >= max(FEWEST_NAMES, STEM_SHARE * len(names)) and len(set(names)) == len(names)


def count_on(names: Sequence[str]) -> bool:
    """Whether those names that are numbers are years in their order, or go on by one step: ``0``, ``5``, ``10``."""
    heads = [_number(name) for name in names if _NUMBER.fullmatch(name)]
    steps = [later - earlier for earlier, later in pairwise(heads)]
    if set(steps) == {1.0} or (len(steps) > 1 and len(set(steps)) == 1 and steps[0]):
        return True
    return len(steps) > 1 and _is_ordered(heads) and all(head.is_integer() and head in YEARS for head in heads)


def _rise(names: Sequence[str], columns: Sequence[Sequence[str]]) -> bool:
    """Whether those names that are numbers rise or fall over columns whose values have one range."""
    pairs = [pair for pair in zip(names, columns, strict=True) if _NUMBER.fullmatch(pair[0])]
    values = [[_number(v) for v in column if _NUMBER.fullmatch(v)] for _, column in pairs]
    values = [numbers for numbers in values if numbers]
    one_range = all(min(one) <= median(other) <= max(one) for one in values for other in values)
    return len(pairs) >= FEWEST_NAMES and _is_ordered([_number(name) for name, _ in pairs]) and one_range


def _is_ordered(numbers: Sequence[float]) -> bool:
    steps = [later - earlier for earlier, later in pairwise(numbers)]
    return min(steps) > 0 or max(steps) < 0


def _is_foreign(name: str, column: Sequence[str]) -> bool:
    """Whether a ``name`` can hardly be a value: it is of another kind than they are, or new where nothing else is new.

    The share of values that occur once estimates how often the next value is a new one (Good and Turing).
    """
    if not column:
        return False
    kinds = Counter(map(_kind, column))
    kind, most = kinds.most_common(1)[0]
    if most >= ONE_KIND * len(column) and _kind(name) != kind:
        return True
    counts = Counter(column)
    new = sum(times == 1 for times in counts.values()) / len(column)
    return name not in counts and new < (NEW_WORD if _kind(name) == "word" else NEW_NUMBER)


def _is_value(name: str, column: Sequence[str]) -> bool:
    if name in column or _kind(name) in ("mail", "JSON"):
        return True
    kind = _kind(name)
    same = [value for value in column if _kind(value) == kind]
    if kind == "word" or len(same) <= SAME_FORM * len(column):
        return False
    if kind == "number":
        low, high = min(map(_number, same)), max(map(_number, same))
        return 2 * low - high <= _number(name) <= 2 * high - low
    enough = sum(map(str.isdigit, name)) >= FEWEST_DIGITS
    return kind == "date" or (enough and sum(_form(value) == _form(name) for value in same) > SAME_FORM * len(column))


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
