"""Ids and ages inside profiles that somebody sends: whoever sends a profile alone may send all of a record, as a source has it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
import pyarrow as pa

from predict_age.arrays import Int64Array
from predict_age.kernels import use_kernels
from predict_age.source.column_types import holds_value, plain_values, storage_type, valid_text
from predict_age.source.json_members import exact_number, outer_members, python_integer, simple_value
from predict_age.source.row_group_reader import LIGHT, text_buffers
from predict_age.source.value_sql import DOUBLE_EXACT, SINGLE_EXACT
from predict_age.source_config import SourceConfig

if TYPE_CHECKING:
    from predict_age.kernels.json_scanner import PathTree

_ESCAPE = "\\"  # in JSON any letter of a key may be written with one
ID_DIGITS = 40  # of a number that may be an id


NumberedRecords = Sequence[tuple[int, Mapping[str, object]]]  # by the number of the profile that they stand in


class _Members(list[tuple[str, object]]):
    """Members of an object, those with the same key too."""


def record_keys(source: SourceConfig) -> tuple[str, ...]:
    """Keys at the top of a sent profile that make it a record: columns of ages and, where records are flat, the column of ids.

    Anywhere else a key with the name of the column of ids is part of the profile.
    """
    return source.light_columns if source.profile_json == "*" else source.age_columns


def records_in(
    profiles: pa.ChunkedArray | pa.StringArray, source: SourceConfig, candidates: Collection[int] | None = None
) -> NumberedRecords:
    """Number and record of each of the JSON texts ``profiles`` (n,) that give one of the :func:`record_keys` a value.

    In ascending order. A text that has such a key several times has as many records, so that each of its values counts.
    ``candidates``: numbers, ascending, of the texts that may have one, where this is known already; else they are looked for.
    """
    names = record_keys(source)
    parts = {_ESCAPE, *names} - {""}
    found: list[tuple[int, Mapping[str, object]]] = []
    for number in _candidates(profiles, names).tolist() if candidates is None else candidates:
        text = profiles[number].as_py()
        if text is None or not any(part in text for part in parts):
            continue
        values: dict[str, list[object]] = {}
        for name, value in _members(text):
            if name in names and value is not None:
                values.setdefault(name, []).append(value)
        for place in range(max(map(len, values.values()), default=0)):
            found.append((number, {name: some[place] for name, some in values.items() if place < len(some)}))
    return found


def _members(text: str) -> Iterable[tuple[str, object]]:
    """Members of the JSON object ``text``; none of another value. Readers of profiles take more for JSON than Python does."""
    try:
        made = json.loads(text, parse_int=python_integer, parse_float=exact_number, object_pairs_hook=_Members)
    except (ValueError, RecursionError):
        return [(name, simple_value(value, exact_number)) for name, value in outer_members(text)]
    return made if isinstance(made, _Members) else ()


def _candidates(profiles: pa.ChunkedArray | pa.StringArray, names: tuple[str, ...]) -> Int64Array:
    """Numbers of the JSON texts that may have one of the keys ``names`` at their top: kernels tell it of plain ones, else all."""
    if not len(profiles) or not use_kernels(len(profiles)):
        return np.arange(len(profiles))
    from predict_age.kernels.json_scanner import JsonScan

    found, first = [np.empty(0, np.int64)], 0
    for texts in profiles.chunks if isinstance(profiles, pa.ChunkedArray) else [profiles]:
        rows = np.flatnonzero(texts.is_valid().to_numpy(zero_copy_only=False)) if texts.null_count else np.arange(len(texts))
        if len(rows):
            scan = JsonScan(*text_buffers(texts), rows, _tree(names))
            scan.scan_rows(slice(0, len(rows)))
            found.append(first + rows[~scan.plain | (scan.starts >= 0).any(axis=1)])
        first += len(texts)
    return np.concatenate(found)


@lru_cache(maxsize=8)
def _tree(names: tuple[str, ...]) -> PathTree:
    from predict_age.kernels.json_scanner import PathTree

    return PathTree([[name] for name in dict.fromkeys(names)])


def ids_of_records(records: NumberedRecords, source: SourceConfig) -> list[tuple[int, str]]:
    """Number and id of each of the ``records`` that has one, which those of a flat source have alone."""
    flat = records if source.profile_json == "*" else ()
    ids = ((number, id_as_text(record.get(source.pid))) for number, record in flat)
    return [(number, text.encode(errors="replace").decode()) for number, text in ids if text is not None]


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
    """The id ``value`` as text. Whole numbers may be floating, where floats are exact: pandas makes them if one is missing.

    Bytes are read as in a column of bytes, and an array without dimensions as its value.
    """
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value.item()
    if isinstance(value, (bool, np.bool_)):
        return None
    if isinstance(value, (str, int, np.integer, UUID)):
        return str(value)
    if isinstance(value, bytes):
        return valid_text(pa.chunked_array([pa.array([value])]))[0].as_py()
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value)) if abs(float(value)) < (SINGLE_EXACT if isinstance(value, np.float32) else DOUBLE_EXACT) else None
    if isinstance(value, Decimal) and value.is_finite() and value.adjusted() < ID_DIGITS and value == value.to_integral_value():
        return str(int(value))
    return None
