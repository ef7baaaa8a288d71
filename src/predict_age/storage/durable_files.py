"""Durable local files: written under a temporary name, hashed on the way, flushed, renamed; and JSON that seals itself.

A file is there whole or not at all. What a file must contain is said by a receipt or a record that is written after it,
so whoever reads compares hashes first. See ``docs/commit-protocol.md``.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from predict_age.errors import IntegrityError

TEMPORARY = ".tmp"
BUFFER_BYTES = 1 << 20


class Disk:
    """The operations that decide what survives a crash. Tests put a disk with faults in its place."""

    def create(self, path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)

    def write(self, descriptor: int, data: memoryview) -> int:
        return os.write(descriptor, data)

    def fsync(self, descriptor: int, path: Path) -> None:  # the path is for those who simulate a loss
        os.fsync(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        old.replace(new)

    def unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)


disk = Disk()


class _Hashed(io.RawIOBase):
    """A raw file that hashes what is written to it."""

    def __init__(self, path: Path) -> None:
        self.descriptor = disk.create(path)
        self.digest = hashlib.sha256()
        self.count = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        with memoryview(data) as view:
            written = disk.write(self.descriptor, view)
            self.digest.update(view[:written])
        self.count += written
        return written

    def tell(self) -> int:
        return self.count

    def close(self) -> None:
        if not self.closed:
            os.close(self.descriptor)
        super().close()


class NewFile(io.BufferedWriter):
    """A file in the making. ``sha256`` (hex) and ``bytes`` describe all that was written, once it is closed."""

    def __init__(self, path: Path) -> None:
        self._hashed = _Hashed(path)
        super().__init__(self._hashed, BUFFER_BYTES)

    @property
    def sha256(self) -> str:
        return self._hashed.digest.hexdigest()

    @property
    def bytes(self) -> int:
        return self._hashed.count


def make_folder(path: Path) -> None:
    """Create ``path`` and its missing parents, durably."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for created in missing:
        _flush_folder(created.parent)


def _flush_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        disk.fsync(descriptor, path)
    finally:
        os.close(descriptor)


@contextmanager
def creating(path: Path) -> Iterator[NewFile]:
    """A stream whose content becomes ``path``, whole and durable, when the block ends well; otherwise nothing remains."""
    make_folder(path.parent)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        stream = NewFile(temporary)
        try:
            yield stream
            stream.flush()
            disk.fsync(stream._hashed.descriptor, temporary)
            stream.close()
        except BaseException:
            stream._hashed.close()  # without flushing: what is buffered is not wanted any more
            raise
        disk.rename(temporary, path)
        _flush_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove(path: Path) -> None:
    """Delete a file, if it is there, durably."""
    disk.unlink(path)
    _flush_folder(path.parent)


_seen_whole: set[bytes] = set()  # SHA-256 of the files that were found to be as their seal says


def hashed_json(value: Mapping[str, object]) -> str:
    """JSON text with a last key "sha256" over all others."""
    seal = hashlib.sha256(json.dumps(value).encode()).hexdigest()
    return json.dumps({**value, "sha256": seal}, indent=1) + "\n"


def write_json(path: Path, value: Mapping[str, object]) -> str:
    """Write ``value`` as JSON with a last key "sha256" over all others; returns that seal."""
    text = hashed_json(value)
    with creating(path) as stream:
        stream.write(text.encode())
    return str(json.loads(text)["sha256"])


def read_hashed_json(path: Path) -> tuple[dict[str, Any], str]:
    """Read what :func:`write_json` wrote: the value and its seal.

    Raises IntegrityError unless the file is, byte for byte, what the program writes for this value.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise IntegrityError(
            f"{path} cannot be read", expected="a JSON file written by predict-age", found=error.strerror or str(error)
        ) from None
    return parse_hashed_json(data, str(path))


def parse_hashed_json(data: bytes, name: str) -> tuple[dict[str, Any], str]:
    """The same from the bytes of a file called ``name``."""
    try:
        text = data.decode("ascii")
        value = json.loads(text)
        seal = value.pop("sha256")
        whole = hashlib.sha256(data).digest()
        if whole not in _seen_whole:  # a step's record is read some ten times; to write it anew takes much longer than that
            if hashed_json(value) != text:
                raise ValueError("its content does not match its seal (sha256)")
            _seen_whole.add(whole)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityError(f"{name} is damaged", expected="a sealed JSON file written by predict-age", found=str(error)) from None
    return value, seal


def read_json(path: Path) -> dict[str, Any]:
    """The value of :func:`read_hashed_json`."""
    return read_hashed_json(path)[0]


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_problem(path: Path, expected: str, name: str = "") -> str:
    """What is wrong with a file that should have this SHA-256, in a few words; nothing when it has."""
    name = name or path.name
    try:
        found = file_sha256(path)
    except FileNotFoundError:
        return f"{name} is missing"
    except OSError as error:
        return f"{name} cannot be read: {error.strerror}"
    return "" if found == expected else f"{name} is damaged (SHA-256 {found[:12]}, expected {expected[:12]})"


def check_hash(path: Path, expected: str) -> None:
    """Raise IntegrityError unless ``path`` has this SHA-256: to be called before a file is used."""
    if problem := file_problem(path, expected, str(path)):
        raise IntegrityError(problem, expected="the file as it was written", fix="run `predict-age resume`, which makes it again")


def receipt_of(path: Path) -> Path:
    """Where the receipt of a data file lies."""
    return path.with_suffix(".json")


def write_receipt(path: Path, key: str, made: NewFile, facts: Mapping[str, object]) -> None:
    """Put ``facts`` beside a finished file, with its size, its SHA-256 and ``key``: from now on the file counts as done.

    ``key`` stands for everything that the file was made from; a file with another key is never taken for this one.
    """
    receipt = {**facts, "key": key, "file": path.name, "bytes": made.bytes, "file_sha256": made.sha256}
    write_json(receipt_of(path), receipt)


def valid_receipt(path: Path, key: str) -> dict[str, Any] | None:
    """The receipt, if file and receipt are whole, belong together and were made for ``key``; None: it has to be made again."""
    try:
        receipt = read_json(receipt_of(path))
        good = receipt["key"] == key and receipt["file_sha256"] == file_sha256(path)
    except (OSError, IntegrityError, KeyError):
        return None
    return receipt if good else None


def key_of(*what: object) -> str:
    """A short hash over plain values: the key of a part."""
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:32]


def folder_bytes(path: Path) -> int:
    """Size of all files below ``path``."""
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
