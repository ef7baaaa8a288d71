"""Search for planted people in everything that a program wrote: every byte below some folders, decoded.

Plant people whose values occur nowhere else, run, then ask :func:`traces` where those values turn up::

    needles = Needles.of(texts=["Quillfeather-83c1f0"], ids=[7_412_903_318_227_605_113])
    traces(needles, [workspace, home, temporary_folder])

A value is found as it is, in other letters, as UTF-16, hexadecimal and base64 (every alignment); an id as digits, as eight bytes in
either order, as a float64 and as base64 of those. Containers are opened first: Parquet, Arrow, gzip, zlib, zstd, zip (.npz), lookup files, and JSON, HTML
and URL escapes are resolved. UBJ and .npy need no decoding: they hold the bytes of the values as they are.

The values must be long enough not to occur by chance: texts of 8 bytes or more, ids of 2^32 or more.
"""

from __future__ import annotations

import base64
import gzip
import html
import io
import os
import re
import struct
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote_to_bytes

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from predict_age.runs.lookup_blocks import BLOCK_HEAD, BLOCK_PEOPLE, LookupTexts, PeopleRecords, people_of_block

WINDOW = 8
TABLE_BITS = 20
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
DEPTH = 4  # containers inside containers
FOUND_AT_MOST = 2000  # traces in one file: a table of everybody needs no more
VARYING = (
    (re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}"), "RUN"),
    (re.compile(r"[0-9a-f]{8}\.tmp"), "HEX.tmp"),
    (re.compile(r"pymp-[a-z0-9_]+"), "pymp-X"),
    (re.compile(r"predict-age-[0-9a-f]{4}-\d+"), "predict-age-X"),
    (re.compile(r"predict-age-crash-[a-z0-9_]{8}"), "predict-age-crash-X"),
    (re.compile(r"\d+"), "N"),
)


@dataclass(frozen=True)
class Trace:
    """A planted value in a ``file``: which ``value``, in which ``form``, inside which containers (``layer``), at which byte of those."""

    file: Path
    layer: str
    form: str
    value: str
    at: int

    def place(self, roots: Sequence[Path]) -> str:
        """The file below its root, with run ids and numbers replaced, so that equal places can be counted."""
        root = next((r for r in roots if self.file.is_relative_to(r)), None)
        name = self.file.relative_to(root).as_posix() if root else self.file.as_posix()
        for pattern, word in VARYING:
            name = pattern.sub(word, name)
        return name


@dataclass
class Needles:
    """Byte patterns to look for, by their first eight bytes: pattern -> (form, value)."""

    patterns: dict[bytes, tuple[str, str]] = field(default_factory=dict)
    _lengths: dict[bytes, list[int]] = field(default_factory=dict)
    _keys: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    _table: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(1 << TABLE_BITS, np.bool_))

    @classmethod
    def of(cls, texts: Iterable[str] = (), ids: Iterable[int] = ()) -> Needles:
        """Patterns of ``texts`` and ``ids``, in every form that they may be written in."""
        made: dict[bytes, tuple[str, str]] = {}
        for text in texts:
            if len(text.encode()) < WINDOW:
                raise ValueError(f"{text!r} is too short: it would be found by chance")
            for form, pattern in _text_forms(text):
                made.setdefault(pattern, (form, text))
        for number in ids:
            if not 1 << 32 <= number < 1 << 63:
                raise ValueError(f"{number} would be found by chance")
            for form, pattern in _id_forms(number):
                made.setdefault(pattern, (form, str(number)))
        needles = cls(made)
        for pattern in made:
            lengths = needles._lengths.setdefault(pattern[:WINDOW], [])
            if len(pattern) not in lengths:
                lengths.append(len(pattern))
        needles._keys = np.sort(np.frombuffer(b"".join(needles._lengths), np.uint64))
        needles._table[_slot(needles._keys)] = True
        return needles

    def found_in(self, data: bytes) -> Iterator[tuple[int, str, str]]:
        """Position, form and value of every pattern in ``data``, whatever its letters."""
        lower = data.lower()
        for content in (data,) if lower == data else (data, lower):
            for at in self._candidates(content):
                for length in self._lengths.get(content[at : at + WINDOW], ()):
                    if (hit := self.patterns.get(content[at : at + length])) is not None:
                        yield at, *hit

    def _candidates(self, data: bytes) -> list[int]:
        found: list[NDArray[np.int64]] = []
        for offset in range(WINDOW):
            count = (len(data) - offset) // WINDOW
            if count <= 0:
                continue
            windows = np.frombuffer(data, np.uint64, count, offset)
            near = np.flatnonzero(self._table[_slot(windows)])
            here = near[np.isin(windows[near], self._keys)] if len(near) else near
            found.append(here * WINDOW + offset)
        return np.sort(np.concatenate(found)).tolist() if found else []


def _slot(windows: NDArray[np.uint64]) -> NDArray[np.int64]:
    with np.errstate(over="ignore"):
        return ((windows * MULTIPLIER) >> np.uint64(64 - TABLE_BITS)).astype(np.int64)


def _base64_forms(raw: bytes) -> Iterator[bytes]:
    """The characters of base64 that depend on ``raw`` alone, for each of the three positions where it can begin."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw)
        first = (0, 2, 3)[before]
        last = len(encoded) - (0, 3, 2)[(before + len(raw)) % 3]  # the character that holds bits of what follows goes, too
        yield encoded[first:last]
        yield encoded[first:last].replace(b"+", b"-").replace(b"/", b"_")


def _text_forms(text: str) -> Iterator[tuple[str, bytes]]:
    raw = text.encode()
    for form, pattern in (
        ("text", raw),
        ("text in small letters", raw.lower()),
        ("UTF-16", text.encode("utf-16-le")),
        ("UTF-16, big-endian", text.encode("utf-16-be")),
        ("hexadecimal", raw.hex().encode()),
        *(("base64", encoded) for encoded in _base64_forms(raw)),
    ):
        if len(pattern) >= WINDOW:
            yield form, pattern


def _id_forms(number: int) -> Iterator[tuple[str, bytes]]:
    yield from _text_forms(str(number))
    little, big = struct.pack("<q", number), struct.pack(">q", number)
    for form, raw in (
        ("int64, little-endian", little),
        ("int64, big-endian", big),
        ("float64", struct.pack("<d", float(number))),
        ("float64, big-endian", struct.pack(">d", float(number))),
    ):
        yield form, raw
        yield from ((f"base64 of {form}", encoded) for encoded in _base64_forms(raw) if len(encoded) >= WINDOW)


def layers(data: bytes, depth: int = DEPTH) -> Iterator[tuple[str, bytes]]:
    """``data`` and everything that it contains, decoded: (the containers, outermost first, and the bytes)."""
    yield "", data
    if not depth:
        return
    for name, inner in _inside(data):
        for more, content in layers(inner, depth - 1):
            yield f"{name} > {more}" if more else name, content


def _inside(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Contents of a container. Damaged and cut ones give what can be read."""
    with suppress(
        pa.ArrowException, OSError, zlib.error, EOFError, zipfile.BadZipFile, NotImplementedError, ValueError, struct.error
    ):
        if data[:2] == b"\x1f\x8b":
            yield "gzip", _inflated(data, 31)
        elif data[:1] == b"\x78" and data[1:2] in (b"\x01", b"\x5e", b"\x9c", b"\xda"):
            yield "zlib", _inflated(data, 15)
        elif data[:4] == b"\x28\xb5\x2f\xfd":
            yield "zstd", pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
        elif data[:4] == b"PK\x03\x04":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for member in archive.namelist():
                    yield f"zip member {member}", archive.read(member)
        elif data[:4] == b"PAR1" and data[-4:] == b"PAR1":
            file = pq.ParquetFile(pa.BufferReader(data))
            yield from _columns(file.read())
        elif data[:6] == b"ARROW1":
            yield from _columns(pa.ipc.open_file(pa.BufferReader(data)).read_all())
        elif data[:4] == b"\xff\xff\xff\xff":
            yield from _columns(pa.ipc.open_stream(pa.BufferReader(data)).read_all())
        elif data[4:14] == b'{"format":' and b'"percentages"' in data[:64]:
            yield "lookup file", b"".join(_looked_up(data))
    if b"\\" in data and (plain := _json_unescaped(data)) != data:
        yield "JSON escapes", plain
    if b"&#" in data or b"&amp;" in data or b"&lt;" in data:
        yield "HTML escapes", html.unescape(data.decode("utf-8", "replace")).encode()
    if re.search(rb"%[0-9A-Fa-f]{2}", data[: 1 << 20]) and (plain := unquote_to_bytes(data)) != data and b"\0" not in data[:4096]:
        yield "URL escapes", plain


def _looked_up(data: bytes) -> Iterator[bytes]:
    """Pids of the people in each block of a lookup file, which holds compressed differences of them."""
    texts, at = LookupTexts.read(data)
    while at + BLOCK_HEAD.size <= len(data):
        length, people = BLOCK_HEAD.unpack_from(data, at)[:2]
        if not BLOCK_HEAD.size < length <= len(data) - at or people > BLOCK_PEOPLE:
            return  # a file that is being written, or was damaged
        yield people_of_block(data[at : at + length], texts).pids.tobytes()
        at += length


def _lookup_file(pids: list[int]) -> bytes:
    """A lookup file of people who have these ascending ``pids`` and nothing else."""
    nothing = np.zeros(len(pids), np.uint8)
    people, texts = PeopleRecords(np.array(pids, np.int64), *[nothing] * 8), LookupTexts([-1.0], [""], [""], 1)
    return texts.as_bytes() + b"".join(people.blocks(texts))


def _inflated(data: bytes, bits: int) -> bytes:
    """All members of a gzip or zlib stream, as far as they are whole."""
    content = b""
    while data:
        stream = zlib.decompressobj(bits)
        content += stream.decompress(data)
        data = stream.unused_data
    return content


_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"f": b"\f"}


def _json_unescaped(data: bytes) -> bytes:
    def plain(match: re.Match[bytes]) -> bytes:
        code = match.group(1)
        if code[:1] == b"u":
            return chr(int(code[1:], 16)).encode("utf-8", "surrogatepass")
        return _ESCAPES.get(code, code)

    return re.sub(rb'\\(u[0-9a-fA-F]{4}|["\\/bfnrt])', plain, data)


def _columns(table: pa.Table) -> Iterator[tuple[str, bytes]]:
    """Every value of every column, nested ones too: texts one after the other, numbers as digits and as they lie in memory."""
    if table.schema.metadata:
        yield "file metadata", b"\n".join(k + b"\n" + v for k, v in table.schema.metadata.items())
    for name, column in zip(table.column_names, table.columns, strict=True):
        for kind, flat in _flat(column):
            if pa.types.is_integer(kind) or pa.types.is_floating(kind):
                numbers = flat.drop_null().to_numpy(zero_copy_only=False)
                finite = numbers[np.isfinite(numbers)].tolist()
                yield f"column {name}", numbers.tobytes() + b"\n" + b"\n".join(b"%d" % n for n in finite)
            elif (
                pa.types.is_string(kind)
                or pa.types.is_large_string(kind)
                or pa.types.is_binary(kind)
                or pa.types.is_large_binary(kind)
            ):
                texts = flat.drop_null().cast(pa.large_binary())
                yield f"column {name}", b"\n".join(texts.to_pylist())


def _flat(column: pa.ChunkedArray | pa.Array) -> Iterator[tuple[pa.DataType, pa.ChunkedArray | pa.Array]]:
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    for chunk in chunks:
        if pa.types.is_dictionary(chunk.type):
            yield from _flat(chunk.dictionary_decode())
        elif pa.types.is_struct(chunk.type):
            for child in chunk.flatten():
                yield from _flat(child)
        elif pa.types.is_list(chunk.type) or pa.types.is_large_list(chunk.type) or pa.types.is_map(chunk.type):
            yield from _flat(chunk.flatten() if not pa.types.is_map(chunk.type) else pa.array(chunk.items))
        else:
            yield chunk.type, chunk


def traces_in(needles: Needles, file: Path, data: bytes) -> list[Trace]:
    """Traces in ``data``, the content of ``file``, and in the file's name."""
    found: list[Trace] = []
    name = str(file).encode("utf-8", "surrogateescape")
    for layer, content in [("name of the file", name), *layers(data)]:
        for at, form, value in needles.found_in(content):
            found.append(Trace(file, layer, form, value, at))
            if len(found) >= FOUND_AT_MOST:
                return found
    return found


def traces(needles: Needles, roots: Iterable[Path]) -> list[Trace]:
    """Traces in every file below ``roots``: regular files, and the targets of links as text."""
    found: list[Trace] = []
    for path in sorted(p for root in roots for p in (root.rglob("*") if root.is_dir() else [root])):
        with suppress(FileNotFoundError, PermissionError):
            if path.is_symlink():
                found += traces_in(needles, path, str(path.readlink()).encode())
            elif path.is_file():
                found += traces_in(needles, path, path.read_bytes())
            else:
                found += [t for t in traces_in(needles, path, b"") if t.layer == "name of the file"]
    return list(dict.fromkeys(found))


def counted(found: Iterable[Trace], roots: Sequence[Path]) -> dict[str, int]:
    """Number of different planted values by place, the place with the most first."""
    values: dict[str, set[str]] = {}
    for trace in found:
        values.setdefault(trace.place(roots), set()).add(trace.value)
    return dict(Counter({place: len(some) for place, some in values.items()}).most_common())


class Watch:
    """Search while a program runs: files below ``roots`` are read again and again, each when it is new or has changed."""

    def __init__(self, needles: Needles, roots: Sequence[Path], seconds: float = 0.02) -> None:
        self.needles, self.roots, self.seconds = needles, list(roots), seconds
        self.found: set[Trace] = set()
        self.seen: dict[Path, tuple[int, int]] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.is_set():
            walked = [here for root in self.roots for here in os.walk(root)]  # folders that go meanwhile are no error here
            for path in [Path(folder) / name for folder, _, names in walked for name in names]:
                with suppress(OSError):
                    state = path.stat()
                    if path.is_file() and self.seen.get(path) != (state.st_mtime_ns, state.st_size):
                        self.seen[path] = (state.st_mtime_ns, state.st_size)
                        self.found.update(traces_in(self.needles, path, path.read_bytes()))
            self._end.wait(self.seconds)


def every_form(folder: Path, text: str, number: int) -> dict[str, Path]:
    """Files that hold ``text`` or ``number`` in every form that the search knows: what a test of the search plants."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table(
        {
            "pid": pa.array([number]),
            "word": pa.array([text]).dictionary_encode(),
            "deep": pa.array([[{"a": text}]]),
        }
    )
    parquet, npz, stream = io.BytesIO(), io.BytesIO(), io.BytesIO()
    pq.write_table(table, parquet, compression="zstd")
    np.savez_compressed(npz, pids=np.array([number], np.int64))
    with pa.ipc.new_stream(stream, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    escaped = "".join(f"\\u{ord(c):04x}" for c in text)
    contents: dict[str, bytes] = {
        "plain.txt": f"a {text} b".encode(),
        "upper.txt": text.upper().encode(),
        "utf16.txt": text.encode("utf-16"),
        "digits.txt": f'"pid": {number},'.encode(),
        "little.bin": b"x" + struct.pack("<q", number),
        "big.ubj": b"xyL" + struct.pack(">q", number),
        "float.bin": struct.pack("<d", float(number)),
        "hex.txt": text.encode().hex().encode(),
        "escaped.json": f'{{"a": "{escaped}"}}'.encode(),
        "gzipped.gz": gzip.compress(text.encode()),
        "twice.json.gz": gzip.compress(f'{{"a": "{escaped}"}}'.encode()),
        "members.gz": gzip.compress(b"first") + gzip.compress(text.encode()),
        "packed.zst": pa.Codec("zstd").compress(text.encode(), asbytes=True),
        "deflated.z": zlib.compress(text.encode()),
        "table.parquet": parquet.getvalue(),
        "arrays.npz": npz.getvalue(),
        "stream.arrow": stream.getvalue(),
        "people.blocks": _lookup_file([number - 1 - (1 << 40), number, number + 5]),
        "page.html": "".join(f"&#{ord(c)};" for c in text).encode(),
        "address.txt": "".join(f"%{ord(c):02X}" for c in text).encode(),
    }
    for shift in range(3):
        contents[f"base64-{shift}.txt"] = base64.b64encode(b"-" * shift + text.encode() + b"+")
        contents[f"base64-id-{shift}.txt"] = base64.b64encode(b"-" * shift + struct.pack("<q", number) + b"+")
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / f"named-{text}.txt").write_bytes(b"")
    return {p.name: p for p in folder.iterdir()}
