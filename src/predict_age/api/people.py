"""People whom a caller gives to a model: a table or data frame, dictionaries, or JSON texts."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from predict_age.api.given_tables import ArrowTable, arrow_table
from predict_age.api.sources import PeopleSource, source_people
from predict_age.config import SourceConfig
from predict_age.errors import InputError
from predict_age.source.column_types import holds_value, plain_values, storage_type
from predict_age.source.flat_records import NumberedRecords, age_names, ages_of_records, id_as_text, ids_of_records, records_in
from predict_age.source.profile_json import flat_profile, profile_text

EXPECTED = "a table or data frame, a list of dictionaries, or a list of JSON texts"
INDEX = "__index_level_"  # of a pandas data frame, which is no column of it


AnyPeople: TypeAlias = PeopleSource | ArrowTable | Sequence[Mapping[str, object]] | Sequence[str]


@dataclass(frozen=True)
class GivenPeople:
    """n people: ``profiles`` (n,) VARCHAR are JSON objects, or what is given instead.

    ``light`` are tables of n rows together, whose columns may have other types in each: ``pid`` as it was given, where there are
    ids, and the columns of ages that were given, by the names that row rules know. ``records`` are those inside the profiles, which
    have more of both: none where a run's reader took them out.
    """

    light: Sequence[pa.Table]
    profiles: pa.ChunkedArray
    records: NumberedRecords

    @property
    def has_ids(self) -> bool:
        """Whether ids are given."""
        return all("pid" in table.column_names for table in self.light)

    def __len__(self) -> int:
        return len(self.profiles)


def given_people(people: AnyPeople, source: SourceConfig) -> GivenPeople:
    """Ids and profiles of ``people`` in the columns, or keys, that ``source`` names. Raises InputError for any other form.

    Whoever has the column of profiles has their profile there; of all others, what is neither an id nor an age is the profile.
    """
    if isinstance(people, PeopleSource):
        tables, flat = source_people(people, source), source.profile_json == "*"
        profiles = pa.chunked_array([chunk for table in tables for chunk in table["profile"].chunks], pa.string())
        records = [] if flat else records_in(profiles, source)
        return GivenPeople([table.drop_columns("profile") for table in tables], profiles, records)
    if isinstance(people, (str, bytes, Mapping)):
        fix = "put a single profile into a list: [profile]"
        raise InputError("these people cannot be read", expected=EXPECTED, found=type(people).__name__, fix=fix)
    if isinstance(people, ArrowTable) or not isinstance(people, Sequence):
        table = arrow_table(people, "the table of people", EXPECTED)
        return _of_table(table.select([name for name in table.column_names if not name.startswith(INDEX)]), source)
    texts = [_encodable(_text(person, number, source), number) for number, person in enumerate(people)]
    return _of_profiles(pa.chunked_array([pa.array(texts, pa.string())]), people, source)


def _of_profiles(profiles: pa.ChunkedArray, people: Sequence[object], source: SourceConfig) -> GivenPeople:
    """People with these ``profiles`` (n,): ids are beside them in the dictionaries among ``people`` (n,), or inside."""
    beside = [person if isinstance(person, Mapping) else {} for person in people]
    records = records_in(profiles, source)
    inside = dict(reversed(ids_of_records(records, source)))
    ids = [inside.get(number) if person.get(source.pid) is None else person[source.pid] for number, person in enumerate(beside)]
    some = _ids(ids) if any(i is not None for i in ids) else None
    return _together(some, ages_of_records(beside, source), profiles, records)


def _of_table(table: pa.Table, source: SourceConfig) -> GivenPeople:
    if table.column_names == [source.profile_json]:
        profiles = pc.cast(profile_text(table[source.profile_json]), pa.string())
        return _of_profiles(profiles, [None] * len(profiles), source)
    ids = plain_values(table[source.pid]) if source.pid in table.column_names else None
    named = [(name, table[written]) for name, written in age_names(source) if written in table.column_names]
    ages = pa.table({name: plain_values(column) for name, column in named if holds_value(storage_type(column.type))})
    if source.profile_json in table.column_names:
        profiles = pc.cast(profile_text(table[source.profile_json]), pa.string())
        return _together(ids, ages, profiles, records_in(profiles, source))
    rest = [name for name in table.column_names if name not in source.light_columns]
    if not rest:
        raise InputError(
            "these people have no profile",
            expected=f"a column {source.profile_json!r}, or the fields of the profile as columns",
            found=", ".join(table.column_names) or "no column",
        )
    profiles = pc.cast(flat_profile(table.select(rest)), pa.string())
    return _together(ids, ages, profiles, records_in(profiles, source))


def _together(ids: pa.ChunkedArray | None, ages: pa.Table, profiles: pa.ChunkedArray, records: NumberedRecords) -> GivenPeople:
    """People whose ids, where there are some, and ages are columns of one type each."""
    light = pa.table({**({} if ids is None else {"pid": ids}), **dict(zip(ages.column_names, ages, strict=True))})
    return GivenPeople([light], profiles, records)


def _ids(values: list[object]) -> pa.ChunkedArray:
    """Ids of dictionaries as text; what is neither text nor a whole number is none."""
    texts = [id_as_text(v) for v in values]
    for number, text in enumerate(texts):
        _encodable(text, number)
    return pa.chunked_array([pa.array(texts, pa.string())])


def _encodable(text: str | None, number: int) -> str | None:
    """``text``, which must have a form in UTF-8. Raises InputError for half of a surrogate pair."""
    try:
        if text is not None:
            text.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"person {number} cannot be written as UTF-8", expected="text of whole characters", found="half of a surrogate pair"
        ) from None
    return text


def _text(person: object, number: int, source: SourceConfig) -> str | None:
    """The profile of one person as JSON text."""
    if isinstance(person, str):
        return person
    if not isinstance(person, Mapping):
        raise InputError(f"person {number} cannot be read", expected="a dictionary or a JSON text", found=type(person).__name__)
    if source.profile_json in person:
        profile = person[source.profile_json]
        if profile is None or isinstance(profile, str):
            return profile
    else:
        profile = {name: value for name, value in person.items() if name not in source.light_columns}
    try:
        return json.dumps(_plain(profile), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        found = str(error) if isinstance(error, _NoJsonError) else type(error).__name__
        raise InputError(
            f"the profile of person {number} cannot be written as JSON", expected="values that JSON has", found=found
        ) from None


class _NoJsonError(TypeError):
    """A value that JSON does not have."""


def _plain(value: object) -> object:
    """``value`` with dates as ISO text, NumPy's and decimal numbers as Python's, and NaN as None, as an Arrow table has it."""
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise _NoJsonError("a key that is no text")
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (dt.date, dt.datetime)):
        text = value.isoformat()
        return None if text == "NaT" else text  # pandas' missing time
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    raise _NoJsonError(f"a value of type {type(value).__name__}")
