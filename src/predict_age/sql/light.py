"""The statements for Athena without a parser: they are written in its dialect, so only names and values are put in.

Functions of the state machine have no parser, and its import takes a fifth of a second; a test compares what is made here with what
the parser makes.
"""

from __future__ import annotations

import re

from predict_age.sql import source_text

_PLACEHOLDER = re.compile(r"(?<![:\w]):([a-z_]+)\b")
_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)
_COLUMN = re.compile(r"^    (\w+) ([A-Z]+),?$", re.MULTILINE)
_LOCATION = re.compile(r"LOCATION 's3://[^']*'")


def literal(value: str | int | float) -> str:
    """A value as SQL: text in quotes, numbers as they are."""
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


def render(name: str, tables: dict[str, str] | None = None, location: str = "", **values: str | int | float) -> str:
    """``sql/<name>.sql`` with ``:name`` replaced by literals, ``tables`` by other names, and LOCATION by ``location``.

    Raises KeyError for a missing value.
    """
    text = _COMMENT.sub("", source_text(name)).strip()
    text = _PLACEHOLDER.sub(lambda m: literal(values[m.group(1)]), text)
    for old, new in (tables or {}).items():
        text = re.sub(rf"\b{old}\b", new, text)
    return _LOCATION.sub(f"LOCATION {literal(location)}", text) if location else text


def columns(name: str) -> dict[str, str]:
    """The columns that ``sql/<name>.sql`` declares for a table, one a line, and their types in Athena."""
    return dict(_COLUMN.findall(source_text(name)))


def unload(query: str, location: str) -> str:
    """Write the rows of ``query`` as Parquet below ``location``, which must be empty. No limit of 100 partitions applies."""
    return f"UNLOAD (\n{query}\n) TO {literal(location)} WITH (format = 'PARQUET', compression = 'SNAPPY')"
