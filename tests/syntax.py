"""The statements as a parser reads them: what ours, which put in text alone, are compared with."""

import sqlglot
from sqlglot import exp

from predict_age.sql import source_text


def parsed_and_filled(name: str, dialect: str, values: dict[str, object]) -> str:
    """``sql/<name>.sql`` in a dialect, its placeholders filled in the syntax tree."""
    tree = sqlglot.parse_one(source_text(name), read="athena")
    filled = tree.transform(lambda node: exp.convert(values[node.name]) if isinstance(node, exp.Placeholder) else node)
    return filled.sql(dialect=dialect, pretty=True, comments=False)
