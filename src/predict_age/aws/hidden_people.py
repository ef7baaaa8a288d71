"""People whom the users' view in Athena leaves out: a small table of digests that ``suppress`` replaces in one step.

Athena knows no SipHash, and whoever may query the view may read all that it needs. The table therefore holds SHA-256 of each pid
after the address of the workspace, cut to 128 bits: not the ids, but whoever reads it can check a guess. See ADR 15.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from predict_age.aws.object_names import HIDDEN_PEOPLE_FILE, hidden_people_salt
from predict_age.aws.s3_store import Store
from predict_age.pipeline.suppress import READINGS, GivenIds, released
from predict_age.source.row_rules import IdType, id_type_named

DIGEST_CHARACTERS = 32
DIGEST = f"<U{DIGEST_CHARACTERS}"
SCHEMA = pa.schema([("digest", pa.string()), ("ids", pa.string()), ("released_in", pa.int32()), ("number", pa.string())])


@dataclass(frozen=True)
class _People:
    """The table: by type of ids and digest, when an id was released (0: it is hidden), and the number that a text is as well."""

    ends: dict[IdType, dict[str, int]]
    numbers: dict[str, str]  # digest of a text -> another digest

    def listed(self) -> dict[IdType, NDArray[Any]]:
        return {ids: np.array([d for d, end in self.ends[ids].items() if not end], DIGEST) for ids in READINGS}

    def links(self) -> NDArray[Any]:
        """Digests (m, 2) of ids that are hidden as a number and as another text."""
        integers, texts = self.ends["integer"], self.ends["text"]
        pairs = [(n, t) for t, n in self.numbers.items() if texts.get(t) == 0 and integers.get(n) == 0]
        return np.array(pairs, DIGEST).reshape(-1, 2)


def hide_from_view(store: Store, given: GivenIds, generation: int, *, release: bool, rebuild: bool) -> None:
    """Leave ``given`` ids out of the users' view, or show them again in runs made with ``generation`` or a later one.

    With ``rebuild`` everybody else is shown again. Raises ConflictError when another command was quicker.
    """
    stored = store.get(HIDDEN_PEOPLE_FILE)
    before = _read(stored[0]) if stored else _People({ids: {} for ids in READINGS}, {})
    after = _People({ids: dict(before.ends[ids]) for ids in READINGS}, dict(before.numbers))
    if rebuild:
        after.ends.update({ids: {digest: end or generation for digest, end in ends.items()} for ids, ends in after.ends.items()})
    digests = _digests(store, given)
    if release:
        for ids, gone in released(before.listed(), before.links(), digests, given.rule).items():
            after.ends[ids].update(dict.fromkeys(gone.tolist(), generation))
    else:
        for ids in READINGS:
            after.ends[ids].update(dict.fromkeys(digests[ids][given.is_id[ids]].tolist(), 0))
        both = given.is_id["integer"] & given.is_id["text"] & (digests["integer"] != digests["text"])
        after.numbers.update(zip(digests["text"][both].tolist(), digests["integer"][both].tolist(), strict=True))
    if after != before:
        store.put(HIDDEN_PEOPLE_FILE, _written(after), stored[1] if stored else None)


def _digests(store: Store, given: GivenIds) -> dict[IdType, NDArray[Any]]:
    """Digests (n,) of the ids by each reading; those of lines that cannot be read so are empty."""
    salt = hidden_people_salt(store.url("")).encode()
    start = hashlib.sha256(salt)

    def digest(pid: int) -> str:
        state = start.copy()
        state.update(str(pid).encode())
        return state.hexdigest()[:DIGEST_CHARACTERS].upper()

    def column(ids: IdType) -> NDArray[Any]:
        found = zip(given.pids[ids].tolist(), given.is_id[ids].tolist(), strict=True)
        return np.array([digest(pid) if is_id else "" for pid, is_id in found], DIGEST)

    return {ids: column(ids) for ids in READINGS}


def _read(data: bytes) -> _People:
    """The table; one of an earlier version has no column ``number``."""
    found = _People({ids: {} for ids in READINGS}, {})
    for row in pq.read_table(io.BytesIO(data), schema=SCHEMA).to_pylist():
        found.ends[id_type_named(row["ids"])][row["digest"]] = row["released_in"]
        if row["number"]:
            found.numbers[row["digest"]] = row["number"]
    return found


def _written(people: _People) -> bytes:
    rows = [
        (digest, ids, end, people.numbers.get(digest) if ids == "text" else None)
        for ids, ends in people.ends.items()
        for digest, end in ends.items()
    ]
    stream = io.BytesIO()
    table = pa.Table.from_pylist(
        [dict(zip(SCHEMA.names, row, strict=True)) for row in sorted(rows, key=lambda row: row[:2])], SCHEMA
    )
    pq.write_table(table, stream, compression="zstd")
    return stream.getvalue()
