"""Statements of ``predict-age sql`` may not go around the tables while people are suppressed: files show everybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import duckdb

from predict_age.errors import ConfigError
from predict_age.runs.visible_people import HIDES

TABLE_FUNCTIONS = {"range", "generate_series", "unnest", "repeat", "repeat_row"}


def check_reads_tables_only(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    """Raise ConfigError when the SELECT statement ``text`` names a file, or calls a function that may read one."""
    found = json.loads(connection.execute("SELECT json_serialize_sql(?)", [text]).fetchall()[0][0])
    if found["error"]:
        raise _refused("a statement of another kind")
    for node in _nodes(found["statements"]):
        if node.get("type") == "TABLE_FUNCTION" and str(_name(node.get("function"))).lower() not in TABLE_FUNCTIONS:
            raise _refused(f"{_name(node.get('function'))}(...)")
        if node.get("type") == "BASE_TABLE" and set("./\\:") & set(str(node.get("table_name"))):
            raise _refused("a file in place of a table")
        if str(_name(node)).lower().startswith(HIDES):
            raise _refused("a function of predict-age's own")


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    waiting = [value]
    while waiting:
        now = waiting.pop()
        if isinstance(now, dict):
            yield now
            waiting += now.values()
        elif isinstance(now, list):
            waiting += now


def _name(node: Any) -> object:
    return node.get("function_name", "") if isinstance(node, dict) else ""


def _refused(found: str) -> ConfigError:
    return ConfigError(
        "this workspace has a suppression list: sql reads the published tables alone",
        expected="SELECT over predict_age_... tables",
        found=found,
        fix="name a table; SHOW TABLES lists them",
    )
