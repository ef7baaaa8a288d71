"""Group fields of a profile, read for the model card only: they evaluate predictions and are never a feature."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa

from predict_age.errors import ConfigError
from predict_age.features.spec import parse_path
from predict_age.features.sql_compiler import json_path
from predict_age.features.text_rule import fold_text, tidy_sql
from predict_age.source.row_rules import register
from predict_age.sql import literal

if TYPE_CHECKING:
    import duckdb

MAX_GROUP_CHARS = 60
NOT_GIVEN = "not given"


def check_groups(groups: dict[str, str]) -> None:
    """Raise ConfigError unless every path of ``card.groups`` can be parsed."""
    for name, path in groups.items():
        try:
            parse_path(path)
        except ValueError as error:
            raise ConfigError(f"card.groups.{name}: {error}") from None


def read_groups(connection: duckdb.DuckDBPyConnection, profiles: pa.ChunkedArray, groups: dict[str, str]) -> pa.Table:
    """One VARCHAR column a group field for JSON ``profiles`` (n,), in order; "not given" where it is missing."""
    if not groups:
        return pa.table({})
    register(connection, "profiles", pa.table({"profile": profiles}))
    paths = [literal(json_path(parse_path(path))) for path in groups.values()]
    columns = ", ".join(
        f"coalesce(nullif(left({tidy_sql(f'v{i}')}, {MAX_GROUP_CHARS}), ''), '{NOT_GIVEN}') AS \"{name}\""
        for i, name in enumerate(groups, start=1)
    )
    values = ", ".join(f"v[{i}] AS v{i}" for i in range(1, len(groups) + 1))
    read = f"SELECT {values} FROM (SELECT try(json_extract_string(profile, [{', '.join(paths)}])) AS v FROM profiles)"
    return connection.sql(f"SELECT {columns} FROM ({read})").to_arrow_table()


def with_one_spelling(people: pa.Table, fields: list[str]) -> pa.Table:
    """``people`` with one spelling of each value of the group ``fields``: MALE and " Male " are Male, when most are spelled so."""
    for field in fields:
        counts = Counter(people[field].to_pylist())
        spelled: dict[str, str] = {}
        for value, _ in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])):
            spelled.setdefault(fold_text(value), value)
        codes = people[field].combine_chunks().dictionary_encode()
        names = pa.array([spelled[fold_text(value)] for value in codes.dictionary.to_pylist()], pa.string())
        people = people.set_column(people.column_names.index(field), field, names.take(codes.indices))
    return people
