"""Strict JSON: duplicate keys, numbers that are none, deep nesting and bytes after the end are refused; values keep their text.

The profile of an item stays the text that was sent, so that it is read as a batch reads it.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from predict_age.serving.messages import Finding, ProblemError

MAX_DEPTH_OF_BODY = 64
MOST_INTEGER_DIGITS = 30  # of a number that is read as one; longer ones are beyond any id
MOST_CHARACTERS = 1_000_000  # of a profile, of a list of ids, and of any other value that this module reads
LARGE_BODY = 1 << 19  # bytes that are looked at before a pause
_PARTS = (1 << 12, 1 << 16, MOST_CHARACTERS)  # characters in which the end of a value is looked for
_LONGEST_WORD = 12  # characters of what is read as one, such as -Infinity and an escaped pair; of strings and numbers apart
_LONGEST_TAIL = 2  # characters behind a number that may be its fraction or exponent, which the cut keeps from being read: 1e+
_WHITE = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True)
class SentMember:
    """A member of an object: its value, and the text that it was read from."""

    value: object
    text: str


class _NotJsonError(ValueError):
    """The text is no JSON; the message says what was expected."""


class HugeInteger(float):
    """An integer with more digits than any id has."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _NotJsonError("every key of an object once")
    return made


def _no_constant(_: str) -> NoReturn:
    raise _NotJsonError("numbers: NaN and Infinity are none in JSON")


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= MOST_INTEGER_DIGITS else HugeInteger("inf")


def _scanner(**more: Callable[[str], object]) -> Callable[[str, int], tuple[object, int]]:
    """The scanner behind :meth:`json.JSONDecoder.raw_decode`, without its error messages, which hold the text."""
    made = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, **more)  # type: ignore[arg-type]
    scan: Callable[[str, int], tuple[object, int]] = made.scan_once  # type: ignore[attr-defined]
    return scan


_scan = _scanner()
_scan_huge = _scanner(parse_int=_integer)  # where an integer has more digits than Python converts


def decoded(body: bytes) -> str:
    """The text of ``body``. Raises ProblemError 400 unless it is UTF-8 without a byte-order mark."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise ProblemError(400, "the body is not UTF-8", Finding("UTF-8")) from None
    if text.startswith("\ufeff"):
        raise ProblemError(400, "the body begins with a byte-order mark", Finding("JSON without a byte-order mark"))
    return text


def checked_text(body: bytes) -> Iterator[None]:
    """Check that ``body`` is UTF-8 as :meth:`decoded` does, with pauses where it is large. Raises ProblemError 400."""
    if len(body) <= LARGE_BODY:
        decoded(body)
        return
    if body.startswith(codecs.BOM_UTF8):
        decoded(body[:3])
    decoder = codecs.getincrementaldecoder("utf-8")()
    for first in range(0, len(body), LARGE_BODY):
        try:
            decoder.decode(body[first : first + LARGE_BODY], final=first + LARGE_BODY >= len(body))
        except UnicodeDecodeError:
            raise ProblemError(400, "the body is not UTF-8", Finding("UTF-8")) from None
        yield


def value_at(text: str, at: int, outer: int) -> tuple[object, int]:
    """The value at ``at``, inside ``outer`` objects and lists, and where it ends. Raises ProblemError 400 when there is none.

    A value that is too long, of which millions of objects could be made, is a ProblemError 413. So that no more than its beginning
    is read, the scanner gets a part of a long text, and a longer part where the value does not end in it.
    """
    for size in _PARTS:
        cut = at + size < len(text)
        try:
            value, end = _scanned(text[at : at + size], 0) if cut else _scanned(text, at)
        except (StopIteration, json.JSONDecodeError) as error:
            if not cut or not _is_of_the_cut(error, size):
                raise _problem_of(error) from None
        except (ValueError, RecursionError) as error:
            raise _problem_of(error) from None
        else:
            if not cut or end < size - _LONGEST_TAIL:
                begin, end = at, at + end if cut else end
                if text.count("[", begin, end) + text.count("{", begin, end) > MAX_DEPTH_OF_BODY - outer:
                    _check_depth(value, MAX_DEPTH_OF_BODY - outer)
                return value, end
    raise ProblemError(413, f"a value has more than {MOST_CHARACTERS:,} characters", Finding("profiles and lists of usual length"))


def _scanned(text: str, at: int) -> tuple[object, int]:
    try:
        return _scan(text, at)
    except ValueError as error:
        if type(error) is not ValueError:  # JSONDecodeError and the like
            raise
        return _scan_huge(text, at)


def _is_of_the_cut(error: StopIteration | json.JSONDecodeError, size: int) -> bool:
    """Whether a part of ``size`` characters may be no JSON because it is a part."""
    if isinstance(error, StopIteration):
        return int(error.value) > size - _LONGEST_WORD
    return error.pos > size - _LONGEST_WORD or error.msg.startswith("Unterminated string")


def _problem_of(error: Exception) -> ProblemError:
    """The problem of a text that the scanner refuses."""
    if isinstance(error, StopIteration):
        return not_json("a value")
    if isinstance(error, _NotJsonError):
        return not_json(str(error))
    return _too_deep() if isinstance(error, RecursionError) else not_json("JSON (RFC 8259)")


def not_json(expected: str) -> ProblemError:
    """The problem of a body that is no JSON."""
    return ProblemError(400, "the body is not JSON", Finding(expected))


def _too_deep() -> ProblemError:
    return ProblemError(400, "the body is nested too deeply", Finding(f"at most {MAX_DEPTH_OF_BODY} levels"))


def _check_depth(value: object, most: int) -> None:
    """Raise ProblemError 400 where more than ``most`` objects and lists are around a value. Looks at one level after the other."""
    level = [value]
    for _ in range(most):
        level = [
            child
            for one in level
            for child in (one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise _too_deep()


def _after_white(text: str, at: int) -> int:
    found = _WHITE.match(text, at)
    assert found is not None  # it may be empty
    return found.end()


def item_at(text: str, at: int, outer: int = 0) -> tuple[dict[str, SentMember] | None, int]:
    """Members of the object that begins at ``at``, None for another value, and where it ends. Raises ProblemError 400."""
    if text[at : at + 1] != "{":
        return None, value_at(text, at, outer)[1]
    members: dict[str, SentMember] = {}
    at = _after_white(text, at + 1)
    if text[at : at + 1] == "}":
        return members, at + 1
    while True:
        if text[at : at + 1] != '"':
            raise not_json("a key in quotes")
        name, at = value_at(text, at, outer)
        at = _after_white(text, at)
        if text[at : at + 1] != ":":
            raise not_json("a colon after a key")
        start = _after_white(text, at + 1)
        value, at = value_at(text, start, outer + 1)
        if str(name) in members:
            raise not_json("every key of an object once")
        members[str(name)] = SentMember(value, text[start:at])
        at = _after_white(text, at)
        if text[at : at + 1] == "}":
            return members, at + 1
        if text[at : at + 1] != ",":
            raise not_json("a comma or the end of the object")
        at = _after_white(text, at + 1)


def items_of(text: str) -> Iterator[dict[str, SentMember] | None]:
    """Items of the array that is all of ``text``, one after another. Raises ProblemError 400 where it turns out to be no JSON."""
    at = _after_white(text, _after_white(text, 0) + 1)
    if text[at : at + 1] == "]":
        at += 1
    else:
        while True:
            item, at = item_at(text, at, outer=1)
            yield item
            at = _after_white(text, at)
            if text[at : at + 1] == "]":
                at += 1
                break
            if text[at : at + 1] != ",":
                raise not_json("a comma or the end of the array")
            at = _after_white(text, at + 1)
    if _after_white(text, at) != len(text):
        raise not_json("nothing after the array")


def single_item(text: str) -> dict[str, SentMember] | None:
    """Members of the object that is all of ``text``; None for another value. Raises ProblemError 400."""
    item, at = item_at(text, _after_white(text, 0))
    if _after_white(text, at) != len(text):
        raise not_json("nothing after the value")
    return item


def is_array(text: str) -> bool:
    """Whether the first character of ``text`` opens an array."""
    at = _after_white(text, 0)
    return text[at : at + 1] == "["
