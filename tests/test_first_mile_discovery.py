"""Discovery: every file, link and folder below a source is used, passed over with a reason, or stops the run."""

from __future__ import annotations

import gzip
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from predict_age.config import SourceConfig
from predict_age.errors import InputError
from predict_age.source import filesystem
from predict_age.source.discovery import list_source
from predict_age.source.source_file import SourceFile
from predict_age.source.text_readers import read_text

CSV = b"pid,age\n1,30\n"
LINES = b'{"pid": 1, "birth_year": 1980}\n'


def files(source: object, settings: SourceConfig | None = None) -> list[SourceFile]:
    return list(list_source(str(source), settings or SourceConfig()).files)


def names(source: object) -> list[str]:
    return sorted(Path(f.path).name for f in files(source))


def passed(source: object) -> dict[str, list[str]]:
    return {p.reason: sorted(Path(n).name for n in p.first) for p in list_source(str(source), SourceConfig()).passed_over}


def parquet(path: Path) -> bytes:
    pq.write_table(pa.table({"pid": [1], "birth_year": [1980], "profile_json": ["{}"]}), path)
    return path.read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A source of one good file, with room beside it."""
    made = tmp_path / "source"
    made.mkdir()
    (made / "a.csv").write_bytes(CSV)
    return made


def test_linked_folders_and_files_are_entered_once(folder: Path, tmp_path: Path) -> None:
    """Links are followed; a file reached twice, or on a circle, is read once and said to be."""
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "b.jsonl").write_bytes(LINES)
    (outside / "c.csv").write_bytes(CSV)
    (folder / "2024").symlink_to(outside)
    (folder / "circle").symlink_to(folder)
    (outside / "deep" / "up").symlink_to(outside)
    (folder / "again.csv").symlink_to(folder / "a.csv")
    assert names(folder) == ["a.csv", "b.jsonl", "c.csv"]
    assert passed(folder) == {"reached before by another path": ["again.csv", "circle", "up"]}
    assert names(folder / "**" / "*.csv") == ["a.csv", "c.csv"]
    assert names(folder / "**") == ["a.csv", "b.jsonl", "c.csv"]
    assert names(folder / "*") == ["a.csv", "b.jsonl", "c.csv"]
    assert names(folder / "2024" / "*" / "*.jsonl") == ["b.jsonl"]


def test_dangling_links_and_circles_of_links_stop(folder: Path) -> None:
    """A link to nothing, to a missing folder, or to itself is no empty part of the source."""
    for target in ("nothing.csv", "missing/folder", "b.jsonl"):
        (folder / "b.jsonl").symlink_to(target)
        for source in (folder, folder / "*", folder / "**" / "*.jsonl"):
            with pytest.raises(InputError, match=r"cannot be read: .*b\.jsonl"):
                files(source)
        (folder / "b.jsonl").unlink()


def test_pipes_sockets_and_devices_stop_without_waiting(folder: Path) -> None:
    """A pipe that nobody writes to would hang the run: as an entry, as the source itself, behind a link."""
    os.mkfifo(folder / "pipe.csv")
    for source in (folder, folder / "pipe.csv", folder / "*.csv"):
        with pytest.raises(InputError, match="a pipe"):
            files(source)
    (folder / "pipe.csv").unlink()
    (folder / "zero.csv").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="a device"):
        files(folder)
    (folder / "zero.csv").unlink()
    here = Path.cwd()
    os.chdir(folder)
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind("s.csv")
            with pytest.raises(InputError, match="a socket"):
                files(folder)
    finally:
        os.chdir(here)


@contextmanager
def without_privileges() -> Iterator[Path]:
    """A folder that everybody may enter, and a process that may read no more than others."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    user = os.geteuid()
    try:
        yield made
    finally:
        os.seteuid(user)
        for path in (made, *made.rglob("*")):
            path.chmod(0o755)
        shutil.rmtree(made)


@pytest.mark.parametrize("what", ["folder", "deep folder", "file", "file without ending"])
def test_what_may_not_be_read_stops(what: str) -> None:
    """Permission denied anywhere below the source: exit code 3 with the path, never fewer people."""
    with without_privileges() as made:
        (made / "a.csv").write_bytes(CSV)
        locked = made / {"folder": "sub", "deep folder": "x/y/sub", "file": "b.csv", "file without ending": "part-1"}[what]
        if what.endswith("folder"):
            locked.mkdir(parents=True)
            (locked / "c.csv").write_bytes(CSV)
        else:
            locked.write_bytes(CSV)
        locked.chmod(0)
        if os.geteuid() == 0:
            os.seteuid(65534)
        for source in (made, made / "**"):
            with pytest.raises(InputError, match=rf"cannot be read: {locked}[\s\S]*Permission denied"):
                files(source)


def test_passed_over_files_are_named_by_reason(folder: Path) -> None:
    """Markers, checksums, Office files, archives, notes, backups: counted by reason, none of them silent."""
    for name, content in {
        "_SUCCESS": b"",
        ".a.csv.crc": b"x",
        "people.xlsx": b"PK\x03\x04rest",
        "old.xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "people.csv.bz2": b"BZh91AY",
        "people.tar.xz": b"\xfd7zXZ\x00",
        "part.avro": b"Obj\x01",
        "people.tar": b"people.csv".ljust(257, b"\0") + b"ustar",
        "notes.txt": b"remember the milk",
        "README": b"pid is the person",
        "people.csv.tmp": CSV,
        "a.csv~": CSV,
        "a.csv.old": CSV,
        "a.csv.orig": CSV,
        "b.csv.filepart": CSV,
        "empty": b"",
    }.items():
        (folder / name).write_bytes(content)
    (folder / ".git").mkdir()
    assert names(folder) == ["a.csv"]
    assert passed(folder) == {
        "Avro file": ["part.avro"],
        "Office file": ["old.xls"],
        "ZIP archive or Office file": ["people.xlsx"],
        "bzip2 file": ["people.csv.bz2"],
        "empty, without a known ending": ["empty"],
        "hidden: the name begins with . or _": [".a.csv.crc", ".git", "_SUCCESS"],
        "no table of people recognised in it": ["README", "notes.txt"],
        "tar archive": ["people.tar"],
        "temporary or backup file": ["a.csv.old", "a.csv.orig", "a.csv~", "b.csv.filepart", "people.csv.tmp"],
        "xz file": ["people.tar.xz"],
    }


@pytest.mark.parametrize(
    ("name", "content", "format_", "compression"),
    [
        ("part-00000-c000", LINES, "jsonl", ""),
        ("000000_0", b"pid\tage\n1\t3\n", "csv", ""),
        ("people.txt", b"name;pid;age\nx;1;3\n", "csv", ""),
        ("20251101_1", b"PAR1", "parquet", ""),
        ("part-1", gzip.compress(LINES, mtime=0), "jsonl", "gzip"),
        ("part-2.gz", gzip.compress(CSV, mtime=0), "csv", "gzip"),
        ("part-3.zst", pa.compress(CSV, codec="zstd", asbytes=True), "csv", "zstd"),
        ("people.CSV", CSV, "csv", ""),
        ("people.Json.GZ", gzip.compress(LINES, mtime=0), "jsonl", "gzip"),
        ("lies.csv", b"PAR1", "parquet", ""),
        ("lies.json", b"PAR1", "parquet", ""),
        ("lies.json", CSV, "csv", ""),
        ("lies.jsonl", b'"pid";"age"\r\n1;2\r\n', "csv", ""),
        ("lies.csv", LINES, "jsonl", ""),
        ("lies.tsv", b'\xef\xbb\xbf[\n{"pid": 1}]', "jsonl", ""),
        ("lies.csv", gzip.compress(CSV, mtime=0), "csv", "gzip"),
        ("wide.csv", CSV.decode().encode("utf-16"), "csv", ""),
        ("wide", LINES.decode().encode("utf-16"), "jsonl", ""),
    ],
)
def test_files_are_told_by_their_content(name: str, content: bytes, format_: str, compression: str, tmp_path: Path) -> None:
    """The ending helps where it is true; where it lies or is missing, the bytes decide."""
    (tmp_path / name).write_bytes(content)
    [file] = files(tmp_path)
    assert (file.format, file.compression) == (format_, compression)
    assert files(tmp_path / name) == [file]


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.csv.gz", CSV, "no compressed data"),
        ("a.jsonl.zst", LINES, "no compressed data"),
        ("a.csv", b"PK\x03\x04", "ZIP archive or Office file"),
        ("a.json", b"BZh9", "bzip2 file"),
        ("a.csv.gz", gzip.compress(b"PAR1", mtime=0), "Parquet inside gzip"),
        ("a.parquet", b"PK\x03\x04", "ZIP archive or Office file"),
        ("a.csv.gz", gzip.compress(CSV * 1000, mtime=0)[:30], "cut short"),
        ("b", gzip.compress(CSV * 1000, mtime=0)[:30], "cut short"),
    ],
)
def test_a_name_that_lies_stops(name: str, content: bytes, found: str, folder: Path) -> None:
    """A file that claims to be data and cannot be read as such is an error, beside good files, too."""
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=found):
        files(folder)


@pytest.mark.parametrize("content", [b"1,30,Ulm\n2,31,Bonn\n", b"Obj\x01", b"ORC\0"])
@pytest.mark.parametrize("name", ["part-00001", "000001_0", "20251101_1", "part_7"])
def test_a_part_that_nothing_tells_stops(name: str, content: bytes, folder: Path) -> None:
    """A part file beside others is data, not a note: when its format cannot be told the run stops."""
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match="named like a part of a data set"):
        files(folder)


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["manifest.json"], ["a.csv", "v1.metadata.json", "x [1].json"]),
        (["*.json"], ["a.csv"]),
        (["metadata/*", "manifest.json"], ["a.csv", "x [1].json"]),
        (["x [[]1].json"], ["a.csv", "manifest.json", "v1.metadata.json"]),
        (["*/manifest.json", "Manifest.json"], ["a.csv", "manifest.json", "v1.metadata.json", "x [1].json"]),
    ],
)
def test_files_that_hold_no_people_can_be_excluded(patterns: list[str], left: list[str], folder: Path) -> None:
    """By name or by path below the source; the plan says so. A source of nothing else is refused."""
    (folder / "metadata").mkdir()
    for name in ("manifest.json", "metadata/v1.metadata.json", "x [1].json"):
        (folder / name).write_text('{"version": 1}')
    listing = list_source(str(folder), SourceConfig(exclude=tuple(patterns)))
    assert sorted(Path(f.path).name for f in listing.files) == left
    assert sum(p.files for p in listing.passed_over if p.reason == "excluded by source.exclude") == 4 - len(left)
    with pytest.raises(InputError, match="holds no data files") as refused:
        list_source(str(folder), SourceConfig(exclude=("*",)))
    assert "4 excluded by source.exclude" in str(refused.value)


@pytest.mark.parametrize("content", [None, b"", b"BZh9", b"\xfd7zXZ\x00", b"ORC", b"PK\x03\x04"])
def test_a_source_without_data_files_is_refused_with_a_way_to_mend_it(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "people.bin").write_bytes(content)
    with pytest.raises(InputError, match=r"holds no data files[\s\S]*expected: [\s\S]*found: [\s\S]*to fix: name the path"):
        list_source(str(tmp_path), SourceConfig())


def test_links_name_what_they_lead_to(tmp_path: Path) -> None:
    """A link's own name tells the kind of a file whose real name is a number in a store."""
    store = tmp_path / "store"
    store.mkdir()
    (store / "9f2c.tmp").write_bytes(b"a\tb\n1\t2\n")
    source = tmp_path / "source"
    source.mkdir()
    (source / "people.tsv").symlink_to(store / "9f2c.tmp")
    [file] = files(source)
    assert (file.path, file.format, file.delimiter) == (str(store / "9f2c.tmp"), "csv", "\t")


@pytest.mark.parametrize("name", [b"M\xfcnchen.csv", b"gr\xfcn=1/a.csv"])
def test_names_that_are_not_utf8_stop(name: bytes, tmp_path: Path) -> None:
    """Such a file is data all the same: it is not left out, and nothing ends in an error that should not happen."""
    path = tmp_path / os.fsdecode(name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(CSV)
    with pytest.raises(InputError, match=r"is not UTF-8: .*udcfc"):
        files(tmp_path)
    path.unlink()
    Path(tmp_path / "odd \n name [1].csv").write_bytes(CSV)
    (tmp_path / os.fsdecode(b"\xff.xlsx")).write_bytes(b"PK\x03\x04")
    assert [f.path for f in files(tmp_path)] == [str(tmp_path / "odd \n name [1].csv")]
    assert passed(tmp_path) == {"ZIP archive or Office file": ["\\udcff.xlsx"]}


def test_a_forced_format_decides(tmp_path: Path) -> None:
    """``source.format`` names what files without a telling content are."""
    (tmp_path / "export").write_bytes(b"id;when\n1;2\n")
    with pytest.raises(InputError, match="no data files"):
        files(tmp_path)
    for name, format_ in (("csv", "csv"), ("json", "jsonl"), ("parquet", "parquet")):
        assert [f.format for f in files(tmp_path, SourceConfig(format=name))] == [format_]  # type: ignore[arg-type]


def test_partition_folders_are_columns(tmp_path: Path) -> None:
    """``key=value`` folders, also linked ones and those that lead to the source; the name that stands for NULL is NULL."""
    lake = tmp_path / "lake"
    for part in ("grade=low/year=2024", "grade=high%2Fer/year=__HIVE_DEFAULT_PARTITION__", "_half=1", "_temporary/0"):
        (lake / part).mkdir(parents=True)
        (lake / part / "a.csv").write_bytes(CSV)
    (lake / "grade=mid").symlink_to(lake / "grade=low", target_is_directory=True)
    parts = [dict(f.partition) for f in files(lake)]
    assert parts == [{"_half": "1"}, {"grade": "high/er", "year": None}, {"grade": "low", "year": "2024"}]
    assert [dict(f.partition) for f in files(lake / "grade=low")] == [{"grade": "low", "year": "2024"}]
    assert [dict(f.partition) for f in files(lake / "grade=*" / "year=2024")] == [{"grade": "low", "year": "2024"}]
    shutil.move(lake / "grade=low", tmp_path / "elsewhere")
    (lake / "grade=mid").unlink()
    (lake / "grade=mid").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert {"grade": "mid", "year": "2024"} in [dict(f.partition) for f in files(lake)]


@pytest.mark.parametrize(
    ("name", "settings"), [("pid", {}), ("birth_date", {}), ("dob", {"birth_date": "dob"}), ("a b", {"pid": "a b"})]
)
@pytest.mark.parametrize("place", ["{}=4711", "year=2024/{}=4711", "{}=4711/year=2024"])
def test_folders_named_by_a_person_are_refused(tmp_path: Path, place: str, name: str, settings: dict[str, str]) -> None:
    """Below the source and above it, in every place, and without the value; a column of another name is one."""
    folder = tmp_path / "lake" / place.format(name.replace(" ", "%20"))
    folder.mkdir(parents=True)
    (folder / "a.csv").write_bytes(CSV)
    for source in (tmp_path / "lake", folder, folder / "a.csv"):
        with pytest.raises(InputError, match=f"of people: {name}=") as refused:
            files(source, SourceConfig(**settings))
        assert "4711" not in str(refused.value)


@pytest.mark.xdist_group("cloud")
@pytest.mark.filterwarnings("default")
def test_objects_are_listed_by_the_same_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In S3, too: hidden names, partition folders, parts without ending, compressed text, names that lie."""
    import boto3
    from moto.server import ThreadedMotoServer

    for name, value in {"AWS_ACCESS_KEY_ID": "root", "AWS_SECRET_ACCESS_KEY": "root", "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
        filesystem._s3.cache_clear()
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="people-of-tests")
        for key, content in {
            "in/grade=low/a.parquet": parquet(tmp_path / "a.parquet"),
            "in/part-0": LINES,
            "in/x.csv.gz": gzip.compress(b"pid;birth_year;profile_json\n1;1980;{}\n"),
            "in/all.json": b'[{"pid": 1}, {"pid": 2}]',
            "in/_SUCCESS": b"",
            "in/_tmp/y.csv": CSV,
            "in/notes.txt": b"hello",
        }.items():
            s3.put_object(Bucket="people-of-tests", Key=key, Body=content)
        listing = list_source("s3://people-of-tests/in", SourceConfig())
        assert [(f.path.rsplit("/", 1)[-1], f.format, f.compression, f.partition) for f in listing.files] == [
            ("all.json", "jsonl", "", ()),
            ("a.parquet", "parquet", "", (("grade", "low"),)),
            ("part-0", "jsonl", "", ()),
            ("x.csv.gz", "csv", "gzip", ()),
        ]
        assert {p.reason: p.files for p in listing.passed_over} == {
            "hidden: the name begins with . or _": 2,
            "no table of people recognised in it": 1,
        }
        read = [sum(c.records for c in read_text(f, SourceConfig())) for f in listing.files if f.format != "parquet"]
        assert read == [2, 1, 1]
        s3.put_object(Bucket="people-of-tests", Key="in/z.csv.gz", Body=CSV)
        with pytest.raises(InputError, match="no compressed data"):
            files("s3://people-of-tests/in")
    finally:
        server.stop()
        filesystem._s3.cache_clear()
