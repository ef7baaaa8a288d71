"""Readings of a column: all forms in which its values may hold the age, such as four digits inside an id.

A model reads a number as it is and a text as a whole or by its words. A feature that hides the year of birth in its middle gives it
away all the same, as soon as somebody extracts it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from predict_age.arrays import Float64Array

MAX_DIGITS = 14  # positions of the digits of a text that are read
MAX_AFFIX = 4  # letters at either end
MIN_LONG_NUMBER = 10_000.0  # whole numbers from here on may be made of parts, such as a day, a month and a year
MAX_EXACT_WHOLE = 2.0**53
_YEAR = re.compile(r"(?:19|20)\d\d")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Reading:
    """One reading of a column: ``values`` (n,), NaN where it gives nothing.

    ``part``: what was read, "" for the whole values; ``ordered``: whether near values may mean near ages.
    """

    part: str
    values: Float64Array
    ordered: bool = True


def plain_reading(column: pa.ChunkedArray) -> Reading | None:
    """Values of a column without NULL: numbers as they are, texts by their place in the alphabet; None for other types."""
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return Reading("", column.to_numpy().astype(np.float64))
    texts = _texts(column)
    return Reading("", _codes(texts)) if texts is not None else None


def read_part(column: pa.ChunkedArray, part: str) -> Reading | None:
    """The reading of a column without NULL that is called ``part``; None where its values give none."""
    if not part:
        return plain_reading(column)
    return next((reading for reading in partial_readings(column) if reading.part == part), None)


def partial_readings(column: pa.ChunkedArray) -> Iterator[Reading]:
    """Readings of parts of the values of a column without NULL."""
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        values = column.to_numpy().astype(np.float64)
        long = (np.abs(values) >= MIN_LONG_NUMBER) & (values == np.floor(values)) & (np.abs(values) < MAX_EXACT_WHOLE)
        if long.mean() > 0.5:
            yield from _digits([str(int(v)) if use else "" for v, use in zip(np.abs(values), long, strict=True)])
        return
    texts = _texts(column)
    if texts is None:
        return
    yield from _digits(texts)
    words = [_WORD.findall(text) for text in texts]
    for place in (0, 1, 2, -1):
        yield Reading(f"word {place + 1 if place >= 0 else 'at the end'}", _codes([_at(w, place) for w in words]), ordered=False)
    for letters in range(1, MAX_AFFIX + 1):
        count = "letter" if letters == 1 else f"{letters} letters"
        yield Reading(f"the first {count}", _codes([text[:letters] for text in texts]), ordered=False)
        yield Reading(f"the last {count}", _codes([text[-letters:] for text in texts]), ordered=False)


def _texts(column: pa.ChunkedArray) -> list[str] | None:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return column.to_pylist() if pa.types.is_string(kind) or pa.types.is_large_string(kind) else None


def _at(items: Sequence[str], place: int) -> str:
    return items[place] if -len(items) <= place < len(items) else ""


def _codes(texts: Sequence[str]) -> Float64Array:
    """Rank of each text in the alphabet; NaN for an empty one."""
    array = np.array(texts, dtype=np.str_)
    codes = np.unique(array, return_inverse=True)[1].astype(np.float64)
    codes[array == ""] = np.nan
    return codes


def _numbers(texts: Sequence[str]) -> Float64Array:
    return np.array([float(t) if t else np.nan for t in texts])


def _digits(texts: Sequence[str]) -> Iterator[Reading]:
    """Numbers inside the texts: the years, the first and the last number, and two or four digits at each place from either end."""
    years = [_YEAR.findall(text) for text in texts]
    runs = [re.findall(r"[0-9]{1,15}", text) for text in texts]
    for place, name in ((0, "first"), (-1, "last")):
        yield Reading(f"the {name} year", _numbers([_at(y, place) for y in years]))
        yield Reading(f"the {name} number", _numbers([_at(r, place) for r in runs]))
    digits = ["".join(run) for run in runs]
    longest = min(max((len(d) for d in digits), default=0), MAX_DIGITS)
    for size in (2, 4):
        for start in range(longest - size + 1):
            part = [d[start : start + size] if len(d) >= start + size else "" for d in digits]
            yield Reading(f"digits {start + 1} to {start + size}", _numbers(part))
            part = [d[len(d) - start - size : len(d) - start] if len(d) >= start + size else "" for d in digits]
            yield Reading(f"digits {start + 1} to {start + size} from the end", _numbers(part))
