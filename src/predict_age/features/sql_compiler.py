"""SQL compiler of feature files: one DuckDB statement extracts all features of all profiles, without Python per row."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from unicodedata import normalize

from predict_age.features.spec import (
    Boolean,
    Category,
    Count,
    Date,
    Feature,
    FeatureSet,
    ListFlags,
    Number,
    Ordered,
    Ratio,
    Text,
    TextWords,
    parse_path,
)
from predict_age.features.text_rule import fold_sql, fold_text, tidy_sql
from predict_age.sql import literal

MAX_CATEGORY_CHARS = 200
MAX_ITEMS = 200  # of a list or a text; more are left out, the last of the alphabet
ITEM_SEPARATOR = "\x1f"  # between the items of a list in its column; items themselves do not hold it
TIDY, FOLD = tidy_sql("{0}"), fold_sql("{0}")


_GROUPED = (
    "[+-]?[0-9][0-9]?[0-9]?([. \u00a0\u202f''\u2019][0-9][0-9][0-9])+(,[0-9]*)?"  # 1.234.567,8, also with blanks or apostrophes
)
_TIDIED = "trim({0}, ' \u00a0\t')"
_WITH_COMMA = (  # a number with a decimal comma; one with neither comma nor groups is read as it is
    f"try_cast(CASE WHEN regexp_full_match({_TIDIED}, '{_GROUPED}') "
    f"THEN replace(regexp_replace({_TIDIED}, '[^-+0-9,]', '', 'g'), ',', '.') "
    f"WHEN regexp_full_match({_TIDIED}, '[+-]?([0-9]+,[0-9]*|,[0-9]+)') THEN replace({_TIDIED}, ',', '.') "
    f"WHEN NOT contains({_TIDIED}, ',') THEN {_TIDIED} END AS DOUBLE)"
)


PROFILE_MISSING = "profile_missing"  # also the problem of a NULL
PROBLEM_COLUMN = "profile problem"  # a column beside the features, none of which has a blank in its name
PROBLEM_SQL = rf"""CASE WHEN v IS NOT NULL AND starts_with(profile, '{{') THEN NULL
         WHEN profile IS NULL OR trim(profile, E' \t\r\n') IN ('', 'null') THEN '{PROFILE_MISSING}'
         WHEN v IS NULL THEN 'profile_malformed'
         WHEN NOT starts_with(ltrim(profile, E' \t\r\n'), '{{') THEN 'profile_not_an_object' END AS "{PROBLEM_COLUMN}"
"""


def json_path(steps: list[str | int]) -> str:
    """DuckDB's JSON path of parsed steps; negative items count from the end."""
    path = "$"
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]" if step >= 0 else f"[#-{-step}]"
        elif step == "*":
            path += "[*]"
        else:
            escaped = step.replace("\\", "\\\\").replace('"', '\\"')
            path += f'."{escaped}"'
    return path


@dataclass(frozen=True)
class _Column:
    """Four layers of SQL for one feature: read a value, tidy its text, convert it, bound it. ``{0}`` is the layer below."""

    read: str
    tidy: str = "{0}"
    convert: str = "{0}"
    bound: str = "{0}"


class SqlCompiler:
    """Compiler of a feature set for one reference date.

    The statement has one subquery for each step: extract all paths, read, convert, bound. Subqueries evaluate each expression once,
    and they are plain projections, so rows keep their order.
    """

    def __init__(self, features: FeatureSet, as_of: dt.date) -> None:
        self.features = features
        self.as_of = as_of
        self._paths: list[str] = []
        self._columns = {name: self._column(feature) for name, feature in features.features.items()}

    @property
    def sql(self) -> str:
        """The statement, which reads ``profiles(profile VARCHAR)``."""
        paths = ", ".join(literal(p) for p in self._paths) or "'$'"

        def layer(expressions: dict[str, str]) -> str:
            return ",\n    ".join(f"{expression} AS {name}" for name, expression in expressions.items())

        columns = {f'"{name}"': column for name, column in self._columns.items()}  # a feature may be called "order"
        read = layer({name: column.read for name, column in columns.items()})
        tidy = layer({name: column.tidy.format(name) for name, column in columns.items()})
        convert = layer({name: column.convert.format(name) for name, column in columns.items()})
        bound = layer({name: column.bound.format(name) for name, column in columns.items()})
        return f"""SELECT "{PROBLEM_COLUMN}",
    {bound}
FROM (SELECT "{PROBLEM_COLUMN}",
    {convert}
FROM (SELECT "{PROBLEM_COLUMN}",
    {tidy}
FROM (SELECT
    {PROBLEM_SQL},
    {read}
FROM (SELECT profile, DATE {literal(self.as_of.isoformat())} AS as_of,
             try(json_extract_string(profile, [{paths}])) AS v FROM profiles))))"""

    def _value(self, path: str) -> str:
        """SQL for the text at ``path``: all paths are extracted in one call, whose list counts from 1."""
        if path not in self._paths:
            self._paths.append(path)
        return f"v[{self._paths.index(path) + 1}]"

    def _from_path(
        self,
        feature: Number | Date | Ordered | Category | Boolean | Text | TextWords,
        convert: str,
        bound: str = "{0}",
        tidy: str = "{0}",
    ) -> _Column:
        """Read the text at the feature's path, tidy and convert it; with ``[*]``, all items, then pick one."""
        steps = parse_path(feature.path)
        if "*" not in steps:
            return _Column(self._value(json_path(steps)), tidy, convert, bound)
        star = steps.index("*")
        outer = self._value(json_path(steps[:star]))
        inner = json_path(["*", *steps[star + 1 :]])
        items = f"CASE WHEN starts_with({outer}, '[') THEN try(json_extract_string({outer}, {literal(inner)})) END"
        tidied = f"list_transform({{0}}, lambda x: {tidy.format('x')})" if tidy != "{0}" else tidy
        each = f"list_transform({{0}}, lambda x: {convert.format('x')})"
        return _Column(items, tidied, f"list_{feature.pick}(list_filter({each}, lambda x: x IS NOT NULL))", bound)

    def _column(self, feature: Feature) -> _Column:
        if isinstance(feature, Number):
            scale = f" * {feature.scale!r}" if feature.scale != 1 else ""
            bound = _within_bounds(feature.min, feature.max, clip=feature.outside == "clip")
            number = "try_cast({0} AS DOUBLE)" if feature.decimal == "." else _WITH_COMMA
            return self._from_path(feature, f"({number}{scale})", bound)
        if isinstance(feature, Date):
            return self._from_path(feature, self._years("{0}"), _within_bounds(feature.min, feature.max, clip=False), TIDY)
        if isinstance(feature, Ordered):
            ranks = " ".join(
                f"WHEN {literal(fold_text(name))} THEN {rank}.0" for rank, level in enumerate(feature.synonyms) for name in level
            )
            return self._from_path(feature, f"CAST(CASE {{0}} {_escape_braces(ranks)} END AS DOUBLE)", tidy=FOLD)
        if isinstance(feature, Boolean):
            yes, no = "('true', 'yes', 'y', '1', 't')", "('false', 'no', 'n', '0', 'f')"
            sql = f"CAST(CASE WHEN {{0}} IN {yes} THEN 1 WHEN {{0}} IN {no} THEN 0 END AS DOUBLE)"
            return self._from_path(feature, sql, tidy=FOLD)
        if isinstance(feature, Count):
            items = self._value(json_path(parse_path(feature.path)))
            length = "CASE WHEN starts_with({0}, '[') THEN CAST(try(json_array_length({0})) AS DOUBLE) END"
            return _Column(items, "{0}", length, _within_bounds(feature.min, feature.max, clip=True))
        if isinstance(feature, Text):
            rules = " ".join(
                f"WHEN regexp_matches({{0}}, {_escape_braces(literal(normalize('NFC', rule.match)))}, 'i') THEN {rule.value!r}"
                for rule in feature.rules
            )
            sql = f"CAST(CASE WHEN {{0}} IS NULL THEN NULL {rules} ELSE {feature.otherwise!r} END AS DOUBLE)"
            return self._from_path(feature, sql, tidy=TIDY)
        if isinstance(feature, ListFlags):
            return self._flags(feature)
        if isinstance(feature, TextWords):
            words = r"list_filter(string_split_regex({0}, '[^\pL\pN]+'), lambda w: length(w) > 1)"
            return self._from_path(feature, f"CASE WHEN {{0}} IS NOT NULL THEN {_joined_items(words)} END", tidy=FOLD)
        if isinstance(feature, Ratio):
            over, under = (self._value(json_path(parse_path(path))) for path in (feature.path, feature.over))
            quotient = f"try_cast({over} AS DOUBLE) / nullif(try_cast({under} AS DOUBLE), 0)"
            return _Column(quotient, bound=_within_bounds(feature.min, feature.max, clip=False))
        if isinstance(feature, Category):
            return self._from_path(feature, f"nullif(left({{0}}, {MAX_CATEGORY_CHARS}), '')", tidy=TIDY)
        return _Column(f"try(CAST(({feature.expression}\n) AS DOUBLE))", bound=_within_bounds(feature.min, feature.max, clip=False))

    def _flags(self, feature: ListFlags) -> _Column:
        """Read the items of the list at the feature's path, as one text; a list without items is an empty text."""
        steps = parse_path(feature.path)
        star = steps.index("*") if "*" in steps else len(steps)
        outer = self._value(json_path(steps[:star]))
        inner = literal(json_path(["*", *steps[star + 1 :]]))
        items = f"CASE WHEN starts_with({outer}, '[') THEN try(json_extract_string({outer}, {inner})) END"
        tidied = TIDY.format(f"replace(x, {literal(ITEM_SEPARATOR)}, ' ')")
        tidy = f"list_transform({{0}}, lambda x: nullif(left({_escape_braces(tidied)}, {MAX_CATEGORY_CHARS}), ''))"
        return _Column(items, tidy, f"CASE WHEN {{0}} IS NOT NULL THEN {_joined_items('{0}')} END")

    def _years(self, text: str) -> str:
        """SQL for the years from an ISO date (or year, or year and month) to ``as_of``; NULL for any other text."""
        year = f"try_cast(substr({text}, 1, 4) AS DOUBLE)"
        month, day = (f"try_cast(nullif(substr({text}, {at}, 2), '') AS DOUBLE)" for at in (6, 9))
        months = f"CASE WHEN length({text}) < 7 THEN 0 WHEN {month} BETWEEN 1 AND 12 THEN ({self.as_of.month} - {month}) / 12.0 END"
        days = f"CASE WHEN length({text}) < 10 THEN 0 WHEN {day} BETWEEN 1 AND 31 THEN ({self.as_of.day} - {day}) / 365.25 END"
        shape = f"length({text}) IN (4, 7) OR (length({text}) >= 10 AND substr({text}, 8, 1) = '-')"
        return f"CASE WHEN ({shape}) AND substr({text}, 5, 1) IN ('', '-') THEN {self.as_of.year} - {year} + {months} + {days} END"


def _joined_items(items: str) -> str:
    """SQL that joins a list's distinct texts in order of the alphabet; ``items`` is SQL with ``{0}`` for the layer below."""
    sorted_items = f"list_sort(list_distinct(list_filter({items}, lambda y: y IS NOT NULL)))"
    return f"array_to_string(({sorted_items})[1:{MAX_ITEMS}], {literal(ITEM_SEPARATOR)})"


def _escape_braces(text: str) -> str:
    """Protect literal braces from ``str.format``."""
    return text.replace("{", "{{").replace("}", "}}")


def _within_bounds(low: float, high: float, *, clip: bool) -> str:
    """SQL that limits a number to low..high, by clipping or by NULL; NaN and infinity become NULL."""
    if clip:
        return f"CASE WHEN isfinite({{0}}) THEN greatest({low!r}, least({high!r}, {{0}})) END"
    return f"CASE WHEN {{0}} BETWEEN {low!r} AND {high!r} THEN {{0}} END"
