"""Check of ``--as-of`` against the dates in the profiles: a date long before or after them makes ages and features wrong."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa

from predict_age.features.spec import Date, FeatureSet, parse_path
from predict_age.features.sql_compiler import json_path
from predict_age.source.row_rules import connect, register
from predict_age.sql import literal
from predict_age.tally import MIN_SHOWN_PEOPLE

YEARS_BEFORE = 5  # from the newest date to as_of
LATER_SHARE = 0.05  # of the dates of a feature that lie after as_of


def as_of_warnings(profiles: pa.ChunkedArray, features: FeatureSet, as_of: dt.date) -> list[str]:
    """Sentences about features of dates in JSON ``profiles`` (n,) that contradict ``as_of``; empty where none does.

    The newest year is one that at least 20 people have or exceed.
    """
    dates = {name: feature.path for name, feature in features.features.items() if isinstance(feature, Date)}
    if not dates or not len(profiles):
        return []
    connection = connect()
    register(connection, "profiles", pa.table({"profile": profiles}))
    newest: dict[str, int] = {}
    found = []
    for name, path in dates.items():
        text = f"CAST(try(json_extract_string(profile, {literal(json_path(parse_path(path)))})) AS VARCHAR)"
        year = f"list_max(CAST(regexp_extract_all({text}, '(?:18|19|20)[0-9][0-9]') AS INTEGER[]))"
        counts = f"count(year), count_if(year > {as_of.year}), max(year, {MIN_SHOWN_PEOPLE})"
        query = f"SELECT {counts} FROM (SELECT {year} AS year FROM profiles)"
        given, later, highest = connection.execute(query).fetchall()[0]
        if given < MIN_SHOWN_PEOPLE:
            continue
        newest[name] = int(highest[-1])
        if later >= max(MIN_SHOWN_PEOPLE, LATER_SHARE * given):
            dates_of = f"{later:,} of {given:,} dates of {name}"
            found.append(f"{dates_of} lie after the year of --as-of {as_of}, up to {newest[name]}: is it too early?")
    if newest and max(newest.values()) < as_of.year - YEARS_BEFORE:
        name = max(newest, key=newest.__getitem__)
        found.append(
            f"the newest dates in the profiles are of {newest[name]} ({name}), {as_of.year - newest[name]} years before --as-of "
            f"{as_of}: ages from dates and years of birth are counted at --as-of; give the date at which the data were true"
        )
    return found
