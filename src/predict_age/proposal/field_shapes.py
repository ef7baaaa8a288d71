"""Shape of a field in a profile of a source: kind, how many people have it, and values that at least 20 people share."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from predict_age.proposal.fields import Field
from predict_age.proposal.shared_numbers import inner_ends, number_in_words, shared_number
from predict_age.tally import MIN_SHOWN_PEOPLE, fold_small_counts, pooled, shown_parts

BINS = 20
MOST_VALUES = 6  # shown of a field
LONGEST_VALUE = 40  # characters
REST, _NO_VALUE, _LEFT_OUT = "\0rest", "\0missing", "\0withheld"
NUMBERS_SHARE = 0.95
DECIMAL_COMMA = "number with a decimal comma"
_YEAR = re.compile(r"(?:^|\D)((?:18|19|20)\d\d)(?:\D|$)")


@dataclass(frozen=True)
class SharedValue:
    """A value that ``people`` of them have, at least 20."""

    value: str
    people: int


@dataclass(frozen=True)
class FieldShape:
    """Distribution of a field's values, without those of fewer than 20 people.

    ``bins`` are people by equal steps from ``low`` to ``high``, the values that 19 people are below and above, with as many digits
    as 20 people share; neighbouring steps share their mean where they have fewer than 20. ``values`` are the commonest ones,
    ``others`` people have other values.
    """

    bins: list[float]
    low: str
    middle: str
    high: str
    values: list[SharedValue]
    others: int


NO_SHAPE = FieldShape([], "", "", "", [], 0)


def kind_of(field: Field) -> str:
    """Kind of a field's values in words."""
    if field.lengths:
        return "list"
    if field.is_boolean:
        return "true or false"
    if field.is_iso_date or field.date_formats or field.written_dates:
        return "date"
    if field.has_decimal_comma:
        return DECIMAL_COMMA
    if field.values and len(field.numbers) >= NUMBERS_SHARE * len(field.values):
        return "whole number" if all(n.is_integer() for n in field.numbers) else "number"
    return "text"


def shape_of(field: Field, kind: str, missing: int = 0, withheld: int = 0) -> FieldShape:
    """Shape of a field of this ``kind``: steps for numbers, dates and lists of many values, else the commonest values.

    ``missing`` people have no value and ``withheld`` are left out: neither number follows from the shape where it is below 20.
    """
    absent = {_NO_VALUE: missing, _LEFT_OUT: withheld}
    if kind in ("list", "whole number", "number", "date", DECIMAL_COMMA):
        numbers = _numbers(field, kind)
        if len(set(numbers)) > MOST_VALUES and (shape := _in_steps(numbers, kind, absent)) is not None:
            return shape
        texts = field.texts if kind == DECIMAL_COMMA else [f"{n:g}" for n in numbers]
    else:
        texts = field.texts
    return _by_value(texts, absent)


def _numbers(field: Field, kind: str) -> list[float]:
    if kind == "list":
        return [float(n) for n in field.lengths]
    if kind == "date":
        return [float(found[1]) for text in field.texts if (found := _YEAR.search(text))]
    return field.comma_numbers if kind == DECIMAL_COMMA else field.numbers


def _in_steps(numbers: Sequence[float], kind: str, absent: Mapping[str, int]) -> FieldShape | None:
    """Steps between the 20th lowest and the 20th highest number; None where these are the same, or there are too few."""
    if len(numbers) < 2 * MIN_SHOWN_PEOPLE:
        return None
    low, high = inner_ends(numbers)
    if not (math.isfinite(high - low) and high > low):
        return None
    whole = kind not in ("number", DECIMAL_COMMA) and high - low < BINS
    steps = round(high - low) + 1 if whole else BINS
    width = (high - low + 1) / steps if whole else (high - low) / steps
    counts = [0] * steps
    for n in numbers:
        counts[max(0, min(int((n - low) / width), steps - 1))] += 1
    share = shown_parts({"": len(numbers), **absent})[""] / len(numbers)
    heights = [round(height * share, 2) for height in pooled(counts)]
    low_text, middle, high_text = (number_in_words(shared_number(n, numbers)) for n in (low, median(numbers), high))
    return FieldShape(heights, low_text, middle, high_text, [], 0)


def _by_value(texts: Sequence[str], absent: Mapping[str, int]) -> FieldShape:
    shown = shown_parts({**fold_small_counts(Counter(texts), REST), **absent})
    folded = {value: people for value, people in shown.items() if value not in absent}
    others = folded.pop(REST, 0)
    ordered = sorted(folded.items(), key=lambda item: (-item[1], item[0]))
    others += sum(people for _, people in ordered[MOST_VALUES:])
    short = [SharedValue(t if len(t) <= LONGEST_VALUE else t[: LONGEST_VALUE - 1] + "…", n) for t, n in ordered[:MOST_VALUES]]
    return FieldShape([], "", "", "", short, others)
