"""Shape of a field in a profile of a source: kind, how many people have it, and values that at least 20 people share."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from predict_age.proposal.fields import Field
from predict_age.tally import MIN_SHOWN_PEOPLE, fold_small_counts, pooled

BINS = 20
MOST_VALUES = 6  # shown of a field
LONGEST_VALUE = 40  # characters
MOST_EXACT = 10_000  # from which on a number that few people share is shown with three digits
REST = "\0rest"
NUMBERS_SHARE = 0.95
_YEAR = re.compile(r"(?:^|\D)((?:18|19|20)\d\d)(?:\D|$)")


@dataclass(frozen=True)
class SharedValue:
    """A value that ``people`` of them have, at least 20."""

    value: str
    people: int


@dataclass(frozen=True)
class FieldShape:
    """Distribution of a field's values, without those of fewer than 20 people.

    ``bins`` are people by equal steps from ``low`` to ``high``, the values that 19 people are below and above; neighbouring steps
    share their mean where they have fewer than 20. ``values`` are the commonest ones, ``others`` people have other values.
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
    if field.is_iso_date or field.date_format:
        return "date"
    if field.has_decimal_comma:
        return "number with a decimal comma"
    if field.values and len(field.numbers) >= NUMBERS_SHARE * len(field.values):
        return "whole number" if all(n.is_integer() for n in field.numbers) else "number"
    return "text"


def shape_of(field: Field, kind: str) -> FieldShape:
    """Shape of a field of this ``kind``: steps for numbers, dates and lists of many values, else the commonest values."""
    if kind in ("list", "whole number", "number", "date"):
        numbers = _numbers(field, kind)
        if len(set(numbers)) > MOST_VALUES and (shape := _in_steps(numbers, kind)) is not None:
            return shape
        texts = [f"{n:g}" for n in numbers]
    else:
        texts = field.texts
    return _by_value(texts)


def _numbers(field: Field, kind: str) -> list[float]:
    if kind == "list":
        return [float(n) for n in field.lengths]
    if kind == "date":
        return [float(found[1]) for text in field.texts if (found := _YEAR.search(text))]
    return field.numbers


def _in_steps(numbers: Sequence[float], kind: str) -> FieldShape | None:
    """Steps between the 20th lowest and the 20th highest number; None where these are the same, or there are too few."""
    if len(numbers) < 2 * MIN_SHOWN_PEOPLE:
        return None
    ordered = sorted(numbers)
    low, high = ordered[MIN_SHOWN_PEOPLE - 1], ordered[-MIN_SHOWN_PEOPLE]
    if not (math.isfinite(high - low) and high > low):
        return None
    whole = kind != "number" and high - low < BINS
    steps = round(high - low) + 1 if whole else BINS
    width = (high - low + 1) / steps if whole else (high - low) / steps
    counts = [0] * steps
    for n in ordered:
        counts[max(0, min(int((n - low) / width), steps - 1))] += 1
    middle = median(ordered)
    heights = [round(height, 2) for height in pooled(counts)]
    return FieldShape(heights, _shown(low), _shown(middle), _shown(high), [], 0)


def _shown(number: float) -> str:
    """A number of few people: whole ones below 10,000 as they are, others with three digits."""
    if number.is_integer() and abs(number) < MOST_EXACT:
        return f"{number:.0f}"
    rounded = float(f"{number:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 1000 else f"{rounded:g}"


def _by_value(texts: Sequence[str]) -> FieldShape:
    counts: dict[str, int] = {}
    for text in texts:
        counts[text] = counts.get(text, 0) + 1
    folded = fold_small_counts(counts, REST)
    others = folded.pop(REST, 0)
    ordered = sorted(folded.items(), key=lambda item: (-item[1], item[0]))
    others += sum(people for _, people in ordered[MOST_VALUES:])
    short = [SharedValue(t if len(t) <= LONGEST_VALUE else t[: LONGEST_VALUE - 1] + "…", n) for t, n in ordered[:MOST_VALUES]]
    return FieldShape([], "", "", "", short, others)
