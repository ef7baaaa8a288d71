"""Encoding of feature columns to the float32 matrix of all models. NaN = missing.

The first columns are the features. Columns of 0 and 1 follow: first for the items of ``flags`` and the buckets of ``words``, then
for the commonest values of categories, so that trees split a category as a set and Ridge weighs each value.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from predict_age.arrays import Float64Array
from predict_age.features.spec import Category, FeatureSet, ListFlags, TextWords
from predict_age.features.sql_compiler import ITEM_SEPARATOR
from predict_age.features.value_hashes import salt_of, value_hashes
from predict_age.tally import MIN_SHOWN_PEOPLE

Matrix = NDArray[np.float32]
PRIOR_ROWS = 20
MIN_CATEGORY_ROWS = MIN_SHOWN_PEOPLE
MAX_SET_COLUMNS = 12  # of a category
SETS_BELOW_ROWS = 100_000  # with more training rows, trees find sets among the mean ages, and columns would only cost time


@dataclass(frozen=True)
class CategoryCodes:
    """Encoding of a category's values: ``means`` (k + 1,), and ``places`` (k + 1,) of their column of 0 and 1; the last is missing.

    ``places`` are -1 where a value has no column, and None where the category has none.
    """

    means: Matrix
    places: NDArray[np.int64] | None

    def followed_by(self, more: CategoryCodes) -> CategoryCodes:
        """These values, then those of ``more``, which come of the same encoders."""
        places = None if self.places is None or more.places is None else np.concatenate([self.places[:-1], more.places])
        return CategoryCodes(np.concatenate([self.means[:-1], more.means]), places)

    def encode(self, indices: NDArray[np.int64], means: Matrix, flags: Matrix) -> None:
        """Fill ``means`` (n_rows,) and set ``flags`` (n_rows, c) by the positions ``indices`` (n_rows,) of values."""
        means[:] = self.means[indices]
        if self.places is not None:
            place_of = self.places[indices]
            rows = (place_of >= 0).nonzero()[0]
            flags[rows, place_of[rows]] = 1


@dataclass(frozen=True)
class Encoders:
    """Target encoders of the categories: key -> smoothed mean age of the value's training rows, years; ``mean`` for unseen values.

    The key of a value is its hash under ``salt``, hexadecimal; in models of earlier versions, which have no salt, the value itself.
    Smoothing after Micci-Barreca (2001): (sum of ages + 20 x mean) / (rows + 20). ``lists``: the same of the items of ``flags`` and
    ``words``; the key of a word is the number of its bucket, of which the feature has ``buckets``. ``columns``: how many of a
    feature's keys, the first ones, have a column of 0 and 1.
    """

    mean: float
    categories: dict[str, dict[str, float]]
    salt: str = ""
    lists: dict[str, dict[str, float]] = field(default_factory=dict)
    buckets: dict[str, int] = field(default_factory=dict)
    columns: dict[str, int] = field(default_factory=dict)

    def keys(self, name: str) -> Mapping[str, str] | None:
        """Key of each value of the feature ``name``; None where values are their own keys."""
        return value_hashes(self.salt, name) if self.salt else None

    def known(self, name: str, values: list[str]) -> dict[str, float]:
        """Mean age of those ``values`` of the feature ``name`` that training knew, in their order."""
        means, keys = self.categories[name], self.keys(name)
        return {v: means[k] for v in values if (k := v if keys is None else keys[v]) in means}

    def column_names(self, features: list[str]) -> list[str]:
        """Names of the matrix columns for the names of all ``features``."""
        return [*features, *(f"{name}.{i}" for name in self._with_columns() for i in range(self.columns[name]))]

    @property
    def list_columns(self) -> int:
        """Number of columns of 0 and 1 for items of lists."""
        return sum(self.columns.get(name, 0) for name in self.lists)

    def _with_columns(self) -> Iterable[str]:
        """Features with columns of 0 and 1, lists first."""
        return (name for name in (*self.lists, *self.categories) if self.columns.get(name))

    def encode(self, columns: pa.Table) -> Matrix:
        """Matrix (n_rows, n_columns): features in their order, then columns of 0 and 1 as :meth:`column_names` says.

        Missing stays NaN, an unseen category becomes the training mean. A list becomes the mean of its known items.
        """
        names = columns.column_names
        matrix, flags_of = self._blank(names, columns.num_rows)
        for i, name in enumerate(names):
            if name in self.categories:
                self._encode_category(name, columns[name], matrix[:, i], flags_of[name])
            elif name in self.lists:
                self._encode_list(name, columns[name], matrix[:, i], flags_of[name])
            else:
                matrix[:, i] = columns[name].to_numpy(zero_copy_only=False)
        return matrix

    def _blank(self, names: list[str], rows: int) -> tuple[Matrix, dict[str, Matrix]]:
        """A matrix whose columns of 0 and 1 are 0, and the part of it (rows, k) of each encoded feature of ``names``."""
        width, places = self._layout(tuple(names))
        matrix = np.empty((rows, width), np.float32)
        matrix[:, len(names) :] = 0
        return matrix, {name: matrix[:, place] for name, place in places.items()}

    def _layout(self, names: tuple[str, ...]) -> tuple[int, dict[str, slice]]:
        """Number of columns of the matrix of the features ``names``, and where each encoded one has its columns of 0 and 1."""
        if names not in self._layouts:
            ends = {name: slice(0, 0) for name in names if name in self.categories or name in self.lists}
            first = len(names)
            for name in self._with_columns():
                ends[name] = slice(first, first + self.columns[name])
                first += self.columns[name]
            self._layouts[names] = first, ends
        return self._layouts[names]

    @cached_property
    def _layouts(self) -> dict[tuple[str, ...], tuple[int, dict[str, slice]]]:
        return {}

    def encode_numbers(self, names: list[str], numbers: Float64Array, codes: Mapping[str, CategoryCodes]) -> Matrix:
        """Matrix (n_rows, n_columns) as :meth:`encode` makes it, from ``numbers`` (n_features, n_rows), NaN = missing.

        A category's numbers are positions in the ``codes`` of its name; there are no lists among the features ``names``.
        """
        matrix, flags_of = self._blank(names, numbers.shape[1])
        matrix[:, : len(names)] = numbers.T
        for name, category in codes.items():
            i = names.index(name)
            indices = np.where(np.isnan(numbers[i]), len(category.means) - 1, numbers[i]).astype(np.int64)
            category.encode(indices, matrix[:, i], flags_of[name])
        return matrix

    def category_codes(self, name: str, values: list[str]) -> CategoryCodes:
        """Means and columns of ``values`` of the category ``name``."""
        known, keys = self.known(name, values), self.keys(name)
        means = np.array([known.get(v, self.mean) for v in values] + [np.nan], np.float32)
        place = dict(zip(self.categories[name], range(self.columns.get(name, 0)), strict=False))
        places = np.array([place.get(v if keys is None else keys[v], -1) for v in values] + [-1]) if place else None
        return CategoryCodes(means, places)

    def _encode_category(self, name: str, column: pa.ChunkedArray, means: Matrix, flags: Matrix) -> None:
        """Fill ``means`` (n_rows,) and set ``flags`` (n_rows, k)."""
        codes = column.combine_chunks().dictionary_encode()
        made = self.category_codes(name, codes.dictionary.to_pylist())
        made.encode(pc.fill_null(codes.indices, len(made.means) - 1).to_numpy(zero_copy_only=False), means, flags)

    def _encode_list(self, name: str, column: pa.ChunkedArray, means: Matrix, flags: Matrix) -> None:
        """Fill ``means`` (n_rows,) and set ``flags`` (n_rows, k)."""
        table = self.lists[name]
        rows, item, keys = list_items(column, self._item_key(name))
        place = {key: i for i, key in enumerate(table)}
        place_of = np.array([place.get(key, -1) for key in keys], np.int64)[item]
        rows, place_of = rows[place_of >= 0], place_of[place_of >= 0]
        mean_of = np.array([*table.values(), 0.0])
        counts = np.bincount(rows, minlength=len(means))
        sums = np.bincount(rows, mean_of[place_of], minlength=len(means))
        means[:] = np.where(counts, sums / np.maximum(counts, 1), self.mean)
        means[column.is_null().to_numpy()] = np.nan
        shown = place_of < flags.shape[1]
        flags[rows[shown], place_of[shown]] = 1

    def _item_key(self, name: str) -> Mapping[str, str]:
        return _Buckets(self.buckets[name]) if name in self.buckets else value_hashes(self.salt, name)

    def unseen_counts(self, columns: pa.Table) -> dict[str, int]:
        """Number of rows with a category unseen in training, or with a list of which no item was, by feature."""
        counts = {}
        for name in self.categories:
            people = {v["values"]: v["counts"] for v in pc.value_counts(columns[name].drop_null()).to_pylist()}
            known = self.known(name, list(people))
            counts[name] = sum(n for value, n in people.items() if value not in known)
        for name, table in self.lists.items():
            rows, item, keys = list_items(columns[name], self._item_key(name))
            is_known = np.array([key in table for key in keys], np.bool_)[item]
            counts[name] = len(np.unique(rows)) - len(np.unique(rows[is_known]))
        return counts


class _Buckets(dict[str, str]):
    """Number of each word's bucket, as a text; hashed when it is first asked for. No word has to be saved."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def __missing__(self, word: str) -> str:
        self[word] = made = str(crc32(word.encode()) % self._count)
        return made


def list_items(column: pa.ChunkedArray, key_of: Mapping[str, str]) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Items of all lists of a ``column`` of texts that ``features/sql_compiler.py`` joined, each key once a row.

    Returns the row (m,) and the number (m,) of each item's key, and the distinct keys.
    """
    items = pc.split_pattern(column.combine_chunks(), ITEM_SEPARATOR)
    codes = items.flatten().dictionary_encode()
    texts = codes.dictionary.to_pylist()
    number = {key: i for i, key in enumerate(dict.fromkeys(key_of[text] for text in texts if text))}
    number_of = np.array([number[key_of[text]] if text else -1 for text in texts], np.int64)
    rows = pc.list_parent_indices(items).to_numpy().astype(np.int64)
    item = number_of[codes.indices.to_numpy()] if len(texts) else np.empty(0, np.int64)
    pairs = np.unique(rows[item >= 0] * max(len(number), 1) + item[item >= 0])
    return pairs // max(len(number), 1), pairs % max(len(number), 1), list(number)


def fit_encoders(features: FeatureSet, columns: pa.Table, age: NDArray[np.float32]) -> Encoders:
    """Fit the encoders on training rows. Values with fewer than 20 rows count as unseen."""
    mean = float(age.mean(dtype=np.float64))
    by_value: dict[str, dict[str, float]] = {}
    for name, feature in features.features.items():
        if not isinstance(feature, Category):
            continue
        table = pa.table({"value": columns[name].cast(pa.string()), "age": age.astype(np.float64)}).drop_null()
        grouped = (
            table.group_by("value")
            .aggregate([("age", "sum"), ("age", "count")])
            .sort_by([("age_count", "descending"), ("value", "ascending")])
        )
        kept = [r for r in grouped.slice(0, feature.max_values).to_pylist() if r["age_count"] >= MIN_CATEGORY_ROWS]
        by_value[name] = {
            r["value"]: float(np.float32((r["age_sum"] + PRIOR_ROWS * mean) / (r["age_count"] + PRIOR_ROWS))) for r in kept
        }
    salt = salt_of(json.dumps([mean, by_value]))
    hashed = {name: {value_hashes(salt, name)[v]: m for v, m in means.items()} for name, means in by_value.items()}
    lists = {
        name: _fit_list(columns[name], age, mean, feature, salt, name)
        for name, feature in features.features.items()
        if isinstance(feature, ListFlags | TextWords)
    }
    buckets = {name: feature.buckets for name, feature in features.features.items() if isinstance(feature, TextWords)}
    sets = {name: min(len(table), MAX_SET_COLUMNS) for name, table in hashed.items()} if len(age) < SETS_BELOW_ROWS else {}
    with_columns = {name: n for name, n in {**{n: len(t) for n, t in lists.items()}, **sets}.items() if n}
    return Encoders(mean, hashed, salt, lists, buckets, with_columns)


def _fit_list(
    column: pa.ChunkedArray, age: NDArray[np.float32], mean: float, feature: ListFlags | TextWords, salt: str, name: str
) -> dict[str, float]:
    """Smoothed mean age of each item that at least 20 people have, the commonest first; of words, of each bucket."""
    key_of = _Buckets(feature.buckets) if isinstance(feature, TextWords) else value_hashes(salt, name)
    rows, item, keys = list_items(column, key_of)
    counts, sums = np.bincount(item, minlength=len(keys)), np.bincount(item, age[rows].astype(np.float64), minlength=len(keys))
    order = sorted(np.flatnonzero(counts >= MIN_CATEGORY_ROWS).tolist(), key=lambda i: (-counts[i], keys[i]))
    most = feature.buckets if isinstance(feature, TextWords) else feature.max_values
    return {keys[i]: float(np.float32((sums[i] + PRIOR_ROWS * mean) / (counts[i] + PRIOR_ROWS))) for i in order[:most]}


def default_values(features: FeatureSet, encoders: Encoders) -> NDArray[np.float64]:
    """Default value of every matrix column (n_columns,), in its own unit; the mean age for texts, 0 for columns of 0 and 1."""
    values = [encoders.mean if f.is_text else float(getattr(f, "default", 0.0)) for f in features.features.values()]
    return np.array([*values, *[0.0] * (len(encoders.column_names(features.names)) - len(values))])
