"""An Iceberg table as a source: the data files of its current snapshot, as its own metadata names them.

The table's folder also holds files of earlier snapshots and of rows that were deleted, so it is never listed.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import pyarrow as pa

from predict_age.errors import ConfigError, InputError, PredictAgeError, install_extra
from predict_age.source.filesystem import FileStatus, in_s3, stat, stream, unanswered
from predict_age.source.glue_table import GlueTable, local_path
from predict_age.source.gzip_stream import GZIP_MAGIC
from predict_age.source.parquet_file import open_parquet
from predict_age.source.path_partition import PathPartition
from predict_age.source_config import SourceConfig

METADATA_REQUESTS = 16
KNOWN_VERSIONS = (1, 2)
DELETED = 2  # status of an entry in a manifest
DATA = 0  # content of a manifest, and of a file
FIELD_ID = b"PARQUET:field_id"
REWRITE = "OPTIMIZE {} REWRITE DATA USING BIN_PACK in Athena (Spark: rewrite_data_files), which writes the files again"

Names = dict[int, str]  # of columns and of fields inside them, by the id that stays when they are renamed


@dataclass(frozen=True)
class IcebergFile(FileStatus):
    """A Parquet file of the snapshot, and the columns that it leaves to its partition."""

    partition: PathPartition = ()


@dataclass(frozen=True)
class _Entry:
    """A file as a manifest names it, with the ``order`` of the commit that added it."""

    path: str
    format: str
    size: int
    order: int
    deletes: bool
    partition: Mapping[str, Any]
    spec: int


@dataclass
class _Schema:
    """The columns of today: names by id, ids of top-level columns, and names that files without ids have for them."""

    names: Names = field(default_factory=dict)
    top: set[int] = field(default_factory=set)
    ids_of_names: dict[str, int] = field(default_factory=dict)


def iceberg_files(table: GlueTable, settings: SourceConfig) -> list[IcebergFile]:
    """Data files of the current snapshot, sorted by path.

    Raises InputError for an empty table, for rows that are deleted by a file of their own, for files that have columns under names
    that the table has changed since, and for formats that cannot be read.
    """
    metadata = _metadata(table)
    with _damaged(table.name, table.metadata):
        entries, schema = list(_entries(table.name, metadata)), _schema(metadata)
    data = [entry for entry in entries if not entry.deletes]
    if not data:
        raise InputError(f"the table {table.name} has no rows", expected="data files in its current snapshot", found="none")
    if others := sorted({entry.format for entry in data} - {"PARQUET"}):
        raise _refused(table.name, f"data files in {', '.join(others)}", "Parquet")
    oldest = min(entry.order for entry in data)
    if deletes := [entry for entry in entries if entry.deletes and entry.order >= oldest]:
        raise _refused(
            table.name, f"{len(deletes):,} file(s) that delete rows of other files (merge-on-read)", "data files that hold its rows"
        )
    with ThreadPoolExecutor(METADATA_REQUESTS if in_s3(data[0].path) else 1) as requests:
        files = list(requests.map(lambda entry: _file(table.name, entry, metadata, schema, settings), data))
    return sorted(files, key=lambda file: file.path)


def _refused(table: str, found: str, expected: str) -> InputError:
    return InputError(f"the Iceberg table {table} cannot be read", expected=expected, found=found, fix=REWRITE.format(table))


def _bytes(table: str, path: str) -> bytes:
    """A file of the metadata, decompressed."""
    try:
        with stream(path) as opened:
            content: bytes = opened.read()
        return gzip.decompress(content) if content.startswith(GZIP_MAGIC) else content
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise unanswered(path, error) or InputError(
            f"the metadata of the Iceberg table {table} cannot be read",
            expected=f"{path}, which its catalogue names",
            found=str(error).splitlines()[0],
            fix="allow reading it: the metadata lies below the table's location, beside its data",
        ) from None


def _metadata(table: GlueTable) -> Mapping[str, Any]:
    content = _bytes(table.name, table.metadata)
    with _damaged(table.name, table.metadata):
        metadata: Mapping[str, Any] = json.loads(content)
        version = metadata["format-version"]
    if version not in KNOWN_VERSIONS:
        raise InputError(
            f"the Iceberg table {table.name} cannot be read",
            expected="format version 1 or 2",
            found=f"version {version}",
            fix="CREATE TABLE ... WITH (table_type = 'ICEBERG') AS SELECT writes one of version 2",
        )
    return metadata


def _avro(table: str, path: str) -> list[Mapping[str, Any]]:
    """Records of a manifest, or of a list of manifests."""
    try:
        import fastavro
    except ImportError:
        raise ConfigError("an Iceberg table needs fastavro", expected="the extra aws", fix=install_extra("aws")) from None
    content = _bytes(table, path)
    with _damaged(table, path):
        return [cast(Mapping[str, Any], record) for record in fastavro.reader(io.BytesIO(content))]


@contextmanager
def _damaged(table: str, path: str) -> Iterator[None]:
    """Turn whatever reading metadata at ``path`` raises into an InputError: changed bytes may do anything to a decoder."""
    try:
        yield
    except (PredictAgeError, OSError):
        raise
    except Exception as error:
        raise InputError(
            f"the metadata of the Iceberg table {table} is damaged",
            expected="metadata as Iceberg writes it",
            found=f"{path}: {type(error).__name__}",
            fix="roll the table back to a snapshot whose metadata can be read",
        ) from None


def _entries(table: str, metadata: Mapping[str, Any]) -> Iterator[_Entry]:
    """Files of the current snapshot: of data, and of deletes."""
    current = metadata.get("current-snapshot-id")
    snapshot = next((s for s in metadata.get("snapshots", []) if s["snapshot-id"] == current), None)
    if snapshot is None:
        return
    if "manifest-list" not in snapshot:
        raise _refused(table, "a snapshot without a list of manifests", "a snapshot as Iceberg writes it since 2019")
    manifests = _avro(table, local_path(snapshot["manifest-list"]))
    with ThreadPoolExecutor(METADATA_REQUESTS) as requests:
        read = requests.map(lambda manifest: _avro(table, local_path(manifest["manifest_path"])), manifests)
        for manifest, records in zip(manifests, read, strict=True):
            for record in records:
                file = record["data_file"]
                if record["status"] == DELETED:
                    continue
                order = record.get("sequence_number")  # a new entry takes over that of its manifest
                yield _Entry(
                    local_path(file["file_path"]),
                    str(file["file_format"]).upper(),
                    int(file["file_size_in_bytes"]),
                    int(manifest.get("sequence_number") or 0) if order is None else int(order),
                    file.get("content", DATA) != DATA,
                    file.get("partition") or {},
                    int(manifest.get("partition_spec_id") or 0),
                )


def _schema(metadata: Mapping[str, Any]) -> _Schema | None:
    """The columns of today, where files may have others: the table changed its columns, or took over files of another table."""
    schemas = metadata.get("schemas") or [metadata["schema"]]
    mapping = metadata.get("properties", {}).get("schema.name-mapping.default")
    if len(schemas) == 1 and not mapping:
        return None
    current = next((s for s in schemas if s.get("schema-id") == metadata.get("current-schema-id")), schemas[-1])
    found = _Schema(dict(_fields_of(current)), {f["id"] for f in current["fields"]})
    for entry in json.loads(mapping or "[]"):
        found.ids_of_names |= dict.fromkeys(entry["names"], entry.get("field-id"))
    return found


def _fields_of(kind: Any) -> Iterator[tuple[int, str]]:
    """Ids and names of the fields of an Iceberg type, those inside them included."""
    if not isinstance(kind, dict):
        return
    for inner in kind.get("fields", []):
        yield inner["id"], inner["name"]
        yield from _fields_of(inner["type"])
    for part in ("element", "key", "value"):
        yield from _fields_of(kind.get(part))


def _arrow_fields(fields: Iterator[pa.Field] | pa.Schema) -> Iterator[tuple[int | None, str]]:
    """Ids and names of the fields of a Parquet file, those inside them included; None where it has no ids."""
    for inner in fields:
        number = (inner.metadata or {}).get(FIELD_ID)
        yield None if number is None else int(number), inner.name
        yield from _inside(inner.type)


def _inside(kind: pa.DataType) -> Iterator[tuple[int | None, str]]:
    if pa.types.is_struct(kind):
        yield from _arrow_fields(kind)
    elif pa.types.is_map(kind):
        yield from _inside(kind.key_type)
        yield from _inside(kind.item_type)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _inside(kind.value_type)


def _file(table: str, entry: _Entry, metadata: Mapping[str, Any], schema: _Schema | None, settings: SourceConfig) -> IcebergFile:
    """The file as it lies there. Raises InputError when it is another one, or its columns are not those of today."""
    try:
        status = stat(entry.path)
        size = f"{status.size:,} bytes"
    except (OSError, ValueError) as error:  # ValueError: a NUL character in a path
        if unknown := unanswered(entry.path, error):
            raise unknown from None
        status, size = None, getattr(error, "strerror", None) or "nothing"
    if status is None or status.size != entry.size:
        raise InputError(
            f"a file of the Iceberg table {table} is not what its metadata says",
            expected=f"{entry.path} with {entry.size:,} bytes",
            found=size,
            fix="restore it, or roll the table back to a snapshot whose files are there",
        )
    if schema is None:
        return IcebergFile(**asdict(status))
    top: pa.Schema = open_parquet(entry.path).schema_arrow
    stored = list(_arrow_fields(top))
    if any(number is None for number, _ in stored):
        if schema.ids_of_names.keys().isdisjoint(top.names):
            raise _refused(table, f"{entry.path} without ids of columns", "files that Iceberg wrote, or a name mapping")
        stored = [(schema.ids_of_names.get(name), name) for name in top.names]
    _check_names(table, entry.path, schema, {n: name for n, name in stored if n is not None}, top.names, settings)
    return IcebergFile(**asdict(status), partition=tuple(_partition_columns(entry, metadata, schema, {n for n, _ in stored})))


def _check_names(table: str, path: str, schema: _Schema, stored: Names, top: list[str], settings: SourceConfig) -> None:
    """Raise InputError where a name means another column in the file than in the table."""
    renamed = [f"{name}, now {schema.names[n]}" for n, name in stored.items() if schema.names.get(n, name) != name]
    dropped = {name for n, name in stored.items() if n not in schema.names}
    reused = dropped & set(schema.names.values())
    needed = dropped & {*settings.light_columns, settings.profile_json} | dropped - set(top)  # configured, or inside another
    read = dropped if settings.profile_json == "*" else needed
    for found in (renamed, sorted(reused), sorted(read)):
        if found:
            raise _refused(
                table,
                f"{path} has the column {found[0]}" + ("" if found is renamed else ", which the table dropped"),
                "files whose columns have the names of today",
            )


def _partition_columns(
    entry: _Entry, metadata: Mapping[str, Any], schema: _Schema, stored: set[int | None]
) -> Iterator[tuple[str, str | None]]:
    """Columns that are in no file, because the folders of a Hive table had them."""
    specs = {spec["spec-id"]: spec["fields"] for spec in metadata.get("partition-specs", [])}
    for part in specs.get(entry.spec, []):
        if part["transform"] == "identity" and part["source-id"] not in stored and part["source-id"] in schema.names:
            value = entry.partition.get(part["name"])
            yield schema.names[part["source-id"]], None if value is None else str(value)
