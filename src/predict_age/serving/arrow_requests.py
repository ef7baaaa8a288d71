"""Arrow streams of profiles: checked before they are read, because lengths and compressed buffers may claim anything."""

from __future__ import annotations

import struct
from collections.abc import Generator

import pyarrow as pa
import pyarrow.compute as pc

from predict_age.serving.messages import Finding, ProblemError
from predict_age.serving.profile_requests import MOST_PROFILES
from predict_age.serving.strict_json import MOST_CHARACTERS

ROWS_CHECKED = 1000  # before a pause
_RECORD_BATCH, _DICTIONARY_BATCH = 3, 2  # types of messages in Arrow's Message.fbs
_COMPRESSION_FIELD = 3  # of RecordBatch, counted from 0
_HEADER_TYPE, _HEADER = 1, 2  # fields of Message


def arrow_profiles(body: bytes) -> Generator[None, None, pa.Table]:
    """The columns ``profile`` (string) and, if it is there, ``pid`` of an Arrow stream, with pauses while they are checked.

    Raises ProblemError 400, 413 or 422.
    """
    rows, batches = 0, []
    try:
        _refuse_compressed(body)
        reader = pa.ipc.open_stream(pa.BufferReader(body))
        wrong = _schema_findings(reader.schema)
        if wrong:
            raise ProblemError(422, "the columns cannot be predicted", *wrong)
        for batch in reader:
            rows += batch.num_rows
            if rows > MOST_PROFILES:
                raise ProblemError(413, f"more than {MOST_PROFILES:,} profiles: send several requests")
            batch.validate()
            for first in range(0, max(batch.num_rows, 1), ROWS_CHECKED):
                batch.slice(first, ROWS_CHECKED).validate(full=True)
                yield
            batches.append(batch)
        table = pa.Table.from_batches(batches, reader.schema)
        text = table["profile"].cast(pa.string())
        if (pc.max(pc.utf8_length(text)).as_py() or 0) > MOST_CHARACTERS:
            raise ProblemError(413, f"a profile has more than {MOST_CHARACTERS:,} characters")
    except (pa.ArrowException, struct.error, OSError, MemoryError, IndexError, ValueError, UnicodeError):
        raise ProblemError(400, "the body is no Arrow stream", Finding("an uncompressed Arrow IPC stream, valid UTF-8")) from None
    columns = {"profile": text}
    if "pid" in table.column_names:
        columns["pid"] = table["pid"]
    return pa.table(columns)


def _schema_findings(schema: pa.Schema) -> list[Finding]:
    findings = []
    if sorted(schema.names) not in (["profile"], ["pid", "profile"]):
        return [Finding('the column "profile", and "pid" if ids are known')]
    kind = schema.field("profile").type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        findings.append(Finding("a column of type string", "/profile"))
    if "pid" in schema.names and not pa.types.is_int64(schema.field("pid").type):
        findings.append(Finding("a column of type int64", "/pid"))
    return findings


def _refuse_compressed(body: bytes) -> None:
    """Raise ProblemError 415 when a batch is compressed: sixteen megabytes could become many gigabytes."""
    for message in pa.ipc.MessageReader.open_stream(pa.BufferReader(body)):
        metadata = message.metadata.to_pybytes()
        root = struct.unpack_from("<I", metadata)[0]
        kind_at, header_at = _field(metadata, root, _HEADER_TYPE), _field(metadata, root, _HEADER)
        if kind_at is None or header_at is None or metadata[kind_at] not in (_RECORD_BATCH, _DICTIONARY_BATCH):
            continue
        header = header_at + struct.unpack_from("<I", metadata, header_at)[0]
        if metadata[kind_at] == _DICTIONARY_BATCH or _field(metadata, header, _COMPRESSION_FIELD) is not None:
            raise ProblemError(
                415, "batches are compressed or have dictionaries", Finding("an uncompressed stream of plain columns")
            )


def _field(metadata: bytes, table: int, number: int) -> int | None:
    """Place of a field of a FlatBuffers table; None where it is absent."""
    entries = table - struct.unpack_from("<i", metadata, table)[0]
    size = struct.unpack_from("<H", metadata, entries)[0]
    at = 4 + 2 * number
    offset = struct.unpack_from("<H", metadata, entries + at)[0] if at < size else 0
    return table + offset if offset else None
