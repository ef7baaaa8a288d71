"""The statements of the pipeline, one a file, written in Athena's dialect; DuckDB runs their transpilation."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

Dialect = Literal["athena", "duckdb"]


def source_text(name: str) -> str:
    """The file ``sql/<name>.sql``."""
    return files("predict_age.sql").joinpath(f"{name}.sql").read_text(encoding="utf-8")


@lru_cache(maxsize=32)
def statement(name: str, dialect: Dialect, **values: str | int | float) -> str:
    """``sql/<name>.sql`` for a dialect, with every ``:name`` replaced by a literal. Raises KeyError for a missing value."""
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(source_text(name), read="athena")

    def fill(node: Any) -> Any:
        return exp.convert(values[node.name]) if isinstance(node, exp.Placeholder) else node

    return tree.transform(fill).sql(dialect=dialect, pretty=True, comments=False)
