"""Features of plain JSON profiles by kernels: the values are found in the text, and what a value means is asked of DuckDB once.

Every value that is no plain number is looked up in a memo by its text. What is new there goes, alone in a small profile of its
own, through the feature's SQL, so that it means here exactly what it means there. Profiles that are not plain are left to the
SQL as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.features.spec import Category, Count, Feature, FeatureSet, Number, Sql, parse_path
from predict_age.kernels.json_scanner import JsonScan, PathTree
from predict_age.kernels.value_cache import LIST_LENGTH, LOOKED_UP, PLAIN_NUMBER, ValueCache
from predict_age.source.row_group_reader import text_buffers

SCAN_CHUNK_ROWS = 1024  # rows: their text stays in the processor's cache while it is read a second time
_PLAIN_KEY = re.compile(r"[\w -]+")
Converter = Callable[[list[str], list[str]], dict[str, list[float | str | None]]]  # values of features for profiles, by their SQL
MAX_SHARED_TEXTS = 300  # new texts of a feature: they may as well go through the SQL of others; statements are what takes the time


def fixed_path(feature: Feature) -> list[str | int] | None:
    """The path of a feature when it leads to one place in the text, counted from the front; None when only SQL can follow it."""
    if isinstance(feature, Sql):
        return None
    steps = parse_path(feature.path)
    followed = all((isinstance(s, int) and s >= 0) or (isinstance(s, str) and s != "*" and _PLAIN_KEY.fullmatch(s)) for s in steps)
    return steps if followed else None


def minimal_profile(steps: list[str | int], value: str) -> str:
    """The smallest profile that has the JSON text ``value`` at the path."""
    for step in reversed(steps):
        value = (
            "{" + json.dumps(step, ensure_ascii=False) + ":" + value + "}"
            if isinstance(step, str)
            else "[" + "null," * step + value + "]"
        )
    return value


@dataclass
class _Column:
    """One feature: where its value is, and for a category the values that numbers stand for."""

    name: str
    feature: Feature
    steps: list[str | int]
    slot: int
    values: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kind = self.feature
        self.kind = PLAIN_NUMBER if isinstance(kind, Number) else LIST_LENGTH if isinstance(kind, Count) else LOOKED_UP
        if isinstance(kind, Number):
            self.limits = np.array([kind.scale, kind.min, kind.max, kind.outside == "clip"], np.float64)
        elif isinstance(kind, Count):
            self.limits = np.array([1, kind.min, kind.max, True], np.float64)
        else:
            self.limits = np.zeros(4)

    def number(self, value: float | str | None) -> float:
        """What stands for a value that SQL has made: for one of a category, its number; NaN = missing."""
        if value is None:
            return np.nan
        return float(self.values.setdefault(value, len(self.values))) if isinstance(value, str) else value


class FastPath:
    """The features of a set that kernels can read; ``others`` are left to SQL. One for a process: it remembers what texts mean."""

    def __init__(self, features: FeatureSet) -> None:
        paths: list[list[str | int]] = []
        self.columns: list[_Column] = []
        for name, feature in features.features.items():
            steps = fixed_path(feature)
            if steps is not None:
                if steps not in paths:
                    paths.append(steps)
                self.columns.append(_Column(name, feature, steps, paths.index(steps)))
        self.paths = PathTree(paths)
        self.memo = ValueCache(len(self.columns))
        self._slots, self._kinds = (np.array([getattr(c, n) for c in self.columns], np.int64) for n in ("slot", "kind"))
        self._limits = np.array([c.limits for c in self.columns]).reshape(-1, 4)
        mine = {c.name for c in self.columns}
        self.others = [n for n in features.names if n not in mine]

    def renew(self) -> None:
        """Forget what is too much: before anything is read, because numbers of values change."""
        full = [number for number in range(len(self.columns)) if self.memo.full(number)]
        if full:
            self.memo.forget(full)
        for number in full:
            self.columns[number].values.clear()

    def read(self, tokens: JsonScan, block: slice, out: NDArray[np.float64]) -> NDArray[np.int64]:
        """Fill ``out`` (columns, rows of ``block``) with numbers, for a category that of its value; NaN = missing or not plain.

        Returns columns and rows (k, 2), counted from the first of the block, whose text is not known yet.
        """
        starts, ends, counts = tokens.starts[block], tokens.ends[block], tokens.counts[block]
        return self.memo.read(tokens.data, starts, ends, counts, tokens.plain[block], self._slots, self._kinds, self._limits, out)

    def reading(self, convert: Converter) -> FastPathReader:
        """Begin to read profiles. Only one reading at a time: it may forget what another one has numbered."""
        return FastPathReader(self, convert)


class FastPathReader:
    """The columns of ``plain`` for one slice of profiles after another. ``convert`` says what texts mean that were never met."""

    def __init__(self, plain: FastPath, convert: Converter) -> None:
        self.plain, self._convert = plain, convert
        self._values: list[NDArray[np.float64]] = []
        self._new: list[list[tuple[int, bytes]]] = [[] for _ in plain.columns]  # of each column: rows, and their texts
        self._rows = 0
        plain.renew()

    def add(self, profiles: pa.StringArray, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Read ``profiles`` at ``rows`` (n,). Returns which of the rows are plain: the others are NULL in every column."""
        tokens = JsonScan(*text_buffers(profiles), rows, self.plain.paths)
        there = profiles.is_valid().to_numpy(zero_copy_only=False)[rows] if profiles.null_count else None
        values = np.empty((len(self.plain.columns), len(rows)))
        for first in range(0, len(rows), SCAN_CHUNK_ROWS):
            block = slice(first, first + SCAN_CHUNK_ROWS)
            tokens.find(block)
            if there is not None:
                tokens.plain[block] &= there[block]
            new = self.plain.read(tokens, block, values[:, block])
            for number in np.unique(new[:, 0]):
                rows_of = new[new[:, 0] == number, 1] + first
                self._new[number].extend(_texts(tokens, self.plain.columns[number].slot, rows_of, self._rows))
            if first == 0 and not self._values:  # when many are new, it is worth asking before the others are read
                self._learn(values, SCAN_CHUNK_ROWS // 8)
        self._values.append(values)
        self._rows += len(rows)
        return tokens.plain

    def end(self) -> dict[str, pa.Array]:
        """The columns of all rows."""
        read = np.concatenate(self._values, axis=1) if self._values else np.empty((len(self.plain.columns), 0))
        self._learn(read, 0)
        made = {}
        for column, values in zip(self.plain.columns, read, strict=True):
            missing = np.isnan(values)
            if isinstance(column.feature, Category):
                codes = pa.array(np.where(missing, 0, values).astype(np.int32), mask=missing)
                made[column.name] = pa.DictionaryArray.from_arrays(codes, pa.array(list(column.values), pa.string()))
            else:
                made[column.name] = pa.array(values, mask=missing)
        return made

    def _learn(self, values: NDArray[np.float64], more_than: int) -> None:
        """Ask about the texts that were new in ``more_than`` rows: in one statement for all columns that have few of them."""
        asked = {number: sorted({text for _, text in new}) for number, new in enumerate(self._new) if len(new) > more_than}
        few = [number for number, texts in asked.items() if len(texts) <= MAX_SHARED_TEXTS]
        learned = {}
        for together in [*([few] if few else []), *([number] for number in asked if number not in few)]:
            columns = [self.plain.columns[number] for number in together]
            profiles = [
                minimal_profile(c.steps, t.decode()) for number, c in zip(together, columns, strict=True) for t in asked[number]
            ]
            made = self._convert([c.name for c in columns], profiles)
            first = 0
            for number, column in zip(together, columns, strict=True):
                texts = asked[number]
                means = made[column.name][first : first + len(texts)]
                learned[number] = dict(zip(texts, map(column.number, means), strict=True))
                first += len(texts)
        if learned:
            self.plain.memo.learn(learned)
        for number in asked:
            new = self._new[number]
            values[number, [row for row, _ in new]] = [learned[number][text] for _, text in new]
            new.clear()


def _texts(tokens: JsonScan, slot: int, rows: NDArray[np.int64], before: int) -> list[tuple[int, bytes]]:
    """The texts of ``rows`` with the numbers of the rows, counted on from ``before``."""
    starts, ends = tokens.starts[rows, slot].tolist(), tokens.ends[rows, slot].tolist()
    return [(before + row, tokens.data[s:e].tobytes()) for row, s, e in zip(rows.tolist(), starts, ends, strict=True)]
