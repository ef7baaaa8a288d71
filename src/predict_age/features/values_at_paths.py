"""Values at the paths of features, as text, of registered JSON profiles."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from predict_age.features.spec import parse_path
from predict_age.features.sql_compiler import json_path

if TYPE_CHECKING:
    import duckdb


def values_at(connection: duckdb.DuckDBPyConnection, paths: Collection[str]) -> dict[str, pa.ChunkedArray]:
    """Text at each path in each of the registered profiles: of a list, its first value; NULL where there is none."""
    steps = {path: json_path(parse_path(path)) for path in paths}
    single = [path for path in paths if "[*]" not in steps[path]]
    lists = [path for path in paths if "[*]" in steps[path]]
    query = "try(json_extract_string(profile, $1::VARCHAR[])) AS c0"
    for n in range(len(lists)):
        item = f"list_filter(try(json_extract_string(profile, ${n + 2})), lambda x: x IS NOT NULL)[1]"
        query += f", nullif({item}, '') AS c{n + 1}"
    asked = [[steps[path] for path in single], *(steps[path] for path in lists)]
    found = connection.sql(f"SELECT {query} FROM profiles", params=asked).to_arrow_table()
    made = dict(zip(lists, found.columns[1:], strict=True))
    for number, path in enumerate(single):
        text = pc.list_element(found["c0"], number)
        made[path] = pc.if_else(pc.equal(text, ""), None, text)
    return made


def items_at(connection: duckdb.DuckDBPyConnection, path: str) -> pa.ChunkedArray:
    """Texts of all items at a ``path`` with [*] in the registered profiles, each once for a profile: (m,), m of all together."""
    items = "SELECT list_distinct(try(json_extract_string(profile, $1))) AS items FROM profiles"
    found = connection.sql(f"SELECT unnest(items) AS item FROM ({items})", params=[json_path(parse_path(path))])
    return found.to_arrow_table()["item"]
