"""Find the line of a TOML file on which a key stands, so that a semantic error can name it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_HEADER = re.compile(r"^\s*\[\s*([^\]\[]+?)\s*\]")
_KEY = re.compile(r"""^\s*("[^"]*"|'[^']*'|[\w-]+)\s*=""")


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
