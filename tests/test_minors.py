"""Minors are withheld: known ones in every column and form, and those whom the model takes for younger."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from conftest import QUICK, TINY, cli, tiny_run
from minors_nowhere import RUN_FACTS, below_the_limit, other_model_files, spike, told_of
from planted_minors import FIRST_PID, PlantedMinors, write_source
from predict_age.config import AgesConfig, DriftConfig
from predict_age.errors import IntegrityError
from predict_age.evaluation.ab_test import arms
from predict_age.evaluation.drift.state import compare_states
from predict_age.models.bundle import EnsembleWeights, MemberOutputs
from predict_age.models.conformal import NO_CALIBRATION
from predict_age.models.delivery import calibrated
from predict_age.models.ensemble import distribution_around
from predict_age.models.held_out import UnseenOutputs
from predict_age.models.reuse import evaluate_reused
from predict_age.models.withholding import (
    WithholdingRule,
    at_rate,
    minors_by_ages,
    minors_rate,
    rate_of_reused,
    suggested_minors,
    withholding_rule,
)
from predict_age.records.drift_state import DriftState
from predict_age.records.given_ages import AGE_OF_MINOR, UNREADABLE
from predict_age.records.model_quality import Quality, TrainingRows
from predict_age.runs.result_checks import describe
from predict_age.serving.skew import check_skew
from predict_age.source.row_rules import RowRules, connect
from predict_age.source.scan import SplitCounts
from predict_age.sql import VIEW
from predict_age.steps.source_facts import near_limit
from predict_age.storage.workspace import Workspace
from predict_age.tally import fold_part, percent

AS_OF = dt.date(2025, 10, 23)
RULES = RowRules(AgesConfig(), AS_OF)
NUMBERS = (pa.int8(), pa.uint8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.decimal128(9, 2), pa.string())
YEARS = (pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.decimal128(9, 2), pa.string(), pa.large_string())


def judged(rules: RowRules = RULES, **columns: pa.Array) -> list[dict[str, Any]]:
    rows = len(next(iter(columns.values())))
    raw = pa.table({"pid": pa.array(range(rows)), **columns})
    return rules.canonical(connect(), raw).to_pylist()


def cast(values: list[int], kind: pa.DataType) -> pa.Array:
    return pa.array([Decimal(v) for v in values] if pa.types.is_decimal(kind) else values).cast(kind)


def is_hidden(row: dict[str, Any]) -> bool:
    """Whether a row is withheld and tells nothing about an age."""
    silent = all(row[c] is None for c in ("birth_year", "approximate_age", "known_age", "known_source"))
    flags = ("needs_prediction", "unreadable_age", "implausible_age", "conflicting_age")
    return bool(row["withheld"]) and silent and not any(row[f] for f in flags)


@pytest.mark.parametrize("kind", NUMBERS, ids=str)
def test_a_given_age_from_0_to_17_is_withheld(kind: pa.DataType) -> None:
    """In every type of the column; 18 is known."""
    rows = judged(approximate_age=cast([*range(20)], kind))
    assert [is_hidden(row) for row in rows] == [True] * 18 + [False] * 2
    assert [row["known_age"] for row in rows[18:]] == [18, 19]
    assert [row["zero_age"] for row in rows] == [True] + [False] * 19


@pytest.mark.parametrize("kind", YEARS, ids=str)
def test_a_birth_year_of_a_minor_is_withheld(kind: pa.DataType) -> None:
    """From this year to 17 years ago; a year in the future is implausible, as before."""
    rows = judged(birth_year=cast([2026, *range(2025, 2005, -1)], kind))
    assert (rows[0]["withheld"], rows[0]["implausible_age"], rows[0]["needs_prediction"]) == (False, True, True)
    assert [is_hidden(row) for row in rows[1:]] == [True] * 18 + [False] * 2
    assert not any(row["zero_age"] for row in rows)


@pytest.mark.parametrize(
    "form",
    [
        pa.array,
        lambda d: pa.array([x.isoformat() for x in d]),
        lambda d: pa.array([int(f"{x:%Y%m%d}") for x in d]),
        lambda d: pa.array([f"{x:%Y%m%d}.0" for x in d]),
        lambda d: pa.array([dt.datetime(x.year, x.month, x.day) for x in d], pa.timestamp("us", "Asia/Tokyo")),
        lambda d: pa.array([f"{x:%d/%m/%Y}" for x in d]),
    ],
)
def test_a_birth_date_of_a_minor_is_withheld(form: Any) -> None:
    """Until the day before the 18th birthday, in every form; a date in the future is implausible."""
    dates = [dt.date(2025, 10, 24), AS_OF, dt.date(2020, 1, 1), dt.date(2013, 5, 5), dt.date(2007, 10, 24), dt.date(2007, 10, 23)]
    rows = judged(RowRules(AgesConfig(), AS_OF, "%d/%m/%Y"), birth_date=form(dates))
    assert [is_hidden(row) for row in rows] == [False, True, True, True, True, False]
    assert (rows[0]["implausible_age"], rows[-1]["known_age"]) == (True, 18)


def test_any_column_that_says_so_counts() -> None:
    """Whatever the precedence; what cannot be read, or is implausible, says nothing."""
    columns = {
        "approximate_age": pa.array([40, None, 12, -1, None, 150, 40]),
        "birth_date": pa.array([dt.date(2012, 1, 1), dt.date(1980, 1, 1), None, dt.date(2010, 1, 1), None, None, None]),
        "birth_year": pa.array(["1980", "2010", "oops", "1800", "2030", "2008", "oops"]),
    }
    for precedence in (("approximate_age", "birth_date", "birth_year"), ("birth_year",)):
        rows = judged(RowRules(AgesConfig(precedence=precedence), AS_OF), **columns)
        assert [is_hidden(row) for row in rows] == [True, True, True, True, False, True, False]


MINORS_IN_WORDS = """12 Jahre|0-17|14 - 17|<18|< 12|under 18|17 years old|17y|12 yrs.|17,5 Jahre|<= 17|bis 17|aged 12|AGE: 9|16 ans|12 AÑOS|15 лет
15岁|30 months|9 mos|215 months|6 Wochen|3 days|0–4|\u00a012 years\u00a0"""
OTHER_WORDS = """45 years|18 - 5|30 m 5|17-24|18 years|<19|<= 18|bis 18|220 months|A12|G 3|3. Klasse|2010/05/01|12-13-2010|40+|18-|12 monkeys|unknown|12/13|17 or 18
under 25|12 12|-5 years|018 years|6600 days|12A|1 of 12|12 children|30 m|20 w|[12, 18]|12 1980|>17|over 12|12 and over|12 or more|from 12|class 12|12 km|12:30"""

UNITS_IN_WORDS = {  # parts of a year, and how they are written
    1: "y|yrs|years|yo|y/o|y.o.|Jahre|J.|ans|años|anni|anos|jaar|lat|let|roku|år|éves|vuotta|godina|yaş|tahun|tuổi|ετών|лет|років|歳|岁|세",
    12: "mo|mos|mths|months|Monate|mois|meses|mesi|maanden|miesięcy|měsíců|månader|kuukautta|bulan|месяцев|місяців|か月|个月|개월",
    365.25 / 7: "wk|weeks|Wochen|semaines|settimane|weken|tygodni|týdnů|veckor|недель",
    365.25: "days|Tage|jours|días|giorni|dagen|dni|dnů|dagar|дней|днів|日",
}
TO = ("-", " - ", "\N{EN DASH}", "..", " to ", " bis ", " à ", " a ", " tot ", " and ", " or ", "~", "; ", " до ", " - under ")
AROUND = ("{}", "age {}", "Alter: {}", "ca. {}", "~{}", "({})", '"{}"', "{}?", " {}.", "aged {}", "\u200b{}")
UNDER = (
    "<{}",
    "< {}",
    "under {}",
    "unter {}",
    "u{}",
    "moins de {}",
    "menor de {}",
    "meno di {}",
    "onder de {}",
    "моложе {}",
    "less than {}",
)
AT_MOST = ("<={}", "≤ {}", "up to {}", "bis {}", "hasta {}", "{} or under", "{} and younger")


def ages_in_words() -> Iterator[tuple[str, float]]:
    """Texts, and the years above which nobody can be that they mean."""
    for unit, words in UNITS_IN_WORDS.items():
        for word in words.split("|"):
            for years in (0.5, 3, 12, 17, 17.9, 18.1, 19, 42):
                number = int(years * unit)
                forms = ("{} {}", "{}{}", "{}-{}", "{}\N{NO-BREAK SPACE}{}")
                yield from ((form.format(number, word), number / unit + 1e-6) for form in forms)
    for low, high in itertools.product((0, 3, 10, 17), (11, 16, 17, 18, 19, 40)):
        for to, unit in itertools.product(TO, ("", " years", "y", " Jahre")):
            yield from (
                (f"{low}{to}{high}{unit}", high - (0.5 if "under" in to else 0)),
                (f"{low}{unit}{to}{high}{unit}", high - (0.5 if "under" in to else 0)),
            )
        yield from (
            (f"[{low}, {high}]", high),
            (f"[{low},{high})", high - 0.5),
            (f"({low}, {high}]", high),
            (f"[{low}-{high})", high - 0.5),
        )
    for years, months in itertools.product((0, 3, 17, 18, 42), (0, 1, 11)):
        both = years + months / 12
        forms = (
            "{}y{}m",
            "{} y {} m",
            "{} years {} months",
            "{} years, {} mons, 3 days",
            "{} ans et {} mois",
            "P{}Y{}M",
            "{} лет {} мес.",
        )
        yield from ((form.format(years, months), both) for form in forms)
    for number in (1, 12, 17, 18, 19, 42, 99):
        yield from ((form.format(number), number - 0.5) for form in UNDER)
        yield from ((form.format(number), number) for form in AT_MOST)
        yield from ((form.format(f"{number} years"), number) for form in AROUND)
        yield from ((f"0{number:02d}{unit}", number / part) for unit, part in (("Y", 1), ("M", 12), ("W", 52), ("D", 365)))  # DICOM
        yield from ((text.translate(digits), number) for text in (str(number), f"{number} years") for digits in OTHER_DIGITS)


OTHER_DIGITS = [{ord("0") + n: first + n for n in range(10)} for first in (0xFF10, 0x0660, 0x0966)]


def test_ages_in_the_words_of_many_languages() -> None:
    """Units, ranges, limits, intervals, durations and other digits: withheld where nobody of 18 can be meant, never otherwise."""
    pairs = list(ages_in_words())
    rows = judged(approximate_age=pa.array([text for text, _ in pairs]))
    wrong = [(text, most) for (text, most), row in zip(pairs, rows, strict=True) if row["withheld"] != (most < 18)]
    assert len(pairs) > 3000
    assert not wrong, (len(wrong), wrong[:20])


def test_words_for_children() -> None:
    """Whoever is called a minor is one where the limit is at least 18."""
    words = [
        "minor",
        "Child",
        "newborn",
        "Kind",
        "mineur",
        "menor",
        "niño",
        "minderjährig",
        "ребёнок",
        "adult",
        "teen",
        "children allowed",
    ]
    for limit, hidden in ((18, 9), (16, 0), (21, 9)):
        rows = judged(RowRules(AgesConfig(min_age=limit), AS_OF), approximate_age=pa.array(words))
        assert [row["withheld"] for row in rows] == [True] * hidden + [False] * (len(words) - hidden)


def test_an_age_of_a_minor_in_words_is_withheld() -> None:
    """A unit, a range or a limit; nobody whom another reading makes an adult, and no number of unknown meaning."""
    for texts, hidden in ((MINORS_IN_WORDS, True), (OTHER_WORDS, False)):
        given = texts.replace("\n", "|").split("|")
        for text, row in zip(given, judged(approximate_age=pa.array(given)), strict=True):
            assert (is_hidden(row), row["needs_prediction"]) == (hidden, not hidden), text
    raw = pa.table({"pid": [1, 2, 3], "approximate_age": ["12 Jahre", "0-17", "45 Jahre"]})
    counted = {u.reason: (u.rows, u.form) for u in RULES.unusable(connect(), raw)}
    assert counted == {AGE_OF_MINOR: (2, ""), UNREADABLE: (1, "99 Aaaaa")}
    adults = RowRules(AgesConfig(min_age=0), AS_OF)
    assert not any(row["withheld"] for row in judged(adults, approximate_age=pa.array(["12 Jahre"])))


def test_a_birth_year_of_two_digits_is_withheld_where_only_a_minor_fits() -> None:
    """In 2025, 08 to 24: those born in 1908 to 1924 would be older than 100. Others are implausible, as before."""
    years = [*range(100), -1, 100, 2**62, -(2**62)]
    hidden = [year for year, row in zip(years, judged(birth_year=pa.array(years)), strict=True) if is_hidden(row)]
    assert hidden == [*range(8, 25)]
    older = judged(RowRules(AgesConfig(max=120), AS_OF), birth_year=pa.array(years))
    assert [year for year, row in zip(years, older, strict=True) if is_hidden(row)] == []
    limit = judged(RowRules(AgesConfig(), dt.date(2005, 1, 1)), birth_year=pa.array(years))
    assert [year for year, row in zip(years, limit, strict=True) if is_hidden(row)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("age", "hidden", "needs"), [(0, False, True), (0.4, False, True), (1, True, False), (17.9, True, False)])
def test_zero_may_stand_for_nothing(age: float, hidden: bool, needs: bool) -> None:
    """With ages.zero = "missing" an age of 0 is no value: neither withheld nor implausible."""
    rules = RowRules(AgesConfig(zero="missing"), AS_OF)
    (row,) = judged(rules, approximate_age=pa.array([age]), birth_year=pa.array([None], pa.int32()))
    assert (is_hidden(row), row["needs_prediction"], row["implausible_age"]) == (hidden, needs, False)
    assert judged(rules, approximate_age=pa.array([age]), birth_year=pa.array([2015]))[0]["withheld"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"min_age": 40}, "ages.default must not be below ages.min_age"),
        ({"min_age": 100, "default": 100}, "ages.min_age must be below ages.max"),
        ({"withhold_probability": 0.0}, "greater than 0"),
        ({"min_age": -1}, "greater than or equal to 0"),
        ({"zero": "unknown"}, "'minor' or 'missing'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], said: str) -> None:
    """Each with a sentence that names the setting."""
    with pytest.raises(ValidationError, match=said):
        AgesConfig(**settings)
    assert AgesConfig(min=20).youngest == 20
    assert AgesConfig(min_age=0).youngest == 14


def table_of(run: Path, folder: str) -> pa.Table:
    """All rows of a table of a run."""
    return pa.concat_tables(pq.read_table(path) for path in sorted((run / folder).glob("*_*.parquet")))


def training_facts(run: Path) -> dict[str, Any]:
    """Facts of the step training as they are on disk."""
    facts: dict[str, Any] = json.loads((run / "steps" / "training.json").read_bytes())["facts"]
    return facts


@dataclass(frozen=True)
class Pair:
    """Runs with and without known minors; among both are young people of unknown age."""

    minors: PlantedMinors
    run: Path
    without: Path
    summary: dict[str, Any]
    results: pa.Table


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """3,000 people with 90 known minors and 60 young people of unknown age, and a source without the known ones."""
    folder = tmp_path_factory.mktemp("minors")
    source, minors = write_source(folder / "with", 3000, 90, 60, telling=True)
    other, _ = write_source(folder / "without", 3000, 90, 60, telling=True)
    young = pq.read_table(other / "young.parquet")
    pq.write_table(young.filter(pc.is_in(young["pid"], pa.array(minors.unknown))), other / "young.parquet", row_group_size=20_000)
    stamp = ("--timestamp", "2025-11-01T00:00:00+00:00")
    done = [tiny_run(s, folder / f"w{n}", *stamp, config=QUICK) for n, s in enumerate((source, other))]
    assert [outcome.code for outcome in done] == [0, 0], done[0].said
    run, without = (o.workspace / "runs" / o.run["run_id"] for o in done)
    return Pair(minors, run, without, done[0].run, table_of(run, "results"))


def test_a_known_minor_keeps_a_row_and_no_number(pair: Pair) -> None:
    """In predictions, QA and results; row accounting, report and terminal count them."""
    assert told_of(pair.run, pair.minors.known) == []
    assert told_of(pair.run, [table_of(pair.run, "results")["pid"][0].as_py()]) != [], "the search finds an adult"
    mine = pair.results.filter(pc.is_in(pair.results["pid"], pa.array(pair.minors.known)))
    assert mine.num_rows == 90 and set(mine["prediction_source"].to_pylist()) == {"WITHHELD"}
    for path in (pair.run / "predictions").glob("batch_*.parquet"):
        assert not pc.any(pc.is_in(pq.read_table(path)["pid"], pa.array(pair.minors.known))).as_py()
    rows = pair.summary["rows"]
    assert rows["distinct"] == rows["existing"] + rows["predicted"] + rows["default"] + rows["withheld"] == 3150
    assert "WITHHELD" in (pair.run / "report.html").read_text()
    model = rows["withheld"] - 90
    said = (
        f"{rows['withheld']:,} people are withheld, because they may be younger than 18 (ages.min_age): 90 by an age of their own, "
    )
    assert pair.summary["withheld_reason"] == f"{said}{model:,} of unknown age by the model (ages.withhold_probability)"
    assert "No age  " + pair.summary["withheld_reason"] in cli("status", "--workspace", pair.run.parent.parent).stdout
    assert any("age 0" in sentence for sentence in pair.summary["findings"]) == (10 / 3150 > 0.01)


def test_training_without_them_is_the_same_to_the_byte(pair: Pair) -> None:
    """Every file of the model, and every figure of the card about everybody; predicted ages are equal, too.

    Known minors say by their number alone how frequent minors are: with the more frequent ones the same people are withheld, and more.
    """
    assert other_model_files(pair.run, pair.without) == []
    theirs = table_of(pair.without, "results").sort_by("pid")
    mine = pair.results.filter(pc.invert(pc.is_in(pair.results["pid"], pa.array(pair.minors.known)))).sort_by("pid")
    assert mine["pid"].to_pylist() == theirs["pid"].to_pylist()
    rates = [training_facts(run)["minors"]["rate"] for run in (pair.run, pair.without)]
    hidden = [pc.equal(table["prediction_source"], "WITHHELD").to_numpy(zero_copy_only=False) for table in (mine, theirs)]
    fewer, more = (0, 1) if rates[0] < rates[1] else (1, 0)
    assert rates[0] != rates[1] and not (hidden[fewer] & ~hidden[more]).any() and hidden[more].sum() > hidden[fewer].sum()
    both = pa.array(~hidden[more])
    for name in ("predicted_age", "prediction_source"):
        assert mine[name].filter(both).to_pylist() == theirs[name].filter(both).to_pylist()
    for run, table in ((pair.run, mine), (pair.without, theirs)):
        state = json.loads((run / "steps" / "parallel_prediction.json").read_bytes())["facts"]["state"]
        predicted = pc.sum(pc.equal(table["prediction_source"], "ML_PREDICTION")).as_py()
        assert sum(state["counts"]["years_experience"].values()) == predicted, "withheld people are in no drift sample"


OTHER_AGE = {14: 15, 15: 16, 16: 17, 17: 14, 12: 13, 13: 12, 0: 0}  # on the same side of 14: those of 14 and more are counted
VARYING = re.compile(  # ids of runs, hashes, sizes, times and what pages draw of them
    r"\d{8}T\d{6}Z-[0-9a-f]{8}|[0-9a-f]{32,}|[\d.,]+ (MiB|KiB|s|rows/s|%)|[\d-]{10}T[\d:+.]+|\"(bytes|seconds|peak_rss_bytes)\": [\d.]+|width:[\d.]+px"
    r"|(?<=<td>Parquet</td><td>)[\d,]+|<tr><td>pre_cleanup</td>.*"
)


def with_other_minors(young: pa.Table, known: list[int]) -> pa.Table:
    """``young`` with other ages, in the same columns, and other profiles of the ``known`` minors."""
    rows = young.to_pylist()
    for row in rows:
        if row["pid"] in known:
            row["profile_json"] = '{"years_experience": 30, "tenure_months": 360, "positions_count": 9}'
            age, year, day = (row[name] for name in ("approximate_age", "birth_year", "birth_date"))
            if age and age != "45":
                row["approximate_age"] = age.replace(str(int(float(age))), str(OTHER_AGE[int(float(age))]), 1)
            if year and year != "1980":
                row["birth_year"] = str(AS_OF.year - OTHER_AGE[AS_OF.year - int(year)])
            if day:
                born = int(day[:4]) if day[:4].isdigit() else 2000 + int(day[-2:])
                other = AS_OF.year - OTHER_AGE[AS_OF.year - born]
                row["birth_date"] = f"{other}{day[4:]}" if day[:4].isdigit() else f"{day[:-2]}{other % 100:02}"
    return pa.Table.from_pylist(rows, young.schema)


def said_of_everybody(source: Path, run: Path, folder: Path) -> dict[str, str]:
    """Output of commands that look at a source or a run, and the files that they write, without ids of runs, times and sizes."""
    space, config = ("--workspace", run.parents[1]), folder / "c.toml"
    folder.mkdir()
    config.write_text(QUICK)
    pids = table_of(run, "results")["pid"].to_pylist()
    pq.write_table(pa.table({"pid": pids, "true_age": [20 + pid % 60 for pid in pids]}), folder / "truth.parquet")
    found = {}
    for command in (
        ("plan", "--source", source, "--config", config, "--as-of", AS_OF),
        ("status", "--json", *space),
        ("card", "--json", *space),
        ("models", "--json", *space),
        ("score", "current", "--json", "--truth", folder / "truth.parquet", *space),
        ("export", "--to", folder / "export.csv", *space),
        ("sql", "SELECT * FROM predict_age_human_qa ORDER BY pid", *space),
    ):
        done = cli(*command)
        found[command[0]] = done.stdout + done.stderr
    for path in (run / "report.html", run / "model" / "card.html", folder / "export.csv"):
        found[path.name] = path.read_text()
    for place in (folder, run.parents[1], source.parent):
        found = {name: text.replace(str(place), "") for name, text in found.items()}
    return {name: "\n".join(sorted(VARYING.sub("", text).splitlines())) for name, text in found.items()}


def test_only_the_number_of_known_minors_counts(pair: Pair, tmp_path: Path) -> None:
    """Other ages and profiles of known minors change nothing: no row, file, page or word of any command."""
    source, first = tmp_path / "with", Path(json.loads((pair.run / "run.json").read_bytes())["source"])
    shutil.copytree(first, source)
    young = with_other_minors(pq.read_table(source / "young.parquet"), pair.minors.known)
    assert sum(a != b for a, b in zip(young.to_pylist(), pq.read_table(source / "young.parquet").to_pylist(), strict=True)) == 90
    pq.write_table(young, source / "young.parquet", row_group_size=20_000)
    other = tiny_run(source, tmp_path / "other", "--timestamp", "2025-11-01T00:00:00+00:00", config=QUICK)
    run = tmp_path / "other" / "runs" / other.run["run_id"]
    cards = [json.loads((folder / "model" / "card.json").read_bytes()) for folder in (pair.run, run)]
    assert [name for name in cards[0] if name not in RUN_FACTS and cards[0][name] != cards[1][name]] == []
    made = table_of(run, "results").drop_columns(["run_id"]).sort_by("pid")
    assert made.equals(pair.results.drop_columns(["run_id"]).sort_by("pid").cast(made.schema))
    mine, theirs = said_of_everybody(first, pair.run, tmp_path / "mine"), said_of_everybody(source, run, tmp_path / "theirs")
    assert len(mine) == 10 and all(mine.values()) and sum(map(len, mine.values())) > 200_000
    lines = [(name, *both) for name in mine for both in zip(mine[name].splitlines(), theirs[name].splitlines(), strict=True)]
    assert [line for line in lines if line[1] != line[2]] == []


def test_no_number_below_the_limit_and_no_spike_at_it(pair: Pair) -> None:
    """In no table and no record; somebody whom the model takes for younger has a row without any number."""
    assert below_the_limit(pair.run) == []
    predicted = pair.results.filter(pc.equal(pair.results["prediction_source"], "ML_PREDICTION"))
    assert spike(predicted["predicted_age"].to_numpy()) <= 1.5
    assert spike(predicted["age_lower"].to_numpy()) <= 1.5
    withheld = pair.results.filter(pc.equal(pair.results["prediction_source"], "WITHHELD"))["pid"].to_pylist()
    by_model = set(withheld) - set(pair.minors.known)
    assert told_of(pair.run, withheld) == []
    assert len(by_model & set(pair.minors.unknown)) >= 54, "of 60 young people of unknown age"
    assert len(by_model - set(pair.minors.unknown)) < 150, "adults of unknown age"
    predictions = table_of(pair.run, "predictions").filter(pc.field("predicted_age").is_null())
    assert set(predictions["pid"].to_pylist()) == by_model


def test_the_card_says_how_many_adults_and_minors(pair: Pair) -> None:
    """Adults measured on held-out people, minors estimated; all other figures are about those who are not withheld."""
    card = json.loads((pair.run / "model" / "card.json").read_bytes())
    minors = card["minors"]
    assert card["held_out"]["rows"] == minors["adults"] - round(minors["adults"] * minors["adults_withheld"])
    assert 0 < minors["adults_withheld"] < 0.2
    assert minors["adults_withheld"] < (minors["young_withheld"] or 1)
    assert 0 < minors["minors_among_published"] < 0.1 < minors["minors_found"] <= 1
    shown = minors["unlabelled"] - round(minors["unlabelled"] * minors["unlabelled_withheld"])
    assert (card["population"]["unlabelled"], minors["unlabelled"]) == (shown, shown + pair.summary["rows"]["withheld"] - 90)
    page = (pair.run / "model" / "card.html").read_text()
    assert "<h2>Minors</h2>" in page and percent(minors["adults_withheld"]).replace(" ", "\N{NO-BREAK SPACE}") in page


def test_readers_live_with_rows_without_numbers(pair: Pair) -> None:
    """verify, sql, diff and score; withheld people are counted and never scored."""
    workspace = pair.run.parent.parent
    assert "ok" in cli("verify", "--workspace", workspace).stdout
    found = json.loads(
        cli(
            "sql",
            "--workspace",
            workspace,
            "--format",
            "jsonl",
            f"SELECT count(*) AS n FROM {VIEW} WHERE NOT usable AND predicted_age IS NULL",
        ).stdout
    )
    assert found["n"] == pair.summary["rows"]["withheld"]
    truth = workspace / "truth.csv"
    pids = [*pair.minors.known[:20], *pair.minors.unknown, *pair.results["pid"].to_pylist()[:200]]
    of = dict(zip(pair.results["pid"].to_pylist(), pair.results["prediction_source"].to_pylist(), strict=True))
    not_found = [pid for pid in pids if of[pid] == "ML_PREDICTION"][:3]  # whom the model took for adults
    ages = {pid: 17 if pid >= FIRST_PID or pid in not_found else 40 for pid in pids}
    truth.write_text("pid,true_age\n" + "".join(f"{pid},{age}\n" for pid, age in ages.items()))
    score = json.loads(cli("score", pair.run.name, "--truth", truth, "--workspace", workspace, "--json").stdout)
    assert score["withheld"] == sum(of[pid] == "WITHHELD" for pid in pids)
    assert score["minors_published"] == sum(of[pid] == "ML_PREDICTION" and age == 17 for pid, age in ages.items()) >= 3
    assert score["all"]["rows"] == sum(of[pid] == "ML_PREDICTION" for pid in pids)
    assert score["counts"]["used"] == sum(score[name] for name in ("withheld", "not_predicted", "not_found")) + score["all"]["rows"]


@pytest.mark.parametrize("trained", [14, 18, 21])
def test_probability_of_being_younger(trained: int) -> None:
    """The density goes on below the limit as it is or falls; shares below it that the model knows count, too."""
    rule, ages = WithholdingRule(18, 0.2), np.arange(trained, 101)
    flat, rising, falling = (np.exp(slope * ages)[np.newaxis] for slope in (0.0, 0.2, -0.2))
    for density in (flat, rising, falling):
        made = (density / density.sum()).astype(np.float32)
        younger = float(rule.younger(made, trained)[0])
        above, first = rule.above(made, trained)
        assert first == max(trained, 18) and above.sum() == pytest.approx(1, abs=1e-5)
        assert above[0] == pytest.approx(made[0, first - trained :] / made[0, first - trained :].sum(), rel=1e-4)
        known = float(made[0, : 18 - trained].sum()) if trained < 18 else 0.0
        assert known - 1e-6 <= younger < 1
    beginning = np.zeros((1, 101 - trained), np.float32)
    beginning[0, max(18 - trained, 0)] = 1.0
    assert float(rule.younger(beginning, trained)[0]) > (0.5 if trained <= 18 else 0.4)
    late = np.zeros_like(beginning)
    late[0, -5:] = 0.2
    assert float(rule.younger(late, trained)[0]) == 0.0
    assert rule.withheld(np.array([17.0, 18.0, 40.0]), np.array([0.0, 0.19, 0.2])).tolist() == [True, False, True]
    assert not WithholdingRule().withheld(np.array([3.0]), np.array([1.0])).any()


EMPTY_SPLIT: dict[str, Any] = {f.name: 0 for f in fields(SplitCounts)}
ABRUPT = [0] * 18 + [1000] * 40 + [0] * 63  # known ages that end at the limit
GRADUAL = [0] * 18 + [2, 8, 30, 120, 480] + [1000] * 36 + [0] * 62


def rate_of(known: int, ages: list[int], suggested: float = 0.1, share: float = 1.0) -> float:
    """The rate with ``known`` minors in a source that has a ``share`` of these known ``ages``."""
    counts = [round(n * share) for n in ages]
    return minors_rate(18, suggested, sum(counts), known, minors_by_ages(18, 18, counts)).rate


def test_rate_of_minors_follows_those_that_are_known() -> None:
    """Rare, absent, frequent; among few people and many; ages that end at the limit as if cut off, and ages that run out."""
    assert minors_by_ages(18, 18, ABRUPT) == pytest.approx(4000, rel=1e-4) and minors_by_ages(18, 18, GRADUAL) < 20
    assert minors_by_ages(18, 18, [0] * 121) == 0
    for ages in (ABRUPT, GRADUAL):
        expected = 0.1 * sum(ages)
        assert rate_of(round(expected), ages) == pytest.approx(1, rel=0.01), "as frequent as the youngest adults"
        assert rate_of(round(5 * expected), ages) == pytest.approx(5, rel=0.02), "more frequent"
        assert rate_of(40, ages) == pytest.approx(40 / expected, rel=0.05), "rare"
        assert rate_of(0, ages, share=0.002) > 0.7, "few people: hardly anything is known"
    assert rate_of(0, GRADUAL) < 0.02, "many people, and none is missing"
    assert rate_of(0, ABRUPT) > 0.9, "perhaps the ages of minors were left out"
    assert rate_of(1, ABRUPT) > 0.6, "a single mistyped year does not change that"
    assert rate_of(20, ABRUPT) < 0.01, "but minors are known"
    rates = [rate_of(known, ABRUPT) for known in range(25)]
    assert rates[:21] == sorted(rates[:21], reverse=True) and max(np.diff(rates[20:])) < 0.001, "no step on the way"
    assert rate_of(1234, ABRUPT) == rate_of(1236, ABRUPT), "coarse: it follows no single person"


def test_rate_of_minors_multiplies_the_odds() -> None:
    """It does so for each distribution, in the rule and afterwards; a rate for another limit, or none, leaves them as they are."""
    dice, ages = np.random.default_rng(3), AgesConfig()
    made = dice.dirichlet(np.ones(83) / 3, 500).astype(np.float32)
    plain = withholding_rule(ages).younger(made, 18)
    for rate in (0.0, 0.02, 1.0, 7.0):
        record = minors_rate(18, 0.1, 1000, 0, 0.0)
        rule = withholding_rule(ages, replace(record, rate=rate))
        younger = rule.younger(made, 18)
        assert younger / (1 - younger) == pytest.approx(rate * plain / (1 - plain), rel=1e-9)
        assert at_rate(plain, rate) == pytest.approx(younger, rel=1e-9)
        assert withholding_rule(ages, replace(record, rate=rate, min_age=21)) == withholding_rule(ages)
    chance = plain / (1 - plain)
    assert suggested_minors(plain, np.ones(500), 1.0) == pytest.approx(chance.mean())
    assert suggested_minors(plain, np.full(500, 3.0), 3.0) == pytest.approx(chance.mean()), "weights are relative"
    assert suggested_minors(np.empty(0), np.empty(0), 1.0) == 0.0


def test_rate_of_a_reused_model_changes_with_the_number_of_minors_alone() -> None:
    """It stays as it was while nothing changes beyond chance, so that unchanged people need no new prediction."""
    before = minors_rate(18, 0.1, 40_000, 400, 4000.0)

    def rate(known: int, adults: int = 40_000) -> float:
        made = rate_of_reused(before, 18, adults, known, 4000.0)
        assert made is not None and (made.known, made.adults) == (known, adults)
        return made.rate

    assert [rate(n) for n in (350, 400, 450)] == [before.rate] * 3
    assert rate(800, 80_000) == rate(100, 10_000) == before.rate, "more people"
    assert rate(100) == pytest.approx(0.025, rel=0.02) and rate(4000) == pytest.approx(1, rel=0.02)
    assert rate(0) > 0.9, "no minor is known any more: perhaps their ages are left out now"
    assert rate_of_reused(before, 21, 40_000, 400, 4000.0) is None and rate_of_reused(None, 18, 40_000, 400, 4000.0) is None
    unseen = minors_rate(18, 0.1, 40_000, 0, 4000.0)
    assert rate_of_reused(unseen, 18, 40_000, 0, 4100.0).rate == unseen.rate
    assert rate_of_reused(unseen, 18, 40_000, 400, 4000.0).rate == before.rate


@pytest.mark.parametrize(
    ("part", "whole", "written"),
    [
        (0, 0, 0),
        (3, 3, 0),
        (3, 10, 0),
        (4, 900, 0),
        (5, 900, 5),
        (19, 900, 5),
        (20, 20, 20),
        (30, 40, 20),
        (30, 49, 29),
        (30, 50, 30),
        (39, 40, 20),
        (30, 31, 5),
        (0, 900, 0),
        (0, 40, 0),
        (20, 900, 20),
    ],
)
def test_parts_of_fewer_than_20_people_are_not_written_down(part: int, whole: int, written: int) -> None:
    """Neither the part nor the rest of a number that may be known; nobody is invented."""
    assert fold_part(part, whole) == written <= part


@pytest.mark.parametrize("whole", [0, 19, 20, 39, 40, 41, 900])
def test_what_is_written_of_a_part_fits_20_people_or_none_on_both_sides(whole: int) -> None:
    """For every part of the whole."""
    for part in range(whole + 1):
        written = fold_part(part, whole)
        assert (written in (0, 5) and written <= part) or (
            20 <= written <= part and (whole - written == 0 or whole - written >= 20)
        )


def test_codes_of_missing_ages_do_not_pass_for_minors_near_the_limit() -> None:
    """Ages cut off at the limit and 40 ages of 0: as careful as without them; some real ones are some."""
    zeros, few, many = (SplitCounts(**{**EMPTY_SPLIT, "withheld": 60, "near_limit": near}) for near in (0, 19, 40))
    assert [near_limit([split], 60) for split in (zeros, few, many)] == [0, 5, 40]
    assert near_limit([zeros, many], 60) == 20, "half of the rows are duplicates"
    assert near_limit([many], 5000) == 40, "people by rows of the other source are not near the limit"
    assert near_limit([], 0) == 0


@pytest.mark.parametrize("youngest", [18, 19, 21, 25])
def test_ages_that_are_cut_off_above_the_limit_are_carried_on(youngest: int) -> None:
    """ages.min above ages.min_age: the histogram begins there."""
    cut = [0] * youngest + [1000] * 30 + [0] * (91 - youngest)
    assert minors_by_ages(18, youngest, cut) == pytest.approx(4000, rel=1e-4)
    suggested = 2000 / sum(cut)
    assert minors_rate(18, suggested, sum(cut), 0, minors_by_ages(18, youngest, cut)).rate == pytest.approx(2, rel=0.02)


def test_known_minors_near_the_limit_are_counted_as_people() -> None:
    """At 14 to 17, by any column; not those of 13 and less, nor an age of 0."""
    rows = judged(
        approximate_age=pa.array([0, 13, 14, 17, 18, 40, None]), birth_year=pa.array([None] * 5 + [2010, 2013], pa.int32())
    )
    assert [row["near_limit"] for row in rows] == [False, False, True, True, False, True, False]


def test_nobody_is_withheld_when_it_is_switched_off(tmp_path: Path) -> None:
    """ages.min_age = 0: a 15-year-old is a known age, and there is no count of withheld people."""
    source, minors = write_source(tmp_path / "s", 200, 9, 0, forms=("age",))
    outcome = tiny_run(source, tmp_path / "w", config=TINY + "[ages]\nmin_age = 0\n")
    rows = outcome.run["rows"]
    assert "withheld" not in rows and rows["existing_by_source"]["EXISTING_APPROX_AGE"] > 0
    known = {pid: outcome.rows[pid] for pid in minors.known}
    assert {row[4] for row in known.values()} <= {"EXISTING_APPROX_AGE", "ML_PREDICTION"}
    assert any(row[1] < 18 for row in known.values())


def test_a_base_run_keeps_withheld_people_withheld(pair: Pair, tmp_path: Path) -> None:
    """Unchanged profiles keep their prediction or their lack of one; with another rule everybody is predicted again."""
    workspace = pair.run.parent.parent
    source = json.loads((pair.run / "run.json").read_bytes())["source"]
    again = tiny_run(Path(source), workspace, "--base", pair.run.name, config=QUICK)
    assert again.code == 0, again.said
    assert again.run["batches"]["reused"] == pair.summary["rows"]["predicted"]
    columns = ["pid", "predicted_age", "age_lower", "age_upper", "prediction_source"]
    made = table_of(workspace / "runs" / again.run["run_id"], "results").select(columns).sort_by("pid")
    assert made.equals(pair.results.select(columns).sort_by("pid").cast(made.schema))
    other = tiny_run(Path(source), workspace, "--base", pair.run.name, config=QUICK + "[ages]\nmin_age = 21\n")
    assert other.code == 0, other.said
    assert other.run["batches"]["reused"] == 0
    assert other.run["rows"]["withheld"] > pair.summary["rows"]["withheld"]
    results = table_of(workspace / "runs" / other.run["run_id"], "results")
    assert pc.min(results["predicted_age"]).as_py() >= 21 and pc.min(results["age_lower"]).as_py() >= 21
    found = json.loads(cli("diff", pair.run.name, other.run["run_id"], "--workspace", workspace, "--json").stdout)
    moves = {(move["before"], move["after"]): move for move in found["moves"]}
    newly = moves["ML_PREDICTION", "WITHHELD"]
    assert (newly["people"] > 0, newly["mean_change"], found["both"]) == (True, None, 3150)
    assert moves["WITHHELD", "WITHHELD"]["people"] == pair.summary["rows"]["withheld"]


def test_the_champion_follows_the_minors_of_the_run(pair: Pair) -> None:
    """Known minors that appear change whom a reused model withholds, in the batch, in Python and in the server alike."""
    workspace = Workspace(pair.without.parent.parent)
    source = Path(json.loads((pair.run / "run.json").read_bytes())["source"])
    later = tiny_run(source, pair.without.parent.parent, "--model", "champion", config=QUICK)
    assert later.code == 0, later.said
    before, now = (training_facts(run)["minors"] for run in (pair.without, pair.without.parent / later.run["run_id"]))
    assert (before["known"], now["known"] >= 20, now["suggested"]) == (0, True, before["suggested"])
    assert now["rate"] == training_facts(pair.run)["minors"]["rate"], "the models are the same, and so are the known minors"
    made = table_of(pair.without.parent / later.run["run_id"], "results").select(["pid", "prediction_source"]).sort_by("pid")
    assert made.equals(pair.results.select(["pid", "prediction_source"]).sort_by("pid").cast(made.schema))
    card = pair.without.parent / later.run["run_id"] / "model"
    assert json.loads((card / "card.json").read_bytes())["in_this_run"]["minors_rate"] == now["rate"]
    assert f"minors are counted {now['rate']:.2g} times" in (card / "card.html").read_text()
    found = check_skew(workspace, 10_000)
    assert (found.compared > 1000, found.different, found.refused) == (True, 0, 0)


def test_many_ages_of_zero_are_said(tmp_path: Path) -> None:
    """More than 1 % of the rows with nothing but the age 0: a code, perhaps. And plan says how many are withheld."""
    source, _ = write_source(tmp_path / "s", 400, 18, 0, forms=("zero",))
    outcome = tiny_run(source, tmp_path / "w")
    assert outcome.run["rows"]["withheld"] >= 18
    assert any("18 rows (4.3 %) have the age 0" in sentence for sentence in outcome.run["findings"])
    plan = json.loads(cli("plan", "--source", source, "--as-of", AS_OF, "--json").stdout)
    assert plan["withheld"] == 18
    missing = tiny_run(source, tmp_path / "x", config=TINY + '[ages]\nzero = "missing"\n')
    assert missing.run["rows"]["withheld"] < outcome.run["rows"]["withheld"]
    assert not any("age 0" in sentence for sentence in missing.run["findings"])


def test_many_withheld_people_are_said(tmp_path: Path) -> None:
    """With a limit in the middle of the ages, and not where few are withheld."""
    source, _ = write_source(tmp_path / "s", 600, 0, 0, telling=True)
    for number, (limit, said) in enumerate(((30, True), (18, False))):
        outcome = tiny_run(source, tmp_path / f"w{number}", config=TINY + f"[ages]\nmin_age = {limit}\n")
        assert any("are withheld: the model takes them for minors" in s for s in outcome.run["findings"]) == said
        assert any("withhold_probability under [ages]" in s for s in outcome.run["run_findings"][:1]) == said
        card = json.loads((outcome.workspace / "runs" / outcome.run["run_id"] / "model" / "card.json").read_text())
        assert any(f["kind"] == "withheld" for f in card["findings"][:1]) == said


@pytest.mark.parametrize(("folds", "shares"), [(True, False), (False, False), (True, True)])
def test_a_model_that_withholds_everybody(tmp_path: Path, folds: bool, shares: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is left to measure it on: it is never published, whatever the gates are."""
    monkeypatch.setattr(EnsembleWeights, "withheld", lambda _, outputs: np.ones(len(outputs.younger), np.bool_))
    source, _ = write_source(tmp_path / "s", 300, 0, 0)
    config = TINY.replace("cross_fit_below_rows = 0", "cross_fit_below_rows = 1000") if folds else TINY
    config += '[population.ages]\n"under 40" = 0.5\n"40+" = 0.5\n' if shares else ""
    outcome = tiny_run(source, tmp_path / "w", config=config)
    assert (outcome.code, "the model withholds everybody whom it was tried on" in outcome.said) == (5, True)


def test_a_withheld_row_with_a_number_is_never_published(tmp_path: Path, pair: Pair) -> None:
    """Nor a row without one of somebody who is not withheld, nor a usable withheld one."""
    good = pq.read_table(min((pair.run / "results").glob("part_*.parquet")))
    source = good["prediction_source"].to_pylist()
    hidden, shown = source.index("WITHHELD"), source.index("ML_PREDICTION")
    for column, row, value in (
        ("predicted_age", hidden, 30),
        ("confidence_pct", hidden, 50.0),
        ("usable", hidden, True),
        ("predicted_age", shown, None),
    ):
        values = good[column].to_pylist()
        values[row] = value
        wrong = good.set_column(good.schema.get_field_index(column), column, pa.array(values, good.schema.field(column).type))
        pq.write_table(wrong, tmp_path / "part_0.parquet")
        with pytest.raises(IntegrityError, match="withheld person"):
            describe(tmp_path / "part_0.parquet", b"k" * 16)
    pq.write_table(good, tmp_path / "part_0.parquet")
    assert describe(tmp_path / "part_0.parquet", b"k" * 16).rows == good.num_rows


def outputs_of(point: np.ndarray, younger: np.ndarray) -> MemberOutputs:
    return MemberOutputs(
        np.tile(point, (4, 1)).T, np.column_stack([point - 5, point, point + 5]), np.zeros(len(point), int), younger
    )


def test_calibration_and_quality_are_those_of_published_people() -> None:
    """People who are withheld, and are far off, change neither."""
    dice = np.random.default_rng(3)
    point, age = dice.uniform(25, 60, 2000), np.empty(2000)
    age[:] = np.rint(point + dice.normal(0, 3, 2000))
    younger = np.where(np.arange(2000) % 4 == 0, 0.9, 0.0)
    ensemble = EnsembleWeights((0.25,) * 4, 1.0, NO_CALIBRATION, 0.9, 18, 100, rule=WithholdingRule(18, 0.2))
    published = younger < 0.2
    odd = np.where(published, age, 90.0)
    alone = calibrated(ensemble, outputs_of(point[published], younger[published]), age[published])
    assert calibrated(ensemble, outputs_of(point, younger), odd).calibration == alone.calibration
    reused = evaluate_reused(
        SimpleNamespace(ensemble=alone), UnseenOutputs(outputs_of(point, younger), odd, point), _trained(alone)
    )
    assert (reused.people, round(reused.metrics.held_out.mae)) == (1500, 2)


def test_a_model_that_was_trained_with_minors_publishes_no_bound_of_theirs() -> None:
    """One of an earlier version knows ages from 14 on: its intervals are those of people above the limit, and end there."""
    ensemble = EnsembleWeights((0.25,) * 4, 1.0, NO_CALIBRATION, 0.9, 14, 100, rule=WithholdingRule(18, 0.2))
    ages = np.arange(14, 101)
    density = np.where(ages < 18, 0.15 / 4, np.where((ages >= 30) & (ages < 40), 0.085, 0)).astype(np.float32)
    points = np.full((1, 4), 35.0)
    outputs = ensemble.outputs(points, density[np.newaxis], None, np.zeros(1, int))
    assert outputs.younger[0] == pytest.approx(0.15, abs=1e-4)
    assert outputs.interval_quantiles[0].tolist() == pytest.approx([30.0, 34.5, 39.0], abs=0.01), "minors count for nothing"
    near = ensemble.predict(outputs_of(np.array([22.0]), np.array([0.0])))
    assert (near.lower[0], near.age[0], near.upper[0]) == (18, 22, 26)


def _trained(ensemble: EnsembleWeights) -> Any:
    """Metrics of a training as good as the reuse."""
    quality = Quality(1500, 2.4, 3.0, 0.0, 0.9, 0.9, 12.0)
    return SimpleNamespace(held_out=quality, importance={}, missing={}, rows=TrainingRows(1, 1, 1), refit_rows=0)


def test_drift_leaves_out_ages_that_are_withheld_now() -> None:
    """A reference of a version that kept minors does not look like a change."""
    counts = {"known age": {"#15": 5000, "#30": 5000, "#40": 5000}, "predicted age": {"#16": 3000, "#35": 5000}}
    later = {"known age": {"#30": 5000, "#40": 5000}, "predicted age": {"#35": 5000}}
    before, now = (DriftState(name, "2025-10-23", "m", of, {}) for name, of in (("a", counts), ("b", later)))
    assert compare_states(before, now, DriftConfig()).drifted
    assert not compare_states(before, now, DriftConfig(), 18).drifted


def test_nobody_gathers_at_the_lower_end_of_the_distribution_around_a_point() -> None:
    """Ages below the window are left out, and the others keep their proportions."""
    residuals = np.linspace(-10, 10, 201)
    (made,) = distribution_around(np.array([20.0]), residuals, 18, 100)
    assert made[:10] == pytest.approx(np.full(10, made[5]), rel=0.05) and made.sum() == pytest.approx(1, abs=1e-6)
    assert distribution_around(np.array([-50.0]), residuals, 18, 100)[0, 0] == 1


def test_arms_of_an_experiment_count_the_people_whom_their_model_withholds() -> None:
    """Otherwise a model that withholds more people looks as if some of its people were lost."""
    connection = duckdb.connect()
    connection.execute("CREATE TABLE truth AS SELECT range AS pid, 30.0 AS age FROM range(10000)")
    connection.execute(
        "CREATE TABLE found AS SELECT range AS pid, if(range % 2 = 0, 'WITHHELD', 'ML_PREDICTION') AS prediction_source FROM range(20000)"
    )
    settings = {"experiment": "x", "challengers": {"a": 0.2, "b": 0.1}}
    run = SimpleNamespace(folder=SimpleNamespace(record={"config": {"prediction": settings}}))
    counts = arms._withheld_by_arm(connection, "found", run)
    assert sum(counts) == 5000 and counts == pytest.approx([3500, 1000, 500], rel=0.1)
