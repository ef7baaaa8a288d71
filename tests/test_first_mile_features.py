"""Features that the source does not have, or has in another form, are named before anything runs."""

from __future__ import annotations

import csv
import datetime as dt
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from conftest import call
from predict_age.config import load_config
from predict_age.errors import ConfigError
from predict_age.features.extract import extract_features
from predict_age.features.inspection import FeatureCoverage, inspect_features, paths_of, suggested
from predict_age.features.spec import default_text, parse_features
from predict_age.pipeline.estimate import estimate
from predict_age.pipeline.feature_check import check_features
from predict_age.pipeline.runner import new_plan
from predict_age.source import csv_reader, row_group_reader
from predict_age.source.profile_json import flat_profile
from predict_age.source.row_rules import connect
from predict_age.source.value_form import form_of
from predict_age.synthetic.write import Chunk, record_batch

AS_OF = dt.date(2025, 10, 23)
BUILT_IN_PATHS = re.findall(r'^path = "(.*)"', default_text(), re.M)


@pytest.fixture(scope="module")
def profiles() -> pa.ChunkedArray:
    """Profiles of 600 generated people."""
    people, *_ = record_batch(Chunk(7, 0, 600, AS_OF))
    return pa.chunked_array([people.column("profile_json").cast(pa.string())])


def inspected(text: str, profiles: pa.ChunkedArray) -> dict[str, FeatureCoverage]:
    """Coverage by feature."""
    return {c.feature: c for c in inspect_features(connect(), profiles, parse_features(text, "test"), AS_OF)}


@pytest.mark.parametrize("path", BUILT_IN_PATHS)
def test_a_misspelt_path_is_named_with_the_right_suggestion(path: str, profiles: pa.ChunkedArray) -> None:
    """A letter left out, doubled or in the other case, in each of the 22 features."""
    head, *features = default_text().split("\n[features.")
    [of_path] = [feature for feature in features if f'path = "{path}"' in feature]
    text = "\n[features.".join([head, of_path, *(f for f in features[:2] if f != of_path)])  # others are not named with it
    letter = max(i for i, c in enumerate(path) if c.isalpha() and i > 0)
    for wrong in (
        path[:letter] + path[letter + 1 :],
        path[: letter + 1] + path[letter:],
        path[:letter] + path[letter].upper() + path[letter + 1 :],
    ):
        found = inspected(text.replace(f'path = "{path}"', f'path = "{wrong}"'), profiles)
        named = [c for c in found.values() if c.is_absent]
        assert [(c.path, c.suggestion) for c in named] == [(wrong, path)], wrong
        assert f"did you mean {path}?" in named[0].sentence


@pytest.mark.parametrize(
    ("values", "declaration", "form"),
    [
        (["1,234", "17,950"], 'kind = "number"\nmin = 0\nmax = 1e6\ndefault = 1', "9,999"),
        (["1.234,50"], 'kind = "number"\nmin = 0\nmax = 1e6\ndefault = 1', "9.999,99"),
        (["EUR 1234"], 'kind = "number"\nmin = 0\nmax = 1e6\ndefault = 1', "AAA 9999"),
        (["14.03.2014"], 'kind = "date"\nmax = 60\ndefault = 1', "99.99.9999"),
        (["03/14/2014"], 'kind = "date"\nmax = 60\ndefault = 1', "99/99/9999"),
        (["März 2014"], 'kind = "date"\nmax = 60\ndefault = 1', "Aaaa 9999"),
        (["Doctorate"], 'kind = "ordered"\nlevels = ["low", "high"]\ndefault = 0', "Aaaaaaaaa"),
        (["ja", "nein"], 'kind = "boolean"', "aa"),
        (["a;b"], 'kind = "count"', "a;a"),
    ],
)
def test_values_in_another_form_are_named_without_being_shown(values: list[str], declaration: str, form: str) -> None:
    """Locale numbers, dates of other countries, unknown levels: found in all profiles, readable in none, and only the form is said."""
    people = pa.chunked_array([pa.array([json.dumps({"x": values[n % len(values)]}) for n in range(40)])])
    (found,) = inspected(f'format = 1\n[features.f]\nmeaning = "m"\npath = "x"\n{declaration}\n', people).values()
    assert (found.found, found.readable, found.form, found.is_useless) == (40, 0, form, True)
    assert f"none of 40 values at x can be read or lies inside its bounds; the first has the form {form!r}" in found.sentence


def test_partly_unreadable_values_are_named_but_accepted() -> None:
    """Half of the numbers in another locale: a warning; one in a hundred: nothing."""
    text = 'format = 1\n[features.f]\nmeaning = "m"\npath = "x"\nkind = "number"\nmin = 0\nmax = 9e9\ndefault = 1\n'
    for every, sentence in ((2, "50 % of 200 values"), (100, "")):
        people = pa.chunked_array([pa.array([json.dumps({"x": "1,5" if n % every == 0 else n}) for n in range(200)])])
        (found,) = inspected(text, people).values()
        assert not found.is_useless
        assert (sentence in found.sentence) if sentence else not found.sentence


def test_a_suggestion_needs_a_resemblance() -> None:
    """Lists, nested keys, quoted keys; and none where nothing is similar."""
    known = paths_of(
        pa.chunked_array([pa.array(['{"education":[{"end_year":1}],"a.b":2,"Beruf":{"Titel":"x"}}', "no JSON", None])])
    )
    assert suggested("educaton[0].end_year", known) == "education[0].end_year"
    assert suggested("education[*].endyear", known) == "education[*].end_year"
    assert suggested("beruf.titel", known) == "Beruf.Titel"
    assert suggested("titel", known) == "Beruf.Titel"
    assert suggested('"a.c"', known) == '"a.b"'
    assert suggested("salary", known) == ""


def test_the_form_of_a_value_shows_no_value() -> None:
    """Digits and letters of any script are replaced, and long values cut."""
    assert form_of("Jörg, 12.3.1985 №٣") == "Aaaa, 99.9.9999 №9"
    assert len(form_of("x" * 100)) == 24


PEOPLE = [{"pid": n, "age": 20 + n % 40 if n % 2 else None, "tenure": n % 30, "grade": "abc"[n % 3]} for n in range(1, 301)]
CONFIG = '[source]\napproximate_age = "age"\nprofile_json = "*"\n'


def written(folder: Path, kind: str) -> Path:
    """The people in a flat file of a format; JSON lines with a profile."""
    path = folder / f"people.{kind}"
    if kind == "csv":
        with path.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(PEOPLE[0]))
            writer.writeheader()
            writer.writerows(PEOPLE)
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(PEOPLE), path)
    else:
        rows = [{"pid": p["pid"], "age": p["age"], "profile_json": {"tenure": p["tenure"], "grade": p["grade"]}} for p in PEOPLE]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_plan_and_run_refuse_with_the_same_words(kind: str, tmp_path: Path) -> None:
    """A feature that no profile has: exit code 2 from both, before anything is written; may_be_absent accepts it."""
    source = written(tmp_path, kind)
    (tmp_path / "c.toml").write_text(CONFIG if kind != "jsonl" else '[source]\napproximate_age = "age"\n')
    number = 'kind = "number"\nmin = 0\nmax = 99\ndefault = 1\nmeaning = "m"\n'
    features = f'format = 1\n[features.tenure]\npath = "tenur"\n{number}[features.grade]\nkind = "category"\npath = "grade"\nmeaning = "m"\n'
    (tmp_path / "f.toml").write_text(features)
    options = ["--source", source, "--features", tmp_path / "f.toml", "--config", tmp_path / "c.toml", "--as-of", "2025-10-23"]
    planned = call(["plan", *options])
    ran = call(["run", *options, "--workspace", tmp_path / "w"])
    assert planned[0] == ran[0] == 2
    assert planned[2] == ran[2]
    assert "tenure: tenur is in none of 300 profiles (did you mean tenure?)" in planned[2]
    assert not (tmp_path / "w").exists()
    (tmp_path / "f.toml").write_text(features.replace('path = "tenur"\n', 'path = "tenur"\nmay_be_absent = true\n'))
    code, out, _ = call(["plan", *options, "--json"])
    assert code == 0
    assert [(c["feature"], c["found"], c["suggestion"]) for c in json.loads(out)["features"]] == [
        ("tenure", 0, "tenure"),
        ("grade", 300, ""),
    ]


@pytest.mark.parametrize("kind", ["csv", "parquet", "flat jsonl"])
@pytest.mark.parametrize(
    "declaration", ['kind = "number"\nmin = 0\nmax = 9999\ndefault = 1\npath = "pid"', 'kind = "category"\npath = "pid"']
)
def test_ids_are_no_feature_in_any_format(kind: str, declaration: str, tmp_path: Path) -> None:
    """Records of flat JSON have the id among the keys that are the profile; of other formats it is no part of it."""
    if kind == "flat jsonl":
        source = tmp_path / "people.jsonl"
        source.write_text("".join(json.dumps(p) + "\n" for p in PEOPLE))
    else:
        source = written(tmp_path, kind)
    (tmp_path / "c.toml").write_text(CONFIG)
    grade = '[features.grade]\nkind = "category"\npath = "grade"\nmeaning = "m"\n'
    (tmp_path / "f.toml").write_text(f'format = 1\n[features.number]\n{declaration}\nmeaning = "m"\n{grade}')
    code, _, said = call(
        ["plan", "--source", source, "--features", tmp_path / "f.toml", "--config", tmp_path / "c.toml", "--as-of", "2025-10-23"]
    )
    assert code == 2
    assert "number: pid is the column of ids (source.pid), and no part of the profile" in said


def test_built_in_features_may_be_absent_but_not_all(tmp_path: Path) -> None:
    """Without a feature file: one of the 22 is enough for a run, none stops it and the columns that are there are named."""
    for name, code in (("tenure_months", 0), ("visits", 2)):
        rows = [{"pid": n, "approximate_age": 30 if n % 2 else None, "profile_json": {name: n}} for n in range(250)]
        (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        got, out, err = call(["plan", "--source", tmp_path / "p.jsonl", "--as-of", "2025-10-23"])
        assert got == code, err
        assert ("The profiles have visits" in err) == (code == 2)
        assert ("job_level is in none of 250 profiles" in out) == (code == 0)


COMMAS = {  # text: value with a decimal comma
    "12,5": 12.5,
    "1.234,5": 1234.5,
    "1.234.567,8": 1234567.8,
    "1.234": 1234.0,
    "1234": 1234.0,
    "12.5": 12.5,
    "-3,25": -3.25,
    ",5": 0.5,
    " 1 234,5 ": 1234.5,
    "1\u202f234,5": 1234.5,
    "1'234,50": 1234.5,
    "1,2,3": None,
    "1.23,4": None,
    "1,234.5": None,
    "1,5e3": None,
    "abc": None,
}


def number_feature(more: str) -> str:
    """A feature file with one number at ``x``."""
    bounds = "min = -10000\nmax = 1e7\ndefault = 0"
    return f'format = 1\n[features.x]\nkind = "number"\npath = "x"\n{bounds}\nmeaning = "m"\n{more}'


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("path", ["x", "x[0]", "x[*]"])
def test_decimal_comma(path: str, kernels: bool) -> None:
    """The same values by SQL and beside kernels, at any path; numbers that are no text are read as they are."""
    texts = [*COMMAS, 12.5, 7]
    values = [x if path == "x" else [x] for x in texts]
    profiles = pa.chunked_array([[json.dumps({"x": value}) for value in values] * 100])
    text = number_feature('decimal = ","\n').replace('path = "x"', f'path = "{path}"')
    found = extract_features(connect(), profiles, text, AS_OF, kernels=kernels).columns["x"].to_pylist()
    assert found == [*COMMAS.values(), 12.5, 7.0] * 100


def test_a_decimal_comma_is_proposed() -> None:
    """Forms that may be numbers with a comma, and no others; with the key nothing is left to say."""
    for value, proposed in {"12,5": True, "1.234,5": True, "12,5,7": False, "a,5": False, "14.03.2014": False}.items():
        profiles = pa.chunked_array([[json.dumps({"x": value})] * 40])
        [found] = inspect_features(connect(), profiles, parse_features(number_feature(""), "f"), AS_OF)
        assert ('write decimal = "," in its table' in found.sentence) is proposed
        assert "(all 40 cannot be read)" in found.sentence
        [read] = inspect_features(connect(), profiles, parse_features(number_feature('decimal = ","\n'), "f"), AS_OF)
        assert (read.sentence == "") is proposed


def test_a_list_without_items_is_found() -> None:
    """Never fewer profiles with a value than with one that can be read; lists that nobody fills are found nowhere."""
    text = 'format = 1\n[features.x]\nkind = "flags"\npath = "x[*]"\nmeaning = "m"\n'
    for lists, found in (([["a"], [], ["b"]], 3), ([[], []], 0), ([["a"], None], 1)):
        profiles = pa.chunked_array([[json.dumps({"x": items}) for items in lists]])
        [coverage] = inspect_features(connect(), profiles, parse_features(text, "f"), AS_OF)
        assert coverage.found == found


def test_out_of_bounds_is_told_from_unreadable() -> None:
    """Numbers and dates: how many values cannot be read, and how many are outside the bounds."""
    dates = 'format = 1\n[features.x]\nkind = "date"\npath = "x"\nmax = 10\ndefault = 0\nmeaning = "m"\n'
    for text, values, said in (
        (number_feature(""), [1e9] * 30, "(all 30 lie outside)"),
        (number_feature(""), ["x"] * 10 + [1e9] * 30, "(10 cannot be read, 30 lie outside)"),
        (number_feature(""), ["x"] * 30, "(all 30 cannot be read)"),
        (number_feature(""), [1] * 30 + ["x"] * 10 + [1e9], "(10 cannot be read, 1 lie outside)"),
        (dates, ["1950-01-01"] * 30, "(all 30 lie outside)"),
        (dates, ["01.02.2020"] * 5 + ["1950"] * 30, "(5 cannot be read, 30 lie outside)"),
    ):
        profiles = pa.chunked_array([[json.dumps({"x": value}) for value in values]])
        [found] = inspect_features(connect(), profiles, parse_features(text, "f"), AS_OF)
        assert said in found.sentence


@pytest.mark.parametrize("name", ["p.parquet", "p.csv"])
@pytest.mark.parametrize(("path", "said"), [("column_4987", ""), ("colum_4987", "did you mean column_4987?")])
def test_a_wide_table_is_read_by_the_columns_that_features_need(
    name: str, path: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are 5,000 columns; a misspelt path may mean any of them, and makes whole profiles of few people."""
    columns = {"pid": range(30), "age": range(20, 50), **{f"column_{i}": [i % 9] * 30 for i in range(5_000)}}
    table = pa.table({key: pa.array(values) for key, values in columns.items()})
    pq.write_table(table, tmp_path / name) if name.endswith("parquet") else pacsv.write_csv(table, tmp_path / name)
    written: list[int] = []

    def counted(of: pa.Table) -> pa.ChunkedArray:
        written.append(of.num_columns)
        return flat_profile(of)

    for module in (csv_reader, row_group_reader):
        monkeypatch.setattr(module, "flat_profile", counted)
    settings = load_config(None, {"source": {"profile_json": "*", "approximate_age": "age"}, "training": {"min_rows": 20}})
    plan = new_plan(str(tmp_path / name), AS_OF, settings, number_feature("").replace('path = "x"', f'path = "{path}"'), "f.toml")
    if said:
        with pytest.raises(ConfigError, match=re.escape(said)):
            check_features(plan)
    else:
        assert [c.readable for c in check_features(plan)] == [30]
        assert max(written) == 1
        assert estimate(plan).rows == 30
        assert max(written) == 1
