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
from predict_age.kernels.memo import ITEMS, NUMBER, TEXT, Memo
from predict_age.kernels.tokens import Paths, Tokens
from predict_age.source.splits import text_buffers

BLOCK = 1024  # rows: their text stays in the processor's cache while it is read a second time
_PLAIN_KEY = re.compile(r"[\w -]+")
Converter = Callable[[list[str], list[str]], dict[str, list[float | str | None]]]  # values of features for profiles, by their SQL
FEW = 300  # new texts of a feature: they may as well go through the SQL of others; statements are what takes the time


def steps_of(feature: Feature) -> list[str | int] | None:
    """The path of a feature when it leads to one place in the text, counted from the front; None when only SQL can follow it."""
    if isinstance(feature, Sql):
        return None
    steps = parse_path(feature.path)
    followed = all((isinstance(s, int) and s >= 0) or (isinstance(s, str) and s != "*" and _PLAIN_KEY.fullmatch(s)) for s in steps)
    return steps if followed else None


def alone(steps: list[str | int], value: str) -> str:
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
    """One feature: where its value is, what texts mean, and for a category the values that numbers stand for."""

    name: str
    feature: Feature
    steps: list[str | int]
    slot: int
    memo: Memo = field(default_factory=Memo)
    values: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kind = self.feature
        self.kind = NUMBER if isinstance(kind, Number) else ITEMS if isinstance(kind, Count) else TEXT
        if isinstance(kind, Number):
            self.limits = np.array([kind.scale, kind.min, kind.max, kind.outside == "clip"], np.float64)
        elif isinstance(kind, Count):
            self.limits = np.array([1, kind.min, kind.max, True], np.float64)
        else:
            self.limits = np.zeros(4)

    def begin(self, rows: int) -> None:
        """Make room for the values of ``rows`` rows."""
        self.out = np.empty(rows)
        self.new: list[NDArray[np.int64]] = []
        if self.memo.full():
            self.memo.forget()
            self.values.clear()

    def read(self, tokens: Tokens, block: slice) -> None:
        """Fill ``out`` for some rows with numbers, for a category that of its value; NaN = missing, not plain or not known."""
        starts, ends, counts = (found[self.slot, block] for found in (tokens.starts, tokens.ends, tokens.counts))
        new = self.memo.read(tokens.data, starts, ends, counts, tokens.plain[block], self.kind, self.limits, self.out[block])
        if len(new):
            self.new.append(new + block.start)

    def knows_little(self) -> bool:
        """Whether so many texts of the first rows were new that it is worth asking about them before the others are read."""
        return sum(map(len, self.new)) > BLOCK // 8

    def unknown(self, tokens: Tokens) -> list[bytes]:
        """The texts that were not known, each once."""
        starts, ends = tokens.starts[self.slot], tokens.ends[self.slot]
        rows = np.concatenate(self.new).tolist() if self.new else []
        return sorted({tokens.data[starts[n] : ends[n]].tobytes() for n in rows})

    def learn(self, tokens: Tokens, texts: list[bytes], made: list[float | str | None]) -> None:
        """Remember that ``texts`` mean what SQL has ``made`` of them, and fill it in."""
        meanings = [np.nan if v is None else float(self.number(v)) if isinstance(v, str) else v for v in made]
        self.memo.learn(dict(zip(texts, meanings, strict=True)))
        self.memo.look_up(tokens.data, tokens.starts[self.slot], tokens.ends[self.slot], np.concatenate(self.new), self.out)
        self.new.clear()

    def number(self, value: str) -> int:
        """The number that stands for the ``value`` of a category."""
        return self.values.setdefault(value, len(self.values))


class Plain:
    """The features of a set that kernels can read; ``others`` are left to SQL. One for a process: it remembers what texts mean."""

    def __init__(self, features: FeatureSet) -> None:
        paths: list[list[str | int]] = []
        self.columns: list[_Column] = []
        for name, feature in features.features.items():
            steps = steps_of(feature)
            if steps is not None:
                if steps not in paths:
                    paths.append(steps)
                self.columns.append(_Column(name, feature, steps, paths.index(steps)))
        self.paths = Paths(paths)
        mine = {c.name for c in self.columns}
        self.others = [n for n in features.names if n not in mine]

    def read(
        self, profiles: pa.StringArray, rows: NDArray[np.int64], convert: Converter
    ) -> tuple[dict[str, pa.Array], NDArray[np.bool_]]:
        """Columns of ``profiles`` at ``rows`` (n,), and which of the rows are plain: the others are NULL in every column."""
        tokens = Tokens(*text_buffers(profiles), rows, self.paths)
        there = profiles.is_valid().to_numpy(zero_copy_only=False)[rows] if profiles.null_count else None
        for column in self.columns:
            column.begin(len(rows))
        for first in range(0, len(rows), BLOCK):
            block = slice(first, first + BLOCK)
            tokens.find(block)
            if there is not None:
                tokens.plain[block] &= there[block]
            for column in self.columns:
                column.read(tokens, block)
            if first == 0:
                _learn([c for c in self.columns if c.knows_little()], tokens, convert)
        _learn(self.columns, tokens, convert)
        made = {}
        for column in self.columns:
            values = column.out
            missing = np.isnan(values)
            if isinstance(column.feature, Category):
                codes = pa.array(np.where(missing, 0, values).astype(np.int32), mask=missing)
                made[column.name] = pa.DictionaryArray.from_arrays(codes, pa.array(list(column.values), pa.string()))
            else:
                made[column.name] = pa.array(values, mask=missing)
        return made, tokens.plain


def _learn(columns: list[_Column], tokens: Tokens, convert: Converter) -> None:
    """Ask ``convert`` about the texts that were not known: in one statement for all columns that have few of them."""
    asked = [(column, texts) for column in columns if (texts := column.unknown(tokens))]
    few = [pair for pair in asked if len(pair[1]) <= FEW]
    for together in [*([few] if few else []), *([pair] for pair in asked if len(pair[1]) > FEW)]:
        made = convert([c.name for c, _ in together], [alone(c.steps, t.decode()) for c, texts in together for t in texts])
        first = 0
        for column, texts in together:
            column.learn(tokens, texts, made[column.name][first : first + len(texts)])
            first += len(texts)
