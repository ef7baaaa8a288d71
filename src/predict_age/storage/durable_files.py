"""Durable local files: written under a temporary name, hashed on the way, flushed, renamed; and JSON with a content hash.

A file is complete or absent. A receipt or a record, written after the file, holds its SHA-256: readers compare hashes
first. See ``docs/commit-protocol.md``.
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
        self.descriptor = -1  # until the file exists: Python closes this object even when creating the file fails
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
        if not self.closed and self.descriptor >= 0:
            os.close(self.descriptor)
        super().close()


class NewFile(io.BufferedWriter):
    """File being written. ``sha256`` (hex) and ``bytes`` describe all that was written, once it is closed."""

    def __init__(self, path: Path) -> None:
        self._hashed = _Hashed(path)
        super().__init__(self._hashed, BUFFER_BYTES)

    @property
    def sha256(self) -> str:
        return self._hashed.digest.hexdigest()

    @property
    def bytes(self) -> int:
        return self._hashed.count

    def restrict(self) -> None:
        """Let only the owner read and write the file; before anything is written to it."""
        os.fchmod(self._hashed.descriptor, 0o600)


def make_folder(path: Path) -> None:
    """Create ``path`` and its missing parents, durably."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for created in missing:
        flush_folder(created.parent)


def flush_folder(path: Path) -> None:
    """Make names in the folder durable: files that were created, renamed or removed there."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        disk.fsync(descriptor, path)
    finally:
        os.close(descriptor)


@contextmanager
def creating(path: Path) -> Iterator[NewFile]:
    """Stream whose content becomes ``path``, complete and durable, when the block ends without error; else nothing remains."""
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
            stream._hashed.close()  # without flushing: buffered data is discarded
            raise
        disk.rename(temporary, path)
        flush_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove(path: Path) -> None:
    """Delete a file, if it is there, durably."""
    disk.unlink(path)
    flush_folder(path.parent)


_verified_digests: set[bytes] = set()  # SHA-256 of files whose content hash was checked


def hashed_json(value: Mapping[str, object]) -> str:
    """JSON text with a last key "sha256" over all others."""
    content_hash = hashlib.sha256(json.dumps(value).encode()).hexdigest()
    return json.dumps({**value, "sha256": content_hash}, indent=1) + "\n"


def write_json(path: Path, value: Mapping[str, object]) -> str:
    """Write ``value`` as JSON with a last key "sha256" over all others; returns that content hash."""
    text = hashed_json(value)
    with creating(path) as stream:
        stream.write(text.encode())
    return str(json.loads(text)["sha256"])


def read_hashed_json(path: Path) -> tuple[dict[str, Any], str]:
    """Read a file that :func:`write_json` wrote: the value and its content hash.

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
    """Parse the bytes of a file called ``name`` that :func:`write_json` wrote: the value and its content hash."""
    try:
        text = data.decode("ascii")
        value = json.loads(text)
        content_hash = value.pop("sha256")
        digest = hashlib.sha256(data).digest()
        if digest not in _verified_digests:  # a step's record is read about ten times; formatting it again takes much longer
            if hashed_json(value) != text:
                raise ValueError("its content does not match its content hash (sha256)")
            _verified_digests.add(digest)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityError(
            f"{name} is damaged", expected="a JSON file with a content hash, written by predict-age", found=str(error)
        ) from None
    return value, content_hash


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that :func:`write_json` wrote: the value alone."""
    return read_hashed_json(path)[0]


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_problem(path: Path, expected: str, name: str = "") -> str:
    """Problem of a file that should have this SHA-256, in a few words; empty when there is none."""
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
    """Path of the receipt of a data file."""
    return path.with_suffix(".json")


def write_receipt(path: Path, key: str, written: NewFile, facts: Mapping[str, object]) -> None:
    """Put ``facts`` beside a finished file, with its size, its SHA-256 and ``key``: from now on the file counts as done.

    ``key`` stands for everything that the file was made from; a file with another key is never taken for this one.
    """
    receipt = {**facts, "key": key, "file": path.name, "bytes": written.bytes, "file_sha256": written.sha256}
    write_json(receipt_of(path), receipt)


def valid_receipt(path: Path, key: str) -> dict[str, Any] | None:
    """The receipt, if file and receipt are valid, belong together and were made for ``key``; otherwise None."""
    try:
        receipt = read_json(receipt_of(path))
        good = receipt["key"] == key and receipt["file_sha256"] == file_sha256(path)
    except (OSError, IntegrityError, KeyError):
        return None
    return receipt if good else None


def key_of(*values: object) -> str:
    """Short hash over plain values: the key of a partition."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:32]


def folder_bytes(path: Path) -> int:
    """Size of all files below ``path``; a symbolic link counts with its own size."""
    return sum(p.lstat().st_size for p in path.rglob("*") if p.is_symlink() or p.is_file())
