"""The feature file: kinds of features, and every check that is possible before a row is read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from predict_age.errors import ConfigError
from predict_age.features.refused_names import expression_refusal, refusal_reason
from predict_age.features.text_rule import fold_text
from predict_age.file_names import text_of_file
from predict_age.toml_lines import explain, key_of_kind, line_of
from predict_age.toml_text import parse_toml

FEATURE_FILE_FORMAT = 1
_STEP = re.compile(r"""(?:^|\.)(?:"([^"]+)"|([^.\[\]"]+))|\[(-?\d+|\*)\]""")
FEATURE_NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}$")


class _Feature(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    meaning: str = Field(min_length=1)
    unit: str = ""
    may_be_absent: bool = False  # whether a source in which no profile has the feature is accepted

    @property
    def is_category(self) -> bool:
        return False

    @property
    def is_text(self) -> bool:
        """Whether its column holds texts, which are encoded at training."""
        return self.is_category


class _Bounded(_Feature):
    min: float
    max: float
    default: float

    @model_validator(mode="after")
    def _check_bounds(self) -> _Bounded:
        if self.min >= self.max:
            raise ValueError(f"min ({self.min:g}) must be below max ({self.max:g})")
        if not self.min <= self.default <= self.max:
            raise ValueError(f"default ({self.default:g}) must lie in {self.min:g}..{self.max:g}")
        return self


class _FromPath(_Feature):
    path: str
    pick: Literal["first", "last", "min", "max"] = "first"

    @model_validator(mode="after")
    def _check_path(self) -> _FromPath:
        parse_path(self.path)
        return self


class Number(_FromPath, _Bounded):
    """A number; values outside min..max are missing, or moved to the bound with ``outside = "clip"``.

    With ``decimal = ","``, 1.234,5 is read as 1234.5.
    """

    kind: Literal["number"]
    scale: float = 1.0
    decimal: Literal[".", ","] = "."
    outside: Literal["missing", "clip"] = "missing"


class Date(_FromPath, _Bounded):
    """Years from a date (YYYY, YYYY-MM or YYYY-MM-DD...) to ``as_of``; outside min..max it is missing."""

    kind: Literal["date"]
    min: float = 0.0


class Ordered(_FromPath):
    """A rank 0, 1, 2 ... in ``levels``, lowest first; an entry may be a list of synonyms. Case does not matter."""

    kind: Literal["ordered"]
    levels: Annotated[list[str | list[str]], Field(min_length=2)]
    default: float

    @model_validator(mode="after")
    def _distinct(self) -> Ordered:
        names = [fold_text(name) for level in self.synonyms for name in level]
        if len(set(names)) != len(names):
            raise ValueError("levels name the same value twice")
        return self

    @property
    def synonyms(self) -> list[list[str]]:
        """Every level as a list of names."""
        return [[level] if isinstance(level, str) else level for level in self.levels]


class Category(_FromPath):
    """A text whose values are encoded at training; unseen ones count as an average value."""

    kind: Literal["category"]
    max_values: int = Field(default=256, ge=2, le=10_000)

    @property
    def is_category(self) -> bool:
        return True


class Boolean(_FromPath):
    """1 or 0 from true/false, yes/no, 1/0."""

    kind: Literal["boolean"]
    default: float = 0.0


class Count(_FromPath, _Bounded):
    """The length of a list."""

    kind: Literal["count"]
    min: float = 0.0
    max: float = 1000.0
    default: float = 0.0


class Rule(BaseModel):
    """``value`` when the regular expression ``match`` (RE2, case-insensitive) is found in the text."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    match: str = Field(min_length=1)
    value: float


class Text(_FromPath):
    """The value of the first rule that matches, else ``otherwise``; missing text is missing."""

    kind: Literal["text"]
    rules: Annotated[list[Rule], Field(min_length=1)]
    otherwise: float
    default: float


class ListFlags(_FromPath):
    """The items of a list of texts. Training learns the ``max_values`` commonest; each is a column of 0 and 1."""

    kind: Literal["flags"]
    max_values: int = Field(default=20, ge=1, le=200)

    @property
    def is_text(self) -> bool:
        return True


class TextWords(_FromPath):
    """The words of a free text, hashed into ``buckets``; each bucket is a column of 0 and 1."""

    kind: Literal["words"]
    buckets: int = Field(default=32, ge=2, le=256)

    @property
    def is_text(self) -> bool:
        return True


class Ratio(_Bounded):
    """The number at ``path`` divided by the number at ``over``; missing when either is, or when ``over`` is 0."""

    kind: Literal["ratio"]
    path: str
    over: str

    @model_validator(mode="after")
    def _check_paths(self) -> Ratio:
        for path in (self.path, self.over):
            if "*" in parse_path(path):
                raise ValueError("a ratio divides one number by another; [*] gives several")
        return self


class Sql(_Bounded):
    """A DuckDB expression over ``profile`` (JSON) and ``as_of`` (DATE) that gives a number."""

    kind: Literal["sql"]
    expression: str = Field(min_length=1)


Feature = Annotated[
    Number | Date | Ordered | Category | Boolean | Count | Text | Sql | ListFlags | TextWords | Ratio, Field(discriminator="kind")
]
_FEATURES = TypeAdapter(dict[str, Feature])
_CLASSES = {get_args(c.model_fields["kind"].annotation)[0]: c for c in get_args(get_args(Feature)[0])}


def parse_path(path: str) -> list[str | int]:
    """Split ``a.b[0].c``, ``a[-1]`` or ``a[*].b`` into steps; "*" stands for every item. Keys may be quoted: ``"a.b".c``.

    Raises ValueError when the text is not a path.
    """
    steps: list[str | int] = []
    end = 0
    for found in _STEP.finditer(path):
        quoted, plain, item = found.groups()
        if found.start() != end or quoted == "*" or (item == "*" and not steps):
            break
        end = found.end()
        steps.append(quoted or plain if item is None else ("*" if item == "*" else int(item)))
        if item == "*" and "*" in steps[:-1]:
            raise ValueError(f"path {path!r} uses [*] twice; once is possible")
    if not steps or end != len(path) or isinstance(steps[0], int) or path.startswith(("$", "*", ".")):
        raise ValueError(f"{path!r} is no path; write key, key.key, key[0], key[-1] or key[*].key")
    return steps


class FeatureSet:
    """The features of a file, in its order: that order is the order of the matrix columns."""

    def __init__(self, features: dict[str, Feature], text: str) -> None:
        self.features = features
        self.text = text

    @property
    def names(self) -> list[str]:
        return list(self.features)

    @property
    def hash(self) -> str:
        """SHA-256 of the parsed features: comments, layout and ``may_be_absent`` do not change it."""
        dumped = _FEATURES.dump_json(self.features, exclude={name: {"may_be_absent"} for name in self.features})
        return hashlib.sha256(dumped).hexdigest()

    def __len__(self) -> int:
        return len(self.features)


def default_text() -> str:
    """The default feature file, for the profile of the architecture document."""
    return files("predict_age.features").joinpath("default.toml").read_text(encoding="utf-8")


def load_features(path: Path | None, age_columns: Collection[str] = ()) -> FeatureSet:
    """Read a feature file, or the default one. Raises ConfigError naming the line of every problem."""
    text, where = (text_of_file(path, "the feature file"), str(path)) if path else (default_text(), "the default feature file")
    return parse_features(text, where, age_columns)


def parse_features(text: str, where: str, age_columns: Collection[str] = (), *, refuse: bool = True) -> FeatureSet:
    """Parse and check the text of a feature file, which ``where`` names. With ``refuse`` names are checked, too: not of a model."""
    data = parse_toml(text, where)

    def wrong(keys: tuple[str, ...], problem: str, fix: str = "") -> ConfigError:
        line = line_of(text, keys)
        return ConfigError(f"{where}{f', line {line}' if line else ''}: {problem}", fix=fix)

    if unknown := set(data) - {"format", "features"}:
        fix = "features are tables named [features.some_name]; a configuration is given as --config"
        raise wrong((min(unknown),), f"unknown table {min(unknown)!r}", fix)
    if data.get("format") != FEATURE_FILE_FORMAT:
        raise wrong(
            ("format",),
            f"format must be {FEATURE_FILE_FORMAT}, found {data.get('format')!r}",
            f"write format = {FEATURE_FILE_FORMAT} on top",
        )
    declared = data.get("features")
    if not isinstance(declared, dict) or not declared:
        raise wrong(("features",), "no features", "add a table such as [features.tenure_years]")
    for name in declared:
        if not FEATURE_NAME.match(name):
            raise wrong(("features", name), f"feature name {name!r} is not lower_case_with_underscores")
    try:
        features = _FEATURES.validate_python(declared)
    except ValidationError as error:
        raise ConfigError(
            explain(error, where, text, ("features",), frozenset(_CLASSES), partial(key_of_kind, _CLASSES, declared))
        ) from None
    for name, feature in features.items() if refuse else ():
        named: list[tuple[tuple[str, ...], str]] = [(("features", name), name)]
        if isinstance(feature, Sql):
            named.append((("features", name, "expression"), feature.expression))
        else:
            keys_of_paths = ("path", "over") if isinstance(feature, Ratio) else ("path",)
            named += [
                (("features", name, key), step)
                for key in keys_of_paths
                for step in parse_path(getattr(feature, key))
                if isinstance(step, str)
            ]
        for keys, words in named:
            check = expression_refusal if keys[-1] == "expression" else refusal_reason
            if reason := check(words, age_columns if keys[-1] != name else ()):
                raise wrong(keys, f"feature {name} is refused: {reason}", "remove the feature")
    return FeatureSet(features, text)
