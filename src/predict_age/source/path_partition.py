"""Columns that the names of folders (``key=value``) add to the files below them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

PathPartition = tuple[tuple[str, str | None], ...]
NO_PARTITION_VALUE = "__HIVE_DEFAULT_PARTITION__"
_PARTITION = re.compile(r"([A-Za-z_][^=/]*)=(.*)", re.DOTALL)


def partition_of(path: Path, base: Path) -> PathPartition:
    """Columns from folders called ``key=value``: those below the source, and those that lead to it without a gap."""
    inner = path.relative_to(base).parts[:-1] if path.is_relative_to(base) else path.parts[:-1]
    outer: list[str] = []
    for part in reversed(base.parts):
        if not _PARTITION.fullmatch(part):
            break
        outer.insert(0, part)
    pairs: dict[str, str | None] = {}
    for part in (*outer, *inner):
        if match := _PARTITION.fullmatch(part):
            value = unquote(match[2])
            pairs[unquote(match[1])] = None if value == NO_PARTITION_VALUE else value
    return tuple(pairs.items())
