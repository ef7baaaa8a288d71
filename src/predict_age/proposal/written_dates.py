"""Dates in other forms than ISO 8601: how a column of texts writes them, and SQL that reads them."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from predict_age.letters import fold
from predict_age.source.month_names import MONTHS
from predict_age.sql import literal

SHAPE_SHARE = 0.95  # of the texts that have the form of a date
POSSIBLE_SHARE = 0.99  # of these, with a month from 1 to 12 and a day from 1 to 31
_PREVIEWED = 40  # texts, before all are compared with a form
COMPACT = "%Y%m%d"  # read without being declared
_TIMES = ("", " %H:%M", " %H:%M:%S")
_IN_DIGITS = (
    ("%d.%m.%Y",),
    ("%d/%m/%Y", "%m/%d/%Y"),
    ("%d-%m-%Y", "%m-%d-%Y"),
    ("%Y/%m/%d",),
    ("%Y.%m.%d",),
    ("%Y-%m-%d",),
)
_DAY_MONTH_YEAR = tuple(
    (f"%d{sign}{month}{sign}%Y{time}",) for sign in ("", "-", " ", "/") for month in ("%b", "%B") for time in (*_TIMES, ":%H:%M:%S")
)
_MONTH_DAY_YEAR = tuple((f"{month} %d{sign} %Y",) for month in ("%b", "%B") for sign in (",", ""))
_WHOLE = (
    *(tuple(form + time for form in forms) for forms in _IN_DIGITS for time in _TIMES),
    (COMPACT,),
    ("%d%m%Y", "%m%d%Y"),
    *_DAY_MONTH_YEAR,
    *_MONTH_DAY_YEAR,
)
_MONTHS_ALONE = (("%m.%Y",), ("%m/%Y",), ("%m-%Y",), ("%Y/%m",), ("%Y%m",))
_FULL_NAMES = "january february march april may june july august september october november december".split()  # noqa: SIM905
_PARTS = {"d": "(?P<d>[0-9]{1,2})", "m": "(?P<m>[0-9]{1,2})", "Y": "(?P<Y>(?:18|19|20)[0-9]{2})"}
_PARTS |= {"b": f"(?P<b>{'|'.join(name[:3] for name in _FULL_NAMES)})", "B": f"(?P<b>{'|'.join(_FULL_NAMES)})"}
_PARTS |= dict.fromkeys("HMS", "[0-9]{1,2}")
_OF = r"[-/. ]*(?:d[eo] |del |of )?"
_IN_WORDS = re.compile(
    rf"(?:(?P<d>[0-9]{{1,2}})(?:st|nd|rd|th|er)?{_OF})?(?P<b>[^\W\d_]+)[.]?{_OF}"
    r"(?:(?P<d2>[0-9]{1,2})(?:st|nd|rd|th)?,? +)?(?P<Y>(?:18|19|20)[0-9]{2})"
    r"(?(d)(?:[ :T][0-9]{1,2}:.*)?|(?(d2)(?: [0-9]{1,2}:.*)?))"
)
_MONTHS = {name: month for name, month in MONTHS.items() if not re.fullmatch("[ivx]+", name)}  # 4x2002 is no date of October
_SHORT_YEARS = re.compile(
    r"([0-9]{1,2})([-./])([0-9]{1,2})\2([0-9]{2})|(?:3[01]|[0-2]?[0-9])[- ]?(?P<b>[^\W\d_]{3,9})[.]?[- ]?[0-9]{2}"
)


@dataclass(frozen=True)
class WrittenDates:
    """Dates of a column: ``days`` of its texts, None where one is no date, and the strptime ``form``, or names of ``months``."""

    days: list[dt.date | None]
    form: str
    months: Mapping[str, int]

    def sql(self, text: str) -> str:
        """SQL for the DATE or TIMESTAMP that the SQL ``text`` is; NULL where it is none."""
        if self.form:
            return f"TRY_STRPTIME({text}, {literal(self.form)})"
        names = "|".join(sorted(self.months, key=lambda name: (-len(name), name)))
        number = ", ".join(f"{literal(name)}: {month}" for name, month in sorted(self.months.items(), key=lambda item: item[::-1]))
        found = literal(rf"(^|[^\pL])({names})([^\pL]|$)")
        name = f"regexp_extract(lower(nfc_normalize({text})), {found}, 2)"
        day = f"coalesce(nullif(regexp_extract({text}, '(^|[^0-9])([0-9]{{1,2}})([^0-9]|$)', 2), ''), '1')"
        year = f"regexp_extract({text}, '[0-9]{{4}}')"
        return f"TRY_CAST({year} || '-' || MAP {{{number}}}[{name}] || '-' || {day} AS DATE)"


def whole_date_forms(texts: Sequence[str]) -> tuple[str, ...]:
    """Strptime forms by which nearly all ``texts`` are whole dates; several where day and month may be either way round.

    One alone where all are firsts of a month by it.
    """
    possible = _possible_forms(texts, _WHOLE)
    firsts = tuple(form for form in possible if {day.day for text in texts if (day := _date(text, form))} == {1})
    return firsts if len(firsts) == 1 else possible


def written_dates(texts: Sequence[str], forms: Sequence[str]) -> WrittenDates | None:
    """Dates that nearly all ``texts`` are by one of their :func:`whole_date_forms`, as months alone, or with a month in words."""
    if len(forms) > 1:
        return None
    if form := next(iter(forms or _possible_forms(texts, _MONTHS_ALONE)), ""):
        return WrittenDates([_date(text, form) for text in texts], form, {})
    if not _mostly(texts, _IN_WORDS, _MONTHS):
        return None
    days: list[dt.date | None] = []
    months: dict[str, int] = {}
    for text in texts:
        found = _IN_WORDS.fullmatch(text.lower())
        month = _MONTHS.get(fold(found["b"]), "") if found else ""
        days.append(_day(found["Y"], month, found["d"] or found["d2"] or "1") if found else None)
        if found and month:
            months[unicodedata.normalize("NFC", found["b"])] = int(month)
    return WrittenDates(days, "", months) if sum(map(bool, days)) >= SHAPE_SHARE * len(texts) else None


def have_short_years(texts: Sequence[str]) -> bool:
    """Whether nearly all ``texts`` are dates whose year has two digits."""
    return bool(texts) and sum(map(_has_short_year, texts)) >= SHAPE_SHARE * len(texts)


def _has_short_year(text: str) -> bool:
    if not (found := _SHORT_YEARS.fullmatch(text)):
        return False
    if found["b"]:
        return fold(found["b"]) in _MONTHS
    first, second, third = (int(found[n]) for n in (1, 3, 4))
    return any(1 <= month <= 12 and 1 <= day <= 31 for day, month in ((first, second), (second, first), (third, second)))


def _possible_forms(texts: Sequence[str], groups: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    for forms in groups:
        if _mostly(texts, _pattern(forms[0])):
            shaped = sum(bool(_pattern(forms[0]).fullmatch(text)) for text in texts)
            possible = tuple(f for f in forms if sum(bool(_date(text, f)) for text in texts) >= POSSIBLE_SHARE * shaped)
            if possible and shaped >= SHAPE_SHARE * len(texts):
                return possible
    return ()


def _mostly(texts: Sequence[str], pattern: re.Pattern[str], names: Mapping[str, str] | None = None) -> bool:
    """Whether most of a few texts have a form, with a month of ``names`` if given."""
    few = texts[:: len(texts) // _PREVIEWED + 1]
    found = [pattern.fullmatch(text.lower()) for text in few]
    return bool(few) and sum(bool(f) and (names is None or fold(f["b"]) in names) for f in found if f) > len(few) / 2


@lru_cache(maxsize=256)
def _pattern(form: str) -> re.Pattern[str]:
    """Regular expression of a strptime ``form``; without signs between them, days and months have two digits."""
    text = re.sub("%([a-zA-Z])", lambda part: _PARTS[part[1]], re.escape(form))
    return re.compile(text if re.search("[^%a-zA-Z]|[bB]", form) else text.replace("{1,2}", "{2}"), re.IGNORECASE | re.ASCII)


def _date(text: str, form: str) -> dt.date | None:
    if not (found := _pattern(form).fullmatch(text)):
        return None
    parts = found.groupdict()
    month = parts.get("m") or str([name[:3] for name in _FULL_NAMES].index(parts["b"][:3].lower()) + 1)
    return _day(parts["Y"], month, parts.get("d") or "1")


def _day(year: str, month: str, day: str) -> dt.date | None:
    try:
        return dt.date(int(year), int(month), int(day))
    except ValueError:
        return None
