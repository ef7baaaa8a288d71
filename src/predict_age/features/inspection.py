"""Inspection of features in a sample of profiles: how many have a value, how many can be read, and which path was meant."""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import TYPE_CHECKING

import pyarrow as pa

from predict_age.features.extract import extract_features
from predict_age.features.protected_features import protected_by_values
from predict_age.features.spec import Date, Feature, FeatureSet, Number, Sql, parse_path
from predict_age.features.sql_compiler import SqlCompiler
from predict_age.features.values_at_paths import values_at
from predict_age.source.row_rules import register
from predict_age.source.value_form import form_of
from predict_age.tally import fewest_sharing, percent

if TYPE_CHECKING:
    import duckdb

PROFILES_WALKED, PATHS_WALKED = 2_000, 100_000  # profiles, and keys in them, that are collected for suggestions
DEEPEST_KEY = 6  # steps of a path that a suggestion may have
MOST_COMPARED = 20_000  # commonest paths, with each feature that leads nowhere
EXPRESSION = "its expression"  # in the place of a path
MIN_SIMILARITY = 0.6  # of a suggestion to the path that leads nowhere
MOSTLY_READABLE = 0.9  # of the values; below that the inspection says so
FEWEST_FOUND = 20  # values; when none of so many can be read, the feature's kind or format is wrong

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class FeatureCoverage:
    """One feature in a sample of ``profiles`` profiles.

    ``outside`` of the values that are not ``readable`` are values of the kind, but outside the feature's bounds.

    ``found``: profiles with a value at the feature's path; ``readable``: profiles with a value of the feature. ``form`` is the
    form of the first value that cannot be read, digits as 9 and letters as a, so that no person's value is shown. ``suggestion``
    is the path that occurs and resembles the feature's path most, where nothing was found. ``protected``: attribute and values,
    where the values that it reads are those of a protected attribute.
    """

    feature: str
    path: str
    profiles: int
    found: int
    readable: int
    form: str = ""
    suggestion: str = ""
    may_be_absent: bool = False
    outside: int = 0
    protected: str = ""

    @property
    def is_absent(self) -> bool:
        """Whether no profile of the sample has a value at the path."""
        return self.profiles > 0 and self.found == 0

    @property
    def is_unreadable(self) -> bool:
        """Whether there are values, and none of them can be read."""
        return self.found >= FEWEST_FOUND and self.readable == 0

    @property
    def is_partly_unreadable(self) -> bool:
        """Whether more than a tenth of the values, but not all, cannot be read."""
        return self.found >= FEWEST_FOUND and 0 < self.readable < MOSTLY_READABLE * self.found

    @property
    def is_useless(self) -> bool:
        """Whether no model can learn from the feature, and the feature file does not say that this is expected."""
        return (self.is_absent or self.is_unreadable) and not self.may_be_absent

    @property
    def sentence(self) -> str:
        """Problem of the feature in words; empty where there is none."""
        if self.is_absent:
            hint = f" (did you mean {self.suggestion}?)" if self.suggestion else ""
            return f"{self.feature}: {self.path} is in none of {self.profiles:,} profiles{hint}"
        if self.is_unreadable:
            unread = f"none of {self.found:,} values at {self.path} can be read or lies inside its bounds"
            return f"{self.feature}: {unread}; the first has the form {self.form!r} ({self._reasons}){self._comma}"
        if self.is_partly_unreadable:
            unread = f"{percent(1 - self.readable / self.found, 0)} of {self.found:,} values at {self.path}"
            first = f"the first has the form {self.form!r} ({self._reasons}){self._comma}"
            return f"{self.feature}: {unread} cannot be read or lie outside its bounds; {first}"
        return ""

    @property
    def _reasons(self) -> str:
        """Numbers of values that cannot be read, and of those outside the bounds."""
        unread = self.found - self.readable - self.outside
        if not self.outside:
            return f"all {unread:,} cannot be read"
        return f"{unread:,} cannot be read, {self.outside:,} lie outside" if unread > 0 else f"all {self.outside:,} lie outside"

    @property
    def _comma(self) -> str:
        return '; write decimal = "," in its table if that is a decimal comma' if self.has_comma else ""

    @property
    def has_comma(self) -> bool:
        """Whether the first value that cannot be read looks like a number with a decimal comma."""
        return bool(re.fullmatch(r"[+-]?(9{1,3}([. '\u2019\u00a0\u202f]999)+|9+)?,9+", self.form))


def inspect_features(
    connection: duckdb.DuckDBPyConnection,
    profiles: pa.ChunkedArray,
    features: FeatureSet,
    as_of: dt.date,
    whole_profiles: Callable[[], pa.ChunkedArray] | None = None,
) -> list[FeatureCoverage]:
    """Coverage of each feature in JSON ``profiles`` (n,), in the order of the feature file.

    These may hold the features' keys alone; ``whole_profiles`` then gives some with all their keys, for suggestions.
    """
    extracted = extract_features(connection, profiles, features.text, as_of, kernels=False)
    register(connection, "profiles", pa.table({"profile": profiles}))
    unbounded = _unbounded(connection, features, as_of)
    found_at = values_at(connection, {f.path for f in features.features.values() if not isinstance(f, Sql)})
    protected = protected_by_values(connection, features)
    known_paths: Counter[Path] | None = None
    rows = []
    for name, feature in features.features.items():
        readable = len(profiles) - extracted.columns[name].null_count
        if isinstance(feature, Sql):
            rows.append(
                FeatureCoverage(
                    name, EXPRESSION, len(profiles), readable, readable, "", "", feature.may_be_absent, 0, protected[name]
                )
            )
            continue
        values = found_at[feature.path]
        found = len(profiles) - values.null_count
        found = max(found, readable) if found else 0  # a list without items has no value at its path, and is a value itself
        form = suggestion = ""
        missing = extracted.columns[name].is_null()
        unread = values.filter(missing).drop_null()
        outside = len(unbounded[name].filter(missing).drop_null()) if name in unbounded.column_names else 0
        if len(unread):
            form = form_of(unread[0].as_py())
        if not found:
            if known_paths is None:
                known_paths = Counter(dict(paths_of(whole_profiles() if whole_profiles else profiles).most_common(MOST_COMPARED)))
            suggestion = suggested(feature.path, known_paths)
        rest = (form, suggestion, feature.may_be_absent, outside, protected[name])
        rows.append(FeatureCoverage(name, feature.path, len(profiles), found, readable, *rest))
    return rows


def _unbounded(connection: duckdb.DuckDBPyConnection, features: FeatureSet, as_of: dt.date) -> pa.Table:
    """Columns of the features with bounds, of the registered profiles, as if they had none."""
    bounded: dict[str, Feature] = {
        name: feature.model_copy(update={"min": -sys.float_info.max, "max": sys.float_info.max})
        for name, feature in features.features.items()
        if isinstance(feature, Number | Date)
    }
    if not bounded:
        return pa.table({})
    return connection.sql(SqlCompiler(FeatureSet(bounded, features.text), as_of).sql).to_arrow_table()


def paths_of(profiles: pa.ChunkedArray) -> Counter[Path]:
    """Paths that lead to a value in the first 2,000 profiles, with "*" for every item of a list, and how often each occurs.

    Those that few profiles have are left out: a key may be an id or a mail address of one person.
    """
    counts: Counter[Path] = Counter()
    walked = read = 0
    for text in profiles.slice(0, PROFILES_WALKED).to_pylist():
        if walked > PATHS_WALKED:
            break
        try:
            value = json.loads(text) if text else None
        except (ValueError, RecursionError):
            continue
        paths = set(_walk(value, ()))
        walked, read = walked + len(paths), read + 1
        counts.update(paths)
    return Counter({path: number for path, number in counts.items() if number >= fewest_sharing(read)})


def keys_of(profiles: pa.ChunkedArray) -> list[str]:
    """Top-level keys of the profiles, the commonest first."""
    counts = sorted(paths_of(profiles).items(), key=lambda item: (-item[1], item[0]))
    return [written(path) for path, _ in counts if len(path) == 1]


def _walk(value: object, at: Path) -> Iterable[Path]:
    if at and value is not None:
        yield at
    if len(at) >= DEEPEST_KEY:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _walk(inner, (*at, key))
    elif isinstance(value, list):
        for inner in value[:20]:
            yield from _walk(inner, (*at, "*"))


def suggested(path: str, known: Counter[Path]) -> str:
    """The known path that resembles ``path`` most, written as in a feature file; empty where none is similar enough.

    Items of lists count as equal whatever their position, and the position of ``path`` is kept.
    """
    steps = parse_path(path)
    wanted = _plain(steps)
    best: tuple[float, int, Path] | None = None
    for candidate, count in known.items():
        if not candidate or all(step == "*" for step in candidate):
            continue
        score = _similarity(wanted, _plain(candidate), best[0] if best else MIN_SIMILARITY)
        if score >= MIN_SIMILARITY and (best is None or (score, count) > best[:2]):
            best = (score, count, candidate)
    return written(_with_positions(best[2], steps)) if best else ""


def _plain(steps: Sequence[str | int]) -> str:
    return ".".join("*" if isinstance(step, int) else step for step in steps).casefold()


def _similarity(one: str, other: str, least: float) -> float:
    """Similarity (0..1) of two paths; of their last keys alone, a little less, because a value may have moved to another place.

    0 where it is below ``least``.
    """
    whole = _ratio(one, other, least)
    if "." not in one and "." not in other:
        return whole
    return max(whole, 0.9 * _ratio(one.rpartition(".")[2], other.rpartition(".")[2], max(least, whole) / 0.9))


def _ratio(one: str, other: str, least: float) -> float:
    """Similarity of two texts; 0 without comparing them where their lengths or letters alone make it less than ``least``."""
    both = len(one) + len(other)
    if 2 * min(len(one), len(other)) < least * both:
        return 0.0
    if 2 * (_letters(one) & _letters(other)).total() < least * both:
        return 0.0
    return SequenceMatcher(None, one, other).ratio()


@lru_cache(maxsize=4096)
def _letters(text: str) -> Counter[str]:
    return Counter(text)


def _with_positions(candidate: Path, steps: Sequence[str | int]) -> list[str | int]:
    """``candidate`` with the list positions of ``steps`` where both have an item of a list."""
    positions = [step for step in steps if isinstance(step, int) or step == "*"]
    result: list[str | int] = []
    for step in candidate:
        result.append((positions.pop(0) if positions else 0) if step == "*" else step)
    return result


def written(steps: Sequence[str | int]) -> str:
    """Steps as a path of a feature file: ``education[*].end_year``; keys with other characters are quoted."""
    text = ""
    for step in steps:
        if isinstance(step, int) or step == "*":
            text += f"[{step}]"
        else:
            key = step if re.fullmatch(r'[^.\[\]"]+', step) else f'"{step}"'
            text += f".{key}" if text else key
    return text
