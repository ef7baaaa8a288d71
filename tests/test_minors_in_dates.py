"""Dates of birth that no rule reads withhold whoever can only be a minor by them, against another reader of dates."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import itertools
import json
import re
import unicodedata
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import cli
from predict_age.config import AgesConfig
from predict_age.records.given_ages import AGE_OF_MINOR, UNREADABLE
from predict_age.source.row_rules import RowRules, connect

AS_OF = dt.date(2025, 10, 23)
RULES = RowRules(AgesConfig(), AS_OF)
ORDERS = ("%d{0}%m{0}%Y", "%m{0}%d{0}%Y", "%Y{0}%m{0}%d", "%Y{0}%d{0}%m")
SHORT_ORDERS = ("%d{0}%m{0}%y", "%m{0}%d{0}%y", "%y{0}%m{0}%d")
ONE_DIGIT_NAMED = ("%y{0}%b{0}%d", "%y{0}%B{0}%d")  # readings of a text whose last number has one digit
NAMED = ("%d{0}%b{0}%Y", "%d{0}%B{0}%Y", "%B{0}%d{0}%Y", "%Y{0}%b{0}%d", "%b{0}%Y", "%d{0}%b{0}%y", "%B{0}%d{0}%y")
FORMS = [
    *(form.format(between) for between in "/-. " for form in (*ORDERS, *SHORT_ORDERS, "%m{0}%Y", "%Y{0}%m", *NAMED)),
    *(form.format("") for form in (*ORDERS, *SHORT_ORDERS, "%Y{0}%m")),
    "%Y",
]
ONE_DIGIT_LAST = re.compile(r"\D\d$")
BIRTHS = [dt.date(year, month, day) for year in range(1926, 2026) for month, day in ((1, 1), (5, 25), (10, 11), (11, 9), (12, 31))]
BIRTHS = [*(day for day in BIRTHS if day <= AS_OF), dt.date(2012, 2, 29), dt.date(2000, 2, 29), dt.date(2008, 2, 29)]


def withheld(values: pa.Array, rules: RowRules = RULES, column: str = "birth_date") -> list[bool]:
    made = rules.canonical(connect(), pa.table({"pid": pa.array(range(len(values))), column: values}))
    hidden = made["withheld"].to_pylist()
    told = [n for n in range(len(values)) if made["known_age"][n].is_valid or made["needs_prediction"][n].as_py()]
    assert told == [n for n in range(len(values)) if not hidden[n]]
    return hidden


def age(born: dt.date) -> int:
    return AS_OF.year - born.year - ((born.month, born.day) > (AS_OF.month, AS_OF.day))


def written(day: dt.date, form: str) -> list[str]:
    """The day in a form, with and without zeros in front of day, month and the year's last two digits."""
    bare = ("%d", "%m", "%y") if re.fullmatch("(%.)+", form) else ("%-d", "%-m", "%-y")
    choices = itertools.product(("%d", bare[0]), ("%m", bare[1]), ("%y", bare[2]))
    texts = {day.strftime(form.replace("%d", d).replace("%m", m).replace("%y", y)) for d, m, y in choices}
    return sorted(text for text in texts if not form.startswith("%y") or text[1].isdigit() or ONE_DIGIT_LAST.search(text))


@functools.cache
def shape_of_form(form: str) -> str:
    return re.sub("9+", "9", re.sub("%[dmyY]", "9", re.sub("%[bB]", "a", form)))


def shape(text: str) -> str:
    """The text with a 9 for each number and an a for each word: a form whose shape is another cannot fit, and strptime is slow."""
    return re.sub(r"[^\W\d]+", "a", re.sub(r"\d+", "9", text))


def possible_ages(text: str) -> list[int]:
    """Ages by every form of ``FORMS`` that fits and every century, by Python's own reader of dates."""
    days, candidates = [], [(text, form) for form in FORMS]
    if ONE_DIGIT_LAST.search(text):  # Python's reader takes years of two digits alone
        named = [form.format(between) for between in "/-. " for form in ONE_DIGIT_NAMED]
        candidates += [(text[:-1] + "0" + text[-1], form) for form in FORMS]
        candidates += [(padded, form) for padded in (text, "0" + text) for form in (*FORMS, *named) if form.startswith("%y")]
    for padded, form in candidates:
        if shape(padded) != shape_of_form(form):
            continue
        with contextlib.suppress(ValueError):
            day = dt.datetime.strptime(padded, form).date()
            if text not in written(day, form):  # Python's reader takes more than the form says
                continue
            days.append(day)
            for years in (-100, 100) if "%y" in form else ():
                with contextlib.suppress(ValueError):
                    days.append(day.replace(year=day.year + years))
    return [years for years in map(age, days) if 0 <= years <= 100]


def unread_texts(form: str) -> list[tuple[dt.date, str]]:
    """Dates of birth in a form, apart from those that every run reads."""
    texts = [(born, text) for born in BIRTHS for text in written(born, form)]
    return [(born, text) for born, text in texts if not re.fullmatch(r"\d{4}-\d\d-\d\d", text) and not is_compact(text)]


def is_compact(text: str) -> bool:
    try:
        return len(text) == 8 and bool(dt.datetime.strptime(text, "%Y%m%d"))
    except ValueError:
        return False


@pytest.mark.parametrize("form", FORMS)
def test_a_date_withholds_where_every_reading_is_a_minors(form: str) -> None:
    """Never an adult, in any form; always a minor whose year has four digits, unless day and month make an adult near the limit."""
    pairs = unread_texts(form)
    hidden = withheld(pa.array([text for _, text in pairs], pa.string()))
    for (born, text), is_hidden in zip(pairs, hidden, strict=True):
        ages = possible_ages(text)
        assert is_hidden == (max(ages, default=99) < 18), (text, ages)
        assert not (is_hidden and age(born) >= 18), text
        assert is_hidden or age(born) >= 17 or "%Y" not in form or len(text) == 6, text


IMPOSSIBLE = "2012-00-00|2012-05-00|2012-02-30|2012-13-45|00.00.2012|20120500|20120000|2012.0|00/2012|2012-0|31.02.2012"
MINORS = f"""{IMPOSSIBLE}|5. 3. 2012|05/03/2012 00:00|5.3.12 12:00:00|2012/03/05T00:00:00Z|2012年3月5日|2012년 3월 5일|5th March 2012|March 5, 2012|05-MAR-12
\u00a05.3.12\u00a0|sept 5 2012|5sep12|SEPTEMBER 2012|15032012|5032012|5032012.0|29-FEB-12|9.2.08|5.3.12.|5–3–12|0012-03-05|0008-02-29|0012/03/05|05.03.0012|0012-3-5
05MAR2012|15.3.9|15 mar 9|１５．３．２０１２|5 of March 2012|marzo 5 de 2012|1er août 2012|5 березня 2012 р.|5 марта 2012 г.|5 marca 2012 r."""
OTHERS = """05/03/12|29/02/12|12-3-5|5.3.9|5 mar 9|12-mar-5|12-03-05|31/03/12|05/11/07|5/11/07|11/5/2007|2007|00-00-2007|1980|05/03/80|5.3.25|2025/12/12|05/03/1912|12|5/3|1/2/3|12-mar-05
monkeys|maria 2012|in 2012|2012 or 1980|2012-2013|12/13|5.3.112|99.99.12|2031-03-05|0005-03-05|31000|12:30|5/2012/3|2012-05-03-80|20.12.2030|5.3.12 or 1980|mar-12|0085-03-05
-2012|2012-|17,5|"""


@pytest.mark.parametrize(("texts", "hidden"), [(MINORS, True), (OTHERS, False)])
def test_odd_dates_of_birth(texts: str, hidden: bool) -> None:
    """Days that do not exist count as the first of their month or year; what may be something else says nothing."""
    given = re.split(r"[|\n]", texts)
    assert dict(zip(given, withheld(pa.array(given)), strict=True)) == dict.fromkeys(given, hidden)
    assert withheld(pa.array([f"5.3.12{' ' * 1000}x", "2012" + "0" * 100])) == [False, False]
    assert not any(withheld(pa.array(given), RowRules(AgesConfig(min_age=0), AS_OF)))


MONTHS_IN_WORDS = {  # how a date is written, names of months in it, and their usual short forms
    "{} {} {}": """january february march april may june july august september october november december
        jan feb mar apr may jun jul aug sep oct nov dec""",
    "{}. {} {}": """Januar Februar März April Mai Juni Juli August September Oktober November Dezember
        Jan Feb Mrz Apr Mai Jun Jul Aug Sept Okt Nov Dez""",
    "{}  {} {}": """janvier février mars avril mai juin juillet août septembre octobre novembre décembre
        janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.""",
    "{} de {} de {}": """enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
        ene feb mar abr may jun jul ago sept oct nov dic""",
    "{}/{}/{}": """gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre
        gen feb mar apr mag giu lug ago set ott nov dic""",
    "{} de {}, {}": """janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro
        jan. fev. mar. abr. mai. jun. jul. ago. set. out. nov. dez.""",
    "{}-{}-{}": """januari februari maart april mei juni juli augustus september oktober november december
        jan feb mrt apr mei jun jul aug sep okt nov dec""",
    "{} {} {} r.": """stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia
        sty lut mar kwi maj cze lip sie wrz paź lis gru""",
    "{} {} {} г.": """января февраля марта апреля мая июня июля августа сентября октября ноября декабря
        янв. февр. мар. апр. мая июн. июл. авг. сент. окт. нояб. дек.""",
    "{} {} {} р.": """січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня
        січ. лют. бер. квіт. трав. черв. лип. серп. вер. жовт. лист. груд.""",
}


MONTHS_ELSEWHERE = {
    "cs": "ledna února března dubna května června července srpna září října listopadu prosince",
    "sk": "januára februára marca apríla mája júna júla augusta septembra októbra novembra decembra",
    "hu": "január február március április május június július augusztus szeptember október november december",
    "ro": "ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie noiembrie decembrie",
    "sv": "januari februari mars april maj juni juli augusti september oktober november december",
    "da": "januar februar marts april maj juni juli august september oktober november december",
    "no": "januar februar mars april mai juni juli august september oktober november desember",
    "fi": "tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta syyskuuta lokakuuta marraskuuta joulukuuta",
    "tr": "Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık",
    "el": "Ιανουαρίου Φεβρουαρίου Μαρτίου Απριλίου Μαΐου Ιουνίου Ιουλίου Αυγούστου Σεπτεμβρίου Οκτωβρίου Νοεμβρίου Δεκεμβρίου",
    "id": "Januari Februari Maret April Mei Juni Juli Agustus September Oktober November Desember",
    "ca": "gener febrer març abril maig juny juliol agost setembre octubre novembre desembre",
}


@pytest.mark.parametrize("form", MONTHS_IN_WORDS)
def test_names_of_months_in_other_languages(form: str) -> None:
    """Each is its month: somebody is 18 on that very day, and a minor on the day before."""
    names = MONTHS_IN_WORDS[form].split()
    assert len(names) == 24
    for number, name in enumerate(names):
        texts = [form.format(day, name, year) for year, day in ((2007, 22), (2007, 23), (2007, 24), (1980, 24))]
        spellings = [*texts, *map(str.upper, texts), *(unicodedata.normalize("NFD", text) for text in texts)]
        rules = RowRules(AgesConfig(), dt.date(2025, number % 12 + 1, 23))
        assert withheld(pa.array(spellings), rules) == [False, False, True, False] * 3, name


def test_a_time_or_a_zone_behind_a_date_changes_nothing() -> None:
    """SAS writes times behind a colon, XML a zone behind the date."""
    texts = ["05MAR2012", "5.3.12", "2012-00-00", "20120500", "5. März 2012", "05/03/12", "05MAR1980", "5 mar 1980", "1980-00-00"]
    for behind in ("", "Z", " UTC", "+02:00", "+0200", "-05:00", " 00:00", "T00:00:00Z", ":00:00:00", ":23:59:59.999"):
        assert withheld(pa.array([text + behind for text in texts])) == [True] * 5 + [False] * 4, behind


@pytest.mark.parametrize("unseen", ["\u200e", "\u200b", "\u2060", "\ufeff", "\u00ad"])
def test_characters_that_nobody_sees_change_nothing(unseen: str) -> None:
    """Browsers put marks of direction around each number of a date, web pages put breaks and soft hyphens between letters."""
    texts = ["5.3.12", "2012-00-00", "5. März 2012", "5 марта 2012 г.", "05/03/12", "5 mar 1980", "1980-00-00"]
    for spread in (lambda t: unseen + t, lambda t: t + unseen, unseen.join, lambda t: re.sub(r"(\d+)", rf"\1{unseen}", t)):
        assert withheld(pa.array([spread(text) for text in texts])) == [True] * 4 + [False] * 3


WORDS_AROUND = r"""
{:%a %b %d 00:00:00 %Y}; {:%a %b %d 00:00:00 UTC %Y}; {:%a, %d %b %Y 00:00:00 +0000}; {:%a %b %d %Y 00:00:00 GMT+0100 (CET)}; {:%A, %B %d, %Y}
Mo., {:%d.%m.%Y}; mardi {:%d-%m-%Y}; {:%d-%b-%Y 12.00.00.000000 AM}; {:%d.%b.%Y 00h00}; {:%d.%B.%Y um 00:00 Uhr}; {:%B %d, %Y at 12:00 AM}
born {:%d %B %Y}; geb. {:%d. %B %Y}; * {:%d %b %Y}; ABT {:%d %b %Y}; {:%d %b %Y}?; "{:%d %b %Y}"; '{:%Y-%m-%d}; +{:%Y-%m-%d}
datetime.date({:%Y, %b, %d}); [{:%Y, %b, %d}]; {{"$date": "{:%Y-%m-%dT00:00:00Z}"}}; {:%d\%b\%Y}; {:%d|%b|%Y}
{:%Y%m%d%H%M}; {:%Y%m%d%H%M%S}; {:%Y%m%d%H%M%S+0100}; {:%Y%m%dT000000Z}; {:%Y-%j}; {:%G-W%V-%u}; {:%GW%V%u}; {:%d %b}. {:%Y}"""
FIRST_DAY = dt.date(1970, 1, 1)
ROMAN = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"]


def in_words(day: dt.date) -> list[str]:
    """The day as programs and people write it who put more than a date there, or another one; nobody can take it for another day."""
    forms = [form for form in re.split(r"; |\n", WORDS_AROUND) if form]
    seconds = (day - FIRST_DAY).days * 86_400
    thai = f"{day:%d %b} {day.year + 543}"
    era = (
        f"平成{day.year - 1988}年{day.month}月{day.day}日"
        if day.year < 2019
        else f"令和{day.year - 2018}年{day.month}月{day.day}日"
    )
    counted = [f"{seconds * 10**power}" for power in (0, 3, 6, 9)] + [f"{seconds}.0", f"/Date({seconds}000)/"]
    hidden_signs = [f"\u200b{day:%d %b %Y}", f"{day:%d\u200f %b\u200f %Y}", f"{day:%d\N{MINUS SIGN}%b\N{MINUS SIGN}%Y}"]
    other_digits = [f"{day:%Y %b %d}".translate({48 + n: first + n for n in range(10)}) for first in (0xFF10, 0x0660, 0x0966)]
    roman = [f"{day.day}{sign}{ROMAN[day.month - 1]}{sign}{day.year}" for sign in ". -/"]
    old = [era] if day.year > 1988 else []
    return [
        *(form.format(day, day) for form in forms),
        *hidden_signs,
        *other_digits,
        *roman,
        thai,
        *old,
        *(counted if seconds > 10**8 else []),
    ]


def test_more_than_a_date_or_another_count_of_days() -> None:
    """Weekdays, times, brackets, other calendars and digits, seconds since 1970: minors by the very day, adults never.

    Where the month is a number, the order of day and month is not known, as in other texts.
    """
    births = [*BIRTHS, dt.date(2007, 10, 22), dt.date(2007, 10, 23), dt.date(2007, 10, 24), dt.date(2007, 10, 25), AS_OF]
    pairs = [(born, text) for born in births for text in in_words(born)]
    hidden = withheld(pa.array([text for _, text in pairs]))
    swapped = (dt.date(2007, 11, 9), "11-09", "09.11", "09-11", "1109", "11月9")  # an adult's, were it 11 September
    wrong = [
        text
        for (born, text), is_hidden in zip(pairs, hidden, strict=True)
        if is_hidden != (age(born) < 18) and not (born == swapped[0] and any(part in text for part in swapped[1:]))
    ]
    assert len(pairs) > 10_000
    assert not wrong, (len(wrong), wrong[:20])


@pytest.mark.parametrize(
    "form",
    [
        "{:%Y}-XX-XX",
        "??.??.{:%Y}",
        "--/--/{:%Y}",
        "{:%Y}-uu-uu",
        "__.__.{:%Y}",
        "{:%Y}-Q3",
        "Q1 {:%Y}",
        "4Q{:%Y}",
        "about {:%Y}",
        "{:%Y}.501",
    ],
)
def test_a_year_with_something_else_is_the_year(form: str) -> None:
    """As a year alone: the first of January counts."""
    births = [dt.date(year, 6, 1) for year in range(1926, 2025)]
    assert withheld(pa.array([form.format(born) for born in births])) == [born.year >= 2008 for born in births]


def test_serial_numbers_of_days() -> None:
    """Spreadsheets, SAS and R count from different days: a number withholds where each that is a possible day is a minor's."""
    numbers = range(10_000, 100_000, 7)
    days = {
        n: [first + dt.timedelta(n) for first in (dt.date(1899, 12, 30), dt.date(1904, 1, 1), dt.date(1960, 1, 1), FIRST_DAY)]
        for n in numbers
    }
    expected = [max((age(day) for day in found if 0 <= age(day) <= 100), default=99) < 18 for found in days.values()]
    assert expected.count(True) > 500
    for form in ("{}", "{}.0", "{}.75"):
        assert withheld(pa.array([form.format(n) for n in numbers])) == expected
    assert withheld(pa.array(numbers)) == expected


@pytest.mark.parametrize("locale", MONTHS_ELSEWHERE)
def test_names_of_months_elsewhere(locale: str) -> None:
    """As in the languages above."""
    for number, name in enumerate(MONTHS_ELSEWHERE[locale].split()):
        rules = RowRules(AgesConfig(), dt.date(2025, number + 1, 23))
        texts = [f"{day}. {name} {year}" for year, day in ((2007, 22), (2007, 23), (2007, 24), (1980, 24))]
        assert withheld(pa.array([*texts, *map(str.upper, texts)]), rules) == [False, False, True, False] * 2, name


def test_dates_with_a_zone_are_read() -> None:
    """As the date that is written, in columns of dates and of years; what is no zone is none."""
    days = [day.isoformat() for day in BIRTHS]
    ages = {}
    for zone in ("", "Z", "z", "+02:00", "-0500", "+14:00", "T00:00:00+02:00", "t00:00:00z"):
        for column in ("birth_date", "birth_year"):
            raw = pa.table({"pid": pa.array(range(len(days))), column: [day + zone for day in days]})
            made = RULES.canonical(connect(), raw).select(["known_age", "withheld"])
            assert made.equals(ages.setdefault(column, made)), zone
    assert ages["birth_date"]["known_age"].null_count == sum(ages["birth_date"]["withheld"].to_pylist()) < len(days) / 4
    for zone in ("-80", "+99:00", "-05", "+2", "Zulu", "ZZ"):
        assert (
            not RULES.canonical(connect(), pa.table({"pid": [1], "birth_date": ["1980-03-05" + zone]}))["known_age"]
            .is_valid()[0]
            .as_py()
        )


def test_a_declared_format_says_the_order() -> None:
    """The same text without a century is a minor's or an adult's by the order that the format has."""
    for form, minors in (
        ("%d/%m/%Y", ["05/03/12", "31/03/12"]),
        ("%Y/%m/%d", ["12/03/05"]),
        ("%d%m%Y", ["050312", "20120305", "20121203", "20111231"]),
    ):
        rules = RowRules(AgesConfig(), AS_OF, form)
        assert withheld(pa.array(minors), rules) == [True] * len(minors)
    assert withheld(pa.array(["12/03/05", "05/03/80", "05-03-12"]), RowRules(AgesConfig(), AS_OF, "%d/%m/%Y")) == [False] * 3


def test_the_first_day_of_year_1_is_no_date_of_birth() -> None:
    """Programs write it for "no date", also in years in which 2001 is a minor's year."""
    dates = pa.array([dt.date(1, 1, 1), dt.date(12, 3, 5)])
    assert withheld(dates, RowRules(AgesConfig(), dt.date(2016, 1, 1))) == [False, True]


@pytest.mark.parametrize(
    "kind", [pa.int32(), pa.int64(), pa.float64(), pa.decimal128(9, 0), pa.string(), pa.large_string(), pa.string_view()], ids=str
)
def test_every_type_of_column(kind: pa.DataType) -> None:
    """Numbers have lost the zero in front."""
    numbers = [2012, 5032012, 15032012, 20120500, 1980, 5031980, 15031980, 12, 31000]
    values = pa.array([Decimal(n) for n in numbers] if pa.types.is_decimal(kind) else numbers)
    assert (
        withheld(values.cast(kind) if kind != pa.string_view() else values.cast(pa.string()).cast(kind)) == [True] * 4 + [False] * 5
    )


def test_years_of_two_digits_as_years_of_the_first_century() -> None:
    """A date as a program wrote it that read 12 as the year 12, in columns of dates and times and as text."""
    dates = [dt.date(12, 3, 5), dt.date(7, 10, 24), dt.date(7, 10, 23), dt.date(25, 10, 23), dt.date(25, 10, 24), dt.date(80, 1, 1)]
    expected = [True, True, False, False, False, False]
    times = pa.array([dt.datetime(d.year, d.month, d.day) for d in dates], pa.timestamp("s"))
    for values in (pa.array(dates), times, pa.array([d.isoformat() for d in dates])):
        assert withheld(values) == expected
    assert withheld(pa.array(dates), RowRules(AgesConfig(max=120), AS_OF)) == [False] * 6
    assert not withheld(pa.array(dates), RowRules(AgesConfig(), dt.date(2012, 3, 5)))[0], "born today, or 100 years old"


def test_a_date_in_a_column_of_birth_years() -> None:
    """It cannot be read there either."""
    assert withheld(pa.array(["5.3.12", "05/03/2012", "5.3.80", "12/13"]), column="birth_year") == [True, True, False, False]
    numbers = [201305, 41000, 15032012, 1330905600, 198503, 31000, 15031980, 500000000, 9999, 2**62, -(2**62)]
    for values in (
        pa.array(numbers),
        pa.array(map(float, numbers)),
        pa.array(map(str, numbers)),
        pa.array(f"{n}.0" for n in numbers),
    ):
        assert withheld(values, column="birth_year") == [True] * 4 + [False] * 7, values.type


def test_such_values_are_counted_as_those_of_minors() -> None:
    """By reason, and without their form."""
    raw = pa.table({"pid": [1, 2, 3], "birth_date": ["5.3.12", "2012-05", "05/03/80"]})
    counted = {u.reason: (u.rows, u.form) for u in RULES.unusable(connect(), raw)}
    assert counted == {AGE_OF_MINOR: (2, ""), UNREADABLE: (1, "99/99/99")}


@pytest.mark.parametrize("form", ["people.csv", "people.jsonl", "people.parquet"])
def test_plan_and_profile_count_them_in_every_format(form: str, tmp_path: Path) -> None:
    """The number of rows of known minors is that of the dates that only minors can have."""
    born = [*["05-MAR-12", "2012-05", "5.3.12", "2012"] * 10, *(f"19{60 + n % 40}-05-03" for n in range(600)), "05/03/80"]
    rows = [{"pid": n, "birth_date": text, "profile_json": json.dumps({"years_experience": n % 40})} for n, text in enumerate(born)]
    path = tmp_path / form
    if form.endswith("csv"):
        lines = (f'{row["pid"]},{row["birth_date"]},"{str(row["profile_json"]).replace(chr(34), chr(34) * 2)}"\n' for row in rows)
        path.write_text("pid,birth_date,profile_json\n" + "".join(lines))
    elif form.endswith("jsonl"):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    planned: dict[str, Any] = json.loads(cli("plan", "--source", path, "--as-of", AS_OF, "--json").stdout)
    shown: dict[str, Any] = json.loads(cli("profile", "--source", path, "--as-of", AS_OF, "--json").stdout)
    [column] = planned["ages"]
    assert (planned["withheld"], {values["reason"]: values["rows"] for values in column["unused"]}) == (
        40,
        {UNREADABLE: 1, AGE_OF_MINOR: 40},
    )
    assert shown["ages"]["withheld"] == 40
