"""Profile of a source: what it counts, and that no value of fewer than 20 people is in it."""

import csv
import datetime as dt
import gzip
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import predict_age
from conftest import cli
from predict_age.cli import render_profile
from predict_age.cli.console import PlainConsole
from predict_age.proposal import source_profile
from predict_age.proposal.candidates import propose
from predict_age.proposal.field_shapes import kind_of, shape_of
from predict_age.proposal.fields import collect_fields
from predict_age.proposal.sample import sample_source
from predict_age.proposal.source_profile import profile_of

AS_OF = "2025-10-23"
AS_OF_DATE = dt.date.fromisoformat(AS_OF)
PEOPLE = 2_000
RARE = 19  # people who share a planted value: one fewer than are shown
JOBS = ("Engineer", "Analyst", "Clerk")


def record(i: int) -> dict[str, Any]:
    """One person; those numbered below 19 have values that nobody else has."""
    rare = i < RARE
    return {
        "staff_no": f"S-{i * 7919 % 100_003:06d}",
        "first_name": ("Anna", "Bob", "Cem", "Zebulon")[3 if rare else i % 3],
        "gender": "f" if i % 2 else "m",
        "birth_year": None if i % 2 else 1950 + i % 50,
        "job": "Chief Zymurgist" if rare else JOBS[i % 3],
        "salary": 987_654.25 if rare else 20_000 + i * 7.5,
        "hired": "1931-02-03" if rare else f"{2000 + i % 20}-05-{1 + i % 28:02d}",
        "remote": "no" if rare else "yes",
        "never": None,
        "phone": f"+49 30 {5_550_000 + i}",
    }


def written(kind: str, folder: Path, rows: list[dict[str, Any]]) -> Path:
    """The same people in each form of a source."""
    if kind == "csv":
        with (folder / "people.csv").open("w", newline="") as stream:
            out = csv.DictWriter(stream, list(rows[0]))
            out.writeheader()
            out.writerows(rows)
        return folder / "people.csv"
    inner = ("job", "salary", "hired", "remote", "never", "phone")
    nested = [
        {
            **{k: v for k, v in r.items() if k not in inner},
            "profile": {k: r[k] for k in inner} | {"jobs": [{"title": r["job"]}] * 2},
        }
        for r in rows
    ]
    if kind == "jsonl":
        (folder / "people.jsonl").write_text("".join(json.dumps(r) + "\n" for r in nested))
        return folder / "people.jsonl"
    pq.write_table(pa.Table.from_pylist([{**r, "profile": json.dumps(r["profile"])} for r in nested]), folder / "people.parquet")
    return folder / "people.parquet"


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_profile_counts_and_shows_nobody(kind: str, tmp_path: Path) -> None:
    """Terminal, page and JSON: rows, kinds, shares, ages, ids and protected fields; no value that 19 people share."""
    source = written(kind, tmp_path, [record(i) for i in range(PEOPLE)])
    page = tmp_path / "page.html"
    said = cli("profile", "--source", source, "--as-of", AS_OF, "--html", page).stdout
    printed = cli("profile", "--source", source, "--as-of", AS_OF, "--json").stdout
    found = json.loads(printed)
    assert (found["rows"], found["records"], found["people"], found["id_column"]) == (PEOPLE, PEOPLE, PEOPLE, "staff_no")
    assert (found["ages"]["columns"], found["ages"]["given"], found["ages"]["known"]) == (["birth_year"], PEOPLE / 2, PEOPLE / 2)
    assert sum(found["ages"]["years"]) == pytest.approx(PEOPLE / 2, abs=1)
    fields = {f["name"].rpartition(".")[2]: f for f in found["fields"]}
    kinds = {name: fields[name]["kind"] for name in ("job", "salary", "hired", "remote", "birth_year")}
    assert kinds == {"job": "text", "salary": "number", "hired": "date", "remote": "true or false", "birth_year": "whole number"}
    assert fields["birth_year"]["missing"] == 0.5
    assert fields["salary"]["distinct"] == PEOPLE - RARE + 1
    assert fields["job"]["distinct"] == 4
    assert fields["job"]["proposed"] == ["category"]
    assert "gender" in fields["gender"]["protected"]
    assert fields["first_name"]["identity"]
    assert fields["phone"]["identity"]
    assert fields["staff_no"]["role"] == "id"
    everything = said + printed + page.read_text()
    for value in ("Zymurgist", "Zebulon", "987", "1931", "S-0", "+49", "5550", "Anna"):
        assert value not in everything, value
    assert sum(value in everything for value in JOBS) == 2, "the third one joins the 19 whom nobody may see"
    assert "Known ages at 2025-10-23" in said
    assert "2,000 rows in 1 file" in said
    assert "<script" not in page.read_text()
    assert "already" in cli("profile", "--source", source, "--html", page, check=2).stderr
    (tmp_path / "work" / "runs").mkdir(parents=True)
    (tmp_path / "work" / "published.json").write_text("{}")
    inside = tmp_path / "work" / "runs" / "page.html"
    assert "lies in the workspace" in cli("profile", "--source", source, "--html", inside, check=2).stderr
    assert not inside.exists()


def test_a_profile_fits_into_80_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bars stand between their two ends, notes are whole words; the bands at either end hold those further out, too."""
    rows = [record(i) | {"years_of_schooling_and_training": 9 + i % 12} for i in range(PEOPLE)]
    monkeypatch.setattr(render_profile, "stdout_console", lambda: PlainConsole(sys.stdout, 80))
    render_profile.show_profile(profile_of(str(written("csv", tmp_path, rows)), AS_OF_DATE, {}))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[3:])) <= 80, "all but the path of the source"
    at = {line.split()[0]: line for line in lines if line.strip()}
    assert re.search(r"9 [▁-█]{6,12} 20  +number *$", at["years_of_sch"])
    assert at["under"].split()[:3] == ["under", "30", "80"] and " and over " in "".join(lines)


def test_profile_counts_the_fields_that_init_proposes(tmp_path: Path) -> None:
    """Dates, numbers and codes in the forms of a spreadsheet: no field is called "no feature" of which init makes one."""
    day = [dt.date(2000 + i % 20, 1 + i % 12, 1 + i % 28) for i in range(400)]
    forms = {
        "iso": [f"{d}" for d in day],
        "dotted": [f"{d:%d.%m.%Y}" for d in day],
        "slashed": [f"{d:%m/%d/%Y}" for d in day],
        "compact": [f"{d:%Y%m%d}" for d in day],
        "in words": [f"{d:%d %B %Y}" for d in day],
        "comma": [f"{i * 3 % 97},5" for i in range(400)],
        "thousands": [f"{1 + i % 9}.{i * 7 % 1000:03d},00" for i in range(400)],
        "percent": [f"{i % 100} %" for i in range(400)],
        "with unit": [f"{i % 30} years" for i in range(400)],
        "code": [JOBS[i % 3] for i in range(400)],
        "list": [";".join(JOBS[: 1 + i % 3]) for i in range(400)],
        "constant": ["x"] * 400,
    }
    table = {"id": range(1_000_000, 1_000_400), "birth_year": [1950 + i % 50 for i in range(400)], **forms}
    with (tmp_path / "people.csv").open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(table)
        out.writerows(zip(*table.values(), strict=True))
    found = profile_of(str(tmp_path / "people.csv"), AS_OF_DATE, {})
    fields = collect_fields([{name: values[i] for name, values in forms.items()} for i in range(400)])
    ages: list[int | None] = [2025 - 1950 - i % 50 for i in range(400)]
    made = {candidate.field for candidate in propose(fields, AS_OF_DATE, ["id", "birth_year"], ages)[0]}
    assert {field.name for field in found.fields if field.proposed} == made
    assert {"iso", "dotted", "comma", "code"} <= made and "constant" not in made
    assert next(field.note for field in found.fields if field.name == "dotted") == ""
    assert f"{len(made)} of {len(table)} fields can become features" in found.findings[-1]


def test_records_of_one_person_count_once(tmp_path: Path) -> None:
    """A value in 40 records of one person is that of one person; the profile says how many people there are."""
    rows = [
        {"person": i // 10, "year": i % 10, "age": 30 + i % 10, "job": "Zymurgist" if i < 40 else JOBS[i // 10 % 3]}
        for i in range(4000)
    ]
    source = tmp_path / "panel.jsonl"
    source.write_text("".join(json.dumps(r) + "\n" for r in rows))
    found = predict_age.profile(source, as_of=AS_OF, pid="person", age="age")
    assert (found.records, found.people) == (4000, 400)
    assert "Zymurgist" not in json.dumps(found.as_json())
    assert any("4,000 records are of 400 people" in sentence for sentence in found.findings)
    assert "srcdoc" in found._repr_html_()


@pytest.mark.parametrize(
    "make",
    [
        lambda i: f"v{i % 40}",
        lambda i: i % 40,
        lambda i: i * 0.5,
        lambda i: f"{i % 700},5",
        lambda i: [1] * (i % 9),
        lambda i: f"20{i % 25:02d}-01-0{1 + i % 9}",
    ],
)
@pytest.mark.parametrize("rows", [1, 19, 20, 39, 41, 400, 2000])
def test_no_shape_stands_for_fewer_than_twenty(make: Callable[[int], object], rows: int) -> None:
    """In every kind of field, shown values have 20 people, the remainder none or 20, and bars hold everybody or nobody."""
    [field] = collect_fields([{"x": make(i)} for i in range(rows)]).values()
    shape = shape_of(field, kind_of(field))
    assert all(v.people >= 20 for v in shape.values)
    assert shape.others == 0 or shape.others >= 20 or not shape.values
    if shape.bins:
        assert sum(shape.bins) == pytest.approx(rows, abs=0.2)
        assert rows >= 40
        assert not shape.values


def test_source_without_ages_or_ids(tmp_path: Path) -> None:
    """A table that is none of people has a profile, too, which says what is missing; wrong columns and empty sources are refused."""
    source = tmp_path / "t.csv"
    source.write_text("colour,size\n" + "".join(f"{'red' if i % 2 else 'blue'},{i % 7}\n" for i in range(100)))
    found = predict_age.profile(source)
    assert found.ages is None
    assert found.no_columns
    assert [v.value for f in found.fields for v in f.shape.values][:2] == ["blue", "red"]
    assert "--birth-year" in " ".join(cli("profile", "--source", source).stdout.split())
    assert "no column 'nobody'" in cli("profile", "--source", source, "--age", "nobody", check=2).stderr
    cli("profile", "--source", tmp_path / "none.csv", check=3)


def test_age_bands_are_not_called_protected(tmp_path: Path) -> None:
    rows = [
        {"id": n, "age": 20 + n % 40, "age_group": "AB"[n % 2], "gender": "mf"[n % 2], "city": "XYZ"[n % 3]} for n in range(300)
    ]
    findings = profile_of(str(written("csv", tmp_path, rows)), AS_OF_DATE, {}).findings
    assert "the age itself, and no feature: age_group" in findings
    assert "protected, and no feature: gender" in findings


def test_rows_are_said_as_they_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet is counted, and what was read as a whole; lines of other text are about; packed text is not counted."""
    text = "id,age,note\n" + "".join(f'{i + 1000000},{20 + i % 50},"two\nlines"\n' for i in range(300))
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("a.csv", "b.csv.gz"):
        found = predict_age.profile(tmp_path / name)
        assert (found.rows, found.exact_rows, found.records, found.is_sample) == (300, True, 300, False)
    monkeypatch.setattr(source_profile, "sample_source", lambda source: sample_source(source, 100))
    found = predict_age.profile(tmp_path / "a.csv")
    assert (found.rows, found.exact_rows, found.records, found.is_sample) == (600, False, 100, True)
    assert predict_age.profile(tmp_path / "b.csv.gz").rows is None
    assert "rows not counted" in cli("profile", "--source", tmp_path / "b.csv.gz").stdout
    monkeypatch.undo()
    pq.write_table(pa.table({"id": range(30_000), "age": [40] * 30_000}), tmp_path / "c.parquet")
    found = predict_age.profile(tmp_path / "c.parquet")
    assert (found.rows, found.exact_rows, found.records, found.is_sample) == (30_000, True, 20_000, True)


LAYOUTS: dict[str, Callable[[list[str]], bytes]] = {
    "p.jsonl": lambda lines: "\n".join(lines).encode(),
    "p.json": lambda lines: f"[{','.join(lines)}]".encode(),
    "pretty.json": lambda lines: json.dumps([json.loads(line) for line in lines], indent=2).encode(),
    "member.json": lambda lines: f'{{"people": [{", ".join(lines)}]}}'.encode(),
    "p.jsonl.gz": lambda lines: gzip.compress("\n".join(lines).encode()),
    "p.json.gz": lambda lines: gzip.compress(f"[{','.join(lines)}]".encode()),
    "p.csv": lambda lines: "\n".join(["pid,age", *(f"{n},40" for n in range(len(lines)))]).encode(),
    "cr.csv": lambda lines: "\r".join(["pid,age", *(f"{n},40" for n in range(len(lines)))]).encode(),
    "p.csv.gz": lambda lines: gzip.compress("\n".join(["pid,age", *(f"{n},40" for n in range(len(lines)))]).encode()),
}


@pytest.mark.parametrize("people", [1, 30])
@pytest.mark.parametrize("name", LAYOUTS)
def test_rows_are_those_that_were_read_or_more(name: str, people: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every layout, whether all records are read or some; and a number of one has no plural."""
    lines = [json.dumps({"pid": n, "age": 40}) for n in range(people)]
    (tmp_path / name).write_bytes(LAYOUTS[name](lines))
    whole = profile_of(str(tmp_path / name), AS_OF_DATE, {})
    assert (whole.rows, whole.exact_rows, whole.is_sample) == (people, True, False)
    shown = cli("profile", "--source", tmp_path / name, "--html", tmp_path / "p.html").stdout
    shown += re.sub("<.*?>", "", (tmp_path / "p.html").read_text()) + predict_age.read(tmp_path / name)._repr_html_()
    assert f"{people} row" in shown
    assert not re.search(r"\b(1 rows|1 files|1 records|1 people|about 1 )", shown)
    monkeypatch.setattr(source_profile, "sample_source", lambda source: sample_source(source, 10))
    if people > 10:
        some = profile_of(str(tmp_path / name), AS_OF_DATE, {})
        assert some.is_sample and some.records == 10
        assert some.rows is None or some.rows >= people


def test_numbers_with_a_decimal_comma_have_the_shape_of_numbers() -> None:
    """They had none. Groups of three digits and texts without a comma are read as the feature reads them."""
    numbers = [n * 7 % 5000 / 4 + 1000 for n in range(2000)]
    written = [f"{n:,.2f}".replace(",", "_").replace(".", ",").replace("_", ".") for n in numbers]
    plain, comma = (collect_fields([{"x": value} for value in values])[("x",)] for values in (numbers, written))
    assert (kind_of(plain), kind_of(comma)) == ("number", "number with a decimal comma")
    assert shape_of(comma, kind_of(comma)) == shape_of(plain, kind_of(plain))
    assert shape_of(comma, kind_of(comma)).bins
