"""Lookup files: the published people by pid, in compressed blocks, of which an index says where they are and what their SHA-256 is.

A file of blocks holds the people whose pid leaves the same rest. It begins with the length of a JSON header and the header: the
texts and percentages that records number. Blocks follow, pids in order; each has a head and its columns, one after
another, compressed together. To find a person takes one read of some kilobytes, whatever the number of people.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.errors import IntegrityError
from predict_age.hashing import splitmix64

LOOKUP_FORMAT = 1
BLOCK_PEOPLE = 2048
NO_NUMBER = 255  # an age or an end that a person does not have
SmallNumbers = NDArray[np.integer[Any]]
BLOCK_HEAD = struct.Struct("<IIqI")  # bytes of the block with its head, people, first pid, bytes of a difference of pids
NO_PERCENTAGE = -1.0  # stands for no percentage: NaN would not equal itself
LENGTH = struct.Struct("<I")
CODEC = "zstd"
_ODD = np.uint64(0x9E3779B97F4A7C15)  # what hashes are multiplied by between the columns of a record
_COLUMNS = ("age", "lower", "upper", "pct", "source", "model", "usable", "part")


@dataclass(frozen=True)
class LookupTexts:
    """Values that records of a file number: percentages (the last, below 0, for none), sources, models (the last empty)."""

    percentages: list[float]
    sources: list[str]
    models: list[str]
    parts: int

    def as_bytes(self) -> bytes:
        """The header of a file of blocks, with its length."""
        shown = {"format": LOOKUP_FORMAT, "percentages": self.percentages[:-1], "sources": self.sources, "models": self.models}
        text = json.dumps({**shown, "parts": self.parts}).encode()
        return LENGTH.pack(len(text)) + text

    @classmethod
    def read(cls, content: bytes) -> tuple[LookupTexts, int]:
        """The header of a file that begins with ``content``, and where blocks begin. Raises IntegrityError."""
        length = LENGTH.unpack_from(content)[0]
        value = json.loads(content[LENGTH.size : LENGTH.size + length])
        if value["format"] != LOOKUP_FORMAT:
            raise IntegrityError("lookup files have an unknown format", expected=str(LOOKUP_FORMAT), found=str(value["format"]))
        return cls([*value["percentages"], NO_PERCENTAGE], value["sources"], value["models"], value["parts"]), LENGTH.size + length

    def kinds(self) -> tuple[np.dtype[np.unsignedinteger], ...]:
        """Types of the columns of a record after the pid."""
        sizes = (256, 256, 256, len(self.percentages), len(self.sources), len(self.models), 2, self.parts)
        return tuple(np.min_scalar_type(max(size - 1, 0)) for size in sizes)


@dataclass(frozen=True)
class FoundPerson:
    """The record of one person: numbers are None where there are none; ``part`` is the number of the part of the result."""

    age: int | None
    lower: int | None
    upper: int | None
    pct: float | None
    source: str
    model: str
    usable: bool
    part: int


@dataclass(frozen=True)
class PeopleRecords:
    """n people by ascending ``pids`` (n,), in columns (n,) of small numbers; ``part`` is the number of their part of the result."""

    pids: NDArray[np.int64]
    age: SmallNumbers
    lower: SmallNumbers
    upper: SmallNumbers
    pct: SmallNumbers
    source: SmallNumbers
    model: SmallNumbers
    usable: SmallNumbers
    part: SmallNumbers

    def find(self, pid: int, texts: LookupTexts) -> FoundPerson | None:
        """The record of ``pid``; None where there is none."""
        at = int(np.searchsorted(self.pids, pid))
        if at == len(self.pids) or self.pids[at] != pid:
            return None
        age, lower, upper = (None if c[at] == NO_NUMBER else int(c[at]) for c in (self.age, self.lower, self.upper))
        pct = texts.percentages[self.pct[at]]
        source, model = texts.sources[self.source[at]], texts.models[self.model[at]]
        part = int(self.part[at])
        return FoundPerson(age, lower, upper, None if pct < 0 else pct, source, model, bool(self.usable[at]), part)

    def checksum(self, texts: LookupTexts) -> int:
        """Order-independent fingerprint of the people with the values that their numbers stand for, modulo 2^64."""
        values: dict[str, Sequence[float | str]] = {"pct": texts.percentages, "source": texts.sources, "model": texts.models}
        mixed = splitmix64(self.pids)
        for f in fields(self)[1:]:
            column = getattr(self, f.name)
            column = _hashes(values[f.name])[column] if f.name in values else column.astype(np.uint64)
            mixed = splitmix64((mixed * _ODD + column).view(np.int64))
        return int(mixed.sum(dtype=np.uint64))

    def blocks(self, texts: LookupTexts) -> Iterator[bytes]:
        """The blocks of these people."""
        columns = [getattr(self, name).astype(kind, copy=False) for name, kind in zip(_COLUMNS, texts.kinds(), strict=True)]
        codec = pa.Codec(CODEC, compression_level=1)
        for first in range(0, len(self.pids), BLOCK_PEOPLE):
            here = slice(first, first + BLOCK_PEOPLE)
            pids = self.pids[here]
            steps = np.diff(pids.view(np.uint64), prepend=pids[:1].view(np.uint64))
            size = next(size for size in (1, 2, 4, 8) if int(steps.max()) < 1 << 8 * size)
            parts = [steps.astype(f"<u{size}"), *(column[here] for column in columns)]
            content = codec.compress(b"".join(part.tobytes() for part in parts), asbytes=True)
            yield BLOCK_HEAD.pack(BLOCK_HEAD.size + len(content), len(pids), int(pids[0]), size) + content


def _hashes(values: Sequence[float | str]) -> NDArray[np.uint64]:
    """Hashes of ``values``, by their place."""
    return np.array([int.from_bytes(hashlib.sha256(repr(value).encode()).digest()[:8], "little") for value in values], np.uint64)


def people_of_block(block: bytes, texts: LookupTexts) -> PeopleRecords:
    """The people of a ``block``, whose bytes were verified."""
    _, people, first, size = BLOCK_HEAD.unpack_from(block)
    kinds = texts.kinds()
    length = people * (size + sum(kind.itemsize for kind in kinds))
    content = pa.Codec(CODEC).decompress(block[BLOCK_HEAD.size :], length, asbytes=True)
    steps = np.frombuffer(content, f"<u{size}", people)
    pids = (np.cumsum(steps, dtype=np.uint64) + np.int64(first).view(np.uint64)).view(np.int64)
    columns, at = [], people * size
    for kind in kinds:
        columns.append(np.frombuffer(content, kind, people, at))
        at += people * kind.itemsize
    return PeopleRecords(pids, *columns)


@dataclass(frozen=True)
class LookupIndex:
    """Where blocks are: for each file its name, texts, first pids (b,), bounds (b + 1,) and SHA-256 (b, 32) of its b blocks."""

    names: list[str]
    texts: list[LookupTexts]
    first_pids: list[NDArray[np.int64]]
    bounds: list[NDArray[np.int64]]
    hashes: list[NDArray[np.uint8]]

    def as_bytes(self) -> bytes:
        """The bytes of the index file."""
        headers = b"".join(texts.as_bytes() for texts in self.texts)
        shape = {"format": LOOKUP_FORMAT, "files": self.names, "blocks": [len(f) for f in self.first_pids]}
        text = json.dumps(shape).encode()
        arrays = [array.tobytes() for group in (self.first_pids, self.bounds, self.hashes) for array in group]
        return b"".join([LENGTH.pack(len(text)), text, headers, *arrays])

    @classmethod
    def read(cls, content: bytes) -> LookupIndex:
        """Read back what :meth:`as_bytes` gave, whose hash was verified. Raises IntegrityError."""
        at = LENGTH.size + LENGTH.unpack_from(content)[0]
        shape = json.loads(content[LENGTH.size : at])
        if shape["format"] != LOOKUP_FORMAT:
            raise IntegrityError("lookup files have an unknown format", expected=str(LOOKUP_FORMAT), found=str(shape["format"]))
        texts = []
        for _ in shape["files"]:
            header, length = LookupTexts.read(content[at:])
            texts.append(header)
            at += length

        def arrays(kind: str, sizes: list[int]) -> Iterator[NDArray[np.int64]]:
            nonlocal at
            for size in sizes:
                yield np.frombuffer(content, kind, size, at)
                at += size * np.dtype(kind).itemsize

        blocks: list[int] = shape["blocks"]
        firsts, bounds = list(arrays("<i8", blocks)), list(arrays("<i8", [n + 1 for n in blocks]))
        hashes = [found.view(np.uint8).reshape(-1, 32) for found in arrays("u1", [32 * n for n in blocks])]
        return cls(shape["files"], texts, firsts, bounds, hashes)
