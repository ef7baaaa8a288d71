"""Kinds of files: told by their first bytes; the name only helps."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Literal

from predict_age.source.gzip_stream import GZIP_MAGIC
from predict_age.toml_text import list_setting

Format = Literal["parquet", "jsonl", "csv"]
SUFFIXES: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
KNOWN = ", ".join(SUFFIXES) + " (text also with .gz or .zst)"
FORMATS: dict[str, Format] = {"parquet": "parquet", "json": "jsonl", "csv": "csv"}  # by their names in the configuration
HEAD_BYTES, MAGIC_BYTES = 1 << 20, 64

HIDDEN = "hidden: the name begins with . or _"
BACKUP_FILE = "temporary or backup file"
NOT_DATA = "no table of people recognised in it"
EMPTY = "empty, without a known ending"
EXCLUDED = "excluded by source.exclude"
_TEMPORARY = (
    *(".tmp", ".temp", ".bak", ".old", ".orig", ".rej", ".save", ".swp", ".crc", ".lock"),
    *(".part", ".partial", ".filepart", ".crdownload", ".download", ".inprogress"),
)
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "ZIP archive or Office file"),
    (b"PK\x05\x06", "ZIP archive or Office file"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Office file"),
    (b"BZh", "bzip2 file"),
    (b"\xfd7zXZ\x00", "xz file"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip archive"),
    (b"Rar!\x1a\x07", "RAR archive"),
    (b"\x04\x22\x4d\x18", "LZ4 file"),
    (b"\xff\x06\x00\x00sNaPpY", "Snappy file"),
    (b"ORC", "ORC file"),
    (b"Obj\x01", "Avro file"),
    (b"ARROW1", "Arrow file"),
    (b"FEA1", "Feather file"),
    (b"PARE", "encrypted Parquet file"),
    (b"SQLite format 3\x00", "SQLite database"),
    (b"%PDF", "PDF document"),
    (b"\x89PNG", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF8", "image"),
    (b"\x89HDF", "HDF5 file"),
    (b"\x80\x04\x95", "Python pickle"),
)
_SEPARATORS = re.compile(r"[,;\t|]")


def is_hidden(name: str) -> bool:
    """Whether data lakes pass over a file or folder of this name; ``_key=value`` is a partition folder."""
    return name[:1] == "." or (name[:1] == "_" and "=" not in name)


def is_excluded(path: str, patterns: Sequence[str]) -> bool:
    """Whether the ``path`` of a file below the source, or its name, matches one of the ``patterns`` as shells have them."""
    name = path.rpartition("/")[2]
    return any(fnmatchcase(path if "/" in pattern else name, pattern) for pattern in patterns)


def exclusion_of(path: str, exclude: Sequence[str]) -> str:
    """Advice to leave out the file at ``path``, which holds no people, besides those that the configuration excludes already."""
    pattern = re.sub(r"([*?\[])", r"[\1]", path.rpartition("/")[2])
    return f"if the file holds no people, leave it out: {list_setting('source', 'exclude', (*exclude, pattern))}"


def is_temporary(name: str) -> bool:
    """Whether the name is that of a file in the making or of a copy that an editor left."""
    return name.endswith("~") or name.lower().endswith(_TEMPORARY)


def is_part_name(name: str) -> bool:
    """Whether programs name the parts of a data set like this: without an ending, ``part-...`` or with a long number."""
    return "." not in name and re.search(r"^part[-_]|\d{4}", name) is not None


def named_kind(name: str) -> tuple[Format | None, str]:
    """Format and compression that the endings of ``name`` claim; None and "" where they claim nothing."""
    suffixes = [s.lower() for s in re.findall(r"\.[^.]*", name)]
    compression = COMPRESSIONS.get(suffixes[-1], "") if suffixes else ""
    if compression:
        suffixes.pop()
    return (SUFFIXES.get(suffixes[-1]) if suffixes else None), compression


def compression_of(head: bytes) -> str:
    """The compression whose magic number ``head`` begins with."""
    if head[:2] == GZIP_MAGIC:
        return "gzip"
    if head[:4] == b"\x28\xb5\x2f\xfd" or (head[1:4] == b"\x2a\x4d\x18" and head[:1] and head[0] >> 4 == 5):
        return "zstd"
    return ""


def binary_kind(head: bytes) -> str:
    """Name the kind of a file that no reader takes, by its magic number; "" when it has none."""
    if head[257:262] == b"ustar":
        return "tar archive"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")


def is_parquet(head: bytes) -> bool:
    """Whether ``head`` begins like Parquet."""
    return head.startswith(b"PAR1")


def text_format(text: str, named: Format | None, pid: str) -> Format | None:
    """The format of a text file by its beginning, or None when nothing says that it holds people.

    A file with a known ending is what the ending says unless the content says otherwise. One without must show a JSON object, or a
    header line with the column ``pid``.
    """
    stripped = text.lstrip()
    if stripped[:1] in ("{", "[") and named != "jsonl":
        if _is_json(stripped):
            return "jsonl"
    elif named != "csv" and stripped[:1] not in ("{", "["):
        first = re.split(r"[\r\n]", stripped, maxsplit=1)[0]
        names = [cell.strip().strip("\"'") for cell in _SEPARATORS.split(first)]
        if pid in names and len(names) > 1:
            return "csv"
    return named


def _is_json(text: str) -> bool:
    """Whether ``text`` begins with a JSON object or an array of them, of which it may show a part only."""
    if text[:1] == "[":
        text = text[1:].lstrip()
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except RecursionError:
        return True
    except ValueError:
        return re.match(r'\{\s*"(?:[^"\\]|\\.)*"\s*:', text) is not None
    return isinstance(value, dict)
