"""Problems of a TOML file, each with its line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from pydantic import BaseModel, ValidationError

from predict_age.letters import nearest

MAX_SHOWN = 300  # characters of a value in a message
_HEADER = re.compile(r"^\s*\[\s*([^\]\[]+?)\s*\]")
_KEY = re.compile(r"""^\s*("[^"]*"|'[^']*'|[\w-]+)\s*=""")


def explain(
    error: ValidationError,
    where: str,
    text: str,
    prefix: tuple[str, ...] = (),
    variants: frozenset[str] = frozenset(),
    similar: Callable[[tuple[str, ...]], str] = lambda _: "",
) -> str:
    """One readable line for each problem of a pydantic error, with the line of the file.

    ``prefix`` is where the validated part stands in the file; ``variants`` are union tags that pydantic puts into paths.
    ``similar`` names the key that an unknown one probably means, or returns the empty text.
    """
    problems = []
    for problem in error.errors():
        keys = (*prefix, *(str(k) for i, k in enumerate(problem["loc"]) if not (i == 1 and str(k) in variants)))
        if is_kind := problem["type"] == "union_tag_invalid":
            keys = (*keys, "kind")
        line = line_of(text, keys)
        place = f"{where}, line {line}" if line else where
        message = problem["msg"].removeprefix("Value error, ")
        found = "" if isinstance(problem["input"], dict) or not keys else f"; found {_shown(problem['input'])}"
        if problem["type"] == "extra_forbidden":
            meant = similar(keys)
            message, found = f"unknown key; did you mean {meant}?" if meant else "unknown key; look for a spelling mistake", ""
        if is_kind:
            kinds, kind = re.findall(r"'(\w+)'", problem["ctx"]["expected_tags"]), problem["ctx"]["tag"]
            meant = nearest(str(kind), kinds)
            message = f"there is no kind {kind!r}; " + (
                f"did you mean {meant}?" if meant else f"expected one of {', '.join(kinds)}"
            )
        problems.append(f"{place}: {'.'.join(keys) or 'file'}: {message}{found}")
    return "\n".join(problems)


def _shown(value: object) -> str:
    """A value in a message: its beginning where it is long."""
    try:
        text = repr(value)
    except ValueError:  # more digits than Python writes
        return "a number of more than 4,300 digits"
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + " ..."


def line_of(text: str, keys: Sequence[str]) -> int | None:
    """The 1-based line that defines ``keys`` (table names, then key), or the deepest parent found, or None."""
    best: tuple[int, int] | None = None  # (how many keys match, line)
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = [part.strip().strip("\"'") for part in header[1].split(".")]
            path = table
        elif key := _KEY.match(line):
            path = [*table, key[1].strip("\"'")]
        else:
            continue
        if list(keys[: len(path)]) == path and (best is None or len(path) > best[0]):
            best = (len(path), number)
    return best[1] if best else None


def similar_key(keys: tuple[str, ...], sections: Mapping[str, tuple[str, ...]]) -> str:
    """Key that ``keys`` (section, key) probably mean: the same key of another section or a similar spelling; empty if none."""
    if len(keys) == 1:
        return nearest(keys[0], sections)
    elsewhere = [f"{name}.{keys[1]}" for name, fields in sections.items() if keys[1] in fields]
    return elsewhere[0] if elsewhere else nearest(keys[1], sections.get(keys[0], ()))


def key_of_kind(kinds: Mapping[str, type[BaseModel]], declared: Mapping[str, Mapping[str, object]], keys: tuple[str, ...]) -> str:
    """Key that the last of ``keys`` (tables, name, key) probably means, among those of the ``kind`` that is ``declared``."""
    kind = str(declared.get(keys[-2], {}).get("kind"))
    return nearest(keys[-1], kinds[kind].model_fields if kind in kinds else ())
