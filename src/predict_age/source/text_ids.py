"""Ids that are text: each becomes a 63-bit number, the same in every run, on every machine, and for every user who computes it.

In a source whose ids are text, an id that is a whole number as it is usually written keeps its value. Every other one becomes the
first eight bytes of the SHA-256 of its text, as a big-endian number without its highest bit; the text is trimmed and in Unicode's
composed form (NFC). Athena, Spark and most databases can compute that. The next eight bytes tell apart two texts of one number.
"""

from __future__ import annotations

import hashlib
import re
import sys
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from predict_age.source.column_types import UNREADABLE_TEXT, is_text
from predict_age.source.value_sql import DOUBLE_EXACT, SINGLE_EXACT

LARGEST = 2**63 - 1
_PLAIN_NUMBER = re.compile(r"(?!-0)-?(?:0|[1-9][0-9]{0,18})", re.ASCII)
NOT_AN_INTEGER, OUT_OF_RANGE = "pid_not_an_integer", "pid_out_of_range"  # why an id is no whole number of 64 bits
PID_MISSING = "pid_missing"
PADDED_IDS = 'ids with zeros in front ({:,}) count as without: 007 and 7 are one person; source.pid_type = "text" keeps them apart'
_NO_ID = {UNREADABLE_TEXT, "true", "false"}
COLUMNS = pa.schema([("pid", pa.int64()), ("source_id", pa.string()), ("id_check", pa.uint64()), ("problem", pa.string())])


@dataclass(frozen=True)
class Spellings:
    """Ids as they are written: the number ``padded`` with zeros, characters of the longest of these, and of the shortest id."""

    padded: int = 0
    longest_padded: int = 0
    shortest: int = sys.maxsize

    @classmethod
    def together(cls, parts: Iterable[Spellings]) -> Spellings:
        """Those of several parts of a source."""
        all_of = list(parts) or [cls()]
        return cls(sum(p.padded for p in all_of), max(p.longest_padded for p in all_of), min(p.shortest for p in all_of))

    @property
    def may_merge(self) -> int:
        """Number of padded ids where another one is shorter than one of them: 007 and 7 are one whole number; else 0."""
        return self.padded if self.shortest < self.longest_padded else 0


def spellings(ids: pa.ChunkedArray) -> Spellings:
    """Spellings of the ids of a column (n,) of any type; numbers have none."""
    if not is_text(ids.type) or ids.null_count == len(ids):
        return Spellings()
    shortest = pc.min(pc.utf8_length(ids)).as_py()
    zeros = ids.filter(pc.fill_null(pc.starts_with(ids, "0"), False))
    padded = zeros.filter(pc.match_substring_regex(zeros, "^0[0-9]+$"))
    return Spellings(len(padded), pc.max(pc.utf8_length(padded)).as_py() or 0, shortest)


def pid_of(text: str) -> int:
    """The pid of a text id, which is trimmed and composed already."""
    return _pid_and_check(text)[0]


def _pid_and_check(text: str) -> tuple[int, int]:
    digest = hashlib.sha256(text.encode()).digest()
    check = int.from_bytes(digest[8:16], "big")
    if _PLAIN_NUMBER.fullmatch(text) and -LARGEST - 1 <= (number := int(text)) <= LARGEST:
        return number, check
    return int.from_bytes(digest[:8], "big") & LARGEST, check


def pid_sql(text: str) -> str:
    """SQL of DuckDB for :func:`pid_of` of the expression ``text``, as BIGINT."""
    digest = f"CAST('0x' || substr(sha256(nfc_normalize({text})), 1, 16) AS UBIGINT)"
    number = f"WHEN regexp_full_match({text}, '0|-?[1-9][0-9]{{0,18}}') AND try_cast({text} AS BIGINT) IS NOT NULL"
    return f"CASE {number} THEN try_cast({text} AS BIGINT) ELSE CAST({digest} & {LARGEST}::UBIGINT AS BIGINT) END"


def id_text(value: str) -> str:
    """The text that counts: without white space around it, composed."""
    value = value.strip()
    return value if value.isascii() else unicodedata.normalize("NFC", value)


def is_id(text: str) -> bool:
    """Whether ``text`` can be the id of one person: not a truth value, nor a JSON object or array, nor broken UTF-8."""
    return text.lower() not in _NO_ID and not text.startswith(('{"', "{}", "["))


def read_text_ids(column: pa.ChunkedArray) -> pa.Table:
    """The ids of ``column`` (n,), which has a type of ``plain_values``, as the columns ``COLUMNS``.

    ``pid`` is NULL where there is none, and ``problem`` says why: pid_missing, pid_unreadable.
    """
    pids, texts, checks, problems = list[int | None](), list[str | None](), list[int | None](), list[str | None]()
    for value in _as_text(column).to_pylist():
        text = None if value is None else id_text(value)
        if not text or not is_id(text):
            pids.append(None)
            texts.append(None)
            checks.append(None)
            problems.append(PID_MISSING if not text else "pid_unreadable")
            continue
        pid, check = _pid_and_check(text)
        pids.append(pid)
        texts.append(text)
        checks.append(check)
        problems.append(None)
    return pa.table([pids, texts, checks, problems], schema=COLUMNS)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers as their digits; what is no whole number, or is not exact in its type, as text that is no id."""
    kind = column.type
    if is_text(kind):
        return column
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_integer(kind):
        return column.cast(pa.string())
    if pa.types.is_floating(kind):
        exact = SINGLE_EXACT if kind.bit_width == 32 else DOUBLE_EXACT
        whole = pc.and_(pc.equal(column, pc.floor(column)), pc.less(pc.abs(column), float(exact)))
        digits = pc.if_else(whole, column, None).cast(pa.int64()).cast(pa.string())
        missing = pc.or_kleene(pc.is_null(column), pc.is_nan(column))
        return pc.if_else(pc.and_(pc.is_null(digits), pc.invert(pc.fill_null(missing, True))), UNREADABLE_TEXT, digits)
    values = column.to_pylist()
    if pa.types.is_decimal(kind):
        written = [None if v is None else str(int(v)) if v == int(v) else UNREADABLE_TEXT for v in values]
    else:
        written = [None if v is None else UNREADABLE_TEXT for v in values]
    return pa.chunked_array([pa.array(written, pa.string())])


def count_text_ids(ids: pa.ChunkedArray, problems: pa.ChunkedArray) -> int:
    """Number of ``ids`` (n,) that are ids as text but no whole numbers: by their ``problems`` (n,), NULL where there is none."""
    large = pc.fill_null(pc.equal(problems, OUT_OF_RANGE), False)
    odd = pc.fill_null(pc.equal(problems, NOT_AN_INTEGER), False)
    several = pc.sum(large).as_py() or 0
    if is_text(ids.type) and pc.any(odd).as_py():
        texts = (id_text(value) for value in ids.filter(odd).to_pylist() if value is not None)
        several += sum(bool(text) and is_id(text) for text in texts)
    return int(several)
