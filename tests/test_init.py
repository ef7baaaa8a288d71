"""``predict-age init``: a table that nobody has described gets a configuration and a feature file that ``plan`` accepts."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import json
import math
import random
import string
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import cli
from predict_age.cli.plan import unread_proposal
from predict_age.features.inspection import written
from predict_age.features.protected_categories import attribute_of_values
from predict_age.features.spec import parse_path
from predict_age.features.sql_compiler import json_path
from predict_age.proposal.fields import Field
from predict_age.proposal.text_candidates import amount_of, meaning_of
from predict_age.proposal.written_dates import have_short_years
from predict_age.source.row_rules import connect
from predict_age.source_config import MISSING_VALUES

AS_OF = "2025-10-23"
Row = dict[str, Any]


def people(rows: int = 600, seed: int = 1) -> list[Row]:
    """People whose salary, start date, role and skills follow their age; two thirds have a known age."""
    draw = random.Random(seed)
    made = []
    for number in range(rows):
        age = draw.randint(19, 66)
        start = 2025 - max(0, int((age - 18) * draw.random()))
        role = draw.choices(["Trainee", "Clerk", "Manager"], [66 - age, 20, age - 18])[0]
        made.append(
            {
                "staff_no": 5000 + 7 * number,
                "age": age if number % 3 else None,
                "role": role,
                "salary": round(20000 + 600 * age + draw.gauss(0, 6000), 2),
                "started": f"{start}-{draw.randint(1, 9):02d}-11",
                "remote": draw.choice(["yes", "no"]),
                "years": age,
            }
        )
    return made


def write(rows: list[Row], path: Path) -> Path:
    """Write rows as the suffix says."""
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
    return path


def init(source: Path, *more: object) -> dict[str, Any]:
    """Result of ``init --json`` with the files written beside the source."""
    done = cli("init", "--source", source, "--out", source.parent / "made", "--as-of", AS_OF, "--force", "--json", *more)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_proposal_is_accepted_by_plan(tmp_path: Path, suffix: str) -> None:
    """Columns and kinds are right in each format, and ``plan`` takes the two files as they are."""
    rows = [{k: v for k, v in row.items() if k != "years"} for row in people()]
    source = write(rows, tmp_path / f"staff{suffix}")
    made = init(source)
    assert made["columns"] == {"pid": "staff_no", "approximate_age": "age", "profile_json": "*"}
    assert made["features"] == {"role": "category", "salary": "number", "started": "date", "remote": "boolean"}
    assert made["known_ages"] == 400
    options = ("--config", made["config"], "--features", made["features_file"])
    plan = cli("plan", "--source", source, *options, "--as-of", AS_OF, "--json")
    assert json.loads(plan.stdout)


def test_an_index_without_a_name_is_the_id(tmp_path: Path) -> None:
    """CSV as pandas and R write it: the first column has no name and numbers the rows."""
    rows = [{"": n, **{k: v for k, v in row.items() if k not in ("years", "staff_no")}} for n, row in enumerate(people())]
    source = write(rows, tmp_path / "staff.csv")
    made = init(source)
    assert made["columns"]["pid"] == "#1"
    options = ("--config", made["config"], "--features", made["features_file"])
    assert json.loads(cli("plan", "--source", source, *options, "--as-of", AS_OF, "--json").stdout)


def _shifted(by: int) -> Callable[[Row, random.Random], object]:
    return lambda row, _: row["years"] + by


LEAKS: dict[str, Callable[[Row, random.Random], object]] = {
    "copy": _shifted(0),
    "off by one": _shifted(1),
    "birth year": lambda row, _: 2025 - row["years"],
    "in months": lambda row, _: 12 * row["years"],
    "date of birth": lambda row, draw: f"{2025 - row['years']}-{draw.randint(1, 9):02d}-17",
    "text": lambda row, _: f"Y{row['years']}",
    "negative": lambda row, _: -row["years"],
}
IDS: dict[str, Callable[[Row, random.Random], object]] = {
    "random hex": lambda _, draw: f"{draw.getrandbits(64):016x}",
    "mail": lambda row, draw: f"{draw.getrandbits(30):x}@example.org",
    "counter": lambda row, _: row["staff_no"] * 3 + 1,
    "counter down": lambda row, _: 900_000 - row["staff_no"],
    "constant": lambda _, draw: "x",
    "few": lambda row, draw: "rare" if row["staff_no"] < 5050 else None,
}
PROTECTED = [
    "gender",
    "Sex",
    "ethnicity",
    "maritalStatus",
    "religion",
    "disability_status",
    "invalidité",
    "birth_year2",
    "date of birth",
]
NAMES = ["Name", "first_name", "fullName"]


@pytest.mark.parametrize("kind", [*LEAKS, *IDS, *PROTECTED, *NAMES])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_traps_are_left_out_with_a_reason(tmp_path: Path, kind: str, suffix: str) -> None:
    """Leaks, ids, constants, protected attributes and names of people never become a feature, and the file says why."""
    draw = random.Random(kind)
    column = kind if kind in [*PROTECTED, *NAMES] else "x7"
    value = {**LEAKS, **IDS}.get(kind, lambda _, draw: draw.choice(["A", "B", "C"]))
    rows = [{**row, column: value(row, draw)} for row in people()]
    for row in rows:
        del row["years"]
    made = init(write(rows, tmp_path / f"staff{suffix}"), "--age", "age", "--pid", "staff_no")
    text = Path(made["features_file"]).read_text(encoding="utf-8")
    paths = [table.get("path", table.get("expression", "")) for table in tomllib.loads(text)["features"].values()]
    assert not [path for path in paths if column in path]
    assert [name for name in made["left_out"] if column.casefold().replace(" ", "_") in name.casefold().replace(" ", "_")]
    assert {"role", "salary", "started", "remote"} <= set(made["features"])


DISGUISES: dict[str, Callable[[int, random.Random], object]] = {
    "c1": lambda age, _: 67 - age,  # years to a pension
    "c2": lambda age, draw: 12 * (67 - age) - draw.randint(0, 11),
    "c3": lambda age, draw: round(age / 10 + draw.random() / 10, 1),  # decades
    "c4": lambda age, _: round(math.log(age), 4),
    "c5": lambda age, _: round((age - 42) / 13.6, 3),
    "c6": lambda age, draw: 365 * (125 - age) + draw.randint(0, 364),  # days since 1900
    "c7": lambda age, _: hashlib.md5(str(age).encode()).hexdigest(),
    "c8": lambda age, _: f"S{2025 - age - 1925}" if age > 36 else f"H{2025 - age - 1988}",  # era of an emperor
    "c9": lambda age, draw: f"{(2025 - age) % 100:02d}{draw.randint(1, 12):02d}{draw.randint(1, 28):02d}",
    "c10": lambda age, _: ["Rat", "Ox", "Tiger", "Rabbit", "Dragon", "Snake", "Horse", "Goat", "Monkey", "Rooster", "Dog", "Pig"][
        (2021 - age) % 12
    ],
    "c11": lambda age, draw: 2025 - age + 18 + draw.randint(0, 1),  # end of school
    "c12": lambda age, _: ("youth", "adult", "senior")[(age > 24) + (age > 64)],
    "c13": lambda age, draw: age + draw.randint(-1, 1),
    "c14": lambda _, draw: "".join(draw.choices(string.digits + string.ascii_lowercase, k=6)),  # an id in base 36
}


def test_the_age_in_disguise_is_no_feature(tmp_path: Path) -> None:
    """Countdowns, other units, calendars, encodings and bands beside each other: none is left, and all that is honest is."""
    draw = random.Random(8)
    rows = [{**row, **{name: of(row["years"], draw) for name, of in DISGUISES.items()}} for row in people(1200)]
    made = init(write([{k: v for k, v in row.items() if k != "years"} for row in rows], tmp_path / "disguised.jsonl"))
    assert set(made["features"]) == {"role", "salary", "started", "remote"}
    assert set(DISGUISES) <= set(made["left_out"])


def test_values_of_many_forms_become_features_that_can_be_read(tmp_path: Path) -> None:
    """Nested values, lists, dates of other forms, decimal commas, free text and odd names are read by what is written for them."""
    draw = random.Random(5)
    rows = []
    for row in people(800):
        age = row["years"]
        profile = {
            "job": {"title": f"{'senior ' if age > 40 else 'junior '}{draw.choice(['nurse', 'clerk'])} {draw.randint(1, 400)}"},
            "since": f"{draw.randint(1, 28):02d}.{draw.randint(1, 12):02d}.{2025 - draw.randint(0, max(1, age - 20))}",
            "pay": f"{draw.randint(1, 9)}.{draw.randint(100, 999)},{draw.randint(10, 99)}",
            "skills": draw.sample(["sql", "fax" if age > 45 else "tik", "law", "art"], draw.randint(1, 3)),
            "posts": [
                {"from": 2025 - draw.randint(0, max(1, age - 18)), "place": draw.choice("XYZ")} for _ in range(draw.randint(1, 3))
            ],
            'odd."key"': draw.random(),
            "größe in cm": draw.randint(150, 200),
        }
        rows.append({"id": row["staff_no"], "dob": f"{2025 - age}-01-05" if row["age"] else None, "data": profile})
    source = write(rows, tmp_path / "people.jsonl")
    made = init(source)
    assert made["columns"] == {"pid": "id", "birth_date": "dob", "profile_json": "data"}
    kinds = made["features"]
    assert (kinds["since"], kinds["pay"]) == ("sql", "number")
    assert kinds["skills_count"] == "count" and kinds["skills_items"] == "flags"
    assert kinds["from_min"] == kinds["from_max"] == "date"
    assert kinds["title_text"] == "words"
    assert any("odd" in name for name in made["left_out"])
    options = ("--config", made["config"], "--features", made["features_file"])
    plan = json.loads(cli("plan", "--source", source, *options, "--as-of", AS_OF, "--json").stdout)
    assert plan


def odd_keys() -> list[str]:
    """Keys of every sign below U+0250, alone and inside a word, and of pairs of those that paths give a meaning to."""
    signs = [chr(code) for code in range(1, 0x250)]
    pairs = [first + second for first in '\\"*.[]$' for second in '\\"*.[]$0']
    return [*signs, *(f"a{sign}b" for sign in signs), *pairs, *(f"a{pair}" for pair in pairs), *(f"{pair}a" for pair in pairs)]


def test_a_path_leads_to_its_key_or_is_none() -> None:
    """The statement reads the value of the very key that the path was written for, at the top and inside an object and a list."""
    connection, refused = connect(), set()
    for path in ('"*"', 'o."*"', 'l[0]."*"', "[*]", "[*].a"):  # a key, and a list that is no object's
        with pytest.raises(ValueError, match="is no path"):
            parse_path(path)
    for key in odd_keys():
        if key == "*":
            continue
        for steps, profile in (([key], {key: 42}), (["o", key], {"o": {key: 42}}), (["l", 0, key], {"l": [{key: 42}]})):
            try:
                path = json_path(parse_path(written(steps)))
            except ValueError:
                refused.add(key)
                continue
            [found] = connection.execute("SELECT json_extract(?::JSON, ?)", [json.dumps(profile), path]).fetchall()
            assert found == ("42",), (steps, path)
    assert all('"' in key or key[0] in "$*" for key in refused)


def test_fields_of_any_name_are_proposed_or_left_out(tmp_path: Path) -> None:
    """Fields with the names of signs that paths have, beside lists, objects and features of the same name."""
    keys = [key for key in odd_keys() if not key.isalnum()]
    rows = [
        {
            "pid": n,
            "approximate_age": 20 + n * n % 47,
            "profile_json": {**dict.fromkeys(keys, n * n % 47 + n % 5), "o": {"*": n % 9}},
        }
        for n in range(100)
    ]
    source = write(rows, tmp_path / "people.jsonl")
    made = init(source)
    assert made["left_out"].keys() >= {'""*""', 'o.""*""'}
    cli("plan", "--source", source, "--features", tmp_path / "made" / "features.toml", "--as-of", AS_OF)


def test_files_of_the_user_are_not_replaced(tmp_path: Path) -> None:
    """Existing files stop the command unless it is forced; nothing is written then."""
    source = write(people(), tmp_path / "staff.csv")
    (tmp_path / "features.toml").write_text("mine")
    done = cli("init", "--source", source, "--out", tmp_path, check=2)
    assert "exist already" in done.stderr and "features.toml" in done.stderr
    assert (tmp_path / "features.toml").read_text() == "mine"
    assert not (tmp_path / "predict-age.toml").exists()


@pytest.mark.parametrize(
    ("drop", "options", "sentence"),
    [
        ("age", (), "no column looks like an age"),
        ("staff_no", (), "no column looks like an identifier"),
        ("role", ("--pid", "nobody"), "there is no column 'nobody'"),
        ("role", ("--pid", "staf no"), "did you mean 'staff_no'?"),
    ],
)
def test_columns_that_are_not_there_are_named(tmp_path: Path, drop: str, options: tuple[str, ...], sentence: str) -> None:
    """A table without ids or ages ends with exit code 2 and the option that names the column."""
    rows = [{k: v for k, v in row.items() if k not in (drop, "years", "salary")} for row in people()]
    done = cli("init", "--source", write(rows, tmp_path / "staff.csv"), "--out", tmp_path, *options, check=2)
    assert sentence in done.stderr
    assert "--" in done.stderr or "one of" in done.stderr


def test_an_age_column_of_other_values_is_named(tmp_path: Path) -> None:
    """The error says that the column is there, and which of its values cannot be read."""
    rows = [{**row, "age": row["age"] or "not known"} for row in people()]
    rows = [{k: v for k, v in row.items() if k != "years"} for row in rows]
    said = cli("init", "--source", write(rows, tmp_path / "staff.csv"), "--out", tmp_path, check=2).stderr
    assert said.startswith("predict-age: too few values of age can be read as ages\n  expected: a column named age")
    assert "80 % of whose values are such" in said and "200 values of age cannot be read" in said
    assert "to use the readable ones alone" in said
    made = init(tmp_path / "staff.csv", "--age", "age")
    assert made["columns"]["approximate_age"] == "age"


def test_few_minors_are_not_counted_as_given_ages(tmp_path: Path) -> None:
    """The 392 known ages and 12 of minors are told as in a chart: no sum that nobody finds in the file."""
    rows = [{**row, "age": 15 if number < 12 else row["age"]} for number, row in enumerate(people())]
    said = cli("init", "--source", write(rows, tmp_path / "staff.csv"), "--out", tmp_path, "--as-of", AS_OF).stdout
    assert f"  known ages       about 394; fewer than 20 given ages are not used, at {AS_OF}\n" in said
    assert said.startswith(f"{tmp_path / 'staff.csv'}: 600 records read, of 1 file\n") and "\n1 field left out:\n" in said


def test_the_leak_check_is_what_leaves_a_copy_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the age becomes a feature as soon as nobody checks for leaks: the traps above can fail."""
    source = write(people(), tmp_path / "staff.csv")
    assert "years" not in init(source, "--age", "age")["features"]
    monkeypatch.setattr("predict_age.proposal.proposal.leaking_features", lambda *_: [])
    assert "years" in init(source, "--age", "age")["features"]


def panel(people: int, waves: int, names: dict[str, Callable[[int, int], object]], *, by_wave: bool = False) -> list[Row]:
    """Rows of ``people`` in several waves, a year apart; every other row has an age. ``names``: more columns, first."""
    order = (
        [(p, w) for w in range(waves) for p in range(people)] if by_wave else [(p, w) for p in range(people) for w in range(waves)]
    )
    rows = []
    for number, (p, w) in enumerate(order, start=1):
        first = {name: number if name in ("", "row") else value(p, w) for name, value in names.items()}
        age = 20 + p * 7 % 40 + w
        rows.append({**first, "year": 2001 + w, "age": age if number % 2 else None, "wage": 1000 + 37 * age + p * 13 % 101 * 20})
    return rows


@pytest.mark.parametrize("name", ["id", "pid", "idind", "nr", "person_id", "subject", "idcode", "persnr"])
@pytest.mark.parametrize("by_wave", [False, True])
def test_the_person_of_a_panel_is_the_id_not_the_row(name: str, by_wave: bool, tmp_path: Path) -> None:
    """A number for each row is no person; init and plan say how many people there are, and what the other records are."""
    rows = panel(240, 4, {"": lambda p, w: None, name: lambda p, w: 17 + 3 * p}, by_wave=by_wave)
    source = write(rows, tmp_path / "panel.csv")
    made = init(source)
    assert made["columns"]["pid"] == name
    assert made["people"] == 240
    assert set(made["features"]) <= {"year", "wage"}
    said = cli("init", "--source", source, "--out", tmp_path / "again", "--as-of", AS_OF, "--yes").stdout
    assert "240 in 960 records" in said
    assert "720 are duplicates" in said
    assert "240 in 960 records" in Path(made["config"]).read_text()
    options = ("--source", source, "--config", made["config"], "--features", made["features_file"], "--as-of", AS_OF)
    planned = json.loads(cli("plan", *options, "--json").stdout)
    assert (planned["people"], planned["duplicates"], planned["exact_people"]) == (240, 720, True)
    assert planned["to_predict"] == (120 if by_wave else 0)  # people, not rows: each has a known age in one of the waves, or half
    assert "720 further records of them are duplicates" in cli("plan", *options).stdout


@pytest.mark.parametrize("name", ["intnum", "hhid", "firm_id", "persnum", "family_no", "idhh", "schid"])
def test_ids_of_others_are_neither_persons_nor_features(name: str, tmp_path: Path) -> None:
    """Ids of households, firms and the like repeat with people of all ages; left out with the reason, and the row is the person."""
    rows = panel(480, 1, {"row": lambda p, w: None, name: lambda p, w: 100 + p * p % 97})
    made = init(write(rows, tmp_path / "panel.csv"))
    assert made["columns"]["pid"] == "row"
    assert name not in made["features"]
    assert "an id by its name" in made["left_out"][name]


@pytest.mark.parametrize("name", ["number_of_visits", "visits_number", "paid", "numchron", "idle_hours", "grid"])
def test_numbers_with_a_name_like_an_id_stay_features(name: str, tmp_path: Path) -> None:
    """Numbers of visits and the like are no ids: small ones are much commoner than large ones, or the name says otherwise."""
    rows = panel(480, 1, {"row": lambda p, w: None, name: lambda p, w: int((p % 97) ** 2 / 250)})
    assert name in init(write(rows, tmp_path / "panel.csv"))["features"]


@pytest.mark.parametrize(
    ("as_of", "said"), [("2025-10-23", ""), ("2047-01-01", "years before --as-of 2047-01-01"), ("2009-01-01", "lie after the year")]
)
def test_an_as_of_that_the_dates_contradict_is_noted(as_of: str, said: str, tmp_path: Path) -> None:
    """In plan, from the dates of the features; nothing is said where they fit."""
    source = write([{k: v for k, v in row.items() if k != "years"} for row in people()], tmp_path / "staff.csv")
    made = init(source)
    options = ("--source", source, "--config", made["config"], "--features", made["features_file"], "--as-of", as_of)
    notes = json.loads(cli("plan", *options, "--json").stdout)["notes"]
    assert bool(notes) == bool(said)
    assert said in " ".join(notes)


def test_files_of_init_that_no_option_names_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration in the current folder is never read silently, and never ignored silently."""
    source = write([{k: v for k, v in row.items() if k != "years"} for row in people()], tmp_path / "staff.csv")
    cli("init", "--source", source, "--out", tmp_path, "--as-of", AS_OF, "--yes")
    monkeypatch.chdir(tmp_path)
    assert unread_proposal(None, None) == [
        "files in this folder are read only when an option names them: --config predict-age.toml --features features.toml"
    ]
    assert unread_proposal(Path("predict-age.toml"), Path("features.toml")) == []
    monkeypatch.chdir("/")
    assert unread_proposal(None, None) == []


def coded(values: Callable[[int], object], name: str, more: dict[str, Callable[[int], object]] | None = None) -> list[Row]:
    """People with a column of whole numbers, and ``more`` columns."""
    rows = [{k: v for k, v in row.items() if k != "years"} for row in people()]
    return [{**row, name: values(n), **{k: of(n) for k, of in (more or {}).items()}} for n, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("status", lambda n: [1, 2, 5, 9][n * n % 4 % 4 if n % 3 else n % 4], "category"),
        ("grade", lambda n: [10, 20, 35, 40, 70][n % 5], "category"),
        ("job_type", lambda n: 1 + n % 4, "category"),
        ("occcode", lambda n: 100 + n * n % 37, "category"),
        ("likert", lambda n: 1 + n % 6, "number"),
        ("steps", lambda n: 10 * (n % 5), "number"),
        ("kids", lambda n: 7 if n == 3 else n % 4, "number"),
        ("laufzeit_mon", lambda n: [6, 12, 24, 36, 60][n % 5], "number"),
        ("visits", lambda n: int((n * 7919 % 600) ** 2 / 9000), "number"),
    ],
)
def test_whole_numbers_that_are_codes_become_categories(
    name: str, values: Callable[[int], object], kind: str, tmp_path: Path
) -> None:
    """A few numbers with gaps between the common ones, or a name that says so; amounts, also with rare large ones, stay numbers."""
    assert init(write(coded(values, name), tmp_path / "coded.csv"))["features"][name] == kind


MEAN_AGES = [30, 55, 25, 60, 22, 64, 35, 50]  # of people with the codes 1 to 8, which have no gaps and no name


def _code_of(years: int, draw: random.Random, means: list[int]) -> int:
    """A code that people of about this age have, one in five a random one."""
    if draw.random() < 0.2:
        return draw.randint(1, len(means))
    return 1 + min(range(len(means)), key=lambda k: abs(means[k] - years) + 8 * draw.random())


def _of_whole_numbers(kind: str, years: int, draw: random.Random) -> int:
    spread = [22 + 37 * k % 41 for k in range(20)]
    return {
        "few codes": lambda: _code_of(years, draw, MEAN_AGES),
        "many codes": lambda: 100 + _code_of(years, draw, spread),
        "years at work": lambda: max(0, round((years - 18) * draw.random())),
        "a peak in the middle of life": lambda: max(0, round(6 - abs(years - 42) / 5 + draw.gauss(0, 1))),
        "nothing to do with the age": lambda: draw.randint(1, 9),
        "pay": lambda: 100 * round(200 + 6 * years + draw.gauss(0, 40)),
    }[kind]()


@pytest.mark.parametrize(
    ("kind", "kinds"),
    [
        ("few codes", ["category"]),
        ("many codes", ["number", "category"]),
        ("years at work", ["number"]),
        ("a peak in the middle of life", ["number"]),
        ("nothing to do with the age", ["number"]),
        ("pay", ["number"]),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_known_ages_tell_codes_from_amounts(kind: str, kinds: list[str], suffix: str, tmp_path: Path) -> None:
    """Numbers without gaps or a telling name are categories where each one's people have an age that their order does not tell."""
    draw = random.Random(3)
    rows = [{**row, "q7": _of_whole_numbers(kind, row["years"], draw)} for row in people(3000)]
    made = init(write([{k: v for k, v in row.items() if k != "years"} for row in rows], tmp_path / f"coded{suffix}"))
    assert [kind for name, kind in made["features"].items() if name.startswith("q7")] == kinds
    options = ("--config", made["config"], "--features", made["features_file"])
    assert json.loads(cli("plan", "--source", tmp_path / f"coded{suffix}", *options, "--as-of", AS_OF, "--json").stdout)


def test_too_few_known_ages_decide_nothing(tmp_path: Path) -> None:
    """With 150 known ages, numbers without gaps stay numbers."""
    draw = random.Random(3)
    rows = [{**row, "q7": _code_of(row["years"], draw, MEAN_AGES)} for row in people(225)]
    made = init(write([{k: v for k, v in row.items() if k != "years"} for row in rows], tmp_path / "coded.csv"))
    assert made["features"]["q7"] == "number"


BANDS: dict[str, Callable[[int, random.Random], object]] = {
    "generations": lambda age, _: ["Z", "Y", "X", "Boomer"][(age > 28) + (age > 44) + (age > 60)],
    "another language": lambda age, _: ["молодий", "середній", "старший"][(age > 35) + (age > 55)],
    "two": lambda age, _: age >= 40,
    "one of them rare": lambda age, _: age > 64,
    "both ends rare": lambda age, _: "ABC"[(age > 20) + (age > 64)],
    "numbers": lambda age, _: age // 10,
    "numbers in no order": lambda age, _: [7, 3, 9, 4][(age - 19) // 12],
    "some mistakes": lambda age, draw: "ABC"[(age > 30) + (age > 50)] if draw.random() > 0.01 else draw.choice("ABC"),
    "some missing": lambda age, draw: "ABC"[(age > 30) + (age > 50)] if draw.random() > 0.3 else None,
}
NO_BANDS: dict[str, Callable[[int, random.Random], object]] = {
    "retired": lambda age, draw: "retired" if age > draw.gauss(60, 5) else "at work",
    "studies": lambda age, draw: ["pupil", "student", "none"][(age > draw.gauss(20, 2)) + (age > draw.gauss(27, 6))],
    "nothing to do with the age": lambda _, draw: draw.choice(["a", "b", "c"]),
    "rare, by and large": lambda age, draw: age > draw.gauss(64, 2),
    "nearly nobody": lambda age, draw: age > 64 and draw.random() < 0.2,
}


@pytest.mark.parametrize("kind", [*BANDS, *NO_BANDS])
def test_the_age_in_wide_bands_is_no_feature(kind: str, tmp_path: Path) -> None:
    """Bands of any width, name, language or type are left out; courses of life, which the age does not decide, stay."""
    draw = random.Random(5)
    rows = [{**row, "g1": {**BANDS, **NO_BANDS}[kind](row["years"], draw)} for row in people(1500)]
    made = init(write([{k: v for k, v in row.items() if k != "years"} for row in rows], tmp_path / "bands.jsonl"))
    assert ("g1" in made["features"]) == (kind in NO_BANDS)
    assert made["left_out"].get("g1", "").startswith("gives the age away") == (kind in BANDS)


CONTACTS: dict[str, Callable[[random.Random], str]] = {
    "x1": lambda draw: f"+49 30 {draw.randint(10**6, 10**7)}",
    "x2": lambda draw: f"({draw.randint(200, 999)}) {draw.randint(200, 999)}-{draw.randint(1000, 9999)}",
    "x3": lambda draw: (
        f"DE{draw.randint(10, 99)} 3704 {draw.randint(1000, 9999)} {draw.randint(1000, 9999)} {draw.randint(10, 99)}"
    ),
    "x4": lambda draw: " ".join(str(draw.randint(1000, 9999)) for _ in range(4)),
    "Strasse": lambda draw: f"{draw.choice(['Lange Gasse', 'Am Markt'])} {draw.randint(1, 999)}{draw.choice('abc')}",
    "home_address": lambda draw: f"{draw.randint(1, 9999)} {draw.choice(['Main Street', 'Oak Road'])}",
    "E-Mail": lambda draw: f"{draw.getrandbits(30):x} at example.org",
}


@pytest.mark.parametrize("name", CONTACTS)
def test_numbers_and_addresses_of_people_are_no_features(name: str, tmp_path: Path) -> None:
    """With blanks, too, which are not the words of a text."""
    draw = random.Random(6)
    rows = [{k: v for k, v in {**row, name: CONTACTS[name](draw)}.items() if k != "years"} for row in people()]
    made = init(write(rows, tmp_path / "staff.csv"))
    assert set(made["features"]) == {"role", "salary", "started", "remote"}
    assert made["left_out"][name].endswith(("an identifier", "contact data by its name"))


NAMES_OF_PEOPLE = ["Nombre", "Nombre completo", "customer_name", "Kundenname", "Nom complet", "nome_cliente", "ФИО", "氏名"]


@pytest.mark.parametrize("name", NAMES_OF_PEOPLE)
def test_names_of_people_are_no_features_in_any_language(name: str, tmp_path: Path) -> None:
    """Though some people share a name, and its words are a text."""
    draw = random.Random(6)
    names = [f"{first} {last}" for first in ("José", "Ana", "Íñigo", "Zoë") for last in ("Muñoz", "Peña", "Ibáñez")]
    rows = [{k: v for k, v in {**row, name: draw.choice(names)}.items() if k != "years"} for row in people()]
    made = init(write(rows, tmp_path / "staff.csv"))
    assert set(made["features"]) == {"role", "salary", "started", "remote"}
    assert "name" in made["left_out"][name]


def test_names_of_other_things_and_french_numbers_stay_features(tmp_path: Path) -> None:
    """``nombre`` is a name in Spanish and a number in French, ``meno`` one in Slovak and the menopause: the values tell."""
    draw = random.Random(6)
    things = (
        {"company_name": draw.choice(["Peña", "Moll & Co"]), "Nombre": draw.randint(1, 9)}
        | {"meno": draw.randint(0, 1), "first": draw.choice(["yes", "no"]), "username": draw.randint(5_000, 5_500)}
        for _ in range(600)
    )
    rows = [{k: v for k, v in {**row, **thing}.items() if k != "years"} for row, thing in zip(people(), things, strict=True)]
    made = init(write(rows, tmp_path / "staff.csv"))
    assert set(made["features"]) == {"role", "salary", "started", "remote", "company_name", "nombre", "meno", "first"}
    assert made["left_out"]["username"] == "a name of a person"


def test_names_below_a_thing_are_those_of_the_thing(tmp_path: Path) -> None:
    """``company.name`` was left out as "a name of a person"; the name of a child, or of anything unknown, still is."""
    draw = random.Random(6)
    things = ("company", "kurse", "certifications", "previous employer")
    rows = []
    for row in people():
        named = {
            thing: [{"name": draw.choice(["Peña", "Moll & Co", "SAP"])} for _ in range(draw.randint(1, 3))] for thing in things
        }
        others = {"children": [{"name": draw.choice(["Peña", "Anna"])}], "boss": {"name": draw.choice(["Ibáñez", "Zoë"])}}
        others |= {"school": {"contact name": draw.choice(["Ibáñez", "Zoë"])}}
        rows.append({**{k: v for k, v in row.items() if k != "years"}, **named, **others})
    made = init(write(rows, tmp_path / "staff.jsonl"))
    names = {field for field, reason in made["left_out"].items() if reason == "a name of a person"}
    assert names == {"children[*].name", "boss.name", "school.contact name"}
    assert not [field for field in made["left_out"] if field.startswith(things)]


@pytest.mark.parametrize("name", ["account_balance", "phone_bill", "mail_count"])
def test_amounts_named_like_contact_data_stay_features(name: str, tmp_path: Path) -> None:
    """The balance of an account is no number of an account."""
    draw = random.Random(6)
    rows = [{k: v for k, v in {**row, name: round(draw.random() * 900, 2)}.items() if k != "years"} for row in people()]
    assert init(write(rows, tmp_path / "staff.csv"))["features"][name] == "number"


@pytest.mark.parametrize("first", [True, False])
def test_dummies_beside_their_column_are_left_out(first: bool, tmp_path: Path) -> None:
    """In front of the column that they are made of, and behind it; a flag that groups several values stays."""
    level = lambda n: n * 7 % 13 % 4  # noqa: E731
    rows = coded(level, "level", {f"level{k}": lambda n, k=k: int(level(n) == k) for k in range(4)})  # type: ignore[misc]
    rows = [{**row, "upper": int(row["level"] >= 2)} for row in rows]
    if first:
        rows = [{k: row[k] for k in sorted(row, key=lambda name: not name[-1].isdigit())} for row in rows]
    made = init(write(rows, tmp_path / "coded.csv"))
    assert {"level", "upper"} <= set(made["features"])
    for number in range(4):
        if f"level{number}" in made["left_out"]:
            assert made["left_out"][f"level{number}"] in ("tells whether level has one of its values", "the same value everywhere")
        assert f"level{number}" not in made["features"]


VALUES = {
    "family": ["married", "Single", "widow", "unknown"],
    "gender": ["M", "F", ""],
    "religion": ["Catholic", "Protestant", "Muslim"],
    "ethnic origin": ["White", "Black", "Asian", "Other"],
    "opinion": ["Democrat", "Republican", "Independent"],
    "national origin": ["US citizen", "non-citizen"],
    "": ["gold", "silver", "single malt"],
}


@pytest.mark.parametrize(
    "values", [["blanc", "noir", "asiatique"], ["weiß", "schwarz", "asiatisch"], ["branco", "preto", "africano"]]
)
def test_colours_beside_a_continent_are_an_origin(values: list[str]) -> None:
    """The colours are those of people, in the languages whose colours are known; colours alone are those of things."""
    assert (attribute_of_values(Counter(dict.fromkeys(values, 50)), "q3") or ("",))[0] == "ethnic origin"
    assert attribute_of_values(Counter(dict.fromkeys([*values[:2], "rouge"], 50)), "q3") is None


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize("attribute", VALUES)
def test_values_of_a_protected_attribute_are_no_feature_under_any_name(attribute: str, suffix: str, tmp_path: Path) -> None:
    """``init`` leaves the field out, names the attribute, and compares groups by it; ``plan`` says it of a feature file by hand."""
    draw = random.Random(7)
    rows = [{**row, "Fam.stand": draw.choice(VALUES[attribute])} for row in people()]
    source = write([{k: v for k, v in row.items() if k != "years"} for row in rows], tmp_path / f"people{suffix}")
    made = init(source)
    left = next((reason for field, reason in made["left_out"].items() if "stand" in field), "")
    assert left.startswith(f"its values are those of a protected attribute ({attribute}: ") == bool(attribute)
    config = Path(made["config"]).read_text()
    assert ('fam_stand = "\\"Fam.stand\\""' in config) == bool(attribute)
    features = Path(made["features_file"])
    if attribute:
        by_hand = '\n[features.stand]\nkind = "category"\npath = "\\"Fam.stand\\""\nmeaning = "x"\n'
        features.write_text(features.read_text() + by_hand)
    options = ("--config", made["config"], "--features", features, "--as-of", AS_OF)
    notes = json.loads(cli("plan", "--source", source, *options, "--json").stdout)["notes"]
    assert [f"protected attribute ({attribute}: " in note for note in notes] == ([True] if attribute else [])


@pytest.mark.parametrize(
    ("values", "attribute"),
    [
        (["Married-civ-spouse", "Never-married", "Divorced", "Widowed", "Married-AF-spouse"], "family"),
        (["Never married", "Living with partner", "separated"], "family"),
        (["verheiratet", "ledig", "geschieden", "keine Angabe"], "family"),
        (["m", "w", "d"], "gender"),
        (["Mr", "Mrs", "Ms"], "gender"),
        (["Herr", "Frau"], "gender"),
        (["gay", "straight", "bisexual"], "sexual orientation"),
        (["black", "white"], ""),
        (["black", "white", "red"], ""),
        (["single", "double"], ""),
        (["single", "family"], ""),
        (["f", "g", "m"], ""),
        (["yes", "no"], ""),
        (["married"], ""),
        ([f"v{n}" for n in range(100)], ""),
    ],
)
def test_values_tell_their_attribute(values: list[str], attribute: str) -> None:
    found = attribute_of_values(dict.fromkeys(values, 30))
    assert (found[0] if found else "") == attribute


@pytest.mark.parametrize(
    ("column", "group"), [("marital status", "marital_status"), ("Civil-Status", "civil_status"), ("2nd sex", "group_2nd_sex")]
)
def test_groups_are_called_by_the_words_of_their_field(column: str, group: str, tmp_path: Path) -> None:
    """A field whose name can be no key becomes a group under its words; a prefix is only for names that begin with a digit."""
    rows = [{**row, column: ("married", "single", "widowed")[at % 3]} for at, row in enumerate(people(300))]
    made = init(write([{k: v for k, v in row.items() if k != "years"} for row in rows], tmp_path / "groups.jsonl"))
    assert group in made["groups"]


def test_values_of_few_people_are_not_named() -> None:
    assert attribute_of_values({"married": 500, "single": 300, "widow": 3}) == ("family", ["married", "single"])


def test_decimal_commas_are_read_by_their_key(tmp_path: Path) -> None:
    """A number with a point among those with a comma is not taken for hundreds of times as much."""
    draw = random.Random(8)
    rows = [
        {"id": 100 + n, "age": draw.randint(19, 66) if n % 3 else None, "pay": f"{draw.randint(10, 99)},{draw.randint(10, 99)}"}
        for n in range(600)
    ]
    for row in rows[::100]:
        row["pay"] = "73.00"
    made = init(write(rows, tmp_path / "people.csv"))
    features = tomllib.loads(Path(made["features_file"]).read_text())["features"]["pay"]
    assert (features["kind"], features["decimal"]) == ("number", ",")
    assert 100 <= features["max"] <= 250


def test_an_id_that_most_rows_share_is_questioned(tmp_path: Path) -> None:
    """A wrong ``--pid`` is written, and the column that differs in each row is named beside it."""
    rows = [{**row, "price": 10 * (number % 150)} for number, row in enumerate(people())]
    source = write(rows, tmp_path / "people.csv")
    options = ("init", "--source", source, "--out", tmp_path / "made", "--as-of", AS_OF)
    said = cli(*options, "--pid", "price").stdout
    assert "150 in 600 records" in said
    assert "is staff_no the id? It differs in each record: --pid staff_no" in said
    assert "is staff_no the id?" not in cli(*options, "--pid", "staff_no", "--force").stdout


@pytest.mark.parametrize(
    ("options", "sentences"),
    [
        ((), ("no column at the top of the records looks like an age", "demographics.birth_year inside other values")),
        (("--pid", "patient.nr"), ("'patient.nr' cannot be pid: it lies inside patient",)),
        (("--pid", "patient"), ("'patient' cannot be pid", "objects or lists in patient")),
        (("--birth-year", "demographics.birth_year"), ("cannot be birth_year: it lies inside demographics",)),
    ],
)
def test_ids_and_ages_inside_other_values_are_explained(
    options: tuple[str, ...], sentences: tuple[str, ...], tmp_path: Path
) -> None:
    rows = [{"patient": {"nr": n, "ward": "x"}, "demographics": {"birth_year": 1950 + n % 40}} for n in range(100)]
    source = write(rows, tmp_path / "patients.jsonl")
    done = cli("init", "--source", source, "--out", tmp_path / "made", "--as-of", AS_OF, *options, check=2)
    for sentence in (*sentences, "only features may lie deeper", "docs/data-contract.md"):
        assert sentence in done.stderr


def test_ages_with_words_are_named(tmp_path: Path) -> None:
    """A column whose name says age and whose values are texts with a unit."""
    rows = [{"id": 100 + n, "Alter (J.)": f"{20 + n % 40} Jahre", "pay": n * 7 % 91} for n in range(100)]
    done = cli("init", "--source", write(rows, tmp_path / "people.csv"), "--out", tmp_path / "made", "--as-of", AS_OF, check=2)
    assert "Alter (J.)" in done.stderr
    assert "is text that is no number: write years, such as 42" in done.stderr


@pytest.mark.parametrize(
    ("path", "meaning"),
    [
        (("body", "height_cm"), "Body height, in centimetres."),
        (("smoking", "years"), "Smoking, in years."),
        (("years",), "Years, in years."),
        (("visits",), "Visits, a whole number."),
        (("salary_usd_month",), "Salary, in US dollars a month."),
        (("job", "hours_per_week"), "Job, in hours a week."),
        (("hours_per_week",), "Hours per week, in hours a week."),
        (("rent eur pro monat",), "Rent, in euros a month."),
        (("last_month",), "Last, in months."),
        (("Login days 30",), "Login days 30, a whole number."),
        (("orders_last_12_months",), "Orders last 12 months, a whole number."),
    ],
)
def test_a_meaning_has_its_unit_once(path: tuple[str, ...], meaning: str) -> None:
    field = Field(path, list(range(30)), list(range(30)))
    assert meaning_of(field, amount_of(field)) == meaning


CODES = {"zeros": "00.00.0000", "the first day of a century": "01.01.1900", "the end of time": "31.12.9999", "a word": "k.A."}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_texts_for_no_date_of_birth_are_proposed_as_missing_values(suffix: str, tmp_path: Path) -> None:
    """A run that takes the proposal knows the ages of all others; no date of minors is proposed, none that 19 people share, and no number."""
    codes = [*CODES.values()] * 30 + ["02.01.1900"] * 19 + ["19000101"] * 5 + ["01.01.2015"] * 25
    rows = [
        {"staff_no": n, "Date of Birth": code or f"{n % 28 + 1:02d}.{n % 12 + 1:02d}.{1950 + n % 50}", "team": "ABCDEFG"[n * n % 7]}
        for n, code in enumerate([*codes, *[""] * 600])
    ]
    source = write(rows, tmp_path / f"people{suffix}")
    said = cli("init", "--source", source, "--out", tmp_path, "--as-of", AS_OF, "--yes", "--json").stdout
    assert json.loads(said)["missing_values"] == sorted(CODES.values())
    proposed = tomllib.loads((tmp_path / "predict-age.toml").read_text())["source"]
    assert proposed["birth_date_format"] == "%d.%m.%Y"
    assert proposed["missing_values"] == [*MISSING_VALUES, *sorted(CODES.values())]
    files = ("--config", tmp_path / "predict-age.toml", "--features", tmp_path / "features.toml")
    plan = json.loads(cli("plan", "--source", source, "--as-of", AS_OF, *files, "--json").stdout)
    [dates] = plan["ages"]
    assert (dates["given"], dates["used"]) == (649, 600)


def test_names_keep_letters_with_accents(tmp_path: Path) -> None:
    rows = [{**row, "Einträge?": number % 7, "Straße": 150 + number * 37 % 50} for number, row in enumerate(people())]
    assert {"eintrage", "strasse"} <= set(init(write(rows, tmp_path / "people.csv"))["features"])


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("stray", [".csv", ".jsonl", ".parquet"])
def test_a_file_with_other_columns_is_named(suffix: str, stray: str, tmp_path: Path) -> None:
    """A stray file in the folder of the source, of the same format or another; without it nothing is said."""
    folder = tmp_path / "source"
    folder.mkdir()
    for number in range(3):
        write([{**row, "staff_no": f"{number}-{row['staff_no']}"} for row in people()], folder / f"part{number}{suffix}")
    assert init(folder)["other_files"] == []
    write([{"note": f"n{n}", "size": n % 3} for n in range(5)], folder / f"stray{stray}")
    [sentence] = init(folder)["other_files"]
    assert sentence.startswith(f"stray{stray} has no column ")
    write([{"note": f"n{n}", "size": n % 3} for n in range(500)], folder / f"stray{stray}")
    failed = cli("init", "--source", folder, "--out", tmp_path / "other", "--as-of", AS_OF, check=2).stderr
    assert f"stray{stray} has no column " in failed
    assert "part" not in sentence


COPIES = {
    "a flag": lambda sex, n: sex == "f",
    "a code": lambda sex, n: {"f": 17, "m": 4, "d": 9}[sex],
    "a finer code": lambda sex, n: f"{sex}{n % 3}".translate(str.maketrans("fmd", "xyz")),
    "a copy with slips": lambda sex, n: "m"[: n % 99 > 0].replace("m", {"f": "x1", "m": "x2", "d": "x3"}[sex]) or "x2",
    "a flag of one value": lambda sex, n: "yes" if sex == "d" else "no",
}


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_of_a_protected_attribute_is_left_out(copy: str, tmp_path: Path) -> None:
    """``is_f`` beside a field that is left out for its values was a feature; a field that goes with it half of the time stays."""
    sexes = [("f", "m", "f", "m", "d")[n * 7 % 5] for n in range(600)]
    more = [{"q7": sex, "z9": COPIES[copy](sex, n), "half": n % 2 if sex == "f" else n % 3} for n, sex in enumerate(sexes)]
    rows = [{k: v for k, v in {**row, **m}.items() if k != "years"} for row, m in zip(people(), more, strict=True)]
    made = init(write(rows, tmp_path / "staff.jsonl"))
    assert set(made["features"]) == {"role", "salary", "started", "remote", "half"}
    assert made["left_out"]["z9"] == "tells the same as q7, a protected attribute"


def test_a_column_of_small_objects_among_many_is_not_the_profile(tmp_path: Path) -> None:
    """All other columns were left out without a word."""
    rows = [{**row, "extra": json.dumps({"v": n % 7})} for n, row in enumerate(people())]
    made = init(write(rows, tmp_path / "staff.csv"))
    assert made["columns"]["profile_json"] == "*"
    assert {"role", "salary", "started", "remote"} <= set(made["features"])


@pytest.mark.parametrize(
    ("date", "read_by"),
    [
        ("{m:02}/{d:02}/2019", ""),
        ("{d:02}/{m:02}/2019", ""),
        ("{m:02}/01/2019", "%m/%d/%Y"),
        ("01/{m:02}/2019", "%d/%m/%Y"),
        ("{m:02}/{e:02}/2019", "%m/%d/%Y"),
    ],
)
def test_dates_that_may_be_read_either_way_are_left_out(date: str, read_by: str, tmp_path: Path) -> None:
    """They were read with the day first. Firsts of a month, and days above twelve, show the order."""
    rows = [
        {**{k: v for k, v in row.items() if k != "years"}, "seen": date.format(m=1 + n % 12, d=1 + n // 12 % 12, e=1 + n % 28)}
        for n, row in enumerate(people())
    ]
    made = init(write(rows, tmp_path / "staff.csv"))
    assert ("seen" in made["features"]) == bool(read_by)
    if read_by:
        assert read_by in Path(made["features_file"]).read_text()
    else:
        assert made["left_out"]["seen"].startswith("day and month may be either way round (%d/%m/%Y or %m/%d/%Y)")


GERMAN = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split()  # noqa: SIM905
RUSSIAN = "января февраля марта апреля мая июня июля августа сентября октября ноября декабря".split()  # noqa: SIM905
SPANISH = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split()  # noqa: SIM905
WHOLE_DATES = {
    "sas": lambda day: f"{day:%d%b%Y}".upper(),
    "sas_with_time": lambda day: f"{day:%d%b%Y}:00:00:00".upper(),
    "oracle": lambda day: f"{day:%d-%b-%Y}",
    "english": lambda day: f"{day:%d %B %Y}",
    "american": lambda day: f"{day:%B %d, %Y}",
    "in_digits": lambda day: f"{day:%Y%m%d}",
    "digits_from_day": lambda day: f"{day:%d%m%Y}",
    "points": lambda day: f"{day:%Y.%m.%d}",
    "without_zeros": lambda day: f"{day.year}-{day.month}-{day.day}",
    "clock": lambda day: f"{day:%d.%m.%Y} 00:00",
    "clock_of_month_first": lambda day: f"{day:%m/%d/%Y} 13:45:00",
}
OTHER_DATES = {
    "german": lambda day: f"{day.day}. {GERMAN[day.month - 1]} {day.year}",
    "russian": lambda day: f"{day.day} {RUSSIAN[day.month - 1]} {day.year}",
    "spanish": lambda day: f"{day.day} de {SPANISH[day.month - 1].upper()} de {day.year}",
    "month_in_words": lambda day: f"{GERMAN[day.month - 1][:3]} {day.year}",
    "month": lambda day: f"{day:%m.%Y}",
    "month_with_slash": lambda day: f"{day.month}/{day.year}",
    "year_and_month": lambda day: f"{day:%Y%m}",
}
MONTHS_ALONE = ("month_in_words", "month", "month_with_slash", "year_and_month")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_dates_in_any_form_become_years(suffix: str, tmp_path: Path) -> None:
    """Such columns were left out, or the month counted: 08.2009 as 8.2009. In lists, the latest and the earliest date count."""
    forms: dict[str, Callable[[dt.date], str]] = {**WHOLE_DATES, **OTHER_DATES}
    draw = random.Random(3)
    today = dt.date.fromisoformat(AS_OF)
    days = {name: [today - dt.timedelta(days=draw.randint(1, 12000)) for _ in people()] for name in (*forms, "on_min")}
    days["on_max"] = [today - dt.timedelta(days=draw.randint(13000, 16000)) for _ in people()]
    rows: list[Row] = []
    for n, row in enumerate(people()):
        dates: Row = {name: write_date(days[name][n]) for name, write_date in forms.items()}
        courses = {"courses": [{"on": f"{days['on_min'][n]:%d.%m.%Y}"}, {"on": f"{days['on_max'][n]:%d.%m.%Y}"}]}
        rows.append({"staff_no": row["staff_no"], "age": row["age"], **dates, **(courses if suffix == ".jsonl" else {})})
    made = init(write(rows, tmp_path / f"people{suffix}"))
    features = tomllib.loads(Path(made["features_file"]).read_text())["features"]
    profiles = [json.dumps(row) for row in rows]
    for name in (*forms, *(["on_min", "on_max"] if suffix == ".jsonl" else [])):
        asked = f"SELECT {features[name]['expression']} FROM (SELECT unnest(?) AS profile), (SELECT DATE '{AS_OF}' AS as_of)"
        years = [found for (found,) in duckdb.execute(asked, [profiles]).fetchall()]
        far = [abs(found - (today - day).days / 365.25) for found, day in zip(years, days[name], strict=True)]
        assert max(far) < (0.1 if name in MONTHS_ALONE else 0.003), name
    options = ("--config", made["config"], "--features", made["features_file"])
    cli("plan", "--source", tmp_path / f"people{suffix}", *options, "--as-of", AS_OF)


@pytest.mark.parametrize("form", WHOLE_DATES)
def test_dates_of_birth_in_any_form_are_known_ages(form: str, tmp_path: Path) -> None:
    """``init`` stopped at most of them: 300 of 300 ages known were "too few", or a format was to be set in a file not yet there."""
    draw = random.Random(4)
    rows = people()
    for row in rows:
        born = dt.date(2025 - row.pop("years"), 1, 1) + dt.timedelta(days=draw.randint(0, 290))
        row["date of birth"] = WHOLE_DATES[form](born) if row.pop("age") else None
    source = write(rows, tmp_path / "people.csv")
    made = init(source)
    assert made["columns"]["birth_date"] == "date of birth"
    assert made["known_ages"] == made["given_ages"] > 300
    done = cli(
        "plan", "--source", source, "--config", made["config"], "--features", made["features_file"], "--as-of", AS_OF, "--json"
    )
    assert json.loads(done.stdout)["ages"][0]["used"] == made["known_ages"]


def test_dates_that_make_no_feature_say_why(tmp_path: Path) -> None:
    """Years of two digits have no century; the end of a contract lies ahead."""
    draw = random.Random(6)
    rows = people()
    for row in rows:
        row |= {"joined": f"{draw.randint(1, 28)}.{draw.randint(1, 12)}.{draw.randint(10, 99)}"}
        row |= {"until": f"{draw.randint(1, 28)}.{draw.randint(1, 12)}.{draw.randint(2026, 2044)}"}
    left = init(write(rows, tmp_path / "people.csv"))["left_out"]
    assert left["joined"] == "dates whose years have two digits: declare them by hand"
    assert left["until"].startswith("dates, hardly any of them in the 100 years before the date of the run")


@pytest.mark.parametrize("repeated", [0, 100])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_amounts_that_nobody_shares_are_copies_only_in_one_order(suffix: str, repeated: int, tmp_path: Path) -> None:
    """Each of two columns of different numbers follows from the other, whatever they say; another unit keeps the order of both.

    ``repeated`` people have the number of another person, in all columns.
    """
    draw = random.Random(3)
    rows = [{**row, "height": draw.gauss(170, 9), "weight": draw.gauss(75, 12), "lung": draw.gauss(4, 1)} for row in people()]
    for n in range(repeated):
        rows[n] |= {name: rows[-1 - n][name] for name in ("height", "weight", "lung")}
    rows = [{**row, "inches": row["height"] / 2.54, "deficit": 300 - row["weight"]} for row in rows]
    made = init(write(rows, tmp_path / f"measured{suffix}"))
    assert {"height", "weight", "lung"} <= set(made["features"])
    assert made["left_out"]["inches"] == "tells the same as height"
    assert made["left_out"]["deficit"] == "tells the same as weight"


def test_roman_months_and_models_of_things_are_no_dates(tmp_path: Path) -> None:
    """4x2002 is a size, V 2002 a model of a car; only the rules about minors take them for months."""
    draw = random.Random(3)
    rows = [
        {**row, "size": f"{draw.choice([4, 5])}x{draw.choice([2001, 2002, 1800])}", "car": f"{draw.choice('VXI')} {2000 + n % 3}"}
        for n, row in enumerate(people())
    ]
    made = init(write(rows, tmp_path / "things.csv"))
    assert {made["features"].get(name) for name in ("size", "car")} == {"category"}


def test_a_year_of_two_digits_needs_a_day_and_a_month() -> None:
    """Three numbers and a unit between two numbers are no dates."""
    draw = random.Random(3)
    days = [dt.date(draw.randint(1950, 2020), draw.randint(1, 12), draw.randint(1, 28)) for _ in range(300)]
    for form in ("%d.%m.%y", "%m/%d/%y", "%y-%m-%d", "%d-%b-%y", "%d %B %y", "%d%b%y"):
        assert have_short_years([day.strftime(form) for day in days]), form
    for text in ("30-94-17", "32 kilo96", "45.50.60", "10xyz20", ""):
        assert not have_short_years([text] * 300), text
    numbers = [f"{draw.randint(1, 99)}-{draw.randint(1, 99)}-{draw.randint(10, 99)}" for _ in range(300)]
    assert not have_short_years(numbers)
