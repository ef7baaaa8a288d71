"""Damaged text files against an oracle that counts records in the bytes: nobody vanishes, merges or changes without a word."""

from __future__ import annotations

import gzip
import json
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import byte_oracle
from predict_age.config import SourceConfig
from predict_age.errors import InputError
from predict_age.source.discovery import list_source
from predict_age.source.rejected_rows import FileRows, check_rejected
from predict_age.source.text_readers import read_text

EXAMPLES = int(os.environ.get("FIRST_MILE_EXAMPLES", "100"))
FLAT = SourceConfig(approximate_age="age", profile_json="*")
NAMES = (
    "Al Example",
    "Müller",
    "O'Hara",
    'the "Boss"',
    "a, b; c",
    "two\nlines",
    "naïve|pipe",
    "x\ty",
    "Łódź",
    "12\u2033 pipe",
    "",
    "NA",
)
DAMAGES = (
    "none", "none", "none", "quote in", "quote out", "two quotes in", "cut", "byte out", "bad byte", "delimiter in", "nul", "line end out",
    "garbage line", "line end in", "packing cut", "quotes around rows", "quotes around rows",
)  # fmt: skip


@dataclass
class Made:
    """A generated file: its bytes, the people in it, which of them a damage touched, and what the oracle counts."""

    data: bytes = b""
    people: dict[int, tuple[int, str]] = field(default_factory=dict)
    touched: set[int] = field(default_factory=set)
    records: int | None = None
    name: str = ""
    damage: str = ""
    what: str = ""


def make(seed: int) -> Made:
    """File number ``seed``: dialect, layout, encoding, line ends, compression, name and damage are drawn."""
    draw = random.Random(seed)
    made = Made()
    kind = draw.choice(["csv", "csv", "csv", "jsonl", "array", "pretty array", "member", "values", "pretty values"])
    encoding = draw.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", *(["cp1252"] if kind == "csv" else [])])
    names = [n for n in NAMES if encoding != "cp1252" or n.encode("cp1252", "ignore").decode("cp1252") == n]
    made.people = {1000 + i: (20 + i % 60, draw.choice(names)) for i in range(draw.randint(2, 60))}
    end = draw.choice(["\n", "\n", "\r\n", "\r"])
    delimiter = draw.choice(",,;\t|")
    lines = _csv(made, draw, delimiter) if kind == "csv" else _json(made, kind)
    damage = made.damage = draw.choice(DAMAGES)
    lines = _damaged(lines, damage, made, draw, delimiter if kind == "csv" else ",")
    text = end.join(lines) + (end if draw.random() < 0.7 else "")
    counted = byte_oracle.csv_records(text, delimiter) if kind == "csv" else byte_oracle.json_records(text)
    made.records = None if made.records == -1 else counted
    made.data = (text.replace("\udcff", "\ufffd") if encoding == "utf-16" else text).encode(encoding, "surrogateescape")
    if damage == "cut":
        place = draw.randrange(len(made.data) // 3, len(made.data))
        left = made.data[:place].decode(encoding, "ignore")
        made.touched |= {pid for pid in made.people if str(pid) not in left or str(pid) in left[-120:]}
        made.data, made.records = made.data[:place], None
    packing = draw.choice(["", "", "", ".gz", ".zst"])
    if packing:
        made.data = gzip.compress(made.data) if packing == ".gz" else pa.compress(made.data, codec="zstd", asbytes=True)
    if damage == "packing cut" and packing:
        made.data, made.touched = made.data[: draw.randrange(12, len(made.data))], set(made.people)
    right = ".csv" if kind == "csv" else ".json"
    made.name = "people" + draw.choice([right, right, right.upper(), "", ".txt", ".json", ".csv"]) + packing
    made.what = f"{kind}, {encoding}, {end!r}, {delimiter!r}, {damage}, {made.name}"
    return made


def _csv(made: Made, draw: random.Random, delimiter: str) -> list[str]:
    style = draw.choice(["least", "least", "all", "header too"])

    def cell(value: object, always: bool) -> str:
        text = str(value)
        needed = any(sign in text for sign in (delimiter, '"', "\n", "\r"))
        return '"' + text.replace('"', '""') + '"' if needed or always else text

    header = ["pid", "name", "age"]
    rows = [delimiter.join(cell(n, style == "header too") for n in header)]
    return rows + [delimiter.join(cell(v, style != "least") for v in (pid, name, age)) for pid, (age, name) in made.people.items()]


def _json(made: Made, kind: str) -> list[str]:
    objects = [{"pid": pid, "name": name, "age": age} for pid, (age, name) in made.people.items()]
    if kind == "jsonl":
        return [json.dumps(o, ensure_ascii=False) for o in objects]
    if kind == "values":
        return ["".join(json.dumps(o) for o in objects)]
    if kind == "pretty values":
        return "\n".join(json.dumps(o, indent=1) for o in objects).split("\n")
    whole: Any = {"source": "crm", "people": objects, "count": len(objects)} if kind == "member" else objects
    return json.dumps(whole, indent=1 if kind == "pretty array" else None).split("\n")


def _damaged(lines: list[str], damage: str, made: Made, draw: random.Random, delimiter: str) -> list[str]:
    """``lines`` with a damage in one of them, or in two."""
    if damage in ("none", "cut", "packing cut") or len(lines) < 3:
        made.touched |= set(made.people) if len(lines) < 3 and damage != "none" else set()
        if len(lines) >= 3 or damage in ("none", "cut", "packing cut"):
            return lines
    around = 6 if lines[-1].strip() in ("]", "}") else 1  # an object may stand on five lines
    if damage == "quotes around rows" and len(lines) < 4:
        return lines
    if damage == "quotes around rows":
        return _swallowed(lines, made, draw, delimiter)
    rows = [draw.randrange(min(1, len(lines) - 1), len(lines)) for _ in range(2 if damage == "two quotes in" else 1)]
    for row in rows:
        line = lines[row]
        place = draw.randrange(len(line) + 1)
        made.touched |= {pid for pid in made.people if str(pid) in "\n".join(lines[max(row - around, 0) : row + around + 1])}
        quotes = [i for i, sign in enumerate(line) if sign == '"']
        edits = {
            "quote in": line[:place] + '"' + line[place:],
            "two quotes in": line[:place] + '"' + line[place:],
            "quote out": line[: quotes[0]] + line[quotes[0] + 1 :] if quotes else line,
            "byte out": line[:place] + line[place + 1 :],
            "bad byte": line[:place] + "\udcff" + line[place:],
            "delimiter in": line[:place] + delimiter + line[place:],
            "nul": line[:place] + "\0" + line[place:],
            "line end in": line[:place] + "\n" + line[place:],
            "garbage line": line + "\n%% no data here %%",
            "line end out": line,
        }
        lines[row] = edits[damage]
    if damage == "line end out" and rows[0] + 1 < len(lines):
        lines[rows[0] : rows[0] + 2] = [lines[rows[0]] + lines[rows[0] + 1]]
    return lines


def _swallowed(lines: list[str], made: Made, draw: random.Random, delimiter: str) -> list[str]:
    """A quote before a field of one line and one after that field of a later line: often one valid field over several records."""
    first = draw.randrange(1, len(lines) - 1)
    last = min(first + draw.randint(1, 4), len(lines) - 1)
    column = draw.randrange(3)
    for row, quoted in ((first, '"{}'), (last, '{}"')):
        cells = lines[row].split(delimiter)
        if len(cells) > column and '"' not in lines[row]:
            cells[column] = quoted.format(cells[column])
        lines[row] = delimiter.join(cells)
    made.touched |= {pid for pid in made.people if str(pid) in lines[first] or str(pid) in lines[last]}
    made.records = -1  # not what the characters say
    return lines


def _name(profile: str) -> str:
    try:
        return json.loads(profile).get("name") or ""
    except ValueError:  # a comma before a closing bracket is read and kept
        return "?"


def read(path: Path) -> tuple[dict[int, list[tuple[int, str]]], int, int]:
    """People by pid, usable rows and rejected records of all files."""
    people: dict[int, list[tuple[int, str]]] = {}
    rows = rejected = 0
    for file in list_source(str(path), FLAT).files:
        reasons: Counter[str] = Counter()
        chunks = list(read_text(file, FLAT))
        reasons.update(reason for chunk in chunks for _, reason in chunk.broken)
        check_rejected([FileRows(file.path, sum(c.records for c in chunks), reasons)], FLAT, "", lambda _: "")
        for chunk in chunks:
            rows += chunk.rows.num_rows
            rejected += len(chunk.broken)
            for row in chunk.rows.to_pylist():
                if row["pid"] and row["pid"].isdecimal():
                    age = row["approximate_age"] or ""
                    people.setdefault(int(row["pid"]), []).append((int(age) if age.isdecimal() else -1, _name(row["profile_json"])))
    return people, rows, rejected


def check(seed: int, folder: Path) -> str:
    """Read file number ``seed`` and compare; how it ended."""
    made = make(seed)
    path = folder / made.name
    path.write_bytes(made.data)
    try:
        people, rows, rejected = read(path)
    except InputError as error:
        assert made.damage != "none", f"{made.what}: {error}"
        return "refused"
    finally:
        path.unlink()
    if made.records is not None:
        assert rows + rejected == made.records, f"{made.what}: {rows} + {rejected} of {made.records}"
    for pid, (age, name) in made.people.items():
        if pid not in made.touched:
            found = [(a, "" if n == "NA" else n) for a, n in people.get(pid, [])]  # NA without quotes means nothing
            assert found == [(age, "" if name == "NA" else name)], f"{made.what}: {pid} is {found}"
    return "read"


def test_nobody_vanishes_merges_or_changes(tmp_path: Path) -> None:
    """Every person whose line was not touched comes out unchanged, and every record is counted, or the source is refused."""
    ended = [check(seed, tmp_path) for seed in range(EXAMPLES)]
    assert ended.count("read") > EXAMPLES // 3
    assert ended.count("refused") > EXAMPLES // 20


@pytest.mark.soak
def test_nobody_vanishes_in_five_hundred_files(tmp_path: Path) -> None:
    """The same for more files."""
    for seed in range(10_000, 10_500):
        check(seed, tmp_path)
