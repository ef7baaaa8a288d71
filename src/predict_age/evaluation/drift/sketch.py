"""Counts of feature values on a fixed grid: recorded by batches, added up exactly, comparable between any two runs.

The grid of numbers is that of floating point: sign, exponent and four bits of the fraction. It is exact for whole numbers up to 32
and never coarser than 1/16 of a value, so no edges have to be chosen before the data are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.features.encode import Encoders, Matrix
from predict_age.features.value_hashes import salt_of, value_hashes
from predict_age.kernels import use_kernels

MISSING, UNSEEN, OTHER = "missing", "unseen", "other"
SPECIAL = frozenset({MISSING, UNSEEN})
GRID_CELLS = 1 << 13
MAX_SKETCH_VALUES = 50  # the commonest values of a category at training; all others count as one
DRIFT_SALT = salt_of("drift record")  # one for all models: runs with different models are compared


@dataclass
class Sketch:
    """Value counts by feature: "#<cell>" for numbers, "~<hash>" for categories, "other", "missing", "unseen"."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict)

    def __add__(self, other: Sketch) -> Sketch:
        names = dict.fromkeys((*self.counts, *other.counts))
        return Sketch({n: dict(Counter(self.counts.get(n, {})) + Counter(other.counts.get(n, {}))) for n in names})

    def in_order(self) -> dict[str, dict[str, int]]:
        """The counts of each feature in the order of their keys."""
        return {n: dict(sorted(c.items())) for n, c in self.counts.items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Mapping[str, int]]) -> Self:
        return cls({n: dict(c) for n, c in value.items()})


class SketchBuilder:
    """Builder of a sketch, one slice of people after another."""

    def __init__(self, encoders: Encoders) -> None:
        self._encoders = encoders
        self._names: list[str] = []
        self._cells = np.zeros((0, GRID_CELLS), np.int64)
        self._texts: dict[str, Counter[str | None]] = {name: Counter() for name in encoders.categories}

    def add(self, columns: pa.Table, matrix: Matrix) -> None:
        """Count some people: their feature ``columns`` as read and their ``matrix``, which begins with them, NaN = missing."""
        if not self._names:
            self._names = columns.column_names
            self._cells = np.zeros((len(self._names), GRID_CELLS), np.int64)
        for name, counts in self._texts.items():
            for pair in columns[name].value_counts().to_pylist():
                counts[pair["values"]] += pair["counts"]
        _count(matrix[:, : len(self._names)], self._cells)

    def sketch(self) -> Sketch:
        """The sketch of all people added."""
        cells_of = zip(self._names, self._cells, strict=True)
        texts = self._texts
        return Sketch({n: _texts(texts[n], self._encoders, n) if n in texts else _numbers(c) for n, c in cells_of})


def grid_cells(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """The grid cell of each number (n,), ascending with the numbers; NaN has the highest cell."""
    bits = (values + np.float32(0)).astype(np.float32).view(np.uint32)  # adding zero turns -0 into 0
    signs = (bits.view(np.int32) >> 31).view(np.uint32)  # all bits of negative numbers are turned round, of others the first one
    return ((bits ^ (signs | np.uint32(1 << 31))) >> np.uint32(19)).astype(np.int64)


NAN_CELL = int(grid_cells(np.array([np.nan], np.float32))[0])


def cell_lower_bound(cell: int) -> float:
    """The smallest number in a cell."""
    ordered = np.uint32(cell << 19)
    bits = ordered & np.uint32(0x7FFFFFFF) if ordered >> 31 else ~ordered
    return float(np.array([bits], np.uint32).view(np.float32)[0])


def number_counts(values: NDArray[np.float32]) -> dict[str, int]:
    """Counts by cell of numbers (n,), NaN = missing."""
    counts = np.zeros((1, GRID_CELLS), np.int64)
    _count(values[:, None], counts)
    return _numbers(counts[0])


def _count(matrix: Matrix, counts: NDArray[np.int64]) -> None:
    """Add to ``counts`` (f, GRID_CELLS) the cells of the numbers of ``matrix`` (n, f)."""
    if use_kernels(len(matrix)):
        from predict_age.kernels.cells import count_cells

        count_cells(np.ascontiguousarray(matrix, np.float32).view(np.uint32), counts)
        return
    for feature in range(matrix.shape[1]):
        values = matrix[:, feature]
        counts[feature] += np.bincount(grid_cells(np.where(np.isnan(values), np.float32(np.nan), values)), minlength=GRID_CELLS)


def _numbers(cell_counts: NDArray[np.int64]) -> dict[str, int]:
    """Counts by key, from the counts (GRID_CELLS,) of a feature's cells."""
    return {MISSING if cell == NAN_CELL else f"#{cell}": int(cell_counts[cell]) for cell in np.flatnonzero(cell_counts).tolist()}


def histogram_counts(counts: Sequence[int]) -> dict[str, int]:
    """Counts by cell, from a histogram of the whole numbers 0, 1, 2 ..."""
    cell_counts: Counter[str] = Counter()
    for cell, rows in zip(grid_cells(np.arange(len(counts), dtype=np.float32)).tolist(), counts, strict=True):
        cell_counts[f"#{cell}"] += rows
    return dict(+cell_counts)


def text_key(name: str, value: str) -> str:
    """Key of a category's ``value`` in a sketch."""
    return "~" + value_hashes(DRIFT_SALT, name)[value]


def _texts(cell_counts: Counter[str | None], encoders: Encoders, name: str) -> dict[str, int]:
    counts: Counter[str] = Counter()
    common = set(list(encoders.categories[name])[:MAX_SKETCH_VALUES])
    keys, known = encoders.keys(name), encoders.known(name, [v for v in cell_counts if v is not None])
    for value, rows in cell_counts.items():
        if value is None or value not in known:
            counts[MISSING if value is None else UNSEEN] += rows
        else:
            counts[text_key(name, value) if (value if keys is None else keys[value]) in common else OTHER] += rows
    return dict(counts)


def sum_sketches(sketches: Iterable[Sketch]) -> Sketch:
    """The sum of all sketches."""
    total: dict[str, Counter[str]] = {}
    for sketch in sketches:
        for name, counts in sketch.counts.items():
            total.setdefault(name, Counter()).update(counts)
    return Sketch({n: dict(c) for n, c in total.items()})
