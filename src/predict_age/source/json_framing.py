"""Elements of JSON texts that are not one record a line, found in the bytes by where strings and brackets are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.errors import InputError
from predict_age.source.json_layout import ARRAY, MEMBER, VALUES, find_member
from predict_age.source.text_encoding import masked
from predict_age.source.working_rows import LONGEST_RECORD

_QUOTE, _BACKSLASH, _COMMA = b'"\\,'
_OPENING, _CLOSING = tuple(b"{["), tuple(b"}]")


@dataclass
class ElementFramer:
    """Divides a JSON text of the ``layout`` array, member or values into its elements, as texts in one Arrow array a block."""

    path: str
    layout: str
    pid: str
    byte: int = 0
    elements: int = 0

    def frame(self, blocks: Iterator[bytes]) -> Iterator[pa.LargeBinaryArray]:
        """The elements of ``blocks``. Raises InputError where the text is damaged: nobody can say which records it has then."""
        kept, before = self._begin(blocks)
        ended = False
        while True:
            block = next(blocks, b"")
            data = kept + block
            if ended:
                kept = data
            else:
                found = self._elements(data)
                if found.texts is not None:
                    yield found.texts
                kept, ended = data[found.rest :], found.ended
                self.byte += found.rest
            if len(kept) > LONGEST_RECORD:
                self._stop(f"a value is longer than {LONGEST_RECORD >> 20} MiB", masked(kept[:40]))
            if not block:
                break
        if self.layout == VALUES:
            if kept.strip():
                self._stop("the last value does not end", masked(kept[:40]))
        elif not ended:
            self._stop("the array does not end", masked(kept[-40:]))
        else:
            self._check_end(before, kept)

    def _begin(self, blocks: Iterator[bytes]) -> tuple[bytes, bytes]:
        """The first block from its first element on, and what stood before that."""
        head = next(blocks, b"")
        if self.layout == VALUES:
            return head, b""
        if self.layout == ARRAY:
            begins = head.index(b"[") + 1
        else:
            text = head.decode("utf-8", "surrogateescape")
            blank = len(text) - len(text.lstrip())
            member = find_member(text.lstrip(), {self.pid})
            if member is None:
                self._stop("the array of people is not at the beginning of the object", masked(head[:40]))
            begins = len(text[: blank + member.begins].encode("utf-8", "surrogateescape"))
        self.byte = begins
        return head[begins:], head[:begins]

    def _elements(self, data: bytes) -> _Elements:
        codes = np.frombuffer(data, np.uint8)
        inside = _inside_strings(codes)
        opening = (codes == _OPENING[0]) | (codes == _OPENING[1])
        brackets = np.flatnonzero((opening | (codes == _CLOSING[0]) | (codes == _CLOSING[1])) & ~inside)
        depth = np.cumsum(np.where(opening[brackets], 1, -1))
        if self.layout == VALUES:
            below = np.flatnonzero(depth < 0)
            if len(below):
                self._stop("a bracket is closed that was never opened", masked(data[: 1 + int(brackets[below[0]])][-40:]))
            ends = brackets[depth == 0] + 1
            return _Elements(self._texts(data, ends), int(ends[-1]) if len(ends) else 0, ended=False)
        closed = np.flatnonzero(depth < 0)
        end = int(brackets[closed[0]]) if len(closed) else len(data)
        if len(closed) and data[end : end + 1] != b"]":
            self._stop("a brace is closed that was never opened", masked(data[: end + 1][-40:]))
        commas = np.flatnonzero((codes[:end] == _COMMA) & ~inside[:end])
        level = np.searchsorted(brackets, commas)
        commas = commas[np.where(level == 0, 0, depth[np.maximum(level - 1, 0)] if len(depth) else 0) == 0]
        copy = codes.copy()
        copy[commas] = ord("\n")
        ends = commas + 1
        if len(closed):
            copy[end] = ord("\n")
            ends = np.append(ends, end + 1)
        return _Elements(self._texts(copy.tobytes(), ends), int(ends[-1]) if len(ends) else 0, ended=bool(len(closed)))

    def _texts(self, data: bytes, ends: NDArray[np.int64]) -> pa.LargeBinaryArray | None:
        if not len(ends):
            return None
        offsets = pa.py_buffer(np.concatenate([np.zeros(1, np.int64), ends]))
        self.elements += len(ends)
        return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(ends), [None, offsets, pa.py_buffer(data)])

    def _check_end(self, before: bytes, rest: bytes) -> None:
        """Raise InputError unless what stands around the array makes one JSON text without other people."""
        if self.layout == ARRAY:
            if rest.strip():
                self._stop("something follows the array", masked(rest.strip()[:40]))
            return
        try:
            whole = json.loads(before + b"]" + rest)
        except (ValueError, RecursionError) as error:
            self._stop("the object around the array is damaged", str(error))
        others = [
            name
            for name, value in whole.items()
            if isinstance(value, list) and any(isinstance(v, dict) for v in value) and name != self.layout.removeprefix(MEMBER)
        ]
        if others:
            self._stop("the object has a second array of objects", masked(others[0].encode("utf-8", "replace")))

    def _stop(self, message: str, found: str) -> NoReturn:
        raise InputError(
            f"{self.path}, from byte {self.byte + 1:,} on: {message}",
            expected="one JSON text, not cut and not damaged",
            found=found,
            fix="write the file again, or write it as JSON lines (one record a line): there a damaged line is one rejected record",
        )


@dataclass(frozen=True)
class _Elements:
    texts: pa.LargeBinaryArray | None
    rest: int  # first byte that belongs to no element yet
    ended: bool  # the array is closed


def _inside_strings(codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which bytes are inside of strings, opening quotes included. The text begins outside."""
    quotes = codes == _QUOTE
    slashes = np.flatnonzero(codes == _BACKSLASH)
    if len(slashes):
        first = np.concatenate([[True], np.diff(slashes) > 1])
        begins = slashes[first]
        lengths = np.diff(np.append(np.flatnonzero(first), len(slashes)))
        escaped = (begins + lengths)[lengths % 2 == 1]
        quotes[escaped[escaped < len(codes)]] = False
    return np.bitwise_xor.accumulate(quotes.view(np.uint8)).view(np.bool_)
