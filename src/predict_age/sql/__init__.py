"""SQL statements of the pipeline, one in each file, in Athena's dialect.

``duckdb/`` holds the statements that DuckDB also runs, in its dialect: ``make sql`` transpiles them with sqlglot, and a test
compares. So neither a run nor a Lambda function imports a parser (0.2 s); only names and values are inserted.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

VIEW = "predict_age_final_results_with_confidence"  # the view for users, defined by ``final_view.sql``
ON_DUCKDB = ("human_qa", "final_results", "final_view")
_PLACEHOLDER = re.compile(r"(?<![:\w]):([a-z_]+)\b")
_DUCKDB_PLACEHOLDER = re.compile(r"\$([a-z_]+)\b")
_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)
_SOURCE_ID = re.compile(r"^.*\bsource_id\b.*\n", re.MULTILINE)
_COLUMN = re.compile(r"^    (\w+) ([A-Z]+),?$", re.MULTILINE)
_LOCATION = re.compile(r"LOCATION 's3://[^']*'")


def source_text(name: str, *, source_ids: bool = False) -> str:
    """Text of ``sql/<name>.sql``; without the lines of the column ``source_id``, which only a source has whose ids are text."""
    text = files("predict_age.sql").joinpath(f"{name}.sql").read_text(encoding="utf-8")
    return text if source_ids else _SOURCE_ID.sub("", text)


def literal(value: str | int | float) -> str:
    """SQL literal of a value: text in quotes, numbers as they are."""
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


@lru_cache(maxsize=32)
def for_duckdb(name: str, *, source_ids: bool = False, **values: str | int | float) -> str:
    """Statement ``name`` for DuckDB: every placeholder replaced by a literal. Raises KeyError for a missing value."""
    return _filled(_DUCKDB_PLACEHOLDER, source_text(f"duckdb/{name}", source_ids=source_ids), values)


def for_athena(
    name: str,
    tables: dict[str, str] | None = None,
    location: str = "",
    *,
    source_ids: bool = False,
    **values: str | int | float,
) -> str:
    """Statement ``name`` for Athena: ``:name`` replaced by literals, ``tables`` by other names, and LOCATION by ``location``.

    Raises KeyError for a missing value.
    """
    text = _filled(_PLACEHOLDER, _COMMENT.sub("", source_text(name, source_ids=source_ids)).strip(), values)
    for old, new in (tables or {}).items():
        text = re.sub(rf"\b{old}\b", new, text)
    return _LOCATION.sub(f"LOCATION {literal(location)}", text) if location else text


def _filled(placeholder: re.Pattern[str], text: str, values: dict[str, str | int | float]) -> str:
    return placeholder.sub(lambda match: literal(values[match.group(1)]), text)


def columns(name: str, *, source_ids: bool = False) -> dict[str, str]:
    """Columns of the table that ``sql/<name>.sql`` declares, and their types in Athena."""
    return dict(_COLUMN.findall(source_text(name, source_ids=source_ids)))


def unload(query: str, location: str) -> str:
    """Statement that writes the rows of ``query`` as Parquet below ``location``, which must be empty. It has no partition limit."""
    return f"UNLOAD (\n{query}\n) TO {literal(location)} WITH (format = 'PARQUET', compression = 'SNAPPY')"
