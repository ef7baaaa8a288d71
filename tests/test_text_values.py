"""Values of single texts without SQL are those of SQL, or are left to it."""

from __future__ import annotations

import json
import re
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conftest import AS_OF
from predict_age.features import json_fast_path
from predict_age.features.extract import extract_features
from predict_age.features.spec import default_text, parse_features
from predict_age.features.text_automaton import text_automaton
from predict_age.features.text_values import NEEDS_SQL, is_safe_pattern, text_converter
from predict_age.source.row_rules import connect

FEATURES = r"""
format = 1
[features.number]
kind = "number"
path = "x"
scale = 0.08333333333333333
min = -5
max = 60
default = 3
meaning = "m"
[features.clipped]
kind = "number"
path = "x"
min = 0
max = 2000
outside = "clip"
default = 3
meaning = "m"
[features.comma]
kind = "number"
path = "x"
decimal = ","
min = 0
max = 2000
default = 3
meaning = "m"
[features.date]
kind = "date"
path = "x"
max = 70
default = 14
meaning = "m"
[features.ordered]
kind = "ordered"
path = "x"
levels = ["Junior", ["Senior", "Sr.", "STRASSE", "5"], "Ältere"]
default = 1
meaning = "m"
[features.category]
kind = "category"
path = "x"
meaning = "m"
[features.boolean]
kind = "boolean"
path = "x"
default = 1
meaning = "m"
[features.count]
kind = "count"
path = "x"
max = 3
default = 1
meaning = "m"
[features.words]
kind = "text"
path = "x"
otherwise = 0.5
default = 1
meaning = "m"
rules = [
    { match = '\b(chief|c[efot]o|president)\b', value = 5 },
    { match = '^senior .*r$', value = 4.25 },
    { match = 'k|s\.|a\+', value = -3 },
    { match = '[0-9a-f]+x', value = 2 },
    { match = '\d\d?\W', value = 7 },
]
[features.unsafe]
kind = "text"
path = "x"
otherwise = 0
default = 1
meaning = "m"
rules = [{ match = '(a+)+$|\pL{3}', value = 1 }]
"""
SETS = parse_features(FEATURES, "t").features
WORDS = ["senior engineer", "CEO", "cEo ", "K", "\u212a", "\u017f", "ſ.", "strasse", "straße", "ÄLTERE", "ältere", "A\u0308ltere", "İ", "ı", "yes", "NO", "T", "1", "1.0", "-0", "0.0", "12", "007",
         "1e3", "nan", "inf", " 12", "12 ", "1,5", "2001", "2001-05", "2001-05-17", "2001-13", "2001-00-10", "2001-05-32", "2001-05-17T10:00:00Z", "2001-5-1", "2001/05/17", "20010517", "abcd", "abcd-05", "2001-ab", "2001-05-xx", "+200", "-200", "20.1", "2001.0", "200 ",
         "", " ", "  a  b ", "a\tb", "a\u00a0b", "a\nb", "\x1f", "[1,2]", "[", "[]", "{}", "null", "true", "a" * 201, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "12345678901234567890", "0.1", "12.3456789", "beef x", "beefx", "7 ", "77-", "Müller", "ŝ", "ÿ", "\U0001f680", "a+b", "x\u0301"]  # fmt: off
LETTERS = st.text(st.sampled_from("aAkKsSeE019.,-+ \u00e4\u00c4\u00df\u0130\u017f\u0301\u00a0[]{}\"'\\"), max_size=12)
DATES = st.from_regex(r"[0-9]{3,5}(-[0-9]{1,2}){0,2}([ T].{0,3})?", fullmatch=True)
PARTS = ["a", "b", "C", "1", " ", "_", "-", r"\b", r"\B", r"\d", r"\w", r"\W", r"\D", ".", "[a-c]", "[B-b]", "[ab-]", "^", "$", "(", "(?:", ")", "|", "?", "*", "+", r"\.", "/"]  # fmt: off
PATTERNS = st.lists(st.sampled_from(PARTS), max_size=8).map("".join).filter(is_safe_pattern)
VALUES = st.one_of(
    st.sampled_from(WORDS),
    LETTERS,
    DATES,
    st.text(max_size=8),
    st.integers(-(10**18), 10**18),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.booleans(),
    st.none(),
)


def by_sql(values: list[Any]) -> dict[str, list[Any]]:
    profiles = pa.chunked_array([pa.array([json.dumps({"x": v}) for v in values], pa.string())])
    return extract_features(connect(), profiles, FEATURES, AS_OF, kernels=False).columns.to_pydict()


def decisions(values: list[Any], name: str) -> list[Any]:
    decide = text_converter(SETS[name], AS_OF)
    return [decide(json.dumps(v, ensure_ascii=False).encode(errors="surrogatepass")) for v in values]


@settings(max_examples=60, deadline=None)
@example(WORDS)
@example([True, False, None, 0, 5, 5.0, -0.0, 12, 1e20, 123456789012345, 1234567890123456])
@given(st.lists(VALUES.filter(lambda v: not isinstance(v, str) or v.isprintable() or v.isascii()), min_size=1, max_size=40))
def test_decided_values_are_those_of_sql(values: list[Any]) -> None:
    expected = by_sql(values)
    for name in SETS:
        for value, wanted, decided in zip(values, expected[name], decisions(values, name), strict=True):
            assert decided is NEEDS_SQL or (decided == wanted and type(decided) is type(wanted)), (name, value, wanted, decided)


@settings(max_examples=20, deadline=None)
@example(WORDS)
@given(st.lists(VALUES, min_size=1, max_size=60))
def test_values_of_kernels_are_those_of_sql(values: list[Any]) -> None:
    """Dates and rules that a kernel works out, by a table of states, and whatever it leaves to others."""
    profiles = pa.chunked_array([pa.array([json.dumps({"x": v}) for v in values], pa.string())])
    assert extract_features(connect(), profiles, FEATURES, AS_OF, kernels=True).columns.to_pydict() == by_sql(values)


@settings(max_examples=300, deadline=None)
@example(["^a", "b$", r"\b"], ["a", "xa", "ab", "b a", " "])
@given(
    st.lists(PATTERNS, min_size=1, max_size=4), st.lists(st.text("abcAB1 _-./+", min_size=1, max_size=9), min_size=5, max_size=20)
)
def test_tables_of_states_match_as_patterns_do(patterns: list[str], texts: list[str]) -> None:
    made = text_automaton(patterns, range(len(patterns) + 1))
    assert made is not None
    compiled = [re.compile(pattern, re.ASCII | re.IGNORECASE) for pattern in patterns]
    for text in texts:
        assert made.first_match(text) == next((n for n, p in enumerate(compiled) if p.search(text)), -1), (patterns, text)


def test_rules_beyond_a_table_are_left_to_others() -> None:
    """The last fifteen letters of a text would need a state for each set of them."""
    assert text_automaton(["a" + "." * 15 + "b"], [1, 0]) is None
    assert text_automaton(["(a", "b"], [1, 2, 0]) is None


def test_usual_texts_are_decided() -> None:
    """Usual texts of profiles need no statement; those that Python might read otherwise do."""
    for name, usual in {
        "number": ["12", 12, "0.5"],
        "date": ["2001", "2001-05", "2001-05-17", 2001, "today"],
        "ordered": ["Senior", "ältere"],
        "category": ["Python", "Größe", 5, True],
        "boolean": [True, "yes", "perhaps"],
        "words": ["Chief Executive Officer", "Ingénieur d'études"],
        "count": ["none", 5],
    }.items():
        assert NEEDS_SQL not in decisions(usual, name), name
    assert decisions(["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"], "unsafe") == [NEEDS_SQL]
    assert decisions(["\u212a"], "words") == [NEEDS_SQL]  # Kelvin, which RE2 takes for a k


@pytest.mark.parametrize("decided", [True, False])
def test_new_texts_cost_no_statement(decided: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Titles and dates that no profile had before: not one statement, unless Python is not asked."""
    asked: list[str] = []
    monkeypatch.setattr(
        "predict_age.features.extract._prepared_statement", lambda *a: asked.append(a) or pytest.fail("a statement")
    )
    if not decided:
        monkeypatch.setattr(json_fast_path, "MAX_DECIDED_TEXTS", -1)
    title = f"Head of {'Décided' if decided else 'Åsked'} Affairs"  # kernels work out ASCII
    profile = {"current_title": title, "career": {"start": f"2011-03-{11 + decided}"}, "job_level": "Senior", "skills": ["a"]}
    column = pa.chunked_array([pa.array([json.dumps(profile)])])
    if decided:
        assert extract_features(connect(), column, default_text(), AS_OF, kernels=True).columns["title_seniority"].to_pylist() == [
            4.0
        ]
    else:
        with pytest.raises(pytest.fail.Exception):
            extract_features(connect(), column, default_text(), AS_OF, kernels=True)
    assert bool(asked) is not decided
