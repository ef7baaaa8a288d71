"""Transpiler of the statements for DuckDB: ``python -m predict_age.sql`` writes ``duckdb/``. Needs sqlglot."""

from pathlib import Path

import sqlglot

from predict_age.sql import ON_DUCKDB, source_text


def transpiled(name: str, *, source_ids: bool = False) -> str:
    """Text of ``sql/<name>.sql`` in DuckDB's dialect, placeholders as ``$name``."""
    return (
        sqlglot.parse_one(source_text(name, source_ids=source_ids), read="athena").sql(
            dialect="duckdb", pretty=True, comments=False
        )
        + "\n"
    )


if __name__ == "__main__":
    for name in ON_DUCKDB:
        (Path(__file__).parent / "duckdb" / f"{name}.sql").write_text(transpiled(name, source_ids=True), encoding="utf-8")
