"""Readers: every format and spelling of a source gives the same rows, and broken records come with position and reason."""

import gzip
import json
from contextlib import suppress
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from predict_age.config import SourceConfig
from predict_age.errors import InputError
from predict_age.source.discovery import discover
from predict_age.source.row_group_reader import Split, read_split
from predict_age.source.text_readers import read_csv, read_jsonl
from predict_age.storage.parquet_writer import RowGroupWriter


def jsonl(path: Path, content: bytes, source: SourceConfig | None = None) -> tuple[list[dict[str, object]], list[tuple[int, str]]]:
    path.write_bytes(content)
    pieces = list(read_jsonl(discover(str(path))[0], source or SourceConfig()))
    return [r for p in pieces for r in p.rows.to_pylist()], [b for p in pieces for b in p.broken]


def test_jsonl_oddities(tmp_path: Path) -> None:
    """BOM, CRLF, blank lines, no final newline, object and string profiles, and six kinds of broken lines."""
    lines = [
        b'\xef\xbb\xbf{"pid":1,"birth_year":1980,"profile_json":{"a":1}}\r',
        b"",
        b'{"pid":"2","profile_json":"{\\"a\\": 2}"}',
        b"no json",
        b"[1]",
        b'{"pid":\xff}',
        b'{"pid":9007199254740993,"extra":{"x":[]}}',
        b"null",
        b'"text"',
        b'{"pid": 3,',
    ]
    rows, broken = jsonl(tmp_path / "a.jsonl", b"\n".join(lines))
    assert [(r["position"], r["pid"], r["birth_year"], r["profile_json"]) for r in rows] == [
        (0, "1", "1980", '{"a":1}'),
        (2, "2", None, '{"a": 2}'),
        (6, "9007199254740993", None, None),
    ]
    assert broken == [
        (3, "malformed_json"),
        (4, "not_an_object"),
        (5, "invalid_utf8"),
        (7, "not_an_object"),
        (8, "not_an_object"),
        (9, "malformed_json"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        b'{"pid":1,"profile_json":' + b'{"a":' * 200_000 + b"1" + b"}" * 200_001,
        b'{"pid":1,"profile_json":{' + b",".join(b'"k%d":1' % i for i in range(200_000)) + b"}}",
        b'{"pid":1,"profile_json":{"a":"' + b"x" * 1_000_000 + b'"}}',
        b'{"pid":1,"profile_json":{"a":1e999}}',
    ],
    ids=["deep", "wide", "long", "huge number"],
)
def test_extreme_json_is_read_or_set_aside(tmp_path: Path, line: bytes) -> None:
    """Depth, width, length and size of numbers stop nothing: the next line is read as usual."""
    rows, broken = jsonl(tmp_path / "a.jsonl", line + b'\n{"pid":2}\n')
    assert rows[-1]["pid"] == "2"
    assert len(rows) + len(broken) == 2


def test_compressed_files_equal_the_plain_one(tmp_path: Path) -> None:
    """.gz and .zst are read like the plain file; a cut one is an input error, not fewer rows."""
    content = b"".join(b'{"pid":%d}\n' % i for i in range(50_000))
    plain = jsonl(tmp_path / "a.jsonl", content)
    packed = {"gz": gzip.compress(content), "zst": pa.compress(content, codec="zstd", asbytes=True)}
    for suffix, data in packed.items():
        assert jsonl(tmp_path / f"a.jsonl.{suffix}", data) == plain
        with pytest.raises(InputError, match="cut short"):
            jsonl(tmp_path / f"b.jsonl.{suffix}", data[: len(data) // 2])


def test_a_file_without_line_ends_is_refused(tmp_path: Path) -> None:
    """Memory stays bounded: a 'line' of more than 64 MiB is no JSON lines file."""
    with pytest.raises(InputError, match="one JSON object a line"):
        jsonl(tmp_path / "a.jsonl", b" " * (66 << 20))


def test_csv(tmp_path: Path) -> None:
    """Quotes, line breaks in quotes, formulas and broken rows; a flat file's other columns are the profile."""
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbfid,age,"job title",x\r\n1,30,"a\nb",2\n2,,5\n3,40,=cmd(),\n4,,<script>,"say ""hi"""\n')
    pieces = list(read_csv(discover(str(path))[0], SourceConfig(pid="id", approximate_age="age", profile_json="*")))
    rows = [r for p in pieces for r in p.rows.to_pylist()]
    assert [(r["position"], r["pid"], r["approximate_age"]) for r in rows] == [(0, "1", "30"), (2, "3", "40"), (3, "4", "")]
    assert [json.loads(r["profile_json"]) for r in rows] == [
        {"job title": "a\nb", "x": "2"},
        {"job title": "=cmd()", "x": None},
        {"job title": "<script>", "x": 'say "hi"'},
    ]
    assert [b for p in pieces for b in p.broken] == [(1, "wrong_number_of_columns")]


def test_a_quote_that_is_never_closed_is_refused(tmp_path: Path) -> None:
    """The rows that it would swallow are not silently lost; a lone quote inside a field swallows none and is fine."""
    path = tmp_path / "a.csv"
    path.write_bytes(b'pid,age,x\n1,30,"open\n2,31,b\n3,32,c\n')
    source = SourceConfig(approximate_age="age", profile_json="*")
    with pytest.raises(InputError, match="never closed"):
        list(read_csv(discover(str(path))[0], source))
    path.write_bytes(b'pid,age,x\n1,30,5" pipe\n2,31,b\n')
    assert sum(p.rows.num_rows for p in read_csv(discover(str(path))[0], source)) == 2


def test_missing_columns_are_named(tmp_path: Path) -> None:
    """The error says which column was expected, which were found, and what to write into the configuration."""
    path = tmp_path / "a.csv"
    for content, message in (
        (b"id,age\n1,2\n", "no person identifier"),
        (b"pid,x\n1,2\n", "no age"),
        (b"pid,birth_year\n1,2\n", "no profile"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"{message}[\s\S]*found: columns[\s\S]*\[source\]"):
            list(read_csv(discover(str(path))[0], SourceConfig()))


@pytest.mark.parametrize(
    "column",
    [
        pa.array(['{"a": 1}', None]),
        pa.array([b'{"a": 1}', None]),
        pa.array(['{"a": 1}', None]).dictionary_encode(),
        pa.array([{"a": 1}, None]),
        pa.array(['{"a": 1}', None], pa.large_string()),
    ],
    ids=["text", "bytes", "dictionary", "struct", "large text"],
)
def test_profile_column_types(tmp_path: Path, column: pa.Array) -> None:
    """A Parquet profile may be text or an object of any type."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"pid": [1, 2], "birth_year": [1980, None], "profile_json": column}), path)
    [piece] = read_split(Split(0, 0, str(path), 0, 2, 0, False), SourceConfig(), with_profile=True)
    assert [None if v is None else json.loads(v) for v in piece.raw["profile"].to_pylist()] == [{"a": 1}, None]


def test_invalid_utf8_in_parquet_is_no_json(tmp_path: Path) -> None:
    """Bytes that are no text become something that no JSON parser accepts; the others are untouched."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"pid": [1, 2], "birth_year": [1, 2], "profile_json": [b'{"a":"\xff"}', b"{}"]}), path)
    [piece] = read_split(Split(0, 0, str(path), 0, 2, 0, False), SourceConfig(), with_profile=True)
    assert piece.raw["profile"].to_pylist() == ["\x00", "{}"]


def test_discover(tmp_path: Path) -> None:
    """Folders in depth, globs, and what is passed over: hidden files, markers, other kinds."""
    for name in ("b.parquet", "a/c.jsonl.gz", "_SUCCESS", ".hidden.csv", "notes.txt", "_tmp/x.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [Path(f.path).name for f in discover(str(tmp_path))] == ["c.jsonl.gz", "b.parquet"]
    assert [f.compression for f in discover(str(tmp_path / "*" / "*.gz"))] == ["gzip"]
    (tmp_path / "empty").mkdir()
    missing = (("nothing", "does not exist(?!.*did)"), ("b.parqet", "does not exist(.|\n)*did you mean .*/b.parquet"))
    for source, message in (("empty", "empty folder"), ("notes.txt", "no data files"), *missing):
        with pytest.raises(InputError, match=message):
            discover(str(tmp_path / source))


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    """A file that grew since it was found stops the run."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"pid\n")
    [file] = discover(str(path))
    file.check_unchanged()
    path.write_bytes(b"pid\n1\n")
    with pytest.raises(InputError, match="changed during the run"):
        file.check_unchanged()


def test_slices_are_even_and_bounded_in_rows_and_bytes(tmp_path: Path) -> None:
    """Long profiles make small slices, so that memory does not follow their length; ids alone are read by the row."""
    rows, path = 30_000, tmp_path / "long.parquet"
    profiles = pa.array([json.dumps({"n": n, "text": "x" * 2500}) for n in range(rows)])
    table = pa.table({"pid": pa.array(range(rows)), "birth_year": pa.nulls(rows, pa.int32()), "profile_json": profiles})
    pq.write_table(table, path, row_group_size=rows, use_dictionary=False, data_page_size=100_000)
    split = Split(0, 0, str(path), 0, rows, 0, False)
    for with_profile, with_ids, sizes in ((True, True, [7500] * 4), (True, False, [7500] * 4), (False, True, [30_000])):
        pieces = list(read_split(split, SourceConfig(), with_profile=with_profile, with_ids=with_ids))
        assert [p.raw.num_rows for p in pieces] == sizes
        assert [p.first for p in pieces] == [sum(sizes[:i]) for i in range(len(sizes))]
        read = pa.concat_tables(p.raw for p in pieces)
        assert read["pid"].to_pylist() == (list(range(rows)) if with_ids else [None] * rows)
        assert not with_profile or pc.all(pc.equal(read["profile"], table["profile_json"])).as_py()
    with pytest.raises(InputError, match="changed during the run"):
        list(read_split(replace(split, rows=rows + 1), SourceConfig(), with_profile=False))
    seen = []
    pieces = read_split(replace(split, rows=rows - 1), SourceConfig(), with_profile=True, most_bytes=1_000_000)
    with pytest.raises(InputError, match="changed during the run"):
        seen.extend(p.first + p.raw.num_rows for p in pieces)
    assert 20_000 < max(seen) < rows, "nobody sees more rows than the split has"


def test_flat_files_of_ids_alone_have_empty_profiles(tmp_path: Path) -> None:
    """Rows are counted though no column makes a profile, also when ids are not asked for."""
    path = tmp_path / "flat.parquet"
    pq.write_table(pa.table({"pid": [1, 2, 3], "birth_year": [1980, None, None]}), path)
    for with_ids in (True, False):
        pieces = read_split(
            Split(0, 0, str(path), 0, 3, 0, False), SourceConfig(profile_json="*"), with_profile=True, with_ids=with_ids
        )
        assert [p.raw["profile"].to_pylist() for p in pieces] == [["{}"] * 3]


def test_row_groups_do_not_follow_the_tables(tmp_path: Path) -> None:
    """Small tables are put together, large ones cut; after an error the rest is not written."""
    table = pa.table({"n": range(47)})
    sizes = (3, 0, 5, 1, 25, 6, 7)
    for fails, groups in ((False, [10, 10, 10, 10, 7]), (True, [10, 10, 10, 10])):
        with suppress(ValueError), (tmp_path / "f").open("wb") as stream, RowGroupWriter(stream, table.schema, 10) as writer:
            for first, rows in zip(accumulate(sizes, initial=0), sizes, strict=False):
                writer.write(table.slice(first, rows))
            if fails:
                raise ValueError
        file = pq.ParquetFile(tmp_path / "f")
        assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == groups
        assert file.read().equals(table.slice(0, sum(groups)))
