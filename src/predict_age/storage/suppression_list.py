"""The suppression list of a workspace: keyed hashes of the ids of people whom no run may read and no reader may see.

::

    suppression/list.json         format, generation, number of ids, SHA-256 of the file of hashes, fingerprint of the key
    suppression/ids-<hash>.bin    the hashes (8 bytes each, ascending), then their readings (1 byte), then their ends (4 bytes),
                                  then pairs of hashes (16 bytes) of ids that are two pids: one as a number, one as text
    suppression/key               16 random bytes, mode 0600

A *reading* tells for which type of ids a hash counts (bit 1: whole numbers, bit 2: text). An *end* is 0 for an id on the list, else
the generation of the list that released it: runs made before that generation go on hiding the person.

The pointer keeps the newest generation, so that an older list is never taken for the current one. Everything that is not as it
should be is a ConfigError: no command then reads anything about people.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from predict_age.errors import ConfigError, IntegrityError
from predict_age.records.json_fields import as_json, from_json
from predict_age.storage.durable_files import creating, make_folder, read_hashed_json, remove, write_json
from predict_age.storage.publication import Published

FOLDER, LIST, KEY = "suppression", "list.json", "key"
FORMAT = 1
KEY_BYTES = 16
ENTRY_BYTES = 8 + 1 + 4
READ_TRIES = 5
_RESTORE = "bring suppression/ back from its newest copy, or make a new list of everybody: `predict-age suppress --rebuild`"


@dataclass(frozen=True)
class ListDocument:
    """Contents of ``list.json``. ``entries`` counts hashes in the file, ``listed`` those that are not released."""

    format: int
    generation: int
    entries: int
    listed: int
    ids: str
    ids_sha256: str
    key: str


@dataclass(frozen=True)
class SuppressionList:
    """A verified list: ``content_hash`` is that of its document, ``ids`` the file of its hashes. Workers are handed it as it is."""

    generation: int
    content_hash: str
    entries: int
    listed: int
    ids: Path
    key: bytes = field(repr=False)


def list_file(root: Path) -> Path:
    """The document of the list of the workspace at ``root``."""
    return root / FOLDER / LIST


def read_suppression_list(root: Path, pointer: Published) -> SuppressionList | None:
    """The list of the workspace at ``root``, or None where there never was one. Read the ``pointer`` before.

    Raises ConfigError when the list or its key is missing, damaged, unreadable, or older than ``pointer`` says.
    """
    for attempt in range(READ_TRIES):
        try:
            return _read(root, pointer)
        except ConfigError:
            if attempt == READ_TRIES - 1 or not _was_replaced(root):
                raise
    raise AssertionError("unreachable")


_last_read: dict[Path, str] = {}  # SHA-256 of the document that was read last


def _was_replaced(root: Path) -> bool:
    """Whether another document lies there than the one that was read: then its file of hashes may have been removed."""
    try:
        return hashlib.sha256(list_file(root).read_bytes()).hexdigest() != _last_read.get(root, "")
    except OSError:
        return False


def _read(root: Path, pointer: Published) -> SuppressionList | None:
    path = list_file(root)
    if not os.path.lexists(path):
        if pointer.suppression:
            raise _unusable("the suppression list is missing", f"{path}, generation {pointer.suppression}", "no file")
        return None
    try:
        _last_read[root] = hashlib.sha256(path.read_bytes()).hexdigest()
        value, content_hash = read_hashed_json(path)
        document = from_json(ListDocument, value)
    except (IntegrityError, ValueError, OSError) as error:
        raise _unusable(
            "the suppression list is damaged", "the file as `predict-age suppress` wrote it", _first_line(error)
        ) from None
    if document.format != FORMAT:
        raise _unusable("the suppression list has an unknown format", f"format {FORMAT}", f"format {document.format}")
    if document.generation < pointer.suppression:
        raise _unusable(
            "the suppression list is too old", f"generation {pointer.suppression}, as published.json says", f"{document.generation}"
        )
    if document.generation == pointer.suppression and content_hash != pointer.suppression_list:
        raise _unusable("the suppression list is another one", f"content hash {pointer.suppression_list[:12]}", content_hash[:12])
    ids = root / FOLDER / document.ids
    if Path(document.ids).name != document.ids or _sha256(ids) != document.ids_sha256:
        raise _unusable("the hashes of the suppression list are missing or damaged", f"{ids} as it was written", "another content")
    return SuppressionList(document.generation, content_hash, document.entries, document.listed, ids, read_key(root, document.key))


def read_key(root: Path, fingerprint: str) -> bytes:
    """The key of the list, which has this ``fingerprint`` (empty: any). Raises ConfigError for another key."""
    path = root / FOLDER / KEY
    try:
        key = path.read_bytes()
    except OSError as error:
        raise _unusable("the key of the suppression list cannot be read", str(path), error.strerror or str(error)) from None
    if len(key) != KEY_BYTES or fingerprint not in ("", key_fingerprint(key)):
        raise _unusable("the key is not that of the suppression list", f"the {KEY_BYTES} bytes that made it", "another key")
    return key


def key_fingerprint(key: bytes) -> str:
    """Text that tells one key from another and does not show it."""
    return hashlib.sha256(b"key of a predict-age suppression list\0" + key).hexdigest()[:32]


def existing_or_new_key(root: Path) -> bytes:
    """The key that lies in the workspace, or a new one that only its owner may read."""
    path = root / FOLDER / KEY
    if not os.path.lexists(path):
        make_folder(path.parent)
        with creating(path) as stream:
            stream.restrict()
            stream.write(secrets.token_bytes(KEY_BYTES))
    return read_key(root, "")


def write_suppression_list(root: Path, generation: int, ids: bytes, entries: int, listed: int, key: bytes) -> SuppressionList:
    """Replace the list of the workspace: first the ``ids``, then the document. The pointer is the caller's to change."""
    digest = hashlib.sha256(ids).hexdigest()
    path = root / FOLDER / f"ids-{digest[:16]}.bin"
    with creating(path) as stream:
        stream.write(ids)
    document = ListDocument(FORMAT, generation, entries, listed, path.name, digest, key_fingerprint(key))
    content_hash = write_json(list_file(root), as_json(document))
    return SuppressionList(generation, content_hash, entries, listed, path, key)


def remove_old_ids(root: Path, current: SuppressionList) -> None:
    """Delete the hashes of earlier generations, and what a command that died left; to be called with the lease held."""
    for path in sorted((root / FOLDER).iterdir()):
        if path.name not in (LIST, KEY, current.ids.name):
            remove(path)


def newest_generation(root: Path, pointer: Published) -> int:
    """The newest generation that the pointer or a document of the list names, however damaged the list is otherwise."""
    try:
        return max(int(read_hashed_json(list_file(root))[0]["generation"]), pointer.suppression)
    except (IntegrityError, KeyError, ValueError, TypeError):
        return pointer.suppression


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[-1].strip()


def _unusable(message: str, expected: str, found: str) -> ConfigError:
    return ConfigError(f"{message}: nothing about people was read", expected=expected, found=found, fix=_RESTORE)
