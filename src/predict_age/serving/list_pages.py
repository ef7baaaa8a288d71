"""Pages of lists: which part of a list a query asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs

from predict_age.serving.messages import Finding, ProblemError


@dataclass(frozen=True)
class Page:
    """A part of a list: at most ``limit`` entries that follow the cursor ``after``, which an answer before named as ``next``."""

    limit: int = 100
    after: str = ""


def page_of(query: str) -> Page:
    """The page that a query asks for. Raises ProblemError 422."""
    try:
        asked = parse_qs(query, strict_parsing=True, keep_blank_values=True, max_num_fields=2) if query else {}
        values = {name: value for name, (value,) in asked.items()}
        limit = int(values.pop("limit", "100")) if re.fullmatch("[0-9]{1,4}", values.get("limit", "100"), re.ASCII) else 0
        after = values.pop("after", "")
        if values or not 1 <= limit <= 1000 or (after and not re.fullmatch("[0-9]{4}q[1-4]", after, re.ASCII)):
            raise ValueError
    except ValueError:
        expected = 'limit, from 1 to 1,000, and after, the "next" of an answer'
        raise ProblemError(422, "the query cannot be used", Finding(expected)) from None
    return Page(limit, after)
