"""Gate on given ages that cannot be used: `plan` and `run` stop before training, and say which values, their form and the likely reason."""

from __future__ import annotations

import csv
import datetime as dt
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import TINY, call, cli, tiny_run, write_jsonl
from predict_age.config import AgesConfig, Config, SourceConfig
from predict_age.records.given_ages import GivenAges, UnusableAgesRecord
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.runs.age_gate import AgeFindings
from predict_age.source.age_readings import _FORMATS, ANY_FORMAT, AgeReading, fitting_readings
from predict_age.source.duplicate_rows import find_duplicates
from predict_age.source.row_group_reader import Split
from predict_age.source.row_rules import RowRules
from predict_age.source.scan import scan
from predict_age.source.value_form import form_of
from predict_age.storage.workspace import Workspace

AS_OF = dt.date(2025, 10, 23)
FEATURE = 'format = 1\n[features.tenure]\nkind = "number"\npath = "tenure"\nmin = 0\nmax = 99\ndefault = 1\nmeaning = "m"\n'
PEOPLE, USABLE = 60, 24  # with a given age, and those of them whose age can be used
Row = dict[str, Any]


def born(n: int) -> dt.date:
    """Date of birth of person ``n``, on a day after the twelfth: in the other order no month."""
    return dt.date(1960 + n % 40, 1 + n % 12, 13 + n % 15)


def in_format(pattern: str) -> Callable[[int], object]:
    """Values of a column that holds dates of birth in a format."""
    return lambda n: born(n).strftime(pattern)


ISO = in_format("%Y-%m-%d")
SWAPPED = 'day and month of birth_date are swapped: set source.birth_date_format = "%d/%m/%Y"'
OTHER = "birth_date reads as another format: set source.birth_date_format = "
MISTAKES: dict[str, tuple[str, Callable[[int], object], Callable[[int], object], str, str, str]] = {
    # name: column, value of a usable age, value of the others, as_of, source settings, likely reason
    "as_of too early": (
        "birth_date",
        ISO,
        lambda n: born(n).replace(year=2011 + n % 10).isoformat(),
        "2010-01-01",
        "",
        "--as-of is too early",
    ),
    "as_of too late": (
        "birth_date",
        ISO,
        lambda n: born(n).replace(year=1901 + n % 20).isoformat(),
        "2025-10-23",
        "",
        "--as-of is too late",
    ),
    "year after as_of": ("birth_year", lambda n: 1960 + n % 40, lambda n: 2011 + n % 10, "2010-01-01", "", "--as-of is too early"),
    "year too old": ("birth_year", lambda n: 1960 + n % 40, lambda n: 1860 + n % 40, "2025-10-23", "", "--as-of is too late"),
    "day and month": ("birth_date", in_format("%m/%d/%Y"), in_format("%d/%m/%Y"), "2025-10-23", "%m/%d/%Y", SWAPPED),
    "dots": ("birth_date", ISO, in_format("%d.%m.%Y"), "2025-10-23", "", OTHER + '"%d.%m.%Y"'),
    "American": ("birth_date", ISO, in_format("%m/%d/%Y"), "2025-10-23", "", OTHER + '"%m/%d/%Y"'),
    "named month": ("birth_date", ISO, in_format("%d-%b-%Y"), "2025-10-23", "", OTHER + '"%d-%b-%Y"'),
    "with a time": ("birth_date", ISO, in_format("%d/%m/%Y 00:00"), "2025-10-23", "", OTHER + '"%d/%m/%Y %H:%M"'),
    "ISO after all": ("birth_date", in_format("%Y-%d-%m"), ISO, "2025-10-23", "%Y-%d-%m", '"%Y-%m-%d"'),
    "two digits": ("birth_date", ISO, in_format("%d/%m/%y"), "2025-10-23", "", "years of two digits"),
    "two digits, declared": (
        "birth_date",
        in_format("%d/%m/%Y"),
        in_format("%d/%m/%y"),
        "2025-10-23",
        "%d/%m/%Y",
        "years of two digits",
    ),
    "two-digit year": ("birth_year", lambda n: 1960 + n % 40, lambda n: 60 + n % 40, "2025-10-23", "", "years of two digits"),
    "seconds": ("birth_date", ISO, lambda n: str((born(n) - dt.date(1970, 1, 1)).days * 86_400), "2025-10-23", "", "since 1970"),
    "milliseconds": (
        "birth_date",
        ISO,
        lambda n: str((born(n) - dt.date(1970, 1, 1)).days * 86_400_000),
        "2025-10-23",
        "",
        "since 1970",
    ),
    "serial number": ("birth_date", ISO, lambda n: str((born(n) - dt.date(1899, 12, 30)).days), "2025-10-23", "", "serial numbers"),
    "months": ("approximate_age", lambda n: 20 + n % 40, lambda n: (20 + n % 40) * 12, "2025-10-23", "", "ages in months"),
    "comma in a year": (
        "birth_year",
        lambda n: f"{1960 + n % 40}",
        lambda n: f"{1960 + n % 40},0",
        "2025-10-23",
        "",
        "decimal comma",
    ),
    "thousands": ("birth_year", lambda n: f"{1960 + n % 40}", lambda n: f"1,9{60 + n % 40}", "2025-10-23", "", "between thousands"),
    "bands": (
        "approximate_age",
        lambda n: str(20 + n % 40),
        lambda n: f"{20 + n % 40}-{24 + n % 40}",
        "2025-10-23",
        "",
        "age bands",
    ),
    "years as ages": ("approximate_age", lambda n: 20 + n % 40, lambda n: 1960 + n % 40, "2025-10-23", "", "source.birth_year"),
    "dates as years": ("birth_year", lambda n: "1980", in_format("%d.%m.%Y"), "2025-10-23", "", "source.birth_date"),
    "dates as ages": ("approximate_age", lambda n: "30", ISO, "2025-10-23", "", "source.birth_date"),
    "a code": ("approximate_age", lambda n: 20 + n % 40, lambda n: 999, "2025-10-23", "", "one value"),
    "words": (
        "approximate_age",
        lambda n: str(20 + n % 40),
        lambda n: f"about {'abcdefgh'[n % 8]}",
        "2025-10-23",
        "",
        "approximate_age is text that is no number: write years, such as 42",
    ),
}


EVERYWHERE = {"as_of too early", "day and month", "months", "two-digit year"}  # in each format; the others in one of them


def as_csv(folder: Path, rows: list[Row]) -> Path:
    """Rows as a CSV file."""
    with (folder / "people.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / "people.csv"


def as_json_array(folder: Path, rows: list[Row]) -> Path:
    """Rows as a JSON array."""
    (folder / "people.json").write_text(json.dumps(rows))
    return folder / "people.json"


def as_parquet(folder: Path, rows: list[Row]) -> Path:
    """Rows as a Parquet file whose dates are dates, where they are ISO."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    given = [v for v in columns.get("birth_date", []) if v]
    if given and all(len(v) == 10 and v[4] == v[7] == "-" and v[5:7] <= "12" for v in given):
        columns["birth_date"] = [v and dt.date.fromisoformat(v) for v in columns["birth_date"]]
    pq.write_table(pa.table(columns), folder / "people.parquet")
    return folder / "people.parquet"


DRESSES = {"csv": as_csv, "json": as_json_array, "parquet": as_parquet}


def people_of(
    column: str, good: Callable[[int], object], bad: Callable[[int], object], usable: int = USABLE, given: int = PEOPLE
) -> list[Row]:
    """80 people, ``given`` with a value in ``column``, of whom the first ``usable`` have a good one."""
    values = [good(n) if n < usable else bad(n) if n < given else None for n in range(80)]
    return [{"pid": n, column: value, "tenure": n % 30} for n, value in enumerate(values)]


def config_of(settings: str = "", pattern: str = "") -> str:
    """Configuration of a flat source with small models."""
    declared = f'birth_date_format = "{pattern}"\n' if pattern else ""
    return f'[source]\nprofile_json = "*"\n{declared}{TINY}{settings}'


def plan_of(source: Path, as_of: str, config: str) -> tuple[int, str, str]:
    """Exit code and outputs of `plan`."""
    (source.parent / "c.toml").write_text(config)
    (source.parent / "f.toml").write_text(FEATURE)
    files = ["--config", source.parent / "c.toml", "--features", source.parent / "f.toml"]
    return call(["plan", "--source", source, "--as-of", as_of, "--json", *files])


FAMILY = [(m, d) for n, m in enumerate(MISTAKES) for k, d in enumerate(DRESSES) if m in EVERYWHERE or n % 3 == k]


@pytest.mark.parametrize(("mistake", "dress"), FAMILY)
def test_a_mistake_in_most_ages_stops_the_plan(mistake: str, dress: str, tmp_path: Path) -> None:
    """Counts by column and reason, the first one's form and never a person's value, and the likely reason; 0 switches it off."""
    column, good, bad, as_of, pattern, likely = MISTAKES[mistake]
    if as_of == "2010-01-01":
        good = {"birth_date": lambda n: born(n).replace(year=1960 + n % 20).isoformat(), "birth_year": lambda n: 1960 + n % 20}[
            column
        ]
    source = DRESSES[dress](tmp_path, people_of(column, good, bad))
    code, out, said = plan_of(source, as_of, config_of(pattern=pattern))
    assert code == 3, said
    assert "too many" in json.loads(out)["error"]["message"]
    assert "too many of the given ages cannot be used" in said
    assert f"none for {PEOPLE - USABLE} of {PEOPLE} (60.0 %)" in said
    assert f"{PEOPLE - USABLE} values of {column} " in said
    assert f"at as_of {as_of}" in said
    assert ("likely reason: " in said) is bool(likely)
    assert likely in said
    form = said.partition("form ")[2].partition(" (9:")[0]
    assert form == form_of(str(bad(USABLE)))
    for value in {str(bad(n)) for n in range(USABLE, PEOPLE)}:
        assert len(value) < 4 or value not in said.replace(as_of, "")
    if mistake not in EVERYWHERE:
        return
    off = config_of(pattern=pattern).replace("[gates]\n", "[gates]\nunusable_ages = 0\n")
    code, out, said = plan_of(source, as_of, off)
    assert code == 0, said
    [ages] = json.loads(out)["ages"]
    assert (ages["column"], ages["given"], ages["used"]) == (column, PEOPLE, USABLE)
    assert sum(u["rows"] for u in ages["unused"]) == PEOPLE - USABLE


@pytest.mark.parametrize("mistake", ["as_of too early", "day and month", "months", "two-digit year"])
@pytest.mark.parametrize("dress", DRESSES)
def test_all_ages_of_no_use_are_too_few(mistake: str, dress: str, tmp_path: Path) -> None:
    """Nobody is left to train on: the same sentence from plan and run, with counts, form and likely reason; text ids too."""
    column, _, bad, as_of, pattern, likely = MISTAKES[mistake]
    rows = [{**row, "pid": f"p{row['pid']}"} for row in people_of(column, bad, bad)]
    source = DRESSES[dress](tmp_path, rows)
    code, _, said = plan_of(source, as_of, config_of(pattern=pattern))
    done = tiny_run(source, tmp_path / "w", "--features", tmp_path / "f.toml", config=config_of(pattern=pattern), as_of=as_of)
    assert (code, done.code) == (3, 3)
    assert said.splitlines() == done.said.splitlines()[-len(said.splitlines()) :]
    assert f"0 of {PEOPLE} people with a given age ({PEOPLE} that cannot be used); {PEOPLE} values of {column}" in said
    assert likely in said


UNITS: dict[str, tuple[Callable[[int], object], str]] = {  # value of an age in years, likely reason
    "decades": (lambda age: age / 10, "decades (between 2.7 and 5.4)"),
    "decades with more digits": (lambda age: round(age / 10 + age % 7 / 100, 2), "decades"),
    "hundredths": (lambda age: age / 100, "divided by 100"),
    "months": (lambda age: 12 * age + age % 11, "in months"),
    "weeks": (lambda age: round(52.18 * age), "in weeks"),
    "days": (lambda age: round(365.25 * age), "in days"),
    "logarithms": (lambda age: round(np.log(age), 5), "natural logarithms"),
    "logarithms to 10": (lambda age: round(np.log10(age), 5), "base 10"),
    "squares": (lambda age: age * age, "squares of ages"),
    "codes": (lambda age: 1 + age // 12, "codes of age bands"),
    "codes from 0": (lambda age: age // 20, "codes of age bands"),
    "standardised": (lambda age: round((age - 42.3) / 13.7, 4), "standardised"),
    "between 0 and 1": (lambda age: round((age - 21) / 43, 4), "scaled"),
}


@pytest.mark.parametrize("unit", UNITS)
def test_ages_in_another_unit_are_named(unit: str, tmp_path: Path) -> None:
    """How many were given, why none is used, between which values nearly all lie, and the unit that these fit; in init, too."""
    value, likely = UNITS[unit]
    rows = [{"pid": 1000 + 7 * n, "approximate_age": value(21 + n % 43), "tenure": n % 30} for n in range(120)]
    source = DRESSES[list(DRESSES)[len(unit) % 3]](tmp_path, rows)
    code, _, said = plan_of(source, "2025-10-23", config_of())
    assert code == 3
    assert "a known age for 0 of 120 people with a given age" in said
    assert likely in said
    assert "nearly all between" in said
    if unit in ("decades", "standardised", "days"):
        done = tiny_run(source, tmp_path / "w", "--features", tmp_path / "f.toml", config=config_of(), as_of="2025-10-23")
        assert said.splitlines() == done.said.splitlines()[-len(said.splitlines()) :]
    code, out, said = call(["init", "--source", source, "--out", tmp_path / "made", "--age", "approximate_age", "--yes"])
    assert code == 0, said
    assert "0 of 120 given" in out
    assert likely.partition(" (")[0] in out
    code, out, said = call(["init", "--source", source, "--out", tmp_path / "other", "--yes"])
    assert likely.partition(" (")[0] in (out if code == 0 else said)


@pytest.mark.parametrize("youngest", [3, 6, 12])
def test_ages_of_children_fit_no_unit(youngest: int, tmp_path: Path) -> None:
    """Ages in years of children alone: they are counted as minors, without a range and without a guess."""
    rows = [{"pid": n, "approximate_age": youngest + n % (18 - youngest), "tenure": n % 30} for n in range(120)]
    code, _, said = plan_of(as_csv(tmp_path, rows), "2025-10-23", config_of())
    assert code == 3
    assert "0 of 120 people with a given age (120 younger than ages.min_age)" in said
    assert "looks like" not in said
    assert "between" not in said


ORDINARY = {
    "all usable": ("birth_date", ISO, ISO, 60, 60),
    "a fifth of no use": ("birth_year", lambda n: 1980, lambda n: 1850, 48, 60),
    "minors": ("approximate_age", lambda n: 30, lambda n: n % 14, 24, 60),
    "born last year": ("birth_date", ISO, lambda n: born(n).replace(year=2024).isoformat(), 24, 60),
    "few given": ("approximate_age", lambda n: 30, lambda n: "thirty", 0, 19),
    "nothing given": ("approximate_age", lambda n: 30, lambda n: 30, 0, 0),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_sources_pass(name: str, tmp_path: Path) -> None:
    """Minors, a fifth outside the window, fewer than 20 given ages: the gate does not stop them."""
    column, good, bad, usable, given = ORDINARY[name]
    code, out, said = plan_of(as_csv(tmp_path, people_of(column, good, bad, usable, given)), "2025-10-23", config_of())
    assert "given ages cannot be used" not in said
    assert code == (0 if usable >= 20 else 3), said
    if code == 0:
        assert json.loads(out)["as_of"] == "2025-10-23"


def test_somebody_with_one_usable_age_counts_as_known(tmp_path: Path) -> None:
    """People are counted, not values: an unreadable date beside a usable year, and a column that never counts."""
    rows = [{**row, "birth_year": 1980} for row in people_of("birth_date", ISO, lambda n: "unknown")]
    source = as_csv(tmp_path, rows)
    assert plan_of(source, "2025-10-23", config_of())[0] == 0
    never = config_of('[ages]\nprecedence = ["birth_date"]\n')
    code, _, said = plan_of(source, "2025-10-23", never)
    assert code == 3
    assert "none for 36 of 60" in said
    turned = config_of('[ages]\nprecedence = ["birth_year"]\n')
    code, out, said = plan_of(source, "2025-10-23", turned)
    assert code == 0, said
    years, dates = json.loads(out)["ages"]
    assert (years["used"], dates["used"]) == (80, 0)
    assert [u["reason"] for u in dates["unused"]] == ["unreadable", "not in ages.precedence"]


def test_a_run_stops_before_training_and_goes_on_when_accepted(people_rows: list[Row], tmp_path: Path) -> None:
    """Exit code 3, nothing trained or published; `resume --accept` publishes with the usable ages, and the report says so."""
    rows = [
        {**row, "approximate_age": 20 + n % 40 if n < 60 else 12 * 40 if n < 160 else None, "birth_year": None}
        for n, row in enumerate(people_rows[:240])
    ]
    source = write_jsonl(tmp_path / "people.jsonl", rows)
    done = tiny_run(source, tmp_path / "w")
    assert done.code == 3
    assert "none for 100 of 160 (62.5 %)" in done.said
    [folder] = Workspace(tmp_path / "w").runs()
    assert not folder.model.exists()
    assert not Workspace(tmp_path / "w").published.current
    facts = folder.facts(ReadSourceFacts)
    assert facts.given_ages == GivenAges(60, 100, 0)
    assert tiny_run(source, tmp_path / "w").code == 3  # the same run is continued, and stops again
    code, out, said = call(["resume", "--workspace", tmp_path / "w", "--accept", "--json"])
    assert code == 0, said
    assert "accepted although given ages can be used fails" in said
    assert json.loads(out)["rows"]["existing"] == 60
    assert "Published although the ages gate failed" in folder.report.read_text()


def test_accepting_ages_accepts_no_model(tmp_path: Path) -> None:
    """A model that nobody has seen is judged: `resume --accept` first opens the gate on ages, then the one on the model."""
    rng = np.random.default_rng(5)
    rows = people_of("approximate_age", lambda n: int(rng.integers(20, 60)), lambda n: 12 * (40 + n % 9))
    source = as_csv(tmp_path, rows)
    (tmp_path / "f.toml").write_text(FEATURE)
    strict = config_of().replace("baselines = false", "baselines = true")
    again = ["resume", "--workspace", tmp_path / "w", "--accept", "--json"]
    assert tiny_run(source, tmp_path / "w", "--features", tmp_path / "f.toml", config=strict).code == 3
    assert call(again)[0] == 5
    assert call(again)[0] == 0


@pytest.mark.parametrize("seed", range(4))
def test_people_are_counted_once(seed: int, tmp_path: Path) -> None:
    """Whatever rows a person has: a minor before a known age before one of no use, against a count by hand."""
    rng = np.random.default_rng(seed)
    ages = [None, 30, 150, 5]
    rows = [(int(p), ages[a]) for p, a in zip(rng.integers(0, 60, 200), rng.integers(0, 4, 200), strict=True)]
    path = tmp_path / "s.parquet"
    pids, given = zip(*rows, strict=True)
    pq.write_table(
        pa.table({"pid": pids, "approximate_age": pa.array(given, pa.int64()), "profile_json": pa.nulls(200, pa.string())}), path
    )
    split = Split(0, 0, str(path), 0, 200, 0, False)
    (tmp_path / "scratch").mkdir()
    [counts] = scan(0, [split], SourceConfig(), RowRules(AgesConfig(), AS_OF), 3, tmp_path / "scratch", None, ["f"])
    found = counts.age_states
    for bucket in range(3):
        found -= find_duplicates(bucket, [0], tmp_path / "scratch", b"k" * 16).too_many
    people = {pid: {age for p, age in rows if p == pid} for pid in set(pids)}
    known = sum(30 in person and 5 not in person for person in people.values())
    minor = sum(5 in person for person in people.values())
    unusable = sum(person in ({150}, {150, None}) for person in people.values())
    assert found == GivenAges(known, unusable, minor)


@pytest.mark.parametrize("pattern", [p for p in _FORMATS if "%H" not in p])
def test_every_format_is_recognised(pattern: str) -> None:
    """Dates in a format that is suggested are read by it, and by no other one for all of them, but for day and month."""
    declared = "%Y-%d-%m" if pattern in ("%Y-%m-%d", "%Y%m%d") else ""
    rules = RowRules(AgesConfig(), AS_OF, declared)
    texts = [born(n).strftime(pattern) for n in range(40)]
    found = fitting_readings(rules, "birth_date", texts)
    assert found["format " + pattern] == 40
    assert found.pop(ANY_FORMAT) == 40
    best = {name for name, n in found.items() if n == 40}
    assert best <= {"format " + p for p in (pattern, pattern.replace("%b", "%B"), pattern.replace("%B", "%b"))}


def test_a_sample_is_said_to_be_one() -> None:
    """A verdict about a sample begins with its size; fewer than 20 people are not judged, 0 switches the gate off."""
    ages = AgeFindings(GivenAges(10, 90, 5), [], Config(), AS_OF, "in a sample of 105 of about 9,000 rows: ")
    assert not ages.passes
    assert ages.found.startswith("in a sample of 105 of about 9,000 rows: none for 90 of 105")
    assert "5 more are younger" in ages.found
    assert AgeFindings(GivenAges(0, 19, 0), [], Config(), AS_OF).passes
    assert not AgeFindings(GivenAges(0, 20, 0), [], Config(), AS_OF).passes
    off = Config.model_validate({"gates": {"unusable_ages": 0.0}})
    assert AgeFindings(GivenAges(0, 20, 0), [], off, AS_OF).passes


def test_one_value_is_said_in_the_singular() -> None:
    """For each reason; several values in the plural."""
    for reason, one, more in (
        ("implausible", "1 value of age lies outside the plausible window and was not used", "2 values of age lie outside"),
        ("unreadable", "1 value of age cannot be read and was not used", "2 values of age cannot be read and were"),
        (
            "withheld (minors)",
            "1 value of age reads as an age below ages.min_age and was not",
            "2 values of age read as ages below",
        ),
    ):
        assert UnusableAgesRecord("age", reason, 1, "99").sentence.startswith(one)
        assert UnusableAgesRecord("age", reason, 2, "99").sentence.startswith(more)


def test_every_mistake_has_its_words() -> None:
    """Each reading is one of the families above."""
    from predict_age.runs.age_gate import _MISTAKES

    assert set(_MISTAKES) == set(AgeReading)


def test_a_few_wrong_centuries_do_not_blame_the_date(tmp_path: Path) -> None:
    """Years of the next century beside many right ones are wrong themselves; where all lie there, --as-of is."""
    for share, said in ((0.3, "some dates in birth_year lie after as_of"), (1.0, "--as-of is too early")):
        years = [2040 + n % 20 if n < 200 * share else 1950 + n % 50 for n in range(200)]
        path = write_jsonl(
            tmp_path / f"{share}.jsonl",
            [{"pid": n, "birth_year": y, "profile_json": {"tenure_months": n}} for n, y in enumerate(years)],
        )
        done = cli("plan", "--source", path, "--as-of", "2025-10-23", check=None)
        assert said in done.stderr


WAYS = {
    "either way round": (
        ["05.01.1980", "11.12.1979"] * 30,
        'either way round: set source.birth_date_format to what its writer means, "%d.%m.%Y" (31.12.1985) or "%m.%d.%Y" (12.31.1985) being 31 December 1985',
    ),
    "both ways": (
        ["25/05/1980", "05/25/1980"] * 30,
        'dates of several forms, of which "%d/%m/%Y" or "%m/%d/%Y" reads 50 %: write all in one',
    ),
    "codes between": (
        ["25.05.1980", "00.00.0000", "01.01.1900", "n/a"] * 30,
        'reads as another format: set source.birth_date_format = "%d.%m.%Y"; 75 % of the values are no date of birth in any format: '
        "leave codes for a missing one empty, or add them to source.missing_values",
    ),
    "the year first": (["1980/05/01", "1979/1/2"] * 30, 'reads as another format: set source.birth_date_format = "%Y/%m/%d"'),
    "day first": (["1.5.1980", "25.5.1979"] * 30, 'reads as another format: set source.birth_date_format = "%d.%m.%Y"'),
}


@pytest.mark.parametrize("way", WAYS)
def test_dates_of_birth_are_read_in_one_way_or_refused_with_the_format(way: str) -> None:
    """Never one row with the day first and the next with the month first; a year first means day and month behind it."""
    texts, said = WAYS[way]
    rules = RowRules(Config().ages, AS_OF)
    found = UnusableAgesRecord("birth_date", "unreadable", 60, "", len(texts), fitting_readings(rules, "birth_date", texts))
    likely = AgeFindings(GivenAges(0, 60, 0), [found], Config(), AS_OF).likely
    assert said in likely
    assert "%Y-%d" not in likely
    assert "%Y/%d" not in likely


def test_a_declared_format_is_not_asked_for_again() -> None:
    """Values that the format does not read are codes then, or of another form."""
    config = Config.model_validate({"source": {"birth_date_format": "%d.%m.%Y"}})
    texts = ["00.00.0000", "n/a"] * 30
    readings = fitting_readings(RowRules(config.ages, AS_OF, "%d.%m.%Y"), "birth_date", texts)
    found = UnusableAgesRecord("birth_date", "unreadable", 60, "", len(texts), readings)
    likely = AgeFindings(GivenAges(100, 60, 0), [found], config, AS_OF).likely
    assert likely.startswith('birth_date has values that "%d.%m.%Y" does not read: leave codes for a missing one empty')


@pytest.mark.parametrize("code", ["999", "-99", "150.5", "unknown", "0999", "1e3"])
@pytest.mark.parametrize("own", [(), ("?",)], ids=["usual texts", "texts of its own"])
@pytest.mark.parametrize("coded", [0.9, 0.4], ids=["most", "some"])
def test_advice_about_a_code_is_a_whole_list(code: str, own: tuple[str, ...], coded: float, tmp_path: Path) -> None:
    """Pasted, it replaces the list, and all texts that meant no value still do: known ages are all that is left."""
    kinds = ["NA", "null", *own] * 3
    ages = [*kinds, *(code if n < 200 * coded else str(20 + n % 40) for n in range(200))]
    (tmp_path / "s.csv").write_text("pid,age,tenure\n" + "".join(f"{n},{age},{n % 30}\n" for n, age in enumerate(ages)))
    (tmp_path / "f.toml").write_text(FEATURE)
    usual = list(SourceConfig().missing_values)
    options = ["--source", tmp_path / "s.csv", "--as-of", AS_OF.isoformat(), "--features", tmp_path / "f.toml"]

    def planned(setting: str) -> Any:
        config = f'[source]\napproximate_age = "age"\nprofile_json = "*"\n{setting}\n[gates]\nunusable_ages = 0.05\n'
        (tmp_path / "c.toml").write_text(config)
        return cli("plan", *options, "--config", tmp_path / "c.toml", check=None)

    before = planned(f"missing_values = {json.dumps([*usual, *own])}" if own else "")
    assert "in CSV set " in before.stderr, before.stderr + before.stdout
    advice = before.stderr.split("in CSV set ")[1].split(" under [source]")[0]
    known = code in ("999", "-99", "150.5")
    assert ('with the value for "..."' in before.stderr) is not known
    assert tomllib.loads(advice)["missing_values"] == [*usual, *own, code if known else "..."]
    after = planned(advice.replace('"..."', json.dumps(code)))
    assert "one value" not in after.stderr and "mostly one" not in after.stderr
    assert after.returncode == (3 if coded == 0.9 else 0)  # too few people with an age are left to train on


@pytest.mark.parametrize(
    "precedence", [("approximate_age", "birth_date", "birth_year"), ("birth_year", "approximate_age"), ("approximate_age",)]
)
def test_advice_to_leave_out_a_column_is_a_whole_list(precedence: tuple[str, ...]) -> None:
    """The others, in their order; nothing where it is the only one."""
    config = Config(source=SourceConfig(approximate_age="band"), ages=AgesConfig(precedence=precedence))
    bands = UnusableAgesRecord("band", "unreadable", 60, "99-99", 60, {AgeReading.BANDS: 60})
    likely = AgeFindings(GivenAges(0, 60, 0), [bands], config, AS_OF).likely
    left = json.dumps([name for name in precedence if name != "approximate_age"])
    whole = (
        f": write one age, or leave the column out: precedence = {left} under [ages]" if len(precedence) > 1 else ": write one age"
    )
    assert likely == f"band has age bands{whole}"
