"""Profile of a source, from Python."""

from __future__ import annotations

import datetime as dt

from predict_age.api.arguments import checks_arguments
from predict_age.api.sources import AnySource
from predict_age.pipeline.run_plan import date_or_today
from predict_age.proposal.columns import Role
from predict_age.proposal.source_profile import SourceProfile, profile_of


@checks_arguments
def profile_source(
    source: AnySource,
    *,
    as_of: dt.date | str | None = None,
    pid: str = "",
    age: str = "",
    birth_year: str = "",
    birth_date: str = "",
) -> SourceProfile:
    """Describe ``source`` from a sample of 20,000 records: rows, fields, shares missing, shapes, known ages, ids, protected fields.

    In a notebook the profile shows its page. Columns of ids and ages are guessed unless they are given; ``as_of`` is the date of
    the ages, today by default. A value is there only where at least 20 people share it. Raises InputError for an unreadable source.
    """
    names: dict[Role, str] = {"pid": pid, "approximate_age": age, "birth_year": birth_year, "birth_date": birth_date}
    when = date_or_today(as_of)
    given: dict[Role, str] = {role: name for role, name in names.items() if name}
    return profile_of(str(source), when, given)
