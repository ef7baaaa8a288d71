"""Ids and ages inside profiles that somebody sends: whoever sends a profile alone may send all of a record, as a source has it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache

import numpy as np
import pyarrow as pa

from predict_age.arrays import Int64Array
from predict_age.kernels import use_kernels
from predict_age.kernels.json_scanner import JsonScan, PathTree
from predict_age.source.column_types import holds_value, plain_values, storage_type
from predict_age.source.row_group_reader import LIGHT, text_buffers
from predict_age.source.value_sql import DOUBLE_EXACT, SINGLE_EXACT
from predict_age.source_config import SourceConfig

_ESCAPED = "\\u"  # in JSON a letter of a key may be written so


def records_in(profiles: pa.ChunkedArray | pa.StringArray, source: SourceConfig) -> dict[int, Mapping[str, object]]:
    """Objects of the JSON texts ``profiles`` (n,) that have a column of ages at their top, by number.

    Where the records of the source are flat, those with an id, too: anywhere else a key of that name is part of the profile.
    """
    names = source.light_columns if source.profile_json == "*" else source.age_columns
    parts = {_ESCAPED, *names} - {""}
    found: dict[int, Mapping[str, object]] = {}
    for number in _candidates(profiles, names).tolist():
        text = profiles[number].as_py()
        if text is None or not any(part in text for part in parts):
            continue
        try:
            record = json.loads(text, parse_float=Decimal)
        except (ValueError, RecursionError):  # said of the profile where it is read
            continue
        if isinstance(record, Mapping) and not record.keys().isdisjoint(names):
            found[number] = {name: value for name, value in record.items() if name in names}
    return found


def _candidates(profiles: pa.ChunkedArray | pa.StringArray, names: tuple[str, ...]) -> Int64Array:
    """Numbers of the JSON texts that may have one of the keys ``names`` at their top: kernels tell it of plain ones, else all."""
    if not len(profiles) or not use_kernels(len(profiles)):
        return np.arange(len(profiles))
    texts = profiles.combine_chunks() if isinstance(profiles, pa.ChunkedArray) else profiles
    rows = np.flatnonzero(texts.is_valid().to_numpy(zero_copy_only=False)) if texts.null_count else np.arange(len(texts))
    scan = JsonScan(*text_buffers(texts), rows, _tree(names))
    scan.scan_rows(slice(0, len(rows)))
    return rows[~scan.plain | (scan.starts >= 0).any(axis=1)]


@lru_cache(maxsize=8)
def _tree(names: tuple[str, ...]) -> PathTree:
    return PathTree([[name] for name in dict.fromkeys(names)])


def age_names(source: SourceConfig) -> Iterable[tuple[str, str]]:
    """Columns of ages: the name that row rules know, and the one in the source."""
    return zip(LIGHT[1:], source.age_columns, strict=True)


def ages_of_records(records: Sequence[Mapping[str, object]], source: SourceConfig) -> pa.Table:
    """Columns (n,) of the ages that ``records`` give, by the names that row rules know; none where none is given."""
    ages = {name: [record.get(written) for record in records] for name, written in age_names(source)}
    return pa.table({name: _age_values(values) for name, values in ages.items() if any(value is not None for value in values)})


def _age_values(values: list[object]) -> pa.ChunkedArray:
    """Ages, dates or years of dictionaries as a column; where they are of several types, as texts."""
    try:
        made = pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        made = pa.nulls(len(values))
    if holds_value(storage_type(made.type)) and made.null_count < len(values):
        return plain_values(pa.chunked_array([made]))
    texts = [None if value is None else value.isoformat() if isinstance(value, dt.date) else str(value) for value in values]
    return pa.chunked_array([pa.array([None if t is None else t.encode(errors="replace").decode() for t in texts], pa.string())])


def id_as_text(value: object) -> str | None:
    """The id ``value`` as text. Whole numbers may be floating, where floats are exact: pandas makes them if one is missing."""
    if isinstance(value, (bool, np.bool_)):
        return None
    if isinstance(value, (str, int, np.integer)):
        return str(value)
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value)) if abs(float(value)) < (SINGLE_EXACT if isinstance(value, np.float32) else DOUBLE_EXACT) else None
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return str(int(value))
    return None
