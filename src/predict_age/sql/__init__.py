"""The statements of the pipeline, one a file, written in Athena's dialect.

``duckdb/`` holds those that DuckDB runs, too, in its own dialect: ``make sql`` lets sqlglot write them, and a test compares. So
neither a run nor a function of the state machine has a parser to import, which takes a fifth of a second: only names and values are
put in.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

VIEW = "predict_age_final_results_with_confidence"  # what users read: ``final_view`` as a view
ON_DUCKDB = ("human_qa", "final_results", "final_view")
_PLACEHOLDER = re.compile(r"(?<![:\w]):([a-z_]+)\b")
_DUCKDB_PLACEHOLDER = re.compile(r"\$([a-z_]+)\b")
_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)
_COLUMN = re.compile(r"^    (\w+) ([A-Z]+),?$", re.MULTILINE)
_LOCATION = re.compile(r"LOCATION 's3://[^']*'")


def source_text(name: str) -> str:
    """The file ``sql/<name>.sql``."""
    return files("predict_age.sql").joinpath(f"{name}.sql").read_text(encoding="utf-8")


def literal(value: str | int | float) -> str:
    """A value as SQL: text in quotes, numbers as they are."""
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


@lru_cache(maxsize=32)
def for_duckdb(name: str, **values: str | int | float) -> str:
    """One of ``ON_DUCKDB`` in its dialect, every placeholder replaced by a literal. Raises KeyError for a missing value."""
    return _filled(_DUCKDB_PLACEHOLDER, source_text(f"duckdb/{name}"), values)


def for_athena(name: str, tables: dict[str, str] | None = None, location: str = "", **values: str | int | float) -> str:
    """``sql/<name>.sql`` with ``:name`` replaced by literals, ``tables`` by other names, and LOCATION by ``location``.

    Raises KeyError for a missing value.
    """
    text = _filled(_PLACEHOLDER, _COMMENT.sub("", source_text(name)).strip(), values)
    for old, new in (tables or {}).items():
        text = re.sub(rf"\b{old}\b", new, text)
    return _LOCATION.sub(f"LOCATION {literal(location)}", text) if location else text


def _filled(placeholder: re.Pattern[str], text: str, values: dict[str, str | int | float]) -> str:
    return placeholder.sub(lambda found: literal(values[found.group(1)]), text)


def columns(name: str) -> dict[str, str]:
    """The columns that ``sql/<name>.sql`` declares for a table, one a line, and their types in Athena."""
    return dict(_COLUMN.findall(source_text(name)))


def unload(query: str, location: str) -> str:
    """Write the rows of ``query`` as Parquet below ``location``, which must be empty. No limit of 100 partitions applies."""
    return f"UNLOAD (\n{query}\n) TO {literal(location)} WITH (format = 'PARQUET', compression = 'SNAPPY')"
