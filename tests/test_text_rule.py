"""One text rule: values of profiles and levels of feature files match whenever a reader would say that they are the same."""

from __future__ import annotations

import datetime as dt
import json
import sys
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from predict_age.features.extract import extract_features
from predict_age.features.group_fields import read_groups, with_one_spelling
from predict_age.features.spec import parse_features
from predict_age.features.text_rule import fold_sql, fold_text, tidy_sql, tidy_text
from predict_age.source.column_types import WHITE_SPACE
from predict_age.source.row_rules import connect, register

AS_OF = dt.date(2025, 10, 23)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
TRICKY = st.text(
    st.sampled_from("aAiI\u0130\u0131\u0307\u0301e\u00e9\u00c9\u00df\u1e9e\u03a3\u03c3\u03c2\ufb01 \t\u00a0\u3000.01-+"),
    max_size=12,
)


def by_sql(expression: str, texts: list[str]) -> list[str]:
    connection = connect()
    register(connection, "texts", pa.table({"x": pa.array(texts, pa.string())}))
    return [row[0] for row in connection.sql(f"SELECT {expression} FROM texts").fetchall()]


@given(st.lists(TEXTS | TRICKY, max_size=20))
@example(["10.0", "-10.000", " 10.0 ", "1.0.0", "10.", ".0", "\u0661.0", "A\tB", "i\u0307\u0301", "\u0130\u0301"])
def test_python_and_sql_say_the_same(texts: list[str]) -> None:
    """The rule is one: levels are folded in Python, values in SQL."""
    assert by_sql(tidy_sql("x"), texts) == [tidy_text(t) for t in texts]
    assert by_sql(fold_sql("x"), texts) == [fold_text(t) for t in texts]


def test_every_letter_alone() -> None:
    """Python and SQL agree about each letter that this Python knows, and folding is done after one time."""
    letters = [c for c in map(chr, range(1, sys.maxunicode + 1)) if unicodedata.category(c)[0] in "LMNPSZ"]
    folded = [fold_text(c) for c in letters]
    assert by_sql(fold_sql("x"), letters) == folded
    assert [fold_text(f) for f in folded] == folded


def test_white_space_is_what_python_says() -> None:
    assert {c for c in map(chr, range(sys.maxunicode + 1)) if c.isspace()} == set(WHITE_SPACE)


SAME = [
    ("\u0130stanbul", "i\u0307stanbul", "ISTANBUL", "istanbul", "\u0131stanbul"),
    ("\u039f\u0394\u039f\u03a3", "\u03bf\u03b4\u03bf\u03c2", "\u03bf\u03b4\u03bf\u03c3"),
    ("STRASSE", "Stra\u00dfe", "STRA\u1e9eE", "strasse"),
    ("Zo\u00e9", "ZOE\u0301", "zo\u00e9", "ZO\u00c9"),
    ("Senior Engineer", " senior\tengineer\n", "SENIOR\u00a0ENGINEER", "senior  engineer", "Senior\r\nEngineer"),
    ("\ufb01nance", "FINANCE", "finance"),
    ("3", "3.0", " 3.00 "),
    (
        "\u0421\u0442\u0430\u0440\u0448\u0438\u0439",
        "\u0421\u0422\u0410\u0420\u0428\u0418\u0419",
        "\u0441\u0442\u0430\u0440\u0448\u0438\u0438\u0306",
    ),
]


@pytest.mark.parametrize("names", SAME, ids=lambda names: names[0].encode("ascii", "replace").decode())
@pytest.mark.parametrize("kernels", [False, True])
def test_levels_match_themselves(names: tuple[str, ...], kernels: bool) -> None:
    """Whichever spelling the feature file has and whichever the data: by SQL and by kernels, alone and in lists."""
    for level in names:
        text = f"""format = 1
[features.alone]
kind = "ordered"
meaning = "m"
path = "v"
levels = ["other", {json.dumps(level)}]
default = 0
[features.listed]
kind = "ordered"
meaning = "m"
path = "l[*].v"
levels = ["other", {json.dumps(level)}]
default = 0
"""
        profiles = [json.dumps({"v": n, "l": [{"v": n}]}, ensure_ascii=escaped) for n in names for escaped in (False, True)]
        made = extract_features(connect(), pa.chunked_array([profiles]), text, AS_OF, kernels=kernels).columns
        assert made["alone"].to_pylist() == made["listed"].to_pylist() == [1.0] * len(profiles), level


def test_the_same_level_twice_is_refused() -> None:
    """Also when it is spelt in another way."""
    for names in SAME:
        text = f'format = 1\n[features.a]\nkind = "ordered"\nmeaning = "m"\npath = "v"\nlevels = {json.dumps(names[:2])}\ndefault = 0\n'
        with pytest.raises(Exception, match="levels name the same value twice"):
            parse_features(text, "f")


KINDS = """format = 1
[features.since]
kind = "date"
meaning = "m"
path = "since"
min = 0
max = 60
default = 5
[features.department]
kind = "category"
meaning = "m"
path = "department"
[features.rank]
kind = "ordered"
meaning = "m"
path = "department"
levels = ["10", "20"]
default = 0
[features.active]
kind = "boolean"
meaning = "m"
path = "active"
[features.title]
kind = "text"
meaning = "m"
path = "department"
rules = [{match = "^10$", value = 7}]
otherwise = 0
default = 0
"""


@pytest.mark.parametrize("kernels", [False, True])
def test_whole_floats_are_whole_numbers(kernels: bool) -> None:
    """10, 10.0, "10" and "10.0" are one category, rank and text; 2014.0 is a year; 1.0 is yes: for every kind that reads text."""
    rows = [("2014", 10, 1), (2014, 10.0, 1.0), (2014.0, "10", "1"), ("2014.0", "10.0", "1.0"), (" 2014.0", "\t10.00", "1.00")]
    profiles = [json.dumps({"since": s, "department": d, "active": a}) for s, d, a in rows]
    made = extract_features(connect(), pa.chunked_array([profiles]), KINDS, AS_OF, kernels=kernels).with_text_categories()
    assert made.to_pylist() == [{"since": 11.0, "department": "10", "rank": 0.0, "active": 1.0, "title": 7.0}] * 5


@pytest.mark.parametrize("kernels", [False, True])
def test_other_numbers_stay(kernels: bool) -> None:
    """A fraction, a version and a padded code are not whole numbers, and case tells categories apart."""
    values = ["10.5", "1.0.0", "010", "1e3", "A", "a", "-3.0", "x 1.0"]
    profiles = [json.dumps({"department": v}) for v in values]
    made = extract_features(connect(), pa.chunked_array([profiles]), KINDS, AS_OF, kernels=kernels).with_text_categories()
    assert made["department"].to_pylist() == ["10.5", "1.0.0", "010", "1e3", "A", "a", "-3", "x 1.0"]


def test_groups_of_the_card_follow_the_rule() -> None:
    """Composed and decomposed letters, blanks and whole floats are one group; nothing is "not given"."""
    values = ["C\u00f4te d'Ivoire", "Co\u0302te\td'Ivoire ", 10, 10.0, "", "  ", None]
    profiles = pa.chunked_array([[json.dumps({"country": v}) for v in values]])
    found = read_groups(connect(), profiles, {"country": "country"})["country"].to_pylist()
    assert found == ["C\u00f4te d'Ivoire"] * 2 + ["10"] * 2 + ["not given"] * 3


def test_groups_of_the_card_have_one_spelling() -> None:
    """Values that differ in case or blanks, in any script, are one group, called by the commonest spelling."""
    values = [
        "Male",
        "Male",
        "MALE",
        " male ",
        "m\u00e4nnlich",
        "M\u00c4NNLICH",
        "STRASSE",
        "Stra\u00dfe",
        "Stra\u00dfe",
        "Not Given",
        None,
    ]
    profiles = pa.chunked_array([[json.dumps({"g": v}) for v in values]])
    found = with_one_spelling(read_groups(connect(), profiles, {"g": "g"}), ["g"])["g"].to_pylist()
    assert found[:4] == ["Male"] * 4
    assert found[4:6] == [found[4]] * 2
    assert found[6:9] == ["Stra\u00dfe"] * 3
    assert found[9:] == [found[9]] * 2
