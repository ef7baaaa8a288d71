"""Small Iceberg tables for tests: metadata, a list of manifests, manifests and data files, as Iceberg's specification has them.

`python benchmarks/iceberg.py` compares the reader with tables that PyIceberg wrote.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

FIELDS = [
    {"id": 1, "name": "pid", "required": False, "type": "long"},
    {"id": 2, "name": "birth_year", "required": False, "type": "int"},
    {"id": 3, "name": "approximate_age", "required": False, "type": "int"},
    {"id": 4, "name": "profile_json", "required": False, "type": "string"},
]
EXISTING, ADDED, DELETED = 0, 1, 2
DATA, POSITION_DELETES = 0, 1


def _record(name: str, *fields: tuple[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": n, "type": kind} for n, kind in fields]}


PARTITION = _record("r102", ("country", ["null", "string"]))
DATA_FILE = _record(
    "r2",
    ("content", "int"),
    ("file_path", "string"),
    ("file_format", "string"),
    ("partition", PARTITION),
    ("record_count", "long"),
    ("file_size_in_bytes", "long"),
)
ENTRY = _record(
    "manifest_entry",
    ("status", "int"),
    ("snapshot_id", ["null", "long"]),
    ("sequence_number", ["null", "long"]),
    ("data_file", DATA_FILE),
)
MANIFEST = _record(
    "manifest_file",
    ("manifest_path", "string"),
    ("manifest_length", "long"),
    ("partition_spec_id", "int"),
    ("content", "int"),
    ("sequence_number", "long"),
    ("added_snapshot_id", "long"),
)


def _avro(schema: dict[str, Any], records: list[dict[str, Any]]) -> bytes:
    import fastavro

    written = io.BytesIO()
    fastavro.writer(written, fastavro.parse_schema(schema), records, codec="deflate")
    return written.getvalue()


def parquet(rows: list[dict[str, Any]], ids: dict[str, int] | None = None) -> bytes:
    """A data file; ``ids`` are those of its columns, none without."""
    table = pa.Table.from_pylist(rows)
    for name, number in (ids or {}).items():
        at = table.column_names.index(name)
        marked = table.schema.field(at).with_metadata({"PARQUET:field_id": str(number)})
        table = table.set_column(at, marked, table[name])
    written = io.BytesIO()
    pq.write_table(table, written)
    return written.getvalue()


@dataclass
class IcebergWriter:
    """A table below ``address`` (``file://...`` or ``s3://...``); ``put`` writes a file there by its name."""

    address: str
    put: Callable[[str, bytes], None]
    fields: list[dict[str, Any]] = field(default_factory=lambda: [dict(f) for f in FIELDS])
    changes: dict[str, Any] = field(default_factory=dict)  # of the metadata
    manifests: list[dict[str, Any]] = field(default_factory=list)
    commits: int = 0
    earlier: list[list[dict[str, Any]]] = field(default_factory=list)

    def data(self, rows: list[dict[str, Any]], ids: dict[str, int] | None = None, **changes: Any) -> dict[str, Any]:
        """Write a data file; its entry for a commit."""
        self.commits += 1
        name = f"data/{self.commits:05d}.parquet"
        content = parquet(rows, {f["name"]: f["id"] for f in self.fields if f["name"] in rows[0]} if ids is None else ids)
        self.put(name, content)
        return self.entry(name, len(content), **changes)

    def entry(self, name: str, size: int, status: int = ADDED, order: int | None = None, **file: Any) -> dict[str, Any]:
        made = {"content": DATA, "file_path": f"{self.address}/{name}", "file_format": "PARQUET", "partition": {"country": None}}
        made |= {"record_count": 1, "file_size_in_bytes": size, **file}
        return {"status": status, "snapshot_id": 1, "sequence_number": order, "data_file": made}

    def commit(self, *entries: dict[str, Any], content: int = DATA, replace: bool = False) -> str:
        """Add a manifest (``replace``: instead of all others) and write the metadata; its address."""
        self.commits += 1
        self.manifests = [] if replace else self.manifests
        name = f"metadata/{self.commits}-m0.avro"
        manifest = _avro(ENTRY, list(entries))
        self.put(name, manifest)
        row = {"manifest_path": f"{self.address}/{name}", "manifest_length": len(manifest), "partition_spec_id": 0}
        self.manifests.append({**row, "content": content, "sequence_number": self.commits, "added_snapshot_id": self.commits})
        self.put(f"metadata/snap-{self.commits}.avro", _avro(MANIFEST, self.manifests))
        return self.metadata()

    def rename(self, number: int, name: str) -> None:
        """Rename a column."""
        self.earlier.append([dict(f) for f in self.fields])
        next(f for f in self.fields if f["id"] == number)["name"] = name

    def drop(self, number: int) -> None:
        """Drop a column."""
        self.earlier.append([dict(f) for f in self.fields])
        self.fields = [f for f in self.fields if f["id"] != number]

    def add(self, number: int, name: str, kind: str) -> None:
        """Add a column."""
        self.earlier.append([dict(f) for f in self.fields])
        self.fields.append({"id": number, "name": name, "required": False, "type": kind})

    def metadata(self, compress: Callable[[bytes], bytes] = bytes) -> str:
        """Write the metadata as it is now; its address."""
        schemas = [{"type": "struct", "schema-id": n, "fields": fields} for n, fields in enumerate([*self.earlier, self.fields])]
        snapshots = [
            {"snapshot-id": n, "sequence-number": n, "manifest-list": f"{self.address}/metadata/snap-{n}.avro"}
            for n in range(1, self.commits + 1)
        ]
        made = {
            "format-version": 2,
            "location": self.address,
            "current-snapshot-id": self.commits,
            "snapshots": snapshots,
            "schemas": schemas,
            "current-schema-id": len(schemas) - 1,
            "partition-specs": [
                {"spec-id": 0, "fields": [{"name": "country", "transform": "identity", "source-id": 9, "field-id": 1000}]}
            ],
            "properties": {},
        }
        name = f"metadata/{self.commits:05d}.metadata.json"
        self.put(name, compress(json.dumps({**made, **self.changes}).encode()))
        return f"{self.address}/{name}"


def in_folder(folder: Path) -> IcebergWriter:
    """A table on this machine."""

    def put(name: str, content: bytes) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    return IcebergWriter(f"file://{folder}", put)
