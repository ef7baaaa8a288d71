"""Items of a request by column: those that are plain are found by a kernel and stay where they are, others are read one by one."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.kernels import use_kernels
from predict_age.serving.messages import JSON, NDJSON, ProblemError
from predict_age.serving.profile_requests import (
    MOST_PROFILES,
    Item,
    ProfileItem,
    TextIds,
    array_items,
    line_items,
    one_item,
    too_many,
)
from predict_age.serving.strict_json import LARGE_BODY, MAX_DEPTH_OF_BODY, checked_text, not_json

ITEMS_TOGETHER = 512  # for so many at a time trees are quickest; a single profile waits no longer than for these
_SCANNED = 1000  # items of a part
_SCANNED_TOGETHER = 200  # items that are looked for before a pause
_READ_TOGETHER = 16  # items that are read one by one before a pause
_PADDING = 64  # bytes behind a body that kernels may read
_WHITE = b" \t\r\n"


@dataclass(frozen=True)
class SentItems:
    """Some items of a request.

    ``texts``: profiles at the places that ``rows`` (k,) marks, one of them for each item, and what lies between; ``pids``; the
    ``problems`` of items that cannot be read, by number; and the numbers of those that are to be ``explained``.
    """

    texts: pa.StringArray
    rows: NDArray[np.bool_]
    pids: list[int | str | None]
    problems: dict[int, ProblemError]
    explained: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.pids)

    @property
    def profiles(self) -> pa.StringArray:
        """The profiles (n,) alone."""
        return self.texts if self.rows.all() else self.texts.filter(pa.array(self.rows))

    def slice(self, first: int, length: int) -> SentItems:
        """The items from ``first`` on, at most ``length``."""
        if first == 0 and length >= len(self):
            return self
        places = np.flatnonzero(self.rows)[first : first + length]
        here = slice(int(places[0]), int(places[-1]) + 1)
        problems = {n - first: problem for n, problem in self.problems.items() if first <= n < first + length}
        explained = frozenset(n - first for n in self.explained if first <= n < first + length)
        return SentItems(self.texts[here], self.rows[here], self.pids[first : first + length], problems, explained)

    @classmethod
    def joined(cls, parts: list[SentItems]) -> SentItems:
        """The items of all ``parts``, one after another."""
        if len(parts) == 1:
            return parts[0]
        problems, explained, number = dict[int, ProblemError](), set[int](), 0
        for part in parts:
            explained |= {number + n for n in part.explained}
            problems |= {number + n: problem for n, problem in part.problems.items()}
            number += len(part)
        rows = np.concatenate([part.rows for part in parts])
        return cls(
            pa.concat_arrays([p.texts for p in parts]), rows, [pid for p in parts for pid in p.pids], problems, frozenset(explained)
        )


def items_one_by_one(items: list[Item]) -> SentItems:
    """The columns of ``items``."""
    problems = {n: item for n, item in enumerate(items) if isinstance(item, ProblemError)}
    pids = [item.pid if isinstance(item, ProfileItem) else None for item in items]
    texts = pa.array([item.profile if isinstance(item, ProfileItem) else None for item in items], pa.string())
    explained = frozenset(n for n, item in enumerate(items) if isinstance(item, ProfileItem) and item.explain)
    return SentItems(texts, np.ones(len(items), np.bool_), pids, problems, explained)


@dataclass(frozen=True)
class ReadBody:
    """The items of a body, in parts, and whether they are ``several`` even where there is one."""

    several: bool
    parts: list[SentItems]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def explained(self) -> int:
        """Number of items whose reasons are asked for."""
        return sum(len(part.explained) for part in self.parts)


def read_body(body: bytes, content_type: str, ids: TextIds) -> Iterator[ReadBody | None]:
    """The items of a ``body`` of JSON or lines, at the end, after pauses. Raises ProblemError 400 and 413."""
    for _ in checked_text(body):
        yield None
    begin = len(body) - len(body.lstrip(_WHITE))
    is_array = content_type != NDJSON and body[begin : begin + 1] == b"["
    separator = b"\n" if content_type == NDJSON else b"," if is_array else b"\0"
    several = separator != b"\0"
    parts, number, at = list[SentItems](), 0, begin + is_array if separator != b"\n" else 0
    if use_kernels(1):
        padded, end = np.empty(len(body) + _PADDING, np.uint8), len(body)
        padded[end:] = 0
        for first in range(0, end, LARGE_BODY):
            some = np.frombuffer(body, np.uint8)[first : first + LARGE_BODY]
            padded[first : first + len(some)] = some
            if end > LARGE_BODY:
                yield None
        while at < end:
            found, at = yield from _scanned(padded, at, end, separator, ids)
            if found is not None:
                parts.append(found)
                number += len(found)
            if found is None or number > MOST_PROFILES or len(found) < _SCANNED:
                break
    if number > MOST_PROFILES:
        raise too_many()
    if not parts and not several:
        yield ReadBody(False, [items_one_by_one([one_item(body.decode(), ids)])])
        return
    if (
        is_array and parts and body[at : at + 1] == b"]" and body[at - 1 : at] != b","
    ):  # which the kernel passes, as an item follows
        if body[at + 1 :].strip(_WHITE):
            raise not_json("nothing after the array")
    elif several and (at < len(body) or is_array):
        rest = body[at:].decode()
        others = array_items(rest, number, ids) if is_array else line_items(rest, number, ids)
        here: list[Item] = []
        for n, item in enumerate(others, start=1):
            here.append(item)
            if n % _READ_TOGETHER == 0:
                yield None
            if len(here) == ITEMS_TOGETHER // 2:
                parts.append(items_one_by_one(here))
                here = []
        if here:
            parts.append(items_one_by_one(here))
    yield ReadBody(several, parts)


def warm_up_reading() -> None:
    """Load the kernel that reads bodies: compiling it takes seconds in a new environment, for which no request should wait."""
    for _ in read_body(b'{"profile": {}}', JSON, TextIds(False)):
        """Nothing is done in the pauses."""


def _scanned(
    padded: NDArray[np.uint8], at: int, end: int, separator: bytes, ids: TextIds
) -> Generator[None, None, tuple[SentItems | None, int]]:
    """Plain items from ``at`` on, None where there is none, and where the first begins that is not among them; with pauses."""
    from predict_age.kernels.request_scanner import NUMBER_PID, TEXT_PID, scan_items

    table = np.empty((1 if separator == b"\0" else _SCANNED, 6), np.int64)
    kind, most_depth = TEXT_PID if ids.text else NUMBER_PID, MAX_DEPTH_OF_BODY - (2 if separator == b"," else 1)
    n, after = 0, at
    while n < len(table) and after < end:
        wanted = table[n : n + _SCANNED_TOGETHER]
        found, after = scan_items(padded, after, end, separator[0], kind, most_depth, wanted)
        n += found
        if found < len(wanted):
            break
        yield
    if n == 0 or (separator == b"\0" and after < end):
        return None, at
    table = table[:n]
    pids: list[int | str | None]
    if ids.text:
        pids = [padded[begin:stop].tobytes().decode() if found else None for found, _, begin, stop in table[:, 2:].tolist()]
    else:
        pids = [number if found else None for found, number in table[:, 2:4].tolist()]
    rows = np.zeros(2 * n - 1, np.bool_)
    rows[::2] = True
    return SentItems(_strings(padded, table), rows, pids, {}), after


def _strings(padded: NDArray[np.uint8], table: NDArray[np.int64]) -> pa.StringArray:
    """The profiles of ``table`` (n, 6) where they are in the body, with what lies between them as texts of their own."""
    bounds = table[:, :2].astype(np.int32)
    missing = bounds[:, 0] < 0
    validity = None
    if missing.any():
        present = np.ones(2 * len(bounds) - 1, np.bool_)
        present[::2] = ~missing
        validity = pa.py_buffer(np.packbits(present, bitorder="little"))
        before = np.maximum.accumulate(bounds[:, 1])
        bounds[missing] = np.maximum(before, 0)[missing, np.newaxis]
    return pa.StringArray.from_buffers(2 * len(bounds) - 1, pa.py_buffer(bounds.ravel()), pa.py_buffer(padded), validity)
