"""Structure of a model's files: whatever their bytes say, a broken one is refused with the file and the member that is wrong.

Kernels do not check bounds, so every array gets its dtype, shape and range here, before anything uses it. Shapes name their
dimensions; a dimension has one size in all arrays of a model.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from predict_age.errors import IntegrityError

NPY_VERSION = (1, 0)
MAX_HEADER_BYTES = 1000
MEMBER_CHUNK_BYTES = 1 << 18
FLOAT32_LIMIT = float(np.finfo(np.float32).max)
SHARES = (0.0, 1.0)
TRAIN_AGAIN = "use another run's model, or train a new one: run without --base and --model"


class StructureError(ValueError):
    """A ``member`` of a model file is not what it has to be."""

    def __init__(self, member: str, *, expected: str, found: str) -> None:
        super().__init__(f"{member}: expected {expected}, found {found}")
        self.member, self.expected, self.found = member, expected, found or "an empty text"


@contextmanager
def decoding(path: Path, expected: str) -> Iterator[None]:
    """Turn every error inside, while the file ``path`` is decoded, into an IntegrityError that names it.

    Decoders of damaged bytes may fail in any way: ``expected`` says what the file should hold.
    """
    try:
        yield
    except StructureError as error:
        raise unusable(path, error.member, error.expected, error.found) from error
    except Exception as error:
        found = " ".join(str(error).split())[:200]
        raise unusable(path, "content", expected, f"{type(error).__name__}: {found}") from error


def unusable(path: Path, member: str, expected: str, found: str) -> IntegrityError:
    """IntegrityError for a model file that has its recorded hash, but a broken structure."""
    return IntegrityError(f"the model file {path} is broken: {member}", expected=expected, found=found, fix=TRAIN_AGAIN)


@dataclass(frozen=True)
class ArrayRule:
    """Rule for one array: its dtype, its dimensions by name, and its least and largest value. Values are never NaN or infinite.

    A digit before the name of a dimension multiplies it.
    """

    dtype: type[np.generic]
    shape: tuple[str, ...]
    low: float = -FLOAT32_LIMIT
    high: float = FLOAT32_LIMIT
    may_be_empty: bool = False

    def check(self, name: str, array: NDArray[Any], sizes: dict[str, int]) -> None:
        """Raise StructureError unless ``array`` fits; dimensions that ``sizes`` does not know yet are added to it."""
        if array.dtype != np.dtype(self.dtype) or array.ndim != len(self.shape):
            raise StructureError(
                name,
                expected=f"{np.dtype(self.dtype)} with {len(self.shape)} dimensions",
                found=f"{array.dtype} with {array.ndim}",
            )
        if not array.size and not self.may_be_empty:
            raise StructureError(name, expected="at least one number", found=f"the shape {array.shape}")
        for dimension, size in zip(self.shape, array.shape, strict=True):
            factor, label = (int(dimension[0]), dimension[1:]) if dimension[0].isdigit() else (1, dimension)
            if size != factor * sizes.setdefault(label, size // factor):
                raise StructureError(name, expected=f"{factor * sizes[label]} {label}", found=str(size))
        if array.size and not self.low <= array.min() <= array.max() <= self.high:  # False for NaN
            raise StructureError(
                name, expected=f"numbers in {self.low:g}..{self.high:g}", found=f"{array.min():g}..{array.max():g}"
            )


def read_arrays(content: bytes, rules: Mapping[str, ArrayRule], sizes: dict[str, int]) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz, exactly those of ``rules``. Raises StructureError, or an error of the decoders.

    Members are not compressed, and an array is as long as its member: nothing is allocated that the file does not hold.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        names = [member.filename.removesuffix(".npy") for member in members]
        if sorted(names) != sorted(rules):
            raise StructureError("members", expected=", ".join(rules), found=", ".join(names)[:200] or "none")
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED or not member.file_size == member.compress_size <= len(content):
                raise StructureError(member.filename, expected="a stored member", found=f"{member.file_size} bytes, compressed")
        arrays = {}
        for name, member in zip(names, members, strict=True):
            with archive.open(member) as stream:
                arrays[name] = _array(name, stream, member.file_size)
    for name, rule in rules.items():
        rule.check(name, arrays[name], sizes)
    return {name: arrays[name] for name in rules}


def _array(name: str, stream: IO[bytes], size: int) -> NDArray[Any]:
    """The array of a .npy member of ``size`` bytes, in the layout that ``np.load`` gives."""
    if np.lib.format.read_magic(stream) != NPY_VERSION:
        raise StructureError(name, expected="the .npy format 1.0", found="another version")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=MAX_HEADER_BYTES)
    data = size - stream.tell()
    if dtype.kind not in "fiu" or any(n < 0 for n in shape) or prod(shape) * dtype.itemsize != data:
        raise StructureError(name, expected=f"{data} bytes of numbers", found=f"an array {shape} of {dtype}")
    values = np.empty(prod(shape), dtype)
    buffer = values.view(np.uint8)
    at = 0
    while at < data:
        chunk = stream.read(min(MEMBER_CHUNK_BYTES, data - at))
        if not chunk:
            raise StructureError(name, expected=f"{data} bytes", found=str(at))
        buffer[at : at + len(chunk)] = np.frombuffer(chunk, np.uint8)
        at += len(chunk)
    return values.reshape(shape[::-1]).T if fortran else values.reshape(shape)
