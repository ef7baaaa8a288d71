"""``python -m predict_age.sql`` writes ``duckdb/``: the statements that DuckDB runs, in its dialect. Needs sqlglot."""

from pathlib import Path

import sqlglot

from predict_age.sql import ON_DUCKDB, source_text


def transpiled(name: str) -> str:
    """``sql/<name>.sql`` for DuckDB, its placeholders as ``$name``."""
    return sqlglot.parse_one(source_text(name), read="athena").sql(dialect="duckdb", pretty=True, comments=False) + "\n"


if __name__ == "__main__":
    for name in ON_DUCKDB:
        (Path(__file__).parent / "duckdb" / f"{name}.sql").write_text(transpiled(name), encoding="utf-8")
