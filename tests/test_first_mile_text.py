"""CSV and JSON as they come: any dialect, encoding and layout gives the same people, and a damaged file is refused or counted."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import tracemalloc
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import TINY, cli, tiny_run
from faults import call
from predict_age.config import SourceConfig, load_config
from predict_age.errors import ConfigError, InputError
from predict_age.source import csv_dialect, csv_framing, text_stream
from predict_age.source.csv_blocks import find_together
from predict_age.source.csv_dialect import Dialect
from predict_age.source.discovery import list_source
from predict_age.source.row_group_reader import Split, read_split
from predict_age.source.source_file import SourceFile
from predict_age.source.text_readers import read_text

FLAT = SourceConfig(approximate_age="age", profile_json="*")
PEOPLE: list[tuple[int, int | None, str]] = [
    (1, 30, "Ulm"),
    (2, None, "Köln"),
    (3, 41, "St. Gallen; CH"),
    (4, 52, 'the "Lion", Bern'),
]


def only_file(path: Path, settings: SourceConfig = FLAT) -> SourceFile:
    [file] = list_source(str(path), settings).files
    return file


def rows_of(
    path: Path, content: bytes | None = None, settings: SourceConfig = FLAT
) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    """Working rows and rejected records of one file."""
    if content is not None:
        path.write_bytes(content)
    chunks = list(read_text(only_file(path, settings), settings))
    return [r for c in chunks for r in c.rows.to_pylist()], [b for c in chunks for b in c.broken]


def people_in(path: Path, content: bytes, settings: SourceConfig = FLAT) -> list[tuple[int, int | None, str]]:
    rows, rejected = rows_of(path, content, settings)
    assert not rejected
    return [
        (int(r["pid"]), int(r["approximate_age"]) if r["approximate_age"] else None, json.loads(r["profile_json"])["city"])
        for r in rows
    ]


def csv_text(end: str = "\r\n", **dialect: Any) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator=end, **dialect)
    writer.writerow(["pid", "age", "city"])
    writer.writerows([p, "" if a is None else a, c] for p, a, c in PEOPLE)
    return stream.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252"])
def test_csv_dialects_and_encodings_are_detected(delimiter: str, end: str, encoding: str, tmp_path: Path) -> None:
    """Delimiter, line end and encoding in every combination: the same people."""
    text = csv_text(end, delimiter=delimiter)
    if encoding == "utf-16-be":
        text = "\ufeff" + text
    assert people_in(tmp_path / "a.csv", text.encode(encoding)) == PEOPLE
    assert only_file(tmp_path / "a.csv").delimiter == delimiter


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (csv_text(quoting=csv.QUOTE_ALL), '"'),
        (csv_text(quoting=csv.QUOTE_ALL, quotechar="'"), "'"),
        (csv_text(quoting=csv.QUOTE_ALL, escapechar="\\", doublequote=False), '"'),
        ("sep=;\n" + csv_text("\n", delimiter=";"), '"'),
        ("\n\r\n" + csv_text(), '"'),
        (csv_text().replace("\r\n", "\r\r\n"), '"'),
        (csv_text("\n").replace("\n", "\n\n"), '"'),
        (csv_text("\n").rstrip("\n"), '"'),
    ],
    ids=[
        "all quoted",
        "single quotes",
        "escaped quotes",
        "sep line",
        "blank lines first",
        "CR CR LF",
        "blank lines",
        "no last end",
    ],
)
def test_csv_spellings_are_read(text: str, shown: str, tmp_path: Path) -> None:
    """Files that programs write under the name CSV are read."""
    assert people_in(tmp_path / "a.csv", text.encode()) == PEOPLE
    assert only_file(tmp_path / "a.csv").quote == shown


def test_what_is_configured_is_not_detected(tmp_path: Path) -> None:
    """Delimiter, quote, escape and encoding can be set, also to what nothing would detect."""
    path = tmp_path / "a.csv"
    odd = SourceConfig(approximate_age="age", profile_json="*", csv_delimiter=":", csv_quote="%", encoding="koi8-r")
    assert people_in(path, "pid:age:city\n1:30:%Пермь: A%\n".encode("koi8-r"), odd) == [(1, 30, "Пермь: A")]
    unquoted = SourceConfig(approximate_age="age", profile_json="*", csv_quote="")
    assert people_in(path, b'pid,age,city\n1,30,"Ulm\n2,31,"Bonn"\n', unquoted) == [(1, 30, '"Ulm'), (2, 31, '"Bonn"')]
    with pytest.raises(InputError, match=r"is not utf-8[\s\S]*utf-16-le"):
        rows_of(path, csv_text().encode("utf-16"), SourceConfig(encoding="utf-8"))
    file = tmp_path / "c.toml"
    for line in ('encoding = "klingon"', 'csv_delimiter = ",,"', 'csv_delimiter = "\\n"', 'csv_quote = "ab"'):
        file.write_text(f"[source]\n{line}\n")
        with pytest.raises(ConfigError, match="line 2"):
            load_config(file)


@pytest.mark.parametrize("encoding", [f"utf-{bits}-{order}" for bits in (16, 32) for order in ("le", "be")])
def test_wide_characters_need_no_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    """UTF-16 and UTF-32 without a byte order mark are told by their zero bytes, in CSV and JSON lines, also with Cyrillic and emoji."""
    cities = ["Ulm", "Пермь, город", "😀"] * 10
    text = "pid,age,city\n" + "".join(f'{i},30,"{city}"\n' for i, city in enumerate(cities))
    wanted = [(i, 30, city) for i, city in enumerate(cities)]
    assert people_in(tmp_path / "a.csv", text.encode(encoding)) == wanted
    lines = "".join(json.dumps({"pid": i, "age": 30, "city": c}, ensure_ascii=False) + "\n" for i, c in enumerate(cities))
    assert people_in(tmp_path / "a.jsonl", lines.encode(encoding)) == wanted


def test_a_file_that_is_not_its_encoding_stops_or_rejects(tmp_path: Path) -> None:
    """A byte that the encoding does not know: the record is rejected in UTF-8, the run stops in any other encoding."""
    path = tmp_path / "a.csv"
    text = "pid,age,city\n1,30,Köln\n2,31,Zürich\n3,32,Ulm\n".encode()
    rows, rejected = rows_of(path, text.replace(b"Ulm", b"U\xffm"))
    assert ([r["pid"] for r in rows], rejected) == (["1", "2"], [(2, "invalid_utf8")])
    claimed = SourceConfig(approximate_age="age", profile_json="*", encoding="cp1252")
    with pytest.raises(InputError, match=r"byte 28 cannot be decoded[\s\S]*0x81"):
        rows_of(path, b"pid,age,city\n1,30,Ulm\n2,31,\x81\n", claimed)
    for cut in (
        csv_text().encode("utf-16")[:-1],
        csv_text().encode("utf-16")[:40] + b"\x00\xd8" + csv_text().encode("utf-16")[40:],
    ):
        with pytest.raises(InputError, match=r"utf-16-le: byte [\d,]+ cannot be decoded"):
            rows_of(path, cut)
    rows, rejected = rows_of(path, b"pid,age,city\n1,30,Ulm\n2,31,U\0m\n")
    assert ([r["pid"] for r in rows], rejected) == (["1"], [(1, "nul_character")])


def test_two_encodings_in_one_file_stop(tmp_path: Path) -> None:
    """A file put together from two of different encodings: no value is read in the wrong one."""
    one, other = ([f"{i},{20 + i % 50},Köln\n" for i in range(a, a + 120_000)] for a in (0, 120_000))
    head = b"pid,age,city\n"
    for first, second in (("cp1252", "utf-8"), ("utf-8", "cp1252")):
        text = head + "".join(one).encode(first) + "".join(other).encode(second)
        path = tmp_path / "a.csv"
        path.write_bytes(text)
        with pytest.raises(InputError, match="a part of it is UTF-8") if first == "cp1252" else nullcontext():
            _, rejected = rows_of(path)
            assert len(rejected) == 120_000
            assert {r for _, r in rejected} == {"invalid_utf8"}
    _, rejected = rows_of(path, head + b"1,30,K\xf6ln\n2,31,Z\xc3\xbcrich\n")
    assert rejected == [(0, "invalid_utf8")]


HEAD = b"pid,name,age,city\n"
GOOD = b"".join(b"%d,Al Example,%d,Ulm\n" % (i, 20 + i % 50) for i in range(100, 200))


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        ([b'7,"Al Example,30,Ulm\n'], 102),
        ([b'7,"Al Example,30,Ulm\n', b'8,"Bo Example,31,Bonn\n'], 102),
        ([b'7,"Al Example,30,Ulm\n', b'8,Bo Example",31,Bonn\n'], 102),
        ([b'7,"Al,30,Ulm\n', b'8,"Bo,31,Bonn\n', b'9,"Cy,32,Gera\n'], 102),
        ([b'"7,Al,30,Ulm\n'], 102),
        ([b'7,Al,30,"Ulm\n'], 102),
        ([b'7,Al,30,"Ulm\n', b'8,Bo,31,Bonn"\n'], 102),
        ([b'7,"Al",30,"Ulm\n', b'8,"Bo",31,"Bonn"\n'], 102),
    ],
    ids=["one", "two", "two that fit", "three", "first column", "last column", "last columns that fit", "among quoted ones"],
)
@pytest.mark.parametrize("delimiter", [b",", b";"])
def test_stray_quotes_never_swallow_people(damage: list[bytes], line: int, delimiter: bytes, tmp_path: Path) -> None:
    """A quote that is opened by mistake, however many and wherever: the run stops and names file, line and byte."""
    content = HEAD + GOOD + GOOD.join(damage) + GOOD
    for path in (tmp_path / "a.csv", tmp_path / "a.csv.gz"):
        text = content.replace(b",", delimiter)
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
        with pytest.raises(InputError, match=rf"{path}, line {line}, byte [\d,]+: a quote") as error:
            rows_of(path)
        assert "Example" not in str(error.value), "no value of a person in a message"


def test_a_stray_quote_that_stays_on_its_line_rejects_that_record(tmp_path: Path) -> None:
    """Text after a closing quote on the same line: this record is rejected, its neighbours are not."""
    rows, rejected = rows_of(tmp_path / "a.csv", HEAD + GOOD + b'7,"Al" Example,30,Ulm\n' + GOOD)
    assert (len(rows), rejected) == (200, [(100, "stray_quote")])
    rows, rejected = rows_of(tmp_path / "a.csv", HEAD + GOOD + b'7,5" pipe,30,Ulm\n8,say "hi",31,Ulm\n' + GOOD)
    assert (len(rows), rejected) == (202, [])


def test_dumps_without_quoting_are_read(tmp_path: Path) -> None:
    """A tab- or bar-separated dump in which nothing is quoted: a quote is a character."""
    for delimiter in (b"\t", b"|"):
        text = (HEAD + GOOD + b'7,"Al Example,30,Ulm\n' + GOOD).replace(b",", delimiter)
        rows, rejected = rows_of(tmp_path / "a.txt", text)
        assert (len(rows), rejected, json.loads(rows[100]["profile_json"])["name"]) == (201, [], '"Al Example')


def test_line_breaks_inside_quotes_are_kept(tmp_path: Path) -> None:
    """Rightly quoted records may span lines; lines that look like records are refused unless they are trusted."""
    path = tmp_path / "a.csv"
    rows, rejected = rows_of(path, HEAD + b'1,"Al\nExample, the\r\nthird",30,Ulm\n2,Bo,31,Bonn\n')
    assert (len(rows), rejected, json.loads(rows[0]["profile_json"])["name"]) == (2, [], "Al\nExample, the\r\nthird")
    odd = HEAD + b'1,"he wrote:\n2,Bo,31,Bonn\nand left",30,Ulm\n'
    with pytest.raises(InputError, match='csv_line_breaks = "trusted"'):
        rows_of(path, odd)
    trusted = SourceConfig(approximate_age="age", profile_json="*", csv_line_breaks="trusted")
    assert len(rows_of(path, odd, trusted)[0]) == 1


def test_ragged_records_are_rejected_alone(tmp_path: Path) -> None:
    """Too many or too few fields, a carriage return of its own: that record, and no other."""
    text = HEAD + b"1,Al,30,Ulm\n2,Bo\n3,Cy,32,Gera,x\n4,D\ry,33,Ulm\n5,Ed,34,Ulm\n"
    rows, rejected = rows_of(tmp_path / "a.csv", text)
    assert [r["pid"] for r in rows] == ["1", "5"]
    assert rejected == [(1, "wrong_number_of_columns"), (2, "wrong_number_of_columns"), (3, "stray_carriage_return")]


@pytest.mark.parametrize("size", [131_072, 200_000, 3_000_000])
def test_header_cells_of_any_size(size: int, tmp_path: Path) -> None:
    """A header cell longer than any limit of the csv module, also beyond the sample that detection sees."""
    text = b"pid,age,city," + b"x" * size + b"\n1,30,Ulm,1\n2,31,Bonn,2\n"
    assert people_in(tmp_path / "a.csv", text) == [(1, 30, "Ulm"), (2, 31, "Bonn")]


def test_column_names_need_no_identifiers(tmp_path: Path) -> None:
    """Names that are empty, differ in case, or hold quotes, blanks and SQL are data, in every format."""
    names = ["", "pid", "age", "City", "city", "it's", 'say "x"', "no\u00a0break", "a; DROP TABLE x", "$.a", "/b", "~", ""]
    values = ["0", "1", "30", "Ulm", "Bonn", "c", "d", "e", "f", "g", "h", "i", ""]
    stream = io.StringIO()
    csv.writer(stream).writerows([names, values])
    rows, rejected = rows_of(tmp_path / "a.csv", stream.getvalue().encode())
    assert not rejected
    expected = {n: v for n, v in zip(names, values, strict=True) if n not in ("", "pid", "age")}
    assert json.loads(rows[0]["profile_json"]) == expected
    for odd in ("no\u00a0break", "it's", 'say "x"', "a/b~c", ""):
        settings = SourceConfig(pid=odd, profile_json="*")
        path = tmp_path / "b.jsonl"
        [row], _ = rows_of(path, json.dumps({odd: 7, "birth_year": 1980}).encode(), settings)
        assert (row["pid"], row["birth_year"]) == ("7", "1980")
    with pytest.raises(InputError, match="appears twice"):
        rows_of(tmp_path / "a.csv", b"pid,age,city,city\n1,30,a,b\n")


def test_missing_value_tokens_have_one_rule(tmp_path: Path) -> None:
    """NA and the like without quotes mean nothing; in quotes they are text; the list can be set."""
    path = tmp_path / "a.csv"
    text = b'pid,age,city\n1,NA,"NA"\n2,NULL,NA\n3,,\\N\n4,nan,NaN\n5,None,None\nNA,30,Ulm\n'
    rows, _ = rows_of(path, text)
    assert [r["pid"] for r in rows] == ["1", "2", "3", "4", "5", None]
    assert {r["approximate_age"] or None for r in rows[:5]} == {None}
    assert [json.loads(r["profile_json"])["city"] for r in rows] == ["NA", None, None, None, None, "Ulm"]
    rows, _ = rows_of(path, text, SourceConfig(approximate_age="age", profile_json="*", missing_values=("-",)))
    assert json.loads(rows[1]["profile_json"])["city"] == "NA"


def doubtful(data: bytes, dialect: Dialect, *, final: bool) -> bool:
    """Whether a quote or carriage return stands where the grammar has none, told byte by byte."""
    quote, line_end, delimiter = dialect.quote.encode(), dialect.line_end, dialect.delimiter.encode()
    if (line_end == b"\r" and b"\n" in data) or (quote and dialect.escape and quote in data and dialect.escape.encode() in data):
        return True
    inside = False
    for i in range(len(data)):
        before, sign, behind = data[i - 1 : i] if i else line_end, data[i : i + 1], data[i + 1 : i + 2] or line_end
        if quote and sign == quote:
            inside = not inside
            if inside and before not in (line_end, delimiter, quote):
                return True
            if not inside and behind not in (line_end, delimiter, quote, b"\r"):
                return True
        elif sign == b"\r" and line_end == b"\n" and not inside and behind not in (b"\n", b"\r"):
            return True
    return final and inside


@pytest.mark.parametrize("possessive", [csv_dialect.POSSESSIVE, b""], ids=["of this Python", "of Python before 3.11.5"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r"])
@pytest.mark.parametrize(("quote", "escape"), [('"', ""), ("'", ""), ("", ""), ('"', "\\")])
def test_bits_and_the_grammar_find_the_same_records(
    line_end: bytes, quote: str, escape: str, possessive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fast way over whole blocks agrees with the slow one record by record, and refuses only what is doubtful."""
    monkeypatch.setattr(csv_dialect, "POSSESSIVE", possessive)
    draw = random.Random(f"{line_end!r} {quote} {escape}")
    dialect = Dialect(",", quote, escape, line_end)
    q, end = quote or '"', line_end.decode()
    sound = [
        "a,b" + end,
        f"{q}a{q},b" + end,
        f"a,{q}b{q}{q}{q}" + end,
        f"{q}{q},{q}x{end}y{q}" + end,
        "," + end,
        end,
        "a" * 61,
        "bc,d",
        "\\,",
    ]
    odd = [q, ",", end, "\r\n", "\r", "\n", q + q, q + "," + q, q + end + q, "\\" + q]
    agreed = refused = 0
    for number in range(1500):
        signs = sound * draw.choice([1, 40]) + odd if number % 2 else [*odd, "a", "b"]
        data = "".join(draw.choices(signs, k=draw.choice([1, 5, 14, 60, 130]))).encode()
        final = draw.random() < 0.5
        fast = find_together(data, dialect, final=final)
        assert (fast is None) == doubtful(data, dialect, final=final), data
        if fast is None:
            refused += 1
            continue
        slow = csv_framing.Framer("f", dialect, 2, 0)._find_one_by_one(data, final=final)
        for name in ("starts", "ends", "fields"):
            assert getattr(fast, name).tolist() == getattr(slow, name).tolist(), (name, data)
        assert (fast.many_lines, fast.rest, fast.lines) == (slow.many_lines, slow.rest, slow.lines), data
        agreed += 1
    assert min(agreed, refused) > 200


def test_blocks_may_be_cut_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records across blocks of every small size: the same rows, positions and reasons."""
    csv_data = HEAD + b'1,"A\nl",30,"U""lm"\n2,Bo\n3,x"y,31,U\n\n4,"a" b,3,c\n5,"",,\n'
    json_data = b'{"a":{"pid":0},"people":[{"pid":1,"c":"]}\\"{"}, {"pid":2,"age":31} ,\n{"pid":3,"c":"\\\\"}],"n":[1]}'
    for name, data in (("a.csv", csv_data), ("b.json", json_data), ("c.json", b'{"pid":1}\n[1]\n{"pid":2,"x":"\xc3\xa9"}')):
        whole = rows_of(tmp_path / name, data)
        assert len(whole[0]) + len(whole[1]) >= 3
        for size in (*range(1, 40), 64, 100) if name != "b.json" else (60, 64, 70, 100):
            monkeypatch.setattr(text_stream, "BLOCK_BYTES", size)
            assert rows_of(tmp_path / name) == whole, (name, size)
        monkeypatch.undo()


RECORDS = [{"pid": p, "age": a, "city": c} for p, a, c in PEOPLE]
LAYOUTS = {
    "lines": "\n".join(map(json.dumps, RECORDS)),
    "CR": "\r".join(map(json.dumps, RECORDS)),
    "CRLF": "\r\n".join(map(json.dumps, RECORDS)) + "\r\n",
    "array": json.dumps(RECORDS),
    "array, one a line": "[\n" + ",\n".join(map(json.dumps, RECORDS)) + "\n]\n",
    "array, pretty": json.dumps(RECORDS, indent=2),
    "one record with an array of objects": json.dumps({"jobs": [{"pid": 5}], **RECORDS[0]}),
    "pretty records with arrays of objects": "\n".join(json.dumps({"jobs": [{"pid": 5}], **r}, indent=1) for r in RECORDS),
    "empty array": "[]",
    "member": json.dumps({"people": RECORDS}),
    "member among others": json.dumps(
        {"version": 1, "meta": {"by": ["x"]}, "rows": RECORDS, "next": None, "tags": [1, 2]}, indent=1
    ),
    "concatenated": "".join(map(json.dumps, RECORDS)),
    "with blanks": " ".join(map(json.dumps, RECORDS)),
    "pretty, in a row": "\n".join(json.dumps(r, indent=4) for r in RECORDS),
    "pretty, CR": "\r".join(json.dumps(r, indent=4) for r in RECORDS).replace("\n", "\r"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_json_layouts_are_read(layout: str, encoding: str, tmp_path: Path) -> None:
    """However records follow each other, and in whatever encoding of Unicode: the same people."""
    path = tmp_path / "a.json"
    found = people_in(path, LAYOUTS[layout].encode(encoding))
    assert found == ([] if layout == "empty array" else PEOPLE[:1] if layout.startswith("one record") else PEOPLE)


def test_several_objects_on_a_line_are_several_records(tmp_path: Path) -> None:
    """Inside JSON lines: objects that are not separated by lines, and arrays of objects."""
    text = b'{"pid":1}\n{"pid":2}{"pid":3} {"pid":4}\n[{"pid":5},{"pid":6}]\n[1]\n{"pid":7} x\n{"pid":8}\n'
    rows, rejected = rows_of(tmp_path / "a.jsonl", text)
    assert [(r["pid"], r["position"]) for r in rows] == [(p, n) for p, n in zip("1234568", (0, 1, 1, 1, 2, 2, 5), strict=True)]
    assert rejected == [(3, "not_an_object"), (4, "malformed_json")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(RECORDS)[:-20], "the array does not end"),
        (json.dumps(RECORDS, indent=1)[:-3], "the array does not end"),
        (json.dumps(RECORDS) + "x", "something follows the array"),
        (json.dumps(RECORDS).replace('"city": "K', '"city": K'), "no JSON|does not end"),
        (json.dumps(RECORDS).replace('"Ulm"', '"Ulm'), "no JSON|does not end"),
        (json.dumps({"people": RECORDS})[:-1], "the object around the array is damaged"),
        (json.dumps({"people": RECORDS, "more": RECORDS}), "a second array of objects"),
        ("\n".join(json.dumps(r, indent=4) for r in RECORDS)[:-9], "the last value does not end"),
        ("\n".join(json.dumps(r, indent=4) for r in RECORDS) + "}", "closed that was never opened"),
        (json.dumps(RECORDS).replace("}, {", "}} {", 1), "closed that was never opened"),
    ],
)
def test_a_damaged_json_text_is_refused(text: str, message: str, tmp_path: Path) -> None:
    """Nobody can say which records a damaged array has: the run stops and names file and place."""
    with pytest.raises(InputError, match=rf"a\.json[\s\S]*({message})") as error:
        rows_of(tmp_path / "a.json", text.encode())
    assert "Ulm" not in str(error.value)


def test_elements_that_are_no_objects_are_rejected(tmp_path: Path) -> None:
    """In an array, too, each element is a record."""
    rows, rejected = rows_of(tmp_path / "a.json", b'[{"pid":1}, null, 5, "x", [1], {"pid":2}, {"pid":3,"pid":3}]')
    assert [(r["pid"], r["position"]) for r in rows] == [("1", 0), ("2", 5)]
    assert rejected == [*((n, "not_an_object") for n in (1, 2, 3, 4)), (6, "duplicate_key")]


NUMBERS = {
    "123456789012345678.0": "123456789012345678",
    "123456789012345679.0": "123456789012345679",
    "9007199254740993.0": "9007199254740993",
    "9007199254740993.00": "9007199254740993",
    "9223372036854775807": "9223372036854775807",
    "1e3": "1000",
    "12E+2": "1200",
    "1.5e1": "15",
    "-7.0": "-7",
    "12.0": "12",
    "12.5": "12.5",
    "12.0000000000000000001": "12.0000000000000000001",
    "1e-2": "1e-2",
    "1e400": "1e400",
    '"12.0"': "12.0",
    '"1e3"': "1e3",
}


@pytest.mark.parametrize("spelling", ['{{"pid": {}}}', '[{{"pid": {}}}]', '{{"a": {{"pid": 4.5}}, "pid": {}}}', '{{"pid": {},}}'])
def test_ids_are_exact_to_the_digit(spelling: str, tmp_path: Path) -> None:
    """A number with a point or an exponent is the same number, or text that is no whole number; it never becomes another one."""
    found = {
        n: rows_of(tmp_path / "a.json", spelling.format(n).encode())[0][0]["pid"] for n in NUMBERS if '"' not in n + spelling[-3:]
    }
    assert found == {n: NUMBERS[n] for n in found}
    texts = {n: rows_of(tmp_path / "a.json", b'{"pid": %s}' % n.encode())[0][0]["pid"] for n in NUMBERS if '"' in n}
    assert texts == {n: NUMBERS[n] for n in texts}
    assert (len(found), len(texts)) == (14, 2)


@pytest.mark.parametrize("value", ["true", "{}", "[1]", "NaN", "-Infinity", '{"a":1}'])
def test_an_id_of_another_kind_is_rejected(value: str, tmp_path: Path) -> None:
    """Booleans, objects and arrays are no ids, also where text ids are."""
    rows, rejected = rows_of(tmp_path / "a.jsonl", b'{"pid": %s}\n{"pid": 1}\n' % value.encode())
    assert ([r["pid"] for r in rows], rejected) == (["1"], [(0, "pid_not_an_integer")])


@pytest.mark.parametrize(
    "record",
    [
        '{"pid":1,"pid":2}',
        '{"pid":1,"age":30,"x":1,"age":31}',
        '{"pid":1,"p\\u0069d":2}',
        '{"pid":1,"city":"a","city":"b"}',
        '{"pid":1,"x":{},"x":null}',
    ],
)
def test_a_key_twice_rejects_the_record(record: str, tmp_path: Path) -> None:
    """Which of two values counts nobody can say; the same key in two objects is no trouble."""
    text = f'{record}\n{{"pid":3,"a":{{"pid":4}},"b":{{"pid":5}}}}\n'.encode()
    rows, rejected = rows_of(tmp_path / "a.jsonl", text)
    assert ([r["pid"] for r in rows], rejected) == (["3"], [(0, "duplicate_key")])
    nested = b'{"pid":1,"profile_json":{"a":1,"a":2}}\n{"pid":2,"profile_json":{"a":1}}\n'
    rows, rejected = rows_of(tmp_path / "b.jsonl", nested, SourceConfig())
    assert ([r["pid"] for r in rows], rejected) == (["2"], [(0, "duplicate_key")])


@pytest.mark.parametrize("layout", ["array", "member", "values"])
def test_one_text_is_streamed(layout: str, tmp_path: Path) -> None:
    """Memory follows the block, not the file: 40 MB on one line."""
    path = tmp_path / "a.json"
    people = ({"pid": i, "age": 30, "city": "x" * 1000} for i in range(40_000))
    texts = map(json.dumps, people)
    begin, between, end = {"array": ("[", ",", "]"), "member": ('{"people":[', ",", "]}"), "values": ("", "", "")}[layout]
    path.write_text(begin + between.join(texts) + end)
    rows, most = 0, 0
    tracemalloc.start()
    try:
        for chunk in read_text(only_file(path), FLAT):
            rows += chunk.records
            most = max(most, tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert rows == 40_000
    assert most < 140 << 20


def partitioned(folder: Path, kind: str) -> Path:
    """People in ``grade=low/age=30`` and ``grade=high/age=__HIVE_DEFAULT_PARTITION__``."""
    for number, part in enumerate(("grade=low/age=30", "grade=high/age=__HIVE_DEFAULT_PARTITION__")):
        place = folder / part
        place.mkdir(parents=True)
        table = pa.table({"pid": [10 * number, 10 * number + 1], "city": ["Ulm", "Bonn"]})
        if kind == "parquet":
            pq.write_table(table, place / "part-0")
        else:
            text = [f"{r['pid']},{r['city']}" if kind == "csv" else json.dumps(r) for r in table.to_pylist()]
            (place / "part-0").write_text("\n".join([*(["pid,city"] if kind == "csv" else []), *text]))
    return folder


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_partition_folders_are_columns_in_every_format(kind: str, tmp_path: Path) -> None:
    """``key=value`` folders give the age, and a column of the profile."""
    found = []
    for file in list_source(str(partitioned(tmp_path / "lake", kind)), FLAT).files:
        if kind == "parquet":
            split = Split(0, 0, file.path, 0, 2, 0, False, partition=file.partition)
            [piece] = read_split(split, FLAT, with_profile=True)
            rows = [{**r, "profile_json": r["profile"]} for r in piece.raw.to_pylist()]
        else:
            rows = [r for c in read_text(file, FLAT) for r in c.rows.to_pylist()]
        found += [(int(r["pid"]), r["approximate_age"], json.loads(r["profile_json"])) for r in rows]
    profiles = [
        ({k: v for k, v in profile.items() if k in ("city", "grade")}, pid, age)
        for pid, age, profile in sorted(found, key=lambda f: f[0])
    ]
    assert profiles == [
        ({"city": "Ulm", "grade": "low"}, 0, "30"),
        ({"city": "Bonn", "grade": "low"}, 1, "30"),
        ({"city": "Ulm", "grade": "high"}, 10, None),
        ({"city": "Bonn", "grade": "high"}, 11, None),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", HEAD + GOOD + b'7,"Al Example,30,Ulm\n' + GOOD),
        ("a.csv.gz", gzip.compress(HEAD + GOOD)[:-30]),
        ("a.json", json.dumps(RECORDS)[:-20].encode()),
        ("a.jsonl", b"x\ny\n"),
        ("a.csv", b"id,age,city\n1,30,Ulm\n"),
        ("a.csv", HEAD + b"1,Al,30\n" * 30 + GOOD),
        ("a.csv", b""),
        ("a.parquet", b"PAR1 no"),
        ("a.csv", b"PK\x03\x04"),
        (
            "a.csv",
            HEAD
            + GOOD.replace(b",2", b",x").replace(b",3", b",x").replace(b",4", b",x").replace(b",5", b",x").replace(b",6", b",x"),
        ),
    ],
    ids=["quote", "cut", "array cut", "no record", "no pid", "ragged", "empty", "no Parquet", "Office", "nobody known"],
)
def test_plan_refuses_what_run_refuses(name: str, content: bytes, tmp_path: Path) -> None:
    """The same source gives the same sentence and the same code, before anything runs and after."""
    (tmp_path / name).write_bytes(content)
    config = tmp_path / "c.toml"
    config.write_text('[source]\nprofile_json = "*"\napproximate_age = "age"\n')
    features = tmp_path / "f.toml"
    features.write_text('format = 1\n[features.city]\nkind = "category"\npath = "city"\nmeaning = "City."\n')
    common = ["--source", tmp_path / name, "--config", config, "--features", features, "--as-of", "2025-10-23"]
    planned = call(["plan", *common])
    ran = call(["run", *common, "--workspace", tmp_path / "w", "-q"])
    sentences = [next(line for line in said.splitlines() if line.startswith("predict-age:")) for _, _, said in (planned, ran)]
    assert (planned[0], ran[0]) == (3, 3), (planned, ran)
    assert sentences[0] == sentences[1]


DRESS_FEATURES = """format = 1
[features.city]
kind = "category"
path = "city"
meaning = "City."
[features.tenure]
kind = "number"
path = "tenure"
min = 0
max = 60
default = 5
meaning = "Years here."
"""


def dressed(folder: Path) -> dict[str, Path]:
    """The same 240 people as seven sources."""
    draw = random.Random(5)
    people = [
        {
            "pid": 1000 + i,
            "age": draw.choice([None, 20 + i % 50]),
            "city": draw.choice(["Köln", "Ulm", "St. Gallen"]),
            "tenure": (i % 50) // 7 + draw.randint(0, 5),
        }
        for i in range(240)
    ]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(people[0]), delimiter=";", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(people)
    text = stream.getvalue()
    made = {
        "cp1252.csv": text.encode("cp1252"),
        "utf16.txt": text.encode("utf-16"),
        "mac.csv": text.replace("\r\n", "\r").replace(";", "\t").encode(),
        "na.csv.gz": gzip.compress(text.replace(";;", ";NA;").encode()),
        "array.json": json.dumps(people, indent=1).encode(),
        "member": json.dumps({"people": people}).encode(),
    }
    for name, content in made.items():
        (folder / name).write_bytes(content)
    for city in {p["city"] for p in people}:
        place = folder / "lake" / f"city={city}"
        place.mkdir(parents=True)
        rows = [{k: v for k, v in p.items() if k != "city"} for p in people if p["city"] == city]
        pq.write_table(pa.Table.from_pylist(rows), place / "0001")
    return {name: folder / name for name in (*made, "lake")}


def test_the_same_people_in_any_dress_give_the_same_rows(tmp_path: Path) -> None:
    """Format, encoding, dialect, layout and folders decide nothing about a person's result."""
    features = tmp_path / "features.toml"
    features.write_text(DRESS_FEATURES)
    config = TINY.replace("[prediction]", '[source]\nprofile_json = "*"\napproximate_age = "age"\n[prediction]')
    results = {}
    for number, (name, source) in enumerate(dressed(tmp_path).items()):
        outcome = tiny_run(source, tmp_path / f"w{number}", "--features", features, config=config)
        assert outcome.code == 0, outcome.said
        assert outcome.run["rows"]["read"] == outcome.run["rows"]["distinct"] == 240
        results[name] = [row[:-1] for _, row in sorted(outcome.rows.items())]  # the last names the model, by the hash of its data
    assert len({json.dumps(rows) for rows in results.values() if rows is not results["lake"]}) == 1
    known = [[row for row in rows if row[4].startswith("EXISTING")] for rows in results.values()]
    assert all(rows == known[0] for rows in known), "in folders people come in another order, which training may see"


def test_a_file_without_one_usable_record_stops_the_run(people_rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """A file of more than ten records, none of which can be read, is a fault; fewer count as rejected; an empty file is no trouble."""
    source = tmp_path / "s"
    source.mkdir()
    (source / "a.jsonl").write_text("\n".join(json.dumps(r) for r in people_rows[:120]))
    (source / "b.jsonl").write_text("")
    assert tiny_run(source, tmp_path / "w").code == 0
    few = TINY.replace("[prediction]", "[source]\nmax_set_aside_share = 1.0\n[prediction]")
    (source / "b.jsonl").write_text("%%%\n" * 10)
    assert tiny_run(source, tmp_path / "few", config=few).run["rows"]["set_aside"] == 10
    (source / "b.jsonl").write_text("%%%\n" * 11)
    outcome = tiny_run(
        source, tmp_path / "v", config=TINY.replace("[prediction]", "[source]\nmax_set_aside_share = 1.0\n[prediction]")
    )
    assert outcome.code == 3
    assert "no row of" in outcome.said
    assert "b.jsonl" in outcome.said


def test_the_record_accounts_for_each_file(people_rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """Format, dialect, bytes, records and rejected ones of every file, in the step's record and in the report."""
    source = tmp_path / "s"
    source.mkdir()
    lines = [json.dumps(r) for r in people_rows[:120]]
    (source / "a.jsonl").write_text("\n".join([*lines, "{broken"]))
    (source / "b.json").write_text("[" + ",".join(json.dumps({**r, "pid": -i}) for i, r in enumerate(people_rows[120:160])) + "]")
    (source / "_SUCCESS").write_text("")
    outcome = tiny_run(source, tmp_path / "w")
    assert outcome.code == 0, outcome.said
    run = outcome.workspace / "runs" / outcome.run["run_id"]
    files = json.loads((run / "steps" / "read_source.json").read_text())["facts"]["files"]
    assert [(Path(f["path"]).name, f["format"], f["layout"], f["records"], f["rejected"]) for f in files] == [
        ("a.jsonl", "jsonl", "lines", 121, 1),
        ("b.json", "jsonl", "array", 40, 0),
    ]
    assert [f["bytes"] for f in files] == [(source / n).stat().st_size for n in ("a.jsonl", "b.json")]
    assert sum(f["records"] for f in files) == outcome.run["rows"]["read"]
    assert outcome.run["passed_over"][0]["reason"].startswith("hidden")
    html = (run / "report.html").read_text()
    assert "JSON, array, utf-8" in html
    assert "passed over: hidden" in html


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("header", ['"",age,tenure', ",age,tenure", "id,age,tenure"])
def test_columns_by_position(header: str, end: str, tmp_path: Path) -> None:
    """pid = "#1" is the first column, with a name or without; ages may be named so, too; a column "#1" itself comes first."""
    path = tmp_path / "people.csv"
    path.write_text(end.join([header, *(f"{7 + n},{20 + n},{n}" for n in range(30))]) + end, newline="")
    source = SourceConfig(pid="#1", approximate_age="#2", profile_json="*")
    [file] = list_source(str(path), source).files
    rows = [row for chunk in read_text(file, source) for row in chunk.rows.to_pylist()]
    assert [(row["pid"], row["approximate_age"], row["profile_json"]) for row in rows] == [
        (str(7 + n), str(20 + n), f'{{"tenure":"{n}"}}') for n in range(30)
    ]
    beyond = SourceConfig(pid="#9", approximate_age="age", profile_json="*")
    with pytest.raises(InputError, match="no person identifier"):
        list(read_text(file, beyond))
    path.write_text(f"#1,{header}{end}" + "".join(f"{n},{7 + n},{20 + n},{n}{end}" for n in range(30)), newline="")
    [file] = list_source(str(path), source).files
    assert [row["pid"] for chunk in read_text(file, source) for row in chunk.rows.to_pylist()] == [str(n) for n in range(30)]


@pytest.mark.parametrize(("values", "proposed"), [(range(40), True), ([1, *range(40)], False), ([""] * 40, False)])
def test_a_nameless_index_is_recognised(values: Any, proposed: bool, tmp_path: Path) -> None:
    """As pandas and R write it: the message says how to use it, where its values are unique; else that it is ignored."""
    path = tmp_path / "people.csv"
    path.write_text(",age,tenure\n" + "".join(f"{value},30,2\n" for value in values))
    source = SourceConfig(approximate_age="age", profile_json="*")
    [file] = list_source(str(path), source).files
    with pytest.raises(InputError, match="no person identifier") as error:
        list(read_text(file, source))
    assert ('write source.pid = "#1"' in str(error.value)) is proposed
    assert ("without a name" in str(error.value)) is True


def test_a_delimiter_that_was_set_wrong_is_named(tmp_path: Path) -> None:
    """The configuration's delimiter leaves one column, another would give the id: the error says so, and not to rename the id."""
    (tmp_path / "people.csv").write_text("pid;age;pay\n1;40;3\n2;41;4\n")
    (tmp_path / "c.toml").write_text('[source]\ncsv_delimiter = ","\nprofile_json = "*"\n')
    done = cli("plan", "--source", tmp_path / "people.csv", "--config", tmp_path / "c.toml", "--as-of", "2025-10-23", check=3)
    assert 'expected: columns divided by source.csv_delimiter = ","' in done.stderr
    assert "found: columns divided by ';'" in done.stderr
