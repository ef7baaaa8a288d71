"""Ages of minors that are no numbers: "12 years", "0-17", "<18", "30 months", "12 y 6 m", "P12Y", "[10, 14]", in many languages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from predict_age.letters import fold, usual_signs

_LONGEST = 40  # characters; a longer text is no age
_IN_YEAR = {"year": 1.0, "month": 12.0, "week": 365.25 / 7, "day": 365.25}
_UNIT_WORDS = {
    "year": """
        y yr yrs year years yo j jr jhr jahr jahre jahren jährig jährige jähriger an ans año años anno anni ano anos jaar jaren lat
        lata rok roku roky let leto leta rokov år ev éves vuotta vuosi vuotias godina godine yaş yıl tahun tuổi ετών έτη ani
        г год года годов лет р рік рок роки років 歳 才 岁 歲 周岁 세 살""",
    "month": """
        mo mos mon mons mth mths month months monat monate monaten mois mes meses mese mesi mês maand maanden miesiąc miesiące
        miesięcy měsíc měsíce měsíců månad månader måned måneder kuukautta ay bulan tháng
        мес месяц месяца месяцев міс місяць місяці місяців 个月 個月 か月 カ月 ヶ月 ケ月 개월""",
    "week": """
        wk wks week weeks woche wochen semaine semaines semana semanas settimana settimane weken tydzień tygodnie tygodni
        týden týdny týdnů vecka veckor uke uker нед неделя недели недель""",
    "day": """
        day days tag tage tagen jour jours día días dia dias giorno giorni dag dagen dagar dager dzień dni den dny dnů gün hari
        дн день дня дней днів hr hrs hour hours 日 일""",
}
_UNITS = {fold(word): unit for unit, words in _UNIT_WORDS.items() for word in words.split()}
_LETTERS = {"m": "month", "w": "week", "d": "day", "f": "year"}  # "30 m" may be a man of 30 as well, "20 w" a woman of 20
_UNIT_SIGNS = frozenset({*_UNITS, *_LETTERS})
_WORDS = {  # meanings of words and signs
    "about": """
        age aged alter im edad eta idade leeftijd wiek vek возраст вік about approx approximately ca circa etwa c around environ up
        than de di als que da = ≈ ~""",
    "behind": "old of age alt edad ?",
    "under": "< u under below less younger unter jünger moins menos menor menores onder jonger meno poniżej моложе младше",
    "most": "<= =< ≤ max",
    "over": "> >= ≥ over between from zwischen von ab entre od от",
    "to": "to bis tot do hasta до",
    "and": "and or und oder et ou y e o en og och",
    "apart": "- .. ... ; , ~ a à",
}
_OF_AGE = 18
_CHILD = """
    minor minors child children kid infant newborn neonate baby toddler minderjährig minderjährige kind kleinkind säugling mineur
    mineure enfant nourrisson menor niño niña minorenne bambino bambina criança minderjarig dziecko nieletni małoletni ребенок
    несовершеннолетний дитина
"""
_CHILDREN = {fold(word) for word in _CHILD.split()}
_MEANINGS = {
    fold(word): {m for m, ws in _WORDS.items() if word in ws.split()} for words in _WORDS.values() for word in words.split()
}
_TOKEN = re.compile(r"[0-9]+(?:[.,][0-9]+)?|[^\W\d_]+|[<>]=|=<|[.]{2,3}|-+|\S")
_FRACTION = re.compile("[¼½¾⅓⅔]|(?<=[0-9]) +[1-3]/[2-4](?![0-9])")
_YEARS_OLD = re.compile(r"(?<![^\W\d_])y[./]? ?o(?![^\W\d_])[.]?")
_INTERVAL = re.compile(r"[\[(]([0-9]+)[,;]([0-9]+[\])])")
_DURATION = re.compile("p(?=[0-9])(?:([0-9]+)y)?(?:([0-9]+)m)?(?:([0-9]+)w)?(?:([0-9]+)d)?(?:t.*)?")


@dataclass
class _Part:
    """A number of years, months, weeks or days, and what stands in front of it."""

    number: str
    before: set[str]
    unit: str = ""

    @property
    def count(self) -> float:
        """The number."""
        return float(self.number.replace(",", "."))

    @property
    def shortest(self) -> float:
        """Years of the unit; where it is a letter that also stands for a sex, of the unit that it stands for."""
        return 1 / _IN_YEAR[_LETTERS.get(self.unit) or _UNITS.get(self.unit, "year")]

    @property
    def most_years(self) -> float:
        """The largest number of years that may be meant: 30 m may be 30 years as well, but not 030 m."""
        is_sex = self.unit in _LETTERS and not re.fullmatch("0[0-9]{2}", self.number)
        return self.count * (1 if is_sex else self.shortest)


@lru_cache(maxsize=1 << 12)
def is_age_of_minor(text: str, below: int) -> bool:
    """Whether ``text``, which is no number, says an age below ``below`` years all the same.

    The higher of two ages counts, and the higher one of two readings. Texts with other words, and numbers whose meaning nobody
    knows, say nothing.
    """
    if len(text) > _LONGEST:
        return False
    plain = _YEARS_OLD.sub("yo", usual_signs(fold(_FRACTION.sub("", text)))).strip(" \"'`").removesuffix(".")
    if found := _DURATION.fullmatch(plain):
        plain = " ".join(f"{part} {unit}" for part, unit in zip(found.groups(), _IN_YEAR, strict=True) if part)
    if plain in _CHILDREN:
        return below >= _OF_AGE
    is_open = plain.endswith(")") and plain[:1] in "[("  # the upper end is none of the ages
    parts = _parts(re.sub(r"[\[\]()]", " ", _INTERVAL.sub(r"\1 - \2", plain)))
    ages = _ages(parts) if parts else []
    if not ages or len(ages) > 2 or not (ages[0][0] <= {"about", "over"} or len(ages) == 1):
        return False
    before, years = ages[-1][0], max(years for _, years in ages)
    if len(ages) == 1 and before & {"over", "apart", "and"}:
        return False
    return years <= below if "under" in before or (is_open and len(ages) == 2) else years < below


def _parts(text: str) -> list[_Part]:
    """Numbers of a text with their units and what is in front of them; none where the text says something else."""
    parts: list[_Part] = []
    before: set[str] = set()
    behind = ""  # the sign before
    for sign in _TOKEN.findall(text):
        last = parts[-1] if parts else None
        if sign[0].isdigit():
            parts.append(_Part(sign, before))
            before = set()
        elif last and not last.unit and not before - {"apart"} and behind in (last.number, "-") and sign in _UNIT_SIGNS:
            last.unit, before = sign, set()
        elif sign == "-" and behind == "u":
            continue
        elif sign in ".:":
            if behind not in ((last.number, last.unit) if last else _MEANINGS) or (sign == ":" and last):
                return []
        elif not (meaning := _meaning(sign, last is not None)):
            return []
        elif meaning == "behind":
            before = set()
        else:
            before = before | {meaning}
        behind = sign
    return parts if not before or before == {"and", "under"} else []


def _meaning(sign: str, has_number: bool) -> str:
    """Meaning of a word or sign that is no unit, before the first number or behind it; empty where it is unknown."""
    known = _MEANINGS.get(sign, set())
    if "to" in known:
        return "apart" if has_number else "most"
    order = ("behind", "apart", "and", "under", "most", "over", "about")
    return next((meaning for meaning in (order if has_number else order[::-1]) if meaning in known), "")


def _ages(parts: Sequence[_Part]) -> list[tuple[set[str], float]]:
    """Ages with the meanings in front of them: 12 years and 3 months are one. None where nothing parts two numbers."""
    ages: list[tuple[set[str], float]] = []
    last: _Part | None = None
    for part in parts:
        if last and last.unit and part.unit and part.before <= {"apart", "and"} and part.shortest < last.shortest:
            before, years = ages.pop()
            ages.append((before, years + part.count * part.shortest))
        elif last and not last.unit and not part.before & {"apart", "and", "under", "most"}:
            return []
        else:
            ages.append((part.before, part.most_years))
        last = part
    return ages
