"""Features that kernels can extract from plain profiles: the path of each, and how a value's text becomes a number."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass, field

import numpy as np

from predict_age.features.spec import Count, Date, Feature, ListFlags, Number, Ratio, Sql, TextWords, parse_path
from predict_age.features.text_values import Value, automaton_of, text_converter
from predict_age.kernels.value_cache import LIST_LENGTH, LOOKED_UP, PLAIN_DATE, PLAIN_NUMBER, RULES, RuleTables

_PLAIN_KEY = re.compile(r"[\w -]+")


def fixed_path(feature: Feature) -> list[str | int] | None:
    """The feature's path when kernels can follow it: a kind that they read, neither wildcards nor negative items; else None."""
    if isinstance(feature, Sql | ListFlags | TextWords | Ratio):
        return None
    steps = parse_path(feature.path)
    followed = all((isinstance(s, int) and s >= 0) or (isinstance(s, str) and s != "*" and _PLAIN_KEY.fullmatch(s)) for s in steps)
    return steps if followed else None


def minimal_profile(steps: list[str | int], value: str) -> str:
    """The smallest profile with the JSON text ``value`` at the path ``steps``."""
    for step in reversed(steps):
        value = (
            "{" + json.dumps(step, ensure_ascii=False) + ":" + value + "}"
            if isinstance(step, str)
            else "[" + "null," * step + value + "]"
        )
    return value


@dataclass
class FastColumn:
    """One feature: the slot of its path, its limits, and the numbers of a category's values."""

    name: str
    feature: Feature
    steps: list[str | int]
    slot: int
    as_of: dt.date
    values: dict[str, int] = field(default_factory=dict)
    waiting: dict[bytes, float] = field(default_factory=dict)  # converted texts that are not in the cache yet

    def __post_init__(self) -> None:
        self.decide = text_converter(self.feature, self.as_of)
        kind = self.feature
        plain = isinstance(kind, Number) and kind.decimal == "."
        self.automaton = automaton_of(kind)
        self.kind = PLAIN_NUMBER if plain else LIST_LENGTH if isinstance(kind, Count) else LOOKED_UP
        self.kind = PLAIN_DATE if isinstance(kind, Date) else RULES if self.automaton is not None else self.kind
        if isinstance(kind, Number) and plain:
            self.limits = np.array([kind.scale, kind.min, kind.max, kind.outside == "clip"], np.float64)
        elif isinstance(kind, Count):
            self.limits = np.array([1, kind.min, kind.max, True], np.float64)
        elif isinstance(kind, Date):
            self.limits = np.array([1, kind.min, kind.max, False], np.float64)
        else:
            self.limits = np.zeros(4)

    def number(self, value: Value) -> float:
        """The number that stands for a value from SQL: a category's values are numbered in order of appearance; NaN = missing."""
        if value is None:
            return np.nan
        return float(self.values.setdefault(value, len(self.values))) if isinstance(value, str) else value


def rule_tables(columns: list[FastColumn], as_of: dt.date) -> RuleTables:
    """The tables of all ``columns`` whose dates or rules kernels work out."""
    groups, moves, outcomes = [np.zeros((1, 128), np.uint8)], [np.zeros(1, np.int32)], [np.zeros(1)]
    places = np.zeros((len(columns), 4), np.int64)
    for number, column in enumerate(columns):
        made = column.automaton
        if made is not None:
            places[number] = len(groups), sum(map(len, moves)), sum(map(len, outcomes)), made.moves.shape[1]
            groups.append(made.groups[np.newaxis])
            moves.append(made.moves.ravel().astype(np.int32))
            outcomes.append(made.values)
    today = np.array([as_of.year, as_of.month, as_of.day], np.int64)
    return RuleTables(today, places, np.concatenate(groups), np.concatenate(moves), np.concatenate(outcomes))
