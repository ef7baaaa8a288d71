"""Age bands as people write them in a configuration: "18-24", "under 25", "65+"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

LAST_AGE = 120
MAX_SUM_ERROR = 0.01  # shares are rounded

_BAND = re.compile(r"(\d{1,3})\s*(?:-|\N{EN DASH}|to)\s*(\d{1,3})", re.ASCII)
_OPEN = re.compile(r"(\d{1,3})\s*(?:\+|-|and over|and older)", re.ASCII)
_UNDER = re.compile(r"(?:under|below|<)\s*(\d{1,3})", re.ASCII)


def parse_band(text: str) -> tuple[int, int]:
    """First and last age of a band. Raises ValueError for any other text."""
    text = text.strip().lower()
    if found := _BAND.fullmatch(text):
        low, high = int(found[1]), int(found[2])
    elif found := _OPEN.fullmatch(text):
        low, high = int(found[1]), LAST_AGE
    elif found := _UNDER.fullmatch(text):
        low, high = 0, int(found[1]) - 1
    elif text.isdecimal():
        low = high = int(text)
    else:
        raise ValueError(f"{text!r} is no age band; write 18-24, under 18 or 65+")
    if not 0 <= low <= high <= LAST_AGE:
        raise ValueError(f"{text!r} is no age band: ages go from 0 to {LAST_AGE}, the younger one first")
    return low, high


def check_shares(shares: Mapping[str, float], youngest: int, oldest: int) -> None:
    """Raise ValueError unless the bands cover ``youngest`` to ``oldest`` once each and the shares are such and sum to 1."""
    try:
        problem = _problem(shares, youngest, oldest) if shares else ""
    except ValueError as error:
        problem = str(error)
    if problem:
        raise ValueError(f"population.ages: {problem}")


def _problem(shares: Mapping[str, float], youngest: int, oldest: int) -> str:
    """Why the shares are none; empty where they are."""
    bands = sorted((*parse_band(text), text) for text in shares)
    for name, share in shares.items():
        if not 0 <= share <= 1:
            return f"the share of {name!r} is {share:g}; write a number from 0 to 1"
    for (_, high, before), (low, _, name) in pairwise(bands):
        if low <= high:
            return f"{before!r} and {name!r} overlap"
    following = youngest
    for low, high, _ in bands:
        if low > following:
            break
        following = max(following, high + 1)
    if following <= oldest:
        last = min([low - 1 for low, _, _ in bands if low > following], default=oldest)
        return f"no band covers {_ages(following, last)}; people from {youngest} to {oldest} get an age"
    if abs(sum(shares.values()) - 1) > MAX_SUM_ERROR:
        return f"the shares sum to {sum(shares.values()):g}, not to 1"
    return ""


def _ages(low: int, high: int) -> str:
    return f"age {low}" if low == high else f"ages {low} to {high}"
