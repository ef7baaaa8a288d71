"""Bad input never kills a run: it is counted, kept aside with reason and position, or the run stops with one clear sentence."""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import TINY, Outcome, shared, tiny_run, write_jsonl
from predict_age.runs.run import Run
from predict_age.storage.row_accounting import WITHHELD_MINOR

GOOD = 120
Rows = list[dict[str, Any]]


@pytest.fixture
def good(people_rows: Rows) -> Rows:
    """People without any trouble."""
    return [dict(r) for r in people_rows[:GOOD]]


def books(outcome: Outcome) -> tuple[int, int, int, int, int]:
    """read, set aside, duplicate, distinct, default - of a run that ended well, and whose books balance."""
    assert outcome.code == 0, outcome.said
    r = outcome.run["rows"]
    assert r["read"] == r["usable"] + r["set_aside"]
    assert r["usable"] == r["distinct"] + r["duplicate"]
    assert r["distinct"] == r["existing"] + r["predicted"] + r["default"] + r["withheld"] == len(outcome.rows)
    return r["read"], r["set_aside"], r["duplicate"], r["distinct"], r["default"]


def place(outcome: Outcome, file: str = "*") -> list[tuple[int, str]]:
    """Position and reason of every record that was set aside (of this file)."""
    folder = outcome.workspace / "runs" / outcome.run["run_id"] / "set_aside"
    records = [r for p in folder.glob("*.parquet") for r in pq.read_table(p).to_pylist()]
    return sorted((r["position"], r["reason"]) for r in records if Path(r["file"]).match(file))


BAD_LINES = {
    "malformed in the middle": (b'{"pid": 5, "birth_year": }', "malformed_json"),
    "truncated line": (b'{"pid": 5, "birth_ye', "malformed_json"),
    "invalid UTF-8": (b'{"pid": 5, "name": "\xff\xfe"}', "invalid_utf8"),
    "top level null": (b"null", "not_an_object"),
    "top level array": (b"[1, 2]", "not_an_object"),
    "top level string": (b'"text"', "not_an_object"),
    "top level number": (b"17", "not_an_object"),
    "lone surrogate": (b'{"pid": 5, "profile_json": {"headline": "\\ud800"}}', "malformed_json"),
}


NOT_FINITE = ("NaN", "Infinity", "-Infinity", "1e999")


def rewritten(content: bytes, how: str) -> bytes:
    return {
        "CRLF": content.replace(b"\n", b"\r\n"),
        "byte order mark": b"\xef\xbb\xbf" + content,
        "no final newline": content.rstrip(b"\n"),
        "blank lines": content.replace(b"\n", b"\n\n"),
    }[how]


def test_json_spelling_changes_nothing(people_rows: Rows, tmp_path: Path) -> None:
    """Line ends, a byte order mark and blank lines do not change one row."""
    spellings = ("CRLF", "byte order mark", "no final newline", "blank lines")
    files = [write_jsonl(tmp_path / f"{how}.jsonl", people_rows[n * 40 : n * 40 + 40]) for n, how in enumerate(spellings)]
    plain = tiny_run(tmp_path / "*.jsonl", tmp_path / "w").rows
    for how, path in zip(spellings, files, strict=True):
        content = path.read_bytes()
        path.write_bytes(rewritten(content, how))
        assert path.read_bytes() != content
    outcome = tiny_run(tmp_path / "*.jsonl", tmp_path / "v")
    assert books(outcome) == (160, 0, 0, 160, 0)
    assert outcome.rows == plain


PROFILES: dict[str, tuple[Any, str, str]] = {
    # name: profile, source of the age, reason when it is DEFAULT
    "as a string": ('{"tenure_months": 30, "job_level": "Senior"}', "ML_PREDICTION", ""),
    "with extra keys": ({"tenure_months": 30, "never_seen": {"deep": [1, {"x": None}]}}, "ML_PREDICTION", ""),
    "empty text": ("", "DEFAULT", "profile_missing"),
    "no profile": (None, "DEFAULT", "profile_missing"),
    "an array": ([], "DEFAULT", "profile_not_an_object"),
    "malformed text": ("{oops", "DEFAULT", "profile_malformed"),
    "without any feature": ({}, "DEFAULT", "profile_without_features"),
    "infinite number": ('{"tenure_months": 1e999, "job_level": "Senior"}', "ML_PREDICTION", ""),
    "a million keys": ("{" + ",".join(f'"k{i}":1' for i in range(1_000_000)) + ',"job_level":"Senior"}', "ML_PREDICTION", ""),
    "200,000 levels deep": ('{"a":' * 200_000 + "1" + "}" * 200_000, "DEFAULT", "?"),
    "1 MB string": ({"headline": "x" * 1_000_000, "job_level": "Senior"}, "ML_PREDICTION", ""),
    "formula and script": (
        {"job_level": "=cmd()", "skills": ["<script>alert(1)</script>"], "tenure_months": 3},
        "ML_PREDICTION",
        "",
    ),
    "unseen category": ({"job_level": "Grand Vizier", "tenure_months": 30}, "ML_PREDICTION", ""),
    "negative and huge numbers": ({"tenure_months": -5, "linkedin_connections": 1e308, "job_level": "Senior"}, "ML_PREDICTION", ""),
}


PIDS: dict[str, tuple[Any, str | int]] = {
    "missing": (..., "pid_missing"),
    "null": (None, "pid_missing"),
    "empty": ("", "pid_missing"),
    "text": ("abc", "pid_not_an_integer"),
    "fraction": (1.5, "pid_not_an_integer"),
    "2^70": (2**70, "pid_out_of_range"),
    "negative": (-5, -5),
    "zero": (0, 0),
    "2^53+1": (2**53 + 1, 2**53 + 1),
    "2^63-1": (2**63 - 1, 2**63 - 1),
    "number as text": (" 17 ", 17),
}


PAIRS: dict[str, tuple[int | None, int | None, int | None]] = {
    # name: ages of two rows with one pid, and the age that counts
    "equal": (40, 40, 40),
    "conflicting": (40, 50, 40),
    "only one known": (None, 50, 50),
    "none known": (None, None, None),
}
KNOWN: dict[str, tuple[dict[str, Any], int | None, str]] = {
    # name: columns, age that counts, review reason or that the person is withheld
    "birth year 1850": ({"birth_year": 1850}, None, "IMPLAUSIBLE_AGE"),
    "birth year 2031": ({"birth_year": 2031}, None, "IMPLAUSIBLE_AGE"),
    "birth year 0": ({"birth_year": 0}, None, "IMPLAUSIBLE_AGE"),
    "birth year -1": ({"birth_year": -1}, None, "IMPLAUSIBLE_AGE"),
    "birth year as text": ({"birth_year": "1985"}, 40, ""),
    "birth year in words": ({"birth_year": "nineteen"}, None, "UNREADABLE_AGE"),
    "birth year true": ({"birth_year": True}, None, "UNREADABLE_AGE"),
    "age 0": ({"approximate_age": 0}, None, WITHHELD_MINOR),
    "age 150": ({"approximate_age": 150}, None, "IMPLAUSIBLE_AGE"),
    "age -3": ({"approximate_age": -3}, None, "IMPLAUSIBLE_AGE"),
    "age 18": ({"approximate_age": 18}, 18, ""),
    "age 17": ({"approximate_age": 17}, None, WITHHELD_MINOR),
    "age 13": ({"approximate_age": 13}, None, WITHHELD_MINOR),
    "age 40 and birth year 2015": ({"approximate_age": 40, "birth_year": 2015}, None, WITHHELD_MINOR),
    "disagree by 20": ({"birth_year": 1985, "approximate_age": 60}, 60, "AGE_AND_BIRTH_YEAR_DISAGREE"),
}


ODD = [*BAD_LINES, *NOT_FINITE, *PROFILES, *PIDS, *PAIRS, *KNOWN]  # each in a file of its own, which has ordinary people besides
BEFORE = 6  # ordinary people before an odd record, and as many behind it


def pid_of(name: str) -> int:
    """The id of the odd person in that file."""
    return -1000 - ODD.index(name)


def odd_records(name: str, profile: Any) -> list[Any]:
    """Records that do not belong among ordinary people; ``profile`` is an ordinary one."""
    pid = pid_of(name)
    if name in BAD_LINES:
        return [BAD_LINES[name][0]]
    if name in NOT_FINITE:
        return [f'{{"pid": {pid}, "approximate_age": {name}}}']
    if name in PROFILES:
        return [{"pid": pid, "profile_json": PROFILES[name][0]}]
    if name in PIDS:
        value = PIDS[name][0]
        return [{"approximate_age": 40} | ({} if value is ... else {"pid": value})]
    if name in PAIRS:
        return [{"pid": pid, "approximate_age": age, "profile_json": profile} for age in PAIRS[name][:2]]
    return [{"pid": pid, "profile_json": profile, **KNOWN[name][0]}]


@pytest.fixture(scope="module")
def odd(people_rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """One run over a file for each odd case."""

    def make(folder: Path) -> dict[str, Any]:
        (folder / "s").mkdir()
        for number, name in enumerate(ODD):
            few = people_rows[number * 2 * BEFORE : (number + 1) * 2 * BEFORE]
            first, *more = odd_records(name, few[0]["profile_json"])
            write_jsonl(folder / "s" / f"{name}.jsonl", [*few[:BEFORE], first, *few[BEFORE:], *more])
        config = TINY.replace("[prediction]", "[source]\nmax_set_aside_share = 1.0\n[prediction]")
        outcome = tiny_run(folder / "s", folder / "w", config=config)
        return {"code": outcome.code, "run": outcome.run, "said": outcome.said}

    folder, made = shared(tmp_path_factory, "odd-input", make)
    return Outcome(**made, workspace=folder / "w")


@pytest.fixture(scope="module")
def odd_rows(odd: Outcome) -> dict[int, tuple[Any, ...]]:
    """Its published rows by pid."""
    return odd.rows


def test_nobody_is_lost_among_odd_records(odd: Outcome) -> None:
    """Every record is counted, and each reason has its count."""
    rejected = [reason for _, reason in BAD_LINES.values()] + [e for _, e in PIDS.values() if isinstance(e, str)]
    ordinary, others = 2 * BEFORE * len(ODD), len(ODD) - len(rejected)
    defaults = len(NOT_FINITE) + sum(source == "DEFAULT" for _, source, _ in PROFILES.values())
    assert books(odd) == (
        ordinary + len(ODD) + len(PAIRS),
        len(rejected),
        len(PAIRS),
        ordinary + others,
        defaults,
    )
    assert odd.run["set_aside_reasons"] == Counter(rejected)
    reasons = Counter(reason for _, source, reason in PROFILES.values() if source == "DEFAULT" and reason != "?")
    found = Counter(odd.run["default_reasons"])
    assert found.total() == defaults
    assert all(found[reason] >= number for reason, number in (reasons | {"profile_missing": 2 + len(NOT_FINITE)}).items())
    assert "<script>alert" not in Path(odd.run["report"]).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", BAD_LINES)
def test_json_line_is_set_aside(name: str, odd: Outcome) -> None:
    """One unusable line in the middle: set aside with its line number and reason; everybody else is in the result."""
    assert place(odd, f"{name}.jsonl") == [(BEFORE + 1, BAD_LINES[name][1])]


@pytest.mark.parametrize("value", NOT_FINITE)
def test_age_that_is_no_finite_number(value: str, odd: Outcome, odd_rows: dict[int, tuple[Any, ...]]) -> None:
    """Such an age counts as missing; the person is kept (here without a profile: DEFAULT) and nothing is set aside."""
    assert place(odd, f"{value}.jsonl") == []
    assert odd_rows[pid_of(value)][1:5] == (35, None, 0.0, "DEFAULT")


def test_rows_set_aside_teach_nothing(good: Rows, tmp_path: Path) -> None:
    """A row without a usable pid is not trained on, though it has an age: the model is that of the clean source."""
    clean = tiny_run(write_jsonl(tmp_path / "a.jsonl", good), tmp_path / "w")
    odd = [{"pid": "x", "approximate_age": 99, "profile_json": good[0]["profile_json"]}] * 5
    outcome = tiny_run(write_jsonl(tmp_path / "b.jsonl", [*good[:60], *odd, *good[60:]]), tmp_path / "v")
    assert outcome.run["rows"]["set_aside"] == 5
    assert outcome.run["model_version"] == clean.run["model_version"]


@pytest.mark.parametrize("name", PROFILES)
def test_profile(name: str, odd_rows: dict[int, tuple[Any, ...]]) -> None:
    """A person with an odd profile and no known age: predicted, or DEFAULT with a counted reason; never lost, never fatal."""
    row, source = odd_rows[pid_of(name)], PROFILES[name][1]
    assert row[4] == source
    if source == "DEFAULT":
        assert row[1:4] == (35, None, 0.0)


@pytest.mark.parametrize("name", PIDS)
def test_pid(name: str, odd: Outcome, odd_rows: dict[int, tuple[Any, ...]]) -> None:
    """A whole number that fits 64 bits is a person; anything else is set aside with its reason."""
    expected = PIDS[name][1]
    assert place(odd, f"{name}.jsonl") == ([(BEFORE + 1, expected)] if isinstance(expected, str) else [])
    assert isinstance(expected, str) or odd_rows[expected][1] == 40


@pytest.mark.parametrize("name", PAIRS)
def test_duplicate_pid(name: str, odd_rows: dict[int, tuple[Any, ...]]) -> None:
    """The first of two rows with one pid that has a known age counts; the person is in the result once, the other row counted."""
    age, row = PAIRS[name][2], odd_rows[pid_of(name)]
    assert row[4] == ("ML_PREDICTION" if age is None else "EXISTING_APPROX_AGE")
    assert age is None or row[1] == age


@pytest.mark.parametrize("name", KNOWN)
def test_known_age(name: str, odd: Outcome, odd_rows: dict[int, tuple[Any, ...]]) -> None:
    """An age counts when it is a whole number inside the window; otherwise the person is predicted and QA says why."""
    columns, age, review = KNOWN[name]
    found = odd_rows[pid_of(name)]
    if review == WITHHELD_MINOR:
        assert (found[1], found[3], found[4]) == (None, None, review)
        review = ""
    else:
        known = "EXISTING_APPROX_AGE" if "approximate_age" in columns else "EXISTING_BIRTH_YEAR"
        assert found[4] == ("ML_PREDICTION" if age is None else known)
    assert age is None or (found[1], found[3]) == (age, 100)
    qa = odd.workspace / "runs" / odd.run["run_id"] / "qa"
    filters = [("pid", "=", pid_of(name))]
    [reason] = [r["review_reason"] for p in qa.glob("part_*.parquet") for r in pq.read_table(p, filters=filters).to_pylist()]
    assert (reason or "") == review


def test_gzip_cut_short(good: Rows, tmp_path: Path) -> None:
    """A compressed file that ends early is refused: fewer rows would look like a result."""
    whole = gzip.compress(write_jsonl(tmp_path / "x", good).read_bytes())
    (tmp_path / "s.jsonl.gz").write_bytes(whole[: len(whole) * 2 // 3])
    outcome = tiny_run(tmp_path / "s.jsonl.gz", tmp_path / "w")
    assert outcome.code == 3
    assert "s.jsonl.gz" in outcome.said
    assert outcome.published == ""


@pytest.mark.parametrize(
    ("what", "message"), [("file", "holds no rows"), ("folder", "holds no data files"), ("nothing", "does not exist")]
)
def test_empty_source(what: str, message: str, tmp_path: Path) -> None:
    """An empty file, an empty folder, no file at all: exit code 3, and which of them it was."""
    source = tmp_path / "source.jsonl"
    if what == "file":
        source.touch()
    elif what == "folder":
        source.mkdir()
    outcome = tiny_run(source, tmp_path / "w")
    assert outcome.code == 3
    assert message in outcome.said


@pytest.mark.parametrize("how", ["changed", "gone", "changed with its old date"])
def test_source_changes_during_the_run(how: str, good: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source file that is not what was read stops the run, at the next step or - where size and date lie - at the resume."""
    from predict_age.steps import batch_generator as step

    source = write_jsonl(tmp_path / "s.jsonl", good)
    once: list[int] = []

    def meddle(run: Run) -> Any:
        if not once:
            once.append(1)
            stat = source.stat()
            text = source.read_bytes()
            if how == "gone":
                source.unlink()
            else:
                source.write_bytes(text[:-3] + b" }\n" if how == "changed with its old date" else text + b"\n")
            if how == "changed with its old date":
                assert source.stat().st_size == stat.st_size
                os.utime(source, ns=(stat.st_atime_ns, stat.st_mtime_ns))
                raise OSError(28, "No space left on device")
        return plain(run)

    plain = step.batch_generator
    monkeypatch.setattr(step, "batch_generator", meddle)
    outcome = tiny_run(source, tmp_path / "w")
    if how == "changed with its old date":
        assert outcome.code == 6
        outcome = tiny_run(source, tmp_path / "w")
    assert outcome.code == 3
    assert "s.jsonl" in outcome.said
    assert outcome.published == ""


def test_nobody_needs_a_prediction(good: Rows, tmp_path: Path) -> None:
    """Everybody's age is known: no prediction, one empty batch, a result all the same."""
    rows = [{**r, "approximate_age": 20 + i % 40, "birth_year": None} for i, r in enumerate(good)]
    outcome = tiny_run(write_jsonl(tmp_path / "s.jsonl", rows), tmp_path / "w")
    assert books(outcome) == (GOOD, 0, 0, GOOD, 0)
    assert outcome.run["rows"]["predicted"] == 0


def test_everybody_needs_a_prediction(good: Rows, tmp_path: Path) -> None:
    """Nobody to learn from: exit code 3 and what to do."""
    rows = [{**r, "approximate_age": None, "birth_year": None} for r in good]
    outcome = tiny_run(write_jsonl(tmp_path / "s.jsonl", rows), tmp_path / "w")
    assert outcome.code == 3
    assert "too few people with a known age" in outcome.said
    assert outcome.published == ""


def test_batches_of_no_and_of_one_row(good: Rows, tmp_path: Path) -> None:
    """Files in which nobody, or one person, needs a prediction make such batches; everybody is in the result."""
    source = tmp_path / "s"
    source.mkdir()
    known = [{**r, "approximate_age": 20 + i % 40, "birth_year": None} for i, r in enumerate(good)]
    text = [{**r, "profile_json": json.dumps(r["profile_json"])} for r in known]
    schema = pa.schema(
        [("pid", pa.int64()), ("birth_year", pa.int64()), ("approximate_age", pa.int64()), ("profile_json", pa.string())]
    )
    pq.write_table(pa.Table.from_pylist(text[:60], schema), source / "a.parquet")
    pq.write_table(pa.Table.from_pylist([{**text[60], "approximate_age": None}], schema), source / "b.parquet")
    pq.write_table(pa.Table.from_pylist(text[61:], schema), source / "c.parquet")
    pq.write_table(pa.Table.from_pylist([], schema), source / "d.parquet")
    outcome = tiny_run(source, tmp_path / "w", config=TINY.replace("batch_rows = 40", "batch_rows = 1"))
    assert books(outcome) == (GOOD, 0, 0, GOOD, 0)
    assert outcome.run["rows"]["predicted"] == 1


@pytest.mark.parametrize(("bad", "code"), [(10, 0), (11, 3)])
def test_bad_row_threshold(bad: int, code: int, good: Rows, tmp_path: Path) -> None:
    """Up to ten bad rows (or 0.1 %) are set aside; one more stops the run before training, with count, limit and place."""
    outcome = tiny_run(write_jsonl(tmp_path / "s.jsonl", [*good, *[b"x"] * bad]), tmp_path / "w")
    assert outcome.code == code
    if code:
        assert f"{bad} of {GOOD + bad} rows cannot be used" in outcome.said
        assert "set_aside" in outcome.said
        assert outcome.published == ""


def spoil(kind: str) -> Callable[[Path, Rows], Path]:
    """A CSV whose 50th record is spoiled."""

    def write(path: Path, rows: Rows) -> Path:
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["pid", "birth_year", "approximate_age", "profile_json"])
            for number, r in enumerate(rows):
                cells = [r["pid"], r.get("birth_year"), r.get("approximate_age"), json.dumps(r["profile_json"])]
                if number == 49:
                    cells = {"too many": [*cells, "x", "y"], "too few": cells[:2], "no number": ["x1", *cells[1:]]}[kind]
                writer.writerow(cells)
        return path

    return write


def test_csv_records_are_set_aside(people_rows: Rows, tmp_path: Path) -> None:
    """A CSV record with too many or too few cells, or no usable pid, is set aside with its number."""
    kinds = {"too many": "wrong_number_of_columns", "too few": "wrong_number_of_columns", "no number": "pid_not_an_integer"}
    (tmp_path / "s").mkdir()
    for number, kind in enumerate(kinds):
        spoil(kind)(tmp_path / "s" / f"{kind}.csv", people_rows[number * 60 : number * 60 + 60])
    outcome = tiny_run(tmp_path / "s", tmp_path / "w")
    assert books(outcome) == (180, 3, 0, 177, 0)
    assert {kind: place(outcome, f"{kind}.csv") for kind in kinds} == {kind: [(50, reason)] for kind, reason in kinds.items()}
