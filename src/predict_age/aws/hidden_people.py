"""People whom the users' view in Athena leaves out: a small table of digests that ``suppress`` replaces in one step.

Athena knows no SipHash, and whoever may query the view may read all that it needs. The table therefore holds SHA-256 of each pid
after the address of the workspace, cut to 128 bits: not the ids, but whoever reads it can check a guess. See ADR 15.
"""

from __future__ import annotations

import hashlib
import io

import pyarrow as pa
import pyarrow.parquet as pq

from predict_age.aws.object_names import HIDDEN_PEOPLE_FILE, hidden_people_salt
from predict_age.aws.s3_store import Store
from predict_age.pipeline.suppress import READINGS, GivenIds

DIGEST_CHARACTERS = 32
SCHEMA = pa.schema([("digest", pa.string()), ("ids", pa.string()), ("released_in", pa.int32())])
Entry = tuple[str, str]  # digest, type of the ids


def hide_from_view(store: Store, given: GivenIds, generation: int, *, release: bool, rebuild: bool) -> None:
    """Leave ``given`` ids out of the users' view, or show them again in runs made with ``generation`` or a later one.

    With ``rebuild`` everybody else is shown again. Raises ConflictError when another command was quicker.
    """
    stored = store.get(HIDDEN_PEOPLE_FILE)
    before = _read(stored[0]) if stored else {}
    after = {entry: end or generation for entry, end in before.items()} if rebuild else dict(before)
    for entry in _digests(store, given):
        if not release:
            after[entry] = 0
        elif after.get(entry) == 0:
            after[entry] = generation
    if after != before:
        store.put(HIDDEN_PEOPLE_FILE, _written(after), stored[1] if stored else None)


def _digests(store: Store, given: GivenIds) -> set[Entry]:
    salt = hidden_people_salt(store.url("")).encode()
    start = hashlib.sha256(salt)

    def digest(pid: int) -> str:
        state = start.copy()
        state.update(str(pid).encode())
        return state.hexdigest()[:DIGEST_CHARACTERS].upper()

    return {(digest(pid), ids) for ids in READINGS for pid in given.pids[ids][given.is_id[ids]].tolist()}


def _read(data: bytes) -> dict[Entry, int]:
    table = pq.read_table(io.BytesIO(data), schema=SCHEMA)
    entries = zip(table["digest"].to_pylist(), table["ids"].to_pylist(), strict=True)
    return dict(zip(entries, table["released_in"].to_pylist(), strict=True))


def _written(entries: dict[Entry, int]) -> bytes:
    rows = [dict(zip(SCHEMA.names, (*entry, end), strict=True)) for entry, end in sorted(entries.items())]
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), stream, compression="zstd")
    return stream.getvalue()
