"""JSON: records are found in the bytes - lines, or elements of one text - and DuckDB reads ids, ages and the profile."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from predict_age.config import SourceConfig
from predict_age.errors import InputError
from predict_age.source.column_types import UNREADABLE_TEXT, valid_text
from predict_age.source.json_framing import ElementFramer
from predict_age.source.json_layout import CR_LINES, LINES
from predict_age.source.json_members import outer_members, simple_value
from predict_age.source.json_nesting import UNNAMED, PeopleInside
from predict_age.source.row_group_reader import repeated_text
from predict_age.source.row_rules import connect
from predict_age.source.source_file import SourceFile
from predict_age.source.text_encoding import masked
from predict_age.source.text_stream import utf8_blocks
from predict_age.source.working_rows import LONGEST_RECORD, NOT_UTF8, TextChunk, check_count, chunk_of, partition_columns

BRACE, MOST_DIGITS = ord("{"), 40
REJECTED_TRIED = 1_000  # rejected ones of each piece of a file, in which several people are looked for
NOT_PLAIN = r"^(-?[0-9]+[.eE].*|-?[iI]nf.*|-?[nN]a[nN]|true|false|\{.*|\[.*)$"  # an id that is no text and no integer, perhaps
MALFORMED, NO_OBJECT = "malformed_json", "not_an_object"
PROFILE = f"{UNNAMED}profile"
JSON_SPACE = " \t\r\n"  # around a value
_SPACE = re.compile(r"[\s\ufeff]*")  # a byte order mark stands where a file was put behind another one
Flags = NDArray[np.bool_]
Numbers = NDArray[np.int64]
DUPLICATE_KEY, PID_NO_NUMBER = "duplicate_key", "pid_not_an_integer"


def read_jsonl(file: SourceFile, source: SourceConfig) -> Iterator[TextChunk]:
    """Stream a JSON file of any layout. Empty lines are no records; positions are lines where a record is a line."""
    reader = _Reader(file, source)
    if file.layout in ("", LINES, CR_LINES):
        for lines in _lines(file):
            yield reader.chunk(lines)
    else:
        for elements in ElementFramer(file.path, file.layout, source.pid).frame(utf8_blocks(file)):
            yield reader.chunk(elements)
    reader.people.check_end()


def _lines(file: SourceFile) -> Iterator[pa.LargeBinaryArray]:
    """The lines of the file, some megabytes at a time, without copying the text."""
    kept: list[bytes] = []
    kept_bytes = 0
    for read in utf8_blocks(file):
        block = read.replace(b"\r", b"\n") if file.layout == CR_LINES else read
        end = block.rfind(b"\n") + 1
        if end == 0:
            kept.append(block)
            kept_bytes += len(block)
            if kept_bytes > LONGEST_RECORD:
                raise InputError(
                    f"a line of {file.path} is longer than {LONGEST_RECORD >> 20} MiB",
                    expected="one JSON object a line",
                    fix="write the file as JSON lines (one record a line)",
                )
            continue
        yield _as_array(b"".join([*kept, block[:end]]))
        kept, kept_bytes = ([block[end:]], len(block) - end) if end < len(block) else ([], 0)
    if kept:
        yield _as_array(b"".join(kept))


def _as_array(block: bytes) -> pa.LargeBinaryArray:
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == 10).astype(np.int64) + 1
    if not block.endswith(b"\n"):
        ends = np.append(ends, len(block))
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(block)])


class _Reader:
    """Reads the records of one file, chunk by chunk."""

    def __init__(self, file: SourceFile, source: SourceConfig) -> None:
        self._file, self._source = file, source
        self._connection = connect()
        self._flat = source.profile_json == "*"
        names = [*source.light_columns] if self._flat else [*source.light_columns, source.profile_json]
        self._paths = ["/" + name.replace("~", "~0").replace("/", "~1") for name in names]
        self._by_line = file.layout in ("", LINES, CR_LINES)
        self._added = partition_columns(file, [])
        self._first = 0
        self.people = PeopleInside(file.path, source)
        self._texts = pa.array([], pa.large_binary())  # of the chunk, and the position of its first one
        self._begins = 0

    def chunk(self, texts: pa.LargeBinaryArray) -> TextChunk:
        """The records in ``texts``; blank ones are none."""
        positions = np.arange(self._first, self._first + len(texts), dtype=np.int64)
        text = valid_text(pa.chunked_array([texts]))
        objects = _first_bytes(texts) == BRACE
        if not objects.all():
            stripped = pc.ascii_ltrim_whitespace(text.filter(pa.array(~objects)))
            objects[~objects] = np.array([line[:1] == "{" for line in stripped.to_pylist()])
            full = objects.copy()
            full[~objects] = np.array([line.strip() != "" for line in text.filter(pa.array(~objects)).to_pylist()])
            text, objects = text.filter(pa.array(full)), objects[full]
            positions = positions[full] if self._by_line else positions[: len(text)]
        self._texts, self._begins = texts, self._first
        self._first += len(texts) if self._by_line else len(text)
        return self._records(text, objects, positions, whole=False)

    def _records(self, text: pa.ChunkedArray, objects: Flags, positions: Numbers, *, whole: bool) -> TextChunk:
        """The records of which ``text`` holds one each; ``objects`` begin with a brace, ``whole`` ones were divided already."""
        values, keys = self._extract(text)
        malformed = values["bad"].to_numpy()
        problems = dict.fromkeys(np.flatnonzero(~objects).tolist(), NO_OBJECT)
        problems |= dict.fromkeys(np.flatnonzero(malformed).tolist(), MALFORMED)
        problems |= {i: NOT_UTF8 for i in np.flatnonzero(malformed).tolist() if text[i].as_py() == UNREADABLE_TEXT}
        if problems and not whole and self._by_line and (several := _divided(text, problems)):
            return self._divide(text, objects, positions, several)
        if not self._by_line and MALFORMED in problems.values():
            self._stop(text, positions, next(i for i, problem in problems.items() if problem == MALFORMED))
        problems |= dict.fromkeys(_with_repeated_keys(keys), DUPLICATE_KEY)
        columns = self._columns(text, values, problems)
        self._check_unusable(text, positions, columns[self._source.pid], problems)
        broken = [(int(positions[i]), reason) for i, reason in sorted(problems.items())]
        if problems:
            good = np.ones(len(text), bool)
            good[list(problems)] = False
            columns, positions = columns.filter(pa.array(good)), positions[good]
        check_count(self._file.path, len(text), columns.num_rows + len(broken))
        light = {name: columns[name] for name in self._source.light_columns}
        return chunk_of(positions, light, columns[PROFILE], broken, self._source, len(text))

    def _check_unusable(self, text: pa.ChunkedArray, positions: Numbers, ids: pa.ChunkedArray, problems: dict[int, str]) -> None:
        """Look for several people in the records that cannot be used."""
        rows = sorted({*problems, *np.flatnonzero(ids.is_null().to_numpy()).tolist()})
        texts = []
        for row in rows[:REJECTED_TRIED]:
            record = text[row].as_py()
            if record == UNREADABLE_TEXT and self._by_line:
                record = self._texts[int(positions[row]) - self._begins].as_py().decode("utf-8", "replace")
            texts.append(record)
        self.people.check(texts, len(text) - len(rows))

    def _divide(self, text: pa.ChunkedArray, objects: Flags, positions: Numbers, several: dict[int, list[str]]) -> TextChunk:
        """The records once more: a line that holds several objects is as many records, all at its position."""
        counts = np.ones(len(text), np.int64)
        counts[list(several)] = [len(found) for found in several.values()]
        texts = [found for i, line in enumerate(text.to_pylist()) for found in several.get(i, [line])]
        objects[list(several)] = True
        return self._records(
            pa.chunked_array([texts], pa.string()), np.repeat(objects, counts), np.repeat(positions, counts), whole=True
        )

    def _stop(self, text: pa.ChunkedArray, positions: Numbers, row: int) -> NoReturn:
        raise InputError(
            f"record {positions[row] + 1:,} of {self._file.path} is no JSON",
            expected="objects inside one JSON text, none of them damaged",
            found=masked(text[row].as_py()[:60].encode()),
            fix="mend the file, or write it as JSON lines (one record a line): there a damaged line is one rejected record",
        )

    def _extract(self, text: pa.ChunkedArray) -> tuple[pa.Table, pa.ListArray]:
        """Ids, ages and, unless the file is flat, the profile as v0, v1 ..., with ``bad`` for no JSON; and lists of keys."""
        self._connection.register("texts", pa.table({"t": text}).combine_chunks())
        values = ", ".join(f"v[{i + 1}] AS v{i}" for i in range(len(self._paths)))
        found = self._connection.sql(
            f"SELECT v IS NULL AS bad, {values}, k FROM "
            "(SELECT try(json_extract_string(t, $paths)) AS v, try(json_keys(t, $objects)) AS k FROM texts)",
            params={"paths": self._paths, "objects": [""] if self._flat else ["", self._paths[-1]]},
        ).to_arrow_table()
        return found, found["k"].combine_chunks()

    def _columns(self, text: pa.ChunkedArray, values: pa.Table, problems: dict[int, str]) -> pa.Table:
        """Ids and ages by the names of the source, and the profile. Ids that are no id are added to ``problems``."""
        names = self._source.light_columns
        columns = {name: values[f"v{i}"] for i, name in enumerate(names)}
        columns[self._source.pid] = self._exact_ids(text, columns[self._source.pid], problems)
        for name, value in self._added.items():
            if name in columns and value is not None:
                columns[name] = pc.coalesce(columns[name], repeated_text(value, len(text)))
        columns[PROFILE] = self._with_folders(pc.utf8_trim(text, JSON_SPACE)) if self._flat else values[f"v{len(names)}"]
        return pa.table(columns)

    def _with_folders(self, text: pa.ChunkedArray) -> pa.ChunkedArray:
        """The texts with the columns of the file's folders as last members, where the first of equal keys counts."""
        added = {name: value for name, value in self._added.items() if name not in self._source.light_columns}
        if not added:
            return text
        members = json.dumps(added)[1:-1].replace("\\", "\\\\")
        text = pc.replace_substring_regex(text, r"\}\s*$", f", {members}}}")
        return pc.replace_substring_regex(text, r"^\s*\{\s*,\s*", "{")

    def _exact_ids(self, text: pa.ChunkedArray, ids: pa.ChunkedArray, problems: dict[int, str]) -> pa.ChunkedArray:
        """``ids`` with numbers that have a point or an exponent to the digit: DuckDB reads them as doubles, which merges people."""
        doubtful = pc.fill_null(pc.match_substring_regex(ids, NOT_PLAIN), False).to_numpy()
        if not doubtful.any():
            return ids
        exact = ids.to_pylist()
        for row in np.flatnonzero(doubtful).tolist():
            if row in problems:
                continue
            value = _member(text[row].as_py(), self._source.pid)
            if isinstance(value, _Number):
                exact[row] = _whole(value)
            elif not isinstance(value, str):
                problems[row] = PID_NO_NUMBER
        return pa.chunked_array([exact], pa.string())


class _Number(str):
    """A number of a JSON text as it is written."""

    __slots__ = ()


def _member(text: str, key: str) -> Any:
    """The member ``key`` of a JSON object, a number with a point or an exponent as it is written."""
    try:
        return dict(reversed(json.loads(text, parse_float=_Number, object_pairs_hook=list))).get(key)
    except (ValueError, RecursionError):  # DuckDB reads more than JSON: commas before a closing bracket
        value = next((value for name, value in outer_members(text) if name == key), "")
        return _Number(value) if re.fullmatch(r"[-+0-9.eE]+", value) else simple_value(value, _Number)


def _whole(number: str) -> str:
    """A number without point and exponent where it is whole and not longer than ids can be."""
    try:
        value = Decimal(number)
        if value.adjusted() < MOST_DIGITS and value == value.to_integral_value():
            return str(int(value))
    except (InvalidOperation, ValueError):
        pass
    return number


def _first_bytes(texts: pa.LargeBinaryArray) -> NDArray[np.uint8]:
    """The first byte of each text; an empty one shows that of the next."""
    _, offsets, content = texts.buffers()
    starts = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts)]
    codes = np.frombuffer(content, np.uint8)
    if not len(codes):
        return np.zeros(len(texts), np.uint8)
    return codes[np.minimum(starts, len(codes) - 1)]


def _divided(text: pa.ChunkedArray, problems: dict[int, str]) -> dict[int, list[str]]:
    """The objects of those texts that are no object because they are several, or an array of objects."""
    return {i: found for i, problem in problems.items() if problem != NOT_UTF8 and (found := _objects_in(text[i].as_py()))}


def _objects_in(text: str) -> list[str]:
    text = text.strip()
    array = text[:1] == "["
    found: list[str] = []
    decoder = json.JSONDecoder()
    at = 1 if array else 0
    try:
        while at < len(text):
            at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
            if array and text[at:] == "]":
                return found
            value, end = decoder.raw_decode(text, at)
            if not isinstance(value, dict):
                return []
            found.append(text[at:end])
            at = _SPACE.match(text, end).end()  # type: ignore[union-attr]
            if text[at : at + 1] == ",":
                at += 1
            elif array and text[at:] != "]":
                return []
    except (ValueError, RecursionError):
        return []
    return [] if array else found


def _with_repeated_keys(keys: pa.ListArray) -> list[int]:
    """Numbers of the texts of which one of the objects looked at (lists of lists of ``keys``) has a key twice."""
    objects = keys.flatten()
    text_of = pc.list_parent_indices(keys).to_numpy()
    owners = pc.list_parent_indices(objects).to_numpy()
    encoded = objects.flatten().dictionary_encode()
    codes, kinds = encoded.indices.to_numpy(), len(encoded.dictionary)
    if not len(codes):
        return []
    pairs = owners.astype(np.int64) * kinds + codes
    if len(objects) * kinds < 4 * len(pairs) + (1 << 20):
        twice = np.unique(np.flatnonzero(np.bincount(pairs) > 1) // kinds)
    else:
        pairs.sort()
        twice = np.unique(pairs[1:][pairs[1:] == pairs[:-1]] // kinds)
    return np.unique(text_of[twice]).tolist()
