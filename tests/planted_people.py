"""People whose values occur nowhere else, planted among generated ones, in every format of a source."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from personal_traces import Needles
from predict_age.source.text_ids import pid_of
from predict_age.synthetic.write import ROWS_PER_CHUNK, Chunk, record_batch

AS_OF = dt.date(2025, 10, 23)
FORMS = ("parquet", "jsonl", "jsonl.gz", "csv")
SHARED_BY_FEW = 15  # people with one value, fewer than may be shown
TEXT_FIELDS = ("company_name", "city", "postal_code", "headline", "locale", "currency", "cost_center", "department")
LETTERS = "bcdfghjkmnpqrstvwxz"


@dataclass
class Planted:
    """The source, who was planted in it, and what to search for."""

    source: Path
    texts: list[str] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    with_known_age: list[int] = field(default_factory=list)

    @property
    def needles(self) -> Needles:
        """Everything that must not turn up."""
        return Needles.of(self.texts, self.ids)

    @property
    def of_fields(self) -> Needles:
        """Values of profiles alone: those belong into no table either."""
        return Needles.of(self.texts)


class _Names:
    """Words that occur nowhere else."""

    def __init__(self, seed: int, texts: list[str]) -> None:
        self._dice, self._texts = random.Random(f"planted {seed}"), texts

    def word(self, beginning: str = "q") -> str:
        made = beginning + "".join(self._dice.choices(LETTERS, k=14))
        self._texts.append(made)
        return made

    def number(self) -> int:
        return self._dice.randrange(1 << 60, 1 << 62)


def plant(
    folder: Path,
    form: str = "parquet",
    *,
    people: int = 600,
    planted: int = 3 * SHARED_BY_FEW,
    text_ids: bool = False,
    seed: int = 5,
    odd_rows: bool = True,
    parts: int = 2,
) -> Planted:
    """Write ``people`` in ``parts`` files, of whom ``planted`` have values of their own in twelve fields, and an unusual id.

    One in three planted people has a known age, one has none, and one has an age that cannot be read. In each of these kinds, 15
    people share a category and a group. ``odd_rows``: also records that are set aside (broken JSON, ids that are none) and duplicates.
    """
    rows = [
        row
        for first in range(0, people, ROWS_PER_CHUNK)
        for row in record_batch(Chunk(seed, first, min(ROWS_PER_CHUNK, people - first), AS_OF))[0].to_pylist()
    ]
    found = Planted(folder / "source")
    names = _Names(seed, found.texts)
    shared: dict[int, dict[str, str]] = {}
    step = max(1, people // planted)
    for number in range(planted):
        row = rows[number * step]
        if number % (3 * SHARED_BY_FEW) < 3:
            shared[number % 3] = {name: names.word() for name in ("primary_skill", "country", "gender")}
        _make_unusual(row, names, number, shared[number % 3])
        row["pid"] = names.number() if not text_ids else names.word("person-")
        found.ids.append(pid_of(row["pid"]) if text_ids else row["pid"])
        if row["birth_year"] or row["approximate_age"]:
            found.with_known_age.append(found.ids[-1])
    if text_ids:
        for row in rows:
            row["pid"] = str(row["pid"]) if isinstance(row["pid"], str) else f"u{row['pid']}"
    if odd_rows:
        rows += [{**rows[number * step], "approximate_age": 33 + number} for number in range(3)]  # duplicates that contradict
        if form != "parquet":
            rows.append({**rows[1], "pid": "" if text_ids else names.word("noid-")})
    broken = [f'{{"pid": {names.word("broken")}, '] if odd_rows and form.startswith("jsonl") else []
    _write(found.source, form, rows, parts, broken)
    return found


def _make_unusual(row: dict[str, Any], names: _Names, number: int, shared: dict[str, str]) -> None:
    profile = json.loads(row["profile_json"])
    profile |= {name: names.word() for name in TEXT_FIELDS}
    profile |= {"email_provider": names.word() + ".example", "summary": f"decades {names.word()}", **shared}
    profile["education"] = [{"school": names.word(), "field": "law", "end_year": 2003}]
    profile["member_since"] = names.word()  # no date
    profile["a field of mine"] = {names.word(): names.word()}  # a key may be personal, too
    row["profile_json"] = json.dumps(profile)
    row["birth_year"], row["approximate_age"] = (1951 + number % 40, None) if number % 3 == 0 else (None, None)
    row["birth_date"] = names.word("born ") if number % 3 == 2 else None


def _write(folder: Path, form: str, rows: list[dict[str, Any]], parts: int, broken: list[str]) -> None:
    folder.mkdir(parents=True)
    for part in range(parts):
        some = rows[part::parts]
        path = folder / f"part-{part}.{form}"
        if form == "parquet":
            pq.write_table(pa.Table.from_pylist(some, schema=_schema(rows)), path)
        elif form == "csv":
            with path.open("w", newline="", encoding="utf-8") as stream:
                writer = csv.writer(stream)
                writer.writerow(_COLUMNS)
                writer.writerows([row.get(name) for name in _COLUMNS] for row in some)
        else:
            lines = [json.dumps(_with_escapes(row, n)) for n, row in enumerate(some)]
            text = "\n".join([*lines, *(broken if part == 0 else [])]) + "\n"
            path.write_bytes(gzip.compress(text.encode(), 1) if form.endswith(".gz") else text.encode())


_COLUMNS = ("pid", "birth_year", "approximate_age", "birth_date", "profile_json")


def _with_escapes(row: dict[str, Any], number: int) -> dict[str, Any]:
    """Every other profile as an object instead of text."""
    return {**row, "profile_json": json.loads(row["profile_json"])} if number % 2 else row


def _schema(rows: list[dict[str, Any]]) -> pa.Schema:
    text = any(isinstance(row["pid"], str) for row in rows)
    kinds = [pa.string() if text else pa.int64(), pa.int32(), pa.int32(), pa.string(), pa.string()]
    return pa.schema(list(zip(_COLUMNS, kinds, strict=True)))
