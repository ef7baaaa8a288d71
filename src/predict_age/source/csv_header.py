"""Whether the first line of a CSV file is a record rather than a line of names: then nothing of it may be shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from predict_age.errors import InputError

LEAST_SHARE = 0.5  # of the names that look like values of their columns
FEWEST_NAMES = 2
SAME_FORM = 0.5  # of the values that have the form of the name
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?")
_ALWAYS_VALUES = re.compile(r"[^@\s]+@[^@\s]+\.\w+|\d{4}-\d\d-\d\d.*|\d{1,2}[./]\d{1,2}[./]\d{4}|\s*[\[{].*", re.DOTALL)


def is_record(names: Sequence[str], records: Sequence[Sequence[str]]) -> bool:
    """Whether most of the ``names`` look like values of their columns in ``records``, and none counts them.

    A value occurs again in its column, or has the form of most values there (digits, letters and what is between them), or is a
    number near their range, an e-mail address or a date. Names that count on (``1990``, ``1991``; ``0``, ``1``) are names.
    """
    filled = [at for at, name in enumerate(names) if name.strip()]
    numbers = [float(names[at].replace(",", ".")) for at in filled if _NUMBER.fullmatch(names[at].strip())]
    steps = {later - earlier for earlier, later in pairwise(numbers)}
    if steps == {1.0} or (len(numbers) > FEWEST_NAMES and len(steps) == 1):
        return False
    columns = [[record[at].strip() for record in records if at < len(record) and record[at].strip()] for at in filled]
    hits = sum(_is_value(names[at].strip(), column) for at, column in zip(filled, columns, strict=True))
    return hits >= max(1, min(FEWEST_NAMES, len(filled)), LEAST_SHARE * len(filled))


def _is_value(name: str, column: Sequence[str]) -> bool:
    if name in column or _ALWAYS_VALUES.fullmatch(name):
        return True
    if _NUMBER.fullmatch(name):
        numbers = [float(value.replace(",", ".")) for value in column if _NUMBER.fullmatch(value)]
        if len(numbers) <= SAME_FORM * len(column):
            return False
        low, high = min(numbers), max(numbers)
        return 2 * low - high <= float(name.replace(",", ".")) <= 2 * high - low
    if not any(c.isdigit() for c in name):
        return False
    return sum(_form(value) == _form(name) for value in column) > SAME_FORM * len(column)


def _form(value: str) -> str:
    """Form of a value whatever its length: ``S-000123`` is ``A-9``."""
    return re.sub(r"9+", "9", re.sub(r"[^\W\d_]+", "a", re.sub(r"\d", "9", value)))


def no_header(path: str) -> InputError:
    """The error of a file without names of columns, which shows no value of its first record."""
    return InputError(
        f"{path} seems to have no header: its first line looks like a record",
        expected="names of columns in the first line",
        found="values like those of the records below it",
        fix="write a first line with a name for each column; if these are names, rename those that look like values",
    )
