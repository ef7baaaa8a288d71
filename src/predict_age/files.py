"""Durable local files: written under a temporary name, flushed, then renamed, with a receipt that proves what is in them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from predict_age.errors import IntegrityError

TEMPORARY = ".tmp"


def flush(path: Path) -> None:
    """Fsync a file or folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to; on success it is flushed and renamed to ``path``, on failure it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write ``value`` as JSON, all or nothing."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file that this program wrote; IntegrityError when it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise IntegrityError(f"{path} cannot be read", expected="a JSON file written by predict-age", found=str(error)) from None


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def receipt_of(path: Path) -> Path:
    """Where the receipt of a data file lies."""
    return path.with_suffix(".json")


def write_receipt(path: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Put ``facts`` (rows, statistics ...) and the file's SHA-256 beside it. From now on the file counts as done."""
    receipt = {**facts, "file": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)}
    write_json(receipt_of(path), receipt)
    return receipt


def valid_receipt(path: Path) -> dict[str, Any] | None:
    """The receipt, if file and receipt exist and agree; otherwise None: the file has to be made again."""
    try:
        receipt = json.loads(receipt_of(path).read_text(encoding="utf-8"))
        good = receipt["sha256"] == sha256(path)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return receipt if good else None


def folder_bytes(path: Path) -> int:
    """Size of all files below ``path``."""
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
