"""Dates of birth of minors that no rule reads: years of two digits, unknown order of day and month, a month in words or alone."""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache

from predict_age.letters import fold, usual_signs
from predict_age.source.month_names import MONTHS
from predict_age.source.other_dates import numbered_days, without_more

_NAME = f"({'|'.join(sorted(map(re.escape, MONTHS), key=len, reverse=True))})"
_BETWEEN = r"[-/.,_ '\\|년월年月]"
_TO_NAME = f"{_BETWEEN}*(?:(?:de|del|of) +)?"
_ORDINAL = r"(?:(?:st|nd|rd|th|er|e|o|a)(?![^\W\d_]))?"
_NUMBER = f"([0-9]{{1,4}}){_ORDINAL}"
_DIGITS = re.compile("([0-9]{6,8})(?:[.]0*)?")
_NUMBERS = re.compile(rf"([0-9]{{1,4}})(?:{_BETWEEN}+([0-9]{{1,4}}))?(?:{_BETWEEN}+([0-9]{{1,4}}))?")
_DAY_AND_MONTH = re.compile(rf"(?:{_NUMBER}{_TO_NAME})?{_NAME}(?:{_TO_NAME}{_NUMBER})?")
_MONTH_AND_DAY = re.compile(rf"{_NAME}{_BETWEEN}+([0-9]{{1,2}}){_ORDINAL}{_BETWEEN}{_TO_NAME}([0-9]{{4}}|[0-9]{{1,2}})")
_Reading = tuple[str, str, str]  # digits of year, month and day


@lru_cache(maxsize=1 << 15)  # days of 90 years
def is_date_of_minor(text: str, as_of: dt.date, below: int, oldest: int) -> bool:
    """Whether ``text`` is a date of birth that can only be that of somebody younger than ``below`` years at ``as_of``.

    Every order of day, month and year counts, and every century, where such a day exists and the age lies in 0 to ``oldest`` years;
    all these ages have to be lower. Where no such day exists, or day or month are not said, the first one of the month or year
    counts, which makes the person oldest: 2012-00-00 is 1 January 2012.
    """
    plain = without_more(usual_signs(fold(text)))
    readings = _readings(plain)
    days = [*numbered_days(plain), *(day for reading in readings for day in _days(reading, as_of, oldest))]
    if not days:
        days = [day for year, _, _ in readings if len(year) == 4 for day in _days((year, "1", "1"), as_of, oldest)]
    ages = [as_of.year - day.year - ((day.month, day.day) > (as_of.month, as_of.day)) for day in days]
    possible = [age for age in ages if 0 <= age <= oldest]
    return bool(possible) and max(possible) < below


def _readings(text: str) -> list[_Reading]:
    """Years, months and days that ``text`` may stand for; a year has one, two or four digits, and "1" stands in place of no day."""
    if found := _DIGITS.fullmatch(text):
        return _of_digits(found[1])
    if found := _NUMBERS.fullmatch(text):
        return _of_numbers([number for number in found.groups() if number])
    if found := _MONTH_AND_DAY.fullmatch(text):
        name, day, year = found.groups()
        return [(year, MONTHS[name], day)]
    if found := _DAY_AND_MONTH.fullmatch(text):
        before, name, after = found[1] or "1", MONTHS[found[2]], found[3] or "1"
        if len(before) == 4:
            return [(before, name, after)] if len(after) <= 2 else []
        if len(before) > 2 or len(after) == 3 or (len(after) < 4 and not (found[1] and found[3])):
            return []
        return [(after, name, before), *([(before, name, after)] if len(after) == 1 else [])]
    return []


def _of_digits(digits: str) -> list[_Reading]:
    """Readings of digits without anything between them; a number has lost the zero in front."""
    if len(digits) == 6:
        first, second, third = digits[:2], digits[2:4], digits[4:]
        return [*_of_numbers([first, second, third]), (digits[:4], third, "1")]
    last = digits.zfill(8)
    readings = [(last[4:], last[2:4], last[:2]), (last[4:], last[:2], last[2:4])]
    return (
        readings if len(digits) == 7 else [*readings, (digits[:4], digits[4:6], digits[6:]), (digits[:4], digits[6:], digits[4:6])]
    )


def _of_numbers(numbers: list[str]) -> list[_Reading]:
    """Readings of one to three numbers: the year may stand first or last, and the day of a year of four digits anywhere else.

    A year of one digit (2005 as 5) is a reading where it is the last number; a first number of one digit is a year only there.
    """
    lengths = [len(number) for number in numbers]
    if lengths[0] == 4 and max(lengths[1:], default=0) <= 2:
        year, month, day = [*numbers, "1", "1"][:3]
        return [(year, month, day), (year, day, month)] if len(numbers) == 3 else [(year, month, day)]
    if len(numbers) == 2 and lengths[0] <= 2 and lengths[1] == 4:
        return [(numbers[1], numbers[0], "1")]
    if len(numbers) != 3 or max(lengths[:2]) > 2 or lengths[2] == 3:
        return []
    first, second, third = numbers
    readings = [(third, second, first), (third, first, second)]
    year_first = lengths[2] == 1 or (lengths[0], lengths[2]) == (2, 2)
    return [*readings, (first, second, third)] if year_first else readings


def _days(reading: _Reading, as_of: dt.date, oldest: int) -> list[dt.date]:
    """The days of a reading that exist, of a year of one or two digits in each century in which somebody may live."""
    year, month, day = (int(digits) for digits in reading)
    first = as_of.year - oldest - 1
    years = [year] if len(reading[0]) == 4 and not 0 < year < 100 else range(first + (year - first) % 100, as_of.year + 1, 100)
    found = []
    for y in years:
        try:
            found.append(dt.date(y, month, day))
        except ValueError:
            continue
    return [one for one in found if one.year >= 1000]
