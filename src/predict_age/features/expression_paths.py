"""Paths in the profile that an SQL expression reads, as far as they are written out: ``profile->'a'->>'b'``, ``'/a/b'``."""

from __future__ import annotations

import re

from predict_age.features.spec import parse_path

_TEXT = r"'((?:[^']|'')*)'"
_CHAIN = re.compile(rf"(?:\(\s*profile\s*,\s*{_TEXT}\s*\))?((?:[\s)]*->>?\s*(?:{_TEXT}|-?\d+))+)")
_CALL = re.compile(rf"\(\s*profile\s*,\s*{_TEXT}")
_ARROW = re.compile(rf"->>?\s*(?:{_TEXT}|(-?\d+))")
_POINTER = re.compile(r"'([$/](?:[^']|'')*)'")
_JSON_STEP = re.compile(r"""\.(?:"([^"]+)"|([^."\[]+))|\[(?:["']([^"']+)["']|(-?\d+|\*)|#(-\d+))\]""")


def paths_in(expression: str) -> list[str]:
    """Paths of the values that ``expression`` names, and of the items where these are lists, in the form of ``path`` of a feature.

    Chains of -> and ->>, JSON paths, pointers and keys in a call on the profile are read; no path that is put together.
    """
    found = []
    for match in _CHAIN.finditer(expression):
        steps = _steps(match[1]) if match[1] else []
        for text, item in _ARROW.findall(match[2]):
            steps += [int(item)] if item else _steps(text)
        found.append(steps)
    found += [_steps(text) for text in [*_CALL.findall(expression), *_POINTER.findall(expression)]]
    paths = dict.fromkeys(map(_path, found))
    return [path for one in paths for path in (one, f"{one}[*]") if _is_path(path)]


def _steps(text: str) -> list[str | int]:
    """Steps of one text: a JSON path from $, a pointer from /, or a key."""
    text = text.replace("''", "'")
    if text.startswith("$"):
        found = [(quoted or plain or bracketed, item or last) for quoted, plain, bracketed, item, last in _JSON_STEP.findall(text)]
        return [key or (item if item == "*" else int(item)) for key, item in found]
    if text.startswith("/"):
        keys = [key.replace("~1", "/").replace("~0", "~") for key in text[1:].split("/")]
        return [int(key) if key.isdecimal() and at else key for at, key in enumerate(keys)]
    return [text]


def _path(steps: list[str | int]) -> str:
    """The steps as a path of the feature file: ``"a b"[0]``."""
    written = [f"[{step}]" if isinstance(step, int) or step == "*" else f'."{step}"' for step in steps]
    return "".join(written).removeprefix(".")


def _is_path(text: str) -> bool:
    try:
        parse_path(text)
    except ValueError:
        return False
    return True
