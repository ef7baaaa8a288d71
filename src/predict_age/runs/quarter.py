"""Quarters: the names of published tables."""

from __future__ import annotations

import calendar
import datetime as dt


def latest_complete_quarter(as_of: dt.date) -> str:
    """Name of the last quarter that has ended by the evening of ``as_of``: 2025-10-23 -> "2025q3", 2020-06-30 -> "2020q2"."""
    quarter = (as_of.month - 1) // 3 + 1
    last_month = 3 * quarter
    if as_of >= dt.date(as_of.year, last_month, calendar.monthrange(as_of.year, last_month)[1]):
        return f"{as_of.year}q{quarter}"
    return f"{as_of.year}q{quarter - 1}" if quarter > 1 else f"{as_of.year - 1}q4"
