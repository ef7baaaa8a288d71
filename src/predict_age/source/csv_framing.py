"""Records of a CSV text, found in its bytes before anything reads their values: where each begins, and which are rejected.

Blocks without a doubtful quote are looked through as arrays; the others record by record, by the grammar of the dialect. Both
find the same records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import pyarrow as pa

from predict_age.errors import InputError
from predict_age.source.csv_blocks import Bounds, RecordBounds, find_together
from predict_age.source.csv_dialect import CR, LF, Dialect
from predict_age.source.csv_joined import without_line_end
from predict_age.source.csv_records import looks_like_id, records_equal_to, records_inside, text_of_records
from predict_age.source.text_encoding import masked
from predict_age.source.working_rows import LONGEST_RECORD, NOT_UTF8

RAGGED, STRAY_QUOTE = "wrong_number_of_columns", "stray_quote"
CARRIAGE_RETURN, NUL = "stray_carriage_return", "nul_character"
HEADER_AGAIN = "repeated_header"
MOST_TRIED = 10_000  # records of a file that are looked at as two without a line end between them
SEVERAL = 2  # parts of a line that look like records


@dataclass(frozen=True)
class Records:
    """Consecutive records of a file. ``text`` holds the good ones; ``positions`` numbers them, ``rejected`` the others."""

    text: bytes | memoryview
    positions: Bounds
    rejected: list[tuple[int, str]]


@dataclass
class Framer:
    """Divides the text of the file ``path`` into records of ``columns`` fields; the person's identifier is field ``pid``.

    ``checked`` refuses a record over several lines of which one looks like a record: a stray quote has probably swallowed it.
    """

    path: str
    dialect: Dialect
    columns: int
    pid: int
    checked: bool = True
    headers: Sequence[bytes] = ()  # the line of names as it is written, and in other ways: files put together have it again
    byte: int = 0  # of the text before what is looked at now
    line: int = 0
    record: int = 0
    tried: int = 0  # records that may be two without a line end between them

    def frame(self, blocks: Iterable[bytes]) -> Iterator[Records]:
        """The records of ``blocks``, in order. Raises InputError where quoting leaves open which records there are."""
        kept = b""
        for block in blocks:
            data, found = self._divided(kept + block, final=False)
            if found.rest:
                yield self._records(data, found)
            kept = data[found.rest :]
            if len(kept) > LONGEST_RECORD:
                self._stop(
                    kept,
                    0,
                    f"a record is longer than {LONGEST_RECORD >> 20} MiB",
                    found=f"it begins like {masked(kept[:40])}",
                    fix="look for a quote that is never closed, or for a wrong delimiter",
                )
        if kept:
            yield self._records(*self._divided(kept, final=True))

    def _divided(self, data: bytes, *, final: bool) -> tuple[bytes, RecordBounds]:
        """``data`` and its records, with a line end where files were put together without one between them."""
        found = self._find(data, final=final)
        wrong = {number for number, reason in found.problems.items() if reason == STRAY_QUOTE}
        wrong |= set(np.flatnonzero(found.fields > self.columns).tolist())
        pieces, at = list[bytes](), 0
        for number in sorted(wrong)[: MOST_TRIED - self.tried]:
            start, end = int(found.starts[number]), int(found.ends[number])
            self.tried += 1
            if place := without_line_end(data[start:end], self.dialect, self.columns, self.pid, self.headers):
                pieces.append(data[at : start + place[0]])
                at = start + place[1]
        if not pieces:
            return data, found
        divided = self.dialect.line_end.join([*pieces, data[at:]])
        self.byte, self.line = self.byte + len(data) - len(divided), self.line - len(pieces)
        return divided, self._find(divided, final=final)

    def _find(self, data: bytes, *, final: bool) -> RecordBounds:
        return find_together(data, self.dialect, final=final) or self._find_one_by_one(data, final=final)

    def _find_one_by_one(self, data: bytes, *, final: bool) -> RecordBounds:
        """The records of ``data`` by the grammar of the dialect."""
        bounds: list[tuple[int, int, int]] = []  # first byte, byte after the last, fields
        several: list[int] = []
        problems: dict[int, str] = {}
        delimiter, quote = self.dialect.delimiter.encode(), self.dialect.quote.encode()
        at = 0
        while at < len(data):
            match = self.dialect.record.match(data, at)
            if match is None:
                end = self._end_of_stray(data, at, final=final)
                if end is None:
                    break
                problems[len(bounds)] = STRAY_QUOTE
            else:
                end = match.end()
                while self.dialect.line_end == LF and data[end : end + 1] == CR:
                    end += 1
            if end >= len(data) and not final:
                break
            raw = data[at:end]
            if match and self.dialect.line_end == LF and CR in raw and self._lone_return_in(raw):
                problems[len(bounds)] = CARRIAGE_RETURN
            if self.dialect.line_end in raw:
                several.append(len(bounds))
            quoted = bool(quote) and quote in raw
            bounds.append((at, end, sum(1 for _ in self._bounds(raw)) if quoted and match else raw.count(delimiter) + 1))
            at = end + 1
        starts, ends, fields = np.array(bounds, np.int64).reshape(-1, 3).T
        rest = min(at, len(data))
        return RecordBounds(starts, ends, fields, problems, several, rest, data.count(self.dialect.line_end, 0, rest))

    def _bounds(self, record: bytes) -> Iterator[tuple[int, int]]:
        """Where the fields of a record begin and end."""
        at, record = 0, record.rstrip(CR)
        while match := self.dialect.field.match(record, at):
            yield match.span()
            if match.end() >= len(record):
                return
            at = match.end() + 1

    def _lone_return_in(self, record: bytes) -> bool:
        return any(
            CR in record[a:b].rstrip(CR) and not (self.dialect.quote and record[a:b].startswith(self.dialect.quote.encode()))
            for a, b in self._bounds(record)
        )

    def _end_of_stray(self, data: bytes, at: int, *, final: bool) -> int | None:
        """The end of the record at ``at``, which is wrongly quoted; None when that lies in the next block.

        Raises InputError when the quote may belong to more than one line.
        """
        opened = self.dialect.good_fields.match(data, at).end()  # type: ignore[union-attr]
        closed = self.dialect.quoted.match(data, opened).end()  # type: ignore[union-attr]
        if closed >= len(data):
            if not final:
                return None
            self._stop(
                data,
                opened,
                "a quote is opened and never closed: everything after it became part of one field",
                found=masked(data[opened : opened + 40]),
                fix=self._fix(),
            )
        if not final and closed + 1 >= len(data):
            return None
        end = data.find(self.dialect.line_end, closed)
        if end < 0 and not final:
            return None
        end = len(data) if end < 0 else end
        if self.dialect.line_end in data[opened:closed] or data.count(self.dialect.quote.encode(), at, end) % 2:
            line = self._line(data, closed)
            self._stop(
                data,
                opened,
                f"a quote is opened that is closed wrongly in line {line:,}: the lines between may be records",
                found=f"{masked(data[opened : opened + 40])} ... {masked(data[max(closed - 20, opened) : closed + 20])}",
                fix=self._fix(),
            )
        return end

    def _records(self, data: bytes, found: RecordBounds) -> Records:
        """Number the records, reject those that cannot be used, and keep the text of the others."""
        blank = np.array([], bool)
        if len(found.starts):
            length = found.ends - found.starts
            codes = np.frombuffer(data, np.uint8)
            first, last = (codes[np.clip(places, 0, len(codes) - 1)] == CR[0] for places in (found.starts, found.ends - 1))
            blank = (length == 0) | ((length <= 2) & first & last)
        ragged = (found.fields != self.columns) & ~blank
        problems = dict.fromkeys(np.flatnonzero(ragged).tolist(), RAGGED) | found.problems
        for number in found.many_lines:
            self._check_many_lines(data, found, number, problems)
        self._check_characters(data, found, problems)
        for number in problems:
            self._check_one_record(data, int(found.starts[number]), int(found.ends[number]))
        for header in self.headers:
            problems |= dict.fromkeys(records_equal_to(header, data, found), HEADER_AGAIN)
        numbers = self.record + np.cumsum(~blank) - 1
        rejected = [(int(numbers[i]), reason) for i, reason in sorted(problems.items()) if not blank[i]]
        good = ~blank
        good[list(problems)] = False
        self.record += int((~blank).sum())
        text = text_of_records(data, found, problems, self.dialect)
        self.line += found.lines
        self.byte += found.rest
        return Records(text, numbers[good], rejected)

    def _check_one_record(self, data: bytes, start: int, end: int) -> None:
        """Refuse a record that cannot be used when it is several ones, whose lines end in another way than the first line."""
        parts = records_inside(data[start:end], self.dialect, self.columns, self.pid)
        if len(parts) < SEVERAL:
            return
        raise InputError(
            f"{self.path}, line {self._line(data, start):,}, byte {self.byte + start + 1:,}: one line holds several records",
            expected=f"records that end with {self.dialect.lines}, as the first line does",
            found=f"{len(parts):,} parts that look like records, the second like {masked(parts[1][:60])}",
            fix="write the file again with one kind of line end",
        )

    def _check_characters(self, data: bytes, found: RecordBounds, problems: dict[int, str]) -> None:
        """Mark records that are not UTF-8, or have a NUL character."""
        view = pa.py_buffer(data)
        offsets = pa.py_buffer(np.array([0, found.rest], np.int64))
        try:
            pa.LargeStringArray.from_buffers(1, offsets, view).validate(full=True)
            valid = True
        except pa.ArrowInvalid:
            valid = False
        if valid and data.find(b"\0", 0, found.rest) < 0:
            return
        for number, (start, end) in enumerate(zip(found.starts.tolist(), found.ends.tolist(), strict=True)):
            raw = data[start:end]
            if b"\0" in raw:
                problems[number] = NUL
            elif not raw.isascii():
                try:
                    raw.decode()
                except UnicodeDecodeError:
                    problems[number] = NOT_UTF8

    def _check_many_lines(self, data: bytes, found: RecordBounds, number: int, problems: dict[int, str]) -> None:
        """Refuse a record over several lines that has the wrong number of fields, or of which a line looks like a record."""
        start, end = int(found.starts[number]), int(found.ends[number])
        opened = self._first_break(data, start, end)
        if problems.get(number) == RAGGED:
            self._stop(
                data,
                opened,
                f"a quoted field spans several lines, and its record has {found.fields[number]:,} fields",
                found=masked(data[opened : opened + 40]),
                fix=self._fix(),
            )
        if not self.checked or self.columns < 2:
            return
        delimiter = self.dialect.delimiter.encode()
        for line in data[start:end].split(self.dialect.line_end)[1:]:
            own = self.dialect.fields(data[start:end])[self.pid]
            if line.count(delimiter) == self.columns - 1 and looks_like_id(line.split(delimiter)[self.pid], own, self.dialect):
                self._stop(
                    data,
                    opened,
                    "a quoted field spans lines that look like records",
                    found=f"{masked(line[:60])} inside the field that begins like {masked(data[opened : opened + 40])}",
                    fix=f'{self._fix()}; or set csv_line_breaks = "trusted" under [source] when the field is right as it is',
                )

    def _first_break(self, data: bytes, start: int, end: int) -> int:
        """Where the first field with a line break begins."""
        raw = data[start:end]
        return start + next((a for a, b in self._bounds(raw) if self.dialect.line_end in raw[a:b]), 0)

    def _line(self, data: bytes, at: int) -> int:
        return self.line + data.count(self.dialect.line_end, 0, at) + 1

    def _stop(self, data: bytes, at: int, message: str, *, found: str, fix: str) -> NoReturn:
        line, byte = self._line(data, at), self.byte + at + 1
        expected = "every quoted field closed by a quote, before a delimiter or a line end"
        raise InputError(f"{self.path}, line {line:,}, byte {byte:,}: {message}", expected=expected, found=found, fix=fix)

    @staticmethod
    def _fix() -> str:
        return (
            "mend the file; quotes inside a quoted field are written twice. "
            'When fields are never quoted, set csv_quote = "" under [source]'
        )
