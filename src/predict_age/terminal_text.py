"""Text for a terminal: names and values of other people's files cannot control it, and commands can be copied from it."""

from __future__ import annotations

import os
import re
import shlex
import sys
import textwrap
from typing import IO

# control characters but line ends and tabs, characters that change the direction of text, and bytes that are not UTF-8
_ESCAPED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_ONE_LINE = re.compile("[\t\n]")


def visible(text: str) -> str:
    r"""``text`` with each character that a terminal would obey, or could not encode, as an escape such as ``\x1b``."""
    return _ESCAPED.sub(_escape, text)


def one_line(text: str) -> str:
    """``text`` as :func:`visible` has it, line ends and tabs included: for a name inside a sentence."""
    return _ONE_LINE.sub(_escape, visible(text))


def shell_word(text: object) -> str:
    """``text`` as one word of a command that can be copied into a shell, whatever characters it has."""
    word = str(text)
    if one_line(word) == word:
        return shlex.quote(word)
    kept = (c if c not in "\\'" and one_line(c) == c else _bytes(c) for c in word)
    return f"$'{''.join(kept)}'"


def _bytes(character: str) -> str:
    return "".join(f"\\x{b:02x}" for b in character.encode("utf-8", "surrogateescape"))


def say(text: str) -> None:
    """Write one line for people to stderr. Raises OSError or ValueError where stderr takes none."""
    sys.stderr.write(f"{visible(text)}\n")
    sys.stderr.flush()


def say_sentence(lead: str, text: str) -> None:
    """Write a sentence after ``lead`` to stderr: on a terminal wrapped between words, else in one line."""
    say(wrapped(lead, text, line_width(sys.stderr)))


def line_width(stream: IO[str]) -> int:
    """Characters in a line of the terminal that ``stream`` is; no limit for anything else."""
    return (os.get_terminal_size(stream.fileno()).columns or 80) if stream.isatty() else sys.maxsize


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    if 0xDC80 <= number <= 0xDCFF:  # a byte that Python could not decode
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def wrapped(lead: str, text: str, width: int) -> str:
    """``text`` after ``lead`` in lines of at most ``width`` characters below each other; one line if it has a command to copy."""
    if "`" in text or len(lead) + len(text) <= width:
        return lead + text
    below = " " * len(lead)
    return textwrap.fill(
        text, max(width, 40), initial_indent=lead, subsequent_indent=below, break_long_words=False, break_on_hyphens=False
    )
