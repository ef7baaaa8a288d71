"""Layouts of JSON files, told by their beginning: a record a line, one array, an array inside one object, or values in a row."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

LINES, CR_LINES, ARRAY, VALUES, MEMBER = "lines", "lines ended by CR", "array", "values", "member "
SAMPLED_LINES = 50
_ARRAY_OF_OBJECTS = re.compile(r"\[\s*(?:\{|\])")


@dataclass(frozen=True)
class Member:
    """An array inside an object: its ``name``, and the characters before its first element."""

    name: str
    begins: int


def detect_layout(head: str, own_keys: Collection[str]) -> str:
    """Say how the records of a JSON text that begins with ``head`` follow each other. ``own_keys`` are those of a record."""
    text = head.lstrip()
    first_line = re.split(r"[\r\n]", text, maxsplit=1)[0]
    if text[:1] == "[" and not (text.strip("[ \t\r\n]") and (_is_line(text) or _is_line(first_line))):
        return ARRAY
    if text[:1] == "{":
        lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
        good = sum(_is_line(line) for line in lines[:SAMPLED_LINES])
        wrapped = find_member(text, own_keys) if not _begins_with_record(text, own_keys) else None
        if wrapped and (len(lines) == 1 or good * 2 < min(len(lines), SAMPLED_LINES)):
            return MEMBER + wrapped.name
        if not good and _is_values(text):
            return VALUES
    return CR_LINES if len(re.findall(r"\r(?!\n)", head)) > head.count("\n") else LINES


def _begins_with_record(text: str, own_keys: Collection[str]) -> bool:
    """Whether ``text`` begins with a whole object that has one of ``own_keys``, or that another value follows."""
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return any(key in value for key in own_keys) or bool(text[end:].strip())


def _is_line(line: str) -> bool:
    """Whether a line is one record: an object, or an array that holds no objects."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) or (isinstance(value, list) and not any(isinstance(v, dict) for v in value))


def _is_values(text: str) -> bool:
    """Whether ``text`` begins with a whole object that is followed by another or by nothing."""
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return re.match(r'\{\s*"', text) is not None and re.search(r"[\r\n]", text) is not None and _goes_on(text)
    return isinstance(value, dict) and (not text[end:].strip() or text[end:].lstrip()[0] == "{")


def _goes_on(text: str) -> bool:
    """Whether the first line is a part of an object that goes on in the second: it ends within one, outside of any string."""
    first, _, second = text.replace("\r", "\n").partition("\n")
    return first.rstrip()[-1:] in "{[,:" and bool(second.strip())


def find_member(text: str, own_keys: Collection[str]) -> Member | None:
    """The first array of objects in the object at the beginning of ``text``; None when one of ``own_keys`` comes before."""
    decoder = json.JSONDecoder()
    at = 1
    while match := re.compile(r'\s*,?\s*("(?:[^"\\]|\\.)*")\s*:\s*').match(text, at):
        try:
            name: Any = json.loads(match[1])
            if name in own_keys:
                return None
            if _ARRAY_OF_OBJECTS.match(text, match.end()) and not _is_empty(text, match.end()):
                return Member(name, match.end() + 1)
            _, at = decoder.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            return None
    return None


def _is_empty(text: str, at: int) -> bool:
    return re.match(r"\[\s*\]", text[at : at + 1000]) is not None
