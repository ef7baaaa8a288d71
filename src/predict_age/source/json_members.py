"""Members of JSON objects that Python's parser refuses: deep ones, and integers of thousands of digits. DuckDB reads both."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from math import isfinite

SURE_DIGITS = 15  # of a number, which every float keeps
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]', re.DOTALL)


def python_integer(text: str) -> int | str:
    """The integer ``text``; as it is where it has more digits than Python converts."""
    try:
        return int(text)
    except ValueError:
        return text


def exact_number(text: str) -> Decimal | str:
    """The number ``text`` to the digit; as it is where its exponent is beyond those of decimal numbers."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def kept_float(text: str) -> float | str:
    """The number ``text``, which has a point or an exponent, as a float; as it is where a float does not keep its digits.

    Writers give a float its shortest digits, 17 of them, or all that it has.
    """
    number = float(text)
    if len(text) <= SURE_DIGITS and not set(text) & set("eE"):
        return number
    if not isfinite(number) or (exact := exact_number(text)) == text:
        return text
    return number if exact in (Decimal(repr(number)), Decimal(f"{number:.17g}"), Decimal(number)) else text


def object_with_all_digits(text: str) -> dict[str, object] | None:
    """The JSON object ``text``, in which a number that no float keeps is text, and a value with such a number inside JSON text.

    None where Python's parser refuses ``text``, or it is no object.
    """
    lost: list[str] = []

    def number(written: str) -> float | str:
        kept = kept_float(written)
        lost.extend([kept] if isinstance(kept, str) else [])
        return kept

    try:
        made = json.loads(text, parse_int=python_integer, parse_float=number)
    except (ValueError, RecursionError):
        return None
    if not isinstance(made, dict):
        return None
    written = dict(outer_members(text)) if lost else {}
    return {name: written[name] if lost and isinstance(value, dict | list) else value for name, value in made.items()}


def outer_members(text: str) -> Iterator[tuple[str, str]]:
    """Keys at the top of the JSON object ``text``, each as often as it stands there, and the texts of their values.

    It follows brackets and strings alone, without recursion, and finds the members of a damaged object, too.
    """
    depth, start = 0, -1
    key: str | None = None
    before: str | None = None  # the string before, where a colon may make it a key
    outermost: str | None = None
    for match in _TOKEN.finditer(text):
        mark = match[0]
        outermost = outermost or mark
        if depth == 1 and outermost == "{" and key is not None and mark in ",}":
            yield key, text[start : match.start()].strip()
            key = None
        if mark in "{[":
            depth += 1
        elif mark in "}]":
            depth -= 1
        elif depth == 1 and mark == ":" and key is None and before is not None:
            key, start = _string(before), match.end()
        before = mark if mark[0] == '"' else None


def simple_value(text: str, parse_float: Callable[[str], object]) -> object:
    """The JSON value ``text``; as it is where it is an object, a list or no JSON."""
    if text[:1] in ("{", "["):
        return text
    try:
        return json.loads(text, parse_int=python_integer, parse_float=parse_float, strict=False)
    except ValueError:
        return text


def _string(mark: str) -> str:
    try:
        return str(json.loads(mark, strict=False))
    except ValueError:
        return mark[1:-1]
