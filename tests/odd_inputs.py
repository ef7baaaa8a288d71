"""Sources that nobody would write, drawn at random: a number always makes the same bytes, with a configuration that fits them or nearly."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import odd_arrow
from small_models import SMALL_MODELS

ODD_CONFIG = f"""{SMALL_MODELS}lease_seconds = 3
"""
NAMES = (
    "",
    " ",
    "pid",
    "PID",
    "a",
    "A",
    "a.b",
    "a'b",
    'a"b',
    "a\\b",
    "a;b",
    "{}",
    "{a}",
    "%s",
    "$1",
    "?",
    "select",
    "*",
    "ü",
    "u\u0308",
    "名前",
    "a\u00a0b",
    "\u200b",
    "a\tb",
    "a\nb",
    "\\0",
    "a\x00b",
    "x" * 3000,
    "profile",
    "profile_json",
    "rowid",
    "file_row_number",
    "raw",
    "line",
    "birth_year",
    "1",
    "-- x",
    "/*",
    "\U0001f600",
    "birth-year",
    "problem",
    "known_age",
    "true",
    "null",
    "[*]",
    "a[0]",
    "$.a",
    "partition",
)
ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    14,
    35,
    2**31,
    2**53,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
    2**63,
    2**64,
    10**40,
    0.5,
    -0.0,
    1e308,
    -1e308,
    1e-320,
    float("nan"),
    float("inf"),
    float("-inf"),
    1e19,
    9007199254740993.0,
    "",
    " ",
    "NA",
    "null",
    "1",
    "01",
    "+1",
    "1.0",
    "1e3",
    "1,5",
    "0x10",
    "9" * 400,
    "1980",
    "1980-02-30",
    "1980-01-01",
    "0001-01-01",
    "9999-12-31",
    "19800101",
    "10000-01-01",
    "-0001-01-01",
    "1980-01-01T00:00:00Z",
    "1980-01-01T00:00:00+14:00",
    "x",
    "ü",
    "u\u0308",
    "İ",
    "'",
    '"',
    "\\",
    "\\u0000",
    "\x00",
    "\ufeff",
    "\u2028",
    "a,b",
    "a;b",
    "a\tb",
    "a\nb",
    "a\rb",
    "{}",
    "[]",
    '{"a": 1}',
    "[" * 100,
    "\U0001f600",
    [],
    {},
    [1, "x", None],
    {"a": {"b": [1]}},
    [[[]]],
    {"": 1},
    "123e4567-e89b-12d3-a456-426614174000",
    "١٩٨٠",
    "１９８０",
    "1980.0",
    "1980.5",
    "NaN",
    "Infinity",
    "1_980",
    "٣٥",
    "-",
    "+",
    ".",
    "e",
    "1e999999999",
    "0" * 5000,
)
LARGE: tuple[Callable[[], Any], ...] = (
    lambda: "x" * 1_000_000,
    lambda: '"' * 70_000,
    lambda: "{" * 200_000,
    lambda: [0] * 100_000,
    lambda: {f"k{i}": i for i in range(5000)},
    lambda: _deep(300),
    lambda: "\\" * 65_537,
)
ENCODINGS = ("utf-8",) * 12 + (
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "cp1252",
    "latin-1",
    "utf-32",
    "cp037",
    "shift_jis",
    "utf-7",
)
ENDINGS = (
    "csv",
    "CSV",
    "tsv",
    "txt",
    "json",
    "jsonl",
    "ndjson",
    "parquet",
    "PARQUET",
    "gz",
    "csv.gz",
    "json.gz",
    "zst",
    "bz2",
    "xlsx",
    "",
    "csv.json",
    "tmp",
    "crc",
    "avro",
)
FOLDERS = (
    "grade=low",
    "grade=",
    "=x",
    "pid=5",
    "birth_year=1980",
    "a=%2F",
    "a=__HIVE_DEFAULT_PARTITION__",
    "ü=ü",
    "a b=c d",
    "profile_json=x",
    "a=b=c",
    "a'b=\"",
    ".hidden",
    "_temporary",
    "sub",
    "x.csv",
    "a=1",
    "a=%ZZ",
    "a={}",
    "[a]",
    "a*",
    "a\\b=c",
    "a\nb=c",
    "approximate_age=40",
    "birth_date=1980-01-01",
    "A=2",
)


SETTINGS = (
    'encoding = "utf-16"',
    'encoding = "cp1252"',
    'encoding = "utf-8"',
    'encoding = "cp037"',
    'encoding = "utf-7"',
    'encoding = "shift_jis"',
    'encoding = "ascii"',
    'csv_delimiter = ";"',
    'csv_delimiter = "x"',
    'csv_delimiter = "\\t"',
    'csv_delimiter = "\'"',
    'csv_quote = ""',
    'csv_quote = "\'"',
    'csv_escape = "\\\\"',
    'csv_line_breaks = "trusted"',
    "missing_values = []",
    'missing_values = ["", "\'", "1"]',
    'pid_type = "text"',
    'pid_type = "integer"',
    'format = "csv"',
    'format = "json"',
    'format = "parquet"',
    'birth_date_format = "%d/%m/%Y"',
    "max_set_aside_share = 1.0",
    "max_set_aside_share = 0.0",
)


@dataclass(frozen=True)
class OddSource:
    """A source on disk: the path to give to the command, the text of a configuration, and what it was made of."""

    path: Path
    config: str
    description: str


def _deep(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


def make_source(number: int, folder: Path) -> OddSource:
    """Source ``number`` below ``folder``. Number -1 is a sound one."""
    draw = random.Random(f"source {number}")
    root = folder / "source"
    root.mkdir()
    people = _people(draw, 240 if number < 0 else draw.choice([0, 1, 5, 30, 40, 40, 50, 50, 60, 60, 60, 60]))
    if number < 0:
        (root / "people.jsonl").write_text("".join(json.dumps(p) + "\n" for p in people))
        return OddSource(root, ODD_CONFIG, "sound")
    flat, calm = draw.random() < 0.5, draw.random() < 0.6  # a calm one has sound bytes under a usual name
    if draw.random() < 0.7:
        _make_odd(draw, people)
    columns = dict.fromkeys([k for p in people for k in p] or ["pid", "approximate_age", "profile_json"])
    names = _renamed(draw, list(columns))
    said: list[str] = [f"{len(people)} people", "flat" if flat else "nested"]
    for _ in range(1 if calm else draw.choice([1, 1, 2, 3])):
        place = root
        while draw.random() < 0.2:
            place = place / draw.choice(FOLDERS)
        place.mkdir(parents=True, exist_ok=True)
        kind = draw.choice([_csv, _csv, _json, _json, _parquet, _parquet, _parquet])
        data, ending, what = kind(draw, people, names, flat)
        data, ending, packed = _packed(draw, data, ending)
        data, damage = (data, "") if calm else _damaged(draw, data)
        if not calm and draw.random() < 0.15:
            ending = draw.choice(ENDINGS)
        name = draw.choice(
            ["p", "p", "p", "part-0", "a b", "ü", "a'b", 'a"b', "a;b", "{}", "[x]", ".p", "_p", "a\nb", "a%20b", "*"]
        ) + (f".{ending}" if ending else "")
        (place / name).write_bytes(data)
        said.append(f"{(place / name).relative_to(root)!s}: {what} {packed} {damage} {len(data)} bytes {data[:60]!r}")
        people = people if draw.random() < 0.5 else _people(draw, draw.choice([0, 1, 30]))
    said.append("" if calm else _around(draw, root))
    path = root if calm or draw.random() < 0.8 else draw.choice(sorted(root.rglob("*")) or [root])
    config = _config(draw, names, flat)
    return OddSource(path, config, "; ".join(s for s in said if s) + f"; config {config[: config.index('[training]')]!r}")


def _people(draw: random.Random, n: int) -> list[dict[str, Any]]:
    """``n`` sound people, three of four with a known age."""
    people = []
    for i in range(n):
        age = draw.randint(20, 60)
        person: dict[str, Any] = {"pid": i + 1, "birth_year": None, "approximate_age": None, "birth_date": None}
        known = draw.choice(["birth_year", "approximate_age", "birth_date", None])
        person |= (
            {"birth_year": 2025 - age} if known == "birth_year" else {"approximate_age": age} if known == "approximate_age" else {}
        )
        person |= {"birth_date": f"{2025 - age}-03-05"} if known == "birth_date" else {}
        person["profile_json"] = {
            "tenure_months": max(0, (age - 20) * 12 + draw.randint(-9, 9)),
            "job_level": draw.choice(["junior", "senior"]),
        }
        people.append(person)
    columns = draw.sample(["birth_year", "approximate_age", "birth_date"], draw.choice([0, 0, 1, 2]))
    return [{k: v for k, v in p.items() if k not in columns} for p in people]


def _make_odd(draw: random.Random, people: list[dict[str, Any]]) -> None:
    """Put odd values into some places, or into a whole column, repeat people, add columns."""
    for _ in range(draw.choice([1, 1, 2, 4])):
        if not people:
            return
        value: Any = draw.choice(ODD) if draw.random() < 0.96 else draw.choice(LARGE)()
        column = draw.choice([*people[0], draw.choice(NAMES)])
        where = draw.choice([people, draw.sample(people, 1), draw.sample(people, min(3, len(people)))])
        change = draw.random()
        for person in where:
            if change < 0.6:
                person[column] = value
            elif change < 0.7:
                person.pop(column, None)
            elif change < 0.85 and isinstance(person.get("profile_json"), dict):
                person["profile_json"] = {
                    **person["profile_json"],
                    draw.choice([*NAMES, "tenure_months", "job_level", "education"]): value,
                }
            else:
                person[column] = draw.choice(ODD)
        if change > 0.97:
            people += people[: draw.randint(1, 5)]


def _renamed(draw: random.Random, columns: list[str]) -> dict[str, str]:
    """Name of each column in the file: its own, seldom another one."""
    return {c: draw.choice(NAMES) if draw.random() < 0.04 else c for c in columns}


def _config(draw: random.Random, names: dict[str, str], flat: bool) -> str:
    lines = ["[source]", 'profile_json = "*"' if flat else f"profile_json = {_toml(names.get('profile_json', 'profile_json'))}"]
    if draw.random() < 0.85:
        lines += [
            f"{c} = {_toml(n)}" for c, n in names.items() if c in ("pid", "birth_year", "approximate_age", "birth_date") and n != c
        ]
    if draw.random() < 0.12:
        lines.append(draw.choice(SETTINGS))
    if draw.random() < 0.3 and not any(line.startswith("max_set") for line in lines):
        lines.append("max_set_aside_share = 1.0")
    models = ODD_CONFIG if draw.random() < 0.8 else ODD_CONFIG.replace("batch_rows = 40", 'batch_rows = 7\npartition = "modulo"')
    return "\n".join(lines) + "\n" + models


def _toml(text: str) -> str:
    return (
        json.dumps(text).replace("\x7f", "\\u007f")
        if not any(0xD800 <= ord(c) < 0xE000 for c in text) and max(map(ord, text), default=0) < 0x10000
        else f'"{text}"'
    )


def _flattened(people: list[dict[str, Any]], names: dict[str, str], flat: bool) -> list[dict[str, Any]]:
    """Records with the names of the file; the profile's fields are columns of a flat one."""
    rows = []
    for person in people:
        row: dict[str, Any] = {}
        for key, value in person.items():
            if key == "profile_json" and flat and isinstance(value, dict):
                row |= value
            else:
                row[names.get(key, key)] = value
        rows.append(row)
    return rows


def _csv(draw: random.Random, people: list[dict[str, Any]], names: dict[str, str], flat: bool) -> tuple[bytes, str, str]:
    rows = _flattened(people, names, flat)
    header = list(dict.fromkeys(k for row in rows for k in row)) or list(names.values())
    if draw.random() < 0.08:
        header = draw.choice(
            [[*header, ""], ["", *header], [*header, header[0]], [h.upper() for h in header], header[:-1], [*header, "x" * 140_000]]
        )
    delimiter, quote = draw.choice(",,,,;;\t|: ~^"), draw.choice('""""\'')
    quoting = draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_NONE])
    end, out = draw.choice(["\n", "\n", "\r\n", "\r", "\n\r", "\x0b", "\u2028"]), io.StringIO()
    writer = csv.writer(
        out,
        delimiter=delimiter,
        quotechar=quote,
        quoting=quoting,
        lineterminator=end,
        escapechar="\\",
        doublequote=draw.random() < 0.8,
    )
    if draw.random() < 0.95:
        writer.writerow(header if header != [""] else [])
    for row in rows:
        cells = [_cell(row.get(h)) for h in header]
        if draw.random() < 0.005:
            cells = draw.choice([cells[:-1], [*cells, "x"], [], ["", ""]])
        writer.writerow(cells if cells != [""] else [])
    text = (
        draw.choice(["", "", "", "", "", "", "# comment" + end, end, "sep=;" + end])
        + out.getvalue()
        + draw.choice(["", "", "", end, '"', "\x1a", "\x00"])
    )
    data, encoding = _encoded(draw, text)
    return data, "csv", f"csv {delimiter!r} {quote!r} quoting {quoting} {end!r} {encoding}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, dict | list | bool) else str(value)


def _encoded(draw: random.Random, text: str) -> tuple[bytes, str]:
    encoding = draw.choice(ENCODINGS)
    try:
        return text.encode(encoding), encoding
    except UnicodeEncodeError:
        return text.encode(encoding, "replace"), encoding + " with ?"


def _json(draw: random.Random, people: list[dict[str, Any]], names: dict[str, str], flat: bool) -> tuple[bytes, str, str]:
    rows: list[Any] = _flattened(people, names, flat)
    if draw.random() < 0.05 and rows:
        rows[draw.randrange(len(rows))] = draw.choice(ODD)
    if not flat and draw.random() < 0.3:
        rows = [{k: json.dumps(v) if k == "profile_json" else v for k, v in r.items()} if isinstance(r, dict) else r for r in rows]
    shape = draw.choice(
        ["lines", "lines", "array", "pretty", "member", "concatenated", "nested", "values", "pretty values", "deep"]
    )
    ascii_only, end = draw.random() < 0.5, draw.choice(["\n", "\n", "\r\n", "\r", " ", ",", "\n\n", "\x1e", ""])
    texts = [json.dumps(r, ensure_ascii=ascii_only) for r in rows]
    if draw.random() < 0.05 and texts:
        place = draw.randrange(len(texts))
        record = texts[place]
        texts[place] = draw.choice(
            (
                record[:-1] + ', "pid": 7}',
                record.replace("1", "1e5", 1),
                "\ufeff" + record,
                record * 2,
                record.replace('"', "'"),
                "nul",
                "{" * 2000,
                "[" * 100_000,
                record.replace('"pid": ', '"pid": 0'),
                record[:-1] + ",}",
                record.replace('"', '"\\ud800', 1),
                "// x",
                "\x00",
                '{"pid": 1' + "0" * 5000 + "}",
            )
        )
    text = {
        "lines": lambda: end.join(texts) + end,
        "array": lambda: "[" + ",".join(texts) + "]",
        "pretty": lambda: json.dumps(rows, indent=2, ensure_ascii=ascii_only),
        "member": lambda: (
            '{"meta": {"n": 1}, ' + json.dumps(draw.choice(NAMES), ensure_ascii=True) + ": [" + ", ".join(texts) + "]}"
        ),
        "concatenated": lambda: "".join(texts),
        "nested": lambda: '{"a": {"b": [' + ",".join(texts) + "]}}",
        "values": lambda: "\n".join(json.dumps(list(r.values()) if isinstance(r, dict) else r) for r in rows),
        "pretty values": lambda: "\n".join(json.dumps(r, indent=1) for r in rows),
        "deep": lambda: "[" * 40 + ",".join(texts) + "]" * 40,
    }[shape]()
    data, encoding = _encoded(draw, text)
    return data, draw.choice(["json", "jsonl", "ndjson"]), f"json {shape} {end!r} {encoding}"


def _parquet(draw: random.Random, people: list[dict[str, Any]], names: dict[str, str], flat: bool) -> tuple[bytes, str, str]:
    rows = _flattened(people, names, flat)
    header = list(dict.fromkeys(k for row in rows for k in row)) or list(names.values())
    arrays, fields, said = [], [], []
    for name in header:
        values = [row.get(name) for row in rows]
        column = odd_arrow.column(draw, values, 0.12)
        arrays.append(column)
        fields.append(pa.field(name, column.type))
        if draw.random() < 0.2:
            said.append(f"{name[:20]}: {str(column.type)[:80]}")
    for _ in range(draw.choice([0, 0, 1, 2])):
        column = odd_arrow.column(draw, [None] * len(rows), 1.0)
        arrays.append(column)
        fields.append(pa.field(draw.choice(NAMES), column.type))
        said.append(f"+{fields[-1].name[:20]!r}: {str(column.type)[:120]}")
    options: dict[str, Any] = {
        "compression": draw.choice(["snappy", "zstd", "none", "gzip", "brotli", "lz4"]),
        "version": draw.choice(["1.0", "2.4", "2.6"]),
    }
    options |= {
        "use_dictionary": draw.random() < 0.5,
        "data_page_version": draw.choice(["1.0", "2.0"]),
        "write_statistics": draw.random() < 0.8,
    }
    if draw.random() < 0.3:
        options["row_group_size"] = draw.choice([1, 7, 13])
    options |= draw.choice(
        [
            {},
            {},
            {"use_deprecated_int96_timestamps": True},
            {"store_schema": False},
            {"coerce_timestamps": "ms", "allow_truncated_timestamps": True},
        ]
    )
    while arrays:
        table, sink = pa.table(arrays, schema=pa.schema(fields)), io.BytesIO()
        try:
            with pq.ParquetWriter(sink, table.schema, **{k: v for k, v in options.items() if k != "row_group_size"}) as writer:
                if draw.random() < 0.1:
                    writer.write_table(table.slice(0, 0))
                writer.write_table(table, row_group_size=options.get("row_group_size"))
            return sink.getvalue(), "parquet", f"parquet {options} {', '.join(said)}"
        except (pa.ArrowException, NotImplementedError, OSError, ValueError):
            fewer = (
                len(arrays) - 1 if len(arrays) < 100 else len(arrays) // 2
            )  # the column that Arrow refuses may be among the first
            arrays, fields = arrays[:fewer], fields[:fewer]
    return b"", "parquet", "an empty file"


def _packed(draw: random.Random, data: bytes, ending: str) -> tuple[bytes, str, str]:
    if draw.random() > 0.15:
        return data, ending, ""
    name = draw.choice(["gz", "gz", "zst", "bz2", "xz", "gz twice", "lz4"])
    packed = {
        "gz": lambda: gzip.compress(data),
        "zst": lambda: pa.compress(data, codec="zstd", asbytes=True),
        "bz2": lambda: bz2.compress(data),
        "xz": lambda: lzma.compress(data),
        "gz twice": lambda: gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :]),
        "lz4": lambda: pa.compress(data, codec="lz4", asbytes=True),
    }[name]()
    return packed, f"{ending}.{name.split()[0]}" if draw.random() < 0.8 else ending, name


def _damaged(draw: random.Random, data: bytes) -> tuple[bytes, str]:
    """Seven of ten as they are."""
    if draw.random() < 0.7 or not data:
        return data, ""
    place = draw.randrange(len(data))
    damage = draw.choice(
        ["cut", "flip", "flip", "quote", "byte", "nul", "twice", "out", "empty", "end out", "zeros", "other encoding", "space"]
    )
    flipped = bytearray(data)
    for _ in range(draw.choice([1, 1, 10])):
        flipped[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    made = {
        "cut": data[:place],
        "flip": bytes(flipped),
        "quote": data[:place] + draw.choice([b'"', b"'", b"\\"]) + data[place:],
        "byte": data[:place] + bytes([draw.randrange(256)]) + data[place:],
        "nul": data[:place] + b"\0" + data[place:],
        "twice": data + data,
        "out": data[:place] + data[place + draw.randint(1, 40) :],
        "empty": b"",
        "end out": data[:-1],
        "zeros": data[:place] + b"\0" * 5000,
        "other encoding": data + "ü;é\n".encode(draw.choice(["utf-16", "cp1252", "utf-8"])),
        "space": draw.choice([b" ", b"\n", b"\t", b"\xef\xbb\xbf", b"\xff\xfe"]) + data,
    }[damage]
    return made, f"damage {damage} at {place}"


def _around(draw: random.Random, root: Path) -> str:
    """Something else in the folder, seldom."""
    if draw.random() > 0.15:
        return ""
    what = draw.choice(
        [
            "empty file",
            "empty folder",
            "link to itself",
            "dangling link",
            "link to a file",
            "folder as file",
            "fifo",
            "markers",
            "spreadsheet",
        ]
    )
    files = [p for p in sorted(root.rglob("*")) if p.is_file()]
    if what == "empty file":
        (root / draw.choice(["e.csv", "e.jsonl", "e.parquet", "e", "e.gz"])).write_bytes(b"")
    elif what == "empty folder":
        (root / "nothing.parquet").mkdir(exist_ok=True)
    elif what == "link to itself":
        (root / "loop").symlink_to(root)
    elif what == "dangling link":
        (root / "gone.csv").symlink_to(root / "nowhere.csv")
    elif what == "link to a file" and files:
        (root / "again.link").symlink_to(files[0])
    elif what == "folder as file":
        (root / "d.csv" / "e.json").mkdir(parents=True, exist_ok=True)
    elif what == "fifo":
        os.mkfifo(root / "pipe.csv")
    elif what == "markers":
        (root / "_SUCCESS").write_bytes(b"")
        (root / ".p.parquet.crc").write_bytes(b"crc\0")
    else:
        (root / "p.xlsx").write_bytes(b"PK\x03\x04" + b"\0" * 100)
    return what
