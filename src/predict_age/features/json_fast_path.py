"""Fast extraction of features from plain JSON profiles: kernels locate the values, DuckDB converts each distinct text once.

Kernels convert plain numbers themselves. Any other value is looked up by its text in a cache. A text that is not cached is put into
a minimal profile and converted by the feature's SQL, so both ways give the same result. Profiles that are not plain (malformed,
escaped or repeated keys, deep nesting) are left to SQL as a whole.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from itertools import islice

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.features.encode import CategoryCodes, Encoders
from predict_age.features.fast_columns import FastColumn, fixed_path, minimal_profile, rule_tables
from predict_age.features.spec import Category, FeatureSet
from predict_age.kernels.json_scanner import JsonScan, PathTree
from predict_age.kernels.value_cache import ValueCache
from predict_age.source.row_group_reader import text_buffers

NULL = ord("n")  # first letter of null, and of no other JSON value
SCAN_CHUNK_ROWS = 1024  # rows whose text stays in the processor's cache between scanning and conversion
Converter = Callable[
    [list[str], list[str]], dict[str, list[float | str | None]]
]  # converts profiles by SQL: the values of each named feature
MAX_DECIDED_TEXTS = 500  # up to this many new texts are decided without SQL, one by one: for more, a statement is quicker
MAX_WAITING_TEXTS = 100  # up to this many new texts wait until the cache is built again, which takes time for each text in it
MIN_MISSES = 200  # texts that were not in the cache, again and again, at which it is built
MAX_SHARED_TEXTS = 300  # features with at most this many new texts share a statement: planning a statement takes most of the time


class FastPath:
    """The features that kernels can extract, with their value cache; one a process. ``sql_only_features`` are left to SQL.

    The same scan of a profile tells whether it has one of the ``keys`` at its top.
    """

    def __init__(self, features: FeatureSet, as_of: dt.date, keys: tuple[str, ...] = ()) -> None:
        paths: list[list[str | int]] = []
        self.columns: list[FastColumn] = []
        for name, feature in features.features.items():
            steps = fixed_path(feature)
            if steps is not None:
                if steps not in paths:
                    paths.append(steps)
                self.columns.append(FastColumn(name, feature, steps, paths.index(steps), as_of))
        paths += [[key] for key in dict.fromkeys(keys) if [key] not in paths]
        self.key_slots = [paths.index([key]) for key in keys]
        self.paths = PathTree(paths)
        self.value_cache = ValueCache(len(self.columns))
        self._misses = 0  # since the cache was built
        self._codes: dict[str, tuple[Encoders, dict[str, int], CategoryCodes]] = {}
        self._slots, self._kinds = (np.array([getattr(c, n) for c in self.columns], np.int64) for n in ("slot", "kind"))
        self._limits = np.array([c.limits for c in self.columns]).reshape(-1, 4)
        self._rules = rule_tables(self.columns, as_of)
        fast_names = {c.name for c in self.columns}
        self._categories = [c for c in self.columns if isinstance(c.feature, Category)]
        self.sql_only_features = [n for n in features.names if n not in fast_names]

    def evict_full_columns(self) -> None:
        """Empty the full columns of the cache; call before reading, because categories are numbered anew."""
        full = self.value_cache.full_columns
        if full:
            self.value_cache.evict(full)
        for number in full:
            self.columns[number].values = {}
            self.columns[number].waiting.clear()

    def category_codes(self, encoders: Encoders) -> dict[str, CategoryCodes]:
        """The encoding of each category by the numbers of its values; made again when there are new ones."""
        made: dict[str, CategoryCodes] = {}
        for column in self._categories:
            known = self._codes.get(column.name)
            if known is None or known[0] is not encoders or known[1] is not column.values:
                known = encoders, column.values, encoders.category_codes(column.name, [])
            if len(column.values) >= len(known[2].means):
                new = list(islice(column.values, len(known[2].means) - 1, None))
                known = encoders, column.values, known[2].followed_by(encoders.category_codes(column.name, new))
            self._codes[column.name] = known
            made[column.name] = known[2]
        return made

    def remember(self, converted: dict[int, dict[bytes, float]], misses: int) -> None:
        """Keep ``converted`` texts by column; the cache takes them over at once if they are many, else once they were missed often.

        ``misses``: how many values these texts were, each of which took as long as a text takes when the cache is built.
        """
        for number, texts in converted.items():
            self.columns[number].waiting |= texts
        self._misses += misses
        new, cached = sum(map(len, converted.values())), sum(map(len, self.value_cache.known))
        if new > max(MAX_WAITING_TEXTS, cached // 16) or self._misses >= max(MIN_MISSES, cached):
            self._misses = 0
            self.value_cache.add({number: column.waiting for number, column in enumerate(self.columns) if column.waiting})
            for column in self.columns:
                column.waiting = {}

    def read(self, scan: JsonScan, block: slice, out: NDArray[np.float64]) -> NDArray[np.int64]:
        """Fill ``out`` (n_columns, rows of ``block``) with numbers, a category's value by its number; NaN = missing or not plain.

        Returns columns and rows (k, 2), counted from the first of the block, whose text is not cached yet.
        """
        starts, ends, counts = scan.starts[block], scan.ends[block], scan.counts[block]
        return self.value_cache.read(
            scan.data, starts, ends, counts, scan.plain[block], self._slots, self._kinds, self._limits, self._rules, out
        )

    def reader(self, convert: Converter) -> FastPathReader:
        """Start reading. Only one reader may be active: it may evict values that another one has numbered."""
        return FastPathReader(self, convert)


class FastPathReader:
    """Reader of the columns of ``fast_path``, slice by slice of profiles; ``convert`` converts texts that are not cached."""

    def __init__(self, fast_path: FastPath, convert: Converter) -> None:
        self.fast_path, self._convert = fast_path, convert
        self._values: list[NDArray[np.float64]] = []
        self._new: list[list[tuple[int, bytes]]] = [[] for _ in fast_path.columns]  # of each column: rows, and their texts
        self._set: list[tuple[int, int, float]] = []  # column, row and number of values that were read elsewhere
        self._rows = 0
        fast_path.evict_full_columns()

    def add(self, profiles: pa.StringArray, rows: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Read ``profiles`` at ``rows`` (n,). Returns which of the rows are plain, and which of these give one of the keys a value.

        The others are NULL in every column.
        """
        scan = JsonScan(*text_buffers(profiles), rows, self.fast_path.paths)
        present = profiles.is_valid().to_numpy(zero_copy_only=False)[rows] if profiles.null_count else None
        values = np.empty((len(self.fast_path.columns), len(rows)))
        for first in range(0, len(rows), SCAN_CHUNK_ROWS):
            block = slice(first, first + SCAN_CHUNK_ROWS)
            scan.scan_rows(block)
            if present is not None:
                scan.plain[block] &= present[block]
            new = self.fast_path.read(scan, block, values[:, block])
            for number in np.unique(new[:, 0]) if len(new) else ():
                rows_of = new[new[:, 0] == number, 1] + first
                self._new[number].extend(_texts(scan, self.fast_path.columns[number].slot, rows_of, self._rows))
            if first == 0 and not self._values:  # when many are new, it is worth asking before the others are read
                self._convert_new_texts(values, SCAN_CHUNK_ROWS // 8)
        self._values.append(values)
        self._rows += len(rows)
        starts = scan.starts[:, self.fast_path.key_slots]
        values_of_keys = (starts >= 0) & scan.plain[:, np.newaxis]  # places in other texts are undefined
        values_of_keys[values_of_keys] = scan.data[starts[values_of_keys]] != NULL
        return scan.plain, np.asarray(values_of_keys.any(axis=1), np.bool_)

    def add_texts(self, number: int, row: int, text: str) -> None:
        """Set the value at ``row`` of column ``number`` by its ``text``, as another reader found it at the column's path."""
        self._new[number].append((row, json.dumps(text, ensure_ascii=False).encode()))

    def add_length(self, number: int, row: int, length: float) -> None:
        """Set the length of a list at ``row`` of column ``number``."""
        _, low, high, _ = self.fast_path.columns[number].limits.tolist()
        self._set.append((number, row, min(max(length, low), high)))

    def numbers(self) -> NDArray[np.float64]:
        """The columns of all rows (n_columns, n) as numbers, a category's value by its number; NaN = missing."""
        read = np.concatenate(self._values, axis=1) if self._values else np.empty((len(self.fast_path.columns), 0))
        self._convert_new_texts(read, 0)
        for number, row, value in self._set:
            read[number, row] = value
        return read

    def finish(self) -> dict[str, pa.Array]:
        """The columns of all rows."""
        read = self.numbers()
        columns = {}
        for column, values in zip(self.fast_path.columns, read, strict=True):
            missing = np.isnan(values)
            if isinstance(column.feature, Category):
                codes = pa.array(np.where(missing, 0, values).astype(np.int32), mask=missing)
                columns[column.name] = pa.DictionaryArray.from_arrays(codes, pa.array(list(column.values), pa.string()))
            else:
                columns[column.name] = pa.array(values, mask=missing)
        return columns

    def _convert_new_texts(self, values: NDArray[np.float64], more_than: int) -> None:
        """Convert the new texts of columns with more than ``more_than`` of them; columns with few share one statement."""
        if not any(self._new):
            return
        wanted = {number: {text for _, text in new} for number, new in enumerate(self._new) if len(new) > more_than}
        new_values = self._without_sql(wanted) if wanted else {}
        asked = {number: sorted(texts - new_values[number].keys()) for number, texts in wanted.items()}
        asked = {number: texts for number, texts in asked.items() if texts}
        small = [number for number, texts in asked.items() if len(texts) <= MAX_SHARED_TEXTS]
        for together in [*([small] if small else []), *([number] for number in asked if number not in small)]:
            columns = [self.fast_path.columns[number] for number in together]
            profiles = [
                minimal_profile(c.steps, t.decode()) for number, c in zip(together, columns, strict=True) for t in asked[number]
            ]
            converted = self._convert([c.name for c in columns], profiles)
            first = 0
            for number, column in zip(together, columns, strict=True):
                texts = asked[number]
                meanings = converted[column.name][first : first + len(texts)]
                new_values[number] |= dict(zip(texts, map(column.number, meanings), strict=True))
                first += len(texts)
        if wanted:
            self.fast_path.remember(new_values, sum(len(self._new[number]) for number in wanted))
        for number in wanted:
            new = self._new[number]
            values[number, [row for row, _ in new]] = [new_values[number][text] for _, text in new]
            new.clear()

    def _without_sql(self, wanted: dict[int, set[bytes]]) -> dict[int, dict[bytes, float]]:
        """Numbers of those ``wanted`` texts, by column, that wait for the cache or that Python may decide."""
        columns = self.fast_path.columns
        found = {n: {t: columns[n].waiting[t] for t in texts & columns[n].waiting.keys()} for n, texts in wanted.items()}
        if sum(map(len, wanted.values())) <= MAX_DECIDED_TEXTS:
            for number, texts in wanted.items():
                for text in texts - found[number].keys():
                    value = columns[number].decide(text)
                    if not isinstance(value, bytes):
                        found[number][text] = columns[number].number(value)
        return found


def _texts(scan: JsonScan, slot: int, rows: NDArray[np.int64], before: int) -> list[tuple[int, bytes]]:
    """The texts of ``rows``, each with its row number plus ``before``."""
    starts, ends = scan.starts[rows, slot].tolist(), scan.ends[rows, slot].tolist()
    return [(before + row, scan.data[s:e].tobytes()) for row, s, e in zip(rows.tolist(), starts, ends, strict=True)]
