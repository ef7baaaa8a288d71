"""Tables that a caller gives, as Arrow tables: the one place where errors of other libraries become errors of this one.

No error shows a value, since it may be a person's: it names the column, its type and the types of its values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from predict_age.errors import InputError
from predict_age.source.column_types import holds_value, plain_values, storage_type

TYPES_SHOWN = 4
REFUSALS = (pa.ArrowException, TypeError, ValueError, OverflowError)  # of a library that cannot hand over a table or a column


@runtime_checkable
class ArrowTable(Protocol):
    """Any table that Arrow can read without a copy: pyarrow, pandas (2.2 or newer), polars, DuckDB, a result of this package."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


def arrow_table(given: object, role: str, expected: str) -> pa.Table:
    """``given``, a table, data frame or list of dictionaries, as an Arrow table; ``role`` names it in errors: "the truth".

    Raises InputError for anything else than ``expected``, for a column that Arrow cannot hold, and for two columns of one name.
    """
    if isinstance(given, Sequence) and not isinstance(given, str) and all(isinstance(row, Mapping) for row in given):
        return table_of_columns({name: [row.get(name) for row in given] for row in given for name in row}, role)
    if not isinstance(given, ArrowTable):
        raise InputError(f"{role} cannot be read", expected=expected, found=_kind(given), fix=_way_to_a_table(given))
    _check_names(getattr(given, "columns", ()), role)
    table = _converted(given)
    if table is None:
        _raise_of_column(given, role)
        raise InputError(f"{role} cannot be read as a table", expected=expected, found=_kind(given), fix=_way_to_a_table(given))
    _check_names(table.column_names, role)
    return table


def table_of_columns(columns: Mapping[object, list[Any]], role: str) -> pa.Table:
    """A table of ``columns``, n values each. Raises InputError for one whose values have no common type."""
    made = {}
    for name, values in columns.items():
        column = _column(values)
        if column is None:
            raise _no_column(str(name), "list", values, role)
        made[str(name)] = column
    return pa.table(made)


def value_column(table: pa.Table, name: str, role: str) -> pa.ChunkedArray:
    """The column ``name`` of ids or ages, plain. Raises InputError where it is missing, or of a type that holds neither."""
    if name not in table.column_names:
        raise InputError(f"{role} has no column {name}", expected=name, found=", ".join(table.column_names) or "no column")
    column = table[name]
    if not holds_value(storage_type(column.type)):
        raise InputError(f"{name} of {role} cannot be read", expected="numbers or text", found=f"the type {column.type}")
    return plain_values(column)


def _converted(given: ArrowTable) -> pa.Table | None:
    try:
        return pa.table(given)
    except REFUSALS:
        return None


def _column(values: list[Any]) -> pa.Array | None:
    try:
        return pa.array(values, from_pandas=True)
    except REFUSALS:
        return None


def _check_names(columns: Iterable[object], role: str) -> None:
    """Raise InputError where two columns have one name, or names have several levels, as pandas allows."""
    if (levels := getattr(columns, "nlevels", 1)) > 1:
        raise InputError(
            f"the columns of {role} have names of several levels",
            expected="a text for each column",
            found=f"{levels} levels",
            fix='join them first: frame.columns = ["_".join(map(str, name)) for name in frame.columns]',
        )
    named = hasattr(columns, "nlevels")  # by pandas, which has names of any type; columns of Arrow are no names at all
    names = Counter(str(name) for name in columns if named or isinstance(name, str))
    for twice in (name for name, count in names.items() if count > 1):
        raise InputError(
            f"{role} has a column twice",
            expected="another name for each column",
            found=f"{names[twice]} columns {twice!r}",
            fix="rename or drop one",
        )


def _raise_of_column(given: Any, role: str) -> None:
    """Raise InputError for the first column of a data frame that cannot be converted alone; nothing for what has no columns."""
    for name in getattr(given, "columns", ()):
        if _converted(given[[name]]) is None:
            raise _no_column(str(name), str(getattr(given[name], "dtype", "values")), given[name], role)


def _no_column(name: str, dtype: str, values: Any, role: str) -> InputError:
    types = sorted({type(value).__name__ for value in values})
    shown = ", ".join(types[:TYPES_SHOWN]) + (" ..." if len(types) > TYPES_SHOWN else "")
    return InputError(
        f"the column {name!r} of {role} cannot be read",
        expected="values of one type: text, numbers of 64 bits, truth values, dates, or lists and dictionaries of them",
        found=f"{dtype.partition('[')[0].partition('(')[0]} of {shown}",
        fix='write all as text, such as frame[name].astype("string") in pandas, or drop the column',
    )


def _kind(given: object) -> str:
    return "None" if given is None else type(given).__name__


def _way_to_a_table(given: object) -> str:
    """Advice that makes a table of ``given``; empty where there is none."""
    if isinstance(given, (str, PathLike)):
        return "read the file first: predict_age.read(path)"
    if isinstance(given, Iterator):
        return "make a list of it: list(rows)"
    if hasattr(given, "collect"):
        return "collect it first: frame.collect()"
    return "make a data frame of it: series.to_frame()" if hasattr(given, "to_frame") else ""
