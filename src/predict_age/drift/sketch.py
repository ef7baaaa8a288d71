"""Counts of feature values on a grid that never changes: made by a batch, added up exactly, comparable between any two runs.

The grid of numbers is that of floating point itself: sign, exponent and four bits of the fraction. It is exact for whole numbers up
to 32 and never coarser than 1/16 of a value, so no edges have to be agreed upon before the data are seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.features.encode import Encoders, Matrix

MISSING, UNSEEN, OTHER = "missing", "unseen", "other"
SPECIAL = frozenset({MISSING, UNSEEN})
CELLS = 1 << 13
MOST_VALUES = 50  # of a category, the commonest at training; the others count together


@dataclass
class Sketch:
    """``counts`` of each feature: "#<cell>" for numbers, "=<text>" for categories, "other", "missing", "unseen"."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict)

    def __add__(self, other: Sketch) -> Sketch:
        names = dict.fromkeys((*self.counts, *other.counts))
        return Sketch({n: dict(Counter(self.counts.get(n, {})) + Counter(other.counts.get(n, {}))) for n in names})

    def as_json(self) -> dict[str, Any]:
        return {n: dict(sorted(c.items())) for n, c in self.counts.items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Mapping[str, int]]) -> Self:
        return cls({n: dict(c) for n, c in value.items()})

    @classmethod
    def of(cls, columns: pa.Table, matrix: Matrix, encoders: Encoders) -> Self:
        """Of n people: feature ``columns`` as read and their ``matrix`` (n, n_features), NaN = missing."""
        counts = {}
        for i, name in enumerate(columns.column_names):
            if name in encoders.categories:
                counts[name] = _texts(columns[name], encoders.categories[name])
            else:
                counts[name] = numbers(matrix[:, i])
        return cls(counts)


def cells(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """The grid cell of finite values (n,); larger values have larger or equal cells."""
    bits = (values + np.float32(0)).astype(np.float32).view(np.uint32)  # adding zero turns -0 into 0
    ordered = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31)).astype(np.uint32)
    return (ordered >> np.uint32(19)).astype(np.int64)


def lowest(cell: int) -> float:
    """The smallest value of a cell."""
    ordered = np.uint32(cell << 19)
    bits = ordered & np.uint32(0x7FFFFFFF) if ordered >> 31 else ~ordered
    return float(np.array([bits], np.uint32).view(np.float32)[0])


def numbers(values: NDArray[np.float32]) -> dict[str, int]:
    """Counts of numbers (n,), NaN = missing."""
    known = values[~np.isnan(values)]
    found = np.bincount(cells(known), minlength=CELLS)
    counts = {f"#{cell}": int(found[cell]) for cell in np.flatnonzero(found)}
    return counts | ({MISSING: len(values) - len(known)} if len(known) < len(values) else {})


def histogram(counts: Sequence[int]) -> dict[str, int]:
    """The same from a histogram of the whole numbers 0, 1, 2 ..."""
    found: Counter[str] = Counter()
    for cell, rows in zip(cells(np.arange(len(counts), dtype=np.float32)).tolist(), counts, strict=True):
        found[f"#{cell}"] += rows
    return dict(+found)


def _texts(column: pa.ChunkedArray, known: dict[str, float]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    common = set(list(known)[:MOST_VALUES])
    for pair in column.value_counts().to_pylist():
        value = pair["values"]
        key = MISSING if value is None else UNSEEN if value not in known else f"={value}" if value in common else OTHER
        counts[key] += pair["counts"]
    return dict(counts)


def merged(sketches: Iterable[Sketch]) -> Sketch:
    """All together."""
    total: dict[str, Counter[str]] = {}
    for sketch in sketches:
        for name, counts in sketch.counts.items():
            total.setdefault(name, Counter()).update(counts)
    return Sketch({n: dict(c) for n, c in total.items()})
