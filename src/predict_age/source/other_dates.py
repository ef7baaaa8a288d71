"""Dates that count days or seconds, weeks or days of a year, and what may stand around a date: weekdays, times, zones, brackets."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

from predict_age.letters import fold

_WEEKDAYS = """
    monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri sat sun
    montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag mo di mi do fr sa so
    lundi mardi mercredi jeudi vendredi samedi dimanche lun mar mer jeu ven sam dim
    lunes martes miércoles jueves viernes sábado domingo mié jue vie sáb dom
    lunedì martedì mercoledì giovedì venerdì sabato domenica gio sab
    segunda-feira terça-feira quarta-feira quinta-feira sexta-feira segunda terça quarta quinta sexta seg ter qua qui sex
    maandag dinsdag woensdag donderdag vrijdag zaterdag zondag ma wo vr za zo
    poniedziałek wtorek środa czwartek piątek sobota niedziela pon wt śr czw pt sob nd
    понедельник вторник среда четверг пятница суббота воскресенье пн вт ср чт пт сб вс
    понеділок середа четвер п'ятниця субота неділя нд
"""
_ABOUT = """
    born birth dob on about abt around approx approximately before after bef aft cal est calculated estimated circa ca c geb geboren
    am um né née le nacido nacida nacimiento el nato nata il nascido nascida em ur urodzony urodzona рожд род date
    datetime timestamp datetime.date datetime.datetime $date year yr jahr
"""
_WORDS = sorted({re.escape(fold(word)) for word in f"{_WEEKDAYS} {_ABOUT}".split()}, key=len, reverse=True)
_BEFORE = re.compile(rf"^(?:(?:{'|'.join(_WORDS)})(?![^\W_])[.,:]?|[*~≈+=:,;({{\[\"'`]| )+")
_CLOCK = r"[0-9]{1,2}(?::| ?h|[.][0-9]{2}[.])"
_TIME = rf"(?:[ ,]+(?:(?:um|at|a|alle|om|kl|klo|o)[.]? )?|t|(?<=[0-9]):){_CLOCK}.*$|(?<=[0-9])t[0-9]{{4,6}}.*$"
_ZONE = r"(?<=[0-9]) *(?:z|utc|gmt|[+][0-9]{2}(?::?[0-9]{2})?|-[0-9]{2}:[0-9]{2})$"
_YEAR_WORD = r"(?<=[0-9]) *(?:г|р|r|года|року|roku)[.]?$"
_BEHIND = re.compile(rf"{_TIME}|{_ZONE}|{_YEAR_WORD}|[?)}}\]\"'`]+$|(?:[.]|日|일)$", re.DOTALL)
_TIME_BEFORE_YEAR = re.compile(r"(?<= )[0-9]{2}:[0-9]{2}:[0-9]{2}(?: [a-z]{3,4})? (?=[0-9]{4}$)")
_WITH_COLONS = re.compile(r"^([0-9]{4}):([0-9]{2}):([0-9]{2})(?![0-9:])|^([0-9]{2}):([0-9]{2}):([0-9]{4})$")
_UNKNOWN = re.compile(r"(?<![^\W_])(?:xx|uu|[?]{2}|__)(?![^\W_])|--(?=[/.])")  # a day or month that is not known
_WITH_TIME = re.compile(r"([0-9]{8})(?:[0-9]{4}|[0-9]{6})(?:[.][0-9]+)?(?:z|[+-][0-9]{4})?")
_QUARTER = re.compile(r"(?:q[1-4]|[1-4]q)[-/ ]?([0-9]{4})|([0-9]{4})[-/ ]?q[1-4]")
_PART_OF_YEAR = re.compile(r"([0-9]{4})[.,][0-9]{3,}")
_BUDDHIST_YEAR = re.compile(r"(?<=[-/. ])2[45][0-9]{2}$|^2[45][0-9]{2}(?=[-/.])")  # as Thailand counts
_ERAS = {"平成": 1988, "令和": 2018}
_ERA = re.compile(f"({'|'.join(_ERAS)})([0-9]{{1,2}}|元)年")
_WEEK = re.compile("([0-9]{4})-?w([0-9]{2})(?:-?([1-7]))?")
_DAY_OF_YEAR = re.compile("([0-9]{4})[-/.]?([0-9]{3})")
_COUNT = re.compile("(?:/date[(])?([0-9]{5}|[0-9]{9,10}|[0-9]{12,13}|[0-9]{16}|[0-9]{19})(?:[.,][0-9]*)?(?:[)]/)?")
_FIRST_DAYS = tuple(map(dt.date.fromisoformat, ("1899-12-30", "1904-01-01", "1960-01-01", "1970-01-01")))  # spreadsheets, SAS, R
_TICKS = {9: 1, 10: 1, 12: 10**3, 13: 10**3, 16: 10**6, 19: 10**9}  # in a second since 1970, by the number of digits


def without_more(text: str) -> str:
    """The folded ``text`` of a date without a weekday, a time, a zone, brackets, quotes and words such as "born" around it.

    A day or month that is not known is 00, a quarter its year, and a year of a Japanese era or of Thailand one of the usual years.
    """
    if text.startswith("/date("):
        return text
    text = _ERA.sub(lambda found: f"{_ERAS[found[1]] + (1 if found[2] == '元' else int(found[2]))}年", text)
    text = _TIME_BEFORE_YEAR.sub("", _BEFORE.sub("", _UNKNOWN.sub("00", text)))
    text = _WITH_COLONS.sub(lambda found: "-".join(part for part in found.groups() if part), text)
    for _ in range(2):  # a bracket may stand behind a time
        text = _BEHIND.sub("", text.rstrip())
    text = _BUDDHIST_YEAR.sub(lambda found: str(int(found[0]) - 543), text)
    for form in (_QUARTER, _PART_OF_YEAR):
        if found := form.fullmatch(text):
            return next(part for part in found.groups() if part)
    return text


def numbered_days(text: str) -> list[dt.date]:
    """Days that ``text`` may be the number of: in a year or its weeks, or since one of the days from which programs count."""
    if found := _WEEK.fullmatch(text):
        return _existing(dt.date.fromisocalendar, found[1], found[2], found[3] or "1")
    if found := _DAY_OF_YEAR.fullmatch(text):
        return _existing(_day_of_year, found[1], found[2]) if 1 <= int(found[2]) <= 366 else []
    if (found := _WITH_TIME.fullmatch(text)) and (days := _existing(dt.date, found[1][:4], found[1][4:6], found[1][6:])):
        return days
    if not (found := _COUNT.fullmatch(text)):
        return []
    digits = found[1]
    if len(digits) == 5:
        return [first + dt.timedelta(int(digits)) for first in _FIRST_DAYS]
    return [_FIRST_DAYS[-1] + dt.timedelta(int(digits) // _TICKS[len(digits)] // 86_400)]


def _day_of_year(year: int, day: int) -> dt.date:
    return dt.date(year, 1, 1) + dt.timedelta(day - 1)


def _existing(make: Callable[..., dt.date], *parts: str) -> list[dt.date]:
    """The day that ``make`` makes of numbers, where there is one."""
    try:
        return [make(*map(int, parts))]
    except (ValueError, OverflowError):
        return []
