"""Parser of Universal Binary JSON, XGBoost's model format: importing XGBoost takes longer than the work of a small run."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

NUMBER_FORMATS = {
    kind: struct.Struct(layout) for kind, layout in zip("iUIlLdD", (">b", ">B", ">h", ">i", ">q", ">f", ">d"), strict=True)
}
ARRAY_DTYPES = {kind: np.dtype(layout.format) for kind, layout in NUMBER_FORMATS.items()}
CONSTANTS = {"Z": None, "T": True, "F": False}


class UBJSONError(ValueError):
    """The bytes are not in the format that XGBoost writes."""


def read(content: bytes) -> Any:
    """The value of ``content``; arrays of one number type become NumPy arrays. Never executes anything, whatever the content.

    Format: ubjson.org, draft 12. Raises UBJSONError.
    """
    reader = _Reader(content)
    with reader.explained():
        value = reader.value(reader.marker())
    if reader.at != len(content):
        raise UBJSONError(f"{len(content) - reader.at} bytes too many")
    return value


def read_path(content: bytes, *path: str) -> Any:
    """The value at ``path`` of nested objects; the rest of ``content`` is not parsed. Raises UBJSONError."""
    reader = _Reader(content)
    with reader.explained():
        for step in path:
            if reader.marker() != "{":
                raise ValueError(step)
            while reader.text() != step:
                reader.value(reader.marker())
        return reader.value(reader.marker())


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn any error inside into an UBJSONError that names the byte."""
        try:
            yield
        except (IndexError, struct.error, UnicodeDecodeError, KeyError, RecursionError, ValueError) as error:
            raise UBJSONError(f"broken at byte {self.at}") from error

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        if not 0 <= count <= len(self.content) - self.at:
            raise IndexError(count)
        self.at += count
        return self.content[self.at - count : self.at]

    def marker(self) -> str:
        """The next type marker."""
        return chr(self.take(1)[0])

    def numbers(self, kind: str, count: int) -> np.ndarray:
        """Read ``count`` numbers of a type, in the machine's byte order."""
        dtype = ARRAY_DTYPES[kind]
        return np.frombuffer(self.take(count * dtype.itemsize), dtype).astype(dtype.newbyteorder("="))

    def number(self, kind: str) -> Any:
        """Read one number of a type."""
        layout = NUMBER_FORMATS[kind]
        return layout.unpack(self.take(layout.size))[0]

    def count(self) -> int:
        """Read a length."""
        return int(self.number(self.marker()))

    def text(self) -> str:
        """Read a text with its length."""
        return self.take(self.count()).decode()

    def value(self, kind: str) -> Any:
        """Read the value after the type marker ``kind``."""
        if kind in NUMBER_FORMATS:
            return self.number(kind)
        if kind in CONSTANTS:
            return CONSTANTS[kind]
        if kind == "S":
            return self.text()
        if kind == "[":
            return self._array()
        if kind == "{":
            value_so_far = {}
            while self.content[self.at : self.at + 1] != b"}":
                name = self.text()
                value_so_far[name] = self.value(self.marker())
            self.take(1)
            return value_so_far
        raise UBJSONError(f"an unknown kind {kind!r}")

    def _array(self) -> Any:
        if self.content[self.at : self.at + 1] == b"$":
            self.take(1)
            kind = self.marker()
            if self.marker() != "#":
                raise UBJSONError("a typed array without its length")
            return self.numbers(kind, self.count())
        count = -1
        if self.content[self.at : self.at + 1] == b"#":
            self.take(1)
            count = self.count()
        value_so_far: list[Any] = []
        while len(value_so_far) != count:
            kind = self.marker()
            if count < 0 and kind == "]":
                break
            value_so_far.append(self.value(kind))
        return value_so_far
