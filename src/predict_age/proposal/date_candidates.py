"""Features of dates: years from a date to the date of the run."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable

from predict_age.proposal.fields import Field
from predict_age.proposal.shared_numbers import shared_ends, shared_median
from predict_age.proposal.text_candidates import Settings, json_place, meaning_of, sql_settings
from predict_age.proposal.written_dates import WrittenDates, have_short_years

FEWEST_ROWS = 20  # with a value, for a field to be proposed
YEARS_BACK = 100


def date_settings(field: Field, years: Iterable[float | None]) -> Settings:
    """Settings of a date without its path, from the ``years`` since; empty where hardly any lie in the last hundred years."""
    ends = _ends(years)
    if ends is None:
        return {}
    last, middle = ends
    meaning = meaning_of(field, "years from then to the date of the run")
    return {"kind": "date", "max": last, "default": middle, "unit": "years", "meaning": meaning}


def written_date_features(field: Field, dates: WrittenDates, as_of: dt.date) -> list[tuple[str, Settings]]:
    """Suffix and settings of features of dates that the kind ``date`` does not read: SQL; of lists, the latest and earliest."""
    ends = _ends((as_of - day).days / 365.25 if day else None for day in dates.days)
    if ends is None:
        return []
    text = f"json_extract_string(profile, {json_place(field)})"
    ways = {"": dates.sql(text)}
    if "*" in field.path:
        items = f"list_transform({text}, lambda x: {dates.sql('x')})"
        ways = {"min": f"list_max({items})", "max": f"list_min({items})"}
    meaning = meaning_of(field, "years from then to the date of the run")
    since = {suffix: f"date_diff('day', {date}, as_of) / 365.25" for suffix, date in ways.items()}
    return [(suffix, sql_settings(years, (0.0, *ends), meaning) | {"unit": "years"}) for suffix, years in since.items()]


def years_since(text: str, as_of: dt.date) -> float | None:
    """Years from an ISO date or month to ``as_of``; None where the text is neither."""
    try:
        date = dt.date.fromisoformat(text[:10] if len(text) >= 10 else f"{text[:7]}-01")
    except ValueError:
        return None
    return (as_of - date).days / 365.25


def why_no_feature(field: Field) -> str:
    """Reason why a field gives no feature although nothing speaks against it."""
    if field.written_dates or field.is_iso_date:
        return f"dates, hardly any of them in the {YEARS_BACK} years before the date of the run: declare them by hand"
    if have_short_years(field.texts):
        return "dates whose years have two digits: declare them by hand"
    return "nothing in it that a model can use"


def _ends(years: Iterable[float | None]) -> tuple[float, float] | None:
    """Upper bound and default of ``years``; None where too few lie in the last hundred years."""
    known = [y for y in years if y is not None and 0 <= y <= YEARS_BACK]
    if len(known) < FEWEST_ROWS:
        return None
    return float(math.ceil(shared_ends(known)[1]) + 10), float(round(shared_median(known)))
