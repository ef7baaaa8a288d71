"""Ids in a file, one a line, with every line end and in every marked encoding; forms that would stand for nobody are refused."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from predict_age.errors import ConfigError
from predict_age.source.text_encoding import UTF_8, encoding_of_mark
from predict_age.source.text_ids import id_text
from predict_age.source.usual_names import is_usual_name

_LINE_END = re.compile(r"\r\n|\r|\n")
_COMMON = re.compile(r"[A-Za-z0-9_.:@/-]+")  # nearly all ids: nothing else needs to be looked at
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_JSON = re.compile(r'\{(?![0-9a-f]{8}-[0-9a-f-]+\}$)|\[|"[^"]*"\s*:', re.I)  # but no GUID in braces
_GROUPED = re.compile(r"[+-]?\d+(?:\s+[+-]?\d+)+|[+-]?\d{1,3}(?:['\u2019]\d{3})+")
_OTHER_DIGITS = re.compile(r"(?=.*[^\x00-\x7f])[+-]?\d+(?:[.]0*)?")  # of other scripts, or of full width
GROUPS_OF_DIGITS = re.compile(r"[+-]?[0-9]{1,3}(?:\.[0-9]{3})+")  # 2.000: a whole number to a program, two thousand to many people
_ROUNDED = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?E[+][0-9]+", re.I)
_SEPARATORS = re.compile(r"[,;\t|]")
FEWEST_OTHERS = 2  # ids that tell whether the first line is one
_QUOTES = "\"'\u2018\u2019\u201c\u201d`"


@dataclass(frozen=True)
class _Form:
    """A form of lines that are no ids, and what to do about it."""

    found: str
    fix: str


_ENCODING = _Form("bytes that are no text in the file's encoding", "save the file as text in UTF-8")
_INVISIBLE = _Form(
    "characters that cannot be seen", "save the file as plain text in UTF-8, without control and zero-width characters"
)
_SEVERAL = _Form(
    "more than one value", "give ids alone, one a line; an id that has a comma, semicolon, tab or | in it goes into double quotes"
)
_QUOTE = _Form("a quotation mark at one end, or of another kind", 'write the id without quotation marks, or as in CSV: "id"')
_NAME = _Form("the name of a column", "leave that line out; an id that is called so goes into another line than the first")
_STRUCTURE = _Form("JSON", "give ids alone, one a line")
_NUMBERS = _Form("several numbers, or one in groups of digits", "write each id as its digits alone, one a line")
_DIGITS = _Form("digits other than 0 to 9", "write each id as the source has it; a text of such digits goes into double quotes")
_EXPONENT = _Form("a rounded number with an exponent", "export the ids again as text: the digits that were rounded away are lost")


def read_id_lines(data: bytes, name: str) -> list[str]:
    """The ids in ``data``, trimmed and composed; blank lines are empty texts. A line in quotation marks is read as CSV has it.

    ``name``: how the file is called in messages. Raises ConfigError for the first line that has another form, by its number.
    """
    encoding = encoding_of_mark(data) or UTF_8
    text = data.decode(encoding, "surrogateescape" if encoding.startswith("utf-8") else "replace")
    lines = _LINE_END.split(text)
    lines = lines[:-1] if lines[-1] == "" else lines
    ids = []
    for number, line in enumerate(lines, start=1):
        read = _read(line.removeprefix("\ufeff") if number == 1 else line, first=number == 1)
        if isinstance(read, _Form):
            raise no_id(name, number, "ids as the source has them, one a line", read.found, read.fix)
        ids.append(read)
    if _is_header(ids):
        raise no_id(name, 1, "ids as the source has them, one a line", _NAME.found, _NAME.fix)
    return ids


def _is_header(ids: Sequence[str]) -> bool:
    """Whether the first line has no digit and all others have: a name in whatever language, over ids that are texts."""
    others = [text for text in ids[1:] if text]
    return (
        len(others) >= FEWEST_OTHERS
        and not any(map(str.isdigit, ids[0]))
        and any(map(str.isalpha, ids[0]))
        and all(any(map(str.isdigit, text)) for text in others)
    )


def no_id(name: str, number: int, expected: str, found: str, fix: str) -> ConfigError:
    """The error about a line, which names its ``number`` and never its text."""
    return ConfigError(f"line {number:,} of {name} is no id: nothing was changed", expected=expected, found=found, fix=fix)


def _read(line: str, *, first: bool) -> str | _Form:
    line = line.strip()
    if _COMMON.fullmatch(line) and not first:
        return line
    if any("\udc80" <= c <= "\udcff" or c == "\ufffd" for c in line):
        return _ENCODING
    if quoted := _QUOTED.fullmatch(line):
        inner = quoted[1].replace('""', '"')
        if first and is_usual_name(inner):
            return _NAME
        return _INVISIBLE if _has_invisible(inner) else id_text(inner)
    form = _other_form(line, first=first)
    return form or id_text(line)


def _other_form(line: str, *, first: bool) -> _Form | None:
    """The form of a line that stands for nobody; None for an id."""
    checks = (
        (_STRUCTURE, _JSON.match(line)),
        (_SEVERAL, _SEPARATORS.search(line)),
        (_INVISIBLE, _has_invisible(line)),
        (_QUOTE, line[:1] in _QUOTES or line[-1:] in _QUOTES if line else False),
        (_NAME, first and is_usual_name(line)),
        (_NUMBERS, _GROUPED.fullmatch(line)),
        (_DIGITS, _OTHER_DIGITS.fullmatch(line)),
        (_EXPONENT, _ROUNDED.fullmatch(line)),
    )
    return next((form for form, is_so in checks if is_so), None)


def _has_invisible(text: str) -> bool:
    """Whether there are control characters, line ends of other systems, or characters of no width at an end."""
    ends = (text[:1], text[-1:])
    return any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in text) or any(
        unicodedata.category(c) == "Cf" for c in ends if c
    )
