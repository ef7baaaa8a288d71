"""Dialects of CSV: detected from the beginning of a file, and the grammar of a record in each of them.

Quoting is strict: a quoted field ends at a quote that a delimiter or a line end follows. A quote inside a field that does not
begin with one is an ordinary character.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from predict_age.config import SourceConfig

if TYPE_CHECKING:
    from predict_age.source.source_file import SourceFile

DELIMITERS = (",", ";", "\t", "|")
UNQUOTED_DUMPS = ("\t", "|")  # programs that write these often quote nothing
SAMPLED_RECORDS, COMPARED_RECORDS = 1000, 30  # looked at for wrong quotes; for choosing the delimiter
MOST_COLUMNS = 20_000
LF, CR = b"\n", b"\r"
# Saves memory in cells of many megabytes. Python before 3.11.5 matches possessive quantifiers wrongly (python/cpython#106052).
POSSESSIVE = b"+" if sys.version_info >= (3, 11, 5) else b""


@dataclass(frozen=True)
class Dialect:
    """Delimiter, quote and escape, each one ASCII character; quote and escape may be empty. Lines end with LF, or CR alone."""

    delimiter: str
    quote: str
    escape: str
    line_end: bytes = LF

    @property
    def lines(self) -> str:
        """The name of the line end."""
        return "CR" if self.line_end == CR else "LF"

    @cached_property
    def field(self) -> re.Pattern[bytes]:
        """One field: quoted and rightly closed, or without a quote at its beginning. Without the delimiter."""
        return re.compile(self._field, re.DOTALL)

    @cached_property
    def record(self) -> re.Pattern[bytes]:
        """One record, without its line end."""
        delimiter = re.escape(self.delimiter.encode())
        return re.compile(rb"(?:%s%s)*%s%s(?!%s)" % (self._field, delimiter, POSSESSIVE, self._field, delimiter), re.DOTALL)

    @cached_property
    def good_fields(self) -> re.Pattern[bytes]:
        """The fields of a record before one that is wrongly quoted."""
        return re.compile(rb"(?:%s%s)*%s" % (self._field, re.escape(self.delimiter.encode()), POSSESSIVE), re.DOTALL)

    @cached_property
    def quoted(self) -> re.Pattern[bytes]:
        """A quote and what follows up to the closing quote, or up to the end of the text."""
        return re.compile(self._opened, re.DOTALL)

    @property
    def _opened(self) -> bytes:
        quote, escape = re.escape(self.quote.encode()), re.escape(self.escape.encode())
        plain = rb"[^%s%s]*%s" % (quote, escape, POSSESSIVE)
        written = rb"%s.|%s%s" % (escape, quote, quote) if escape else quote + quote
        return rb"%s%s(?:(?:%s)%s)*%s" % (quote, plain, written, plain, POSSESSIVE)

    @property
    def _field(self) -> bytes:
        """A field in which nothing can be matched in two ways, with possessive quantifiers and without."""
        delimiter, quote = re.escape(self.delimiter.encode()), re.escape(self.quote.encode())
        line_ends = re.escape(LF + (CR if self.line_end == CR else b""))
        plain = rb"[^%s%s]*%s(?=[%s%s]|\Z)" % (delimiter, line_ends, POSSESSIVE, delimiter, line_ends)
        if not quote:
            return plain
        end = rb"[\r\n]" if self.line_end == CR else rb"\r*\n|\r*\Z"
        return rb"(?:%s%s(?=%s|%s|\Z)|(?!%s)%s)" % (self._opened, quote, delimiter, end, quote, plain)

    def fields(self, record: bytes) -> list[bytes]:
        """The values of one record."""
        found, at, record = [], 0, record.rstrip(CR)
        while match := self.field.match(record, at):
            found.append(self._value(match.group()))
            at = match.end() + 1
            if match.end() >= len(record):
                break
        return found

    def without_escapes(self, record: bytes) -> bytes:
        """Write quotes of a record twice instead of escaping them. Outside of quotes an escape is a character."""
        pieces, at, quote = [], 0, self.quote.encode()
        while match := self.field.match(record, at):
            raw = match.group()
            if len(raw) > 1 and raw.startswith(quote):
                raw = quote + self._value(raw).replace(quote, quote + quote) + quote
            pieces += [raw, record[match.end() : match.end() + 1]]
            at = match.end() + 1
            if match.end() >= len(record) or record[match.end() : match.end() + 1] != self.delimiter.encode():
                break
        return b"".join([*pieces, record[at:]])

    def _value(self, raw: bytes) -> bytes:
        quote, escape = self.quote.encode(), self.escape.encode()
        raw = raw.rstrip(b"\r") if raw.endswith(b"\r") else raw
        if not quote or not raw.startswith(quote) or len(raw) < 2:
            return raw
        raw = raw[1:-1].replace(quote + quote, quote)
        return re.sub(re.escape(escape) + rb"(.)", rb"\1", raw, flags=re.DOTALL) if escape else raw


def dialect_of(file: SourceFile) -> Dialect:
    """The dialect that was detected for ``file``; that of an empty file is the usual one."""
    return Dialect(file.delimiter or ",", file.quote if file.delimiter else '"', file.escape, CR if file.layout == "CR" else LF)


def line_end_of(head: bytes, delimiter: str, quote: str) -> bytes:
    """The line end of a text by that of its first line: LF, before which CR may stand, or CR alone."""
    header = Dialect(delimiter, quote, "", CR).record.match(head, len(head) - len(head.lstrip(b"\r\n")))
    following = re.match(rb"\r*\n|\r", head[header.end() :]) if header else None
    return CR if following and following[0] == CR else LF


def detect_dialect(head: bytes, settings: SourceConfig, name: str, *, cut: bool) -> Dialect:
    """The dialect of a file that begins with ``head`` (UTF-8), ``cut`` there or not. Configured values are not detected."""
    usual = "\t" if ".tsv" in name.lower() else ","
    if settings.csv_delimiter != "auto":
        delimiters: tuple[str, ...] = (settings.csv_delimiter,)
    elif declared := re.match(rb"sep=([\x01-\x7f])\r?\n", head):
        delimiters = (declared[1].decode(),)
    else:
        delimiters = tuple(dict.fromkeys((usual, *DELIMITERS)))
    quote = '"' if settings.csv_quote == "auto" else settings.csv_quote
    escape = "" if settings.csv_escape in ("auto", quote) else settings.csv_escape  # the quote itself: it is written twice
    head = head[declared_delimiter(head) :]
    best, best_score = Dialect(usual, quote, escape, line_end_of(head, usual, quote)), (-1, -1.0)
    for delimiter in delimiters:
        dialect = Dialect(delimiter, quote, escape, line_end_of(head, delimiter, quote))
        sample = _sample(head, dialect, cut, COMPARED_RECORDS)
        score = (_wanted(sample.names, settings), sample.even if len(sample.names) > 1 else 0.0)
        if score > best_score:
            best, best_score = dialect, score
        if score[0] > 1 and score[1] == 1.0:
            break
    return _with_quoting(best, head, settings, cut)


def _with_quoting(dialect: Dialect, head: bytes, settings: SourceConfig, cut: bool) -> Dialect:
    """The dialect with the quote and the escape that the file uses, where they are not configured."""
    sample = _sample(head, dialect, cut)
    if settings.csv_quote == "auto" and sample.names and all(len(n) > 1 and n[0] == n[-1] == "'" for n in sample.names):
        return Dialect(dialect.delimiter, "'", dialect.escape, dialect.line_end)
    if sample.clean or not dialect.quote:
        return dialect
    if settings.csv_escape == "auto":
        escaping = Dialect(dialect.delimiter, dialect.quote, "\\", dialect.line_end)
        if _sample(head, escaping, cut).clean:
            return escaping
    unquoted = Dialect(dialect.delimiter, "", "", dialect.line_end)
    if settings.csv_quote == "auto" and dialect.delimiter in UNQUOTED_DUMPS:
        plain = _sample(head, unquoted, cut)
        if plain.even == 1.0 and not plain.wrapped:  # nobody has quoted: what looks like a quote is a character
            return unquoted
    return dialect


def declared_delimiter(head: bytes) -> int:
    """Bytes of a first line ``sep=;``, which spreadsheets write."""
    match = re.match(rb"sep=[\x01-\x7f]\r?\n", head)
    return match.end() if match else 0


@dataclass(frozen=True)
class _Sample:
    names: list[str]  # of the header
    even: float  # share of records that have as many fields as the header
    clean: bool  # no record is wrongly quoted or spans lines that look like records
    wrapped: bool  # some field begins and ends with a double quote


def _sample(head: bytes, dialect: Dialect, cut: bool, most: int = SAMPLED_RECORDS) -> _Sample:
    names: list[str] = []
    counts: list[int] = []
    clean, wrapped, at = True, False, 0
    delimiter = dialect.delimiter.encode()
    while at < len(head) and len(counts) <= most:
        match = dialect.record.match(head, at)
        if match is None:
            opened = dialect.good_fields.match(head, at).end()  # type: ignore[union-attr]
            closed = dialect.quoted.match(head, opened).end()  # type: ignore[union-attr]
            clean = clean and cut and closed >= len(head)
            break
        if cut and match.end() >= len(head) and counts:
            break
        raw = match.group()
        if raw.count(delimiter) >= MOST_COLUMNS:
            break  # the reader says so
        if raw.strip(b"\r"):
            if names and dialect.quote and dialect.quote.encode() not in raw:
                counts.append(raw.count(delimiter) + 1)
            else:
                fields = dialect.fields(raw)
                counts.append(len(fields))
                names = names or [f.decode("utf-8", "replace") for f in fields]
                wrapped = wrapped or (not dialect.quote and any(len(f) > 1 and f[:1] == f[-1:] == b'"' for f in fields))
            if dialect.line_end in raw:
                lines = raw.split(dialect.line_end)[1:]
                clean = clean and not any(line.count(delimiter) == counts[0] - 1 > 0 for line in lines)
        at = match.end() + 1
    even = sum(n == counts[0] for n in counts[1:]) / (len(counts) - 1) if len(counts) > 1 else 0.5
    return _Sample(names, even, clean, wrapped)


def _wanted(names: list[str], settings: SourceConfig) -> int:
    cleaned = {name.strip().strip("'") for name in names}
    return len(cleaned & {settings.pid, settings.birth_year, settings.approximate_age, settings.profile_json})
